"""The formats, against golden files and in their details."""

import json
from pathlib import Path

import pytest

from dmaverify.model.finding import Report
from dmaverify.model.kinds import Severity
from dmaverify.report import FORMATS_BY_NAME, View
from dmaverify.report.quote import quote
from tests import reports

GOLDEN = Path(__file__).parents[2] / "golden"


def shown(report: Report, name: str = "full", **view: object) -> str:
    """Return a report in a format."""
    return "".join(FORMATS_BY_NAME[name].render(report, View(**view)))


@pytest.mark.parametrize(
    ("file", "report", "name", "view"),
    [
        ("failing-80.txt", reports.failing(), "full", {}),
        ("failing-120.txt", reports.failing(), "full", {"width": 120}),
        ("failing-ascii.txt", reports.failing(), "full", {"ascii": True}),
        ("failing-verbose.txt", reports.failing(), "full", {"verbose": True}),
        ("failing-concise.txt", reports.failing(), "concise", {}),
        ("failing.json", reports.failing(), "json", {}),
        ("passing.txt", reports.passing(), "full", {}),
        ("unchecked.txt", reports.unchecked(), "full", {}),
    ],
)
def test_golden(file: str, report: Report, name: str, view: dict[str, object]) -> None:
    """What people and programs see is exactly this."""
    assert (GOLDEN / file).read_text("utf-8") == shown(report, name, **view)


def test_full_report_fits_its_width() -> None:
    """No line is wider than asked, at 40 columns as at 120."""
    for width in (40, 80, 120):
        assert max(map(len, shown(reports.failing(), width=width).splitlines())) <= width


def test_colour_adds_nothing_but_colour() -> None:
    """Without its escapes the coloured report is the plain one."""
    import re

    coloured = shown(reports.failing(), colour=True)
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)

    assert shown(reports.failing()) == "\n".join(x.rstrip() for x in bare.split("\n"))
    assert coloured != bare


def test_json_has_the_schema() -> None:
    """The keys that the schema promises are there."""
    plain = json.loads(shown(reports.failing(), "json"))
    finding = plain["findings"][0]

    assert "dmaverify/report/v1" == plain["schema"]
    assert {"error": 1, "warning": 0, "note": 0} == plain["summary"]["by_severity"]
    assert 1 == plain["summary"]["low_confidence"]
    assert 4 == plain["summary"]["occurrences"]
    assert {"sync-out-of-range": 1, "unmap-size-mismatch": 1} == plain["summary"]["by_rule"]
    assert {"space": "bus", "start": 0x34F8000, "length": 1024} == finding["address"]
    assert {"role", "event", "line", "time_ns", "text"} == set(finding["evidence"][0])
    assert plain["findings"][1]["line"] is None


def test_max_findings_limits_what_is_displayed() -> None:
    """Per rule, with the number of the others; JSON has them all."""
    many = Report((reports.trace(),), tuple(reports.wrong_size() for _ in range(5)), (), checked=9)

    text = shown(many, max_findings=2)

    assert 2 == text.count("error[unmap-size-mismatch]")
    assert "… and 3 more findings of unmap-size-mismatch" in text
    assert "fail: 5 errors" in text
    assert 5 == shown(many, max_findings=0).count("error[unmap-size-mismatch]")
    assert 5 == len(json.loads(shown(many, "json", max_findings=2))["findings"])


def test_show_never_hides_what_fails() -> None:
    """--show hides lesser findings, says how many, and shows all that fail the run."""
    note = reports.wrong_size(severity=Severity.NOTE)
    report = Report((reports.trace(),), (note,), (), checked=9)

    assert "note[" not in shown(report, show=Severity.ERROR)
    assert "1 finding below --show error not displayed" in shown(report, show=Severity.ERROR)
    assert "note[" in shown(report, show=Severity.ERROR, fail_on=Severity.NOTE)
    assert "fail: 1 note" in shown(report, fail_on=Severity.NOTE)
    assert "pass: 1 note" in shown(report)


def test_a_long_list_is_cut_in_the_middle() -> None:
    """The ends of a list and all that follows it stay."""
    text = f"x-1 [000] ..... 1.000000: dma_map_sg: dev a={{{','.join(map(str, range(999)))}}} end=1"

    assert ["dma_map_sg: dev a={0,…,998} end=1"] == quote(text, 60, 1, "…")


def test_equal_lists_are_all_cut() -> None:
    """Bus and physical lists are often the same text; each is shortened."""
    items = ",".join(map(str, range(99)))

    assert quote(f"a={{{items}}} b={{{items}}}", 40, 1, "…") == ["a={0,…,98} b={0,…,98}"]


def test_a_long_line_is_cut_with_a_mark() -> None:
    """A line without lists is cut at its end."""
    assert ["dma_map: ab…"] == quote(" x-1 [000] 1.0: dma_map: " + "abc" * 99, 12, 1, "…")


def test_the_unchecked_trace_is_named() -> None:
    """One trace without anything to check is told by name, though another one passes."""
    traces = (reports.trace("good.txt"), reports.trace("odd\n.txt", events=3, checked=0))
    text = " ".join(shown(Report(traces, (), (), checked=48)).split())

    assert r"nothing checked: no active rule applies to any of 3 events of odd\x0a.txt" in text
    assert "good.txt" not in text
