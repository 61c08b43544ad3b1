"""Reported bugs: what goes on while nobody has waited for work in flight."""

from dmaverify.model.kinds import QpState, Rights, WcStatus
from dmaverify.sim.hca.fabric import pair
from dmaverify.sim.hca.objects import RecvWr, SendWr, WrOp, inc_rkey
from dmaverify.sim.hca.pages import MapBy
from dmaverify.sim.linux import DMA_BIDIRECTIONAL
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import PAGE, TEXT, UNSIGNALED, End, ends

HEAD = 8  # bytes of a pointer


def _shutdown(first: End, third: End, drains: bool) -> None:
    """Take a message by a shared receive queue, and destroy the queue pair."""
    a, b = first.verbs, third.verbs
    srq = b.create_srq(third.pd, 8)
    qp = b.create_qp(third.pd, third.cq, srq=srq)
    a.to_rts(first.qp, qp.number)
    b.to_rts(qp, first.qp.number)
    for i in range(4):
        b.post_srq_recv(srq, RecvWr((third.sge(i * PAGE, PAGE),), i))
    first.write()
    a.post_send(first.qp, SendWr(WrOp.SEND, (first.sge(0, len(TEXT)),), 1))
    first.wait()
    third.wait()
    if drains:
        b.modify_qp(qp, QpState.ERR)
        b.poll_event()  # IBV_EVENT_QP_LAST_WQE_REACHED
        b.poll_cq(third.cq)
    b.destroy_qp(qp)
    b.destroy_srq(srq)


def ceph_destroyed_before_drained(sim: Simulation) -> None:
    """A queue pair is destroyed in RTS, while it may have receives of a shared queue in its hands.

    Class: ORD
    Report: https://github.com/ceph/ceph/pull/25447
    Expect: shared-receive-queue-left-early
    """
    with pair(sim) as (a, b):
        first, third = End(a), End(b)
        _shutdown(first, third, drains=False)
        third.close()
        first.close()


def ceph_destroyed_before_drained_fixed(sim: Simulation) -> None:
    """It goes to the error state, and is destroyed when its last completion was taken.

    Expect: nothing
    """
    with pair(sim) as (a, b):
        first, third = End(a), End(b)
        _shutdown(first, third, drains=True)
        third.close()
        first.close()


# net/rds: what became of an invalidation


def _reconnect(a: End, b: End, heeds: bool) -> None:
    """Lose a connection in the middle of an invalidation, and register by the next one."""
    verbs, mr = a.verbs, a.verbs.alloc_mr(a.pd, 4)
    bus, offset = a.pages(0, 2)
    for connection in (1, 2):
        qp = verbs.create_qp(a.pd, a.cq)
        verbs.to_rts(qp, b.qp.number)
        verbs.map_mr_sg(mr, bus, PAGE, offset=offset, iova=a.memory)
        key = inc_rkey(mr.rkey)
        register = SendWr(WrOp.REG_MR, (), connection, mr=mr, key=key, access=Rights.LOCAL_WRITE)
        verbs.post_send(qp, register)
        registered = a.wait()[0].status is WcStatus.SUCCESS
        if not registered:
            mr.lkey = key - 1
        verbs.modify_qp(qp, QpState.ERR)
        verbs.post_send(qp, SendWr(WrOp.LOCAL_INV, (), 8, invalidate=mr.lkey))
        flushed = a.wait()[0].status is not WcStatus.SUCCESS
        verbs.destroy_qp(qp)
        if flushed and heeds:
            verbs.dereg_mr(mr)
            mr = verbs.alloc_mr(a.pd, 4)
    verbs.dereg_mr(mr)


def rds_failed_invalidation(sim: Simulation) -> None:
    """An invalidation is flushed with its connection, and its region is taken for free.

    It is registered anew by the next connection, while it is in use.

    Class: ORD
    Report: https://lore.kernel.org/linux-rdma/78bfebd7-c445-bd41-c5c5-d49e6ed51230@oracle.com/
    Expect: fast-registration-of-live-region
    """
    with ends(sim) as (a, b):
        _reconnect(a, b, heeds=False)


def rds_failed_invalidation_fixed(sim: Simulation) -> None:
    """A region whose invalidation failed is deregistered, and another one is allocated.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _reconnect(a, b, heeds=True)


# vfio: memory of a device that is taken back


def _revoke(sim: Simulation, a: End, b: End, waits: bool) -> None:
    """Take a device's memory back from an HCA that has it registered for its peer."""
    linux, verbs = sim.linux, a.verbs
    memory = linux.alloc_pages(1)  # what the exporter has behind its buffer
    bus = linux.dma_map_single(verbs.dev, memory, PAGE, DMA_BIDIRECTIONAL)
    rights = Rights.LOCAL_WRITE | Rights.REMOTE_WRITE
    mr = verbs.reg_mr(a.pd, memory, PAGE, rights, by=MapBy.GIVEN, bus=[bus])
    assert mr is not None
    key = mr.rkey
    if waits:
        b.send(WrOp.RDMA_WRITE, remote_addr=memory, rkey=key)
        b.wait()
        verbs.dereg_mr(mr)  # the importer has let go, and says so
    linux.dma_unmap_single(verbs.dev, bus, PAGE, DMA_BIDIRECTIONAL)
    if not waits:
        b.write(b"late data".ljust(512, b"!"))
        b.send(WrOp.RDMA_WRITE, remote_addr=memory, rkey=key)
        b.wait()
        verbs.dereg_mr(mr)
    sim.cpu.read(memory, 512)


def vfio_memory_revoked_too_early(sim: Simulation) -> None:
    """An exporter takes its buffer back and goes on while the importers still let go of it.

    Class: ORD
    Report: https://lore.kernel.org/linux-rdma/20260131-dmabuf-revoke-v7-4-463d956bd527@nvidia.com/
    Expect: device-access-after-unmap
    Outcome: fault on iommu, nested; lost and foreign and guard on driver-verifier,
      confidential-vm, mask-32; stale on non-coherent
    """
    with ends(sim) as (a, b):
        _revoke(sim, a, b, waits=False)


def vfio_memory_revoked_too_early_fixed(sim: Simulation) -> None:
    """The exporter waits until each importer has let go.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _revoke(sim, a, b, waits=True)


# DeepEP: a pointer that a peer writes


def _rounds(a: End, b: End, waits: bool) -> None:
    """Let a receiver say in each of two rounds how far it is; the sender clears that first."""
    head = 2 * PAGE
    for turn in range(2):
        a.write(bytes(HEAD), head)
        if waits:
            a.recv(PAGE, HEAD, turn)
        b.write(bytes([turn + 1] * HEAD), turn * HEAD)
        b.send(WrOp.RDMA_WRITE, turn * HEAD, HEAD, turn, flags=UNSIGNALED,
               remote_addr=a.memory + head, rkey=a.mr.rkey)  # fmt: skip
        if waits:
            b.send(length=0, wr_id=8 + turn)  # the end of the round
            b.wait()
            a.wait()


def deepep_head_cleared_in_flight(sim: Simulation) -> None:
    """A pointer is cleared for the next round while the peer's last write of it may be on its way.

    Class: UBC
    Report: https://github.com/deepseek-ai/DeepEP/pull/310
    Expect: peer-write-race
    """
    with ends(sim) as (a, b):
        _rounds(a, b, waits=False)


def deepep_head_cleared_in_flight_fixed(sim: Simulation) -> None:
    """A round ends when all writes of it are done, and both sides know.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _rounds(a, b, waits=True)
