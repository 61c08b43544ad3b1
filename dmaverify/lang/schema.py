"""What rules can name: made from the one table of the event model."""

from collections.abc import Iterable

from dmaverify.model.enums import TYPE_ENUMS, names_of
from dmaverify.model.fields import (
    DEVICE_FIELDS,
    EVENT_FIELDS,
    HCA_OBJECTS,
    KINDS_BY_NAME,
    MAPPING_FIELDS,
    MAPPING_OBJECTS,
    NAMED_FIELDS,
    NAMED_OBJECTS,
    TRACE_FIELDS,
    Field,
    Obj,
    Type,
    kind_name,
    names_objects,
)
from dmaverify.model.hca_fields import HCA_KINDS, QP_FIELDS, REGION_FIELDS, WORK_FIELDS
from dmaverify.model.kinds import EventKind

TYPE_NAMES = {
    Type.INT: "int", Type.ADDR: "addr", Type.SIZE: "size", Type.TIME: "time",
    Type.DURATION: "duration", Type.BOOL: "bool", Type.DIRECTION: "direction",
    Type.MAP_TYPE: "type", Type.KIND: "kind", Type.TOKEN: "token", Type.DEVICE: "device",
    Type.TASK: "task", Type.MEMORY: "memory", Type.PROVENANCE: "provenance",
    Type.ROUTINE: "routine", Type.ACTION: "action", Type.CACHE: "cache", Type.KEY: "key",
    Type.RIGHTS: "rights", Type.REGION_TYPE: "region_type", Type.SIDE: "side",
    Type.QP_TYPE: "qp_type", Type.QP_STATE: "qp_state", Type.OPCODE: "opcode",
    Type.WC_STATUS: "status", Type.QUEUE_PART: "queue_part", Type.HCA_OBJECT: "hca_object",
    Type.ASYNC_EVENT: "async_event", Type.CHANGE: "change", Type.MAD_STEP: "mad_step",
    Type.FAMILY: "family", Type.HAZARD: "hazard", Type.STATUSES: "statuses",
    Type.ACCESSOR: "accessor",
}  # fmt: skip

#: Types whose values have an order; the others can only be equal or not.
ORDERED = frozenset({Type.INT, Type.ADDR, Type.SIZE, Type.TIME, Type.DURATION})


ENUMS: dict[Type, dict[str, int]] = {
    **{type_: names_of(type_) for type_ in TYPE_ENUMS},
    Type.KIND: {name: int(kind) for name, kind in KINDS_BY_NAME.items()},
}
ENUM_WORDS = frozenset(word for words in ENUMS.values() for word in words)

KEYWORDS = frozenset([
    "dmarules", "include", "let", "set", "rule", "on", "as", "where", "require", "forbid",
    "except", "because", "report", "once", "per", "needs", "message", "hint", "explain", "tags",
    "class", "equivalents", "source", "maturity", "test", "and", "or", "not", "implies", "in",
    "exists", "covers", "true", "false", "error", "warning", "note", "fails", "passes", "here",
])  # fmt: skip
ROOTS = frozenset({"trace", "device"})
RESERVED = KEYWORDS | ENUM_WORDS | ROOTS

FIELDS_OF: dict[Obj, dict[str, Field]] = {
    Obj.EVENT: {f.name: f for f in EVENT_FIELDS},
    Obj.DEVICE: {f.name: f for f in DEVICE_FIELDS},
    Obj.TRACE: {f.name: f for f in TRACE_FIELDS},
    **{obj: {f.name: f for f in MAPPING_FIELDS} for obj in MAPPING_OBJECTS.values()},
    **{obj: {f.name: f for f in fields} for obj, fields in NAMED_FIELDS.items()},
}
FIELDS_OF |= {obj: {f.name: f for f in REGION_FIELDS} for obj in (Obj.REGION, Obj.ENDED_REGION)}
FIELDS_OF[Obj.QP] = {f.name: f for f in QP_FIELDS}
FIELDS_OF[Obj.WORK] = {f.name: f for f in WORK_FIELDS}
OBJECTS = MAPPING_OBJECTS | HCA_OBJECTS
MAPPINGS = frozenset(MAPPING_OBJECTS.values())


def ref(obj: Obj, number: int) -> int:
    """Return the number by which a program names a field; number 0 is the object itself."""
    return obj << 8 | number


def lacking(field: Field, kinds: Iterable[EventKind]) -> EventKind | None:
    """Return the first of some event kinds that does not have a field, or None."""
    if not field.kinds:
        return None
    return next((k for k in kinds if k not in field.kinds), None)


def event_fields(kinds: Iterable[EventKind]) -> list[str]:
    """Return what can follow `e.` for events of these kinds, `?` where it may be missing."""
    wanted = list(kinds)
    own = [
        f.name + "?" * f.optional for f in EVENT_FIELDS if lacking(f, wanted) is None
    ]  # fmt: skip
    objects = [] if wanted and all(k in HCA_KINDS for k in wanted) else [*MAPPING_OBJECTS]
    objects += NAMED_OBJECTS if all(names_objects(k) for k in wanted) else []
    objects += HCA_OBJECTS if any(k in HCA_KINDS for k in wanted) else []
    return [*own, "range", *(f"{name}?" for name in objects), "device"]


def object_fields(obj: Obj) -> list[str]:
    """Return what can follow an object other than the event."""
    names = [f.name + "?" * f.optional for f in FIELDS_OF[obj].values()]
    return [*names, "range"] if obj in MAPPINGS else names


def kinds_text(kinds: Iterable[EventKind]) -> str:
    """Return the names of kinds for a message."""
    return ", ".join(kind_name(k) for k in kinds)
