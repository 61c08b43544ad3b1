"""Why a platform has an effect, in words."""

from dmaverify.findings.context import TraceContext
from dmaverify.findings.words import size
from dmaverify.model.effect import Cause, Incident, Mistake, Outcome
from dmaverify.model.kinds import EventKind, Flag
from dmaverify.model.platform import Platform, Translation

#: What follows the event's own words, by cause.
CAUSES = {
    Cause.CONTRACT: "that is against the contract, and nothing comes of it here",
    Cause.NO_TRANSLATION: "the IOMMU never had a translation for it",
    Cause.TRANSLATION_GONE: "the translation went with the mapping",
    Cause.NO_PERMISSION: "the translation does not allow that direction",
    Cause.PAST_PAGES: "the next page has no translation",
    Cause.SAME_PAGE: "the bytes past the end are on its last page, which is translated as a whole",
    Cause.OTHER_DOMAIN: "the translation is another device's",
    Cause.NO_MEMORY: "no memory has this address",
    Cause.TOO_WIDE: "the device can not form this address",
    Cause.OTHER_MEMORY: "the address leads to other memory",
    Cause.PRIVATE: "the memory is private: it was never shared with the device",
    Cause.MMIO: "the hypervisor has no translation for another device's registers",
    Cause.STALE_FOR_CPU: "the CPU has the old bytes: nobody handed it the device's",
    Cause.STALE_FOR_DEVICE: "the device gets the old bytes: nobody handed it the CPU's",
    Cause.CPU_BYTES_LOST: "bytes that the CPU wrote are overwritten",
    Cause.DEVICE_BYTES_LOST: "bytes that the device wrote never reach the CPU",
    Cause.GUARD: "the bytes past the end are not of its bounce buffer",
    Cause.LATE_WINDOW: "the bounce buffer has been given back, and the bytes are lost with it",
    Cause.FILL: "the bounce buffer was not filled for the device to read",
    Cause.FOREIGN_BYTES: "memory that another mapping holds is overwritten",
    Cause.OWN_MEMORY: "bus and physical address happen to be the same here",
    Cause.SHARED_AT_ONCE: "CPU and device use this memory at once, and what one writes the other "
    "does not see before the mapping ends",
    Cause.LINE_SHARED: "a cache line is written back over what the device wrote beside it",
    Cause.FAULT_SEEN: "the IOMMU refused it: the recording shows the fault",
    Cause.NOT_FLUSHED: "the old translation may work until the next flush",
    Cause.NEEDS_ORDER: "its mapping may have been there without being seen",
    Cause.UNKNOWN_MEMORY: "the recording does not tell whose memory that is",
    Cause.MAY_BE_SHARED: "a program that uses this memory while it is mapped would not see what "
    "the device writes, nor the device what it writes",
    Cause.NO_DIRECTION: "the recording does not tell whether the device read or wrote",
    Cause.NEIGHBOURS_LOST: "bytes beside the mapping are thrown away with its cache lines",
    Cause.NO_PERSISTENT: "no mapping of this memory can be had without a bounce buffer",
}

_STAGES = {
    1: "first translation, bus to guest-physical",
    2: "second translation, guest-physical to host-physical",
}

_CALLS = {
    EventKind.DMA_UNMAP: "unmap",
    EventKind.DMA_FREE: "free",
    EventKind.DMA_SYNC_FOR_CPU: "sync for the CPU",
    EventKind.DMA_SYNC_FOR_DEVICE: "sync for the device",
    EventKind.DMA_MAP: "mapping",
    EventKind.DMA_ALLOC: "allocation",
}
_DEEDS = {
    EventKind.DEV_READ: "reads",
    EventKind.DEV_WRITE: "writes",
    EventKind.DEV_ACCESS: "touches",
    EventKind.DEV_FAULT: "reaches for",
}


def cause_words(outcome: Outcome, platform: Platform) -> str:
    """Return why, and which of two translations failed."""
    words = CAUSES[outcome.cause]
    if outcome.stage and platform.translation is Translation.NESTED:
        words += f" ({_STAGES[outcome.stage]})"
    return words


def deed(incident: Incident, outcome: Outcome, context: TraceContext) -> str:
    """Return what happens at an incident, a clause."""
    event = incident.first.event
    device = context.device_name(incident.device)
    if outcome.cause == Cause.MAY_BE_SHARED:
        return f"lists of whole pages of {device}, mapped both ways, {size(incident.bytes)} in all"
    if outcome.cause == Cause.SHARED_AT_ONCE and event.kind in _CALLS:
        return f"registered memory and user queues of {device}, {size(incident.bytes)} in all"
    if event.kind in (EventKind.CPU_READ, EventKind.CPU_WRITE):
        verb = "reads" if event.kind == EventKind.CPU_READ else "writes"
        return f"the CPU {verb} {_part(incident)} of {device}'s buffer at {event.phys_addr:#x}"
    unknown = event.flags & Flag.BUS_UNKNOWN
    where = "an unknown address" if unknown else f"bus {event.bus_addr:#x}"
    if event.kind in _DEEDS:
        length = event.length
        known = not event.flags & Flag.LENGTH_UNKNOWN and length
        what = f"{size(length)} at {where}" if known and length else where
        amiss = ""
        if incident.bytes < incident.length:
            past = incident.mistake is Mistake.DEVICE_ACCESS_OUT_OF_RANGE
            words = "past its mapping" if past else "not handed over"
            amiss = f", {incident.bytes:,} of them {words}"
        return f"{device} {_DEEDS[event.kind]} {what}{amiss}"
    if event.kind == EventKind.LEFT_MAPPED:
        return f"{size(incident.length)} at {where} left mapped for {device}"
    return f"{_CALLS.get(event.kind, 'call')} of {_part(incident)} at {where} for {device}"


def _part(incident: Incident) -> str:
    if incident.bytes and incident.length and incident.bytes != incident.length:
        return f"{incident.bytes:,} of {size(incident.length)}"
    return size(incident.bytes or incident.length)
