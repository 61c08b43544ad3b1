"""Where bytes are stale or lost on a platform, by two copies of each byte and nothing else.

`near` is what the CPU sees, `far` what the device sees; a copy holds the number of the write
that made it. A bounce buffer and a cache that does not see the device differ in when `near`
and `far` are copied onto each other. Knows one device and accesses inside mappings.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dmaverify.model.kinds import Direction, EventKind
from dmaverify.model.platform import Bounce, Platform
from tests.oracle.nouns import Call

K, D = EventKind, Direction
FILL = -1
LINE = 64
TO_DEVICE = (D.TO_DEVICE, D.BIDIRECTIONAL)
FROM_DEVICE = (D.FROM_DEVICE, D.BIDIRECTIONAL)


@dataclass
class Mapping:
    """A mapping that is alive: where it is, and the write that came last before it."""

    bus: int
    phys: int
    length: int
    direction: int
    since: int
    far: dict[int, int] = field(default_factory=dict)


class Machine:
    """Memory, and what a platform puts between it and the device."""

    def __init__(self, platform: Platform) -> None:
        self.bounces = platform.bounce is Bounce.ALWAYS
        self.apart = self.bounces or not platform.coherent
        self.copies_in_always = platform.copies_in_always
        self.near: dict[int, int] = {}
        self.far: dict[int, int] = {}  # without bounce buffers: memory behind the cache
        self.newest: dict[int, int] = {}
        self.writes = 0
        self.mappings: list[Mapping] = []

    def first_break(self, calls: Iterable[Call]) -> int | None:
        """Return the number of the first event at which bytes are stale or lost, or None."""
        return next((c.record for c in calls if self.breaks(c)), None)

    def breaks(self, c: Call) -> bool:
        """Apply an event; tell whether it finds or makes stale or lost bytes."""
        if c.kind == K.DMA_MAP:
            self.map(c)
            return False
        if c.kind in (K.CPU_READ, K.CPU_WRITE):
            return self.cpu(c)
        m = next((m for m in self.mappings if m.bus <= c.bus_addr < m.bus + m.length), None)
        if m is None:
            return False
        if c.kind in (K.DEV_READ, K.DEV_WRITE):
            return self.device(c, m)
        first, count = c.bus_addr - m.bus, c.length
        if c.kind == K.DMA_SYNC_FOR_CPU:
            return c.direction in FROM_DEVICE and self.hand_to_cpu(m, first, count)
        if c.kind == K.DMA_SYNC_FOR_DEVICE:
            return c.direction in TO_DEVICE and self.hand_to_device(m, first, count)
        return self.unmap(c, m)

    def window(self, m: Mapping) -> dict[int, int]:
        """Return the copies that the device sees of a mapping, by physical byte."""
        return m.far if self.bounces else self.far

    def map(self, c: Call) -> None:
        """Give a mapping its window."""
        m = Mapping(c.bus_addr, c.phys_addr, c.length, c.direction, self.writes)
        self.mappings.append(m)
        for b in range(m.phys, m.phys + m.length):
            filled = not self.bounces or self.copies_in_always or m.direction in TO_DEVICE
            self.window(m)[b] = self.near.get(b, 0) if filled else FILL

    def cpu(self, c: Call) -> bool:
        """Tell whether the CPU reads old bytes; keep what it writes."""
        span = range(c.phys_addr, c.phys_addr + c.length)
        if c.kind == K.CPU_READ:
            return self.apart and any(self.near.get(b, 0) != self.newest.get(b, 0) for b in span)
        self.writes += 1
        for b in span:
            self.near[b] = self.newest[b] = self.writes
            if not self.apart:
                self.far[b] = self.writes
        return False

    def device(self, c: Call, m: Mapping) -> bool:
        """Tell whether the device reads old bytes, or writes into a dirty line."""
        start = m.phys + (c.bus_addr - m.bus)
        span = range(start, start + c.length)
        far = self.window(m)
        if c.kind == K.DEV_READ:
            return self.apart and any(far.get(b, 0) != self.newest.get(b, 0) for b in span)
        # A line that the CPU has dirtied in its cache is written back over the device's bytes.
        lines = range(start & -LINE, -(-(start + c.length) // LINE) * LINE)
        dirty = any(
            self.near.get(b, 0) == self.newest.get(b, 0) != self.far.get(b, 0) for b in lines
        )
        self.writes += 1
        for b in span:
            far[b] = self.newest[b] = self.writes
            if not self.apart:
                self.near[b] = self.writes
        return dirty and self.apart and not self.bounces

    def hand_to_cpu(self, m: Mapping, first: int, count: int) -> bool:
        """Copy what the device sees to the CPU; tell whether it takes bytes of the CPU away."""
        lost = False
        far = self.window(m)
        for b in range(m.phys + first, m.phys + first + count):
            mine = self.near.get(b, 0)
            # What was there before the mapping is nobody's once the device may write.
            lost = lost or (mine == self.newest.get(b, 0) > m.since and far.get(b, 0) != mine)
            self.near[b] = far.get(b, 0)
            self.newest[b] = max(self.newest.get(b, 0), 0) if lost else self.near[b]
        return lost and self.apart

    def hand_to_device(self, m: Mapping, first: int, count: int) -> bool:
        """Copy what the CPU sees to the device; tell whether it takes its bytes away."""
        lost = False
        far = self.window(m)
        for b in range(m.phys + first, m.phys + first + count):
            newer = far.get(b, 0) == self.newest.get(b, 0) and self.near.get(b, 0) != far.get(b, 0)
            lost = lost or (newer and self.bounces)
            if self.bounces or not newer:  # a clean line is not written back
                far[b] = self.near.get(b, 0)
        return lost

    def unmap(self, c: Call, m: Mapping) -> bool:
        """End a mapping; tell whether bytes of either side are lost."""
        self.mappings.remove(m)
        to_cpu = c.direction in FROM_DEVICE
        lost = to_cpu and self.hand_to_cpu(m, 0, c.length)
        if self.bounces:
            rest = range(m.phys + (c.length if to_cpu else 0), m.phys + m.length)
            far = self.window(m)
            lost = lost or any(far[b] == self.newest.get(b, 0) != self.near.get(b, 0) for b in rest)
        return lost
