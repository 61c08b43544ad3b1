"""The certificate as text and as JSON (schema `dmaverify/certificate/v1`)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from dmaverify._version import __version__
from dmaverify.model.certificate import Certificate, GroupResult, GroupVerdict
from dmaverify.model.evidence import Evidence
from dmaverify.model.finding import Finding
from dmaverify.report.base import View
from dmaverify.report.json import dumps, finding_json, trace_json
from dmaverify.report.safe import ascii_only, visible, wrap
from dmaverify.report.units import SEVERITY_NAMES

_SPACES = re.compile(r" {2,}")
CERTIFICATE_SCHEMA = "dmaverify/certificate/v1"


class CertificateReporter(Protocol):
    """One form of a certificate; see `Reporter`."""

    name: str
    sentence: str

    def render(self, certificate: Certificate, view: View) -> Iterator[str]:
        """Give the certificate as pieces of text, line ends included."""
        ...


class CertificateText:
    """The certificate for people."""

    name = "full"
    sentence = "the verdict of each group with its evidence, for people"

    def render(self, certificate: Certificate, view: View) -> Iterator[str]:
        """Give the verdict, what it rests on, then group by group."""
        pieces = self._pieces(certificate, view)
        return map(ascii_only, pieces) if view.ascii else pieces

    def _pieces(self, certificate: Certificate, view: View) -> Iterator[str]:
        profile = certificate.profile
        yield f"certificate: {certificate.verdict}\n\n"
        yield f"profile  {profile.name}: {visible(profile.title)}\n"
        yield f"rules    {certificate.rule_count}\n"
        yield f"         sha256 {certificate.rules_sha256}\n"
        yield f"tool     dmaverify {__version__}\n"
        for trace in certificate.traces:
            info = trace.info
            cut = "" if info.complete else ", cut short"
            lost = f", {info.lost:,} lost" if info.lost else ""
            yield f"trace    {visible(info.path)}\n"
            held = f"{info.events:,} events{lost}{cut}, {trace.bytes:,} bytes"
            yield f"         {info.format}, {held}\n"
            yield f"         sha256 {trace.sha256}\n"
        yield "\n"
        for group in certificate.groups:
            yield from _group(group, view.width)
        for notice in certificate.notices if not view.quiet else ():
            yield from _hung("note: ", visible(notice.text), view.width)
        yield _sum(certificate)


def _hung(head: str, text: str, width: int) -> Iterator[str]:
    """Give a text behind a head, its further lines below its first."""
    lines = wrap(_SPACES.sub(" ", text), width - len(head), width - len(head))
    for i, line in enumerate(lines):
        yield f"{' ' * len(head) if i else head}{line}\n"


def _group(group: GroupResult, width: int) -> Iterator[str]:
    seen = ", ".join(f"{count:,} {name}" for name, count in group.exercised.items())
    lacking = f"needs one of {', '.join(group.wanted)}"
    yield from _hung(f"{group.verdict.value:<13}  {group.name:<10}  ", seen or lacking, width)
    for finding in group.findings:
        yield from _finding(finding, width)
    for notice in group.untold:
        yield from _hung("    can not tell: ", visible(notice.text), width)


def _finding(finding: Finding, width: int) -> Iterator[str]:
    times = f" ({finding.occurrences:,} times)" if finding.occurrences > 1 else ""
    doubt = ", low confidence" if finding.confidence == "low" else ""
    word = SEVERITY_NAMES[finding.severity]
    head = f"    {word}[{finding.rule}]{doubt}: "
    lines = wrap(f"{visible(finding.message)}{times}", width - len(head), width - 6)
    yield f"{head}{lines[0]}\n"
    yield from (f"      {line}\n" for line in lines[1:])
    for proof in finding.evidence:
        head = f"      {proof.role:<12} {_place(proof):<12} "
        yield from _hung(head, visible(proof.text).strip(), width)


def _place(proof: Evidence) -> str:
    return f"line {proof.line}" if proof.line else f"event {proof.event}"


def _sum(certificate: Certificate) -> str:
    parts = []
    for verdict in GroupVerdict:
        found = certificate.having(verdict)
        if found:
            parts.append(f"{verdict.value} {len(found)}")
    return f"\ngroups: {', '.join(parts) or 'none'}\n"


class CertificateJson:
    """The certificate as JSON."""

    name = "json"
    sentence = f"everything, for programs (schema {CERTIFICATE_SCHEMA})"

    def render(self, certificate: Certificate, view: View) -> Iterator[str]:
        """Give one JSON document, a group a line."""
        head: dict[str, Any] = {
            "schema": CERTIFICATE_SCHEMA,
            "tool": {"name": "dmaverify", "version": __version__},
            "verdict": certificate.verdict,
            "profile": {
                "name": certificate.profile.name,
                "title": certificate.profile.title,
                "groups": dict(certificate.profile.groups),
                "rules": dict(certificate.profile.rules),
            },
            "rules": {"count": certificate.rule_count, "sha256": certificate.rules_sha256},
            "traces": [
                {**trace_json(t.info), "bytes": t.bytes, "sha256": t.sha256}
                for t in certificate.traces
            ],
        }
        yield "{\n"
        for key, value in head.items():
            yield f'  "{key}": {dumps(value)},\n'
        yield '  "groups": ['
        for i, group in enumerate(certificate.groups):
            yield f"{',' if i else ''}\n    {dumps(group_json(group))}"
        yield "\n  ],\n" if certificate.groups else "],\n"
        notices = [{"id": n.id, "text": n.text, "count": n.count} for n in certificate.notices]
        errors = [{"path": e.path, "offset": e.offset, "text": e.text} for e in certificate.errors]
        yield f'  "notices": {dumps(notices)},\n'
        yield f'  "errors": {dumps(errors)}\n}}\n'


def group_json(group: GroupResult) -> Mapping[str, Any]:
    """Return one group as the schema has it."""
    return {
        "name": group.name,
        "title": group.title,
        "verdict": group.verdict.value,
        "exercised": dict(group.exercised),
        "exercised_by": list(group.wanted),
        "rules": [
            {
                "id": rule.id,
                "severity": SEVERITY_NAMES[rule.severity],
                "events": rule.events,
                "applied": rule.applied,
                "violated": rule.violated,
                "findings": rule.findings,
            }
            for rule in group.rules
        ],
        "findings": [finding_json(finding) for finding in group.findings],
        "can_not_tell": [
            {"rule": n.rule, "device": n.device, "text": n.text, "count": n.count}
            for n in group.untold
        ],
    }


#: Every form of a certificate, the default first.
CERTIFICATE_FORMATS: tuple[CertificateReporter, ...] = (CertificateText(), CertificateJson())
