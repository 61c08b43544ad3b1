"""Completions: what an HCA writes into completion rings, and what it flushes."""

from dmaverify.model.kinds import QpState
from dmaverify.sim.hca.keys import Keys
from dmaverify.sim.hca.layout import (
    CQE_BYTES,
    CQE_ERROR,
    CQE_IS_SEND,
    END_OF_LIST,
    OWNER,
    Cqe,
    Event,
    Sge,
    Syndrome,
    Wqe,
)
from dmaverify.sim.hca.state import CompletionQueue, HcaFault, QueuePair, ReceiveQueue

VENDOR = 0x51  # a vendor's number for whatever it is


class Completions(Keys):
    """Writes completions."""

    def complete(self, qp: QueuePair, index: int, op: int, *, is_send: bool, length: int = 0,
                 word: int = 0, source: int = 0) -> None:  # fmt: skip
        """Write a completion of what succeeded.

        Args:
            qp: whose it is.
            index: slot of the work request.
            op: opcode as the completion has it.
            is_send: of the send queue.
            length: bytes that came in.
            word: immediate data or a key.
            source: queue pair of the sender, with the bit of a routing header.
        """
        last = op | (CQE_IS_SEND if is_send else 0)
        self.write_cqe(qp, is_send, (qp.number, word, source, length, index, 0, 0), last)

    def complete_error(self, qp: QueuePair, index: int, syndrome: int, *, is_send: bool) -> None:
        """Write a completion of what failed."""
        last = CQE_ERROR | (CQE_IS_SEND if is_send else 0)
        self.write_cqe(qp, is_send, (qp.number, 0, 0, 0, index, syndrome, VENDOR), last)

    def write_cqe(self, qp: QueuePair, is_send: bool, head: tuple[int, ...], last: int) -> None:
        """Write a completion into the ring that it belongs to, if there is room."""
        if self.breaks(HcaFault.LOST_COMPLETION) is not None:
            return
        cq = self.cqs.get(qp.context.send_cq if is_send else qp.context.recv_cq)
        if cq is None:
            return
        times = 2 if self.breaks(HcaFault.TWICE) is not None else 1
        for _ in range(times):
            if not self._room(cq, qp):
                return
            entries = cq.context.entries
            owner = OWNER if cq.producer & entries else 0
            slot = cq.producer % entries * CQE_BYTES
            cq.producer += 1
            self.ring_write(cq.context.mtt, cq.context.offset + slot,
                            Cqe.FORM.pack(*head, last | owner))  # fmt: skip

    def _room(self, cq: CompletionQueue, qp: QueuePair) -> bool:
        """Tell whether a completion fits; where it does not, queue and queue pair are dead."""
        if cq.dead:
            return False
        if cq.context.ignore_overrun:
            return True
        consumer = int.from_bytes(self.device.read(cq.context.record, 4), "big")
        if (cq.producer - consumer) & 0xFFFF_FFFF < cq.context.entries:
            return True
        cq.dead = True
        number = next(n for n, c in self.cqs.items() if c is cq)
        self.happened(Event.CQ_ERR, number)
        qp.state = QpState.ERR
        return False

    # Receives

    def next_receive(self, queue: ReceiveQueue | None) -> tuple[int, list[Sge]] | None:
        """Take the next receive of a ring: (slot, list); None where none is posted."""
        if queue is None:
            return None
        posted = int.from_bytes(self.device.read(queue.record, 4), "big")
        if not 0 < (posted - queue.consumer) & 0xFFFF_FFFF <= queue.entries:
            return None
        slot = queue.consumer % queue.entries
        queue.consumer += 1
        data = self.ring_read(queue.mtt, queue.offset + slot * queue.stride, queue.stride)
        found = []
        for at in range(0, len(data) - 15, 16):
            length, key, addr = Wqe.DATA.unpack(data[at : at + 16])
            if key == END_OF_LIST and not length:
                break
            found.append(Sge(addr, length, key))
        return slot, found

    # The end of a queue pair

    def fail(self, qp: QueuePair) -> None:
        """Put a queue pair into the error state, and flush what is posted."""
        if qp.state is QpState.RESET:
            return
        if qp.context.srq and qp.state is not QpState.ERR:
            self.happened(Event.QP_LAST_WQE_REACHED, qp.number)
        qp.state = QpState.ERR
        self.flush(qp)

    def flush(self, qp: QueuePair) -> None:
        """Complete all that is posted to a queue pair in the error state."""
        qp.landing.clear()
        while qp.consumer != qp.producer:
            slot = qp.consumer % qp.context.sq_entries
            qp.consumer = qp.consumer + 1 & 0xFFFF_FFFF
            self.complete_error(qp, slot, Syndrome.WR_FLUSH, is_send=True)
        if qp.context.srq:
            return  # what is posted there is others' too
        while (found := self.next_receive(qp.receives)) is not None:
            self.complete_error(qp, found[0], Syndrome.WR_FLUSH, is_send=False)
