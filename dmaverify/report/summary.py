"""The end of a report: what bounds the proof, and the verdict."""

from collections.abc import Iterator

from dmaverify.model.finding import Finding, Notice, Report
from dmaverify.model.kinds import Severity
from dmaverify.report.base import View
from dmaverify.report.paint import Line
from dmaverify.report.safe import visible, wrap
from dmaverify.report.theme import Glyphs
from dmaverify.report.units import SEVERITY_NAMES, count, span

_MOST_TEXTS = 3  # different texts of one notice id that are displayed
_INDENT = 6


def notices(report: Report, view: View) -> Iterator[Line]:
    """Give the notices: those of one id together, those of rules that can not tell by reason."""
    for text in _texts(report.notices, view.verbose):
        lines = wrap(visible(text), view.width - _INDENT, view.width - _INDENT)
        yield [("quiet", f"note: {lines[0]}")]
        for line in lines[1:]:
            yield [("quiet", " " * _INDENT + line)]


def _texts(found: tuple[Notice, ...], verbose: bool) -> Iterator[str]:
    if verbose:
        yield from (f"{n.text} ({n.count:,}) [{n.id}]" for n in found)
        return
    by_id: dict[str, dict[str, int]] = {}
    for notice in found:
        if not notice.rule:
            texts = by_id.setdefault(notice.id, {})
            texts[notice.text] = texts.get(notice.text, 0) + notice.count
    for name, texts in by_id.items():
        for text, number in list(texts.items())[:_MOST_TEXTS]:
            yield f"{text} ({number:,} times) [{name}]" if number > 1 else f"{text} [{name}]"
        left = len(texts) - _MOST_TEXTS
        if left > 0:
            yield f"{left:,} more like it [{name}]"
    yield from _by_reason([n for n in found if n.rule])


def _by_reason(found: list[Notice]) -> Iterator[str]:
    reasons: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for notice in found:
        because = notice.text.removeprefix(f"{notice.rule} can not tell for {notice.device}: ")
        rules, devices = reasons.setdefault(because, ({}, {}))
        rules[notice.rule] = devices[notice.device] = None
    for because, (rules, devices) in reasons.items():
        names = ", ".join(devices) if len(devices) <= _MOST_TEXTS else count(len(devices), "device")
        yield f"{', '.join(rules)} can not tell for {names}: {because}"


def verdict(report: Report, view: View, hidden: int, g: Glyphs) -> Iterator[Line]:
    """Give the last lines: the verdict with its counts, and what it is about.

    Args:
        report: everything that was found.
        view: how it is shown.
        hidden: findings below the level that is displayed.
        g: the characters to draw with.
    """
    if not report.traces:
        return
    style, word, counts = _verdict(report, view, g)
    lines = wrap(extent(report), view.width, view.width)
    if not report.findings and len(lines) == 1 and len(word + counts + lines[0]) + 4 <= view.width:
        yield [(style, word), ("", f" {counts}"), ("quiet", f" ({lines[0]})")]
    else:
        head, *rest = wrap(counts, view.width - len(word) - 1, view.width)
        yield [(style, word), ("", f" {head}")]
        yield from ([("", text)] for text in rest)
        for text in lines:
            yield [("quiet", text)]
    if hidden:
        least = SEVERITY_NAMES[view.show]
        yield [("quiet", f"{count(hidden, 'finding')} below --show {least} not displayed")]


def _verdict(report: Report, view: View, g: Glyphs) -> tuple[str, str, str]:
    counts = _counts(report)
    failing = view.fail_on is not None and any(
        f.severity >= view.fail_on and f.confidence != "low" for f in report.findings
    )
    if report.verdict == "fail" or failing:
        return "fail", "fail:", counts
    if report.verdict == "nothing-checked":
        text = f"no active rule applies to any of {_unchecked(report)}"
        return "nothing", "nothing checked:", f"{text}; {counts}" if counts else text
    return "pass", f"{g.check}pass:", counts or "nothing wrong"


def _unchecked(report: Report) -> str:
    """Return which events no rule met: of which traces, where others were checked."""
    events = count(sum(t.events for t in report.unchecked), "event")
    if len(report.unchecked) == len(report.traces):
        return events
    names = [visible(t.path) for t in report.unchecked]
    more = [f"{len(names) - _MOST_TEXTS:,} more"] if len(names) > _MOST_TEXTS else []
    return f"{events} of {', '.join([*names[:_MOST_TEXTS], *more])}"


def _counts(report: Report) -> str:
    certain = [f for f in report.findings if f.confidence != "low"]
    parts = [
        count(n, SEVERITY_NAMES[severity])
        for severity in sorted(Severity, reverse=True)
        if (n := sum(f.severity == severity for f in certain))
    ]
    low = len(report.findings) - len(certain)
    if low:
        parts.append(f"{count(low, 'finding')} of low confidence")
    seen = sum(f.occurrences for f in report.findings)
    if seen > len(report.findings):
        parts.append(f"seen {seen:,} times in all")
    return ", ".join(parts)


def extent(report: Report) -> str:
    """Return how much was looked at: events, traces, devices, time."""
    devices = {d for t in report.traces for d in t.devices}
    spans = [(t.last_ns or 0) - (t.first_ns or 0) for t in report.traces if not t.ticks]
    lasted = span(0, sum(spans)) if any(spans) else ""
    parts = [
        count(sum(t.events for t in report.traces), "event"),
        count(len(report.traces), "trace"),
        count(len(devices), "device"),
    ]
    if lasted:
        parts.append(lasted)
    lost = sum(t.lost for t in report.traces)
    return ", ".join([*parts, f"{count(lost, 'event')} lost"] if lost else parts)


def displayed(findings: tuple[Finding, ...], view: View) -> list[Finding]:
    """Return the findings to display: what fails the run is never among the hidden."""
    least = view.show if view.fail_on is None else min(view.show, view.fail_on)
    return [f for f in findings if f.severity >= least]
