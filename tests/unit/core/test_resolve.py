"""What an event means: asked of the engine through a rule that shows everything."""

from typing import Any

from dmaverify.model.fields import Obj
from dmaverify.model.kinds import EventKind, Flag, MemoryKind, Provenance
from tests.oracle.nouns import Call
from tests.unit.core.calls import (
    always,
    asked,
    call,
    dma_list,
    dma_map,
    dma_sync,
    dma_unmap,
    fed,
    life,
    unlist,
)

K = EventKind


def test_a_mapping_that_straddles_a_page_is_counted_once() -> None:
    """Each mapping that shares memory counts once, though it lies in two cells of the grid."""
    #        0x9000      0xa000 (a page begins)
    #             |---A---|
    #             |---B---|
    #              |-new-|
    calls = [dma_map(n << 16, phys_addr=0x9C00, length=0x800) for n in (1, 2)]
    assert [2] == asked([*calls, dma_map(0x30000, phys_addr=0x9D00, length=0x600)], "overlaps")


def test_a_list_that_meets_a_mapping_twice_counts_it_once() -> None:
    """Two segments within one live mapping are one overlap."""
    calls = [
        dma_map(0x1000, phys_addr=0x90000, length=0x4000),
        dma_list([(0x10000, 64), (0x20000, 64)], [0x90000, 0x92000]),
    ]
    assert [1, 0x1000] == asked(calls, "overlaps", "overlap")


def test_an_absurd_length_still_overlaps() -> None:
    """A mapping that runs past the top of the address space shares what lies behind its start."""
    calls = [
        dma_map(0x1000, phys_addr=0x9000, length=(1 << 64) - 0x100),
        dma_map(0x2000, phys_addr=0xA000, length=64),
    ]
    assert [1, 0x1000, None] == asked(calls, "overlaps", "overlap", "neighbour")


def test_of_equal_overlaps_the_newest_is_named() -> None:
    """What is named does not depend on the sizes of the mappings."""
    #   |------------------ old, 64 KiB ------------------|
    #   |- new, 4 KiB -|
    #   |- third -|
    for lengths in ((0x10000, 0x1000), (0x1000, 0x10000)):
        calls = [dma_map((i + 1) << 20, phys_addr=0x90000, length=n) for i, n in enumerate(lengths)]
        assert [2 << 20] == asked([*calls, dma_map(phys_addr=0x90000, length=64)], "overlap")


def test_the_best_of_several_enclosing_mappings_is_named() -> None:
    """An unmap inside two mappings is judged by the one that fits it better, whatever its size."""
    #   |---------- 64 KiB, to_device -----------|
    #       |-- 4 KiB, from_device --|
    #            ^ unmap, from_device
    calls = [dma_map(0x10000, length=0x10000, direction=1), dma_map(0x11000)]
    for order in (calls, calls[::-1]):
        assert [0x11000, 0x40] == asked([*order, dma_unmap(0x11040)], "enclosing", "into")


def test_the_distance_into_a_list_counts_its_bytes() -> None:
    """A list's second segment may have the lower address: the distance is in bytes of the list."""
    calls = [dma_list([(0x8000, 0x1000), (0x2000, 0x1000)], [0x90000, 0xA0000])]
    assert [0x1010] == asked([*calls, dma_unmap(0x2010)], "into")
    assert [0x1010] == asked([*calls, dma_sync(0x2010, length=16)], "into")


def test_what_starts_at_the_address_has_no_distance() -> None:
    """A mapping that starts there is meant, and the one around it leaves no trace."""
    calls = [dma_map(0x1000, length=0x4000), dma_map(0x2000)]
    for order in (calls, calls[::-1]):
        found = asked([*order, dma_unmap(0x2000)], "mapping", "enclosing", "into")
        assert [0x2000, None, 0] == found


def test_a_list_that_is_live_again_has_no_ghost() -> None:
    """A ghost matters only where nothing live is meant, for lists as for single mappings."""
    one = dma_list([(0x1000, 64)], [0x9000])
    calls = [one, unlist([0x9000]), one, unlist([0x9000])]
    assert [0x1000, None] == asked(calls, "mapping", "ghost")
    assert [None, 0x1000] == asked([*calls, unlist([0x9000])], "mapping", "ghost")


def test_an_ended_mapping_of_other_memory_may_not_be_the_one() -> None:
    """Of two at one address an unmap takes one: the other's memory is in doubt from then on."""
    calls = [dma_map(phys_addr=0x9000), dma_map(phys_addr=0xA000), dma_unmap()]
    assert [0] == asked([*calls, dma_map(0x5000, phys_addr=0xA000)], "overlaps")


def test_a_free_of_nothing_leaves_no_doubt() -> None:
    """A free with a NULL pointer ends nothing, so it puts no other mapping in doubt."""
    nothing = dma_unmap(flags=Flag.NULL_CPU)
    calls = [dma_map(phys_addr=0x9000), dma_map(phys_addr=0xA000), nothing]
    assert [1] == asked([*calls, dma_map(0x5000, phys_addr=0xA000)], "overlaps")


def test_a_mapping_around_the_address_is_not_in_doubt() -> None:
    """An unmap can only have meant what starts at its address."""
    around = dma_map(0x0, phys_addr=0xA000, length=0x4000)
    calls = [around, dma_map(phys_addr=0x9000), dma_map(phys_addr=0x9000), dma_unmap()]
    assert [1] == asked([*calls, dma_map(0x8000, phys_addr=0xA000)], "overlaps")


def test_of_what_ended_together_the_newest_is_the_ghost() -> None:
    """An unbind ends all at one event; of those at an address the newest is told."""
    calls = [dma_map(length=0x10000), dma_map(0x1800, length=64), life(K.DRIVER_UNBOUND)]
    for order in (calls, [calls[1], calls[0], calls[2]]):
        newest = order[1].bus_addr
        # The older is covered by the newer where that is the larger.
        assert [newest] == asked([*order, dma_unmap(0x1800)], "ghost")


# ---- accesses --------------------------------------------------------------------------------


def dev(bus: int, length: int = 64, **values: Any) -> Call:
    """Return a device's write."""
    return call(K.DEV_WRITE, bus, **{"length": length, "type": 0, "phys_addr": None, **values})


def test_an_access_at_the_top_of_the_address_space_is_in_range() -> None:
    """The last page ends where numbers do: an access up to its last byte runs past nothing."""
    top = (1 << 64) - 0x1000
    assert [0, 0xFC0] == asked([dma_map(top), dev(top + 0xFC0)], "past_end", "into")
    absurd = dma_map(0x1000, length=(1 << 64) - 0x100)
    assert [0] == asked([absurd, dev(0xA000)], "past_end")


def test_an_access_past_the_end_is_measured_behind_the_neighbours() -> None:
    """Mappings of the device that follow each other are one range to it."""
    #   |--- 4 KiB ---|--- 4 KiB ---|
    #              |-- access --------------|
    calls = [dma_map(0x1000), dma_map(0x2000), dev(0x1FC0, 0x1100)]
    assert [0xC0] == asked(calls, "past_end")
    other = [dma_map(0x1000), dma_map(0x2000, device=2), dev(0x1FC0, 128)]
    assert [64] == asked(other, "past_end")


def test_the_distance_of_an_access_into_a_list_counts_its_bytes() -> None:
    """As for syncs: the list's order counts, not its addresses."""
    calls = [dma_list([(0x8000, 0x1000), (0x2000, 0x1000)], [0x90000, 0xA0000])]
    assert [0x1010] == asked([*calls, dev(0x2010)], "into")


def test_a_physical_address_is_known_by_memory_mapped_one_to_one() -> None:
    """Memory that another access begins below is recognised though it has no cell of its own."""
    calls = [dma_map(0x9000, phys_addr=0x9000, device=2), dev(0x8FF0)]
    assert [Provenance.PHYSICAL_ADDRESS] == asked(calls, "provenance")


def test_memory_is_of_the_kind_that_a_range_begins_in() -> None:
    """Where a mapping spans two regions, the order in which they were told does not matter."""
    regions = [
        call(K.MEMORY, None, phys_addr=0x9000, length=0x1000, object=MemoryKind.STACK),
        call(K.MEMORY, None, phys_addr=0xA000, length=0x10000, object=MemoryKind.KMALLOC),
    ]
    for order in (regions, regions[::-1]):
        assert [MemoryKind.STACK] == asked([*order, dma_map(phys_addr=0x9800)], "memory")


def test_the_cpu_touches_each_mapping_once_the_oldest_first() -> None:
    """An access is judged by every mapping of its memory, whatever their sizes."""
    access = call(K.CPU_READ, None, phys_addr=0x9FF0, length=64)
    for lengths in ((0x20000, 0x2000), (0x2000, 0x20000)):
        maps = [dma_map(n << 20, phys_addr=0x9000, length=x) for n, x in enumerate(lengths, 1)]
        program = always([(1, 1)], kinds=(K.CPU_READ,), group=(Obj.MAPPING << 8 | 1,))
        assert [(1 << 20,), (2 << 20,)] == [h.shown for h in fed(program, [*maps, access]).hits()]


def test_more_mappings_of_one_byte_than_are_judged_are_told() -> None:
    """A crowd of mappings of one memory is judged in part, and counted."""
    maps = [dma_map(n << 20, phys_addr=0x9000) for n in range(1, 20)]
    access = call(K.CPU_READ, None, phys_addr=0x9000, length=64)
    engine = fed(always([], kinds=(K.CPU_READ,)), [*maps, access])
    assert (16, 1) == (engine.rule_counts[0][0], engine.counters["crowded"])


def test_bytes_at_the_top_are_followed() -> None:
    """What the device writes into the last page is news to the CPU, byte by byte."""
    top = (1 << 64) - 0x1000
    calls = [dma_map(top, phys_addr=0x9000), dev(top + 0xFF0, 16)]
    calls.append(call(K.CPU_READ, None, phys_addr=0x9F00, length=0x200))
    assert [16] == asked(calls, "stale_bytes")
