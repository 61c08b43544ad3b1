"""docs/reference/events.md, from the tables of fields, kinds and tracepoints."""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from dmaverify.model.enums import TYPE_ENUMS, names_of
from dmaverify.model.fields import (
    DEVICE_FIELDS,
    EVENT_FIELDS,
    HCA_OBJECTS,
    KIND_SENTENCES,
    MAPPING_FIELDS,
    MAPPING_OBJECTS,
    NAMED_FIELDS,
    NAMED_OBJECTS,
    TRACE_FIELDS,
    Field,
    Type,
    event_has_device,
    kind_name,
)
from dmaverify.model.hca_fields import QP_FIELDS, REGION_FIELDS, WORK_FIELDS
from dmaverify.model.kinds import (
    Arg,
    EventKind,
    Rights,
)
from dmaverify.model.routines import ARG_WORDS, IRQL_BOUNDS, Routine
from dmaverify.trace.events import EVENTS, EventSpec, Slot
from dmaverify.trace.native_hca import HCA_FIELDS
from made.words import MADE, code, table

#: Kinds of Windows' DMA interface.
WINDOWS = range(EventKind.IRQL, EventKind.DMA_CANCEL + 1)

OBJECTS = {
    "mapping": "the live mapping that the event means: the best fit",
    "ghost": "the mapping that last covered the address and has ended",
    "foreign": "a live mapping of another device at this address",
    "enclosing": "a live mapping of this device that has the address inside it, or that an "
    "access just misses; at a map, one whose pages the IOMMU has just given to the new one",
    "overlap": "a live mapping that shares bytes of memory with the one being made",
    "neighbour": "a live mapping that shares a cache line, but no byte, with the one being made",
}
HCA_WORDS = {
    "region": "the live memory region that the key names",
    "ended_region": "the region that the key named last, and that has ended",
    "queue_pair": "the queue pair that the event names",
    "work": "the posted work request that completes, is touched, or is in the way",
}

SLOT_NAMES = {
    Slot.DEVICE: "device", Slot.BUS_ADDR: "bus_addr", Slot.PHYS_ADDR: "phys_addr",
    Slot.LENGTH: "length", Slot.DIRECTION: "direction", Slot.ATTRS: "skip_sync, mmio",
    Slot.VIRT_ADDR: "virt_addr", Slot.BUS_LIST: "segments", Slot.LENGTH_LIST: "segments",
    Slot.PHYS_LIST: "phys", Slot.FULL_BUS: "bus_entries", Slot.FULL_PHYS: "phys_entries",
    Slot.BUS_PAIR: "bus_entries", Slot.PHYS_PAIR: "phys_entries", Slot.TRUNCATED: "truncated",
    Slot.STATUS: "status", Slot.UNMAPPED: "unmapped", Slot.DMA_MASK: "dma_mask",
    Slot.FORCE: "forced", Slot.FAULT_FLAGS: "direction", Slot.TEXT: "text",
    Slot.OBJECT: "object, transfer", Slot.OPERATION: "kind, direction", Slot.MEMORY: "memory",
    Slot.PFN: "phys_addr, length", Slot.ORDER: "length",
    Slot.ARG: "named numbers", Slot.ACCESS: "access", Slot.SIDE: "side", Slot.INTO: "moves",
    Slot.OPCODE: "opcode", Slot.ZERO: "must be 0", Slot.ZERO_TOO: "must be 0",
}  # fmt: skip


def events_page() -> Iterator[str]:
    """Give the event model: kinds, fields, and the kernel's events."""
    yield from ("# Events, mappings and their fields", "", MADE, "")
    yield "This is what a recording is turned into, and what a rule can ask."
    yield "The names are the same in rules, in the native format and in the JSON report."
    yield from ("", "## Event kinds", "")
    kernel: dict[EventKind, list[str]] = defaultdict(list)
    for spec in EVENTS:
        kernel[spec.kind].append(spec.name)
    yield from table(
        ("kind", "what happened", "read from"),
        ((f"`{kind_name(k)}`", KIND_SENTENCES[k], code(kernel[k]) or _origin(k))
         for k in EventKind),
    )  # fmt: skip
    yield from (
        "",
        "`iommu_attach`, `dev_fault` and `mark` change nothing in the engine and no "
        "built-in rule asks for them.",
        "",
    )
    yield from ("## Fields of an event", "")
    yield "*optional*: the value may be unknown, and a rule has to ask with `exists` first."
    yield (
        "*stored*: it is in the recording, and is a key of the native format and of a rule's test."
    )
    yield "(`null` and `truncated` are written there as bare words.)"
    yield from (
        "The other fields are worked out by the engine, in the world as it was before the event.",
        "",
    )
    yield from _fields(EVENT_FIELDS, kinds=True)
    devices = code(kind_name(k) for k in EventKind if event_has_device(k))
    yield from ("", "`e.device` is the device; these kinds have one:", f"{devices}.")
    yield from ("", "## Mappings", "", "A rule reaches a mapping by what it is to the event:", "")
    yield from table(
        ("path", "what it is"),
        ((f"`e.{name}`", OBJECTS[name]) for name in MAPPING_OBJECTS),
    )
    yield from ("", "Every one of them may be missing, and has these fields:", "")
    yield from _fields(MAPPING_FIELDS)
    yield from ("", "## Regions, queue pairs, work requests", "", "From an event of an HCA:", "")
    yield from table(
        ("path", "what it is"),
        ((f"`e.{name}`", HCA_WORDS[name]) for name in HCA_OBJECTS),
    )
    yield from ("", "Every one of them may be missing. A region has these fields:", "")
    yield from _fields(REGION_FIELDS)
    yield from ("", "And a queue pair these:", "")
    yield from _fields(QP_FIELDS)
    yield from ("", "And a work request these:", "")
    yield from _fields(WORK_FIELDS)
    yield from ("", "## Devices", "", "Of `e.device`, and of `device` in a `needs` clause:", "")
    yield from _fields(DEVICE_FIELDS)
    yield from ("", "## Adapters, map register files and MDLs", "")
    yield "Of `e.adapter`, `e.file` and `e.mdl`, which may be missing. By itself each is a number."
    yield "The table of named numbers below has their keys. At `driver_unbound` the adapter is the"
    yield "oldest one that its device still has."
    for name, obj in NAMED_OBJECTS.items():
        yield from ("", f"`e.{name}`:", "")
        yield from _fields(NAMED_FIELDS[obj])
    yield from ("", "## The recording", "", "Of `trace`:", "")
    yield from _fields(TRACE_FIELDS)
    yield from _types()
    yield from _routines()
    yield from _kernel_events()


def _origin(kind: EventKind) -> str:
    return {
        EventKind.LOST: "the recorder's own words about losses",
        EventKind.DEVICE_LIMITS: "the native format only",
        EventKind.DEV_WRITE: code(["edu_dma_done"]),
        EventKind.LEFT_MAPPED: "made by the engine at `driver_unbound`",
        EventKind.LEFT_REGISTERED: "made by the engine at `dereg_mr`, or at the end",
        EventKind.POSTED_SGE: "made by the engine at a post",
        EventKind.WORK_TOUCHED: "made by the engine at `cpu_read` and `cpu_write`",
    }.get(kind, "the native format only" if kind in WINDOWS else "")


def _fields(fields: Iterable[Field], *, kinds: bool = False) -> Iterator[str]:
    head = ["field", "type", "optional", "what it is", *(["stored", "kinds"] if kinds else [])]
    rows = []
    for field in fields:
        type_ = field.type.name.lower().replace("map_type", "type")
        if field.space:
            type_ += f" ({field.space})"
        row = [f"`{field.name}`", type_, "yes" if field.optional else "", field.sentence]
        if kinds:
            row.append("yes" if field.stored else "")
            row.append(code(kind_name(k) for k in sorted(field.kinds)) or "all")
        rows.append(row)
    yield from table(head, rows)


def _types() -> Iterator[str]:
    yield from ("", "## Types and units", "")
    notes = {type_: code(names_of(type_)) for type_ in TYPE_ENUMS} | {
        Type.INT: "a count", Type.ADDR: "an address; its space stands behind it",
        Type.SIZE: "bytes", Type.TIME: "ns of the trace clock", Type.DURATION: "ns",
        Type.BOOL: "`true` or `false`",
        Type.KIND: "a kind's name",
        Type.ROUTINE: "a routine of Windows' DMA interface, listed below",
        Type.KEY: "a key, in hexadecimal: equal or not",
        Type.RIGHTS: code(r.name.lower() for r in Rights if r.name),
        Type.ACCESSOR: "who accesses, in words: equal or not",
        Type.STATUSES: "the statuses that HCAs give: equal or not",
        Type.TOKEN: "a CPU pointer or its hash: equal or not, nothing else",
        Type.DEVICE: "equal or not; shown by name", Type.TASK: "equal or not; shown by name",
    }  # fmt: skip
    yield from table(
        ("type", "values"),
        ((type_.name.lower().replace("map_type", "type"), notes[type_]) for type_ in Type),
    )


def _routines() -> Iterator[str]:
    yield from ("", "## Windows' DMA interface", "")
    yield "Named numbers that an event may have beside its fields, each under its own key:"
    yield ""
    text = inspect.getsource(Arg)
    said = dict(re.findall(r"^    ([A-Z_]+) = \d+  # (.*)$", text, re.MULTILINE))
    yield from table(
        ("key", "what it is", "words"),
        ((f"`{arg.name.lower()}`", said[arg.name],
          "a routine, below" if arg is Arg.ROUTINE else code(ARG_WORDS.get(arg, {}).values()))
         for arg in Arg),
    )  # fmt: skip
    yield from ("", "Routines, and the lowest and highest IRQL at which each may be called:", "")
    yield from table(
        ("routine", "IRQL"),
        ((f"`{r.name.lower()}`",
          "{}..{}".format(*IRQL_BOUNDS[r]) if r in IRQL_BOUNDS else "not checked")
         for r in Routine),
    )  # fmt: skip


def _kernel_events() -> Iterator[str]:
    yield from ("", "## What the kernel's events become", "")
    yield (
        "An event is known by its name together with the fields that it must have, never "
        "by a kernel version."
    )
    yield (
        "A field is listed by its name in the event's format file and, where the kernel "
        "prints another label, by that too."
    )
    yield from ("Fields of the kernel that are not listed are not read.", "")
    yield from table(
        ("kernel event", "becomes", "type", "fields", "defined in"),
        (
            (f"`{spec.name}`", _becomes(spec), spec.type.name.lower() if spec.type else "",
             ", ".join(f"`{label}` → {_slot(spec, slot)}" for label, slot in spec.fields.items()),
             f"`{spec.source}`" if "/" in spec.source else spec.source)
            for spec in EVENTS
        ),
    )  # fmt: skip
    yield ""
    yield "`edu_dma_done` becomes `dev_write` where its operation says so."
    yield (
        "The three `driver_*` events are kprobes that you make yourself, see [record a "
        "trace](../how-to/record-a-trace.md)."
    )
    yield (
        "The marks `dmaverify: bind DEVICE DRIVER` and `dmaverify: unbind-end DEVICE "
        "DRIVER` stand in for them."
    )


def _slot(spec: EventSpec, slot: Slot) -> str:
    own = {s: name for name, s in HCA_FIELDS.get(spec.kind, {}).items()}
    made = {Slot.SIDE: "side", Slot.INTO: "moves"}
    return own.get(slot) or made.get(slot) or SLOT_NAMES[slot]


def _becomes(spec: EventSpec) -> str:
    return f"`{kind_name(spec.kind)}`" + (" that failed" if spec.failed else "")
