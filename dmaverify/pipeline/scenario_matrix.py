"""`matrix` of a scenario: the driver runs on each platform, and the machine says what came of it.

A recording has to be replayed under what-ifs; a simulated driver can simply be run. What breaks
is what the machine did to its bytes. Where it did nothing, the contract decides between "works"
and "works by luck", by the same replay as that of a recording. No rule takes part.
"""

from collections.abc import Sequence
from dataclasses import replace

from dmaverify.model.evidence import Evidence
from dmaverify.model.finding import ALL_PLATFORMS, Report
from dmaverify.model.matrix import PlatformResult
from dmaverify.model.platform import Effect, Platform
from dmaverify.model.program import Program
from dmaverify.pipeline.check import CheckOptions
from dmaverify.pipeline.simulate import Simulated, SimulateOptions, simulate
from dmaverify.sim.effects import Effect as Happened
from dmaverify.sim.effects import EffectKind

#: What the machine did, in words, worst first.
CAUSES = {
    EffectKind.FAULT: "the access is refused",
    EffectKind.LOST: "bytes are lost",
    EffectKind.STALE: "old bytes are read",
    EffectKind.FOREIGN: "the device reaches bytes that are not the driver's",
    EffectKind.GUARD: "the guard around a buffer is overwritten",
    EffectKind.REFUSED: "the platform can not give the mapping",
}


def scenario_matrix(name: str, platforms: Sequence[Platform], *, seed: int = 0) -> Report:
    """Run a scenario on platforms.

    Args:
        name: as `dmaverify.sim.scenario.find` takes it.
        platforms: those to run it on; what is made of recordings only is left out.
        seed: of the driver's random numbers.

    Returns:
        A report without findings. Its trace is the recording of the first machine.

    Raises:
        UsageError: there is no such scenario, or it has no platform to run on.
        SimError: the scenario can not be loaded, or does not reach its end.
    """
    rows: list[PlatformResult] = []
    first: Report | None = None
    for platform in platforms:
        if platform.recorded:
            continue
        done = _run(name, platform, seed)
        if done.outcome.error is not None:
            raise done.outcome.error
        first = first or done.report
        rows.append(_row(done, platform))
    return Report(
        traces=first.traces if first else (),
        findings=(),
        notices=(),
        platform=ALL_PLATFORMS,
        platforms=tuple(rows),
    )


def _run(name: str, platform: Platform, seed: int) -> Simulated:
    itself = replace(platform, recorded=True, name="itself")
    check = CheckOptions(platforms=(itself, platform))
    return simulate(
        name, SimulateOptions(machine=platform, seed=seed, check=check, program=Program(b"", ()))
    )


def _row(done: Simulated, platform: Platform) -> PlatformResult:
    contract, replayed = done.report.platforms
    base = replace(contract, name=platform.name, title=platform.title, missing=(),
                   costs=replayed.costs)  # fmt: skip
    happened = done.outcome.effects
    worst = next((e for e in happened if e.kind is not EffectKind.REFUSED), None)
    if worst is not None:
        return _told(base, worst, done, Effect.BREAKS)
    if happened:
        return _told(base, happened[0], done, Effect.REFUSED)
    if contract.effect in (Effect.WORKS, Effect.CANNOT_TELL) or not contract.cls:
        return _fine(base)
    # What the replay holds possible did not come about: the machine has the last word.
    return replace(base, effect=Effect.WORKS_BY_LUCK, faults=(), breaks=0,
                   lucky=base.lucky + base.breaks)  # fmt: skip


def _fine(base: PlatformResult) -> PlatformResult:
    return replace(
        base, effect=Effect.WORKS, event=None, line=None, time_ns=None, device="", cls="",
        why="every byte that was looked at was right, and each call of the DMA interface too",
        deed="", cause="", evidence=(), faults=(), bytes=0, length=0, breaks=0, lucky=0,
        unclear=0, source="",
    )  # fmt: skip


def _told(base: PlatformResult, by: Happened, done: Simulated, effect: Effect) -> PlatformResult:
    """Return a row that is decided by what the machine did."""
    file, _, rest = by.place.partition(":")
    line = rest.split(" ", 1)[0]
    proof = Evidence("recorded", by.record, None, None, done.line_at(by.record) or by.text)
    return replace(
        base,
        effect=effect,
        event=by.record,
        line=int(line) if line.isdecimal() else None,
        source=file,
        why=f"{by.text}: {CAUSES[by.kind]}",
        deed=by.text,
        cause=CAUSES[by.kind],
        evidence=(proof,),
        faults=(),
        breaks=len(done.outcome.effects) if effect is Effect.BREAKS else 0,
        lucky=0,
        unclear=0,
    )
