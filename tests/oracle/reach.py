"""Where one access of a device leads, byte by byte, after any history of mappings.

A recording of a flat bus: bus and physical addresses are the same numbers, and every driver's
life is seen from its beginning. Says what a platform makes of the last event alone: "X" breaks,
"~" works by luck, "?" can not be told, "." works. Knows nothing of segments, grids or rings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dmaverify.model.kinds import Direction, EventKind
from dmaverify.model.platform import Bounce, Platform, Translation
from tests.oracle.nouns import Call

K, D = EventKind, Direction
PAGE = 4096
MAY_READ = (D.TO_DEVICE, D.BIDIRECTIONAL)
MAY_WRITE = (D.FROM_DEVICE, D.BIDIRECTIONAL)


@dataclass
class Mapping:
    """A mapping: whose it is, its bytes, and when it ended."""

    device: int
    memory: range
    direction: int
    ended: int | None = None

    def allows(self, write: bool) -> bool:
        """Tell whether the device may write, or read."""
        return self.direction in (MAY_WRITE if write else MAY_READ)


class Reach:
    """What is mapped, and what the CPU wrote, when an access comes."""

    def __init__(self, history: Sequence[Call]) -> None:
        self.mappings: list[Mapping] = []
        self.written: dict[int, int] = {}  # byte -> last write of the CPU
        self.cleaned: dict[int, int] = {}  # byte -> last mapping, or unmap towards the CPU
        for c in history:
            if c.kind == K.DMA_MAP:
                span = range(c.bus_addr, c.bus_addr + c.length)
                self.mappings.append(Mapping(c.device, span, c.direction))
                self.cleaned.update(dict.fromkeys(span, c.record))
            elif c.kind == K.DMA_UNMAP:
                start = c.sg_phys[0] if c.bus_addr is None else c.bus_addr
                m = next(m for m in self.live() if m.memory.start == start)
                m.ended = c.record
                if m.direction != D.TO_DEVICE:
                    self.cleaned.update(dict.fromkeys(m.memory, c.record))
            elif c.kind == K.CPU_WRITE:
                span = range(c.phys_addr, c.phys_addr + c.length)
                self.written.update(dict.fromkeys(span, c.record))

    def live(self) -> list[Mapping]:
        """Return the mappings that have not ended."""
        return [m for m in self.mappings if m.ended is None]

    def at(self, device: int, byte: int) -> Mapping | None:
        """Return the device's mapping that holds a byte."""
        return next((m for m in self.live() if m.device == device and byte in m.memory), None)

    def sign(self, access: Call, p: Platform) -> str | None:
        """Return what a platform makes of an access; None where this knows no answer."""
        ways = {K.DEV_WRITE: [True], K.DEV_READ: [False]}.get(access.kind, [True, False])
        span = range(access.bus_addr, access.bus_addr + access.length)
        m = self.at(access.device, span.start) or self.ghost(access.device, span.start)
        foreign = [o for o in self.live() if o.device != access.device and span.start in o.memory]
        if foreign and (m is None or m.ended is not None):
            made = self.made_after(foreign[0], m)
            m = None if made else m
            if m is None:
                return "X" if p.translation != Translation.NONE else "~"
        if m is None:
            return None
        # Of an access that does not say which way it goes, the first one-way mapping tells.
        oneway = [o for o in [m, *self.spanned(access.device, span)[0]] if o.direction]
        if len(ways) == 2 and oneway:
            ways = [oneway[0].direction == D.FROM_DEVICE]
        judge = self.mapped if m.ended is None else self.late
        signs = {judge(access.device, span, m, w, p) for w in ways}
        if "." in signs:  # what may have gone the allowed way is no mistake
            return "."
        return "?" if len(signs) == 2 else signs.pop()

    def made_after(self, live: Mapping, ghost: Mapping | None) -> bool:
        """Tell whether a live mapping was made when a ghost had ended already, if there is one."""
        if ghost is None:
            return True
        return self.cleaned_by_map(live) > (ghost.ended or 0)

    def cleaned_by_map(self, m: Mapping) -> int:
        """Return when a live mapping was made: nothing has cleaned its memory since."""
        return max(self.cleaned[b] for b in m.memory)

    def ghost(self, device: int, byte: int) -> Mapping | None:
        """Return the device's mapping that held a byte last."""
        held = [m for m in self.mappings if m.ended and m.device == device and byte in m.memory]
        return max(held, key=lambda m: m.ended or 0, default=None)

    def spanned(self, device: int, span: range) -> tuple[list[Mapping], int]:
        """Return the live mappings that hold a range from its start on, and where they end."""
        end, found = span.start, []
        while end < span.stop and (one := self.at(device, end)):
            found.append(one)
            end = min(one.memory.stop, span.stop)
        return found, end

    def mapped(self, device: int, span: range, m: Mapping, write: bool, p: Platform) -> str:
        """Judge an access that begins in a live mapping."""
        spanned, end = self.spanned(device, span)
        past = range(end, span.stop)
        wrong = not all(o.allows(write) for o in spanned)
        others = any(b in o.memory for b in past for o in self.live())
        bounces = p.bounce == Bounce.ALWAYS
        if p.translation != Translation.NONE:
            faults = wrong or any(b // PAGE != (end - 1) // PAGE for b in past)
            broken = faults or (write and others)
        elif bounces:
            broken = bool(past) or (wrong and (write or not p.copies_in_always))
        else:
            broken = write and others
        return "X" if broken else "~" if wrong or past else "."

    def late(self, device: int, span: range, m: Mapping, write: bool, p: Platform) -> str:
        """Judge an access through a mapping that has ended, a moment ago."""
        since = m.ended or 0
        wrote = {b for b in span if self.written.get(b, 0) > since}
        others = any(b in o.memory for b in span for o in self.live())
        stale = any(self.written[b] > self.cleaned.get(b, 0) for b in wrote)
        if p.translation != Translation.NONE and not p.lazy:
            return "X"
        if p.translation != Translation.NONE:
            last = (m.memory.stop - 1) // PAGE
            if not m.allows(write) or (span.stop - 1) // PAGE > last:
                return "X"
        elif p.bounce == Bounce.ALWAYS:
            return "X" if write or p.guard_bytes else "~"
        if write:
            return "X" if wrote or others else "~"
        return "X" if stale and not p.coherent else "~"
