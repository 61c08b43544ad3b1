"""Reported bugs: buffers that are touched, or let go, while the HCA works with them."""

from dmaverify.model.kinds import QpState
from dmaverify.sim.hca.objects import RecvWr, SendWr, WrOp
from dmaverify.sim.hca.state import HcaFault
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import PAGE, End, ends

NOTE = 256  # bytes of a notification


def _notify(a: End, b: End, slots: int) -> None:
    """Send two notifications from a ring of so many buffers, and then wait for both."""
    for i in range(2):
        b.recv(PAGE + i * NOTE, NOTE, i)
    for i in range(2):
        at = i % slots * NOTE
        a.write(b"notification %d" % i, at)
        a.send(at=at, length=NOTE, wr_id=i)
    a.wait(2)
    b.wait(2)


def mooncake_one_notification_buffer(sim: Simulation) -> None:
    """All notifications are sent from one buffer, which the next one overwrites too early.

    The depth of the queue was looked at, the completion of the last send was not.

    Class: UBC
    Report: https://github.com/kvcache-ai/Mooncake/pull/1567
    Expect: cpu-access-during-work-request
    """
    with ends(sim) as (a, b):
        _notify(a, b, slots=1)


def mooncake_one_notification_buffer_fixed(sim: Simulation) -> None:
    """Each send that can be outstanding has a buffer of its own.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _notify(a, b, slots=2)


def _rpc(a: End, b: End, waits: bool) -> None:
    """Send a call with a page of a file, take the reply, and give the page back to its file."""
    replies = a.verbs.create_cq(8)
    qp = a.verbs.create_qp(a.pd, a.cq, replies)
    a.verbs.to_rts(qp, b.qp.number)
    b.verbs.modify_qp(b.qp, b.qp.state, peer=qp.number)
    a.verbs.post_recv(qp, RecvWr((a.sge(PAGE, NOTE),), 1))
    b.recv()
    a.write(b"page of a file")
    a.verbs.hardware.break_next(HcaFault.RETRANSMIT)  # the acknowledge is lost
    a.verbs.post_send(qp, SendWr(WrOp.SEND, (a.sge(0, PAGE),), 7))
    b.send(at=2 * PAGE, length=NOTE)
    a.verbs.wait(replies)
    if waits:
        a.wait()
    a.write(b"somebody else's")
    if not waits:
        a.wait()
    b.wait(2)
    a.verbs.destroy_qp(qp)
    a.verbs.destroy_cq(replies)


def xprtrdma_reply_before_send_completion(sim: Simulation) -> None:
    """An RPC ends with its reply, and its page is used anew while the Send is not complete.

    The acknowledge was lost: the HCA sends the page again, with what is in it by then.

    Class: UBC
    Report: https://git.kernel.org/torvalds/c/01bb35c89d90abe6fd1c0be001f84bbdfa7fa7d1
    Expect: cpu-access-during-work-request
    """
    with ends(sim) as (a, b):
        _rpc(a, b, waits=False)


def xprtrdma_reply_before_send_completion_fixed(sim: Simulation) -> None:
    """The RPC ends when both have come, the reply and the completion of the Send.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _rpc(a, b, waits=True)


def _fetch(a: End, b: End, drains: bool) -> None:
    """Read a block from a peer, give up waiting, and give the memory to somebody else."""
    a.verbs.hardware.stopped = True  # the answer takes its time
    a.to_peer(WrOp.RDMA_READ, b)
    gave_up = not a.verbs.poll_cq(a.cq)
    if gave_up and drains:
        a.verbs.modify_qp(a.qp, QpState.ERR)
        a.verbs.hardware.stopped = False
        a.wait()
    a.write(b"of the next request")
    a.verbs.hardware.stopped = False
    a.wait()


def pegaflow_timeout_of_read(sim: Simulation) -> None:
    """A read from a peer takes too long, and its memory goes back to the pool while it is posted.

    The data comes all the same, into what belongs to the next request.

    Class: UBC
    Report: https://github.com/novitalabs/pegaflow/issues/403
    Expect: cpu-access-during-work-request
    """
    with ends(sim) as (a, b):
        _fetch(a, b, drains=False)


def pegaflow_timeout_of_read_fixed(sim: Simulation) -> None:
    """The queue pair goes to the error state, and its completions are polled, first.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _fetch(a, b, drains=True)
