"""Queues of an InfiniBand driver for Windows, by where the HCA's ring addresses come from."""

from dmaverify.sim.device import Device
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._hca import PAGE, Region, get_list, start
from dmaverify.sim.windows.adapter import DMA_ADAPTER
from dmaverify.sim.windows.names import MDL_PAGES_LOCKED, MEMORY_CACHING_TYPE

REQUEST = b"work request".ljust(64, b".")
COMPLETION = b"completion".ljust(64, b".")
RING = 4 * PAGE


def _use(sim: Simulation, ring: Region, view: int) -> None:
    """Post work requests and poll completions, in every page of one ring."""
    for at in range(0, RING, PAGE):
        _post(sim, ring, view, at)
        _poll(sim, ring, view, at + len(REQUEST))


def _post(sim: Simulation, ring: Region, view: int, at: int) -> None:
    sim.cpu.write(view + at, REQUEST)
    sim.expect(ring.read(len(REQUEST), at), REQUEST)


def _poll(sim: Simulation, ring: Region, view: int, at: int) -> None:
    ring.write(COMPLETION, at)
    sim.expect(sim.cpu.read(view + at, len(COMPLETION)), COMPLETION)


def physical_address(sim: Simulation) -> None:
    """(a) Ring and descriptors hold what MmGetPhysicalAddress returns.

    Works by luck where a bus address is a physical one, and where the verifier only sees the
    calls of the DMA API.

    Expect: device-access-unmapped
    Outcome: fault on iommu, iommu-lazy, nested, confidential-vm; lost and foreign on bus-offset;
      foreign and lost on mask-32; stale on non-coherent
    """
    hca = sim.device()
    nt = sim.windows
    nt.AddDevice(hca)
    virt = nt.MmAllocateContiguousMemorySpecifyCache(RING)
    pages = [nt.MmGetPhysicalAddress(virt + at) for at in range(0, RING, PAGE)]
    _use(sim, Region(hca, pages, 0, RING), virt)
    nt.MmFreeContiguousMemory(virt)
    nt.RemoveDevice(hca)


def _ring_in_common_buffer(sim: Simulation, mask: int) -> None:
    hca, adapter = start(sim)
    ops = adapter.DmaOperations
    virt, logical = ops.AllocateCommonBuffer(adapter, RING, False)
    pages = [(logical & mask) + at for at in range(0, RING, PAGE)]
    _use(sim, Region(hca, pages, 0, RING), virt)
    ops.FreeCommonBuffer(adapter, RING, logical, virt, False)
    ops.PutDmaAdapter(adapter)
    sim.windows.RemoveDevice(hca)


def common_buffer(sim: Simulation) -> None:
    """(b) The ring is a common buffer, and the HCA gets the address that came with it.

    Expect: nothing
    """
    _ring_in_common_buffer(sim, -1)


def common_buffer_taken_as_aligned(sim: Simulation) -> None:
    """(b) The same, but the driver cuts the address down to a page: it expects an aligned one.

    Expect: nothing
    Expect on driver-verifier: device-access-beside-mapping
    Outcome: foreign and guard on driver-verifier
    """
    _ring_in_common_buffer(sim, ~(PAGE - 1))


def common_buffer_on_page(sim: Simulation) -> None:
    """(b) The same again, on machines that let each common buffer begin at a page.

    Expect: nothing
    """
    sim.machine.common.at_end = False
    _ring_in_common_buffer(sim, ~(PAGE - 1))


def scatter_gather(sim: Simulation) -> None:
    """(g) Rings in pool memory, each mapped once for its direction, by a scatter/gather list.

    Nothing moves bytes before the lists are put: where transfers are bounced, or caches do not
    see the device, neither side sees what the other writes.

    Expect: missing-sync-for-cpu, missing-sync-for-device
    Outcome: stale on driver-verifier, mask-32, confidential-vm, non-coherent
    """
    hca, adapter = start(sim)
    nt, ops = sim.windows, adapter.DmaOperations
    held = []
    for to_device in (True, False):
        virt = nt.ExAllocatePool2(RING)
        mdl = nt.IoAllocateMdl(virt, RING)
        nt.MmBuildMdlForNonPagedPool(mdl)
        nt.KeFlushIoBuffers(mdl, not to_device)
        made = get_list(sim, adapter, mdl, to_device)
        pages = [e.Address + at for e in made.Elements for at in range(0, e.Length, PAGE)]
        held.append((virt, mdl, made, Region(hca, pages, 0, RING)))
    work, done = held
    for at in range(0, RING, PAGE):
        _post(sim, work[3], work[0], at)
        _poll(sim, done[3], done[0], at)
    for (virt, mdl, made, _), to_device in zip(held, (True, False), strict=True):
        with nt.at_dispatch():
            ops.PutScatterGatherList(adapter, made, to_device)
        nt.IoFreeMdl(mdl)
        nt.ExFreePool(virt)
    ops.PutDmaAdapter(adapter)
    nt.RemoveDevice(hca)


def page_at_a_time(sim: Simulation) -> None:
    """(h) Common buffers of a page each, put together by an MDL and MmMapLockedPagesSpecifyCache.

    Works with the cache type that common buffers have, as long as these begin at a page.

    Expect: nothing
    Expect on driver-verifier: cpu-write-beside-buffer
    Outcome: foreign and guard on driver-verifier
    """
    _page_at_a_time(sim, MEMORY_CACHING_TYPE.MmNonCached)


def page_at_a_time_cached(sim: Simulation) -> None:
    """(h) The same with a cached view of memory that is not cached.

    Expect: nothing
    Expect on driver-verifier: cpu-write-beside-buffer
    Outcome: stale on non-coherent; foreign and guard on driver-verifier
    """
    _page_at_a_time(sim, MEMORY_CACHING_TYPE.MmCached)


def page_at_a_time_on_page(sim: Simulation) -> None:
    """(h) The first one, on machines that let each common buffer begin at a page.

    Expect: nothing
    """
    sim.machine.common.at_end = False
    _page_at_a_time(sim, MEMORY_CACHING_TYPE.MmNonCached)


def _page_at_a_time(sim: Simulation, cache_type: int) -> None:
    hca, adapter = start(sim)
    nt, ops = sim.windows, adapter.DmaOperations
    buffers = [ops.AllocateCommonBuffer(adapter, PAGE, False) for _ in range(RING // PAGE)]
    mdl = nt.IoAllocateMdl(0, RING)
    for i, (virt, _) in enumerate(buffers):
        nt.MmGetMdlPfnArray(mdl)[i] = nt.MmGetPhysicalAddress(virt) // PAGE
    mdl.MdlFlags |= MDL_PAGES_LOCKED
    view = nt.MmMapLockedPagesSpecifyCache(mdl, 0, cache_type)
    _use(sim, Region(hca, [logical for _, logical in buffers], 0, RING), view)
    nt.MmUnmapLockedPages(view, mdl)
    nt.IoFreeMdl(mdl)
    _stop(hca, adapter, sim, buffers)


def _stop(hca: Device, adapter: DMA_ADAPTER, sim: Simulation,
          buffers: list[tuple[int, int]]) -> None:  # fmt: skip
    for virt, logical in buffers:
        adapter.DmaOperations.FreeCommonBuffer(adapter, PAGE, logical, virt, False)
    adapter.DmaOperations.PutDmaAdapter(adapter)
    sim.windows.RemoveDevice(hca)
