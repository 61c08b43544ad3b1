"""The matrix for people: a table of platforms, then why, with the lines that prove it."""

from collections import Counter
from collections.abc import Iterator, Sequence

from dmaverify.model.finding import Report
from dmaverify.model.matrix import BypassCost, PlatformResult, PredictedFault
from dmaverify.model.platform import EFFECT_NAMES, Effect
from dmaverify.report.base import View
from dmaverify.report.paint import Line, painter
from dmaverify.report.proof import proof, remark
from dmaverify.report.safe import fit, visible, wrap
from dmaverify.report.summary import extent, notices
from dmaverify.report.theme import ASCII, UNICODE, Glyphs
from dmaverify.report.units import clock, count

#: How an effect looks: style, sign, the same in ASCII.
SIGNS = {
    Effect.WORKS: ("pass", "✓", "+"),
    Effect.CANNOT_TELL: ("note", "?", "?"),
    Effect.WORKS_BY_LUCK: ("warning", "~", "~"),
    Effect.REFUSED: ("device", "⊘", "-"),
    Effect.BREAKS: ("error", "✗", "x"),
}
WORDS = {e: name.replace("-", " ") for e, name in EFFECT_NAMES.items()}
_EFFECT = max(map(len, WORDS.values()))
_MOST_FAULTS = 6
_TITLE_LEAST = 28


class MatrixReporter:
    """The table, and the reasons below it."""

    name = "full"
    sentence = "the table of platforms, then why, with the lines that prove it"

    def render(self, report: Report, view: View) -> Iterator[str]:
        """Give the matrix line by line."""
        paint = painter(colour=view.colour, only_ascii=view.ascii)
        for line in _lines(report, view, ASCII if view.ascii else UNICODE):
            yield paint(line)


def _lines(report: Report, view: View, g: Glyphs) -> Iterator[Line]:
    if not report.traces:
        return
    yield from table(report, view)
    yield []
    yield from reasons(report, view, g)
    if view.quiet:
        return
    told = list(notices(report, view))
    yield from told
    if told:
        yield []
    yield from _verdict(report, view)


def table(report: Report, view: View) -> Iterator[Line]:
    """Give a row for each platform: its effect, its name, the deciding event, what it is."""
    rows = report.platforms
    several = len(report.traces) > 1
    names = max(len(visible(r.name)) for r in rows)
    texts = [_place(r, report.traces[r.trace].path if several else "") for r in rows]
    # Where it is narrow the name of another log is left to the reasons below.
    if view.width - 8 - _EFFECT - names - 2 - max(map(len, texts)) < _TITLE_LEAST:
        texts = [_short_place(r, several=several) for r in rows]
    places = max(map(len, texts))
    for row, place in zip(rows, texts, strict=True):
        style, sign, plain = SIGNS[row.effect]
        line: Line = [
            ("", "  "),
            (style, f"{plain if view.ascii else sign} {WORDS[row.effect]:<{_EFFECT}}"),
            ("message", f"  {visible(row.name):<{names}}"),
        ]
        if places:
            line.append(("place", f"  {place:<{places}}"))
        used = 6 + _EFFECT + names + (places + 2 if places else 0)
        ellipsis = (ASCII if view.ascii else UNICODE).ellipsis
        title = fit(visible(row.title), max(12, view.width - used - 2), ellipsis)
        yield [*line, ("quiet", f"  {title}")]


def _place(row: PlatformResult | PredictedFault, path: str = "") -> str:
    """Return the place of an event, with the name of its file where that is not plain."""
    place = _short_place(row)
    file = (row.source or path).rpartition("/")[2]
    return f"{visible(file)} {place}" if file and place else place


def _short_place(row: PlatformResult | PredictedFault, *, several: bool = False) -> str:
    if row.event is None:
        return ""
    place = f"event {row.event}" if row.line is None else f"line {row.line}"
    if several and isinstance(row, PlatformResult):
        place = f"trace {row.trace + 1}, {place}"
    return place


def reasons(report: Report, view: View, g: Glyphs) -> Iterator[Line]:
    """Give what decides, once for all platforms that it decides, then what can not be told."""
    decided: dict[tuple[int, int | None, str, str], list[PlatformResult]] = {}
    for row in sorted(report.platforms, key=lambda r: -r.effect):
        if row.event is not None:
            decided.setdefault((row.trace, row.event, row.cls, row.deed), []).append(row)
    for rows in decided.values():
        yield from _event(rows, report, view, g)
        yield []
    rest = [r for r in report.platforms if r.event is None]
    if rest:
        yield from outcomes(rest, view)
    extra = list(_extra(report.platforms))
    for label, text in extra:
        yield from remark(label, "label", text, view.width)
    if rest or extra:
        yield []


def _event(rows: list[PlatformResult], report: Report, view: View, g: Glyphs) -> Iterator[Line]:
    """Give one event, its proof, and what platforms make of it, worst first."""
    row = rows[0]
    style, _, _ = SIGNS[row.effect]
    lines = wrap(visible(row.deed), view.width - len(row.cls) - 2, view.width - 4)
    yield [(style, row.cls or WORDS[row.effect]), ("message", f": {lines[0]}")]
    yield from ([("message", f"    {line}")] for line in lines[1:])
    path = row.source or report.traces[row.trace].path
    where = f"@{row.event}" if row.line is None else str(row.line)
    place: Line = [("gutter", f"  {g.corner}{g.line} "), ("place", f"{visible(path)}:{where}")]
    if row.time_ns is not None:
        place.append(("time", f"   t={clock(row.time_ns)}"))
    yield place
    yield from proof(row.evidence, row.evidence, view, g)
    yield from outcomes(rows, view)
    for text in _faults(rows):
        yield from remark("fault", "label", text, view.width)


def outcomes(rows: Sequence[PlatformResult], view: View) -> Iterator[Line]:
    """Give a sentence for all platforms that have one effect for one reason."""
    alike: dict[tuple[Effect, str], list[PlatformResult]] = {}
    for row in rows:
        alike.setdefault((row.effect, row.cause or row.why), []).append(row)
    for (effect, why), same in alike.items():
        style, sign, plain = SIGNS[effect]
        head = f"  {plain if view.ascii else sign} {WORDS[effect]}"
        names = ", ".join(visible(r.name) for r in same)
        lines = wrap(f"on {names}: {visible(why)}", view.width - len(head) - 1, view.width - 6)
        yield [(style, head), ("", f" {lines[0]}")]
        yield from ([("", f"      {line}")] for line in lines[1:])


def _faults(rows: list[PlatformResult]) -> Iterator[str]:
    """Give the faults that these platforms have, each once."""
    faults = {
        (f.event, f.device, f.ordinal, f.direction, f.page_offset): f
        for row in rows
        for f in row.faults
    }
    for fault in list(faults.values())[:_MOST_FAULTS]:
        yield (
            f"access {fault.ordinal} of {fault.device}, a {fault.direction}, faults at page "
            f"offset {fault.page_offset:#x} ({_place(fault)})"
        )
    if len(faults) > _MOST_FAULTS:
        yield f"and {len(faults) - _MOST_FAULTS:,} more"


def _extra(rows: tuple[PlatformResult, ...]) -> Iterator[tuple[str, str]]:
    """Give what bypassing the kernel would take, and what a better recording would tell."""
    costs = {
        cost.device: f"on {row.name}, {cost_words(cost)}" for row in rows for cost in row.costs
    }
    yield from (("cost", text) for text in costs.values())
    yield from (("needs", text) for text in dict.fromkeys(m for r in rows for m in r.missing))


def cost_words(cost: BypassCost) -> str:
    """Return what bypassing the kernel would take, in a sentence."""
    memory = f"{count(cost.mappings, 'mapping')} of {cost.device}, {cost.mapped_bytes:,} bytes"
    if cost.operations:
        return (
            f"{memory}: {cost.operations:,} operations, each needs "
            f"{cost.flushes_per_operation:,.1f} cache lines flushed for "
            f"{cost.bytes_per_operation:,.0f} bytes, and a call into the kernel"
        )
    return (
        f"{memory}: the recording has no operation of its own in it; one needs up to "
        f"{cost.flushes_per_operation:,.0f} cache lines flushed for "
        f"{cost.bytes_per_operation:,.0f} bytes, and a call into the kernel"
    )


def _verdict(report: Report, view: View) -> Iterator[Line]:
    counts = Counter(r.effect for r in report.platforms)
    line: Line = []
    for effect in sorted(counts, reverse=True):
        line += [("", ", ")] if line else []
        style, _, _ = SIGNS[effect]
        line.append((style, WORDS[effect]))
        line.append(("", f" on {counts[effect]}"))
    yield line
    for text in wrap(extent(report), view.width, view.width):
        yield [("quiet", text)]
