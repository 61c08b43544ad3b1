"""What memory an HCA works with, again: sets of bytes, and scans of lists."""

from dataclasses import dataclass, field
from itertools import pairwise

from dmaverify.model.kinds import (
    Direction,
    EventKind,
    Flag,
    HcaObject,
    HcaValue,
    MadStep,
    QpState,
    QueuePart,
    RangeChange,
    RegionType,
    Rights,
)
from tests.oracle.nouns import Call

K, V = EventKind, HcaValue
Said = tuple[EventKind, tuple[int | None, ...]]
Range = tuple[int, int]
UNPINNED = (RegionType.ON_DEMAND, RegionType.DMABUF)
#: Regions whose addresses are those of a process.
OF_PROCESS = (RegionType.UNKNOWN, RegionType.USER, RegionType.ON_DEMAND)


@dataclass(eq=False)
class Holder:
    """A region or a queue pair: whether it lives, and how far the HCA is with letting it go."""

    number: int
    pd: int | None = None
    call: Call | None = None
    alive: bool = True
    asked: bool = False
    failed: bool = False
    over: bool = False
    state: int = QpState.RESET
    table: set[int] = field(default_factory=set)  # pages that the HCA has, in steps of STEP

    @property
    def used(self) -> bool:
        """Return True if the HCA may still reach what belongs to it."""
        return self.asked or self.failed or (self.alive and not self.over)


@dataclass(eq=False)
class Hold:
    """Memory that is held, by bus address."""

    ranges: list[Range]
    what: str
    of: Holder | None = None
    index: int = 0
    part: int = 0
    name: tuple[int, int] = (0, 0)


STEP = 0x400


def overlap(a: Range, b: Range) -> int:
    """Return how many bytes two ranges share."""
    return max(0, min(a[0] + a[1], b[0] + b[1]) - max(a[0], b[0]))


def pieces(call: Call) -> list[Range]:
    """Return the memory that an event names."""
    if call.sges:
        return [(a, n) for a, n, _ in call.sges]
    if call.bus_addr is None or call.length is None:
        return []
    return [(call.bus_addr, call.length)]


class Pins:
    """Mappings, regions, queue pairs, and what is held."""

    def __init__(self) -> None:
        self.mappings: list[Call] = []
        self.regions: list[Holder] = []
        self.pairs: list[Holder] = []
        self.holds: list[Hold] = []

    def step(self, call: Call) -> list[Said]:
        """Replay an event and return what is said at it, each once."""
        said: list[Said] = getattr(self, call.kind.name.lower())(call)
        return said

    def region(self, key: int) -> Holder | None:
        """Return the newest region of a key."""
        return next((r for r in reversed(self.regions) if r.number == key), None)

    def pair(self, number: int) -> Holder | None:
        """Return the newest queue pair of a number."""
        return next((p for p in reversed(self.pairs) if p.number == number), None)

    # ---- the DMA API -----------------------------------------------------------------------------

    def driver_probe(self, _: Call) -> list[Said]:
        """Nothing was mapped before."""
        return []

    def dma_map(self, call: Call) -> list[Said]:
        """Map memory, at an address where nothing is mapped."""
        self.mappings.append(call)
        return []

    def dma_unmap(self, call: Call) -> list[Said]:
        """Take memory away from what holds it."""
        mapping = next((m for m in self.mappings if m.bus_addr == call.bus_addr), None)
        if mapping is None:
            return []
        self.mappings.remove(mapping)
        gone = (mapping.bus_addr or 0, mapping.length or 0)
        said = []
        for hold in self.holds:
            if not any(overlap(r, gone) for r in hold.ranges) or not self.holds_on(hold):
                continue
            of = self.owner(hold)
            said.append((K.HCA_LOST, (
                int(hold.what == "mad"), hold.part if hold.what == "queue" else 0,
                int(of is not None and of.asked), int(of is not None and of.failed),
            )))  # fmt: skip
        self.holds = [h for h in self.holds if self.holds_on(h) or
                      not any(overlap(r, gone) for r in h.ranges)]  # fmt: skip
        return said

    def owner(self, hold: Hold) -> Holder | None:
        """Return what held memory is of; pages are of the newest region of their key's index."""
        if hold.what == "pages":
            same = [r for r in self.regions if r.number >> 8 == hold.index]
            return same[-1] if same else None
        return hold.of

    def holds_on(self, hold: Hold) -> bool:
        """Return True if the HCA may reach what is held."""
        of = self.owner(hold)
        if hold.what == "mad":
            return True
        if of is None or not of.used:
            return False
        return hold.what == "queue" or of.asked or of.failed or of.over or not self.drained(of)

    def drained(self, region: Holder) -> bool:
        """Return True if no queue pair can reach a region."""
        return not any(
            p.alive and p.state not in (QpState.RESET, QpState.ERR)
            and (p.pd is None or region.pd is None or p.pd == region.pd)
            for p in self.pairs
        )  # fmt: skip

    def behind(self, call: Call, write: bool) -> tuple[int, int]:
        """Return how many bytes are not mapped, and how many the other way."""
        unmapped = wrong = 0
        for start, length in pieces(call):
            if not length:
                continue
            mapping = next((m for m in self.mappings if m.bus_addr is not None and
                            overlap((m.bus_addr, m.length or 0), (start, 1))), None)  # fmt: skip
            if mapping is None:
                unmapped += length
                continue
            ways = (Direction.BIDIRECTIONAL,
                    Direction.FROM_DEVICE if write else Direction.TO_DEVICE)  # fmt: skip
            end = (mapping.bus_addr or 0) + (mapping.length or 0)
            if mapping.direction not in ways:
                wrong += length
            else:
                unmapped += max(0, start + length - end)
        return unmapped, wrong

    # ---- what is held ----------------------------------------------------------------------------

    def queue_memory(self, call: Call) -> list[Said]:
        """Give a queue its memory."""
        found = any(n for _, n in pieces(call))
        unmapped, _ = self.behind(call, False)
        pair = self.pair(call.object)
        if pair and pair.alive:
            self.holds += [Hold([r], "queue", pair, part=call.type) for r in pieces(call) if r[1]]
        return [(call.kind, (unmapped if found else None,))]

    def mad_send(self, call: Call) -> list[Said]:
        """Post a datagram, or complete it."""
        return self.mad(call, False)

    def mad_recv(self, call: Call) -> list[Said]:
        """Post room for a datagram, or complete it."""
        return self.mad(call, True)

    def mad(self, call: Call, write: bool) -> list[Said]:
        """Return what lies behind a datagram; its buffer is held while it is posted."""
        name = (int(call.kind), call.phys_addr or 0)
        known = any(h.name == name for h in self.holds)
        looked = call.type == MadStep.POSTED or (call.type == MadStep.COMPLETED and not known)
        shown = self.behind(call, write) if looked and any(n for _, n in pieces(call)) else None
        self.holds = [h for h in self.holds if h.name != name]
        if call.type == MadStep.POSTED:
            self.holds += [Hold([r], "mad", name=name) for r in pieces(call) if r[1]]
        return [(call.kind, shown or (None, None))]

    def map_mr_sg(self, call: Call) -> list[Said]:
        """Tell a region its pages, and compare the list with what can be taken."""
        index = call.object >> 8
        self.holds = [h for h in self.holds if h.what != "pages" or h.index != index]
        self.holds += [Hold([r], "pages", index=index) for r in pieces(call) if r[1]]
        size = call.beside(V.PAGE_SIZE) or 4096
        listed = pieces(call)
        wrong = wraps = 0
        for at, ((a, n), (b, _)) in enumerate(pairwise(listed), 2):
            if (a + n) % (1 << 64) != b and ((a + n) % size or b % size) and not wrong:
                wrong = at
        for a, n in listed:
            wraps |= int(n > 0 and a + n >= 1 << 64)
        return [(call.kind, (call.beside(V.MAPPED), len(listed), wrong, wraps))]

    def teardown(self, call: Call) -> list[Said]:
        """Tell the HCA to let go."""
        return self._teardown(call, True, False, False)

    def teardown_done(self, call: Call) -> list[Said]:
        """Take in that it has, or that it could not."""
        failed = bool(call.flags & Flag.FAILED)
        return self._teardown(call, False, failed, not failed)

    def _teardown(self, call: Call, asked: bool, failed: bool, over: bool) -> list[Said]:
        region = call.type == HcaObject.MEMORY_REGION
        found = self.region(call.object) if region else self.pair(call.object)
        if found:
            found.asked, found.failed, found.over = asked, failed, over
        return []

    # ---- regions and queue pairs -----------------------------------------------------------------

    def reg_mr(self, call: Call) -> list[Said]:
        """Register a region; what had the key before has ended."""
        before = self.region(call.object)
        if before:
            before.alive = False
        self.regions.append(Holder(call.object, call.phys_addr, call))
        return []

    def dereg_mr(self, call: Call) -> list[Said]:
        """End a region."""
        found = self.region(call.object)
        if found and not call.flags & Flag.FAILED:
            found.alive = False
        return []

    def create_qp(self, call: Call) -> list[Said]:
        """Make a queue pair."""
        before = self.pair(call.object)
        if before:
            before.alive = False
        self.pairs.append(Holder(call.object, call.phys_addr, call))
        return []

    def modify_qp(self, call: Call) -> list[Said]:
        """Move a queue pair; one that nobody made was there before."""
        found = self.pair(call.object)
        if not found or not found.alive:
            found = Holder(call.object)
            self.pairs.append(found)
        found.state = call.status
        return []

    def destroy_qp(self, call: Call) -> list[Said]:
        """End a queue pair."""
        found = self.pair(call.object)
        if found and not call.flags & Flag.FAILED:
            found.alive = False
        return []

    # ---- a process's addresses -------------------------------------------------------------------

    def odp_pages(self, call: Call) -> list[Said]:
        """Bring pages into the HCA's table of a region, or take them out."""
        found = self.region(call.object)
        if not found or not found.alive or call.bus_addr is None or call.length is None:
            return []
        steps = {call.bus_addr + at for at in range(0, call.length, STEP)}
        found.table -= steps
        if call.type == RangeChange.BROUGHT_IN:
            found.table |= steps
        return []

    def user_unmap(self, call: Call) -> list[Said]:
        """Change a range, and count what regions have of it."""
        if call.bus_addr is None or call.length is None:
            return [(call.kind, (0, 0))]
        gone = (call.bus_addr, call.length)
        pinned = table = 0
        for region in self.regions:
            asked = region.call
            if not region.alive or not asked:
                continue
            table += sum(overlap((at, STEP), gone) for at in region.table)
            known = None not in (asked.bus_addr, asked.length, asked.direction)
            if not known or (asked.direction or 0) & Rights.ZERO_BASED:
                continue
            if asked.type in OF_PROCESS and asked.type not in UNPINNED:
                pinned += overlap((asked.bus_addr or 0, asked.length or 0), gone)
        return [(call.kind, (pinned, table))]


PARTS = (QueuePart.SEND_RING, QueuePart.QP_RING, QueuePart.QP_RECORD)
