"""The routines of Windows' DMA interface: their numbers, and the IRQL that each may be called at.

Source: Windows driver documentation, wdm.h reference: DMA_OPERATIONS, and the page of each
routine, "IRQL" and "Remarks"; DDI compliance rules IrqlDispatch and IrqlIoPassive5.
"""

from enum import IntEnum

from dmaverify.model.kinds import Arg


class Routine(IntEnum):
    """Which routine was called. Names are the WDK's, in lower case with underscores."""

    IO_GET_DMA_ADAPTER = 1
    HAL_GET_ADAPTER = 2  # obsolete
    PUT_DMA_ADAPTER = 3
    ALLOCATE_COMMON_BUFFER = 4
    FREE_COMMON_BUFFER = 5
    ALLOCATE_ADAPTER_CHANNEL = 6
    FLUSH_ADAPTER_BUFFERS = 7
    FREE_ADAPTER_CHANNEL = 8
    FREE_MAP_REGISTERS = 9
    MAP_TRANSFER = 10
    GET_DMA_ALIGNMENT = 11
    READ_DMA_COUNTER = 12
    GET_SCATTER_GATHER_LIST = 13
    PUT_SCATTER_GATHER_LIST = 14
    CALCULATE_SCATTER_GATHER_LIST = 15
    BUILD_SCATTER_GATHER_LIST = 16
    BUILD_MDL_FROM_SCATTER_GATHER_LIST = 17
    GET_DMA_ADAPTER_INFO = 18
    GET_DMA_TRANSFER_INFO = 19
    INITIALIZE_DMA_TRANSFER_CONTEXT = 20
    ALLOCATE_COMMON_BUFFER_EX = 21
    ALLOCATE_ADAPTER_CHANNEL_EX = 22
    CONFIGURE_ADAPTER_CHANNEL = 23
    CANCEL_ADAPTER_CHANNEL = 24
    MAP_TRANSFER_EX = 25
    GET_SCATTER_GATHER_LIST_EX = 26
    BUILD_SCATTER_GATHER_LIST_EX = 27
    FLUSH_ADAPTER_BUFFERS_EX = 28
    FREE_ADAPTER_OBJECT = 29
    CANCEL_MAPPED_TRANSFER = 30
    ALLOCATE_COMMON_BUFFER_WITH_BOUNDS = 31
    ALLOCATE_COMMON_BUFFER_VECTOR = 32
    GET_COMMON_BUFFER_FROM_VECTOR_BY_INDEX = 33
    FREE_COMMON_BUFFER_FROM_VECTOR = 34
    FREE_COMMON_BUFFER_VECTOR = 35
    CREATE_COMMON_BUFFER_FROM_MDL = 36
    FLUSH_DMA_BUFFER = 37
    KE_FLUSH_IO_BUFFERS = 38
    MM_PROBE_AND_LOCK_PAGES = 39
    MM_BUILD_MDL_FOR_NONPAGED_POOL = 40
    MM_GET_PHYSICAL_ADDRESS = 41
    MM_GET_MDL_PFN_ARRAY = 42
    MM_MAP_LOCKED_PAGES_SPECIFY_CACHE = 43
    MM_ALLOCATE_PAGES_FOR_MDL = 44
    ALLOCATE_DOMAIN_COMMON_BUFFER = 45
    JOIN_DMA_DOMAIN = 46
    LEAVE_DMA_DOMAIN = 47
    GET_DMA_DOMAIN = 48


_SPELLED = {"NONPAGED": "NonPaged"}
_NAMES = {
    int(routine): "".join(_SPELLED.get(w, w.capitalize()) for w in routine.name.split("_"))
    for routine in Routine
}


def routine_name(value: int) -> str:
    """Return a routine's name as the WDK writes it, `routine 99` for one that is not known."""
    return _NAMES.get(value) or f"routine {value}"


class ReleaseAction(IntEnum):
    """What an AdapterControl routine wants kept: IO_ALLOCATION_ACTION."""

    KEEP_OBJECT = 1  # channel and registers, until FreeAdapterChannel
    DEALLOCATE_OBJECT = 2  # nothing
    DEALLOCATE_OBJECT_KEEP_REGISTERS = 3  # the registers, until FreeMapRegisters


class CacheType(IntEnum):
    """How the CPU reaches memory: MEMORY_CACHING_TYPE."""

    NONCACHED = 0
    CACHED = 1
    WRITE_COMBINED = 2


def _words(members: type[IntEnum]) -> dict[int, str]:
    return {int(member): member.name.lower() for member in members}


#: Words for the values of arguments that are enumerations, in `.dmat` and in rules.
ARG_WORDS: dict[Arg, dict[int, str]] = {
    Arg.ROUTINE: _words(Routine), Arg.ACTION: _words(ReleaseAction), Arg.CACHE: _words(CacheType),
}  # fmt: skip

PASSIVE, APC, DISPATCH = 0, 1, 2  # IRQL levels that have the same number on every processor

_EXACTLY_PASSIVE, _EXACTLY_DISPATCH, _UP_TO_DISPATCH = (
    (PASSIVE, PASSIVE), (DISPATCH, DISPATCH), (PASSIVE, DISPATCH)
)  # fmt: skip
R = Routine

#: Lowest and highest IRQL at which a routine may be called. One that is not here has no stated
#: IRQL (FlushDmaBuffer, the common-buffer vectors), may be called at any, or is obsolete.
IRQL_BOUNDS: dict[Routine, tuple[int, int]] = {
    R.IO_GET_DMA_ADAPTER: _EXACTLY_PASSIVE,
    R.PUT_DMA_ADAPTER: _UP_TO_DISPATCH,
    R.ALLOCATE_COMMON_BUFFER: _EXACTLY_PASSIVE,
    R.FREE_COMMON_BUFFER: _EXACTLY_PASSIVE,
    R.ALLOCATE_ADAPTER_CHANNEL: _EXACTLY_DISPATCH,
    R.FLUSH_ADAPTER_BUFFERS: _UP_TO_DISPATCH,
    R.FREE_ADAPTER_CHANNEL: _EXACTLY_DISPATCH,
    R.FREE_MAP_REGISTERS: _EXACTLY_DISPATCH,
    R.MAP_TRANSFER: _UP_TO_DISPATCH,
    R.GET_DMA_ALIGNMENT: _EXACTLY_PASSIVE,
    R.READ_DMA_COUNTER: _UP_TO_DISPATCH,
    R.GET_SCATTER_GATHER_LIST: _EXACTLY_DISPATCH,
    R.PUT_SCATTER_GATHER_LIST: _EXACTLY_DISPATCH,
    R.BUILD_SCATTER_GATHER_LIST: _EXACTLY_DISPATCH,
    R.BUILD_MDL_FROM_SCATTER_GATHER_LIST: _UP_TO_DISPATCH,
    R.GET_DMA_ADAPTER_INFO: _UP_TO_DISPATCH,
    R.GET_DMA_TRANSFER_INFO: _UP_TO_DISPATCH,
    R.INITIALIZE_DMA_TRANSFER_CONTEXT: _UP_TO_DISPATCH,
    R.ALLOCATE_COMMON_BUFFER_EX: _EXACTLY_PASSIVE,
    R.ALLOCATE_ADAPTER_CHANNEL_EX: _EXACTLY_DISPATCH,
    R.CONFIGURE_ADAPTER_CHANNEL: _UP_TO_DISPATCH,
    R.CANCEL_ADAPTER_CHANNEL: _UP_TO_DISPATCH,
    R.MAP_TRANSFER_EX: _UP_TO_DISPATCH,
    R.GET_SCATTER_GATHER_LIST_EX: _UP_TO_DISPATCH,
    R.BUILD_SCATTER_GATHER_LIST_EX: _EXACTLY_DISPATCH,
    R.FLUSH_ADAPTER_BUFFERS_EX: _UP_TO_DISPATCH,
    R.FREE_ADAPTER_OBJECT: _UP_TO_DISPATCH,
    R.CANCEL_MAPPED_TRANSFER: _UP_TO_DISPATCH,
    R.ALLOCATE_COMMON_BUFFER_WITH_BOUNDS: _EXACTLY_PASSIVE,
    R.CREATE_COMMON_BUFFER_FROM_MDL: _EXACTLY_PASSIVE,
    R.ALLOCATE_DOMAIN_COMMON_BUFFER: _EXACTLY_PASSIVE,
    R.JOIN_DMA_DOMAIN: _EXACTLY_PASSIVE,
    R.LEAVE_DMA_DOMAIN: _EXACTLY_PASSIVE,
    R.GET_DMA_DOMAIN: _EXACTLY_PASSIVE,
    R.KE_FLUSH_IO_BUFFERS: _UP_TO_DISPATCH,
    R.MM_PROBE_AND_LOCK_PAGES: _UP_TO_DISPATCH,
    R.MM_BUILD_MDL_FOR_NONPAGED_POOL: _UP_TO_DISPATCH,
}
