"""The side of an HCA that asks: it fetches send work requests and does them."""

from enum import Enum

from dmaverify.model.kinds import QpState, QpType
from dmaverify.sim.hca.layout import Op, Syndrome
from dmaverify.sim.hca.responder import LONGEST, Responder, wire_number
from dmaverify.sim.hca.state import HcaFault, QueuePair
from dmaverify.sim.hca.wire import Answer, Packet, Reply
from dmaverify.sim.hca.wqe import ATOMICS, DATAGRAMS, LOCAL, Request, parse

S = Syndrome
FOREVER = 7  # retries without a receive: as often as it takes
GENERAL = 0x7F  # a syndrome that means: something else
ATOMIC_BYTES = 8


class Outcome(Enum):
    """How far a work request came, where no syndrome says so."""

    DONE = "done"
    WAITS = "to be tried again"
    LANDS = "the answer is there, and not yet in memory"


#: What an answer is to the one who asked.
_REFUSALS = {
    Answer.INVALID: S.REMOTE_INVAL_REQ,
    Answer.ACCESS: S.REMOTE_ACCESS,
    Answer.OPERATION: S.REMOTE_OP,
}


class Requester(Responder):
    """Works on send queues."""

    peer: "Responder | None" = None

    def send(self, qp: QueuePair) -> None:
        """Do what is posted to a send queue, as far as it goes."""
        while qp.consumer != qp.producer and qp.state is QpState.RTS:
            entries, slot = qp.context.sq_entries, qp.consumer % qp.context.sq_entries
            data = self.ring_read(qp.context.sq_mtt,
                                  qp.context.sq_offset + slot * qp.context.sq_stride,
                                  qp.context.sq_stride)  # fmt: skip
            request = parse(data, bool(qp.consumer // entries % 2), qp.context.service)
            errors = self.device.errors
            outcome: Outcome | int = S.LOCAL_QP_OP if request is None else self._do(qp, request)
            if outcome is Outcome.WAITS:
                break
            if outcome is Outcome.DONE and self.device.errors != errors:
                outcome = GENERAL  # the bus has refused
            self._advance(qp, slot, request, outcome)
        self.land(qp)

    def land(self, qp: QueuePair) -> None:
        """Bring the answers of reads and atomics to memory, and complete them."""
        while qp.landing:
            slot, request, data = qp.landing.pop(0)
            errors = self.device.errors
            if not self.scatter(qp, request.sges, data):
                self._end(qp, slot, request, S.LOCAL_PROT)
            else:
                worked = self.device.errors == errors
                self._end(qp, slot, request, Outcome.DONE if worked else GENERAL)

    def _advance(self, qp: QueuePair, slot: int, request: Request | None,
                 outcome: Outcome | int) -> None:  # fmt: skip
        """Take the request at the head out of the queue, after all that came before it."""
        if outcome is not Outcome.LANDS:
            self.land(qp)
            if qp.state is not QpState.RTS:
                return  # one before it has failed: this one was flushed
        qp.consumer = qp.consumer + 1 & 0xFFFF_FFFF
        qp.tries = qp.rnr_tries = 0
        qp.resent = False
        if outcome is not Outcome.LANDS:
            self._end(qp, slot, request, outcome)

    def _end(self, qp: QueuePair, slot: int, request: Request | None,
             outcome: Outcome | int) -> None:  # fmt: skip
        """Complete a request; a failed one takes its queue pair along."""
        if outcome is Outcome.DONE:
            assert request is not None
            if request.signaled or qp.context.signal_all:
                length = request.length
                self.complete(qp, slot, request.op, is_send=True, length=length)
            return
        assert not isinstance(outcome, Outcome)
        self.complete_error(qp, slot, outcome, is_send=True)
        if qp.context.service in DATAGRAMS:
            qp.state = QpState.SQE
            while qp.consumer != qp.producer:
                at = qp.consumer % qp.context.sq_entries
                qp.consumer = qp.consumer + 1 & 0xFFFF_FFFF
                self.complete_error(qp, at, S.WR_FLUSH, is_send=True)
        else:
            self.fail(qp)

    # One request

    def _do(self, qp: QueuePair, request: Request) -> Outcome | int:
        if request.op is Op.NOP:
            return Outcome.DONE
        if request.fence or request.op in LOCAL:
            self.land(qp)
            if qp.state is not QpState.RTS:
                return Outcome.WAITS
        if request.op in LOCAL:
            return self._do_local(qp, request)
        if request.length > LONGEST or (
                request.op in ATOMICS and request.length != ATOMIC_BYTES):  # fmt: skip
            return S.LOCAL_LENGTH
        if request.op is Op.RDMA_READ or request.op in ATOMICS:
            return self._transmit(qp, request, b"")
        data = request.inline if request.inline is not None else self.gather(qp, request.sges)
        if data is None:
            return S.LOCAL_PROT
        if qp.context.service in DATAGRAMS:
            if request.ah_pd != qp.context.pd:
                return S.LOCAL_QP_OP
            if len(data) > qp.context.mtu:
                return Outcome.DONE  # C10-93.1.1 in rxe_req.c: it is not sent, and that is no error
        return self._transmit(qp, request, data)

    def _do_local(self, qp: QueuePair, request: Request) -> Outcome | int:
        values = request.values
        if request.op is Op.BIND_MW:
            return Outcome.DONE if self.bind(qp, values) else S.MW_BIND
        if request.op is Op.FMR:
            done = self.register(qp, values[0], values[1], values[2:])
        else:
            done = self.invalidate(qp, values[0])
        return Outcome.DONE if done else self.family.invalidate

    def _transmit(self, qp: QueuePair, request: Request, data: bytes) -> Outcome | int:
        target = request.target if qp.context.service in DATAGRAMS else qp.context.peer
        packet = Packet(
            request.op, wire_number(qp.number), target, qp.context.service, data, request.word,
            request.addr, request.key, request.length, request.operands, request.qkey,
            request.header, qp.resent,
        )  # fmt: skip
        reply = self.peer.serve(packet) if self.peer is not None else Reply(Answer.NOTHING)
        if qp.context.service != QpType.RC:
            return Outcome.DONE  # nobody answers
        if reply.answer is Answer.ACK and self.breaks(HcaFault.RETRANSMIT) is not None:
            qp.resent = True
            return Outcome.WAITS
        return self._answered(qp, request, reply)

    def _answered(self, qp: QueuePair, request: Request, reply: Reply) -> Outcome | int:
        if reply.answer is Answer.ACK:
            if request.op is not Op.RDMA_READ and request.op not in ATOMICS:
                return Outcome.DONE
            qp.landing.append((qp.consumer % qp.context.sq_entries, request, reply.data))
            return Outcome.LANDS
        if reply.answer is Answer.RNR:
            qp.rnr_tries += 1
            tries = qp.context.rnr_retries
            waits = tries == FOREVER or qp.rnr_tries <= tries
            return Outcome.WAITS if waits else S.RNR_RETRY_EXC
        if reply.answer is Answer.NOTHING:
            qp.tries += 1
            return Outcome.WAITS if qp.tries <= qp.context.retries else S.RETRY_EXC
        return _REFUSALS[reply.answer]
