"""The one table of the event model: kinds, fields, and what rules can ask.

From it are made: the rule language's schema, the `.dmat` keys, the reference page,
and the numbers by which compiled rules ask the engine for a value. A field is known
by (object, number); `ref` is `object << 8 | number`.
"""

from dmaverify.model.field import Field as Field
from dmaverify.model.field import Obj as Obj
from dmaverify.model.field import Type as Type
from dmaverify.model.hca_fields import (
    HCA_EVENT_FIELDS,
    HCA_KINDS,
    HCA_SENTENCES,
    ON_BUS,
    QP_FIELDS,
    RANGED,
    REGION_FIELDS,
    WORK_FIELDS,
)
from dmaverify.model.kinds import EventKind

#: Objects that are mappings and so have the mapping fields. All may be missing.
MAPPING_OBJECTS = {
    "mapping": Obj.MAPPING,
    "ghost": Obj.GHOST,
    "foreign": Obj.FOREIGN,
    "enclosing": Obj.ENCLOSING,
    "overlap": Obj.OVERLAP,
    "neighbour": Obj.NEIGHBOUR,
}

#: Objects that an event names by a number of its own. All may be missing.
NAMED_OBJECTS = {"adapter": Obj.ADAPTER, "file": Obj.FILE, "mdl": Obj.MDL}

#: Objects of an HCA, each with the fields of its kind. All may be missing.
HCA_OBJECTS = {
    "region": Obj.REGION,
    "ended_region": Obj.ENDED_REGION,
    "queue_pair": Obj.QP,
    "work": Obj.WORK,
}

K = EventKind
_CALLS = frozenset(
    {K.DMA_MAP, K.DMA_UNMAP, K.DMA_SYNC_FOR_CPU, K.DMA_SYNC_FOR_DEVICE, K.DMA_ALLOC, K.DMA_FREE}
)
_MAPS = frozenset({K.DMA_MAP, K.DMA_ALLOC})
_ENDS = frozenset({K.DMA_UNMAP, K.DMA_FREE})
_SYNCS = frozenset({K.DMA_SYNC_FOR_CPU, K.DMA_SYNC_FOR_DEVICE})
_IOMMU = frozenset({K.IOMMU_MAP, K.IOMMU_UNMAP})
_LEFT = frozenset({K.LEFT_MAPPED})
_CPU = frozenset({K.CPU_READ, K.CPU_WRITE})
_DEV = frozenset({K.DEV_READ, K.DEV_WRITE, K.DEV_ACCESS, K.DEV_START})
_COMMANDS = frozenset({K.COMMAND_BEGIN, K.COMMAND_ARRIVED, K.COMMAND_DONE})
_WRITE = frozenset({K.DEV_WRITE})
_BACK = frozenset({K.DMA_UNMAP, K.DMA_SYNC_FOR_CPU})
_REACH = _DEV | {K.DEV_FAULT}
_DEVICE = _CALLS | _LEFT | _CPU | _DEV | {
    K.MEMORY, K.CLOCK_SYNC,
    K.IOMMU_ATTACH, K.DEV_FAULT, K.BOUNCE, K.DRIVER_PROBE, K.DRIVER_BOUND, K.DRIVER_UNBOUND,
    K.DEVICE_LIMITS, K.DMA_CALL, K.ADAPTER_GET, K.ADAPTER_PUT, K.CHANNEL_ALLOCATE,
    K.CHANNEL_GRANTED, K.CHANNEL_ACTION, K.CHANNEL_FREE, K.CHANNEL_CANCEL, K.IO_FLUSH,
    K.REQUEST_COMPLETE, K.DMA_CANCEL,
}  # fmt: skip
#: What names objects of Windows, or has named numbers: these and a driver's end.
_CHANNEL = frozenset(
    {K.CHANNEL_ALLOCATE, K.CHANNEL_GRANTED, K.CHANNEL_ACTION, K.CHANNEL_FREE, K.CHANNEL_CANCEL}
)
_MDL = frozenset({K.MDL_LOCK, K.MDL_UNLOCK, K.MDL_FREE, K.MDL_MAP, K.MDL_UNMAP, K.IO_FLUSH})
_NAMING = _MAPS | _ENDS | _CHANNEL | _MDL | {
    K.DMA_CALL, K.ADAPTER_GET, K.ADAPTER_PUT, K.PHYS_QUERY, K.REQUEST_COMPLETE, K.DMA_CANCEL,
    K.DRIVER_UNBOUND,
}  # fmt: skip
#: What the number of an object that a kind is about is called.
OBJECT_NAMES = {
    **dict.fromkeys((K.DMA_CALL, K.ADAPTER_GET, K.ADAPTER_PUT, K.DMA_CANCEL), "adapter"),
    **dict.fromkeys(_CHANNEL, "file"), **dict.fromkeys(_MDL, "mdl"),
    K.IRQL: "level", K.REQUEST_COMPLETE: "request",
}  # fmt: skip
_ALL: frozenset[EventKind] = frozenset()


def _ev(
    number: int, name: str, type_: Type, sentence: str, kinds: frozenset[EventKind] = _ALL,
    optional: bool = False, space: str = "", stored: bool = False,
) -> Field:  # fmt: skip
    return Field(Obj.EVENT, number, name, type_, optional, kinds, space, sentence, stored)


def _map(number: int, name: str, type_: Type, sentence: str, optional: bool = False,
         space: str = "") -> Field:  # fmt: skip
    return Field(Obj.MAPPING, number, name, type_, optional, _ALL, space, sentence)


def _dev(number: int, name: str, type_: Type, sentence: str, optional: bool = False) -> Field:
    return Field(Obj.DEVICE, number, name, type_, optional, _ALL, "", sentence)


def _trace(number: int, name: str, type_: Type, sentence: str) -> Field:
    return Field(Obj.TRACE, number, name, type_, False, _ALL, "", sentence)


T = Type

_DMA_FIELDS = (
    _ev(1, "bus_addr", T.ADDR, "first bus address: what the device is given",
        _CALLS | _IOMMU | _LEFT | _DEV | ON_BUS | {K.DEV_FAULT}, True, "bus", True),
    _ev(2, "phys_addr", T.ADDR,
        "first physical address of the memory behind it; of a fault the guest's, where the second "
        "of two translations refused it",
        _CALLS | _LEFT | _CPU | _MDL
        | {K.IOMMU_MAP, K.BOUNCE, K.MEMORY, K.MEMORY_FREE, K.PHYS_QUERY, K.DEV_FAULT}, True,
        "physical", True),
    _ev(3, "length", T.SIZE, "bytes; the sum over a list",
        _CALLS | _IOMMU | _LEFT | _CPU | _DEV | _MDL | RANGED
        | {K.DEV_FAULT, K.BOUNCE, K.MEMORY, K.MEMORY_FREE, K.DMA_CALL, K.ADAPTER_GET,
           K.PHYS_QUERY}, True, "", True),
    _ev(4, "direction", T.DIRECTION, "which way data may move",
        _CALLS | _LEFT | _DEV | {K.DEV_FAULT, K.MDL_LOCK, K.IO_FLUSH}, True, "", True),
    _ev(5, "type", T.MAP_TYPE, "family of the call", _CALLS | _LEFT, False, "", True),
    _ev(6, "time", T.TIME, "moment by the trace clock", _ALL, True),
    _ev(7, "cpu", T.INT, "CPU that logged the event"),
    _ev(8, "count", T.INT, "entries in the list that the caller passed, in full; 1 without a list",
        _CALLS | _LEFT),
    _ev(9, "longest_segment", T.SIZE, "bytes of the longest segment of the list", _MAPS, True),
    _ev(10, "virt_addr", T.TOKEN, "CPU pointer, or its hash",
        frozenset({K.DMA_ALLOC, K.DMA_FREE, K.MEMORY, K.PHYS_QUERY}) | _CPU | _MDL | {K.DMA_MAP},
        True, "virtual", True),
    _ev(11, "failed", T.BOOL, "the call failed, or names the error address",
        _CALLS | _REACH | {K.ADAPTER_GET, K.CHANNEL_ALLOCATE}, False, "", True),
    _ev(12, "null", T.BOOL, "the CPU pointer is NULL: nothing is meant", _ENDS | {K.DMA_ALLOC}),
    _ev(13, "truncated", T.BOOL, "the list has more entries than the event stores", _CALLS),
    _ev(14, "skip_sync", T.BOOL, "attribute: the caller does the syncs itself",
        _MAPS | _ENDS, False, "", True),
    _ev(15, "mmio", T.BOOL, "attribute: the memory is another device's registers",
        _MAPS | _ENDS, False, "", True),
    _ev(16, "room", T.SIZE, "bytes from the bus address to the top of the 64-bit space",
        _CALLS | _IOMMU, True),
    _ev(17, "unmapped", T.SIZE, "bytes that the IOMMU really took away",
        frozenset({K.IOMMU_UNMAP}), False, "", True),
    _ev(18, "dma_mask", T.ADDR, "highest bus address that the device reaches",
        frozenset({K.BOUNCE, K.DEVICE_LIMITS}), False, "bus", True),
    _ev(19, "may_predate", T.BOOL,
        "the mapping meant may have been made before the recording began", _ENDS | _SYNCS | _REACH),
    _ev(20, "crossing", T.ADDR,
        "address bits in which a segment's first and last byte differ, or-ed over the list",
        _MAPS),
    _ev(21, "overlaps", T.INT, "live mappings that share bytes of memory with this one", _MAPS),
    _ev(22, "matching_entries", T.INT,
        "leading entries of the list that equal those of the mapping", _ENDS | _SYNCS),
    _ev(23, "kind", T.KIND, "the kind of the event"),
    _ev(24, "task", T.TASK, "task that logged the event"),
    _ev(25, "past_end", T.SIZE, "bytes of the range past the end of the mapping",
        _SYNCS | _ENDS | _DEV),
    _ev(26, "into", T.SIZE, "distance of the address from the start of the enclosing mapping",
        _SYNCS | _ENDS | _DEV),
    _ev(27, "max_segment", T.SIZE, "longest segment that the device takes",
        frozenset({K.DEVICE_LIMITS}), True, "", True),
    _ev(28, "boundary", T.ADDR, "mask of the boundary that a segment must not cross",
        frozenset({K.DEVICE_LIMITS}), True, "bus", True),
    _ev(29, "candidates", T.INT, "live mappings that the event could mean",
        _ENDS | _SYNCS | _REACH),
    _ev(30, "failures", T.INT, "mappings of the device that failed so far", _CALLS),
    _ev(31, "memory", T.MEMORY, "kind of memory that it lies in",
        _MAPS | {K.MEMORY}, True, "", True),
    _ev(32, "stale_bytes", T.SIZE,
        "bytes of the range that the device wrote and nobody has handed to the CPU since", _CPU),
    _ev(33, "unsent_bytes", T.SIZE,
        "bytes of the range that the CPU wrote and nobody has handed to the device since", _DEV),
    _ev(34, "provenance", T.PROVENANCE, "where the bus address comes from", _REACH),
    _ev(35, "transfer", T.INT, "number of the transfer, 0 where there is none",
        _DEV, False, "", True),
    _ev(36, "dirty_line_bytes", T.SIZE,
        "bytes that the CPU wrote and nobody has handed over since, in the cache lines of the "
        "range: in the mapping and beside it", _WRITE),
    _ev(37, "lost_bytes", T.SIZE,
        "bytes that the CPU wrote and nobody has handed to the device since, which what comes "
        "from the device overwrites", _BACK),
    _ev(38, "neighbour_bytes", T.SIZE,
        "bytes that the CPU wrote beside the mapping, in a cache line that goes with the range",
        _WRITE | _BACK),
    _ev(39, "device_owned_bytes", T.SIZE,
        "bytes of the range that the device owns: mapped or synced for it, and not for the CPU",
        _CPU),
    _ev(40, "write_open", T.BOOL,
        "a transfer that writes bytes of the range has begun and not ended", _CPU | _SYNCS),
    _ev(41, "read_open", T.BOOL,
        "a transfer that reads bytes of the range has begun and not ended", _CPU | _SYNCS),
    _ev(42, "distance", T.SIZE,
        "from the end of the mapping that the address lies behind, or to the start of the one "
        "that it lies before", _REACH, True),
    _ev(43, "page_sharer", T.DEVICE,
        "another device with a live mapping in one of the pages of memory", _MAPS, True),
    _ev(44, "controller", T.INT, "number of the controller, as the driver counts them",
        _COMMANDS, False, "", True),
    _ev(45, "queue", T.INT, "number of the queue within the controller",
        _COMMANDS, False, "", True),
    _ev(46, "command", T.INT, "number of the command within the queue",
        _COMMANDS, False, "", True),
    _ev(47, "early_unmaps", T.INT,
        "mappings made for the command that ended before any completion could be its",
        frozenset({K.COMMAND_DONE})),
    _ev(48, "early_ago", T.DURATION, "time since the last of them ended",
        frozenset({K.COMMAND_DONE}), True),
    _ev(64, "routine", T.ROUTINE, "routine that was called", _NAMING, True, "", True),
    _ev(65, "registers", T.INT, "map registers asked for, or freed",
        _CHANNEL | _MAPS | {K.DMA_CALL}, True, "", True),
    _ev(66, "granted", T.INT,
        "map registers granted; of an adapter the most that one transfer may use; where some were "
        "refused, the longest run of free ones",
        _CHANNEL | _MAPS | {K.ADAPTER_GET}, True, "", True),
    _ev(67, "version", T.INT, "version of the device description, as it was passed",
        frozenset({K.ADAPTER_GET}), True, "", True),
    _ev(68, "width", T.INT, "address width of the device, bits",
        frozenset({K.ADAPTER_GET}), True, "", True),
    _ev(69, "offset", T.SIZE,
        "from the start of the MDL; a start before it is a number near the top",
        _MAPS | _ENDS, True, "", True),
    _ev(70, "mdl_length", T.SIZE, "bytes that the MDL chain describes",
        _MAPS | _ENDS | _MDL, True, "", True),
    _ev(71, "action", T.ACTION, "what is kept of a channel",
        frozenset({K.CHANNEL_ACTION, K.CHANNEL_FREE}), True, "", True),
    _ev(72, "cache", T.CACHE, "how the CPU reaches the memory",
        frozenset({K.DMA_ALLOC, K.DMA_FREE, K.MDL_MAP}), True, "", True),
    _ev(73, "alignment", T.SIZE, "what the adapter wants buffers aligned to",
        frozenset({K.ADAPTER_GET}), True, "", True),
    _ev(74, "index", T.INT, "element of a common-buffer vector",
        frozenset({K.DMA_ALLOC, K.DMA_FREE, K.DMA_CALL}), True, "", True),
    _ev(75, "level", T.INT, "interrupt request level", frozenset({K.IRQL}), False, "", True),
    _ev(76, "request", T.INT, "number of the request",
        frozenset({K.REQUEST_COMPLETE}), False, "", True),
    _ev(77, "irql", T.INT, "interrupt request level of the CPU, as it was told last",
        _NAMING, True),
    _ev(78, "lowest_irql", T.INT, "lowest level at which the routine may be called",
        _NAMING, True),
    _ev(79, "highest_irql", T.INT, "highest level at which the routine may be called",
        _NAMING, True),
    _ev(81, "beside_buffer", T.SIZE,
        "bytes of the range in the pages of a common buffer, and outside of the buffer", _CPU),
    _ev(82, "vector", T.INT, "number of the common-buffer vector",
        frozenset({K.DMA_ALLOC, K.DMA_FREE, K.DMA_CALL}), True, "", True),
    _ev(83, "elements", T.INT, "elements that the vector was made with",
        frozenset({K.DMA_CALL}), True, "", True),
    _ev(84, "elements_left", T.INT, "elements of the vector that were not freed",
        frozenset({K.DMA_CALL})),
    _ev(85, "element_there", T.BOOL, "the element of the vector that the call names is not freed",
        frozenset({K.DMA_CALL})),
    _ev(80, "null_adapter", T.BOOL, "NULL was passed for the adapter", _NAMING),
)  # fmt: skip

MAPPING_FIELDS = (
    _map(1, "bus_addr", T.ADDR, "first bus address", False, "bus"),
    _map(2, "phys_addr", T.ADDR, "first physical address", True, "physical"),
    _map(3, "length", T.SIZE, "bytes; the sum over the segments", True),
    _map(4, "direction", T.DIRECTION, "direction it was made with", True),
    _map(5, "type", T.MAP_TYPE, "family of the call that made it"),
    _map(6, "count", T.INT, "entries that the caller passed"),
    _map(7, "segments", T.INT, "segments that the device sees"),
    _map(8, "truncated", T.BOOL, "its list has more entries than were recorded"),
    _map(9, "virt_addr", T.TOKEN, "CPU pointer of the allocation, or its hash", True, "virtual"),
    _map(10, "age", T.DURATION, "time since it was made", True),
    _map(11, "device", T.DEVICE, "the device it was made for"),
    _map(12, "bounced", T.BOOL, "it lies in a bounce buffer"),
    _map(13, "skip_sync", T.BOOL, "attribute: the caller does the syncs itself"),
    _map(14, "mmio", T.BOOL, "attribute: the memory is another device's registers"),
    _map(15, "whole_pages", T.BOOL, "each segment starts and ends at a page boundary"),
    _map(16, "syncs", T.INT, "syncs of it so far"),
    _map(17, "task", T.TASK, "task that made it"),
    _map(18, "ended_ago", T.DURATION, "time since it ended; 0 while it lives", True),
    _map(19, "gap", T.BOOL, "events were lost since it was made"),
    _map(20, "time", T.TIME, "when it was made", True),
    _map(21, "transfers", T.INT, "transfers of the device in it that have begun and not ended"),
    _map(22, "unsynced_reads", T.INT, "CPU reads so far of bytes of it that the device owned"),
    _map(
        23,
        "untranslated",
        T.BOOL,
        "the IOMMU took its translation away, and no call that ends it is logged yet",
    ),
    _map(24, "freed", T.BOOL, "memory of it was given back to the system while it was mapped"),
    _map(25, "freed_ago", T.DURATION, "time since then", True),
    _map(
        26,
        "freed_unordered",
        T.BOOL,
        "another CPU logged that a moment before this event: the order is not certain",
    ),
    _map(64, "adapter", T.INT, "number of the adapter that it was made with", True),
    _map(65, "file", T.INT, "number of its map register file", True),
    _map(66, "mdl", T.INT, "number of the MDL that describes its memory", True),
    _map(67, "offset", T.SIZE, "where in the MDL it begins", True),
    _map(68, "routine", T.ROUTINE, "routine that made it", True),
    _map(69, "cache", T.CACHE, "how the CPU reaches it", True),
)  # fmt: skip

DEVICE_FIELDS = (
    _dev(1, "live_mappings", T.INT, "mappings alive now"),
    _dev(2, "maps", T.INT, "streaming mappings made in the recording"),
    _dev(3, "unmaps", T.INT, "streaming mappings ended in the recording"),
    _dev(4, "syncs", T.INT, "sync events in the recording"),
    _dev(5, "bounces", T.INT, "bounced mappings in the recording"),
    _dev(6, "probe_seen", T.BOOL, "the recording holds the beginning of the driver's life"),
    _dev(7, "iommu_seen", T.BOOL, "IOMMU events of its mappings are in the recording"),
    _dev(8, "max_segment", T.SIZE, "longest segment that it takes", True),
    _dev(9, "boundary", T.ADDR, "mask of the boundary that a segment must not cross", True),
    _dev(10, "dma_mask", T.ADDR, "highest bus address that it reaches", True),
    _dev(11, "lost_since_probe", T.BOOL, "events were lost since its driver was bound"),
    _dev(12, "unbinds", T.INT, "ends of a driver's life in the recording"),
    _dev(13, "truncated_live", T.INT, "mappings alive whose lists were cut"),
    _dev(14, "allocs", T.INT, "allocations in the recording"),
    _dev(15, "frees", T.INT, "frees of allocations in the recording"),
)

TRACE_FIELDS = (
    _trace(1, "lost", T.INT, "events known to be lost so far"),
    _trace(2, "gaps", T.INT, "places where events were lost so far"),
    _trace(3, "iommu_events", T.INT, "IOMMU map and unmap events so far"),
    _trace(4, "time_known", T.BOOL, "the clock is time, not a counter"),
    _trace(5, "syncs_traced", T.BOOL, "the kernel log says that every sync is traced"),
    _trace(20, "exits_seen", T.BOOL, "the ends of tasks are in the recording"),
)


def _life(obj: Obj, what: str) -> tuple[Field, ...]:
    return (
        Field(obj, 1, "number", T.INT, False, _ALL, "", f"number of the {what} in the recording"),
        Field(obj, 2, "alive", T.BOOL, True, _ALL, "", "it is there, and has not ended"),
        Field(obj, 3, "gap", T.BOOL, True, _ALL, "", "events were lost since it was first seen"),
    )


def _own(obj: Obj, number: int, name: str, type_: Type, sentence: str,
         optional: bool = False) -> Field:  # fmt: skip
    return Field(obj, number, name, type_, optional, _ALL, "", sentence)


A, F, M = Obj.ADAPTER, Obj.FILE, Obj.MDL

ADAPTER_FIELDS = (
    *_life(A, "adapter"),
    _own(A, 10, "granted", T.INT, "most map registers that one transfer may use", True),
    _own(A, 11, "alignment", T.SIZE, "what it wants buffers aligned to", True),
    _own(A, 12, "width", T.INT, "address width of its device, bits", True),
    _own(A, 13, "version", T.INT, "version of its device description", True),
    _own(A, 14, "mapped_bytes", T.SIZE, "bytes mapped and not flushed yet"),
    _own(A, 15, "mappings", T.INT, "transfers mapped and not flushed yet"),
    *(
        _own(A, 20 + 3 * i + k, name + suffix, T.INT, said.format(what))
        for i, (name, what) in enumerate((
            ("buffers", "common buffers"), ("channels", "adapter channels"),
            ("registers", "map registers"), ("lists", "scatter/gather lists"),
        ))
        for k, (suffix, said) in enumerate((
            ("", "{} outstanding"), ("_made", "{} allocated so far"),
            ("_freed", "{} freed so far"),
        ))
    ),
)  # fmt: skip

FILE_FIELDS = (
    *_life(F, "map register file"),
    _own(F, 10, "adapter", T.INT, "number of its adapter", True),
    _own(F, 11, "channel", T.BOOL, "it holds an adapter channel, or waits for one"),
    _own(F, 12, "granted", T.BOOL, "its channel was granted"),
    _own(F, 13, "list", T.BOOL, "it is that of a scatter/gather list"),
    _own(F, 14, "registers", T.INT, "map registers that it was given, or asks for", True),
    _own(F, 15, "held", T.INT, "map registers that it holds"),
    _own(F, 16, "action", T.ACTION, "what AdapterControl said it keeps", True),
    _own(F, 17, "mappings", T.INT, "transfers mapped and not flushed yet"),
    _own(F, 18, "mapped_bytes", T.SIZE, "bytes mapped and not flushed yet"),
    _own(F, 19, "channel_freed", T.BOOL, "its channel was freed"),
    _own(F, 20, "registers_freed", T.BOOL, "its map registers were freed"),
)

MDL_FIELDS = (
    *_life(M, "MDL"),
    _own(M, 10, "locked", T.BOOL, "its pages are locked, or resident by what they are", True),
    _own(M, 11, "mapped", T.BOOL, "it has a system mapping", True),
    _own(M, 12, "cache", T.CACHE, "how that mapping reaches memory", True),
    _own(M, 13, "length", T.SIZE, "bytes that it describes", True),
    _own(M, 14, "mappings", T.INT, "transfers of its bytes mapped and not flushed yet"),
    _own(M, 15, "buffers", T.INT, "common buffers made of it"),
    _own(M, 16, "flushed", T.BOOL,
         "KeFlushIoBuffers was called for it in the event's direction, and what the event names "
         "was not transferred since", True),
)  # fmt: skip

#: Fields of the objects that an event names.
NAMED_FIELDS = {Obj.ADAPTER: ADAPTER_FIELDS, Obj.FILE: FILE_FIELDS, Obj.MDL: MDL_FIELDS}

EVENT_FIELDS = _DMA_FIELDS + HCA_EVENT_FIELDS
FIELDS = (
    *EVENT_FIELDS, *MAPPING_FIELDS, *DEVICE_FIELDS, *TRACE_FIELDS, *ADAPTER_FIELDS,
    *FILE_FIELDS, *MDL_FIELDS, *REGION_FIELDS, *QP_FIELDS, *WORK_FIELDS,
)  # fmt: skip


def kind_name(kind: EventKind) -> str:
    """Return the name of a kind in rules and `.dmat`."""
    return kind.name.lower()


KINDS_BY_NAME = {kind_name(k): k for k in EventKind}

#: One sentence a kind, for the reference page.
KIND_SENTENCES = {
    K.LOST: "the recorder lost events here; `length` is their number where it is known",
    K.MARK: "a text that somebody wrote into the trace",
    K.DMA_MAP: "a streaming mapping was made (single, page, resource or scatter/gather)",
    K.DMA_UNMAP: "a streaming mapping was ended",
    K.DMA_SYNC_FOR_CPU: "part of a mapping was handed to the CPU",
    K.DMA_SYNC_FOR_DEVICE: "part of a mapping was handed to the device",
    K.DMA_ALLOC: "coherent or noncoherent memory was allocated together with its mapping",
    K.DMA_FREE: "such memory was freed",
    K.IOMMU_MAP: "the IOMMU was given a translation",
    K.IOMMU_UNMAP: "a translation was taken from the IOMMU",
    K.IOMMU_ATTACH: "a device was attached to an IOMMU domain",
    K.DEV_FAULT: "the IOMMU refused an access of a device",
    K.BOUNCE: "a mapping was given a bounce buffer",
    K.DRIVER_PROBE: "a driver is about to be bound to a device",
    K.DRIVER_BOUND: "a driver was bound to a device",
    K.DRIVER_UNBOUND: "a driver's life with a device is over and its managed memory is gone",
    K.DEVICE_LIMITS: "what a device says about itself: segment limits and DMA mask",
    K.LEFT_MAPPED: "derived, once per mapping that is alive when its driver is unbound",
    K.CPU_READ: "the CPU read memory",
    K.CPU_WRITE: "the CPU wrote memory",
    K.DEV_READ: "a device has read memory: its transfer is complete",
    K.DEV_WRITE: "a device has written memory: its transfer is complete",
    K.DEV_START: "a device was told to begin a transfer",
    K.MEMORY: "memory came into use, and what kind it is of",
    K.CLOCK_SYNC: "a moment that another clock has logged too: the line before it, or after it",
    K.DEV_ACCESS: "a device has touched memory, and its log does not tell which way",
    K.MEMORY_FREE: "memory was given back to the system",
    K.COMMAND_BEGIN: "a driver sets up a command; what its task maps next is mapped for it",
    K.COMMAND_ARRIVED: "a completion was taken from a queue; whose it is is not told",
    K.COMMAND_DONE: "a driver is done with a command",
    K.DEREG_MR: "the task is about to deregister a memory region of an HCA",
    K.IRQL: "a CPU's interrupt request level changed: 0 passive, 1 APC, 2 dispatch, 3 and more "
    "device levels",
    K.DMA_CALL: "a routine of Windows' DMA interface was called; told before what it does",
    K.ADAPTER_GET: "a driver asked for an adapter object (IoGetDmaAdapter)",
    K.ADAPTER_PUT: "a driver gave its adapter object back (PutDmaAdapter)",
    K.CHANNEL_ALLOCATE: "an adapter channel with map registers was asked for",
    K.CHANNEL_GRANTED: "the channel was granted: AdapterControl is about to run",
    K.CHANNEL_ACTION: "AdapterControl returned and said what it keeps",
    K.CHANNEL_FREE: "an adapter channel, map registers or both were freed",
    K.CHANNEL_CANCEL: "a request for a channel was cancelled; `status` is 1 where it was in time",
    K.MDL_LOCK: "the pages of an MDL were locked, or are resident by what they are",
    K.MDL_UNLOCK: "the pages of an MDL were unlocked",
    K.MDL_FREE: "an MDL was freed",
    K.MDL_MAP: "an MDL was given a system mapping",
    K.MDL_UNMAP: "the system mapping of an MDL was removed",
    K.IO_FLUSH: "the bytes of an MDL were flushed for a device (KeFlushIoBuffers)",
    K.PHYS_QUERY: "a driver asked for the physical address of memory",
    K.REQUEST_COMPLETE: "a request that carries an MDL was completed",
    K.DMA_CANCEL: "a mapped transfer was cancelled (CancelMappedTransfer)",
    **HCA_SENTENCES,
}


#: Kinds that no recording has: the engine makes them, and what from.
DERIVED = {
    K.LEFT_MAPPED: "write `driver_unbound(device=…)`: it follows for each mapping left alive",
    K.LEFT_REGISTERED: "write `dereg_mr(…)` after `task_exit()` of the same task",
    K.POSTED_SGE: "write `post_send(…)` or `post_recv(…)` with `sges`",
    K.WORK_TOUCHED: "write `cpu_read(…)` or `cpu_write(…)` with a virtual address",
    K.HCA_LOST: "write `dma_unmap(…)`, `memory_free(…)` or `user_unmap(…)` of what an HCA uses",
}


def names_objects(kind: EventKind) -> bool:
    """Return True where events of this kind can name an adapter, a file or an MDL."""
    return kind in _NAMING


def event_has_device(kind: EventKind) -> bool:
    """Return True where events of this kind name a device."""
    return kind in _DEVICE


def event_may_name_device(kind: EventKind) -> bool:
    """Return True where events of this kind name a device, or can: those of an HCA."""
    return kind in _DEVICE or kind in HCA_KINDS
