"""Styled text as data, and its two ways out: plain, or with a terminal's colours."""

from collections.abc import Callable, Iterable

from dmaverify.report.safe import ascii_only, cells
from dmaverify.report.theme import STYLES

Piece = tuple[str, str]  # (name of a style, text)
Line = list[Piece]


def line_cells(line: Line) -> int:
    """Return how many columns a line takes."""
    return sum(cells(text) for _, text in line)


def painter(*, colour: bool, only_ascii: bool) -> Callable[[Iterable[Piece]], str]:
    """Return a function that makes one line of output, line end included.

    Trailing spaces are dropped where there is no colour, so that output can be compared.

    Args:
        colour: True for escape sequences.
        only_ascii: True to write what is not ASCII as visible escapes.
    """
    safe = ascii_only if only_ascii else _same
    if not colour:
        return lambda line: safe("".join(text for _, text in line)).rstrip() + "\n"
    # Plain output, the usual one in CI, never pays for rich.
    from rich.color import ColorSystem
    from rich.style import Style

    styles = {name: Style.parse(words or "none") for name, words in STYLES.items()}

    def paint(line: Iterable[Piece]) -> str:
        return (
            "".join(
                styles[name].render(safe(text), color_system=ColorSystem.STANDARD)
                for name, text in line
            )
            + "\n"
        )

    return paint


def _same(text: str) -> str:
    return text
