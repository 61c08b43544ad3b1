"""An InfiniBand driver for Windows with an HCA that fetches its own work, by ring and region."""

from dmaverify.sim.hca.fabric import pair
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

DEPTH, ROUNDS = 32, 40  # work requests of a ring; messages, so that each ring begins anew


def _rings(sim: Simulation, by: MapBy) -> None:
    """Send messages until each ring of the sender and the receiver was filled."""
    with ends(sim, windows=True, rings=by, entries=DEPTH, max_send_wr=DEPTH,
              max_recv_wr=DEPTH) as (a, b):  # fmt: skip
        for turn in range(ROUNDS):
            b.recv(wr_id=turn)
            a.write()
            a.send(wr_id=turn)
            if not a.wait() or not b.wait():
                break  # nothing comes any more
            sim.expect(b.read(), TEXT)


def rings_physical(sim: Simulation) -> None:
    """(a) The HCA is told what MmGetPhysicalAddress returns of its rings.

    Expect: queue-memory-not-mapped
    Outcome: foreign and lost on bus-offset, mask-32; fault on iommu, iommu-lazy, nested,
      confidential-vm; stale on non-coherent
    """
    _rings(sim, MapBy.PHYSICAL)


def rings_in_common_buffers(sim: Simulation) -> None:
    """(b) Each ring is a common buffer.

    Expect: nothing
    """
    _rings(sim, MapBy.COHERENT)


def rings_by_list(sim: Simulation) -> None:
    """(g) Each ring lies in pool memory, mapped once for its direction by a list.

    Expect: missing-sync-for-cpu, missing-sync-for-device
    Outcome: stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    _rings(sim, MapBy.LIST)


def rings_page_at_a_time(sim: Simulation) -> None:
    """(h) Each ring is common buffers of a page each, under one view.

    Expect: nothing
    Expect on driver-verifier: cpu-access-out-of-range
    Outcome: guard on driver-verifier
    """
    _rings(sim, MapBy.PAGES)


def rings_page_at_a_time_on_page(sim: Simulation) -> None:
    """(h) The same, on machines that let each common buffer begin at a page.

    Expect: nothing
    """
    sim.machine.common.at_end = False
    _rings(sim, MapBy.PAGES)


def _region(sim: Simulation, by: MapBy) -> None:
    """Let a peer write and read registered memory, while the application looks at it."""
    with pair(sim, windows=True) as (a, b):
        left, right = End(a), End(b)
        connect(left, right)
        memory = b.buffer(SIZE)
        mr = b.reg_mr(right.pd, memory, SIZE, EVERYTHING, by=by)
        if mr is not None:
            read_and_written(left, right, memory, mr.rkey, (0, PAGE + 512))
            b.dereg_mr(mr)
        right.close()
        left.close()


def region_by_list(sim: Simulation) -> None:
    """(d) A registration is a list held for its life; the peer writes and reads.

    Expect: missing-sync-for-cpu, device-access-wrong-direction
    Outcome: fault on iommu, iommu-lazy, nested; lost and stale on driver-verifier,
      confidential-vm, mask-32, non-coherent
    """
    _region(sim, MapBy.LIST)


def region_physical(sim: Simulation) -> None:
    """(e) A registration holds the physical pages of the locked MDL.

    Expect: device-access-unmapped
    Outcome: foreign and lost on bus-offset, mask-32; fault on iommu, iommu-lazy, nested,
      confidential-vm; stale on non-coherent
    """
    _region(sim, MapBy.PHYSICAL)


def region_persistent(sim: Simulation) -> None:
    """(f) A registration turns the locked pages into common buffers, and checks that it can.

    Expect: nothing
    Outcome: refused on confidential-vm, mask-32; stale on non-coherent
    """
    _region(sim, MapBy.PERSISTENT)
