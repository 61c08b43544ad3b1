"""Doorbells, shared queues, handles, parents and lists: each mistake has a twin."""

from collections.abc import Iterator

from dmaverify.model.kinds import EventKind, QpState, QpType, QueuePart
from dmaverify.sim.hca.fabric import loopback, pair
from dmaverify.sim.hca.layout import GRH_BYTES, R_SEND_DOORBELL
from dmaverify.sim.hca.objects import RecvWr, SendWr, WrOp, inc_rkey
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import (
    PAGE,
    QKEY,
    SIGNALED,
    TEXT,
    UNSIGNALED,
    End,
    ends,
)


def doorbell_too_far(sim: Simulation) -> None:
    """The doorbell tells of one work request more than was posted.

    Expect: doorbell-beyond-posts
    """
    with ends(sim) as (a, b):
        b.recv()
        a.write()
        request = SendWr(WrOp.SEND, (a.sge(0, 64),), 1)
        a.verbs.post_send(a.qp, request, doorbell=False)
        a.verbs.tell(EventKind.DOORBELL, object=a.qp.number, type=QueuePart.SEND_RING, length=2)
        a.verbs.registers.write(R_SEND_DOORBELL, a.qp.number << 32 | 2)
        a.wait()
        b.wait()


def one_doorbell_for_two(sim: Simulation) -> None:
    """Two sends are posted, and one doorbell tells of both.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        for i in range(2):
            b.recv(at=(1 + i) * PAGE, wr_id=i)
        a.write()
        a.verbs.post_send(a.qp, *(SendWr(WrOp.SEND, (a.sge(0, 64),), i) for i in range(2)))
        a.wait(2)
        b.wait(2)


def _datagram(sim: Simulation, *, kept: bool, own: bool = True) -> None:
    """Send a datagram; its handle may go first, or be of another domain."""
    with ends(sim, qp_type=QpType.UD) as (a, b):
        pd = a.pd if own else a.verbs.alloc_pd()
        handle = a.verbs.create_ah(pd)
        b.recv(length=GRH_BYTES + len(TEXT))
        a.write()
        a.verbs.hardware.stopped = True
        a.send(ah=handle, remote_qpn=b.qp.number, remote_qkey=QKEY)
        if not kept:
            a.verbs.destroy_ah(handle)
        a.verbs.hardware.stopped = False
        a.wait()
        b.wait()
        if kept:
            a.verbs.destroy_ah(handle)
        if not own:
            a.verbs.dealloc_pd(pd)


def handle_goes_first(sim: Simulation) -> None:
    """An address handle is destroyed while a datagram by it is outstanding.

    Expect: address-handle-destroyed-early
    """
    _datagram(sim, kept=False)


def handle_stays(sim: Simulation) -> None:
    """An address handle is destroyed when its datagram has completed.

    Expect: nothing
    """
    _datagram(sim, kept=True)


def handle_used_again(sim: Simulation) -> None:
    """A datagram is posted by an address handle that was destroyed.

    Expect: address-handle-gone
    """
    with ends(sim, qp_type=QpType.UD) as (a, b):
        handle = a.verbs.create_ah(a.pd)
        a.verbs.destroy_ah(handle)
        b.recv(length=GRH_BYTES + len(TEXT))
        a.write()
        a.send(ah=handle, remote_qpn=b.qp.number, remote_qkey=QKEY)
        a.wait()
        b.wait()


def handle_of_other_domain(sim: Simulation) -> None:
    """A datagram is posted by an address handle of another domain; it completes with an error.

    Expect: address-handle-gone
    """
    _datagram(sim, kept=True, own=False)


def _parents(sim: Simulation, *, cq_first: bool) -> None:
    with loopback(sim) as verbs:
        end = End(verbs)
        if cq_first:
            verbs.destroy_cq(end.cq)
            verbs.destroy_qp(end.qp)
        else:
            verbs.destroy_qp(end.qp)
            verbs.destroy_cq(end.cq)
        verbs.dereg_mr(end.mr)
        verbs.dealloc_pd(end.pd)
        end.free()


def queue_before_its_pair(sim: Simulation) -> None:
    """A completion queue is destroyed before the queue pair that uses it.

    Expect: parent-destroyed-first
    """
    _parents(sim, cq_first=True)


def pair_before_its_queue(sim: Simulation) -> None:
    """A queue pair is destroyed, and then its completion queue.

    Expect: nothing
    """
    _parents(sim, cq_first=False)


def _shared(sim: Simulation, *, to_error: bool, posts: int = 2, beside: bool = False) -> None:
    """Use a shared receive queue of four receives and destroy its queue pair."""
    with pair(sim) as (a, b):
        left, right = End(a), End(b)
        srq = b.create_srq(right.pd, 4)
        qp = b.create_qp(right.pd, right.cq, srq=srq)
        a.to_rts(left.qp, qp.number)
        b.to_rts(qp, left.qp.number)
        for i in range(posts):
            b.post_srq_recv(srq, RecvWr((right.sge(i % 4 * PAGE, 64),), i))
        if beside:
            b.post_recv(qp, RecvWr((right.sge(0, 64),), 99))
        left.write()
        left.send(length=64)
        left.wait()
        right.wait()
        if to_error:
            b.modify_qp(qp, QpState.ERR)
            b.poll_event()
        b.destroy_qp(qp)
        b.destroy_srq(srq)
        right.close()
        left.close()


def shared_queue_left(sim: Simulation) -> None:
    """A queue pair is destroyed while it may still take from its shared queue.

    Expect: shared-receive-queue-left-early
    """
    _shared(sim, to_error=False)


def shared_queue_drained(sim: Simulation) -> None:
    """A queue pair goes to ERR, and is destroyed when it takes nothing more.

    Expect: nothing
    """
    _shared(sim, to_error=True)


def shared_queue_overflows(sim: Simulation) -> None:
    """More is posted to a shared queue than it holds; the driver refuses it.

    Expect: shared-receive-queue-overflow
    """
    _shared(sim, to_error=True, posts=5)


def receive_beside_shared_queue(sim: Simulation) -> None:
    """A receive is posted to a queue pair that takes from a shared queue; it is refused.

    Expect: receive-beside-shared-queue
    """
    _shared(sim, to_error=True, beside=True)


def _map(sim: Simulation, bus: list[int], length: int) -> None:
    with loopback(sim) as verbs:
        end = End(verbs)
        region = verbs.alloc_mr(end.pd, 4)
        verbs.map_mr_sg(region, bus, length)
        verbs.dereg_mr(region)
        end.close()


def list_longer_than_region(sim: Simulation) -> None:
    """A region is told six pages and takes four.

    Expect: region-takes-part-of-list
    """
    _map(sim, [0x10_0000 + i * PAGE for i in range(6)], 6 * PAGE)


def list_of_region(sim: Simulation) -> None:
    """A region is told as many pages as it takes.

    Expect: nothing
    """
    _map(sim, [0x10_0000 + i * PAGE for i in range(4)], 4 * PAGE)


def list_with_hole(sim: Simulation) -> None:
    """A page of a region's list does not begin at a page.

    Expect: region-list-with-holes
    """
    _map(sim, [0x10_0000, 0x20_0800], 2 * PAGE)


def list_wraps(sim: Simulation) -> None:
    """A page of a region's list ends at the top of all addresses.

    Expect: region-list-wraps
    """
    _map(sim, [(1 << 64) - PAGE], PAGE)


def window_bound_twice(sim: Simulation) -> None:
    """A window of type 2 is bound again before it was invalidated; the HCA refuses.

    Expect: window-bound-twice
    """
    with ends(sim) as (_, b):
        window = b.verbs.alloc_mw(b.pd)
        first = 0
        for i in range(2):
            b.verbs.post_send(b.qp, SendWr(
                WrOp.BIND_MW, wr_id=i, mw=window, mr=b.mr, key=inc_rkey(window.rkey),
                access=2, bind_addr=b.memory, bind_length=PAGE,
            ))  # fmt: skip
            b.wait()
            first = first or window.rkey
        window.rkey = first  # the second was refused
        b.verbs.dealloc_mw(window)


def slot_rewritten(sim: Simulation) -> None:
    """The CPU writes a slot of the send ring that the HCA has not fetched yet.

    Where the ring is in two pieces, its slots are not looked at.

    Expect: ring-slot-rewritten
    Expect on driver-verifier: nothing
    """
    with ends(sim) as (a, b):
        b.recv()
        a.write()
        a.verbs.hardware.stopped = True
        a.send()
        a.verbs.write(a.qp.send.ring.virt + 8, bytes(8))
        a.verbs.hardware.stopped = False
        a.wait()
        b.wait()


def ring_overwritten(sim: Simulation) -> None:
    """A driver that does not look for room writes over what the HCA has not fetched yet.

    Expect: ring-slot-rewritten
    """
    with ends(sim, max_send_wr=2) as (a, b):
        a.verbs.hardware.stopped = True
        for i in range(3):
            a.verbs.post_send(a.qp, SendWr(
                WrOp.RDMA_WRITE, (a.sge(0, 8),), i, SIGNALED if i == 2 else UNSIGNALED,
                remote_addr=b.memory, rkey=b.mr.rkey,
            ), checked=False)  # fmt: skip
        a.verbs.hardware.stopped = False
        a.wait()


def destroyed_and_used(sim: Simulation) -> None:
    """A queue pair's rings are freed, and the HCA is told of the end only then.

    Expect: queue-memory-freed-early
    """
    with loopback(sim) as verbs:
        end = End(verbs)
        verbs.modify_qp(end.qp, QpState.INIT)
        verbs.free_rings(end.qp)
        verbs.tell(EventKind.DESTROY_QP, object=end.qp.number)
        verbs.stop_qp(end.qp)
        end.close(qp=False)


def _peers(sim: Simulation, at: int) -> None:
    """Let a peer write from two queue pairs, and nothing orders the two."""
    with ends(sim) as (a, b):
        others = [e.verbs.create_qp(e.pd, e.cq) for e in (a, b)]
        a.verbs.to_rts(others[0], others[1].number)
        b.verbs.to_rts(others[1], others[0].number)
        a.write()
        a.to_peer(WrOp.RDMA_WRITE, b)
        a.verbs.post_send(others[0], SendWr(WrOp.RDMA_WRITE, (a.sge(0, 64),), 2, rkey=b.mr.rkey,
                                            remote_addr=b.memory + at))  # fmt: skip
        a.wait(2)
        for verbs, qp in zip((a.verbs, b.verbs), others, strict=True):
            verbs.destroy_qp(qp)


def peers_overlap(sim: Simulation) -> None:
    """Two queue pairs of a peer write the same bytes, and nothing orders them.

    Expect: peer-accesses-race
    """
    _peers(sim, 2 * PAGE)


def peers_apart(sim: Simulation) -> None:
    """Two queue pairs of a peer write bytes of their own.

    Expect: nothing
    """
    _peers(sim, 3 * PAGE)


def _written(sim: Simulation) -> Iterator[tuple[End, End]]:
    """Let a peer write, and tell nobody."""
    with ends(sim) as (a, b):
        a.write()
        a.to_peer(WrOp.RDMA_WRITE, b)
        a.wait()
        yield a, b


def payload_polled(sim: Simulation) -> None:
    """The CPU reads what a peer has written, and nothing told it that the peer is done.

    Expect: payload-polled
    """
    for _, b in _written(sim):
        b.read(2 * PAGE)


def written_while_peer_writes(sim: Simulation) -> None:
    """The CPU writes where a peer has written, and nothing told it that the peer is done.

    Expect: peer-write-race
    """
    for _, b in _written(sim):
        b.write(at=2 * PAGE)


def read_when_told(sim: Simulation) -> None:
    """The CPU reads what a peer has written when a later message has told it.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        b.recv()
        a.write()
        a.to_peer(WrOp.RDMA_WRITE, b, flags=UNSIGNALED)
        a.send(length=8, wr_id=2)
        a.wait()
        b.wait()
        b.read(2 * PAGE)
