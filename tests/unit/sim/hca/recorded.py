"""Recordings of what was done on simulated HCAs."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dmaverify.model.events import EventBatch
from dmaverify.pipeline.simulate import platform_named
from dmaverify.sim.faults import Injector
from dmaverify.sim.machine import Machine
from dmaverify.sim.run import Simulation
from dmaverify.trace.native import DmatWriter

T = TypeVar("T")


def record(path: Path, do: Callable[[Simulation], T], platform: str = "flat") -> T:
    """Do something on a machine, write its recording, and return what came of it."""
    with path.open("w", encoding="utf-8") as out:
        writer = DmatWriter(out, every_sync=True)

        def take(batch: EventBatch) -> None:
            for i in range(len(batch)):
                tape = machine.tape
                writer.write(batch[i], tape.devices, tape.tasks.get(batch[i].site, ""))

        machine = Machine(platform_named(platform), take)
        found = do(Simulation(machine, Injector(), 0))
        machine.tape.flush()
    return found
