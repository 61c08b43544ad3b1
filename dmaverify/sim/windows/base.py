"""What the tables of DMA operations are made of."""

from collections.abc import Callable
from typing import Any, Protocol

from dmaverify.errors import SimError
from dmaverify.model.kinds import Direction, EventKind, Flag, MapType
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


class System(Protocol):
    """What the tables need of the system that they belong to.

    Attributes:
        machine, injector, mm: as in `Windows`.
        irql: the level at which the processor runs.
        files: map register files made so far.
        shared: logical address -> what CreateCommonBufferFromMdl made.
        rebuilt: mappings that BuildMdlFromScatterGatherList was called for.
        partial: whether MapTransferEx maps less than it is asked for.
    """

    machine: Machine
    injector: Injector
    mm: MemoryManager
    irql: int
    files: int
    shared: dict[int, Window]
    rebuilt: list[Mapping]
    partial: bool

    def KeFlushIoBuffers(self, Mdl: MDL, ReadOperation: bool, DmaOperation: bool = True) -> None:
        """Look after caches before a transfer."""
        ...

    def told_guards(self, offsets: list[int], what: str) -> None:
        """Note guard bytes that were overwritten."""
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

    # Calls

    def _enter(self, routine: str, adapter: DMA_ADAPTER | None, *arguments: int) -> DMA_ADAPTER:
        """Note a call in its adapter's history, and return the adapter.

        Raises:
            SimError: the adapter is NULL: on a real machine the system stops here.
        """
        if adapter is None:
            raise SimError(f"{routine} is called with a NULL adapter")
        clock = self._m.clock
        clock.now_ns += CALL_NS
        self._site = site = driver_place(3) if self._m.tape.sites else ""
        adapter.history.append((clock.now_ns, self._s.irql, routine, site, arguments))
        return adapter

    def _at_dispatch(self, routine: Callable[..., Any], *arguments: object) -> Any:
        """Run a driver's routine at DISPATCH_LEVEL, as the system calls it."""
        before, self._s.irql = self._s.irql, max(self._s.irql, DISPATCH_LEVEL)
        try:
            return routine(*arguments)
        finally:
            self._s.irql = before

    # Map registers

    def _registers_for(self, mdl: MDL, offset: int, length: int) -> int:
        """Return how many map registers a part of an MDL needs."""
        return (((mdl.virt + offset) & (PAGE - 1)) + length + PAGE - 1) // PAGE

    def _new_file(self, adapter: DMA_ADAPTER, count: int) -> RegisterFile:
        self._s.files += 1
        file = RegisterFile(self._s.files, count)
        adapter.files.append(file)
        adapter.held += count
        adapter.counts["map registers"].allocated += count
        return file

    def _free_file(self, adapter: DMA_ADAPTER, file: RegisterFile) -> None:
        """Free the map registers of one allocation; what is still mapped stays so."""
        if file.held:
            file.held = False
            adapter.files.remove(file)
            adapter.held -= file.count
            adapter.counts["map registers"].freed += file.count
        while adapter.waiting and adapter.waiting[0][0] <= adapter.free_registers:
            adapter.waiting.popleft()[1]()

    # Mappings

    def _map(self, adapter: DMA_ADAPTER, file: RegisterFile, mdl: MDL, offset: int, length: int,
             write: bool, *, joined: bool, as_list: bool,
             runs: list[Run] | None = None) -> Mapping | None:  # fmt: skip
        """Map a part of an MDL chain, record it, and return it; None where it can not be."""
        runs = self._s.mm.runs(mdl, offset, length) if runs is None else runs
        direction = _TO_DEVICE if write else _FROM_DEVICE
        number, bus = adapter.device.number, self._m.bus
        if joined:
            window = bus.map_joined(number, runs, direction, clean=self._coherent)
        else:
            window = bus.map(number, runs, direction, split=bus.platform.guard_bytes > 0,
                             clean=self._coherent)  # fmt: skip
        if window is None:
            return None
        mapping = Mapping(mdl, offset, length, write, window, self._site)
        file.mappings.append(mapping)
        adapter.mapped_since_flush += length
        self._tell(_MAP, adapter, window, as_list)
        return mapping

    def _unmap(self, adapter: DMA_ADAPTER, file: RegisterFile, mapping: Mapping, *,
               copies: bool, as_list: bool) -> None:  # fmt: skip
        """End a mapping and record it."""
        self._m.bus.unmap(mapping.window, skip_sync=not copies)
        file.mappings.remove(mapping)
        adapter.mapped_since_flush -= mapping.length
        self._tell(_UNMAP, adapter, mapping.window, as_list)

    def _tell(self, kind: EventKind, adapter: DMA_ADAPTER, window: Window, as_list: bool) -> None:
        tape, segments, site = self._m.tape, window.segments, self._site or None
        device, direction, phys = adapter.device.number, window.direction, segments[0].phys
        if not as_list:
            tape.add(kind, device=device, direction=direction, type=_SINGLE, bus_addr=window.bus,
                     length=window.length, phys_addr=phys, text=site)  # fmt: skip
            return
        made = [(s.bus, s.length) for s in segments] if kind is _MAP else None
        tape.add(kind, device=device, direction=direction, type=_SG, bus_addr=window.bus,
                 length=window.length, phys_addr=phys, text=site, sg_bus=made,
                 sg_phys=[s.phys for s in segments])  # fmt: skip

    def _tell_failed(self, adapter: DMA_ADAPTER, length: int, write: bool) -> None:
        self._m.tape.add(
            _MAP, device=adapter.device.number, length=length, flags=Flag.FAILED,
            direction=_TO_DEVICE if write else _FROM_DEVICE, type=_SG,
        )  # fmt: skip
