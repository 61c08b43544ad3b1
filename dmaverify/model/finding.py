"""Findings, notices and the report: what a person, or a program, is told."""

from dataclasses import dataclass, field

from dmaverify.errors import TraceError
from dmaverify.model.evidence import Evidence
from dmaverify.model.kinds import Severity
from dmaverify.model.matrix import PlatformResult
from dmaverify.model.platform import Effect

#: The platform of a run that asks for nothing but the recording itself, and for every one.
AS_RECORDED = "as-recorded"
ALL_PLATFORMS = "all"


@dataclass(frozen=True, slots=True)
class Range:
    """A range of addresses to draw: `start` and `length` in bytes, `label` beside it.

    Args:
        role: the role of a mapping ("mapping", "ghost", "foreign", ...; see `MappingView`),
            or the verb of the event ("map", "unmap", "sync", "free", "fault", ...).
    """

    role: str
    label: str
    start: int
    length: int
    space: str = "bus"


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake, with its evidence. Names as in the JSON report.

    Args:
        ranges: what to draw; all of one address space.
        address: what the event names, or None where it names no address.
        last: where it was seen last, or None where it was seen once.
        source: the file of the line, "" where it is the trace.
        breaks_on: names of the platforms of the run on which the mistake breaks.
    """

    rule: str
    cls: str
    severity: Severity
    confidence: str
    device: str
    trace: int
    event: int
    line: int | None
    time_ns: int | None
    message: str
    occurrences: int
    fingerprint: str
    evidence: tuple[Evidence, ...]
    equivalents: dict[str, tuple[str, ...]]
    ranges: tuple[Range, ...] = ()
    hint: str = ""
    why: str = ""
    address: Range | None = None
    last: Evidence | None = None
    source: str = ""
    breaks_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that bounds what the run could prove.

    Args:
        id: kebab-case.
        text: a sentence, with the remedy where there is one.
        count: how often.
        rule, device: which rule can not tell for which device, "" in other notices.
    """

    id: str
    text: str
    count: int = 1
    rule: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Join:
    """Memory that another source of a run names, and the mapping of the trace that it is in.

    Args:
        what: what the memory is for.
        source, line: the other source, and its line.
        bus_addr, length: of the memory.
        mapping_event, mapping_line: record and line of the trace that made the mapping, None
            where there is none, or no line.
        why: why it is in none, "" where it is in one.
    """

    what: str
    source: str
    line: int
    bus_addr: int
    length: int
    mapping_event: int | None
    mapping_line: int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class TraceInfo:
    """What is in one trace. `lost` counts known losses, `skipped` the events of other kinds.

    Args:
        clock: name of the trace clock, "" where the file does not say; `ticks` is True
            where its values are not time.
        kinds: events by kind name.
        first_ns, last_ns: the span of the clock, None where there is no time.
        complete: False where the file was cut.
        checked: events that an active rule met, or None where nothing was checked yet.
        joins: memory of other sources, joined to mappings.
    """

    path: str
    format: str
    events: int
    lost: int
    skipped: int
    devices: tuple[str, ...]
    complete: bool
    clock: str = ""
    ticks: bool = False
    cpus: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    kinds: dict[str, int] = field(default_factory=dict)
    checked: int | None = None
    joins: tuple[Join, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one `check` found.

    Args:
        checked: events that an active rule met.
        errors: the traces that could not be read, or not to their end.
        platform: the name of the platform that was asked for, or "all".
        platforms: what the platforms of the run make of the traces.
        rule_counts: how often each rule of the program ran, held, was violated, and could not
            be worked out, over all traces.
    """

    traces: tuple[TraceInfo, ...]
    findings: tuple[Finding, ...]
    notices: tuple[Notice, ...]
    platform: str = AS_RECORDED
    checked: int = 0
    errors: tuple[TraceError, ...] = ()
    platforms: tuple[PlatformResult, ...] = ()
    rule_counts: tuple[tuple[int, int, int, int], ...] = ()

    @property
    def unchecked(self) -> tuple[TraceInfo, ...]:
        """Return the traces without any event that an active rule met."""
        return tuple(t for t in self.traces if t.checked == 0 or not self.checked)

    @property
    def broken(self) -> tuple[PlatformResult, ...]:
        """Return the platforms on which the traces break, where one was asked for by name."""
        named = self.platform != ALL_PLATFORMS
        return tuple(p for p in self.platforms if named and p.effect is Effect.BREAKS)

    @property
    def verdict(self) -> str:
        """Return "pass", "fail" or "nothing-checked" (of one trace or more).

        Errors of low confidence do not fail; breaking on a platform asked for by name does.
        """
        certain = (f.severity for f in self.findings if f.confidence != "low")
        if self.broken or any(severity >= Severity.ERROR for severity in certain):
            return "fail"
        return "pass" if self.checked and not self.unchecked else "nothing-checked"
