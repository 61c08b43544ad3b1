"""Rows of the other sources of a run: what a device log and a kernel log add to a trace."""

from typing import NamedTuple

from dmaverify.model.finding import Notice
from dmaverify.model.kinds import EventKind
from dmaverify.trace._merge import Scout
from dmaverify.trace.clocks import Clocks, from_offset
from dmaverify.trace.devlog import PAGE, TOUCH, DeviceAccess, DeviceLog
from dmaverify.trace.faults import Fault
from dmaverify.trace.klog import KernelLog

DOUBT_MAX = 32767  # us: what a row has room for
DEVICE_LOG, KERNEL_LOG = 0, 1  # site of a row: which log it comes from
NO_ORDER = -1  # status of a row whose place among the trace's events is not known


class OtherLine(NamedTuple):
    """A line of another source: the file's path, the 1-based line, and its text."""

    path: str
    line: int
    text: str


class Row(NamedTuple):
    """One access or fault, ready to be put in; `doubt` is in us, or NO_ORDER."""

    place: int  # ns; where it comes
    time: int | None  # ns
    doubt: int  # us, or NO_ORDER
    device: int
    kind: EventKind
    bus_addr: int
    length: int | None
    write: bool | None
    echo: bool
    source: int
    line: OtherLine


class Never:
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


_END = 1 << 64  # the place of what has no place: after everything


class DeviceRows:
    """Makes rows of a device log's accesses.

    Args:
        log: the device log.
        scout: has seen the whole trace.
        never: knows what was never mapped.
        devices: device names of the trace by number.
        notices: is added to.
    """

    def __init__(
        self,
        log: DeviceLog,
        scout: Scout,
        never: Never,
        devices: list[str],
        notices: list[Notice],
    ) -> None:
        self._never = never
        self._log = log
        self._scout = scout
        self._notices = notices
        self._numbers = {name: number for number, name in enumerate(devices) if name}

    def rows(self, owner: dict[str, str], clocks: Clocks | None) -> list[Row]:
        """Return the rows, and say what could not be used."""
        # A touched page says nothing where lines with address and length tell the same, or the
        # trace itself does.
        exact = {self._numbers.get(name, 0) for name in owner.values()} | self._scout.telling
        found: list[Row] = []
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

    def _fresh(self, row: Row, seen: set[tuple[int, int, EventKind]]) -> bool:
        """Tell whether it says something that none before it says; for rows without order."""
        key = row.device, row.bus_addr // PAGE, row.kind
        new = key not in seen
        seen.add(key)
        return new

    def _row(self, access: DeviceAccess, device: int, clocks: Clocks | None) -> Row | None:
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
        return Row(
            place, time, doubt, device, access.kind, access.bus_addr, access.length,
            access.write, echo, DEVICE_LOG, line,
        )  # fmt: skip

    def _say(self, clocks: Clocks | None, strangers: set[str], nameless: dict[str, int]) -> None:
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


def fault_rows(
    log: KernelLog,
    devices: list[str],
    offset: float | None,
    scout: Scout,
    never: Never,
    notices: list[Notice],
) -> list[Row]:
    """Return a row for each fault of a kernel log, and say what could not be used.

    Args:
        log: the kernel log.
        devices: device names of the trace by number.
        offset: the log's clock minus the trace's, seconds, or None.
        scout: has seen the whole trace.
        never: knows what was never mapped.
        notices: is added to.
    """
    numbers = {name: number for number, name in enumerate(devices) if name}
    strangers: set[str] = set()
    rows: list[Row] = []
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
    same = [
        n for other, n in numbers.items() if other.endswith(name[4:]) and len(other) == len(name)
    ]
    return same[0] if len(same) == 1 else 0


def _fault_row(
    log: KernelLog,
    fault: Fault,
    device: int,
    offset: float | None,
    scout: Scout,
    never: Never,
) -> Row:
    time, doubt, place = None, NO_ORDER, _END
    if offset is not None and fault.time_s is not None:
        at, doubt_ns = from_offset(offset).trace_time(round(fault.time_s * 1e9))
        if scout.first is not None and scout.last is not None and scout.first <= at <= scout.last:
            time, doubt = at, -(-doubt_ns // 1000)
            place = time + doubt_ns
    line = OtherLine(log.path, fault.line, fault.text)
    return Row(
        place, time, doubt, device, EventKind.DEV_FAULT, fault.bus_addr, None, fault.write,
        time is None and not never.proves(device, fault.bus_addr),
        KERNEL_LOG, line,
    )  # fmt: skip
