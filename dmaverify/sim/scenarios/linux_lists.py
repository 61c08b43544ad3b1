"""Scatter lists of Linux drivers."""

from dmaverify.sim.linux import DMA_FROM_DEVICE, DMA_TO_DEVICE, ScatterEntry
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver


def _entries(sim: Simulation, count: int = 4, size: int = SIZE) -> list[ScatterEntry]:
    return [ScatterEntry(sim.linux.alloc_pages(-(-size // 4096)), size) for _ in range(count)]


def good(sim: Simulation) -> None:
    """A list is mapped, written by the device, unmapped and read.

    Expect: nothing
    """
    with driver(sim) as dev:
        entries = _entries(sim)
        sim.linux.dma_map_sg(dev, entries, DMA_FROM_DEVICE)
        for entry in entries:
            dev.write(entry.dma_address, DATA)
        sim.linux.dma_unmap_sg(dev, entries, DMA_FROM_DEVICE)
        for entry in entries:
            sim.expect(sim.cpu.read(entry.virt, SIZE), DATA)
            sim.linux.kfree(entry.virt)


def other_count(sim: Simulation) -> None:
    """A list is unmapped with fewer entries than it was mapped with.

    Expect: sg-entry-count-mismatch
    """
    with driver(sim) as dev:
        entries = _entries(sim)
        sim.linux.dma_map_sg(dev, entries, DMA_TO_DEVICE)
        sim.linux.dma_unmap_sg(dev, entries[:2], DMA_TO_DEVICE)


def long_segment(sim: Simulation) -> None:
    """A segment is longer than what the device takes.

    Expect: sg-segment-too-long
    """
    with driver(sim) as dev:
        sim.linux.dma_set_max_seg_size(dev, 4096)
        entries = _entries(sim, size=8192)
        sim.linux.dma_map_sg(dev, entries, DMA_TO_DEVICE)
        sim.linux.dma_unmap_sg(dev, entries, DMA_TO_DEVICE)
