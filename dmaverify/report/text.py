"""The report that people look at: findings like compiler errors, then the verdict."""

from collections import Counter
from collections.abc import Iterator

from dmaverify.model.finding import ALL_PLATFORMS, Report
from dmaverify.report.base import View
from dmaverify.report.block import block, more
from dmaverify.report.joins import joins
from dmaverify.report.matrix import outcomes, table
from dmaverify.report.paint import Line, painter
from dmaverify.report.summary import displayed, notices, verdict
from dmaverify.report.theme import ASCII, UNICODE, Glyphs


class TextReporter:
    """The full report."""

    name = "full"
    sentence = "each finding with its picture, its evidence and what to do"

    def render(self, report: Report, view: View) -> Iterator[str]:
        """Give the report line by line."""
        paint = painter(colour=view.colour, only_ascii=view.ascii)
        glyphs = ASCII if view.ascii else UNICODE
        for line in _lines(report, view, glyphs):
            yield paint(line)


def _lines(report: Report, view: View, g: Glyphs) -> Iterator[Line]:
    shown = displayed(report.findings, view)
    seen: Counter[str] = Counter()
    for finding in shown:
        seen[finding.rule] += 1
        if view.max_findings and seen[finding.rule] > view.max_findings:
            continue
        yield from block(finding, report, view, g)
        yield []
    left = {r: n - view.max_findings for r, n in seen.items() if view.max_findings}
    cut = [more(n, rule, g) for rule, n in left.items() if n > 0]
    if cut:
        yield from cut
        yield []
    if report.platforms:
        yield from _platforms(report, view)
    if view.quiet:
        return
    told = [*joins(report, view), *notices(report, view)]
    yield from told
    if told and report.findings:
        yield []
    yield from verdict(report, view, len(report.findings) - len(shown), g)


def _platforms(report: Report, view: View) -> Iterator[Line]:
    yield from table(report, view)
    yield []
    if report.platform != ALL_PLATFORMS:
        yield from outcomes(report.platforms, view)
        yield []
