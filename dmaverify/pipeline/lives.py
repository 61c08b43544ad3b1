"""The lives of one driver, each of which some call fails in, as one report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dmaverify.model.finding import Finding, Report
from dmaverify.pipeline.check import merged
from dmaverify.sim.effects import EffectKind
from dmaverify.sim.run import Outcome


@dataclass(frozen=True, slots=True)
class Life:
    """One life.

    Args:
        path: what its recording is called.
        report: what the engine found.
        outcome: how it went.
    """

    path: str
    report: Report
    outcome: Outcome


def path_of(path: str, life: int) -> str:
    """Return the name of the recording of a life: its number stands before the suffix."""
    whole = Path(path)
    return str(whole.with_name(f"{whole.stem}-{life}{whole.suffix}"))


def one_report(lives: Sequence[Life]) -> Report:
    """Return the reports of all lives as one, with a trace for each.

    What is found without any failure too has nothing to do with the failures: it is told once, for
    the first life without one, and counted in all.
    """
    if len(lives) == 1:
        return lives[0].report
    whole = next((i for i, life in enumerate(lives) if not life.outcome.failed), 0)
    usual = {_mistake(f): f for f in lives[whole].report.findings}
    counts = dict.fromkeys(usual, 0)
    findings: list[Finding] = []
    for number, life in enumerate(lives):
        for finding in life.report.findings:
            if _mistake(finding) in usual:
                counts[_mistake(finding)] += finding.occurrences
            else:
                findings.append(replace(finding, trace=number))
    findings += [replace(f, trace=whole, occurrences=counts[k]) for k, f in usual.items()]
    findings.sort(key=lambda f: (f.trace, f.event, f.rule))
    return replace(merged([life.report for life in lives]), findings=tuple(findings))


def one_outcome(lives: Sequence[Life]) -> Outcome:
    """Return the outcomes of all lives as one: the first error, and what the last one had."""
    effects = tuple(effect for life in lives for effect in life.outcome.effects)
    kinds = {kind for life in lives for kind in life.outcome.kinds}
    return Outcome(
        error=next((life.outcome.error for life in lives if life.outcome.error), None),
        effects=effects,
        kinds=tuple(k.value for k in EffectKind if k.value in kinds),
        failed=tuple(failed for life in lives for failed in life.outcome.failed),
        listing=lives[-1].outcome.listing,
    )


def _mistake(finding: Finding) -> tuple[str, str, str]:
    return finding.rule, finding.fingerprint, finding.device
