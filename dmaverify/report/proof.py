"""Lines of evidence, and the remarks below them: what findings and the matrix are told with."""

from collections.abc import Iterator, Sequence

from dmaverify.model.evidence import Evidence
from dmaverify.report.base import View
from dmaverify.report.paint import Line
from dmaverify.report.quote import differing, quote
from dmaverify.report.safe import cells, visible, wrap
from dmaverify.report.theme import Glyphs

_QUOTE_LINES = 3
_LABEL = 7  # columns of the longest label of a remark, with its space


def proof(
    shown: Sequence[Evidence], story: Sequence[Evidence], view: View, g: Glyphs
) -> Iterator[Line]:
    """Give lines of evidence, each with its role, its place and its words.

    Args:
        shown: what is displayed.
        story: all of it; words in which its first and its last line differ are marked.
        view: how it is shown.
        g: the characters to draw with.
    """
    if not shown:
        return
    roles = max(cells(visible(e.role)) for e in shown)
    places = max(len(where(e)) for e in shown)
    room = max(12, view.width - roles - places - 9)
    marked = differing([e.text for e in story if e.role != "consequence"])
    for e in shown:
        about = f"{e.text} ({e.rule})" if e.rule else e.text
        lines = quote(about, room, 0 if view.verbose else _QUOTE_LINES, g.ellipsis)
        role = visible(e.role) + " " * (roles - cells(visible(e.role)))
        yield [
            ("gutter", f"  {g.tee}{g.line} "),
            ("role", role),
            ("quiet", f"  {where(e):<{places}}  "),
            *_words(lines[0], marked),
        ]
        for line in lines[1:]:
            indent = " " * (roles + places + 6)
            yield [("gutter", f"  {g.gutter}"), ("", indent), *_words(line, marked)]


def where(e: Evidence) -> str:
    """Return the place of a line of evidence: its line, or its event where there are no lines."""
    place = f"event {e.event}" if e.line is None else f"line {e.line}"
    return f"{visible(e.source.rpartition('/')[2])} {place}" if e.source else place


def _words(line: str, marked: set[str]) -> Line:
    pieces: Line = []
    for i, word in enumerate(line.split(" ")):
        style = "differs" if word in marked else "trace"
        text = f" {word}" if i else word
        if pieces and pieces[-1][0] == style:
            pieces[-1] = (style, pieces[-1][1] + text)
        else:
            if i:  # the space before belongs to nobody, so that no colour hangs over
                pieces[-1] = (pieces[-1][0], pieces[-1][1] + " ")
            pieces.append((style, word))
    return pieces


def remark(label: str, style: str, text: str, width: int) -> Iterator[Line]:
    """Give a remark: `= label: text`, in as many lines as it takes."""
    head = f"{label + ':':<{_LABEL}}"
    room = width - _LABEL - 4
    lines = wrap(visible(" ".join(text.split())), room, room)
    yield [("gutter", "  = "), (style, head), ("", lines[0])]
    for line in lines[1:]:
        yield [("", " " * (_LABEL + 4) + line)]
