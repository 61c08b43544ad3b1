"""What platforms make of where a device reaches: lists, several mappings, pages, reused memory."""

from dataclasses import replace

import pytest

from dmaverify.model.effect import Cause, Mistake
from dmaverify.model.kinds import EventKind
from dmaverify.model.platform import Effect
from tests.oracle.nouns import Call
from tests.unit.core.calls import call, dma_list, dma_map, dma_sync, dma_unmap, unlist
from tests.unit.core.rows import (
    BOUND,
    MAPPED,
    PLATFORMS,
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
PIECES = [(0x10000, 0x1000), (0x20000, 0x800)]
LIST = dma_list(PIECES, [0x90000, 0xA0000])
UNLIST = unlist([0x90000, 0xA0000])


def touches(bus: int = 0x1000, length: int = 0x1000) -> Call:
    """Return an access of which nothing tells the direction."""
    return call(K.DEV_ACCESS, bus, length=length, direction=None)


# ---- lists -----------------------------------------------------------------------------------


def test_past_a_segment_of_a_list_lies_its_own_memory() -> None:
    """Not what follows the first segment: another's bytes behind the second are overwritten."""
    other = dma_map(0xA0800, phys_addr=0xA0800, length=0x100, device=2)

    assert "XXXXXXXXX" == row([LIST, other, writes(0x20000, 0x810)])
    assert (E.BREAKS, C.FOREIGN_BYTES, 0) == cause([LIST, other, writes(0x20000, 0x810)], "iommu")
    assert "~X~~~~~X~" == row([LIST, writes(0x20000, 0x810)])


def test_the_next_segment_of_the_same_list_is_not_anothers() -> None:
    """Segments that follow each other in memory need not do so on the bus."""
    calls = [dma_list([(0x10000, 0x1000), (0x20000, 0x1000)], [0x90000, 0x91000])]

    assert "~" == row([*calls, writes(0x10000, 0x1010)])[0]


def test_a_late_write_to_a_segment_takes_bytes_of_the_cpu() -> None:
    """The memory of the second segment is where its entry says."""
    late = [BOUND, LIST, UNLIST, cpu(K.CPU_WRITE, 0xA0000, 64), writes(0x20000, 64)]

    assert (E.BREAKS, C.CPU_BYTES_LOST, 0) == cause(late, "flat")
    late[3] = cpu(K.CPU_WRITE, 0xB0000, 64)
    assert (E.WORKS_BY_LUCK, C.CONTRACT, 0) == cause(late, "flat")


def test_a_write_against_the_direction_of_a_list_is_in_the_cache() -> None:
    """The CPU reads its old line of the second segment."""
    calls = [replace(LIST, direction=1), writes(0x20000, 64), replace(UNLIST, direction=1),
             cpu(K.CPU_READ, 0xA0000, 64)]  # fmt: skip
    found = incidents(calls, PLATFORMS["non-coherent"])

    assert (E.BREAKS, C.STALE_FOR_CPU) == (
        found[-1].outcomes[0].effect, found[-1].outcomes[0].cause
    )  # fmt: skip


def test_a_list_cleans_its_own_memory_only() -> None:
    """What was written where no segment lies is in the cache yet."""
    dirty = cpu(K.CPU_WRITE, 0x91000, 64)
    calls = [BOUND, memory(0x91000), dirty, replace(LIST, direction=1), reads(0x91000, 64)]

    assert (E.BREAKS, C.STALE_FOR_DEVICE, 0) == cause(calls, "non-coherent")


# ---- several mappings ------------------------------------------------------------------------

SECOND = dma_map(0x2000, phys_addr=0xA0000)


def test_an_access_over_two_mappings_is_of_both() -> None:
    """What was written into the second is stale there, too."""
    calls = [MAPPED, SECOND, writes(length=0x2000), cpu(K.CPU_READ, 0xA0000, 64)]

    assert "~X~~~X~X~" == row(calls)


def test_an_access_over_two_mappings_needs_both_directions() -> None:
    """The second may be read only."""
    calls = [MAPPED, replace(SECOND, direction=1), writes(length=0x2000)]

    assert "~XXX~~~XX" == row(calls)
    assert 0x2000 == one(calls, "iommu").mapping.bus_addr  # type: ignore[union-attr]


def test_the_cpu_may_have_written_into_the_second_only() -> None:
    """The device reads old bytes of it."""
    calls = [replace(MAPPED, direction=1), replace(SECOND, direction=1),
             cpu(K.CPU_WRITE, 0xA0000, 64), reads(length=0x2000)]  # fmt: skip

    assert 64 == one(calls, "non-coherent").bytes
    assert "~X~~~X~X~" == row(calls)


def test_the_same_address_mapped_twice_allows_either_direction() -> None:
    """An unmap that is logged late leaves two mappings at an address: that is no mistake."""
    again = replace(SECOND, direction=1, phys_addr=0xB0000)

    assert "........." == row([MAPPED, again, SECOND, writes(length=0x2000)])


# ---- pages -----------------------------------------------------------------------------------


def test_past_the_end_on_the_same_page_may_be_anothers_bytes() -> None:
    """A translation is of whole pages: what lies beside in memory is reached through it."""
    other = dma_map(0x91800, phys_addr=0x91800, length=0x100, device=2)
    calls = [dma_map(phys_addr=0x91000, length=0x800), other, writes(length=0x900)]

    assert "XXXXXXXXX" == row(calls)
    assert (E.BREAKS, C.FOREIGN_BYTES, 0) == cause(calls, "iommu")


def test_an_access_that_begins_before_a_mapping_and_ends_behind_it() -> None:
    """Both ends count: one on the same page, the other on the next."""
    beside = dma_map(0x10800, phys_addr=0x90800, length=0x100)

    assert "~X~~~~~X~" == row([BOUND, beside, writes(0x10700, 0x180)])
    assert "~XXX~~~XX" == row([BOUND, beside, writes(0x10000, 0x2000)])
    assert "~XXX~~~XX" == row([BOUND, beside, writes(0xFF00, 0xA00)])


def iova(bus: int, **values: int) -> list[Call]:
    """Return a mapping as behind an IOMMU."""
    return [Call(K.IOMMU_MAP, bus_addr=bus, length=0x1000), dma_map(bus, **values)]


@pytest.mark.parametrize(("direction", "effect", "why"), [
    (2, E.BREAKS, C.FOREIGN_BYTES), (1, E.BREAKS, C.PAST_PAGES),
])  # fmt: skip
def test_the_recording_machine_has_the_next_page_where_it_shows_it(
    direction: int, effect: Effect, why: Cause
) -> None:
    """An overrun into the device's next mapping does not fault where that allows it."""
    first, second = iova(0x1000, phys_addr=0x91000), iova(0x2000, phys_addr=0xA0000)
    second[1] = replace(second[1], direction=direction)
    calls = [*first, *second, writes(0x1800, 0x1000)]
    calls[1] = replace(calls[1], length=0xC00)
    (recorded, strict) = (one(calls, p).outcomes[0] for p in ("as-recorded", "iommu"))

    assert (effect, why) == (recorded.effect, recorded.cause)
    assert (E.BREAKS, C.PAST_PAGES) == (strict.effect, strict.cause)


# ---- reused memory ---------------------------------------------------------------------------


def test_a_lazy_iommu_leads_into_memory_that_is_anothers_by_now() -> None:
    """The old translation works, and that is the harm."""
    again = dma_map(0x30000, phys_addr=0x91000)
    calls = [BOUND, MAPPED, dma_unmap(), again, writes()]

    assert "XXXXXXXXX"[:4] == row(calls)[:4]
    assert (E.BREAKS, C.FOREIGN_BYTES, 0) == cause(calls, "iommu-lazy")


def test_a_late_access_can_still_run_past_its_pages_or_against_its_direction() -> None:
    """What a lazy IOMMU keeps is the old translation, and no more."""
    ended = [BOUND, MAPPED, dma_unmap()]

    assert (E.BREAKS, C.PAST_PAGES, 1) == cause([*ended, writes(length=0x1100)], "iommu-lazy")
    assert (E.BREAKS, C.NO_PERMISSION, 1) == cause([*ended, reads()], "iommu-lazy")


# ---- what is not told ------------------------------------------------------------------------


def test_an_access_without_a_direction_is_not_guessed() -> None:
    """A mapping that allows one direction tells it; one that allows both does not."""
    dirty = cpu(K.CPU_WRITE, 0x91000, 64)
    both = replace(MAPPED, direction=0)

    taken = [both, dma_sync(direction=0), dirty]

    assert "~?~~~?~?~" == row([*taken, touches()])
    assert "~X~~~X~X~" == row([replace(MAPPED, direction=1), dirty, touches()])
    assert (E.CANNOT_TELL, C.NO_DIRECTION, 0) == cause([*taken, touches()], "non-coherent")
    assert (E.CANNOT_TELL, C.NO_DIRECTION, 0) == cause(
        [BOUND, both, dma_unmap(direction=0), touches()], "confidential-vm"
    )
    assert (E.BREAKS, C.LATE_WINDOW, 0) == cause(
        [BOUND, MAPPED, dma_unmap(), touches()], "driver-verifier"
    )


def test_a_kernel_pointer_needs_no_beginning() -> None:
    """Whatever was mapped before the recording, it was not mapped there."""
    assert "XXXXXXXXX" == row([reads(0xFFFF_8880_0123_4000, 64)])


def test_a_fault_is_not_the_access_of_old_bytes_before_it() -> None:
    """The IOMMU refuses addresses: a missing sync of the same page is another matter."""
    fault = call(K.DEV_FAULT, 0x1000, length=None, direction=1)
    stale = [replace(MAPPED, direction=1), cpu(K.CPU_WRITE, 0x91000, 64), reads()]
    calls = [BOUND, *stale, dma_unmap(direction=1), fault]
    found = incidents(calls, PLATFORMS["as-recorded"])

    assert [
        (Mistake.MISSING_SYNC_FOR_DEVICE, C.CONTRACT),
        (Mistake.DEVICE_ACCESS_AFTER_UNMAP, C.FAULT_SEEN),
    ] == [(n.mistake, n.outcomes[0].cause) for n in found]


def test_an_unmap_during_a_transfer_breaks_the_contract() -> None:
    """Even where the address is mapped again before the device is done."""
    start = call(K.DEV_START, object=1)
    calls = [BOUND, MAPPED, start, dma_unmap(), replace(MAPPED, phys_addr=0xC0000),
             writes(object=1)]  # fmt: skip

    assert "~~~~~~~~~" == row(calls)
    assert Mistake.UNMAP_DURING_TRANSFER == one(calls, "flat").mistake
    assert "........." == row([BOUND, MAPPED, start, writes(object=1), dma_unmap()])


def test_past_the_last_of_several_mappings_lies_its_own_memory() -> None:
    """The first of them is a list; what is overwritten lies behind the second."""
    first = dma_list([(0x10000, 0x800), (0x10800, 0x800)], [0x10000, 0x10800])
    second = dma_map(0x11000, phys_addr=0x11000)
    other = dma_map(0x12400, phys_addr=0x12400, length=0x100, device=2)

    assert "X" == row([first, second, other, writes(0x10000, 0x2500)])[0]
    assert "~" == row([first, second, other, writes(0x10000, 0x2400)])[0]


def test_a_late_read_of_what_is_clean_in_part() -> None:
    """A mapping of its other half does not clean what the CPU wrote in the first."""
    half = dma_map(0x50000, phys_addr=0x91800, length=0x800, device=2)
    calls = [BOUND, replace(MAPPED, direction=1), dma_unmap(direction=1),
             cpu(K.CPU_WRITE, 0x91000, 64), half, reads()]  # fmt: skip

    assert (E.BREAKS, C.STALE_FOR_DEVICE, 0) == cause(calls, "non-coherent")
