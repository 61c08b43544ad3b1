"""Devices of Windows drivers that touch what is not theirs: tags, padding, free map registers."""

from dmaverify.sim.linux import DMA_FROM_DEVICE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._windows import PAGE, Driver, driver
from dmaverify.sim.windows.mdl import MDL
from dmaverify.sim.windows.operations3 import DMA_TRANSFER_CONTEXT

SIZE = 512


def _amid(it: Driver) -> MDL:
    """Return the MDL of 512 bytes amid a page that is the driver's own."""
    mdl = it.nt.IoAllocateMdl(it.nt.ExAllocatePool2(PAGE) + 1024, SIZE)
    it.nt.MmBuildMdlForNonPagedPool(mdl)
    return mdl  # type: ignore[no-any-return]


def _write(sim: Simulation, offset: int, length: int) -> None:
    """Let the device write at an offset from the start of a list's 512 bytes."""
    with driver(sim) as it:
        made = it.get(_amid(it))
        it.dev.write(made.Elements[0].Address + offset, b"x" * length)
        it.put(made)


def good(sim: Simulation) -> None:
    """A device writes from the first to the last byte of its buffer.

    Expect: nothing
    """
    _write(sim, 0, SIZE)


def tag_before(sim: Simulation) -> None:
    """A device begins eight bytes before its buffer.

    Expect: device-access-before-mapping
    Outcome: lost and foreign and guard on driver-verifier, confidential-vm, mask-32
    """
    _write(sim, -8, SIZE)


def tag_after(sim: Simulation) -> None:
    """A device writes eight bytes more than its buffer has.

    Expect: device-access-out-of-range
    Outcome: lost and foreign and guard on driver-verifier, confidential-vm, mask-32
    """
    _write(sim, 0, SIZE + 8)


def padding_before(sim: Simulation) -> None:
    """A device writes 64 bytes that end 64 bytes before its buffer.

    Expect: device-access-beside-mapping
    Expect on as-recorded, flat, non-coherent: device-access-unmapped
    Outcome: lost and foreign and guard on driver-verifier, confidential-vm, mask-32
    """
    _write(sim, -128, 64)


def padding_after(sim: Simulation) -> None:
    """A device writes 64 bytes more than its buffer has.

    Expect: device-access-out-of-range
    Outcome: lost and foreign and guard on driver-verifier, confidential-vm, mask-32
    """
    _write(sim, 0, SIZE + 64)


def driver_past_the_end(sim: Simulation) -> None:
    """A driver writes eight bytes behind its common buffer, by its own address.

    Expect: cpu-write-beside-buffer
    Outcome: guard on driver-verifier
    """
    with driver(sim) as it:
        virt, logical = it.ops.AllocateCommonBuffer(it.adapter, SIZE)
        sim.cpu.write(virt + SIZE, b"too much")
        it.ops.FreeCommonBuffer(it.adapter, SIZE, logical, virt)


def free_register(sim: Simulation) -> None:
    """A device writes into a buffer whose list was put before.

    Expect: device-access-after-unmap
    Outcome: fault on iommu, nested; stale on non-coherent;
      lost and foreign and guard on driver-verifier, confidential-vm, mask-32
    """
    with driver(sim) as it:
        made = it.get(_amid(it))
        it.put(made)
        it.dev.write(made.Elements[0].Address, b"x" * SIZE)


def physical_address(sim: Simulation) -> None:
    """A device is given what MmGetPhysicalAddress returns.

    Expect: device-access-unmapped
    Outcome: lost on bus-offset, mask-32; fault on iommu, iommu-lazy, nested, confidential-vm
    """
    with driver(sim) as it:
        it.dev.write(it.nt.MmGetPhysicalAddress(it.nt.ExAllocatePool2(PAGE)), b"x" * SIZE)


def _system_dma(sim: Simulation, how: str) -> None:
    """Run a transfer of a device that is no bus master, and flush it at some time."""
    with driver(sim, version=3, master=False, gathers=False) as it:
        mdl, context = it.buffer(), DMA_TRANSFER_CONTEXT()
        it.ops.InitializeDmaTransferContext(it.adapter, context)
        with it.nt.at_dispatch():
            _, base = it.ops.AllocateAdapterChannelEx(it.adapter, it.dev, context, 1)
            _, length, made = it.ops.MapTransferEx(it.adapter, mdl, base, 0, 0, PAGE, False)
            transfer = it.dev.start(made.Elements[0].Address, length, DMA_FROM_DEVICE)
            if how == "completed":
                it.dev.finish(transfer, b"x" * length)
            elif how == "cancelled":
                it.ops.CancelMappedTransfer(it.adapter, context)
            it.ops.FlushAdapterBuffersEx(it.adapter, mdl, base, 0, length, False)
            it.ops.FreeAdapterObject(it.adapter, 2)


def flush_when_completed(sim: Simulation) -> None:
    """A transfer of system DMA is flushed when it is done.

    Expect: nothing
    """
    _system_dma(sim, "completed")


def flush_when_cancelled(sim: Simulation) -> None:
    """A transfer of system DMA is flushed when it was cancelled.

    Expect: nothing
    """
    _system_dma(sim, "cancelled")


def flush_too_early(sim: Simulation) -> None:
    """A transfer of system DMA is flushed that is neither done nor cancelled.

    Expect: unmap-during-transfer
    """
    _system_dma(sim, "")
