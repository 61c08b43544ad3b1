"""Calls that were made to fail on purpose: what a finding behind one has to be told with.

A simulated driver's recording has a mark for each. The driver's mistake is what it does next.
"""

from bisect import bisect_left
from dataclasses import replace

from dmaverify.findings.context import TraceContext
from dmaverify.findings.evidence import evidence
from dmaverify.model.events import Event, EventBatch
from dmaverify.model.evidence import Evidence
from dmaverify.model.finding import Finding
from dmaverify.model.hit import Witness
from dmaverify.model.kinds import FAILS, EventKind

_ROW, _KIND = 64, 62  # bytes of a row, and where in it the kind is


class Failures:
    """Collects the marks of failures of one trace, batch by batch."""

    def __init__(self) -> None:
        self._marks: list[Witness] = []

    def add(self, batch: EventBatch) -> None:
        """Look for marks in a batch that has some."""
        kinds = batch.rows()[_KIND::_ROW]
        at = kinds.find(EventKind.MARK)
        while at >= 0:
            event: Event = batch[at]
            if (event.text or "").startswith(FAILS):
                self._marks.append(
                    Witness(event.record, event.line, event.offset, event.time, event)
                )
            at = kinds.find(EventKind.MARK, at + 1)

    def explain(self, findings: list[Finding], context: TraceContext) -> list[Finding]:
        """Return findings with the last failure before each among its evidence."""
        if not self._marks:
            return findings
        records = [mark.record for mark in self._marks]
        out = []
        for finding in findings:
            last = bisect_left(records, finding.event) - 1
            if last >= 0:
                proof = evidence(self._marks[last], context, "failed")
                finding = replace(finding, evidence=_with(finding.evidence, proof))
            out.append(finding)
        return out


def _with(lines: tuple[Evidence, ...], proof: Evidence) -> tuple[Evidence, ...]:
    """Return evidence with one more line, where it stands in the trace."""
    at = next((i for i, one in enumerate(lines) if one.rule or one.event > proof.event), len(lines))
    return (*lines[:at], proof, *lines[at:])
