"""Programs and kernel drivers that use an HCA as they should."""

from dmaverify.model.kinds import PostFlag, QpState, QpType, Rights
from dmaverify.sim.hca.fabric import loopback, pair
from dmaverify.sim.hca.layout import GRH_BYTES, MAD_BYTES
from dmaverify.sim.hca.mads import QP1_QKEY
from dmaverify.sim.hca.objects import Cq, MwType, Pd, Qp, RecvWr, SendWr, Sge, WrOp, inc_rkey
from dmaverify.sim.hca.verbs import Verbs
from dmaverify.sim.linux import DMA_FROM_DEVICE, DMA_TO_DEVICE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import (
    EVERYTHING,
    PAGE,
    QKEY,
    SIGNALED,
    TEXT,
    UNSIGNALED,
    End,
    connect,
    ends,
)

FENCED = PostFlag.SIGNALED | PostFlag.FENCE
INLINE = PostFlag.SIGNALED | PostFlag.INLINE


def messages(sim: Simulation) -> None:
    """Messages there and back, RC; each buffer is used again when its completion was polled.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        for turn in range(3):
            b.recv(wr_id=turn)
            a.write()
            a.send(wr_id=turn)
            a.wait()
            b.wait()
            sim.expect(b.read(), TEXT)
            a.recv(wr_id=turn)
            b.send(at=PAGE, wr_id=turn)
            b.wait()
            a.wait()
            sim.expect(a.read(), TEXT)


def reads_and_writes(sim: Simulation) -> None:
    """RDMA WRITE, RDMA READ and WRITE with immediate data, RC.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        a.write()
        a.to_peer(WrOp.RDMA_WRITE, b)
        a.wait()
        a.tell(b)
        sim.expect(b.read(2 * PAGE), TEXT)
        a.send(WrOp.RDMA_READ, 3 * PAGE, remote_addr=b.memory + 2 * PAGE, rkey=b.mr.rkey)
        a.wait()
        sim.expect(a.read(3 * PAGE), TEXT)
        b.recv()
        a.to_peer(WrOp.RDMA_WRITE_WITH_IMM, b, imm=7)
        a.wait()
        assert [c.imm for c in b.wait()] == [7]


def read_then_send(sim: Simulation) -> None:
    """What a READ brings is sent on at once, with a fence between.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        b.write(at=2 * PAGE)
        b.recv()
        a.to_peer(WrOp.RDMA_READ, b, wr_id=1)
        a.send(wr_id=2, flags=FENCED)
        a.wait(2)
        b.wait()
        sim.expect(b.read(), TEXT)


def atomics(sim: Simulation) -> None:
    """Compare and swap, and fetch and add, at an aligned address.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        b.write((5).to_bytes(8, "little"), 2 * PAGE)
        a.to_peer(WrOp.ATOMIC_FETCH_AND_ADD, b, length=8, compare_add=3)
        a.wait()
        sim.expect(a.read(0, 8), (5).to_bytes(8, "little"))
        a.to_peer(WrOp.ATOMIC_CMP_AND_SWP, b, length=8, compare_add=8, swap=9)
        a.wait()
        sim.expect(b.read(2 * PAGE, 8), (9).to_bytes(8, "little"))


def unsignaled(sim: Simulation) -> None:
    """Every fourth send gives a completion, and frees those before it.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        for turn in range(3):
            for i in range(4):
                b.recv(at=i * PAGE, wr_id=i)
            a.write(TEXT * 4)
            for i in range(4):
                a.send(at=i * len(TEXT), wr_id=i, flags=SIGNALED if i == 3 else UNSIGNALED)
            a.wait()
            b.wait(4)
            sim.expect(b.read(turn * PAGE), TEXT)


def inline(sim: Simulation) -> None:
    """Inline data is copied when it is posted: the buffer is the program's at once.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        b.recv()
        a.write(b"short".ljust(32, b"."))
        a.send(length=32, flags=INLINE, key=0)
        a.write(bytes(32))
        a.wait()
        b.wait()
        sim.expect(b.read(length=32), b"short".ljust(32, b"."))


def unreliable(sim: Simulation) -> None:
    """Messages and writes, UC.

    Expect: nothing
    """
    with ends(sim, qp_type=QpType.UC) as (a, b):
        b.recv()
        a.write()
        a.send()
        a.wait()
        b.wait()
        sim.expect(b.read(), TEXT)
        a.to_peer(WrOp.RDMA_WRITE, b)
        a.wait()
        a.tell(b)
        sim.expect(b.read(2 * PAGE), TEXT)


def datagrams(sim: Simulation) -> None:
    """Datagrams, UD: each receive has 40 bytes more, for the routing header.

    Expect: nothing
    """
    with ends(sim, qp_type=QpType.UD) as (a, b):
        handle = a.verbs.create_ah(a.pd)
        b.recv(length=GRH_BYTES + len(TEXT))
        a.write()
        a.send(ah=handle, remote_qpn=b.qp.number, remote_qkey=QKEY)
        a.wait()
        assert [c.grh for c in b.wait()] == [True]
        sim.expect(b.read(PAGE + GRH_BYTES), TEXT)
        a.verbs.destroy_ah(handle)


def shared_receives(sim: Simulation) -> None:
    """Two queue pairs take their receives from one shared queue.

    Expect: nothing
    """
    with pair(sim) as (a, b):
        first = End(a)
        third = End(b)
        srq = b.create_srq(third.pd, 8)
        lefts = [first.qp, a.create_qp(first.pd, first.cq)]
        rights = [b.create_qp(third.pd, third.cq, srq=srq) for _ in lefts]
        for left, right in zip(lefts, rights, strict=True):
            a.to_rts(left, right.number)
            b.to_rts(right, left.number)
        for i in range(4):
            b.post_srq_recv(srq, RecvWr((third.sge(i * PAGE, PAGE),), i))
        first.write()
        for left in lefts:
            a.post_send(left, SendWr(WrOp.SEND, (first.sge(0, len(TEXT)),), left.number))
            first.wait()
        third.wait(2)
        sim.expect(third.read(0), TEXT)
        for right in rights:
            b.modify_qp(right, QpState.ERR)
            b.poll_event()
            b.destroy_qp(right)
        b.destroy_srq(srq)
        a.destroy_qp(lefts[1])
        third.close()
        first.close()


def fast_registration(sim: Simulation) -> None:
    """A region is registered, used by the peer and invalidated by work requests, twice.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        region = b.verbs.alloc_mr(b.pd, 2)
        for turn in range(2):
            pages, offset = b.pages(2 * PAGE, 2)
            b.verbs.map_mr_sg(region, pages, PAGE, offset=offset)
            key = inc_rkey(region.lkey)
            b.verbs.post_send(b.qp, SendWr(WrOp.REG_MR, wr_id=turn, mr=region, key=key,
                                           access=EVERYTHING))  # fmt: skip
            b.wait()
            a.write(b"turn".ljust(64, b"."))
            a.verbs.post_send(a.qp, SendWr(WrOp.RDMA_WRITE, (a.sge(0, 64),), turn,
                                           remote_addr=region.addr, rkey=key))  # fmt: skip
            a.wait()
            b.verbs.post_send(b.qp, SendWr(WrOp.LOCAL_INV, wr_id=turn, invalidate=key))
            b.wait()
            sim.expect(b.read(2 * PAGE, 64), b"turn".ljust(64, b"."))
        b.verbs.dereg_mr(region)


def remote_invalidation(sim: Simulation) -> None:
    """The peer takes the key out of use with the message that says it is done.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        region = b.verbs.alloc_mr(b.pd, 2)
        pages, offset = b.pages(2 * PAGE, 2)
        b.verbs.map_mr_sg(region, pages, PAGE, offset=offset)
        key = inc_rkey(region.lkey)
        b.verbs.post_send(b.qp, SendWr(WrOp.REG_MR, mr=region, key=key, access=EVERYTHING))
        b.wait()
        b.recv()
        a.write()
        a.verbs.post_send(a.qp, SendWr(WrOp.RDMA_WRITE, (a.sge(0, 64),), 1, UNSIGNALED,
                                       remote_addr=region.addr, rkey=key))  # fmt: skip
        a.send(WrOp.SEND_WITH_INV, wr_id=2, invalidate=key)
        a.wait()
        assert [c.invalidated for c in b.wait()] == [key]
        b.verbs.dereg_mr(region)


def _window(sim: Simulation, mw_type: MwType) -> None:
    """Bind a window, let the peer write through it, and unbind it."""
    with ends(sim) as (a, b):
        window = b.verbs.alloc_mw(b.pd, mw_type)
        bind = SendWr(WrOp.BIND_MW, wr_id=1, mw=window, mr=b.mr, key=inc_rkey(window.rkey),
                      access=Rights.REMOTE_WRITE, bind_addr=b.memory + 2 * PAGE,
                      bind_length=PAGE)  # fmt: skip
        if mw_type is MwType.TYPE_1:
            b.verbs.bind_mw(b.qp, bind)
        else:
            b.verbs.post_send(b.qp, bind)
        b.wait()
        a.write()
        a.to_peer(WrOp.RDMA_WRITE, b, rkey=window.rkey)
        a.wait()
        a.tell(b)
        sim.expect(b.read(2 * PAGE), TEXT)
        if mw_type is MwType.TYPE_1:
            b.verbs.bind_mw(b.qp, SendWr(WrOp.BIND_MW, wr_id=2, mw=window))
        else:
            b.verbs.post_send(b.qp, SendWr(WrOp.LOCAL_INV, wr_id=2, invalidate=window.rkey))
        b.wait()
        b.verbs.dealloc_mw(window)


def window_1(sim: Simulation) -> None:
    """A window of type 1, bound by its verb, and to nothing at the end.

    Expect: nothing
    """
    _window(sim, MwType.TYPE_1)


def window_2a(sim: Simulation) -> None:
    """A window of type 2A, bound and invalidated by work requests.

    Expect: nothing
    """
    _window(sim, MwType.TYPE_2A)


def window_2b(sim: Simulation) -> None:
    """A window of type 2B, used on the queue pair on which it was bound.

    Expect: nothing
    """
    _window(sim, MwType.TYPE_2B)


def late_receive(sim: Simulation) -> None:
    """A message comes before its receive is posted: the sender tries again.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        a.write()
        a.send()
        b.recv()
        a.wait()
        b.wait()
        sim.expect(b.read(), TEXT)


def drained(sim: Simulation) -> None:
    """A queue pair goes to ERR, and every receive comes back flushed before memory is touched.

    Expect: nothing
    """
    with ends(sim) as (_, b):
        for i in range(4):
            b.recv(at=i * PAGE, wr_id=i)
        b.verbs.modify_qp(b.qp, QpState.ERR)
        assert len(b.wait(4)) == 4
        b.write(bytes(64))


def to_itself(sim: Simulation) -> None:
    """Both queue pairs are of one HCA.

    Expect: nothing
    """
    with loopback(sim) as verbs:
        left, right = End(verbs), End(verbs)
        connect(left, right)
        right.recv()
        left.write()
        left.send()
        left.wait()
        right.wait()
        sim.expect(right.read(), TEXT)
        right.close()
        left.close()


def kernel_messages(sim: Simulation) -> None:
    """A kernel driver maps each buffer for its transfer, and uses the key of all.

    Expect: nothing
    """
    with pair(sim) as (a, b):
        domains = [v.alloc_pd(local_dma=True) for v in (a, b)]
        queues = [v.create_cq(8) for v in (a, b)]
        qps = [v.create_qp(p, c) for v, p, c in zip((a, b), domains, queues, strict=True)]
        a.to_rts(qps[0], qps[1].number)
        b.to_rts(qps[1], qps[0].number)
        source, target = sim.linux.kmalloc(PAGE), sim.linux.kmalloc(PAGE)
        a.write(source, TEXT)
        into = sim.linux.dma_map_single(b.dev, target, PAGE, DMA_FROM_DEVICE)
        b.post_recv(qps[1], RecvWr((Sge(into, PAGE, domains[1].local_dma_lkey),)))
        out = sim.linux.dma_map_single(a.dev, source, len(TEXT), DMA_TO_DEVICE)
        a.post_send(qps[0], SendWr(WrOp.SEND, (Sge(out, len(TEXT), domains[0].local_dma_lkey),)))
        a.wait(queues[0])
        sim.linux.dma_unmap_single(a.dev, out, len(TEXT), DMA_TO_DEVICE)
        b.wait(queues[1])
        sim.linux.dma_unmap_single(b.dev, into, PAGE, DMA_FROM_DEVICE)
        sim.expect(b.read(target, len(TEXT)), TEXT)
        for verbs, pd, cq, qp in zip((a, b), domains, queues, qps, strict=True):
            verbs.destroy_qp(qp)
            verbs.destroy_cq(cq)
            verbs.dealloc_pd(pd)
        sim.linux.kfree(source)
        sim.linux.kfree(target)


def _mads(sim: Simulation, qp_type: QpType, wire: int) -> None:
    """Send a datagram of 256 bytes from the special queue pair of one port to the other's."""
    with pair(sim) as (a, b):
        sides = [_mad_side(v, qp_type) for v in (a, b)]
        (pd, cq, qp), (other_pd, other_cq, other) = sides
        handle = a.create_ah(pd)
        room = GRH_BYTES + MAD_BYTES
        target, source = sim.linux.kmalloc(room), sim.linux.kmalloc(MAD_BYTES)
        a.write(source, TEXT[:MAD_BYTES])
        into = sim.linux.dma_map_single(b.dev, target, room, DMA_FROM_DEVICE)
        b.post_mad_recv(other, Sge(into, room, other_pd.local_dma_lkey), 1)
        out = sim.linux.dma_map_single(a.dev, source, MAD_BYTES, DMA_TO_DEVICE)
        a.post_mad_send(qp, Sge(out, MAD_BYTES, pd.local_dma_lkey), 2, handle, wire)
        a.wait(cq)
        sim.linux.dma_unmap_single(a.dev, out, MAD_BYTES, DMA_TO_DEVICE)
        b.wait(other_cq)
        sim.linux.dma_unmap_single(b.dev, into, room, DMA_FROM_DEVICE)
        sim.expect(b.read(target + GRH_BYTES, MAD_BYTES), TEXT[:MAD_BYTES])
        a.destroy_ah(handle)
        for verbs, side in zip((a, b), sides, strict=True):
            verbs.destroy_qp(side[2])
            verbs.destroy_cq(side[1])
            verbs.dealloc_pd(side[0])
        sim.linux.kfree(source)
        sim.linux.kfree(target)


def _mad_side(verbs: Verbs, qp_type: QpType) -> tuple[Pd, Cq, Qp]:
    pd, cq = verbs.alloc_pd(local_dma=True), verbs.create_cq(8)
    qp = verbs.create_qp(pd, cq, qp_type=qp_type, max_recv_sge=1)
    verbs.to_rts(qp, qkey=QP1_QKEY if qp_type is QpType.GSI else 0)
    return pd, cq, qp


def mads_qp0(sim: Simulation) -> None:
    """A subnet management datagram, mapped for its send and its receive.

    Expect: nothing
    """
    _mads(sim, QpType.SMI, 0)


def mads_qp1(sim: Simulation) -> None:
    """A datagram of general services, mapped for its send and its receive.

    Expect: nothing
    """
    _mads(sim, QpType.GSI, 1)
