"""The packed row: its size, its way there and back, and its C twin's numbers."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dmaverify.core
import dmaverify.model
from dmaverify.model.events import EventBatch
from dmaverify.model.fields import Obj
from dmaverify.model.kinds import (
    MAP_TYPE_SHIFT,
    Arg,
    Direction,
    EventKind,
    Flag,
    MapType,
    SideTag,
)
from dmaverify.model.program import MAX_SHOWN, Op

ROW_BYTES = 64
WORD = st.integers(0, (1 << 64) - 1)
SLOTS = {
    "bus_addr": Flag.BUS_UNKNOWN, "phys_addr": Flag.PHYS_UNKNOWN, "length": Flag.LENGTH_UNKNOWN,
    "time": Flag.TIME_UNKNOWN,
}  # fmt: skip


def test_a_row_is_one_cache_line() -> None:
    """Rows lie 64 bytes apart."""
    batch = EventBatch(16)
    for _ in range(3):
        batch.add(EventKind.DMA_MAP)
    assert 3 * ROW_BYTES == len(batch.rows())


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(EventKind),
    words=st.fixed_dictionaries({name: st.none() | WORD for name in SLOTS}),
    direction=st.none() | st.integers(0, 255),
    type_=st.sampled_from(MapType),
    numbers=st.fixed_dictionaries({
        "device": st.integers(0, 2**32 - 1), "object": st.integers(0, 2**32 - 1),
        "site": st.integers(0, 2**32 - 1), "cpu": st.integers(0, 2**16 - 1),
        "status": st.integers(-(2**15), 2**15 - 1), "offset": WORD,
        "record": st.integers(0, 2**32 - 1), "line": st.integers(0, 2**32 - 1),
    }),
    flags=st.integers(0, 15).map(lambda n: n * Flag.HASHED),
    sg_bus=st.none() | st.lists(st.tuples(WORD, WORD), max_size=4),
    sg_phys=st.none() | st.lists(WORD, max_size=4),
    extra=st.integers(0, 5),
    virt_addr=st.none() | WORD,
    text=st.none() | st.text(max_size=20),
)  # fmt: skip
def test_what_is_added_is_read_back(
    kind: EventKind, words: dict[str, int | None], direction: int | None, type_: MapType,
    numbers: dict[str, int], flags: int, sg_bus: list[tuple[int, int]] | None,
    sg_phys: list[int] | None, extra: int, virt_addr: int | None, text: str | None,
) -> None:  # fmt: skip
    """Every value comes back, and what was not given is flagged as unknown."""
    full = {
        "bus_full": None if sg_bus is None else len(sg_bus) + extra,
        "phys_full": None if sg_phys is None else len(sg_phys) + extra,
    }
    batch = EventBatch(16)
    batch.add(EventKind.MARK, text="before")
    batch.add(
        kind, direction=direction, type=type_, flags=flags, sg_bus=sg_bus, sg_phys=sg_phys,
        virt_addr=virt_addr, text=text, **words, **numbers, **full,
    )  # fmt: skip
    batch.add(EventKind.MARK, text="after")
    event = batch[1]
    for name, value in {**words, **numbers}.items():
        assert (value or 0) == getattr(event, name)
    unknown = {flag for name, flag in SLOTS.items() if words[name] is None}
    unknown |= {Flag.DIRECTION_UNKNOWN} if direction is None else set()
    assert flags | sum(unknown) == event.flags
    assert (kind, type_, direction or 0) == (event.kind, event.type, event.direction)
    assert tuple(sg_bus or ()) == event.sg_bus
    assert tuple(sg_phys or ()) == event.sg_phys
    assert (full["bus_full"] or 0, full["phys_full"] or 0) == (event.bus_full, event.phys_full)
    assert (virt_addr, text if text is None else text.encode().decode()) == (
        event.virt_addr, event.text
    )  # fmt: skip
    assert ("before", "after") == (batch[0].text, batch[-1].text)


def test_records_are_numbered_by_default() -> None:
    """Rows that nobody numbers count from one."""
    batch = EventBatch(16)
    for _ in range(3):
        batch.add(EventKind.MARK)
    assert [1, 2, 3] == [batch[i].record for i in range(3)]


def test_a_batch_grows() -> None:
    """More rows and entries than there was room for are kept."""
    batch = EventBatch(1)
    for i in range(1000):
        batch.add(EventKind.DMA_MAP, bus_addr=i, sg_phys=[i] * (i % 7))
    assert [(i, (i,) * (i % 7)) for i in range(1000)] == [(e.bus_addr, e.sg_phys) for e in batch]


def test_an_index_outside_is_an_error() -> None:
    """Rows are counted from both ends, and there are no others."""
    batch = EventBatch(16)
    batch.add(EventKind.MARK)
    assert batch[0] == batch[-1]
    for at in (1, -2):
        with pytest.raises(IndexError):
            batch[at]


def test_clear_forgets_rows_and_lists() -> None:
    """A batch that was cleared is as new."""
    batch = EventBatch(16)
    batch.add(EventKind.DMA_MAP, sg_phys=[1, 2], text="x")
    batch.clear()
    assert 0 == len(batch)
    batch.add(EventKind.DMA_MAP, text="y")
    assert ((), "y") == (batch[0].sg_phys, batch[0].text)


def test_events_are_equal_by_what_happened() -> None:
    """The place in the source is no part of an event."""
    batch = EventBatch(16)
    batch.add(EventKind.DMA_MAP, bus_addr=1, line=1, offset=10)
    batch.add(EventKind.DMA_MAP, bus_addr=1, line=2, offset=20)
    batch.add(EventKind.DMA_MAP, bus_addr=2)
    assert batch[0] == batch[1]
    assert hash(batch[0]) == hash(batch[1])
    assert batch[0] != batch[2]


def test_named_numbers_are_kept_in_order() -> None:
    """A value of 0 is a value; an event without any has no side record."""
    batch = EventBatch(16)
    batch.add(EventKind.DMA_MAP, args={Arg.MDL: 0, Arg.ADAPTER: 2**64 - 1}, virt_addr=3)
    batch.add(EventKind.DMA_MAP, args={})
    assert ((Arg.ADAPTER, 2**64 - 1), (Arg.MDL, 0)) == batch[0].args
    assert (3, ()) == (batch[0].virt_addr, batch[1].args)


def test_named_numbers_have_bounds() -> None:
    """What is no number of the table, or does not fit, is an error of the caller."""
    with pytest.raises(ValueError, match="99"):
        EventBatch(16).add(EventKind.DMA_MAP, args={99: 1})
    with pytest.raises(OverflowError):
        EventBatch(16).add(EventKind.DMA_MAP, args={Arg.MDL: 2**64})


def test_tally_counts_kinds_times_and_cpus() -> None:
    """Unknown times are left out."""
    batch = EventBatch(16)
    assert ([0] * 128, None, None, 0) == batch.tally()
    batch.add(EventKind.DMA_MAP, time=50, cpu=3)
    batch.add(EventKind.DMA_MAP, time=20, cpu=1)
    batch.add(EventKind.LOST)
    counts, first, last, cpu = batch.tally()
    assert (2, 1, 3) == (counts[EventKind.DMA_MAP], counts[EventKind.LOST], sum(counts))
    assert (20, 50, 3) == (first, last, cpu)


# ---- the C side ------------------------------------------------------------------------------


def enums(package: object, name: str) -> dict[str, int]:
    """Return the names and numbers of all enums in a .pxd file."""
    text = (Path(package.__path__[0]) / name).read_text("utf-8")  # type: ignore[attr-defined]
    return {
        n: int(v, 0) for n, v in re.findall(r"^    ([A-Z_]+) = (0x[0-9a-f]+|\d+)\b", text, re.M)
    }


EVENTS = enums(dmaverify.model, "events.pxd")


@pytest.mark.parametrize(
    ("prefix", "enum"),
    [
        ("KIND", EventKind), ("DIR", Direction), ("TYPE", MapType), ("F", Flag),
        ("SIDE", SideTag), ("ARG", Arg),
    ],
)  # fmt: skip
def test_c_numbers_equal_python_numbers(prefix: str, enum: type) -> None:
    """Each member has its C twin with the same number, and there are no others."""
    expected = {f"{prefix}_{m.name}": int(m) for m in enum}  # type: ignore[attr-defined]
    found = {n: v for n, v in EVENTS.items() if n.startswith(f"{prefix}_")}
    extra = {"KIND_COUNT": max(EventKind) + 1, "KIND_ROOM": 128, "TYPE_SHIFT": MAP_TYPE_SHIFT,
             "ARG_COUNT": max(Arg) + 1}  # fmt: skip
    assert expected | {n: v for n, v in extra.items() if n.startswith(f"{prefix}_")} == found


def test_operation_numbers_are_the_same() -> None:
    """The rule machine and the compiler mean the same operations."""
    found = enums(dmaverify.core, "vm.pxd")
    ops = {f"OP_{op.name}": int(op) for op in Op}
    assert ops | {"OP_COUNT": len(Op)} == {n: v for n, v in found.items() if n.startswith("OP_")}
    assert MAX_SHOWN == found["SHOWN"]


def test_object_numbers_are_the_same() -> None:
    """The engine and the rule language mean the same objects."""
    found = {n: v for n, v in enums(dmaverify.core, "context.pxd").items() if n.startswith("OBJ_")}
    assert {f"OBJ_{o.name}": int(o) for o in Obj} | {"OBJ_MAPPINGS": int(Obj.DEVICE)} == found
