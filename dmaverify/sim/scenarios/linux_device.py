"""What devices do with the addresses that Linux drivers give them."""

from dmaverify.sim.device import DeviceFault
from dmaverify.sim.linux import DMA_FROM_DEVICE, DMA_TO_DEVICE
from dmaverify.sim.memory import DIRECT
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver


def overrun(sim: Simulation) -> None:
    """The device writes 64 bytes more than what is mapped, into somebody else's memory.

    Expect: device-access-out-of-range
    Outcome: foreign and lost on flat, as-recorded, iommu, iommu-lazy, nested, bus-offset;
      foreign on non-coherent; foreign and guard on driver-verifier, confidential-vm, mask-32
    """
    with driver(sim) as dev:
        buffer, victim = sim.linux.kmalloc(SIZE), sim.linux.kmalloc(SIZE)
        sim.cpu.write(victim, DATA)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        dev.write(address, DATA + b"!" * 64)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
        sim.cpu.read(victim, SIZE)


def _receive(sim: Simulation, fault: DeviceFault, amount: int = 0) -> None:
    """Receive into the middle of a page with a broken device, and wait for its completion."""
    with driver(sim) as dev:
        page = sim.linux.alloc_pages(1)
        buffer = page + 1024
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        transfer = dev.start(address, SIZE, DMA_FROM_DEVICE)
        dev.break_next(fault, amount)
        dev.finish(transfer, DATA)
        if transfer.completed:
            sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
            sim.cpu.read(buffer, SIZE)
            dev.catch_up()
            sim.linux.kfree(page)


def broken_overrun(sim: Simulation) -> None:
    """A broken device writes 16 bytes more than it was told.

    Expect: device-access-out-of-range
    Outcome: foreign and guard on driver-verifier, confidential-vm, mask-32
    """
    _receive(sim, DeviceFault.OVERRUN, 16)


def broken_underrun(sim: Simulation) -> None:
    """A broken device writes half of what it says; no rule can know how much there should be.

    Expect: nothing
    """
    _receive(sim, DeviceFault.UNDERRUN, SIZE // 2)


def broken_late(sim: Simulation) -> None:
    """A broken device says that it is done, and writes later.

    Expect: unmap-during-transfer
    Outcome: fault on iommu, nested; foreign and guard on driver-verifier, confidential-vm, mask-32
    """
    _receive(sim, DeviceFault.LATE)


def broken_address(sim: Simulation) -> None:
    """A broken device writes 512 bytes before the address that it was given.

    Expect: device-access-before-mapping
    Outcome: foreign and guard on driver-verifier, confidential-vm, mask-32
    """
    _receive(sim, DeviceFault.WRONG_ADDRESS, -512)


def broken_completion(sim: Simulation) -> None:
    """A broken device never says that it is done, and the driver gives up without an unmap.

    Expect: leak-at-unbind
    """
    with driver(sim) as dev:
        page = sim.linux.alloc_pages(1)
        for fault in (None, DeviceFault.LOST_COMPLETION):
            address = sim.linux.dma_map_single(dev, page, SIZE, DMA_FROM_DEVICE)
            transfer = dev.start(address, SIZE, DMA_FROM_DEVICE)
            if fault is not None:
                dev.break_next(fault)
            dev.finish(transfer, DATA)
            if transfer.completed:
                sim.linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)


def physical_address(sim: Simulation) -> None:
    """The driver gives the device virt_to_phys() of a buffer that it never mapped.

    Expect: device-access-unmapped
    Outcome: fault on iommu, iommu-lazy, nested, confidential-vm; lost on bus-offset,
      mask-32; stale on non-coherent
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        sim.cpu.read(buffer, SIZE)
        dev.write(buffer - DIRECT, DATA)
        sim.expect(sim.cpu.read(buffer, SIZE), DATA)


def wrong_direction(sim: Simulation) -> None:
    """The device writes a buffer that was mapped for it to read.

    Expect: device-access-wrong-direction
    Outcome: fault on iommu, iommu-lazy, nested;
      lost on driver-verifier, confidential-vm, mask-32; stale on non-coherent
    """
    with driver(sim) as dev:
        buffer = sim.linux.kmalloc(SIZE)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
        dev.write(address, DATA)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)
        sim.cpu.read(buffer, SIZE)


def other_device(sim: Simulation) -> None:
    """One device reads by an address that was mapped for another one.

    Expect: device-access-foreign-mapping
    Outcome: fault on iommu, iommu-lazy, nested
    """
    with driver(sim) as dev, driver(sim, "0000:00:05.0") as other:
        buffer = sim.linux.kmalloc(SIZE)
        sim.cpu.write(buffer, DATA)
        address = sim.linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
        sim.expect(other.read(address, SIZE), DATA)
        sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)
