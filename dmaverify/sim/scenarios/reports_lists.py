"""Reported bugs: scatter lists that end with other entries, or have longer ones, than they may."""

from dmaverify.sim.device import Device
from dmaverify.sim.linux import DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_TO_DEVICE, ScatterEntry
from dmaverify.sim.memory import PAGE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import driver


def _pages(sim: Simulation, count: int, size: int = PAGE) -> list[ScatterEntry]:
    return [ScatterEntry(sim.linux.alloc_pages(size // PAGE), size) for _ in range(count)]


def _frwr(sim: Simulation, dev: Device, count_passed: bool) -> None:
    """Map a chunk for one RPC, let the server read it, unmap it: frwr_map(), frwr_release()."""
    mr_sg = _pages(sim, 4)
    mapped = sim.linux.dma_map_sg(dev, mr_sg, DMA_TO_DEVICE)
    mr_nents = len(mr_sg) if count_passed else mapped
    for entry in mr_sg[:mapped]:
        dev.read(entry.dma_address, entry.dma_length)
    sim.linux.dma_unmap_sg(dev, mr_sg[:mr_nents], DMA_TO_DEVICE)


def xprtrdma_unmap_count(sim: Simulation) -> None:
    """NFS over RDMA keeps the count that the mapping returned, and unmaps with it.

    Where an IOMMU joins pages that count is the smaller one, and the rest of the list stays
    mapped.

    Class: MAP
    Report: https://lore.kernel.org/linux-rdma/158152394998.433502.5623790463334839091.stgit@morisot.1015granger.net/
    Expect: nothing
    Expect on iommu, iommu-lazy, nested: sg-entry-count-mismatch
    """
    with driver(sim) as dev:
        _frwr(sim, dev, count_passed=False)


def xprtrdma_unmap_count_fixed(sim: Simulation) -> None:
    """The same with the number of entries that was passed to the mapping.

    Expect: nothing
    """
    with driver(sim) as dev:
        _frwr(sim, dev, count_passed=True)


def _erdma_mtt(sim: Simulation, dev: Device, count_passed: bool) -> None:
    """Map the pages that hold a translation table and unmap them: erdma_create_scatter_mtt()."""
    sglist = _pages(sim, 8)
    nsg = sim.linux.dma_map_sg(dev, sglist, DMA_TO_DEVICE)
    table = sum(entry.dma_length for entry in sglist)
    assert table == 8 * PAGE
    sim.linux.dma_unmap_sg(dev, sglist if count_passed else sglist[:nsg], DMA_TO_DEVICE)


def erdma_unmap_count(sim: Simulation) -> None:
    """The pages of a translation table are unmapped by the count that the mapping returned.

    Class: MAP
    Report: https://lore.kernel.org/linux-rdma/20250630092346.81017-2-fourier.thomas@gmail.com/
    Expect: nothing
    Expect on iommu, iommu-lazy, nested: sg-entry-count-mismatch
    """
    with driver(sim) as dev:
        _erdma_mtt(sim, dev, count_passed=False)


def erdma_unmap_count_fixed(sim: Simulation) -> None:
    """The same by the count that was passed.

    Expect: nothing
    """
    with driver(sim) as dev:
        _erdma_mtt(sim, dev, count_passed=True)


def _srp_read(sim: Simulation, dev: Device) -> None:
    """Read a disk's blocks into pages that the block layer has put together as it was told."""
    entry = ScatterEntry(sim.linux.alloc_pages(32), 32 * PAGE)
    sim.linux.dma_map_sg(dev, [entry], DMA_FROM_DEVICE)
    dev.write(entry.dma_address, b"block".ljust(512, b"."))
    sim.linux.dma_unmap_sg(dev, [entry], DMA_FROM_DEVICE)
    sim.cpu.read(entry.virt, 512)


def srp_segment_size(sim: Simulation) -> None:
    """SRP lets the block layer make segments of 128 KiB; the HCA's driver never said it takes them.

    With nothing said, a device takes 64 KiB.

    Class: MAP
    Report: https://lore.kernel.org/linux-rdma/20191025225830.257535-2-bvanassche@acm.org/
    Expect: sg-segment-too-long
    """
    with driver(sim) as dev:
        sim.linux.dma_set_max_seg_size(dev, 64 << 10)  # what a new device has
        _srp_read(sim, dev)


def srp_segment_size_fixed(sim: Simulation) -> None:
    """The HCA's driver says that a segment may have 2 GiB.

    Expect: nothing
    """
    with driver(sim) as dev:
        sim.linux.dma_set_max_seg_size(dev, (2 << 30) - 1)
        _srp_read(sim, dev)


def uverbs_page_registered_often(sim: Simulation) -> None:
    """A program registers the same pages nine times, and the kernel's checker warns of it.

    The maintainers took that for a false alarm: user memory is registered as often as the
    program likes, and it is the program that knows who writes what. So it stays quiet here.

    Class: SYNC
    Report: https://lore.kernel.org/linux-rdma/526c5b18-5853-c8dc-e112-31287a46e707@amazon.com/
    Expect: nothing
    """
    with driver(sim) as dev:
        memory = sim.linux.alloc_pages(2)
        regions = []
        for _ in range(9):
            umem = [ScatterEntry(memory, 2 * PAGE)]
            sim.linux.dma_map_sg(dev, umem, DMA_BIDIRECTIONAL)
            regions.append(umem)
        for umem in regions:
            sim.linux.dma_unmap_sg(dev, umem, DMA_BIDIRECTIONAL)
        sim.linux.kfree(memory)
