"""The side of an HCA that is asked: it serves the packets of a peer."""

from dmaverify.model.kinds import AccessSide, QpState, QpType, Rights
from dmaverify.sim.hca.control import Control
from dmaverify.sim.hca.layout import (
    GRH_BYTES,
    GSI_QP,
    SMI_QP,
    Cqe,
    Event,
    Op,
    RecvOp,
    Sge,
    Syndrome,
)
from dmaverify.sim.hca.state import HcaFault, QueuePair
from dmaverify.sim.hca.wire import Answer, Packet, Reply

A = Answer
SERVING = {QpState.RTR, QpState.RTS, QpState.SQD, QpState.SQE}
DATAGRAMS = {QpType.UD, QpType.SMI, QpType.GSI}
LONGEST = 1 << 31
_ON_WIRE = {0: SMI_QP, 1: GSI_QP}
_FROM_HCA = {SMI_QP: 0, GSI_QP: 1}
_RECEIVES = {
    Op.SEND: RecvOp.SEND, Op.SEND_IMM: RecvOp.SEND_IMM, Op.SEND_INVAL: RecvOp.SEND_INVAL,
    Op.RDMA_WRITE_IMM: RecvOp.RDMA_WRITE_IMM,
}  # fmt: skip
_NEEDS = {
    Op.RDMA_WRITE: Rights.REMOTE_WRITE, Op.RDMA_WRITE_IMM: Rights.REMOTE_WRITE,
    Op.RDMA_READ: Rights.REMOTE_READ, Op.ATOMIC_CS: Rights.REMOTE_ATOMIC,
    Op.ATOMIC_FA: Rights.REMOTE_ATOMIC,
}  # fmt: skip
_ATOMICS = {Op.ATOMIC_CS, Op.ATOMIC_FA}
_WRITES = {Op.RDMA_WRITE, Op.RDMA_WRITE_IMM}


def wire_number(number: int) -> int:
    """Return what a queue pair is called on the wire."""
    return _FROM_HCA.get(number, number)


class Responder(Control):
    """Serves requests of peers.

    Source: Linux drivers/infiniband/sw/rxe/rxe_resp.c: check_op_valid(), check_resource(),
    rxe_resp_check_length(), check_rkey(), execute().
    """

    def serve(self, packet: Packet) -> Reply:
        """Do what a packet asks for, and return the answer."""
        qp = self.qps.get(_ON_WIRE.get(packet.target, packet.target))
        if qp is None or qp.state not in SERVING or not _same_service(qp, packet):
            return Reply(A.NOTHING)
        if packet.again and packet.op in (Op.SEND, Op.SEND_IMM, Op.SEND_INVAL):
            return Reply(A.ACK)  # it is here already: what was lost is the acknowledgement
        if packet.op in _NEEDS:
            return self._serve_remote(qp, packet)
        return self._serve_send(qp, packet)

    # Messages

    def _serve_send(self, qp: QueuePair, packet: Packet) -> Reply:
        datagram = qp.context.service in DATAGRAMS
        if datagram and packet.qkey != qp.context.qkey:
            return Reply(A.NOTHING)
        data = bytes(GRH_BYTES) + packet.data if datagram else packet.data
        found = self.next_receive(qp.receives)
        if found is None:
            return Reply(A.RNR)
        slot, sges = found
        room = sum(s.length for s in sges)
        if len(data) > room and self.breaks(HcaFault.LONG_RECEIVE) is None:
            if datagram:
                self.complete_error(qp, slot, Syndrome.LOCAL_LENGTH, is_send=False)
                return Reply(A.NOTHING)
            return self._refuse(qp, slot, self.family.receive_short, A.INVALID)
        if packet.op == Op.SEND_INVAL and not self.invalidate(qp, packet.word):
            self.happened(Event.QP_ACCESS_ERR, qp.number)
            return self._refuse(qp, slot, self.family.invalidate_remote, A.INVALID)
        if self.breaks(HcaFault.LATE) is not None:
            self.late.append((qp, sges, data))
        elif not self.scatter(qp, sges, data):
            return self._refuse(qp, slot, self.family.receive_key, A.OPERATION)
        self._complete_receive(qp, slot, packet, len(data), datagram)
        return Reply(A.ACK)

    def _complete_receive(self, qp: QueuePair, slot: int, packet: Packet, length: int,
                          datagram: bool) -> None:  # fmt: skip
        source = (packet.source | (Cqe.HAS_GRH if packet.header else 0)) if datagram else 0
        self.complete(qp, slot, _RECEIVES[Op(packet.op)], is_send=False, length=length,
                      word=packet.word, source=source)  # fmt: skip

    # Reads, writes and atomics

    def _serve_remote(self, qp: QueuePair, packet: Packet) -> Reply:
        op, need = packet.op, _NEEDS[Op(packet.op)]
        if need & ~qp.context.access or packet.length > LONGEST or (
                op in _ATOMICS and packet.addr % 8):  # fmt: skip
            self.tell_look(qp, 0, need, AccessSide.REMOTE)
            self.happened(Event.QP_REQ_ERR, qp.number)
            return self._refuse(qp, None, None, A.INVALID)
        found: tuple[int, list[Sge]] | None = None
        if op == Op.RDMA_WRITE_IMM:
            found = self.next_receive(qp.receives)
            if found is None:
                return Reply(A.RNR)
        entry = None
        if packet.length:
            entry = self.allowed(qp, packet.key, packet.addr, packet.length, need,
                                 AccessSide.REMOTE)  # fmt: skip
            if entry is None:
                self.happened(Event.QP_ACCESS_ERR, qp.number)
                slot = found[0] if found else None
                return self._refuse(qp, slot, self.family.access_served, A.ACCESS)
        data = b""
        if entry is not None and op in _WRITES:
            self.store(entry, packet.addr, packet.data)
        elif entry is not None:
            data = self.fetch(entry, packet.addr, packet.length)
            if op in _ATOMICS:
                self.store(entry, packet.addr, _atomic(packet, data))
        if found is not None:
            self._complete_receive(qp, found[0], packet, packet.length, False)
        return Reply(A.ACK, data)

    def _refuse(self, qp: QueuePair, slot: int | None, syndrome: Syndrome | None,
                answer: Answer) -> Reply:  # fmt: skip
        """Refuse a request: RC says so and is in error, UC drops it."""
        if slot is not None and syndrome is not None:
            self.complete_error(qp, slot, syndrome, is_send=False)
        if qp.context.service == QpType.RC:
            self.fail(qp)
            return Reply(answer)
        return Reply(A.NOTHING)

    def land_late(self) -> None:
        """Write what came in long ago and was said to be there."""
        late, self.late = self.late, []
        for qp, sges, data in late:
            self.scatter(qp, sges, data)


def _same_service(qp: QueuePair, packet: Packet) -> bool:
    both = {qp.context.service, packet.service}
    return len(both) == 1 or both <= DATAGRAMS


def _atomic(packet: Packet, data: bytes) -> bytes:
    value = int.from_bytes(data, "little")
    first, compare = packet.operands
    if packet.op == Op.ATOMIC_FA:
        return ((value + first) % (1 << 64)).to_bytes(8, "little")
    return first.to_bytes(8, "little") if value == compare else data
