"""A network-like driver on Linux that receives one packet."""

from dmaverify.sim.linux import DMA_FROM_DEVICE
from dmaverify.sim.run import Simulation

SIZE = 2048


def after_unmap(sim: Simulation) -> None:
    """The driver unmaps a receive buffer while the device still writes into it.

    Expect: device-access-after-unmap
    Outcome: fault on iommu, nested; stale on non-coherent;
      lost and foreign and guard on driver-verifier, confidential-vm, mask-32
    """
    dev = sim.device()
    sim.linux.probe(dev)
    buffer = sim.linux.kmalloc(SIZE)
    address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
    sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
    dev.write(address, b"packet".ljust(SIZE, b"."))
    sim.cpu.read(buffer, SIZE)
    sim.linux.kfree(buffer)
    sim.linux.remove(dev)


def in_time(sim: Simulation) -> None:
    """The driver unmaps a receive buffer when the device has written it.

    Expect: nothing
    """
    dev = sim.device()
    sim.linux.probe(dev)
    buffer = sim.linux.kmalloc(SIZE)
    address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
    dev.write(address, b"packet".ljust(SIZE, b"."))
    sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
    sim.cpu.read(buffer, SIZE)
    sim.linux.kfree(buffer)
    sim.linux.remove(dev)
