"""Values of the rule language as words for people."""

from collections.abc import Callable, Sequence
from enum import IntEnum

from dmaverify.model.fields import Type, kind_name
from dmaverify.model.kinds import (
    AccessSide,
    AsyncEvent,
    Direction,
    EventKind,
    Hazard,
    HcaFamily,
    HcaObject,
    MadStep,
    MapType,
    MemoryKind,
    Opcode,
    Provenance,
    QpState,
    QpType,
    QueuePart,
    RangeChange,
    RegionType,
    Rights,
    WcStatus,
)
from dmaverify.model.program import Shown, Template
from dmaverify.model.routines import CacheType, ReleaseAction, routine_name

UNKNOWN_WORD = "unknown"
UNKNOWN_LENGTH = "unknown length"

MAP_TYPE_WORDS: dict[int, str] = {
    MapType.UNKNOWN: UNKNOWN_WORD,
    MapType.SINGLE: "single",
    MapType.RESOURCE: "resource",
    MapType.SG: "scatter-gather",
    MapType.COHERENT: "coherent",
    MapType.PAGES: "pages",
    MapType.SGT: "non-contiguous",
}

MEMORY_WORDS: dict[int, str] = {
    MemoryKind.KMALLOC: "kmalloc memory",
    MemoryKind.PAGES: "whole pages",
    MemoryKind.COHERENT: "coherent memory",
    MemoryKind.NONCOHERENT: "noncoherent memory",
    MemoryKind.STACK: "a task's stack",
    MemoryKind.VMALLOC: "vmalloc memory",
    MemoryKind.RODATA: "the kernel's constants",
    MemoryKind.TEXT: "the kernel's code",
}

PROVENANCE_WORDS: dict[int, str] = {
    Provenance.UNKNOWN: "not known from this recording",
    Provenance.MAPPING: "a mapping of the device",
    Provenance.ENDED_MAPPING: "a mapping of the device that has ended",
    Provenance.FOREIGN_MAPPING: "a mapping of another device",
    Provenance.PHYSICAL_ADDRESS: "the physical address of memory that is not mapped",
    Provenance.KERNEL_POINTER: "a kernel pointer",
    Provenance.TRUNCATED_ADDRESS: "a mapping's address without its upper 32 bits",
    Provenance.PAST_MAPPING: "an address just past a mapping of the device",
    Provenance.MAPPING_ERROR: "what a failed mapping returns",
    Provenance.BEFORE_MAPPING: "an address just before a mapping of the device",
}

REGION_WORDS: dict[int, str] = {
    RegionType.UNKNOWN: UNKNOWN_WORD,
    RegionType.USER: "user memory",
    RegionType.ON_DEMAND: "on-demand memory",
    RegionType.DMA: "all memory",
    RegionType.FAST: "fast-registered memory",
    RegionType.DMABUF: "dma-buf",
    RegionType.DEVICE_MEMORY: "device memory",
    RegionType.NULL: "null region",
    RegionType.WINDOW_1: "window of type 1",
    RegionType.WINDOW_2A: "window of type 2A",
    RegionType.WINDOW_2B: "window of type 2B",
}

STATUS_WORDS: dict[int, str] = {
    WcStatus.SUCCESS: "success",
    WcStatus.LOC_LEN_ERR: "local length error",
    WcStatus.LOC_QP_OP_ERR: "local QP operation error",
    WcStatus.LOC_PROT_ERR: "local protection error",
    WcStatus.WR_FLUSH_ERR: "flushed",
    WcStatus.MW_BIND_ERR: "memory window bind error",
    WcStatus.BAD_RESP_ERR: "bad response error",
    WcStatus.LOC_ACCESS_ERR: "local access error",
    WcStatus.REM_INV_REQ_ERR: "remote invalid request error",
    WcStatus.REM_ACCESS_ERR: "remote access error",
    WcStatus.REM_OP_ERR: "remote operation error",
    WcStatus.RETRY_EXC_ERR: "retries exceeded",
    WcStatus.RNR_RETRY_EXC_ERR: "receiver-not-ready retries exceeded",
    WcStatus.REM_ABORT_ERR: "remote abort error",
    WcStatus.FATAL_ERR: "fatal error",
    WcStatus.RESP_TIMEOUT_ERR: "response timeout",
    WcStatus.GENERAL_ERR: "general error",
}

PART_WORDS: dict[int, str] = {
    QueuePart.UNKNOWN: "memory of a queue",
    QueuePart.SEND_RING: "send ring",
    QueuePart.RECV_RING: "receive ring",
    QueuePart.QP_RING: "rings of a queue pair",
    QueuePart.CQ_RING: "ring of a completion queue",
    QueuePart.SRQ_RING: "ring of a shared receive queue",
    QueuePart.EQ_RING: "ring of an event queue",
    QueuePart.QP_RECORD: "doorbell record of a queue pair",
    QueuePart.CQ_RECORD: "doorbell record of a completion queue",
    QueuePart.SRQ_RECORD: "doorbell record of a shared receive queue",
}

CHANGE_WORDS: dict[int, str] = {
    RangeChange.UNKNOWN: "changed",
    RangeChange.MUNMAP: "unmapped",
    RangeChange.MREMAP: "moved",
    RangeChange.DISCARD: "given back",
    RangeChange.FORK: "shared with a child",
    RangeChange.COW: "copied on a write",
    RangeChange.RELEASED: "released",
    RangeChange.BROUGHT_IN: "brought in",
    RangeChange.TAKEN_OUT: "taken out",
}

SIDE_WORDS: dict[int, str] = {
    AccessSide.UNKNOWN: "access",
    AccessSide.LOCAL: "local access",
    AccessSide.REMOTE: "remote access",
}

_DIRECTIONS = {d.value: d.name for d in Direction}
_KINDS = {k.value: kind_name(k) for k in EventKind}

Namer = Callable[[int], str]  # gives the name of a device or a task, "" where unknown


def duration(value: int) -> str:
    """Return nanoseconds in the unit that a person would choose."""
    for unit, scale in (("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)):
        if value >= scale:
            small = value < 1000 * scale
            return f"{value / scale:.3g} {unit}" if small else f"{value // scale} {unit}"
    return f"{value} ns"


def moment(value: int) -> str:
    """Return a moment of the trace clock as seconds, as ftrace prints it."""
    return f"{value // 1_000_000_000}.{value % 1_000_000_000 // 1000:06d} s"


def direction(value: int) -> str:
    """Return the kernel's name of a direction (`enum dma_data_direction`)."""
    return _DIRECTIONS.get(value, f"invalid direction {value}")


def rights(value: int) -> str:
    """Return rights of a key in words."""
    names = [r.name.lower().replace("_", " ") for r in Rights if value & r and r.name]
    return ", ".join(names) if names else "local read only"


def _enum(kind: type[IntEnum]) -> Namer:
    names = {int(member): member.name.lower() for member in kind}
    return lambda value: names.get(value, f"{kind.__name__} {value}")


def accessor(value: int) -> str:
    """Return whose access it is: the side in the low 8 bits, above it a buffer of a list."""
    if value >> 8:
        return f"access to buffer {value >> 8} of the list"
    return SIDE_WORDS.get(value, "access")


def statuses(value: int) -> str:
    """Return a set of statuses, a bit each, as alternatives."""
    names = [STATUS_WORDS[s] for s in WcStatus if value >> s & 1]
    return " or ".join(names) if names else "no completion"


def _said(kind: type[IntEnum]) -> Namer:
    names = {int(member): member.name.lower().replace("_", " ") for member in kind}
    return lambda value: names.get(value, f"{kind.__name__} {value}")


def map_type(value: int) -> str:
    """Return the family of calls that a mapping belongs to."""
    return MAP_TYPE_WORDS.get(value, f"type {value}")


def size(value: int) -> str:
    """Return a number of bytes, as it is: people compare it with what they passed."""
    return f"{value} byte" if value == 1 else f"{value} bytes"


def event_kind(value: int) -> str:
    """Return the name of an event kind."""
    return _KINDS.get(value, f"kind {value}")


#: IO_ALLOCATION_ACTION as the WDK writes it, and cache types as people say them.
_ACTIONS: dict[int, str] = {
    ReleaseAction.KEEP_OBJECT: "KeepObject",
    ReleaseAction.DEALLOCATE_OBJECT: "DeallocateObject",
    ReleaseAction.DEALLOCATE_OBJECT_KEEP_REGISTERS: "DeallocateObjectKeepRegisters",
}
_CACHES = {int(value): value.name.lower().replace("_", "-") for value in CacheType}

_WRITERS: dict[Type, Namer] = {
    Type.INT: str,
    Type.ADDR: hex,
    Type.SIZE: size,
    Type.TIME: moment,
    Type.DURATION: duration,
    Type.BOOL: lambda value: "yes" if value else "no",
    Type.DIRECTION: direction,
    Type.MAP_TYPE: map_type,
    Type.KIND: event_kind,
    Type.TOKEN: hex,
    Type.MEMORY: lambda value: MEMORY_WORDS.get(value, f"memory {value}"),
    Type.KEY: hex,
    Type.RIGHTS: rights,
    Type.REGION_TYPE: lambda value: REGION_WORDS.get(value, f"region {value}"),
    Type.SIDE: lambda value: SIDE_WORDS.get(value, "access"),
    Type.QP_TYPE: _enum(QpType),
    Type.QP_STATE: _enum(QpState),
    Type.OPCODE: _enum(Opcode),
    Type.QUEUE_PART: lambda value: PART_WORDS.get(value, f"part {value}"),
    Type.HCA_OBJECT: _said(HcaObject),
    Type.ASYNC_EVENT: _said(AsyncEvent),
    Type.CHANGE: lambda value: CHANGE_WORDS.get(value, f"change {value}"),
    Type.MAD_STEP: _said(MadStep),
    Type.FAMILY: _said(HcaFamily),
    Type.HAZARD: _said(Hazard),
    Type.STATUSES: statuses,
    Type.ACCESSOR: accessor,
    Type.WC_STATUS: lambda value: STATUS_WORDS.get(value, f"status {value}"),
    Type.PROVENANCE: lambda value: PROVENANCE_WORDS.get(value, UNKNOWN_WORD),
    Type.ROUTINE: routine_name,
    Type.ACTION: lambda value: _ACTIONS.get(value, f"action {value}"),
    Type.CACHE: lambda value: _CACHES.get(value, f"cache type {value}"),
}


def value_words(
    shown: Shown, value: int | None, *, ticks: bool, device_name: Namer, task_name: Namer
) -> str:
    """Return one value by its type, or "unknown"."""
    if value is None:
        return UNKNOWN_LENGTH if shown.type == Type.SIZE else UNKNOWN_WORD
    if shown.format == "hex":
        return hex(value)
    if shown.type == Type.DEVICE:
        return device_name(value) or UNKNOWN_WORD
    if shown.type == Type.TASK:
        return task_name(value) or UNKNOWN_WORD
    if ticks and shown.type in (Type.TIME, Type.DURATION):
        return f"{value} ticks"
    return _WRITERS[shown.type](value)


def render(
    template: Template,
    values: Sequence[int | None],
    *,
    ticks: bool,
    device_name: Namer,
    task_name: Namer,
) -> str:
    """Return a message with its values written in.

    Args:
        template: text and places for values.
        values: by slot; a slot beyond them is unknown.
        ticks: True where times are not nanoseconds.
        device_name: names of devices by number.
        task_name: names of tasks by number.
    """
    return "".join(
        part
        if isinstance(part, str)
        else value_words(
            part,
            values[part.slot] if part.slot < len(values) else None,
            ticks=ticks,
            device_name=device_name,
            task_name=task_name,
        )
        for part in template
    )
