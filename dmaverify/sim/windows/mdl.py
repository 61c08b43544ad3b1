"""Memory descriptor lists, and the memory manager's calls about them."""

from dataclasses import dataclass, field

from dmaverify.errors import SimError
from dmaverify.model.kinds import MemoryKind
from dmaverify.sim.faults import Injector
from dmaverify.sim.machine import Machine
from dmaverify.sim.memory import PAGE, PAGE_SHIFT, Region, Run
from dmaverify.sim.windows.names import (
    KPROCESSOR_MODE,
    LOCK_OPERATION,
    MDL_MAPPED_TO_SYSTEM_VA,
    MDL_PAGES_LOCKED,
    MDL_SOURCE_IS_NONPAGED_POOL,
    MEMORY_CACHING_TYPE,
)


class AccessViolation(Exception):
    """What MmProbeAndLockPages raises; a driver calls it inside of try/except."""


@dataclass(slots=True, eq=False)
class MDL:
    """A description of a buffer by its pages.

    Args:
        number: its number in the run, from 1.
        virt: virtual address of the buffer: an index, not for access.
        length: bytes.
        MdlFlags, Next: what a driver may touch.
        pages: page frames; of meaning only while locked.
        system_va: where it is mapped into system space, 0 for nowhere.
        regions: the memory that is locked by it.
    """

    number: int
    virt: int
    length: int
    MdlFlags: int = 0
    Next: "MDL | None" = None
    pages: list[int] = field(default_factory=list)
    system_va: int = 0
    regions: list[Region] = field(default_factory=list)

    @property
    def offset(self) -> int:
        """Return the bytes of the first page before the buffer."""
        return self.virt & (PAGE - 1)


class MemoryManager:
    """The Mm and Ex calls.

    Args:
        machine: where it runs.
        injector: what decides which call fails.
    """

    def __init__(self, machine: Machine, injector: Injector) -> None:
        self._m, self._inject = machine, injector
        self._mdls = 0
        self._secured: dict[int, int] = {}

    # Memory

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
            region = space.small(NumberOfBytes, MemoryKind.KMALLOC)
        else:
            region = space.scattered(NumberOfBytes, MemoryKind.KMALLOC, pageable=paged)
        self._m.tell_memory(region)
        return region.virt

    def ExFreePool(self, P: int) -> None:
        """Give pool memory back."""
        region = self._m.space.regions.get(P)
        if region is None:
            raise SimError(f"ExFreePool of {P:#x}, which nothing was allocated at")
        self._m.space.free(region)

    def user_memory(self, length: int, offset: int = 0) -> int:
        """Return the address of a buffer of an application: pageable, in scattered pages."""
        region = self._m.space.scattered(length, MemoryKind.PAGES, pageable=True, offset=offset)
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
        """Give such memory back. IRQL <= DISPATCH_LEVEL."""
        self.ExFreePool(BaseAddress)

    def MmGetPhysicalAddress(self, BaseAddress: int) -> int:
        """Return the physical address behind a virtual one, 0 for none. Any IRQL.

        It is not an address for a device.
        Source: Windows driver documentation, MmGetPhysicalAddress, "Remarks".
        """
        runs = self._m.space.runs(BaseAddress, 1)
        return runs[0][0] if runs else 0

    # MDLs

    def IoAllocateMdl(self, VirtualAddress: int, Length: int) -> MDL | None:
        """Return an MDL for a buffer, None (NULL) where there is none. IRQL <= DISPATCH_LEVEL.

        Its page array has no meaning before the pages are locked.
        Source: Windows driver documentation, IoAllocateMdl.
        """
        if Length <= 0:
            raise SimError(f"an MDL of {Length} bytes: the I/O manager makes none for no bytes")
        if self._inject.fails("IoAllocateMdl"):
            return None
        self._mdls += 1
        pages = ((VirtualAddress & (PAGE - 1)) + Length + PAGE - 1) // PAGE
        return MDL(self._mdls, VirtualAddress, Length, pages=[0] * pages)

    def IoFreeMdl(self, Mdl: MDL) -> None:
        """Give an MDL back. IRQL <= DISPATCH_LEVEL. Its system mapping goes with it."""
        self._unmap(Mdl)
        Mdl.MdlFlags = 0

    def MmBuildMdlForNonPagedPool(self, MemoryDescriptorList: MDL) -> None:
        """Fill the page array for memory that is never moved out. IRQL <= DISPATCH_LEVEL.

        Such an MDL must not be locked, unlocked, or mapped into system space.
        Source: Windows driver documentation, MmBuildMdlForNonPagedPool.
        """
        self._fill(MemoryDescriptorList)
        MemoryDescriptorList.MdlFlags |= MDL_SOURCE_IS_NONPAGED_POOL
        MemoryDescriptorList.system_va = MemoryDescriptorList.virt

    def MmProbeAndLockPages(self, MemoryDescriptorList: MDL, AccessMode: int = 0,
                            Operation: int = LOCK_OPERATION.IoModifyAccess) -> None:  # fmt: skip
        """Make the pages resident and hold them there. IRQL <= APC_LEVEL for pageable memory.

        One MmUnlockPages is owed for it.
        Source: Windows driver documentation, MmProbeAndLockPages.

        Raises:
            AccessViolation: there is no such memory; a driver has to expect it.
        """
        mdl = MemoryDescriptorList
        if self._inject.fails("MmProbeAndLockPages"):
            raise AccessViolation("MmProbeAndLockPages was made to fail")
        if self._m.space.runs(mdl.virt, mdl.length) is None:
            raise AccessViolation(f"there is no memory at {mdl.virt:#x}")
        self._fill(mdl)
        mdl.MdlFlags |= MDL_PAGES_LOCKED
        found = {id(r): r for pfn in mdl.pages if (r := self._owner(pfn)) is not None}
        mdl.regions = list(found.values())
        for region in mdl.regions:
            region.locks += 1

    def MmUnlockPages(self, MemoryDescriptorList: MDL) -> None:
        """Let the pages go; the system mapping ends first. IRQL <= DISPATCH_LEVEL.

        Source: Windows driver documentation, MmUnlockPages.
        """
        mdl = MemoryDescriptorList
        self._unmap(mdl)
        mdl.MdlFlags &= ~MDL_PAGES_LOCKED
        for region in mdl.regions:
            region.locks -= 1
        mdl.regions = []

    def MmGetMdlVirtualAddress(self, Mdl: MDL) -> int:
        """Return the buffer's virtual address: an index for MapTransfer. Any IRQL."""
        return Mdl.virt

    def MmGetMdlByteCount(self, Mdl: MDL) -> int:
        """Return the buffer's bytes. Any IRQL."""
        return Mdl.length

    def MmGetMdlPfnArray(self, Mdl: MDL) -> list[int]:
        """Return the page array itself. Any IRQL. Valid while the pages are locked.

        Source: Windows driver documentation, MmGetMdlPfnArray, "Remarks".
        """
        return Mdl.pages

    def MmMapLockedPagesSpecifyCache(
        self, MemoryDescriptorList: MDL, AccessMode: int = KPROCESSOR_MODE.KernelMode,
        CacheType: int = MEMORY_CACHING_TYPE.MmCached, RequestedAddress: int = 0,
        BugCheckOnFailure: bool = False, Priority: int = 16,
    ) -> int:  # fmt: skip
        """Return where the pages of an MDL are mapped once more, 0 (NULL) where they can not be.

        IRQL <= DISPATCH_LEVEL, for user space <= APC_LEVEL. Documented: the memory's own cache
        type mostly wins over the one asked for. This machine takes what is asked for, so that
        two types for one page show what they do where caches are not coherent.
        Source: Windows driver documentation, MmMapLockedPagesSpecifyCache.
        """
        mdl = MemoryDescriptorList
        if self._inject.fails("MmMapLockedPagesSpecifyCache"):
            return 0
        if not mdl.pages or 0 in mdl.pages:
            raise SimError("an MDL is mapped whose pages are not known: lock or build it first")
        cached = self._m.platform.coherent or CacheType == MEMORY_CACHING_TYPE.MmCached
        virt = self._m.space.new_virt(len(mdl.pages))
        self._m.space.map(virt, mdl.pages, cached)
        mdl.system_va = virt + mdl.offset
        mdl.MdlFlags |= MDL_MAPPED_TO_SYSTEM_VA
        return mdl.system_va

    def MmGetSystemAddressForMdlSafe(self, Mdl: MDL, Priority: int = 16) -> int:
        """Return a system address of the buffer, mapped now if it was not. IRQL <= DISPATCH."""
        return Mdl.system_va or self.MmMapLockedPagesSpecifyCache(Mdl)

    def MmUnmapLockedPages(self, BaseAddress: int, MemoryDescriptorList: MDL) -> None:
        """End such a mapping. IRQL <= DISPATCH_LEVEL, for user space <= APC_LEVEL."""
        if MemoryDescriptorList.system_va == BaseAddress:
            self._unmap(MemoryDescriptorList)

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
        """End it. IRQL PASSIVE_LEVEL."""
        if SecureHandle not in self._secured:
            raise SimError(f"{SecureHandle} is no handle of MmSecureVirtualMemory")
        self._secured[SecureHandle] = 0

    # Parts of the above

    def runs(self, mdl: MDL, offset: int, length: int) -> list[Run]:
        """Return the physical runs of a part of an MDL chain.

        Raises:
            SimError: the part is not in the chain, or the pages are not known.
        """
        runs: list[Run] = []
        at: MDL | None = mdl
        while at is not None and length > 0:
            if offset >= at.length:
                offset -= at.length
                at = at.Next
                continue
            count = min(length, at.length - offset)
            self._add_runs(at, offset, count, runs)
            length -= count
            offset, at = 0, at.Next
        return runs

    def _add_runs(self, mdl: MDL, offset: int, length: int, runs: list[Run]) -> None:
        first = mdl.offset + offset
        while length > 0:
            pfn = mdl.pages[first >> PAGE_SHIFT]
            if pfn == 0:
                raise SimError("an MDL is used whose pages are not known: lock or build it first")
            count = min(length, PAGE - (first & (PAGE - 1)))
            phys = (pfn << PAGE_SHIFT) | first & (PAGE - 1)
            if runs and sum(runs[-1]) == phys:
                runs[-1] = runs[-1][0], runs[-1][1] + count
            else:
                runs.append((phys, count))
            first += count
            length -= count

    def _fill(self, mdl: MDL) -> None:
        table, first = self._m.space.table, mdl.virt >> PAGE_SHIFT
        for i in range(len(mdl.pages)):
            pfn = table.get(first + i)
            if pfn is None:
                raise SimError(f"an MDL is built over {mdl.virt:#x}, where there is no memory")
            mdl.pages[i] = pfn

    def _owner(self, pfn: int) -> Region | None:
        owner = self._m.space.owners.get(pfn)
        return owner if isinstance(owner, Region) else None

    def _unmap(self, mdl: MDL) -> None:
        if mdl.MdlFlags & MDL_MAPPED_TO_SYSTEM_VA:
            self._m.space.unmap(mdl.system_va, len(mdl.pages))
            mdl.MdlFlags &= ~MDL_MAPPED_TO_SYSTEM_VA
            mdl.system_va = 0
