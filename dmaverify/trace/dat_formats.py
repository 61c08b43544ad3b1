"""Format files of the kernel, turned into plans that say where each slot's bytes lie.

Linux Documentation/trace/events.rst, "Event formats". Only the field lines are read: the
print format is a C expression for people, and newer kernels write what no reader can parse.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from dmaverify.trace.events import EVENTS_BY_NAME, EventSpec, Slot

MAX_FIELD = 1 << 20  # bytes; no ring-buffer record is larger


class Mode(IntEnum):
    """How a slot's bytes are found. The compiled decoder repeats the numbers."""

    ABSENT = 0
    UNSIGNED = 1  # a number of 1, 2, 4 or 8 bytes
    SIGNED = 2
    DATA_LOC = 3  # a u32: length and offset from the start of the record
    REL_LOC = 4  # the same, with the offset from its own end
    FIXED = 5  # an array of known size
    TAIL = 6  # from the offset to the end of the record
    PRINTF = 7  # like TAIL, but arguments of a format text that an address names
    ADDRESS = 8  # an address that names a text


@dataclass(frozen=True, slots=True)
class Field:
    """One field line: `offset` and `size` in bytes; `type` is its C declaration's type."""

    name: str
    type: str
    offset: int
    size: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Format:
    """One format file."""

    system: str
    name: str
    id: int
    fields: dict[str, Field]


@dataclass(frozen=True, slots=True)
class Spot:
    """Where one slot's bytes are; `element` is the size of a list's entries."""

    slot: int
    mode: Mode
    offset: int
    size: int
    element: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How to make a row of the records with one event id."""

    id: int
    spec: EventSpec
    spots: tuple[Spot, ...]


@dataclass(frozen=True, slots=True)
class PageLayout:
    """Where a page's head keeps its time and its count of used bytes.

    `include/linux/ring_buffer.h` and the file events/header_page of tracefs.
    """

    time_offset: int
    commit_offset: int
    commit_size: int
    data_offset: int


_FIELD = re.compile(
    r"field:\s*(?P<type>[^;\n]*?)\s*(?P<name>\w+)\s*(?P<array>(?:\[[^\]]*\]\s*)*);"
    r"\s*offset:\s*(?P<offset>\d{1,9});\s*size:\s*(?P<size>\d{1,9});"
    r"(?:\s*signed:\s*(?P<signed>[01]);)?"
)
_HEAD = re.compile(r"^\s*(name|ID):\s*(\S+)", re.MULTILINE)
_EIGHT = {"u64", "__u64", "s64", "__s64", "dma_addr_t", "phys_addr_t", "unsigned long long"}
_FOUR = {"u32", "__u32", "s32", "__s32", "int", "unsigned int", "unsigned"}
_LONG = {"unsigned long", "long", "size_t", "uintptr_t"}
_LISTS = {Slot.BUS_LIST, Slot.LENGTH_LIST, Slot.PHYS_LIST}
_TEXTS = {Slot.DEVICE, Slot.TEXT, Slot.MEMORY}


def parse_fields(text: str) -> dict[str, Field]:
    """Return the fields of a format file by name; lines that are no field are passed over."""
    found: dict[str, Field] = {}
    for line in text.splitlines():
        if line.startswith("print fmt"):
            break
        part = _FIELD.search(line)
        if part and max(offset := int(part["offset"]), size := int(part["size"])) <= MAX_FIELD:
            type_ = (part["type"] + part["array"]).strip()
            field = Field(part["name"], type_, offset, size, part["signed"] == "1")
            found.setdefault(field.name, field)
    return found


def parse_format(system: str, text: str) -> Format | None:
    """Return what a format file says, or None where it names no event or no id."""
    heads = dict(_HEAD.findall(text.split("format:", 1)[0]))
    if "name" not in heads or not re.fullmatch(r"\d{1,5}", heads.get("ID", "")):
        return None
    return Format(system, heads["name"], int(heads["ID"]), parse_fields(text))


def parse_page_layout(text: str, long_size: int) -> PageLayout:
    """Return the layout of a page's head; where the file has none, that of current kernels."""
    fields = parse_fields(text)
    time, commit, data = (fields.get(name) for name in ("timestamp", "commit", "data"))
    if not time or not commit or not data or commit.size not in (4, 8) or time.size != 8:
        return PageLayout(0, 8, long_size, 8 + long_size)
    layout = PageLayout(time.offset, commit.offset, commit.size, data.offset)
    ends = (layout.time_offset + 8, layout.commit_offset + layout.commit_size)
    if layout.data_offset > 256 or max(ends) > layout.data_offset:
        return PageLayout(0, 8, long_size, 8 + long_size)
    return layout


def make_plans(
    formats: Iterable[Format], long_size: int, more: Iterable[EventSpec] = ()
) -> list[Plan]:
    """Return the plans of those formats that the event model has; other ids have none.

    Args:
        formats: of the recording.
        long_size: bytes of the recorded machine's `long`.
        more: events of the user's own, which take the place of others of their names.
    """
    plans = []
    known = {**EVENTS_BY_NAME, **{spec.name: spec for spec in more}}
    for form in formats:
        spec = known.get(form.name)
        if spec is None or (spec.systems and form.system not in spec.systems):
            continue
        spots = tuple(_spots(form, spec, long_size))
        if spec.needs <= {Slot(spot.slot) for spot in spots}:
            plans.append(Plan(form.id, spec, spots))
    return plans


def common_spot(formats: Iterable[Format], name: str) -> Spot | None:
    """Return where a field that all events share lies, or None where no event has it."""
    for form in formats:
        field = form.fields.get(name)
        if field:
            return _number(0, field)
    return None


def _spots(form: Format, spec: EventSpec, long_size: int) -> Iterable[Spot]:
    taken = set()
    if spec.name in ("bprint", "bputs"):
        yield from _binary_mark(form, long_size)
        return
    for name, slot in spec.fields.items():
        field = form.fields.get(name)
        if field is None or slot in taken:
            continue
        spot = _spot(slot, field, long_size)
        if spot is not None:
            taken.add(slot)
            yield spot


def _spot(slot: Slot, field: Field, long_size: int) -> Spot | None:
    """Return where a slot lies, or None where the field has no type that can fill it."""
    if slot not in _LISTS and slot not in _TEXTS:
        return _number(slot, field)
    element = 1 if slot in _TEXTS else _element_size(field.type, long_size)
    if not element:
        return None
    if field.type.startswith(("__data_loc", "__rel_loc")):
        mode = Mode.DATA_LOC if field.type.startswith("__data_loc") else Mode.REL_LOC
        return Spot(slot, mode, field.offset, 4, element) if field.size == 4 else None
    if "[" not in field.type:
        return None
    mode = Mode.FIXED if field.size else Mode.TAIL
    return Spot(slot, mode, field.offset, field.size, element)


def _number(slot: int, field: Field) -> Spot | None:
    if field.size not in (1, 2, 4, 8) or "[" in field.type:
        return None
    mode = Mode.SIGNED if field.signed else Mode.UNSIGNED
    return Spot(slot, mode, field.offset, field.size, 0)


def _element_size(type_: str, long_size: int) -> int:
    """Return the size of a list's entries by their C type, or 0 where it is not known."""
    base = re.sub(r"__data_loc|__rel_loc|\[.*|\bconst\b", "", type_).strip()
    if base in _EIGHT:
        return 8
    if base in _FOUR:
        return 4
    return long_size if base in _LONG else 0


def _binary_mark(form: Format, long_size: int) -> Iterable[Spot]:
    """Yield the spots of the marks that keep an address in place of their text."""
    pointer = form.fields.get("fmt") or form.fields.get("str")
    if pointer is None or pointer.size not in (4, 8):
        return
    yield Spot(Slot.OBJECT, Mode.ADDRESS, pointer.offset, pointer.size, long_size)
    buffer = form.fields.get("buf")
    if buffer is not None:
        yield Spot(Slot.TEXT, Mode.PRINTF, buffer.offset, 0, 1)
