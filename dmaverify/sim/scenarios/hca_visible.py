"""What is visible when: completions before their owner bit, doorbells, entries that change."""

from dmaverify.model.kinds import EventKind, QueuePart
from dmaverify.sim.hca.layout import CQE_BYTES, R_SEND_DOORBELL
from dmaverify.sim.hca.objects import SendWr, WrOp
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import End, ends


def owner_bit_not_looked_at(sim: Simulation) -> None:
    """A driver reads a completion without its owner bit, and takes what lies there for a message.

    Source: Linux drivers/infiniband/hw/mlx5/cq.c, get_sw_cqe() and the barrier behind it.

    Expect: cpu-access-during-work-request
    """
    with ends(sim) as (a, b):
        b.recv()
        a.write()
        b.verbs.read(b.cq.ring.virt, CQE_BYTES)
        b.read(length=64)
        a.send()
        a.wait()
        b.wait()


def owner_bit_looked_at(sim: Simulation) -> None:
    """It waits for the owner bit, and then reads the completion and the message.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        b.recv()
        a.write()
        assert b.verbs.next_cqe(b.cq) is None
        a.send()
        a.wait()
        b.wait()
        b.read(length=64)


def _post(a: End, *, doorbell_first: bool) -> None:
    """Fill the first slot of a send ring and tell of it, in one order or the other.

    The HCA is slow to look, so that it finds the entry either way.
    """
    verbs, request = a.verbs, SendWr(WrOp.SEND, (a.sge(0, 64),), 1)
    verbs.hardware.stopped = True
    if doorbell_first:
        verbs.tell(EventKind.DOORBELL, object=a.qp.number, type=QueuePart.SEND_RING, length=1)
        verbs.registers.write(R_SEND_DOORBELL, a.qp.number << 32 | 1)
        verbs.post_send(a.qp, request, doorbell=False)
    else:
        verbs.post_send(a.qp, request)
    verbs.hardware.stopped = False


def doorbell_before_entry(sim: Simulation) -> None:
    """The doorbell is rung before the work request lies in the ring.

    Source: Linux drivers/infiniband/hw/mlx5/wr.c, mlx5r_ring_db() and its barriers.

    Expect: doorbell-beyond-posts
    """
    with ends(sim) as (a, b):
        b.recv()
        a.write()
        _post(a, doorbell_first=True)
        a.wait()
        b.wait()


def entry_before_doorbell(sim: Simulation) -> None:
    """The work request lies in the ring, and then the doorbell is rung.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        b.recv()
        a.write()
        _post(a, doorbell_first=False)
        a.wait()
        b.wait()


def _posted(a: End, b: End, *, changes: bool) -> None:
    """Post a send, and let the program change its entry while the other side may read it."""
    b.recv()
    a.write()
    a.verbs.hardware.stopped = True
    a.send()
    at = a.qp.send.ring.virt + 4
    seen = a.verbs.read(at, 4)  # what a first reading found good
    if changes:
        a.verbs.write(at, seen)
    a.verbs.hardware.stopped = False
    a.wait()
    b.wait()


def entry_changed_between_readings(sim: Simulation) -> None:
    """A program writes the size of an entry while it is posted: who reads it twice sees two.

    Where the ring is in two pieces, its slots are not looked at.

    Source: https://lore.kernel.org/linux-rdma/20260518215040.1598586-2-tristan@talencesecurity.com/

    Expect: ring-slot-rewritten
    Expect on driver-verifier: nothing
    """
    with ends(sim) as (a, b):
        _posted(a, b, changes=True)


def entry_left_alone(sim: Simulation) -> None:
    """It leaves the entry alone until the completion.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _posted(a, b, changes=False)
