"""Linux drivers that change translations beside the DMA API."""

from dmaverify.sim.iommu import Domain
from dmaverify.sim.linux import DMA_FROM_DEVICE
from dmaverify.sim.linux_iommu import IOMMU_READ, IOMMU_WRITE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import SIZE, driver

PAGE = 4096
OWN = 0x1000_0000  # bus addresses that the DMA API does not give out


def good(sim: Simulation) -> None:
    """A driver has a page of its own translated, and takes that away again.

    Expect: nothing
    """
    _own_page(sim, PAGE)


def unmapped_too_much(sim: Simulation) -> None:
    """A driver takes two pages away where it had translated one.

    Expect: nothing
    Expect on iommu, iommu-lazy, nested: iommu-unmap-short
    """
    _own_page(sim, 2 * PAGE)


def _own_page(sim: Simulation, size: int) -> None:
    linux = sim.linux
    with driver(sim) as dev:
        domain, page = linux.iommu_get_domain_for_dev(dev), linux.alloc_pages(1)
        if domain is not None:
            linux.iommu_map(domain, OWN, linux.virt_to_phys(page), PAGE, IOMMU_READ | IOMMU_WRITE)
            linux.iommu_unmap(domain, OWN, size)
        linux.kfree(page)


def synced_without_translation(sim: Simulation) -> None:
    """A driver stops its device by its translation, and takes a sync meanwhile.

    Expect: nothing
    Expect on iommu, iommu-lazy, nested: mapping-without-translation
    """
    _stopped(sim, sync_first=False)


def synced_before(sim: Simulation) -> None:
    """A driver syncs, and then stops its device by its translation for a while.

    Expect: nothing
    """
    _stopped(sim, sync_first=True)


def _stopped(sim: Simulation, sync_first: bool) -> None:
    """Take the translation of a live mapping away and give it back."""
    linux = sim.linux
    with driver(sim) as dev:
        page = linux.alloc_pages(1)
        address = linux.dma_map_single(dev, page, SIZE, DMA_FROM_DEVICE)
        dev.write(address, b"x" * SIZE)
        domain = linux.iommu_get_domain_for_dev(dev)
        if sync_first:
            linux.dma_sync_single_for_cpu(dev, address, SIZE, DMA_FROM_DEVICE)
        frame = _take(sim, domain, address)
        if not sync_first:
            linux.dma_sync_single_for_cpu(dev, address, SIZE, DMA_FROM_DEVICE)
        if domain is not None:
            linux.iommu_map(domain, address & -PAGE, frame, PAGE, IOMMU_WRITE)
        linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
        linux.kfree(page)


def _take(sim: Simulation, domain: Domain | None, address: int) -> int:
    """Take the translation of a page away, and return what it led to."""
    if domain is None:
        return 0
    frame = sim.linux.iommu_iova_to_phys(domain, address & -PAGE)
    sim.linux.iommu_unmap(domain, address & -PAGE, PAGE)
    return frame
