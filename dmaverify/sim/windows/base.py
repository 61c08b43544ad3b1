"""What the tables of DMA operations are made of."""

from collections.abc import Callable
from typing import Any, Protocol

from dmaverify.errors import SimError
from dmaverify.model.kinds import Arg, Direction, EventKind, Flag, MapType
from dmaverify.model.routines import Routine, routine_name
from dmaverify.sim.clock import CALL_NS
from dmaverify.sim.faults import Injector
from dmaverify.sim.machine import Machine
from dmaverify.sim.memory import PAGE, Run
from dmaverify.sim.stop import driver_place
from dmaverify.sim.window import Window
from dmaverify.sim.windows.adapter import DMA_ADAPTER, Mapping, RegisterFile
from dmaverify.sim.windows.mdl import MDL, MemoryManager
from dmaverify.sim.windows.names import DISPATCH_LEVEL

_TO_DEVICE, _FROM_DEVICE = Direction.TO_DEVICE, Direction.FROM_DEVICE
_MAP, _UNMAP, _SINGLE, _SG = EventKind.DMA_MAP, EventKind.DMA_UNMAP, MapType.SINGLE, MapType.SG
_CALL, K = EventKind.DMA_CALL, EventKind
_ADAPTER, _ROUTINE, _FILE, _MDL = map(int, (Arg.ADAPTER, Arg.ROUTINE, Arg.FILE, Arg.MDL))
_OFFSET, _MDL_LENGTH, _REGISTERS = map(int, (Arg.OFFSET, Arg.MDL_LENGTH, Arg.REGISTERS))
_GRANTED = int(Arg.GRANTED)
ALL_ONES = (1 << 64) - 1
#: The numbers of routines by the names that the WDK gives them.
ROUTINES = {routine_name(routine): int(routine) for routine in Routine}
# As pairs, which a batch takes as they are: this is on the way of every call.
Pairs = tuple[tuple[int, int], ...]
_NAMED: dict[str, tuple[int, Pairs]] = {
    name: (number, ((_ROUTINE, number),)) for name, number in ROUTINES.items()
}


class System(Protocol):
    """What the tables need of the system that they belong to.

    Attributes:
        machine, injector, mm: as in `Windows`.
        irql: the level at which the processor runs.
        files: map register files made so far.
        vectors: common-buffer vectors made so far.
        shared: logical address -> what CreateCommonBufferFromMdl made.
        rebuilt: mappings that BuildMdlFromScatterGatherList was called for.
        partial: whether MapTransferEx maps less than it is asked for.
    """

    machine: Machine
    injector: Injector
    mm: MemoryManager
    irql: int
    files: int
    vectors: int
    shared: dict[int, Window]
    rebuilt: list[Mapping]
    partial: bool

    @property
    def alignment(self) -> int:
        """Return what start and length of a buffer have to be multiples of."""
        ...

    def flush_caches(self, mdl: MDL, read: bool, routine: int) -> None:
        """Look after caches before a transfer."""
        ...

    def told_guards(self, offsets: list[int], what: str) -> None:
        """Note guard bytes that were overwritten."""
        ...

    def set_irql(self, level: int) -> None:
        """Let the processor run at another level, which is recorded."""
        ...


class Operations:
    """Parts that the routines share.

    Args:
        system: the system that they belong to.
        coherent: whether mapping and flushing look after caches (version 3); else the driver
            has to call KeFlushIoBuffers.
    """

    def __init__(self, system: System, *, coherent: bool) -> None:
        self._s = system
        self._m = system.machine
        self._coherent = coherent
        self._site = ""  # the driver's line that called last
        self._routine = 0  # and what it called

    # Calls

    def _enter(self, routine: str, adapter: DMA_ADAPTER | None, *arguments: int,
               length: int | None = None, registers: int | None = None,
               file: RegisterFile | None = None, vector: Pairs = ()) -> DMA_ADAPTER:  # fmt: skip
        """Record a call, note it in its adapter's history, and return the adapter.

        Args:
            routine: its name.
            adapter: what it is called with.
            arguments: what tells the call from others, for the history.
            length: bytes that it names, None for none.
            registers: map registers that it names.
            file: the map register file that it names.
            vector: named numbers of the common-buffer vector that it names.

        Raises:
            SimError: the adapter is NULL: on a real machine the system stops here.
        """
        tape, (self._routine, args) = self._m.tape, _NAMED[routine]
        self._site = site = driver_place() if tape.sites else ""
        if registers is not None:
            args += ((_REGISTERS, registers),)
        if file is not None:
            args += ((_FILE, file.number),)
        args += vector
        if adapter is None:
            tape.add(_CALL, CALL_NS, site, device=self._m.cpu.device, length=length, args=args)
            raise SimError(f"{routine} is called with a NULL adapter")
        tape.add(_CALL, CALL_NS, site, device=adapter.device.number, object=adapter.number,
                 length=length, args=args)  # fmt: skip
        adapter.history.append((tape.now_ns, self._s.irql, routine, site, arguments))
        return adapter

    def _at_dispatch(self, routine: Callable[..., Any], *arguments: object) -> Any:
        """Run a driver's routine at DISPATCH_LEVEL, as the system calls it."""
        before = self._s.irql
        if before >= DISPATCH_LEVEL:
            return routine(*arguments)
        self._s.set_irql(DISPATCH_LEVEL)
        try:
            return routine(*arguments)
        finally:
            self._s.set_irql(before)

    def _base(self, file: RegisterFile | None) -> RegisterFile:
        """Return the map register file that a call names.

        Raises:
            SimError: it is NULL: on a real machine the system stops here.
        """
        if not isinstance(file, RegisterFile):
            raise SimError(f"{routine_name(self._routine)} is given {file!r} as MapRegisterBase")
        return file

    # Map registers

    def _registers_for(self, mdl: MDL, offset: int, length: int) -> int:
        """Return how many map registers a part of an MDL needs."""
        return (((mdl.virt + offset) & (PAGE - 1)) + length + PAGE - 1) // PAGE

    def _new_file(self, count: int) -> RegisterFile:
        """Return a map register file that holds nothing yet."""
        self._s.files += 1
        return RegisterFile(self._s.files, count)

    def _take(self, adapter: DMA_ADAPTER, file: RegisterFile) -> None:
        """Let a file have its map registers."""
        file.held = file.granted = True
        file.owner = adapter
        file.first = max(adapter.place(file.count), 0) if adapter.files else 0
        adapter.files.append(file)
        adapter.held += file.count
        adapter.counts["map registers"].allocated += file.count

    def _free_file(self, adapter: DMA_ADAPTER, file: RegisterFile) -> None:
        """Free the map registers of one allocation; what is still mapped stays so."""
        adapter = file.owner or adapter
        if file.held:
            file.held = False
            adapter.files.remove(file)
            adapter.held -= file.count
            adapter.counts["map registers"].freed += file.count
        while adapter.waiting and adapter.place(adapter.waiting[0][0]) >= 0:
            adapter.waiting.popleft()[1]()

    def _told(self, kind: EventKind, adapter: DMA_ADAPTER, file: RegisterFile | None,
              args: dict[Arg, int], *, failed: bool = False, status: int = 0) -> None:  # fmt: skip
        """Record what became of a channel or its map registers."""
        self._m.tape.add(
            kind, 0, device=adapter.device.number, object=file.number if file else 0,
            status=status, flags=Flag.FAILED if failed else 0,
            args={Arg.ADAPTER: adapter.number, **args},
        )  # fmt: skip

    # Mappings

    def _map(self, adapter: DMA_ADAPTER, file: RegisterFile, mdl: MDL, offset: int, length: int,
             write: bool, *, joined: bool, as_list: bool, routine: int,
             runs: list[Run]) -> Mapping | None:  # fmt: skip
        """Map a part of an MDL chain, record it, and return it; None where it can not be."""
        direction = _TO_DEVICE if write else _FROM_DEVICE
        number, bus = adapter.device.number, self._m.bus
        if joined:
            window = bus.map_joined(number, runs, direction, clean=self._coherent)
        else:
            window = bus.map(number, runs, direction, split=bus.platform.guard_bytes > 0,
                             clean=self._coherent, site=self._site)  # fmt: skip
        if window is None:
            return None
        mapping = Mapping(mdl, offset, length, write, window, self._site)
        file.mappings.append(mapping)
        adapter.mapped_since_flush += length
        args = _args(adapter, file, mdl, offset, routine)
        tape, segments, site = self._m.tape, window.segments, self._site
        if as_list:
            if file.listed:
                args += ((_REGISTERS, file.count),)
            tape.add(_MAP, CALL_NS, site, device=number, direction=direction, type=_SG,
                     bus_addr=window.bus, length=window.length, phys_addr=segments[0].phys,
                     args=args, sg_bus=[(s.bus, s.length) for s in segments],
                     sg_phys=[s.phys for s in segments])  # fmt: skip
        else:
            tape.add(_MAP, CALL_NS, site, device=number, direction=direction, type=_SINGLE,
                     bus_addr=window.bus, length=window.length, phys_addr=segments[0].phys,
                     args=args)  # fmt: skip
        return mapping

    def _unmap(self, adapter: DMA_ADAPTER, file: RegisterFile, mapping: Mapping, *, write: bool,
               part: tuple[int, int] | None = None) -> None:  # fmt: skip
        """End a mapping, whatever of it is named.

        Args:
            adapter: whose mapping it is.
            file: the map registers that it has.
            mapping: what ends.
            write: the direction that the driver gives; for another one nothing is copied back.
            part: (offset, length) of what it gives, None for all of the mapping.
        """
        window, copies = mapping.window, write == mapping.write
        if part is not None and copies and part != (mapping.offset, mapping.length):
            self._sync_part(mapping, part)
            copies = False
        self._m.bus.unmap(window, skip_sync=not copies)
        file.mappings.remove(mapping)
        adapter.mapped_since_flush -= mapping.length

    def _sync_part(self, mapping: Mapping, part: tuple[int, int]) -> None:
        """Bring a part of a mapping back to memory: the device's bytes beyond it stay away."""
        at = mapping.offset
        for segment in mapping.window.segments:
            low, high = max(at, part[0]), min(at + segment.length, part[0] + part[1])
            if low < high:
                self._m.bus.sync_for_cpu(mapping.window, segment, low - at, high - low)
            at += segment.length

    def _flush(self, adapter: DMA_ADAPTER, mdl: MDL, file: RegisterFile, offset: int, length: int,
               write: bool, *, as_list: bool) -> bool:  # fmt: skip
        """End what is mapped of a part of an MDL, and tell whether anything was.

        Each mapping is told with the part of it that was named; what was named outside of them
        goes with the first or the last. A flush that means no mapping is told without an address.
        """
        end = offset + length
        found = [m for m in file.mappings
                 if m.mdl is mdl and m.offset < end and m.offset + m.length > offset]  # fmt: skip
        for i, mapping in enumerate(found):
            low = offset if i == 0 else mapping.offset
            high = end if i == len(found) - 1 else mapping.offset + mapping.length
            self._unmap(adapter, file, mapping, write=write, part=(low, high - low))
            self._told_end(adapter, file, mapping, mdl, low, high - low, write, as_list=as_list)
        if not found:
            self._m.tape.add(
                _UNMAP, CALL_NS, self._site, device=adapter.device.number, length=length,
                direction=_TO_DEVICE if write else _FROM_DEVICE, type=_SG if as_list else _SINGLE,
                args=_args(adapter, file, mdl, offset, self._routine),
            )  # fmt: skip
        return bool(found)

    def _told_end(self, adapter: DMA_ADAPTER, file: RegisterFile, mapping: Mapping, mdl: MDL,
                  offset: int, length: int, write: bool, *, as_list: bool) -> None:  # fmt: skip
        """Record the end of a mapping as the driver gave it."""
        window = mapping.window
        segments, direction = window.segments, _TO_DEVICE if write else _FROM_DEVICE
        args = _args(adapter, file, mdl, offset, self._routine)
        if as_list:
            self._m.tape.add(_UNMAP, CALL_NS, self._site, device=adapter.device.number,
                             direction=direction, type=_SG, bus_addr=window.bus, length=length,
                             phys_addr=segments[0].phys, args=args,
                             sg_phys=[s.phys for s in segments])  # fmt: skip
        else:
            self._m.tape.add(_UNMAP, CALL_NS, self._site, device=adapter.device.number,
                             direction=direction, type=_SINGLE, bus_addr=window.bus, length=length,
                             phys_addr=segments[0].phys, args=args)  # fmt: skip

    def _tell_failed(self, adapter: DMA_ADAPTER, mdl: MDL, offset: int, length: int, write: bool,
                     file: RegisterFile | None = None,
                     registers: int | None = None) -> None:  # fmt: skip
        """Record a mapping that was refused, as it was asked for; one of nothing is none."""
        args = _args(adapter, file, mdl, offset, self._routine)
        if registers is not None:
            args += ((_REGISTERS, registers), (_GRANTED, adapter.longest_run()))
        self._m.tape.add(
            _MAP, CALL_NS, self._site, device=adapter.device.number, length=length,
            flags=Flag.FAILED if length else 0, type=_SG,
            direction=_TO_DEVICE if write else _FROM_DEVICE,
            args=args,
        )  # fmt: skip


def _args(adapter: DMA_ADAPTER, file: RegisterFile | None, mdl: MDL, offset: int,
          routine: int) -> Pairs:  # fmt: skip
    """Return the named numbers of a mapping; an offset before the MDL is one near the top."""
    length = mdl.length if mdl.Next is None else mdl.chain_length
    args = ((_ADAPTER, adapter.number), (_ROUTINE, routine), (_MDL, mdl.number),
            (_OFFSET, offset & ALL_ONES), (_MDL_LENGTH, length))  # fmt: skip
    return args if file is None else (*args, (_FILE, file.number))
