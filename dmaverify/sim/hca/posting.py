"""Posts of work requests: their bytes in a ring, and what tells the HCA of them."""

import struct
from typing import Any

from dmaverify.errors import SimError
from dmaverify.model.kinds import EventKind, HcaValue, Opcode, PostFlag, QpType, QueuePart, Rights
from dmaverify.sim.hca.layout import (
    END_OF_LIST,
    INLINE,
    MTU,
    OWNER,
    R_SEND_DOORBELL,
    Op,
    Wqe,
)
from dmaverify.sim.hca.objects import MwType, Qp, RecvWr, SendWr, Sge, Srq, WorkQueue, WrOp
from dmaverify.sim.hca.queues import Queues
from dmaverify.sim.hca.regions import EINVAL, ENOMEM

K, V = EventKind, HcaValue

_OPS = {
    WrOp.SEND: Op.SEND, WrOp.SEND_WITH_IMM: Op.SEND_IMM, WrOp.RDMA_WRITE: Op.RDMA_WRITE,
    WrOp.RDMA_WRITE_WITH_IMM: Op.RDMA_WRITE_IMM, WrOp.RDMA_READ: Op.RDMA_READ,
    WrOp.ATOMIC_CMP_AND_SWP: Op.ATOMIC_CS, WrOp.ATOMIC_FETCH_AND_ADD: Op.ATOMIC_FA,
    WrOp.SEND_WITH_INV: Op.SEND_INVAL, WrOp.LOCAL_INV: Op.LOCAL_INVAL, WrOp.REG_MR: Op.FMR,
    WrOp.BIND_MW: Op.BIND_MW,
}  # fmt: skip
_NEUTRAL = {
    WrOp.SEND_WITH_IMM: Opcode.SEND, WrOp.ATOMIC_CMP_AND_SWP: Opcode.ATOMIC,
    WrOp.ATOMIC_FETCH_AND_ADD: Opcode.ATOMIC,
}  # fmt: skip
_REMOTE = {
    WrOp.RDMA_WRITE, WrOp.RDMA_WRITE_WITH_IMM, WrOp.RDMA_READ, WrOp.ATOMIC_CMP_AND_SWP,
    WrOp.ATOMIC_FETCH_AND_ADD,
}  # fmt: skip
_ATOMICS = {WrOp.ATOMIC_CMP_AND_SWP, WrOp.ATOMIC_FETCH_AND_ADD}
MW_TYPES = {MwType.TYPE_1: 1, MwType.TYPE_2A: 2, MwType.TYPE_2B: 3}


def neutral(op: WrOp) -> Opcode:
    """Return what a work request is called in a recording."""
    return _NEUTRAL[op] if op in _NEUTRAL else Opcode(op.value)


class Posting(Queues):
    """Posts work requests."""

    def post_send(self, qp: Qp, *requests: SendWr, doorbell: bool = True,
                  checked: bool = True) -> int:  # fmt: skip
        """Post sends in order, then ring the doorbell once; return 0 or a negative error.

        Args:
            qp: the queue pair.
            requests: what is posted; the first that is refused ends the call.
            doorbell: whether the HCA is told.
            checked: whether the driver looks for room in the ring, and at the lengths of list and
                inline data; a driver that does not overwrites what is in the ring.
        """
        error = 0
        for request in requests:
            error = self._refusal(qp, request) if checked else 0
            if not error:
                self.write_wqe(qp, request)
            self._tell_send(qp, request, error != 0)
            if error:
                break
        if doorbell:
            self.ring_doorbell(qp)
        return error

    def post_recv(self, qp: Qp, *requests: RecvWr, doorbell: bool = True,
                  checked: bool = True) -> int:  # fmt: skip
        """Post receives; arguments as for `post_send`."""
        for request in requests:
            if request.request_key:
                self._asked[qp.number, request.wr_id] = request.request_key
        if qp.recv is None:
            for request in requests:
                self._tell_receive(qp, request, True)
            return -EINVAL
        error = self._post_to(qp.recv, requests, qp, checked)
        if doorbell:
            self.tell(K.DOORBELL, object=qp.number, type=QueuePart.RECV_RING)
            self.write_record(qp.recv.record, qp.recv.head)
        return error

    def post_srq_recv(self, srq: Srq, *requests: RecvWr, doorbell: bool = True) -> int:
        """Post receives to a shared queue."""
        error = self._post_to(srq.queue, requests, srq, True)
        if doorbell:
            self.tell(K.DOORBELL, object=srq.number, type=QueuePart.SRQ_RING)
            self.write_record(srq.queue.record, srq.queue.head)
        return error

    def bind_mw(self, qp: Qp, request: SendWr) -> int:
        """Bind a window of type 1: the verb makes the key, and posts. Returns 0 or an error.

        Source: rdma-core libibverbs/man/ibv_bind_mw.3.
        """
        if request.mw is None or request.mw.type is not MwType.TYPE_1:
            return -EINVAL
        request.opcode = WrOp.BIND_MW
        request.key = request.mw.rkey & ~0xFF | request.mw.rkey + 1 & 0xFF
        return self.post_send(qp, request)

    def start_commands(self) -> None:
        """Begin with no request that waits for an answer."""
        self._asked: dict[tuple[int, int], int] = {}
        super().start_commands()

    # Steps of the above

    def write_wqe(self, qp: Qp, request: SendWr) -> None:
        """Write a send into its slot of the ring, the first word last."""
        queue = qp.send
        body = self.wqe_body(request)
        if len(body) + 16 > queue.ring.stride:
            raise SimError(f"a work request of {len(body) + 16} bytes does not fit its slot")
        self.put_wqe(qp, self.wqe_control(qp, request, len(body)) + body)
        self._note(queue, request.wr_id, neutral(request.opcode))

    def put_wqe(self, qp: Qp, data: bytes) -> None:
        """Write the bytes of a work request into the next slot, whatever they say."""
        ring = qp.send.ring
        at = ring.virt + qp.send.head % ring.entries * ring.stride
        self.write(at + 4, data[4:])
        self.write(at, data[:4])

    def post_raw(self, qp: Qp, data: bytes, wr_id: int = 0, doorbell: bool = True) -> None:
        """Post bytes as a send; nothing is recorded of it but the bytes."""
        self.put_wqe(qp, data)
        self._note(qp.send, wr_id, Opcode.UNKNOWN)
        if doorbell:
            self.ring_doorbell(qp)

    def ring_doorbell(self, qp: Qp) -> None:
        """Tell the HCA how far the send ring is filled."""
        self.tell(K.DOORBELL, object=qp.number, type=QueuePart.SEND_RING)
        self.registers.write(R_SEND_DOORBELL, qp.number << 32 | qp.send.head & 0xFFFF_FFFF)

    def wqe_control(self, qp: Qp, request: SendWr, length: int) -> bytes:
        """Return the control segment of a send with so many bytes behind it."""
        flags = 0
        if qp.send.head // qp.send.ring.entries % 2:
            flags |= OWNER
        if request.flags & PostFlag.FENCE:
            flags |= Wqe.FENCE
        if request.flags & PostFlag.SIGNALED or qp.sig_all:
            flags |= Wqe.SIGNALED
        if request.flags & PostFlag.SOLICITED:
            flags |= Wqe.SOLICITED
        word = request.invalidate if request.opcode is WrOp.SEND_WITH_INV else request.imm
        return Wqe.CONTROL.pack(flags, _OPS[request.opcode], (length + 31) // 16, word, 0)

    def wqe_body(self, request: SendWr) -> bytes:
        """Return what follows the control segment."""
        op = request.opcode
        if op is WrOp.LOCAL_INV:
            self.key_ended(request.invalidate)
            return Wqe.INVALIDATE.pack(request.invalidate)
        if op is WrOp.REG_MR:
            return self._register(request)
        if op is WrOp.BIND_MW:
            return self._bind(request)
        head = b""
        if request.ah is not None:
            head = Wqe.DATAGRAM.pack(request.remote_qpn, request.remote_qkey, request.ah.pd.number,
                                     int(request.ah.grh))  # fmt: skip
        elif op in _REMOTE:
            head = Wqe.REMOTE.pack(request.remote_addr, request.rkey)
        if op in _ATOMICS:
            first = op is WrOp.ATOMIC_CMP_AND_SWP
            head += Wqe.ATOMIC.pack(request.swap if first else request.compare_add,
                                    request.compare_add if first else 0)  # fmt: skip
        if request.flags & PostFlag.INLINE:
            data = self._inline_data(request)
            return head + struct.pack(">I", len(data) | INLINE) + data
        return head + b"".join(Wqe.DATA.pack(s.length, s.lkey, s.addr) for s in request.sges)

    def key_ended(self, key: int) -> None:
        """Take note that a region which work requests register is free again."""
        mr = self._mrs.get(key >> 8)
        if mr is not None:
            mr.live = False

    def _inline_data(self, request: SendWr) -> bytes:
        if request.data is not None:
            return request.data
        return b"".join(self.read(s.addr, s.length) for s in request.sges)

    def _register(self, request: SendWr) -> bytes:
        mr = request.mr
        if mr is None:
            raise SimError("REG_MR without a region")
        offset, count = self._lists.get(mr.lkey >> 8, (0, 0))
        mr.lkey, mr.access, mr.live = request.key or mr.lkey, request.access, True
        return Wqe.REGISTER.pack(mr.lkey, mr.access, mr.list_bus, mr.addr, mr.length, offset, count)

    def _bind(self, request: SendWr) -> bytes:
        mw, mr = request.mw, request.mr
        if mw is None:
            raise SimError("BIND_MW without a window")
        mw.rkey, mw.bound = request.key or mw.rkey, request.bind_length > 0
        return Wqe.BIND.pack(mw.rkey, mr.lkey if mr else 0, request.access, MW_TYPES[mw.type],
                             request.bind_addr, request.bind_length)  # fmt: skip

    def _refusal(self, qp: Qp, request: SendWr) -> int:
        """Return the error that a driver refuses a send with, 0 for none."""
        if qp.send.head - qp.send.tail >= qp.send.most:
            return -ENOMEM
        inline = request.flags & PostFlag.INLINE
        if inline and sum(s.length for s in request.sges) > qp.max_inline:
            return -ENOMEM
        if not inline and len(request.sges) > qp.send.most_sge:
            return -EINVAL
        return 0 if not self.family.checks_at_post or self.suits(qp, request) else -EINVAL

    def suits(self, qp: Qp, request: SendWr) -> bool:
        """Tell whether a driver that checks at a post takes a send.

        Source: Linux drivers/infiniband/sw/rdmavt/qp.c, rvt_qp_valid_operation() and
        rvt_post_one_wr(); mr.c, rvt_lkey_ok() and rvt_fast_reg_mr(); hw/hfi1/qp.c,
        hfi1_setup_wqe().
        """
        brings = request.opcode is WrOp.RDMA_READ or request.opcode in _ATOMICS
        if brings and qp.type is not QpType.RC:
            return False
        if request.opcode is WrOp.REG_MR and request.mr is not None and request.mr.live:
            return False
        if request.flags & PostFlag.INLINE:
            return True
        if request.ah is not None and sum(s.length for s in request.sges) > MTU:
            return False
        need = Rights.LOCAL_WRITE if brings else Rights(0)
        return all(self._key_is_good(qp, sge, need) for sge in request.sges)

    def _key_is_good(self, qp: Qp, sge: Sge, need: Rights) -> bool:
        mr = self._mrs.get(sge.lkey >> 8)
        if mr is None or mr.lkey != sge.lkey or mr.pd is not qp.pd or need & ~mr.access:
            return False
        return mr.addr <= sge.addr and sge.addr - mr.addr + sge.length <= mr.length

    def _post_to(self, queue: WorkQueue, requests: tuple[RecvWr, ...], to: Qp | Srq,
                 checked: bool) -> int:  # fmt: skip
        error = 0
        for request in requests:
            if checked and queue.head - queue.tail >= queue.most:
                error = -ENOMEM
            elif checked and len(request.sges) > queue.most_sge:
                error = -EINVAL
            else:
                self._write_receive(queue, request)
            self._tell_receive(to, request, error != 0)
            if error:
                break
        return error

    def _write_receive(self, queue: WorkQueue, request: RecvWr) -> None:
        data = b"".join(Wqe.DATA.pack(s.length, s.lkey, s.addr) for s in request.sges)
        if len(data) < queue.ring.stride:
            data += Wqe.DATA.pack(0, END_OF_LIST, 0)
        at = queue.ring.virt + queue.head % queue.ring.entries * queue.ring.stride
        self.write(at, data)
        self._note(queue, request.wr_id, Opcode.RECV)

    def _note(self, queue: WorkQueue, wr_id: int, opcode: Opcode) -> None:
        """Keep the id of what was posted until its completion."""
        slot = queue.head % queue.ring.entries
        while len(queue.ids) <= slot:
            queue.ids.append((0, Opcode.UNKNOWN))
        queue.ids[slot] = wr_id, opcode
        queue.head += 1

    def _tell_send(self, qp: Qp, request: SendWr, failed: bool) -> None:
        values = {}
        if request.ah is not None:
            values = {V.AH: request.ah.number, V.REMOTE_QP: request.remote_qpn}
        elif request.opcode in _REMOTE:
            values = {V.REMOTE_KEY: request.rkey, V.REMOTE_ADDR: request.remote_addr}
        self.tell(K.POST_SEND, failed=failed, object=qp.number, phys_addr=request.wr_id,
                  type=neutral(request.opcode), direction=int(request.flags),
                  sges=[tuple(s) for s in request.sges], hca=values)  # fmt: skip

    def _tell_receive(self, to: Qp | Srq, request: RecvWr, failed: bool) -> None:
        values: dict[str, Any] = (
            {"object": to.number} if isinstance(to, Qp) else {"hca": {V.SRQ: to.number}}
        )
        self.tell(K.POST_RECV, failed=failed, phys_addr=request.wr_id,
                  sges=[tuple(s) for s in request.sges], **values)  # fmt: skip
