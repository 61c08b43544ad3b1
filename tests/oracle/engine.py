"""The shadow engine again, in lists and scans: what the world is after each event.

Nothing here is fast, packed or limited; an address belongs to a mapping if a walk over all
mappings says so. What a rule may ask of it is in `oracle.answers`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from dmaverify.model.kinds import MAPPING_ERROR, Direction, EventKind, Flag, MapType

K = EventKind
TOP = 1 << 64
PAGE = 4096
LINE = 64
GHOST_PIECES = 64  # of an ended list that are remembered
GHOST_LENGTH = 4  # pieces a ghost, on average, that are remembered
FOLLOWED_PAGES = 1024  # that one IOMMU unmap clears
MAPS = (K.DMA_MAP, K.DMA_ALLOC)
ENDS = (K.DMA_UNMAP, K.DMA_FREE)
SYNCS = (K.DMA_SYNC_FOR_CPU, K.DMA_SYNC_FOR_DEVICE)


@dataclass(frozen=True)
class Call:
    """One event; None is unknown. The names are those of `EventBatch.add`."""

    kind: EventKind
    time: int = 0
    record: int = 1
    bus_addr: int | None = None
    phys_addr: int | None = None
    length: int | None = None
    direction: int | None = None
    type: int = 0
    device: int = 0
    site: int = 0
    cpu: int = 0
    status: int = 0
    flags: int = 0
    virt_addr: int | None = None
    sg_bus: list[tuple[int, int]] | None = None
    sg_phys: list[int] | None = None
    bus_full: int | None = None
    phys_full: int | None = None

    @property
    def failed(self) -> bool:
        """Return True if the call failed, or names what a failed mapping returns."""
        return bool(self.flags & Flag.FAILED) or self.bus_addr == MAPPING_ERROR

    @property
    def listed(self) -> int:
        """Return how many entries the caller's list has, stored or not."""
        assert self.sg_phys is not None
        return len(self.sg_phys) if self.phys_full is None else self.phys_full

    @property
    def seen(self) -> int:
        """Return how many segments the device sees, stored or not."""
        assert self.sg_bus is not None
        return len(self.sg_bus) if self.bus_full is None else self.bus_full

    @property
    def pieces(self) -> "list[Piece]":
        """Return the segments that the call maps."""
        if not self.sg_bus:
            length = self.length or 0
            return [Piece(self.bus_addr, length, self.phys_addr if length else None)]
        paired = self.sg_phys if self.sg_phys is not None and self.listed == self.seen else []
        phys = [*paired, *[None] * len(self.sg_bus)]
        return [Piece(a, n, p if n else None) for (a, n), p in zip(self.sg_bus, phys, strict=False)]


@dataclass(frozen=True)
class Piece:
    """One segment: bytes of the bus, and of memory where that is known."""

    start: int | None
    length: int
    phys: int | None

    def touches(self, start: int, length: int) -> bool:
        """Return True if it shares a byte of the bus; nothing at all still has a place."""
        return self.start is not None and meet(self.start, self.length, start, length)

    def remembers(self, start: int, length: int) -> bool:
        """Return True if it shares a byte of memory."""
        return self.phys is not None and meet(self.phys, self.length, start, length)


def meet(a: int, a_length: int, b: int, b_length: int) -> bool:
    """Return True if two ranges share a place; an empty one is where it begins."""
    return a < b + max(b_length, 1) and b < a + max(a_length, 1)


@dataclass(eq=False)
class Mapping:
    """A mapping, live or ended: the call that made it, and what became of it."""

    call: Call
    serial: int
    epoch: int
    pieces: list[Piece]
    bounced: bool = False
    ambiguous: bool = False
    syncs: int = 0
    ended: Call | None = None

    @property
    def device(self) -> int:
        """Return its device."""
        return self.call.device

    @property
    def direction(self) -> int | None:
        """Return its direction if that is one."""
        known = self.call.direction
        return known if known is not None and known <= Direction.NONE else None

    @property
    def list(self) -> list[int]:
        """Return the physical addresses by which an unmap names it; empty for no list."""
        return self.call.sg_phys or [] if self.call.type == MapType.SG else []

    @property
    def count(self) -> int:
        """Return how many entries the caller passed."""
        named = self.call.type == MapType.SG and self.call.sg_phys is not None
        return self.call.listed if named else 1

    @property
    def whole_pages(self) -> bool:
        """Return True if it is made of whole pages."""
        return all(
            p.start is not None and p.length and p.start % PAGE == p.length % PAGE == 0
            for p in self.call.pieces
        )

    def offset(self, piece: Piece, address: int) -> int:
        """Return how many of its bytes come before an address that is in one of its pieces."""
        assert piece.start is not None
        before = self.pieces[: self.pieces.index(piece)]
        return sum(p.length for p in before) + address - piece.start

    def run(self, piece: Piece) -> int:
        """Return where the bytes end that lie side by side from a piece on."""
        assert piece.start is not None
        end = piece.start + piece.length
        for after in self.pieces[self.pieces.index(piece) + 1 :]:
            if after.start != end:
                break
            end += after.length
        return end


@dataclass
class Device:
    """What is known of a device: counts by name, and what it says about itself."""

    counts: Counter[str] = field(default_factory=Counter)
    limits: dict[str, int] = field(default_factory=dict)
    probe_seen: bool = False
    probe_epoch: int = 0
    iommu_seen: bool = False
    bounced_at: int | None = None


@dataclass
class Meaning:
    """What an event means: mappings by role, and numbers by the names of the fields."""

    call: Call
    roles: dict[str, Mapping] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)
    count: int = 1
    may_predate: bool = False
    across_gap: bool = False


class World:
    """Everything at a moment. The limits are as in the engine."""

    def __init__(
        self, ghost_limit: int = 65536, live_limit: int = 1 << 24, time_known: bool = True
    ) -> None:
        self.ghost_limit, self.live_limit, self.time_known = ghost_limit, live_limit, time_known
        self.devices: defaultdict[int, Device] = defaultdict(Device)
        self.live: list[Mapping] = []  # as they were made
        self.ghosts: list[Mapping] = []  # as they ended
        self.translated: set[int] = set()
        self.balance: Counter[int] = Counter()
        self.rows: Counter[int] = Counter()
        self.counters: Counter[str] = Counter()
        self.gaps = 0
        self.serial = 0

    # ---- one event -------------------------------------------------------------------------------

    def step(self, call: Call) -> Iterator[Meaning]:
        """Replay an event, stopping wherever rules have their say, in the world of that moment."""
        if self.gaps and call.kind in MAPS and not call.failed:
            self.retire(call)
        meaning = self.meaning(call)
        yield meaning
        self.apply(meaning)
        if call.kind == K.DRIVER_UNBOUND:
            yield from self.left(call)
            device = self.devices[call.device]
            device.counts["unbinds"] += 1
            device.probe_seen, device.probe_epoch = True, self.gaps
        self.rows[call.cpu] += 1

    def left(self, call: Call) -> Iterator[Meaning]:
        """End what a driver left behind, the oldest first."""
        for m in [m for m in self.live if m.device == call.device]:
            was = m.call
            told = replace(
                call, kind=K.LEFT_MAPPED, bus_addr=was.bus_addr, phys_addr=was.phys_addr,
                length=was.length, direction=m.direction, type=was.type,
                flags=call.flags & Flag.TIME_UNKNOWN,
            )  # fmt: skip
            yield Meaning(told, {"mapping": m}, count=m.count)
            self.end(m, call)

    def apply(self, meaning: Meaning) -> None:
        """Change the world as an event says."""
        call, device = meaning.call, self.devices[meaning.call.device]
        if call.kind in MAPS:
            self.apply_map(call, device)
        elif call.kind in ENDS:
            self.apply_end(meaning, device)
        elif call.kind in SYNCS:
            device.counts["syncs"] += 1
            self.attribute(meaning)
            if "mapping" in meaning.roles:
                meaning.roles["mapping"].syncs += 1
        elif call.kind == K.BOUNCE:
            device.counts["bounces"] += 1
            device.bounced_at = call.phys_addr
        elif call.kind in (K.DRIVER_PROBE, K.DRIVER_BOUND):
            device.probe_seen, device.probe_epoch = True, self.gaps
        elif call.kind == K.DEVICE_LIMITS:
            said = {"max_segment": call.length, "boundary": call.bus_addr, "dma_mask": call.phys_addr}
            device.limits.update({k: v for k, v in said.items() if v is not None})
        elif call.kind == K.LOST:
            self.counters["lost"] += call.length or 0
            self.gaps += call.status != 1
        elif call.kind in (K.IOMMU_MAP, K.IOMMU_UNMAP):
            self.apply_iommu(call)

    def apply_map(self, call: Call, device: Device) -> None:
        """Add a mapping, or the ghost of one that failed."""
        bounced = call.phys_addr is not None and device.bounced_at == call.phys_addr
        device.bounced_at = None
        if call.failed:
            device.counts["failures"] += 1
            if call.bus_addr != MAPPING_ERROR:
                return
        else:
            device.counts["allocs" if call.kind == K.DMA_ALLOC else "maps"] += 1
        if len(self.live) >= self.live_limit:
            self.counters["refused"] += 1
            return
        self.serial += 1
        m = Mapping(call, self.serial, self.gaps, call.pieces, bounced and not call.failed)
        self.live.append(m)
        if call.bus_addr is not None and call.bus_addr // PAGE in self.translated:
            device.iommu_seen = True
        if call.failed:
            self.end(m, call)

    def apply_end(self, meaning: Meaning, device: Device) -> None:
        """End what an unmap or a free means."""
        call, m = meaning.call, meaning.roles.get("mapping")
        if call.failed or call.flags & Flag.NULL_CPU:
            return
        device.counts["frees" if call.kind == K.DMA_FREE else "unmaps"] += 1
        address = m.call.bus_addr if m and call.bus_addr is None else call.bus_addr
        if self.counters["iommu_events"] and address is not None:
            self.settle(address // PAGE, -1)
        if m:
            self.end(m, call)
        else:
            self.attribute(meaning)

    def attribute(self, meaning: Meaning) -> None:
        """Count what means nothing that is known."""
        if "mapping" not in meaning.roles and not meaning.call.failed:
            self.counters["across_gap"] += meaning.across_gap
            self.counters["in_flight"] += meaning.may_predate and not meaning.across_gap

    def apply_iommu(self, call: Call) -> None:
        """Keep the IOMMU's pages: translated or not, and unmaps less the calls that explain them."""
        self.counters["iommu_events"] += 1
        first = (call.bus_addr or 0) // PAGE
        if call.kind == K.IOMMU_MAP:
            self.translated.add(first)
            return
        pages = min(max((call.length or 0) // PAGE, 1), FOLLOWED_PAGES)
        self.translated -= set(range(first, first + pages))
        self.settle(first, 1)

    def settle(self, page: int, step: int) -> None:
        """Move a page's balance, within bounds."""
        self.balance[page] = max(-100, min(100, self.balance[page] + step))

    # ---- ends ------------------------------------------------------------------------------------

    def end(self, m: Mapping, call: Call) -> None:
        """Make a ghost of a mapping. What it covers is what ended last there."""
        self.live.remove(m)
        if m.list:
            self.ghosts = [
                g for g in self.ghosts if g.device != m.device or g.list[:1] != m.list[:1]
            ]
        m.ended, m.epoch = call, self.gaps
        del m.pieces[GHOST_PIECES:]
        for g in [g for g in self.ghosts if g.device == m.device]:
            left = [p for p in g.pieces if not any(inside(p, new) for new in m.pieces)]
            if g.pieces and not left:
                self.ghosts.remove(g)
            g.pieces = left
        self.ghosts.append(m)
        while self.remembers_too_much():
            self.counters["forgotten"] += 1
            del self.ghosts[0]

    def remembers_too_much(self) -> bool:
        """Return True if there are more ghosts, or more pieces of them, than the limit allows."""
        pieces = sum(p.start is not None for g in self.ghosts for p in g.pieces)
        return len(self.ghosts) > self.ghost_limit or pieces > self.ghost_limit * GHOST_LENGTH

    def retire(self, call: Call) -> None:
        """End what was mapped before a gap and can not live beside the new mapping."""
        pieces = call.pieces
        places = [(p.start, p.length) for p in pieces if p.start is not None]
        if call.sg_bus:
            memory = [(p, 1) for p in call.sg_phys or []]
        else:
            memory = [(call.phys_addr, call.length or 0)] if call.phys_addr is not None else []
        tests = [("touches", r) for r in places] + [("remembers", r) for r in memory]
        for test, (start, length) in tests:
            for m in list(self.live):
                hit = any(getattr(p, test)(start, length) for p in m.pieces)
                if hit and m.device == call.device and m.epoch != self.gaps:
                    epoch = m.epoch
                    self.end(m, call)
                    m.epoch = epoch
                    self.counters["across_gap"] += 1

    # ---- what an event means ---------------------------------------------------------------------

    def meaning(self, call: Call) -> Meaning:
        """Return what an event means, in the world before it."""
        meaning = Meaning(call)
        if call.kind in MAPS and not call.failed:
            self.measure(meaning)
        if call.kind in ENDS:
            if call.sg_phys is not None:
                meaning.count = call.listed
            if call.bus_addr is not None:
                self.find_ended(meaning, call.bus_addr)
            elif call.sg_phys:
                self.find_list(meaning, call.sg_phys)
        if call.kind in SYNCS:
            if call.sg_bus:
                meaning.count = call.seen
            if call.bus_addr is not None:
                self.find_synced(meaning, call.bus_addr)
        if call.kind in ENDS + SYNCS and "mapping" not in meaning.roles:
            self.judge_beginning(meaning)
            if "foreign" in meaning.roles and not self.foreign_counts(meaning):
                del meaning.roles["foreign"]
        return meaning

    def find_ended(self, meaning: Meaning, address: int) -> None:
        """Find what an unmap by bus address ends: the best fit, of equals the oldest."""
        call, roles = meaning.call, meaning.roles
        mine = [m for m in self.live if m.device == call.device]
        fits = [m for m in mine if any(p.start == address for p in m.pieces)]
        meaning.numbers["candidates"] = len(fits)
        if fits:
            roles["mapping"] = max(
                fits, key=lambda m: (self.fit(call, m), m.pieces[0].start == address, -m.serial)
            )
            freed = not (call.failed or call.flags & Flag.NULL_CPU)
            for m in fits if freed else []:
                same = m.call.phys_addr == roles["mapping"].call.phys_addr
                m.ambiguous |= m is not roles["mapping"] and not same
            return
        inner = [m for m in mine if any(p.touches(address, 1) for p in m.pieces)]
        if inner:
            m = max(inner, key=lambda m: (self.fit(call, m), -m.serial))
            piece = next(p for p in m.pieces if p.touches(address, 1))
            roles["enclosing"], meaning.numbers["into"] = m, m.offset(piece, address)
        others = [m for m in self.live if m not in mine and m.pieces[0].start == address]
        if others:
            roles["foreign"] = max(others, key=lambda m: (self.fit(call, m), -m.serial))
        self.find_ghost(meaning, address)

    def fit(self, call: Call, m: Mapping) -> tuple[int, bool, bool]:
        """Return how well an unmap fits a mapping."""
        pointer = call.virt_addr is not None and call.virt_addr == m.call.virt_addr
        points = 8 * agree(call.length, m.call.length) + 8 * pointer
        points += 4 * (call.type == m.call.type) + 2 * agree(call.direction, m.direction)
        return points, m.epoch == self.gaps, m.call.site == call.site

    def find_list(self, meaning: Meaning, entries: list[int]) -> None:
        """Find what an unmap of a list ends; it names physical addresses only."""
        call, roles = meaning.call, meaning.roles

        def same(m: Mapping) -> bool:
            shorter = min(len(m.list), len(entries))
            return m.device == call.device and 0 < shorter and (
                m.list[:shorter] == entries[:shorter]
            )  # fmt: skip

        found = [m for m in self.live if same(m)]
        if found:
            roles["mapping"] = m = max(
                found,
                key=lambda m: (
                    m.count == call.listed, agree(call.direction, m.direction), -m.serial
                ),
            )  # fmt: skip
            meaning.numbers["matching_entries"] = min(len(m.list), len(entries))
        else:
            found = [
                m for m in self.live
                if m.device == call.device and m.call.type != MapType.SG
                and any(p.phys == entries[0] for p in m.pieces)
            ]  # fmt: skip
            if found:
                roles["mapping"] = max(
                    found, key=lambda m: (agree(call.direction, m.direction), -m.serial)
                )
                meaning.numbers["matching_entries"] = 1
            for ghost in filter(same, self.ghosts if not found else []):
                roles["ghost"] = ghost
        meaning.numbers["candidates"] = len(found)

    def find_synced(self, meaning: Meaning, address: int) -> None:
        """Find what a sync is about: what holds its first byte, best all of it, best the newest."""
        call = meaning.call
        length = call.sg_bus[0][1] if call.sg_bus else call.length or 0
        mine: list[tuple[tuple[int, int], Mapping, Piece, int]] = []
        others: list[tuple[tuple[int, int], Mapping]] = []
        for m in self.live:
            for piece in m.pieces:
                if not piece.touches(address, 1):
                    continue
                past = max(0, length - (m.run(piece) - address))
                score = 8 * (past == 0) + 2 * agree(call.direction, m.direction)
                if call.sg_bus and m.call.type == MapType.SG:
                    score += 1 + 4 * (m.count == call.seen)
                if m.device == call.device:
                    mine.append(((score, m.serial), m, piece, past))
                elif past == 0 and agree(call.direction, m.direction):
                    others.append(((score, -m.serial), m))
        meaning.numbers["candidates"] = len({id(m) for _, m, _, _ in mine})
        if mine:
            _, m, piece, past = max(mine, key=lambda row: row[0])
            meaning.roles["mapping"] = m
            meaning.numbers.update(past_end=past, into=m.offset(piece, address))
        elif others:
            meaning.roles["foreign"] = max(others, key=lambda row: row[0])[1]
        if not mine:
            self.find_ghost(meaning, address)

    def find_ghost(self, meaning: Meaning, address: int) -> None:
        """Find what ended last at an address; of what ended at one event, the newest."""
        covering = [
            g for g in self.ghosts
            if g.device == meaning.call.device
            and any(p.touches(address, 1) for p in g.pieces)
        ]  # fmt: skip
        if covering:
            meaning.roles["ghost"] = max(covering, key=lambda g: (g.ended.record, g.serial))

    def judge_beginning(self, meaning: Meaning) -> None:
        """Tell whether what is meant may be older than the recording."""
        call, device = meaning.call, self.devices[meaning.call.device]
        page = call.bus_addr // PAGE if call.bus_addr is not None else None
        removed = self.balance[page] if page is not None else 0
        ghost = meaning.roles.get("ghost")
        unmap = call.kind == K.DMA_UNMAP
        ended_here = ghost is not None and ghost.epoch == self.gaps and not (unmap and removed > 0)
        born_here = device.probe_seen and device.probe_epoch == self.gaps
        untouched = (
            unmap and call.type != MapType.SG and self.gaps == 0 and device.iommu_seen
            and self.rows[call.cpu] >= 2 and removed <= 0
        )  # fmt: skip
        meaning.may_predate = not (ended_here or born_here or untouched)
        meaning.across_gap = meaning.may_predate and self.gaps != 0

    def foreign_counts(self, meaning: Meaning) -> bool:
        """Tell whether another device's mapping is more than an equal number."""
        call, m = meaning.call, meaning.roles["foreign"]
        exact = agree(call.length, m.call.length) and agree(call.direction, m.direction)
        apart = self.devices[m.device].iommu_seen or self.devices[call.device].iommu_seen
        if call.kind in SYNCS:
            return not apart and (exact or not meaning.may_predate)
        exact = exact and call.type == m.call.type
        if apart:
            removed = self.balance[(call.bus_addr or 0) // PAGE] > 0
            return exact and "ghost" not in meaning.roles and not removed
        return exact or not meaning.may_predate

    def measure(self, meaning: Meaning) -> None:
        """Measure a new mapping and find whose memory it shares."""
        call, numbers = meaning.call, meaning.numbers
        if call.sg_phys is not None:
            meaning.count = call.listed
        if not call.sg_bus and (call.bus_addr is None or call.length is None):
            return
        shared: dict[int, Mapping] = {}
        close: dict[int, Mapping] = {}
        for piece in call.pieces:
            assert piece.start is not None
            numbers["longest_segment"] = max(numbers["longest_segment"], piece.length)
            if piece.length:
                numbers["crossing"] |= piece.start ^ (piece.start + piece.length - 1) % TOP
            for m in self.live if piece.phys is not None else []:
                self.compare(m, piece, shared, close)
        numbers["overlaps"] = len(shared)
        for role, found in (("overlap", shared), ("neighbour", close)):
            if found:
                meaning.roles[role] = max(
                    found.values(), key=lambda m: (preference(m, call.device), m.serial)
                )

    def compare(
        self, m: Mapping, piece: Piece, shared: dict[int, Mapping], close: dict[int, Mapping]
    ) -> None:
        """Sort a mapping by what it shares with a new segment: bytes, only lines, or nothing."""
        assert piece.phys is not None
        first = piece.phys // LINE * LINE
        end = -(-(piece.phys + piece.length) // LINE) * LINE
        if end >= TOP or m.ambiguous:  # no memory reaches the top of the address space
            return
        for other in m.pieces:
            if other.remembers(piece.phys, piece.length):
                shared[id(m)] = m
            elif other.remembers(first, end - first):
                close[id(m)] = m


def agree(a: int | None, b: int | None) -> bool:
    """Return True unless both are known and differ."""
    return a is None or b is None or a == b


def inside(a: Piece, b: Piece) -> bool:
    """Return True if a place lies wholly in another."""
    if a.start is None or b.start is None or not a.touches(b.start, b.length):
        return False
    return b.start <= a.start and a.start + a.length <= b.start + b.length


def preference(m: Mapping, device: int) -> tuple[bool, bool, bool, bool]:
    """Return which of several mappings that share memory is named: the one most likely wrong."""
    call = m.call
    registered = (
        call.type == MapType.SG and (call.direction or 0) == Direction.BIDIRECTIONAL
        and m.whole_pages
    )  # fmt: skip
    quiet = call.flags & (Flag.SKIP_SYNC | Flag.MMIO)
    return m.device == device, (call.direction or 0) != Direction.TO_DEVICE, not quiet, not registered
