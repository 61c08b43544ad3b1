"""Which enumeration the values of a field's type are from."""

from enum import IntEnum

from dmaverify.model.fields import Type
from dmaverify.model.kinds import (
    AccessSide,
    AsyncEvent,
    Direction,
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
    WcStatus,
)
from dmaverify.model.routines import CacheType, ReleaseAction, Routine

#: Types whose values rules name; the kinds of events have names of their own beside it.
TYPE_ENUMS: dict[Type, type[IntEnum]] = {
    Type.DIRECTION: Direction,
    Type.MAP_TYPE: MapType,
    Type.MEMORY: MemoryKind,
    Type.PROVENANCE: Provenance,
    Type.ROUTINE: Routine,
    Type.ACTION: ReleaseAction,
    Type.CACHE: CacheType,
    Type.REGION_TYPE: RegionType,
    Type.SIDE: AccessSide,
    Type.QP_TYPE: QpType,
    Type.QP_STATE: QpState,
    Type.OPCODE: Opcode,
    Type.WC_STATUS: WcStatus,
    Type.QUEUE_PART: QueuePart,
    Type.HCA_OBJECT: HcaObject,
    Type.ASYNC_EVENT: AsyncEvent,
    Type.CHANGE: RangeChange,
    Type.MAD_STEP: MadStep,
    Type.FAMILY: HcaFamily,
    Type.HAZARD: Hazard,
}


def names_of(type_: Type) -> dict[str, int]:
    """Return what rules call the values of a type, with their numbers."""
    # That nothing is in the way is no hazard, and has no name.
    return {m.name.lower(): int(m) for m in TYPE_ENUMS[type_] if m or type_ is not Type.HAZARD}
