"""How a driver for Windows gets memory to an HCA: adapters, common buffers, lists, MDLs.

Source: Windows driver documentation, AllocateCommonBuffer, GetScatterGatherList,
MmProbeAndLockPages, MmMapLockedPagesSpecifyCache, CreateCommonBufferFromMdl.
"""

from dmaverify.errors import SimError
from dmaverify.sim.device import Device
from dmaverify.sim.hca.pages import MapBy, PageMapper, Pages
from dmaverify.sim.memory import PAGE
from dmaverify.sim.run import Simulation
from dmaverify.sim.windows.adapter import DMA_ADAPTER
from dmaverify.sim.windows.mdl import MDL
from dmaverify.sim.windows.names import (
    DEVICE_DESCRIPTION,
    DEVICE_DESCRIPTION_VERSION3,
    LOCK_OPERATION,
    MDL_PAGES_LOCKED,
    MEMORY_CACHING_TYPE,
    SCATTER_GATHER_LIST,
    STATUS_SUCCESS,
)


class WindowsMapper(PageMapper):
    """Maps memory for one HCA under Windows.

    Args:
        sim: where it runs.
        dev: the HCA as a DMA device.
    """

    def __init__(self, sim: Simulation, dev: Device) -> None:
        super().__init__(sim.machine, sim.linux, dev)
        self._nt = sim.windows
        self._dev = dev
        self._adapter: DMA_ADAPTER | None = None
        self._lists: dict[int, tuple[MDL, SCATTER_GATHER_LIST, bool]] = {}
        self._locked: dict[int, MDL] = {}
        self._views: dict[int, tuple[MDL, list[tuple[int, int]]]] = {}

    @property
    def adapter(self) -> DMA_ADAPTER:
        """Return the adapter, which is got between `begin` and `end`."""
        if self._adapter is None:
            raise SimError("the driver has no adapter")
        return self._adapter

    def begin(self) -> None:
        """Bind the driver and get its adapter: a bus master of 64 bits."""
        self._nt.AddDevice(self._dev)
        self._adapter, _ = self._nt.IoGetDmaAdapter(self._dev, DEVICE_DESCRIPTION(
            Version=DEVICE_DESCRIPTION_VERSION3, Master=True, ScatterGather=True,
            MaximumLength=0x7FFF_FFFF, DmaAddressWidth=64,
        ))  # fmt: skip

    def end(self) -> None:
        """Put the adapter, and unbind the driver."""
        self.adapter.DmaOperations.PutDmaAdapter(self.adapter)
        self._nt.RemoveDevice(self._dev)

    def take_shared(self, length: int) -> tuple[int, int]:
        """Return (CPU address, bus address) of a common buffer."""
        return self.adapter.DmaOperations.AllocateCommonBuffer(  # type: ignore[no-any-return]
            self.adapter, length, False
        )

    def give_shared(self, length: int, virt: int, bus: int) -> None:
        """Free a common buffer."""
        self.adapter.DmaOperations.FreeCommonBuffer(self.adapter, length, bus, virt, False)

    def memory(self, length: int, offset: int = 0) -> int:
        """Return the address of an application's memory."""
        virt: int = self._nt.user_memory(length, offset)
        return virt

    def allocate(self, length: int, by: MapBy, fill: int,
                 hca_writes: bool = False) -> Pages | None:  # fmt: skip
        """Return new memory for a ring, filled and mapped; None where there is none."""
        if by is MapBy.COHERENT:
            return super().allocate(length, by, fill)
        size, data = -(-length // PAGE) * PAGE, bytes([fill]) * length
        if by is MapBy.PAGES:
            pages = self._page_at_a_time(size, length)
            self._m.cpu.write(pages.virt, data)
            return pages
        if by is MapBy.PHYSICAL:
            virt = self._nt.MmAllocateContiguousMemorySpecifyCache(size)
            self._m.cpu.write(virt, data)
            bus = [self._nt.MmGetPhysicalAddress(virt + at) for at in range(0, size, PAGE)]
            return Pages(virt, length, by, bus, owned=True)
        virt = self._nt.ExAllocatePool2(size)
        self._m.cpu.write(virt, data)
        mdl = self._nt.IoAllocateMdl(virt, size)
        assert mdl is not None
        self._nt.MmBuildMdlForNonPagedPool(mdl)
        found = self._list(mdl, virt, length, hca_writes)
        found.owned = True
        return found

    def pin(self, virt: int, length: int, by: MapBy, bus: list[int] | None = None) -> Pages | None:
        """Return the pages of an application's memory, which is locked.

        Args:
            virt: its first byte.
            length: bytes.
            by: LIST, PHYSICAL, PERSISTENT or GIVEN.
            bus: of GIVEN: a bus address for each page.
        """
        if by is MapBy.GIVEN:
            return super().pin(virt, length, by, bus)
        mdl = self._nt.IoAllocateMdl(virt, length)
        assert mdl is not None
        self._nt.MmProbeAndLockPages(mdl, 1, LOCK_OPERATION.IoModifyAccess)
        self._locked[virt] = mdl
        if by is MapBy.LIST:
            return self._list(mdl, virt, length, True)
        if by is MapBy.PHYSICAL:
            pages = [pfn * PAGE for pfn in self._nt.MmGetMdlPfnArray(mdl)]
            return Pages(virt, length, by, pages, virt & (PAGE - 1))
        return self._persistent(mdl, virt, length)

    def unmap(self, pages: Pages) -> None:
        """End what was mapped, unlock what was locked, and free what was allocated."""
        nt, ops = self._nt, self.adapter.DmaOperations
        if pages.by is MapBy.COHERENT:
            super().unmap(pages)
            return
        held = self._lists.pop(pages.virt, None)
        if held is not None:
            with nt.at_dispatch():
                ops.PutScatterGatherList(self.adapter, held[1], not held[2])
        if pages.virt in self._views:
            self._unmap_view(pages)
        if pages.virt in self._locked:
            mdl = self._locked.pop(pages.virt)
            nt.MmUnlockPages(mdl)
            nt.IoFreeMdl(mdl)
        elif held is not None:
            nt.IoFreeMdl(held[0])
        if pages.owned and pages.by is MapBy.PHYSICAL:
            nt.MmFreeContiguousMemory(pages.virt)
        elif pages.owned and pages.by is MapBy.LIST:
            nt.ExFreePool(pages.virt)
        pages.owned = False

    # Parts of the above

    def _list(self, mdl: MDL, virt: int, length: int, hca_writes: bool) -> Pages:
        """Map an MDL by a list that is held for the life of what it is for, one way."""
        found: list[SCATTER_GATHER_LIST] = []
        nt = self._nt
        nt.KeFlushIoBuffers(mdl, hca_writes)
        with nt.at_dispatch():
            self.adapter.DmaOperations.GetScatterGatherList(
                self.adapter, self.adapter.device, mdl, nt.MmGetMdlVirtualAddress(mdl),
                nt.MmGetMdlByteCount(mdl), lambda dev, irp, made, context: found.append(made),
                None, not hca_writes,
            )  # fmt: skip
        self._lists[virt] = mdl, found[0], hca_writes
        bus: list[int] = []
        for element in found[0].Elements:
            at, end = element.Address & ~(PAGE - 1), element.Address + element.Length
            bus += [page for page in range(at, end, PAGE) if not bus or bus[-1] != page]
        return Pages(virt, length, MapBy.LIST, bus, virt & (PAGE - 1))

    def _page_at_a_time(self, size: int, length: int) -> Pages:
        """Put common buffers of a page each together, by an MDL and a view over their pages."""
        nt, ops = self._nt, self.adapter.DmaOperations
        buffers = [ops.AllocateCommonBuffer(self.adapter, PAGE, False)
                   for _ in range(0, size, PAGE)]  # fmt: skip
        mdl = nt.IoAllocateMdl(0, size)
        assert mdl is not None
        for i, (virt, _) in enumerate(buffers):
            nt.MmGetMdlPfnArray(mdl)[i] = nt.MmGetPhysicalAddress(virt) // PAGE
        mdl.MdlFlags |= MDL_PAGES_LOCKED
        view = nt.MmMapLockedPagesSpecifyCache(mdl, 0, MEMORY_CACHING_TYPE.MmNonCached)
        self._views[view] = mdl, buffers
        return Pages(view, length, MapBy.PAGES, [bus for _, bus in buffers])

    def _persistent(self, mdl: MDL, virt: int, length: int) -> Pages | None:
        """Turn locked pages into common buffers: both ways, for their life, never bounced."""
        view = self._nt.MmGetSystemAddressForMdlSafe(mdl)
        buffers: list[tuple[int, int]] = []
        for at in range(0, length, PAGE):
            status, bus = self.adapter.DmaOperations.CreateCommonBufferFromMdl(
                self.adapter, mdl, at, PAGE
            )
            if status != STATUS_SUCCESS:
                break
            buffers.append((view + at, bus))
        self._views[virt] = mdl, buffers
        pages = Pages(virt, length, MapBy.PERSISTENT, [bus for _, bus in buffers])
        if len(buffers) * PAGE >= length:
            return pages
        self.unmap(pages)
        return None

    def _unmap_view(self, pages: Pages) -> None:
        mdl, buffers = self._views.pop(pages.virt)
        if pages.by is MapBy.PAGES:
            self._nt.MmUnmapLockedPages(pages.virt, mdl)
            self._nt.IoFreeMdl(mdl)
        cached = pages.by is MapBy.PERSISTENT
        for virt, bus in buffers:
            self.adapter.DmaOperations.FreeCommonBuffer(self.adapter, PAGE, bus, virt, cached)
