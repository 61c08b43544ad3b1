"""Shared queues, handles, doorbells and what hangs on what, again: plain lists of plain things."""

from dataclasses import dataclass, field

from dmaverify.model.kinds import (
    AsyncEvent,
    EventKind,
    Flag,
    HcaValue,
    Opcode,
    PostFlag,
    QpState,
    QueuePart,
)
from tests.oracle.nouns import Call

K, V = EventKind, HcaValue
Said = tuple[EventKind, tuple[int | None, ...]]
RECV_PARTS = (QueuePart.RECV_RING, QueuePart.SRQ_RING)
OF_PAIRS = (
    QueuePart.UNKNOWN, QueuePart.SEND_RING, QueuePart.RECV_RING, QueuePart.QP_RING,
)  # fmt: skip


@dataclass(eq=False)
class Thing:
    """An object of an HCA: what it hangs on, and what was posted to it, by queue."""

    sort: str
    number: int
    pd: int | None = None
    alive: bool = True
    parents: list["Thing"] = field(default_factory=list)
    posted: dict[bool, list["Work"]] = field(default_factory=lambda: {False: [], True: []})
    total: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    rung: dict[bool, int | None] = field(default_factory=lambda: {False: None, True: None})
    shared: "Thing | None" = None
    known_queue: bool = True  # what was posted before is known
    state: int = QpState.RESET
    last_taken: bool = False

    def end(self) -> None:
        """End it, and with it all that is posted."""
        self.alive = False
        self.posted = {False: [], True: []}


@dataclass(eq=False)
class Work:
    """A posted work request."""

    wr_id: int
    signaled: bool
    turn: int
    handle: Thing | None = None


class Queues:
    """All objects that there ever were, in the order of making."""

    def __init__(self) -> None:
        self.things: list[Thing] = []
        self.told_events = False

    def newest(self, sort: str, number: int | None) -> Thing | None:
        """Return the newest object of a number."""
        found = [t for t in self.things if t.sort == sort and t.number == number]
        return found[-1] if found else None

    def live(self, sort: str, number: int | None) -> Thing | None:
        """Return the live object of a number."""
        found = self.newest(sort, number)
        return found if found and found.alive else None

    def make(self, thing: Thing, *parents: Thing | None) -> Thing:
        """Add an object; one of before under its number has ended."""
        before = self.live(thing.sort, thing.number)
        if before:
            before.end()
        domain = self.live("pd", thing.pd) if thing.sort != "pd" else None
        thing.parents = [p for p in (*parents, domain) if p]
        self.things.append(thing)
        return thing

    def users(self, thing: Thing | None) -> int | None:
        """Return how many live objects hang on one, as often as they do."""
        if thing is None:
            return None
        return sum(t.parents.count(thing) for t in self.things if t.alive)

    def works(self) -> list[Work]:
        """Return what is posted and not retired, on live objects."""
        return [w for t in self.things if t.alive for q in t.posted.values() for w in q]

    # ---- events ----------------------------------------------------------------------------------

    def step(self, call: Call) -> list[Said]:
        """Replay an event and return what is said at it."""
        handler = getattr(self, call.kind.name.lower())
        said: list[Said] = handler(call)
        return said

    def alloc_pd(self, call: Call) -> list[Said]:
        """Make a domain."""
        self.make(Thing("pd", call.phys_addr or 0))
        return []

    def dealloc_pd(self, call: Call) -> list[Said]:
        """End a domain."""
        return self._end_parent(call, self.live("pd", call.phys_addr))

    def create_cq(self, call: Call) -> list[Said]:
        """Make a completion queue."""
        self.make(Thing("cq", call.object))
        return []

    def destroy_cq(self, call: Call) -> list[Said]:
        """End a completion queue."""
        return self._end_parent(call, self.live("cq", call.object))

    def create_srq(self, call: Call) -> list[Said]:
        """Make a shared receive queue."""
        self.make(Thing("srq", call.object, call.phys_addr))
        return []

    def destroy_srq(self, call: Call) -> list[Said]:
        """End a shared receive queue, and what is posted to it."""
        return self._end_parent(call, self.live("srq", call.object))

    def _end_parent(self, call: Call, thing: Thing | None) -> list[Said]:
        users = self.users(thing)
        if thing and not call.flags & Flag.FAILED:
            thing.end()
        return [(call.kind, (users,))]

    def create_ah(self, call: Call) -> list[Said]:
        """Make an address handle."""
        self.make(Thing("ah", call.object, call.phys_addr))
        return []

    def destroy_ah(self, call: Call) -> list[Said]:
        """End an address handle."""
        handle = self.live("ah", call.object)
        held = sum(w.handle is handle for w in self.works()) if handle else 0
        if handle and not call.flags & Flag.FAILED:
            handle.end()
        return [(call.kind, (held,))]

    def named(self, call: Call) -> Thing:
        """Make a queue pair of before the recording, of which nothing is known."""
        return self.make(Thing("qp", call.object, None, known_queue=False, state=0))

    def create_qp(self, call: Call) -> list[Said]:
        """Make a queue pair on its queues."""
        shared = self.live("srq", call.beside(V.SRQ))
        thing = Thing("qp", call.object, call.phys_addr, shared=shared)
        thing.known_queue = call.beside(V.SRQ) is None or shared is not None
        queues = [self.live("cq", call.beside(v)) for v in (V.SEND_CQ, V.RECV_CQ)]
        self.make(thing, *queues, shared)
        return []

    def destroy_qp(self, call: Call) -> list[Said]:
        """End a queue pair; it should have let go of its shared queue."""
        pair = self.live("qp", call.object)
        if not pair:
            return []
        early = False
        if pair.shared and pair.state == QpState.ERR:
            early = self.told_events and not pair.last_taken
        elif pair.shared:
            early = pair.state >= QpState.RTR
        if not call.flags & Flag.FAILED:
            pair.end()
        return [(call.kind, (int(pair.shared is not None), int(early)))]

    def modify_qp(self, call: Call) -> list[Said]:
        """Move a queue pair; a reset drops what is posted to it."""
        pair = self.live("qp", call.object) or self.named(call)
        pair.state = call.status
        if call.status == QpState.RESET:
            pair.posted = {False: [], True: []}
            pair.total = {False: 0, True: 0}
            pair.rung = {k: None if v is None else 0 for k, v in pair.rung.items()}
            pair.last_taken = False
        return []

    def async_event(self, call: Call) -> list[Said]:
        """Take in an event beside the completions."""
        self.told_events = True
        pair = self.live("qp", call.object)
        if pair and call.type == AsyncEvent.QP_LAST_WQE_REACHED:
            pair.last_taken = True
        return []

    def doorbell(self, call: Call) -> list[Said]:
        """Publish what was posted."""
        receive = call.type in RECV_PARTS
        sort = "srq" if call.type == QueuePart.SRQ_RING else "qp"
        known = call.type in OF_PAIRS or sort == "srq"
        thing = self.live(sort, call.object) if known else None
        if not thing:
            return []
        unposted: int | None = None
        before = thing.rung[receive] or 0
        if call.type and call.length is not None and thing.known_queue:
            unposted = max(0, before + call.length - thing.total[receive])
        if call.type:
            whole = call.length is None
            thing.rung[receive] = thing.total[receive] if whole else before + (call.length or 0)
        return [(call.kind, (unposted,))]

    def post_send(self, call: Call) -> list[Said]:
        """Post a send, perhaps with a handle."""
        pair = self.live("qp", call.object)
        if not pair:
            self._post(self.named(call), call, False, None)
            return []
        named = self.newest("ah", call.beside(V.AH))
        gone = named is not None and not named.alive
        handle = named if named and named.alive else None
        other = handle is not None and None not in (handle.pd, pair.pd) and handle.pd != pair.pd
        self._post(pair, call, False, handle)
        return [(call.kind, (int(gone), int(other)))]

    def post_recv(self, call: Call) -> list[Said]:
        """Post a receive to a queue pair, or to a shared queue."""
        shared = call.object == 0
        thing = self.live("srq", call.beside(V.SRQ)) if shared else self.live("qp", call.object)
        if not thing and not shared:
            self._post(self.named(call), call, True, None)
        if not thing:
            return []
        count = len(thing.posted[True])
        self._post(thing, call, True, None)
        return [(call.kind, (int(shared), int(thing.shared is not None), count))]

    def _post(self, thing: Thing, call: Call, receive: bool, handle: Thing | None) -> None:
        thing.total[receive] += 1
        signaled = receive or bool((call.direction or 0) & PostFlag.SIGNALED)
        work = Work(call.phys_addr or 0, signaled, thing.total[receive], handle)
        thing.posted[receive].append(work)

    def cqe(self, call: Call) -> list[Said]:
        """Retire what has completed."""
        pair = self.live("qp", call.object)
        if not pair:
            return []
        places = []
        if call.status or call.type != Opcode.RECV:
            places.append((pair, False))
        if call.status or call.type in (0, Opcode.RECV):
            places.append((pair, True))
            if pair.shared:
                places.append((pair.shared, True))
        for thing, receive in places:
            queue = thing.posted[receive]
            work = next((w for w in queue if w.wr_id == call.phys_addr), None)
            if work is None:
                continue
            before = queue[: queue.index(work)]
            skipped = sum(w.signaled for w in before) if thing.sort == "qp" else 0
            rung = thing.rung[receive]
            hidden = rung is not None and work.turn > rung
            thing.posted[receive] = [
                w for w in queue if w is not work and (w not in before or w.signaled)
            ]
            return [(call.kind, (1, skipped, int(hidden)))]
        return [(call.kind, (0, 0, 0))]
