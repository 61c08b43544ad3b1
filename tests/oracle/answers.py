"""What a rule may ask: every field of the event model, answered from the slow world."""

from collections.abc import Callable

from dmaverify.model.fields import (
    DEVICE_FIELDS,
    EVENT_FIELDS,
    MAPPING_FIELDS,
    MAPPING_OBJECTS,
    NAMED_FIELDS,
    TRACE_FIELDS,
    Field,
    Obj,
)
from dmaverify.model.kinds import EventKind, Flag
from tests.oracle.engine import World
from tests.oracle.nouns import TOP, Mapping, Meaning

Value = int | None
SKEW = 100_000  # ns; the clocks of two CPUs may be so far apart
ROLES = {obj: name for name, obj in MAPPING_OBJECTS.items()}


def names(fields: tuple[Field, ...]) -> dict[int, str]:
    """Return the names of some fields by number."""
    return {f.number: f.name for f in fields}


EVENT, MAPPING = names(EVENT_FIELDS), names(MAPPING_FIELDS)
#: Fields that only Windows' events have.
WINDOWS = {f.name for f in EVENT_FIELDS if 64 <= f.number <= 90 and f.number != 81}
NAMED = {obj: names(fields) for obj, fields in NAMED_FIELDS.items()}
DEVICE, TRACE = names(DEVICE_FIELDS), names(TRACE_FIELDS)


class Answers:
    """Answers what may be asked at one event."""

    def __init__(self, world: World, meaning: Meaning) -> None:
        self.world, self.meaning, self.call = world, meaning, meaning.call
        self.device = world.devices[meaning.call.device]

    def get(self, obj: int, number: int) -> Value:
        """Return a value, None where it is unknown; number 0 asks for the object itself."""
        if obj == Obj.EVENT:
            return self.event(EVENT[number]) if number else 0
        if obj == Obj.DEVICE:
            return self.of_device(DEVICE[number]) if number else self.call.device
        if obj == Obj.TRACE:
            return self.trace(TRACE[number])
        if Obj(obj) in NAMED_FIELDS:
            name = NAMED[Obj(obj)][number] if number else ""
            type_ = Obj(obj).name.lower()
            return self.world.windows.thing(self.call, type_, name, self.world.gaps)
        m = self.meaning.roles.get(ROLES[Obj(obj)])
        if m is None or number == 0:
            return None if m is None else m.serial
        return self.mapping(m, MAPPING[number])

    def event(self, name: str) -> Value:
        """Answer for the event."""
        call, meaning = self.call, self.meaning
        limits = call.kind == EventKind.DEVICE_LIMITS
        room = None if call.bus_addr is None else min(TOP - call.bus_addr, TOP - 1)
        answers: dict[str, Callable[[], Value]] = {
            "bus_addr": lambda: call.bus_addr,
            "phys_addr": lambda: call.phys_addr,
            "length": lambda: call.length,
            "direction": lambda: call.direction,
            "type": lambda: call.type,
            "time": lambda: self.now(),
            "cpu": lambda: call.cpu,
            "count": lambda: meaning.count,
            "longest_segment": lambda: meaning.numbers["longest_segment"] or None,
            "virt_addr": lambda: call.virt_addr,
            "failed": lambda: call.failed,
            "null": lambda: bool(call.flags & Flag.NULL_CPU),
            "truncated": lambda: bool(call.flags & Flag.TRUNCATED),
            "skip_sync": lambda: bool(call.flags & Flag.SKIP_SYNC),
            "mmio": lambda: bool(call.flags & Flag.MMIO),
            "room": lambda: room,
            "unmapped": lambda: call.phys_addr or 0,
            "dma_mask": lambda: (call.phys_addr if limits else call.bus_addr) or 0,
            "may_predate": lambda: meaning.may_predate,
            "kind": lambda: call.kind,
            "task": lambda: call.site,
            "max_segment": lambda: call.length,
            "boundary": lambda: call.bus_addr,
            "failures": lambda: self.device.counts["failures"],
            "memory": lambda: (
                call.object if call.kind == EventKind.MEMORY else meaning.numbers["memory"] or None
            ),
            "transfer": lambda: call.object,
            "distance": lambda: meaning.numbers.get("distance"),
            "controller": lambda: call.bus_addr or 0,
            "queue": lambda: call.phys_addr or 0,
            "command": lambda: call.object,
            "early_unmaps": lambda: len(self.world.commands.early(call)),
            "early_ago": lambda: self.early_ago(),
            "page_sharer": lambda: self.world.page_sharer(call),
        }
        if name in WINDOWS:
            return self.world.windows.event(call, name)
        value = answers[name]() if name in answers else meaning.numbers[name]
        return None if value is None else int(value)

    def early_ago(self) -> Value:
        """Return the time since a command's last early unmap."""
        early = self.world.commands.early(self.call)
        return self.elapsed(early[-1].time) if early else None

    def now(self) -> Value:
        """Return the time of the event, None if it is not known or the clock tells no time."""
        unknown = self.call.flags & Flag.TIME_UNKNOWN or not self.world.time_known
        return None if unknown else self.call.time

    def elapsed(self, then: Value) -> Value:
        """Return the time since a moment; a clock that steps back stands still."""
        now = self.now()
        return None if now is None or then is None else max(0, now - then)

    def freed_at(self, m: Mapping) -> Value:
        """Return when memory of a live mapping was freed, None where that is not known."""
        known = m.ended is None and m.freed and not m.freed.flags & Flag.TIME_UNKNOWN
        return m.freed.time if m.freed and known and self.world.time_known else None

    def freed_unordered(self, m: Mapping) -> bool:
        """Return True if another CPU logged it, and not long enough ago."""
        if m.ended is not None or m.freed is None or m.freed.cpu == self.call.cpu:
            return False
        then, now = self.freed_at(m), self.now()
        return then is None or now is None or now - then < SKEW

    def mapping(self, m: Mapping, name: str) -> Value:
        """Answer for a mapping."""
        call, flags = m.call, m.call.flags
        told = not flags & Flag.TIME_UNKNOWN and self.world.time_known
        over = m.ended and not m.ended.flags & Flag.TIME_UNKNOWN
        answers: dict[str, Callable[[], Value]] = {
            "bus_addr": lambda: call.bus_addr or 0,
            "phys_addr": lambda: call.phys_addr,
            "length": lambda: call.length,
            "direction": lambda: m.direction,
            "type": lambda: call.type,
            "count": lambda: m.count,
            "segments": lambda: call.seen if call.sg_bus else 1,
            "truncated": lambda: m.truncated,
            "virt_addr": lambda: call.virt_addr,
            "age": lambda: self.elapsed(call.time if told else None),
            "device": lambda: m.device,
            "bounced": lambda: m.bounced,
            "skip_sync": lambda: bool(flags & Flag.SKIP_SYNC),
            "mmio": lambda: bool(flags & Flag.MMIO),
            "whole_pages": lambda: m.whole_pages,
            "syncs": lambda: m.syncs,
            "task": lambda: call.site,
            "ended_ago": lambda: (
                self.elapsed(m.ended.time if over else None) if m.ended else 0
            ),
            "gap": lambda: m.epoch != self.world.gaps,
            "time": lambda: call.time if told else None,
            "transfers": lambda: m.transfers,
            "unsynced_reads": lambda: m.unsynced_reads,
            "freed": lambda: m.ended is None and m.freed is not None,
            "freed_ago": lambda: self.elapsed(self.freed_at(m)),
            "freed_unordered": lambda: self.freed_unordered(m),
            "untranslated": lambda: self.world.untranslated(m),
        }  # fmt: skip
        if name not in answers:
            return self.world.windows.bound(m, name)
        value = answers[name]()
        return None if value is None else int(value)

    def of_device(self, name: str) -> Value:
        """Answer for the device of the event."""
        device, number = self.device, self.call.device
        mine = [m for m in self.world.live if m.device == number]
        answers: dict[str, Callable[[], Value]] = {
            "live_mappings": lambda: len(mine),
            "truncated_live": lambda: sum(m.truncated for m in mine),
            "probe_seen": lambda: device.probe_seen,
            "iommu_seen": lambda: device.iommu_seen,
            "lost_since_probe": lambda: device.probe_epoch != self.world.gaps,
        }
        if name in ("max_segment", "boundary", "dma_mask"):
            return device.limits.get(name)
        return int(answers[name]() or 0) if name in answers else device.counts[name]

    def trace(self, name: str) -> Value:
        """Answer for the recording."""
        world = self.world
        own = {
            "gaps": world.gaps,
            "time_known": int(world.time_known),
            "syncs_traced": int(world.syncs_traced),
        }
        return own.get(name, world.counters[name])
