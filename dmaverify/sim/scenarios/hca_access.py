"""Keys, ranges and rights: what peers and work requests ask an HCA for. Each mistake has a twin."""

from dmaverify.model.kinds import QpState, Rights
from dmaverify.sim.hca.fabric import loopback, pair
from dmaverify.sim.hca.objects import WrOp
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import EVERYTHING, PAGE, SIZE, TEXT, End, connect, ends


def _write(sim: Simulation, *, tag: int = 0, at: int = 2 * PAGE, rights: int = EVERYTHING,
           pd: bool = False, qp_access: int | None = None) -> None:  # fmt: skip
    """Let a peer write a region of one page.

    Args:
        sim: where.
        tag: what is added to the key.
        at: where in the memory it writes; the region is the third page.
        rights: of the region.
        pd: whether the region is of another domain.
        qp_access: what the peer's queue pair allows.
    """
    with ends(sim, access=EVERYTHING) as (a, b):
        if qp_access is not None:
            b.verbs.modify_qp(b.qp, QpState.RTS, access=qp_access)
        values = {"pd": b.verbs.alloc_pd()} if pd else {}
        mr = b.register(rights, 2 * PAGE, PAGE, **values)
        a.write()
        a.to_peer(WrOp.RDMA_WRITE, b, at, rkey=mr.rkey + tag)
        a.wait()
        b.verbs.dereg_mr(mr)
        if pd:
            b.verbs.dealloc_pd(values["pd"])


def right_key(sim: Simulation) -> None:
    """A peer writes by the key of a region, inside it.

    Expect: nothing
    """
    _write(sim)


def stale_tag(sim: Simulation) -> None:
    """A peer writes by a key whose tag is another registration's.

    Expect: hca-access-unknown-key
    """
    _write(sim, tag=1)


def unknown_key(sim: Simulation) -> None:
    """A work request names a key that no region has.

    Expect: hca-access-unknown-key
    """
    with ends(sim) as (a, b):
        b.recv()
        a.write()
        a.send(key=0x7700)
        a.wait()


def after_deregistration(sim: Simulation) -> None:
    """A receive names a region that was deregistered before the receive was posted.

    Expect: hca-access-after-deregistration
    """
    with ends(sim) as (a, b):
        mr = b.register(EVERYTHING)
        b.verbs.dereg_mr(mr)
        b.recv(key=mr.lkey)
        a.write()
        a.send()
        a.wait()


def before_deregistration(sim: Simulation) -> None:
    """A receive completes, and then its region is deregistered.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        mr = b.register(EVERYTHING)
        b.recv(key=mr.lkey)
        a.write()
        a.send()
        a.wait()
        b.wait()
        b.verbs.dereg_mr(mr)


def other_domain(sim: Simulation) -> None:
    """A peer writes a region that is of another domain than the queue pair.

    Expect: hca-access-other-protection-domain
    """
    _write(sim, pd=True)


def own_send_of_other_domain(sim: Simulation) -> None:
    """A send names a region of another domain; it completes with a protection error.

    Expect: hca-access-other-protection-domain
    """
    with ends(sim) as (a, b):
        b.recv()
        pd = a.verbs.alloc_pd()
        mr = a.register(EVERYTHING, pd=pd)
        a.write()
        a.send(key=mr.lkey)
        a.wait()
        a.verbs.dereg_mr(mr)
        a.verbs.dealloc_pd(pd)


def not_writable(sim: Simulation) -> None:
    """A peer writes a region that may be read only.

    Expect: hca-access-without-permission
    """
    _write(sim, rights=Rights.REMOTE_READ)


def receive_not_writable(sim: Simulation) -> None:
    """A receive is posted into a region without local write.

    Expect: hca-access-without-permission
    """
    with ends(sim) as (a, b):
        mr = b.register(Rights(0), PAGE, PAGE)
        b.recv(key=mr.lkey)
        a.write()
        a.send()
        a.wait()
        b.verbs.dereg_mr(mr)


def past_region(sim: Simulation) -> None:
    """A peer writes past the end of a region.

    Expect: hca-access-out-of-range
    """
    _write(sim, at=3 * PAGE - 64)


def before_region(sim: Simulation) -> None:
    """A peer writes from before the beginning of a region.

    Expect: hca-access-out-of-range
    """
    _write(sim, at=2 * PAGE - 64)


def wrapping_range(sim: Simulation) -> None:
    """A peer asks for an address from which the length wraps around 64 bits.

    Expect: hca-access-out-of-range
    """
    with ends(sim) as (a, b):
        a.write()
        a.send(WrOp.RDMA_WRITE, remote_addr=(1 << 64) - 64, rkey=b.mr.rkey)
        a.wait()


def no_bytes(sim: Simulation) -> None:
    """A write of no bytes needs no key.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        a.send(WrOp.RDMA_WRITE, length=0, remote_addr=b.memory, rkey=0x1234)
        a.wait()


def not_enabled(sim: Simulation) -> None:
    """A peer writes where the queue pair allows reads only.

    Expect: operation-not-enabled
    """
    _write(sim, qp_access=Rights.REMOTE_READ)


def enabled(sim: Simulation) -> None:
    """A peer writes where the queue pair allows writes.

    Expect: nothing
    """
    _write(sim, qp_access=Rights.REMOTE_WRITE)


def remote_write_alone(sim: Simulation) -> None:
    """A region is registered for peers to write, and not for its own side.

    Expect: remote-right-without-local-write
    """
    with ends(sim) as (_, b):
        b.verbs.dereg_mr(b.register(Rights.REMOTE_WRITE, PAGE, PAGE))


def remote_and_local_write(sim: Simulation) -> None:
    """A region is registered for both to write.

    Expect: nothing
    """
    with ends(sim) as (_, b):
        b.verbs.dereg_mr(b.register(Rights.REMOTE_WRITE | Rights.LOCAL_WRITE, PAGE, PAGE))


def deregistered_too_early(sim: Simulation) -> None:
    """A region is deregistered while a receive into it is posted, and the message comes then.

    Expect: deregistration-during-work-request
    """
    with ends(sim) as (a, b):
        mr = b.register(EVERYTHING)
        b.recv(key=mr.lkey)
        b.verbs.dereg_mr(mr)
        a.write()
        a.send()
        a.wait()


def deregistered_after_flush(sim: Simulation) -> None:
    """The queue pair goes to ERR and the receive comes back, and then its region ends.

    Expect: nothing
    """
    with ends(sim) as (_, b):
        mr = b.register(EVERYTHING)
        b.recv(key=mr.lkey)
        b.verbs.modify_qp(b.qp, QpState.ERR)
        b.wait()
        b.verbs.dereg_mr(mr)


def left_at_exit(sim: Simulation) -> None:
    """A program ends with a region that it did not deregister.

    Expect: mr-leak-at-exit
    """
    with loopback(sim) as verbs:
        end = End(verbs)
        verbs.exit()
        end.free()


def clean_at_exit(sim: Simulation) -> None:
    """A program deregisters its region, and ends.

    Expect: nothing
    """
    with loopback(sim) as verbs:
        End(verbs).close()
        verbs.exit()


def two_sizes(sim: Simulation) -> None:
    """A region that is registered anew, longer, is used with its new key.

    Expect: nothing
    Outcome: stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    with pair(sim) as (a, b):
        left, right = End(a), End(b)
        connect(left, right)
        memory = b.buffer(SIZE)
        mr = b.reg_mr(right.pd, memory, PAGE, EVERYTHING)
        assert mr is not None
        b.rereg_mr(mr, memory, SIZE, EVERYTHING)
        left.write()
        left.send(WrOp.RDMA_WRITE, remote_addr=memory + PAGE, rkey=mr.rkey)
        left.wait()
        left.tell(right)
        sim.expect(b.read(memory + PAGE, len(TEXT)), TEXT)
        b.dereg_mr(mr)
        right.close()
        left.close()
