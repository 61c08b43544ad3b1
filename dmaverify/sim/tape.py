"""The tape: what happens in a machine, written as rows of events.

It names no mistake and no scenario. A full batch goes to a sink, so that an engine can
follow the run and a file can be written, by whoever wires them.
"""

from collections.abc import Callable
from typing import Any

from dmaverify.model.events import EventBatch
from dmaverify.model.kinds import EventKind
from dmaverify.sim.clock import CALL_NS, Clock
from dmaverify.sim.stop import Stopped, driver_place

Sink = Callable[[EventBatch], None]
BATCH = 4096
HEAD = 2  # lines before the first event in the file that is, or could be, written


class Tape:
    """Records the events of one run.

    Args:
        sink: is given each full batch, and the last one; keeps it if it wants to.
        clock: the machine's time.
        limit: the most events that a run may have.
        sites: whether each event carries the driver's own line as its text.
    """

    def __init__(self, sink: Sink, clock: Clock, limit: int, sites: bool = True) -> None:
        self.devices = [""]
        self.tasks = {1: ""}
        self.records = 0
        self.site = 1
        self.cpu = 0
        self.sites = sites
        self._sink = sink
        self._clock = clock
        self._limit = limit
        self._batch = EventBatch(BATCH)
        self._add = self._batch.add

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

    def add(self, kind: EventKind, duration_ns: int = CALL_NS, **values: Any) -> None:
        """Record one event; time moves on by what it took.

        Args:
            kind: what happened.
            duration_ns: how long it took.
            values: as for `EventBatch.add`.

        Raises:
            Stopped: the run has more events, or takes longer, than it may.
        """
        record = self.records + 1
        if record > self._limit:
            raise Stopped(f"the driver made more than {self._limit:,} events")
        self.records = record
        clock = self._clock
        clock.now_ns += duration_ns
        if clock.now_ns > clock.limit_ns:
            clock.advance(0)
        if self.sites and "text" not in values:
            values["text"] = driver_place(2) or None
        self._add(kind, time=clock.now_ns, record=record, line=record + HEAD, offset=record,
                  site=self.site, cpu=self.cpu, **values)  # fmt: skip
        if not record % BATCH:
            self.flush()

    def flush(self) -> None:
        """Hand over what was recorded since the last time."""
        if len(self._batch):
            batch, self._batch = self._batch, EventBatch(BATCH)
            self._add = self._batch.add
            self._sink(batch)
