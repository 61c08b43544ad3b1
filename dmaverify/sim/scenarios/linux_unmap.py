"""How Linux drivers end streaming mappings, rightly and wrongly."""

from dmaverify.model.kinds import Direction
from dmaverify.sim.linux import DMA_FROM_DEVICE, DMA_NONE, DMA_TO_DEVICE, ScatterEntry
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver


def good(sim: Simulation) -> None:
    """A driver sends one buffer and receives one, a hundred times.

    Expect: nothing
    """
    linux = sim.linux
    with driver(sim) as dev:
        for _ in range(100):
            out, back = linux.kmalloc(SIZE), linux.kmalloc(SIZE)
            sim.cpu.write(out, DATA)
            address = linux.dma_map_single(dev, out, SIZE, DMA_TO_DEVICE)
            sim.expect(dev.read(address, SIZE), DATA)
            linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)
            address = linux.dma_map_single(dev, back, SIZE, DMA_FROM_DEVICE)
            dev.write(address, DATA)
            linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
            sim.expect(sim.cpu.read(back, SIZE), DATA)
            linux.kfree(out)
            linux.kfree(back)


def twice(sim: Simulation) -> None:
    """A mapping is ended twice.

    Expect: unmap-of-unmapped
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
        for _ in range(2):
            sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)


def other_size(sim: Simulation) -> None:
    """A mapping is ended with half of its size.

    Expect: unmap-size-mismatch
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
        sim.linux.dma_unmap_single(dev, address, SIZE // 2, DMA_TO_DEVICE)


def other_direction(sim: Simulation) -> None:
    """A mapping to the device is ended as one from the device.

    Expect: unmap-direction-mismatch
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)


def as_list(sim: Simulation) -> None:
    """A single mapping is ended by the call for lists.

    Expect: unmap-type-mismatch
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
        sim.linux.dma_unmap_sg(dev, [ScatterEntry(buffer, SIZE)], DMA_TO_DEVICE)


def by_other_device(sim: Simulation) -> None:
    """A mapping of one device is ended for another one.

    Expect: unmap-by-other-device
    """
    with driver(sim) as dev, driver(sim, "0000:00:05.0") as other:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
        sim.linux.dma_unmap_single(other, address, SIZE, DMA_TO_DEVICE)


def during_transfer(sim: Simulation) -> None:
    """A mapping is ended while the device is at work on it.

    Expect: unmap-during-transfer
    Outcome: fault on iommu, nested; stale on non-coherent;
      lost and foreign and guard on mask-32, confidential-vm, driver-verifier
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        transfer = dev.start(address, SIZE, Direction.FROM_DEVICE)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
        dev.finish(transfer, DATA)


def never(sim: Simulation) -> None:
    """A mapping is still there when the driver is unbound.

    Expect: leak-at-unbind
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        for _ in range(2):
            address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
            sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)
        sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)


def failed(sim: Simulation) -> None:
    """A mapping fails, and the driver ends it all the same.

    Expect: failed-mapping-used
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        sim.injector.fail_once("dma_map_page")
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)


def failed_and_checked(sim: Simulation) -> None:
    """A mapping fails, and the driver gives up as it should.

    Expect: nothing
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        sim.injector.fail_once("dma_map_page")
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
        if not sim.linux.dma_mapping_error(dev, address):
            sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)
        sim.linux.kfree(buffer)


def no_direction(sim: Simulation) -> None:
    """A mapping is asked for with no direction at all.

    Expect: invalid-direction
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        sim.linux.dma_map_single(dev, buffer, SIZE, DMA_NONE)


def no_bytes(sim: Simulation) -> None:
    """A mapping of no bytes is asked for: some machines give an address, others say no.

    Expect: zero-length-mapping
    Expect on iommu, iommu-lazy, nested, driver-verifier, confidential-vm: nothing
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        sim.linux.dma_map_single(dev, buffer, 0, DMA_TO_DEVICE)
