"""What an event means: asked of the engine through a rule that shows everything."""

from tests.unit.core.calls import asked, dma_list, dma_map


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
