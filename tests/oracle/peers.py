"""What peers do, and what the CPU can know of it, again: byte by byte, in lists."""

from dataclasses import dataclass, field

from dmaverify.model.kinds import (
    AccessSide,
    EventKind,
    Hazard,
    HcaValue,
    Opcode,
    QpState,
    QpType,
    Rights,
    WcFlag,
)
from tests.oracle.nouns import Call

K, V = EventKind, HcaValue
Said = tuple[EventKind, tuple[int | None, ...]]
HEADER = 40


@dataclass(eq=False)
class Region:
    """A region under one key."""

    call: Call
    alive: bool = True

    @property
    def based(self) -> bool:
        """Return True if its addresses are its own, not the process's."""
        return bool((self.call.direction or 0) & Rights.ZERO_BASED)


@dataclass(eq=False)
class Pair:
    """A queue pair; its receives are (wr_id, bytes of the list with their regions)."""

    number: int
    type: int
    in_order: bool
    receives: list[tuple[int, list[tuple[int, Region | None]]]] = field(default_factory=list)


@dataclass(eq=False)
class Access:
    """What a peer did, or bytes that are undefined; no completion has told of it."""

    what: str
    bytes: set[int]
    pair: Pair
    region: Region


class Peers:
    """All that is open between peers and the CPU."""

    def __init__(self) -> None:
        self.regions: list[Region] = []
        self.pairs: dict[int, Pair] = {}
        self.open: list[Access] = []

    def step(self, call: Call) -> list[Said]:
        """Replay an event and return what is said at it."""
        said: list[Said] = getattr(self, call.kind.name.lower())(call)
        return said

    def region(self, key: int) -> Region | None:
        """Return the live region of a key."""
        found = [r for r in self.regions if r.call.object == key][-1:]
        return found[0] if found and found[0].alive else None

    def reg_mr(self, call: Call) -> list[Said]:
        """Register a region."""
        self.dereg_mr(call)
        self.regions.append(Region(call))
        return []

    def dereg_mr(self, call: Call) -> list[Said]:
        """End a region; what was done by its key does not matter any more."""
        region = self.region(call.object)
        if region:
            region.alive = False
            self.open = [a for a in self.open if a.region is not region]
        return []

    def create_qp(self, call: Call) -> list[Said]:
        """Make a queue pair."""
        self.destroy_qp(call)
        self.pairs[call.object] = Pair(
            call.object, call.type, bool(call.beside(V.DATA_IN_ORDER))
        )
        return []

    def destroy_qp(self, call: Call) -> list[Said]:
        """End a queue pair, and with it all that its peer did."""
        pair = self.pairs.pop(call.object, None)
        self.open = [a for a in self.open if a.pair is not pair]
        return []

    def modify_qp(self, call: Call) -> list[Said]:
        """Move a queue pair; a reset drops its receives."""
        pair = self.pairs.setdefault(call.object, Pair(call.object, 0, False))
        if call.status == QpState.RESET:
            pair.receives = []
        return []

    def post_recv(self, call: Call) -> list[Said]:
        """Post a receive: its bytes come anew."""
        pair = self.pairs.setdefault(call.object, Pair(call.object, 0, False))
        listed = [
            (start + at, self.region(key)) for start, n, key in call.sges or [] for at in range(n)
        ]
        pair.receives.append((call.phys_addr or 0, listed))
        anew = {at for at, _ in listed}
        for access in self.open:
            if access.what == "header" and access.pair is pair:
                access.bytes -= anew
        return []

    def cqe(self, call: Call) -> list[Said]:
        """Poll a completion: it tells of what came before it on its queue pair."""
        pair = self.pairs.get(call.object)
        if not pair:
            return []
        if call.status == 0 and call.type == Opcode.RECV:
            self.open = [a for a in self.open if a.pair is not pair or a.what == "header"]
        if call.status == 0 and call.type not in (0, Opcode.RECV):
            return []
        found = next((r for r in pair.receives if r[0] == call.phys_addr), None)
        if not found:
            return []
        pair.receives.remove(found)
        flags = call.beside(V.WC_FLAGS)
        if call.status or pair.type != QpType.UD or flags is None or flags & WcFlag.GRH:
            return []
        for at, region in found[1][:HEADER]:
            if region and not region.based and region.alive:
                self.open.append(Access("header", {at}, pair, region))
        return []

    def hca_access(self, call: Call) -> list[Said]:
        """Let a peer reach for memory, and count what nothing orders with it."""
        region, pair = self.region(call.object), self.pairs.get(call.beside(V.QUEUE_PAIR) or 0)
        what = {1: "read", 2: "write"}.get(call.status, "")
        if call.direction is not None and call.direction & Rights.REMOTE_ATOMIC and what:
            what = "atomic"
        if call.type != AccessSide.REMOTE or not what or region is None or pair is None or \
                call.bus_addr is None or not call.length:  # fmt: skip
            return [(call.kind, (0,))]
        mine = Access(what, set(range(call.bus_addr, call.bus_addr + call.length)), pair, region)
        racing = sum(self.races(mine, a) for a in self.open)
        if not any(a.what == what and a.pair is pair and a.region is region and
                   mine.bytes <= a.bytes for a in self.open):  # fmt: skip
            self.open.append(mine)
        return [(call.kind, (racing,))]

    def races(self, mine: Access, other: Access) -> bool:
        """Return True if two accesses share bytes and nothing orders them."""
        if other.what == "header" or not mine.bytes & other.bytes:
            return False
        a, b = mine.region.call, other.region.call
        if mine.region is not other.region and (
            a.phys_addr is None or a.phys_addr != b.phys_addr or None in (a.direction, b.direction)
            or mine.region.based or other.region.based
        ):  # fmt: skip
            return False
        if mine.what == other.what and mine.what in ("read", "atomic"):
            return False
        if mine.pair is not other.pair:
            return True
        relaxed = bool(a.beside(V.RELAXED) or b.beside(V.RELAXED))
        return mine.what == other.what == "write" and relaxed

    def cpu_read(self, call: Call) -> list[Said]:
        """Let the CPU read."""
        return self.touch(call, False)

    def cpu_write(self, call: Call) -> list[Said]:
        """Let the CPU write."""
        return self.touch(call, True)

    def touch(self, call: Call, writes: bool) -> list[Said]:
        """Return why the CPU had better not: the gravest reason."""
        if call.virt_addr is None or not call.length:
            return []
        touched = set(range(call.virt_addr, call.virt_addr + call.length))
        posted = {at for p in self.pairs.values() for _, listed in p.receives
                  for at, r in listed if r is None or not r.based}  # fmt: skip
        if touched & posted:
            return [(K.WORK_TOUCHED, (int(Hazard.OWNED),))]
        reasons = [self.reason(a, writes) for a in self.open
                   if not a.region.based and a.bytes & touched]  # fmt: skip
        known = sorted(int(r) for r in reasons if r)
        return [(K.WORK_TOUCHED, (known[0],))] if known else []

    def reason(self, access: Access, writes: bool) -> Hazard:
        """Return what one open access makes of a touch."""
        if writes:
            return {"write": Hazard.PEER_WROTE, "atomic": Hazard.PEER_ATOMIC,
                    "read": Hazard.PEER_READS}.get(access.what, Hazard.NONE)  # fmt: skip
        if access.what == "write" and not access.pair.in_order:
            return Hazard.POLLED
        return Hazard.NO_HEADER if access.what == "header" else Hazard.NONE
