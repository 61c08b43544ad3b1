"""The recordings of simulated drivers that ship as fixtures, and what they show."""

from pathlib import Path

import pytest

from tests.acceptance.runs import FIXTURES, check, run
from tests.acceptance.test_matrix import effects, rows_of

#: Fixture -> the scenario that made it, its classes, and where it breaks.
NATIVE = {
    "missing_sync_for_device": (
        "linux_sync:not_for_device",
        {"missing-sync-for-device"},
        {"driver-verifier", "non-coherent", "mask-32", "confidential-vm"},
    ),
    "synced_both_ways": ("linux_sync:good", set(), set()),
}


@pytest.mark.parametrize("name", NATIVE)
def test_a_fixture_is_what_its_scenario_records(name: str, tmp_path: Path) -> None:
    """`simulate SCENARIO -o FILE` makes the file again, to the byte."""
    made = tmp_path / "made.dmat"
    run("simulate", NATIVE[name][0], "-o", made)

    assert made.read_text() == (FIXTURES / f"native/{name}.dmat").read_text()


@pytest.mark.parametrize("name", NATIVE)
def test_a_fixture_gives_its_class_and_breaks_where_it_should(name: str) -> None:
    """A missing sync for the device, and its twin with all syncs."""
    _, classes, breaks = NATIVE[name]
    rows = effects(rows_of(FIXTURES / f"native/{name}.dmat"))

    assert classes == check(f"native/{name}.dmat").classes
    assert breaks == {p for p, effect in rows.items() if effect == "breaks"}
    assert ({"works-by-luck"} if classes else {"works"}) == set(rows.values()) - {"breaks"}
