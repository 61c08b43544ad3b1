"""Linux drivers, their devices and the CPU at one buffer at once; memory that goes too early."""

from dmaverify.sim.linux import DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_TO_DEVICE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver


def good(sim: Simulation) -> None:
    """The driver waits for its device, then looks, then writes, hands over, and frees last.

    Expect: nothing
    """
    linux = sim.linux
    with driver(sim) as dev:
        page = linux.alloc_pages(1)
        address = linux.dma_map_single(dev, page, SIZE, DMA_BIDIRECTIONAL)
        for _ in range(3):
            dev.finish(dev.start(address, SIZE, DMA_FROM_DEVICE), DATA)
            linux.dma_sync_single_for_cpu(dev, address, SIZE, DMA_BIDIRECTIONAL)
            sim.expect(sim.cpu.read(page, SIZE), DATA)
            sim.cpu.write(page, b"the driver's own")
            linux.dma_sync_single_for_device(dev, address, SIZE, DMA_BIDIRECTIONAL)
        linux.dma_unmap_single(dev, address, SIZE, DMA_BIDIRECTIONAL)
        linux.kfree(page)


def changed_while_sent(sim: Simulation) -> None:
    """The CPU changes a packet that the device has begun to send.

    Expect: cpu-write-during-transfer
    Outcome: stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
        transfer = dev.start(address, SIZE, DMA_TO_DEVICE)
        sim.cpu.write(buffer + 64, b"too late")
        dev.finish(transfer)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)


def synced_while_received(sim: Simulation) -> None:
    """A buffer is synced for the CPU while the device has not said that it is done.

    Expect: sync-during-transfer
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        transfer = dev.start(address, SIZE, DMA_FROM_DEVICE)
        sim.linux.dma_sync_single_for_cpu(dev, address, SIZE, DMA_FROM_DEVICE)
        dev.finish(transfer, DATA)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)


def written_beside_dirty_bytes(sim: Simulation) -> None:
    """The device writes into a cache line that the CPU has written and not handed over.

    Expect: device-write-to-dirty-line
    Outcome: lost on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_BIDIRECTIONAL)
        sim.linux.dma_sync_single_for_cpu(dev, address, SIZE, DMA_BIDIRECTIONAL)
        sim.cpu.write(buffer, b"the driver's own")
        dev.write(address + 32, DATA[:32])
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_BIDIRECTIONAL)
        sim.cpu.read(buffer, 64)


def polled(sim: Simulation) -> None:
    """A fence is mapped for the driver's life, and the CPU polls it without syncs.

    While the device has not written, the looks are harmless; the first one after that is not.

    Expect: long-lived-polling
    Outcome: stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    with driver(sim) as dev:
        fence = sim.linux.alloc_pages(1)
        address = sim.linux.dma_map_single(dev, fence, 64, DMA_BIDIRECTIONAL)
        for look in range(6):
            sim.sleep(100_000_000)
            if look == 5:
                dev.write(address, b"done")
            sim.cpu.read(fence, 4)
        sim.linux.dma_unmap_single(dev, address, 64, DMA_BIDIRECTIONAL)


def freed_while_mapped(sim: Simulation) -> None:
    """A page goes back to the system before it is unmapped.

    Expect: freed-while-mapped
    """
    with driver(sim) as dev:
        page = sim.linux.alloc_pages(1)
        address = sim.linux.dma_map_single(dev, page, SIZE, DMA_TO_DEVICE)
        sim.linux.kfree(page)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)


def neighbours_mapped(sim: Simulation) -> None:
    """Two buffers that a device writes lie in one cache line.

    Expect: shared-cacheline
    """
    with driver(sim) as dev:
        record = sim.linux.kmalloc(128)
        first = sim.linux.dma_map_single(dev, record, 32, DMA_FROM_DEVICE)
        second = sim.linux.dma_map_single(dev, record + 32, 32, DMA_FROM_DEVICE)
        sim.linux.dma_unmap_single(dev, second, 32, DMA_FROM_DEVICE)
        sim.linux.dma_unmap_single(dev, first, 32, DMA_FROM_DEVICE)


def page_of_two_devices(sim: Simulation) -> None:
    """Two devices have buffers in one page, and one of them writes.

    Expect: page-shared-by-devices
    """
    with driver(sim) as dev, driver(sim, "0000:00:05.0") as other:
        page = sim.linux.alloc_pages(1)
        first = sim.linux.dma_map_single(dev, page, SIZE, DMA_TO_DEVICE)
        second = sim.linux.dma_map_single(other, page + SIZE, SIZE, DMA_FROM_DEVICE)
        sim.linux.dma_unmap_single(other, second, SIZE, DMA_FROM_DEVICE)
        sim.linux.dma_unmap_single(dev, first, SIZE, DMA_TO_DEVICE)
