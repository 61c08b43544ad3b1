"""Verbs of completion queues, queue pairs, shared receive queues and address handles."""

from dmaverify.errors import SimError
from dmaverify.model.kinds import (
    EventKind,
    HcaObject,
    HcaValue,
    QpState,
    QpType,
    QueuePart,
    Rights,
)
from dmaverify.sim.hca.commands import RECORD_BYTES
from dmaverify.sim.hca.layout import (
    CQE_BYTES,
    FRESH,
    GSI_QP,
    SMI_QP,
    STAMP,
    Command,
    CommandStatus,
    CqContext,
    QpContext,
    SrqContext,
)
from dmaverify.sim.hca.objects import Ah, Cq, Pd, Qp, Ring, Srq, WorkQueue
from dmaverify.sim.hca.pages import MapBy
from dmaverify.sim.hca.regions import EINVAL, Regions
from dmaverify.sim.memory import PAGE

K, S, V, T, P = EventKind, QpState, HcaValue, HcaObject, QueuePart
FIRST_QP, FIRST_CQ, FIRST_SRQ = 0x40, 1, 1

#: What a queue pair's move is called; any other pair is no transition.
MOVES = {
    (S.RESET, S.INIT): Command.RST2INIT_QP,
    (S.INIT, S.INIT): Command.INIT2INIT_QP,
    (S.INIT, S.RTR): Command.INIT2RTR_QP,
    (S.RTR, S.RTS): Command.RTR2RTS_QP,
    (S.RTS, S.RTS): Command.RTS2RTS_QP,
    (S.RTS, S.SQD): Command.RTS2SQD_QP,
    (S.SQD, S.RTS): Command.SQD2RTS_QP,
    (S.SQE, S.RTS): Command.SQERR2RTS_QP,
}


class Queues(Regions):
    """Makes queues."""

    _next_qp, _next_cq, _next_srq, _next_ah = FIRST_QP, FIRST_CQ, FIRST_SRQ, 1

    def create_cq(self, entries: int, *, by: MapBy = MapBy.COHERENT,
                  ignore_overrun: bool = False) -> Cq:  # fmt: skip
        """Return a completion queue of at least so many entries (`Cq.entries` says how many).

        Args:
            entries: at least 1.
            by: how its ring is mapped.
            ignore_overrun: whether the HCA overwrites entries that were not polled.
        """
        ring = self.make_ring(entries, CQE_BYTES, by, completions=True)
        record, bus = self.take_record()
        cq = Cq(self._next_cq, ring.entries, ring, record)
        self._next_cq += 1
        context = CqContext(ring.mtt, ring.entries, bus, int(ignore_overrun), ring.pages.offset)
        self.command(Command.SW2HW_CQ, cq.number, context.pack())
        self._cqs[cq.number] = cq
        self.tell(K.CREATE_CQ, object=cq.number, length=cq.entries)
        self.tell_memory(cq.number, P.CQ_RING, ring, P.CQ_RECORD, bus)
        return cq

    def destroy_cq(self, cq: Cq) -> None:
        """End a completion queue: first at the HCA, then its memory."""
        self.tell(K.DESTROY_CQ, object=cq.number)
        self.tear_down(T.COMPLETION_QUEUE, cq.number, Command.HW2SW_CQ, cq.number)
        self.free_ring(cq.ring)
        self.give_record(cq.record)
        self._cqs.pop(cq.number, None)

    def create_srq(self, pd: Pd, max_wr: int, max_sge: int = 1, *,
                   by: MapBy = MapBy.COHERENT) -> Srq:  # fmt: skip
        """Return a shared receive queue."""
        ring = self.make_ring(max_wr, _receive_stride(max_sge), by)
        record, bus = self.take_record()
        queue = WorkQueue(ring, ring.entries, max_sge, record=record)
        srq = Srq(self._next_srq, pd, queue)
        self._next_srq += 1
        context = SrqContext(ring.mtt, ring.entries, bus, pd.number, ring.stride, ring.pages.offset)
        self.command(Command.SW2HW_SRQ, srq.number, context.pack())
        self._srqs[srq.number] = srq
        self.tell(K.CREATE_SRQ, object=srq.number, phys_addr=pd.number, length=ring.entries)
        self.tell_memory(srq.number, P.SRQ_RING, ring, P.SRQ_RECORD, bus)
        return srq

    def destroy_srq(self, srq: Srq) -> None:
        """End a shared receive queue; its queue pairs must be gone."""
        self.tell(K.DESTROY_SRQ, object=srq.number)
        self.tear_down(T.SHARED_RECEIVE_QUEUE, srq.number, Command.HW2SW_SRQ, srq.number)
        self.free_ring(srq.queue.ring)
        self.give_record(srq.queue.record)
        self._srqs.pop(srq.number, None)

    def create_qp(self, pd: Pd, send_cq: Cq, recv_cq: Cq | None = None, *,
                  qp_type: QpType = QpType.RC, max_send_wr: int = 8, max_recv_wr: int = 8,
                  max_send_sge: int = 2, max_recv_sge: int = 2, max_inline: int = 64,
                  srq: Srq | None = None, sig_all: bool = False, access: int | None = None,
                  by: MapBy = MapBy.COHERENT) -> Qp:  # fmt: skip
        """Return a queue pair in RESET; QP0 and QP1 are those of type SMI and GSI.

        Args:
            pd: its domain.
            send_cq: where completions of its sends go.
            recv_cq: those of its receives; None for the same queue.
            qp_type: RC, UC, UD, SMI or GSI.
            max_send_wr: room in the send ring, at least; `WorkQueue.most` says how much.
            max_recv_wr: room in the receive ring.
            max_send_sge: entries of a send's list.
            max_recv_sge: entries of a receive's list.
            max_inline: bytes that may be posted inline.
            srq: its receives come from there.
            sig_all: whether each send gives a completion.
            access: what peers may do (Rights); None for write, read and atomics.
            by: how its rings are mapped.
        """
        number = {QpType.SMI: SMI_QP, QpType.GSI: GSI_QP}.get(qp_type, self._next_qp)
        if number >= FIRST_QP:
            self._next_qp += 1
        room = max(max_send_sge * 16, 16 + max_inline)
        send_ring = self.make_ring(max_send_wr, _power(16 + 16 + 48 + room), by)
        send = WorkQueue(send_ring, send_ring.entries, max_send_sge)
        recv = None
        if srq is None:
            ring = self.make_ring(max_recv_wr, _receive_stride(max_recv_sge), by)
            recv = WorkQueue(ring, ring.entries, max_recv_sge)
        qp = Qp(number, pd, qp_type, send_cq, recv_cq or send_cq, send, recv, srq, max_inline,
                sig_all)  # fmt: skip
        allowed = Rights.REMOTE_WRITE | Rights.REMOTE_READ | Rights.REMOTE_ATOMIC
        qp.values = {"access": int(allowed if access is None else access)}
        self.set_queues(qp)
        self._qps[number] = qp
        self._tell_qp(qp)
        return qp

    def modify_qp(self, qp: Qp, state: QpState, *, peer: int | None = None,
                  access: int | None = None, **values: int) -> int:  # fmt: skip
        """Move a queue pair to another state; return 0, or -EINVAL where the HCA says no.

        Args:
            qp: the queue pair.
            state: where it goes.
            peer: number of the queue pair at the other end (RC, UC).
            access: what peers may do from now on.
            values: `qkey`, `mtu`, `retries`, `rnr_retries`, `reads` of `QpContext`.
        """
        if peer is not None:
            qp.values["peer"] = peer
        if access is not None:
            qp.values["access"] = int(access)
        qp.values.update(values)
        done = self.write_qp(qp, state) is CommandStatus.OK
        self.tell(K.MODIFY_QP, failed=not done, object=qp.number, status=state,
                  direction=None if access is None else int(access))  # fmt: skip
        if done:
            qp.state = state
            if state is S.RESET:
                self.reset_rings(qp)
        return 0 if done else -EINVAL

    def to_rts(self, qp: Qp, peer: int | None = None, **values: int) -> Qp:
        """Take a queue pair from RESET to RTS, and return it."""
        for state in (S.INIT, S.RTR, S.RTS):
            self.modify_qp(qp, state, peer=peer, **values)
        return qp

    def destroy_qp(self, qp: Qp) -> None:
        """End a queue pair: first at the HCA, then its memory."""
        self.tell(K.DESTROY_QP, object=qp.number)
        self.stop_qp(qp)
        self.free_rings(qp)
        self._qps.pop(qp.number, None)

    def create_ah(self, pd: Pd, dlid: int = 1, grh: bool = True) -> Ah:
        """Return an address handle to the port at the other end of the wire."""
        ah = Ah(self._next_ah, pd, dlid, grh)
        self._next_ah += 1
        self.tell(K.CREATE_AH, object=ah.number, phys_addr=pd.number)
        return ah

    def destroy_ah(self, ah: Ah) -> None:
        """End an address handle; no datagram by it may be outstanding."""
        self.tell(K.DESTROY_AH, object=ah.number)

    def destroy_all(self) -> None:
        """End all that there is, newest first, as a kernel does for a program that has ended."""
        for qp in reversed(list(self._qps.values())):
            self.destroy_qp(qp)
        for srq in reversed(list(self._srqs.values())):
            self.destroy_srq(srq)
        for cq in reversed(list(self._cqs.values())):
            self.destroy_cq(cq)
        for mr in reversed(list(self._mrs.values())):
            self.dereg_mr(mr)

    # Steps of the above

    def make_ring(self, entries: int, stride: int, by: MapBy, completions: bool = False) -> Ring:
        """Return memory for a queue, with its translation entries written."""
        self.enter()
        count = 1 << max(entries - 1, 0).bit_length()
        pages = self.pages.allocate(count * stride, by, FRESH if completions else STAMP,
                                    hca_writes=completions)  # fmt: skip
        if pages is None:
            raise SimError("there is no memory for a ring")
        return Ring(count, stride, pages, self.write_mtt(pages.bus))

    def stop_qp(self, qp: Qp) -> CommandStatus:
        """Tell the HCA to forget a queue pair."""
        values = QpContext(**qp.values).pack()
        return self.tear_down(T.QUEUE_PAIR, qp.number, Command.TO_RST_QP, qp.number, values)

    def free_ring(self, ring: Ring) -> None:
        """Unmap and free the memory of a queue."""
        self.pages.unmap(ring.pages)

    def free_rings(self, qp: Qp) -> None:
        """Free the rings of a queue pair, and its doorbell record."""
        self.free_ring(qp.send.ring)
        if qp.recv is not None:
            self.free_ring(qp.recv.ring)
            self.give_record(qp.recv.record)

    def set_queues(self, qp: Qp) -> None:
        """Put what the HCA has to know of a queue pair's rings into its values."""
        send = qp.send.ring
        qp.values |= {
            "service": qp.type, "pd": qp.pd.number, "sq_mtt": send.mtt, "sq_entries": send.entries,
            "sq_stride": send.stride, "sq_offset": send.pages.offset,
            "send_cq": qp.send_cq.number, "recv_cq": qp.recv_cq.number,
            "srq": qp.srq.number if qp.srq else 0, "signal_all": int(qp.sig_all),
        }  # fmt: skip
        if qp.recv is not None:
            ring = qp.recv.ring
            qp.recv.record, qp.values["record"] = self.take_record()
            qp.values |= {"rq_mtt": ring.mtt, "rq_entries": ring.entries, "rq_stride": ring.stride,
                          "max_sge": qp.recv.most_sge, "rq_offset": ring.pages.offset}  # fmt: skip

    def reset_rings(self, qp: Qp) -> None:
        """Begin the rings anew: what was posted is gone."""
        for queue in (qp.send, qp.recv):
            if queue is None:
                continue
            queue.head = queue.tail = 0
            queue.ids = []
            self.write(queue.ring.virt, bytes([STAMP]) * (queue.ring.entries * queue.ring.stride))
            if queue.record:
                self.write_record(queue.record, 0)

    def write_qp(self, qp: Qp, state: QpState) -> CommandStatus:
        """Give the HCA a queue pair's values, and the command of its move."""
        default = {S.RESET: Command.TO_RST_QP, S.ERR: Command.TO_ERR_QP}
        move = default.get(state) or MOVES.get((qp.state, state))
        if move is None:  # no such command: take what leads there
            move = next(c for (_, to), c in MOVES.items() if to is state)
        return self.command(move, qp.number, QpContext(**qp.values).pack())

    def _tell_qp(self, qp: Qp) -> None:
        values = {
            V.SEND_CQ: qp.send_cq.number, V.RECV_CQ: qp.recv_cq.number,
            V.MAX_SEND_WR: qp.send.most, V.MAX_SEND_SGE: qp.send.most_sge,
            V.MAX_INLINE: qp.max_inline, V.SIGNAL_ALL: int(qp.sig_all),
        }  # fmt: skip
        if qp.recv is not None:
            values |= {V.MAX_RECV_WR: qp.recv.most, V.MAX_RECV_SGE: qp.recv.most_sge}
        if qp.srq is not None:
            values[V.SRQ] = qp.srq.number
        self.tell(K.CREATE_QP, object=qp.number, phys_addr=qp.pd.number, type=qp.type,
                  direction=qp.values["access"], hca=values)  # fmt: skip
        self.tell_memory(qp.number, P.SEND_RING, qp.send.ring)
        if qp.recv is not None:
            self.tell_memory(qp.number, P.RECV_RING, qp.recv.ring, P.QP_RECORD,
                             qp.values["record"])  # fmt: skip

    def tell_memory(self, number: int, part: QueuePart, ring: Ring,
                    record_part: QueuePart = P.UNKNOWN, record: int = 0) -> None:  # fmt: skip
        """Record which memory a queue and its doorbell record were given, by bus addresses."""
        left, sges = ring.entries * ring.stride, []
        for i, page in enumerate(ring.pages.bus):
            skip = 0 if i else ring.pages.offset
            count = min(left, PAGE - skip)
            sges.append((page + skip, count, 0))
            left -= count
        slots = {P.SEND_RING: V.MAX_SEND_WR, P.RECV_RING: V.MAX_RECV_WR}.get(part)
        self.tell(K.QUEUE_MEMORY, object=number, type=part, sges=sges,
                  hca={slots: ring.entries} if slots else None)  # fmt: skip
        if record_part:
            self.tell(K.QUEUE_MEMORY, object=number, type=record_part, bus_addr=record,
                      length=RECORD_BYTES)  # fmt: skip

    def start_commands(self) -> None:
        """Begin with no queue."""
        self._cqs: dict[int, Cq] = {}
        self._qps: dict[int, Qp] = {}
        self._srqs: dict[int, Srq] = {}
        super().start_commands()


def _power(number: int) -> int:
    return 1 << (number - 1).bit_length()


def _receive_stride(max_sge: int) -> int:
    """Return the bytes of a receive: its list, and the entry that ends it."""
    return _power((max_sge + 1) * 16)
