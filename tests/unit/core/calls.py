"""Short ways to write events, and to ask an engine what it makes of them."""

from dataclasses import replace
from typing import Any

from dmaverify.core.engine import Engine
from dmaverify.model.fields import EVENT_FIELDS, MAPPING_FIELDS, MAPPING_OBJECTS, Obj
from dmaverify.model.kinds import EventKind, Maturity, Severity
from dmaverify.model.program import INSTRUCTION, Op, Program, Rule
from tests.oracle.nouns import Call
from tests.property.events import batch_of

K = EventKind
EVENT = {f.name: f.number for f in EVENT_FIELDS}
MAPPING = {f.name: f.number for f in MAPPING_FIELDS}


def call(kind: EventKind, bus: int | None = 0x1000, **values: Any) -> Call:
    """Return an event; unless told otherwise, one page of device 1 that the device writes."""
    usual: dict[str, Any] = {"device": 1, "length": 0x1000, "direction": 2, "type": 1}
    return Call(kind, bus_addr=bus, **{**usual, **values})


def dma_map(bus: int | None = 0x1000, **values: Any) -> Call:
    """Return a mapping call."""
    return call(K.DMA_MAP, bus, **values)


def dma_unmap(bus: int | None = 0x1000, **values: Any) -> Call:
    """Return an unmap call."""
    return call(K.DMA_UNMAP, bus, **values)


def dma_sync(bus: int | None = 0x1000, **values: Any) -> Call:
    """Return a sync for the CPU."""
    return call(K.DMA_SYNC_FOR_CPU, bus, **values)


def dma_list(pieces: list[tuple[int, int]], phys: list[int], **values: Any) -> Call:
    """Return the mapping of a list."""
    length = sum(n for _, n in pieces)
    return dma_map(
        pieces[0][0], length=length, phys_addr=phys[0], type=3, sg_bus=pieces, sg_phys=phys,
        **values,
    )  # fmt: skip


def unlist(phys: list[int], **values: Any) -> Call:
    """Return the unmap of a list."""
    return dma_unmap(None, **{"length": None, "type": 3, "sg_phys": phys, **values})


def lost() -> Call:
    """Return a loss of events."""
    return Call(K.LOST)


def life(kind: EventKind, device: int = 1) -> Call:
    """Return an event in the life of a driver."""
    return Call(kind, device=device)


def numbered(calls: list[Call]) -> list[Call]:
    """Return events with numbers and times, a microsecond apart."""
    return [replace(c, record=i, time=1000 * i) for i, c in enumerate(calls, 1)]


def fed(program: Program, calls: list[Call], **limits: Any) -> Engine:
    """Return an engine that has replayed some events."""
    engine = Engine(program, **limits)
    engine.feed(batch_of(numbered(calls)))
    return engine


def always(show: list[tuple[int, int]], **values: Any) -> Program:
    """Return a program of one rule that is always violated and shows some fields."""
    code = b"".join(
        INSTRUCTION.pack(Op.SHOWF, slot, obj, number, 0, 0)
        for slot, (obj, number) in enumerate(show)
    )
    code += INSTRUCTION.pack(Op.VIOLATED, 0, 0, 0, 0, 0)
    rule = Rule(**{
        "id": "always", "cls": "always", "severity": Severity.NOTE, "maturity": Maturity.STABLE,
        "kinds": tuple(EventKind), "entry": 0, "message": (),
        "group": (Obj.EVENT << 8 | EVENT["time"], Obj.MAPPING << 8 | MAPPING["time"]), **values,
    })  # fmt: skip
    return Program(code, (rule,))


def asked(calls: list[Call], *paths: str, **limits: Any) -> list[int | None]:
    """Return the values of some fields at the last event.

    Args:
        calls: the events.
        paths: such as "into" or "overlap.length"; "overlap" alone asks for its bus address.
        limits: of the engine.
    """
    show = []
    for path in paths:
        name, _, rest = path.partition(".")
        if name in MAPPING_OBJECTS:
            show.append((int(MAPPING_OBJECTS[name]), MAPPING[rest or "bus_addr"]))
        else:
            show.append((int(Obj.EVENT), EVENT[name]))
    return list(fed(always(show), calls, **limits).hits()[-1].shown)
