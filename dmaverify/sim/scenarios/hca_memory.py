"""Rings and regions of an HCA, by where the HCA's addresses of them come from."""

from dmaverify.sim.hca.fabric import pair
from dmaverify.sim.hca.objects import WrOp
from dmaverify.sim.hca.pages import MapBy
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import (
    EVERYTHING,
    PAGE,
    SIZE,
    TEXT,
    End,
    connect,
    ends,
    read_and_written,
)

ROUNDS = 20


def rings_coherent(sim: Simulation) -> None:
    """Rings that are shared for their life, filled twice.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _talk(sim, a, b)


def _talk(sim: Simulation, a: End, b: End) -> None:
    for turn in range(ROUNDS):
        b.recv(wr_id=turn)
        a.write()
        a.send(wr_id=turn)
        if not a.wait() or not b.wait():
            return  # nothing comes any more
        sim.expect(b.read(), TEXT)


def rings_by_list(sim: Simulation) -> None:
    """Rings of a program, pinned and mapped both ways for their life by a scatter list.

    A program's rings are mapped like this everywhere, and the HCA and the CPU look at them
    without a call between: forced double buffering breaks them, and so does each cache that does
    not see the device.

    Expect: nothing
    Outcome: stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    with ends(sim, rings=MapBy.LIST) as (a, b):
        _talk(sim, a, b)


def rings_physical(sim: Simulation) -> None:
    """The HCA is told the physical addresses of its rings.

    Expect: queue-memory-not-mapped
    Outcome: foreign and lost on bus-offset, mask-32; fault on iommu, iommu-lazy, nested,
      confidential-vm; stale on non-coherent
    """
    with ends(sim, rings=MapBy.PHYSICAL) as (a, b):
        _talk(sim, a, b)


def _region(sim: Simulation, by: MapBy) -> None:
    """Write the peer's registered memory, and read it, while both programs look at theirs."""
    with pair(sim) as (a, b):
        left, right = End(a), End(b)
        connect(left, right)
        memory = b.buffer(SIZE, 0x200)
        mr = b.reg_mr(right.pd, memory, SIZE, EVERYTHING, by=by)
        if mr is not None:
            read_and_written(left, right, memory, mr.rkey, (0, PAGE, 2 * PAGE))
            b.dereg_mr(mr)
        right.close()
        left.close()


def region_by_list(sim: Simulation) -> None:
    """A region is pinned and mapped both ways for its life; the peer writes and reads it.

    Right by the contract of registrations, and broken by whatever copies.

    Expect: nothing
    Outcome: lost and stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    _region(sim, MapBy.LIST)


def region_physical(sim: Simulation) -> None:
    """A region holds the physical addresses of its pages.

    Expect: device-access-unmapped
    Outcome: foreign and lost on bus-offset, mask-32; fault on iommu, iommu-lazy, nested,
      confidential-vm; stale on non-coherent
    """
    _region(sim, MapBy.PHYSICAL)


def unmapped_before_key(sim: Simulation) -> None:
    """A region's pages are unmapped while its key is good, and the peer writes once more.

    Expect: device-access-after-unmap
    Outcome: fault on iommu, nested; foreign and guard and lost on driver-verifier,
      confidential-vm, mask-32; stale on non-coherent
    """
    with ends(sim) as (a, b):
        memory = b.verbs.buffer(PAGE)
        mr = b.verbs.reg_mr(b.pd, memory, PAGE, EVERYTHING)
        assert mr is not None
        b.verbs.unmap_mr(mr)
        a.write()
        a.send(WrOp.RDMA_WRITE, remote_addr=memory, rkey=mr.rkey)
        a.wait()
        b.verbs.dereg_mr(mr)


def key_before_unmap(sim: Simulation) -> None:
    """The key is taken back, and then the pages are unmapped; the peer's write is refused.

    Expect: hca-access-after-deregistration
    Outcome: stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    with ends(sim) as (a, b):
        memory = b.verbs.buffer(PAGE)
        mr = b.verbs.reg_mr(b.pd, memory, PAGE, EVERYTHING)
        assert mr is not None
        a.write()
        a.send(WrOp.RDMA_WRITE, remote_addr=memory, rkey=mr.rkey)
        a.wait()
        a.tell(b)
        sim.expect(b.verbs.read(memory, len(TEXT)), TEXT)
        b.verbs.dereg_mr(mr)
        a.send(WrOp.RDMA_WRITE, remote_addr=memory, rkey=mr.rkey)
        a.wait()


def ring_freed_early(sim: Simulation) -> None:
    """The completion ring is freed while its queue pair is at work.

    Expect: queue-memory-freed-early
    Outcome: foreign on as-recorded, flat, bus-offset, iommu-lazy, driver-verifier, mask-32,
      non-coherent; fault on iommu, nested, confidential-vm
    """
    with ends(sim) as (a, b):
        b.recv()
        a.write()
        b.verbs.free_ring(b.cq.ring)
        a.send()
        a.wait()
