"""What the scenarios of Windows share: a driver's begin and end, its buffers, and its channel."""

from collections.abc import Iterator
from contextlib import contextmanager

from dmaverify.sim.run import Simulation
from dmaverify.sim.windows.adapter import DMA_ADAPTER, RegisterFile
from dmaverify.sim.windows.mdl import MDL
from dmaverify.sim.windows.names import (
    DEVICE_DESCRIPTION,
    DEVICE_DESCRIPTION_VERSION2,
    DEVICE_DESCRIPTION_VERSION3,
    IO_ALLOCATION_ACTION,
    SCATTER_GATHER_LIST,
)

PAGE = 4096
KEEP_REGISTERS = IO_ALLOCATION_ACTION.DeallocateObjectKeepRegisters
KEEP_OBJECT = IO_ALLOCATION_ACTION.KeepObject


class Driver:
    """A driver with its device and adapter.

    Args:
        sim: where it runs.
        description: what it says of its device.
    """

    def __init__(self, sim: Simulation, description: DEVICE_DESCRIPTION) -> None:
        self.sim, self.nt, self.dev = sim, sim.windows, sim.device()
        self.nt.AddDevice(self.dev)
        adapter, self.registers = self.nt.IoGetDmaAdapter(self.dev, description)
        assert adapter is not None
        self.adapter: DMA_ADAPTER = adapter
        self.ops = adapter.DmaOperations

    def buffer(self, length: int = PAGE) -> MDL:
        """Return the MDL of a new buffer in nonpaged pool."""
        mdl = self.nt.IoAllocateMdl(self.nt.ExAllocatePool2(length), length)
        self.nt.MmBuildMdlForNonPagedPool(mdl)
        return mdl  # type: ignore[no-any-return]

    def free(self, mdl: MDL) -> None:
        """Free such a buffer."""
        self.nt.IoFreeMdl(mdl)
        self.nt.ExFreePool(mdl.virt)

    def channel(self, registers: int = 1, action: int = KEEP_REGISTERS) -> RegisterFile:
        """Return map registers that were granted at once; AdapterControl keeps what is said."""
        granted: list[RegisterFile] = []

        def control(device: object, irp: object, base: RegisterFile, context: object) -> int:
            granted.append(base)
            return action

        with self.nt.at_dispatch():
            self.ops.AllocateAdapterChannel(self.adapter, self.dev, registers, control)
        return granted[0]

    def free_registers(self, base: RegisterFile, count: int = 1) -> None:
        """Free map registers."""
        with self.nt.at_dispatch():
            self.ops.FreeMapRegisters(self.adapter, base, count)

    def map(self, base: RegisterFile, mdl: MDL, write: bool = False, offset: int = 0,
            length: int | None = None) -> int:  # fmt: skip
        """Return the logical address of a part of a buffer, mapped in one call."""
        wished = mdl.length - offset if length is None else length
        self.nt.KeFlushIoBuffers(mdl, not write)
        logical, _ = self.ops.MapTransfer(self.adapter, mdl, base, mdl.virt + offset, wished, write)
        return int(logical)

    def flush(self, base: RegisterFile, mdl: MDL, write: bool = False, offset: int = 0,
              length: int | None = None) -> None:  # fmt: skip
        """Flush a part of a buffer."""
        wished = mdl.length - offset if length is None else length
        self.ops.FlushAdapterBuffers(self.adapter, mdl, base, mdl.virt + offset, wished, write)

    def get(self, mdl: MDL, write: bool = False, length: int | None = None) -> SCATTER_GATHER_LIST:
        """Return the scatter/gather list of a buffer."""
        made: list[SCATTER_GATHER_LIST] = []
        self.nt.KeFlushIoBuffers(mdl, not write)
        with self.nt.at_dispatch():
            self.ops.GetScatterGatherList(
                self.adapter, self.dev, mdl, mdl.virt, mdl.length if length is None else length,
                lambda dev, irp, found, context: made.append(found), None, write,
            )  # fmt: skip
        return made[0] if made else SCATTER_GATHER_LIST()

    def put(self, made: SCATTER_GATHER_LIST, write: bool = False) -> None:
        """Put a list."""
        with self.nt.at_dispatch():
            self.ops.PutScatterGatherList(self.adapter, made, write)


@contextmanager
def driver(sim: Simulation, version: int = DEVICE_DESCRIPTION_VERSION2, *,
           gathers: bool = True, master: bool = True) -> Iterator[Driver]:  # fmt: skip
    """Give a driver from its AddDevice to its removal; its adapter is put at the end.

    Args:
        sim: where it runs.
        version: of its device description.
        gathers: whether its device takes scatter/gather lists.
        master: whether its device is a bus master.
    """
    third = version == DEVICE_DESCRIPTION_VERSION3
    it = Driver(sim, DEVICE_DESCRIPTION(
        Version=version, Master=master, ScatterGather=gathers, MaximumLength=15 * PAGE,
        Dma64BitAddresses=not third, DmaAddressWidth=64 if third else 0,
    ))  # fmt: skip
    yield it
    if it.adapter.live:
        it.ops.PutDmaAdapter(it.adapter)
    it.nt.RemoveDevice(it.dev)
