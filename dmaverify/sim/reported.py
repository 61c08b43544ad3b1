"""Bugs that somebody reported of a real driver or program, rebuilt as scenarios.

Such a scenario's docstring has two more keys: `Class`, what kind of bug it is, and `Report`, where
it was told, once for each place. The function `X_fixed` beside it is the same driver without the
mistake. One with a report that expects nothing was a false alarm, and has no twin.
"""

import inspect
from dataclasses import dataclass

from dmaverify.sim.scenario import FOLDER, Scenario, joined, scenarios_in

#: What kinds of bugs there are.
KINDS = {
    "UAD": "used after it was deregistered, or by a key that means something else by now",
    "UBC": "unmapped or reused before its completion",
    "ORD": "taken down, or let go, in the wrong order",
    "OOB": "outside of a region or a table",
    "MAP": "the DMA API called wrongly: count, direction, length, errors",
    "SYNC": "not handed over, or a cache line shared",
    "RING": "a ring, a completion queue or a doorbell runs over, or lives too short",
    "DB": "a doorbell record or a shared page lives too short",
    "KEY": "a key of another index, tag, domain, queue pair or with other rights",
    "STK": "memory that no device may reach: a stack, constants",
    "FORK": "pages that a process gives away or gets new while they are registered",
}


@dataclass(frozen=True, slots=True)
class Reported:
    """One reported bug.

    Args:
        scenario: the driver with the mistake.
        fixed: the same driver without it; None for a false alarm.
        kind: a key of `KINDS`.
        reports: where it was told, an address each, or a document and a title.
    """

    scenario: Scenario
    fixed: Scenario | None
    kind: str
    reports: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name of the bug: driver and mistake."""
        return self.scenario.name.partition(":")[2]

    def expected(self) -> tuple[str, ...]:
        """Return the rules, or classes, of its findings, on whatever platform, each once."""
        found = [*(self.scenario.expected or ())]
        for expected in self.scenario.expected_on.values():
            found += expected
        return tuple(dict.fromkeys(found))


def reported() -> list[Reported]:
    """Return the reported bugs of the package, by file and in the order of each file."""
    bugs = []
    for path in sorted(FOLDER.glob("reports_*.py")):
        found = {s.function.__name__: s for s in scenarios_in(path)}
        for name, scenario in found.items():
            bug = _bug(scenario, found.get(f"{name}_fixed"))
            if bug is not None:
                bugs.append(bug)
    return bugs


def _bug(scenario: Scenario, fixed: Scenario | None) -> Reported | None:
    """Return the bug that a scenario is, None where its docstring names no report."""
    kind, reports = "", []
    for line in joined((inspect.getdoc(scenario.function) or "").split("\n")):
        key, _, rest = line.partition(": ")
        if key == "Class":
            kind = rest
        elif key == "Report":
            reports.append(rest)
    return Reported(scenario, fixed, kind, tuple(reports)) if reports else None
