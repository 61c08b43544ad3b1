"""What platforms make of single accesses and calls: translation, reach, late and wrong ones."""

from dataclasses import replace

import pytest

from dmaverify.core.engine import Engine
from dmaverify.model.effect import Cause, Mistake
from dmaverify.model.kinds import Direction, EventKind, Flag, MapType, MemoryKind
from dmaverify.model.platform import Bounce, Effect, Platform, Translation
from tests.oracle.nouns import Call
from tests.property.events import batch_of
from tests.unit.core.calls import call, dma_map, dma_sync, dma_unmap, life, lost, numbered
from tests.unit.core.rows import (
    BOUND,
    MAPPED,
    NOTHING,
    PLATFORMS,
    READABLE,
    cause,
    cpu,
    incidents,
    memory,
    one,
    reads,
    row,
    writes,
)

K, E, C = EventKind, Effect, Cause


# ---- nothing wrong ---------------------------------------------------------------------------


def test_what_keeps_the_contract_works_everywhere() -> None:
    """A transfer between map and unmap, read after the unmap, is no incident anywhere."""
    calls = [MAPPED, writes(), dma_unmap(), cpu(K.CPU_READ, 0x91000)]

    assert [] == incidents(calls, *PLATFORMS.values())


# ---- addresses -------------------------------------------------------------------------------


def test_a_physical_address_breaks_where_bus_and_physical_differ() -> None:
    """It works by luck on a flat bus, and under a verifier that bounces what was mapped only."""
    calls = [BOUND, memory(0x91000), reads(0x91000)]

    assert "~~XXX~~XX" == row(calls)
    assert (E.BREAKS, C.NO_TRANSLATION, 1) == cause(calls, "nested")
    assert (E.BREAKS, C.OTHER_MEMORY, 0) == cause(calls, "bus-offset")
    assert (E.BREAKS, C.PRIVATE, 0) == cause(calls, "confidential-vm")


def test_a_physical_address_above_4_gib_is_too_wide_for_32_bits() -> None:
    """A device that forms 32 address bits reaches other memory, or none."""
    high = 0x1_2345_6000

    assert (E.BREAKS, C.TOO_WIDE, 0) == cause([BOUND, memory(high), reads(high)], "mask-32")


def test_a_cache_that_nobody_wrote_back_hides_what_the_cpu_wrote() -> None:
    """A raw address is read from memory; what the CPU wrote is still in its cache."""
    calls = [BOUND, memory(0x91000), cpu(K.CPU_WRITE, 0x91000), reads(0x91000)]

    assert (E.BREAKS, C.STALE_FOR_DEVICE, 0) == cause(calls, "non-coherent")
    cleaned = [*calls[:3], READABLE, dma_unmap(direction=1), reads(0x91000)]
    assert (E.WORKS_BY_LUCK, C.OWN_MEMORY, 0) == cause(cleaned, "non-coherent")


def test_a_cache_hides_what_the_device_wrote_to_a_raw_address() -> None:
    """The CPU finds its old line: the read is what breaks."""
    calls = [BOUND, memory(0x91000), writes(0x91000), cpu(K.CPU_READ, 0x91000)]
    found = incidents(calls, PLATFORMS["non-coherent"])

    assert [(3, E.WORKS_BY_LUCK), (4, E.BREAKS)] == [
        (n.first.record, n.outcomes[0].effect) for n in found
    ]
    assert {Mistake.DEVICE_ACCESS_UNMAPPED} == {n.mistake for n in found}


def test_what_the_recording_does_not_explain_is_not_guessed() -> None:
    """An address that nothing in the recording has: only a translation is sure to refuse it."""
    assert "??XX???XX" == row([BOUND, reads(0x7777000)])


def test_a_mapping_of_before_the_recording_can_not_be_told() -> None:
    """Without the beginning of the driver's life its mappings may be older."""
    assert "?????????" == row([reads(0x7777000)])


def test_a_kernel_pointer_breaks_everywhere() -> None:
    """No memory has such a bus address."""
    assert "XXXXXXXXX" == row([BOUND, reads(0xFFFF_8880_0123_4000, 64)])


def test_the_error_address_breaks_everywhere() -> None:
    """What a failed mapping returns is no address."""
    failed = replace(MAPPED, bus_addr=(1 << 64) - 1, flags=Flag.FAILED)

    assert "XXXXXXXXX" == row([failed, reads((1 << 64) - 1, 64)])


def test_another_devices_mapping_breaks_behind_an_iommu() -> None:
    """Each device has its own translations; elsewhere one address is as good as another."""
    calls = [dma_map(phys_addr=0x91000, device=2, direction=1), reads()]

    assert "~~XX~~~~X" == row(calls)
    assert Mistake.DEVICE_ACCESS_FOREIGN_MAPPING == one(calls, "iommu").mistake


# ---- ranges ----------------------------------------------------------------------------------


def test_past_the_end_within_the_page_faults_nowhere() -> None:
    """An IOMMU maps whole pages; a bounce buffer ends where the mapping ends."""
    calls = [dma_map(phys_addr=0x91000, length=0x800), writes(length=0x900)]

    assert "~X~~~~~X~" == row(calls)
    assert (E.WORKS_BY_LUCK, C.SAME_PAGE, 0) == cause(calls, "iommu")


def test_past_the_end_into_the_next_page_faults() -> None:
    """The bytes past the end are counted, and the mistake is one of range."""
    calls = [dma_map(phys_addr=0x91000), writes(length=0x1100)]
    found = one(calls, "iommu")

    assert "~XXX~~~XX" == row(calls)
    assert (Mistake.DEVICE_ACCESS_OUT_OF_RANGE, 0x100, 0x1100) == (
        found.mistake, found.bytes, found.length
    )  # fmt: skip


def test_past_the_end_into_anothers_memory_breaks_on_a_flat_bus() -> None:
    """What lies behind belongs to another mapping, which loses its bytes."""
    other = dma_map(0x2000, phys_addr=0x92000, device=2)
    calls = [dma_map(phys_addr=0x91000), other, writes(length=0x1100)]

    assert (E.BREAKS, C.FOREIGN_BYTES, 0) == cause(calls, "flat")


def test_reading_past_the_end_does_no_harm_on_a_flat_bus() -> None:
    """Only a write takes anothers bytes away."""
    other = dma_map(0x2000, phys_addr=0x92000, device=2)

    assert "~" == row([READABLE, other, reads(length=0x1100)])[0]


# ---- directions ------------------------------------------------------------------------------


def test_against_the_direction_of_the_mapping() -> None:
    """An IOMMU refuses it; through a bounce buffer a write is never copied back."""
    assert "~XXX~~~XX" == row([READABLE, writes()])
    assert (E.BREAKS, C.DEVICE_BYTES_LOST, 0) == cause([READABLE, writes()], "driver-verifier")


def test_a_read_against_the_direction_depends_on_how_the_buffer_is_filled() -> None:
    """Linux copies in at every map, Driver Verifier only for a write to the device."""
    calls = [MAPPED, reads()]

    assert (E.BREAKS, C.FILL, 0) == cause(calls, "driver-verifier")
    assert (E.WORKS_BY_LUCK, C.CONTRACT, 0) == cause(calls, "confidential-vm")


# ---- time ------------------------------------------------------------------------------------

LATE = [BOUND, MAPPED, writes(), dma_unmap(), writes()]


def test_a_write_after_the_unmap() -> None:
    """It faults, or is lost with the bounce buffer, or reaches memory that may be anyone's."""
    assert "~XX~~~~XX" == row(LATE)
    assert (E.BREAKS, C.TRANSLATION_GONE, 1) == cause(LATE, "iommu")
    assert (E.BREAKS, C.LATE_WINDOW, 0) == cause(LATE, "confidential-vm")
    assert (E.WORKS_BY_LUCK, C.NOT_FLUSHED, 0) == cause(LATE, "iommu-lazy")


def test_a_write_after_the_unmap_over_what_the_cpu_wrote_since() -> None:
    """The CPU has its memory back, and loses what it wrote there."""
    calls = [*LATE[:4], cpu(K.CPU_WRITE, 0x91000), writes()]

    assert "XXXXXXXXX" == row(calls)
    assert (E.BREAKS, C.CPU_BYTES_LOST, 0) == cause(calls, "flat")


def test_a_lazy_iommu_flushes_by_time() -> None:
    """Ten milliseconds after the unmap the translation is gone."""
    timed = numbered(LATE)
    for ns, wanted in ((10_000_000, E.WORKS_BY_LUCK), (10_000_001, E.BREAKS)):
        engine = Engine(NOTHING, platforms=(PLATFORMS["iommu-lazy"],))
        engine.feed(batch_of([*timed[:4], replace(timed[4], time=timed[3].time + ns)]))
        (found,) = engine.incidents()

        assert wanted == found.outcomes[0].effect


@pytest.mark.parametrize(("others", "wanted"), [(256, E.WORKS_BY_LUCK), (257, E.BREAKS)])
def test_a_lazy_iommu_flushes_by_count(others: int, wanted: Effect) -> None:
    """A queue of 256 unmaps is flushed when it is full."""
    far = dma_map(0x9000, phys_addr=0x99000), dma_unmap(0x9000)
    calls = [*LATE[:4], *(far * others), writes()]
    slow = replace(PLATFORMS["iommu-lazy"], flush_after_ns=0)

    assert wanted == one(calls, slow).outcomes[0].effect


# ---- calls -----------------------------------------------------------------------------------


def test_a_sync_moved_over_an_event_changes_a_cell() -> None:
    """The same events, the sync before the transfer and after it."""
    sync, read = dma_sync(), cpu(K.CPU_READ, 0x91000)

    assert "........." == row([MAPPED, writes(), sync, read])
    assert "~X~~~X~X~" == row([MAPPED, sync, writes(), read])


def test_a_short_unmap_leaves_bytes_in_the_bounce_buffer() -> None:
    """What the device wrote beyond the length of the unmap is not copied back."""
    calls = [MAPPED, writes(), dma_unmap(length=0x800)]
    found = one(calls, "confidential-vm")

    assert (Mistake.UNMAP_SIZE_MISMATCH, 0x800) == (found.mistake, found.bytes)
    assert "~X~~~~~X~" == row(calls)


def test_what_the_cpu_writes_into_the_devices_buffer_is_lost_at_the_unmap() -> None:
    """The copy back, or the invalidation, takes it away."""
    calls = [MAPPED, cpu(K.CPU_WRITE, 0x91000, 16), dma_unmap()]

    assert "~X~~~X~X~" == row(calls)
    found = incidents(calls, PLATFORMS["non-coherent"])
    assert [Mistake.CPU_ACCESS_WHILE_DEVICE_OWNS, Mistake.CPU_WRITE_LOST] == [
        n.mistake for n in found
    ]


def test_what_lies_beside_a_mapping_goes_with_its_cache_lines() -> None:
    """The CPU writes a neighbour in the last line: at the unmap the line is thrown away."""
    calls = [dma_map(phys_addr=0x91000, length=100), cpu(K.CPU_WRITE, 0x91000 + 100, 8),
             dma_unmap(length=100)]  # fmt: skip

    assert ".....X..." == row(calls)
    assert (E.BREAKS, C.NEIGHBOURS_LOST, 0) == cause(calls, "non-coherent")
    assert (Mistake.SHARED_CACHELINE, 8) == (
        one(calls, "non-coherent").mistake, one(calls, "non-coherent").bytes
    )  # fmt: skip


def test_a_dirty_line_is_written_back_over_the_device() -> None:
    """The neighbour is still in the cache when the device writes beside it."""
    calls = [dma_map(phys_addr=0x91000, length=100), cpu(K.CPU_WRITE, 0x91000 + 100, 8),
             writes(length=100)]  # fmt: skip

    assert (E.BREAKS, C.LINE_SHARED, 0) == cause(calls, "non-coherent")
    assert ".....X..." == row(calls)


def test_a_translation_of_large_pages_ends_later() -> None:
    """What lies on the same page is reached, whatever a page is there."""
    calls = [dma_map(phys_addr=0x91000), writes(length=0x1100)]
    large = replace(PLATFORMS["iommu"], page_bytes=0x10000)

    assert (E.WORKS_BY_LUCK, C.SAME_PAGE, 0) == cause(calls, large)


def test_memory_above_4_gib_is_bounced_for_32_bits() -> None:
    """Below, nothing is between the CPU and the device."""
    for phys, sign in ((0x91000, "~"), (0x1_0000_0000, "X")):
        assert sign == row([dma_map(phys_addr=phys), writes(), cpu(K.CPU_READ, phys)])[6]


@pytest.mark.parametrize(("calls", "mistake"), [
    ([BOUND, dma_unmap()], Mistake.UNMAP_OF_UNMAPPED),
    ([BOUND, dma_sync()], Mistake.SYNC_OF_UNMAPPED),
    ([MAPPED, dma_unmap(direction=1)], Mistake.UNMAP_DIRECTION_MISMATCH),
    ([MAPPED, dma_unmap(type=int(MapType.RESOURCE))], Mistake.UNMAP_TYPE_MISMATCH),
    ([MAPPED, dma_sync(length=0x2000)], Mistake.SYNC_OUT_OF_RANGE),
    ([MAPPED, dma_sync(direction=1)], Mistake.SYNC_DIRECTION_MISMATCH),
    ([dma_map(length=0, phys_addr=0x91000)], Mistake.ZERO_LENGTH_MAPPING),
    ([dma_map(direction=3, phys_addr=0x91000)], Mistake.INVALID_DIRECTION),
    ([MAPPED, dma_map(0x5000, phys_addr=0x91000)], Mistake.OVERLAPPING_MAPPINGS),
    ([memory(0x91000, kind=MemoryKind.STACK), MAPPED], Mistake.ILLEGAL_MEMORY),
    ([MAPPED, dma_unmap(0x9000), dma_map(0x9000, phys_addr=0x99000), dma_unmap(0x9000),
      life(K.DRIVER_UNBOUND)], Mistake.LEAK_AT_UNBIND),
])  # fmt: skip
def test_a_broken_contract_that_comes_to_nothing_is_luck(
    calls: list[Call], mistake: Mistake
) -> None:
    """It is told as that, on every platform."""
    assert "~" * 9 == row(calls)
    assert mistake == one(calls, "flat").mistake


# ---- two translations ------------------------------------------------------------------------


def test_the_second_translation_has_no_registers_of_other_devices() -> None:
    """The guest maps them, the hypervisor does not: unless the platform says so."""
    calls = [dma_map(phys_addr=0xFE90_0000, type=int(MapType.RESOURCE), flags=Flag.MMIO), writes()]

    assert (E.BREAKS, C.MMIO, 2) == cause(calls, "nested")
    assert [] == incidents(calls, replace(PLATFORMS["nested"], second_reaches_mmio=True))


# ---- memory of CPU and device at once --------------------------------------------------------

REGION = Call(
    K.DMA_MAP, device=1, type=int(MapType.SG), bus_addr=0x5000, phys_addr=0x95000, length=0x2000,
    direction=int(Direction.BIDIRECTIONAL), sg_bus=[(0x5000, 0x2000)], sg_phys=[0x95000], site=7,
)  # fmt: skip
DEREG = Call(K.DEREG_MR, site=7)
RELEASE = Call(K.DMA_UNMAP, device=1, type=int(MapType.SG), direction=0, sg_phys=[0x95000], site=7)


def test_registered_memory_breaks_wherever_a_copy_is_in_between() -> None:
    """Nothing is wrong with the driver; CPU and device just never see each other's bytes."""
    calls = [REGION, DEREG, RELEASE]

    assert ".X...X.X." == row(calls)
    found = one(calls, "non-coherent")
    assert (Mistake.NONE, 0x2000) == (found.mistake, found.bytes)


def test_memory_that_only_looks_registered_can_not_be_told() -> None:
    """Without an event of the RDMA core nobody knows that both use it at once."""
    assert ".?...?.?." == row([REGION, RELEASE])


def persistent(phys: int) -> Call:
    """Return an allocation made of memory that was there."""
    return call(K.DMA_ALLOC, type=int(MapType.COHERENT), direction=0, phys_addr=phys,
                sg_phys=[phys])  # fmt: skip


def test_a_persistent_mapping_is_refused_where_none_can_be_had() -> None:
    """Memory that the device does not reach as it is can not be given without a buffer."""
    used = [writes(), cpu(K.CPU_READ, 0x1_0000_0000), cpu(K.CPU_WRITE, 0x1_0000_0000), reads()]

    assert ".....XRR." == row([persistent(0x1_0000_0000), *used])
    assert (E.REFUSED, C.NO_PERSISTENT, 0) == cause([persistent(0x1_0000_0000)], "mask-32")
    assert "........." == row([call(K.DMA_ALLOC, type=int(MapType.COHERENT), phys_addr=0x91000),
                               writes(), cpu(K.CPU_READ, 0x91000)])  # fmt: skip


# ---- what bounds it --------------------------------------------------------------------------


def test_a_loss_of_events_is_marked() -> None:
    """What was lost may have been the sync."""
    found = one([MAPPED, writes(), lost(), cpu(K.CPU_READ, 0x91000)], "confidential-vm")

    assert found.across_gap
    assert found.rests_on_syncs


def test_many_incidents_keep_the_first_of_each_effect() -> None:
    """Memory is bounded, and a rare effect is not lost among many."""
    common = []
    for i in range(1100):
        at = 0x10_0000 + i * 0x1000
        common += [dma_map(at, phys_addr=at), dma_unmap(at, direction=1)]
    calls = [BOUND, *common, *[replace(c, bus_addr=0x1000) for c in LATE[1:]]]
    found = incidents(calls, PLATFORMS["iommu"])

    assert 1025 == len(found)
    assert E.BREAKS == found[-1].outcomes[0].effect


def test_a_platform_of_ones_own() -> None:
    """Any mix of what a platform may have, such as an IOMMU with bounce buffers behind it."""
    mixed = Platform("mixed", "both", translation=Translation.IOMMU, bounce=Bounce.ALWAYS)

    assert (E.BREAKS, C.STALE_FOR_CPU, 0) == cause(
        [MAPPED, writes(), cpu(K.CPU_READ, 0x91000)], mixed
    )


def test_the_lines_of_an_incident_are_asked_for_once() -> None:
    """Its event, and where its mapping was made and ended; from a pipe they are kept."""
    engine = Engine(NOTHING, platforms=(PLATFORMS["iommu"],))
    engine.feed(batch_of(numbered(LATE)))

    assert 3 == len(engine.fresh_witnesses())
    assert [] == engine.fresh_witnesses()
