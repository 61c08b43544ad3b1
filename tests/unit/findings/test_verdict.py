"""Exit codes."""

import pytest

from dmaverify.errors import InternalError, TraceError
from dmaverify.findings.verdict import exit_code, worst
from dmaverify.model.finding import Finding, Report
from dmaverify.model.kinds import Severity
from tests import reports

ERROR = reports.wrong_size()
WARNING = reports.wrong_size(severity=Severity.WARNING)
NOTE = reports.wrong_size(severity=Severity.NOTE)
UNSURE = reports.wrong_size(confidence="low")


@pytest.mark.parametrize(
    ("findings", "fail_on", "expected"),
    [
        ((), Severity.ERROR, 0),
        ((ERROR,), Severity.ERROR, 1),
        ((ERROR,), None, 0),
        ((WARNING,), Severity.ERROR, 0),
        ((WARNING,), Severity.WARNING, 1),
        ((NOTE,), Severity.WARNING, 0),
        ((NOTE,), Severity.NOTE, 1),
        ((UNSURE,), Severity.NOTE, 0),
        ((UNSURE, WARNING), Severity.NOTE, 1),
    ],
)
def test_findings_decide_by_level(
    findings: tuple[Finding, ...], fail_on: Severity | None, expected: int
) -> None:
    """A finding fails at or above the level, and never when its confidence is low."""
    report = Report((reports.trace(),), findings, (), checked=48)

    assert expected == exit_code(report, fail_on)


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (reports.passing(), 0),
        (reports.failing(), 1),
        (reports.unchecked(), 5),
        (reports.unreadable(), 3),
        (Report((), (), (), errors=(TraceError("x", None, "empty"),)), 3),
        (Report((reports.trace(),), (ERROR,), (), checked=48,
                errors=(TraceError("x", None, "cut"),)), 3),
        (Report((reports.trace(), reports.trace(checked=0)), (), (), checked=48), 5),
        (Report((reports.trace(), reports.trace(checked=0)), (ERROR,), (), checked=48), 1),
    ],
)  # fmt: skip
def test_the_worst_of_several_traces_counts(report: Report, expected: int) -> None:
    """A trace that can not be read beats findings, these beat that nothing was checked."""
    assert expected == exit_code(report, Severity.ERROR)


def test_order_of_exit_codes() -> None:
    """Internal error, usage, unreadable, findings, nothing checked, fine."""
    assert [4, 2, 3, 1, 5, 0] == [worst([4, 2, 3, 1, 5, 0][i:][::-1]) for i in range(6)]
    assert 0 == worst([])
    assert 4 == InternalError.exit_code
