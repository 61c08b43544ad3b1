"""`rules test`: runs the tests that stand in rule files, through the real engine."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dmaverify.core.engine import Engine
from dmaverify.lang.builtin import combine, compile_files, load_builtin
from dmaverify.lang.files import rules_folder
from dmaverify.lang.tests import TestCase, collect
from dmaverify.model.events import EventBatch
from dmaverify.model.program import Program


@dataclass(frozen=True, slots=True)
class RuleTestResult:
    """How one test of one rule went; `why` is "" where it passed."""

    rule: str
    name: str
    passed: bool
    why: str
    file: str
    line: int


def run(files: Sequence[str] | None, pattern: str = "") -> list[RuleTestResult]:
    """Run the tests in some rule files.

    Args:
        files: files and folders; None or none: the built-in rules.
        pattern: a part of "rule/test name", or a glob, to choose tests by; "" means all.

    Raises:
        RuleError: a rule or a test does not compile.
    """
    if files:
        program, paths = compile_files(files), [Path(f) for f in files]
    else:
        program, paths = load_builtin(), [rules_folder()]
    cases = [case for case in collect(paths) if _wanted(case, pattern)]
    return [_result(case, program) for case in cases]


def play(case: TestCase, program: Program) -> tuple[list[int], Engine]:
    """Replay a test's events, and return the indices of those at which a rule was violated.

    Args:
        case: the test.
        program: the rules to run.
    """
    engine = Engine(program)
    devices: dict[str, int] = {}
    struck: list[int] = []
    before = 0
    for index, event in enumerate(case.events):
        values = dict(event.values)
        name = values.pop("device", None)
        number = devices.setdefault(name, len(devices) + 1) if name else 0
        batch = EventBatch(16)
        batch.add(event.kind, device=number, time=event.time, record=index + 1, **values)
        engine.feed(batch)
        now = sum(violations for _, _, violations, _ in engine.rule_counts)
        if now > before:
            struck.append(index)
        before = now
    return struck, engine


def _wanted(case: TestCase, pattern: str) -> bool:
    text = f"{case.rule}/{case.name}"
    return not pattern or pattern in text or fnmatch.fnmatchcase(text, pattern)


def _result(case: TestCase, program: Program) -> RuleTestResult:
    struck, engine = play(case, combine([program], select=[case.rule]))
    unmet = [hit.unmet for hit in engine.hits()]
    told = [] if unmet and all(u is not None for u in unmet) else struck
    why = _complaint(case, told)
    if why and told != struck:
        why += " (the rule can not tell: a fact that it needs is not in the events)"
    return RuleTestResult(case.rule, case.name, not why, why, case.span.file, case.span.line)


def _complaint(case: TestCase, struck: list[int]) -> str:
    """Return what is wrong with the outcome, or ""."""
    if not case.fails:
        return f"violated at {_events(struck)}, expected not to be" if struck else ""
    if not struck:
        return "not violated, expected to be"
    if case.marks and struck != list(case.marks):
        return f"violated at {_events(struck)}, expected at {_events(list(case.marks))}"
    return ""


def _events(indices: list[int]) -> str:
    return "event " + ", ".join(str(i + 1) for i in indices)
