"""Completions, peers and pages: what has to come before what. Each mistake has a twin."""

from dmaverify.model.kinds import EventKind, HcaObject, QpType, RangeChange
from dmaverify.sim.hca.family import RXE
from dmaverify.sim.hca.layout import GRH_BYTES, R_SEND_DOORBELL, Command
from dmaverify.sim.hca.objects import Mr, RecvWr, SendWr, Sge, WrOp, inc_rkey
from dmaverify.sim.hca.state import HcaFault
from dmaverify.sim.linux import DMA_BIDIRECTIONAL, DMA_TO_DEVICE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import EVERYTHING, PAGE, QKEY, TEXT, End, ends


def done_before_doorbell(sim: Simulation) -> None:
    """A work request completes, and no doorbell has told the HCA of it.

    Expect: completion-before-doorbell
    """
    with ends(sim) as (a, b):
        for i in range(2):
            b.recv(at=(1 + i) * PAGE, wr_id=i)
        a.write()
        a.send(length=64, wr_id=0)
        a.verbs.post_send(a.qp, SendWr(WrOp.SEND, (a.sge(0, 64),), 1), doorbell=False)
        a.verbs.registers.write(R_SEND_DOORBELL, a.qp.number << 32 | a.qp.send.head)
        a.wait(2)
        b.wait(2)


def completion_passed_over(sim: Simulation) -> None:
    """The first of two sends never completes, and the second does.

    Expect: completion-out-of-order
    """
    with ends(sim) as (a, b):
        for i in range(2):
            b.recv(at=(1 + i) * PAGE, wr_id=i)
        a.write()
        a.verbs.hardware.break_next(HcaFault.LOST_COMPLETION)
        b.verbs.hardware.break_next(HcaFault.LOST_COMPLETION)
        for i in range(2):
            a.send(length=64, wr_id=i)
        a.wait()


def _header(sim: Simulation, grh: bool) -> None:
    with ends(sim, qp_type=QpType.UD) as (a, b):
        handle = a.verbs.create_ah(a.pd, grh=grh)
        b.recv(length=GRH_BYTES + len(TEXT))
        a.write()
        a.send(ah=handle, remote_qpn=b.qp.number, remote_qkey=QKEY)
        a.wait()
        b.wait()
        b.read(PAGE, GRH_BYTES)
        a.verbs.destroy_ah(handle)


def header_undefined(sim: Simulation) -> None:
    """The CPU looks at the routing header of a datagram that came without one.

    Expect: datagram-header-undefined
    """
    _header(sim, False)


def header_there(sim: Simulation) -> None:
    """The CPU looks at the routing header of a datagram that came with one.

    Expect: nothing
    """
    _header(sim, True)


def lives_on(sim: Simulation) -> None:
    """A queue pair is destroyed for its program, and the HCA was not told.

    Expect: hca-access-after-destroy
    """
    with ends(sim) as (a, b):
        b.verbs.tell(EventKind.DESTROY_QP, object=b.qp.number)
        a.write()
        a.to_peer(WrOp.RDMA_WRITE, b)
        a.wait()
        b.verbs.recording = False
        b.verbs.stop_qp(b.qp)
        b.verbs.recording = True


def _peer(sim: Simulation, op: WrOp, length: int, *, told: bool) -> None:
    """Let a peer use a word, and write it."""
    with ends(sim) as (a, b):
        b.write(bytes(64), 2 * PAGE)
        a.to_peer(op, b, length=length)
        a.wait()
        if told:
            a.tell(b)
        b.write(bytes(8), 2 * PAGE)


def written_while_peer_reads(sim: Simulation) -> None:
    """The CPU writes what a peer reads, and nothing told it that the peer is done.

    Expect: peer-read-race
    """
    _peer(sim, WrOp.RDMA_READ, 64, told=False)


def written_after_peer_read(sim: Simulation) -> None:
    """The CPU writes what a peer has read when a message has told it.

    Expect: nothing
    """
    _peer(sim, WrOp.RDMA_READ, 64, told=True)


def stored_beside_atomic(sim: Simulation) -> None:
    """The CPU stores to a word of a peer's atomics.

    Expect: peer-atomic-race
    """
    _peer(sim, WrOp.ATOMIC_FETCH_AND_ADD, 8, told=False)


def stored_after_atomic(sim: Simulation) -> None:
    """The CPU stores to a word of a peer's atomics when a message has told it.

    Expect: nothing
    """
    _peer(sim, WrOp.ATOMIC_FETCH_AND_ADD, 8, told=True)


def _registered(end: End, direction: int = DMA_BIDIRECTIONAL) -> tuple[Mr, int, int]:
    """Map memory, and register it by a work request."""
    linux = end.verbs.sim.linux
    memory = linux.alloc_pages(1)
    bus = linux.dma_map_single(end.verbs.dev, memory, PAGE, direction)
    region = end.verbs.alloc_mr(end.pd, 1)
    end.verbs.map_mr_sg(region, [bus], PAGE)
    key = inc_rkey(region.lkey)
    end.verbs.post_send(end.qp, SendWr(WrOp.REG_MR, wr_id=1, mr=region, key=key,
                                       access=EVERYTHING))  # fmt: skip
    end.wait()
    return region, memory, bus


def _unmap(end: End, bus: int, direction: int = DMA_BIDIRECTIONAL) -> None:
    end.verbs.sim.linux.dma_unmap_single(end.verbs.dev, bus, PAGE, direction)


def _invalidate(end: End, region: Mr) -> None:
    end.verbs.post_send(end.qp, SendWr(WrOp.LOCAL_INV, wr_id=2, invalidate=region.lkey))
    end.wait()


def unmapped_before_invalidation(sim: Simulation) -> None:
    """The pages of a registration are unmapped, and then its key is invalidated.

    Expect: pages-unmapped-before-invalidation
    """
    with ends(sim) as (_, b):
        region, memory, bus = _registered(b)
        _unmap(b, bus)
        _invalidate(b, region)
        b.verbs.dereg_mr(region)
        sim.linux.kfree(memory)


def unmapped_after_invalidation(sim: Simulation) -> None:
    """The key of a registration is invalidated, and then its pages are unmapped.

    Expect: nothing
    """
    with ends(sim) as (_, b):
        region, memory, bus = _registered(b)
        _invalidate(b, region)
        _unmap(b, bus)
        b.verbs.dereg_mr(region)
        sim.linux.kfree(memory)


def _peer_writes(sim: Simulation, direction: int) -> None:
    """Let a peer write to a registration whose pages are mapped one way or both."""
    with ends(sim) as (a, b):
        region, memory, bus = _registered(b, direction)
        a.write()
        a.send(WrOp.RDMA_WRITE, remote_addr=region.addr, rkey=region.rkey)
        a.wait()
        a.tell(b)
        _invalidate(b, region)
        _unmap(b, bus, direction)
        sim.cpu.read(memory, len(TEXT))
        b.verbs.dereg_mr(region)
        sim.linux.kfree(memory)


def written_where_mapped_to_be_read(sim: Simulation) -> None:
    """A peer may write to a registration, and its pages are mapped for the HCA to read only.

    Expect: device-access-wrong-direction
    Expect on iommu, iommu-lazy, nested: device-access-wrong-direction, fault-behind-valid-key
    Outcome: fault on iommu, iommu-lazy, nested; lost on driver-verifier, confidential-vm,
      mask-32; stale on non-coherent
    """
    _peer_writes(sim, DMA_TO_DEVICE)


def written_where_mapped_both_ways(sim: Simulation) -> None:
    """A peer writes to a registration whose pages are mapped both ways.

    Expect: nothing
    """
    _peer_writes(sim, DMA_BIDIRECTIONAL)


def unmapped_before_command_is_done(sim: Simulation) -> None:
    """The HCA is told to let go of a key, and the pages are unmapped before it has.

    Expect: pages-unmapped-before-teardown
    """
    with ends(sim) as (_, b):
        region, memory, bus = _registered(b)
        what = HcaObject.MEMORY_REGION
        b.verbs.tell(EventKind.TEARDOWN, object=region.lkey, type=what)
        _unmap(b, bus)
        b.verbs.command(Command.HW2SW_MPT, region.lkey >> 8)
        b.verbs.tell(EventKind.TEARDOWN_DONE, object=region.lkey, type=what)
        b.verbs.tell(EventKind.DEREG_MR, object=region.lkey)
        b.verbs.unmap_mr(region)
        b.verbs.forget_mr(region)
        sim.linux.kfree(memory)


def _answered(sim: Simulation, *, other: bool) -> None:
    """Ask a peer for an answer that takes the key of the request out of use."""
    with ends(sim) as (a, b):
        regions = [_registered(b) for _ in range(2)]
        asked, taken = regions[0][0], regions[1 if other else 0][0]
        b.verbs.post_recv(b.qp, RecvWr((b.sge(PAGE, PAGE),), 3, asked.lkey))
        a.write()
        a.send(WrOp.SEND_WITH_INV, invalidate=taken.lkey)
        a.wait()
        b.wait()
        for region, memory, bus in regions:
            if region is not taken:
                _invalidate(b, region)
            _unmap(b, bus)
            b.verbs.dereg_mr(region)
            sim.linux.kfree(memory)


def other_key_taken(sim: Simulation) -> None:
    """A peer takes another key out of use than the request's.

    Expect: remote-invalidation-mismatch
    """
    _answered(sim, other=True)


def own_key_taken(sim: Simulation) -> None:
    """A peer takes the key of the request out of use.

    Expect: nothing
    """
    _answered(sim, other=False)


def _unmapped_by_program(sim: Simulation, *, posted: bool, registered: bool) -> None:
    with ends(sim) as (_, b):
        memory = b.verbs.buffer(2 * PAGE)
        mr = b.verbs.reg_mr(b.pd, memory, 2 * PAGE, EVERYTHING)
        assert mr is not None
        if posted:
            b.verbs.post_recv(b.qp, RecvWr((Sge(memory, PAGE, mr.lkey),), 1))
        if not registered:
            b.verbs.dereg_mr(mr)
        b.verbs.tell(EventKind.USER_UNMAP, bus_addr=memory, length=2 * PAGE,
                     type=RangeChange.MUNMAP)  # fmt: skip
        if registered:
            b.verbs.destroy_qp(b.qp)
            b.verbs.dereg_mr(mr)
            b.qp = b.verbs.create_qp(b.pd, b.cq)


def registered_and_unmapped(sim: Simulation) -> None:
    """A program gives memory back that is registered.

    Expect: registered-range-changed
    """
    _unmapped_by_program(sim, posted=False, registered=True)


def posted_and_unmapped(sim: Simulation) -> None:
    """A program gives memory back into which a receive is posted.

    Expect: registered-range-changed-in-use
    """
    _unmapped_by_program(sim, posted=True, registered=True)


def deregistered_and_unmapped(sim: Simulation) -> None:
    """A program deregisters memory, and gives it back.

    Expect: nothing
    """
    _unmapped_by_program(sim, posted=False, registered=False)


def registered_elsewhere(sim: Simulation) -> None:
    """A region of another domain is registered by a work request; the HCA refuses.

    Expect: fast-registration-not-allowed
    """
    with ends(sim) as (_, b):
        pd = b.verbs.alloc_pd()
        region = b.verbs.alloc_mr(pd, 2)
        pages, offset = b.pages(0, 2)
        b.verbs.map_mr_sg(region, pages, PAGE, offset=offset)
        b.verbs.post_send(b.qp, SendWr(WrOp.REG_MR, wr_id=1, mr=region,
                                       key=inc_rkey(region.lkey), access=EVERYTHING))  # fmt: skip
        b.wait()
        b.verbs.dereg_mr(region)
        b.verbs.dealloc_pd(pd)


def other_status(sim: Simulation) -> None:
    """An adapter ends a receive into read-only memory as rxe does.

    Expect: hca-access-without-permission, unexpected-status
    """
    with ends(sim) as (a, b):
        mr = b.register(0, PAGE, PAGE)
        b.verbs.hardware.family = RXE
        b.recv(key=mr.lkey)
        a.write()
        a.send()
        a.wait()
        b.wait()
        b.verbs.dereg_mr(mr)
