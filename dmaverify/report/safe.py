"""Text from a trace, made harmless for a terminal, and its width there.

A trace is written by others: a task may be called anything, and a file name may hold an
escape sequence. What is not printable is shown as an escape, never sent.
"""

import unicodedata


def visible(text: str) -> str:
    """Return a text as one harmless line.

    Control characters, escape sequences, bidirectional overrides (Unicode Standard Annex
    #9, "Explicit Directional Embeddings and Overrides"), line separators and lone surrogates
    become visible escapes; a tab becomes a space.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def visible_lines(text: str) -> str:
    """Return a text as harmless lines: as `visible`, but line feeds stay."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _escape(char: str) -> str:
    if char == "\t":
        return " "
    number = ord(char)
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def ascii_only(text: str) -> str:
    """Return a text with everything that is not ASCII as visible escapes."""
    return text.encode("ascii", "backslashreplace").decode("ascii")


def cells(text: str) -> int:
    """Return how many columns of a terminal a harmless text takes."""
    if text.isascii():
        return len(text)
    return sum(_cell(c) for c in text)


def _cell(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, width: int, ellipsis: str) -> str:
    """Return a text cut at its end, with a mark, so that it takes at most `width` columns."""
    if cells(text) <= width:
        return text
    room = width - cells(ellipsis)
    if room <= 0:
        return ellipsis[: max(0, width)]
    kept: list[str] = []
    for char in text:
        room -= _cell(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept) + ellipsis


def wrap(text: str, first: int, rest: int) -> list[str]:
    """Return a text in lines, broken at spaces, or anywhere in a word that is too long.

    Args:
        text: harmless text.
        first: columns of the first line, at least 1.
        rest: columns of every other line, at least 1.
    """
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        room = max(2, rest if lines else first)
        if line and cells(line) + 1 + cells(word) > room:
            lines.append(line)
            line = word
            room = max(2, rest)
        else:
            line = f"{line} {word}" if line else word
        while cells(line) > room:
            head = fit(line, room, "")
            lines.append(head)
            line = line[len(head) :]
            room = max(2, rest)
    return [*lines, line] if line or not lines else lines
