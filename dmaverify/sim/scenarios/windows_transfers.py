"""Transfers of Windows drivers: packets, version 3, and what goes wrong with them."""

from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._hca import PAGE, get_list, put_list, start
from dmaverify.sim.windows.adapter import RegisterFile
from dmaverify.sim.windows.names import (
    DEVICE_DESCRIPTION_VERSION3,
    DMA_SYNCHRONOUS_CALLBACK,
    IO_ALLOCATION_ACTION,
    STATUS_SUCCESS,
)
from dmaverify.sim.windows.operations3 import DMA_TRANSFER_CONTEXT

LENGTH = 3 * PAGE + 128  # whole cache lines: what GetDmaAlignment asks for, anywhere
DATA = (bytes(range(251)) * (LENGTH // 251 + 1))[:LENGTH]


def packet(sim: Simulation) -> None:
    """A bus master is programmed packet by packet: channel, map, flush, registers.

    Expect: nothing
    """
    dev, adapter = start(sim)
    nt, ops = sim.windows, adapter.DmaOperations
    virt = nt.ExAllocatePool2(LENGTH)
    mdl = nt.IoAllocateMdl(virt, LENGTH)
    nt.MmBuildMdlForNonPagedPool(mdl)
    nt.KeFlushIoBuffers(mdl, True)
    registers = LENGTH // PAGE + 2
    granted: list[RegisterFile] = []

    def control(device: object, irp: object, base: RegisterFile, context: object) -> int:
        granted.append(base)
        at = 0
        while at < LENGTH:
            va = nt.MmGetMdlVirtualAddress(mdl) + at
            logical, length = ops.MapTransfer(adapter, mdl, base, va, LENGTH - at, False)
            dev.write(logical, DATA[at : at + length])
            at += length
        return IO_ALLOCATION_ACTION.DeallocateObjectKeepRegisters

    with nt.at_dispatch():
        status = ops.AllocateAdapterChannel(adapter, dev, registers, control, None)
        assert status == STATUS_SUCCESS
        ops.FlushAdapterBuffers(adapter, mdl, granted[0], virt, LENGTH, False)
        ops.FreeMapRegisters(adapter, granted[0], registers)
    sim.expect(sim.cpu.read(virt, LENGTH), DATA)
    nt.IoFreeMdl(mdl)
    nt.ExFreePool(virt)
    ops.PutDmaAdapter(adapter)
    nt.RemoveDevice(dev)


def version_3(sim: Simulation) -> None:
    """A transfer by version 3, which maps less than it is asked for; caches are looked after.

    Expect: nothing
    """
    dev, adapter = start(sim, version=DEVICE_DESCRIPTION_VERSION3)
    nt, ops = sim.windows, adapter.DmaOperations
    nt.partial = True
    virt = nt.ExAllocatePool2(LENGTH)
    mdl = nt.IoAllocateMdl(virt, LENGTH)
    nt.MmBuildMdlForNonPagedPool(mdl)
    sim.cpu.write(virt, DATA)
    context = DMA_TRANSFER_CONTEXT()
    ops.InitializeDmaTransferContext(adapter, context)
    _, info = ops.GetDmaTransferInfo(adapter, mdl, 0, LENGTH, True)
    with nt.at_dispatch():
        _, base = ops.AllocateAdapterChannelEx(
            adapter, dev, context, info.MapRegisterCount, DMA_SYNCHRONOUS_CALLBACK
        )
        at = 0
        while at < LENGTH:
            _, length, made = ops.MapTransferEx(adapter, mdl, base, at, 0, LENGTH - at, True)
            seen = b"".join(dev.read(e.Address, e.Length) for e in made.Elements)
            sim.expect(seen, DATA[at : at + length])
            ops.FlushAdapterBuffersEx(adapter, mdl, base, at, length, True)
            at += length
        ops.FreeAdapterObject(adapter, IO_ALLOCATION_ACTION.DeallocateObject)
    nt.IoFreeMdl(mdl)
    nt.ExFreePool(virt)
    ops.PutDmaAdapter(adapter)
    nt.RemoveDevice(dev)


def no_cache_flush(sim: Simulation) -> None:
    """A driver of version 2 forgets KeFlushIoBuffers: nothing comes of it where caches see.

    Expect: nothing
    Expect on non-coherent: io-buffers-not-flushed
    Outcome: stale on non-coherent
    """
    dev, adapter = start(sim)
    nt = sim.windows
    virt = nt.ExAllocatePool2(PAGE)
    mdl = nt.IoAllocateMdl(virt, PAGE)
    nt.MmBuildMdlForNonPagedPool(mdl)
    sim.cpu.write(virt, DATA[:PAGE])
    made = get_list(sim, adapter, mdl, True)
    sim.expect(dev.read(made.Elements[0].Address, PAGE), DATA[:PAGE])
    put_list(sim, adapter, made, True)
    adapter.DmaOperations.PutDmaAdapter(adapter)
    nt.RemoveDevice(dev)


def read_before_put(sim: Simulation) -> None:
    """The CPU polls a buffer that is mapped for its life, and the list is put at the end only.

    Expect: missing-sync-for-cpu
    Outcome: stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    dev, adapter = start(sim)
    nt = sim.windows
    fence = nt.ExAllocatePool2(64)
    mdl = nt.IoAllocateMdl(fence, 64)
    nt.MmBuildMdlForNonPagedPool(mdl)
    nt.KeFlushIoBuffers(mdl, True)
    made = get_list(sim, adapter, mdl, False)
    dev.write(made.Elements[0].Address, b"done".ljust(64, b"."))
    for _ in range(10):
        if sim.cpu.read(fence, 4) == b"done":
            break
        sim.sleep(1000)
    put_list(sim, adapter, made, False)
    adapter.DmaOperations.PutDmaAdapter(adapter)
    nt.RemoveDevice(dev)


def write_after_map(sim: Simulation) -> None:
    """The CPU changes a buffer after it was mapped for the device to read.

    Expect: missing-sync-for-device
    Outcome: stale on driver-verifier, confidential-vm, mask-32, non-coherent
    """
    dev, adapter = start(sim)
    nt = sim.windows
    virt = nt.ExAllocatePool2(PAGE)
    mdl = nt.IoAllocateMdl(virt, PAGE)
    nt.MmBuildMdlForNonPagedPool(mdl)
    nt.KeFlushIoBuffers(mdl, False)
    made = get_list(sim, adapter, mdl, True)
    sim.cpu.write(virt, DATA[:PAGE])
    sim.expect(dev.read(made.Elements[0].Address, PAGE), DATA[:PAGE])
    put_list(sim, adapter, made, True)
    adapter.DmaOperations.PutDmaAdapter(adapter)
    nt.RemoveDevice(dev)


def common_buffer_overrun(sim: Simulation) -> None:
    """The device writes eight bytes past a common buffer, into the tag of the verifier.

    Expect: device-access-out-of-range
    Outcome: guard and foreign on driver-verifier
    """
    dev, adapter = start(sim)
    ops = adapter.DmaOperations
    virt, logical = ops.AllocateCommonBuffer(adapter, 512, False)
    dev.write(logical, b"x" * 520)
    ops.FreeCommonBuffer(adapter, 512, logical, virt, False)
    ops.PutDmaAdapter(adapter)
    sim.windows.RemoveDevice(dev)


def common_buffer_leaked(sim: Simulation) -> None:
    """A common buffer is still there when the driver goes.

    Expect: adapter-put-while-in-use
    """
    dev, adapter = start(sim)
    adapter.DmaOperations.AllocateCommonBuffer(adapter, PAGE, False)
    adapter.DmaOperations.PutDmaAdapter(adapter)
    sim.windows.RemoveDevice(dev)


def common_buffer_freed_twice(sim: Simulation) -> None:
    """A common buffer is freed twice.

    Expect: unmap-of-unmapped
    """
    dev, adapter = start(sim)
    ops = adapter.DmaOperations
    virt, logical = ops.AllocateCommonBuffer(adapter, PAGE, False)
    for _ in range(2):
        ops.FreeCommonBuffer(adapter, PAGE, logical, virt, False)
    ops.PutDmaAdapter(adapter)
    sim.windows.RemoveDevice(dev)
