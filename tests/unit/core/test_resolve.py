"""What an event means: asked of the engine through a rule that shows everything."""

from dmaverify.model.kinds import EventKind, Flag
from tests.unit.core.calls import asked, dma_list, dma_map, dma_sync, dma_unmap, life, unlist

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
