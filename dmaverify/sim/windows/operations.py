"""DMA_OPERATIONS of versions 1 and 2.

Each routine is called as in C, with the adapter first: `ops.MapTransfer(adapter, ...)`. What C
gives back through pointers is returned, in the order of the parameters. A driver's mistake
does not raise: it is recorded, and has the effect that it has.
Source for all of it: Windows driver documentation, DMA_OPERATIONS and the page of each routine.
"""

from collections.abc import Callable

from dmaverify.model.kinds import Direction, EventKind, Flag, MapType
from dmaverify.sim.memory import PAGE, Run
from dmaverify.sim.windows.adapter import DMA_ADAPTER, RegisterFile
from dmaverify.sim.windows.base import Operations
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
        adapter.live = False

    def GetDmaAlignment(self, DmaAdapter: DMA_ADAPTER | None) -> int:
        """Return what start and length of a buffer have to be multiples of. IRQL PASSIVE_LEVEL."""
        self._enter("GetDmaAlignment", DmaAdapter)
        platform = self._m.platform
        return 1 if platform.coherent else platform.line_bytes

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
        adapter = self._enter("AllocateCommonBuffer", DmaAdapter, Length)
        return self._allocate(adapter, Length, (1 << 64) - 1)

    def _allocate(self, adapter: DMA_ADAPTER, length: int, highest: int) -> tuple[int, int]:
        buffer = None
        if length > 0 and not self._s.injector.fails("AllocateCommonBuffer"):
            buffer = self._m.common.take(adapter.device.number, length, highest)
        if buffer is None:
            self._m.tape.add(
                K.DMA_ALLOC, device=adapter.device.number, length=length, virt_addr=0,
                direction=Direction.BIDIRECTIONAL, type=MapType.COHERENT,
                flags=Flag.FAILED | Flag.NULL_CPU,
            )  # fmt: skip
            return 0, 0
        adapter.buffers[buffer.bus] = buffer
        adapter.counts["common buffers"].allocated += 1
        self._m.tape.add(
            K.DMA_ALLOC, device=adapter.device.number, length=length, virt_addr=buffer.virt,
            bus_addr=buffer.bus, phys_addr=buffer.phys, direction=Direction.BIDIRECTIONAL,
            type=MapType.COHERENT,
        )  # fmt: skip
        return buffer.virt, buffer.bus

    def FreeCommonBuffer(self, DmaAdapter: DMA_ADAPTER | None, Length: int, LogicalAddress: int,
                         VirtualAddress: int, CacheEnabled: bool = False) -> None:  # fmt: skip
        """Free a common buffer; all arguments are those of its allocation. IRQL PASSIVE_LEVEL."""
        adapter = self._enter("FreeCommonBuffer", DmaAdapter,
                              Length, LogicalAddress)  # fmt: skip
        buffer = adapter.buffers.pop(LogicalAddress, None)
        adapter.counts["common buffers"].freed += 1
        if buffer is not None:
            self._s.told_guards(self._m.common.damage(buffer), "a common buffer")
            self._m.common.give(buffer)
        elif LogicalAddress in self._s.shared:
            self._m.bus.unmap(self._s.shared.pop(LogicalAddress))
        self._m.tape.add(
            K.DMA_FREE, device=adapter.device.number, length=Length, virt_addr=VirtualAddress,
            bus_addr=LogicalAddress, direction=Direction.BIDIRECTIONAL, type=MapType.COHERENT,
        )  # fmt: skip

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
                              NumberOfMapRegisters)  # fmt: skip
        if NumberOfMapRegisters > adapter.registers or self._s.injector.fails(
            "AllocateAdapterChannel"
        ):
            return STATUS_INSUFFICIENT_RESOURCES

        def grant() -> int:
            self._grant(adapter, NumberOfMapRegisters, DeviceObject, ExecutionRoutine, Context)
            return STATUS_SUCCESS

        if NumberOfMapRegisters <= adapter.free_registers:
            return grant()
        adapter.waiting.append((NumberOfMapRegisters, grant))
        return STATUS_SUCCESS

    def _grant(self, adapter: DMA_ADAPTER, count: int, device: object, routine: ControlRoutine,
               context: object) -> None:  # fmt: skip
        file = self._new_file(adapter, count)
        adapter.counts["adapter channels"].allocated += 1
        action = self._at_dispatch(routine, device, None, file, context)
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
                              CurrentVa, Length, WriteToDevice)  # fmt: skip
        offset = CurrentVa - Mdl.virt
        gathers = adapter.description.Master and adapter.description.ScatterGather
        length = Length
        if gathers:
            runs = self._s.mm.runs(Mdl, offset, length)
            length = runs[0][1] if runs else 0
            if self._m.platform.guard_bytes:
                length = min(length, PAGE - (CurrentVa & (PAGE - 1)))
        if length <= 0:
            self._tell_failed(adapter, 0, WriteToDevice)
            return 0, 0
        mapping = self._map(adapter, MapRegisterBase, Mdl, offset, length, WriteToDevice,
                            joined=not gathers, as_list=False)  # fmt: skip
        return (0, 0) if mapping is None else (mapping.window.bus, length)

    def FlushAdapterBuffers(self, DmaAdapter: DMA_ADAPTER | None, Mdl: MDL,
                            MapRegisterBase: RegisterFile, CurrentVa: int, Length: int,
                            WriteToDevice: bool) -> bool:  # fmt: skip
        """End the transfers of a part of an MDL; what the device wrote is in memory then.

        IRQL <= DISPATCH_LEVEL. MDL, base and first CurrentVa as for MapTransfer; before the
        request is completed and before map registers are freed. Returns True for success.
        """
        adapter = self._enter("FlushAdapterBuffers", DmaAdapter,
                              CurrentVa, Length)  # fmt: skip
        start = CurrentVa - Mdl.virt
        found = [
            m
            for m in MapRegisterBase.mappings
            if m.mdl is Mdl and m.offset < start + Length and m.offset + m.length > start
        ]
        for mapping in found:
            self._unmap(adapter, MapRegisterBase, mapping, as_list=False,
                        copies=WriteToDevice == mapping.write)  # fmt: skip
        return bool(found)

    def FreeMapRegisters(self, DmaAdapter: DMA_ADAPTER | None, MapRegisterBase: RegisterFile,
                         NumberOfMapRegisters: int) -> None:  # fmt: skip
        """Free map registers kept by DeallocateObjectKeepRegisters. IRQL = DISPATCH_LEVEL.

        After the flush, and as many as were allocated. No result.
        """
        adapter = self._enter("FreeMapRegisters", DmaAdapter, NumberOfMapRegisters)
        self._free_file(adapter, MapRegisterBase)

    def FreeAdapterChannel(self, DmaAdapter: DMA_ADAPTER | None) -> None:
        """Free the channel kept by KeepObject, and its map registers. IRQL = DISPATCH_LEVEL."""
        adapter = self._enter("FreeAdapterChannel", DmaAdapter)
        adapter.counts["adapter channels"].freed += 1
        for file in [f for f in adapter.files if f.channel]:
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
                              CurrentVa, Length, WriteToDevice)  # fmt: skip
        offset = CurrentVa - Mdl.virt
        count = (((Mdl.virt + offset) & (PAGE - 1)) + Length + PAGE - 1) // PAGE
        runs = self._s.mm.runs(Mdl, offset, Length)
        if Length <= 0 or sum([r[1] for r in runs]) < Length:
            return STATUS_BUFFER_TOO_SMALL
        if count > adapter.registers or self._s.injector.fails("GetScatterGatherList"):
            self._tell_failed(adapter, Length, WriteToDevice)
            return STATUS_INSUFFICIENT_RESOURCES

        def grant() -> int:
            made = self._list(adapter, Mdl, offset, Length, WriteToDevice, count, runs)
            if made is None:
                return STATUS_INSUFFICIENT_RESOURCES
            self._at_dispatch(ExecutionRoutine, DeviceObject, None, made, Context)
            return STATUS_SUCCESS

        if count <= adapter.free_registers:
            return grant()
        adapter.waiting.append((count, grant))
        return STATUS_SUCCESS

    def _list(self, adapter: DMA_ADAPTER, mdl: MDL, offset: int, length: int, write: bool,
              count: int, runs: list[Run]) -> SCATTER_GATHER_LIST | None:  # fmt: skip
        file = self._new_file(adapter, count)
        file.channel = False
        mapping = self._map(adapter, file, mdl, offset, length, write, joined=False, as_list=True,
                            runs=runs)  # fmt: skip
        if mapping is None:
            self._free_file(adapter, file)
            return None
        adapter.counts["scatter/gather lists"].allocated += 1
        elements = [SCATTER_GATHER_ELEMENT(s.bus, s.length) for s in mapping.window.segments]
        return SCATTER_GATHER_LIST(elements, (file, mapping))

    def PutScatterGatherList(self, DmaAdapter: DMA_ADAPTER | None,
                             ScatterGather: SCATTER_GATHER_LIST,
                             WriteToDevice: bool) -> None:  # fmt: skip
        """Flush a list, free its map registers and the list. IRQL = DISPATCH_LEVEL.

        Mandatory before the CPU looks at the data; list and direction are those of the map.
        """
        adapter = self._enter("PutScatterGatherList", DmaAdapter)
        adapter.counts["scatter/gather lists"].freed += 1
        file, mapping = ScatterGather.file
        if mapping in file.mappings:
            self._unmap(adapter, file, mapping, copies=True, as_list=True)
            self._free_file(adapter, file)
        else:
            self._tell(K.DMA_UNMAP, adapter, mapping.window, as_list=True)

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
        self._enter("BuildScatterGatherList", DmaAdapter)
        needed = 16 + 24 * self._registers_for(Mdl, CurrentVa - Mdl.virt, Length)
        if ScatterGatherLength < needed:
            return STATUS_BUFFER_TOO_SMALL
        return self.GetScatterGatherList(DmaAdapter, DeviceObject, Mdl, CurrentVa, Length,
                                         ExecutionRoutine, Context, WriteToDevice)  # fmt: skip

    def BuildMdlFromScatterGatherList(self, DmaAdapter: DMA_ADAPTER | None,
                                      ScatterGather: SCATTER_GATHER_LIST,
                                      OriginalMdl: MDL) -> tuple[int, MDL | None]:  # fmt: skip
        """Return (status, an MDL of what the device really reaches). IRQL <= DISPATCH_LEVEL.

        The original where nothing was copied. STATUS_NONE_MAPPED at the second call. Version 2.
        """
        self._enter("BuildMdlFromScatterGatherList", DmaAdapter)
        _, mapping = ScatterGather.file
        if not mapping.window.slots():
            return STATUS_SUCCESS, OriginalMdl
        if mapping in self._s.rebuilt:
            return STATUS_NONE_MAPPED, None
        self._s.rebuilt.append(mapping)
        mdl = MDL(0, mapping.window.segments[0].target & (PAGE - 1), mapping.length,
                  pages=[s.target // PAGE for s in mapping.window.segments])  # fmt: skip
        return STATUS_SUCCESS, mdl
