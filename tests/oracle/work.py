"""Who owns which bytes, again: lists of posted work requests, byte by byte compared."""

from dataclasses import dataclass, field

from dmaverify.model.kinds import EventKind, Flag, Opcode, PostFlag, QpState, Rights
from tests.oracle.hca import Hcas, Region
from tests.oracle.nouns import Call

K = EventKind
WRITES = (Opcode.RDMA_READ, Opcode.ATOMIC, Opcode.RECV)
BRINGS = (Opcode.RDMA_READ, Opcode.ATOMIC)
Buffer = tuple[int, int, Region | None]


@dataclass(eq=False)
class Request:
    """A posted work request."""

    wr_id: int
    opcode: int
    flags: int
    receive: bool
    buffers: list[Buffer] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        """Return True if the HCA writes its buffers."""
        return self.opcode in WRITES


@dataclass(eq=False)
class Pair:
    """A live queue pair and what is posted on it."""

    number: int
    pd: int | None
    sends: list[Request] = field(default_factory=list)
    receives: list[Request] = field(default_factory=list)


class Works:
    """All queue pairs, and what may be asked at each event."""

    def __init__(self) -> None:
        self.hcas = Hcas()
        self.pairs: dict[int, Pair] = {}

    def requests(self) -> list[Request]:
        """Return all that is outstanding."""
        return [r for p in self.pairs.values() for r in (*p.sends, *p.receives)]

    def step(self, call: Call) -> list[tuple[EventKind, tuple[int, ...]]]:
        """Replay an event and return what is said at it: (kind, values), in order."""
        pair = self.pairs.get(call.object)
        if call.kind == K.CREATE_QP:
            self.pairs.pop(call.object, None)
            self.pairs[call.object] = Pair(call.object, call.phys_addr)
        elif call.kind == K.DESTROY_QP:
            self.pairs.pop(call.object, None)
        elif call.kind == K.MODIFY_QP:
            pair = self.pairs.setdefault(call.object, Pair(call.object, None))
            if call.status == QpState.RESET:
                pair.sends.clear()
                pair.receives.clear()
        elif call.kind in (K.POST_SEND, K.POST_RECV):
            if pair:
                return self.post(call, pair)
            # A queue pair of before the recording: nothing is said of it yet.
            self.pairs[call.object] = Pair(call.object, None)
            return self.post(call, self.pairs[call.object])[1:]
        elif call.kind == K.CQE and pair:
            return [(call.kind, (int(self.completed(call, pair)),))]
        elif call.kind == K.DEREG_MR:
            live, _ = self.hcas.find(call)
            said = [(call.kind, (self.held(live),))] if live else []
            self.hcas.step(call)
            return said
        elif call.kind in (K.CPU_READ, K.CPU_WRITE):
            return [(K.WORK_TOUCHED, ())] if self.touched(call) else []
        else:
            self.hcas.step(call)
        return []

    def held(self, region: Region) -> int:
        """Return how many posted buffers are of a region."""
        return sum(of is region for r in self.requests() for _, _, of in r.buffers)

    def post(self, call: Call, pair: Pair) -> list[tuple[EventKind, tuple[int, ...]]]:
        """Append a work request; each of its buffers is compared with all that is outstanding."""
        receive = call.kind == K.POST_RECV
        said = [(call.kind, (len(pair.sends), len(pair.receives)))]
        opcode = int(Opcode.RECV) if receive else call.type
        request = Request(call.phys_addr or 0, opcode, call.direction or 0, receive)
        (pair.receives if receive else pair.sends).append(request)
        if request.flags & PostFlag.INLINE:
            return said
        for start, length, key in call.sges or []:
            if not length:
                continue
            live, _ = self.hcas.find(Call(K.HCA_ACCESS, object=key))
            said.append((K.POSTED_SGE, self.conflicts(pair, request, (start, length, live))))
            request.buffers.append((start, length, live))
        return said

    def conflicts(self, pair: Pair, request: Request, buffer: Buffer) -> tuple[int, int]:
        """Return how many requests are in the way, and how many bring the bytes unfenced."""
        conflicts = unfenced = 0
        for other in self.requests():
            if not (request.writes or other.writes):
                continue
            if not any(self.meet(buffer, theirs) for theirs in other.buffers):
                continue
            if other.opcode in BRINGS and not request.writes and other in pair.sends:
                unfenced += not request.flags & PostFlag.FENCE
            else:
                conflicts += 1
        return conflicts, unfenced

    def meet(self, a: Buffer, b: Buffer) -> bool:
        """Return True if two buffers share a byte of one memory."""
        (a_start, a_length, mine), (b_start, b_length, theirs) = a, b
        if a_start >= b_start + b_length or b_start >= a_start + a_length:
            return False
        if mine is None or theirs is None or mine is theirs:
            return mine is not None and mine is theirs
        one, two = mine.asked, theirs.asked
        if one.device != two.device:
            return False  # each HCA numbers its domains, and has bus addresses of its own
        if one.phys_addr is None or one.phys_addr != two.phys_addr:
            return False
        if one.direction is None or two.direction is None:
            return False
        return not (one.direction | two.direction) & Rights.ZERO_BASED

    def completed(self, call: Call, pair: Pair) -> bool:
        """Retire what a completion gives back; return whether there was such a request."""
        failed, receive = call.status != 0, call.type == Opcode.RECV
        queues = []
        if failed or not receive:
            queues.append(pair.sends)
        if failed or receive or call.type == 0:
            queues.append(pair.receives)
        for queue in queues:
            found = next((r for r in queue if r.wr_id == call.phys_addr), None)
            if found is None:
                continue
            before = queue[: queue.index(found)]
            done = [r for r in before if not r.receive and not r.flags & PostFlag.SIGNALED]
            queue[:] = [r for r in queue if r is not found and r not in done]
            return True
        return False

    def touched(self, call: Call) -> bool:
        """Return True if the CPU touches what belongs to an HCA."""
        if call.virt_addr is None or not call.length or call.flags & Flag.FAILED:
            return False
        for r in self.requests():
            for start, length, of in r.buffers:
                if of and of.asked.direction and of.asked.direction & Rights.ZERO_BASED:
                    continue
                meet = start < call.virt_addr + call.length and call.virt_addr < start + length
                if meet and (call.kind == K.CPU_WRITE or r.writes):
                    return True
        return False
