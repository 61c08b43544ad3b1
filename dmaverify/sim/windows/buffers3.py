"""Common buffers of version 3: bounds, vectors, existing memory, domains.

Source for all of it: Windows driver documentation, DMA_OPERATIONS and the page of each routine.
"""

from dataclasses import dataclass, field

from dmaverify.model.kinds import Direction, EventKind, MapType
from dmaverify.sim.iommu import Domain
from dmaverify.sim.memory import PAGE
from dmaverify.sim.windows.adapter import DMA_ADAPTER
from dmaverify.sim.windows.mdl import MDL
from dmaverify.sim.windows.names import (
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED,
    STATUS_SUCCESS,
)
from dmaverify.sim.windows.operations import DmaOperations

K = EventKind


@dataclass(slots=True, eq=False)
class COMMON_BUFFER_VECTOR:
    """Common buffers of one size, (virtual, logical) each; None once freed."""

    size: int
    buffers: list[tuple[int, int] | None] = field(default_factory=list)


class CommonBuffers3(DmaOperations):
    """What version 3 adds about memory that CPU and device share."""

    def AllocateCommonBufferEx(self, DmaAdapter: DMA_ADAPTER | None,
                               MaximumAddress: int | None, Length: int,
                               CacheEnabled: bool = False,
                               PreferredNode: int = 0) -> tuple[int, int]:  # fmt: skip
        """Return (VirtualAddress, LogicalAddress) below a highest address, (0, 0) for none.

        IRQL PASSIVE_LEVEL.
        """
        adapter = self._enter("AllocateCommonBufferEx", DmaAdapter, Length)
        highest = (1 << 64) - 1 if MaximumAddress is None else MaximumAddress
        return self._allocate(adapter, Length, highest)

    def AllocateCommonBufferWithBounds(
        self, DmaAdapter: DMA_ADAPTER | None, MinimumAddress: int | None,
        MaximumAddress: int | None, Length: int, Flags: int = 0, CacheType: int | None = None,
        PreferredNode: int = 0,
    ) -> tuple[int, int]:  # fmt: skip
        """Return (VirtualAddress, LogicalAddress) within bounds, (0, 0) for none.

        IRQL PASSIVE_LEVEL.
        """
        virt, logical = self.AllocateCommonBufferEx(DmaAdapter, MaximumAddress, Length)
        if virt and MinimumAddress is not None and logical < MinimumAddress:
            self.FreeCommonBuffer(DmaAdapter, Length, logical, virt)
            return 0, 0
        return virt, logical

    def AllocateCommonBufferVector(
        self, DmaAdapter: DMA_ADAPTER | None, LowAddress: int, HighAddress: int, CacheType: int,
        IdealNode: int, Flags: int, NumberOfElements: int, SizeOfElements: int,
    ) -> tuple[int, COMMON_BUFFER_VECTOR | None]:  # fmt: skip
        """Return (status, common buffers of one size). IRQL PASSIVE_LEVEL.

        STATUS_INSUFFICIENT_RESOURCES, and then none is left allocated.
        """
        adapter = self._enter("AllocateCommonBufferVector", DmaAdapter)
        vector = COMMON_BUFFER_VECTOR(SizeOfElements)
        for _ in range(NumberOfElements):
            virt, logical = self._allocate(adapter, SizeOfElements, HighAddress or (1 << 64) - 1)
            if not virt:
                for index in range(len(vector.buffers)):
                    self.FreeCommonBufferFromVector(adapter, vector, index)
                return STATUS_INSUFFICIENT_RESOURCES, None
            vector.buffers.append((virt, logical))
        return STATUS_SUCCESS, vector

    def GetCommonBufferFromVectorByIndex(self, DmaAdapter: DMA_ADAPTER | None,
                                         Vector: COMMON_BUFFER_VECTOR,
                                         Index: int) -> tuple[int, int]:  # fmt: skip
        """Return (VirtualAddress, LogicalAddress) of an element, (0, 0) for none."""
        self._enter("GetCommonBufferFromVectorByIndex", DmaAdapter)
        inside = 0 <= Index < len(Vector.buffers)
        return (Vector.buffers[Index] or (0, 0)) if inside else (0, 0)

    def FreeCommonBufferFromVector(self, DmaAdapter: DMA_ADAPTER | None,
                                   Vector: COMMON_BUFFER_VECTOR, Index: int) -> None:  # fmt: skip
        """Free one element; its index must not have been freed. IRQL PASSIVE_LEVEL."""
        adapter = self._enter("FreeCommonBufferFromVector", DmaAdapter, Index)
        found = Vector.buffers[Index] if 0 <= Index < len(Vector.buffers) else None
        if found is not None:
            self.FreeCommonBuffer(adapter, Vector.size, found[1], found[0])
            Vector.buffers[Index] = None

    def FreeCommonBufferVector(self, DmaAdapter: DMA_ADAPTER | None,
                               Vector: COMMON_BUFFER_VECTOR) -> None:  # fmt: skip
        """Free a vector, which must be empty. IRQL PASSIVE_LEVEL."""
        self._enter("FreeCommonBufferVector", DmaAdapter)

    def CreateCommonBufferFromMdl(self, DmaAdapter: DMA_ADAPTER | None, Mdl: MDL,
                                  Offset: int = 0, Length: int = 0) -> tuple[int, int]:  # fmt: skip
        """Return (status, LogicalAddress): existing memory becomes a common buffer.

        IRQL PASSIVE_LEVEL. A persistent mapping, both ways, never bounced. The pages stay locked,
        and mapped in system space, for its whole life; start and length are whole pages. Without
        remapping the pages have to follow each other and to be in the device's reach, else
        STATUS_INSUFFICIENT_RESOURCES. Undone by FreeCommonBuffer with the system address.

        Offset and Length are the sub-section of the extended configuration, 0 and 0 for all.
        """
        adapter = self._enter("CreateCommonBufferFromMdl", DmaAdapter)
        length = Length or Mdl.length
        if (Mdl.virt + Offset) % PAGE or length % PAGE:
            return STATUS_INVALID_PARAMETER, 0
        if self._s.injector.fails("CreateCommonBufferFromMdl"):
            return STATUS_INSUFFICIENT_RESOURCES, 0
        window = self._m.bus.share(adapter.device.number, self._s.mm.runs(Mdl, Offset, length))
        if window is None:
            return STATUS_INSUFFICIENT_RESOURCES, 0
        self._s.shared[window.bus] = window
        adapter.counts["common buffers"].allocated += 1
        phys = [at for s in window.segments for at in range(s.phys, s.phys + s.length, PAGE)]
        self._m.tape.add(
            K.DMA_ALLOC, device=adapter.device.number, length=length, bus_addr=window.bus,
            virt_addr=Mdl.system_va + Offset, phys_addr=phys[0], sg_phys=phys,
            type=MapType.COHERENT, direction=Direction.BIDIRECTIONAL,
        )  # fmt: skip
        return STATUS_SUCCESS, window.bus

    # Domains

    def GetDmaDomain(self, DmaAdapter: DMA_ADAPTER | None) -> Domain | None:
        """Return the domain of the device, None where nothing translates. IRQL PASSIVE_LEVEL."""
        adapter = self._enter("GetDmaDomain", DmaAdapter)
        return self._m.bus.domain_of(adapter.device.number)

    def JoinDmaDomain(self, DmaAdapter: DMA_ADAPTER | None, DomainHandle: Domain | None) -> int:
        """Let the device share another's bus addresses. IRQL PASSIVE_LEVEL.

        Before the adapter maps anything. STATUS_NOT_SUPPORTED where nothing translates.
        """
        adapter = self._enter("JoinDmaDomain", DmaAdapter)
        if DomainHandle is None or self._m.bus.domain_of(adapter.device.number) is None:
            return STATUS_NOT_SUPPORTED
        self._m.bus.domains[adapter.device.number] = DomainHandle
        return STATUS_SUCCESS

    def LeaveDmaDomain(self, DmaAdapter: DMA_ADAPTER | None) -> int:
        """Give the device bus addresses of its own again. IRQL PASSIVE_LEVEL."""
        adapter = self._enter("LeaveDmaDomain", DmaAdapter)
        self._m.bus.domains.pop(adapter.device.number, None)
        return STATUS_SUCCESS

    def AllocateDomainCommonBuffer(
        self, DmaAdapter: DMA_ADAPTER | None, DomainHandle: Domain | None,
        MaximumAddress: int | None, Length: int, Flags: int = 0, CacheType: int | None = None,
        PreferredNode: int = 0,
    ) -> tuple[int, int, int]:  # fmt: skip
        """Return (status, LogicalAddress, VirtualAddress) of a common buffer of a whole domain.

        IRQL PASSIVE_LEVEL. STATUS_INVALID_PARAMETER where the device is not in the domain.
        """
        adapter = self._enter("AllocateDomainCommonBuffer", DmaAdapter, Length)
        if DomainHandle is not self._m.bus.domain_of(adapter.device.number):
            return STATUS_INVALID_PARAMETER, 0, 0
        virt, logical = self.AllocateCommonBufferEx(adapter, MaximumAddress, Length)
        if not virt:
            return STATUS_INSUFFICIENT_RESOURCES, 0, 0
        return STATUS_SUCCESS, logical, virt
