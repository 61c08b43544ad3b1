"""How many map registers Windows drivers hold, and in what order they give them back."""

from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._windows import Driver, driver
from dmaverify.sim.windows.adapter import RegisterFile
from dmaverify.sim.windows.names import (
    DMA_SYNCHRONOUS_CALLBACK,
    IO_ALLOCATION_ACTION,
    STATUS_SUCCESS,
)
from dmaverify.sim.windows.operations3 import DMA_TRANSFER_CONTEXT


def _ask(it: Driver, count: int) -> RegisterFile | None:
    """Return map registers that are there now, None where the request is refused."""
    context = DMA_TRANSFER_CONTEXT()
    it.ops.InitializeDmaTransferContext(it.adapter, context)
    got: list[RegisterFile] = []

    def control(device: object, irp: object, base: RegisterFile, context: object) -> int:
        got.append(base)
        return IO_ALLOCATION_ACTION.DeallocateObjectKeepRegisters

    with it.nt.at_dispatch():
        status, _ = it.ops.AllocateAdapterChannelEx(
            it.adapter, it.dev, context, count, DMA_SYNCHRONOUS_CALLBACK, control
        )
    return got[0] if status == STATUS_SUCCESS else None


def _give(it: Driver, *bases: RegisterFile | None) -> None:
    for base in bases:
        if base is not None:
            it.free_registers(base, base.count)


def good(sim: Simulation) -> None:
    """Two requests share the map registers, and the next one gets all of them.

    Expect: nothing
    """
    with driver(sim, version=3) as it:
        half = it.registers // 2
        _give(it, _ask(it, half), _ask(it, half))
        _give(it, _ask(it, it.registers))


def held_for_long(sim: Simulation) -> None:
    """A driver keeps a map register for its life, and asks for as many as there are.

    Expect: map-registers-used-up
    """
    with driver(sim, version=3) as it:
        kept = _ask(it, 1)
        _give(it, _ask(it, it.registers))
        _give(it, kept)


def cut_into_pieces(sim: Simulation) -> None:
    """A driver keeps a map register in the middle, so that no long run of free ones is left.

    Expect: no-contiguous-map-registers
    """
    with driver(sim, version=3) as it:
        half = it.registers // 2
        before, kept = _ask(it, half), _ask(it, 1)
        _give(it, before)
        _give(it, _ask(it, half + 1))
        _give(it, kept)
