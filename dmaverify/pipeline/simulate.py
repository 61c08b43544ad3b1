"""`simulate`: a driver runs in a machine, its tape goes to an engine and into a file."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from dmaverify.errors import UsageError
from dmaverify.model.events import EventBatch
from dmaverify.model.finding import Report
from dmaverify.model.platform import Platform
from dmaverify.model.program import Program
from dmaverify.pipeline.check import CheckOptions, check_reader, load_program
from dmaverify.pipeline.live import LiveReader
from dmaverify.pipeline.lives import Life, one_outcome, one_report, path_of
from dmaverify.pipeline.platforms import choose
from dmaverify.sim.faults import Injector
from dmaverify.sim.machine import Machine
from dmaverify.sim.run import Outcome, Pressure, run_scenario
from dmaverify.sim.scenario import Scenario, find
from dmaverify.trace.native import DmatWriter

STOPPED_MOST = 3  # lives that may have to be stopped, each of which takes long


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """How to run a driver.

    Args:
        platform: the name of the machine's platform, or a TOML file that describes it.
        machine: the platform itself; None: the one that is named.
        output: path of the `.dmat` file to write, "" for none.
        seed: of the driver's random numbers, and of failures at random.
        inject: "", "systematic" or "random": which calls are made to fail.
        pressure: what the machine has less of than the driver asks for.
        check: what to check with.
        program: the rules to run; None: those that `check` asks for.
    """

    platform: str = "flat"
    machine: Platform | None = None
    output: str = ""
    seed: int = 0
    inject: str = ""
    pressure: Pressure = field(default_factory=Pressure)
    check: CheckOptions = field(default_factory=CheckOptions)
    program: Program | None = None


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation gave.

    Args:
        scenario: what was run.
        report: what the engine found, in all lives.
        outcome: how the run went, and what the machine did to bytes; of several lives the first
            error, and all that happened.
        line_at: gives the line of an event of the last life by its number, from 1.
        lives: the driver's lives; more than one where calls are made to fail one after the other.
    """

    scenario: Scenario
    report: Report
    outcome: Outcome
    line_at: Callable[[int], str | None]
    lives: tuple[Life, ...] = ()


def simulate(name: str, options: SimulateOptions) -> Simulated:
    """Run a scenario live through the engine, and write its recording.

    With systematic failures it lives as often as there are calls to fail, each time on a fresh
    machine, with a recording of its own: FILE-1.dmat and so on. A driver that falls in one of
    them is given the next.

    Args:
        name: as `dmaverify.sim.scenario.find` takes it.
        options: how.

    Raises:
        UsageError: there is no such scenario or platform, or the file can not be written.
        SimError: the scenario can not be loaded. One that fails while it runs is no error here:
            the outcome says so, and the report has all that was recorded.
        RuleError: the rules do not compile.
    """
    scenario = find(name)
    program = load_program(options.check) if options.program is None else options.program
    options = replace(
        options, machine=options.machine or platform_named(options.platform), program=program
    )
    injector = Injector(options.inject, options.seed)
    lives: list[Life] = []
    stopped = 0
    while stopped < STOPPED_MOST and injector.begin_life():
        path = options.output or scenario.name
        if options.inject == "systematic":
            path = path_of(path, len(lives) + 1)
        output = path if options.output else ""
        life, line_at = _live(scenario, path, replace(options, output=output), injector)
        lives.append(life)
        stopped += life.outcome.stopped
    return Simulated(scenario, one_report(lives), one_outcome(lives), line_at, tuple(lives))


def _live(
    scenario: Scenario, path: str, options: SimulateOptions, injector: Injector
) -> tuple[Life, Callable[[int], str | None]]:
    """Run one life, and return it with what gives the lines of its recording."""
    program = options.program
    assert options.machine is not None
    assert program is not None
    with _written(options.output) as out:
        writer = DmatWriter(out, every_sync=True) if out else None
        machine, reader, reading = _wired(path, options.machine, writer)

        def read() -> None:
            try:
                reading.report = check_reader(reader, program, options.check)
            except Exception as error:
                reading.error = error

        reading.thread = threading.Thread(target=read, name="engine", daemon=True)
        reading.thread.start()
        try:
            outcome = run_scenario(
                scenario, machine, seed=options.seed, injector=injector, pressure=options.pressure
            )
        finally:
            reader.put(None, reading.alive)
            reading.thread.join()
    if reading.error is not None:
        raise reading.error
    assert reading.report is not None
    return Life(path, reading.report, outcome), reader.line_at


class _Reading:
    """The thread in which the engine reads, and what it came to."""

    thread: threading.Thread
    report: Report | None = None
    error: Exception | None = None

    def alive(self) -> bool:
        """Tell whether the engine still reads."""
        return self.thread.is_alive()


def _wired(
    path: str, platform: Platform, writer: DmatWriter | None
) -> tuple[Machine, LiveReader, _Reading]:
    """Return a machine whose tape goes to a reader and a writer."""
    reading = _Reading()

    def take(batch: EventBatch) -> None:
        if writer is not None:
            for i in range(len(batch)):
                event = batch[i]
                writer.write(event, tape.devices, tape.tasks.get(event.site, ""))
        reader.put(batch, reading.alive)

    machine = Machine(platform, take)
    tape = machine.tape
    reader = LiveReader(path, tape.devices, tape.tasks)
    return machine, reader, reading


@contextmanager
def _written(path: str) -> Iterator[IO[str] | None]:
    """Open the file of a recording; what was written stays, whatever comes."""
    if not path:
        yield None
        return
    with ExitStack() as stack:
        try:
            out = stack.enter_context(Path(path).open("w", encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from error
        yield out


def platform_named(name: str) -> Platform:
    """Return a platform by its name, or by the TOML file that describes it.

    Raises:
        UsageError: there is none.
    """
    found = choose([name])
    if len(found) != 1:
        raise UsageError("a driver runs on one machine: name one platform")
    return found[0]
