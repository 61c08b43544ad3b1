"""How Linux drivers take failures: for `--inject systematic`."""

from dmaverify.sim.linux import DMA_FROM_DEVICE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import SIZE, driver


def good(sim: Simulation) -> None:
    """Each step that fails undoes the steps before it.

    Expect: nothing
    """
    linux = sim.linux
    with driver(sim) as dev:
        ring, ring_address = linux.dma_alloc_coherent(dev, 512)
        if not ring:
            return
        buffer = linux.kmalloc(SIZE)
        if buffer:
            address = linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
            if not linux.dma_mapping_error(dev, address):
                dev.write(address, b"packet".ljust(SIZE, b"."))
                linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
            linux.kfree(buffer)
        linux.dma_free_coherent(dev, 512, ring, ring_address)


def leaks(sim: Simulation) -> None:
    """The ring is forgotten where there is no memory for a buffer.

    Nothing shows before that fails.

    Expect: nothing
    """
    linux = sim.linux
    with driver(sim) as dev:
        ring, ring_address = linux.dma_alloc_coherent(dev, 512)
        if not ring:
            return
        buffer = linux.kmalloc(SIZE)
        if not buffer:
            return
        linux.kfree(buffer)
        linux.dma_free_coherent(dev, 512, ring, ring_address)


def unchecked(sim: Simulation) -> None:
    """The driver writes to memory that it may not have got.

    Nothing shows before kmalloc fails.

    Expect: nothing
    """
    with driver(sim):
        buffer = sim.linux.kmalloc(SIZE)
        sim.cpu.write(buffer, b"x" * SIZE)
        sim.linux.kfree(buffer)
