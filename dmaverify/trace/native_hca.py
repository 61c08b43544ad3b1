"""An HCA's events in the native format: names for the slots of their rows."""

from collections.abc import Iterable
from enum import IntEnum, IntFlag

from dmaverify.model.events import Event
from dmaverify.model.kinds import (
    AccessSide,
    AsyncEvent,
    EventKind,
    Flag,
    HcaObject,
    HcaValue,
    MadStep,
    Opcode,
    PostFlag,
    QpState,
    QpType,
    QueuePart,
    RangeChange,
    RegionType,
    Rights,
    WcStatus,
)
from dmaverify.trace.slots import FIRST_VALUE, Slot

K, S = EventKind, Slot

_RANGE = {"key": S.OBJECT, "iova": S.BUS_ADDR, "length": S.LENGTH, "pd": S.PHYS_ADDR}
_REGION = {**_RANGE, "access": S.ACCESS, "region_type": S.TYPE}
_QP = {"qp": S.OBJECT}
_POST = {
    **_QP, "wr_id": S.PHYS_ADDR, "opcode": S.TYPE, "post_flags": S.ACCESS, "sges": S.SGES,
    "keys": S.PHYS_LIST,
}  # fmt: skip
_OBJECT = {"number": S.OBJECT, "object_type": S.TYPE}
#: Memory as the device sees it, in one piece or as a list.
_MEMORY = {"bus_addr": S.BUS_ADDR, "length": S.LENGTH, "segments": S.SGES}
_MAD = {
    **_MEMORY, "agent": S.OBJECT, "step": S.TYPE, "wr_id": S.PHYS_ADDR, "completion": S.STATUS,
}  # fmt: skip

#: Field name -> slot of each kind; a kind has those of every event beside them.
HCA_FIELDS: dict[EventKind, dict[str, Slot]] = {
    K.ALLOC_PD: {"pd": S.PHYS_ADDR},
    K.DEALLOC_PD: {"pd": S.PHYS_ADDR},
    K.REG_MR: _REGION,
    K.REG_MR_BEGIN: _REGION,
    K.REG_MR_END: {"key": S.OBJECT, "rkey": S.PHYS_ADDR},
    K.REREG_MR: _REGION,
    K.FAST_REG_MR: _REGION,
    K.INVALIDATE_MR: {"key": S.OBJECT},
    K.DEREG_MR: {"key": S.OBJECT, "id": S.PHYS_ADDR},
    K.BIND_MW: _REGION,
    K.CREATE_QP: {**_QP, "pd": S.PHYS_ADDR, "qp_type": S.TYPE, "access": S.ACCESS},
    K.MODIFY_QP: {**_QP, "state": S.STATUS, "access": S.ACCESS},
    K.DESTROY_QP: _QP,
    K.CREATE_CQ: {"cq": S.OBJECT, "entries": S.LENGTH},
    K.DESTROY_CQ: {"cq": S.OBJECT},
    K.POST_SEND: _POST,
    K.POST_RECV: _POST,
    K.CQE: {
        **_QP, "wr_id": S.PHYS_ADDR, "opcode": S.TYPE, "completion": S.STATUS,
        "length": S.LENGTH,
    },
    K.HCA_ACCESS: {**_RANGE, "access": S.ACCESS, "side": S.TYPE, "moves": S.STATUS},
    K.HCA_VERDICT: {
        "result": S.STATUS, "key": S.OBJECT, "iova": S.BUS_ADDR, "length": S.LENGTH,
        "access": S.ACCESS, "side": S.TYPE,
    },
    K.TASK_EXIT: {},
    K.CREATE_SRQ: {"srq": S.OBJECT, "pd": S.PHYS_ADDR, "entries": S.LENGTH},
    K.DESTROY_SRQ: {"srq": S.OBJECT},
    K.CREATE_AH: {"ah": S.OBJECT, "pd": S.PHYS_ADDR},
    K.DESTROY_AH: {"ah": S.OBJECT},
    K.DOORBELL: {"number": S.OBJECT, "part": S.TYPE, "published": S.LENGTH},
    K.QUEUE_MEMORY: {"number": S.OBJECT, "part": S.TYPE, **_MEMORY},
    K.MAD_SEND: _MAD,
    K.MAD_RECV: _MAD,
    K.ALLOC_MW: {"key": S.OBJECT, "pd": S.PHYS_ADDR, "region_type": S.TYPE},
    K.DEALLOC_MW: {"key": S.OBJECT},
    K.TEARDOWN: _OBJECT,
    K.TEARDOWN_DONE: _OBJECT,
    K.ASYNC_EVENT: {"number": S.OBJECT, "async_event": S.TYPE},
    K.USER_UNMAP: {"address": S.BUS_ADDR, "length": S.LENGTH, "change": S.TYPE},
    K.ODP_PAGES: {"key": S.OBJECT, "iova": S.BUS_ADDR, "length": S.LENGTH, "change": S.TYPE},
    K.MAP_MR_SG: {
        "key": S.OBJECT, "iova": S.BUS_ADDR, "length": S.LENGTH, "segments": S.SGES,
    },
}  # fmt: skip

#: What an event may have beside its row: names of HcaValue.
VALUE_SLOTS = {value.name.lower(): Slot(FIRST_VALUE + value) for value in HcaValue}

_TYPES: dict[EventKind, type[IntEnum]] = {
    K.HCA_ACCESS: AccessSide, K.HCA_VERDICT: AccessSide, K.CREATE_QP: QpType,
    K.POST_SEND: Opcode, K.POST_RECV: Opcode, K.CQE: Opcode,
    K.DOORBELL: QueuePart, K.QUEUE_MEMORY: QueuePart, K.MAD_SEND: MadStep,
    K.MAD_RECV: MadStep, K.TEARDOWN: HcaObject, K.TEARDOWN_DONE: HcaObject,
    K.ASYNC_EVENT: AsyncEvent, K.USER_UNMAP: RangeChange, K.ODP_PAGES: RangeChange,
}  # fmt: skip
_STATUSES: dict[EventKind, type[IntEnum]] = {
    K.MODIFY_QP: QpState, K.CQE: WcStatus, K.MAD_SEND: WcStatus, K.MAD_RECV: WcStatus,
}  # fmt: skip
#: Objects whose numbers are written in decimal.
_COUNTED = frozenset({"qp", "cq", "srq", "ah", "number", "agent"})
_UNKNOWN = {S.BUS_ADDR: Flag.BUS_UNKNOWN, S.PHYS_ADDR: Flag.PHYS_UNKNOWN}


def bits(members: type[IntFlag], value: int) -> str:
    """Return bits as names joined by `|`, or as a number where one has no name."""
    names = [m.name.lower() for m in members if value & m and m.name]
    known = sum(int(m) for m in members)
    return "|".join(names) if names and not value & ~known else hex(value)


def _word(members: type[IntEnum] | None, value: int) -> str:
    """Return the name of a number, or the number."""
    if members is None or value not in list(members):
        return str(value)
    return members(value).name.lower()


def _one(event: Event, name: str, slot: Slot) -> str:
    """Return one field of an event, "" where it is not known."""
    value: str = ""
    if slot == S.OBJECT and event.object:
        value = str(event.object) if name in _COUNTED else hex(event.object)
    elif slot == S.BUS_ADDR and not event.flags & Flag.BUS_UNKNOWN:
        value = hex(event.bus_addr)
    elif slot == S.PHYS_ADDR and not event.flags & Flag.PHYS_UNKNOWN:
        value = hex(event.phys_addr)
    elif slot == S.LENGTH and not event.flags & Flag.LENGTH_UNKNOWN:
        value = str(event.length)
    elif slot == S.ACCESS and not event.flags & Flag.DIRECTION_UNKNOWN:
        flags: type[IntFlag] = PostFlag if name == "post_flags" else Rights
        value = str(event.direction) if name == "direction" else bits(flags, event.direction)
    elif slot == S.TYPE and event.type:
        value = _word(_TYPES.get(event.kind, RegionType), event.type)
    elif slot == S.STATUS and (event.status or event.kind in _STATUSES):
        value = _word(_STATUSES.get(event.kind), event.status)
    return f"{name}={value}" if value else ""


def _lists(event: Event) -> Iterable[str]:
    if event.sges:
        name = "sges" if "sges" in HCA_FIELDS[event.kind] else "segments"
        yield f"{name}={{{','.join(f'{a:#x}+{n:#x}' for a, n, _ in event.sges)}}}"
        if name == "sges":
            yield f"keys={{{','.join(f'{k:#x}' for *_, k in event.sges)}}}"
    for what, value in event.hca or ():
        yield f"{what.name.lower()}={value:#x}"


#: Names of slots that a kind gives no name of its own.
_PLAIN = {
    "type": S.TYPE, "direction": S.ACCESS, "bus_addr": S.BUS_ADDR, "length": S.LENGTH,
    "phys_addr": S.PHYS_ADDR, "status": S.STATUS, "object": S.OBJECT,
}  # fmt: skip


def hca_fields(event: Event) -> list[str]:
    """Return the fields of an HCA's event in a fixed order; what is unknown is left out."""
    own = HCA_FIELDS[event.kind]
    plain = {name: slot for name, slot in _PLAIN.items() if slot not in own.values()}
    found = [_one(event, name, slot) for name, slot in (own | plain).items()]
    return [part for part in found if part] + list(_lists(event))
