"""The tape: what happens in a machine, written as rows of events.

It names no mistake and no scenario. A full batch goes to a sink, so that an engine can
follow the run and a file can be written, by whoever wires them.
"""

from collections.abc import Callable

from dmaverify.model.events import EventBatch
from dmaverify.sim._tape import Recorder
from dmaverify.sim.clock import Clock

Sink = Callable[[EventBatch], None]
BATCH = 4096
HEAD = 2  # lines before the first event in the file that is, or could be, written


class Tape(Recorder):
    """Records the events of one run.

    Args:
        sink: is given each full batch, and the last one; keeps it if it wants to.
        clock: the machine's time.
        limit: the most events that a run may have.
        sites: whether each event carries the driver's own line as its text.
    """

    def __init__(self, sink: Sink, clock: Clock, limit: int, sites: bool = True) -> None:
        super().__init__(clock, limit, sites, BATCH, HEAD)
        self.devices = [""]
        self.tasks = {1: ""}
        self._sink = sink
        self._clock = clock
        self._batch = EventBatch(BATCH)
        self.into(self._batch.add)

    @property
    def now_ns(self) -> int:
        """Return the machine's time."""
        return self._clock.now_ns

    def device(self, name: str) -> int:
        """Return the number of a device, which is new where the name is."""
        if name not in self.devices:
            self.devices.append(name)
        return self.devices.index(name)

    def task(self, name: str) -> None:
        """Say which task does what follows."""
        self.tasks[self.site] = name

    def flush(self) -> None:
        """Hand over what was recorded since the last time."""
        if len(self._batch):
            batch, self._batch = self._batch, EventBatch(BATCH)
            self.into(self._batch.add)
            self._sink(batch)
