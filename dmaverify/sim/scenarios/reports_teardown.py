"""Reported bugs: queues, contexts and shared pages that are freed while the hardware has them."""

from dmaverify.sim.device import Device
from dmaverify.sim.linux import DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, ScatterEntry
from dmaverify.sim.memory import PAGE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import driver

RECORD = b"\0\0\0\x08"  # a doorbell record or a completion


class _Firmware:
    """The mailbox of an HCA: a queue lives until a command to destroy it was accepted."""

    def __init__(self, dev: Device, refuses: int = 0) -> None:
        self.dev, self.refuses = dev, refuses
        self.queues: list[int] = []  # bus address of what the hardware writes, of each queue

    def create(self, bus: int) -> None:
        self.queues.append(bus)

    def destroy(self, bus: int) -> bool:
        """Destroy a queue and tell whether that was done."""
        if self.refuses:
            self.refuses -= 1
            return False
        self.queues.remove(bus)
        return True

    def work(self) -> None:
        """Let the hardware do what it does with each queue that it has."""
        for bus in self.queues:
            self.dev.write(bus, RECORD)


# hns: a record that is freed though the command failed


def _hns_destroy_srq(sim: Simulation, dev: Device, keeps: bool) -> None:
    """Destroy a queue whose record lies in a page of the program; the mailbox times out once."""
    firmware = _Firmware(dev, refuses=1)
    page = [ScatterEntry(sim.linux.alloc_pages(1), PAGE)]
    sim.linux.dma_map_sg(dev, page, DMA_BIDIRECTIONAL)
    record = page[0].dma_address + 64
    firmware.create(record)
    firmware.work()
    done = firmware.destroy(record)
    if not done and not keeps:
        sim.linux.dma_unmap_sg(dev, page, DMA_BIDIRECTIONAL)
    firmware.work()
    if not done and keeps:
        firmware.destroy(record)  # when the hardware answers again
        sim.linux.dma_unmap_sg(dev, page, DMA_BIDIRECTIONAL)
    sim.cpu.read(page[0].virt, 4)


def hns_record_freed_after_failure(sim: Simulation) -> None:
    """A command to destroy a queue fails, and the page with its doorbell record is let go.

    The hardware still has the queue, and writes the record.

    Class: DB
    Report: https://lore.kernel.org/linux-rdma/20250217070123.3171232-4-huangjunxian6@hisilicon.com/
    Expect: device-access-after-unmap
    Outcome: fault on iommu, nested; foreign and guard on driver-verifier, confidential-vm, mask-32
    """
    with driver(sim) as dev:
        _hns_destroy_srq(sim, dev, keeps=False)


def hns_record_freed_after_failure_fixed(sim: Simulation) -> None:
    """The page stays mapped until the hardware has given the queue up.

    Expect: nothing
    """
    with driver(sim) as dev:
        _hns_destroy_srq(sim, dev, keeps=True)


# hns: rings that are freed while the hardware is being reset


def _hns_reset(sim: Simulation, dev: Device, waits: bool) -> None:
    """Destroy a completion queue in a reset, in which no command gets through."""
    firmware = _Firmware(dev)
    ring, bus = sim.linux.dma_alloc_coherent(dev, PAGE)
    firmware.create(bus)
    if not waits:
        sim.linux.dma_free_coherent(dev, PAGE, ring, bus)
    firmware.work()
    firmware.destroy(bus)  # what the reset comes to
    if waits:
        sim.linux.dma_free_coherent(dev, PAGE, ring, bus)


def hns_rings_freed_in_reset(sim: Simulation) -> None:
    """A ring is freed during a reset: commands are blocked, and taken for done.

    Class: ORD
    Report: https://lore.kernel.org/linux-rdma/20211123084809.37318-1-liangwenpeng@huawei.com/
    Expect: device-access-after-unmap
    Outcome: fault on iommu, nested, confidential-vm;
      foreign on as-recorded, flat, bus-offset, iommu-lazy, driver-verifier, mask-32, non-coherent
    """
    with driver(sim) as dev:
        _hns_reset(sim, dev, waits=False)


def hns_rings_freed_in_reset_fixed(sim: Simulation) -> None:
    """The memory is kept until the hardware is known to be at rest.

    Expect: nothing
    """
    with driver(sim) as dev:
        _hns_reset(sim, dev, waits=True)


# hns: the cache of contexts


def _hns_kill(sim: Simulation, dev: Device, flushes: bool) -> None:
    """Free the memory of queue pairs' contexts when a program is killed."""
    contexts, bus = sim.linux.dma_alloc_coherent(dev, PAGE)
    dev.write(bus, bytes(64))
    if flushes:
        dev.write(bus, bytes(64))  # the hardware writes its cache back
    sim.linux.dma_free_coherent(dev, PAGE, contexts, bus)
    if not flushes:
        dev.write(bus, bytes(64))


def hns_context_written_back(sim: Simulation) -> None:
    """A program is killed; the hardware's cache of its contexts goes to memory that was freed.

    The SMMU of the machine reported the access.

    Class: UAD
    Report: https://lore.kernel.org/linux-rdma/1561376872-111496-8-git-send-email-oulijun@huawei.com/
    Expect: device-access-after-unmap
    Outcome: fault on iommu, nested, confidential-vm;
      foreign on as-recorded, flat, bus-offset, iommu-lazy, driver-verifier, mask-32, non-coherent
    """
    with driver(sim) as dev:
        _hns_kill(sim, dev, flushes=False)


def hns_context_written_back_fixed(sim: Simulation) -> None:
    """The hardware is told to write its cache back before the memory is freed.

    Expect: nothing
    """
    with driver(sim) as dev:
        _hns_kill(sim, dev, flushes=True)


# bnxt_re: a page that firmware and program share


def _bnxt_destroy_cq(sim: Simulation, dev: Device, firmware_first: bool) -> None:
    """Destroy a completion queue and the page that its toggle bits are in."""
    firmware = _Firmware(dev)
    page = sim.linux.alloc_pages(1)
    bus = sim.linux.dma_map_single(dev, page, PAGE, DMA_BIDIRECTIONAL)
    firmware.create(bus)
    if firmware_first:
        firmware.destroy(bus)
    sim.linux.dma_unmap_single(dev, bus, PAGE, DMA_BIDIRECTIONAL)
    firmware.work()
    if not firmware_first:
        firmware.destroy(bus)
    sim.linux.kfree(page)


def bnxt_re_toggle_page(sim: Simulation) -> None:
    """The page with a queue's toggle bits is freed before the firmware has destroyed the queue.

    Class: DB
    Report: https://lore.kernel.org/linux-rdma/20260615224751.232802-4-selvin.xavier@broadcom.com/
    Expect: device-access-after-unmap
    Outcome: fault on iommu, nested; foreign and guard on driver-verifier, confidential-vm, mask-32
    """
    with driver(sim) as dev:
        _bnxt_destroy_cq(sim, dev, firmware_first=False)


def bnxt_re_toggle_page_fixed(sim: Simulation) -> None:
    """The queue is destroyed first.

    Expect: nothing
    """
    with driver(sim) as dev:
        _bnxt_destroy_cq(sim, dev, firmware_first=True)


# mlx5e: an IOMMU's domain that is gone


def _mlx5e_dpc(sim: Simulation, dev: Device, stops: bool) -> None:
    """Lose the device in the middle of receiving, and poll once more: mlx5e_napi_poll()."""
    domain = sim.linux.iommu_get_domain_for_dev(dev)
    posted = []
    for _ in range(4):
        page = sim.linux.alloc_pages(1)
        posted.append(sim.linux.dma_map_single(dev, page, PAGE, DMA_FROM_DEVICE))
    if stops:
        for bus in posted:
            sim.linux.dma_unmap_single(dev, bus, PAGE, DMA_FROM_DEVICE)
    elif domain is not None:
        for bus in posted:
            sim.linux.iommu_unmap(domain, bus, PAGE)  # DPC takes the device off its port
    if not stops:
        for bus in posted:
            sim.linux.dma_unmap_single(dev, bus, PAGE, DMA_FROM_DEVICE)


def mlx5e_unmap_after_port_is_lost(sim: Simulation) -> None:
    """A port is contained, the IOMMU forgets its device, and NAPI goes on to unmap packets.

    Each unmap warned that there was nothing, for 23 seconds, until the CPU was taken for stuck.

    Class: ORD
    Report: https://lore.kernel.org/linux-rdma/20260209-mlx5_iommu-v1-1-b17ae501aeb2@debian.org/
    Expect: nothing
    Expect on iommu, iommu-lazy, nested: iommu-unmap-short
    """
    with driver(sim) as dev:
        _mlx5e_dpc(sim, dev, stops=False)


def mlx5e_unmap_after_port_is_lost_fixed(sim: Simulation) -> None:
    """Polling is stopped, and all is unmapped, before the IOMMU lets go of the device.

    Expect: nothing
    """
    with driver(sim) as dev:
        _mlx5e_dpc(sim, dev, stops=True)
