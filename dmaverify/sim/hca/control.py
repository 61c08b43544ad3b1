"""The commands of an HCA: each is fetched from its mailbox and done at once."""

import struct

from dmaverify.model.kinds import QpState
from dmaverify.sim.hca.completions import Completions
from dmaverify.sim.hca.layout import (
    MTT_ROOM,
    PAGE,
    PRESENT,
    Command,
    CommandStatus,
    CqContext,
    Mpt,
    QpContext,
    SrqContext,
)
from dmaverify.sim.hca.state import CompletionQueue, QueuePair, ReceiveQueue

C, S, Q = Command, CommandStatus, QpState

#: The states that a move begins in, and where it ends.
MOVES = {
    C.RST2INIT_QP: (Q.RESET, Q.INIT),
    C.INIT2INIT_QP: (Q.INIT, Q.INIT),
    C.INIT2RTR_QP: (Q.INIT, Q.RTR),
    C.RTR2RTS_QP: (Q.RTR, Q.RTS),
    C.RTS2RTS_QP: (Q.RTS, Q.RTS),
    C.RTS2SQD_QP: (Q.RTS, Q.SQD),
    C.SQD2RTS_QP: (Q.SQD, Q.RTS),
    C.SQERR2RTS_QP: (Q.SQE, Q.RTS),
    C.TO_ERR_QP: (None, Q.ERR),
    C.TO_RST_QP: (None, Q.RESET),
}
MOST_ENTRIES = 1 << 16
CONTEXT_BYTES = {C.SW2HW_MPT: 64, C.SW2HW_CQ: 32, C.SW2HW_SRQ: 32}


class Control(Completions):
    """Does commands."""

    def do(self, op: int, index: int, mailbox: int) -> CommandStatus:
        """Do a command and return its status.

        Args:
            op: its opcode.
            index: what it is about.
            mailbox: bus address of its mailbox.
        """
        if op in CONTEXT_BYTES:
            return self._enter(C(op), index, self.device.read(mailbox, CONTEXT_BYTES[C(op)]))
        if op == C.WRITE_MTT:
            return self._translate(index, mailbox)
        if op in (C.HW2SW_MPT, C.HW2SW_CQ, C.HW2SW_SRQ):
            return self._leave(C(op), index)
        if op in MOVES:
            return self._move(C(op), index, self.device.read(mailbox, QpContext.FORM.size))
        return S.BAD_OP

    def _translate(self, count: int, mailbox: int) -> CommandStatus:
        if not 0 < count <= MTT_ROOM:
            return S.BAD_PARAM
        data = self.device.read(mailbox, 8 + 8 * count)
        first = int.from_bytes(data[:4], "big")
        for i, entry in enumerate(struct.unpack(f">{count}Q", data[8:])):
            if entry & PRESENT:
                self.mtts[first + i] = entry & ~PRESENT
            else:
                self.mtts.pop(first + i, None)
        return S.OK

    def _enter(self, op: Command, index: int, data: bytes) -> CommandStatus:
        """Take a key, a completion queue or a shared receive queue over."""
        if op is C.SW2HW_MPT:
            entry = Mpt.unpack(data)
            if entry.key >> 8 != index:
                return S.BAD_INDEX
            self.mpts[index] = entry
        elif op is C.SW2HW_CQ:
            queue = CqContext.unpack(data)
            if not _power(queue.entries):
                return S.BAD_PARAM
            self.cqs[index] = CompletionQueue(queue)
        else:
            context = SrqContext.unpack(data)
            if not _power(context.entries) or not _stride(context.stride):
                return S.BAD_PARAM
            self.srqs[index] = (
                context,
                ReceiveQueue(
                    context.mtt, context.offset, context.entries, context.stride, context.record
                ),
            )
        return S.OK

    def _leave(self, op: Command, index: int) -> CommandStatus:
        table: dict[int, object] = {
            C.HW2SW_MPT: self.mpts, C.HW2SW_CQ: self.cqs, C.HW2SW_SRQ: self.srqs,
        }[op]  # type: ignore[assignment]  # fmt: skip
        if index not in table:
            return S.BAD_INDEX
        if op is C.HW2SW_MPT:
            if self.bound_to(index):
                return S.BAD_REGION_STATE
            self.windows.pop(index, None)
        del table[index]
        return S.OK

    def _move(self, op: Command, number: int, data: bytes) -> CommandStatus:
        begin, end = MOVES[op]
        qp = self.qps.setdefault(number, QueuePair(number, QpContext()))
        if begin is not None and qp.state is not begin:
            return S.BAD_QP_STATE
        if end is Q.RESET:
            self.qps[number] = QueuePair(number, QpContext.unpack(data))
            return S.OK
        if end is Q.ERR:
            self.fail(qp)
            return S.OK
        context = QpContext.unpack(data)
        if not _power(context.sq_entries) or not _stride(context.sq_stride):
            return S.BAD_PARAM
        if not context.srq and not (_power(context.rq_entries) and _stride(context.rq_stride)):
            return S.BAD_PARAM
        qp.context = context
        if begin is Q.RESET:
            self._attach(qp)
        qp.state = end
        return S.OK

    def _attach(self, qp: QueuePair) -> None:
        c = qp.context
        if c.srq:
            shared = self.srqs.get(c.srq)
            qp.receives = shared[1] if shared else None
        else:
            qp.receives = ReceiveQueue(c.rq_mtt, c.rq_offset, c.rq_entries, c.rq_stride, c.record)


def _power(entries: int) -> bool:
    """Tell whether a ring can have so many entries."""
    return 0 < entries <= MOST_ENTRIES and entries & (entries - 1) == 0


def _stride(length: int) -> bool:
    """Tell whether an entry can have so many bytes."""
    return 16 <= length <= PAGE and length % 16 == 0
