"""Polls of completion queues."""

from dmaverify.model.kinds import AsyncEvent, EventKind, HcaValue, Opcode, WcFlag, WcStatus
from dmaverify.sim.hca.layout import (
    CQE_BYTES,
    CQE_ERROR,
    CQE_IS_SEND,
    OWNER,
    R_EVENT,
    Cqe,
    Event,
    Op,
    RecvOp,
    Syndrome,
)
from dmaverify.sim.hca.objects import Cq, Qp, Wc, WorkQueue
from dmaverify.sim.hca.posting import Posting

K, S, W = EventKind, Syndrome, WcStatus

#: What a syndrome is to verbs. Source: Linux drivers/infiniband/hw/mlx4/cq.c.
STATUSES = {
    S.LOCAL_LENGTH: W.LOC_LEN_ERR, S.LOCAL_QP_OP: W.LOC_QP_OP_ERR, S.LOCAL_PROT: W.LOC_PROT_ERR,
    S.WR_FLUSH: W.WR_FLUSH_ERR, S.MW_BIND: W.MW_BIND_ERR, S.BAD_RESP: W.BAD_RESP_ERR,
    S.LOCAL_ACCESS: W.LOC_ACCESS_ERR, S.REMOTE_INVAL_REQ: W.REM_INV_REQ_ERR,
    S.REMOTE_ACCESS: W.REM_ACCESS_ERR, S.REMOTE_OP: W.REM_OP_ERR, S.RETRY_EXC: W.RETRY_EXC_ERR,
    S.RNR_RETRY_EXC: W.RNR_RETRY_EXC_ERR, S.REMOTE_ABORTED: W.REM_ABORT_ERR,
}  # fmt: skip
_SENDS = {
    Op.SEND_INVAL: Opcode.SEND_INV, Op.RDMA_WRITE: Opcode.RDMA_WRITE,
    Op.RDMA_WRITE_IMM: Opcode.RDMA_WRITE_IMM, Op.SEND: Opcode.SEND, Op.SEND_IMM: Opcode.SEND,
    Op.RDMA_READ: Opcode.RDMA_READ, Op.ATOMIC_CS: Opcode.ATOMIC, Op.ATOMIC_FA: Opcode.ATOMIC,
    Op.BIND_MW: Opcode.BIND, Op.FMR: Opcode.FAST_REG, Op.LOCAL_INVAL: Opcode.LOCAL_INV,
}  # fmt: skip


class Polling(Posting):
    """Takes completions out of their ring."""

    def poll_cq(self, cq: Cq, most: int = 1) -> list[Wc]:
        """Return the completions that are there, oldest first, at most so many.

        Each look at an empty queue lets the HCA work for a while.
        """
        self.registers.wait()
        found: list[Wc] = []
        while len(found) < most:
            data = self.next_cqe(cq)
            if data is None:
                break
            found.append(self.take_completion(cq, data))
        if found:
            self.write_record(cq.record, cq.consumer)
        return found

    def wait(self, cq: Cq, count: int = 1, looks: int = 64) -> list[Wc]:
        """Poll until so many completions came, or so many looks found too few."""
        found: list[Wc] = []
        while len(found) < count and looks > 0:
            found += self.poll_cq(cq, count - len(found))
            looks -= 1
        return found

    def next_cqe(self, cq: Cq) -> bytes | None:
        """Return the bytes of the next completion, None where the HCA still owns the entry."""
        at = cq.ring.virt + cq.consumer % cq.ring.entries * CQE_BYTES
        owner = self.read(at + CQE_BYTES - 1, 1)[0] & OWNER
        if bool(owner) != bool(cq.consumer & cq.ring.entries):
            return None
        return self.read(at, CQE_BYTES)

    def take_completion(self, cq: Cq, data: bytes) -> Wc:
        """Take a completion out of its ring and record it."""
        cq.consumer += 1
        wc = self._completion(data)
        beside = _beside(wc)
        if wc.opcode is Opcode.RECV and (wc.qp_num, wc.wr_id) in self._asked:
            beside[HcaValue.REQUEST_KEY] = self._asked.pop((wc.qp_num, wc.wr_id))
        self.tell(K.CQE, object=wc.qp_num, phys_addr=wc.wr_id, type=wc.opcode, status=wc.status,
                  length=wc.byte_len if wc.status is W.SUCCESS else None, hca=beside)  # fmt: skip
        return wc

    def poll_event(self) -> tuple[AsyncEvent, int] | None:
        """Return the oldest asynchronous event, and the number of the object; None for none."""
        value = self.registers.read(R_EVENT)
        if not value:
            return None
        event, number = AsyncEvent[Event(value >> 32).name], value & 0xFFFF_FFFF
        self.tell(K.ASYNC_EVENT, object=number, type=event)
        return event, number

    def _completion(self, data: bytes) -> Wc:
        number, word, source, count, index, syndrome, vendor, last = Cqe.FORM.unpack(data)
        op, is_send = last & 0x1F, bool(last & CQE_IS_SEND)
        qp = self._qps.get(number)
        queue = self._queue_of(qp, is_send)
        wr_id, opcode = _done(queue, index, is_send) if queue else (0, Opcode.UNKNOWN)
        if op == CQE_ERROR:
            status = STATUSES.get(syndrome, W.GENERAL_ERR)
            return Wc(wr_id, status, opcode, 0, number, vendor_err=vendor)
        wc = Wc(wr_id, W.SUCCESS, opcode, count, number, src_qp=source & 0xFF_FFFF,
                grh=bool(source & Cqe.HAS_GRH))  # fmt: skip
        if is_send:
            wc.opcode = _SENDS.get(op, Opcode.UNKNOWN)
        else:
            wc.opcode = Opcode.RECV
            wc.imm = word if op in (RecvOp.SEND_IMM, RecvOp.RDMA_WRITE_IMM) else None
            wc.invalidated = word if op == RecvOp.SEND_INVAL else None
            self.key_ended(wc.invalidated or 0)
        return wc

    @staticmethod
    def _queue_of(qp: Qp | None, is_send: bool) -> WorkQueue | None:
        if qp is None:
            return None
        if is_send:
            return qp.send
        return qp.srq.queue if qp.srq is not None else qp.recv


def _beside(wc: Wc) -> dict[HcaValue, int]:
    """Return what a completion has beside its status."""
    if wc.status is not W.SUCCESS:
        return {HcaValue.VENDOR_ERR: wc.vendor_err}
    values, flags = {}, WcFlag.GRH if wc.grh else WcFlag(0)
    if wc.imm is not None:
        flags |= WcFlag.WITH_IMM
        values[HcaValue.IMMEDIATE] = wc.imm
    if wc.invalidated is not None:
        flags |= WcFlag.WITH_INVALIDATE
        values[HcaValue.INVALIDATED] = wc.invalidated
    if wc.opcode is Opcode.RECV:
        values[HcaValue.WC_FLAGS] = int(flags)
    return values


def _done(queue: WorkQueue, index: int, is_send: bool) -> tuple[int, Opcode]:
    """Return id and opcode of what has completed; its slot, and those before it, are free."""
    entries = queue.ring.entries
    slot = index % entries
    if is_send:
        queue.tail += ((slot - queue.tail) % entries) + 1
    else:
        queue.tail += 1
    return queue.ids[slot] if slot < len(queue.ids) else (0, Opcode.UNKNOWN)
