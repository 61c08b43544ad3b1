"""The ranges that a finding is about, in one address space, ready to be drawn."""

from dmaverify.findings.context import TraceContext
from dmaverify.findings.words import direction, rights
from dmaverify.model.events import Event
from dmaverify.model.fields import NAMED_OBJECTS
from dmaverify.model.finding import Range
from dmaverify.model.hit import Hit, MappingView, Witness
from dmaverify.model.kinds import EventKind, Flag, MapType

VERBS = {
    EventKind.DMA_MAP: "map",
    EventKind.DMA_UNMAP: "unmap",
    EventKind.DMA_SYNC_FOR_CPU: "sync",
    EventKind.DMA_SYNC_FOR_DEVICE: "sync",
    EventKind.DMA_ALLOC: "alloc",
    EventKind.DMA_FREE: "free",
    EventKind.IOMMU_MAP: "translate",
    EventKind.IOMMU_UNMAP: "untranslate",
    EventKind.DEV_FAULT: "fault",
    EventKind.BOUNCE: "bounce",
    EventKind.DEV_READ: "read",
    EventKind.DEV_WRITE: "write",
    EventKind.DEV_ACCESS: "touch",
    EventKind.HCA_ACCESS: "access",
    EventKind.POSTED_SGE: "buffer",
}
_NAMES = {
    EventKind.DMA_SYNC_FOR_CPU: "sync for CPU",
    EventKind.DMA_SYNC_FOR_DEVICE: "sync for device",
}
_LISTS = frozenset({MapType.SG, MapType.SGT})
#: What an object is to an event, of those that have a range.
DRAWN = frozenset(
    {"mapping", "ghost", "foreign", "enclosing", "overlap", "neighbour", "region", "ended_region"}
)
_KEYED = frozenset({EventKind.HCA_ACCESS, EventKind.POSTED_SGE})
_REGIONS = frozenset({"region", "ended_region"})
# These meet the event in memory, not on the bus: two mappings of one page have two
# bus addresses behind an IOMMU.
_SHARE_MEMORY = frozenset({"overlap", "neighbour"})
# What an event names and that is no mapping has no range.
_OBJECTS = frozenset(NAMED_OBJECTS)


def event_range(witness: Witness, space: str = "") -> Range | None:
    """Return the range that an event names, or None where it names none.

    Args:
        witness: the event.
        space: "bus" or "physical"; "" takes the first that is known. An access by key has
            the space of its key.
    """
    event = witness.event
    if event.kind not in VERBS or event.flags & Flag.FAILED:
        return None
    if event.kind in _KEYED:
        return _keyed_range(event)
    if space != "physical" and not event.flags & Flag.BUS_UNKNOWN:
        start, found = event.bus_addr, "bus"
    elif space != "bus" and not event.flags & Flag.PHYS_UNKNOWN:
        start, found = event.phys_addr, "physical"
    else:
        return None
    known = not event.flags & Flag.LENGTH_UNKNOWN
    length = event.length if known else 0
    size = f"{length} B" if known else "? B"
    verb = _NAMES.get(event.kind, VERBS[event.kind])
    way = "" if event.flags & Flag.DIRECTION_UNKNOWN else f"  {direction(event.direction)}"
    return Range(VERBS[event.kind], f"{verb} {size}{way}", start, length, found)


def _keyed_range(event: Event) -> Range | None:
    """Return the range of an access by key: its addresses are the key's."""
    if event.flags & (Flag.BUS_UNKNOWN | Flag.LENGTH_UNKNOWN):
        return None
    verb = VERBS[event.kind]
    return Range(verb, f"{verb} {event.length} B", event.bus_addr, event.length, "key")


def mapping_ranges(mapping: MappingView, space: str, owner: str = "") -> list[Range]:
    """Return the range of a mapping, or those of its first segments where they lie apart."""
    if mapping.length is None or mapping.role not in DRAWN:
        return []
    if mapping.role in _REGIONS:
        name = f"{'ended ' if mapping.ended else ''}region #{mapping.number} {mapping.key:#x}"
        label = f"{name}  {mapping.length} B  {rights(mapping.direction)}"
        return [Range(mapping.role, label, mapping.bus_addr, mapping.length, "key")]
    name = f"{'ended ' if mapping.ended else ''}mapping #{mapping.number}"
    if owner:
        name += f" of {owner}"
    label = f"{name}  {mapping.length} B  {direction(mapping.direction)}"
    if space == "physical":
        if mapping.phys_addr is None or len(mapping.segments) > 1:
            return []
        return [Range(mapping.role, label, mapping.phys_addr, mapping.length, space)]
    parts = _joined(mapping.segments) or [(mapping.bus_addr, mapping.length)]
    return [
        Range(mapping.role, label if i == 0 else "", start, length, space)
        for i, (start, length) in enumerate(parts)
    ]


def _joined(segments: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, length in segments:
        if joined and sum(joined[-1]) == start:
            joined[-1] = (joined[-1][0], joined[-1][1] + length)
        else:
            joined.append((start, length))
    return joined


def ranges(hit: Hit, context: TraceContext) -> tuple[Range, ...]:
    """Return the mappings that a hit meant and the range of its event, best mapping first.

    Nothing where the mapping lies in pieces and the event has a list: the engine keeps
    the sum of the event's lengths, which is no range.
    """
    space = "physical" if any(m.role in _SHARE_MEMORY for m in hit.mappings) else "bus"
    mine = event_range(hit.first, space)
    if mine is None:
        return ()
    drawn: list[Range] = []
    for mapping in hit.mappings:
        if mapping.made.record == hit.first.record or mapping.role in _OBJECTS:
            continue  # what is being made is the event's range
        owner = context.device_name(mapping.device) if mapping.role == "foreign" else ""
        parts = mapping_ranges(mapping, space, owner)
        if len(parts) > 1 and hit.first.event.type in _LISTS:
            return ()
        drawn += parts
    return (*drawn, mine)
