"""Random Windows drivers with mistakes planted, each on objects of its own."""

import random
from collections.abc import Callable

from dmaverify.sim.linux import DMA_FROM_DEVICE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._windows import KEEP_OBJECT, PAGE, Driver, driver
from dmaverify.sim.windows.adapter import DMA_ADAPTER
from dmaverify.sim.windows.mdl import MDL
from dmaverify.sim.windows.names import DEVICE_DESCRIPTION
from dmaverify.sim.windows.operations3 import DMA_TRANSFER_CONTEXT


class Planter:
    """Plants one mistake of a Windows driver at a time, named by the class that it is of.

    Args:
        it: the driver, with its device and its adapter.
    """

    def __init__(self, it: Driver) -> None:
        self.it = it

    def unmap_of_unmapped(self) -> None:
        """Put a list twice."""
        made = self.it.get(self.it.buffer())
        self.it.put(made)
        self.it.put(made)

    def unmap_size_mismatch(self) -> None:
        """Flush more than what was mapped."""
        mdl, base = self.it.buffer(), self.it.channel()
        self.it.map(base, mdl)
        self.it.flush(base, mdl, length=PAGE + 64)
        self.it.free_registers(base)

    def unmap_direction_mismatch(self) -> None:
        """Put a list for the other direction."""
        self.it.put(self.it.get(self.it.buffer()), True)

    def unmap_buffer_mismatch(self) -> None:
        """Flush a buffer from another offset."""
        mdl, base = self.it.buffer(), self.it.channel()
        self.it.map(base, mdl, offset=0, length=512)
        self.it.flush(base, mdl, offset=256, length=512)
        self.it.free_registers(base)

    def channel_freed_twice(self) -> None:
        """Free the channel twice."""
        self.it.channel(action=KEEP_OBJECT)
        with self.it.nt.at_dispatch():
            for _ in range(2):
                self.it.ops.FreeAdapterChannel(self.it.adapter)

    def map_registers_freed_twice(self) -> None:
        """Free map registers twice."""
        base = self.it.channel()
        for _ in range(2):
            self.it.free_registers(base)

    def map_register_count_mismatch(self) -> None:
        """Free fewer map registers than were allocated, and never the rest."""
        self.it.free_registers(self.it.channel(2), 3)

    def map_registers_freed_while_mapped(self) -> None:
        """Free map registers before the flush."""
        mdl, base = self.it.buffer(), self.it.channel()
        self.it.map(base, mdl)
        self.it.free_registers(base)
        self.it.flush(base, mdl)

    def too_many_map_registers(self) -> None:
        """Ask for more map registers than there are."""
        with self.it.nt.at_dispatch():
            self.it.ops.AllocateAdapterChannel(self.it.adapter, self.it.dev,
                                               self.it.registers + 1, lambda *given: 1)  # fmt: skip

    def transfer_not_flushed(self) -> None:
        """Map more than the map registers hold."""
        first, second, base = self.it.buffer(), self.it.buffer(), self.it.channel()
        self.it.map(base, first)
        self.it.map(base, second)
        for mdl in (first, second):
            self.it.flush(base, mdl)
        self.it.free_registers(base)

    def unlocked_buffer_mapped(self) -> None:
        """Map an application's buffer that is not locked any more."""
        nt = self.it.nt
        mdl = nt.IoAllocateMdl(nt.user_memory(PAGE), PAGE)
        nt.MmProbeAndLockPages(mdl)
        nt.MmUnlockPages(mdl)
        self.it.put(self.it.get(mdl))

    def pages_unlocked_while_mapped(self) -> None:
        """Unlock an application's buffer too early."""
        nt = self.it.nt
        mdl = nt.IoAllocateMdl(nt.user_memory(PAGE), PAGE)
        nt.MmProbeAndLockPages(mdl)
        made = self.it.get(mdl)
        nt.MmUnlockPages(mdl)
        self.it.put(made)

    def overlapping_mappings(self) -> None:
        """Map a buffer twice."""
        mdl = self.it.buffer()
        for made in (self.it.get(mdl), self.it.get(mdl)):
            self.it.put(made)

    def buffer_outside_mdl(self) -> None:
        """Ask for a longer list than the buffer is."""
        self.it.get(self.it.buffer(), length=2 * PAGE)

    def wrong_irql(self) -> None:
        """Put a list at PASSIVE_LEVEL."""
        made = self.it.get(self.it.buffer())
        self.it.ops.PutScatterGatherList(self.it.adapter, made, False)

    def obsolete_hal_get_adapter(self) -> None:
        """Get a second adapter in the old way."""
        adapter, _ = self.it.nt.HalGetAdapter(self.it.dev, self.it.adapter.description)
        assert adapter is not None
        adapter.DmaOperations.PutDmaAdapter(adapter)

    def adapter_used_after_put(self) -> None:
        """Use a second adapter that was put."""
        adapter, _ = self.it.nt.IoGetDmaAdapter(self.it.dev, self.it.adapter.description)
        assert adapter is not None
        adapter.DmaOperations.PutDmaAdapter(adapter)
        adapter.DmaOperations.GetDmaAlignment(adapter)

    def adapter_put_while_in_use(self) -> None:
        """Put the driver's adapter while a common buffer of it is there; at the end."""
        self.it.ops.AllocateCommonBuffer(self.it.adapter, PAGE)

    def _third(self) -> DMA_ADAPTER:
        """Return another adapter of the device, of version 3."""
        adapter, _ = self.it.nt.IoGetDmaAdapter(self.it.dev, DEVICE_DESCRIPTION(
            Version=3, Master=True, ScatterGather=True, MaximumLength=15 * PAGE,
            DmaAddressWidth=64,
        ))  # fmt: skip
        assert adapter is not None
        return adapter  # type: ignore[no-any-return]

    def _vector(self, *indices: int) -> None:
        """Free these elements of a vector of three, and then the vector."""
        adapter = self._third()
        ops = adapter.DmaOperations
        _, vector = ops.AllocateCommonBufferVector(adapter, 0, 0, 1, 0, 0, 3, PAGE)
        for index in indices:
            ops.FreeCommonBufferFromVector(adapter, vector, index)
        ops.FreeCommonBufferVector(adapter, vector)
        ops.PutDmaAdapter(adapter)

    def vector_index_out_of_range(self) -> None:
        """Free an element that a vector has not."""
        self._vector(0, 1, 2, 3)

    def vector_element_used_after_free(self) -> None:
        """Free an element of a vector twice."""
        self._vector(2, 0, 2, 1)

    def transfer_context_reused(self) -> None:
        """Make a transfer context ready again while it is in use."""
        adapter, context = self._third(), DMA_TRANSFER_CONTEXT()
        ops = adapter.DmaOperations
        ops.InitializeDmaTransferContext(adapter, context)
        with self.it.nt.at_dispatch():
            ops.AllocateAdapterChannelEx(adapter, self.it.dev, context, 1)
            ops.InitializeDmaTransferContext(adapter, context)
            ops.FreeAdapterObject(adapter, 2)
        ops.PutDmaAdapter(adapter)

    def missing_sync_for_cpu(self) -> None:
        """Read what the device wrote before the list is put."""
        mdl = self.it.buffer()
        made = self.it.get(mdl)
        self.it.dev.write(made.Elements[0].Address, b"x" * 512)
        self.it.sim.cpu.read(mdl.virt, 512)
        self.it.put(made)

    def device_access_wrong_direction(self) -> None:
        """Let the device write what it may only read."""
        made = self.it.get(self.it.buffer(), True)
        self.it.dev.write(made.Elements[0].Address, b"x" * 512)
        self.it.put(made, True)

    def unmap_during_transfer(self) -> None:
        """Put a list before the device is done."""
        made = self.it.get(self.it.buffer())
        self.it.dev.start(made.Elements[0].Address, 512, DMA_FROM_DEVICE)
        self.it.put(made)


MISTAKES = tuple(
    name for name, value in vars(Planter).items()
    if not name.startswith("_") and callable(value)
)  # fmt: skip


def healthy(it: Driver, numbers: random.Random) -> None:
    """Do one transfer by the book, packet by packet or by a list."""
    length, write = 64 * numbers.randrange(1, 129), numbers.random() < 0.5
    mdl, data = it.buffer(length), numbers.randbytes(length)
    if write:
        it.sim.cpu.write(mdl.virt, data)
    it.nt.KeFlushIoBuffers(mdl, not write)
    numbers.choice((_by_list, _by_packets))(it, mdl, write, data)
    if not write:
        assert data == it.sim.cpu.read(mdl.virt, length)
    it.free(mdl)


def _by_list(it: Driver, mdl: MDL, write: bool, data: bytes) -> None:
    made = it.get(mdl, write)
    _move(it, [(e.Address, e.Length) for e in made.Elements], write, data)
    it.put(made, write)


def _by_packets(it: Driver, mdl: MDL, write: bool, data: bytes) -> None:
    count, at, pieces = mdl.length // PAGE + 2, 0, []
    base = it.channel(count)
    while at < mdl.length:
        pieces.append(it.ops.MapTransfer(it.adapter, mdl, base, mdl.virt + at, mdl.length - at,
                                         write))  # fmt: skip
        at += pieces[-1][1]
    _move(it, pieces, write, data)
    it.flush(base, mdl, write)
    it.free_registers(base, count)


def _move(it: Driver, pieces: list[tuple[int, int]], write: bool, data: bytes) -> None:
    """Let the device do its part."""
    at = 0
    for address, count in pieces:
        if write:
            assert data[at : at + count] == it.dev.read(address, count)
        else:
            it.dev.write(address, data[at : at + count])
        at += count


def drive(sim: Simulation, numbers: random.Random, mistakes: list[str]) -> None:
    """Run a random Windows driver that makes these mistakes, among healthy transfers."""
    with driver(sim) as it:
        planter = Planter(it)
        steps: list[Callable[[], None]] = [getattr(planter, name) for name in mistakes]
        steps += [lambda: healthy(it, numbers)] * numbers.randrange(6)
        numbers.shuffle(steps)
        for step in steps:
            step()
