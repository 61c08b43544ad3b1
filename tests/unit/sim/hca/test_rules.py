"""Each rule on HCAs has a scenario that it fires in, and a twin in which it does not."""

from pathlib import Path

from dmaverify.sim.scenario import built_in

ROOT = Path(__file__).parents[4]
RULES = {p.stem for group in ("hca", "mad") for p in (ROOT / "rules" / group).glob("*.dmar")}
HCA = [s for s in built_in() if s.name.startswith(("hca_", "openib_hca", "reports_"))]

#: Rules whose mistakes no scenario makes, each with its reason.
WITHOUT = {
    "key-ended-before-completion": "the end of the key is told first, as the mistake",
    "work-request-refused": "the buffer that is wrong is told first, as the mistake",
    "pages-released-before-fence": "the simulated HCA has no page faults",
    **dict.fromkeys(
        ("hca-accepts-invalid-remote-request", "hca-refuses-valid-remote-request",
         "remote-atomic-misaligned", "remote-message-refused", "remote-request-refused",
         "remote-request-too-long"),
        "a capture of the wire tells it, and the simulated wire keeps no packets",
    ),
}


def _expected() -> set[str]:
    return {c for s in HCA for e in (s.expected, *s.expected_on.values()) for c in e or ()}


def test_each_rule_has_a_scenario() -> None:
    """Rules that are not in the table of reasons are expected by some scenario."""
    assert RULES - _expected() <= set(WITHOUT)


def test_the_reasons_are_needed() -> None:
    """No rule has both a reason and a scenario."""
    assert set() == set(WITHOUT) & _expected()


def test_each_file_has_good_drivers() -> None:
    """Of each file of scenarios some are quiet: the twins of those that are not."""
    files = {s.path for s in HCA}

    assert files == {s.path for s in HCA if s.expected == ()}
