"""The native format carries every event without loss."""

import io
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dmaverify.model.events import Event, EventBatch
from dmaverify.model.fields import DERIVED, EVENT_FIELDS, NAMED_OBJECTS, event_has_device
from dmaverify.model.hca_fields import HCA_KINDS
from dmaverify.model.kinds import MAPPING_ERROR, UNKNOWN, Arg, EventKind, Flag, HcaValue, MapType
from dmaverify.model.routines import Routine
from dmaverify.trace import open_trace
from dmaverify.trace.events import Slot
from dmaverify.trace.native import NATIVE_EVENTS, DmatWriter
from dmaverify.trace.native_hca import HCA_FIELDS
from tests.unit.trace.reading import FIXTURES, read

K = EventKind

U16, U32, U64 = (st.integers(0, 2**n - 1) for n in (16, 32, 64))
KINDS = [kind for kind in K if kind not in DERIVED]
CALLS = [kind for kind in K if K.DMA_MAP <= kind <= K.DMA_FREE]
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    ["0000:00:04.0", "fe800000.ethernet", "a b", 'q"', "dir=1", "(x)", "?", "ö"]
)
#: The named numbers that a kind can have: those whose name its row's object does not take.
ARGS = {
    spec.kind: [arg for arg in Arg if spec.fields.get(arg.name.lower()) is Slot.ARG]
    for spec in NATIVE_EVENTS
}
WORDS = (Flag.FAILED, Flag.TRUNCATED, Flag.HASHED, Flag.SKIP_SYNC, Flag.MMIO, Flag.FROM_MARK)


@st.composite
def events(draw: st.DrawFn, devices: list[str]) -> dict[str, Any]:
    """Draw the arguments of `EventBatch.add` for one consistent event."""
    kind = draw(st.sampled_from(KINDS))
    values: dict[str, Any] = {
        "kind": kind, "time": draw(st.none() | U64), "cpu": draw(U16), "site": draw(U32),
        "object": draw(st.just(0) | U32), "status": draw(st.just(0) | st.integers(-32768, 32767)),
        "type": draw(st.sampled_from(MapType)) if kind in CALLS else MapType.UNKNOWN,
        "device": draw(st.integers(1, len(devices))) if event_has_device(kind) else 0,
        "direction": draw(st.none() | st.integers(0, 255)),
        "bus_addr": draw(st.none() | U64), "phys_addr": draw(st.none() | U64),
        "length": draw(st.none() | U64),
        "text": draw(st.text(max_size=20)) if kind is K.MARK else None,
        "flags": sum(draw(st.sets(st.sampled_from(WORDS)))),
    }  # fmt: skip
    if kind in HCA_KINDS:
        values["type"] = draw(st.integers(0, 15))
        beside = [v for v in HcaValue if v.name.lower() not in HCA_FIELDS[kind]]
        values["hca"] = draw(st.lists(st.tuples(st.sampled_from(beside), U64), max_size=3))
    if kind in (K.QUEUE_MEMORY, K.MAD_SEND, K.MAD_RECV, K.MAP_MR_SG):
        values["sges"] = draw(st.lists(st.tuples(U64, U32, st.just(0)), max_size=4))
    if kind in (K.POST_SEND, K.POST_RECV):
        values["sges"] = draw(st.lists(st.tuples(U64, U32, U32), max_size=4))
    if kind in CALLS:
        if draw(st.booleans()):
            values["sg_bus"] = draw(st.lists(st.tuples(U64, U64 | st.just(UNKNOWN)), max_size=4))
            values["bus_full"] = len(values["sg_bus"]) + draw(st.just(0) | st.integers(0, 99))
        if draw(st.booleans()):
            values["sg_phys"] = draw(st.lists(U64, max_size=4))
            values["phys_full"] = len(values["sg_phys"]) + draw(st.just(0) | st.integers(0, 99))
    if kind in (K.DMA_ALLOC, K.DMA_FREE):
        values["virt_addr"] = draw(st.none() | st.just(0) | U64)
    if ARGS[kind] and draw(st.booleans()):
        args = st.dictionaries(st.sampled_from(ARGS[kind]), st.sampled_from([*Routine]) | U64)
        values["args"] = draw(args)
    return consistent(values)


def consistent(values: dict[str, Any]) -> dict[str, Any]:
    """Set the flags that follow from the values, as every reader does."""
    if values.get("bus_full", 0) > len(values.get("sg_bus", ())):
        values["flags"] |= Flag.TRUNCATED
    if values.get("phys_full", 0) > len(values.get("sg_phys", ())):
        values["flags"] |= Flag.TRUNCATED
    if values["kind"] in CALLS and values["bus_addr"] == MAPPING_ERROR:
        values["flags"] |= Flag.FAILED
    if values.get("virt_addr") == 0:
        values["flags"] |= Flag.NULL_CPU
        if values["kind"] is K.DMA_ALLOC:
            values["flags"] |= Flag.FAILED
    return values


def written_and_read(batch: EventBatch, devices: list[str]) -> tuple[list[Event], list[str]]:
    """Return the events and the devices that come back from a file."""
    out = io.StringIO()
    DmatWriter(out).write_batch(batch, devices)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t"
        path.write_bytes(out.getvalue().encode("utf-8", "replace"))
        reader = open_trace(str(path))
        found = [b[i] for b in reader.batches() for i in range(len(b))]
        assert ([], True) == (reader.notices, reader.complete)
        assert "dmat" == reader.format
        return found, reader.devices


def named(event: Event, devices: list[str]) -> tuple[str, Event]:
    """Return an event without its device's number, beside the device's name."""
    name, event.device = devices[event.device], 0
    return name, event


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_event(data: st.DataObject) -> None:
    """A file written and read back gives identical rows."""
    devices = ["", *data.draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))]
    batch = EventBatch()
    for values in data.draw(st.lists(events(devices[1:]), min_size=1, max_size=8)):
        batch.add(**values)
    expected = [named(batch[i], devices) for i in range(len(batch))]
    found, names = written_and_read(batch, devices)

    assert expected == [named(e, names) for e in found]


def test_every_stored_field_is_drawn() -> None:
    """The property covers each field that is stored with an event."""
    drawn = {"bus_addr", "phys_addr", "length", "direction", "type", "virt_addr", "failed",
             "skip_sync", "mmio", "unmapped", "dma_mask", "max_segment", "boundary",
             "memory", "transfer", "controller", "queue", "command", "level", "request",
             "key", "iova", "pd", "access", "side", "region_type", "moves", "qp", "result",
             "qp_type", "state", "wr_id", "opcode", "completion", "post_flags", "cq", "entries",
             "rkey", "srq", "ah", "number", "part", "object_type", "async_event", "change",
             "address", "published", "agent", "step"}  # fmt: skip
    drawn |= {arg.name.lower() for arg in Arg} - NAMED_OBJECTS.keys()

    assert {f.name for f in EVENT_FIELDS if f.stored} == drawn


def test_real_recordings() -> None:
    """Real recordings survive the way through the native format."""
    for name in ("edu-direct-ok_sg_long.tracefs.txt", "edu-swiotlb-ok_sg.report.txt",
                 "tracefs-fields.txt", "report-lost.txt", "tracefs-nocontext.txt"):  # fmt: skip
        reader, expected = read(FIXTURES / name)
        batch = EventBatch()
        for e in expected:
            batch.add(**{n: v for n, v in dict(e.key()).items() if v is not None and (
                n not in ("sg_bus", "sg_phys", "bus_full", "phys_full") or v)})  # fmt: skip
        found, names = written_and_read(batch, reader.devices)

        assert len(expected) > 10
        assert expected == found
        assert reader.devices == names
