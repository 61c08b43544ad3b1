"""Memory descriptor lists, and the memory manager's calls about them."""

from dataclasses import dataclass, field

from dmaverify.errors import SimError
from dmaverify.model.kinds import Arg, Direction, EventKind
from dmaverify.model.routines import CacheType as Cache
from dmaverify.model.routines import Routine
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
from dmaverify.sim.windows.pool import Pool

K = EventKind
_ACCESS = {
    LOCK_OPERATION.IoReadAccess: Direction.TO_DEVICE,
    LOCK_OPERATION.IoWriteAccess: Direction.FROM_DEVICE,
    LOCK_OPERATION.IoModifyAccess: Direction.BIDIRECTIONAL,
}


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

    @property
    def chain_length(self) -> int:
        """Return the bytes of the whole chain that begins here."""
        if self.Next is None:
            return self.length
        total = 0
        at: MDL | None = self
        seen: set[int] = set()
        while at is not None and id(at) not in seen:
            seen.add(id(at))
            total, at = total + at.length, at.Next
        return total


class MemoryManager(Pool):
    """The Mm and Ex calls.

    Args:
        machine: where it runs.
        injector: what decides which call fails.
    """

    def __init__(self, machine: Machine, injector: Injector) -> None:
        super().__init__(machine, injector)
        self._mdls = 0

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
        pages = ((VirtualAddress & (PAGE - 1)) + Length + PAGE - 1) // PAGE
        return self.new_mdl(VirtualAddress, Length, [0] * pages)

    def new_mdl(self, virt: int, length: int, pages: list[int]) -> MDL:
        """Return an MDL with a number of its own."""
        self._mdls += 1
        return MDL(self._mdls, virt, length, pages=pages)

    def IoFreeMdl(self, Mdl: MDL) -> None:
        """Give an MDL back. IRQL <= DISPATCH_LEVEL. Its system mapping goes with it.

        After its pages were unlocked, where they were locked. No result.
        Source: Windows driver documentation, IoFreeMdl.
        """
        self._unmap(Mdl)
        Mdl.MdlFlags = 0
        self._tell(K.MDL_FREE, Mdl)

    def MmBuildMdlForNonPagedPool(self, MemoryDescriptorList: MDL) -> None:
        """Fill the page array for memory that is never moved out. IRQL <= DISPATCH_LEVEL.

        Such an MDL must not be locked, unlocked, or mapped into system space.
        Source: Windows driver documentation, MmBuildMdlForNonPagedPool.
        """
        self._fill(MemoryDescriptorList)
        MemoryDescriptorList.MdlFlags |= MDL_SOURCE_IS_NONPAGED_POOL
        MemoryDescriptorList.system_va = MemoryDescriptorList.virt
        self._tell_lock(MemoryDescriptorList, Routine.MM_BUILD_MDL_FOR_NONPAGED_POOL,
                        Direction.BIDIRECTIONAL)  # fmt: skip

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
        self._tell_lock(mdl, Routine.MM_PROBE_AND_LOCK_PAGES,
                        _ACCESS.get(LOCK_OPERATION(Operation), Direction.BIDIRECTIONAL),
                        )  # fmt: skip

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
        self._tell(K.MDL_UNLOCK, mdl)

    def MmGetMdlVirtualAddress(self, Mdl: MDL) -> int:
        """Return the buffer's virtual address: an index for MapTransfer. Any IRQL.

        Source: Windows driver documentation, MmGetMdlVirtualAddress.
        """
        return Mdl.virt

    def MmGetMdlByteCount(self, Mdl: MDL) -> int:
        """Return the buffer's bytes. Any IRQL.

        Source: Windows driver documentation, MmGetMdlByteCount.
        """
        return Mdl.length

    def MmGetMdlPfnArray(self, Mdl: MDL) -> list[int]:
        """Return the page array itself. Any IRQL. Valid while the pages are locked.

        Source: Windows driver documentation, MmGetMdlPfnArray, "Remarks".
        """
        phys = [pfn << PAGE_SHIFT for pfn in Mdl.pages]
        self._m.tape.add(
            K.PHYS_QUERY, 0, phys_addr=phys[0] + Mdl.offset, length=Mdl.length, sg_phys=phys,
            virt_addr=Mdl.virt,
            args={Arg.ROUTINE: Routine.MM_GET_MDL_PFN_ARRAY, Arg.MDL: Mdl.number},
        )  # fmt: skip
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
        self._m.tape.add(
            K.MDL_MAP, 0, object=mdl.number, virt_addr=mdl.system_va, length=mdl.length,
            phys_addr=(mdl.pages[0] << PAGE_SHIFT) + mdl.offset,
            sg_phys=[pfn << PAGE_SHIFT for pfn in mdl.pages],
            args={Arg.ROUTINE: Routine.MM_MAP_LOCKED_PAGES_SPECIFY_CACHE,
                  Arg.CACHE: Cache(CacheType)},
        )  # fmt: skip
        return mdl.system_va

    def MmGetSystemAddressForMdlSafe(self, Mdl: MDL, Priority: int = 16) -> int:
        """Return a system address of the buffer, mapped now if it was not, 0 (NULL) for failure.

        IRQL <= DISPATCH_LEVEL; one task at a time. It ends with the lock, or with the MDL.
        Source: Windows driver documentation, MmGetSystemAddressForMdlSafe.
        """
        return Mdl.system_va or self.MmMapLockedPagesSpecifyCache(Mdl)

    def MmUnmapLockedPages(self, BaseAddress: int, MemoryDescriptorList: MDL) -> None:
        """End such a mapping, by its address. IRQL <= DISPATCH_LEVEL, for user space <= APC_LEVEL.

        Source: Windows driver documentation, MmUnmapLockedPages.
        """
        if MemoryDescriptorList.system_va == BaseAddress:
            self._unmap(MemoryDescriptorList)

    # Parts of the above

    def runs(self, mdl: MDL, offset: int, length: int) -> list[Run]:
        """Return the physical runs of a part of an MDL chain.

        A part that leaves its MDL is followed as far as the page frames of it go, as on a real
        machine: they are what a transfer is made of, and not the bytes that the MDL describes.

        Raises:
            SimError: the part is outside of the pages, or the pages are not known.
        """
        first, pages = mdl.offset + offset, mdl.pages
        if 0 < length <= mdl.length - offset and first >= 0 and first + length <= PAGE and pages[0]:
            return [((pages[0] << PAGE_SHIFT) + first, length)]  # most of them
        runs: list[Run] = []
        at = mdl
        while length > 0:
            if at.Next is not None and offset >= at.length:
                offset -= at.length
                at = at.Next
                continue
            count = length if at.Next is None else min(length, at.length - offset)
            self._add_runs(at, offset, count, runs)
            length -= count
            offset, at = 0, at.Next or at
        return runs

    def _add_runs(self, mdl: MDL, offset: int, length: int, runs: list[Run]) -> None:
        first, pages = mdl.offset + offset, mdl.pages
        while length > 0:
            if not 0 <= first >> PAGE_SHIFT < len(pages):
                raise SimError(f"{first - mdl.offset:#x} bytes from the start of an MDL of"
                               f" {mdl.length:#x} bytes there is no page of it")  # fmt: skip
            pfn = pages[first >> PAGE_SHIFT]
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

    def _tell(self, kind: EventKind, mdl: MDL) -> None:
        self._m.tape.add(kind, 0, object=mdl.number, virt_addr=mdl.virt, length=mdl.length)

    def _tell_lock(self, mdl: MDL, routine: Routine, access: Direction) -> None:
        self._m.tape.add(
            K.MDL_LOCK, 0, object=mdl.number, virt_addr=mdl.virt, length=mdl.length,
            direction=access, phys_addr=(mdl.pages[0] << PAGE_SHIFT) + mdl.offset,
            sg_phys=[pfn << PAGE_SHIFT for pfn in mdl.pages], args={Arg.ROUTINE: routine},
        )  # fmt: skip

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
            self._m.tape.add(K.MDL_UNMAP, 0, object=mdl.number, virt_addr=mdl.system_va,
                             length=mdl.length)  # fmt: skip
            self._m.space.unmap(mdl.system_va, len(mdl.pages))
            mdl.MdlFlags &= ~MDL_MAPPED_TO_SYSTEM_VA
            mdl.system_va = 0
