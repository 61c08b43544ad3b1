"""`matrix` of a scenario: the driver runs on every platform, and the machine says what came of it."""

import json
from pathlib import Path

import pytest

from tests.acceptance.runs import Run, run

SIGNS = {"works": ".", "works-by-luck": "~", "refused": "R", "breaks": "X"}

#: flat, driver-verifier, iommu, iommu-lazy, bus-offset, non-coherent, mask-32, confidential-vm,
#: nested: what the candidates of the 2005 discussion come to.
OPENIB = {
    "openib_rings:physical_address": "~~XXXXXXX",
    "openib_rings:common_buffer": ".........",
    "openib_rings:common_buffer_taken_as_aligned": ".X.......",
    "openib_rings:common_buffer_on_page": ".........",
    "openib_memory:per_request": ".........",
    "openib_memory:list_held": "~X~~~XXX~",
    "openib_memory:list_held_both_ways": "~XXX~XXXX",
    "openib_memory:mdl_addresses": "~~XXXXXXX",
    "openib_memory:persistent": ".....XRR.",
    "openib_rings:scatter_gather": "~X~~~XXX~",
    "openib_rings:page_at_a_time": ".X.......",
    "openib_rings:page_at_a_time_on_page": ".........",
    "openib_memory:mads_unmapped": "~~XXXXXXX",
    "openib_memory:mads_mapped": ".........",
    "openib_memory:other_adapter": "~~XX~~~~X",
}


def effects(done: Run) -> str:
    """Return a sign for each platform."""
    return "".join(SIGNS[p["effect"]] for p in json.loads(done.out)["platforms"])


@pytest.mark.parametrize(("scenario", "wanted"), OPENIB.items())
def test_the_candidates_of_2005(scenario: str, wanted: str) -> None:
    """Each comes to what the platforms are, and breaks at a named event of the driver."""
    done = run("matrix", scenario, "--output", "json")
    rows = json.loads(done.out)["platforms"]

    assert (0, wanted) == (done.code, effects(done))
    assert all(r["event"] and r["why"] for r in rows if r["effect"] in ("breaks", "refused"))


def test_the_cost_of_a_bypass_is_told() -> None:
    """Where caches do not see the device, the region would need a flush for each operation."""
    rows = json.loads(run("matrix", "openib_memory:persistent", "--output", "json").out)
    costs = {p["name"]: p["costs"] for p in rows["platforms"] if p["costs"]}

    assert {"non-coherent"} == set(costs)
    assert costs["non-coherent"][0]["operations"] > 0
    assert costs["non-coherent"][0]["flushes_per_operation"] >= 1


DRIVER = '''
def late(sim):
    """The device writes after the unmap."""
    device, linux = sim.device(), sim.linux
    buffer = linux.kmalloc(2048)
    bus = linux.dma_map_single(device, buffer, 2048, 2)
    linux.dma_unmap_single(device, bus, 2048, 2)
    device.write(bus, b"late" * 16)


def wrong(sim):
    """It is no driver."""
    raise ValueError("\\x1b[31mno")
'''


def test_a_driver_of_ones_own(tmp_path: Path) -> None:
    """A Python file is as good as a scenario of the package; the line that breaks is its own."""
    file = tmp_path / "mine.py"
    file.write_text(DRIVER)
    done = run("matrix", f"{file}:late", "--platform", "iommu", "--output", "json")
    (row,) = json.loads(done.out)["platforms"]

    assert ("breaks", "mine.py", 8) == (row["effect"], row["source"], row["line"])


def test_a_driver_that_raises(tmp_path: Path) -> None:
    """Its line is told, its text is made harmless."""
    file = tmp_path / "mine.py"
    file.write_text(DRIVER)
    done = run("matrix", f"{file}:wrong")

    assert 2 == done.code
    assert "mine.py:13" in done.err
    assert "\x1b" not in done.err


@pytest.mark.parametrize("words", [
    ["openib_memory:nothing"], ["openib_memory"], ["openib_memory:persistent", "--log", "x"],
])  # fmt: skip
def test_what_is_no_scenario(words: list[str]) -> None:
    """One message, and the exit code of a usage error."""
    done = run("matrix", *words)

    assert (2, "") == (done.code, done.out)
    assert 1 == done.err.count("\n")
