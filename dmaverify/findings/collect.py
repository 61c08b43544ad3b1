"""Join hits with what rules say and what the trace shows: findings and notices."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from dmaverify.findings import words
from dmaverify.findings.context import TraceContext
from dmaverify.findings.evidence import evidence, story
from dmaverify.findings.fingerprint import fingerprint
from dmaverify.findings.ranges import event_range, ranges
from dmaverify.model.finding import Finding, Notice
from dmaverify.model.hit import Hit, Witness
from dmaverify.model.program import Program, Rule, Template

CAN_NOT_TELL = "can-not-tell"
PATTERN = "pattern"
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")


def collect(
    hits: Iterable[Hit], program: Program, context: TraceContext
) -> tuple[list[Finding], list[Notice]]:
    """Return the findings and the notices of one trace.

    Args:
        hits: groups of hits, in any order.
        program: the rules that they point into.
        context: the trace that they come from.

    Returns:
        Findings in the order of the trace, then by rule; a "can-not-tell" notice for each
        rule and device whose needs the recording does not meet, in the same order.
    """
    ordered = sorted(hits, key=lambda h: (h.first.record, program.rules[h.rule].id, h.rule))
    told = [h for h in ordered if h.unmet is None]
    groups = _groups(told, program, context)
    findings = [_finding(group, number, program, context) for group, number in groups]
    findings.sort(key=lambda f: (f.event, f.rule, f.device))
    return findings, _can_not_tell([h for h in ordered if h.unmet is not None], program, context)


def _groups(
    hits: list[Hit], program: Program, context: TraceContext
) -> list[tuple[list[Hit], int]]:
    """Return hits that are one finding, each with the ordinal of its device.

    Two cards of one kind make the same fingerprint; they are two findings, and the
    later name takes the next ordinal, so that a baseline with one hides not the other.
    """
    groups: dict[tuple[int, str, str], list[Hit]] = {}
    devices: dict[tuple[int, str], set[str]] = defaultdict(set)
    for hit in hits:
        name = context.device_name(hit.first.event.device)
        mark = fingerprint(hit, program.rules[hit.rule], context)
        groups.setdefault((hit.rule, mark, name), []).append(hit)
        devices[hit.rule, mark].add(name)
    return [
        (group, sorted(devices[rule, mark]).index(name))
        for (rule, mark, name), group in groups.items()
    ]


def _finding(group: list[Hit], ordinal: int, program: Program, context: TraceContext) -> Finding:
    # A certain hit speaks for the group: one that a loss could explain proves less.
    hit = next((h for h in group if not h.low_confidence), group[0])
    rule = program.rules[hit.rule]
    taught = _pattern(hit, rule, program)
    proof = story(hit, program, context)
    here = evidence(hit.first, context)
    last = max((h.last for h in group), key=lambda w: w.record)
    return Finding(
        rule=rule.id,
        cls=rule.cls,
        severity=rule.severity,
        confidence="low" if hit.low_confidence else "high",
        device=context.device_name(hit.first.event.device),
        trace=context.index,
        event=here.event,
        line=here.line,
        time_ns=here.time_ns,
        message=_words(rule.message, hit, context),
        occurrences=sum(h.occurrences for h in group),
        fingerprint=fingerprint(hit, rule, context, ordinal),
        evidence=proof,
        equivalents=rule.equivalents,
        ranges=ranges(hit, context),
        hint=_words(taught.hint, hit, context),
        why=first_sentence(taught.explain),
        address=event_range(hit.first),
        last=evidence(last, context) if _elsewhere(last, hit.first) else None,
        source=here.source,
    )


def _pattern(hit: Hit, rule: Rule, program: Program) -> Rule:
    """Return the rule that says why, and what to do.

    A consequence that is tagged `pattern` and needs the same of the recording shows the mistake
    as part of a habit; what to do is then what that habit needs. Its hint shows no values, which
    are those of the first hit.
    """
    for number, _ in hit.consequences:
        other = program.rules[number]
        same = [n.because for n in other.needs] == [n.because for n in rule.needs]
        if PATTERN in other.tags and same:
            return other
    return rule


def _elsewhere(a: Witness, b: Witness) -> bool:
    return (a.record, a.offset) != (b.record, b.offset)


def _words(template: Template, hit: Hit, context: TraceContext) -> str:
    witnesses = [hit.first, *(m.made for m in hit.mappings)]
    witnesses += [m.ended for m in hit.mappings if m.ended is not None]

    def task_name(site: int) -> str:
        known = (w for w in witnesses if w.event.site == site)
        return next((context.task_of(w) for w in known), "")

    return words.render(
        template,
        hit.shown,
        ticks=context.ticks,
        device_name=context.device_name,
        task_name=task_name,
    )


def first_sentence(text: str) -> str:
    """Return the first sentence of a text, on one line."""
    return " ".join(_SENTENCE.split(text.strip(), maxsplit=1)[0].split())


def _can_not_tell(hits: list[Hit], program: Program, context: TraceContext) -> list[Notice]:
    notices: dict[tuple[int, int], Notice] = {}
    for hit in hits:
        assert hit.unmet is not None
        rule = program.rules[hit.rule]
        key = (hit.rule, hit.first.event.device)
        if key in notices:
            count = notices[key].count + hit.occurrences
            notices[key] = replace(notices[key], count=count)
            continue
        device = context.device_name(hit.first.event.device) or "the recording"
        text = f"{rule.id} can not tell for {device}: {rule.needs[hit.unmet].because}"
        notices[key] = Notice(CAN_NOT_TELL, text, hit.occurrences, rule.id, device)
    return list(notices.values())
