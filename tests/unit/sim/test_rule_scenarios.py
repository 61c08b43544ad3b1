"""For each built-in rule a driver that violates it, or the reason why none can."""

from pathlib import Path

import pytest

import rules
from dmaverify.lang.builtin import load_builtin
from dmaverify.pipeline.simulate import SimulateOptions, simulate
from dmaverify.sim.scenario import Scenario, built_in

#: Rules of HCAs have drivers of their own.
RULES = sorted(
    path.stem for path in Path(rules.__file__).parent.glob("*/*.dmar") if path.parent.name != "hca"
)
SCENARIOS = built_in()


#: Rules that no driver on a simulated machine is found by, and why.
UNREACHED = {
    "address-beyond-mask": (
        "the simulated API gives no address above the mask that it was told, as the kernel's "
        "dma_capable(); a recording of a machine that did so is what the rule is for"
    ),
}


def _expecting(rule: str) -> list[tuple[Scenario, str]]:
    """Return the scenarios whose docstrings name a rule, each with a platform."""
    found = [(s, "flat") for s in SCENARIOS if rule in (s.expected or ())]
    return found + [
        (s, platform) for s in SCENARIOS for platform, names in s.expected_on.items()
        if rule in names
    ]  # fmt: skip


def _rules_found(scenario: str, platform: str) -> set[str]:
    done = simulate(scenario, SimulateOptions(platform=platform))
    return {finding.rule for finding in done.report.findings}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_its_driver(rule: str) -> None:
    """Some driver is found by the rule itself, or it stands in the table, and not both."""
    found = any(rule in _rules_found(s.name, p) for s, p in _expecting(rule))

    assert found != (rule in UNREACHED)


def test_the_table_names_rules() -> None:
    """The table has no entry of a rule that is gone."""
    assert set(UNREACHED) <= set(RULES) <= {rule.id for rule in load_builtin().rules}


@pytest.mark.parametrize("stem", sorted({s.name.partition(":")[0] for s in SCENARIOS}))
def test_each_file_has_a_good_twin(stem: str) -> None:
    """A file with a bad driver has one that does the same without the mistake."""
    here = [s for s in SCENARIOS if s.name.startswith(f"{stem}:")]

    assert any(s.expected == () and not s.expected_on and not s.outcomes for s in here)
