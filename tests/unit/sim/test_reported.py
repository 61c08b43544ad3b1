"""Bugs that were reported of real drivers: each is there, is found, and has a quiet twin.

That a scenario does what its docstring says, on each platform and to the engine, is tested with
all other scenarios.
"""

import re
from pathlib import Path

import pytest

from dmaverify.pipeline.check import CheckOptions, check_traces
from dmaverify.pipeline.simulate import SimulateOptions, simulate
from dmaverify.sim.reported import KINDS, Reported, reported
from dmaverify.sim.scenario import built_in
from tests.unit.sim.machines import PLATFORMS

BUGS = reported()
WRONG = [bug for bug in BUGS if bug.fixed]
FEWEST, FEWEST_KINDS = 20, 8
ADDRESS = re.compile(
    r"https://(lore\.kernel\.org/[\w-]+/[^/\s]+/"
    r"|git\.kernel\.org/torvalds/c/[0-9a-f]{12,40}"
    r"|github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+)"
    r'|Debian changelog of linux [\d.-]+, ".+"'
)


def test_there_are_many_of_many_kinds() -> None:
    """At least 20 bugs are found, over at least 8 kinds."""
    assert len(WRONG) >= FEWEST
    assert len({bug.kind for bug in WRONG}) >= FEWEST_KINDS


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_says_where_it_was_told(bug: Reported) -> None:
    """A bug has a kind, and an address or a document and a title for each report."""
    assert bug.kind in KINDS
    for report in bug.reports:
        assert ADDRESS.fullmatch(report), report


@pytest.mark.parametrize("bug", WRONG, ids=lambda bug: bug.name)
def test_a_bug_is_found_and_its_twin_is_quiet(bug: Reported) -> None:
    """A bug is found on some platform; its twin expects nothing, anywhere."""
    assert bug.fixed is not None

    assert bug.expected()
    assert bug.fixed.expected == ()
    assert not bug.fixed.expected_on


@pytest.mark.parametrize("bug", [b for b in BUGS if not b.fixed], ids=lambda bug: bug.name)
def test_a_false_alarm_is_quiet(bug: Reported) -> None:
    """A bug without a twin was none: nothing is expected."""
    assert () == bug.expected()


@pytest.mark.parametrize("bug", WRONG, ids=lambda bug: bug.name)
def test_the_recording_alone_tells_them_apart(bug: Reported, tmp_path: Path) -> None:
    """`check` of the two files finds the mistake in one, and nothing in the other."""
    scenario = bug.scenario
    platform = next(p for p in PLATFORMS if scenario.expected_on.get(p, scenario.expected))
    names, found = set(scenario.expected_on.get(platform, scenario.expected) or ()), []
    for each in (scenario, bug.fixed):
        assert each is not None
        path = str(tmp_path / "t.dmat")
        simulate(each.name, SimulateOptions(platform=platform, output=path))
        findings = check_traces([path], CheckOptions()).findings
        found.append({f.rule if f.rule in names else f.cls for f in findings})

    assert [names, set()] == found


def test_every_scenario_of_the_files_belongs_to_a_bug() -> None:
    """No scenario of a reports file lacks a report, unless it is a twin."""
    known = {s.name for bug in BUGS for s in (bug.scenario, bug.fixed) if s}

    assert {s.name for s in built_in() if s.name.startswith("reports_")} == known
