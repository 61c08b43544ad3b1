"""The matrix that the engine works out of one recording, against what machines really did.

The recording is made on a flat machine; the other machines run the driver themselves.
"""

from pathlib import Path

import pytest

from dmaverify.model.platform import Effect
from dmaverify.pipeline.check import CheckOptions
from dmaverify.pipeline.matrix import matrix
from dmaverify.pipeline.platforms import built_in as platforms
from dmaverify.pipeline.simulate import SimulateOptions, simulate
from dmaverify.sim.run import outcome
from dmaverify.sim.scenario import Scenario, built_in

MACHINES = tuple(p for p in platforms() if not p.recorded)
OFFSET = "a victim in the same page is other people's memory, which the matrix does not look at"
PLACED = "where a common buffer begins is not yet replayed"
LINE = "an invalidated line is fetched again whole, with the byte that was not handed over"
UNREAD = "the machine tells of stale bytes that nobody has read"
CACHE = "a recording does not yet tell the cache type of a view"
FLUSH = "a recording does not yet tell that a Windows mapping leaves the caches to the driver"

#: Where the two differ, and why: (scenario, platform) -> reason.
DIFFERENT = {
    **{("linux_device:overrun", p): OFFSET
       for p in ("flat", "iommu", "iommu-lazy", "nested", "bus-offset", "non-coherent")},
    ("openib_rings:common_buffer_taken_as_aligned", "driver-verifier"): PLACED,
    ("openib_rings:page_at_a_time", "driver-verifier"): PLACED,
    ("openib_rings:page_at_a_time_cached", "driver-verifier"): PLACED,
    ("openib_rings:page_at_a_time_cached", "non-coherent"): CACHE,
    ("windows_transfers:no_cache_flush", "non-coherent"): FLUSH,
    ("linux_sync:one_byte_short", "non-coherent"): LINE,
    ("linux_unmap:during_transfer", "non-coherent"): UNREAD,
}  # fmt: skip


def _agree(kinds: tuple[str, ...], effect: Effect) -> bool:
    """Tell whether an effect of the matrix says what a machine did."""
    if effect is Effect.CANNOT_TELL:
        return True  # says less, and nothing wrong
    if kinds == ("refused",):
        return effect is Effect.REFUSED
    return bool(kinds) == (effect is Effect.BREAKS)


@pytest.mark.parametrize("scenario", built_in(), ids=lambda s: s.name)
def test_the_matrix_is_what_the_machines_do(scenario: Scenario, tmp_path: Path) -> None:
    """On each platform the replay comes to what the driver's own run came to."""
    path = str(tmp_path / "t.dmat")
    simulate(scenario.name, SimulateOptions(output=path))
    rows = matrix(path, CheckOptions(platforms=MACHINES)).platforms

    for platform, row in zip(MACHINES, rows, strict=True):
        if (scenario.name, platform.name) in DIFFERENT:
            continue
        kinds = outcome(scenario, platform).kinds
        assert _agree(kinds, row.effect), (platform.name, kinds, row.effect, row.why)


def test_most_cells_are_told(tmp_path: Path) -> None:
    """The table of differences is about scenarios that exist, and few."""
    names = {s.name for s in built_in()}

    assert {scenario for scenario, _ in DIFFERENT} <= names
    assert len(DIFFERENT) * 20 < len(names) * len(MACHINES)
