"""Transfer contexts of Windows drivers of version 3: one for each pending request."""

from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._windows import driver
from dmaverify.sim.windows.names import DMA_SYNCHRONOUS_CALLBACK
from dmaverify.sim.windows.operations3 import DMA_TRANSFER_CONTEXT

ALL = 2  # IO_ALLOCATION_ACTION: DeallocateObject


def good(sim: Simulation) -> None:
    """A context serves one request after the other, and a list after that.

    Expect: nothing
    """
    with driver(sim, version=3) as it:
        context, mdl = DMA_TRANSFER_CONTEXT(), it.buffer()
        for _ in range(2):
            it.ops.InitializeDmaTransferContext(it.adapter, context)
            with it.nt.at_dispatch():
                it.ops.AllocateAdapterChannelEx(it.adapter, it.dev, context, 2)
                it.ops.FreeAdapterObject(it.adapter, ALL)
        it.ops.InitializeDmaTransferContext(it.adapter, context)
        with it.nt.at_dispatch():
            _, made = it.ops.GetScatterGatherListEx(
                it.adapter, it.dev, context, mdl, 0, mdl.length, DMA_SYNCHRONOUS_CALLBACK, None,
                None, False,
            )  # fmt: skip
            it.ops.PutScatterGatherList(it.adapter, made, False)


def made_ready_again(sim: Simulation) -> None:
    """A context is initialized once more while its request holds map registers.

    Expect: transfer-context-reused
    """
    with driver(sim, version=3) as it:
        context = DMA_TRANSFER_CONTEXT()
        it.ops.InitializeDmaTransferContext(it.adapter, context)
        with it.nt.at_dispatch():
            it.ops.AllocateAdapterChannelEx(it.adapter, it.dev, context, 2)
            it.ops.InitializeDmaTransferContext(it.adapter, context)
            it.ops.FreeAdapterObject(it.adapter, ALL)


def used_twice(sim: Simulation) -> None:
    """A second list is asked for with the context of the first, which lives.

    Expect: transfer-context-reused
    """
    with driver(sim, version=3) as it:
        context, lists = DMA_TRANSFER_CONTEXT(), []
        it.ops.InitializeDmaTransferContext(it.adapter, context)
        with it.nt.at_dispatch():
            for mdl in (it.buffer(), it.buffer()):
                _, made = it.ops.GetScatterGatherListEx(
                    it.adapter, it.dev, context, mdl, 0, mdl.length, DMA_SYNCHRONOUS_CALLBACK,
                    None, None, False,
                )  # fmt: skip
                lists.append(made)
            for made in lists:
                it.ops.PutScatterGatherList(it.adapter, made, False)
