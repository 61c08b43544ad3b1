"""The native text format, `.dmat`: one line an event, in the grammar of ftrace's lines.

The first line is `# dmaverify trace 1`. An event has the name of its kind, the name of its
device, then fields under the names that rules use, then words for the flags:

    nvme-12 [001] ..... 1.911778000: dma_map: 0000:00:04.0 type=single direction=to_device
    bus_addr=0xfffff000 length=4080 phys_addr=0x2e3b000

(in one line). What stands before the name may be missing, in every line alike. Numbers are
decimal, or hexadecimal after `0x`; `?` is an unknown value, as is a missing field. Lists:
`segments={0x1000+0x200,...}` as the device sees them, `phys={0x5000,...}` as the CPU passed them;
`bus_entries=128/200` and `phys_entries=128/200` where more were passed than stored. Named numbers
(`model.kinds.Arg`) stand under their own names, `registers=17 routine=map_transfer`. Texts are
quoted, with a backslash, `x` and two digits for control characters. Kernel events in their own
spelling are read too.
"""

from collections.abc import Sequence
from typing import IO

from dmaverify.model.events import Event, EventBatch
from dmaverify.model.fields import DERIVED, OBJECT_NAMES, event_has_device, kind_name
from dmaverify.model.kinds import (
    UNKNOWN,
    Arg,
    Direction,
    EventKind,
    Flag,
    MapType,
    MemoryKind,
)
from dmaverify.model.routines import ARG_WORDS
from dmaverify.trace.events import EVENTS_BY_NAME, EventSpec, Slot
from dmaverify.trace.native_hca import HCA_FIELDS, VALUE_SLOTS, hca_fields

HEADER = "# dmaverify trace 1"
#: The second line of a trace whose recorder leaves no sync out, whatever the machine.
EVERY_SYNC = "# every sync is recorded"

K, S = EventKind, Slot

_FIELDS = {
    "device": S.DEVICE, "type": S.TYPE, "direction": S.DIRECTION, "bus_addr": S.BUS_ADDR,
    "phys_addr": S.PHYS_ADDR, "length": S.LENGTH, "virt_addr": S.VIRT_ADDR,
    "segments": S.SEGMENTS, "phys": S.PHYS_LIST, "bus_entries": S.BUS_PAIR,
    "phys_entries": S.PHYS_PAIR, "status": S.STATUS, "object": S.OBJECT, "text": S.TEXT,
    "memory": S.MEMORY, **{arg.name.lower(): S.ARG for arg in Arg},
}  # fmt: skip

#: Kinds whose slots have names of their own: name -> slot.
_RENAMED = {
    K.IOMMU_UNMAP: {"unmapped": S.PHYS_ADDR},
    K.BOUNCE: {"dma_mask": S.BUS_ADDR},
    K.DEVICE_LIMITS: {
        "max_segment": S.LENGTH, "boundary": S.BUS_ADDR, "dma_mask": S.PHYS_ADDR,
    },
    K.DEV_READ: {"transfer": S.OBJECT},
    K.DEV_WRITE: {"transfer": S.OBJECT},
    K.DEV_START: {"transfer": S.OBJECT},
    K.DEV_ACCESS: {"transfer": S.OBJECT},
    **{kind: {"controller": S.BUS_ADDR, "queue": S.PHYS_ADDR, "command": S.OBJECT}
       for kind in (K.COMMAND_BEGIN, K.COMMAND_ARRIVED, K.COMMAND_DONE)},
    **{kind: {name: S.OBJECT} for kind, name in OBJECT_NAMES.items()},
}  # fmt: skip

_TYPES = {
    K.DMA_MAP: MapType.SINGLE, K.DMA_UNMAP: MapType.SINGLE, K.DMA_SYNC_FOR_CPU: MapType.SINGLE,
    K.DMA_SYNC_FOR_DEVICE: MapType.SINGLE, K.DMA_ALLOC: MapType.COHERENT,
    K.DMA_FREE: MapType.COHERENT,
}  # fmt: skip

_WORDS = (
    (Flag.FAILED, "failed"),
    (Flag.NULL_CPU, "null"),
    (Flag.TRUNCATED, "truncated"),
    (Flag.HASHED, "hashed"),
    (Flag.SKIP_SYNC, "skip_sync"),
    (Flag.MMIO, "mmio"),
    (Flag.FROM_MARK, "from_mark"),
)


#: Without its status a completion tells nothing.
_NEEDS = {K.CQE: frozenset({S.STATUS})}


def _names_of(kind: EventKind) -> dict[Slot, str]:
    """Return the names under which a kind shows the slots of its row."""
    names = {S.BUS_ADDR: "bus_addr", S.PHYS_ADDR: "phys_addr", S.LENGTH: "length"}
    names.update({slot: name for name, slot in _RENAMED.get(kind, {}).items()})
    return names


def _spec(kind: EventKind) -> EventSpec:
    # A name that the kernel uses too keeps the kernel's fields beside the native ones.
    kernel = EVENTS_BY_NAME.get(kind_name(kind))
    fields = {**(kernel.fields if kernel else {}), **_FIELDS}
    if kind in HCA_FIELDS:
        plain = {name: slot for name, slot in fields.items() if slot != S.ARG}
        fields = {**plain, **VALUE_SLOTS, **HCA_FIELDS[kind]}
    for slot in _RENAMED.get(kind, {}).values():
        del fields[_FIELD_OF[slot]]
    fields.update(_RENAMED.get(kind, {}))
    return EventSpec(
        name=kind_name(kind),
        systems=frozenset({"dmaverify"}),
        kind=kind,
        type=_TYPES.get(kind, MapType.UNKNOWN),
        fields=fields,
        needs=_NEEDS.get(kind, frozenset({S.DEVICE} if event_has_device(kind) else ())),
        source="dmaverify/trace/native.py",
    )


_FIELD_OF = {slot: name for name, slot in _FIELDS.items()}

#: Every kind that a trace can hold; the others are derived by the engine.
NATIVE_EVENTS = tuple(_spec(kind) for kind in EventKind if kind not in DERIVED)


def native_names() -> frozenset[str]:
    """Return the names of the native events."""
    return frozenset(spec.name for spec in NATIVE_EVENTS)


def write_event(event: Event, devices: Sequence[str], task: str = "", ticks: bool = False) -> str:
    """Return the canonical line of an event, without a line end.

    Args:
        event: any event.
        devices: device names by number.
        task: name of the task that logged it, where known.
        ticks: True where the clock of the trace is not time.
    """
    when = _time(event, ticks)
    head = f"{_task(task):>16}-{event.site:<7} [{event.cpu:03d}] ..... {when}:"
    parts = [f"{head} {kind_name(event.kind)}:", *_device(event, devices), *_fields(event)]
    parts += [word for flag, word in _WORDS if event.flags & flag]
    if event.text is not None:
        parts.append(f"text={_quote(event.text)}")
    return " ".join(parts)


def _task(name: str) -> str:
    """Return a task's name as a kernel would keep it: 15 bytes, nothing that ends a line."""
    clean = "".join(c if c.isprintable() else "?" for c in name)
    while len(clean.encode("utf-8", "replace")) > 15:
        clean = clean[:-1]
    return clean.strip() or "<...>"


def _time(event: Event, ticks: bool) -> str:
    if event.flags & Flag.TIME_UNKNOWN:
        return f"{'?':>16}"
    if ticks:
        return f"{event.time:16d}"
    seconds, rest = divmod(event.time, 1_000_000_000)
    return f"{seconds:6d}.{rest:09d}"


def _device(event: Event, devices: Sequence[str]) -> list[str]:
    """Return how a line names its device: plainly where the name is one plain word."""
    if not event.device and not event_has_device(event.kind):
        return []
    name = devices[event.device] if event.device < len(devices) else f"device-{event.device}"
    plain = name.isprintable() and not any(c in ' "=({[?\\' for c in name)
    if name and plain and event_has_device(event.kind):
        return [name]
    return [f"device={_quote(name)}"]


def _fields(event: Event) -> list[str]:
    """Return the fields in a fixed order; what is unknown is left out."""
    names = _names_of(event.kind)
    lists = {S.BUS_ADDR: event.sg_bus, S.PHYS_ADDR: event.sg_phys, S.LENGTH: event.sg_bus}
    if event.kind in HCA_FIELDS:
        return hca_fields(event)
    parts = []
    if K.DMA_MAP <= event.kind <= K.DMA_FREE or event.type:
        parts.append(f"type={MapType(event.type).name.lower()}")
    if not event.flags & Flag.DIRECTION_UNKNOWN:
        parts.append(f"direction={_direction(event.direction)}")
    slots = (
        (S.BUS_ADDR, event.bus_addr, Flag.BUS_UNKNOWN, "#x"),
        (S.LENGTH, event.length, Flag.LENGTH_UNKNOWN, "d"),
        (S.PHYS_ADDR, event.phys_addr, Flag.PHYS_UNKNOWN, "#x"),
    )
    for slot, value, unknown, form in slots:
        if not event.flags & unknown:
            parts.append(f"{names[slot]}={value:{form}}")
        elif lists[slot]:
            parts.append(f"{names[slot]}=?")  # else it would follow from the list
    parts += _lists(event)
    if event.virt_addr is not None:
        parts.append(f"virt_addr={event.virt_addr:#x}")
    if event.status:
        parts.append(f"status={event.status}")
    if event.object and event.kind == K.MEMORY and event.object <= max(MemoryKind):
        parts.append(f"memory={MemoryKind(event.object).name.lower()}")
    elif event.object or event.kind in OBJECT_NAMES:  # there a 0 is a NULL
        parts.append(f"{names.get(S.OBJECT, 'object')}={event.object}")
    return parts + _args(event, names.get(S.OBJECT))


def _args(event: Event, taken: str | None) -> list[str]:
    """Return the named numbers; the name that the row's own object goes by is not among them."""
    parts = []
    for arg, value in event.args:
        name = arg.name.lower()
        if name != taken:
            plain = f"{value:#x}" if value >> 63 else str(value)  # a negative offset
            parts.append(f"{name}={ARG_WORDS.get(arg, {}).get(value, plain)}")
    return parts


def _direction(value: int) -> str:
    return Direction(value).name.lower() if value <= max(Direction) else str(value)


def _lists(event: Event) -> list[str]:
    parts = []
    if event.sg_bus or event.bus_full:
        entries = (f"{a:#x}+{'?' if n == UNKNOWN else f'{n:#x}'}" for a, n in event.sg_bus)
        parts.append(f"segments={{{','.join(entries)}}}")
    if event.bus_full != len(event.sg_bus):
        parts.append(f"bus_entries={len(event.sg_bus)}/{event.bus_full}")
    if event.sg_phys or event.phys_full:
        parts.append(f"phys={{{','.join(f'{a:#x}' for a in event.sg_phys)}}}")
    if event.phys_full != len(event.sg_phys):
        parts.append(f"phys_entries={len(event.sg_phys)}/{event.phys_full}")
    return parts


def _quote(text: str) -> str:
    """Return a text in quotes, in one line."""
    out = []
    for c in text:
        if c in '"\\':
            out.append("\\" + c)
        elif c < " " or c == "\x7f":
            out.append(f"\\x{ord(c):02x}")
        else:
            out.append(c)
    return f'"{"".join(out)}"'


class DmatWriter:
    """Writes a native trace.

    Args:
        out: where the text goes; the caller closes it.
        ticks: True where the clock of the trace is not time.
        every_sync: whether to say that no sync is left out.
    """

    def __init__(self, out: IO[str], ticks: bool = False, every_sync: bool = False) -> None:
        self._out = out
        self._ticks = ticks
        self._out.write(HEADER + "\n" + (EVERY_SYNC + "\n") * every_sync)

    def write(self, event: Event, devices: Sequence[str], task: str = "") -> None:
        """Append one event."""
        self._out.write(write_event(event, devices, task, self._ticks) + "\n")

    def write_batch(self, batch: EventBatch, devices: Sequence[str]) -> None:
        """Append the events of a batch."""
        for i in range(len(batch)):
            self.write(batch[i], devices)
