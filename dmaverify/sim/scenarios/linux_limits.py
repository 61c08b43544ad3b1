"""What devices of Linux drivers can reach, and what their lists may look like."""

from dmaverify.sim.device import Device
from dmaverify.sim.linux import DMA_TO_DEVICE, ScatterEntry
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver

BOUNDARY = 0xFFFF


def good(sim: Simulation) -> None:
    """A device that reaches 64 bits says so, and its lists keep to their boundary.

    Expect: nothing
    """
    with driver(sim) as dev:
        sim.linux.dma_set_mask(dev, (1 << 64) - 1)
        sim.linux.dma_set_seg_boundary(dev, BOUNDARY)
        _list(sim, dev, 4096)


def long_list(sim: Simulation) -> None:
    """A segment crosses the boundary at which the device wraps.

    Expect: sg-boundary-crossed
    """
    with driver(sim) as dev:
        sim.linux.dma_set_seg_boundary(dev, BOUNDARY)
        _list(sim, dev, 2 * (BOUNDARY + 1))


def _list(sim: Simulation, dev: Device, size: int) -> None:
    entries = [ScatterEntry(sim.linux.alloc_pages(size // 4096), size)]
    if sim.linux.dma_map_sg(dev, entries, DMA_TO_DEVICE):
        sim.linux.dma_unmap_sg(dev, entries, DMA_TO_DEVICE)


def reach_said_too_late(sim: Simulation) -> None:
    """A mapping is made before the driver says that its device reaches 32 bits only.

    Expect: nothing
    """
    with driver(sim) as dev:
        address = sim.linux.dma_map_single(dev, sim.linux.kmalloc(SIZE), SIZE, DMA_TO_DEVICE)
        sim.linux.dma_set_mask(dev, (1 << 32) - 1)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)


def negative_length(sim: Simulation) -> None:
    """A length below zero is given, which is one near the top: some machines say no.

    Expect: address-wraps
    Expect on iommu, iommu-lazy, nested, driver-verifier, confidential-vm: nothing
    """
    with driver(sim) as dev:
        buffer, header = sim.linux.kmalloc(SIZE), 64
        length = (len(DATA[:32]) - header) % (1 << 64)
        address = sim.linux.dma_map_single(dev, buffer, length, DMA_TO_DEVICE)
        if not sim.linux.dma_mapping_error(dev, address):
            sim.linux.dma_unmap_single(dev, address, length, DMA_TO_DEVICE)
