"""Error paths of Windows drivers, which nobody takes but `simulate --inject systematic`."""

from typing import Any

from dmaverify.sim.device import Device
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._windows import PAGE
from dmaverify.sim.windows.adapter import DMA_ADAPTER
from dmaverify.sim.windows.names import DEVICE_DESCRIPTION, SCATTER_GATHER_LIST

DESCRIPTION = DEVICE_DESCRIPTION(Version=3, Master=True, ScatterGather=True, MaximumLength=PAGE,
                                 DmaAddressWidth=64)  # fmt: skip


def _transfer(sim: Simulation, dev: Device, adapter: DMA_ADAPTER) -> None:
    """Receive one page; whatever fails is undone."""
    nt, ops = sim.windows, adapter.DmaOperations
    virt = nt.ExAllocatePool2(PAGE)
    mdl = nt.IoAllocateMdl(virt, PAGE) if virt else None
    if mdl is not None:
        nt.MmBuildMdlForNonPagedPool(mdl)

        def receive(dev_: object, irp: object, made: SCATTER_GATHER_LIST, context: object) -> None:
            dev.write(made.Elements[0].Address, b"x" * PAGE)
            ops.PutScatterGatherList(adapter, made, False)

        with nt.at_dispatch():
            ops.GetScatterGatherList(adapter, dev, mdl, virt, PAGE, receive, None, False)
        nt.IoFreeMdl(mdl)
    if virt:
        nt.ExFreePool(virt)


def good(sim: Simulation) -> None:
    """Each call may fail, and what was got before it goes back.

    Expect: nothing
    """
    dev, nt = sim.device(), sim.windows
    nt.AddDevice(dev)
    adapter, _ = nt.IoGetDmaAdapter(dev, DESCRIPTION)
    if adapter is not None:
        ops = adapter.DmaOperations
        virt, logical = ops.AllocateCommonBuffer(adapter, PAGE)
        if virt:
            _transfer(sim, dev, adapter)
            ops.FreeCommonBuffer(adapter, PAGE, logical, virt)
        ops.PutDmaAdapter(adapter)
    nt.RemoveDevice(dev)


def leaks(sim: Simulation) -> None:
    """Where there is no common buffer, the start fails and the adapter stays behind.

    Expect: nothing
    """
    dev, nt = sim.device(), sim.windows
    nt.AddDevice(dev)
    adapter, _ = nt.IoGetDmaAdapter(dev, DESCRIPTION)
    if adapter is not None:
        ops = adapter.DmaOperations
        virt, logical = ops.AllocateCommonBuffer(adapter, PAGE)
        if virt:
            ops.FreeCommonBuffer(adapter, PAGE, logical, virt)
            ops.PutDmaAdapter(adapter)
    nt.RemoveDevice(dev)


def uses_null(sim: Simulation) -> None:
    """Nobody looks whether there is an adapter.

    Expect: nothing
    """
    dev, nt = sim.device(), sim.windows
    nt.AddDevice(dev)
    adapter: Any = nt.IoGetDmaAdapter(dev, DESCRIPTION)[0]
    adapter.DmaOperations.PutDmaAdapter(adapter)
    nt.RemoveDevice(dev)


def goes_on(sim: Simulation) -> None:
    """Nobody looks whether the common buffer is there, and the device gets its address.

    Expect: nothing
    """
    dev, nt = sim.device(), sim.windows
    nt.AddDevice(dev)
    adapter, _ = nt.IoGetDmaAdapter(dev, DESCRIPTION)
    if adapter is not None:
        ops = adapter.DmaOperations
        virt, logical = ops.AllocateCommonBuffer(adapter, PAGE)
        dev.write(logical, b"done")
        if virt:
            ops.FreeCommonBuffer(adapter, PAGE, logical, virt)
        ops.PutDmaAdapter(adapter)
    nt.RemoveDevice(dev)
