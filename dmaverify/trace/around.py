"""What readers share: those whose records have no lines, and those around another reader."""

from collections.abc import Sequence

from dmaverify.model.finding import Notice
from dmaverify.trace.base import Reader


class Lineless:
    """The part of a reader whose records have no lines; see `Reader`."""

    def line_at(self, offset: int) -> str | None:
        """Return None: records have no lines."""
        return None

    def forgetting(self) -> tuple[int, int] | None:
        """Return None: there are no lines to forget."""
        return None

    def retain(self, offsets: list[int]) -> None:
        """Do nothing: there are no lines to keep."""

    def task_name(self, site: int, line: str | None) -> str:
        """Return "": no task is named."""
        return ""


class Around:
    """The part of a reader that puts rows between those of another; see `Reader`.

    Args:
        reader: reads the trace, from its start.
        notices: what there is to say about the other sources.
    """

    def __init__(self, reader: Reader, notices: Sequence[Notice] = ()) -> None:
        self._reader, self._others = reader, notices
        self.path = reader.path
        self.format = reader.format
        self.binary = reader.binary
        self.size = reader.size
        self.streaming = reader.streaming
        self._publish()

    def _publish(self) -> None:
        """Say of the trace what its reader knows by now."""
        reader = self._reader
        self.devices = reader.devices
        self.clock = reader.clock
        self.ticks = reader.ticks
        self.every_sync = reader.every_sync
        self.records = reader.records
        self.skipped = reader.skipped
        self.lost = reader.lost
        self.complete = reader.complete
        self.notices = [*reader.notices, *self._others]

    @property
    def consumed(self) -> int:
        """Return the bytes of the trace read so far."""
        return self._reader.consumed

    def forgetting(self) -> tuple[int, int] | None:
        """Return the range of offsets whose lines the next batch will make unavailable."""
        return self._reader.forgetting()

    def task_name(self, site: int, line: str | None) -> str:
        """Return the name of a task of the trace; other sources have none."""
        return self._reader.task_name(site, line)

    def close(self) -> None:
        """Give back files and memory."""
        self._reader.close()
