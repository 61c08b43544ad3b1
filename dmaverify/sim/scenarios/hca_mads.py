"""Management datagrams: 256 bytes on QP1, mapped for each way. Each mistake has a twin."""

from dmaverify.model.kinds import QpType
from dmaverify.sim.hca.fabric import pair
from dmaverify.sim.hca.layout import GRH_BYTES, MAD_BYTES
from dmaverify.sim.hca.mads import QP1_QKEY
from dmaverify.sim.hca.objects import Sge
from dmaverify.sim.linux import DMA_FROM_DEVICE, DMA_TO_DEVICE
from dmaverify.sim.memory import DIRECT
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import TEXT

ROOM = GRH_BYTES + MAD_BYTES


def _exchange(sim: Simulation, *, room: int = ROOM, receive_way: int = DMA_FROM_DEVICE,
              mapped: bool = True, early: bool = False) -> None:  # fmt: skip
    """Send one datagram from QP1 of a port to that of another.

    Args:
        sim: where.
        room: bytes that are posted for it.
        receive_way: direction of the receive's mapping.
        mapped: whether the send is mapped; else its physical address is given.
        early: whether the receive is unmapped before the datagram comes.
    """
    with pair(sim) as (a, b):
        made = []
        for verbs in (a, b):
            pd, cq = verbs.alloc_pd(local_dma=True), verbs.create_cq(8)
            qp = verbs.create_qp(pd, cq, qp_type=QpType.GSI, max_recv_sge=1)
            verbs.to_rts(qp, qkey=QP1_QKEY)
            made.append((verbs, pd, cq, qp))
        (_, pd, cq, qp), (_, other_pd, other_cq, other) = made
        handle = a.create_ah(pd)
        target, source = sim.linux.kmalloc(ROOM), sim.linux.kmalloc(MAD_BYTES)
        a.write(source, TEXT[:MAD_BYTES])
        into = sim.linux.dma_map_single(b.dev, target, room, receive_way)
        b.post_mad_recv(other, Sge(into, room, other_pd.local_dma_lkey), 1)
        if early:
            sim.linux.dma_unmap_single(b.dev, into, room, receive_way)
        out = source - DIRECT
        if mapped:
            out = sim.linux.dma_map_single(a.dev, source, MAD_BYTES, DMA_TO_DEVICE)
        a.post_mad_send(qp, Sge(out, MAD_BYTES, pd.local_dma_lkey), 2, handle)
        a.wait(cq)
        if mapped:
            sim.linux.dma_unmap_single(a.dev, out, MAD_BYTES, DMA_TO_DEVICE)
        b.wait(other_cq)
        if not early:
            sim.linux.dma_unmap_single(b.dev, into, room, receive_way)
        a.destroy_ah(handle)
        for verbs, domain, queue, number in made:
            verbs.destroy_qp(number)
            verbs.destroy_cq(queue)
            verbs.dealloc_pd(domain)


def right(sim: Simulation) -> None:
    """A datagram is mapped for its send, and room for it and its routing header for the receive.

    Expect: nothing
    """
    _exchange(sim)


def not_mapped(sim: Simulation) -> None:
    """A datagram is posted by the physical address of its buffer.

    Expect: datagram-not-mapped
    Outcome: foreign on bus-offset, mask-32; fault on iommu, iommu-lazy, nested,
      confidential-vm; stale on non-coherent
    """
    _exchange(sim, mapped=False)


def room_for_datagram_only(sim: Simulation) -> None:
    """The room that is posted has no place for the routing header.

    Expect: datagram-room-too-small
    """
    _exchange(sim, room=MAD_BYTES)


def mapped_the_wrong_way(sim: Simulation) -> None:
    """Room for a datagram is mapped for the device to read.

    Expect: datagram-wrong-direction
    Outcome: fault on iommu, iommu-lazy, nested; lost on driver-verifier, confidential-vm,
      mask-32; stale on non-coherent
    """
    _exchange(sim, receive_way=DMA_TO_DEVICE)


def unmapped_early(sim: Simulation) -> None:
    """Room for a datagram is unmapped before one has come.

    Where there is an IOMMU or a bounce buffer its address is one of the other HCA's by then.

    Expect: datagram-unmapped-early
    Outcome: fault on iommu, nested; foreign and lost on iommu-lazy; foreign and guard and lost
      on driver-verifier, confidential-vm, mask-32; stale on non-coherent
    """
    _exchange(sim, early=True)
