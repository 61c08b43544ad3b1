"""What the InfiniBand scenarios share: an HCA's page tables, and how its driver begins."""

from dmaverify.sim.device import Device
from dmaverify.sim.run import Simulation
from dmaverify.sim.windows.adapter import DMA_ADAPTER
from dmaverify.sim.windows.mdl import MDL
from dmaverify.sim.windows.names import (
    DEVICE_DESCRIPTION,
    DEVICE_DESCRIPTION_VERSION2,
    DEVICE_DESCRIPTION_VERSION3,
    SCATTER_GATHER_LIST,
)

PAGE = 4096


class Region:
    """A memory region or a ring as an HCA knows it: a table of pages.

    Args:
        device: the HCA.
        pages: a bus address for each page, as the driver wrote them.
        offset: bytes of the first page before the region.
        length: bytes.
    """

    def __init__(self, device: Device, pages: list[int], offset: int, length: int) -> None:
        self.device, self.pages, self.offset, self.length = device, pages, offset, length

    def write(self, data: bytes, at: int = 0) -> None:
        """Let the HCA write into the region, as for a receive or an RDMA write."""
        at += self.offset
        while data:
            room = PAGE - at % PAGE
            self.device.write(self.pages[at // PAGE] + at % PAGE, data[:room])
            data, at = data[room:], at + room

    def read(self, length: int, at: int = 0) -> bytes:
        """Return what the HCA fetches from the region, as for a send."""
        at += self.offset
        parts = []
        while length > 0:
            room = min(length, PAGE - at % PAGE)
            parts.append(self.device.read(self.pages[at // PAGE] + at % PAGE, room))
            length, at = length - room, at + room
        return b"".join(parts)


def start(
    sim: Simulation, name: str = "0000:00:04.0", version: int = DEVICE_DESCRIPTION_VERSION2
) -> tuple[Device, DMA_ADAPTER]:
    """Begin the driver's life with an HCA, and get its adapter."""
    hca = sim.device(name)
    sim.windows.AddDevice(hca)
    return hca, get_adapter(sim, hca, version)


def get_adapter(
    sim: Simulation, hca: Device, version: int = DEVICE_DESCRIPTION_VERSION2
) -> DMA_ADAPTER:
    """Return an adapter for a bus master with 64 address bits."""
    third = version == DEVICE_DESCRIPTION_VERSION3
    adapter, _ = sim.windows.IoGetDmaAdapter(hca, DEVICE_DESCRIPTION(
        Version=version, Master=True, ScatterGather=True, MaximumLength=0x7FFF_FFFF,
        Dma64BitAddresses=not third, DmaAddressWidth=64 if third else 0,
    ))  # fmt: skip
    assert adapter is not None
    return adapter


def get_list(
    sim: Simulation, adapter: DMA_ADAPTER, mdl: MDL, to_device: bool
) -> SCATTER_GATHER_LIST:
    """Return the scatter/gather list of a whole MDL."""
    found: list[SCATTER_GATHER_LIST] = []
    nt = sim.windows
    with nt.at_dispatch():
        adapter.DmaOperations.GetScatterGatherList(
            adapter, adapter.device, mdl, nt.MmGetMdlVirtualAddress(mdl),
            nt.MmGetMdlByteCount(mdl), lambda dev, irp, made, context: found.append(made),
            None, to_device,
        )  # fmt: skip
    assert found
    return found[0]


def put_list(
    sim: Simulation, adapter: DMA_ADAPTER, made: SCATTER_GATHER_LIST, to_device: bool
) -> None:
    """Put a list."""
    with sim.windows.at_dispatch():
        adapter.DmaOperations.PutScatterGatherList(adapter, made, to_device)


def pages_of(made: SCATTER_GATHER_LIST) -> list[int]:
    """Return the page addresses of a list, as a driver fills a page table from it."""
    pages: list[int] = []
    for element in made.Elements:
        at, end = element.Address & ~(PAGE - 1), element.Address + element.Length
        while at < end:
            if not pages or pages[-1] != at:
                pages.append(at)
            at += PAGE
    return pages
