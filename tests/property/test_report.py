"""Whatever is in a report, what is shown of it is harmless and fits."""

import json
import unicodedata
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dmaverify.model.evidence import Evidence
from dmaverify.model.finding import Notice, Range, Report
from dmaverify.report import FORMATS, FORMATS_BY_NAME, View
from dmaverify.report.paint import line_cells
from dmaverify.report.picture import picture
from dmaverify.report.quote import quote
from dmaverify.report.safe import cells, visible, wrap
from dmaverify.report.theme import ASCII, UNICODE
from tests import reports

HOSTILE = "\x1b[31m\x07\x00\x7f\x9b\u202e\u2066\n\r\t{},= é漢\ud800"
TEXT = st.text(max_size=60) | st.text(st.sampled_from(HOSTILE))
NUMBER = st.integers(0, 2**64 - 1) | st.integers(0, 8192) | st.just(2**64 - 1)
ROLES = st.sampled_from(
    ["mapping", "ghost", "foreign", "enclosing", "overlap", "neighbour", "alias", "map", "unmap",
     "sync", "free", "fault"]
)  # fmt: skip
RANGES = st.lists(st.builds(Range, ROLES, TEXT, NUMBER, NUMBER), max_size=12)


def harmless(text: str) -> bool:
    """Return True where no character can steer a terminal."""
    return all(
        c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        for c in text
    )


@given(RANGES, st.integers(1, 200), st.booleans())
def test_picture_never_wider_than_asked(ranges: list[Range], width: int, plain: bool) -> None:
    """Any ranges, to the top of the address space and past it, are drawn within the width."""
    lines = picture(ranges, width, ASCII if plain else UNICODE)

    assert all(line_cells(line) <= width for line in lines)
    assert harmless("".join(text for line in lines for _, text in line))


@given(st.integers(1, 4096), st.integers(1, 4096), NUMBER)
def test_picture_always_shows_what_is_past(inside: int, past: int, start: int) -> None:
    """A byte past the end is visible, however small beside the mapping."""
    ranges = [Range("mapping", "m", start, inside), Range("sync", "s", start, inside + past)]

    text = "".join(text for line in picture(ranges, 75, UNICODE) for _, text in line)

    assert "▓" in text
    assert f"{past} B past" in text


@given(TEXT, TEXT, TEXT, TEXT, RANGES, st.sampled_from([40, 80, 120]), st.booleans())
def test_nothing_from_a_trace_steers_the_terminal(
    message: str, device: str, line: str, path: str, ranges: list[Range], width: int, verbose: bool
) -> None:
    """No control character, escape sequence or bidirectional override reaches any format."""
    finding = reports.wrong_size(
        message=message, device=device, ranges=tuple(ranges), hint=message, why=line,
        evidence=(Evidence(message, 1, 1, 1, line), Evidence(device, 2, 2, 2, message)),
    )  # fmt: skip
    notices = (Notice("a", line), Notice("b", message, 2, device, path))
    trace = replace(reports.trace(), path=path)
    report = Report((trace,), (finding,), notices, checked=1)

    for reporter in FORMATS:
        text = "".join(reporter.render(report, View(width=width, verbose=verbose)))
        assert harmless(text), reporter.name
        plain = "".join(reporter.render(report, View(width=width, ascii=True)))
        assert plain.isascii()


@given(TEXT, TEXT)
def test_json_keeps_every_character(message: str, path: str) -> None:
    """What is escaped for safety is still there for a program."""
    trace, finding = replace(reports.trace(), path=path), reports.wrong_size(message=message)
    report = Report((trace,), (finding,), ())

    text = "".join(FORMATS_BY_NAME["json"].render(report, View()))

    assert text.isascii()
    assert message == json.loads(text)["findings"][0]["message"]
    assert path == json.loads(text)["traces"][0]["path"]


@given(TEXT, st.integers(2, 80), st.integers(2, 80))
def test_wrap_loses_nothing_and_fits(text: str, first: int, rest: int) -> None:
    """Wrapped text keeps its words and stays within its width."""
    lines = wrap(visible(text), first, rest)

    assert visible(text).replace(" ", "") == "".join(lines).replace(" ", "")
    assert all(cells(line) <= (rest if i else first) for i, line in enumerate(lines))


@given(TEXT, st.integers(4, 80), st.integers(1, 3))
def test_quote_fits(text: str, room: int, most: int) -> None:
    """A quoted line takes at most the lines and columns that there are."""
    lines = quote(text, room, most, "…")

    assert len(lines) <= most
    assert all(cells(line) <= room for line in lines)
