"""Reported bugs: bytes that CPU or device do not see, and memory that is none for DMA."""

from dmaverify.sim.device import Device
from dmaverify.sim.linux import DMA_FROM_DEVICE, DMA_TO_DEVICE
from dmaverify.sim.memory import DIRECT, PAGE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver

MAD = 256  # bytes of a management datagram


def _send_mad(sim: Simulation, dev: Device, maps_last: bool) -> None:
    """Build a datagram, give it its transaction number, and send it."""
    mad = sim.linux.kmalloc(MAD)
    sim.cpu.write(mad, b"class and method".ljust(MAD, b"\0"))
    mapping = 0 if maps_last else sim.linux.dma_map_single(dev, mad, MAD, DMA_TO_DEVICE)
    sim.cpu.write(mad + 8, b"transact")  # hi_tid of the agent
    if maps_last:
        mapping = sim.linux.dma_map_single(dev, mad, MAD, DMA_TO_DEVICE)
    dev.read(mapping, MAD)
    sim.linux.dma_unmap_single(dev, mapping, MAD, DMA_TO_DEVICE)
    sim.linux.kfree(mad)


def ib_mad_touched_when_mapped(sim: Simulation) -> None:
    """Datagrams were mapped when they were made, and written to until they were sent.

    On a PowerPC 440SPe, whose caches the HCA does not see, other datagrams went out than meant.

    Class: SYNC
    Report: https://git.kernel.org/torvalds/c/34816ad98efe4d47ffd858a0345321f9d85d9420
    Expect: missing-sync-for-device
    Outcome: stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    with driver(sim) as dev:
        _send_mad(sim, dev, maps_last=False)


def ib_mad_touched_when_mapped_fixed(sim: Simulation) -> None:
    """A datagram is mapped just before it is sent, after the last write.

    Expect: nothing
    """
    with driver(sim) as dev:
        _send_mad(sim, dev, maps_last=True)


def _mana_rx(sim: Simulation, dev: Device, syncs: bool) -> None:
    """Receive two packets into fragments of one page that stays mapped."""
    page = sim.linux.alloc_pages(1)
    mapping = sim.linux.dma_map_page(dev, (page - DIRECT) // PAGE, 0, PAGE, DMA_FROM_DEVICE)
    for offset in (0, SIZE):
        dev.write(mapping + offset, DATA)
        if syncs:
            sim.linux.dma_sync_single_for_cpu(dev, mapping + offset, SIZE, DMA_FROM_DEVICE)
        sim.expect(sim.cpu.read(page + offset, SIZE), DATA)
    sim.linux.dma_unmap_page(dev, mapping, PAGE, DMA_FROM_DEVICE, skip_sync=True)


def mana_fragment_not_synced(sim: Simulation) -> None:
    """A packet is read from a page of the pool that stays mapped, and nothing was synced.

    With every transfer bounced the packets were garbage.

    Class: SYNC
    Report: https://lore.kernel.org/linux-rdma/20260702041237.617719-3-decui@microsoft.com/
    Expect: missing-sync-for-cpu
    Outcome: stale on non-coherent; stale and lost on driver-verifier, confidential-vm, mask-32
    """
    with driver(sim) as dev:
        _mana_rx(sim, dev, syncs=False)


def mana_fragment_not_synced_fixed(sim: Simulation) -> None:
    """Each fragment is handed to the CPU before it is read.

    Expect: nothing
    """
    with driver(sim) as dev:
        _mana_rx(sim, dev, syncs=True)


def _pad(sim: Simulation, dev: Device, padding: int) -> None:
    """Send the bytes that fill a packet up to a multiple of eight."""
    address = sim.linux.dma_map_single(dev, padding, 8, DMA_TO_DEVICE)
    dev.read(address, 8)
    sim.linux.dma_unmap_single(dev, address, 8, DMA_TO_DEVICE)


def hfi1_padding_on_stack(sim: Simulation) -> None:
    """The bytes that pad a packet are a variable of the function that sends it.

    Class: STK
    Report: https://lore.kernel.org/linux-rdma/3452a307-5f87-4587-b289-63ea8bc594b5@intel.com/
    Expect: illegal-memory
    """
    with driver(sim) as dev:
        _pad(sim, dev, sim.linux.stack(8))


def hfi1_padding_on_stack_fixed(sim: Simulation) -> None:
    """The padding is allocated once, with the device.

    Expect: nothing
    """
    with driver(sim) as dev:
        padding = sim.linux.kmalloc(8)
        sim.cpu.write(padding, bytes(8))
        _pad(sim, dev, padding)
        sim.linux.kfree(padding)


def _post_message(sim: Simulation, dev: Device, message: int) -> None:
    """Let the adapter fetch a message to its firmware."""
    sim.cpu.write(message, b"CPL_FW6_PLD".ljust(64, b"\0"))
    address = sim.linux.dma_map_single(dev, message, 64, DMA_TO_DEVICE)
    dev.read(address, 64)
    sim.linux.dma_unmap_single(dev, address, 64, DMA_TO_DEVICE)


def cxgb4_message_on_stack(sim: Simulation) -> None:
    """A message to the adapter is built on the stack, and the adapter fetches it from there.

    Class: STK
    Report: https://lore.kernel.org/linux-rdma/20191001165611.GA3542072@kroah.com/
    Report: https://git.kernel.org/torvalds/c/3840c5b78803
    Expect: illegal-memory
    """
    with driver(sim) as dev:
        _post_message(sim, dev, sim.linux.stack(64))


def cxgb4_message_on_stack_fixed(sim: Simulation) -> None:
    """The message is allocated.

    Expect: nothing
    """
    with driver(sim) as dev:
        message = sim.linux.kmalloc(64)
        _post_message(sim, dev, message)
        sim.linux.kfree(message)
