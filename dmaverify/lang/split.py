"""Cuts a rule text at its top-level items, so that one mistake spoils one item only."""

import re
from dataclasses import dataclass

#: What must be skipped as a whole: long texts, texts, comments; then an item's first word.
_TOKENS = re.compile(
    r'"""(?:.|\n)*?(?:"""|\Z)|"(?:\\.|[^"\\\n])*"?|\#[^\n]*'
    r"|(?:^|(?<=\n))(?P<item>(?:dmarules|include|let|set|rule)\b)"
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a text: `text[start:end]`, with one top-level item or what is around it."""

    start: int
    end: int
    word: str


def split(text: str) -> list[Chunk]:
    """Return the pieces of a text, in order, without gaps between them.

    A piece begins where an item's first word stands in the first column, outside of texts
    and comments: so a forgotten brace does not swallow the next rule.
    """
    starts = [(m.start("item"), m["item"]) for m in _TOKENS.finditer(text) if m["item"]]
    if not starts or text[: starts[0][0]].strip():
        starts.insert(0, (0, ""))
    ends = [start for start, _ in starts[1:]] + [len(text)]
    return [Chunk(start, end, word) for (start, word), end in zip(starts, ends, strict=True)]
