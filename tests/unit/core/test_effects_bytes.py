"""What platforms make of whose bytes are newest: allocations, unsynced unmaps, syncs of lists."""

from dataclasses import replace

import pytest

from dmaverify.model.effect import Cause, DeviceFacts, Mistake
from dmaverify.model.kinds import EventKind, Flag, MapType
from dmaverify.model.platform import Effect
from tests.oracle.nouns import Call
from tests.unit.core.calls import call, dma_list, dma_map, dma_sync, dma_unmap, fed, unlist
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


def allocated(type_: MapType, kind: EventKind = K.DMA_ALLOC, **values: int) -> Call:
    """Return an allocation of a page at 0x91000, or its end."""
    return call(kind, type=int(type_), direction=0, phys_addr=0x91000, **values)


@pytest.mark.parametrize("type_", [MapType.COHERENT, MapType.PAGES])
def test_what_is_in_an_allocation_goes_with_it(type_: MapType) -> None:
    """The CPU wrote into it last: nobody is the worse for it when it is freed."""
    calls = [allocated(type_), cpu(K.CPU_WRITE, 0x91000, 64), allocated(type_, K.DMA_FREE)]

    assert "........." == row(calls)


def test_coherent_memory_owes_no_sync() -> None:
    """A sync that is made all the same takes nothing away."""
    calls = [allocated(MapType.COHERENT), cpu(K.CPU_WRITE, 0x91000, 64), dma_sync(direction=0)]

    assert "........." == row(calls)


def test_pages_of_an_allocation_owe_syncs() -> None:
    """They are not bounced; caches are all that is in between."""
    calls = [allocated(MapType.PAGES), writes(), cpu(K.CPU_READ, 0x91000, 64)]

    assert "~~~~~X~~~" == row(calls)


def test_an_unmap_without_a_sync_leaves_bytes_behind() -> None:
    """What was synced before is there, what was not is old, byte by byte."""
    calls = [MAPPED, writes(length=128), dma_sync(length=64), dma_unmap(flags=Flag.SKIP_SYNC)]

    assert "........." == row([*calls, cpu(K.CPU_READ, 0x91000, 64)])
    assert "~X~~~X~X~" == row([*calls, cpu(K.CPU_READ, 0x91000, 65)])
    found = one([*calls, cpu(K.CPU_READ, 0x91000, 65)], "confidential-vm")
    assert (Mistake.MISSING_SYNC_FOR_CPU, 1, 65) == (found.mistake, found.bytes, found.length)
    assert "........." == row(
        [*calls, cpu(K.CPU_WRITE, 0x91040, 64), cpu(K.CPU_READ, 0x91000, 128)]
    )


def test_bytes_left_behind_above_4_gib_are_in_a_buffer_for_32_bits() -> None:
    """Where the memory lies decides."""
    high = 0x1_0000_0000
    calls = [dma_map(phys_addr=high), writes(), dma_unmap(flags=Flag.SKIP_SYNC),
             cpu(K.CPU_READ, high, 64)]  # fmt: skip

    assert "X" == row(calls)[6]


def test_a_mapping_without_a_sync_leaves_the_caches_alone() -> None:
    """What the CPU wrote before is not in memory; a sync, or a usual mapping, puts it there."""
    before = cpu(K.CPU_WRITE, 0x91000, 64)
    unsynced = replace(READABLE, flags=Flag.SKIP_SYNC)
    sync = call(K.DMA_SYNC_FOR_DEVICE, direction=1)

    assert "~~~~~X~~~" == row([before, unsynced, reads()])
    assert "........." == row([before, unsynced, sync, reads()])
    assert "........." == row([before, READABLE, reads()])


LIST = dma_list([(0x10000, 0x800), (0x20000, 0x800)], [0x90000, 0xA0000], direction=0)


def list_sync(kind: EventKind, *pieces: tuple[int, int]) -> Call:
    """Return a sync of some pieces of a list."""
    return call(kind, pieces[0][0], length=sum(n for _, n in pieces), type=3, direction=0,
                sg_bus=list(pieces))  # fmt: skip


def test_a_sync_of_a_list_takes_what_the_cpu_wrote() -> None:
    """In any piece that it names, and in no other."""
    dirty = cpu(K.CPU_WRITE, 0xA0000, 64)
    both = list_sync(K.DMA_SYNC_FOR_CPU, (0x10000, 0x800), (0x20000, 0x800))
    first = list_sync(K.DMA_SYNC_FOR_CPU, (0x10000, 0x800))

    assert "~X~~~X~X~" == row([LIST, both, dirty, both])
    assert 64 == one([LIST, both, dirty, both], "non-coherent").bytes
    assert "........." == row([LIST, both, dirty, first])


def test_a_sync_brings_to_memory_what_a_raw_address_reads() -> None:
    """The cache line was written back, whoever reads the memory then."""
    raw = reads(0x91000, 64)
    calls = [BOUND, memory(0x91000), READABLE, cpu(K.CPU_WRITE, 0x91000, 64)]
    sync = call(K.DMA_SYNC_FOR_DEVICE, direction=1)

    assert (E.BREAKS, C.STALE_FOR_DEVICE, 0) == cause([*calls, raw], "non-coherent")
    assert (E.WORKS_BY_LUCK, C.OWN_MEMORY, 0) == cause([*calls, sync, raw], "non-coherent")


def test_a_read_of_what_was_written_in_part_since() -> None:
    """The CPU's own bytes do not hide the device's beside them."""
    calls = [BOUND, memory(0x91000), writes(0x91000, 64), cpu(K.CPU_WRITE, 0x91000, 60)]
    found = incidents([*calls, cpu(K.CPU_READ, 0x91000, 64)], PLATFORMS["non-coherent"])

    assert (E.BREAKS, 4) == (found[-1].outcomes[0].effect, found[-1].bytes)
    assert 1 == len(incidents([*calls, cpu(K.CPU_READ, 0x91000, 60)], PLATFORMS["non-coherent"]))


def test_registered_memory_loses_what_the_cpu_wrote() -> None:
    """That is no mistake of the driver, and the bytes are gone where a copy is put over them."""
    region = dma_list([(0x10000, 0x1000)], [0x90000], direction=0)
    calls = [region, cpu(K.CPU_WRITE, 0x90000, 64), unlist([0x90000], direction=0)]
    found = incidents(calls, PLATFORMS["driver-verifier"], PLATFORMS["flat"])

    assert [(Mistake.NONE, E.BREAKS, C.CPU_BYTES_LOST), (Mistake.NONE, E.CANNOT_TELL,
            C.MAY_BE_SHARED)] == [
        (n.mistake, n.outcomes[0].effect, n.outcomes[0].cause) for n in found
    ]  # fmt: skip
    assert {E.WORKS} == {n.outcomes[1].effect for n in found}


def test_a_merged_list_of_single_pages_has_its_memory() -> None:
    """As many entries as pages are one page each: the CPU reads the second one unsynced."""
    read = cpu(K.CPU_READ, 0xA0000, 64)
    merged = dma_list([(0x10000, 0x2800)], [0x90000, 0xA0000, 0xB0000])
    longer = dma_list([(0x10000, 0x2800)], [0x90000, 0xA0000])

    assert "~X~~~X~X~" == row([merged, writes(0x10000, 0x2800), read])
    assert "........." == row([longer, writes(0x10000, 0x2800), read])
    assert [(0, 0), (0, 1)] == [
        (f.unplaced, f.unpaired) for f in (facts([merged]), facts([longer]))
    ]


def facts(calls: list[Call]) -> DeviceFacts:
    """Return what is told about the only device."""
    (found,) = fed(NOTHING, calls, platforms=(PLATFORMS["flat"],)).device_facts()
    return found


def test_a_mapping_without_memory_is_counted() -> None:
    """Where it lies decides on some platforms."""
    assert 1 == facts([dma_map(phys_addr=None)]).unplaced


def test_a_raw_write_is_lost_under_the_copy_of_a_bounce_buffer() -> None:
    """The device goes around the mapping, and the unmap puts the mapping's bytes over it."""
    mapped = dma_map(phys_addr=0x91000)
    calls = [BOUND, mapped, writes(0x91000, 64), dma_unmap()]
    found = incidents(calls, PLATFORMS["driver-verifier"], PLATFORMS["flat"])

    assert (4, Mistake.DEVICE_ACCESS_UNMAPPED, C.DEVICE_BYTES_LOST) == (
        found[-1].first.record, found[-1].mistake, found[-1].outcomes[0].cause
    )  # fmt: skip
    assert "~X" == row(calls)[:2]
    assert "~~" == row([BOUND, memory(0x91000), writes(0x91000, 64), mapped, dma_unmap()])[:2]


# ---- who owns them ---------------------------------------------------------------------------


def test_a_write_while_the_device_owns_the_bytes_is_against_the_contract() -> None:
    """Handed over behind it, it arrives everywhere; the CPU was to take the buffer first."""
    both = replace(MAPPED, direction=0)
    dirty = cpu(K.CPU_WRITE, 0x91000, 64)
    hand_over = [call(K.DMA_SYNC_FOR_DEVICE, direction=0), reads()]

    assert "~~~~~~~~~" == row([both, dirty, *hand_over])
    assert "........." == row([both, dma_sync(direction=0), dirty, *hand_over])
    assert "........." == row([READABLE, dirty, call(K.DMA_SYNC_FOR_DEVICE, direction=1), reads()])


@pytest.mark.parametrize("kind", [K.CPU_READ, K.CPU_WRITE])
def test_an_access_of_the_cpu_during_a_transfer(kind: EventKind) -> None:
    """The device has not said that it is ready: old bytes or new ones, on any platform."""
    start = call(K.DEV_START, object=1)
    calls = [MAPPED, dma_sync(), start, cpu(kind, 0x91000, 64)]

    assert ("~~~~~~~~~" if kind == K.CPU_WRITE else ".........") == row(calls)
    assert "~~~~~~~~~" == row([MAPPED, start, cpu(kind, 0x91000, 64)])


# ---- allocations at an end -------------------------------------------------------------------


def test_an_allocation_ends_at_a_guard_or_at_private_memory() -> None:
    """Driver Verifier pushes it to the end of its pages; a guest shares whole pages."""
    ring = allocated(MapType.COHERENT, length=100)

    assert "~X~~~~~~~" == row([ring, writes(length=110)])
    assert "~XXX~~~XX" == row([ring, writes(length=0x1010)])
    assert (E.BREAKS, C.PRIVATE, 0) == cause([ring, writes(length=0x1010)], "confidential-vm")
    assert "~X~~~~~~~" == row([BOUND, ring, writes(0x1080, 8)])
    freed = [BOUND, ring, allocated(MapType.COHERENT, K.DMA_FREE, length=100), writes(length=8)]
    assert (E.BREAKS, C.PRIVATE, 0) == cause(freed, "confidential-vm")


def test_an_access_of_nothing_touches_nothing() -> None:
    """A transfer of no bytes may stand right behind a mapping."""
    assert "........." == row([BOUND, MAPPED, writes(0x2000, 0)])


@pytest.mark.parametrize(("end", "left"), [
    (dma_unmap(length=0x800), 0x800), (dma_unmap(direction=1), 0x1000),
])  # fmt: skip
def test_what_a_wrong_unmap_leaves_behind_is_stale(end: Call, left: int) -> None:
    """The copy is gone at the unmap; where caches are in between the read finds old lines."""
    calls = [MAPPED, writes(), end, cpu(K.CPU_READ, 0x91000)]
    found = incidents(calls, PLATFORMS["non-coherent"])

    assert (4, E.BREAKS, left) == (
        found[-1].first.record, found[-1].outcomes[0].effect, found[-1].bytes
    )  # fmt: skip
    assert "~X~~~X~X~" == row(calls)


# ---- cache lines of another length -----------------------------------------------------------


@pytest.mark.parametrize(("line", "lost", "shared"), [(32, 0, 0), (64, 0, 0), (128, 8, 8)])
def test_lines_are_as_long_as_the_platform_says(line: int, lost: int, shared: int) -> None:
    """The CPU writes 40 bytes behind the end of a mapping of one usual line."""
    platform = replace(PLATFORMS["non-coherent"], line_bytes=line)
    mapped = dma_map(phys_addr=0x91000, length=64)
    dirty = cpu(K.CPU_WRITE, 0x91000 + 64 + 40, 8)
    at_unmap = incidents([mapped, dirty, dma_unmap(length=64)], platform)
    at_write = incidents([mapped, dirty, writes(length=64)], platform)

    assert lost == sum(n.bytes for n in at_unmap)
    assert shared == sum(n.bytes for n in at_write)
    assert {Mistake.SHARED_CACHELINE} >= {n.mistake for n in at_unmap + at_write}
    assert [] == incidents([dirty, mapped, writes(length=64), dma_unmap(length=64)], platform)


def test_short_lines_keep_more_neighbours() -> None:
    """What lies behind the last line of 32 bytes, and in the last of 64, is safe on the first."""
    calls = [dma_map(phys_addr=0x91000, length=32), cpu(K.CPU_WRITE, 0x91020, 8),
             dma_unmap(length=32)]  # fmt: skip
    usual = PLATFORMS["non-coherent"]
    (found,) = incidents(calls, usual, replace(usual, line_bytes=32))

    assert [E.BREAKS, E.WORKS] == [o.effect for o in found.outcomes]
