"""What is in a trace: counts by kind, devices, the span of its clock."""

from dmaverify.model.events import EventBatch
from dmaverify.model.fields import kind_name
from dmaverify.model.finding import TraceInfo
from dmaverify.model.kinds import EventKind
from dmaverify.trace.base import Reader


class Survey:
    """Counts the events of one trace, batch by batch.

    Args:
        reader: the reader that gives the batches.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._counts = EventBatch(16).tally()[0]
        self._first: int | None = None
        self._last: int | None = None
        self._cpu = -1

    def add(self, batch: EventBatch) -> list[int]:
        """Count the rows of a batch, and return how many are of each kind."""
        if not len(batch):
            return [0] * len(self._counts)
        counts, first, last, cpu = batch.tally()
        self._counts = [a + b for a, b in zip(self._counts, counts, strict=True)]
        if first is not None and last is not None:
            self._first = first if self._first is None else min(first, self._first)
            self._last = last if self._last is None else max(last, self._last)
        self._cpu = max(cpu, self._cpu)
        return counts

    def info(self) -> TraceInfo:
        """Return what was seen so far."""
        reader = self._reader
        time = not reader.ticks
        return TraceInfo(
            path=reader.path,
            format=reader.format,
            events=reader.records,
            lost=reader.lost,
            skipped=reader.skipped,
            devices=tuple(reader.devices[1:]),
            complete=reader.complete,
            clock=reader.clock,
            ticks=reader.ticks,
            cpus=self._cpu + 1,
            first_ns=self._first if time else None,
            last_ns=self._last if time else None,
            joins=getattr(reader, "joins", ()),
            kinds={kind_name(k): self._counts[k] for k in EventKind if self._counts[k]},
        )
