"""DMA_OPERATIONS of version 3: transfer contexts, MDL chains, bounds, vectors.

Mapping and flushing look after caches here; KeFlushIoBuffers is not needed.
Source for all of it: Windows driver documentation, DMA_OPERATIONS and the page of each routine;
"Version 3 of the DMA Operations Interface".
"""

from dataclasses import dataclass

from dmaverify.sim.memory import PAGE
from dmaverify.sim.windows.adapter import DMA_ADAPTER, RegisterFile
from dmaverify.sim.windows.buffers3 import CommonBuffers3
from dmaverify.sim.windows.mdl import MDL
from dmaverify.sim.windows.names import (
    DMA_SYNCHRONOUS_CALLBACK,
    IO_ALLOCATION_ACTION,
    SCATTER_GATHER_ELEMENT,
    SCATTER_GATHER_LIST,
    STATUS_BUFFER_TOO_SMALL,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED,
    STATUS_SUCCESS,
)
from dmaverify.sim.windows.operations import ControlRoutine, ListRoutine


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


@dataclass(frozen=True, slots=True)
class DMA_ADAPTER_INFO:
    """What an adapter can do."""

    ReadDmaCounterAvailable: bool
    ScatterGatherLimit: int
    DmaAddressWidth: int
    Flags: int
    MinimumTransferUnit: int


@dataclass(frozen=True, slots=True)
class DMA_TRANSFER_INFO:
    """What a transfer would need."""

    MapRegisterCount: int
    ScatterGatherElementCount: int
    ScatterGatherListSize: int


class DmaOperations3(CommonBuffers3):
    """The table of an adapter of version 3."""

    # What there is, and what a transfer needs

    def GetDmaAdapterInfo(self, DmaAdapter: DMA_ADAPTER | None) -> tuple[int, DMA_ADAPTER_INFO]:
        """Return (status, what the adapter can do). IRQL <= DISPATCH_LEVEL."""
        adapter = self._enter("GetDmaAdapterInfo", DmaAdapter)
        width = self._m.bus.highest(adapter.device.number).bit_length()
        return STATUS_SUCCESS, DMA_ADAPTER_INFO(False, adapter.registers, width, 0, 1)

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

    def ConfigureAdapterChannel(self, DmaAdapter: DMA_ADAPTER | None, FunctionNumber: int,
                                Context: object) -> int:  # fmt: skip
        """Configure a channel of system DMA, which this machine has not. IRQL <= DISPATCH_LEVEL.

        Returns STATUS_NOT_SUPPORTED.
        """
        self._enter("ConfigureAdapterChannel", DmaAdapter, FunctionNumber)
        return STATUS_NOT_SUPPORTED

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

    def BuildScatterGatherListEx(
        self, DmaAdapter: DMA_ADAPTER | None, DeviceObject: object,
        DmaTransferContext: DMA_TRANSFER_CONTEXT, Mdl: MDL, Offset: int, Length: int, Flags: int,
        ExecutionRoutine: ListRoutine | None, Context: object, WriteToDevice: bool,
        ScatterGatherLength: int,
    ) -> tuple[int, SCATTER_GATHER_LIST | None]:  # fmt: skip
        """As GetScatterGatherListEx, into the driver's own buffer. IRQL = DISPATCH_LEVEL.

        Returns STATUS_BUFFER_TOO_SMALL where the buffer does not hold the list.
        """
        self._enter("BuildScatterGatherListEx", DmaAdapter, Offset, Length)
        if ScatterGatherLength < 16 + 24 * self._registers_for(Mdl, Offset, Length):
            return STATUS_BUFFER_TOO_SMALL, None
        return self.GetScatterGatherListEx(
            DmaAdapter, DeviceObject, DmaTransferContext, Mdl, Offset, Length, Flags,
            ExecutionRoutine, Context, WriteToDevice,
        )  # fmt: skip

    def FlushDmaBuffer(self, DmaAdapter: DMA_ADAPTER | None, Mdl: MDL,
                       ReadOperation: bool) -> int:  # fmt: skip
        """Look after caches for one MDL. Returns STATUS_SUCCESS; its IRQL is not documented."""
        self._enter("FlushDmaBuffer", DmaAdapter, ReadOperation)
        self._s.KeFlushIoBuffers(Mdl, ReadOperation)
        return STATUS_SUCCESS
