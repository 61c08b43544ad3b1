"""What bounds the proof: notices made from the engine's counts."""

from collections.abc import Iterator, Sequence

from dmaverify.core.engine import Engine
from dmaverify.model.fields import kind_name
from dmaverify.model.finding import Notice, TraceInfo
from dmaverify.model.kinds import EventKind
from dmaverify.model.program import Program

# The counter, the notice, and what it says.
_COUNTERS = (
    (
        "in_flight",
        "trace-starts-in-flight",
        "calls and accesses that may be about what was mapped before the recording began; "
        "begin the recording before the driver is bound to see all of its life",
    ),
    (
        "undecided",
        "order-not-known",
        "accesses in the other logs, too near to what would explain them to be ordered",
    ),
    (
        "unexplained",
        "fault-unexplained",
        "faults of the IOMMU at what the recording shows as mapped so as to allow the access",
    ),
    (
        "forgotten",
        "ended-mappings-forgotten",
        "ended mappings that were forgotten to keep memory bounded; "
        "a late use of one of them is told as never mapped",
    ),
    (
        "refused",
        "mappings-not-followed",
        "mappings that were not followed, because too many were alive",
    ),
    (
        "objects_refused",
        "regions-not-followed",
        "regions and queue pairs of an HCA that were not followed, because too many were alive",
    ),
    (
        "crowded",
        "addresses-crowded",
        "look-ups that gave up at an address range with thousands of mappings",
    ),
    (
        "overflow",
        "findings-not-told-apart",
        "further hits that were counted only, because there are too many different findings",
    ),
    (
        "incidents",
        "effects-not-told-apart",
        "further accesses and calls that platforms do not take as the driver wants, not counted "
        "in the matrix, because there are too many different ones",
    ),
)


_LARGER = "record with a larger buffer (buffer_size_kb, trace-cmd -b)"
NO_UNBIND = (
    "mappings are open at the end, and the recording does not hold the end of the driver's life"
)


def limit_notices(engine: Engine, program: Program, devices: Sequence[str]) -> list[Notice]:
    """Return a notice for each limit that this run met.

    Args:
        engine: after the last event.
        program: the rules that it ran.
        devices: device names by number.
    """
    counters = engine.counters
    if not counters["asked_late"]:
        counters["forgotten"] = 0  # nobody has missed them
    notices = [Notice(id_, text, counters[name]) for name, id_, text in _COUNTERS if counters[name]]
    for rule, (_, _, _, faults) in zip(program.rules, engine.rule_counts, strict=True):
        if faults:
            text = f"{rule.id} could not be decided: a number did not fit, or was divided by zero"
            notices.append(Notice("rule-fault", text, faults))
    return [*notices, *_no_unbind(engine, program, devices)]


def loss_notices(info: TraceInfo, engine: Engine, told: Sequence[Notice]) -> list[Notice]:
    """Return the one notice that says how much a trace lost and what that may explain, if any.

    Args:
        info: what is in the trace, once it has been read to its end.
        engine: after its last event.
        told: what its reader has to say.
    """
    explained = engine.counters["across_gap"]
    elsewhere = sum(n.count for n in told if n.id == "events-lost-somewhere")
    places = info.kinds.get(kind_name(EventKind.LOST), 0)
    if not explained and info.lost <= elsewhere and (elsewhere or not places):
        return []
    if info.lost:
        text = f"{info.lost:,} event{'s were' if info.lost > 1 else ' was'} lost"
    else:
        text = f"events were lost in {places:,} place{'s' * (places > 1)}, nothing says how many"
    if explained:
        text += f", which may explain {explained:,} call{'s' * (explained > 1)} or access"
        text += "es" * (explained > 1)
    return [Notice("events-lost", f"{text}; {_LARGER}")]


def _no_unbind(engine: Engine, program: Program, devices: Sequence[str]) -> Iterator[Notice]:
    """Say which rules about what a driver leaves behind had no end of a life to judge."""
    rules = [r.id for r in program.rules if r.builtin and EventKind.LEFT_MAPPED in r.kinds]
    for number, count in engine.left_open():
        for rule in rules:
            text = f"{rule} can not tell for {devices[number]}: {NO_UNBIND}"
            yield Notice("can-not-tell", text, count, rule, devices[number])
