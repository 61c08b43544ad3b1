"""One run, two sources: a trace with registrations, and a packet capture of what peers asked for.

Packets name a key, an address and a length, and no registration. The trace has those. Requests to
the trace's HCA are put between its events by time; `_weave.pyx` does the work. Where the two
clocks can not be joined, each request comes right behind the registration of its key, if there
is one only: then range and rights are judged, and not whether the region was still there.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dmaverify.errors import TraceError
from dmaverify.model.events import EventBatch
from dmaverify.model.finding import Notice
from dmaverify.trace import open_trace
from dmaverify.trace._keyed import KeyScout, RequestScout
from dmaverify.trace._weave import FULL, HUNGRY, KeyWeaver, Weaver
from dmaverify.trace.around import Around
from dmaverify.trace.base import OTHER_SOURCE, Reader
from dmaverify.trace.capture import ALONE, CaptureReader
from dmaverify.trace.clocks import MANUAL_DOUBT_NS

PACKET = 1 << 61  # bit of an offset: of the capture
KEPT = 1 << 20  # rows of a capture without order that are kept
_CLEAR = 0.9  # share of the votes that settles whose keys the trace has
_ALONE_NS = 1_000_000  # doubt of one moment that both have
_APART_NS = 1_000_000_000  # moments that differ by more are not the same
_DRIFT = 50e-6  # seconds a second, away from the moments that are known
_FAR = 1 << 62  # ns: no clock is so far away
_EPOCH_NS = 1_000_000_000 * 10**9  # a clock beyond this counts from 1970

Opener = Callable[[], Reader]


@dataclass(frozen=True, slots=True)
class Packets:
    """A capture that is read beside a trace.

    Args:
        path: the capture.
        offset: its clock minus the trace's, seconds; None: by what both tell.
        host: address of the HCA whose registrations the trace has; "" for the one that the
            keys are of.
    """

    path: str
    offset: float | None = None
    host: str = ""


class Join(NamedTuple):
    """How two clocks are joined.

    Args:
        how: "given", "matched" or "epoch".
        base_other, base_trace: one moment by both clocks, ns.
        rate: how much faster the trace's clock runs, as a share.
        doubt: ns.
        near_first, near_last: moments that are known, by the capture's clock.
    """

    how: str
    base_other: int
    base_trace: int
    rate: float
    doubt: int
    near_first: int
    near_last: int


def join_clocks(asked: list[tuple[int, int, int]], seen: list[tuple[int, int, int]]) -> Join | None:
    """Return how two clocks are joined by the requests that both tell, None where none does.

    Args:
        asked: (key, address, ns) by the trace.
        seen: the same by the capture.
    """
    once = _unique(asked)
    other = _unique(seen)
    both = once.keys() & other.keys()
    pairs = sorted((other[k], once[k]) for k in both if once[k] < _FAR)
    if not pairs:
        return None
    offsets = sorted(o - t for o, t in pairs)
    middle = offsets[len(offsets) // 2]
    pairs = [(o, t) for o, t in pairs if abs(o - t - middle) <= _APART_NS]
    if len(pairs) == 1:
        (o, t) = pairs[0]
        return Join("matched", o, t, 0.0, _ALONE_NS, o, o)
    spread = max(abs(o - t - middle) for o, t in pairs)
    first, last = pairs[0][0], pairs[-1][0]
    return Join("matched", first, first - middle, 0.0, spread + MANUAL_DOUBT_NS // 10, first, last)


def _unique(asked: list[tuple[int, int, int]]) -> dict[tuple[int, int], int]:
    """Return the time of each request whose key and address come once."""
    counts = Counter((key, address) for key, address, _ in asked)
    return {(k, a): t for k, a, t in asked if counts[k, a] == 1}


class PacketReader(Around):
    """A reader with the requests of a capture between the events of a trace; see `Reader`.

    Args:
        reader: reads the trace, from its start.
        path: of the capture.
        rows: gives the batches, with what is put in.
        notices: gives what there is to say about the capture, once it has been read.
    """

    def __init__(
        self,
        reader: Reader,
        path: str,
        rows: Callable[[Reader], Iterator[EventBatch]],
        notices: Callable[[], list[Notice]],
    ) -> None:
        super().__init__(reader)
        self._capture = path
        self._rows = rows
        self._say = notices
        self.joins = getattr(reader, "joins", ())

    def batches(self) -> Iterator[EventBatch]:
        """Give the events of both sources in order; the batch is reused by the next."""
        for batch in self._rows(self._reader):
            self._publish()
            yield batch
        self._publish()
        self.notices += self._say()

    def line_at(self, offset: int) -> str | None:
        """Return the line at a row's offset, None for a packet, which has none."""
        return None if is_packet(offset) else self._reader.line_at(offset)

    def source_at(self, offset: int) -> str:
        """Return the file that a row is from, "" where it is the trace."""
        if is_packet(offset):
            return self._capture
        inner = getattr(self._reader, "source_at", None)
        return inner(offset) if inner else ""

    def retain(self, offsets: list[int]) -> None:
        """Keep the lines at these offsets."""
        self._reader.retain([o for o in offsets if not is_packet(o)])


def is_packet(offset: int) -> bool:
    """Tell whether a row's offset is of a packet."""
    mark = OTHER_SOURCE | PACKET
    return offset & mark == mark


def open_with_packets(open_again: Opener, packets: Packets) -> PacketReader:
    """Open a trace together with a packet capture; both are read twice.

    Args:
        open_again: opens the trace, from its start.
        packets: the capture.

    Raises:
        TraceError: one of both can not be read, or the capture is none.
    """
    reader = open_again()
    keys = KeyScout()
    try:
        for batch in reader.batches():
            keys.scan(batch)
        devices, ticks = list(reader.devices), reader.ticks
    finally:
        reader.close()
    keys.ready()
    joiner = _Joiner(packets, keys, devices, ticks)
    return PacketReader(open_again(), packets.path, joiner.rows, joiner.notices)


def open_capture(path: str) -> CaptureReader:
    """Open a packet capture.

    Raises:
        TraceError: it can not be read, or is something else.
    """
    reader = open_trace(path)
    if isinstance(reader, CaptureReader):
        return reader
    found = reader.format
    reader.close()
    raise TraceError(path, 0, f"is {found}, and no packet capture: give a pcap or pcapng file")


class _Joiner:
    """Decides what of a capture is put into a trace, and where."""

    def __init__(self, packets: Packets, keys: KeyScout, devices: list[str], ticks: bool) -> None:
        self._packets = packets
        self._keys = keys
        self._notices: list[Notice] = []
        self._weaver: Weaver | KeyWeaver
        scout = RequestScout(keys)
        capture = open_capture(packets.path)
        try:
            for batch in capture.batches():
                scout.scan(batch)
            self._notices += _about_capture(capture.notices)
            host = self._host(scout, capture.devices)
        finally:
            capture.close()
        device = _device(keys, devices)
        self._usable = host is not None and len(keys) > 0
        if not len(keys):
            self._notices.append(Notice(ALONE, NO_KEYS))
        join = self._join(scout, host or 0, ticks)
        mark = OTHER_SOURCE | PACKET
        if join is None:
            self._weaver = KeyWeaver(keys, host or 0, device, mark, KEPT)
        else:
            weaver = self._weaver = Weaver(keys, host or 0, device, mark)
            weaver.set_clock(join.base_other, join.base_trace, join.rate, join.doubt, _DRIFT,
                             join.near_first, join.near_last)  # fmt: skip
        self._order = join

    def _host(self, scout: RequestScout, names: list[str]) -> int | None:
        """Return the number of the address whose keys the trace has, None where it is not clear."""
        votes = scout.votes()
        if self._packets.host:
            if self._packets.host not in names:
                listed = ", ".join(names[n] for n in sorted(votes)[:8]) or "nobody"
                text = f"no packet asks {self._packets.host}; asked are: {listed}"
                raise TraceError(self._packets.path, None, text)
            return names.index(self._packets.host)
        if len(votes) <= 1:
            return next(iter(votes), 0)
        known = Counter({n: k for n, (_, k) in votes.items() if k})
        if known:
            best, count = known.most_common(1)[0]
            if count >= known.total() * _CLEAR:
                return best
        listed = ", ".join(names[n] for n in sorted(votes)[:8])
        self._notices.append(Notice("host-ambiguous", f"{WHOSE}: {listed}", len(votes)))
        return None

    def _join(self, scout: RequestScout, host: int, ticks: bool) -> Join | None:
        keys = self._keys
        offset = self._packets.offset
        if ticks or not keys.timed or keys.first is None:
            return None
        if offset is not None:
            ns = max(-_FAR, min(_FAR, round(offset * 1e9)))
            return Join("given", ns, 0, 0.0, MANUAL_DOUBT_NS, -(1 << 62), 1 << 62)
        found = join_clocks(keys.asked, scout.asked(host))
        if found is not None:
            return found
        if keys.first > _EPOCH_NS and scout.first is not None and scout.first > _EPOCH_NS:
            return Join("epoch", 0, 0, 0.0, MANUAL_DOUBT_NS, -(1 << 62), 1 << 62)
        return None

    def rows(self, reader: Reader) -> Iterator[EventBatch]:
        """Give the trace's batches with the packets in them."""
        if not self._usable:
            yield from reader.batches()
            return
        capture = open_capture(self._packets.path)
        try:
            weaver = self._weaver
            if isinstance(weaver, KeyWeaver):
                yield from _by_key(weaver, reader, capture)
            else:
                yield from _by_time(weaver, reader, capture)
        finally:
            capture.close()

    def notices(self) -> list[Notice]:
        """Return what there is to say; complete after the last batch."""
        if not self._usable:
            return self._notices
        weaver, found = self._weaver, list(self._notices)
        found.append(Notice("packets-joined", JOINED[self._order.how if self._order else ""],
                            weaver.joined))  # fmt: skip
        counts = [("packets-to-others", FOREIGN, weaver.foreign)]
        if isinstance(weaver, KeyWeaver):
            counts += [("packets-without-order", UNPLACED, weaver.unplaced),
                       ("capture-too-long", TOO_MANY, weaver.left_out)]  # fmt: skip
        else:
            counts += [("order-not-known", NEAR, weaver.near),
                       ("packets-outside", OUTSIDE, weaver.outside)]  # fmt: skip
        if not self._keys.whole:
            counts.append(("registrations-too-many", TOO_MANY_KEYS, 1))
        return found + [Notice(id_, text, count) for id_, text, count in counts if count]


def _by_time(weaver: Weaver, reader: Reader, capture: CaptureReader) -> Iterator[EventBatch]:
    packets = capture.batches()
    weaver.feed(next(packets, None))
    for batch in reader.batches():
        weaver.begin(batch)
        while how := weaver.weave():
            if how == HUNGRY:
                weaver.feed(next(packets, None))
            elif how == FULL:
                yield weaver.out
                weaver.again()
        yield weaver.out


def _by_key(weaver: KeyWeaver, reader: Reader, capture: CaptureReader) -> Iterator[EventBatch]:
    for batch in capture.batches():
        weaver.keep(batch)
    weaver.ready()
    for batch in reader.batches():
        yield weaver.merge(batch)


def _device(keys: KeyScout, devices: list[str]) -> int:
    """Return the number of the one device that has keys; 0 where several have, or none."""
    numbers = keys.devices()
    number = next(iter(numbers), 0)
    return number if len(numbers) == 1 and number < len(devices) else 0


def _about_capture(notices: list[Notice]) -> list[Notice]:
    """Return what a capture's reader says, without what is true of a capture alone only."""
    return [n for n in notices if n.id != ALONE]


NO_KEYS = (
    "the trace has no registration of a memory region, so what peers ask for is not judged; "
    "record registrations beside it (probe events of the driver, or .dmat)"
)
WHOSE = (
    "the capture has requests to several addresses, and the keys do not tell whose registrations "
    "the trace has; give --packets-host ADDRESS, one of"
)
JOINED = {
    "given": "requests of the packet capture were put between the trace's events, by the offset "
    "that was given",
    "matched": "requests of the packet capture were put between the trace's events, by the "
    "requests that both tell",
    "epoch": "requests of the packet capture were put between the trace's events: both clocks "
    "count from 1970 and are taken for the same; give --packets-offset SECONDS where they differ",
    "": "requests of the packet capture were judged without order, by the one registration of "
    "their key: nothing joins the two clocks; give --packets-offset SECONDS to see what comes "
    "after a region's end",
}
FOREIGN = "requests to other addresses, whose registrations the trace does not have, were left out"
UNPLACED = (
    "requests by keys that the trace gives never, or several times, were left out: without an "
    "order they name no region"
)
TOO_MANY = "requests of the capture were left out, because there are too many without an order"
NEAR = "requests so near to a change of their key that the order is not known were left out"
OUTSIDE = "requests before or after the trace were left out"
TOO_MANY_KEYS = "changes of keys beyond those that are remembered: order near them is not known"
