"""`matrix`: on which platforms a recording works, where it breaks, and why."""

from collections.abc import Sequence
from dataclasses import replace

from dmaverify.core.engine import Engine
from dmaverify.findings.context import TraceContext
from dmaverify.findings.effects import Told, breaking, names_on, results
from dmaverify.model.finding import Finding, Report
from dmaverify.model.matrix import PlatformResult
from dmaverify.model.platform import Platform
from dmaverify.model.program import Program
from dmaverify.pipeline.check import CheckOptions, Progress, run_traces


def matrix(path: str, options: CheckOptions, progress: Progress | None = None) -> Report:
    """Work out a recording on platforms. No rule takes part.

    Args:
        path: a file, or "-" for standard input.
        options: the platforms, and the other logs of the same run.
        progress: is given bytes read and bytes in all (None: unknown).

    Returns:
        A report without findings; a trace that could not be read is in its `errors`.

    Raises:
        UsageError: other logs do not fit.
    """
    return run_traces([path], Program(b"", ()), options, progress)


def add_platforms(
    engine: Engine,
    platforms: Sequence[Platform],
    findings: list[Finding],
    context: TraceContext,
) -> tuple[tuple[PlatformResult, ...], list[Finding]]:
    """Return what the platforms make of a trace, and the findings with where they break.

    Args:
        engine: after the last event; the platforms are those that it was given.
        platforms: in the engine's order.
        findings: of the same trace.
        context: the trace.
    """
    engine.finish()
    told = Told(
        incidents=engine.incidents(),
        facts=engine.device_facts(),
        gaps=engine.counters["gaps"],
        bounced=engine.counters["bounces"] != 0,
    )
    broken = breaking(told, platforms)
    marked = [
        replace(f, breaks_on=names_on(broken, f.cls, f.device, _events(f), context))
        for f in findings
    ]
    return results(told, platforms, context), marked


def _events(finding: Finding) -> set[int]:
    return {finding.event, *(e.event for e in finding.evidence)}
