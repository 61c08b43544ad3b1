"""One text of rules and the way from an offset in it to a place that people can find."""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from dmaverify.lang.limits import MAX_FILE_BYTES
from dmaverify.model.program import Span

#: Control characters and the marks that reorder text: a terminal would obey them.
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)


@dataclass(frozen=True, slots=True)
class Source:
    """A rule text with its name.

    Args:
        name: the file as it is shown to people.
        text: the text; lines end in a line feed alone.
        path: where it was read from, None for text that is in no file.
        builtin: True for the rules that ship.
        starts: offset of the first character of each line.
    """

    name: str
    text: str
    path: Path | None = None
    builtin: bool = False
    starts: tuple[int, ...] = field(default=(), repr=False)

    @staticmethod
    def of(name: str, text: str, path: Path | None = None, builtin: bool = False) -> "Source":
        """Return a source for a text, whatever its line ends and byte order mark."""
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        starts = (0, *(m.end() for m in re.finditer("\n", text)))
        return Source(name, text, path, builtin, starts)

    def span(self, start: int, end: int) -> Span:
        """Return the span of `text[start:end]`; an empty one is one character wide."""
        start = min(start, len(self.text))
        line = bisect_right(self.starts, start)
        column = start - self.starts[line - 1] + 1
        return Span(self.name, line, column, start, max(end - start, 1))

    def line(self, number: int, column: int = 1, most: int = MAX_FILE_BYTES) -> str:
        """Return a line without its end, or a part of it; "" past the last.

        Args:
            number: 1-based.
            column: where to begin, 1-based.
            most: characters to return at most.
        """
        if not 1 <= number <= len(self.starts):
            return ""
        start = self.starts[number - 1] + column - 1
        end = self.starts[number] - 1 if number < len(self.starts) else len(self.text)
        return self.text[start : min(end, start + most)]
