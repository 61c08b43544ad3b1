"""How the driver of an HCA gets memory to it: by which calls a bus address of each page is got."""

from dataclasses import dataclass, field
from enum import Enum

from dmaverify.errors import SimError
from dmaverify.model.kinds import MemoryKind
from dmaverify.sim.device import Device
from dmaverify.sim.linux import DMA_BIDIRECTIONAL, Linux, ScatterEntry
from dmaverify.sim.machine import Machine
from dmaverify.sim.memory import PAGE


class MapBy(Enum):
    """Where the bus addresses of a ring or a region come from."""

    COHERENT = "dma_alloc_coherent"  # memory of the driver, shared for its life
    LIST = "dma_map_sg"  # pinned pages, mapped both ways for their life
    PHYSICAL = "physical addresses"  # nobody mapped anything
    GIVEN = "the caller"  # a list of bus addresses
    PAGES = "common buffers of a page each"  # under one view (Windows)
    PERSISTENT = "CreateCommonBufferFromMdl"  # locked pages, shared for their life (Windows)


@dataclass(slots=True, eq=False)
class Pages:
    """Memory that an HCA has the page addresses of.

    Args:
        virt: its first byte for the CPU.
        length: bytes.
        by: where the addresses came from.
        bus: bus address of each page.
        offset: bytes of the first page before it.
        entries: the list as it was mapped.
        bus_start: what `dma_alloc_coherent` gave.
        owned: whether the driver allocated it.
    """

    virt: int
    length: int
    by: MapBy
    bus: list[int]
    offset: int = 0
    entries: list[ScatterEntry] = field(default_factory=list)
    bus_start: int = 0
    owned: bool = False


class PageMapper:
    """Maps memory for one HCA.

    Args:
        machine: where it runs.
        linux: the DMA interface.
        dev: the HCA as a DMA device.
    """

    def __init__(self, machine: Machine, linux: Linux, dev: Device) -> None:
        self._m, self._linux, self._dev = machine, linux, dev

    def begin(self) -> None:
        """Bind the driver."""
        self._linux.probe(self._dev)

    def end(self) -> None:
        """Unbind it."""
        self._linux.remove(self._dev)

    def take_shared(self, length: int) -> tuple[int, int]:
        """Return (CPU address, bus address) of memory that both share; (0, error)."""
        return self._linux.dma_alloc_coherent(self._dev, length)

    def give_shared(self, length: int, virt: int, bus: int) -> None:
        """Give such memory back."""
        self._linux.dma_free_coherent(self._dev, length, virt, bus)

    def allocate(self, length: int, by: MapBy, fill: int,
                 hca_writes: bool = False) -> Pages | None:  # fmt: skip
        """Return new memory for a ring, filled and mapped; None where there is none.

        Args:
            length: bytes.
            by: how.
            fill: what each byte is.
            hca_writes: which way the HCA uses it, where that has to be said.
        """
        if by is MapBy.COHERENT:
            # A ring begins at a page: the HCA is told page addresses.
            virt, bus = self.take_shared(-(-length // PAGE) * PAGE)
            if not virt:
                return None
            self._m.cpu.write(virt, bytes([fill]) * length)
            at = bus & (PAGE - 1)
            pages = list(range(bus - at, bus + length, PAGE))
            return Pages(virt, length, by, pages, at, bus_start=bus, owned=True)
        virt = self.memory(-(-length // PAGE) * PAGE)
        self._m.cpu.write(virt, bytes([fill]) * length)
        found = self.pin(virt, length, by)
        if found is not None:
            found.owned = True
        return found

    def memory(self, length: int, offset: int = 0) -> int:
        """Return the address of a program's memory, whose pages do not follow each other."""
        region = self._m.space.scattered(length, MemoryKind.USER, offset=offset)
        self._m.tell_memory(region)
        return region.virt

    def pin(self, virt: int, length: int, by: MapBy,
            bus: list[int] | None = None) -> Pages | None:  # fmt: skip
        """Return the pages of memory as the HCA is told of them; None where they can not be mapped.

        Args:
            virt: its first byte.
            length: bytes.
            by: LIST, PHYSICAL, or GIVEN.
            bus: of GIVEN: a bus address for each page.
        """
        offset, first = virt & (PAGE - 1), virt & ~(PAGE - 1)
        count = -(-(offset + length) // PAGE)
        if by is MapBy.GIVEN:
            if bus is None or len(bus) < count:
                raise SimError(f"{count} pages are registered with fewer bus addresses")
            return Pages(virt, length, by, bus[:count], offset)
        if by is MapBy.PHYSICAL:
            runs = [self._m.space.runs(first + i * PAGE, PAGE) for i in range(count)]
            if not all(runs):
                raise SimError(f"the driver pins {virt:#x}, where there is no memory")
            return Pages(virt, length, by, [r[0][0] for r in runs if r], offset)
        if by is not MapBy.LIST:
            raise SimError("memory that is there already is mapped by a list, or not at all")
        entries = [ScatterEntry(first + i * PAGE, PAGE) for i in range(count)]
        if not self._linux.dma_map_sg(self._dev, entries, DMA_BIDIRECTIONAL):
            return None
        return Pages(virt, length, by, _page_addresses(entries), offset, entries)

    def unmap(self, pages: Pages) -> None:
        """End what was mapped; memory that the driver allocated is given back."""
        if pages.by is MapBy.LIST and pages.entries:
            self._linux.dma_unmap_sg(self._dev, pages.entries, DMA_BIDIRECTIONAL)
            pages.entries = []
        elif pages.by is MapBy.COHERENT and pages.bus_start:
            size = -(-pages.length // PAGE) * PAGE
            self.give_shared(size, pages.virt, pages.bus_start)
            pages.bus_start = 0
        if pages.owned and pages.by is not MapBy.COHERENT:
            self._linux.kfree(pages.virt)
        pages.owned = False


def _page_addresses(entries: list[ScatterEntry]) -> list[int]:
    """Return the bus address of each page of a mapped list; an IOMMU may have joined entries."""
    return [page for e in entries
            for page in range(e.dma_address, e.dma_address + e.dma_length, PAGE)]  # fmt: skip
