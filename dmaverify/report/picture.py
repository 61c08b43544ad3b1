"""The address picture: ranges drawn to scale, one below the other, with what is wrong shaded."""

from collections.abc import Sequence
from itertools import pairwise

from dmaverify.model.finding import Range
from dmaverify.report.axis import Axis
from dmaverify.report.paint import Line
from dmaverify.report.safe import ascii_only, cells, fit, visible
from dmaverify.report.theme import ASCII, Glyphs

_SPACES = {"bus": "bus", "physical": "phys", "virtual": "virt"}
_HOLD = frozenset({"mapping", "ghost", "enclosing", "foreign"})  # an event belongs inside
_SHARE = frozenset({"overlap"})  # an event must stay outside
_OTHER = frozenset({"neighbour"})
_MAPPINGS = _HOLD | _SHARE | _OTHER
_ENDS = frozenset({"unmap", "free"})
_MOST_ROWS = 6
_NARROWEST = 24


def picture(ranges: Sequence[Range], width: int, glyphs: Glyphs) -> list[Line]:
    """Return the lines of a drawing, or none where it would say no more than words.

    Args:
        ranges: of one address space, any start and length; a range without label shares
            the row of the one before it.
        width: columns; no line takes more.
        glyphs: the characters to draw with.
    """
    rows = _rows(ranges)
    drawn = [r for row in rows for r in row]
    if len({(r.start, r.length) for r in drawn}) < 2 or any(r.length < 0 for r in drawn):
        return []
    space = _SPACES.get(drawn[0].space, "addr")
    indent = len(space) + 1
    note, shaded = _verdict(drawn)
    room = width - indent - (cells(note) + 1 if note else 0)
    if room < max(_NARROWEST, 2 * len(drawn) + 1):
        return []
    axis = Axis(drawn, room)
    margin = " " * indent
    lines: list[Line] = [_ticks(axis, drawn, space, width, glyphs)]
    for row in rows:
        bar = _Bar(axis, width - indent, glyphs)
        for r in row:
            bar.draw(r, shaded if r.role not in _MAPPINGS else [])
        remark = note if row[-1].role not in _MAPPINGS else ""
        lines += [[("", margin), *line] for line in bar.with_label(row[0], remark)]
    return lines


def _rows(ranges: Sequence[Range]) -> list[list[Range]]:
    rows: list[list[Range]] = []
    for r in ranges:
        if not r.label and rows:
            rows[-1].append(r)
        else:
            rows.append([r])
    # The event stands last and is what the drawing is about: it always stays.
    return rows if len(rows) <= _MOST_ROWS else [*rows[: _MOST_ROWS - 1], rows[-1]]


def _verdict(ranges: Sequence[Range]) -> tuple[str, list[tuple[int, int]]]:
    """Return what to say beside the event's range, and its stretches to shade."""
    event = ranges[-1]
    if event.role in _MAPPINGS:
        return "", []
    hold = [r for r in ranges if r.role in _HOLD]
    share = [r for r in ranges if r.role in _SHARE]
    if share:
        shaded = _cut(event, share, inside=True)
        return (f"{_bytes(shaded)} B shared" if shaded else ""), shaded
    if not hold:
        return "", []
    shaded = _cut(event, hold, inside=False)
    low, high = min(r.start for r in hold), max(r.start + r.length for r in hold)
    if shaded:
        past, before = all(a >= high for a, _ in shaded), all(b <= low for _, b in shaded)
        if _bytes(shaded) == event.length:
            past = before = False  # it lies elsewhere and passes no border
        where = "past" if past else "before" if before else "outside"
        return f"{_bytes(shaded)} B {where}", shaded
    return _inside(event, hold), []


def _inside(event: Range, hold: Sequence[Range]) -> str:
    left = hold[0].length - event.length
    if len(hold) > 1 or not event.length or left <= 0:
        return ""
    if hold[0].role == "enclosing":
        into = event.start - hold[0].start
        return f"{into} B into it" if into else ""
    return f"{left} B left" if event.role in _ENDS else ""


def _cut(event: Range, others: Sequence[Range], *, inside: bool) -> list[tuple[int, int]]:
    """Return the stretches of an event that lie inside, or outside, of other ranges."""
    start, end = event.start, event.start + event.length
    borders = {start, end}
    borders.update(a for r in others for a in (r.start, r.start + r.length) if start < a < end)
    ordered = sorted(borders)
    return [
        (a, b)
        for a, b in pairwise(ordered)
        if any(r.start <= a and b <= r.start + r.length for r in others) == inside
    ]


def _bytes(stretches: list[tuple[int, int]]) -> int:
    return sum(b - a for a, b in stretches)


def _ticks(axis: Axis, ranges: Sequence[Range], space: str, width: int, glyphs: Glyphs) -> Line:
    """Return the line of addresses: as many as have room, the most telling first."""
    room = width - len(space) - 1
    line = [" "] * room
    for a, b in axis.folded:
        for x in range(axis.column(a) + 1, axis.column(b)):
            line[x] = glyphs.gap
    first, event = ranges[0], ranges[-1]
    told = [(first.start, False), (event.start + event.length, True)]
    told += [(first.start + first.length, True), (event.start, False)]
    told += [(r.start, False) for r in ranges] + [(r.start + r.length, True) for r in ranges]
    done: set[int] = set()
    for address, at_end in told:
        text, x = hex(address), axis.column(address)
        left, right = x, x - len(text) + 1
        for at in (right, left) if at_end else (left, right):
            fits = 0 <= at <= room - len(text)
            taken = any(map(str.isalnum, line[max(0, at - 2) : at + len(text) + 2]))
            if address not in done and fits and not taken:
                line[max(0, at - 1) : min(room, at + len(text) + 1)] = (
                    ([" "] if at else []) + list(text) + ([" "] if at + len(text) < room else [])
                )
                done.add(address)
    return [("address", f"{space} {''.join(line)}".rstrip())]


class _Bar:
    """One row while it is drawn: a character and a style for each column."""

    def __init__(self, axis: Axis, width: int, glyphs: Glyphs) -> None:
        self.axis, self.glyphs = axis, glyphs
        self.chars = [" "] * width
        self.styles = [""] * width

    def draw(self, r: Range, shaded: list[tuple[int, int]]) -> None:
        """Draw one range, with the stretches of it that are wrong."""
        g, style = self.glyphs, _style(r)
        x, end = self.axis.column(r.start), self.axis.column(r.start + r.length)
        if x == end:
            self._put(x, g.point, style)
            return
        self._put(x, g.start + g.line * (end - x - 1) + g.end, style)
        for a, b in shaded:
            left, right = self.axis.column(a), self.axis.column(b)
            self._put(left + 1, g.past * (right - left - 1), "past")
            if left == x:
                self._put(x, g.start, "past")
            if right == end:
                self._put(end, g.end, "past")
            elif (b, right) != (a, left) and any(b == other for other, _ in shaded):
                self._put(right, g.past, "past")

    def with_label(self, r: Range, note: str) -> list[Line]:
        """Return the row with its label and a remark; at worst on a line of their own.

        The room for the remark behind the bar was set aside.
        """
        label = visible(r.label)
        if self.glyphs is ASCII:
            label = ascii_only(label)
        style, length = _style(r), cells(label)
        both = f"{label} {self.glyphs.dot} {note}" if note else label
        start, run = self._longest_run()
        first, behind = self._first(), self._last() + 2
        if length != len(label):  # wide characters would shift the columns
            return [self._line(), _own_line(self, both, style)]
        if length + 4 <= run:
            self._put(start + (run - length - 2) // 2, f" {label} ", style)
        elif behind + len(both) <= len(self.chars):
            self._put(behind, both, style)
            behind += len(both) - len(note)
        elif length + 1 <= first:
            self._put(first - 1 - length, label, style)
        else:
            return [self._line(), _own_line(self, both, style)]
        self._put(behind, note, "past")
        return [self._line()]

    def _put(self, x: int, text: str, style: str) -> None:
        for i, char in enumerate(text):
            if x + i < len(self.chars):
                self.chars[x + i], self.styles[x + i] = char, style

    def _first(self) -> int:
        return next((i for i, c in enumerate(self.chars) if c != " "), 0)

    def _last(self) -> int:
        return next((i for i in reversed(range(len(self.chars))) if self.chars[i] != " "), 0)

    def _longest_run(self) -> tuple[int, int]:
        best, start = (0, 0), 0
        for i, char in enumerate([*self.chars, " "]):
            if char != self.glyphs.line:
                best = max(best, (i - start, -start))
                start = i + 1
        return -best[1], best[0]

    def _line(self) -> Line:
        line: Line = []
        for char, style in zip("".join(self.chars).rstrip(), self.styles, strict=False):
            if line and line[-1][0] == style:
                line[-1] = (style, line[-1][1] + char)
            else:
                line.append((style, char))
        return line


def _own_line(bar: _Bar, label: str, style: str) -> Line:
    room = len(bar.chars)
    text = fit(label, room, bar.glyphs.ellipsis)
    at = min(bar._first() + 2, room - cells(text))
    return [("", " " * at), (style, text)]


def _style(r: Range) -> str:
    if r.role == "mapping":
        return "mapping"
    return "other" if r.role in _MAPPINGS else "event"
