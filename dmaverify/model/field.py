"""What a thing that can be asked is: its object, its type, its names."""

from dataclasses import dataclass
from enum import IntEnum

from dmaverify.model.kinds import EventKind


class Obj(IntEnum):
    """The objects that a rule can reach from an event."""

    EVENT = 0  # the event itself
    MAPPING = 1  # the live mapping that the event means (best fit)
    GHOST = 2  # the mapping that last covered the address and has ended
    FOREIGN = 3  # a live mapping of another device at this address
    ENCLOSING = 4  # a live mapping of this device that has the address inside it, or near it
    OVERLAP = 5  # a live mapping that shares bytes of memory with this one
    NEIGHBOUR = 6  # a live mapping that shares a cache line, but no byte, with this one
    DEVICE = 8  # the device of the event
    TRACE = 9  # the recording as a whole
    ADAPTER = 10  # the adapter object that the event names
    FILE = 11  # the map register file that it names
    MDL = 12  # the MDL that it names
    REGION = 13  # the live memory region that a key names
    ENDED_REGION = 14  # the region that a key named last, and that has ended
    QP = 15  # the queue pair that the event names
    WORK = 16  # the work request that the event is about, or that is in its way


class Type(IntEnum):
    """The types of the rule language. Every value is an unsigned 64-bit number."""

    INT = 0  # a count
    ADDR = 1  # an address
    SIZE = 2  # bytes
    TIME = 3  # a moment of the trace clock, ns
    DURATION = 4  # ns
    BOOL = 5  # 0 or 1
    DIRECTION = 6  # model.kinds.Direction
    MAP_TYPE = 7  # model.kinds.MapType
    KIND = 8  # model.kinds.EventKind
    TOKEN = 9  # a CPU pointer or its hash: only == and !=
    DEVICE = 10  # a device: only == and !=; shown by name
    TASK = 11  # a task: only == and !=; shown by name
    MEMORY = 12  # model.kinds.MemoryKind
    PROVENANCE = 13  # model.kinds.Provenance
    ROUTINE = 14  # model.routines.Routine
    ACTION = 15  # model.routines.ReleaseAction
    CACHE = 16  # model.routines.CacheType
    KEY = 17  # a key of a memory region: only == and !=; shown in hexadecimal
    RIGHTS = 18  # model.kinds.Rights: only == and !=
    REGION_TYPE = 19  # model.kinds.RegionType
    SIDE = 20  # model.kinds.AccessSide
    QP_TYPE = 21  # model.kinds.QpType
    QP_STATE = 22  # model.kinds.QpState
    OPCODE = 23  # model.kinds.Opcode
    WC_STATUS = 24  # model.kinds.WcStatus
    QUEUE_PART = 25  # model.kinds.QueuePart
    HCA_OBJECT = 26  # model.kinds.HcaObject
    ASYNC_EVENT = 27  # model.kinds.AsyncEvent
    CHANGE = 28  # model.kinds.RangeChange
    MAD_STEP = 29  # model.kinds.MadStep
    FAMILY = 30  # model.kinds.HcaFamily
    HAZARD = 31  # model.kinds.Hazard
    ACCESSOR = 33  # AccessSide, and above its 8 bits which buffer of a list; shown in words
    STATUSES = 32  # a bit a model.kinds.WcStatus: only == and !=


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that can be asked.

    Args:
        obj: the object it belongs to; for mapping fields Obj.MAPPING stands for all.
        number: its number within the object, 1 to 255, never reused.
        name: the name in rules, `.dmat` and JSON.
        type: its type.
        optional: True where it can be unknown and needs `exists`.
        kinds: the event kinds that have it (events only; empty means all).
        space: the address space of an address: "bus", "physical", "virtual", "key" (what a key
            makes of addresses) or "".
        sentence: what it is, for the reference page.
        stored: True where it is stored with the event (a `.dmat` key), False where the
            engine computes it.
    """

    obj: Obj
    number: int
    name: str
    type: Type
    optional: bool
    kinds: frozenset[EventKind]
    space: str
    sentence: str
    stored: bool = False

    @property
    def ref(self) -> int:
        """Return the number by which a compiled rule asks for it."""
        return self.obj << 8 | self.number
