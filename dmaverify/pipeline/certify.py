"""`certify`: a profile's verdict on recordings, group by group."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dmaverify.errors import TraceError, UsageError
from dmaverify.findings.collect import CAN_NOT_TELL
from dmaverify.lang.builtin import load_builtin
from dmaverify.model.certificate import (
    Certificate,
    CertifiedTrace,
    GroupResult,
    GroupVerdict,
    RuleTally,
)
from dmaverify.model.fields import kind_name
from dmaverify.model.finding import Finding, Report
from dmaverify.model.kinds import EventKind, Severity
from dmaverify.model.profile import Group, Profile
from dmaverify.model.program import Program, Rule
from dmaverify.pipeline.check import CheckOptions, Progress, run_traces
from dmaverify.pipeline.profiles import group_of, load_groups, load_profile, profiled

_PIECE = 1 << 20


def certify(paths: Sequence[str], profile: str, progress: Progress | None = None) -> Certificate:
    """Check recordings with the rules of a profile and say what comes of each group.

    Args:
        paths: files; standard input has no place that a certificate could name.
        profile: its name, or a TOML file.
        progress: is given bytes read and bytes in all of the current trace.

    Raises:
        UsageError: the profile is not good, or standard input is asked for.
    """
    if "-" in paths:
        raise UsageError("a certificate names its recordings by their hashes: give files, not `-`")
    builtin = load_builtin()
    chosen = load_profile(profile, builtin)
    program = profiled(builtin, chosen)
    digests = {path: _file_digest(path) for path in paths}
    report = run_traces(paths, program, CheckOptions(profile=profile), progress)
    return Certificate(
        profile=chosen,
        rules_sha256=program_digest(program),
        rule_count=len(program.rules),
        traces=tuple(CertifiedTrace(t, *digests[t.path]) for t in report.traces),
        groups=_groups(report, program, chosen),
        notices=tuple(n for n in report.notices if n.id != CAN_NOT_TELL),
        errors=report.errors,
    )


def program_digest(program: Program) -> str:
    """Return the SHA-256 of compiled rules, wherever their files lie."""
    placeless = replace(program, rules=tuple(replace(r, span=None) for r in program.rules))
    return hashlib.sha256(placeless.to_json().encode()).hexdigest()


def _file_digest(path: str) -> tuple[str, int]:
    """Return SHA-256 and length of a file; nothing where reading it will fail as well."""
    digest, length = hashlib.sha256(), 0
    if not Path(path).is_file():
        return "", 0
    try:
        with Path(path).open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
                length += len(piece)
    except OSError as error:
        raise TraceError(path, None, error.strerror or str(error)) from error
    return digest.hexdigest(), length


def _groups(report: Report, program: Program, profile: Profile) -> tuple[GroupResult, ...]:
    kinds: Counter[str] = Counter()
    for trace in report.traces:
        kinds.update(trace.kinds)
    # Mappings that are left are told by the end of their driver.
    kinds[kind_name(EventKind.LEFT_MAPPED)] = kinds[kind_name(EventKind.DRIVER_UNBOUND)]
    tallies = _tallies(report, program, kinds)
    used = {group_of(rule) for rule in program.rules}
    return tuple(
        _group(group, report, program, kinds, tallies)
        for group in load_groups()
        if group.name in used and (group.name in profile.groups or profile.rules)
    )


def _tallies(report: Report, program: Program, kinds: Counter[str]) -> dict[str, RuleTally]:
    found = Counter(f.rule for f in report.findings)
    out = {}
    for rule, (holds, violated) in zip(program.rules, _applied(report, program), strict=True):
        events = sum(kinds[kind_name(EventKind(k))] for k in rule.kinds)
        out[rule.id] = RuleTally(
            rule.id, rule.severity, events, holds + violated, violated, found[rule.id]
        )
    return out


def _applied(report: Report, program: Program) -> list[tuple[int, int]]:
    counts = report.rule_counts or ((0, 0, 0, 0),) * len(program.rules)
    return [(holds, violated) for _, holds, violated, _ in counts]


def _group(
    group: Group, report: Report, program: Program, kinds: Counter[str],
    tallies: dict[str, RuleTally],
) -> GroupResult:  # fmt: skip
    rules = {r.id: r for r in program.rules if group_of(r) == group.name}
    findings = tuple(f for f in report.findings if f.rule in rules)
    untold = tuple(n for n in report.notices if n.id == CAN_NOT_TELL and n.rule in rules)
    # A leak that the end of the recording hides is no violation that waits for a fact.
    undecided = [rules[n.rule] for n in untold if tallies[n.rule].violated]
    exercised = {name: kinds[name] for name in group.exercised_by if kinds[name]}
    return GroupResult(
        name=group.name,
        title=group.title,
        verdict=_verdict(findings, undecided, bool(exercised)),
        exercised=exercised,
        wanted=group.exercised_by,
        rules=tuple(tallies[name] for name in sorted(rules)),
        findings=findings,
        untold=untold,
    )


def _verdict(
    findings: Sequence[Finding], undecided: Sequence[Rule], exercised: bool
) -> GroupVerdict:
    if any(f.severity >= Severity.ERROR and f.confidence != "low" for f in findings):
        return GroupVerdict.FAIL
    if any(rule.severity >= Severity.ERROR for rule in undecided):
        return GroupVerdict.CAN_NOT_TELL
    return GroupVerdict.PASS if exercised else GroupVerdict.NOT_EXERCISED
