"""Machines for tests, by platform, with what they record."""

from dmaverify.model.events import Event, EventBatch
from dmaverify.pipeline.simulate import platform_named
from dmaverify.sim.faults import Injector
from dmaverify.sim.machine import Machine
from dmaverify.sim.run import Simulation

PLATFORMS = (
    "as-recorded", "flat", "bus-offset", "iommu", "iommu-lazy", "nested", "driver-verifier",
    "confidential-vm", "mask-32", "non-coherent",
)  # fmt: skip


class Recorded:
    """A machine, and the events that came out of it so far.

    Args:
        platform: the name of its platform.
        mode: how calls are made to fail.
    """

    def __init__(self, platform: str = "flat", mode: str = "") -> None:
        self._batches: list[EventBatch] = []
        self.machine = Machine(platform_named(platform), self._batches.append)
        self.sim = Simulation(self.machine, Injector(mode), 0)

    def events(self) -> list[Event]:
        """Return what was recorded."""
        self.machine.tape.flush()
        return [batch[i] for batch in self._batches for i in range(len(batch))]

    def kinds(self) -> list[str]:
        """Return the kinds of what was recorded, in order."""
        return [e.kind.name.lower() for e in self.events()]

    def effects(self) -> tuple[str, ...]:
        """Return the kinds of effects so far."""
        return self.machine.effects.kinds()
