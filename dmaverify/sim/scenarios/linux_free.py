"""How Linux drivers give coherent memory back."""

from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver


def good(sim: Simulation) -> None:
    """Device and CPU share a ring, which is freed as it was allocated.

    Expect: nothing
    """
    with driver(sim) as dev:
        ring, address = sim.linux.dma_alloc_coherent(dev, SIZE)
        sim.cpu.write(ring, DATA)
        sim.expect(dev.read(address, SIZE), DATA)
        dev.write(address, DATA[::-1])
        sim.expect(sim.cpu.read(ring, SIZE), DATA[::-1])
        sim.linux.dma_free_coherent(dev, SIZE, ring, address)


def other_size(sim: Simulation) -> None:
    """Coherent memory is freed with another size.

    Expect: free-size-mismatch
    """
    with driver(sim) as dev:
        ring, address = sim.linux.dma_alloc_coherent(dev, SIZE)
        sim.linux.dma_free_coherent(dev, SIZE // 2, ring, address)


def other_pointer(sim: Simulation) -> None:
    """Coherent memory is freed with another CPU address.

    Expect: free-cpu-address-mismatch
    """
    with driver(sim) as dev:
        ring, address = sim.linux.dma_alloc_coherent(dev, SIZE)
        sim.linux.dma_free_coherent(dev, SIZE, ring + 64, address)


def never(sim: Simulation) -> None:
    """Coherent memory is still there when the driver is unbound.

    Expect: allocation-leak-at-unbind
    """
    with driver(sim) as dev:
        sim.linux.dma_alloc_coherent(dev, SIZE)
