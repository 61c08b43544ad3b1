"""DMA_OPERATIONS of versions 1 and 2.

Each routine is called as in C, with the adapter first: `ops.MapTransfer(adapter, ...)`. What C
gives back through pointers is returned, in the order of the parameters. A driver's mistake
does not raise: it is recorded, and has the effect that it has.
Source for all of it: Windows driver documentation, DMA_OPERATIONS and the page of each routine.
"""

from collections.abc import Callable

from dmaverify.errors import SimError
from dmaverify.model.kinds import Arg, Direction, EventKind, Flag, MapType
from dmaverify.model.routines import CacheType, routine_name
from dmaverify.sim.common import CommonBuffer
from dmaverify.sim.memory import PAGE, Run
from dmaverify.sim.windows.adapter import DMA_ADAPTER, RegisterFile
from dmaverify.sim.windows.base import ALL_ONES, Operations
from dmaverify.sim.windows.mdl import MDL
from dmaverify.sim.windows.names import (
    IO_ALLOCATION_ACTION,
    SCATTER_GATHER_ELEMENT,
    SCATTER_GATHER_LIST,
    STATUS_BUFFER_TOO_SMALL,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_NONE_MAPPED,
    STATUS_SUCCESS,
)

K = EventKind
ControlRoutine = Callable[[object, object, "RegisterFile | None", object], int]
Element = tuple[int, int]  # (number of a common-buffer vector, index)
ListRoutine = Callable[[object, object, SCATTER_GATHER_LIST, object], None]


class DmaOperations(Operations):
    """The table of an adapter of version 1 or 2."""

    # Adapter

    def PutDmaAdapter(self, DmaAdapter: DMA_ADAPTER | None) -> None:
        """Release an adapter. IRQL <= DISPATCH_LEVEL.

        After all DMA is done and all map registers and common buffers are freed; it must not
        be used afterwards. No result.
        """
        adapter = self._enter("PutDmaAdapter", DmaAdapter)
        if adapter.live:
            self._m.tape.add(K.ADAPTER_PUT, 0, device=adapter.device.number, object=adapter.number)
        adapter.live = False

    def GetDmaAlignment(self, DmaAdapter: DMA_ADAPTER | None) -> int:
        """Return what start and length of a buffer have to be multiples of. IRQL PASSIVE_LEVEL."""
        self._enter("GetDmaAlignment", DmaAdapter)
        return self._s.alignment

    def ReadDmaCounter(self, DmaAdapter: DMA_ADAPTER | None) -> int:
        """Return the bytes left of a transfer by system DMA: 0 here. IRQL <= DISPATCH_LEVEL."""
        self._enter("ReadDmaCounter", DmaAdapter)
        return 0

    # Common buffers

    def AllocateCommonBuffer(self, DmaAdapter: DMA_ADAPTER | None, Length: int,
                             CacheEnabled: bool = False) -> tuple[int, int]:  # fmt: skip
        """Return (VirtualAddress, LogicalAddress) of shared memory, (0, 0) where there is none.

        IRQL PASSIVE_LEVEL. CacheEnabled is not looked at. Only the bytes asked for may be used.
        The driver owns it until FreeCommonBuffer.
        """
        adapter = self._enter("AllocateCommonBuffer", DmaAdapter, Length, length=Length)
        return self._allocate(adapter, Length, ALL_ONES, CacheEnabled)

    def _allocate(self, adapter: DMA_ADAPTER, length: int, highest: int, cached: bool | None,
                  element: Element | None = None) -> tuple[int, int]:  # fmt: skip
        """Return (virtual address, logical address) of a common buffer, and record it.

        Args:
            adapter: whose it is.
            length: bytes that were asked for.
            highest: the highest logical address that is wanted.
            cached: what the driver says of its cache type, None for nothing.
            element: the vector that it is of, and its index there; None for none.
        """
        buffer: CommonBuffer | None = None
        if length > 0 and not self._s.injector.fails(routine_name(self._routine)):
            buffer = self._m.common.take(adapter.device.number, length, highest)
        if buffer is None:
            self._tell_buffer(K.DMA_ALLOC, adapter, length, 0, None, cached, element)
            return 0, 0
        adapter.buffers[buffer.bus] = buffer
        adapter.counts["common buffers"].allocated += 1
        self._tell_buffer(K.DMA_ALLOC, adapter, length, buffer.virt, buffer.bus, cached, element,
                          buffer.phys)  # fmt: skip
        return buffer.virt, buffer.bus

    def _tell_buffer(self, kind: EventKind, adapter: DMA_ADAPTER, length: int, virt: int,
                     bus: int | None, cached: bool | None, element: Element | None,
                     phys: int | None = None) -> None:  # fmt: skip
        """Record a common buffer, without a bus address where there is none."""
        args = {Arg.ADAPTER: adapter.number, Arg.ROUTINE: self._routine}
        if cached is not None:
            args[Arg.CACHE] = CacheType.CACHED if cached else CacheType.NONCACHED
        if element is not None:
            args[Arg.VECTOR], args[Arg.INDEX] = element
        self._m.tape.add(
            kind, device=adapter.device.number, length=length, bus_addr=bus, phys_addr=phys,
            virt_addr=virt if virt or bus is None else None,  # NULL says that it failed
            direction=Direction.BIDIRECTIONAL, type=MapType.COHERENT, args=args,
            flags=Flag.FAILED | Flag.NULL_CPU if bus is None else 0,
        )  # fmt: skip

    def FreeCommonBuffer(self, DmaAdapter: DMA_ADAPTER | None, Length: int, LogicalAddress: int,
                         VirtualAddress: int, CacheEnabled: bool = False) -> None:  # fmt: skip
        """Free a common buffer; all arguments are those of its allocation. IRQL PASSIVE_LEVEL.

        Whole, by the adapter that allocated it, after the device is done with it and before
        PutDmaAdapter. No result.
        """
        adapter = self._enter("FreeCommonBuffer", DmaAdapter,
                              Length, LogicalAddress, length=Length)  # fmt: skip
        self._free(adapter, Length, LogicalAddress, VirtualAddress, CacheEnabled)

    def _free(self, adapter: DMA_ADAPTER, length: int, logical: int, virt: int,
              cached: bool | None, element: Element | None = None) -> None:  # fmt: skip
        buffer = adapter.buffers.pop(logical, None)
        adapter.counts["common buffers"].freed += 1
        if buffer is not None:
            self._s.told_guards(self._m.common.damage(buffer), "a common buffer")
            self._m.common.give(buffer)
        elif logical in self._s.shared:
            self._m.bus.unmap(self._s.shared.pop(logical))
            cached = None  # nobody has said of which type the memory is
        self._tell_buffer(K.DMA_FREE, adapter, length, virt, logical, cached, element)

    # Packets

    def AllocateAdapterChannel(self, DmaAdapter: DMA_ADAPTER | None, DeviceObject: object,
                               NumberOfMapRegisters: int, ExecutionRoutine: ControlRoutine,
                               Context: object = None) -> int:  # fmt: skip
        """Reserve the channel and map registers, then run a routine, now or when there are some.

        IRQL = DISPATCH_LEVEL. The routine gets (DeviceObject, Irp, MapRegisterBase, Context) and
        returns an IO_ALLOCATION_ACTION. Returns STATUS_SUCCESS also where it has to wait, and
        STATUS_INSUFFICIENT_RESOURCES, with no call of the routine, for more map registers than
        IoGetDmaAdapter gave.
        """
        adapter = self._enter("AllocateAdapterChannel", DmaAdapter,
                              NumberOfMapRegisters, registers=NumberOfMapRegisters)  # fmt: skip
        if NumberOfMapRegisters > adapter.registers or self._s.injector.fails(
            "AllocateAdapterChannel"
        ):
            self._refuse(adapter, NumberOfMapRegisters)
            return STATUS_INSUFFICIENT_RESOURCES
        file = self._ask(adapter, NumberOfMapRegisters)

        def grant() -> int:
            self._grant(adapter, file, DeviceObject, ExecutionRoutine, Context)
            return STATUS_SUCCESS

        if adapter.place(NumberOfMapRegisters) >= 0:
            return grant()
        adapter.waiting.append((NumberOfMapRegisters, grant))
        return STATUS_SUCCESS

    def _refuse(self, adapter: DMA_ADAPTER, count: int) -> None:
        """Record that a channel was refused, with the map registers that followed each other."""
        self._told(K.CHANNEL_ALLOCATE, adapter, None, {
            Arg.ROUTINE: self._routine, Arg.REGISTERS: count,
            Arg.GRANTED: adapter.longest_run(),
        }, failed=True, status=1)  # fmt: skip

    def _ask(self, adapter: DMA_ADAPTER, count: int) -> RegisterFile:
        """Record that a channel is asked for, and return what will be granted."""
        file = self._new_file(count)
        args = {Arg.ROUTINE: self._routine, Arg.REGISTERS: count}
        self._told(K.CHANNEL_ALLOCATE, adapter, file, args)
        return file

    def _hold(self, adapter: DMA_ADAPTER, file: RegisterFile) -> None:
        """Let a file have its map registers and the channel, and record it."""
        self._take(adapter, file)
        adapter.latest = file
        adapter.counts["adapter channels"].allocated += 1
        self._told(K.CHANNEL_GRANTED, adapter, file, {Arg.REGISTERS: file.count})

    def _grant(self, adapter: DMA_ADAPTER, file: RegisterFile, device: object,
               routine: ControlRoutine, context: object) -> None:  # fmt: skip
        if file.cancelled:
            return
        self._hold(adapter, file)
        action = self._at_dispatch(routine, device, None, file, context)
        known = action in list(IO_ALLOCATION_ACTION)
        self._told(K.CHANNEL_ACTION, adapter, file, {Arg.ACTION: int(action)} if known else {})
        if action != IO_ALLOCATION_ACTION.KeepObject:
            file.channel = False
            adapter.counts["adapter channels"].freed += 1
        if action == IO_ALLOCATION_ACTION.DeallocateObject:
            self._free_file(adapter, file)

    def MapTransfer(self, DmaAdapter: DMA_ADAPTER | None, Mdl: MDL, MapRegisterBase: RegisterFile,
                    CurrentVa: int, Length: int,
                    WriteToDevice: bool) -> tuple[int, int]:  # fmt: skip
        """Return (logical address, bytes mapped) of a part of a locked MDL.

        IRQL <= DISPATCH_LEVEL, with a granted channel. A bus master with scatter/gather gets
        the first piece that follows itself in memory, and calls again for the rest; others get
        all of it in one piece. The device owns the bytes until FlushAdapterBuffers.
        """
        adapter = self._enter("MapTransfer", DmaAdapter,
                              CurrentVa, Length, WriteToDevice, length=Length)  # fmt: skip
        routine, file, offset, length = self._routine, MapRegisterBase, CurrentVa - Mdl.virt, Length
        gathers = adapter.description.Master and adapter.description.ScatterGather
        self._base(file)
        if gathers:
            # Under the verifier a map register is a page with guards of its own.
            room = PAGE - (CurrentVa & (PAGE - 1))
            length = min(length, room) if self._m.platform.guard_bytes else length
        runs = self._reach(adapter, file, Mdl, offset, length, WriteToDevice)
        if not runs:
            self._tell_failed(adapter, Mdl, offset, 0, WriteToDevice, file)
            return 0, 0
        if gathers:
            runs, length = runs[:1], runs[0][1]
        mapping = self._map(adapter, file, Mdl, offset, length, WriteToDevice, runs=runs,
                            joined=not gathers, as_list=False, routine=routine)  # fmt: skip
        return (0, 0) if mapping is None else (mapping.window.bus, length)

    def _reach(self, adapter: DMA_ADAPTER, file: RegisterFile | None, mdl: MDL, offset: int,
               length: int, write: bool) -> list[Run]:  # fmt: skip
        """Return the memory of a transfer; one that can not be is recorded, and ends the driver."""
        try:
            return self._s.mm.runs(mdl, offset, length)
        except SimError:
            self._tell_failed(adapter, mdl, offset, length, write, file)
            raise

    def FlushAdapterBuffers(self, DmaAdapter: DMA_ADAPTER | None, Mdl: MDL,
                            MapRegisterBase: RegisterFile, CurrentVa: int, Length: int,
                            WriteToDevice: bool) -> bool:  # fmt: skip
        """End the transfers of a part of an MDL; what the device wrote is in memory then.

        IRQL <= DISPATCH_LEVEL. MDL, base and first CurrentVa as for MapTransfer; before the
        request is completed and before map registers are freed. Returns True for success.
        """
        adapter = self._enter("FlushAdapterBuffers", DmaAdapter,
                              CurrentVa, Length, length=Length)  # fmt: skip
        return self._flush(adapter, Mdl, self._base(MapRegisterBase), CurrentVa - Mdl.virt, Length,
                           WriteToDevice, as_list=False)  # fmt: skip

    def FreeMapRegisters(self, DmaAdapter: DMA_ADAPTER | None, MapRegisterBase: RegisterFile,
                         NumberOfMapRegisters: int) -> None:  # fmt: skip
        """Free map registers kept by DeallocateObjectKeepRegisters. IRQL = DISPATCH_LEVEL.

        After the flush, and as many as were allocated. No result.
        """
        adapter = self._enter("FreeMapRegisters", DmaAdapter, NumberOfMapRegisters,
                              registers=NumberOfMapRegisters)  # fmt: skip
        args = {Arg.ROUTINE: self._routine, Arg.REGISTERS: NumberOfMapRegisters}
        self._told(K.CHANNEL_FREE, adapter, self._base(MapRegisterBase), args)
        self._free_file(adapter, MapRegisterBase)

    def FreeAdapterChannel(self, DmaAdapter: DMA_ADAPTER | None) -> None:
        """Free the channel kept by KeepObject, and its map registers. IRQL = DISPATCH_LEVEL.

        After the flush, and only where AdapterControl returned KeepObject. No result.
        """
        adapter = self._enter("FreeAdapterChannel", DmaAdapter)
        adapter.counts["adapter channels"].freed += 1
        file = next((f for f in adapter.files if f.channel), adapter.latest)
        self._told(K.CHANNEL_FREE, adapter, file, {Arg.ROUTINE: self._routine})
        if file is not None:
            file.channel = False
            self._free_file(adapter, file)

    # Lists

    def GetScatterGatherList(self, DmaAdapter: DMA_ADAPTER | None, DeviceObject: object, Mdl: MDL,
                             CurrentVa: int, Length: int, ExecutionRoutine: ListRoutine,
                             Context: object, WriteToDevice: bool) -> int:  # fmt: skip
        """Map a part of an MDL chain and hand the list to a routine, now or later.

        IRQL = DISPATCH_LEVEL. The routine gets (DeviceObject, Irp, ScatterGather, Context). The
        device owns the bytes, and the list is the system's, until PutScatterGatherList. Returns
        STATUS_SUCCESS, STATUS_INSUFFICIENT_RESOURCES, or STATUS_BUFFER_TOO_SMALL where the
        chain is shorter than Length.
        """
        adapter = self._enter("GetScatterGatherList", DmaAdapter,
                              CurrentVa, Length, WriteToDevice, length=Length)  # fmt: skip
        return self._get_list(adapter, DeviceObject, Mdl, CurrentVa - Mdl.virt, Length,
                              ExecutionRoutine, Context, WriteToDevice)  # fmt: skip

    def _get_list(self, adapter: DMA_ADAPTER, device: object, mdl: MDL, offset: int, length: int,
                  routine: ListRoutine, context: object, write: bool) -> int:  # fmt: skip
        """Map a list as the routine that was called wants it, now or later."""
        called = self._routine
        if length <= 0 or length + max(offset, 0) > mdl.chain_length:
            self._tell_failed(adapter, mdl, offset, length, write)
            return STATUS_BUFFER_TOO_SMALL
        count = self._registers_for(mdl, offset, length)
        runs = self._reach(adapter, None, mdl, offset, length, write)
        if count > adapter.registers or self._s.injector.fails(routine_name(called)):
            self._tell_failed(adapter, mdl, offset, length, write, registers=count)
            return STATUS_INSUFFICIENT_RESOURCES

        def grant() -> int:
            made = self._list(adapter, mdl, offset, length, write, count, runs, called)
            if made is None:
                return STATUS_INSUFFICIENT_RESOURCES
            self._at_dispatch(routine, device, None, made, context)
            return STATUS_SUCCESS

        if adapter.files and adapter.place(count) < 0:
            adapter.waiting.append((count, grant))
            return STATUS_SUCCESS
        return grant()

    def _list(self, adapter: DMA_ADAPTER, mdl: MDL, offset: int, length: int, write: bool,
              count: int, runs: list[Run], routine: int) -> SCATTER_GATHER_LIST | None:  # fmt: skip
        file = self._new_file(count)
        file.channel, file.listed = False, True
        self._take(adapter, file)
        mapping = self._map(adapter, file, mdl, offset, length, write, joined=False, as_list=True,
                            runs=runs, routine=routine)  # fmt: skip
        if mapping is None:
            self._free_file(adapter, file)
            self._tell_failed(adapter, mdl, offset, length, write)
            return None
        adapter.counts["scatter/gather lists"].allocated += 1
        elements = [SCATTER_GATHER_ELEMENT(s.bus, s.length) for s in mapping.window.segments]
        return SCATTER_GATHER_LIST(elements, (file, mapping))

    def PutScatterGatherList(self, DmaAdapter: DMA_ADAPTER | None,
                             ScatterGather: SCATTER_GATHER_LIST,
                             WriteToDevice: bool) -> None:  # fmt: skip
        """Flush a list, free its map registers and the list. IRQL = DISPATCH_LEVEL.

        After the device is done. Mandatory before the CPU looks at the data; list and direction
        are those of the map. The list is not the driver's afterwards. No result.
        """
        adapter = self._enter("PutScatterGatherList", DmaAdapter)
        adapter.counts["scatter/gather lists"].freed += 1
        file, mapping = ScatterGather.file
        live = mapping in file.mappings
        if live:
            self._unmap(adapter, file, mapping, write=WriteToDevice)
        self._told_end(adapter, file, mapping, mapping.mdl, mapping.offset, mapping.length,
                       WriteToDevice, as_list=True)  # fmt: skip
        if live:
            self._free_file(adapter, file)

    def CalculateScatterGatherList(self, DmaAdapter: DMA_ADAPTER | None, Mdl: MDL | None,
                                   CurrentVa: int,
                                   Length: int) -> tuple[int, int, int]:  # fmt: skip
        """Return (status, bytes that a list needs, map registers). Version 2. Any IRQL.

        Without an MDL: for the worst case of so many bytes.
        """
        self._enter("CalculateScatterGatherList", DmaAdapter)
        count = (Length + 2 * PAGE - 2) // PAGE if Mdl is None else self._registers_for(
            Mdl, CurrentVa - Mdl.virt, Length)  # fmt: skip
        return STATUS_SUCCESS, 16 + 24 * count, count

    def BuildScatterGatherList(self, DmaAdapter: DMA_ADAPTER | None, DeviceObject: object,
                               Mdl: MDL, CurrentVa: int, Length: int,
                               ExecutionRoutine: ListRoutine, Context: object,
                               WriteToDevice: bool, ScatterGatherLength: int) -> int:  # fmt: skip
        """As GetScatterGatherList, into the driver's own buffer. Version 2. IRQL = DISPATCH_LEVEL.

        Returns STATUS_BUFFER_TOO_SMALL where the buffer does not hold the list.
        """
        adapter = self._enter("BuildScatterGatherList", DmaAdapter,
                              CurrentVa, Length, WriteToDevice, length=Length)  # fmt: skip
        offset = CurrentVa - Mdl.virt
        if ScatterGatherLength < 16 + 24 * self._registers_for(Mdl, offset, Length):
            return STATUS_BUFFER_TOO_SMALL
        return self._get_list(adapter, DeviceObject, Mdl, offset, Length, ExecutionRoutine,
                              Context, WriteToDevice)  # fmt: skip

    def BuildMdlFromScatterGatherList(self, DmaAdapter: DMA_ADAPTER | None,
                                      ScatterGather: SCATTER_GATHER_LIST,
                                      OriginalMdl: MDL) -> tuple[int, MDL | None]:  # fmt: skip
        """Return (status, an MDL of what the device really reaches). IRQL <= DISPATCH_LEVEL.

        The original where nothing was copied, else a new one, which the driver frees before it
        puts the list. STATUS_NONE_MAPPED at the second call. Version 2.
        """
        self._enter("BuildMdlFromScatterGatherList", DmaAdapter)
        _, mapping = ScatterGather.file
        if not mapping.window.slots():
            return STATUS_SUCCESS, OriginalMdl
        if mapping in self._s.rebuilt:
            return STATUS_NONE_MAPPED, None
        self._s.rebuilt.append(mapping)
        return STATUS_SUCCESS, self._s.mm.new_mdl(
            mapping.window.segments[0].target & (PAGE - 1), mapping.length,
            [s.target // PAGE for s in mapping.window.segments],
        )  # fmt: skip
