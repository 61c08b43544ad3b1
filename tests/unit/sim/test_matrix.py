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
BESIDE = "an address wholly beside a mapping is replayed as it is, and not moved with the mapping"
CACHE = "a recording does not yet tell the cache type of a view"
FLUSH = "a recording does not yet tell that a Windows mapping leaves the caches to the driver"
RESOURCE = "memory that is mapped as registers is taken for registers, and for what may be bounced"
UNUSED = "a region that nobody uses: the matrix says what it would come to"
LAZY = "how long an old translation lives hangs on what else is unmapped"
FREED = "freed memory is other people's to the machine at once, and to the matrix when they have it"
REMAPPED = "that a program's addresses mean other pages by now is no access of a device"
DIRECT = ("flat", "iommu-lazy", "bus-offset", "non-coherent")

#: Where the two differ, and why: (scenario, platform) -> reason.
DIFFERENT = {
    **{("linux_device:overrun", p): OFFSET
       for p in ("flat", "iommu", "iommu-lazy", "nested", "bus-offset", "non-coherent")},
    ("openib_rings:common_buffer_taken_as_aligned", "driver-verifier"): PLACED,
    ("openib_rings:page_at_a_time", "driver-verifier"): PLACED,
    ("openib_rings:page_at_a_time_cached", "driver-verifier"): PLACED,
    ("openib_hca:rings_page_at_a_time", "driver-verifier"): PLACED,
    ("openib_rings:page_at_a_time_cached", "non-coherent"): CACHE,
    ("windows_transfers:no_cache_flush", "non-coherent"): FLUSH,
    ("linux_parts:memory_as_registers", "mask-32"): RESOURCE,
    ("linux_parts:memory_as_registers", "nested"): RESOURCE,
    ("linux_sync:one_byte_short", "non-coherent"): LINE,
    ("linux_unmap:during_transfer", "non-coherent"): UNREAD,
    ("linux_reuse:late_into_reused", "non-coherent"): UNREAD,
    ("windows_guards:free_register", "non-coherent"): UNREAD,
    ("hca_memory:unmapped_before_key", "non-coherent"): UNREAD,
    ("hca_mads:mapped_the_wrong_way", "non-coherent"): UNREAD,
    ("hca_mads:unmapped_early", "non-coherent"): UNREAD,
    ("hca_mads:unmapped_early", "iommu-lazy"): LAZY,
    **{(f"hca_order:{name}", p): UNUSED
       for name in ("registered_and_unmapped", "posted_and_unmapped", "deregistered_and_unmapped")
       for p in ("driver-verifier", "non-coherent", "mask-32", "confidential-vm")},
    **{("hca_memory:ring_freed_early", p): FREED
       for p in ("flat", "driver-verifier", "iommu-lazy", "bus-offset", "non-coherent", "mask-32")},
    **{("hca_broken:sent_again_after_unmap", p): FREED for p in ("mask-32", "confidential-vm")},
    **{("windows_guards:padding_before", p): BESIDE
       for p in ("driver-verifier", "iommu", "iommu-lazy", "nested", "bus-offset")},
    **{("reports_ranges:rtrs_unchecked_length", p): OFFSET for p in (*DIRECT, "iommu", "nested")},
    **{(name, p): FREED for p in (*DIRECT, "driver-verifier", "mask-32")
       for name in ("reports_rings:irdma_ring_freed_too_early",
                    "reports_teardown:hns_rings_freed_in_reset",
                    "reports_teardown:hns_context_written_back")},
    **{(name, p): FREED for p in ("mask-32", "confidential-vm")
       for name in ("reports_order:mlx5_ib_descriptors_before_key",
                    "reports_order:iser_reply_before_send_completion")},
    **{("reports_invalidate:libfabric_unmapped_and_cached", p): REMAPPED
       for p in ("flat", "iommu", "iommu-lazy", "bus-offset", "nested")},
    ("reports_rings:irdma_ring_deregistered", "iommu-lazy"): FREED,
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
