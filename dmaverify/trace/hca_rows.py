"""What a device log says of an HCA, joined to the mappings of a trace.

The two clocks agree within some tens of microseconds only. Where the calls have an order of their
own it is kept: memory is mapped before the HCA takes it, and unmapped after the HCA has let go.
What is farther off than the clocks may be wrong stays where its time says, and is judged there.
"""

from collections import defaultdict
from typing import NamedTuple

from dmaverify.model.finding import Join, Notice
from dmaverify.model.kinds import EventKind, HcaValue
from dmaverify.trace._spans import SpanScout
from dmaverify.trace.clocks import Clocks
from dmaverify.trace.devlog import PAGE, DeviceLog
from dmaverify.trace.devlog_hca import HcaLog, HcaNote, Piece
from dmaverify.trace.other_rows import OtherLine

SITES = 3 << 29  # beyond the ids of tasks: an HCA's objects are no task's

#: A mapping of the trace, as `SpanScout` gives it.
Span = list[int | None]


class HcaRow(NamedTuple):
    """An event of an HCA, ready to be put in at its place (ns, by the trace's clock)."""

    place: int
    kind: EventKind
    values: dict[str, int]
    hca: tuple[tuple[HcaValue, int], ...]
    line: OtherLine


def hca_pages(log: HcaLog) -> list[int]:
    """Return the pages that the HCA took, sorted."""
    pages: set[int] = set()
    for piece in log.pieces:
        first, last = piece.bus_addr // PAGE, (piece.bus_addr + piece.length - 1) // PAGE
        pages.update(range(first, min(last, first + 16) + 1))
    return sorted(page for page in pages if not page >> 64)


class HcaRows:
    """Makes rows of an HCA's events, and tells which of its memory is in which mapping.

    Args:
        log: the device log.
        device: number of the HCA in the trace, 0 where it is not known.
        spans: has seen the whole trace.
        clocks: of both, None where nothing joins them.
        last: ns, of the trace's last event.
    """

    def __init__(
        self, log: DeviceLog, device: int, spans: SpanScout, clocks: Clocks | None, last: int
    ) -> None:
        self._path = log.path
        self._log = log.hca
        self._device = device
        self._spans = spans
        self._clocks = clocks
        self._last = last
        self._at: dict[int, list[Span]] = defaultdict(list)
        for span in spans.spans:
            if span[0] == device:
                self._index(span)
        self._held: dict[str, list[Span]] = defaultdict(list)
        self._newest: dict[str, int] = {}
        self._sites: dict[str, int] = {}

    def _index(self, span: Span) -> None:
        _, start, length, *_ = span
        if start is None or length is None:
            return
        pages = range(start // PAGE, (start + length - 1) // PAGE + 1)
        for page in pages if len(pages) <= 4096 else ():
            self._at[page].append(span)

    def joins(self) -> tuple[Join, ...]:
        """Return, for each piece of memory that the HCA took, the mapping that it is in."""
        return tuple(self._join(piece) for piece in self._log.pieces)

    def _join(self, piece: Piece) -> Join:
        span, why = self._find(piece)
        event, line = (span[5], span[6]) if span else (None, None)
        return Join(
            piece.what, self._path, piece.line, piece.bus_addr, piece.length, event, line or None,
            why,
        )  # fmt: skip

    def _find(self, piece: Piece) -> tuple[Span | None, str]:
        """Return the mapping that holds a piece when the HCA took it, or why there is none."""
        if not self._device:
            return None, "which device of the trace the log is about is not clear"
        if self._clocks is None:
            return None, "nothing joins the clocks of trace and log"
        time, doubt = self._clocks.trace_time(piece.time_us * 1000)
        first = self._spans.first
        if first is None or time + doubt < first:
            return None, "it was before the recording"
        if time > self._last:
            return None, "it was after the recording"
        end = piece.bus_addr + piece.length
        near = self._at.get(piece.bus_addr // PAGE, ())
        whole = [s for s in near if _begin(s) <= piece.bus_addr and end <= _begin(s) + _size(s)]
        alive = [s for s in whole if _made(s) <= time + doubt and _alive_at(s, time - doubt)]
        if alive:
            return max(alive, key=_made), ""
        return None, self._why_not(whole, near, time, doubt)

    def _why_not(
        self, whole: list[Span], near: "list[Span] | tuple[()]", time: int, doubt: int
    ) -> str:
        cuts = self._spans.cut.get(self._device, ())
        if any((c[0] or 0) <= time + doubt and (c[1] or time) >= time - doubt for c in cuts):
            return "a list of the trace is cut, and it may be one of the entries left out"
        if not self._spans.whole:
            return "the trace has more mappings than are remembered"
        if whole:
            later = all(_made(s) > time + doubt for s in whole)
            return "its mapping was made later" if later else "its mapping had ended"
        return "its mapping holds a part of it only" if near else "nothing is mapped there"

    def rows(self) -> list[HcaRow]:
        """Return the rows; what needs memory that is in no mapping is left out."""
        if self._clocks is None or not self._device:
            return []
        found = []
        for note in self._log.notes:
            time, doubt = self._clocks.trace_time(note.time_us * 1000)
            if self._spans.first is None or not self._spans.first <= time <= self._last:
                continue
            place = self._place(note, time, doubt)
            if place is not None:
                found.append(self._row(note, place))
        return found

    def _place(self, note: HcaNote, time: int, doubt: int) -> int | None:
        """Return when an event was, as far as the calls' own order tells; None: it is not known."""
        place = time
        spans = [self._find(piece)[0] for piece in note.pieces]
        known = [span for span in spans if span is not None]
        if len(known) < len(spans):
            return None
        if note.ends:
            for span in known or self._held.pop(note.subject, []):
                if span[4] is not None and span[4] >= time - doubt:
                    place = min(place, span[4] - 1)
        else:
            for span in known:
                place = max(place - doubt, _made(span) + 1)
            self._held[note.subject] += known
        place = max(place, self._newest.get(note.subject, 0))
        self._newest[note.subject] = place
        return place

    def _row(self, note: HcaNote, place: int) -> HcaRow:
        site = self._sites.setdefault(note.subject, SITES + len(self._sites))
        values = {**note.values, "site": site, "device": self._device}
        return HcaRow(place, note.kind, values, note.hca,
                      OtherLine(self._path, note.line, note.text))  # fmt: skip


def join_notices(joins: tuple[Join, ...], left_out: int) -> list[Notice]:
    """Return how much of the HCA's memory is in a mapping, and why the rest is not."""
    found = [Notice("hca-memory-joined", JOINED, sum(not j.why for j in joins))]
    reasons: dict[str, int] = defaultdict(int)
    for join in joins:
        if join.why:
            reasons[join.why] += 1
    for why, count in sorted(reasons.items()):
        found.append(Notice("hca-memory-not-joined", f"{NOT_JOINED}: {why}", count))
    if left_out:
        found.append(Notice("log-too-long", TOO_LONG, left_out))
    return [notice for notice in found if notice.count]


JOINED = (
    "pieces of memory that the device log's HCA took (rings, directories, regions, datagrams) lie "
    "in a mapping of the trace; -v and JSON list them"
)
NOT_JOINED = "pieces of memory that the device log's HCA took are in no mapping of the trace"
TOO_LONG = "Lines of the device log about its HCA were left out, because there are too many."


def _begin(span: Span) -> int:
    return span[1] or 0


def _size(span: Span) -> int:
    return span[2] or 0


def _made(span: Span) -> int:
    return span[3] or 0


def _alive_at(span: Span, time: int) -> bool:
    return span[4] is None or span[4] >= time
