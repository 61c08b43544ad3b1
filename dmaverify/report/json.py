"""The report for programs: schema `dmaverify/report/v1`. Additions allowed, changes not."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from dmaverify._version import __version__
from dmaverify.model.evidence import Evidence
from dmaverify.model.finding import Finding, Join, Report, TraceInfo
from dmaverify.model.kinds import Severity
from dmaverify.model.matrix import PlatformResult
from dmaverify.model.platform import EFFECT_NAMES
from dmaverify.report.base import View
from dmaverify.report.units import SEVERITY_NAMES

SCHEMA = "dmaverify/report/v1"
MATRIX_SCHEMA = "dmaverify/matrix/v1"


class JsonReporter:
    """The report as JSON."""

    name = "json"
    sentence = f"everything, for programs (schema {SCHEMA})"

    def render(self, report: Report, view: View) -> Iterator[str]:
        """Give one JSON document, a finding a line; it holds all findings whatever is shown."""
        head: dict[str, Any] = {
            "schema": SCHEMA,
            "tool": {"name": "dmaverify", "version": __version__},
            "traces": [trace_json(t) for t in report.traces],
            "platform": report.platform,
            "summary": summary_json(report),
        }
        if report.platforms:
            head["platforms"] = [platform_json(p) for p in report.platforms]
        yield "{\n"
        for key, value in head.items():
            yield f'  "{key}": {dumps(value)},\n'
        yield '  "findings": ['
        for i, finding in enumerate(report.findings):
            told = finding_json(finding)
            if report.platforms:
                told["breaks_on"] = list(finding.breaks_on)
            yield f"{',' if i else ''}\n    {dumps(told)}"
        yield "\n  ],\n" if report.findings else "],\n"
        yield f'  "notices": {dumps(notices_json(report))},\n'
        yield f'  "errors": {dumps(errors_json(report))}\n}}\n'


def notices_json(report: Report) -> list[dict[str, Any]]:
    """Return the notices as the schema has them."""
    return [{"id": n.id, "text": n.text, "count": n.count} for n in report.notices]


def errors_json(report: Report) -> list[dict[str, Any]]:
    """Return the traces that could not be read as the schema has them."""
    return [{"path": e.path, "offset": e.offset, "text": e.text} for e in report.errors]


def dumps(value: object) -> str:
    """Return JSON text of printable ASCII: what a terminal could obey is escaped."""
    # The standard escapes leave DEL alone, the one control character above the printable.
    return json.dumps(value, ensure_ascii=True, allow_nan=False).replace("\x7f", "\\u007f")


def trace_json(trace: TraceInfo) -> dict[str, Any]:
    """Return a trace as the schema has it."""
    return {
        "path": trace.path,
        "format": trace.format,
        "events": trace.events,
        "lost": trace.lost,
        "skipped": trace.skipped,
        "devices": list(trace.devices),
        "complete": trace.complete,
        "clock": trace.clock,
        "cpus": trace.cpus,
        "first_ns": trace.first_ns,
        "last_ns": trace.last_ns,
        "kinds": dict(sorted(trace.kinds.items())),
        **({"joins": [join_json(j) for j in trace.joins]} if trace.joins else {}),
    }


def join_json(join: Join) -> dict[str, Any]:
    """Return memory of another source and its mapping as the schema has it."""
    return {
        "what": join.what,
        "source": join.source,
        "line": join.line,
        "bus_addr": join.bus_addr,
        "length": join.length,
        "mapping": None if join.why else {"event": join.mapping_event, "line": join.mapping_line},
        "why": join.why,
    }


def summary_json(report: Report) -> dict[str, Any]:
    """Return the counts; findings of low confidence are counted apart and not by severity."""
    certain = [f for f in report.findings if f.confidence != "low"]
    severities = Counter(f.severity for f in certain)
    return {
        "verdict": report.verdict,
        "findings": len(report.findings),
        "occurrences": sum(f.occurrences for f in report.findings),
        "by_severity": {SEVERITY_NAMES[s]: severities[s] for s in sorted(Severity, reverse=True)},
        "low_confidence": len(report.findings) - len(certain),
        "by_rule": dict(sorted(Counter(f.rule for f in report.findings).items())),
        "checked": report.checked,
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as the schema has it."""
    address = finding.address
    elsewhere = {"source": finding.source} if finding.source else {}
    return {
        "rule": finding.rule,
        "class": finding.cls,
        "severity": SEVERITY_NAMES[finding.severity],
        "confidence": finding.confidence,
        "device": finding.device,
        "trace": finding.trace,
        "event": finding.event,
        "line": finding.line,
        "time_ns": finding.time_ns,
        "message": finding.message,
        "occurrences": finding.occurrences,
        "fingerprint": finding.fingerprint,
        "address": {"space": address.space, "start": address.start, "length": address.length}
        if address
        else None,
        "evidence": [evidence_json(e) for e in finding.evidence],
        "equivalents": {k: list(v) for k, v in sorted(finding.equivalents.items())},
        "hint": finding.hint,
        "why": finding.why,
        "last": evidence_json(finding.last) if finding.last else None,
        **elsewhere,
    }


def evidence_json(evidence: Evidence) -> dict[str, Any]:
    """Return one line of proof as the schema has it."""
    plain: dict[str, Any] = {
        "role": evidence.role,
        "event": evidence.event,
        "line": evidence.line,
        "time_ns": evidence.time_ns,
        "text": evidence.text,
    }
    if evidence.rule:
        plain["rule"] = evidence.rule
    if evidence.source:
        plain["source"] = evidence.source
    return plain


def platform_json(row: PlatformResult) -> dict[str, Any]:
    """Return a row of the matrix as both schemas have it."""
    elsewhere = {"source": row.source} if row.source else {}
    return {
        "name": row.name,
        "title": row.title,
        "effect": EFFECT_NAMES[row.effect],
        "trace": row.trace,
        "event": row.event,
        "line": row.line,
        "time_ns": row.time_ns,
        "device": row.device or None,
        "class": row.cls or None,
        "why": row.why,
        "missing": list(row.missing),
        "bytes": row.bytes,
        "length": row.length,
        "counts": {"breaks": row.breaks, "works-by-luck": row.lucky, "cannot-tell": row.unclear},
        "faults": [
            {
                "class": f.cls,
                "device": f.device,
                "direction": f.direction,
                "ordinal": f.ordinal,
                "address": f.address,
                "page_offset": f.page_offset,
                "event": f.event,
                "line": f.line,
                "time_ns": f.time_ns,
                "translation": f.stage,
                "why": f.why,
                **({"source": f.source} if f.source else {}),
            }
            for f in row.faults
        ],
        "costs": [
            {
                "device": c.device,
                "mappings": c.mappings,
                "mapped_bytes": c.mapped_bytes,
                "operations": c.operations,
                "flushes_per_operation": c.flushes_per_operation,
                "bytes_per_operation": c.bytes_per_operation,
            }
            for c in row.costs
        ],
        "evidence": [evidence_json(e) for e in row.evidence],
        **elsewhere,
    }


class MatrixJsonReporter:
    """The matrix as JSON."""

    name = "json"
    sentence = f"everything, for programs (schema {MATRIX_SCHEMA})"

    def render(self, report: Report, view: View) -> Iterator[str]:
        """Give one JSON document, a platform a line."""
        yield "{\n"
        head = {
            "schema": MATRIX_SCHEMA,
            "tool": {"name": "dmaverify", "version": __version__},
            "traces": [trace_json(t) for t in report.traces],
            "platform": report.platform,
        }
        for key, value in head.items():
            yield f'  "{key}": {dumps(value)},\n'
        rows = ",\n    ".join(dumps(platform_json(p)) for p in report.platforms)
        yield f'  "platforms": [\n    {rows}\n  ],\n'
        yield f'  "notices": {dumps(notices_json(report))},\n'
        yield f'  "errors": {dumps(errors_json(report))}\n}}\n'
