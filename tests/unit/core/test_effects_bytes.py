"""What platforms make of whose bytes are newest: allocations, unsynced unmaps, syncs of lists."""

from dataclasses import replace

import pytest

from dmaverify.model.effect import Cause, Mistake
from dmaverify.model.kinds import EventKind, Flag, MapType
from dmaverify.model.platform import Effect
from tests.oracle.nouns import Call
from tests.unit.core.calls import call, dma_list, dma_map, dma_sync, dma_unmap, unlist
from tests.unit.core.rows import (
    BOUND, MAPPED, PLATFORMS, READABLE, cause, cpu, incidents, memory, one, reads, row, writes,
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

    assert "~X~~~X~X~" == row([LIST, dirty, both])
    assert 64 == one([LIST, dirty, both], "non-coherent").bytes
    assert "........." == row([LIST, dirty, first])


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
