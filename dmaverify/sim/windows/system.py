"""The calls that a Windows driver makes."""

from typing import Any

from dmaverify.errors import SimError
from dmaverify.model.kinds import EventKind
from dmaverify.sim.device import Device
from dmaverify.sim.effects import Effect, EffectKind
from dmaverify.sim.faults import Injector
from dmaverify.sim.machine import Machine
from dmaverify.sim.memory import PAGE
from dmaverify.sim.stop import driver_place
from dmaverify.sim.window import Window
from dmaverify.sim.windows.adapter import DMA_ADAPTER, Mapping
from dmaverify.sim.windows.mdl import MDL, MemoryManager
from dmaverify.sim.windows.names import (
    DEVICE_DESCRIPTION,
    DEVICE_DESCRIPTION_VERSION2,
    DEVICE_DESCRIPTION_VERSION3,
    DISPATCH_LEVEL,
    PASSIVE_LEVEL,
)
from dmaverify.sim.windows.operations import DmaOperations
from dmaverify.sim.windows.operations3 import DmaOperations3

K = EventKind
REGISTERS_MOST = 4096  # map registers of one adapter


class Windows:
    """The system.

    Args:
        machine: where it runs.
        injector: what decides which call fails.

    Attributes:
        mm: the memory manager's calls; each can be called on the system itself too.
        irql: the level at which the processor runs.
        registers_cut: how the count of map registers is cut down on purpose: 0 for not at
            all, 1 or 2 for so many, -2 for half of what was asked for.
        partial: whether MapTransferEx maps less than it is asked for, on purpose.
    """

    def __init__(self, machine: Machine, injector: Injector) -> None:
        self.machine = machine
        self.injector = injector
        self.mm = MemoryManager(machine, injector)
        self.irql = PASSIVE_LEVEL
        self.registers_cut = 0
        self.partial = False
        self.adapters: list[DMA_ADAPTER] = []
        self.files = 0  # map register files made so far
        self.shared: dict[int, Window] = {}  # logical address -> CreateCommonBufferFromMdl
        self.rebuilt: list[Mapping] = []
        self._tables = (
            DmaOperations(self, coherent=False), DmaOperations3(self, coherent=True),
        )  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        """Return a call of the memory manager: drivers know no such parts of the system."""
        if name.startswith(("Mm", "Ex", "Io", "user_")):
            return getattr(self.mm, name)
        raise AttributeError(f"Windows has no {name} here")

    # The driver's life

    def AddDevice(self, device: Device) -> None:
        """Begin a driver's life with a device, as the plug and play manager does."""
        self.machine.cpu.device = device.number
        self.machine.tape.add(K.DRIVER_PROBE, device=device.number)
        self.machine.tape.add(K.DRIVER_BOUND, device=device.number)

    def RemoveDevice(self, device: Device) -> None:
        """End it: the driver has handled IRP_MN_REMOVE_DEVICE, or failed to start."""
        self.machine.tape.add(K.DRIVER_UNBOUND, device=device.number)

    # Adapters

    def IoGetDmaAdapter(
        self, PhysicalDeviceObject: Device, DeviceDescription: DEVICE_DESCRIPTION
    ) -> tuple[DMA_ADAPTER | None, int]:
        """Return (adapter, most map registers of one transfer); (None, 0) where there is none.

        IRQL PASSIVE_LEVEL; in AddDevice or at IRP_MN_START_DEVICE. The count may be lower than
        what MaximumLength needs. The driver owns it until PutDmaAdapter.
        Source: Windows driver documentation, IoGetDmaAdapter.
        """
        description = DeviceDescription
        if not 0 <= description.Version <= DEVICE_DESCRIPTION_VERSION3:
            return None, 0
        if self.injector.fails("IoGetDmaAdapter"):
            return None, 0
        device = PhysicalDeviceObject
        self.machine.bus.masks[device.number] = _reach(description)
        wished = min(description.MaximumLength // PAGE + 2, REGISTERS_MOST)
        registers = self._cut(wished)
        third = description.Version == DEVICE_DESCRIPTION_VERSION3
        adapter = DMA_ADAPTER(len(self.adapters) + 1, device, description, registers,
                              self._tables[third], driver_place(2))  # fmt: skip
        self.adapters.append(adapter)
        return adapter, registers

    def _cut(self, wished: int) -> int:
        if self.registers_cut < 0:
            return max(1, wished // -self.registers_cut)
        return min(wished, self.registers_cut) if self.registers_cut else wished

    def KeFlushIoBuffers(self, Mdl: MDL, ReadOperation: bool, DmaOperation: bool = True) -> None:
        """Look after caches before a transfer: versions 1 and 2 need it, version 3 does not.

        IRQL <= DISPATCH_LEVEL. Does nothing where caches are coherent.
        Source: Windows driver documentation, KeFlushIoBuffers, and "Flushing Cached Data during
        DMA Operations".
        """
        cache = self.machine.cache
        if cache is None:
            return
        for phys, length in self.mm.runs(Mdl, 0, Mdl.length):
            cache.clean(phys, length)
            if ReadOperation:
                cache.invalidate(phys, length)
                cache.prefetch(phys, length)  # as a CPU may, at any time

    # IRQL

    def KeRaiseIrql(self, NewIrql: int) -> int:
        """Raise the level, and return the one before.

        Raises:
            SimError: the new level is lower: on a real machine the system stops here.
        """
        if NewIrql < self.irql:
            raise SimError(f"KeRaiseIrql from {self.irql} down to {NewIrql}")
        before, self.irql = self.irql, NewIrql
        return before

    def KeLowerIrql(self, NewIrql: int) -> None:
        """Go back to a level that KeRaiseIrql returned."""
        if NewIrql > self.irql:
            raise SimError(f"KeLowerIrql from {self.irql} up to {NewIrql}")
        self.irql = NewIrql

    def at_dispatch(self) -> "AtDispatch":
        """Return a context in which the level is DISPATCH_LEVEL: a DPC, or a spin lock held."""
        return AtDispatch(self)

    # What the verifier looks at

    def told_guards(self, offsets: list[int], what: str) -> None:
        """Note guard bytes that were overwritten."""
        for at in offsets:
            self.machine.effects.add(Effect(
                EffectKind.GUARD, self.machine.tape.records, driver_place(3),
                f"the guard of {what} was overwritten at offset {at}",
            ))  # fmt: skip

    def verify(self) -> None:
        """Look at all guards now: of free bounce buffers and of common buffers in use."""
        for phys in self.machine.bus.bounce.check_free():
            self.told_guards([phys], "a free bounce buffer")
        for adapter in self.adapters:
            for buffer in adapter.buffers.values():
                self.told_guards(self.machine.common.damage(buffer), "a common buffer")

    def listing(self) -> str:
        """Return what `!dma` shows of all adapters, and what each was called for."""
        return "\n".join(adapter.listing() for adapter in self.adapters)


class AtDispatch:
    """Raises the level, and lowers it again.

    Args:
        system: whose level.
    """

    def __init__(self, system: Windows) -> None:
        self._s = system
        self._before = system.irql

    def __enter__(self) -> None:
        """Raise."""
        self._before = self._s.KeRaiseIrql(DISPATCH_LEVEL)

    def __exit__(self, *raised: object) -> None:
        """Lower."""
        self._s.irql = self._before


def _reach(description: DEVICE_DESCRIPTION) -> int:
    """Return the highest logical address that a device can form, as its description says."""
    if description.Version == DEVICE_DESCRIPTION_VERSION3:
        width = description.DmaAddressWidth or 64
    elif description.Dma64BitAddresses:
        width = 64
    elif description.Dma32BitAddresses or description.Version <= DEVICE_DESCRIPTION_VERSION2:
        width = 32
    else:
        width = 24
    return (1 << min(width, 64)) - 1
