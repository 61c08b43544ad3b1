"""What the engine remembers: mappings, ghosts, gaps, and their limits."""

from dmaverify.lang.builtin import load_builtin
from dmaverify.model.kinds import MAPPING_ERROR, EventKind, Flag
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
    lost,
    unlist,
)

K = EventKind
NOTHING = always([])


# ---- addresses that are not known ------------------------------------------------------------


def test_a_mapping_without_bus_address_is_at_no_address() -> None:
    """Address zero does not lead to a mapping whose bus address the recording does not tell."""
    calls = [dma_map(None, phys_addr=0x9000)]
    assert [None, 0] == asked([*calls, dma_unmap(0)], "mapping", "candidates")
    assert [None, 0] == asked([*calls, dma_sync(0x10)], "mapping", "candidates")


def test_a_list_without_bus_addresses_is_ended_by_its_list() -> None:
    """An unmap of a list names physical addresses only; they are enough."""
    one = dma_map(None, type=3, length=None, sg_phys=[0x9000, 0xB000])
    engine = fed(NOTHING, [one, unlist([0x9000, 0xB000])])
    assert [] == engine.live_mappings()
    assert 0 == engine.counters["in_flight"]


def test_memory_without_bus_address_is_shared_all_the_same() -> None:
    """Overlap is a matter of physical addresses."""
    calls = [dma_map(None, phys_addr=0x9000), dma_map(0x5000, phys_addr=0x9800, length=64)]
    assert [1] == asked(calls, "overlaps")


def test_what_is_left_mapped_may_have_no_bus_address() -> None:
    """The derived event knows no more than the mapping that it tells of."""
    calls = [dma_map(None, phys_addr=0x9000), life(K.DRIVER_UNBOUND)]
    assert [None, 0x9000] == asked(calls, "bus_addr", "phys_addr")


def test_unknown_addresses_do_not_retire_one_another() -> None:
    """Behind a gap a new mapping retires what lies at its address, not what has none."""
    engine = fed(NOTHING, [dma_map(None), lost(), dma_map(None)])
    assert [(1, 0, 0x1000)] * 2 == engine.live_mappings()


# ---- what may be older than the recording ----------------------------------------------------


def test_a_second_unmap_of_a_list_is_no_matter_of_page_zero() -> None:
    """A list's unmap names no bus address, so the IOMMU's page 0 proves nothing about it."""
    ended = [dma_list([(0x4000, 64)], [0xB000]), unlist([0xB000])]
    calls = [call(K.IOMMU_UNMAP, 0, device=0), *ended, unlist([0xB000])]
    assert [0] == asked(calls, "may_predate")


def test_the_error_address_is_no_mapping_of_before() -> None:
    """A sync of what a failed mapping returned is not counted as in flight at the start."""
    engine = fed(NOTHING, [dma_sync(MAPPING_ERROR), dma_sync(0x1000, flags=Flag.FAILED)])
    assert 0 == engine.counters["in_flight"]


def test_an_unmap_of_the_unknown_is_in_flight() -> None:
    """A recording that begins in mid-flight unmaps and syncs what it never saw mapped."""
    engine = fed(NOTHING, [dma_unmap(), dma_sync(0x2000), unlist([0x9000])])
    assert 3 == engine.counters["in_flight"]


def test_a_probe_rules_out_what_was_before() -> None:
    """Where the beginning of a driver's life is seen, nothing is older, until events are lost."""
    calls = [life(K.DRIVER_PROBE), dma_unmap()]
    assert [0] == asked(calls, "may_predate")
    assert [1] == asked([calls[0], lost(), calls[1]], "may_predate")
    assert [0] == asked([lost(), *calls], "may_predate")


def test_an_ended_mapping_proves_until_events_are_lost() -> None:
    """A second unmap is one unless a mapping may have been lost in between."""
    calls = [dma_map(), dma_unmap()]
    assert [0] == asked([*calls, dma_unmap()], "may_predate")
    engine = fed(NOTHING, [*calls, lost(), dma_unmap()])
    assert (0, 1) == (engine.counters["in_flight"], engine.counters["across_gap"])


# ---- ages ------------------------------------------------------------------------------------


def test_an_age_needs_both_moments() -> None:
    """The age of a mapping is unknown where its own time, or the event's, is."""
    blind = {"flags": Flag.TIME_UNKNOWN}
    assert [1000] == asked([dma_map(), dma_sync()], "mapping.age")
    assert [None] == asked([dma_map(**blind), dma_sync()], "mapping.age")
    assert [None] == asked([dma_map(), dma_sync(**blind)], "mapping.age")
    assert [None] == asked([dma_map(), dma_sync()], "mapping.age", time_known=False)
    assert [None] == asked([dma_map(), dma_unmap(**blind), dma_unmap()], "ghost.ended_ago")


# ---- gaps ------------------------------------------------------------------------------------


def test_behind_a_gap_a_new_mapping_ends_what_it_can_not_live_beside() -> None:
    """The end of an old mapping at the same bus address or memory was among the lost events."""
    for bus, phys in ((0x1800, 0xF0000), (0x70000, 0x9800), (0x9000, 0x9000)):
        engine = fed(NOTHING, [dma_map(phys_addr=0x9000), lost(), dma_map(bus, phys_addr=phys)])
        assert [(1, bus, 0x1000)] == engine.live_mappings()
        assert 1 == engine.counters["across_gap"]


def test_memory_that_is_its_own_bus_address_is_retired_too() -> None:
    """Where bus and physical address are one number, new memory elsewhere on the bus ends it."""
    calls = [dma_map(0x9000, phys_addr=0x9000), lost(), dma_map(0x70000, phys_addr=0x9000)]
    assert [(1, 0x70000, 0x1000)] == fed(NOTHING, calls).live_mappings()


def test_a_gap_ends_nothing_by_itself() -> None:
    """Other addresses, other devices and mappings made after the gap stay."""
    calls = [
        dma_map(phys_addr=0x9000), lost(), dma_map(0x2000, phys_addr=0xA000),
        dma_map(0x2800, phys_addr=0xF0000), dma_map(device=2, phys_addr=0x9000),
    ]  # fmt: skip
    engine = fed(NOTHING, calls)
    assert 4 == len(engine.live_mappings())
    assert 0 == engine.counters["across_gap"]


def test_what_a_gap_ended_proves_nothing() -> None:
    """Its ghost is of before the gap: another unmap may be older than the recording."""
    calls = [dma_map(), lost(), dma_map(0x1000), dma_unmap(), dma_unmap()]
    assert [0] == asked(calls, "may_predate")
    assert [1] == asked(
        [dma_map(length=0x2000), lost(), dma_map(), dma_unmap(0x2000)], "may_predate"
    )


def test_the_oldest_is_retired_first() -> None:
    """The ghost that is left is the newest of those that a gap ended, whatever their sizes."""
    calls = [dma_map(length=0x2000), dma_map(length=0x1000), lost(), dma_map(length=64)]
    for order in (calls, [calls[1], calls[0], *calls[2:]]):
        assert [order[1].length] == asked([*order, dma_unmap(0x1040)], "ghost.length")


# ---- ghosts ----------------------------------------------------------------------------------


def test_a_ghost_is_what_covered_the_address_last() -> None:
    """A new ghost takes the place of those that it covers."""
    calls = [dma_map(length=64), dma_unmap(length=64), dma_map(), dma_unmap()]
    assert [0x1000] == asked([*calls, dma_unmap(0x1010)], "ghost.length")


def test_a_ghost_that_is_covered_in_part_stays() -> None:
    """Bytes that nothing newer covers keep their ghost."""
    calls = [dma_map(), dma_unmap(), dma_map(length=64), dma_unmap(length=64)]
    assert [64] == asked([*calls, dma_unmap(0x1010)], "ghost.length")
    assert [0x1000] == asked([*calls, dma_unmap(0x1800)], "ghost.length")


def test_an_absurd_ghost_is_not_covered() -> None:
    """The end of a range past the top of the address space lies behind every other's."""
    absurd = dma_map(0x3000, length=(1 << 64) - 0x100)
    calls = [absurd, dma_unmap(0x3000, length=absurd.length), dma_map(0x2000, length=0x2000)]
    calls.append(dma_unmap(0x2000, length=0x2000))
    assert [absurd.length] == asked([*calls, dma_unmap(0x4000)], "ghost.length")


def test_the_oldest_ghosts_are_forgotten() -> None:
    """No more ghosts are kept than the limit allows; what is forgotten is counted."""
    calls = [c for n in range(1, 6) for c in (dma_map(n << 16), dma_unmap(n << 16))]
    engine = fed(NOTHING, calls, ghost_limit=3)
    assert 2 == engine.counters["forgotten"]
    assert [None] == asked([*calls, dma_unmap(2 << 16)], "ghost", ghost_limit=3)
    assert [3 << 16] == asked([*calls, dma_unmap(3 << 16)], "ghost", ghost_limit=3)


def test_long_lists_do_not_fill_the_memory_of_ghosts() -> None:
    """A ghost list keeps 64 segments, and all ghosts together four a ghost."""
    pieces = [(0x100000 + 0x2000 * i, 64) for i in range(100)]
    phys = [0x900000 + 0x2000 * i for i in range(100)]
    calls = [dma_list(pieces, phys), unlist(phys)]
    assert [0x100000] == asked([*calls, dma_unmap(0x100000 + 0x2000 * 63)], "ghost")
    assert [None] == asked([*calls, dma_unmap(0x100000 + 0x2000 * 64)], "ghost")
    assert 1 == fed(NOTHING, calls, ghost_limit=15).counters["forgotten"]


def test_adjoining_pieces_of_an_ended_list_are_one_ghost() -> None:
    """Each piece keeps its ghost until the whole row of them is covered, by one list or more."""
    row = [(0x10000 + 0x1000 * i, 0x1000) for i in range(4)]
    one = [dma_list(row, [0x90000, 0x70000, 0xB0000, 0x80000])]
    one.append(unlist([0x90000, 0x70000, 0xB0000, 0x80000]))
    for bus, _ in row:
        assert [0x10000, 0x4000] == asked(
            [*one, dma_unmap(bus + 8)], "ghost", "ghost.length", ghost_limit=10
        )
    part = [dma_map(0x11000, length=0x2000), dma_unmap(0x11000, length=0x2000)]
    covers = [dma_map(0x10000, length=0x8000), dma_unmap(0x10000, length=0x8000)]
    for bus, length in ((0x10000, 0x4000), (0x11000, 0x2000), (0x13000, 0x4000)):
        calls = [*one, *part, dma_unmap(bus)]
        assert [length] == asked(calls, "ghost.length", ghost_limit=10)
        assert [0x8000] == asked([*one, *covers, dma_unmap(bus)], "ghost.length", ghost_limit=10)
    # What is left to forget tells what is still there: one ghost, or three.
    assert 0 == fed(NOTHING, [*one, *covers], ghost_limit=2).counters["forgotten"]
    assert 1 == fed(NOTHING, [*one, *part], ghost_limit=1).counters["forgotten"]


def test_a_gap_between_pieces_has_no_ghost() -> None:
    """Pieces that do not adjoin are ranges of their own, and so are pieces of no bytes."""
    pieces = [(0x10000, 0x1000), (0x12000, 0x1000), (0x13000, 0), (0x13000, 0x1000)]
    phys = [0x90000, 0x70000, 0xB0000, 0xB0000]
    calls = [dma_list(pieces, phys), unlist(phys)]
    for bus, ghost in ((0x10FFF, 0x10000), (0x11000, None), (0x12FFF, 0x10000), (0x13FFF, 0x10000)):
        assert [ghost] == asked([*calls, dma_unmap(bus)], "ghost")
    assert [None] == asked([*calls, dma_unmap(0x14000)], "ghost")


def test_a_long_row_of_large_pieces_is_no_crowd() -> None:
    """What covers 64 MiB is looked for in parts: no look-up gives up over it."""
    pieces = [(0x4000_0000 + (i << 20), 1 << 20) for i in range(64)]
    phys = [0x9000_0000 + (i << 21) for i in range(64)]
    small = [dma_list([(0x1000, 0x1000)], [0x5000]), unlist([0x5000])]
    engine = fed(NOTHING, [*small, dma_list(pieces, phys), unlist(phys)])
    assert 0 == engine.counters["crowded"]


def test_no_ghosts_at_all() -> None:
    """A limit of zero remembers nothing and breaks nothing."""
    engine = fed(NOTHING, [dma_map(), dma_unmap(), dma_unmap()], ghost_limit=0)
    assert (1, 1) == (engine.counters["forgotten"], engine.counters["in_flight"])


# ---- live mappings ---------------------------------------------------------------------------


def test_more_live_mappings_than_the_limit_are_refused() -> None:
    """What is not followed is counted, and room is made by an unmap."""
    calls = [dma_map(n << 16) for n in (1, 2, 3)] + [dma_unmap(1 << 16), dma_map(4 << 16)]
    engine = fed(NOTHING, calls, live_limit=2)
    assert [(1, 2 << 16, 0x1000), (1, 4 << 16, 0x1000)] == engine.live_mappings()
    assert 1 == engine.counters["refused"]


def test_a_failed_mapping_leaves_a_ghost_only() -> None:
    """What a failed call returned is remembered and is not alive."""
    failed = dma_map(MAPPING_ERROR, flags=Flag.FAILED)
    assert [] == fed(NOTHING, [failed]).live_mappings()
    assert [MAPPING_ERROR, 1] == asked([failed, dma_unmap(MAPPING_ERROR)], "ghost", "failures")


def test_an_unbind_ends_everything_of_its_device() -> None:
    """Each mapping left behind is told once, the oldest first, and is gone."""
    calls = [dma_map(0x3000), dma_map(0x1000), dma_map(0x2000, device=2), life(K.DRIVER_UNBOUND)]
    left = always([(0, 1)], kinds=(K.LEFT_MAPPED,), group=(1,))
    engine = fed(left, calls)
    assert [(0x3000,), (0x1000,)] == [hit.shown for hit in engine.hits()]
    assert [(2, 0x2000, 0x1000)] == engine.live_mappings()


def test_the_mapping_after_a_bounce_lies_in_its_buffer() -> None:
    """Only the next mapping of the same device and memory does."""
    bounce = call(K.BOUNCE, 0xFFFF_FFFF, phys_addr=0x9000)
    calls = [bounce, dma_map(phys_addr=0x9000)]
    assert [1] == asked([*calls, dma_sync()], "mapping.bounced")
    other = [bounce, dma_map(0x5000, phys_addr=0xA000), calls[1]]
    assert [0] == asked([*other, dma_sync()], "mapping.bounced")


def test_the_catalogue_survives_an_empty_recording() -> None:
    """No events give no hits and no counts."""
    engine = fed(load_builtin(), [])
    assert [] == engine.hits()
    assert {0} == set(engine.counters.values())


def test_a_list_is_remembered_when_its_addresses_are_used_again() -> None:
    """A second unmap of a list names memory: what was mapped at its bus addresses is no matter."""
    one = [dma_list([(0x1000, 0x1000)], [0x9000]), unlist([0x9000])]
    reused = [dma_map(0x0, length=0x10000), dma_unmap(0x0, length=0x10000)]
    for limit in (10, 65536):
        calls = [*one, *reused, unlist([0x9000])]
        assert [0x1000, 0] == asked(calls, "ghost", "may_predate", ghost_limit=limit)


def test_an_older_list_of_the_same_memory_is_found_by_address_only() -> None:
    """Of two lists that begin alike the newer is named; the older's bus addresses keep a ghost."""
    lists = [
        call
        for bus in (0x1000, 0x5000)
        for call in (dma_list([(bus, 0x1000)], [0x9000]), unlist([0x9000]))
    ]
    for limit in (10, 65536):
        assert [0x5000] == asked([*lists, unlist([0x9000])], "ghost", ghost_limit=limit)
        assert [0x1000] == asked([*lists, dma_unmap(0x1800)], "ghost", ghost_limit=limit)


def test_ghosts_are_the_same_before_and_after_they_move() -> None:
    """After many questions ghosts are kept in another way, which changes no answer."""
    ended = [c for n in range(1, 40) for c in (dma_map(n << 12), dma_unmap(n << 12))]
    ended += [dma_map(0x5000, length=64), dma_unmap(0x5000, length=64)]
    for questions in (0, 1, 255, 256, 257, 300):
        calls = [*ended, *[dma_unmap(0x90000)] * questions]
        assert [0x40] == asked([*calls, dma_unmap(0x5010)], "ghost.length")
        assert [0x1000] == asked([*calls, dma_unmap(0x5040)], "ghost.length")
        assert [39 << 12] == asked([*calls, dma_unmap((39 << 12) + 1)], "ghost")
