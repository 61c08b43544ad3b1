"""One run, several sources: a trace with what its device log and its kernel log add.

Rows of the other sources are put between those of the trace by time. Two clocks agree only so
far: a row carries how far its time may be off (`status`, in us), and comes after every event
of the trace that may have been before it. So a mapping that was made in time is there, and
of those that ended meanwhile the engine knows when; what it can not order it does not judge.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dmaverify.errors import TraceError
from dmaverify.model.events import EventBatch
from dmaverify.model.finding import Notice
from dmaverify.model.kinds import Direction, EventKind, Flag
from dmaverify.trace import open_trace
from dmaverify.trace._merge import Merger, Scout
from dmaverify.trace.base import OTHER_SOURCE, Reader
from dmaverify.trace.clocks import Clocks, from_moments, from_offset
from dmaverify.trace.devlog import PAGE, TOUCH, DeviceAccess, DeviceLog
from dmaverify.trace.faults import Fault
from dmaverify.trace.klog import KernelLog
from dmaverify.trace.owners import family_pages, owners

DOUBT_MAX = 32767  # us: what a row has room for
PAGES_MAX = 1 << 18  # pages that are looked for among the mappings
NO_ORDER = -1  # status of a row whose place among the trace's events is not known


class OtherLine(NamedTuple):
    """A line of another source: the file's path, the 1-based line, and its text."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class OtherSources:
    """What is read beside a trace.

    Args:
        device_log, kernel_log: as read, or None.
        clock_offset: the device log's clock minus the trace's, seconds; None: by the moments
            that both have.
        log_offset: the kernel log's clock minus the trace's, seconds; None: not known.
    """

    device_log: DeviceLog | None = None
    kernel_log: KernelLog | None = None
    clock_offset: float | None = None
    log_offset: float | None = None


class _Row(NamedTuple):
    place: int  # ns; where it comes
    time: int | None  # ns
    doubt: int  # us, or NO_ORDER
    device: int
    kind: EventKind
    bus_addr: int
    length: int | None
    write: bool | None
    echo: bool
    line: OtherLine


class MergedReader:
    """A reader with the rows of other sources between those of a trace; see `Reader`.

    Args:
        reader: reads the trace, from its start.
        rows: what to put in, in the order of their places.
        notices: what there is to say about the other sources.
    """

    def __init__(self, reader: Reader, rows: Iterable[_Row], notices: list[Notice]) -> None:
        self._reader = reader
        self._lines: list[OtherLine] = []
        self._notices = notices
        self._rows = EventBatch(4096)
        for row in rows:
            self._add(row)
        self.path = reader.path
        self.format = reader.format
        self.binary = reader.binary
        self.size = reader.size
        self.streaming = reader.streaming

    def _add(self, row: _Row) -> None:
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
            status=row.doubt,
            flags=Flag.FROM_MARK if row.echo else 0,
            offset=OTHER_SOURCE | len(self._lines),
            line=row.line.line,
        )
        self._lines.append(row.line)

    @property
    def devices(self) -> list[str]:
        """Return the device names by number."""
        return self._reader.devices

    @property
    def clock(self) -> str:
        """Return the name of the trace clock."""
        return self._reader.clock

    @property
    def ticks(self) -> bool:
        """Return True where the clock's values are not nanoseconds."""
        return self._reader.ticks

    @property
    def records(self) -> int:
        """Return the records of the trace seen so far."""
        return self._reader.records

    @property
    def skipped(self) -> int:
        """Return the records of kinds that the event model does not have."""
        return self._reader.skipped

    @property
    def lost(self) -> int:
        """Return the events known to be lost."""
        return self._reader.lost

    @property
    def complete(self) -> bool:
        """Return False once the trace has turned out to be cut short."""
        return self._reader.complete

    @property
    def notices(self) -> list[Notice]:
        """Return what the reader and the other sources have to say."""
        return [*self._reader.notices, *self._notices]

    @property
    def consumed(self) -> int:
        """Return the bytes of the trace read so far."""
        return self._reader.consumed

    def batches(self) -> Iterator[EventBatch]:
        """Give the events of all sources in order; the batch is reused by the next."""
        merger = Merger(self._rows)
        for batch in self._reader.batches():
            yield merger.merge(batch)
        yield merger.rest()

    def line_at(self, offset: int) -> str | None:
        """Return the line at a row's offset, of whichever source, or None."""
        other = self.other_line(offset)
        return self._reader.line_at(offset) if other is None else other.text

    def other_line(self, offset: int) -> OtherLine | None:
        """Return the line of another source at a row's offset, None where it is the trace's."""
        return self._lines[offset & ~OTHER_SOURCE] if offset & OTHER_SOURCE else None

    def forgetting(self) -> tuple[int, int] | None:
        """Return the range of offsets whose lines the next batch will make unavailable."""
        return self._reader.forgetting()

    def retain(self, offsets: list[int]) -> None:
        """Keep the lines at these offsets; those of other sources are kept anyway."""
        self._reader.retain([o for o in offsets if not o & OTHER_SOURCE])

    def task_name(self, site: int, line: str | None) -> str:
        """Return the name of a task; devices have none."""
        return self._reader.task_name(site, line)

    def close(self) -> None:
        """Give back files and memory."""
        self._reader.close()


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
    reader = open_trace(path)
    try:
        for batch in reader.batches():
            scout.scan(batch)
        devices, ticks = list(reader.devices), reader.ticks
    finally:
        reader.close()
    notices: list[Notice] = []
    rows: list[_Row] = []
    never = _Never(scout, wanted)
    if log is not None:
        joiner = _DeviceRows(log, scout, never, devices, notices)
        clocks = None if ticks else _clocks(log, scout, others.clock_offset)
        rows += joiner.rows(owners(log, pages, scout, devices), clocks)
    if others.kernel_log is not None:
        offset = None if ticks else others.log_offset
        rows += _fault_rows(others.kernel_log, devices, offset, scout, never, notices)
    rows.sort(key=lambda row: row.place)
    return MergedReader(open_trace(path), rows, notices)


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


class _Never:
    """Knows which pages were never mapped for a device, as far as the trace proves it."""

    def __init__(self, scout: Scout, pages: list[int]) -> None:
        self._scout = scout
        self._pages = frozenset(pages)
        self._mapped = scout.mapped_pages()

    def proves(self, device: int, bus_addr: int) -> bool:
        """Tell whether the page of an address was not mapped for a device at any time."""
        page = bus_addr // PAGE
        scout = self._scout
        if not scout.whole or device in scout.truncated or page not in self._pages:
            return False
        return page not in self._mapped.get(device, ())


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


_END = 1 << 64  # the place of what has no place: after everything


class _DeviceRows:
    """Makes rows of a device log's accesses."""

    def __init__(
        self,
        log: DeviceLog,
        scout: Scout,
        never: _Never,
        devices: list[str],
        notices: list[Notice],
    ) -> None:
        self._never = never
        self._log = log
        self._scout = scout
        self._notices = notices
        self._numbers = {name: number for number, name in enumerate(devices) if name}

    def rows(self, owner: dict[str, str], clocks: Clocks | None) -> list[_Row]:
        """Return the rows, and say what could not be used."""
        # A touched page says nothing where lines with address and length tell the same, or the
        # trace itself does.
        exact = {self._numbers.get(name, 0) for name in owner.values()} | self._scout.telling
        found: list[_Row] = []
        strangers: set[str] = set()
        nameless: dict[str, int] = {}
        seen: set[tuple[int, int, EventKind]] = set()
        for access in self._log.accesses:
            name = access.device or owner.get(access.family, "")
            device = self._numbers.get(name, 0)
            if not name:
                nameless[access.family] = nameless.get(access.family, 0) + 1
            elif not device:
                strangers.add(name)
            elif access.family != TOUCH or device not in exact:
                row = self._row(access, device, clocks)
                if row is not None and (clocks or self._fresh(row, seen)):
                    found.append(row)
        self._say(clocks, strangers, nameless)
        return found

    def _fresh(self, row: _Row, seen: set[tuple[int, int, EventKind]]) -> bool:
        """Tell whether it says something that none before it says; for rows without order."""
        key = row.device, row.bus_addr // PAGE, row.kind
        new = key not in seen
        seen.add(key)
        return new

    def _row(self, access: DeviceAccess, device: int, clocks: Clocks | None) -> _Row | None:
        line = OtherLine(self._log.path, access.line, access.text)
        fault = access.kind == EventKind.DEV_FAULT
        echo = not fault and device in self._scout.telling
        time, doubt, place = None, NO_ORDER, _END
        if clocks is not None:
            # What is told again comes before the trace's own word for it, like the line did.
            at = access.told_us if echo else access.time_us
            time, doubt_ns = clocks.trace_time(at * 1000)
            first, last = self._scout.first, self._scout.last
            # What was before or after the recording can not be judged by it.
            if first is None or last is None or not first <= time <= last:
                return None
            doubt = min(DOUBT_MAX, -(-doubt_ns // 1000) + access.doubt_us)
            place = time if echo else time + doubt * 1000
        else:
            # Without order only what was never mapped is judged; the rest can be evidence.
            echo = echo or not self._never.proves(device, access.bus_addr)
        return _Row(
            place, time, doubt, device, access.kind, access.bus_addr, access.length,
            access.write, echo, line,
        )  # fmt: skip

    def _say(
        self, clocks: Clocks | None, strangers: set[str], nameless: dict[str, int]
    ) -> None:
        log = self._log
        if clocks is None:
            self._notices.append(
                Notice(
                    "clock-unknown",
                    "The trace and the device log share no moment (clock_sync events and what they "
                    "wrote), so only what needs no order is told; give --clock-offset SECONDS.",
                )
            )
        for family, count in sorted(nameless.items()):
            text = (
                f"Which device the device log's {family} lines are about is not clear: "
                "they were left out."
            )
            self._notices.append(Notice("device-ambiguous", text, count))
        _strangers(self._notices, "device log", strangers)
        _limits(self._notices, "device log", cut=log.cut_short, left_out=log.left_out)


def _strangers(notices: list[Notice], what: str, names: set[str]) -> None:
    if names:
        listed = ", ".join(sorted(names)[:8]) + (", …" if len(names) > 8 else "")
        text = f"The {what} names devices of which the trace has no event: {listed}."
        notices.append(Notice("device-not-in-trace", text, len(names)))


def _limits(notices: list[Notice], what: str, *, cut: bool, left_out: int) -> None:
    if cut:
        text = f"The {what} is cut short: its compressed data ends early. Copy it again, whole."
        notices.append(Notice("log-cut-short", text))
    if left_out:
        text = f"Lines of the {what} were left out, because there are too many."
        notices.append(Notice("log-too-long", text, left_out))


def _fault_rows(
    log: KernelLog,
    devices: list[str],
    offset: float | None,
    scout: Scout,
    never: _Never,
    notices: list[Notice],
) -> list[_Row]:
    numbers = {name: number for number, name in enumerate(devices) if name}
    strangers: set[str] = set()
    rows: list[_Row] = []
    for fault in log.faults:
        device = numbers.get(fault.device) or _other_segment(fault.device, numbers)
        if not device:
            strangers.add(fault.device)
            continue
        rows.append(_fault_row(log, fault, device, offset, scout, never))
    _strangers(notices, "kernel log", strangers)
    _limits(notices, "kernel log", cut=log.cut_short, left_out=log.left_out)
    return rows


def _other_segment(name: str, numbers: dict[str, int]) -> int:
    """Return the one device with this bus, slot and function: not every line has a segment."""
    if not name.startswith("0000:"):
        return 0
    same = [n for other, n in numbers.items() if other.endswith(name[4:]) and len(other) == len(name)]
    return same[0] if len(same) == 1 else 0


def _fault_row(
    log: KernelLog,
    fault: Fault,
    device: int,
    offset: float | None,
    scout: Scout,
    never: _Never,
) -> _Row:
    time, doubt, place = None, NO_ORDER, _END
    if offset is not None and fault.time_s is not None:
        at, doubt_ns = from_offset(offset).trace_time(round(fault.time_s * 1e9))
        if scout.first is not None and scout.last is not None and scout.first <= at <= scout.last:
            time, doubt = at, -(-doubt_ns // 1000)
            place = time + doubt_ns
    line = OtherLine(log.path, fault.line, fault.text)
    return _Row(
        place, time, doubt, device, EventKind.DEV_FAULT, fault.bus_addr, None, fault.write,
        time is None and not never.proves(device, fault.bus_addr), line,
    )  # fmt: skip


def readable_twice(path: str) -> None:
    """Check that a trace can be read twice, as merging needs.

    Raises:
        TraceError: it is a stream.
    """
    import os
    import stat

    try:
        regular = path != "-" and stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return  # opening it says what is wrong
    if not regular:
        text = "is read twice beside other logs, and a stream can not be; save it to a file first"
        raise TraceError(path, None, text)
