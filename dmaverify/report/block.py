"""One finding as a block of styled lines, told like a compiler error."""

from collections.abc import Iterator

from dmaverify.model.evidence import Evidence
from dmaverify.model.finding import Finding, Report
from dmaverify.report.base import View
from dmaverify.report.paint import Line, line_cells
from dmaverify.report.picture import picture
from dmaverify.report.proof import proof, remark, where
from dmaverify.report.safe import cells, visible, wrap
from dmaverify.report.theme import SEVERITY_STYLES, Glyphs
from dmaverify.report.units import SEVERITY_NAMES, clock, count

#: How a report names what `equivalents` names.
OTHERS = {"windows": "Driver Verifier", "linux": "kernel DMA-API"}
_MOST_PROOF = 8  # pieces of evidence that are displayed, unless all are wanted


def block(finding: Finding, report: Report, view: View, g: Glyphs) -> Iterator[Line]:
    """Give the lines of one finding."""
    yield from _header(finding, view)
    yield from _place(finding, report, view, g)
    drawing = picture(finding.ranges, view.width - 5, g)
    if drawing:
        yield [("gutter", f"  {g.gutter}")]
        for line in drawing:
            yield [("gutter", f"  {g.gutter}  "), *line]
        yield [("gutter", f"  {g.gutter}")]
    yield from _proof(finding, view, g)
    for label, style, text in _remarks(finding, g):
        yield from remark(label, style, text, view.width)


def place(finding: Finding, report: Report) -> str:
    """Return `path:line`, or `path:@event` where the trace has no lines."""
    path = report.traces[finding.trace].path if finding.trace < len(report.traces) else "?"
    path = finding.source or path
    where = f"@{finding.event}" if finding.line is None else str(finding.line)
    return f"{visible(path)}:{where}"


def _header(finding: Finding, view: View) -> Iterator[Line]:
    style = SEVERITY_STYLES[finding.severity]
    title = f"{SEVERITY_NAMES[finding.severity]}[{visible(finding.rule)}]"
    lines = wrap(visible(finding.message), view.width - cells(title) - 2, view.width - 4)
    yield [(style, title), ("message", f": {lines[0]}")]
    for line in lines[1:]:
        yield [("message", f"    {line}")]


def _place(finding: Finding, report: Report, view: View, g: Glyphs) -> Iterator[Line]:
    # The place stays whole on one line, however narrow it is, so that it can be copied.
    line: Line = [("gutter", f"  {g.corner}{g.line} "), ("place", place(finding, report))]
    about: Line = []
    if finding.time_ns is not None:
        about.append(("time", f"t={clock(finding.time_ns)}"))
    if finding.device:
        about.append(("device", visible(finding.device)))
    for style, text in about:
        if line_cells(line) + 3 + cells(text) > view.width:
            yield line
            line = [("gutter", f"  {g.gutter}")]
        line += [("", "   "), (style, text)]
    yield line


def _proof(finding: Finding, view: View, g: Glyphs) -> Iterator[Line]:
    shown = finding.evidence if view.verbose else _most_telling(finding)
    yield from proof(shown, finding.evidence, view, g)
    left = len(finding.evidence) - len(shown)
    if left > 0:
        yield [("gutter", f"  {g.tee}{g.line} "), ("quiet", f"{g.ellipsis} and {left} more (-v)")]


def _most_telling(finding: Finding) -> tuple[Evidence, ...]:
    """Return the event itself, then what made and ended its mapping, then what followed."""
    if len(finding.evidence) <= _MOST_PROOF:
        return finding.evidence
    own = [e for e in finding.evidence if _is_own(e, finding)][:1]
    rest = [e for e in finding.evidence if e not in own][: _MOST_PROOF - len(own)]
    return tuple(e for e in finding.evidence if e in own or e in rest)


def _is_own(e: Evidence, finding: Finding) -> bool:
    place = finding.event, finding.line, finding.source
    return (e.event, e.line, e.source) == place and not e.rule


def _remarks(finding: Finding, g: Glyphs) -> Iterator[tuple[str, str, str]]:
    if finding.why:
        yield "why", "label", finding.why
    if finding.hint:
        yield "help", "help", finding.hint
    if any(finding.equivalents.values()):
        yield "also", "label", f" {g.dot} ".join(others(finding.equivalents))
    if finding.breaks_on:
        yield "fails", "label", f"on {', '.join(finding.breaks_on)}"
    if finding.occurrences > 1:
        times = f"{finding.occurrences:,} times"
        yield "seen", "label", f"{times}; last at {where(finding.last)}" if finding.last else times
    if finding.confidence == "low":
        yield "note", "label", "low confidence: what the recording lost could explain it"


def others(equivalents: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Give what each other system calls the mistake, "none" where it does not see it."""
    for key in dict.fromkeys([*OTHERS, *equivalents]):
        names = ", ".join(equivalents.get(key, ()))
        # Bug check codes stand behind the name like a number, messages behind a colon.
        sign = "" if key == "windows" and names else ":"
        yield f"{OTHERS.get(key, key)}{sign} {names or 'none'}"


def more(number: int, rule: str, g: Glyphs) -> Line:
    """Return the line that tells how many findings of a rule are not displayed."""
    text = f"{g.ellipsis} and {count(number, 'more finding')} of {visible(rule)}"
    return [("quiet", f"{text} (--max-findings 0 shows all)")]
