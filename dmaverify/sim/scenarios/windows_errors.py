"""Error paths of Windows drivers, which nobody takes but `simulate --inject systematic`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dmaverify.sim.device import Device
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._windows import PAGE
from dmaverify.sim.windows.adapter import DMA_ADAPTER
from dmaverify.sim.windows.names import DEVICE_DESCRIPTION, SCATTER_GATHER_LIST

DESCRIPTION = DEVICE_DESCRIPTION(Version=3, Master=True, ScatterGather=True, MaximumLength=PAGE,
                                 DmaAddressWidth=64)  # fmt: skip


@contextmanager
def _driver(sim: Simulation) -> Iterator[tuple[Device, Any, Any]]:
    """Give a driver's device, its adapter and its routines; nobody looks whether there are any."""
    dev, nt = sim.device(), sim.windows
    nt.AddDevice(dev)
    adapter, _ = nt.IoGetDmaAdapter(dev, DESCRIPTION)
    yield dev, adapter, adapter and adapter.DmaOperations
    nt.RemoveDevice(dev)


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
    with _driver(sim) as (dev, adapter, ops):
        if adapter is None:
            return
        virt, logical = ops.AllocateCommonBuffer(adapter, PAGE)
        if virt:
            _transfer(sim, dev, adapter)
            ops.FreeCommonBuffer(adapter, PAGE, logical, virt)
        ops.PutDmaAdapter(adapter)


def leaks(sim: Simulation) -> None:
    """Where there is no common buffer, the start fails and the adapter stays behind.

    Expect: nothing
    """
    with _driver(sim) as (_, adapter, ops):
        virt, logical = ops.AllocateCommonBuffer(adapter, PAGE) if adapter else (0, 0)
        if virt:
            ops.FreeCommonBuffer(adapter, PAGE, logical, virt)
            ops.PutDmaAdapter(adapter)


def goes_on(sim: Simulation) -> None:
    """Nobody looks whether the common buffer is there, and the device gets its address.

    Expect: nothing
    """
    with _driver(sim) as (dev, adapter, ops):
        if adapter is None:
            return
        virt, logical = ops.AllocateCommonBuffer(adapter, PAGE)
        dev.write(logical, b"done")
        if virt:
            ops.FreeCommonBuffer(adapter, PAGE, logical, virt)
        ops.PutDmaAdapter(adapter)


def uses_null(sim: Simulation) -> None:
    """Nobody looks whether there is an adapter; what is wrong behind that shows all the same.

    Without memory for its second buffer it forgets the first.

    Expect: nothing
    """
    with _driver(sim) as (_, adapter, ops):
        first = adapter.DmaOperations.AllocateCommonBuffer(adapter, PAGE)
        second = ops.AllocateCommonBuffer(adapter, PAGE)
        for virt, logical in (first, second) if second[0] else ():
            if virt:
                ops.FreeCommonBuffer(adapter, PAGE, logical, virt)
        ops.PutDmaAdapter(adapter)


def retries(sim: Simulation) -> None:
    """Without a large buffer it is content with a small one, and forgets that it may lack too.

    Only where the large one fails is there a small one that can fail.

    Expect: nothing
    """
    with _driver(sim) as (dev, adapter, ops):
        if adapter is None:
            return
        length = 4 * PAGE
        virt, logical = ops.AllocateCommonBuffer(adapter, length)
        if not virt:
            length = PAGE
            virt, logical = ops.AllocateCommonBuffer(adapter, length)
        dev.write(logical, b"done")
        if virt:
            ops.FreeCommonBuffer(adapter, length, logical, virt)
        ops.PutDmaAdapter(adapter)
