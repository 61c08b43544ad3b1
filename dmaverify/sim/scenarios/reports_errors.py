"""Reported bugs: what a driver makes of a call that fails, and what it gives back."""

from dmaverify.sim.device import Device
from dmaverify.sim.linux import DMA_BIDIRECTIONAL, DMA_TO_DEVICE, ScatterEntry
from dmaverify.sim.memory import PAGE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver


def _krping_setup(sim: Simulation, dev: Device, asks: bool) -> None:
    """Map the buffer of a ping and send it, where the mapping fails."""
    sim.injector.fail_once("dma_map_page")
    buffer = sim.linux.kmalloc(SIZE)
    sim.cpu.write(buffer, DATA)
    address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
    if asks and sim.linux.dma_mapping_error(dev, address):
        sim.linux.kfree(buffer)
        return
    sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)
    sim.linux.kfree(buffer)


def krping_mapping_error(sim: Simulation) -> None:
    """A mapping fails, and the test module goes on with what it returned.

    Class: MAP
    Report: https://github.com/larrystevenwise/krping/pull/12
    Report: https://lore.kernel.org/linux-rdma/20220819060801.10443-3-jinpu.wang@ionos.com/
    Expect: failed-mapping-used
    """
    with driver(sim) as dev:
        _krping_setup(sim, dev, asks=False)


def krping_mapping_error_fixed(sim: Simulation) -> None:
    """The result is asked for an error, and the buffer is freed.

    Expect: nothing
    """
    with driver(sim) as dev:
        _krping_setup(sim, dev, asks=True)


def _free_page_table(sim: Simulation, dev: Device, swapped: bool) -> None:
    """Allocate two levels of a page table and free them."""
    pbl, pbl_map = sim.linux.dma_alloc_coherent(dev, PAGE)
    pde, pde_map = sim.linux.dma_alloc_coherent(dev, PAGE)
    sim.cpu.write(pde, pbl_map.to_bytes(8, "little"))
    sim.linux.dma_free_coherent(dev, PAGE, pbl if swapped else pde, pde_map)
    sim.linux.dma_free_coherent(dev, PAGE, pbl, pbl_map)


def bnxt_re_free_pointer(sim: Simulation) -> None:
    """Coherent memory is freed with the pointer of another piece.

    Class: MAP
    Report: https://lore.kernel.org/linux-rdma/20251230085121.8023-2-fourier.thomas@gmail.com/
    Expect: free-cpu-address-mismatch
    """
    with driver(sim) as dev:
        _free_page_table(sim, dev, swapped=True)


def bnxt_re_free_pointer_fixed(sim: Simulation) -> None:
    """Pointer and bus address are those of one allocation.

    Expect: nothing
    """
    with driver(sim) as dev:
        _free_page_table(sim, dev, swapped=False)


def _create_srq(sim: Simulation, dev: Device, *, refused: bool, unmaps: bool = True) -> None:
    """Map a program's doorbell page and make a shared receive queue: mthca_map_user_db()."""
    page = [ScatterEntry(sim.linux.alloc_pages(1), PAGE)]
    sim.linux.dma_map_sg(dev, page, DMA_BIDIRECTIONAL)
    if not refused or unmaps:
        sim.linux.dma_unmap_sg(dev, page, DMA_BIDIRECTIONAL)


def mthca_doorbell_page(sim: Simulation) -> None:
    """A shared receive queue can not be made, and the program's doorbell page stays mapped.

    Class: DB
    Report: https://lore.kernel.org/linux-rdma/2-v1-83e918d69e73+a9-rdma_udata_rc_jgg@nvidia.com/
    Expect: leak-at-unbind
    """
    with driver(sim) as dev:
        _create_srq(sim, dev, refused=False)
        _create_srq(sim, dev, refused=True, unmaps=False)


def mthca_doorbell_page_fixed(sim: Simulation) -> None:
    """The way out unmaps the page.

    Expect: nothing
    """
    with driver(sim) as dev:
        _create_srq(sim, dev, refused=False)
        _create_srq(sim, dev, refused=True)
