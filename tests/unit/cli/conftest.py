"""A pipeline that reads nothing and gives hand-made reports."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import pytest

from dmaverify.errors import RuleError, TraceError, UsageError
from dmaverify.model.fields import Type
from dmaverify.model.finding import Notice, Report, TraceInfo
from dmaverify.model.kinds import Maturity, Severity
from dmaverify.model.platform import Platform
from dmaverify.model.program import INSTRUCTION, Need, Op, Program, Rule, Shown, Span
from dmaverify.pipeline.sources import Beside, refuse_loose
from tests import reports


@dataclass(frozen=True)
class CheckOptions:
    """As in the pipeline."""

    rules: tuple[str, ...]
    profile: str
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    strict_trace: bool
    log: str
    device_log: str
    clock_offset: float | None
    log_offset: float | None
    packets: str
    packets_offset: float | None
    packets_host: str
    events: str
    platform: str
    platforms: tuple[Platform, ...]


@dataclass(frozen=True)
class RuleTestResult:
    """As in the pipeline."""

    rule: str
    name: str
    passed: bool
    why: str
    file: str
    line: int


class Pipeline:
    """What the fake was asked for."""

    options: CheckOptions | None = None
    tests: tuple[RuleTestResult, ...] = (RuleTestResult("a", "b", True, "", "a.dmar", 3),)

    def check_traces(
        self, paths: Sequence[str], options: CheckOptions, progress: Callable[..., None] | None
    ) -> Report:
        """Return the report that the first path names, or raise what it names."""
        self.options = options
        if paths[0] == "bug":
            raise KeyError("\x1b[31mboom")
        if paths[0] == "interrupt":
            raise KeyboardInterrupt
        if paths[0] == "rules":
            raise RuleError("error[unknown-field]: no \x1b field\n  --> a.dmar:1:1")
        if paths[0] == "usage":
            raise UsageError("there is no rule `x`")
        return {
            "failing": reports.failing,
            "passing": reports.passing,
            "unchecked": reports.unchecked,
            "unreadable": reports.unreadable,
        }[paths[0]]()

    def trace_info(self, path: str, beside: Beside) -> tuple[TraceInfo, tuple[Notice, ...]]:
        """Return a small trace, or raise for one that is bad."""
        if path == "bad":
            raise TraceError("bad\x1b", 3, "not a recording")
        return reports.trace(path), reports.NOTICES[:1]

    def run(self, files: Sequence[str] | None, pattern: str) -> list[RuleTestResult]:
        """Return the results that the test has put here."""
        return [t for t in self.tests if pattern in f"{t.rule} {t.name}"]


CODE = (
    (Op.XMISS, 2), (Op.VIOLATED, 0), (Op.NOT_APPLICABLE, 0),  # the rule
    (Op.HOLDS, 0), (Op.HOLDS, 0),  # its need, and another rule's instruction
)  # fmt: skip
RULE = Rule(
    id="unmap-size-mismatch",
    cls="unmap-size-mismatch",
    severity=Severity.ERROR,
    maturity=Maturity.STABLE,
    kinds=(4,),
    entry=0,
    message=("unmap of ", Shown(0, Type.SIZE)),
    needs=(Need(3, "the recording has no unmaps"),),
    explain="The rest stays alive. And more.",
    source=("Linux include/trace/events/dma.h",),
    equivalents={"windows": ("0xE6/0x00",), "linux": ()},
    builtin=True,
    span=Span("rules/api/unmap-size-mismatch.dmar", 2, 1),
)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Put the fake in the place of the pipeline and of the rule compiler."""
    fake = Pipeline()
    program = Program(b"".join(INSTRUCTION.pack(op, 0, 0, 0, t, 0) for op, t in CODE), (RULE,))
    modules = {
        "dmaverify.pipeline": {},
        "dmaverify.pipeline.check": {
            "CheckOptions": CheckOptions, "check_traces": fake.check_traces,
        },
        "dmaverify.pipeline.info": {"trace_info": fake.trace_info},
        "dmaverify.pipeline.sources": {"Beside": Beside, "refuse_loose": refuse_loose},
        "dmaverify.pipeline.ruletests": {"run": fake.run},
        "dmaverify.lang": {},
        "dmaverify.lang.builtin": {
            "load_builtin": lambda: program, "compile_files": lambda files, warn: program,
        },
        "dmaverify.lang.errors": {"render_all": "\n".join},
    }  # fmt: skip
    for name, values in modules.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "DMAVERIFY_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return fake
