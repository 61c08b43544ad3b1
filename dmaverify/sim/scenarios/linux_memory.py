"""Which memory Linux drivers map, and how mappings share it."""

from dmaverify.sim.linux import DMA_FROM_DEVICE, DMA_TO_DEVICE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import SIZE, driver


def good(sim: Simulation) -> None:
    """A buffer of whole cache lines is mapped, unmapped, and mapped again.

    Expect: nothing
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        for _ in range(9):
            address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
            sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
        sim.linux.kfree(buffer)


def stack(sim: Simulation) -> None:
    """A variable on the stack is mapped.

    Expect: illegal-memory
    """
    with driver(sim) as dev:
        variable = sim.linux.stack(256)
        address = sim.linux.dma_map_single(dev, variable, 256, DMA_TO_DEVICE)
        sim.linux.dma_unmap_single(dev, address, 256, DMA_TO_DEVICE)


def vmalloc(sim: Simulation) -> None:
    """Memory of vmalloc is mapped whose pages do not follow each other.

    Expect: illegal-memory
    """
    with driver(sim) as dev:
        memory = sim.linux.vmalloc(2 * 4096)
        address = sim.linux.dma_map_single(dev, memory, 4096, DMA_TO_DEVICE)
        sim.linux.dma_unmap_single(dev, address, 4096, DMA_TO_DEVICE)


def overlapping(sim: Simulation) -> None:
    """Two live mappings let the device write the same bytes.

    Expect: overlapping-mappings
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        first = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        second = sim.linux.dma_map_single(dev, buffer + 512, 512, DMA_FROM_DEVICE)
        sim.linux.dma_unmap_single(dev, second, 512, DMA_FROM_DEVICE)
        sim.linux.dma_unmap_single(dev, first, SIZE, DMA_FROM_DEVICE)


def mapped_again_and_again(sim: Simulation) -> None:
    """A buffer is mapped for each of nine transfers and unmapped for none before the end.

    Expect: overlapping-mappings, cacheline-mapped-too-often
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        made = [sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE) for _ in range(9)]
        for address in reversed(made):
            sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)


def shared_line(sim: Simulation) -> None:
    """The driver's own variable lies in the cache line of a buffer that the device writes.

    Expect: neighbour-bytes-lost
    Outcome: lost on non-coherent
    """
    with driver(sim) as dev:
        record = sim.linux.kmalloc(128)
        address = sim.linux.dma_map_single(dev, record, 32, DMA_FROM_DEVICE)
        sim.cpu.write(record + 32, b"a counter of the driver")
        dev.write(address, bytes(range(32)))
        sim.linux.dma_unmap_single(dev, address, 32, DMA_FROM_DEVICE)
        sim.cpu.read(record + 32, 23)
        sim.linux.kfree(record)
