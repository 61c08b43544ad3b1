"""What devices and the CPU do with memory, in the slow world: sets of bytes, one by one."""

from collections.abc import Iterator

from dmaverify.model.kinds import MAPPING_ERROR, Direction, EventKind, MapType, Provenance
from tests.oracle.lookup import Lookup
from tests.oracle.nouns import PAGE, SYNCS, Call, Mapping, Meaning, meet
from tests.oracle.ownership import (
    FOLLOWED,
    Range,
    device_owns,
    dirty_beside,
    dirty_lines,
    end_transfer,
    first_byte,
    give,
    overwrites,
    under_way,
    write_beside,
)

K = EventKind
DEVICE_KINDS = (K.DEV_READ, K.DEV_WRITE, K.DEV_START)
CPU_KINDS = (K.CPU_READ, K.CPU_WRITE)
NEAR = 4096  # how far behind a mapping an address still comes from it
KERNEL_HALF = 0x1FFFF  # the upper 17 bits of a kernel pointer
OPEN = {"write_open": Direction.FROM_DEVICE, "read_open": Direction.TO_DEVICE}


class Accesses(Lookup):
    """The part of the world that knows who touched which bytes."""

    # ---- a device --------------------------------------------------------------------------------

    def find_accessed(self, meaning: Meaning, address: int) -> None:
        """Find the mapping that a device's access lies in, and where its address comes from."""
        call, roles = meaning.call, meaning.roles
        length = call.length or 0
        holding = [m for m in self.live if any(p.touches(address, 1) for p in m.pieces)]
        mine = [m for m in holding if m.device == call.device]
        meaning.numbers["candidates"] = len(mine)
        if mine:
            m = max(
                mine, key=lambda m: (self.reach(m, address) >= length, allows(call, m), m.serial)
            )
            piece = next(p for p in m.pieces if p.touches(address, 1))
            past = max(0, length - self.covered(call, address))
            roles["mapping"] = m
            meaning.numbers.update(past_end=past, into=m.offset(piece, address))
            meaning.numbers["unsent_bytes"] = len(m.unsent & bytes_of(m, False, address, length))
            if call.kind == K.DEV_WRITE:
                touched = ranges_of(m, False, address, length)
                meaning.numbers["dirty_line_bytes"] = dirty_lines(m, touched)
                meaning.numbers["neighbour_bytes"] = len(dirty_beside(m, touched))
        else:
            others = [m for m in holding if m.device != call.device]
            if others:
                roles["foreign"] = max(others, key=lambda m: m.serial)
            self.find_ghost(meaning, address)
            self.judge_beginning(meaning)
        meaning.numbers["provenance"] = self.provenance(meaning, address)
        memory = meaning.numbers["memory"]
        if meaning.numbers["provenance"] == Provenance.PHYSICAL_ADDRESS and memory:
            meaning.may_predate = False

    def reach(self, m: Mapping, address: int) -> int:
        """Return how many bytes of a mapping follow each other from an address on."""
        piece = next(p for p in m.pieces if p.touches(address, 1))
        return m.run(piece) - address

    def covered(self, call: Call, address: int) -> int:
        """Return how many bytes from an address on lie in any mappings of the device."""
        at = address
        while True:
            ends = [
                p.start + p.length
                for m in self.live
                for p in m.pieces
                if m.device == call.device and p.start is not None and p.touches(at, 1)
            ]
            if max(ends, default=at) <= at:
                return at - address
            at = max(ends)

    def provenance(self, meaning: Meaning, address: int) -> Provenance:
        """Return where an address comes from; may settle which of two roles it is."""
        call, roles = meaning.call, meaning.roles
        if address == MAPPING_ERROR:
            return Provenance.MAPPING_ERROR
        if "mapping" in roles:
            return Provenance.MAPPING
        if "ghost" in roles and "foreign" in roles:
            ended = roles["ghost"].ended
            assert ended is not None
            newer = ended.record < roles["foreign"].call.record
            del roles["ghost" if newer else "foreign"]
        if "ghost" in roles:
            return Provenance.ENDED_MAPPING
        if "foreign" in roles:
            return Provenance.FOREIGN_MAPPING
        if address >> 47 == KERNEL_HALF:
            return Provenance.KERNEL_POINTER
        length = call.length or 0
        if self.ahead(meaning, address, length):
            return Provenance.BEFORE_MAPPING
        meaning.numbers["memory"] = self.memory_at(address, length)
        known = any(p.remembers(address, length) for m in self.live for p in m.pieces)
        if meaning.numbers["memory"] or known:
            return Provenance.PHYSICAL_ADDRESS
        return self.computed(meaning, address) if address else Provenance.UNKNOWN

    def computed(self, meaning: Meaning, address: int) -> Provenance:
        """Return whether an address was made from a mapping's, wrongly."""
        length = meaning.call.length or 0
        mine = [m for m in self.live if m.device == meaning.call.device]
        before = max(address - NEAR, 0)
        behind = [
            (p.start + p.length - address, m.serial, m)
            for m in mine
            for p in m.pieces
            if p.start is not None and p.touches(before, address - before)
        ]
        if behind:
            end, _, m = max(behind, key=lambda row: row[:2])
            if not self.ahead(meaning, address, length + NEAR, length - end):
                meaning.roles["enclosing"] = m
                meaning.numbers["distance"] = -end
                return Provenance.PAST_MAPPING
            return Provenance.BEFORE_MAPPING
        if self.ahead(meaning, address, length + NEAR):
            return Provenance.BEFORE_MAPPING
        cut = [m for m in mine if truncates(m, address)]
        if cut:
            meaning.roles["enclosing"] = max(cut, key=lambda m: m.serial)
            return Provenance.TRUNCATED_ADDRESS
        return Provenance.UNKNOWN

    def ahead(self, meaning: Meaning, address: int, within: int, nearer: int | None = None) -> bool:
        """Find the mapping of the device that begins first behind an address, and how far away."""
        starts = [
            (p.start - address, -m.serial, m)
            for m in self.live
            for p in m.pieces
            if m.device == meaning.call.device and p.start is not None
            and address < p.start < address + within
        ]  # fmt: skip
        if not starts:
            return False
        distance, _, m = min(starts, key=lambda row: row[:2])
        if nearer is not None and distance >= nearer:
            return False
        meaning.roles["enclosing"], meaning.numbers["distance"] = m, distance
        return True

    def apply_transfer(self, meaning: Meaning) -> None:
        """Open or close a transfer; what the device wrote is news to the CPU."""
        call, m = meaning.call, meaning.roles.get("mapping")
        cut = any(o.truncated for o in self.live if o.device == call.device)
        if m is None:
            if (
                "foreign" not in meaning.roles
                and meaning.may_predate
                and not call.failed
                and not cut
            ):
                self.counters["across_gap" if meaning.across_gap else "in_flight"] += 1
        elif call.kind == K.DEV_START:
            m.transfers += 1
            m.open.append(call)
        else:
            m.transfers = max(0, m.transfers - 1)
            end_transfer(m, call)
            if call.kind == K.DEV_WRITE:
                assert call.bus_addr is not None
                news = bytes_of(m, False, call.bus_addr, call.length or 0)
                m.stale |= news
                m.unsent -= news

    # ---- the driver and the CPU ------------------------------------------------------------------

    def hand_over(self, m: Mapping, call: Call) -> None:
        """Hand the synced bytes to the other side, if the direction of the sync moves any."""
        to_cpu = call.kind == K.DMA_SYNC_FOR_CPU
        still = call.direction == (Direction.TO_DEVICE if to_cpu else Direction.FROM_DEVICE)
        side = m.stale if to_cpu else m.unsent
        for ranges in synced(m, call):
            give(m, ranges, to_cpu)
            if not (to_cpu and still):
                m.beside -= dirty_beside(m, ranges)
            if not still:
                side -= {(i, b) for i, b in side for j, a, z in ranges if i == j and a <= b < z}

    def measure_return(self, meaning: Meaning) -> None:
        """Tell what a sync or an unmap overwrites, and what goes on where it is."""
        call, m = meaning.call, meaning.roles.get("mapping")
        if m is None:
            return
        if overwrites(call, m):
            everything = [(i, 0, p.length) for i, p in enumerate(m.pieces)]
            parts = synced(m, call) if call.kind in SYNCS else [everything]
            for ranges in parts:
                hit = {(i, b) for i, b in m.unsent for j, a, z in ranges if i == j and a <= b < z}
                meaning.numbers["lost_bytes"] += len(hit)
                meaning.numbers["neighbour_bytes"] += len(dirty_beside(m, ranges))
        if call.kind in SYNCS and call.bus_addr is not None:
            for start, length in call.sg_bus or [(call.bus_addr, call.length or 0)]:
                for name, way in OPEN.items():
                    meaning.numbers[name] |= under_way(m, way, start, length)

    def accesses(self, call: Call) -> Iterator[Meaning]:
        """Give what a CPU access means, once for each mapping whose memory it touches."""
        phys, length = call.phys_addr, call.length
        found = [
            m
            for m in self.live
            if phys is not None and length and any(p.remembers(phys, length) for p in m.pieces)
        ]
        for m in found:
            assert phys is not None
            touched = bytes_of(m, True, phys, length or 0)
            meaning = Meaning(call, {"mapping": m})
            meaning.numbers["stale_bytes"] = len(m.stale & touched)
            meaning.numbers["unsent_bytes"] = len(m.unsent & touched)
            ranges = ranges_of(m, True, phys, length or 0)
            meaning.numbers["device_owned_bytes"] = device_owns(m, ranges)
            for name, way in OPEN.items():
                meaning.numbers[name] = any(
                    under_way(m, way, (m.pieces[i].start or 0) + first, end - first)
                    for i, first, end in ranges
                )
            yield meaning
            if call.kind == K.CPU_WRITE:
                m.unsent |= touched
                m.stale -= touched
            elif meaning.numbers["device_owned_bytes"]:
                m.unsynced_reads += 1
        if not found:
            yield Meaning(call)
        if call.kind == K.CPU_WRITE and phys is not None and length:
            for m in self.live:
                write_beside(m, phys, length)

    # ---- memory ----------------------------------------------------------------------------------

    def add_memory(self, call: Call) -> None:
        """Learn what kind of memory a range is; older words about any of it are void."""
        if call.phys_addr is None or not call.length:
            return
        phys, length = call.phys_addr, call.length
        self.regions = [r for r in self.regions if not meet(r[0], r[1], phys, length)]
        self.regions.append((phys, length, call.object))

    def free_memory(self, call: Call) -> None:
        """Give memory back to the system: its kind is void, and what is mapped of it is marked."""
        if call.phys_addr is None or not call.length:
            return
        phys, length = call.phys_addr, call.length
        self.regions = [r for r in self.regions if not meet(r[0], r[1], phys, length)]
        for m in self.live:
            bus = m.call.bus_addr
            removed = bus is not None and self.balance[bus // PAGE] > 0
            streaming = m.call.type in (MapType.SINGLE, MapType.SG)
            touched = any(p.remembers(phys, length) for p in m.pieces)
            if streaming and touched and not removed and m.freed is None:
                m.freed = call

    def memory_at(self, phys: int, length: int) -> int:
        """Return the kind of memory that a range begins in, or meets first; 0 is unknown."""
        met = [r for r in self.regions if meet(r[0], r[1], phys, length)]
        return min(met)[2] if met else 0


def allows(call: Call, m: Mapping) -> bool:
    """Return True if the mapping's direction allows what the device does, as far as it is told."""
    if call.kind == K.DEV_START and call.direction is None:
        return True
    writes = call.kind == K.DEV_WRITE or (
        call.kind == K.DEV_START and call.direction == Direction.FROM_DEVICE
    )
    needed = Direction.FROM_DEVICE if writes else Direction.TO_DEVICE
    return m.direction in (None, Direction.BIDIRECTIONAL, needed)


def truncates(m: Mapping, address: int) -> bool:
    """Return True if an address is one in the mapping without its upper 32 bits."""
    start, length = m.call.bus_addr, m.call.length
    if start is None or length is None or start >> 32 == 0 or address >> 32 != 0:
        return False
    return (address - start) % (1 << 32) < length


def synced(m: Mapping, call: Call) -> list[list[Range]]:
    """Return what each entry of a sync has in a mapping."""
    assert call.bus_addr is not None
    entries = call.sg_bus or [(call.bus_addr, call.length or 0)]
    return [ranges_of(m, False, start, length) for start, length in entries]


def ranges_of(m: Mapping, memory: bool, start: int, length: int) -> list[Range]:
    """Return (piece, first offset, end) of what a range of the bus or of memory has in a mapping."""
    found = []
    for i, piece in enumerate(m.pieces):
        base = piece.phys if memory else piece.start
        if base is not None:
            first, end = max(start - base, 0), min(start + length - base, piece.length)
            if first < end:
                found.append((i, first, end))
    return found


def bytes_of(m: Mapping, memory: bool, start: int, length: int) -> set[tuple[int, int]]:
    """Return the bytes, as (piece, offset), that a range has in a mapping, as far as followed."""
    return {
        (i, b)
        for i, first, end in ranges_of(m, memory, start, length)
        for b in range(first, min(end, FOLLOWED - first_byte(m.pieces[i])))
    }
