"""A running driver as a trace: what it records is read while it runs."""

import queue
from collections.abc import Callable, Iterator

from dmaverify.model.events import Event, EventBatch
from dmaverify.model.finding import Notice
from dmaverify.trace.native import write_event

WAITING = 8  # batches that may wait for the engine before the driver has to


class LiveReader:
    """Reads what a tape hands over; see `Reader` in trace/base.py.

    The lines are those of the `.dmat` file that is, or could be, written: they are made when
    somebody asks, from the batches, which are kept.

    Args:
        path: what to call the trace.
        devices: the tape's names of devices; grows while it runs.
        tasks: the tape's names of tasks.
    """

    format = "dmat"
    binary = False
    clock = ""
    ticks = False
    every_sync = True  # the tape has each
    skipped = lost = 0
    complete = True
    streaming = False
    size: int | None = None
    consumed = 0

    def __init__(self, path: str, devices: list[str], tasks: dict[int, str]) -> None:
        self.path = path
        self.devices = devices
        self.records = 0
        self.notices: list[Notice] = []
        self._tasks = tasks
        self._queue: queue.Queue[EventBatch | None] = queue.Queue(WAITING)
        self._kept: list[tuple[int, EventBatch]] = []  # (its first record, batch)

    def put(self, batch: EventBatch | None, alive: Callable[[], bool]) -> None:
        """Take a batch from the tape, which is kept; None: no batch will follow.

        Args:
            batch: the batch.
            alive: tells whether anybody still reads; a batch that nobody reads is dropped.
        """
        while alive():
            try:
                self._queue.put(batch, timeout=1)
            except queue.Full:
                continue
            return

    def batches(self) -> Iterator[EventBatch]:
        """Give the batches as they come, until the end."""
        while (batch := self._queue.get()) is not None:
            self._kept.append((self.records + 1, batch))
            self.records += len(batch)
            yield batch

    def event_at(self, record: int) -> Event | None:
        """Return an event by its number, from 1; None where there is none."""
        low, high = 0, len(self._kept)
        while high - low > 1:
            middle = (low + high) // 2
            if self._kept[middle][0] <= record:
                low = middle
            else:
                high = middle
        if not self._kept:
            return None
        first, batch = self._kept[low]
        return batch[record - first] if 0 <= record - first < len(batch) else None

    def line_at(self, offset: int) -> str | None:
        """Return the line of an event; its offset is its number."""
        event = self.event_at(offset)
        if event is None:
            return None
        return write_event(event, self.devices, self._tasks.get(event.site, ""))

    def forgetting(self) -> tuple[int, int] | None:
        """Return None: nothing is forgotten."""
        return None

    def retain(self, offsets: list[int]) -> None:
        """Do nothing: all lines are kept."""

    def task_name(self, site: int, line: str | None) -> str:
        """Return the name of a task by its number."""
        return self._tasks.get(site, "")[:15]

    def close(self) -> None:
        """Let go of the batches."""
        self._kept.clear()
