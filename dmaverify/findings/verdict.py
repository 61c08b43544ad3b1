"""The exit code that a report leads to."""

from dmaverify.model.finding import Report
from dmaverify.model.kinds import Severity

# Where several apply, the first in this order is the exit code.
WORST_FIRST = (4, 2, 3, 1, 5, 0)


def worst(codes: list[int]) -> int:
    """Return the exit code to give where several apply; 0 where none does."""
    return min(codes, key=WORST_FIRST.index, default=0)


def exit_code(report: Report, fail_on: Severity | None) -> int:
    """Return the exit code of a report.

    Args:
        report: everything that was found.
        fail_on: the least severity that fails, None where no finding does. Findings of
            low confidence never fail.
    """
    codes = [error.exit_code for error in report.errors]
    certain = [f.severity for f in report.findings if f.confidence != "low"]
    if fail_on is not None and (report.broken or any(s >= fail_on for s in certain)):
        codes.append(1)
    if report.unchecked:
        codes.append(5)
    return worst(codes)
