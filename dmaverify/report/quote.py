"""Lines of a trace, shortened so that what proves something stays."""

import re
from collections.abc import Sequence

from dmaverify.report.safe import cells, fit, visible, wrap

_LONGEST = 4096  # more of a line is never looked at
_PREFIX = 240  # a task name is short; a time stamp stands within this many characters
_TIME = re.compile(r"\s\d+\.\d+:\s+(?=\S)")
_COUNTER = re.compile(r"\]\s.{0,16}?\d+:\s+(?=\S)")
_SPACES = re.compile(r"\s{2,}")
_LIST = re.compile(r"\{[^{}]*\}|\[[^\[\]]{24,}\]")
_HEAD, _TAIL = 1, 1  # items of a shortened list that stay at each end


def event_part(text: str) -> str:
    """Return a trace line from the name of its event on: the place tells the rest."""
    head = text[:_PREFIX]
    stamp = _TIME.search(head) or _COUNTER.search(head)
    return text[stamp.end() :] if stamp else text.strip()


def quote(text: str, room: int, most: int, ellipsis: str) -> list[str]:
    """Return a trace line as at most `most` lines of `room` columns, harmless and cut with marks.

    Args:
        text: the line as it is in the trace.
        room: columns of a line.
        most: lines; 0 for the whole text in as many as it takes, its prefix too.
        ellipsis: the mark of a cut.
    """
    if most == 0:
        return wrap(visible(text.strip()), room, room)
    line = _SPACES.sub(" ", visible(event_part(text[:_LONGEST]))).strip()
    if len(text) > _LONGEST:
        line += ellipsis
    lines = wrap(_shorten_lists(line, room * most, ellipsis), room, room)
    if len(lines) > most:  # breaking at spaces took room: shorten every list
        lines = wrap(_shorten_lists(line, room, ellipsis), room, room)
    if len(lines) > most:
        lines = [*lines[: most - 1], fit(" ".join(lines[most - 1 :]), room, ellipsis)]
    return lines


def _shorten_lists(line: str, room: int, ellipsis: str) -> str:
    """Cut lists in the middle, the longest first, until the line has room."""
    seen: set[str] = set()
    while cells(line) > room:
        found = [m for m in _LIST.finditer(line) if m[0] not in seen]
        if not found:
            break
        longest = max(found, key=lambda m: len(m[0]))
        short = _shorten(longest[0], ellipsis)
        seen.add(short)
        line = line[: longest.start()] + short + line[longest.end() :]
    return line


def _shorten(text: str, ellipsis: str) -> str:
    separator = ", " if ", " in text else ","
    items = text[1:-1].split(separator)
    if len(items) <= _HEAD + _TAIL + 1:
        return text
    kept = [*items[:_HEAD], ellipsis, *items[-_TAIL:]]
    return text[0] + separator.join(kept) + text[-1]


def values(text: str) -> dict[str, str]:
    """Return the `key=value` words of a trace line."""
    words = (w.partition("=") for w in event_part(text[:_LONGEST]).split())
    return {key: value for key, sign, value in words if sign and value}


def differing(texts: Sequence[str]) -> set[str]:
    """Return the `key=value` words in which the first and the last line contradict each other."""
    if len(texts) < 2:
        return set()
    first, last = values(texts[0]), values(texts[-1])
    keys = [k for k in first if k in last and first[k] != last[k]]
    return {visible(f"{k}={side[k]}") for k in keys for side in (first, last)}
