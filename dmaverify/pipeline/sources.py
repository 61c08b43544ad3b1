"""A trace and what is read beside it: one reader for all sources of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dmaverify.errors import UsageError
from dmaverify.trace import open_trace
from dmaverify.trace.base import Reader

if TYPE_CHECKING:
    from dmaverify.trace.events import EventSpec
    from dmaverify.trace.klog import KernelLog


@dataclass(frozen=True, slots=True)
class Beside:
    """Other sources of the same run.

    Args:
        log, device_log, packets: paths of the kernel log, of QEMU's log and of a packet capture,
            "" for none.
        clock_offset: the device log's clock minus the trace's, seconds; None: by the moments
            that both have.
        log_offset: the kernel log's clock minus the trace's, seconds; None: not known.
        packets_offset: the capture's clock minus the trace's, seconds; None: by what both tell.
        packets_host: address of the HCA whose registrations the trace has; "" for the one that
            the keys are of.
        events: path of a table of events of the user's own, "" for none.
    """

    log: str = ""
    device_log: str = ""
    packets: str = ""
    clock_offset: float | None = None
    log_offset: float | None = None
    packets_offset: float | None = None
    packets_host: str = ""
    events: str = ""

    def __bool__(self) -> bool:
        """Tell whether there is another source."""
        return bool(self.log or self.device_log or self.packets)


@dataclass(frozen=True, slots=True)
class Opened:
    """A run that is ready to be read.

    Args:
        reader: gives the events of all sources.
        source_at: names the file of an event that is not the trace's, "" for those that are.
        log: the kernel's log, where there is one.
    """

    reader: Reader
    source_at: Callable[[int], str] = lambda _: ""
    log: "KernelLog | None" = None


def refuse_loose(traces: int, beside: Beside) -> None:
    """Check that each log has one trace, and each offset a log.

    Raises:
        UsageError: one has not; the text says what to give.
    """
    if beside and traces != 1:
        named = "--log, --device-log and --packets belong to one run"
        raise UsageError(f"{named}: give one trace with them")
    loose = (
        (beside.clock_offset is not None and not beside.device_log, "--clock-offset",
         "--device-log"),
        (beside.log_offset is not None and not beside.log, "--log-offset", "--log"),
        (beside.packets_offset is not None and not beside.packets, "--packets-offset",
         "--packets"),
        (bool(beside.packets_host) and not beside.packets, "--packets-host", "--packets"),
    )  # fmt: skip
    for wrong, option, needed in loose:
        if wrong:
            raise UsageError(f"{option} is about a {needed}: give that too")


def open_run(path: str, beside: Beside) -> Opened:
    """Open a trace with what is read beside it.

    Raises:
        TraceError: one of the sources can not be read.
        UsageError: the table of events is not right.
    """
    more = _events(beside.events)
    if not beside:
        return Opened(open_trace(path, more))
    # What reads the other sources is not loaded for those who have none.
    from dmaverify.trace.merge import readable_twice

    readable_twice(path)
    log = None
    open_again: Callable[[], Reader] = lambda: open_trace(path, more)  # noqa: E731
    if beside.log or beside.device_log:
        from dmaverify.trace.devlog import read_device_log
        from dmaverify.trace.klog import read_kernel_log
        from dmaverify.trace.merge import OtherSources, open_merged

        log = read_kernel_log(beside.log) if beside.log else None
        device_log = read_device_log(beside.device_log) if beside.device_log else None
        others = OtherSources(device_log, log, beside.clock_offset, beside.log_offset, more)
        if not beside.packets:
            merged = open_merged(path, others)
            return Opened(merged, merged.source_at, log)
        open_again = lambda: open_merged(path, others)  # noqa: E731
    from dmaverify.trace.packets import Packets, open_with_packets

    readable_twice(beside.packets)
    packets = Packets(beside.packets, beside.packets_offset, beside.packets_host)
    joined = open_with_packets(open_again, packets)
    return Opened(joined, joined.source_at, log)


def _events(path: str) -> "tuple[EventSpec, ...]":
    if not path:
        return ()
    from dmaverify.trace.user_events import load_events

    return load_events(path)
