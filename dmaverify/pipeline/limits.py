"""What bounds the proof: notices made from the engine's counts."""

from dmaverify.core.engine import Engine
from dmaverify.model.finding import Notice
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
        "across_gap",
        "events-lost",
        "calls and accesses that lost events may explain; "
        "record with a larger buffer (buffer_size_kb, trace-cmd -b)",
    ),
    (
        "undecided",
        "order-not-known",
        "accesses of the other logs that are too near to what would explain them to be ordered",
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
        "crowded",
        "addresses-crowded",
        "look-ups that gave up at an address range with thousands of mappings",
    ),
    (
        "overflow",
        "findings-not-told-apart",
        "further hits that were counted only, because there are too many different findings",
    ),
)


def limit_notices(engine: Engine, program: Program) -> list[Notice]:
    """Return a notice for each limit that this run met."""
    counters = engine.counters
    notices = [Notice(id_, text, counters[name]) for name, id_, text in _COUNTERS if counters[name]]
    for rule, (_, _, _, faults) in zip(program.rules, engine.rule_counts, strict=True):
        if faults:
            text = f"{rule.id} could not be decided: a number did not fit, or was divided by zero"
            notices.append(Notice("rule-fault", text, faults))
    return notices
