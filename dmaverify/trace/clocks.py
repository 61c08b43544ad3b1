"""Two clocks of one run: what the other log's time is by the clock of the trace."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

MANUAL_DOUBT_NS = 200_000  # of an offset that somebody gave: it says nothing of drift
_FLOOR_NS = 20_000  # a line is stamped when it is written, a little after the deed
_DRIFT_BETWEEN = 20e-6  # seconds a second, between two moments that both logs have
_DRIFT_BEYOND = 50e-6  # the same, beyond them, or where there is one moment only
_APART_NS = 50_000_000  # moments nearer than this tell no drift


class Moment(NamedTuple):
    """A moment that both logs have: by the trace's clock, by the other, and how exactly (ns)."""

    trace_ns: int
    other_ns: int
    gap_ns: int


class Clocks:
    """Turns times of another log into times of the trace.

    Args:
        moments: one, or two with a straight line through them; in the order of time.
        manual: True where somebody gave the offset.
    """

    def __init__(self, moments: Sequence[Moment], *, manual: bool = False) -> None:
        self.moments = tuple(moments)
        self._manual = manual

    def trace_time(self, other_ns: int) -> tuple[int, int]:
        """Return (time by the trace's clock, how far it may be off), both in ns."""
        first, last = self.moments[0], self.moments[-1]
        nearest = min(self.moments, key=lambda m: abs(other_ns - m.other_ns))
        offset = nearest.other_ns - nearest.trace_ns
        rate = _DRIFT_BEYOND
        if first is not last and first.other_ns <= other_ns <= last.other_ns:
            rate = _DRIFT_BETWEEN
            start, end = first.other_ns - first.trace_ns, last.other_ns - last.trace_ns
            share = (other_ns - first.other_ns) / (last.other_ns - first.other_ns)
            offset = start + round((end - start) * share)
        if self._manual:
            doubt = MANUAL_DOUBT_NS
        else:
            away = abs(other_ns - nearest.other_ns)
            doubt = max(m.gap_ns for m in self.moments) + _FLOOR_NS + round(away * rate)
        return other_ns - offset, doubt


def from_offset(offset_s: float) -> Clocks:
    """Return clocks that differ by a known offset: the other log's minus the trace's, seconds."""
    return Clocks([Moment(0, round(offset_s * 1e9), 0)], manual=True)


def from_moments(
    brackets: Mapping[int, tuple[int, int]], others: Mapping[int, int]
) -> Clocks | None:
    """Return clocks by the moments that both logs have, or None where they share none.

    Of those near the beginning, and of those near the end, the most exact one counts.

    Args:
        brackets: number -> times of the trace before and after the other log's line, ns.
        others: number -> time of the other log, ns.
    """
    moments = sorted(
        Moment((before + after) // 2, others[number], after - before)
        for number, (before, after) in brackets.items()
        if number in others and after >= before
    )
    if not moments:
        return None
    apart = [b.trace_ns - a.trace_ns for a, b in pairwise(moments)]
    cut = apart.index(max(apart)) + 1 if apart else 0
    first = min(moments[:cut] or moments, key=lambda m: m.gap_ns)
    last = min(moments[cut:], key=lambda m: m.gap_ns)
    if last.trace_ns - first.trace_ns < _APART_NS or last.other_ns <= first.other_ns:
        return Clocks([min(moments, key=lambda m: m.gap_ns)])
    return Clocks([first, last])
