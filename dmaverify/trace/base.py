"""What every reader gives, whatever its format."""

from collections.abc import Iterator
from typing import Protocol

from dmaverify.model.events import EventBatch
from dmaverify.model.finding import Notice

#: Bit of a row's offset that says: a line of another source than the trace.
OTHER_SOURCE = 1 << 62


class Reader(Protocol):
    """Reads one trace, once, front to back.

    Attributes:
        path: as the user named it.
        format: "ftrace-text", "trace-cmd-report", "perf-script", "dmat", "trace-dat", "pcap",
            "pcapng" or "ctf".
        binary: True where records have no lines.
        devices: device names by number; number 0 is "" (no device). Grows while reading.
        clock: name of the trace clock, "" where unknown.
        ticks: True where the clock's values are not nanoseconds.
        every_sync: True where the recording says of itself that no sync is left out.
        records: records seen so far, of any kind.
        skipped: records of kinds that the event model does not have.
        lost: events known to be lost (not counting losses of unknown size).
        complete: False once the file has turned out to be cut short.
        notices: what the reader has to say; complete after the last batch.
        consumed, size: bytes of the file read so far, and in all (None: unknown), for progress.
        streaming: True where the source can not be read again: then `line_at` knows recent
            lines only, and the caller has to `retain` those that it will need.
    """

    path: str
    format: str
    binary: bool
    devices: list[str]
    clock: str
    ticks: bool
    every_sync: bool
    records: int
    skipped: int
    lost: int
    complete: bool
    notices: list[Notice]
    size: int | None
    streaming: bool

    @property
    def consumed(self) -> int:
        """Return the bytes of the source read so far, for progress."""
        ...

    def batches(self) -> Iterator[EventBatch]:
        """Give the events in order, a batch at a time; the batch may be reused by the next."""
        ...

    def line_at(self, offset: int) -> str | None:
        """Return the source line that starts at a row's offset, without its end, or None."""
        ...

    def forgetting(self) -> tuple[int, int] | None:
        """Return the range of offsets whose lines the next batch will make unavailable."""
        ...

    def retain(self, offsets: list[int]) -> None:
        """Keep the lines at these offsets until `release`."""
        ...

    def task_name(self, site: int, line: str | None) -> str:
        """Return the name of a task by its id, or from a line that it logged; "" if unknown."""
        ...

    def close(self) -> None:
        """Give back files and memory."""
        ...
