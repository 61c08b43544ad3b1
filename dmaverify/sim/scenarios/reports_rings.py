"""Reported bugs: rings that run over, and rings that are gone."""

from dmaverify.model.kinds import PostFlag
from dmaverify.sim.hca.fabric import pair
from dmaverify.sim.hca.objects import RecvWr, SendWr, WrOp
from dmaverify.sim.hca.pages import MapBy
from dmaverify.sim.hca.verbs import Verbs
from dmaverify.sim.linux import DMA_BIDIRECTIONAL
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import End, ends

SMALL = 64


def _reconnect(a: End, b: End, counts: bool) -> None:
    """Post all receives, lose the connection, and post as many as the peer grants, again."""
    granted, posted, buffers = 8, 0, 0
    for _ in range(2):
        while posted < granted:
            a.recv(buffers * SMALL, SMALL, buffers, checked=False)
            posted, buffers = posted + 1, buffers + 1
        if not counts:
            posted = 0
    for i in range(granted):
        b.send(length=SMALL, wr_id=i)
        b.wait()
    a.wait(granted)


def xprtrdma_receives_after_reconnect(sim: Simulation) -> None:
    """After a reconnect the count of posted receives begins at nothing, and the ring runs over.

    Class: RING
    Report: https://lore.kernel.org/linux-rdma/161721936504.515226.14877637433211331378.stgit@manet.1015granger.net/
    Expect: work-queue-overflow
    """
    with ends(sim, entries=32) as (a, b):
        _reconnect(a, b, counts=False)


def xprtrdma_receives_after_reconnect_fixed(sim: Simulation) -> None:
    """What is posted is counted as long as the queue pair is there.

    Expect: nothing
    """
    with ends(sim, entries=32) as (a, b):
        _reconnect(a, b, counts=True)


def _heartbeats(a: End, b: End, signals: bool) -> None:
    """Send twelve heartbeats of no bytes over a send queue of eight."""
    for i in range(12):
        flags = PostFlag.SIGNALED if signals and i % 4 == 3 else 0
        beat = SendWr(WrOp.RDMA_WRITE, (), i, flags, remote_addr=b.memory, rkey=b.mr.rkey)
        if a.verbs.post_send(a.qp, beat):
            break  # there is no place left
        if flags:
            a.wait()


def rtrs_unsignaled_heartbeats(sim: Simulation) -> None:
    """Heartbeats ask for no completion, so that their places in the send queue are never free.

    Class: RING
    Report: https://lore.kernel.org/linux-rdma/20210629065321.12600-1-jinpu.wang@ionos.com/
    Expect: work-queue-overflow
    """
    with ends(sim, entries=32) as (a, b):
        _heartbeats(a, b, signals=False)


def rtrs_unsignaled_heartbeats_fixed(sim: Simulation) -> None:
    """One in four is signaled, and its completion is polled.

    Expect: nothing
    """
    with ends(sim, entries=32) as (a, b):
        _heartbeats(a, b, signals=True)


def _supply_buffers(a: End, b: End, polls: bool) -> None:
    """Give the peer twenty chunks, each by a post, over a send queue of sixteen."""
    for i in range(20):
        if polls and i >= 16:
            a.wait()
        if a.to_peer(WrOp.RDMA_WRITE, b, length=SMALL, wr_id=i):
            break  # error 12


def uccl_posts_without_polling(sim: Simulation) -> None:
    """Work is posted faster than completions are polled, until a post fails with ENOMEM.

    Class: RING
    Report: https://github.com/uccl-project/uccl/issues/267
    Expect: work-queue-overflow
    """
    with ends(sim, entries=32, max_send_wr=16) as (a, b):
        _supply_buffers(a, b, polls=False)


def uccl_posts_without_polling_fixed(sim: Simulation) -> None:
    """A full queue is polled before the next post.

    Expect: nothing
    """
    with ends(sim, entries=32, max_send_wr=16) as (a, b):
        _supply_buffers(a, b, polls=True)


def _destroy_cq(a: Verbs, b: Verbs, stops_first: bool) -> None:
    """Destroy a completion queue while its queue pair is still there, and completes a send."""
    a_pd, b_pd, a_cq, b_cq = a.alloc_pd(), b.alloc_pd(), a.create_cq(8), b.create_cq(8)
    a_qp, b_qp = a.create_qp(a_pd, a_cq), b.create_qp(b_pd, b_cq)
    a.to_rts(a_qp, b_qp.number)
    b.to_rts(b_qp, a_qp.number)
    b.post_recv(b_qp, RecvWr((), 1), RecvWr((), 2))
    a.post_send(a_qp, SendWr(WrOp.SEND, (), 1))
    if stops_first:
        a.destroy_qp(a_qp)
        a.destroy_cq(a_cq)
    else:
        a.free_ring(a_cq.ring)  # its memory, before the hardware is told
        a.post_send(a_qp, SendWr(WrOp.SEND, (), 2))
        a.destroy_qp(a_qp)
    b.destroy_all()


def irdma_ring_freed_too_early(sim: Simulation) -> None:
    """The memory of a completion queue is freed while the hardware still completes into it.

    Class: RING
    Report: https://lore.kernel.org/linux-rdma/20220705230815.265-6-shiraz.saleem@intel.com/
    Expect: queue-memory-freed-early
    Outcome: foreign on as-recorded, flat, bus-offset, iommu-lazy, driver-verifier, mask-32,
      non-coherent; fault on iommu, nested, confidential-vm
    """
    with pair(sim) as (a, b):
        _destroy_cq(a, b, stops_first=False)


def irdma_ring_freed_too_early_fixed(sim: Simulation) -> None:
    """The hardware is told first, and what still completes is waited for.

    Expect: nothing
    """
    with pair(sim) as (a, b):
        _destroy_cq(a, b, stops_first=True)


def _dereg_ring(a: Verbs, b: Verbs, refuses: bool) -> None:
    """Let a program deregister the region that its completion queue's ring is in."""
    a_pd, b_pd, b_cq = a.alloc_pd(), b.alloc_pd(), b.create_cq(8)
    a_cq = a.create_cq(8, by=MapBy.LIST)
    a_qp, b_qp = a.create_qp(a_pd, a_cq), b.create_qp(b_pd, b_cq)
    a.to_rts(a_qp, b_qp.number)
    b.to_rts(b_qp, a_qp.number)
    b.post_recv(b_qp, RecvWr((), 1))
    ring = a_cq.ring.pages
    if not refuses:  # ibv_dereg_mr() of a region that is none of the program's
        a.sim.linux.dma_unmap_sg(a.dev, ring.entries, DMA_BIDIRECTIONAL)
        ring.entries = []
    a.post_send(a_qp, SendWr(WrOp.SEND, (), 1))
    a.wait(a_cq)
    a.destroy_qp(a_qp)
    a.destroy_cq(a_cq)
    b.destroy_all()


def irdma_ring_deregistered(sim: Simulation) -> None:
    """A program deregisters the memory of its own completion queue while that is in use.

    The driver keeps rings as regions, and let the program at them.

    Class: UAD
    Report: https://lore.kernel.org/linux-rdma/20260618201458.875740-1-jmoroni@google.com/
    Expect: queue-memory-freed-early
    Outcome: fault on iommu, nested; lost and foreign on iommu-lazy; lost and foreign and guard on
      driver-verifier, confidential-vm, mask-32; stale on non-coherent
    """
    with pair(sim) as (a, b):
        _dereg_ring(a, b, refuses=False)


def irdma_ring_deregistered_fixed(sim: Simulation) -> None:
    """The driver refuses that for regions of its own.

    Expect: nothing
    Outcome: stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    with pair(sim) as (a, b):
        _dereg_ring(a, b, refuses=True)


def _clean_cq(a: End, b: End, whole: bool) -> None:
    """Destroy a queue pair and take its completions out of their queue, which is full of them."""
    verbs, cq = a.verbs, a.verbs.create_cq(8)
    qp = verbs.create_qp(a.pd, cq, max_send_wr=8)
    verbs.to_rts(qp, b.qp.number)
    b.verbs.modify_qp(b.qp, b.qp.state, peer=qp.number)
    for i in range(cq.entries):
        beat = SendWr(WrOp.RDMA_WRITE, (), i, remote_addr=b.memory, rkey=b.mr.rkey)
        verbs.post_send(qp, beat)
    verbs.hardware.work()
    verbs.destroy_qp(qp)
    left = cq.entries if whole else cq.entries - 1  # the loop ends at consumer + entries
    cq.consumer += left
    verbs.write_record(cq.record, cq.consumer)
    verbs.poll_cq(cq, cq.entries)
    verbs.destroy_cq(cq)


def hns_completion_left_in_full_queue(sim: Simulation) -> None:
    """Of a full queue's completions the last is not looked at when its queue pair is destroyed.

    It is polled later, and names a queue pair that is gone.

    Class: RING
    Report: https://lore.kernel.org/linux-rdma/1565343666-73193-5-git-send-email-oulijun@huawei.com/
    Expect: completion-after-destroy
    """
    with ends(sim) as (a, b):
        _clean_cq(a, b, whole=False)


def hns_completion_left_in_full_queue_fixed(sim: Simulation) -> None:
    """All of them are looked at.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _clean_cq(a, b, whole=True)
