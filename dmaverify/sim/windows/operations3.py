"""DMA_OPERATIONS of version 3: transfer contexts, MDL chains, bounds, vectors.

Mapping and flushing look after caches here; KeFlushIoBuffers is not needed.
Source for all of it: Windows driver documentation, DMA_OPERATIONS and the page of each routine;
"Version 3 of the DMA Operations Interface".
"""

from dataclasses import dataclass, field

from dmaverify.model.kinds import Direction, EventKind, MapType
from dmaverify.sim.memory import PAGE
from dmaverify.sim.windows.adapter import DMA_ADAPTER, RegisterFile
from dmaverify.sim.windows.mdl import MDL
from dmaverify.sim.windows.names import (
    DMA_SYNCHRONOUS_CALLBACK,
    IO_ALLOCATION_ACTION,
    SCATTER_GATHER_ELEMENT,
    SCATTER_GATHER_LIST,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS,
)
from dmaverify.sim.windows.operations import ControlRoutine, DmaOperations, ListRoutine

K = EventKind


@dataclass(slots=True, eq=False)
class DMA_TRANSFER_CONTEXT:
    """A driver's memory for one transfer.

    Args:
        file: the map registers that were granted for it.
        ready: whether InitializeDmaTransferContext was called.
        cancelled: whether its request was cancelled before it was granted.
    """

    file: RegisterFile | None = None
    ready: bool = False
    cancelled: bool = False


@dataclass(slots=True, eq=False)
class COMMON_BUFFER_VECTOR:
    """Common buffers of one size, (virtual, logical) each; None once freed."""

    size: int
    buffers: list[tuple[int, int] | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DMA_TRANSFER_INFO:
    """What a transfer would need."""

    MapRegisterCount: int
    ScatterGatherElementCount: int
    ScatterGatherListSize: int


class DmaOperations3(DmaOperations):
    """The table of an adapter of version 3."""

    # What a transfer needs

    def GetDmaTransferInfo(
        self, DmaAdapter: DMA_ADAPTER | None, Mdl: MDL, Offset: int, Length: int, WriteOnly: bool
    ) -> tuple[int, DMA_TRANSFER_INFO | None]:
        """Return (status, registers, elements and list size of a transfer). IRQL <= DISPATCH_LEVEL.

        STATUS_INVALID_PARAMETER where the part is not in the chain.
        """  # fmt: skip
        self._enter("GetDmaTransferInfo", DmaAdapter)
        runs = self._s.mm.runs(Mdl, Offset, Length)
        if Length <= 0 or sum(r[1] for r in runs) < Length:
            return STATUS_INVALID_PARAMETER, None
        count = self._registers_for(Mdl, Offset, Length)
        return STATUS_SUCCESS, DMA_TRANSFER_INFO(count, count, 16 + 24 * count)

    def InitializeDmaTransferContext(self, DmaAdapter: DMA_ADAPTER | None,
                                     DmaTransferContext: DMA_TRANSFER_CONTEXT) -> int:  # fmt: skip
        """Make a transfer context ready; each pending request needs its own. IRQL <= DISPATCH."""
        self._enter("InitializeDmaTransferContext", DmaAdapter)
        DmaTransferContext.file = None
        DmaTransferContext.ready, DmaTransferContext.cancelled = True, False
        return STATUS_SUCCESS

    # Channels

    def AllocateAdapterChannelEx(
        self, DmaAdapter: DMA_ADAPTER | None, DeviceObject: object,
        DmaTransferContext: DMA_TRANSFER_CONTEXT, NumberOfMapRegisters: int, Flags: int = 0,
        ExecutionRoutine: ControlRoutine | None = None, ExecutionContext: object = None,
    ) -> tuple[int, RegisterFile | None]:  # fmt: skip
        """Return (status, MapRegisterBase): reserve map registers, and run a routine if given.

        IRQL = DISPATCH_LEVEL. Asynchronous unless DMA_SYNCHRONOUS_CALLBACK is set: success only
        says that the request waits. Without a routine FreeAdapterObject is owed.
        """
        adapter = self._enter("AllocateAdapterChannelEx", DmaAdapter,
                              NumberOfMapRegisters)  # fmt: skip
        fails = self._s.injector.fails("AllocateAdapterChannelEx")
        now = NumberOfMapRegisters <= adapter.free_registers
        if (
            NumberOfMapRegisters > adapter.registers
            or fails
            or (Flags & DMA_SYNCHRONOUS_CALLBACK and not now)
        ):
            return STATUS_INSUFFICIENT_RESOURCES, None
        if ExecutionRoutine is None:
            file = self._new_file(adapter, NumberOfMapRegisters)
            adapter.counts["adapter channels"].allocated += 1
            DmaTransferContext.file = file
            return STATUS_SUCCESS, file
        routine = ExecutionRoutine

        def grant() -> int:
            if not DmaTransferContext.cancelled:
                self._grant_to(adapter, NumberOfMapRegisters, DeviceObject, routine,
                               ExecutionContext, DmaTransferContext)  # fmt: skip
            return STATUS_SUCCESS

        if now:
            grant()
        else:
            adapter.waiting.append((NumberOfMapRegisters, grant))
        return STATUS_SUCCESS, DmaTransferContext.file

    def _grant_to(self, adapter: DMA_ADAPTER, count: int, device: object, routine: ControlRoutine,
                  context: object, transfer: DMA_TRANSFER_CONTEXT) -> None:  # fmt: skip
        def noting(dev: object, irp: object, file: RegisterFile | None, ctx: object) -> int:
            transfer.file = file
            return routine(dev, irp, file, ctx)

        self._grant(adapter, count, device, noting, context)

    def CancelAdapterChannel(self, DmaAdapter: DMA_ADAPTER | None, DeviceObject: object,
                             DmaTransferContext: DMA_TRANSFER_CONTEXT) -> bool:  # fmt: skip
        """Return True where a waiting request was taken back, so that its routine never runs.

        IRQL <= DISPATCH_LEVEL. False: it was granted before.
        """
        self._enter("CancelAdapterChannel", DmaAdapter)
        if DmaTransferContext.file is not None:
            return False
        DmaTransferContext.cancelled = True
        return True

    def FreeAdapterObject(self, DmaAdapter: DMA_ADAPTER | None,
                          AllocationAction: int) -> None:  # fmt: skip
        """Free what a request without a routine reserved. IRQL <= DISPATCH_LEVEL.

        DeallocateObject frees the channel and its map registers, the action that keeps
        registers only the channel; KeepObject does nothing.
        """
        adapter = self._enter("FreeAdapterObject", DmaAdapter)
        if AllocationAction == IO_ALLOCATION_ACTION.KeepObject:
            return
        for file in [f for f in adapter.files if f.channel]:
            file.channel = False
            adapter.counts["adapter channels"].freed += 1
            if AllocationAction == IO_ALLOCATION_ACTION.DeallocateObject:
                self._free_file(adapter, file)

    # Transfers

    def MapTransferEx(
        self, DmaAdapter: DMA_ADAPTER | None, Mdl: MDL, MapRegisterBase: RegisterFile,
        Offset: int, DeviceOffset: int, Length: int, WriteToDevice: bool,
    ) -> tuple[int, int, SCATTER_GATHER_LIST | None]:  # fmt: skip
        """Return (status, bytes mapped, list) of a part of an MDL chain. IRQL <= DISPATCH_LEVEL.

        Fewer bytes than asked for may be mapped; then the driver calls again with the offset
        moved on, and each call needs its FlushAdapterBuffersEx before the next. A bus master
        gives a DeviceOffset of 0, else STATUS_INVALID_PARAMETER.
        """
        adapter = self._enter("MapTransferEx", DmaAdapter,
                              Offset, Length, WriteToDevice)  # fmt: skip
        runs = self._s.mm.runs(Mdl, Offset, Length) if Length > 0 else []
        if DeviceOffset or not runs or sum(r[1] for r in runs) < Length:
            return STATUS_INVALID_PARAMETER, 0, None
        room = MapRegisterBase.count * PAGE - ((Mdl.virt + Offset) & (PAGE - 1))
        length = min(Length, room)
        if self._s.partial and length > 1:
            length //= 2
        gathers, mapping = adapter.description.ScatterGather, None
        if not self._s.injector.fails("MapTransferEx"):
            mapping = self._map(adapter, MapRegisterBase, Mdl, Offset, length, WriteToDevice,
                                joined=not gathers, as_list=True)  # fmt: skip
        if mapping is None:
            self._tell_failed(adapter, length, WriteToDevice)
            return STATUS_INSUFFICIENT_RESOURCES, 0, None
        elements = [SCATTER_GATHER_ELEMENT(s.bus, s.length) for s in mapping.window.segments]
        if not gathers:
            elements = [SCATTER_GATHER_ELEMENT(mapping.window.bus, length)]
        return STATUS_SUCCESS, length, SCATTER_GATHER_LIST(elements, (MapRegisterBase, mapping))

    def FlushAdapterBuffersEx(self, DmaAdapter: DMA_ADAPTER | None, Mdl: MDL,
                              MapRegisterBase: RegisterFile, Offset: int, Length: int,
                              WriteToDevice: bool) -> int:  # fmt: skip
        """End a transfer; chain, offset, length and direction are those of the map.

        IRQL <= DISPATCH_LEVEL, after the device is done. Returns STATUS_SUCCESS, or
        STATUS_INVALID_PARAMETER where nothing is mapped there.
        """
        adapter = self._enter("FlushAdapterBuffersEx", DmaAdapter,
                              Offset, Length)  # fmt: skip
        found = [
            m
            for m in MapRegisterBase.mappings
            if m.mdl is Mdl and m.offset < Offset + Length and m.offset + m.length > Offset
        ]
        for mapping in found:
            self._unmap(adapter, MapRegisterBase, mapping, as_list=True,
                        copies=WriteToDevice == mapping.write)  # fmt: skip
        return STATUS_SUCCESS if found else STATUS_INVALID_PARAMETER

    def CancelMappedTransfer(self, DmaAdapter: DMA_ADAPTER | None,
                             DmaTransferContext: DMA_TRANSFER_CONTEXT) -> int:  # fmt: skip
        """Cancel a transfer of system DMA: this machine has none. IRQL <= DISPATCH_LEVEL.

        Returns STATUS_INVALID_PARAMETER. A flush is owed all the same.
        """
        self._enter("CancelMappedTransfer", DmaAdapter)
        return STATUS_INVALID_PARAMETER

    def GetScatterGatherListEx(
        self, DmaAdapter: DMA_ADAPTER | None, DeviceObject: object,
        DmaTransferContext: DMA_TRANSFER_CONTEXT, Mdl: MDL, Offset: int, Length: int, Flags: int,
        ExecutionRoutine: ListRoutine | None, Context: object, WriteToDevice: bool,
    ) -> tuple[int, SCATTER_GATHER_LIST | None]:  # fmt: skip
        """Return (status, list); as GetScatterGatherList, for a chain and an offset.

        IRQL <= DISPATCH_LEVEL. Synchronous and without a routine the list is returned. It is
        ended by PutScatterGatherList.
        """
        adapter = self._enter("GetScatterGatherListEx", DmaAdapter,
                              Offset, Length)  # fmt: skip
        made: list[SCATTER_GATHER_LIST] = []

        def keep(device: object, irp: object, found: SCATTER_GATHER_LIST, context: object) -> None:
            made.append(found)
            if ExecutionRoutine is not None:
                ExecutionRoutine(device, irp, found, context)

        waits = self._registers_for(Mdl, Offset, Length) > adapter.free_registers
        if Flags & DMA_SYNCHRONOUS_CALLBACK and waits:
            return STATUS_INSUFFICIENT_RESOURCES, None
        status = self.GetScatterGatherList(adapter, DeviceObject, Mdl, Mdl.virt + Offset, Length,
                                           keep, Context, WriteToDevice)  # fmt: skip
        return status, made[0] if made and ExecutionRoutine is None else None

    # Common buffers

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
        phys = [s.phys for s in window.segments]
        self._m.tape.add(
            K.DMA_ALLOC, device=adapter.device.number, length=length, bus_addr=window.bus,
            virt_addr=Mdl.system_va + Offset, phys_addr=phys[0], type=MapType.COHERENT,
            direction=Direction.BIDIRECTIONAL,
        )  # fmt: skip
        return STATUS_SUCCESS, window.bus
