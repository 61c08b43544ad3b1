"""Reported bugs: lengths and addresses that a peer names, and nobody looks at."""

from dmaverify.model.kinds import Rights
from dmaverify.sim.hca.family import RXE
from dmaverify.sim.hca.objects import SendWr, Sge, WrOp
from dmaverify.sim.hca.state import HcaFault
from dmaverify.sim.linux import DMA_TO_DEVICE
from dmaverify.sim.linux_iommu import IOMMU_READ, IOMMU_WRITE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import EVERYTHING, PAGE, End, ends

CHUNK = 1024


def _process_read(sim: Simulation, a: End, b: End, looks: bool) -> None:
    """Serve a read of as many bytes as the peer's message says, from a chunk of the server's."""
    linux, verbs, wire_length = sim.linux, b.verbs, 2 * CHUNK
    pd = verbs.alloc_pd(local_dma=True)
    qp = verbs.create_qp(pd, b.cq)
    verbs.to_rts(qp, a.qp.number)
    a.verbs.modify_qp(a.qp, a.qp.state, peer=qp.number)
    chunk = linux.kmalloc(CHUNK)
    address = linux.dma_map_single(verbs.dev, chunk, CHUNK, DMA_TO_DEVICE)
    length = min(wire_length, CHUNK) if looks else wire_length
    reply = SendWr(WrOp.RDMA_WRITE, (Sge(address, length, pd.local_dma_lkey),), 1,
                   remote_addr=a.memory, rkey=a.mr.rkey)  # fmt: skip
    verbs.post_send(qp, reply)
    b.wait()
    linux.dma_unmap_single(verbs.dev, address, CHUNK, DMA_TO_DEVICE)
    linux.kfree(chunk)
    verbs.destroy_qp(qp)
    verbs.dealloc_pd(pd)


def rtrs_unchecked_length(sim: Simulation) -> None:
    """A server answers with as many bytes as its peer asked for, from a chunk that has fewer.

    It posts by the key of all memory, which no HCA checks: the peer gets what lies behind.

    Class: OOB
    Report: https://lore.kernel.org/linux-rdma/20260612-master-v1-1-70cde5c6fdc9@gmail.com/
    Expect: device-access-out-of-range
    Outcome: foreign on as-recorded, flat, bus-offset, iommu, iommu-lazy, nested, driver-verifier,
      confidential-vm, mask-32, non-coherent
    """
    with ends(sim) as (a, b):
        _process_read(sim, a, b, looks=False)


def rtrs_unchecked_length_fixed(sim: Simulation) -> None:
    """The length is held against that of the chunk.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _process_read(sim, a, b, looks=True)


def _remote_read(a: End, b: End, start: int) -> None:
    """Read 64 bytes from an address of a region that begins at 0."""
    mr = b.register(EVERYTHING | Rights.ZERO_BASED)
    a.send(WrOp.RDMA_READ, length=64, remote_addr=start, rkey=mr.rkey)
    a.wait()
    b.verbs.dereg_mr(mr)


def rxe_range_wraps(sim: Simulation) -> None:
    """A peer reads 64 bytes from 32 below the top of all addresses: the sum is a small number.

    The range was looked at by adding address and length, and the sum was inside.

    Class: OOB
    Report: https://lore.kernel.org/linux-rdma/20260521194402.811-1-tymbark7372@proton.me/
    Expect: hca-access-out-of-range
    """
    with ends(sim, RXE) as (a, b):
        b.verbs.hardware.break_next(HcaFault.NO_RANGE)
        _remote_read(a, b, (1 << 64) - 32)


def rxe_range_wraps_fixed(sim: Simulation) -> None:
    """A peer reads the first bytes of the region, and the HCA looks at the range.

    Expect: nothing
    """
    with ends(sim, RXE) as (a, b):
        _remote_read(a, b, 0)


def _map_list(sim: Simulation, end: End, top: int) -> None:
    """Tell a region the one page of its list, which is translated at a bus address of choice."""
    verbs, page = end.verbs, sim.linux.alloc_pages(1)
    domain = sim.linux.iommu_get_domain_for_dev(verbs.dev)
    bus = sim.linux.virt_to_phys(page)
    if domain is not None:
        sim.linux.iommu_map(domain, top - PAGE, bus, PAGE, IOMMU_READ | IOMMU_WRITE)
        bus = top - PAGE
    mr = verbs.alloc_mr(end.pd, 4)
    verbs.map_mr_sg(mr, [bus], PAGE)
    verbs.dereg_mr(mr)
    if domain is not None:
        sim.linux.iommu_unmap(domain, bus, PAGE)
    sim.linux.kfree(page)


def bnxt_re_list_at_the_top(sim: Simulation) -> None:
    """A page of a region is the last one of the IOMMU's addresses: its end address is 0.

    The loop that fills the region's table went by end addresses, and left old entries in it.

    Class: OOB
    Report: https://lore.kernel.org/linux-rdma/20220816081153.1580612-1-kashyap.desai@broadcom.com/
    Report: https://lore.kernel.org/linux-rdma/YyoRGzNiPLwVZYjf@nvidia.com/
    Expect: nothing
    Expect on iommu, iommu-lazy, nested: region-list-wraps
    """
    with ends(sim) as (a, _):
        _map_list(sim, a, 1 << 64)


def bnxt_re_list_at_the_top_fixed(sim: Simulation) -> None:
    """A DMA mask of 63 bits keeps the last page out of use.

    Expect: nothing
    """
    with ends(sim) as (a, _):
        _map_list(sim, a, 1 << 63)
