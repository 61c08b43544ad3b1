"""Reported bugs: mappings that end twice, never, or were none."""

from dmaverify.sim.device import Device
from dmaverify.sim.linux import DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_TO_DEVICE, ScatterEntry
from dmaverify.sim.memory import DIRECT, PAGE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._linux import DATA, SIZE, driver

# mlx5_ib: one record for regions of every kind


def _dereg_mr(sim: Simulation, dev: Device, mr: dict[str, int], asks_kind: bool) -> None:
    """End a region: the descriptors of a kernel's region were mapped, others have none."""
    if asks_kind and mr["device_memory"]:
        return
    sim.linux.dma_unmap_single(dev, mr["desc_map"], mr["desc_size"], DMA_TO_DEVICE)


def mlx5_ib_device_memory_dereg(sim: Simulation) -> None:
    """A region of device memory is ended as if its descriptors were mapped memory.

    The driver kept several kinds of region in one union and looked at the wrong member: it
    unmapped no bytes at address 0.

    Class: MAP
    Report: https://lore.kernel.org/linux-rdma/66bb1dd253c1fd7ceaa9fc411061eefa457b86fb.1637581144.git.leonro@nvidia.com/
    Expect: unmap-of-unmapped
    """
    with driver(sim) as dev:
        _dereg_mr(sim, dev, {"device_memory": 1, "desc_map": 0, "desc_size": 0}, asks_kind=False)


def mlx5_ib_device_memory_dereg_fixed(sim: Simulation) -> None:
    """The kind is looked at first; a kernel's region is still unmapped.

    Expect: nothing
    """
    with driver(sim) as dev:
        _dereg_mr(sim, dev, {"device_memory": 1, "desc_map": 0, "desc_size": 0}, asks_kind=True)
        descs = sim.linux.kmalloc(512)
        address = sim.linux.dma_map_single(dev, descs, 512, DMA_TO_DEVICE)
        mr = {"device_memory": 0, "desc_map": address, "desc_size": 512}
        _dereg_mr(sim, dev, mr, asks_kind=True)


# mlx5e: a queue of mappings beside the send queue


class _DmaFifo:
    """What a send queue has to unmap: mlx5e_dma_push() and mlx5e_dma_get()."""

    def __init__(self) -> None:
        self.entries = [0] * 8
        self.pc = self.cc = 0

    def push(self, address: int) -> None:
        self.entries[self.pc % 8] = address
        self.pc += 1

    def get(self) -> int:
        self.cc += 1
        return self.entries[(self.cc - 1) % 8]


def _xmit(sim: Simulation, dev: Device, fifo: _DmaFifo, packets: int) -> None:
    """Send packets, and unmap what the queue says when all of them are sent."""
    for _ in range(packets):
        page = (sim.linux.alloc_pages(1) - DIRECT) // PAGE
        fifo.push(sim.linux.dma_map_page(dev, page, 0, SIZE, DMA_TO_DEVICE))
        dev.read(fifo.entries[(fifo.pc - 1) % 8], SIZE)
    for _ in range(packets):
        sim.linux.dma_unmap_page(dev, fifo.get(), SIZE, DMA_TO_DEVICE)


def mlx5e_fifo_after_recovery(sim: Simulation) -> None:
    """Recovery from an error sets the consumer of the mapping queue to 0, not its producer.

    From then on the driver unmaps what it has unmapped before, and not what is mapped now.

    Class: MAP
    Report: https://lore.kernel.org/linux-rdma/20260305142634.1813208-4-tariqt@nvidia.com/
    Expect: unmap-of-unmapped
    """
    with driver(sim) as dev:
        fifo = _DmaFifo()
        _xmit(sim, dev, fifo, 2)
        fifo.cc = 0  # mlx5e_reset_txqsq_cc_pc()
        _xmit(sim, dev, fifo, 1)


def mlx5e_fifo_after_recovery_fixed(sim: Simulation) -> None:
    """Recovery leaves both counters alone: all that was posted has been flushed by then.

    Expect: nothing
    """
    with driver(sim) as dev:
        fifo = _DmaFifo()
        _xmit(sim, dev, fifo, 2)
        _xmit(sim, dev, fifo, 1)


# mlx5e: XDP_TX of a frame that the card can not take


def _xsk_xdp_tx(sim: Simulation, dev: Device, unmaps: bool) -> None:
    """Copy a frame out of a socket's buffer, map it, and find the send queue full."""
    for full in (False, True):
        frame = sim.linux.alloc_pages(1)
        address = sim.linux.dma_map_single(dev, frame, SIZE, DMA_TO_DEVICE)
        if not full:
            dev.read(address, SIZE)
        if not full or unmaps:
            sim.linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)
        sim.linux.kfree(frame)


def mlx5e_xsk_failed_send(sim: Simulation) -> None:
    """A frame of a socket that can not be sent is freed and stays mapped.

    Class: MAP
    Report: https://lore.kernel.org/linux-rdma/20260604135446.456119-1-tariqt@nvidia.com/
    Expect: leak-at-unbind
    """
    with driver(sim) as dev:
        _xsk_xdp_tx(sim, dev, unmaps=False)


def mlx5e_xsk_failed_send_fixed(sim: Simulation) -> None:
    """The way out unmaps the frame.

    Expect: nothing
    """
    with driver(sim) as dev:
        _xsk_xdp_tx(sim, dev, unmaps=True)


# mlx5e: memory of another device in a packet


def _devmem_xmit(sim: Simulation, dev: Device, asks_kind: bool) -> None:
    """Send a header from host memory and data from a GPU's, which was mapped for good."""
    gpu = sim.device("0000:00:05.0").registers()
    binding = sim.linux.dma_map_resource(dev, gpu, PAGE, DMA_BIDIRECTIONAL)
    header = sim.linux.kmalloc(128)
    address = sim.linux.dma_map_single(dev, header, 128, DMA_TO_DEVICE)
    for bus, length, unreadable in ((address, 128, False), (binding + 1024, 512, True)):
        dev.read(bus, length)
        if not (asks_kind and unreadable):
            sim.linux.dma_unmap_page(dev, bus, length, DMA_TO_DEVICE)
    sim.linux.dma_unmap_resource(dev, binding, PAGE, DMA_BIDIRECTIONAL)


def mlx5e_devmem_fragment(sim: Simulation) -> None:
    """A packet's data lies in a GPU's memory, and the driver unmaps it like host pages.

    Its mapping is the binding's, which lives on.

    Class: MAP
    Report: https://lore.kernel.org/linux-rdma/1752649242-147678-1-git-send-email-tariqt@nvidia.com/
    Expect: unmap-of-unmapped
    Outcome: fault on nested
    """
    with driver(sim) as dev:
        _devmem_xmit(sim, dev, asks_kind=False)


def mlx5e_devmem_fragment_fixed(sim: Simulation) -> None:
    """Fragments that the CPU can not read are left alone.

    Expect: nothing
    Outcome: fault on nested
    """
    with driver(sim) as dev:
        _devmem_xmit(sim, dev, asks_kind=True)


# xprtrdma: regions at a disconnect


def _frwr_disconnect(sim: Simulation, dev: Device, unmaps: bool) -> None:
    """Do one RPC, and destroy the region of the next, in which the connection was lost."""
    for lost in (False, True):
        mr_sg = [ScatterEntry(sim.linux.alloc_pages(1), PAGE)]
        sim.linux.dma_map_sg(dev, mr_sg, DMA_FROM_DEVICE)
        if not lost:
            dev.write(mr_sg[0].dma_address, DATA)
        if not lost or unmaps:
            sim.linux.dma_unmap_sg(dev, mr_sg, DMA_FROM_DEVICE)


def xprtrdma_regions_at_disconnect(sim: Simulation) -> None:
    """When a connection is lost, its regions are destroyed and their pages stay mapped.

    Class: UAD
    Report: https://lore.kernel.org/linux-rdma/20200814173734.3271600-1-dan@kernelim.com/
    Report: https://lore.kernel.org/linux-rdma/159767751439.190071.13659900216337230912.stgit@manet.1015granger.net/
    Expect: leak-at-unbind
    """
    with driver(sim) as dev:
        _frwr_disconnect(sim, dev, unmaps=False)


def xprtrdma_regions_at_disconnect_fixed(sim: Simulation) -> None:
    """A region is unmapped before it is destroyed.

    Expect: nothing
    """
    with driver(sim) as dev:
        _frwr_disconnect(sim, dev, unmaps=True)


# 9p: a receive that is not posted


def _p9_rdma_request(sim: Simulation, dev: Device, unmaps: bool) -> None:
    """Map a reply's buffer and post the receive, which a full queue refuses."""
    for refused in (False, True):
        reply = sim.linux.kmalloc(SIZE)
        busa = sim.linux.dma_map_single(dev, reply, SIZE, DMA_FROM_DEVICE)
        if not refused:
            dev.write(busa, DATA)
        if not refused or unmaps:
            sim.linux.dma_unmap_single(dev, busa, SIZE, DMA_FROM_DEVICE)


def p9_rdma_failed_receive(sim: Simulation) -> None:
    """9p maps a buffer for a reply, can not post the receive, and leaves the mapping.

    Class: MAP
    Report: Debian changelog of linux 6.12,
      "9p/rdma: unmap receive dma buffer in rdma_request()/post_recv()"
    Expect: leak-at-unbind
    """
    with driver(sim) as dev:
        _p9_rdma_request(sim, dev, unmaps=False)


def p9_rdma_failed_receive_fixed(sim: Simulation) -> None:
    """The way out unmaps it.

    Expect: nothing
    """
    with driver(sim) as dev:
        _p9_rdma_request(sim, dev, unmaps=True)
