"""DMA_OPERATIONS of version 3: transfer contexts, MDL chains, bounds, vectors.

Mapping and flushing look after caches here; KeFlushIoBuffers is not needed.
Source for all of it: Windows driver documentation, DMA_OPERATIONS and the page of each routine;
"Version 3 of the DMA Operations Interface".
"""

from dataclasses import dataclass

from dmaverify.model.kinds import Arg, EventKind
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

K = EventKind


@dataclass(slots=True, eq=False)
class DMA_TRANSFER_CONTEXT:
    """A driver's memory for one transfer.

    Args:
        file: the map registers that were asked for with it.
        ready: whether InitializeDmaTransferContext was called.
    """

    file: RegisterFile | None = None
    ready: bool = False


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
        """Return (status, what the adapter can do). IRQL <= DISPATCH_LEVEL. It does not fail."""
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
        if Length <= 0 or Offset < 0 or Offset + Length > Mdl.chain_length:
            return STATUS_INVALID_PARAMETER, None
        count = self._registers_for(Mdl, Offset, Length)
        return STATUS_SUCCESS, DMA_TRANSFER_INFO(count, count, 16 + 24 * count)

    def InitializeDmaTransferContext(self, DmaAdapter: DMA_ADAPTER | None,
                                     DmaTransferContext: DMA_TRANSFER_CONTEXT) -> int:  # fmt: skip
        """Make a transfer context ready, and return STATUS_SUCCESS. IRQL <= DISPATCH_LEVEL.

        Before the request that it is for. The memory is the driver's; the system keeps it from
        the request until its map registers are freed, so that each pending request has its own.
        """
        self._enter("InitializeDmaTransferContext", DmaAdapter, file=DmaTransferContext.file)
        DmaTransferContext.file, DmaTransferContext.ready = None, True
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
        adapter = self._enter("AllocateAdapterChannelEx", DmaAdapter, NumberOfMapRegisters,
                              registers=NumberOfMapRegisters,
                              file=DmaTransferContext.file)  # fmt: skip
        fails = self._s.injector.fails("AllocateAdapterChannelEx")
        now = adapter.place(NumberOfMapRegisters) >= 0
        if (
            NumberOfMapRegisters > adapter.registers
            or fails
            or (not now and (Flags & DMA_SYNCHRONOUS_CALLBACK or ExecutionRoutine is None))
        ):
            self._refuse(adapter, NumberOfMapRegisters)
            return STATUS_INSUFFICIENT_RESOURCES, None
        file = DmaTransferContext.file = self._ask(adapter, NumberOfMapRegisters)
        if ExecutionRoutine is None:
            self._hold(adapter, file)
            return STATUS_SUCCESS, file
        routine = ExecutionRoutine

        def grant() -> int:
            self._grant(adapter, file, DeviceObject, routine, ExecutionContext)
            return STATUS_SUCCESS

        if now:
            grant()
        else:
            adapter.waiting.append((NumberOfMapRegisters, grant))
        return STATUS_SUCCESS, file if file.granted else None

    def CancelAdapterChannel(self, DmaAdapter: DMA_ADAPTER | None, DeviceObject: object,
                             DmaTransferContext: DMA_TRANSFER_CONTEXT) -> bool:  # fmt: skip
        """Return True where a waiting request was taken back, so that its routine never runs.

        IRQL <= DISPATCH_LEVEL. False: it was granted before, or never made.
        """
        file = DmaTransferContext.file
        adapter = self._enter("CancelAdapterChannel", DmaAdapter, file=file)
        waits = file is not None and not file.granted and not file.cancelled
        self._told(K.CHANNEL_CANCEL, adapter, file, {}, status=int(waits))
        if file is not None and waits:
            file.cancelled, file.channel = True, False
        return waits

    def ConfigureAdapterChannel(self, DmaAdapter: DMA_ADAPTER | None, FunctionNumber: int,
                                Context: object) -> int:  # fmt: skip
        """Configure a channel of system DMA, between grant and map. IRQL <= DISPATCH_LEVEL.

        No controller of this machine has functions: returns STATUS_NOT_SUPPORTED.
        """
        self._enter("ConfigureAdapterChannel", DmaAdapter, FunctionNumber)
        return STATUS_NOT_SUPPORTED

    def FreeAdapterObject(self, DmaAdapter: DMA_ADAPTER | None,
                          AllocationAction: int) -> None:  # fmt: skip
        """Free what a request without a routine reserved. IRQL <= DISPATCH_LEVEL.

        After the flush. DeallocateObject frees the channel and its map registers, the action that
        keeps registers only the channel; KeepObject does nothing. No result.
        """
        adapter = self._enter("FreeAdapterObject", DmaAdapter, AllocationAction)
        held = next((f for f in adapter.files if f.channel), adapter.latest)
        known = AllocationAction in list(IO_ALLOCATION_ACTION)
        self._told(K.CHANNEL_FREE, adapter, held, {
            Arg.ROUTINE: self._routine, **({Arg.ACTION: int(AllocationAction)} if known else {}),
        })  # fmt: skip
        if AllocationAction == IO_ALLOCATION_ACTION.KeepObject:
            return
        adapter.counts["adapter channels"].freed += 1
        if held is not None:
            held.channel = False
            if AllocationAction == IO_ALLOCATION_ACTION.DeallocateObject:
                self._free_file(adapter, held)

    # Transfers

    def MapTransferEx(
        self, DmaAdapter: DMA_ADAPTER | None, Mdl: MDL, MapRegisterBase: RegisterFile,
        Offset: int, DeviceOffset: int, Length: int, WriteToDevice: bool,
    ) -> tuple[int, int, SCATTER_GATHER_LIST | None]:  # fmt: skip
        """Return (status, bytes mapped, list) of a part of an MDL chain. IRQL <= DISPATCH_LEVEL.

        Fewer bytes than asked for may be mapped; then the driver calls again with the offset
        moved on, and each call needs its FlushAdapterBuffersEx before the next. A bus master
        gives a DeviceOffset of 0, else STATUS_INVALID_PARAMETER; without map registers
        STATUS_INSUFFICIENT_RESOURCES. The device owns the bytes until the flush. A completion
        routine, which only system DMA may have, is no parameter here.
        """
        adapter = self._enter("MapTransferEx", DmaAdapter,
                              Offset, Length, WriteToDevice, length=Length)  # fmt: skip
        routine, file = self._routine, self._base(MapRegisterBase)
        beyond = Offset < 0 or Offset + Length > Mdl.chain_length
        if DeviceOffset or Length <= 0 or beyond:
            self._tell_failed(adapter, Mdl, Offset, Length, WriteToDevice, file)
            return STATUS_INVALID_PARAMETER, 0, None
        room = file.count * PAGE - ((Mdl.virt + Offset) & (PAGE - 1))
        length = min(Length, room)
        if self._s.partial and length > self._s.alignment:
            length = max(length // 2 // self._s.alignment, 1) * self._s.alignment
        runs = self._reach(adapter, file, Mdl, Offset, length, WriteToDevice)
        gathers, mapping = adapter.description.ScatterGather, None
        if not self._s.injector.fails("MapTransferEx"):
            mapping = self._map(adapter, file, Mdl, Offset, length, WriteToDevice, runs=runs,
                                joined=not gathers, as_list=True, routine=routine)  # fmt: skip
        if mapping is None:
            self._tell_failed(adapter, Mdl, Offset, length, WriteToDevice, file)
            return STATUS_INSUFFICIENT_RESOURCES, 0, None
        elements = [SCATTER_GATHER_ELEMENT(s.bus, s.length) for s in mapping.window.segments]
        if not gathers:
            elements = [SCATTER_GATHER_ELEMENT(mapping.window.bus, length)]
        return STATUS_SUCCESS, length, SCATTER_GATHER_LIST(elements, (file, mapping))

    def FlushAdapterBuffersEx(self, DmaAdapter: DMA_ADAPTER | None, Mdl: MDL,
                              MapRegisterBase: RegisterFile, Offset: int, Length: int,
                              WriteToDevice: bool) -> int:  # fmt: skip
        """End a transfer; chain, offset, length and direction are those of the map.

        IRQL <= DISPATCH_LEVEL, after the device is done. Returns STATUS_SUCCESS, or
        STATUS_INVALID_PARAMETER where nothing is mapped there.
        """
        adapter = self._enter("FlushAdapterBuffersEx", DmaAdapter,
                              Offset, Length, length=Length)  # fmt: skip
        found = self._flush(adapter, Mdl, self._base(MapRegisterBase), Offset, Length,
                            WriteToDevice, as_list=True)  # fmt: skip
        return STATUS_SUCCESS if found else STATUS_INVALID_PARAMETER

    def CancelMappedTransfer(self, DmaAdapter: DMA_ADAPTER | None,
                             DmaTransferContext: DMA_TRANSFER_CONTEXT) -> int:  # fmt: skip
        """Cancel a transfer that was mapped. IRQL <= DISPATCH_LEVEL. A flush is owed all the same.

        It is meant for system DMA: returns STATUS_SUCCESS there, and for a bus master, whom
        nobody but its driver can stop, STATUS_INVALID_PARAMETER.
        """
        file = DmaTransferContext.file
        adapter = self._enter("CancelMappedTransfer", DmaAdapter, file=file)
        self._m.tape.add(
            K.DMA_CANCEL, 0, device=adapter.device.number, object=adapter.number,
            args={Arg.FILE: file.number} if file else None,
        )  # fmt: skip
        if adapter.description.Master:
            return STATUS_INVALID_PARAMETER
        adapter.device.cancel()
        return STATUS_SUCCESS

    def GetScatterGatherListEx(
        self, DmaAdapter: DMA_ADAPTER | None, DeviceObject: object,
        DmaTransferContext: DMA_TRANSFER_CONTEXT, Mdl: MDL, Offset: int, Length: int, Flags: int,
        ExecutionRoutine: ListRoutine | None, Context: object, WriteToDevice: bool,
    ) -> tuple[int, SCATTER_GATHER_LIST | None]:  # fmt: skip
        """Return (status, list); as GetScatterGatherList, for a chain and an offset.

        IRQL <= DISPATCH_LEVEL, for a bus master. Synchronous and without a routine the list is
        returned, else it is given to the routine. The device owns the bytes, and the context is
        in use, until PutScatterGatherList. Fails as GetScatterGatherList does, and with
        STATUS_INSUFFICIENT_RESOURCES where it may not wait.
        """
        adapter = self._enter("GetScatterGatherListEx", DmaAdapter, Offset, Length, length=Length,
                              file=DmaTransferContext.file)  # fmt: skip
        return self._get_list_ex(adapter, DeviceObject, DmaTransferContext, Mdl, Offset, Length,
                                 Flags, ExecutionRoutine, Context, WriteToDevice)  # fmt: skip

    def _get_list_ex(
        self, adapter: DMA_ADAPTER, device: object, transfer: DMA_TRANSFER_CONTEXT, mdl: MDL,
        offset: int, length: int, flags: int, routine: ListRoutine | None, context: object,
        write: bool,
    ) -> tuple[int, SCATTER_GATHER_LIST | None]:  # fmt: skip
        made: list[SCATTER_GATHER_LIST] = []

        def keep(device: object, irp: object, found: SCATTER_GATHER_LIST, context: object) -> None:
            made.append(found)
            transfer.file = found.file[0]
            if routine is not None:
                routine(device, irp, found, context)

        count = self._registers_for(mdl, offset, length)
        if flags & DMA_SYNCHRONOUS_CALLBACK and adapter.place(count) < 0:
            self._tell_failed(adapter, mdl, offset, length, write, registers=count)
            return STATUS_INSUFFICIENT_RESOURCES, None
        status = self._get_list(adapter, device, mdl, offset, length, keep, context, write)
        return status, made[0] if made and routine is None else None

    def BuildScatterGatherListEx(
        self, DmaAdapter: DMA_ADAPTER | None, DeviceObject: object,
        DmaTransferContext: DMA_TRANSFER_CONTEXT, Mdl: MDL, Offset: int, Length: int, Flags: int,
        ExecutionRoutine: ListRoutine | None, Context: object, WriteToDevice: bool,
        ScatterGatherLength: int,
    ) -> tuple[int, SCATTER_GATHER_LIST | None]:  # fmt: skip
        """As GetScatterGatherListEx, into the driver's own buffer. IRQL = DISPATCH_LEVEL.

        Returns STATUS_BUFFER_TOO_SMALL where the buffer does not hold the list.
        """
        adapter = self._enter("BuildScatterGatherListEx", DmaAdapter, Offset, Length,
                              length=Length, file=DmaTransferContext.file)  # fmt: skip
        if ScatterGatherLength < 16 + 24 * self._registers_for(Mdl, Offset, Length):
            return STATUS_BUFFER_TOO_SMALL, None
        return self._get_list_ex(adapter, DeviceObject, DmaTransferContext, Mdl, Offset, Length,
                                 Flags, ExecutionRoutine, Context, WriteToDevice)  # fmt: skip

    def FlushDmaBuffer(self, DmaAdapter: DMA_ADAPTER | None, Mdl: MDL,
                       ReadOperation: bool) -> int:  # fmt: skip
        """Look after caches for one MDL. Returns STATUS_SUCCESS; its IRQL is not documented."""
        self._enter("FlushDmaBuffer", DmaAdapter, ReadOperation)
        self._s.flush_caches(Mdl, ReadOperation, self._routine)
        return STATUS_SUCCESS
