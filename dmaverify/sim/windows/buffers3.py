"""Common buffers of version 3: bounds, vectors, existing memory, domains.

Source for all of it: Windows driver documentation, DMA_OPERATIONS and the page of each routine.
"""

from dataclasses import dataclass, field

from dmaverify.model.kinds import Arg, Direction, EventKind, Flag, MapType
from dmaverify.sim.iommu import Domain
from dmaverify.sim.memory import PAGE
from dmaverify.sim.windows.adapter import DMA_ADAPTER
from dmaverify.sim.windows.base import ALL_ONES, Pairs
from dmaverify.sim.windows.mdl import MDL
from dmaverify.sim.windows.names import (
    MEMORY_CACHING_TYPE,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED,
    STATUS_SUCCESS,
)
from dmaverify.sim.windows.operations import DmaOperations

K = EventKind


@dataclass(slots=True, eq=False)
class COMMON_BUFFER_VECTOR:
    """Common buffers of one size.

    Args:
        number: its number in the run, from 1.
        size: bytes of each.
        buffers: (virtual, logical) address of each.
        freed: indices of those that were freed.
    """

    number: int
    size: int
    buffers: list[tuple[int, int]] = field(default_factory=list)
    freed: set[int] = field(default_factory=set)


def _named(vector: COMMON_BUFFER_VECTOR, index: int | None = None) -> Pairs:
    """Return the named numbers of a call about a vector; an index before it is near the top."""
    named = ((int(Arg.VECTOR), vector.number), (int(Arg.ELEMENTS), len(vector.buffers)))
    return named if index is None else ((int(Arg.INDEX), index & ALL_ONES), *named)


class CommonBuffers3(DmaOperations):
    """What version 3 adds about memory that CPU and device share."""

    def AllocateCommonBufferEx(self, DmaAdapter: DMA_ADAPTER | None,
                               MaximumAddress: int | None, Length: int,
                               CacheEnabled: bool = False,
                               PreferredNode: int = 0) -> tuple[int, int]:  # fmt: skip
        """Return (VirtualAddress, LogicalAddress) below a highest address, (0, 0) for none.

        IRQL PASSIVE_LEVEL. The cache type is the one asked for. The driver owns it until
        FreeCommonBuffer.
        """
        adapter = self._enter("AllocateCommonBufferEx", DmaAdapter, Length, length=Length)
        highest = ALL_ONES if MaximumAddress is None else MaximumAddress
        return self._allocate(adapter, Length, highest, CacheEnabled)

    def AllocateCommonBufferWithBounds(
        self, DmaAdapter: DMA_ADAPTER | None, MinimumAddress: int | None,
        MaximumAddress: int | None, Length: int, Flags: int = 0, CacheType: int | None = None,
        PreferredNode: int = 0,
    ) -> tuple[int, int]:  # fmt: skip
        """Return (VirtualAddress, LogicalAddress) within bounds, (0, 0) for none.

        IRQL PASSIVE_LEVEL. The cache type is MmCached or MmNonCached. The driver owns it until
        FreeCommonBuffer.
        """
        adapter = self._enter("AllocateCommonBufferWithBounds", DmaAdapter, Length, length=Length)
        highest = ALL_ONES if MaximumAddress is None else MaximumAddress
        cached = None if CacheType is None else CacheType == MEMORY_CACHING_TYPE.MmCached
        virt, logical = self._allocate(adapter, Length, highest, cached)
        if virt and MinimumAddress is not None and logical < MinimumAddress:
            self._free(adapter, Length, logical, virt, cached)
            return 0, 0
        return virt, logical

    def AllocateCommonBufferVector(
        self, DmaAdapter: DMA_ADAPTER | None, LowAddress: int, HighAddress: int, CacheType: int,
        IdealNode: int, Flags: int, NumberOfElements: int, SizeOfElements: int,
    ) -> tuple[int, COMMON_BUFFER_VECTOR | None]:  # fmt: skip
        """Return (status, common buffers of one size). Its IRQL is not documented.

        STATUS_INSUFFICIENT_RESOURCES, and then none is left allocated; STATUS_INVALID_PARAMETER
        for no elements. The driver owns the elements until FreeCommonBufferFromVector, and the
        vector until FreeCommonBufferVector.
        """
        adapter = self._enter("AllocateCommonBufferVector", DmaAdapter, NumberOfElements,
                              SizeOfElements, length=SizeOfElements)  # fmt: skip
        if NumberOfElements <= 0:
            return STATUS_INVALID_PARAMETER, None
        self._s.vectors += 1
        vector = COMMON_BUFFER_VECTOR(self._s.vectors, SizeOfElements)
        for index in range(NumberOfElements):
            virt, logical = self._allocate(adapter, SizeOfElements, HighAddress or ALL_ONES, None,
                                           (vector.number, index))  # fmt: skip
            if not virt:
                for made in range(index):
                    self._free_element(adapter, vector, made)
                return STATUS_INSUFFICIENT_RESOURCES, None
            vector.buffers.append((virt, logical))
        return STATUS_SUCCESS, vector

    def GetCommonBufferFromVectorByIndex(self, DmaAdapter: DMA_ADAPTER | None,
                                         Vector: COMMON_BUFFER_VECTOR,
                                         Index: int) -> tuple[int, int]:  # fmt: skip
        """Return (VirtualAddress, LogicalAddress) of an element, whose index is in range.

        Its IRQL is not documented. (0, 0) behind the last one; of a freed one what it had.
        """
        self._enter("GetCommonBufferFromVectorByIndex", DmaAdapter, Index,
                    vector=_named(Vector, Index))  # fmt: skip
        return Vector.buffers[Index] if 0 <= Index < len(Vector.buffers) else (0, 0)

    def FreeCommonBufferFromVector(self, DmaAdapter: DMA_ADAPTER | None,
                                   Vector: COMMON_BUFFER_VECTOR, Index: int) -> None:  # fmt: skip
        """Free one element, whose index is in range and was not freed before. No result.

        Its IRQL is not documented. A call for one that is not there does nothing here; a real
        machine stops.
        """
        adapter = self._enter("FreeCommonBufferFromVector", DmaAdapter, Index,
                              vector=_named(Vector, Index))  # fmt: skip
        if 0 <= Index < len(Vector.buffers) and Index not in Vector.freed:
            self._free_element(adapter, Vector, Index)

    def _free_element(self, adapter: DMA_ADAPTER, vector: COMMON_BUFFER_VECTOR,
                      index: int) -> None:  # fmt: skip
        virt, logical = vector.buffers[index]
        self._free(adapter, vector.size, logical, virt, None, (vector.number, index))
        vector.freed.add(index)

    def FreeCommonBufferVector(self, DmaAdapter: DMA_ADAPTER | None,
                               Vector: COMMON_BUFFER_VECTOR) -> None:  # fmt: skip
        """Free a vector, which must be empty. No result; its IRQL is not documented."""
        self._enter("FreeCommonBufferVector", DmaAdapter, vector=_named(Vector))

    def CreateCommonBufferFromMdl(self, DmaAdapter: DMA_ADAPTER | None, Mdl: MDL,
                                  Offset: int = 0, Length: int = 0) -> tuple[int, int]:  # fmt: skip
        """Return (status, LogicalAddress): existing memory becomes a common buffer.

        IRQL PASSIVE_LEVEL. A persistent mapping, both ways, never bounced. The pages stay locked,
        and mapped in system space, for its whole life; start and length are whole pages. Without
        remapping the pages have to follow each other and to be in the device's reach, else
        STATUS_INSUFFICIENT_RESOURCES. Undone by FreeCommonBuffer with the system address.

        Offset and Length are the sub-section of the extended configuration, 0 and 0 for all.
        """
        length = Length or Mdl.length
        adapter = self._enter("CreateCommonBufferFromMdl", DmaAdapter, Offset, length,
                              length=length)  # fmt: skip
        if (Mdl.virt + Offset) % PAGE or length % PAGE:
            return self._not_shared(adapter, Mdl, Offset, length, STATUS_INVALID_PARAMETER)
        window = None
        if not self._s.injector.fails("CreateCommonBufferFromMdl"):
            window = self._m.bus.share(adapter.device.number, self._s.mm.runs(Mdl, Offset, length))
        if window is None:
            return self._not_shared(adapter, Mdl, Offset, length, STATUS_INSUFFICIENT_RESOURCES)
        self._s.shared[window.bus] = window
        adapter.counts["common buffers"].allocated += 1
        phys = [at for s in window.segments for at in range(s.phys, s.phys + s.length, PAGE)]
        self._m.tape.add(
            K.DMA_ALLOC, device=adapter.device.number, length=length, bus_addr=window.bus,
            virt_addr=Mdl.system_va + Offset if Mdl.system_va else None,
            phys_addr=phys[0], sg_phys=phys, type=MapType.COHERENT,
            direction=Direction.BIDIRECTIONAL, args=self._of(adapter, Mdl, Offset),
        )  # fmt: skip
        return STATUS_SUCCESS, window.bus

    def _of(self, adapter: DMA_ADAPTER, mdl: MDL, offset: int) -> dict[Arg, int]:
        return {Arg.ADAPTER: adapter.number, Arg.ROUTINE: self._routine, Arg.MDL: mdl.number,
                Arg.OFFSET: offset & ALL_ONES, Arg.MDL_LENGTH: mdl.chain_length}  # fmt: skip

    def _not_shared(self, adapter: DMA_ADAPTER, mdl: MDL, offset: int, length: int,
                    status: int) -> tuple[int, int]:  # fmt: skip
        """Record that memory did not become a common buffer."""
        self._m.tape.add(
            K.DMA_ALLOC, device=adapter.device.number, length=length, type=MapType.COHERENT,
            direction=Direction.BIDIRECTIONAL, flags=Flag.FAILED,
            args=self._of(adapter, mdl, offset),
        )  # fmt: skip
        return status, 0

    # Domains

    def GetDmaDomain(self, DmaAdapter: DMA_ADAPTER | None) -> Domain | None:
        """Return the domain of the device, None where nothing translates. IRQL PASSIVE_LEVEL."""
        adapter = self._enter("GetDmaDomain", DmaAdapter)
        return self._m.bus.domain_of(adapter.device.number)

    def JoinDmaDomain(self, DmaAdapter: DMA_ADAPTER | None, DomainHandle: Domain | None) -> int:
        """Let the device share another's bus addresses. IRQL PASSIVE_LEVEL.

        Before the adapter maps anything; LeaveDmaDomain is owed for it. STATUS_NOT_SUPPORTED
        where nothing translates.
        """
        adapter = self._enter("JoinDmaDomain", DmaAdapter)
        if DomainHandle is None or self._m.bus.domain_of(adapter.device.number) is None:
            return STATUS_NOT_SUPPORTED
        self._m.bus.domains[adapter.device.number] = DomainHandle
        return STATUS_SUCCESS

    def LeaveDmaDomain(self, DmaAdapter: DMA_ADAPTER | None) -> int:
        """Give the device bus addresses of its own again, and return STATUS_SUCCESS.

        IRQL PASSIVE_LEVEL. After all that was mapped in the domain has ended.
        """
        adapter = self._enter("LeaveDmaDomain", DmaAdapter)
        self._m.bus.domains.pop(adapter.device.number, None)
        return STATUS_SUCCESS

    def AllocateDomainCommonBuffer(
        self, DmaAdapter: DMA_ADAPTER | None, DomainHandle: Domain | None,
        MaximumAddress: int | None, Length: int, Flags: int = 0, CacheType: int | None = None,
        PreferredNode: int = 0,
    ) -> tuple[int, int, int]:  # fmt: skip
        """Return (status, LogicalAddress, VirtualAddress) of a common buffer of a whole domain.

        IRQL PASSIVE_LEVEL. STATUS_INVALID_PARAMETER where the device is not in the domain,
        STATUS_INSUFFICIENT_RESOURCES where there is no memory. Undone by FreeCommonBuffer.
        """
        adapter = self._enter("AllocateDomainCommonBuffer", DmaAdapter, Length, length=Length)
        if DomainHandle is not self._m.bus.domain_of(adapter.device.number):
            return STATUS_INVALID_PARAMETER, 0, 0
        highest = ALL_ONES if MaximumAddress is None else MaximumAddress
        virt, logical = self._allocate(adapter, Length, highest, None)
        if not virt:
            return STATUS_INSUFFICIENT_RESOURCES, 0, 0
        return STATUS_SUCCESS, logical, virt
