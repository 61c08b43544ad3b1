"""Windows drivers that call the right routines for the wrong thing, or in the wrong order."""

from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._windows import PAGE, driver
from dmaverify.sim.windows.names import DEVICE_DESCRIPTION
from dmaverify.sim.windows.operations3 import DMA_TRANSFER_CONTEXT

DEVICE_LEVEL = 5  # that of some interrupt service routine


def good(sim: Simulation) -> None:
    """Two pieces are mapped by version 3, each flushed with its own MDL before the next.

    Expect: nothing
    """
    _pieces(sim, flush_each=True)


def mapped_before_flush(sim: Simulation) -> None:
    """The second piece is mapped while the first is not flushed.

    Expect: map-before-flush
    """
    _pieces(sim, flush_each=False)


def _pieces(sim: Simulation, flush_each: bool) -> None:
    """Map two halves of a buffer through one transfer context."""
    with driver(sim, version=3) as it:
        mdl, context, half = it.buffer(), DMA_TRANSFER_CONTEXT(), PAGE // 2
        it.ops.InitializeDmaTransferContext(it.adapter, context)
        with it.nt.at_dispatch():
            _, base = it.ops.AllocateAdapterChannelEx(it.adapter, it.dev, context, 2)
            for at in (0, half):
                it.ops.MapTransferEx(it.adapter, mdl, base, at, 0, half, False)
                if flush_each:
                    it.ops.FlushAdapterBuffersEx(it.adapter, mdl, base, at, half, False)
            for at in () if flush_each else (0, half):
                it.ops.FlushAdapterBuffersEx(it.adapter, mdl, base, at, half, False)
            it.ops.FreeAdapterObject(it.adapter, 2)


def flushed_with_another_mdl(sim: Simulation) -> None:
    """A transfer is flushed with the MDL of another buffer.

    Expect: flush-mdl-mismatch
    """
    with driver(sim) as it:
        mdl, other, base = it.buffer(), it.buffer(), it.channel()
        it.map(base, mdl)
        it.flush(base, other)
        it.free_registers(base)


def put_by_another_adapter(sim: Simulation) -> None:
    """A list is put with the second of two adapters that the driver has for its device.

    Expect: unmap-by-other-adapter
    """
    with driver(sim) as it:
        second, _ = it.nt.IoGetDmaAdapter(it.dev, it.adapter.description)
        assert second is not None
        made = it.get(it.buffer())
        with it.nt.at_dispatch():
            second.DmaOperations.PutScatterGatherList(second, made, False)
        second.DmaOperations.PutDmaAdapter(second)


def locked_in_interrupt(sim: Simulation) -> None:
    """Pages are locked in the interrupt service routine.

    Expect: mdl-locked-at-wrong-irql
    """
    with driver(sim) as it:
        mdl = it.nt.IoAllocateMdl(it.nt.ExAllocatePool2(PAGE), PAGE)
        before = it.nt.KeRaiseIrql(DEVICE_LEVEL)
        it.nt.MmProbeAndLockPages(mdl)
        it.nt.KeLowerIrql(before)
        it.nt.MmUnlockPages(mdl)
        it.nt.IoFreeMdl(mdl)


def no_address_width(sim: Simulation) -> None:
    """A description of version 3 leaves the address width of its bus master at 0.

    Expect: wrong-address-width
    """
    dev, nt = sim.device(), sim.windows
    nt.AddDevice(dev)
    adapter, _ = nt.IoGetDmaAdapter(dev, DEVICE_DESCRIPTION(
        Version=3, Master=True, ScatterGather=True, MaximumLength=PAGE,
    ))  # fmt: skip
    if adapter is not None:
        adapter.DmaOperations.PutDmaAdapter(adapter)
    nt.RemoveDevice(dev)
