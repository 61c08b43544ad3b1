"""Linux' IOMMU API over the simulated machine: translations beside those of the DMA API.

Source: Linux include/linux/iommu.h; drivers/iommu/iommu.c, iommu_map() and iommu_unmap().
"""

from dmaverify.errors import SimError
from dmaverify.model.kinds import EventKind
from dmaverify.sim.device import Device
from dmaverify.sim.iommu import Domain
from dmaverify.sim.linux_memory import LinuxMemory
from dmaverify.sim.memory import PAGE, PAGE_SHIFT

K = EventKind

IOMMU_READ, IOMMU_WRITE = 1, 2


class LinuxIommu(LinuxMemory):
    """What a driver can do to the domain of its device."""

    def iommu_get_domain_for_dev(self, dev: Device) -> Domain | None:
        """Return the domain of a device, None where nothing translates. Any context.

        Its addresses are the DMA API's: a driver that changes them itself works behind its back.
        """
        return self._m.bus.domain_of(dev.number)

    def iommu_iova_to_phys(self, domain: Domain, iova: int) -> int:
        """Return the physical address that a bus address is translated to, 0 for none."""
        entry = domain.pages.get(iova >> PAGE_SHIFT)
        return 0 if entry is None else (entry[0] << PAGE_SHIFT) | iova & (PAGE - 1)

    def iommu_map(self, domain: Domain, iova: int, paddr: int, size: int, prot: int) -> int:
        """Translate a range to memory that follows itself; return 0. May sleep.

        Nobody looks whether the DMA API has the addresses. They are translated until
        `iommu_unmap`.

        Args:
            domain: what `iommu_get_domain_for_dev` gave.
            iova: first bus address, at a page boundary.
            paddr: first physical address, at a page boundary.
            size: bytes, whole pages.
            prot: IOMMU_READ, IOMMU_WRITE, or both.
        """
        first, count = _pages(iova, size)
        pfn = paddr >> PAGE_SHIFT
        domain.map(first, list(range(pfn, pfn + count)),
                   bool(prot & IOMMU_READ), bool(prot & IOMMU_WRITE))  # fmt: skip
        self._m.tape.add(K.IOMMU_MAP, bus_addr=iova, phys_addr=paddr, length=size)
        return 0

    def iommu_unmap(self, domain: Domain, iova: int, size: int) -> int:
        """Take the translation of a range away, and return how many bytes of it there were.

        Any context. It ends at the first page that was not translated: fewer bytes than `size`
        are a failure. At once, and no mapping of the DMA API ends by it.
        """
        first, count = _pages(iova, size)
        found = domain.cut(first, count) << PAGE_SHIFT
        self._m.tape.add(K.IOMMU_UNMAP, bus_addr=iova, length=size, phys_addr=found)
        return found


def _pages(iova: int, size: int) -> tuple[int, int]:
    """Return (first page, pages) of a range of whole pages.

    Raises:
        SimError: it is none.
    """
    if size <= 0 or (iova | size) & (PAGE - 1):
        raise SimError(f"{size} bytes at {iova:#x} are no whole pages")
    return iova >> PAGE_SHIFT, size >> PAGE_SHIFT
