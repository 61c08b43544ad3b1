"""Reported bugs: memory that is taken back before the device is told to let go of it."""

from dmaverify.sim.device import Device
from dmaverify.sim.linux import DMA_FROM_DEVICE, DMA_TO_DEVICE, ScatterEntry
from dmaverify.sim.memory import PAGE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver


def _clean_mr(sim: Simulation, dev: Device, key_first: bool) -> None:
    """End a region whose descriptors the HCA fetches from memory: clean_mr()."""
    descs = sim.linux.kmalloc(SIZE)
    sim.cpu.write(descs, DATA)
    desc_map = sim.linux.dma_map_single(dev, descs, SIZE, DMA_TO_DEVICE)
    dev.read(desc_map, 16)  # the region is used
    if not key_first:
        sim.linux.dma_unmap_single(dev, desc_map, SIZE, DMA_TO_DEVICE)
    dev.read(desc_map, 16)  # and again, until the firmware has destroyed its key
    if key_first:
        sim.linux.dma_unmap_single(dev, desc_map, SIZE, DMA_TO_DEVICE)
    sim.linux.kfree(descs)


def mlx5_ib_descriptors_before_key(sim: Simulation) -> None:
    """A region's descriptors are unmapped before its key is destroyed.

    As long as the key is there, the HCA fetches descriptors.

    Class: ORD
    Report: https://lore.kernel.org/linux-rdma/20190723065733.4899-6-leon@kernel.org/
    Expect: device-access-after-unmap
    Outcome: fault on iommu, nested; foreign on confidential-vm, driver-verifier, mask-32
    """
    with driver(sim) as dev:
        _clean_mr(sim, dev, key_first=False)


def mlx5_ib_descriptors_before_key_fixed(sim: Simulation) -> None:
    """The key is destroyed first.

    Expect: nothing
    """
    with driver(sim) as dev:
        _clean_mr(sim, dev, key_first=True)


def _fmr_unmap(sim: Simulation, dev: Device, region_first: bool) -> None:
    """End an RPC's Write chunk, which the server can write as long as the region is mapped."""
    chunk = [ScatterEntry(sim.linux.alloc_pages(1), PAGE)]
    sim.linux.dma_map_sg(dev, chunk, DMA_FROM_DEVICE)
    address = chunk[0].dma_address
    dev.write(address, DATA)
    if not region_first:
        sim.linux.dma_unmap_sg(dev, chunk, DMA_FROM_DEVICE)
    dev.write(address + SIZE, DATA)  # the server writes until ib_unmap_fmr()
    if region_first:
        sim.linux.dma_unmap_sg(dev, chunk, DMA_FROM_DEVICE)
    sim.cpu.read(chunk[0].virt, PAGE)


def xprtrdma_pages_before_region(sim: Simulation) -> None:
    """The pages of a Write chunk are unmapped before the region that names them.

    In between the server can still write, to addresses that are somebody else's by then.

    Class: ORD
    Report: https://git.kernel.org/torvalds/c/7c7a5390dc6c8
    Expect: device-access-after-unmap
    Outcome: fault on iommu, nested; stale on non-coherent;
      lost and foreign and guard on confidential-vm, driver-verifier, mask-32
    """
    with driver(sim) as dev:
        _fmr_unmap(sim, dev, region_first=False)


def xprtrdma_pages_before_region_fixed(sim: Simulation) -> None:
    """The region is unmapped first: from then on nobody has a key to the pages.

    Expect: nothing
    """
    with driver(sim) as dev:
        _fmr_unmap(sim, dev, region_first=True)


def _iser_command(sim: Simulation, dev: Device, waits: bool) -> None:
    """Send a command; the answer comes, but not the acknowledge, so the HCA sends it again."""
    command = sim.linux.kmalloc(SIZE)
    sim.cpu.write(command, DATA)
    address = sim.linux.dma_map_single(dev, command, SIZE, DMA_TO_DEVICE)
    dev.read(address, SIZE)
    if not waits:
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)
    dev.read(address, SIZE)
    if waits:
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)
    sim.linux.kfree(command)


def iser_reply_before_send_completion(sim: Simulation) -> None:
    """The answer of the target ends a command whose Send is not complete, and it is unmapped.

    The acknowledge was lost: the HCA fetches the command once more.

    Class: UBC
    Report: https://lore.kernel.org/linux-rdma/20220824124236.812395-1-kashyap.desai@broadcom.com/
    Report: https://lore.kernel.org/linux-rdma/8288a63a-d708-4e41-78fb-e3ed7d6fd9c2@nvidia.com/
    Expect: device-access-after-unmap
    Outcome: fault on iommu, nested; foreign on confidential-vm, driver-verifier, mask-32
    """
    with driver(sim) as dev:
        _iser_command(sim, dev, waits=False)


def iser_reply_before_send_completion_fixed(sim: Simulation) -> None:
    """The command is unmapped when its Send is complete, whatever has come before.

    Expect: nothing
    """
    with driver(sim) as dev:
        _iser_command(sim, dev, waits=True)
