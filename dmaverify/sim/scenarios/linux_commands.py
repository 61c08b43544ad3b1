"""A block driver on Linux: commands, their buffers, and completions."""

from dmaverify.sim.device import Device
from dmaverify.sim.linux import DMA_FROM_DEVICE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver

CONTROLLER, QUEUE = 0, 1


def good(sim: Simulation) -> None:
    """Each command's buffer is unmapped when its completion is handled.

    Expect: nothing
    """
    with driver(sim) as dev:
        for number in range(8):
            _command(sim, dev, number)


def unmapped_too_soon(sim: Simulation) -> None:
    """The driver gives up on a command and unmaps its buffer; the device completes it later.

    Nothing on the bus shows it: the queue of completions does.

    Expect: unmap-before-completion
    """
    with driver(sim) as dev:
        for number in range(8):
            _command(sim, dev, number, early=number == 6)


def _command(sim: Simulation, dev: Device, number: int, early: bool = False) -> None:
    """Read one block."""
    linux = sim.linux
    buffer = linux.alloc_pages(1)
    linux.nvme_setup_cmd(CONTROLLER, QUEUE, number)
    address = linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
    if early:
        linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
        sim.sleep(30_000_000)
        linux.nvme_handle_cqe(CONTROLLER, QUEUE)
    else:
        dev.write(address, DATA)
        linux.nvme_handle_cqe(CONTROLLER, QUEUE)
        linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
    linux.nvme_complete_rq(CONTROLLER, QUEUE, number)
    linux.kfree(buffer)
