"""Where Linux drivers get memory from."""

from dmaverify.errors import SimError
from dmaverify.model.kinds import MemoryKind
from dmaverify.sim.faults import Injector
from dmaverify.sim.machine import Machine
from dmaverify.sim.memory import DIRECT, PAGE, Region


class LinuxMemory:
    """The kernel's allocators.

    Args:
        machine: where it runs.
        injector: what decides which call fails.
    """

    def __init__(self, machine: Machine, injector: Injector) -> None:
        self._m = machine
        self._inject = injector

    def kmalloc(self, size: int) -> int:
        """Return the address of `size` bytes of kernel memory, 0 (NULL) where there is none.

        May be called anywhere; the caller owns it until `kfree`.
        """
        check_length(size)
        if self._inject.fails("kmalloc"):
            return 0
        return self._new(self._m.space.small(size, MemoryKind.KMALLOC))

    def kfree(self, virt: int) -> None:
        """Give memory of `kmalloc`, `alloc_pages` or `vmalloc` back; NULL is nothing."""
        region = self._m.space.regions.get(virt)
        if region is not None:
            self._m.free_memory(region)
        elif virt:
            raise SimError(f"kfree of {virt:#x}, which nothing was allocated at")

    def alloc_pages(self, count: int) -> int:
        """Return the address of whole pages that follow each other, 0 where there are none."""
        check_length(count)
        if self._inject.fails("alloc_pages"):
            return 0
        return self._new(self._m.space.pages(count * PAGE, MemoryKind.PAGES))

    def vmalloc(self, size: int) -> int:
        """Return the address of memory whose pages do not follow each other."""
        check_length(size)
        if self._inject.fails("vmalloc"):
            return 0
        return self._new(self._m.space.scattered(size, MemoryKind.VMALLOC))

    def virt_to_phys(self, virt: int) -> int:
        """Return the physical address of memory of `kmalloc` or `alloc_pages`.

        It is not an address for a device.
        Source: Linux Documentation/core-api/dma-api-howto.rst, "CPU and DMA addresses".
        """
        return virt - DIRECT

    def stack(self, size: int) -> int:
        """Return the address of a variable on the task's stack."""
        check_length(size)
        return self._new(self._m.space.small(size, MemoryKind.STACK))

    def _new(self, region: Region) -> int:
        self._m.tell_memory(region)
        return region.virt


def check_length(size: int) -> None:
    """Look whether a length is one.

    Raises:
        SimError: it is not positive.
    """
    if size <= 0:
        raise SimError(f"memory of {size} bytes is asked for")
