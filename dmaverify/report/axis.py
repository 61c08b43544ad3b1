"""Where addresses stand on a line of a given width.

Addresses between two neighbouring borders of ranges are one interval. Intervals are to
scale, but none is so small that it can not be seen, and a wide stretch that belongs to
nobody is folded.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from dmaverify.model.finding import Range

_LEAST = 4  # columns of the smallest interval: two borders and something between them
_FOLD = 5  # columns of a folded gap


class Axis:
    """Maps borders of ranges to columns.

    Args:
        ranges: at least one, lengths may be 0.
        width: columns, more than there are borders.
    """

    def __init__(self, ranges: Sequence[Range], width: int) -> None:
        self.borders = sorted({a for r in ranges for a in (r.start, r.start + r.length)})
        self.width = width
        steps = list(pairwise(self.borders))
        gaps = [not _covered(ranges, a, b) for a, b in steps]
        used = sum(b - a for (a, b), gap in zip(steps, gaps, strict=True) if not gap)
        weights = []
        self.folded: list[tuple[int, int]] = []
        for (a, b), gap in zip(steps, gaps, strict=True):
            fold = gap and 4 * (b - a) > used
            weights.append(0 if fold else b - a)
            if fold:
                self.folded.append((a, b))
        columns = _share(weights, width - 1)
        self._column = dict(zip(self.borders, _sums(columns), strict=True))

    def column(self, border: int) -> int:
        """Return the column of a border, from 0 to width - 1."""
        return self._column[border]

    def intervals(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the intervals between two borders."""
        first, last = bisect_right(self.borders, start) - 1, bisect_right(self.borders, end)
        return list(pairwise(self.borders[first:last]))


def _covered(ranges: Sequence[Range], start: int, end: int) -> bool:
    return any(r.start <= start and end <= r.start + r.length for r in ranges)


def _sums(columns: list[int]) -> list[int]:
    sums = [0]
    for n in columns:
        sums.append(sums[-1] + n)
    return sums


def _share(weights: list[int], room: int) -> list[int]:
    """Return a width for each weight, in proportion, none below the least, folds fixed."""
    if not weights:
        return []
    least = max(1, min(_LEAST, room // len(weights)))
    fold = max(least, min(_FOLD, room // len(weights)))
    fixed = {i: fold for i, w in enumerate(weights) if w == 0}
    while True:
        free = [i for i in range(len(weights)) if i not in fixed]
        left = room - sum(fixed.values())
        total = sum(weights[i] for i in free)
        small = [i for i in free if left * weights[i] < least * total]
        if not small or not free:
            break
        fixed.update(dict.fromkeys(small, least))
    shares = [fixed.get(i, 0) or left * weights[i] // total for i in range(len(weights))]
    shares[max(range(len(weights)), key=lambda i: weights[i])] += room - sum(shares)
    return shares
