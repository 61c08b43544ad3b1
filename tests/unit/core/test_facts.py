"""Who owns what, what is lost, and what is under way: facts that rules ask for."""

from typing import Any

import pytest

from dmaverify.lang.builtin import load_builtin
from dmaverify.model.kinds import EventKind, Flag, Provenance
from tests.oracle.nouns import Call
from tests.unit.core.calls import asked, call, dma_list, dma_map, dma_sync, dma_unmap, fed, lost

K = EventKind
CATALOGUE = load_builtin()
HERE = dma_map(phys_addr=0x9020, length=100)  # bytes 0x20 to 0x84 of two lines and a bit


def cpu(kind: EventKind, phys: int, length: int) -> Call:
    """Return an access of the CPU."""
    return call(kind, None, phys_addr=phys, length=length)


def dev(kind: EventKind, bus: int, length: int, **values: Any) -> Call:
    """Return an access of the device."""
    return call(kind, bus, length=length, type=0, phys_addr=None, **values)


def found(calls: list[Call]) -> list[str]:
    """Return the rules of the findings of the catalogue."""
    return [CATALOGUE.rules[h.rule].id for h in fed(CATALOGUE, calls).hits() if h.unmet is None]


# ---- the lines at the ends -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phys", "length", "beside"),
    [
        #  0x9000   0x9020          0x9084   0x90c0
        #    |------|=== mapping ====|--------|
        (0x9000, 0x20, 0x20),  # all before
        (0x9010, 4, 4),
        (0x9084, 0x3C, 0x3C),  # all behind
        (0x90C0, 4, 0),  # the next line
        (0x8FFF, 1, 0),  # the line before
        (0x8000, 0x4000, 0x5C),  # everything
        (0x9020, 100, 0),  # the mapping itself
    ],
)
def test_what_is_written_beside_a_mapping_is_followed(phys: int, length: int, beside: int) -> None:
    """The first and the last line have bits outside of the mapping, and no others."""
    assert [beside] == asked([HERE, cpu(K.CPU_WRITE, phys, length), dma_unmap(length=100)],
                             "neighbour_bytes")  # fmt: skip


def test_a_write_beside_is_no_access_of_the_mapping() -> None:
    """What lies in its lines only changes no count of its bytes."""
    calls = [HERE, cpu(K.CPU_WRITE, 0x9000, 0x20), dev(K.DEV_READ, 0x1000, 100)]
    assert [0] == asked(calls, "unsent_bytes")
    assert [0] == asked([*calls[:2], dma_unmap(length=100)], "lost_bytes")


def test_lines_are_handed_over_whole() -> None:
    """A sync of the first byte cleans its line, and the other end stays dirty."""
    both = [cpu(K.CPU_WRITE, 0x9000, 0x20), cpu(K.CPU_WRITE, 0x9084, 4)]
    first = call(K.DMA_SYNC_FOR_DEVICE, length=1)
    assert [4] == asked([HERE, *both, first, dma_unmap(length=100)], "neighbour_bytes")
    last = call(K.DMA_SYNC_FOR_DEVICE, 0x1063, length=1)
    assert [0x20] == asked([HERE, *both, last, dma_unmap(length=100)], "neighbour_bytes")


def test_a_device_write_meets_the_dirty_bytes_of_its_lines() -> None:
    """Those in the mapping and those beside it count, those of other lines do not."""
    calls = [HERE, cpu(K.CPU_WRITE, 0x9010, 0x14), cpu(K.CPU_WRITE, 0x9050, 2)]
    assert [0x14, 0x10] == asked(
        [*calls, dev(K.DEV_WRITE, 0x1008, 4)], "dirty_line_bytes", "neighbour_bytes"
    )


# ---- ownership -------------------------------------------------------------------------------


def owned(calls: list[Call], phys: int = 0x9000, length: int = 0x1000) -> int | None:
    """Return how many bytes of a page the device owns after some events."""
    return asked([*calls, cpu(K.CPU_READ, phys, length)], "device_owned_bytes")[0]


def test_ownership_moves_byte_by_byte() -> None:
    """A sync gives what it names, in whatever direction, and no more."""
    page = dma_map(phys_addr=0x9000)
    assert 0x1000 == owned([page])
    calls = [page, dma_sync(0x1010, length=0x33, direction=1)]
    assert 0x1000 - 0x33 == owned(calls)
    calls.append(call(K.DMA_SYNC_FOR_DEVICE, 0x1020, length=1))
    assert 0x1000 - 0x32 == owned(calls)
    assert 0 == owned([*calls, dma_sync()])
    assert 0x1000 == owned([*calls, call(K.DMA_SYNC_FOR_DEVICE)])


def test_each_piece_of_a_list_has_its_owner() -> None:
    """A sync of one entry gives that one."""
    pieces = dma_list([(0x1000, 0x1000), (0x8000, 0x1000)], [0x9000, 0xA000])
    one = dma_sync(0x8000, sg_bus=[(0x8000, 0x1000)], type=3)
    assert 0x1000 == owned([pieces, one], 0x9000, 0x2000)


def test_memory_that_is_synced_by_the_caller_is_the_cpus_at_first() -> None:
    """With the attribute the map hands nothing over."""
    mine = dma_map(phys_addr=0x9000, flags=Flag.SKIP_SYNC)
    assert 0 == owned([mine])
    assert 0x1000 == owned([mine, call(K.DMA_SYNC_FOR_DEVICE)])


def test_an_allocation_belongs_to_the_cpu() -> None:
    """Coherent memory is both sides'; other memory is handed over by syncs."""
    for type_ in (4, 5, 6):
        assert 0 == owned([call(K.DMA_ALLOC, phys_addr=0x9000, type=type_)])


def test_only_reads_of_what_the_device_owns_count_as_polling() -> None:
    """A look after a sync is none."""
    read = cpu(K.CPU_READ, 0x9000, 4)
    calls = [dma_map(phys_addr=0x9000), read, read, dma_sync(), read, read]
    assert [2] == asked(calls, "mapping.unsynced_reads")


# ---- transfers -------------------------------------------------------------------------------


def test_a_transfer_is_open_in_its_range_and_direction() -> None:
    """Between the begin and the end, where it is, and the way that it goes."""
    start = dev(K.DEV_START, 0x1100, 0x100, object=5)
    page = dma_map(phys_addr=0x9000)
    names = ("write_open", "read_open")
    assert [1, 0] == asked([page, start, dma_sync(0x11FF, length=1)], *names)
    assert [0, 0] == asked([page, start, dma_sync(0x1200, length=1)], *names)
    assert [1, 0] == asked([page, start, cpu(K.CPU_READ, 0x9000, 0x101)], *names)
    over = dev(K.DEV_WRITE, 0x1100, 0x100, object=5)
    assert [0, 0] == asked([page, start, over, dma_sync()], *names)


def test_the_transfer_that_ends_is_the_one_of_that_number() -> None:
    """Else the one at the address, else the oldest."""
    begun = [dev(K.DEV_START, a, 0x100, object=n) for a, n in ((0x1000, 1), (0x1100, 2))]
    page = dma_map(phys_addr=0x9000)
    first, second = dma_sync(0x1000, length=0x100), dma_sync(0x1100, length=0x100)
    for bus, number, left in ((0x1000, 2, first), (0x1100, 0, first), (0x1800, 9, second)):
        over = dev(K.DEV_WRITE, bus, 0x10, object=number)
        assert [1] == asked([page, *begun, over, left], "write_open")
        gone = second if left is first else first
        assert [0] == asked([page, *begun, over, gone], "write_open")


def test_transfers_end_with_their_mapping() -> None:
    """A new mapping in the same place begins without."""
    page = dma_map(phys_addr=0x9000)
    calls = [page, dev(K.DEV_START, 0x1000, 0x100), dma_unmap(), page, dma_sync()]
    assert [0] == asked(calls, "write_open")


# ---- before and behind -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bus", "length", "provenance", "distance"),
    [
        #  0x3000       0x3400        0x3800       0x3c00
        #     |== first ==|             |== second ==|
        (0x2FF0, 0x20, Provenance.BEFORE_MAPPING, 0x10),  # runs into it
        (0x2FF0, 0x10, Provenance.BEFORE_MAPPING, 0x10),  # stops before it
        (0x3400, 0x10, Provenance.PAST_MAPPING, 0),
        (0x3410, 0x10, Provenance.PAST_MAPPING, 0x10),
        (0x37E0, 0x10, Provenance.BEFORE_MAPPING, 0x20),  # nearer to the second
        (0x3410, 0x400, Provenance.BEFORE_MAPPING, 0x3F0),  # runs into the second
        (0x9000, 0x10, Provenance.UNKNOWN, None),
    ],
)
def test_a_near_miss_is_told_with_its_side(
    bus: int, length: int, provenance: Provenance, distance: int | None
) -> None:
    """Behind an end or before a start, whichever is nearer, and how far."""
    calls = [dma_map(a, length=0x400) for a in (0x3000, 0x3800)]
    assert [provenance, distance] == asked(
        [*calls, dev(K.DEV_WRITE, bus, length)], "provenance", "distance"
    )


def test_an_access_that_runs_into_a_mapping_is_no_physical_address() -> None:
    """Where bus and physical addresses are the same, the device's own mapping is what it missed."""
    calls = [dma_map(0x3000, phys_addr=0x3000), dev(K.DEV_WRITE, 0x2FF0, 0x20)]
    assert [Provenance.BEFORE_MAPPING] == asked(calls, "provenance")


# ---- the IOMMU -------------------------------------------------------------------------------


def translated(bus: int = 0x1000) -> Call:
    """Return a translation of one page."""
    return Call(K.IOMMU_MAP, bus_addr=bus, length=0x1000)


def removed(bus: int = 0x1000) -> Call:
    """Return the end of one."""
    return Call(K.IOMMU_UNMAP, bus_addr=bus, length=0x1000, phys_addr=0x1000)


def test_a_translation_that_is_gone_is_seen_at_the_next_use() -> None:
    """Until the line of the unmap; other devices have the same numbers."""
    page, sync = dma_map(), dma_sync()
    assert [0] == asked([translated(), page, sync], "mapping.untranslated")
    assert [1] == asked([translated(), page, removed(), sync], "mapping.untranslated")
    other = [translated(), dma_map(device=2)]
    assert [0] == asked([translated(), page, *other, removed(), sync], "mapping.untranslated")
    both = [translated(), page, *other, removed(), removed(), sync]
    assert [1] == asked(both, "mapping.untranslated")
    unknown = [page, translated(), removed(), sync]  # the IOMMU was not recorded at first
    assert [0] == asked(unknown, "mapping.untranslated")
    assert [0] == asked([translated(), page, lost(), removed(), sync], "mapping.untranslated")


def test_a_page_given_out_twice_is_seen_at_the_map() -> None:
    """Not where the IOMMU removed the first, and not for another device."""
    first = [translated(), dma_map(length=0x800), translated()]
    assert [0x1000] == asked([*first, dma_map(0x1800, length=0x800)], "enclosing")
    assert [None] == asked([*first, dma_map(0x2000)], "enclosing")
    assert [None] == asked([*first, dma_map(device=2)], "enclosing")
    late = [*first[:2], removed(), translated(), dma_map()]
    assert [None] == asked(late, "enclosing")


def test_pages_that_two_devices_share_are_found() -> None:
    """In memory, page by page, for each entry of a list, and only while both are mapped."""
    theirs = dma_map(0x8000, phys_addr=0x9800, length=64, device=2)
    assert [2] == asked([theirs, dma_map(phys_addr=0x9000, length=64)], "page_sharer")
    assert [None] == asked([theirs, dma_map(phys_addr=0xA000, length=64)], "page_sharer")
    pieces = dma_list([(0x1000, 64), (0x2000, 64)], [0xB000, 0x9FC0])
    assert [2] == asked([theirs, pieces], "page_sharer")
    over = dma_unmap(0x8000, length=64, device=2)
    assert [None] == asked([theirs, over, dma_map(phys_addr=0x9000, length=64)], "page_sharer")


# ---- memory that is freed --------------------------------------------------------------------


def freed(phys: int = 0x9000, **values: Any) -> Call:
    """Return the end of a page."""
    return Call(K.MEMORY_FREE, phys_addr=phys, length=0x1000, **values)


def test_memory_freed_while_it_is_mapped_is_marked() -> None:
    """Any byte of a streaming mapping, and not what the IOMMU has removed."""
    half = dma_map(phys_addr=0x9800, length=0x800)
    end = dma_unmap(length=0x800)
    assert [1] == asked([half, freed(), end], "mapping.freed")
    assert [0] == asked([half, freed(0xA000), end], "mapping.freed")
    assert [0] == asked([translated(), half, removed(), freed(), end], "mapping.freed")
    ring = call(K.DMA_ALLOC, phys_addr=0x9000, type=4)
    assert [0] == asked([ring, freed(), call(K.DMA_FREE, type=4)], "mapping.freed")


def test_the_order_of_two_cpus_lines_is_not_certain() -> None:
    """A moment apart, and on another CPU, it may be the other way round."""
    assert [0] == asked(
        [dma_map(phys_addr=0x9000), freed(), dma_unmap()], "mapping.freed_unordered"
    )
    calls = [dma_map(phys_addr=0x9000), freed(cpu=1), dma_unmap()]
    assert [1] == asked(calls, "mapping.freed_unordered")
    assert [] == found(calls)


def test_the_free_is_evidence() -> None:
    """The finding names where the memory was mapped, and where it was freed."""
    calls = [dma_map(phys_addr=0x9000), freed(), dma_unmap()]
    (hit,) = fed(CATALOGUE, calls).hits()
    (view,) = hit.mappings
    assert view.ended is not None
    assert (1, 2, K.MEMORY_FREE) == (view.made.record, view.ended.record, view.ended.event.kind)


def test_freed_memory_has_no_kind() -> None:
    """What was known of it is void."""
    stack = call(K.MEMORY, None, phys_addr=0x9000, length=0x800, object=5)
    page = dma_map(phys_addr=0x9000)
    assert [5] == asked([stack, page], "memory")
    assert [None] == asked([stack, freed(), page], "memory")


# ---- one mistake, one finding ----------------------------------------------------------------


def test_an_access_is_told_once_and_what_follows_with_it() -> None:
    """A write into the device's buffer, and its loss at the unmap, are one finding."""
    bounced = call(K.BOUNCE, 0xFFFFFFFF, phys_addr=0x9000)
    calls = [bounced, dma_map(phys_addr=0x9000), cpu(K.CPU_WRITE, 0x9000, 64), dma_unmap()]
    assert ["cpu-access-while-device-owns"] == found(calls)


def test_a_missing_sync_is_not_an_access_too_early() -> None:
    """What the device has written and the CPU reads is told as the missing sync."""
    bounced = call(K.BOUNCE, 0xFFFFFFFF, phys_addr=0x9000)
    calls = [
        bounced, dma_map(phys_addr=0x9000), dev(K.DEV_WRITE, 0x1000, 64),
        cpu(K.CPU_READ, 0x9000, 64), cpu(K.CPU_READ, 0x9800, 64),
    ]  # fmt: skip
    assert ["missing-sync-for-cpu"] == found(calls)


def test_what_has_other_needs_is_told_for_itself() -> None:
    """A missing sync may turn out not to be told, so it can not stand for the wrong unmap."""
    calls = [
        dma_map(phys_addr=0x9000), dev(K.DEV_WRITE, 0x1000, 64), cpu(K.CPU_READ, 0x9000, 64),
        dma_unmap(length=64),
    ]  # fmt: skip
    assert ["unmap-size-mismatch"] == found(calls)
    bounced = call(K.BOUNCE, 0xFFFFFFFF, phys_addr=0x9000)
    assert ["missing-sync-for-cpu", "unmap-size-mismatch"] == found([bounced, *calls])
