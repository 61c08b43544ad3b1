"""What the engine remembers: mappings, ghosts, gaps, and their limits."""

from dmaverify.lang.builtin import load_builtin
from dmaverify.model.kinds import MAPPING_ERROR, EventKind, Flag
from tests.unit.core.calls import (
    always, asked, call, dma_list, dma_map, dma_sync, dma_unmap, fed, life, lost, unlist,
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
