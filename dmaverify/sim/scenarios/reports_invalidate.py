"""Reported bugs: keys that are taken out of use too early, too late, or not at all."""

from dmaverify.model.kinds import PostFlag, Rights
from dmaverify.sim.hca.objects import Mr, Mw, MwType, SendWr, WrOp, inc_rkey
from dmaverify.sim.hca.pages import MapBy
from dmaverify.sim.linux import DMA_FROM_DEVICE
from dmaverify.sim.memory import PAGE
from dmaverify.sim.process import mmap_fixed, munmap
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import TEXT, UNSIGNALED, End, ends

REMOTE = Rights.LOCAL_WRITE | Rights.REMOTE_WRITE


def _fast_region(end: End, rights: int = REMOTE) -> tuple[Mr, SendWr]:
    """Return a region that a work request can register, and that work request."""
    mr = end.verbs.alloc_mr(end.pd, 4)
    bus, offset = end.pages(0, 2)
    end.verbs.map_mr_sg(mr, bus, PAGE, offset=offset, iova=end.memory)
    return mr, SendWr(WrOp.REG_MR, (), 1, mr=mr, key=inc_rkey(mr.rkey), access=rights)


# irdma: an invalidation that overtakes


def _read_and_invalidate(a: End, b: End, fence: bool) -> None:
    """Read from the peer into a region, and take its key out of use in the same chain."""
    mr, register = _fast_region(a)
    a.verbs.post_send(a.qp, register)
    a.wait()
    flags = PostFlag.SIGNALED | (PostFlag.FENCE if fence else 0)
    read = SendWr(WrOp.RDMA_READ, (a.sge(0, 512, mr.lkey),), 2, UNSIGNALED,
                  remote_addr=b.memory, rkey=b.mr.rkey)  # fmt: skip
    invalidate = SendWr(WrOp.LOCAL_INV, (), 3, flags, invalidate=mr.lkey)
    a.verbs.post_send(a.qp, read, invalidate)
    a.wait()
    a.verbs.dereg_mr(mr)


def irdma_invalidate_without_fence(sim: Simulation) -> None:
    """A key is invalidated behind a read that brings data by it, and nothing keeps the order.

    Class: ORD
    Report: https://lore.kernel.org/linux-rdma/20230522155654.1309-4-shiraz.saleem@intel.com/
    Report: https://lore.kernel.org/linux-rdma/20251031021726.1003-3-tatyana.e.nikolova@intel.com/
    Expect: deregistration-during-work-request
    """
    with ends(sim) as (a, b):
        _read_and_invalidate(a, b, fence=False)


def irdma_invalidate_without_fence_fixed(sim: Simulation) -> None:
    """The invalidation has a fence: it waits for the read.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _read_and_invalidate(a, b, fence=True)


# rtrs: an invalidation in the chain of the request


def _rtrs_write(a: End, b: End, waits: bool) -> None:
    """Ask a server to fetch a buffer by its key, and take the key out of use."""
    mr, register = _fast_region(a, REMOTE | Rights.REMOTE_READ)
    b.recv()
    a.write()
    request = SendWr(WrOp.SEND, (a.sge(0, 64),), 2, UNSIGNALED)
    invalidate = SendWr(WrOp.LOCAL_INV, (), 3, invalidate=register.key)
    if waits:
        a.verbs.post_send(a.qp, register, request)
    else:
        a.verbs.post_send(a.qp, register, request, invalidate)
        a.wait(2)
    b.wait()
    b.send(WrOp.RDMA_READ, at=2 * PAGE, length=512, remote_addr=a.memory, rkey=register.key)
    b.wait()
    if waits:
        a.verbs.post_send(a.qp, invalidate)
        a.wait(2)
    a.verbs.dereg_mr(mr)


def rtrs_invalidate_in_chain(sim: Simulation) -> None:
    """A key is invalidated in the chain of the request that tells the server to use it.

    Class: ORD
    Report: https://lore.kernel.org/linux-rdma/20240821112217.41827-11-haris.iqbal@ionos.com/
    Expect: hca-access-after-deregistration
    """
    with ends(sim) as (a, b):
        _rtrs_write(a, b, waits=False)


def rtrs_invalidate_in_chain_fixed(sim: Simulation) -> None:
    """It is invalidated when the server has answered.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _rtrs_write(a, b, waits=True)


# nvme-rdma: the peer says that it has invalidated


def _nvme_read(sim: Simulation, a: End, b: End, looks: bool) -> None:
    """Let a controller write data, and end the request when it says that the key is dead."""
    linux, verbs = sim.linux, a.verbs
    data = linux.alloc_pages(1)
    address = linux.dma_map_single(verbs.dev, data, PAGE, DMA_FROM_DEVICE)
    mr = verbs.alloc_mr(a.pd, 4)
    verbs.map_mr_sg(mr, [address], PAGE)
    register = SendWr(WrOp.REG_MR, (), 1, mr=mr, key=inc_rkey(mr.rkey), access=REMOTE)
    verbs.post_send(a.qp, register)
    a.wait()
    write = {"remote_addr": address, "rkey": mr.rkey}
    b.write(b"data".ljust(512, b"."))
    b.send(WrOp.RDMA_WRITE, **write)
    b.wait()
    told = mr.rkey ^ 0x100  # what the controller says it has invalidated
    if looks and told != mr.rkey:
        verbs.post_send(a.qp, SendWr(WrOp.LOCAL_INV, (), 2, invalidate=mr.rkey))
        a.wait()
    else:
        linux.dma_unmap_single(verbs.dev, address, PAGE, DMA_FROM_DEVICE)
        b.write(b"late data".ljust(512, b"!"))
        b.send(WrOp.RDMA_WRITE, **write)
        b.wait()
        verbs.post_send(a.qp, SendWr(WrOp.LOCAL_INV, (), 2, invalidate=mr.rkey))
        a.wait()
    if looks:
        linux.dma_unmap_single(verbs.dev, address, PAGE, DMA_FROM_DEVICE)
    sim.cpu.read(data, 512)
    verbs.dereg_mr(mr)


def nvme_rdma_other_key_invalidated(sim: Simulation) -> None:
    """A controller has invalidated some other key, and the request ends, its pages unmapped.

    The region is alive, and the controller can write.

    Class: KEY
    Report: Debian changelog of linux 6.12.117-1,
      "nvme-rdma: don't complete a request after a bogus remote invalidation"
    Expect: pages-unmapped-before-invalidation
    Outcome: fault on iommu, nested; lost and foreign and guard on driver-verifier,
      confidential-vm, mask-32; stale on non-coherent
    """
    with ends(sim) as (a, b):
        _nvme_read(sim, a, b, looks=False)


def nvme_rdma_other_key_invalidated_fixed(sim: Simulation) -> None:
    """The key is compared, and the region invalidated before its pages are unmapped.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _nvme_read(sim, a, b, looks=True)


# bnxt_re: a region that could not be deregistered


def _dereg_refused(sim: Simulation, a: End, b: End, heeds: bool) -> None:
    """Deregister memory while a window is bound to it, which the HCA refuses."""
    linux, verbs = sim.linux, a.verbs
    memory = linux.alloc_pages(1)
    bus = linux.dma_map_single(verbs.dev, memory, PAGE, DMA_FROM_DEVICE)
    mr = verbs.reg_mr(a.pd, memory, PAGE, REMOTE | Rights.MW_BIND, by=MapBy.GIVEN, bus=[bus])
    assert mr is not None
    window = _window(a, mr, memory)
    if heeds:
        verbs.dealloc_mw(window)
        verbs.dereg_mr(mr)
        linux.dma_unmap_single(verbs.dev, bus, PAGE, DMA_FROM_DEVICE)
        return
    verbs.dereg_mr(mr)
    linux.dma_unmap_single(verbs.dev, bus, PAGE, DMA_FROM_DEVICE)
    b.write(b"late data".ljust(512, b"!"))
    b.send(WrOp.RDMA_WRITE, remote_addr=memory, rkey=window.rkey)
    b.wait()
    sim.cpu.read(memory, 512)
    verbs.dealloc_mw(window)
    verbs.take_mpt_back(mr)
    verbs.forget_mr(mr)


def _window(end: End, mr: Mr, start: int) -> Mw:
    """Return a window of a page that is bound to a region."""
    window = end.verbs.alloc_mw(end.pd, MwType.TYPE_2A)
    bind = SendWr(WrOp.BIND_MW, (), 1, mw=window, mr=mr, key=inc_rkey(window.rkey),
                  access=Rights.REMOTE_WRITE, bind_addr=start, bind_length=PAGE)  # fmt: skip
    end.verbs.post_send(end.qp, bind)
    end.wait()
    return window


def bnxt_re_freed_though_refused(sim: Simulation) -> None:
    """The firmware refuses to deregister a region, and its memory is unmapped all the same.

    Class: UAD
    Report: https://lore.kernel.org/linux-rdma/1574671174-5064-2-git-send-email-selvin.xavier@broadcom.com/
    Expect: deregistration-with-windows, device-access-after-unmap
    Outcome: fault on iommu, nested; lost and foreign and guard on driver-verifier,
      confidential-vm, mask-32; stale on non-coherent
    """
    with ends(sim) as (a, b):
        _dereg_refused(sim, a, b, heeds=False)


def bnxt_re_freed_though_refused_fixed(sim: Simulation) -> None:
    """The window is given back first, and the memory when the region is gone.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _dereg_refused(sim, a, b, heeds=True)


# libfabric: a cache of registrations


class _Cache:
    """Regions by their addresses, as a library keeps them."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.regions: dict[tuple[int, int], Mr] = {}

    def register(self, virt: int, length: int) -> Mr:
        """Return a region of memory, one that is there already if there is one."""
        mr = self.regions.get((virt, length))
        if mr is None:
            mr = self.end.verbs.reg_mr(self.end.pd, virt, length, REMOTE)
            assert mr is not None
            self.regions[virt, length] = mr
        return mr

    def drop(self, virt: int, length: int) -> None:
        """Give up what is registered of memory that is about to go."""
        mr = self.regions.pop((virt, length), None)
        if mr is not None:
            self.end.verbs.dereg_mr(mr)


def _target_twice(sim: Simulation, a: End, b: End, watches: bool) -> None:
    """Let a peer write into memory that is unmapped and mapped anew in between."""
    cache, target = _Cache(b), b.verbs.buffer(PAGE)
    for again in (False, True):
        if again:
            if watches:
                cache.drop(target, PAGE)
            munmap(sim, target, PAGE)
            mmap_fixed(sim, target, PAGE)
        mr = cache.register(target, PAGE)
        a.write()
        b.recv()
        a.send(WrOp.RDMA_WRITE_WITH_IMM, remote_addr=target, rkey=mr.rkey)
        a.wait()
        b.wait()
    sim.expect(b.verbs.read(target, len(TEXT)), TEXT)
    cache.drop(target, PAGE)


def libfabric_unmapped_and_cached(sim: Simulation) -> None:
    """A program unmaps registered memory and maps new memory there; the cache has the old region.

    The peer's data goes to the old pages, which nobody sees any more.

    Class: FORK
    Report: https://github.com/ofi-cray/libfabric-cray/issues/1000
    Report: https://github.com/ofi-cray/libfabric-cray/issues/1350
    Expect: registered-range-changed
    Outcome: foreign on as-recorded, flat, bus-offset, iommu, iommu-lazy, nested, driver-verifier,
      confidential-vm, mask-32, non-coherent
    """
    with ends(sim) as (a, b):
        _target_twice(sim, a, b, watches=False)


def libfabric_unmapped_and_cached_fixed(sim: Simulation) -> None:
    """The cache is told of each unmap, and drops its regions there first.

    Expect: nothing
    Outcome: stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    with ends(sim) as (a, b):
        _target_twice(sim, a, b, watches=True)
