"""Constants and structures of the WDK's headers, as far as DMA needs them.

Source: Windows driver documentation, wdm.h reference pages of the same names.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

# NTSTATUS values (ntstatus.h).
STATUS_SUCCESS = 0x0000_0000
STATUS_UNSUCCESSFUL = 0xC000_0001
STATUS_INVALID_PARAMETER = 0xC000_000D
STATUS_BUFFER_TOO_SMALL = 0xC000_0023
STATUS_INSUFFICIENT_RESOURCES = 0xC000_009A
STATUS_NOT_SUPPORTED = 0xC000_00BB
STATUS_NONE_MAPPED = 0xC000_0073

# IRQL levels (wdm.h), x64.
PASSIVE_LEVEL, APC_LEVEL, DISPATCH_LEVEL = 0, 1, 2

# DEVICE_DESCRIPTION.Version.
DEVICE_DESCRIPTION_VERSION = 0
DEVICE_DESCRIPTION_VERSION1 = 1
DEVICE_DESCRIPTION_VERSION2 = 2
DEVICE_DESCRIPTION_VERSION3 = 3

# MDL flags (wdm.h).
MDL_MAPPED_TO_SYSTEM_VA = 0x0001
MDL_PAGES_LOCKED = 0x0002
MDL_SOURCE_IS_NONPAGED_POOL = 0x0004

DMA_SYNCHRONOUS_CALLBACK = 0x1  # flag of the Ex routines


class IO_ALLOCATION_ACTION(IntEnum):
    """What an AdapterControl routine wants kept."""

    KeepObject = 1
    DeallocateObject = 2
    DeallocateObjectKeepRegisters = 3


class LOCK_OPERATION(IntEnum):
    """The access for which pages are locked."""

    IoReadAccess = 0
    IoWriteAccess = 1
    IoModifyAccess = 2


class KPROCESSOR_MODE(IntEnum):
    """Whose address it is."""

    KernelMode = 0
    UserMode = 1


class MEMORY_CACHING_TYPE(IntEnum):
    """How the CPU reaches memory."""

    MmNonCached = 0
    MmCached = 1
    MmWriteCombined = 2


class INTERFACE_TYPE(IntEnum):
    """A bus."""

    InterfaceTypeUndefined = -1
    Internal = 0
    Isa = 1
    PCIBus = 5


@dataclass(slots=True)
class DEVICE_DESCRIPTION:
    """What a driver says about its device; a fresh one is zeroed, as the contract wants it."""

    Version: int = 0
    Master: bool = False
    ScatterGather: bool = False
    DemandMode: bool = False
    AutoInitialize: bool = False
    Dma32BitAddresses: bool = False
    IgnoreCount: bool = False
    Reserved1: bool = False
    Dma64BitAddresses: bool = False
    BusNumber: int = 0
    DmaChannel: int = 0
    InterfaceType: int = INTERFACE_TYPE.PCIBus
    DmaWidth: int = 0
    DmaSpeed: int = 0
    MaximumLength: int = 0
    DmaPort: int = 0
    DmaAddressWidth: int = 0
    DmaControllerInstance: int = 0
    DmaRequestLine: int = 0
    DeviceAddress: int = 0


class SCATTER_GATHER_ELEMENT(NamedTuple):
    """One piece of a list: a logical address, whatever its documentation calls it."""

    Address: int
    Length: int


@dataclass(slots=True, eq=False)
class SCATTER_GATHER_LIST:
    """A list that the system made; `file` is the map registers behind it, not the driver's."""

    Elements: list[SCATTER_GATHER_ELEMENT] = field(default_factory=list)
    file: Any = None

    @property
    def NumberOfElements(self) -> int:
        """Return how many elements it has."""
        return len(self.Elements)
