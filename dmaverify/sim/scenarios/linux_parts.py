"""Linux drivers that end or sync a part, another device's, or what is no mapping of theirs."""

from dmaverify.sim.linux import DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_TO_DEVICE, ScatterEntry
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver


def good(sim: Simulation) -> None:
    """A list is synced whole for the CPU and for the device, and a two-way mapping both ways.

    Expect: nothing
    """
    linux = sim.linux
    with driver(sim) as dev:
        entries = [ScatterEntry(linux.alloc_pages(1), SIZE) for _ in range(4)]
        linux.dma_map_sg(dev, entries, DMA_FROM_DEVICE)
        linux.dma_sync_sg_for_cpu(dev, entries, DMA_FROM_DEVICE)
        linux.dma_sync_sg_for_device(dev, entries, DMA_FROM_DEVICE)
        linux.dma_unmap_sg(dev, entries, DMA_FROM_DEVICE)
        buffer = linux.kmalloc(SIZE)
        address = linux.dma_map_single(dev, buffer, SIZE, DMA_BIDIRECTIONAL)
        linux.dma_sync_single_for_cpu(dev, address, SIZE, DMA_BIDIRECTIONAL)
        linux.dma_sync_single_for_device(dev, address, SIZE, DMA_BIDIRECTIONAL)
        linux.dma_unmap_single(dev, address, SIZE, DMA_BIDIRECTIONAL)


def unmapped_in_the_middle(sim: Simulation) -> None:
    """A driver unmaps by the address behind the header that it has skipped.

    Expect: unmap-inside-mapping
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        sim.linux.dma_unmap_single(dev, address + 64, SIZE - 64, DMA_FROM_DEVICE)


def half_of_the_list_synced(sim: Simulation) -> None:
    """A list of four entries is synced as one of two.

    Expect: sg-sync-count-mismatch
    """
    with driver(sim) as dev:
        entries = [ScatterEntry(sim.linux.alloc_pages(1), SIZE) for _ in range(4)]
        sim.linux.dma_map_sg(dev, entries, DMA_FROM_DEVICE)
        sim.linux.dma_sync_sg_for_cpu(dev, entries[:2], DMA_FROM_DEVICE)
        sim.linux.dma_unmap_sg(dev, entries, DMA_FROM_DEVICE)


def synced_by_other_device(sim: Simulation) -> None:
    """A mapping of one device is synced for another one.

    Behind an IOMMU the other one has addresses of its own, and nothing is mapped there.

    Expect: sync-by-other-device
    Expect on iommu, iommu-lazy, nested: sync-of-unmapped
    """
    with driver(sim) as dev, driver(sim, "0000:00:05.0") as other:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        sim.linux.dma_sync_single_for_cpu(other, address, SIZE, DMA_FROM_DEVICE)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)


def half_sync(sim: Simulation) -> None:
    """A mapping for both ways is synced one way, which matters where it is bounced.

    Expect: nothing
    Expect on driver-verifier, confidential-vm, mask-32: half-sync-of-bounced
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_BIDIRECTIONAL)
        dev.write(address, DATA)
        sim.linux.dma_sync_single_for_cpu(dev, address, SIZE, DMA_FROM_DEVICE)
        sim.expect(sim.cpu.read(buffer, SIZE), DATA)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_BIDIRECTIONAL)


def memory_as_registers(sim: Simulation) -> None:
    """A buffer is mapped as if it were another device's registers.

    Expect: resource-is-memory
    Expect on mask-32: nothing
    Outcome: fault on confidential-vm; refused on mask-32
    """
    with driver(sim) as dev:
        buffer = sim.linux.virt_to_phys(sim.linux.kmalloc(SIZE))
        address = sim.linux.dma_map_resource(dev, buffer, SIZE, DMA_TO_DEVICE)
        if not sim.linux.dma_mapping_error(dev, address):
            dev.read(address, SIZE)
            sim.linux.dma_unmap_resource(dev, address, SIZE, DMA_TO_DEVICE)
