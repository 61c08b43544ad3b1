"""One run, several sources: a trace with what its device log and its kernel log add.

Rows of the other sources are put between those of the trace by time. Two clocks agree only so
far: a row carries how far its time may be off (`status`, in us), and comes after every event
of the trace that may have been before it. So a mapping that was made in time is there, and
of those that ended meanwhile the engine knows when; what it can not order it does not judge.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dmaverify.errors import TraceError
from dmaverify.model.events import EventBatch
from dmaverify.model.finding import Join, Notice
from dmaverify.model.kinds import Direction, Flag
from dmaverify.trace import open_trace
from dmaverify.trace._merge import Merger, Scout
from dmaverify.trace._spans import SpanScout
from dmaverify.trace.around import Around
from dmaverify.trace.base import OTHER_SOURCE, Reader
from dmaverify.trace.clocks import Clocks, from_moments, from_offset
from dmaverify.trace.devlog import PAGE, DeviceLog
from dmaverify.trace.events import EventSpec
from dmaverify.trace.hca_rows import HcaRow, HcaRows, hca_pages, join_notices
from dmaverify.trace.klog import KernelLog
from dmaverify.trace.other_rows import DeviceRows, Never, OtherLine, Row, fault_rows
from dmaverify.trace.owners import family_pages, owners

PAGES_MAX = 1 << 18  # pages that are looked for among the mappings


@dataclass(frozen=True, slots=True)
class OtherSources:
    """What is read beside a trace.

    Args:
        device_log, kernel_log: as read, or None.
        clock_offset: the device log's clock minus the trace's, seconds; None: by the moments
            that both have.
        log_offset: the kernel log's clock minus the trace's, seconds; None: not known.
        events: events of the user's own.
    """

    device_log: DeviceLog | None = None
    kernel_log: KernelLog | None = None
    clock_offset: float | None = None
    log_offset: float | None = None
    events: tuple[EventSpec, ...] = ()


class MergedReader(Around):
    """A reader with the rows of other sources between those of a trace; see `Reader`.

    Args:
        reader: reads the trace, from its start.
        rows: what to put in, in the order of their places.
        notices: what there is to say about the other sources.
        joins: memory of an HCA's log, and the mappings that it is in.
    """

    def __init__(
        self,
        reader: Reader,
        rows: Iterable[Row | HcaRow],
        notices: list[Notice],
        joins: tuple[Join, ...] = (),
    ) -> None:
        super().__init__(reader, notices)
        self._lines: list[OtherLine] = []
        self.joins = joins
        self._rows = EventBatch(4096)
        for row in rows:
            self._add(row)

    def _add(self, row: Row | HcaRow) -> None:
        if isinstance(row, HcaRow):
            self._add_hca(row)
            return
        direction = None
        if row.write is not None:
            direction = Direction.FROM_DEVICE if row.write else Direction.TO_DEVICE
        self._rows.add(
            row.kind,
            time=row.time,
            bus_addr=row.bus_addr,
            length=row.length,
            direction=direction,
            device=row.device,
            site=row.source,
            status=row.doubt,
            flags=Flag.FROM_MARK if row.echo else 0,
            offset=OTHER_SOURCE | len(self._lines),
            line=row.line.line,
        )
        self._lines.append(row.line)

    def _add_hca(self, row: HcaRow) -> None:
        self._rows.add(
            row.kind,
            time=row.place,
            offset=OTHER_SOURCE | len(self._lines),
            line=row.line.line,
            hca=list(row.hca) or None,
            **row.values,  # type: ignore[arg-type]  # slots of the row, all numbers
        )
        self._lines.append(row.line)

    def batches(self) -> Iterator[EventBatch]:
        """Give the events of all sources in order; the batch is reused by the next."""
        merger = Merger(self._rows)
        for batch in self._reader.batches():
            self._publish()
            yield merger.merge(batch)
        self._publish()
        yield merger.rest()

    def line_at(self, offset: int) -> str | None:
        """Return the line at a row's offset, of whichever source, or None."""
        other = self.other_line(offset)
        return self._reader.line_at(offset) if other is None else other.text

    def source_at(self, offset: int) -> str:
        """Return the file that the line at a row's offset is in, "" where it is the trace."""
        other = self.other_line(offset)
        return "" if other is None else other.path

    def other_line(self, offset: int) -> OtherLine | None:
        """Return the line of another source at a row's offset, None where it is the trace's."""
        return self._lines[offset & ~OTHER_SOURCE] if offset & OTHER_SOURCE else None

    def retain(self, offsets: list[int]) -> None:
        """Keep the lines at these offsets; those of other sources are kept anyway."""
        self._reader.retain([o for o in offsets if not o & OTHER_SOURCE])


def open_merged(path: str, others: OtherSources) -> MergedReader:
    """Open a trace together with other sources of the same run; the trace is read twice.

    Args:
        path: a file that can be read twice.
        others: what to put in.

    Raises:
        TraceError: the trace can not be read.
    """
    log = others.device_log
    pages = family_pages(log) if log else {}
    wanted = _pages(others, pages)
    scout = Scout(wanted)
    spans = SpanScout(hca_pages(log.hca)) if log and log.hca else None
    reader = open_trace(path, others.events)
    try:
        for batch in reader.batches():
            scout.scan(batch)
            if spans is not None:
                spans.scan(batch)
        devices, ticks = list(reader.devices), reader.ticks
    finally:
        reader.close()
    notices: list[Notice] = []
    rows: list[Row | HcaRow] = []
    joins: tuple[Join, ...] = ()
    never = Never(scout, wanted)
    if log is not None:
        joiner = DeviceRows(log, scout, never, devices, notices)
        clocks = None if ticks else _clocks(log, scout, others.clock_offset)
        owner = owners(log, pages, scout, devices)
        rows += joiner.rows(owner, clocks)
        if spans is not None:
            number = _number_of(owner.get("rdma", ""), devices)
            hca = HcaRows(log, number, spans, clocks, scout.last or 0)
            joins = hca.joins()
            rows += hca.rows()
            notices += join_notices(joins, log.hca.left_out)
    if others.kernel_log is not None:
        offset = None if ticks else others.log_offset
        rows += fault_rows(others.kernel_log, devices, offset, scout, never, notices)
    rows.sort(key=lambda row: row.place)
    return MergedReader(open_trace(path, others.events), rows, notices, joins)


def _number_of(name: str, devices: list[str]) -> int:
    """Return the number of a device's name, 0 where there is none."""
    return devices.index(name) if name and name in devices else 0


def _pages(others: OtherSources, sample: dict[str, list[int]]) -> list[int]:
    """Return the pages to look for among the mappings: the sample, and all if there are few."""
    pages = {page for some in sample.values() for page in some}
    log, kernel_log = others.device_log, others.kernel_log
    wanted = [a.bus_addr // PAGE for a in log.accesses] if log else []
    wanted += [f.bus_addr // PAGE for f in kernel_log.faults] if kernel_log else []
    for page in wanted:
        if len(pages) >= PAGES_MAX:
            break
        pages.add(page)
    return sorted(pages)


def _clocks(log: DeviceLog, scout: Scout, offset: float | None) -> Clocks | None:
    if offset is not None:
        return from_offset(offset)
    before: dict[int, int] = {}
    brackets: dict[int, tuple[int, int]] = {}
    for number, time, _, after in scout.syncs:
        if not after:
            before.setdefault(number, time)
        elif number in before:
            brackets.setdefault(number, (before[number], time))
    return from_moments(brackets, {n: time * 1000 for n, (time, _) in log.syncs.items()})


def readable_twice(path: str) -> None:
    """Check that a trace can be read twice, as merging needs.

    Raises:
        TraceError: it is a stream.
    """
    # What is not there at all is for the reader to say.
    if path == "-" or (Path(path).exists() and not Path(path).is_file()):
        text = "is read twice beside other logs, and a stream can not be; save it to a file first"
        raise TraceError(path, None, text)
