"""A simulated HCA: registers at one end, a wire at the other, memory by DMA between.

A driver writes registers, and whatever else the HCA knows it has fetched by DMA: contexts by
mailboxes, work requests from rings by their bus addresses, counters from doorbell records. It
translates (key, address) to bus addresses by entries of its own and moves the bytes through the
platform, so that whatever an IOMMU, a bounce buffer or a cache does to a device happens to it.
"""

from dmaverify.model.kinds import QpState
from dmaverify.sim.device import Device
from dmaverify.sim.hca.family import HARDWARE, Family
from dmaverify.sim.hca.layout import (
    R_EVENT,
    R_INDEX,
    R_MAILBOX,
    R_OPCODE,
    R_SEND_DOORBELL,
    R_STATUS,
    CommandStatus,
    Event,
)
from dmaverify.sim.hca.registers import Registers
from dmaverify.sim.hca.requester import Requester
from dmaverify.sim.hca.state import QueuePair
from dmaverify.sim.tape import Tape


class Hca(Requester):
    """An HCA with one port.

    Args:
        device: how it reaches memory.
        tape: where probes of its driver would record what it looks up (`probes`).
        family: with which status it refuses what.

    Attributes:
        stopped: while it is True the HCA does nothing but commands.
    """

    def __init__(self, device: Device, tape: Tape, family: Family = HARDWARE) -> None:
        super().__init__(device, tape, family)
        self.stopped = False
        self._values = {R_MAILBOX: 0, R_INDEX: 0, R_STATUS: int(CommandStatus.OK)}
        self.registers = Registers(self._write, self._read, self.work)

    def work(self) -> None:
        """Do what there is to do; so does the HCA at the other end of the wire."""
        self.work_alone()
        if isinstance(self.peer, Hca) and self.peer is not self:
            self.peer.work_alone()

    def work_alone(self) -> None:
        """Do what there is to do at this end."""
        if self.stopped:
            return
        self.land_late()
        for qp in list(self.qps.values()):
            self._work_on(qp)

    def _work_on(self, qp: QueuePair) -> None:
        if self.stopped:
            return
        if qp.state is QpState.RTS:
            self.send(qp)
        elif qp.state is QpState.ERR:
            self.flush(qp)

    def _write(self, offset: int, value: int) -> None:
        if offset == R_OPCODE:
            status = self.do(value, self._values[R_INDEX], self._values[R_MAILBOX])
            self._values[R_STATUS] = int(status)
        elif offset == R_SEND_DOORBELL:
            self._doorbell(value >> 32, value & 0xFFFF_FFFF)
        elif offset in (R_MAILBOX, R_INDEX):
            self._values[offset] = value

    def _read(self, offset: int) -> int:
        if offset == R_EVENT:
            if not self.events:
                return 0
            event, number = self.events.pop(0)
            return int(event) << 32 | number
        return self._values.get(offset, 0)

    def _doorbell(self, number: int, producer: int) -> None:
        """Take the producer index of a send ring; no queue pair takes it before it is in RTS.

        One that tells of more than the ring has is the end of the queue pair.
        """
        qp = self.qps.get(number)
        if qp is None or qp.state in (QpState.RESET, QpState.INIT, QpState.RTR):
            return
        if (producer - qp.consumer) & 0xFFFF_FFFF > qp.context.sq_entries:
            self.happened(Event.QP_FATAL, qp.number)
            self.fail(qp)
            return
        qp.producer = producer
        self._work_on(qp)
