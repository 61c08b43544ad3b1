"""Run a driver in a machine, to its end or to whatever ends it."""

import gc
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from dmaverify.errors import SimError
from dmaverify.model.kinds import FAILS, EventKind
from dmaverify.model.platform import Platform
from dmaverify.sim.device import Device
from dmaverify.sim.effects import Effect, EffectKind
from dmaverify.sim.faults import Failed, Injector
from dmaverify.sim.linux import Linux
from dmaverify.sim.machine import Machine
from dmaverify.sim.scenario import Scenario
from dmaverify.sim.stop import Stopped, driver_place, raised_at
from dmaverify.sim.windows.system import Windows

YOUNG = 20_000  # objects between two looks for garbage: a transfer makes dozens, in no cycles
STANDSTILL_S = 5  # seconds of real time in which a driver has to do something


class Simulation:
    """What a driver is given: a machine, and the interfaces of both systems.

    Attributes:
        machine: memory, CPU, bus and devices.
        cpu: reads and writes memory by virtual address.
        linux, windows: the two systems' calls.
        random: numbers that follow from the seed.
        seed: the seed.
    """

    def __init__(self, machine: Machine, injector: Injector, seed: int) -> None:
        self.machine = machine
        self.cpu = machine.cpu
        self.injector = injector
        self.linux = Linux(machine, injector)
        self.windows = Windows(machine, injector)
        self.random = random.Random(seed)
        self.seed = seed

    @property
    def platform(self) -> Platform:
        """Return the platform that the machine is of."""
        return self.machine.platform

    def device(self, name: str = "0000:00:04.0") -> Device:
        """Return the device of this name, which is plugged in where it is not there yet."""
        return self.machine.device(name)

    def sleep(self, duration_ns: int) -> None:
        """Let virtual time pass."""
        self.machine.sleep(duration_ns)

    def expect(self, seen: bytes, wanted: bytes) -> None:
        """Note it where somebody got other bytes than on a working machine, and nothing said why.

        Args:
            seen: what the last access gave.
            wanted: what it should have given.
        """
        tape, effects = self.machine.tape, self.machine.effects
        if seen != wanted and not effects.seen:
            effects.add(Effect(EffectKind.FOREIGN, tape.records, driver_place(),
                               f"got {seen[:16]!r} instead of {wanted[:16]!r}"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went.

    Args:
        error: what ended it before its end, or None.
        effects: what the machine did to bytes.
        kinds: names of the kinds of effects, "fault", "stale" and so on; empty: all was fine.
        failed: calls that were made to fail in this life, in order.
        listing: what `!dma` shows of each adapter at the end, and its history; "" without any.
        stopped: whether it had to be stopped: it took too long, or too much.
    """

    error: SimError | None
    effects: tuple[Effect, ...]
    kinds: tuple[str, ...]
    failed: tuple[Failed, ...]
    listing: str = ""
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Pressure:
    """What a machine has less of, on purpose, than a driver asks for.

    Args:
        map_registers: the most that an adapter is given, 0 for what it asks for; -2: half of that.
        partial: whether MapTransferEx maps less than it is asked for.
        common_buffers: where common buffers begin: "page", or "end" for pushed to the end of their
            pages, so that what lies behind is guarded; "" as the platform has it.
    """

    map_registers: int = 0
    partial: bool = False
    common_buffers: str = ""


def run_scenario(scenario: Scenario, machine: Machine, *, seed: int = 0,
                 injector: Injector | None = None,
                 pressure: Pressure | None = None) -> Outcome:  # fmt: skip
    """Run one life of a driver; what it recorded has reached the machine's sink on return.

    Args:
        scenario: the driver.
        machine: a fresh machine.
        seed: what `sim.random` begins with.
        injector: what makes calls fail, which is told to the tape; None: nothing does.
        pressure: what the machine has less of; None: nothing.
    """
    injector, pressure = injector or Injector(), pressure or Pressure()
    simulation = Simulation(machine, injector, seed)
    simulation.windows.registers_cut = pressure.map_registers
    simulation.windows.partial = pressure.partial
    if pressure.common_buffers:
        machine.common.at_end = pressure.common_buffers == "end"
    injector.tell = lambda failed: _tell(machine, failed)
    error, stopped = None, False
    machine.tape.task(scenario.function.__name__)
    try:
        with _watched(machine), less_garbage_collected():
            scenario.function(simulation)
        simulation.windows.verify()
        machine.sweep()
    except (Exception, Stopped, SystemExit) as raised:
        error, stopped = _told(raised, scenario, injector), isinstance(raised, Stopped)
    machine.tape.flush()
    effects = machine.effects
    return Outcome(error, tuple(effects.seen), effects.kinds(), tuple(injector.failed),
                   simulation.windows.listing(), stopped)  # fmt: skip


def _tell(machine: Machine, failed: Failed) -> None:
    """Record that a call was made to fail: the machine did it, and no driver's mistake."""
    text = f"{FAILS}{failed}"
    machine.tape.add(EventKind.MARK, 0, text, text=text)


def outcome(scenario: Scenario, platform: Platform) -> Outcome:
    """Run a driver on a platform and return what came of it; nothing is recorded."""
    return run_scenario(scenario, Machine(platform, lambda batch: None, sites=False))


def _told(raised: BaseException, scenario: Scenario, injector: Injector) -> SimError:
    """Return an error that says what happened in the driver, and at which of its lines.

    Where a call was made to fail in this life, it is named: what ended the driver may well be
    that it went on as if nothing had happened.
    """
    place, call = raised_at(raised.__traceback__, scenario.path)
    if isinstance(raised, Stopped):
        text = f"{raised}; it was stopped"
    elif isinstance(raised, SimError):
        text = raised.text
    elif call and isinstance(raised, (TypeError, ValueError, OverflowError, LookupError)):
        text = f"{call} can not take what it is given: {type(raised).__name__}, {raised}"
    elif isinstance(raised, (AttributeError, TypeError)) and "'NoneType'" in str(raised):
        text = f"the driver uses NULL ({raised})"
    else:
        text = f"the driver raised {type(raised).__name__}: {raised}"
    if injector.failed and injector.mode:
        text += f"; in a life in which {injector.failed[-1]} was made to fail"
    return SimError(text, place)


@contextmanager
def less_garbage_collected() -> Iterator[None]:
    """Look for garbage less often while a driver runs."""
    before = gc.get_threshold()
    gc.set_threshold(max(YOUNG, before[0]), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _watched(machine: Machine) -> Iterator[None]:
    """Stop a driver that neither ends nor does anything."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only there can a signal interrupt
        return
    seen = [-1]

    def look(number: int, frame: FrameType | None) -> None:
        if machine.tape.records == seen[0]:
            raise Stopped(f"the driver did nothing for {STANDSTILL_S} s")
        seen[0] = machine.tape.records

    before: Callable[[int, FrameType | None], object] | int | None
    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, STANDSTILL_S, STANDSTILL_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
