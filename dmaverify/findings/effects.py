"""From incidents to the rows of the matrix: what each platform makes of a recording, in words."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from dmaverify.findings.cause import cause_words, deed
from dmaverify.findings.context import TraceContext
from dmaverify.findings.evidence import evidence
from dmaverify.model.effect import Cause, DeviceFacts, Incident, Missing, Mistake
from dmaverify.model.evidence import Evidence
from dmaverify.model.kinds import Direction, EventKind, Flag
from dmaverify.model.matrix import BypassCost, PlatformResult, PredictedFault
from dmaverify.model.platform import Bounce, Effect, Platform

_LINE = 64
_PAGE = 4096

#: What a recording lacks, and how to have it next time.
MISSING_WORDS = {
    Missing.DEVICE_ACCESSES: (
        "no access of {devices} is in the recording (dev_read, dev_write)",
        "give the device's log with --device-log, or record tracepoints of the driver",
    ),
    Missing.CPU_ACCESSES: (
        "no access of the CPU to memory of {devices} is in the recording (cpu_read, cpu_write)",
        "record tracepoints where the driver touches its buffers",
    ),
    Missing.SYNCS: (
        "syncs of {devices} may have left no event",
        "record with DMA_API_DEBUG or bounce buffers, or give the kernel log with --log",
    ),
    Missing.LOST_EVENTS: (
        "events were lost",
        "record with a larger buffer (buffer_size_kb, trace-cmd -b)",
    ),
    Missing.MAPPINGS: (
        "no device maps memory in the recording",
        "record the events of dma:* too, from before the driver is bound",
    ),
    Missing.BEGINNING: (
        "some accesses of {devices} may be of what was mapped before the recording began, or of "
        "what a cut list hides",
        "begin the recording before the driver is bound; map shorter lists",
    ),
    Missing.MEMORY: (
        "whose memory some addresses are that {devices} used is not in the recording",
        "record where drivers get their memory from (memory), or all that they map",
    ),
    Missing.PHYSICAL: (
        "the physical addresses of some mappings of {devices} are not in the recording",
        "record the events of dma:* with phys_addr",
    ),
    Missing.PARTS: (
        "which memory the parts of some lists of {devices} are, merged by an IOMMU, is not in the "
        "recording",
        "record on a machine without an IOMMU, or map lists of single pages",
    ),
    Missing.DIRECTIONS: (
        "whether some accesses of {devices} were reads or writes is not in the recording",
        "record tracepoints of the driver, or give a device's log that has it",
    ),
    Missing.FLUSHES: (
        "when the IOMMU forgot what {devices} had mapped is not in the recording",
        "give the device's log with --device-log; record with a clock that is time",
    ),
    Missing.SHARING: (
        "whether a program uses memory of {devices} while it is mapped is not in the recording",
        "record the events of the RDMA core (reg_mr, dereg_mr), and what the program touches",
    ),
}

#: What is lacking where a platform's effect can not be told, by cause.
_LACKING = {
    Cause.NEEDS_ORDER: Missing.BEGINNING,
    Cause.UNKNOWN_MEMORY: Missing.MEMORY,
    Cause.NO_DIRECTION: Missing.DIRECTIONS,
    Cause.NOT_FLUSHED: Missing.FLUSHES,
    Cause.MAY_BE_SHARED: Missing.SHARING,
}


@dataclass(frozen=True, slots=True)
class Told:
    """What the engine told about one trace, for the matrix.

    Args:
        incidents: in any order.
        facts: one for each device.
        gaps: places where events were lost.
        bounced: True where the recording machine used bounce buffers.
    """

    incidents: Sequence[Incident]
    facts: Sequence[DeviceFacts]
    gaps: int
    bounced: bool


def results(
    told: Told, platforms: Sequence[Platform], context: TraceContext
) -> tuple[PlatformResult, ...]:
    """Return a row for each platform, in their order.

    Args:
        told: what the engine told.
        platforms: as they were given to the engine.
        context: the trace.
    """
    ordered = sorted(told.incidents, key=lambda n: (n.first.record, n.first.offset))
    return tuple(_Row(told, ordered, p, i, context).result() for i, p in enumerate(platforms))


def breaking(told: Told, platforms: Sequence[Platform]) -> list[tuple[Incident, tuple[str, ...]]]:
    """Return the incidents that break somewhere, each with the names of those platforms."""
    seen = {f.device: f.syncs_seen for f in told.facts}
    found = []
    for incident in told.incidents:
        names = tuple(
            platforms[i].name
            for i in range(len(platforms))
            if effect_of(incident, i, seen) == Effect.BREAKS
        )
        if names:
            found.append((incident, names))
    return found


def effect_of(incident: Incident, index: int, syncs_seen: dict[int, bool]) -> Effect:
    """Return the effect of an incident on a platform, as far as the recording can show it."""
    effect = incident.outcomes[index].effect
    if effect in (Effect.BREAKS, Effect.WORKS_BY_LUCK) and _doubt(incident, syncs_seen):
        return Effect.CANNOT_TELL
    return effect


def _doubt(incident: Incident, syncs_seen: dict[int, bool]) -> Missing | None:
    if incident.across_gap:
        return Missing.LOST_EVENTS
    if incident.rests_on_syncs and not syncs_seen.get(_owner(incident), False):
        return Missing.SYNCS
    return None


def _owner(incident: Incident) -> int:
    """Return the device whose memory it is about."""
    return incident.mapping.device if incident.mapping else incident.device


class _Row:
    """Works out one row."""

    def __init__(
        self,
        told: Told,
        ordered: Sequence[Incident],
        platform: Platform,
        index: int,
        context: TraceContext,
    ) -> None:
        self._told = told
        self._platform = platform
        self._index = index
        self._context = context
        self._seen = {f.device: f.syncs_seen for f in told.facts}
        self._effects = [(n, effect_of(n, index, self._seen)) for n in ordered]
        self._lacks: dict[Missing, dict[str, None]] = {}

    def result(self) -> PlatformResult:
        """Return the row."""
        self._find_lacks()
        worst = max((e for _, e in self._effects), default=Effect.WORKS)
        effect = max(worst, Effect.CANNOT_TELL if self._lacks else Effect.WORKS)
        decides = next((n for n, e in self._effects if e == effect and effect), None)
        # What breaks needs no better recording.
        lacks = list(self._missing()) if effect < Effect.REFUSED else []
        missing = tuple(f"{what}: {how}" for what, how in lacks)
        row = PlatformResult(
            name=self._platform.name,
            title=self._platform.title,
            effect=effect,
            event=None, line=None, time_ns=None, device="", cls="",
            why=self._why(effect, lacks),
            missing=missing,
            faults=tuple(self._faults()),
            breaks=self._count(Effect.BREAKS),
            lucky=self._count(Effect.WORKS_BY_LUCK),
            unclear=self._count(Effect.CANNOT_TELL),
            costs=tuple(self._costs()),
            trace=self._context.index,
        )  # fmt: skip
        return row if decides is None else self._decided(row, decides)

    def _decided(self, row: PlatformResult, by: Incident) -> PlatformResult:
        here = evidence(by.first, self._context)
        outcome = by.outcomes[self._index]
        does = deed(by, outcome, self._context)
        cause = cause_words(outcome, self._platform)
        if row.effect == Effect.CANNOT_TELL and outcome.effect != Effect.CANNOT_TELL:
            owner = self._context.device_name(_owner(by))
            cause = MISSING_WORDS[self._lacking(by)][0].format(devices=owner or "the devices")
        return replace(
            row,
            why=f"{does}: {cause}",
            deed=does,
            cause=cause,
            event=here.event,
            line=here.line,
            time_ns=here.time_ns,
            source=here.source,
            device=self._context.device_name(by.device),
            cls=by.mistake.cls,
            evidence=tuple(self._evidence(by)),
            bytes=by.bytes,
            length=by.length,
        )

    def _evidence(self, by: Incident) -> Iterator[Evidence]:
        witnesses = [by.first]
        if by.mapping:
            witnesses.append(by.mapping.made)
            if by.mapping.ended:
                witnesses.append(by.mapping.ended)
        places = {(w.record, w.offset): w for w in witnesses}
        for _, witness in sorted(places.items(), key=lambda item: item[0][0]):
            yield evidence(witness, self._context)

    def _count(self, effect: Effect) -> int:
        return sum(n.occurrences for n, e in self._effects if e == effect)

    def _lack(self, what: Missing, device: int) -> None:
        name = self._context.device_name(device)
        self._lacks.setdefault(what, {})[name] = None

    def _find_lacks(self) -> None:
        for incident, effect in self._effects:
            if effect != Effect.CANNOT_TELL:
                continue
            self._lack(self._lacking(incident), _owner(incident))
        for facts in self._told.facts:
            if not facts.maps:
                continue
            if not facts.accesses:
                self._lack(Missing.DEVICE_ACCESSES, facts.device)
            if self._moves_bytes(facts) and not facts.cpu_accesses:
                self._lack(Missing.CPU_ACCESSES, facts.device)
            if self._moves_bytes(facts) and facts.unpaired:
                self._lack(Missing.PARTS, facts.device)
            if facts.unplaced and self._asks_where():
                self._lack(Missing.PHYSICAL, facts.device)
        if self._told.gaps:
            self._lack(Missing.LOST_EVENTS, 0)
        if not any(f.maps for f in self._told.facts):
            self._lack(Missing.MAPPINGS, 0)

    def _lacking(self, incident: Incident) -> Missing:
        """Return what would tell the effect of an incident that can not be told."""
        outcome = incident.outcomes[self._index]
        if outcome.effect == Effect.CANNOT_TELL:
            return _LACKING[outcome.cause]
        doubt = _doubt(incident, self._seen)
        assert doubt is not None, "an effect that is told has no doubt"
        return doubt

    def _asks_where(self) -> bool:
        """Tell whether it matters where in memory a mapping lies."""
        platform = self._platform
        return not platform.recorded and (
            platform.bounce is Bounce.ABOVE_WIDTH or not platform.coherent
        )

    def _moves_bytes(self, facts: DeviceFacts) -> bool:
        """Tell whether what CPU and device see of a device's memory can differ."""
        platform = self._platform
        if platform.recorded:
            return self._told.bounced
        if platform.bounce is Bounce.ABOVE_WIDTH:
            return facts.highest - 1 > platform.highest
        return platform.bounce is Bounce.ALWAYS or not platform.coherent

    def _missing(self) -> Iterator[tuple[str, str]]:
        for what, names in sorted(self._lacks.items()):
            listed = ", ".join([n for n in names if n][:4]) or "the devices"
            more = len(names) - 4
            listed += f" and {more} more" if more > 0 else ""
            missing, remedy = MISSING_WORDS[what]
            yield missing.format(devices=listed), remedy

    def _why(self, effect: Effect, lacks: list[tuple[str, str]]) -> str:
        if effect == Effect.CANNOT_TELL:
            return lacks[0][0]
        accesses = sum(f.accesses for f in self._told.facts)
        return f"all {accesses:,} accesses of the devices are of what was mapped for them"

    def _faults(self) -> Iterator[PredictedFault]:
        for incident, effect in self._effects:
            outcome = incident.outcomes[self._index]
            if effect != Effect.BREAKS or not outcome.stage or not _reaches(incident):
                continue
            here = evidence(incident.first, self._context)
            yield PredictedFault(
                cls=incident.mistake.cls,
                device=self._context.device_name(incident.device),
                direction=direction_of(incident),
                ordinal=incident.ordinal,
                address=_fault_address(incident),
                event=here.event,
                line=here.line,
                time_ns=here.time_ns,
                stage=outcome.stage,
                why=cause_words(outcome, self._platform),
                source=here.source,
            )

    def _costs(self) -> Iterator[BypassCost]:
        if self._platform.coherent or self._platform.recorded:
            return
        for facts in self._told.facts:
            if not facts.registered:
                continue
            line = self._platform.line_bytes
            lines, moved = float(-(-facts.longest // line)), float(facts.longest)
            if facts.bypass_accesses:
                lines = facts.bypass_lines / facts.bypass_accesses
                if line != _LINE:  # the engine counts lines of the usual length
                    lines = max(1.0, lines * _LINE / line)
                moved = facts.bypass_bytes / facts.bypass_accesses
            yield BypassCost(
                self._context.device_name(facts.device),
                facts.registered, facts.registered_bytes, facts.bypass_accesses, lines, moved,
            )  # fmt: skip


def _fault_address(incident: Incident) -> int:
    """Return where the IOMMU refuses an access: an overrun faults at the next page."""
    start = incident.first.event.bus_addr
    if incident.mistake is not Mistake.DEVICE_ACCESS_OUT_OF_RANGE:
        return start
    return (start + incident.length - incident.bytes + _PAGE - 1) & -_PAGE


def _reaches(incident: Incident) -> bool:
    return incident.first.event.kind in (
        EventKind.DEV_READ, EventKind.DEV_WRITE, EventKind.DEV_ACCESS, EventKind.DEV_FAULT
    )  # fmt: skip


def direction_of(incident: Incident) -> str:
    """Return what the device does to memory: "read", "write" or "unknown"."""
    event = incident.first.event
    if event.kind == EventKind.DEV_READ:
        return "read"
    if event.kind == EventKind.DEV_WRITE:
        return "write"
    if event.kind == EventKind.DEV_FAULT and not event.flags & Flag.DIRECTION_UNKNOWN:
        return "write" if event.direction == Direction.FROM_DEVICE else "read"
    return "unknown"


def names_on(
    broken: Iterable[tuple[Incident, tuple[str, ...]]], cls: str, device: str, events: set[int],
    context: TraceContext,
) -> tuple[str, ...]:  # fmt: skip
    """Return on which platforms a finding's mistake breaks.

    Args:
        broken: as `breaking` gives them.
        cls: class of the finding.
        device: device of the finding.
        events: numbers of the events that it is about.
        context: the trace.
    """
    near: dict[str, None] = {}
    alike: dict[str, None] = {}
    for incident, names in broken:
        if incident.mistake.cls != cls or context.device_name(incident.device) != device:
            continue
        about = {incident.first.record}
        if incident.mapping:
            about.add(incident.mapping.made.record)
        (near if about & events else alike).update(dict.fromkeys(names))
    return tuple(near or alike)
