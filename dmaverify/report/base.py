"""What every format gives, and what it has to know of the place it is shown at."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from dmaverify.model.finding import Report
from dmaverify.model.kinds import Severity


@dataclass(frozen=True, slots=True)
class View:
    """How a report is shown. It decides what is displayed, never what was found.

    Args:
        width: columns, at least 40; formats for programs take no notice of it.
        colour: True where escape sequences for colours are wanted.
        ascii: True where nothing but ASCII can be shown.
        show: the least severity that is displayed.
        fail_on: the least severity that fails the run, None where no finding does.
        max_findings: how many findings of one rule are displayed; 0 means all.
        quiet: True where nothing but findings is displayed.
        verbose: True where evidence and notices are displayed in full.
    """

    width: int = 80
    colour: bool = False
    ascii: bool = False
    show: Severity = Severity.NOTE
    fail_on: Severity | None = Severity.ERROR
    max_findings: int = 20
    quiet: bool = False
    verbose: bool = False


class Reporter(Protocol):
    """One format.

    Attributes:
        name: as in `--output`.
        sentence: what it is for, for the help.
    """

    name: str
    sentence: str

    def render(self, report: Report, view: View) -> Iterator[str]:
        """Give the report as pieces of text, line ends included. Writes nothing itself."""
        ...
