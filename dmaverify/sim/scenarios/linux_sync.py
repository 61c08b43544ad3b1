"""Whose turn it is: syncs of Linux drivers, and their lack."""

from dmaverify.sim.linux import DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_TO_DEVICE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver


def good(sim: Simulation) -> None:
    """One buffer is written by the device and read by the CPU again and again.

    Expect: nothing
    """
    linux = sim.linux
    with driver(sim) as dev:
        buffer = linux.kmalloc(SIZE)
        address = linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        for _ in range(10):
            dev.write(address, DATA)
            linux.dma_sync_single_for_cpu(dev, address, SIZE, DMA_FROM_DEVICE)
            sim.expect(sim.cpu.read(buffer, SIZE), DATA)
            linux.dma_sync_single_for_device(dev, address, SIZE, DMA_FROM_DEVICE)
        linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
        linux.kfree(buffer)


def not_for_cpu(sim: Simulation) -> None:
    """The CPU reads what the device wrote before it is the CPU's turn.

    Expect: missing-sync-for-cpu
    Outcome: stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        dev.write(address, DATA)
        sim.expect(sim.cpu.read(buffer, SIZE), DATA)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)


def not_for_device(sim: Simulation) -> None:
    """The CPU writes into a mapped buffer and does not hand it to the device.

    Expect: missing-sync-for-device
    Outcome: stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
        sim.cpu.write(buffer, DATA)
        sim.expect(dev.read(address, SIZE), DATA)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)


def one_byte_short(sim: Simulation) -> None:
    """All but the last byte is handed to the CPU, and the CPU reads that too.

    Expect: missing-sync-for-cpu
    Outcome: stale on driver-verifier, confidential-vm, mask-32
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        dev.write(address, DATA)
        sim.linux.dma_sync_single_for_cpu(dev, address, SIZE - 1, DMA_FROM_DEVICE)
        sim.expect(sim.cpu.read(buffer, SIZE), DATA)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)


def cpu_writes_too_early(sim: Simulation) -> None:
    """The CPU writes into a buffer that the device owns, and that it will write itself.

    Expect: cpu-access-while-device-owns
    Outcome: lost on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        sim.cpu.write(buffer + 1024, b"the driver's own")
        dev.write(address, DATA[:512])
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
        sim.cpu.read(buffer, 512)
        sim.cpu.read(buffer + 1024, 16)


def written_and_kept(sim: Simulation) -> None:
    """The CPU takes its turn, writes, and ends the mapping without handing the bytes over.

    Expect: cpu-write-lost
    Outcome: lost on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_BIDIRECTIONAL)
        dev.write(address, DATA)
        sim.linux.dma_sync_single_for_cpu(dev, address, SIZE, DMA_BIDIRECTIONAL)
        sim.cpu.write(buffer, b"the driver's own")
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_BIDIRECTIONAL)
        sim.cpu.read(buffer, 16)


def after_unmap(sim: Simulation) -> None:
    """A mapping is synced after it was ended.

    Expect: sync-of-unmapped
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
        sim.linux.dma_sync_single_for_cpu(dev, address, SIZE, DMA_FROM_DEVICE)


def past_the_end(sim: Simulation) -> None:
    """More is synced than was mapped.

    Expect: sync-out-of-range
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        sim.linux.dma_sync_single_for_cpu(dev, address, SIZE * 2, DMA_FROM_DEVICE)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)


def other_direction(sim: Simulation) -> None:
    """A mapping from the device is synced as one that goes both ways.

    Expect: sync-direction-mismatch
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        sim.linux.dma_sync_single_for_cpu(dev, address, SIZE, DMA_BIDIRECTIONAL)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
