"""Each scenario does what its docstring says: on the machine, and to the engine."""

from pathlib import Path

import pytest

from dmaverify.lang.builtin import load_builtin
from dmaverify.model.classes import CLASSES
from dmaverify.pipeline.check import CheckOptions, check_traces
from dmaverify.pipeline.simulate import SimulateOptions, platform_named, simulate
from dmaverify.sim.effects import EffectKind
from dmaverify.sim.run import outcome
from dmaverify.sim.scenario import Scenario, built_in
from tests.unit.sim.machines import PLATFORMS

SCENARIOS = built_in()
RULES = {rule.id: rule for rule in load_builtin().rules}
NAMES = [s.name for s in SCENARIOS]
#: The constructions of the 2005 discussion, by the letter that begins their sentence.
LETTERS = "abcdefghijk"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_docstrings_can_be_read(scenario: Scenario) -> None:
    """A docstring says what to expect, with names that exist."""
    kinds = {k.value for k in EffectKind}

    assert scenario.sentence
    assert scenario.expected is not None
    assert set(scenario.outcomes) | set(scenario.expected_on) <= set(PLATFORMS)
    assert frozenset().union(*scenario.outcomes.values()) <= kinds
    for expected in (scenario.expected, *scenario.expected_on.values()):
        assert set(expected) <= {*CLASSES, *RULES}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_the_machine_does_what_is_said(scenario: Scenario, platform: str) -> None:
    """Bytes are stale, lost or foreign, and accesses refused, where the docstring says so."""
    found = outcome(scenario, platform_named(platform))

    assert bool(scenario.ends) == (found.error is not None)
    assert found.error is None or scenario.ends in found.error.text
    assert scenario.outcomes.get(platform, frozenset()) == set(found.kinds), found.effects


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_the_engine_finds_what_is_said(scenario: Scenario, platform: str, tmp_path: Path) -> None:
    """The engine finds the same live and in the file, and that is what was planted."""
    path = str(tmp_path / "t.dmat")
    live = simulate(scenario.name, SimulateOptions(platform=platform, output=path))
    again = check_traces([path], CheckOptions())
    expected = scenario.expected_on.get(platform, scenario.expected) or ()
    found = {f.rule if f.rule in expected else f.cls for f in live.report.findings}

    assert sorted(expected) == sorted(found)
    assert live.report.findings == again.findings
    assert live.report.notices == again.notices


def test_the_recording_names_no_mistake(tmp_path: Path) -> None:
    """A tape has events only: no class, no expectation, no name of a scenario's file."""
    path = tmp_path / "t.dmat"
    simulate("linux_unmap:twice", SimulateOptions(output=str(path)))
    text = path.read_text("utf-8")

    assert "unmap-of-unmapped" not in text
    assert "Expect" not in text


def test_every_construction_is_there() -> None:
    """Each of the constructions (a) to (k) has a scenario."""
    found = {s.sentence[1] for s in SCENARIOS if s.sentence.startswith("(")}

    assert set(LETTERS) == found


@pytest.mark.parametrize("letter", ["a", "e"])
def test_physical_addresses_work_by_luck_only(letter: str) -> None:
    """Physical addresses are harmless on a flat machine and under the verifier, nowhere else."""
    scenario = next(s for s in SCENARIOS if s.sentence.startswith(f"({letter})"))
    fine = {p for p in PLATFORMS if not outcome(scenario, platform_named(p)).kinds}

    assert {"as-recorded", "flat", "driver-verifier"} == fine
