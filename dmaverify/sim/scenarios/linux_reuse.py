"""Addresses that mean something else by now, and registers that lie behind two translations."""

from dmaverify.sim.linux import DMA_FROM_DEVICE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver


def good(sim: Simulation) -> None:
    """A device is done with a buffer before the next one gets its address.

    Expect: nothing
    """
    with driver(sim) as dev:
        for _ in range(2):
            page = sim.linux.alloc_pages(1)
            address = sim.linux.dma_map_single(dev, page, SIZE, DMA_FROM_DEVICE)
            dev.finish(dev.start(address, SIZE, DMA_FROM_DEVICE), DATA)
            sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)


def late_into_reused(sim: Simulation) -> None:
    """A device is late, and the address that it was told is the next buffer's by now.

    Expect: unmap-during-transfer
    Outcome: foreign on iommu, nested, driver-verifier, confidential-vm, mask-32;
      stale on non-coherent
    """
    with driver(sim) as dev:
        old, new = sim.linux.alloc_pages(1), sim.linux.alloc_pages(1)
        address = sim.linux.dma_map_single(dev, old, SIZE, DMA_FROM_DEVICE)
        transfer = dev.start(address, SIZE, DMA_FROM_DEVICE)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
        address = sim.linux.dma_map_single(dev, new, SIZE, DMA_FROM_DEVICE)
        dev.finish(transfer, DATA)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)


def overrun_of_page(sim: Simulation) -> None:
    """A device writes from the end of its page into the next one, where an IOMMU stops it.

    What is recorded there is the bytes that got through, and a fault beside the mapping.

    Expect: device-access-out-of-range
    Expect on iommu, iommu-lazy, nested: device-access-unmapped
    Expect on confidential-vm: device-access-beside-mapping
    Outcome: fault on iommu, iommu-lazy, nested, confidential-vm; lost on mask-32;
      lost and foreign and guard on driver-verifier
    """
    with driver(sim) as dev:
        page = sim.linux.alloc_pages(2)
        address = sim.linux.dma_map_single(dev, page + 4096 - SIZE, SIZE, DMA_FROM_DEVICE)
        dev.write(address, DATA + b"!" * 64)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)


def peer_registers(sim: Simulation) -> None:
    """A device writes into another one's registers, which a hypervisor may not let through.

    Expect: nothing
    Outcome: fault on nested
    """
    with driver(sim) as dev:
        doorbell = sim.device("0000:00:05.0").registers()
        address = sim.linux.dma_map_resource(dev, doorbell, 64, DMA_FROM_DEVICE)
        dev.write(address, b"ring")
        sim.linux.dma_unmap_resource(dev, address, 64, DMA_FROM_DEVICE)
