"""The calls that a Windows driver makes."""

from typing import Any

from dmaverify.errors import SimError
from dmaverify.model.kinds import Arg, Direction, EventKind, Flag
from dmaverify.model.routines import Routine, routine_name
from dmaverify.sim.device import Device
from dmaverify.sim.effects import Effect, EffectKind
from dmaverify.sim.faults import Injector
from dmaverify.sim.machine import Machine
from dmaverify.sim.memory import PAGE, PAGE_SHIFT
from dmaverify.sim.stop import driver_place
from dmaverify.sim.window import Window
from dmaverify.sim.windows.adapter import DMA_ADAPTER, Mapping
from dmaverify.sim.windows.mdl import MDL, MemoryManager
from dmaverify.sim.windows.names import (
    DEVICE_DESCRIPTION,
    DEVICE_DESCRIPTION_VERSION2,
    DEVICE_DESCRIPTION_VERSION3,
    DISPATCH_LEVEL,
    LOCK_OPERATION,
    PASSIVE_LEVEL,
)
from dmaverify.sim.windows.operations import DmaOperations
from dmaverify.sim.windows.operations3 import DmaOperations3
from dmaverify.sim.windows.requests import IRP, Requests

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
        self.requests = Requests(machine, self.mm)
        self.irql = PASSIVE_LEVEL
        self.registers_cut = 0
        self.partial = False
        self.adapters: list[DMA_ADAPTER] = []
        self.files = 0  # map register files made so far
        self.vectors = 0  # common-buffer vectors made so far
        self.shared: dict[int, Window] = {}  # logical address -> CreateCommonBufferFromMdl
        self.rebuilt: list[Mapping] = []
        self._told_irql = False
        self._tables = (
            DmaOperations(self, coherent=False), DmaOperations3(self, coherent=True),
        )  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        """Return a call of the memory manager: drivers know no such parts of the system."""
        if name.startswith(("Mm", "Ex", "IoAllocateMdl", "IoFreeMdl", "user_")):
            return getattr(self.mm, name)
        raise AttributeError(f"Windows has no {name} here")

    # The driver's life

    def AddDevice(self, device: Device) -> None:
        """Begin a driver's life with a device, as the plug and play manager does."""
        self.machine.cpu.device = device.number
        if not self._told_irql:
            self._told_irql = True
            self.machine.tape.add(K.IRQL, 0, object=self.irql)
        self.machine.tape.add(K.DRIVER_PROBE, device=device.number)
        self.machine.tape.add(K.DRIVER_BOUND, device=device.number)

    def RemoveDevice(self, device: Device) -> None:
        """End it: the driver has handled IRP_MN_REMOVE_DEVICE, or failed to start."""
        self.machine.tape.add(K.DRIVER_UNBOUND, device=device.number)

    def request(self, buffer: int, length: int,
                operation: int = LOCK_OPERATION.IoModifyAccess) -> IRP:  # fmt: skip
        """Return a request with its caller's locked buffer, as the I/O manager hands it over."""
        return self.requests.request(buffer, length, operation)

    def IoCompleteRequest(self, Irp: IRP, PriorityBoost: int = 0) -> None:
        """Complete a request. IRQL <= DISPATCH_LEVEL. Its buffer is unlocked then.

        All that was mapped of it has to be flushed before.
        Source: Windows driver documentation, IoCompleteRequest; FlushAdapterBuffers, "Remarks".
        """
        self.requests.complete(Irp)

    # Adapters

    def IoGetDmaAdapter(
        self, PhysicalDeviceObject: Device, DeviceDescription: DEVICE_DESCRIPTION
    ) -> tuple[DMA_ADAPTER | None, int]:
        """Return (adapter, most map registers of one transfer); (None, 0) where there is none.

        IRQL PASSIVE_LEVEL; in AddDevice or at IRP_MN_START_DEVICE. The count may be lower than
        what MaximumLength needs. The driver owns it until PutDmaAdapter.
        Source: Windows driver documentation, IoGetDmaAdapter.
        """
        routine = Routine.IO_GET_DMA_ADAPTER
        self._call(routine, PhysicalDeviceObject)
        return self._get_adapter(routine, PhysicalDeviceObject, DeviceDescription)

    def HalGetAdapter(
        self, PhysicalDeviceObject: Device, DeviceDescription: DEVICE_DESCRIPTION
    ) -> tuple[DMA_ADAPTER | None, int]:
        """Return what IoGetDmaAdapter returns: this call is obsolete. IRQL PASSIVE_LEVEL.

        A real one is told no device. Here it is: the machine has to know whose adapter it is.
        Source: Windows driver documentation, bug check 0xE6, parameter 0x1E.
        """
        routine = Routine.HAL_GET_ADAPTER
        self._call(routine, PhysicalDeviceObject)
        return self._get_adapter(routine, PhysicalDeviceObject, DeviceDescription)

    def _call(self, routine: Routine, device: Device) -> None:
        """Record a call for an adapter, by the number that it will have."""
        self.machine.tape.add(K.DMA_CALL, 0, device=device.number, object=len(self.adapters) + 1,
                              args={Arg.ROUTINE: routine})  # fmt: skip

    def _get_adapter(
        self, routine: Routine, device: Device, description: DEVICE_DESCRIPTION
    ) -> tuple[DMA_ADAPTER | None, int]:
        known = 0 <= description.Version <= DEVICE_DESCRIPTION_VERSION3
        if not known or self.injector.fails(routine_name(routine)):
            self._told_adapter(routine, device, description, None)
            return None, 0
        self.machine.bus.masks[device.number] = _reach(description)
        wished = min(description.MaximumLength // PAGE + 2, REGISTERS_MOST)
        registers = self._cut(wished)
        third = description.Version == DEVICE_DESCRIPTION_VERSION3
        adapter = DMA_ADAPTER(len(self.adapters) + 1, device, description, registers,
                              self._tables[third], driver_place())  # fmt: skip
        self.adapters.append(adapter)
        self._told_adapter(routine, device, description, adapter)
        return adapter, registers

    def _told_adapter(self, routine: Routine, device: Device, description: DEVICE_DESCRIPTION,
                      adapter: DMA_ADAPTER | None) -> None:  # fmt: skip
        args = {Arg.ROUTINE: int(routine), Arg.VERSION: description.Version & 0xFFFF_FFFF,
                Arg.ALIGNMENT: self.alignment, Arg.WIDTH: _width(description)}  # fmt: skip
        if adapter is not None:
            args[Arg.GRANTED] = adapter.registers
        self.machine.tape.add(
            K.ADAPTER_GET, 0, device=device.number, object=adapter.number if adapter else 0,
            length=description.MaximumLength, flags=0 if adapter else Flag.FAILED, args=args,
        )  # fmt: skip

    @property
    def alignment(self) -> int:
        """Return what start and length of a DMA buffer have to be multiples of."""
        platform = self.machine.platform
        return 1 if platform.coherent else platform.line_bytes

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
        self.flush_caches(Mdl, ReadOperation, Routine.KE_FLUSH_IO_BUFFERS)

    def flush_caches(self, mdl: MDL, read: bool, routine: int) -> None:
        """Hand the bytes of one MDL to a device, and record it.

        Args:
            mdl: whose bytes.
            read: whether the device is about to write them.
            routine: what was called.
        """
        cache, runs = self.machine.cache, self.mm.runs(mdl, 0, mdl.length)
        self.machine.tape.add(
            K.IO_FLUSH, 0, object=mdl.number, virt_addr=mdl.virt, length=mdl.length,
            direction=Direction.FROM_DEVICE if read else Direction.TO_DEVICE,
            phys_addr=runs[0][0], sg_phys=[pfn << PAGE_SHIFT for pfn in mdl.pages],
            args={Arg.ROUTINE: routine},
        )  # fmt: skip
        if cache is None:
            return
        for phys, length in runs:
            cache.clean(phys, length)
            if read:
                cache.invalidate(phys, length)
                cache.prefetch(phys, length)  # as a CPU may, at any time

    # IRQL

    def KeRaiseIrql(self, NewIrql: int) -> int:
        """Raise the level, and return the one before, which KeLowerIrql is owed.

        Source: Windows driver documentation, KeRaiseIrql.

        Raises:
            SimError: the new level is lower: on a real machine the system stops here.
        """
        if NewIrql < self.irql:
            raise SimError(f"KeRaiseIrql from {self.irql} down to {NewIrql}")
        before = self.irql
        self.set_irql(NewIrql)
        return before

    def KeLowerIrql(self, NewIrql: int) -> None:
        """Go back to a level that KeRaiseIrql returned.

        Source: Windows driver documentation, KeLowerIrql.

        Raises:
            SimError: the level is higher: on a real machine the system stops here.
        """
        if NewIrql > self.irql:
            raise SimError(f"KeLowerIrql from {self.irql} up to {NewIrql}")
        self.set_irql(NewIrql)

    def set_irql(self, level: int) -> None:
        """Let the processor run at another level, and record it where it is another one."""
        if level != self.irql or not self._told_irql:
            self.irql, self._told_irql = level, True
            self.machine.tape.add(K.IRQL, 0, object=level)

    def at_dispatch(self) -> "AtDispatch":
        """Return a context in which the level is DISPATCH_LEVEL: a DPC, or a spin lock held."""
        return AtDispatch(self)

    # What the verifier looks at

    def told_guards(self, offsets: list[int], what: str) -> None:
        """Note guard bytes that were overwritten."""
        for at in offsets:
            self._told(f"the guard of {what} was overwritten at offset {at}")

    def _told(self, text: str) -> None:
        self.machine.effects.add(
            Effect(EffectKind.GUARD, self.machine.tape.records, driver_place(), text)
        )

    def verify(self) -> None:
        """Look at all guards now: of free bounce buffers and of common buffers in use."""
        for phys in self.machine.bus.bounce.check_free():
            self._told(f"the guard of a free bounce buffer was overwritten at physical {phys:#x}")
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
        self._s.set_irql(self._before)


def _width(description: DEVICE_DESCRIPTION) -> int:
    """Return the address width that a description names, bits."""
    if description.Version >= DEVICE_DESCRIPTION_VERSION3:
        return description.DmaAddressWidth
    if description.Dma64BitAddresses:
        return 64
    wide = description.Dma32BitAddresses or description.Version <= DEVICE_DESCRIPTION_VERSION2
    return 32 if wide else 24


def _reach(description: DEVICE_DESCRIPTION) -> int:
    """Return the highest logical address that a device can form, as its description says."""
    return (1 << min(_width(description) or 64, 64)) - 1
