"""What an event means in the slow world: scans over everything that is alive or remembered."""

from collections import Counter, defaultdict

from dmaverify.model.kinds import EventKind, Flag, MapType
from tests.oracle.commands import Commands
from tests.oracle.nouns import (
    LINE,
    MAPS,
    PAGE,
    SYNCS,
    TOP,
    Call,
    Device,
    Mapping,
    Meaning,
    Piece,
    agree,
    preference,
)

K = EventKind


class Lookup:
    """Everything at a moment, and what an event means in it. The limits are as in the engine."""

    def __init__(
        self,
        ghost_limit: int = 65536,
        live_limit: int = 1 << 24,
        time_known: bool = True,
        syncs_traced: bool = False,
    ) -> None:
        self.ghost_limit, self.live_limit = ghost_limit, live_limit
        self.time_known, self.syncs_traced = time_known, syncs_traced
        self.devices: defaultdict[int, Device] = defaultdict(Device)
        self.live: list[Mapping] = []  # as they were made
        self.ghosts: list[Mapping] = []  # as they ended
        self.regions: list[tuple[int, int, int]] = []  # physical address, length, kind
        self.translated: Counter[int] = Counter()  # pages, by the number that devices use
        self.balance: Counter[int] = Counter()
        self.rows: Counter[int] = Counter()
        self.counters: Counter[str] = Counter()
        self.commands = Commands()
        self.gaps = 0
        self.serial = 0

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
            for ghost in filter(same, [g for g in self.ghosts if g.named] if not found else []):
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
        self.find_translated(meaning)
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

    def find_translated(self, meaning: Meaning) -> None:
        """Find a mapping of the device in whose pages the IOMMU has just put another."""
        call = meaning.call
        if call.bus_addr is None or not self.devices[call.device].iommu_seen or self.gaps:
            return
        first = call.bus_addr // PAGE
        if not self.translated[first]:
            return
        length = call.sg_bus[0][1] if call.sg_bus else call.length or 0
        end = (call.bus_addr + max(length, 1) - 1) // PAGE + 1
        found = [
            m for m in self.live
            if m.device == call.device and m.translated
            and self.balance[(m.call.bus_addr or 0) // PAGE] <= 0
            and any(p.touches(first * PAGE, (end - first) * PAGE) for p in m.pieces)
        ]  # fmt: skip
        if found:
            meaning.roles["enclosing"] = max(found, key=lambda m: m.serial)

    def untranslated(self, m: Mapping) -> bool:
        """Return True if the IOMMU has removed a mapping for which no end is logged."""
        page = (m.call.bus_addr or 0) // PAGE
        same = [o for o in self.live if o.call.bus_addr is not None]
        same = [o for o in same if (o.call.bus_addr or 0) // PAGE == page]
        removed = self.balance[page]
        return (
            self.gaps == 0 and m in self.live and m.translated and removed > 0 and not self.translated[page]
            and removed >= len(same)
        )  # fmt: skip

    def page_sharer(self, call: Call) -> int | None:
        """Return another device with a live mapping in a page of the memory, piece by piece."""
        if call.kind not in MAPS or call.failed or (not call.sg_bus and call.length is None):
            return None
        for piece in call.pieces:
            if piece.phys is None or piece.phys + piece.length > TOP:
                continue
            first, end = piece.phys // PAGE, (piece.phys + piece.length - 1) // PAGE + 1
            found = [
                m for m in self.live
                if m.device != call.device
                and any(p.remembers(first * PAGE, (end - first) * PAGE) for p in m.pieces)
            ]  # fmt: skip
            if found:
                return max(found, key=lambda m: m.serial).device
        return None

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
