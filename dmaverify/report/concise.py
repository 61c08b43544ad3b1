"""One line a finding, for editors, greps and long lists."""

from collections import Counter
from collections.abc import Iterator

from dmaverify.model.finding import Report
from dmaverify.report.base import View
from dmaverify.report.block import more, place
from dmaverify.report.paint import Line, painter
from dmaverify.report.safe import visible
from dmaverify.report.summary import displayed
from dmaverify.report.theme import ASCII, SEVERITY_STYLES, UNICODE
from dmaverify.report.units import SEVERITY_NAMES


class ConciseReporter:
    """The report in one line a finding."""

    name = "concise"
    sentence = "one line a finding: path:line: severity[rule] device: message"

    def render(self, report: Report, view: View) -> Iterator[str]:
        """Give one line a finding; lines are never wrapped."""
        paint = painter(colour=view.colour, only_ascii=view.ascii)
        seen: Counter[str] = Counter()
        for finding in displayed(report.findings, view):
            seen[finding.rule] += 1
            if view.max_findings and seen[finding.rule] > view.max_findings:
                continue
            style = SEVERITY_STYLES[finding.severity]
            line: Line = [("place", place(finding, report) + ": ")]
            line.append((style, f"{SEVERITY_NAMES[finding.severity]}[{visible(finding.rule)}]"))
            if finding.device:
                line.append(("device", f" {visible(finding.device)}"))
            line.append(("", f": {visible(finding.message)}"))
            if finding.occurrences > 1:
                line.append(("quiet", f" ({finding.occurrences} times)"))
            if finding.confidence == "low":
                line.append(("quiet", " (low confidence)"))
            yield paint(line)
        glyphs = ASCII if view.ascii else UNICODE
        for rule, number in seen.items():
            if view.max_findings and number > view.max_findings:
                yield paint(more(number - view.max_findings, rule, glyphs))
