"""Text from a trace on its way to a terminal."""

import pytest

from dmaverify.report.safe import ascii_only, cells, fit, visible, visible_lines, wrap


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 漢", "plain é 漢"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\tb\nc\x7f\x9b", "a b\\nc\\x7f\\x9b".replace("\\n", "\\x0a")),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_visible(text: str, expected: str) -> None:
    """What could steer a terminal is shown as an escape."""
    assert expected == visible(text)


def test_lines_stay() -> None:
    """Of a text with lines the line feeds stay, and nothing else."""
    assert "a\nb\\x0d" == visible_lines("a\nb\r")


def test_width_counts_columns() -> None:
    """Wide characters take two columns, combining ones none."""
    assert 4 == cells("漢字")
    assert 1 == cells("e\u0301")
    assert "漢…" == fit("漢字漢字", 4, "…")
    assert "\\u6f22" == ascii_only("漢")


def test_wrap_breaks_at_spaces() -> None:
    """Words stay whole where they can."""
    assert ["ab", "cd ef", "ghijk", "l"] == wrap("ab cd ef ghijkl", 3, 5)
