"""Management datagrams: 256 bytes on QP0 and QP1, a receive with 40 bytes of routing header more.

Source: Linux drivers/infiniband/core/mad.c, ib_mad_post_receive_mads() and ib_send_mad().
"""

from dmaverify.model.kinds import EventKind, HcaValue, MadStep, Opcode, WcStatus
from dmaverify.sim.hca.objects import Ah, Cq, Qp, RecvWr, SendWr, Sge, Wc, WrOp
from dmaverify.sim.hca.poll import Polling

K = EventKind
#: Q_Key of QP1; QP0 has none. Source: Linux include/rdma/ib_mad.h, IB_QP1_QKEY.
QP1_QKEY = 0x8001_0000
AGENT = 1


class Mads(Polling):
    """Sends and receives management datagrams."""

    def post_mad_recv(self, qp: Qp, buffer: Sge, wr_id: int) -> int:
        """Post room for a datagram: 40 + 256 bytes that are mapped for the device to write."""
        error = self.post_recv(qp, RecvWr((buffer,), wr_id))
        self._mads[qp.number, True, wr_id] = buffer
        self._tell_mad(K.MAD_RECV, qp, buffer, wr_id, MadStep.POSTED)
        return error

    def post_mad_send(self, qp: Qp, buffer: Sge, wr_id: int, ah: Ah, wire_qp: int = 1) -> int:
        """Post a datagram of 256 bytes that are mapped for the device to read.

        Args:
            qp: of type SMI or GSI.
            buffer: the datagram.
            wr_id: the driver's own number.
            ah: where it goes.
            wire_qp: 0 or 1: which queue pair of that port.
        """
        qkey = qp.values.get("qkey", 0)
        self._mads[qp.number, False, wr_id] = buffer
        self._tell_mad(K.MAD_SEND, qp, buffer, wr_id, MadStep.POSTED)
        return self.post_send(qp, SendWr(WrOp.SEND, (buffer,), wr_id, ah=ah, remote_qpn=wire_qp,
                                         remote_qkey=qkey))  # fmt: skip

    def take_completion(self, cq: Cq, data: bytes) -> Wc:
        """Take a completion; that of a datagram gives its buffer back."""
        wc = super().take_completion(cq, data)
        is_recv = wc.opcode is Opcode.RECV
        buffer = self._mads.pop((wc.qp_num, is_recv, wc.wr_id), None)
        if buffer is not None:
            kind = K.MAD_RECV if is_recv else K.MAD_SEND
            self._tell_mad(kind, self._qps[wc.qp_num], buffer, wc.wr_id, MadStep.COMPLETED,
                           wc.status)  # fmt: skip
        return wc

    def start_commands(self) -> None:
        """Begin with no datagram."""
        self._mads: dict[tuple[int, bool, int], Sge] = {}
        super().start_commands()

    def _tell_mad(self, kind: EventKind, qp: Qp, buffer: Sge, wr_id: int, step: MadStep,
                  status: WcStatus = WcStatus.SUCCESS) -> None:  # fmt: skip
        self.tell(kind, object=AGENT, bus_addr=buffer.addr, length=buffer.length,
                  phys_addr=wr_id, type=step, status=status,
                  hca={HcaValue.QUEUE_PAIR: qp.number})  # fmt: skip
