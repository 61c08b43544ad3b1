"""Where Windows drivers get memory from, and what they can ask about it."""

from dmaverify.errors import SimError
from dmaverify.model.kinds import Arg, EventKind, MemoryKind
from dmaverify.model.routines import Routine
from dmaverify.sim.faults import Injector
from dmaverify.sim.machine import Machine
from dmaverify.sim.memory import PAGE
from dmaverify.sim.windows.names import MEMORY_CACHING_TYPE

K = EventKind


class Pool:
    """Pool, contiguous memory, and memory of applications.

    Args:
        machine: where it runs.
        injector: what decides which call fails.
    """

    def __init__(self, machine: Machine, injector: Injector) -> None:
        self._m, self._inject = machine, injector
        self._secured: dict[int, int] = {}

    def ExAllocatePool2(self, NumberOfBytes: int, *, paged: bool = False) -> int:
        """Return the address of pool memory, 0 (NULL) where there is none.

        IRQL <= DISPATCH_LEVEL, for paged pool <= APC_LEVEL. Pages of an allocation do not
        follow each other in physical memory. Owned by the caller until `ExFreePool`.
        Source: Windows driver documentation, ExAllocatePool2.
        """
        if NumberOfBytes <= 0:
            raise SimError(f"pool of {NumberOfBytes} bytes is asked for")
        if self._inject.fails("ExAllocatePool2"):
            return 0
        space = self._m.space
        if NumberOfBytes < PAGE and not paged:
            region = space.small(NumberOfBytes, MemoryKind.NONPAGED_POOL)
        else:
            kind = MemoryKind.PAGED_POOL if paged else MemoryKind.NONPAGED_POOL
            region = space.scattered(NumberOfBytes, kind, pageable=paged)
        self._m.tell_memory(region)
        return region.virt

    def ExFreePool(self, P: int) -> None:
        """Give pool memory back, by the address that it began at. No result.

        IRQL <= DISPATCH_LEVEL, for paged pool <= APC_LEVEL. Not while a device has it mapped.
        Source: Windows driver documentation, ExFreePool.

        Raises:
            SimError: nothing was allocated there: on a real machine the system stops here.
        """
        region = self._m.space.regions.get(P)
        if region is None:
            raise SimError(f"ExFreePool of {P:#x}, which nothing was allocated at")
        self._m.free_memory(region)

    def user_memory(self, length: int, offset: int = 0) -> int:
        """Return the address of a buffer of an application: pageable, in scattered pages."""
        region = self._m.space.scattered(length, MemoryKind.USER, pageable=True, offset=offset)
        self._m.tell_memory(region)
        return region.virt

    def MmAllocateContiguousMemorySpecifyCache(
        self, NumberOfBytes: int, Highest: int = (1 << 64) - 1,
        CacheType: int = MEMORY_CACHING_TYPE.MmCached,
    ) -> int:  # fmt: skip
        """Return memory whose pages follow each other, 0 (NULL) where there is none.

        IRQL <= DISPATCH_LEVEL. No device may be given its physical address for that.
        Source: Windows driver documentation, MmAllocateContiguousMemorySpecifyCache.
        """
        if self._inject.fails("MmAllocateContiguousMemorySpecifyCache"):
            return 0
        region = self._m.space.pages(
            NumberOfBytes, MemoryKind.PAGES, low=Highest < 1 << 36,
            cached=self._m.platform.coherent or CacheType == MEMORY_CACHING_TYPE.MmCached,
        )  # fmt: skip
        self._m.tell_memory(region)
        return region.virt

    def MmFreeContiguousMemory(self, BaseAddress: int) -> None:
        """Give such memory back, by the address that it began at. IRQL <= DISPATCH_LEVEL.

        Source: Windows driver documentation, MmFreeContiguousMemory.
        """
        self.ExFreePool(BaseAddress)

    def MmGetPhysicalAddress(self, BaseAddress: int) -> int:
        """Return the physical address behind a virtual one, 0 for none. Any IRQL.

        It is not an address for a device.
        Source: Windows driver documentation, MmGetPhysicalAddress, "Remarks".
        """
        runs = self._m.space.runs(BaseAddress, 1)
        if not runs:
            return 0
        self._m.tape.add(
            K.PHYS_QUERY, 0, phys_addr=runs[0][0], length=PAGE - (BaseAddress & (PAGE - 1)),
            virt_addr=BaseAddress, args={Arg.ROUTINE: Routine.MM_GET_PHYSICAL_ADDRESS},
        )  # fmt: skip
        return runs[0][0]

    def MmSecureVirtualMemory(self, Address: int, Size: int, ProbeMode: int = 0) -> int:
        """Return a handle that keeps an application's range from being freed, 0 for failure.

        IRQL PASSIVE_LEVEL, in the application's context.
        Source: Windows driver documentation, MmSecureVirtualMemory.
        """
        if self._inject.fails("MmSecureVirtualMemory"):
            return 0
        self._secured[len(self._secured) + 1] = Address
        return len(self._secured)

    def MmUnsecureVirtualMemory(self, SecureHandle: int) -> None:
        """End it, in the application's context. IRQL PASSIVE_LEVEL.

        Source: Windows driver documentation, MmUnsecureVirtualMemory.

        Raises:
            SimError: there is no such handle.
        """
        if SecureHandle not in self._secured:
            raise SimError(f"{SecureHandle} is no handle of MmSecureVirtualMemory")
        self._secured[SecureHandle] = 0
