"""`check`: traces and rules in, a report out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dmaverify.core.engine import Engine
from dmaverify.errors import TraceError
from dmaverify.findings.collect import collect
from dmaverify.findings.context import TraceContext
from dmaverify.lang.builtin import combine, compile_files, load_builtin
from dmaverify.model.finding import AS_RECORDED, Finding, Notice, Report, TraceInfo
from dmaverify.model.hca_families import family_of
from dmaverify.model.kinds import EventKind
from dmaverify.model.matrix import PlatformResult
from dmaverify.model.platform import Platform
from dmaverify.model.program import Program
from dmaverify.pipeline.failures import Failures
from dmaverify.pipeline.lacks import lack_notices
from dmaverify.pipeline.limits import limit_notices, loss_notices
from dmaverify.pipeline.sources import Beside, open_run, refuse_loose
from dmaverify.pipeline.survey import Survey
from dmaverify.pipeline.texts import Texts
from dmaverify.trace.base import Reader

if TYPE_CHECKING:
    from dmaverify.lang.errors import Diagnostic

Progress = Callable[[int, int | None], None]
Warn = Callable[["Diagnostic"], None]


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What to check with.

    Args:
        rules: files and folders of a user's rules, beside the built-in ones.
        profile: name of a profile, or a TOML file, that says which built-in rules are used; ""
            for all of them as they state themselves.
        select, ignore: ids and classes of the rules to keep and to leave out.
        strict_trace: a trace that is cut short counts as unreadable.
        log, device_log: paths of the kernel log and of QEMU's log of the same run, "" for none;
            for one trace only.
        clock_offset: the device log's clock minus the trace's, seconds; None: by the moments
            that both have.
        log_offset: the kernel log's clock minus the trace's, seconds; None: not known.
        packets, packets_offset, packets_host: a packet capture, see `pipeline.sources.Beside`.
        events: path of a table of events of the user's own, "" for none.
        platform: the name of the platform that is asked for, or "all".
        platforms: what to work out the effects on; none where only the recording counts.
        warn: is given each warning about the user's rules.
    """

    rules: tuple[str, ...] = ()
    profile: str = ""
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    strict_trace: bool = False
    log: str = ""
    device_log: str = ""
    clock_offset: float | None = None
    log_offset: float | None = None
    packets: str = ""
    packets_offset: float | None = None
    packets_host: str = ""
    events: str = ""
    platform: str = AS_RECORDED
    platforms: tuple[Platform, ...] = ()
    warn: Warn | None = None

    def beside(self) -> Beside:
        """Return what is read beside the trace."""
        return Beside(
            self.log, self.device_log, self.packets, self.clock_offset, self.log_offset,
            self.packets_offset, self.packets_host, self.events,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Checked:
    """What one trace gave."""

    info: TraceInfo
    findings: list[Finding]
    notices: list[Notice]
    checked: int
    rule_counts: list[tuple[int, int, int, int]]
    platforms: tuple[PlatformResult, ...] = ()


def load_program(options: CheckOptions) -> Program:
    """Return the rules of a run as one program.

    Raises:
        RuleError: a rule file does not compile.
        UsageError: a selected or ignored rule does not exist, or the profile is not good.
    """
    programs = [load_builtin()]
    if options.profile:
        from dmaverify.pipeline.profiles import load_profile, profiled

        programs = [profiled(programs[0], load_profile(options.profile, programs[0]))]
    if options.rules:
        programs.append(compile_files(options.rules, options.warn))
    return combine(programs, options.select, options.ignore)


def check_traces(
    paths: Sequence[str], options: CheckOptions, progress: Progress | None = None
) -> Report:
    """Check traces one after the other; one that cannot be read does not spoil the others.

    Args:
        paths: files, or "-" for standard input.
        options: what to check with.
        progress: is given bytes read and bytes in all (None: unknown) of the current trace.

    Returns:
        The report; traces that could not be read are in its `errors`.

    Raises:
        RuleError, UsageError: as `load_program`.
        UsageError: other logs are given for several traces.
    """
    return run_traces(paths, load_program(options), options, progress)


def run_traces(
    paths: Sequence[str],
    program: Program,
    options: CheckOptions,
    progress: Progress | None = None,
) -> Report:
    """Run a program over traces; as `check_traces`, with the rules ready.

    Raises:
        UsageError: other logs are given for several traces.
    """
    refuse_loose(len(paths), options.beside())
    checked: list[_Checked] = []
    errors: list[TraceError] = []
    for path in paths:
        try:
            one = _check_trace(path, len(checked), program, options, progress)
        except TraceError as error:
            errors.append(error)
            continue
        checked.append(one)
        if options.strict_trace and not one.info.complete:
            errors.append(TraceError(path, None, "the trace is cut short"))
    return Report(
        traces=tuple(c.info for c in checked),
        findings=tuple(f for c in checked for f in c.findings),
        notices=_merge([n for c in checked for n in c.notices]),
        checked=sum(c.checked for c in checked),
        errors=tuple(errors),
        platform=options.platform,
        platforms=_worst([c.platforms for c in checked]),
        rule_counts=_sum([c.rule_counts for c in checked]),
    )


def merged(reports: Sequence[Report]) -> Report:
    """Return reports of one trace each as one report of all, without platforms."""
    return Report(
        traces=tuple(t for r in reports for t in r.traces),
        findings=tuple(replace(f, trace=i) for i, r in enumerate(reports) for f in r.findings),
        notices=_merge([n for r in reports for n in r.notices]),
        platform=reports[0].platform,
        checked=sum(r.checked for r in reports),
        errors=tuple(e for r in reports for e in r.errors),
        rule_counts=_sum([list(r.rule_counts) for r in reports]),
    )


def _sum(found: list[list[tuple[int, int, int, int]]]) -> tuple[tuple[int, int, int, int], ...]:
    """Return the counts of each rule, added up over the traces."""
    rules = zip(*found, strict=True)
    return tuple(
        (sum(c[0] for c in one), sum(c[1] for c in one), sum(c[2] for c in one),
         sum(c[3] for c in one))
        for one in rules
    )  # fmt: skip


def _worst(found: list[tuple[PlatformResult, ...]]) -> tuple[PlatformResult, ...]:
    """Return the worst row of each platform, of equals the first, with the counts of all."""
    return tuple(
        replace(
            max(rows, key=lambda row: row.effect),
            breaks=sum(r.breaks for r in rows),
            lucky=sum(r.lucky for r in rows),
            unclear=sum(r.unclear for r in rows),
        )
        for rows in zip(*found, strict=True)
    )


def _check_trace(
    path: str, index: int, program: Program, options: CheckOptions, progress: Progress | None
) -> _Checked:
    opened = open_run(path, options.beside())
    log = opened.log
    try:
        traced = log is not None and log.debugging_enabled
        checked = _replay(
            opened.reader, index, program, options, progress, traced, opened.source_at
        )
    finally:
        opened.reader.close()
    if log is None:
        return checked
    from dmaverify.pipeline.kernel import kernel_notices

    return replace(checked, notices=[*checked.notices, *kernel_notices(log, checked.findings)])


def check_reader(reader: Reader, program: Program, options: CheckOptions) -> Report:
    """Check what one reader gives, to its end.

    Args:
        reader: an opened trace, or a running driver's.
        program: the rules.
        options: what to check with; its logs are not read.
    """
    checked = _replay(reader, 0, program, options, None)
    return Report(
        traces=(checked.info,),
        findings=tuple(checked.findings),
        notices=_merge(checked.notices),
        checked=checked.checked,
        platform=options.platform,
        platforms=checked.platforms,
        rule_counts=tuple(checked.rule_counts),
    )


def _name_devices(engine: Engine, devices: Sequence[str], known: int) -> int:
    """Tell the engine of which family new devices are; return how many there are by now."""
    for number in range(known, len(devices)):
        engine.name_device(number, family_of(devices[number]))
    return len(devices)


def _replay(
    reader: Reader,
    index: int,
    program: Program,
    options: CheckOptions,
    progress: Progress | None,
    syncs_traced: bool = False,
    source_at: Callable[[int], str] = lambda _: "",
) -> _Checked:
    batches = reader.batches()
    batch = next(batches, None)
    # Only the first lines tell whether the clock is time.
    engine = Engine(
        program,
        time_known=not reader.ticks,
        syncs_traced=syncs_traced or reader.every_sync,
        platforms=options.platforms,
    )
    texts = Texts(reader, engine)
    survey, failures = Survey(reader), Failures()
    named = 0
    while batch is not None:
        named = _name_devices(engine, reader.devices, named)
        engine.feed(batch)
        if survey.add(batch)[EventKind.MARK]:
            failures.add(batch)
        texts.after_batch()
        if progress:
            progress(reader.consumed, reader.size)
        batch = next(batches, None)
    engine.finish()
    texts.after_batch()
    context = TraceContext(
        index=index,
        devices=reader.devices,
        ticks=reader.ticks,
        text_of=texts.text,
        task_of=texts.task,
        source_of=lambda witness: source_at(witness.offset),
    )
    findings, notices = collect(engine.hits(), program, context)
    findings = failures.explain(findings, context)
    checked = engine.counters["checked"]
    info = replace(survey.info(), checked=checked)
    lost = loss_notices(info, engine, reader.notices)
    limits = limit_notices(engine, program, reader.devices)
    lacks = lack_notices(info, reader.notices)
    notices = [*reader.notices, *lost, *limits, *lacks, *notices]
    if not options.platforms:
        return _Checked(info, findings, notices, checked, engine.rule_counts)
    from dmaverify.pipeline.matrix import add_platforms

    rows, findings = add_platforms(engine, options.platforms, findings, context)
    return _Checked(info, findings, notices, checked, engine.rule_counts, rows)


def _merge(notices: list[Notice]) -> tuple[Notice, ...]:
    """Return each notice once, with the counts added up."""
    merged: dict[tuple[str, str], Notice] = {}
    for notice in notices:
        key = notice.id, notice.text
        held = merged.get(key)
        merged[key] = replace(held, count=held.count + notice.count) if held else notice
    return tuple(merged.values())
