"""Posts, rings and ownership: what a program does with its queues. Each mistake has a twin."""

from dmaverify.model.kinds import PostFlag, QpState, QpType, Rights
from dmaverify.sim.hca.fabric import loopback
from dmaverify.sim.hca.objects import RecvWr, SendWr, Sge, WrOp
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import PAGE, SIGNALED, TEXT, UNSIGNALED, End, connect, ends

INLINE = PostFlag.SIGNALED | PostFlag.INLINE


def send_before_rts(sim: Simulation) -> None:
    """A send is posted in RTR, where the HCA does not look at the ring.

    Expect: post-in-wrong-state
    """
    with loopback(sim) as verbs:
        end = End(verbs)
        for state in (QpState.INIT, QpState.RTR):
            verbs.modify_qp(end.qp, state, peer=end.qp.number)
        end.write()
        end.send()
        end.close()


def receive_in_init(sim: Simulation) -> None:
    """Receives are posted in INIT, and sends in RTS.

    Expect: nothing
    """
    with loopback(sim) as verbs:
        end = End(verbs)
        verbs.modify_qp(end.qp, QpState.INIT, peer=end.qp.number)
        end.recv()
        verbs.modify_qp(end.qp, QpState.RTR)
        verbs.modify_qp(end.qp, QpState.RTS)
        end.write()
        end.send()
        end.wait(2)
        end.close()


def rtr_left_out(sim: Simulation) -> None:
    """A queue pair goes from INIT to RTS; the HCA refuses.

    Expect: wrong-queue-pair-transition
    """
    with loopback(sim) as verbs:
        end = End(verbs)
        verbs.modify_qp(end.qp, QpState.INIT)
        verbs.modify_qp(end.qp, QpState.RTS)
        end.close()


def back_to_reset(sim: Simulation) -> None:
    """A queue pair goes to RTS, to ERR, to RESET, and to RTS again.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        for end in (a, b):
            end.verbs.modify_qp(end.qp, QpState.ERR)
            end.verbs.modify_qp(end.qp, QpState.RESET)
        connect(a, b)
        b.recv()
        a.write()
        a.send()
        a.wait()
        b.wait()
        sim.expect(b.read(), TEXT)


def _fill(sim: Simulation, flags: PostFlag, checked: bool) -> None:
    """Post one send more than the ring holds, before a poll."""
    with ends(sim, max_send_wr=4, sig_all=False) as (a, b):
        a.verbs.hardware.stopped = True
        for i in range(5):
            if i == 4 and checked:
                a.verbs.hardware.stopped = False
                a.wait()
            a.send(WrOp.RDMA_WRITE, length=8, wr_id=i, remote_addr=b.memory, rkey=b.mr.rkey,
                   flags=flags if i % 4 != 3 else SIGNALED)  # fmt: skip
        a.verbs.hardware.stopped = False
        a.wait()


def ring_overflows(sim: Simulation) -> None:
    """Unsignaled sends fill the ring, and one more is posted; the driver refuses it.

    Expect: work-queue-overflow
    """
    _fill(sim, UNSIGNALED, checked=False)


def ring_drained(sim: Simulation) -> None:
    """The last of four sends is signaled and polled before the fifth is posted.

    Expect: nothing
    """
    _fill(sim, UNSIGNALED, checked=True)


def _list(sim: Simulation, entries: int) -> None:
    with ends(sim, max_send_sge=2) as (a, b):
        b.recv()
        a.write()
        sges = tuple(a.sge(64 * i, 64) for i in range(entries))
        if not a.verbs.post_send(a.qp, SendWr(WrOp.SEND, sges, 1)):
            a.wait()
            b.wait()


def three_entries(sim: Simulation) -> None:
    """A send has three list entries where two fit; the driver refuses it.

    Expect: too-many-list-entries
    """
    _list(sim, 3)


def two_entries(sim: Simulation) -> None:
    """A send has as many list entries as the queue pair was made for.

    Expect: nothing
    """
    _list(sim, 2)


def inline_too_long(sim: Simulation) -> None:
    """More is posted inline than the queue pair was made for; the driver refuses it.

    Expect: inline-too-long
    """
    with ends(sim, max_inline=64) as (a, _):
        a.write()
        a.send(length=128, flags=INLINE)


def inline_fits(sim: Simulation) -> None:
    """As much is posted inline as there is room for.

    Expect: nothing
    """
    with ends(sim, max_inline=64) as (a, b):
        b.recv()
        a.write()
        a.send(length=64, flags=INLINE)
        a.wait()
        b.wait()


def read_on_uc(sim: Simulation) -> None:
    """An RDMA READ is posted to a queue pair of type UC; it completes with an error.

    Expect: opcode-not-of-queue-pair
    """
    with ends(sim, qp_type=QpType.UC) as (a, b):
        a.to_peer(WrOp.RDMA_READ, b)
        a.wait()


def write_on_uc(sim: Simulation) -> None:
    """An RDMA WRITE is posted to a queue pair of type UC.

    Expect: nothing
    """
    with ends(sim, qp_type=QpType.UC) as (a, b):
        a.write()
        a.to_peer(WrOp.RDMA_WRITE, b)
        a.wait()


def message_too_long(sim: Simulation) -> None:
    """A message of more than 2 GiB is posted; it completes with a length error.

    Expect: message-too-long
    """
    with ends(sim) as (a, _):
        everything = a.verbs.get_dma_mr(a.pd, Rights.LOCAL_WRITE)
        half = Sge(0x1_0000_0000, (1 << 30) + PAGE, everything.lkey)
        a.verbs.post_send(a.qp, SendWr(WrOp.SEND, (half, half), 1))
        a.wait()
        a.verbs.dereg_mr(everything)


def message_of_a_page(sim: Simulation) -> None:
    """A message of a page is posted by the key of all that the device reaches.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        everything = a.verbs.get_dma_mr(a.pd, Rights.LOCAL_WRITE)
        memory, bus = sim.linux.dma_alloc_coherent(a.verbs.dev, PAGE)
        a.verbs.write(memory, TEXT)
        b.recv()
        a.verbs.post_send(a.qp, SendWr(WrOp.SEND, (Sge(bus, PAGE, everything.lkey),), 1))
        a.wait()
        b.wait()
        sim.expect(b.read(), TEXT)
        a.verbs.dereg_mr(everything)
        sim.linux.dma_free_coherent(a.verbs.dev, PAGE, memory, bus)


def _atomic(sim: Simulation, at: int) -> None:
    with ends(sim) as (a, b):
        b.write(bytes(16), 2 * PAGE)
        a.to_peer(WrOp.ATOMIC_FETCH_AND_ADD, b, 2 * PAGE + at, length=8, compare_add=1)
        a.wait()


def atomic_misaligned(sim: Simulation) -> None:
    """An atomic at an address that is no multiple of eight; the peer refuses it.

    Expect: wrong-atomic
    """
    _atomic(sim, 4)


def atomic_aligned(sim: Simulation) -> None:
    """An atomic at an aligned address.

    Expect: nothing
    """
    _atomic(sim, 8)


def _read_and_send(sim: Simulation, flags: PostFlag) -> None:
    with ends(sim) as (a, b):
        b.write(at=2 * PAGE)
        b.recv()
        a.to_peer(WrOp.RDMA_READ, b, wr_id=1)
        a.send(wr_id=2, flags=flags)
        a.wait(2)
        b.wait()


def fence_missing(sim: Simulation) -> None:
    """What a READ brings is sent on without a fence: the HCA sends what was there before.

    Expect: missing-fence
    """
    _read_and_send(sim, SIGNALED)


def fenced(sim: Simulation) -> None:
    """The same with a fence.

    Expect: nothing
    """
    _read_and_send(sim, SIGNALED | PostFlag.FENCE)


def _two_receives(sim: Simulation, apart: int) -> None:
    with ends(sim) as (a, b):
        for i in range(2):
            b.recv(at=PAGE + i * apart, wr_id=i)
        a.write()
        for i in range(2):
            a.send(wr_id=i)
        a.wait(2)
        b.wait(2)


def receives_overlap(sim: Simulation) -> None:
    """Two receives that are posted share bytes.

    Expect: overlapping-work-requests
    """
    _two_receives(sim, 64)


def receives_apart(sim: Simulation) -> None:
    """Two receives have a page each.

    Expect: nothing
    """
    _two_receives(sim, PAGE)


def source_written(sim: Simulation) -> None:
    """The CPU writes the source of a send before its completion was polled.

    Expect: cpu-access-during-work-request
    """
    with ends(sim) as (a, b):
        b.recv()
        a.write()
        a.send()
        a.write(bytes(64))
        a.wait()
        b.wait()


def receive_read(sim: Simulation) -> None:
    """The CPU looks into a receive before its completion was polled.

    Expect: cpu-access-during-work-request
    """
    with ends(sim) as (a, b):
        b.recv()
        b.read(length=64)
        a.write()
        a.send()
        a.wait()
        b.wait()


def source_written_after(sim: Simulation) -> None:
    """The CPU writes the source again when the completion was polled.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        b.recv()
        a.write()
        a.send()
        a.wait()
        a.write(bytes(64))
        b.wait()


def _many_receives(sim: Simulation, entries: int) -> None:
    with loopback(sim) as verbs:
        end = End(verbs, entries=entries)
        verbs.modify_qp(end.qp, QpState.INIT)
        for i in range(4):
            request = RecvWr((end.sge(i * PAGE, PAGE),), i)
            verbs.post_recv(end.qp, request)
        end.close()


def completion_ring_small(sim: Simulation) -> None:
    """Four receives are posted, and two completions fit.

    Expect: completion-queue-too-small
    """
    _many_receives(sim, 2)


def completion_ring_fits(sim: Simulation) -> None:
    """Four receives are posted, and as many completions fit.

    Expect: nothing
    """
    _many_receives(sim, 4)
