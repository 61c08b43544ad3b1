"""The levels at which Windows drivers call: some routines want one level, others have a highest."""

from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._windows import PAGE, driver
from dmaverify.sim.windows.names import DISPATCH_LEVEL

DEVICE_LEVEL = 5  # that of some interrupt service routine


def good(sim: Simulation) -> None:
    """A list is got at DISPATCH_LEVEL, a common buffer at PASSIVE_LEVEL.

    Expect: nothing
    """
    with driver(sim) as it:
        mdl = it.buffer()
        it.put(it.get(mdl))
        virt, logical = it.ops.AllocateCommonBuffer(it.adapter, PAGE)
        it.ops.FreeCommonBuffer(it.adapter, PAGE, logical, virt)


def too_low(sim: Simulation) -> None:
    """A list is put at PASSIVE_LEVEL, which needs DISPATCH_LEVEL.

    Expect: wrong-irql
    """
    with driver(sim) as it:
        made = it.get(it.buffer())
        it.ops.PutScatterGatherList(it.adapter, made, False)


def too_high_for_memory(sim: Simulation) -> None:
    """A common buffer is asked for with a spin lock held.

    Expect: wrong-irql
    """
    with driver(sim) as it:
        before = it.nt.KeRaiseIrql(DISPATCH_LEVEL)
        virt, logical = it.ops.AllocateCommonBuffer(it.adapter, PAGE)
        it.nt.KeLowerIrql(before)
        it.ops.FreeCommonBuffer(it.adapter, PAGE, logical, virt)


def in_interrupt(sim: Simulation) -> None:
    """A transfer is flushed in the interrupt service routine.

    Expect: wrong-irql
    """
    with driver(sim) as it:
        mdl, base = it.buffer(), it.channel()
        it.map(base, mdl)
        before = it.nt.KeRaiseIrql(DEVICE_LEVEL)
        it.flush(base, mdl)
        it.nt.KeLowerIrql(before)
        it.free_registers(base)
