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
