"""Adapters, map register files and MDLs: one mistake is one finding, and memory is bounded."""

from pathlib import Path

from dmaverify.core.engine import Engine
from dmaverify.model.events import EventBatch
from dmaverify.model.finding import Finding
from dmaverify.model.kinds import Arg, EventKind
from dmaverify.model.program import Program
from dmaverify.pipeline.check import CheckOptions, check_traces
from dmaverify.trace.native import HEADER

GET = "adapter_get: d adapter=1 granted=16 version=2"
LOCK = "mdl_lock: mdl=7 length=8192 routine=mm_probe_and_lock_pages"
ALLOC = (
    "dma_alloc: d type=coherent bus_addr=0x8000 length=4096 virt_addr=0xffff888000000000"
    " adapter=1 routine=allocate_common_buffer"
)
FREE = ALLOC.replace("dma_alloc", "dma_free").replace("allocate_common", "free_common")
CHANNEL = (
    "channel_allocate: d file=5 adapter=1 registers=2 routine=allocate_adapter_channel",
    "channel_granted: d file=5 adapter=1 registers=2",
)
KEEP = "channel_action: d file=5 adapter=1 action=deallocate_object_keep_registers"
MAP = (
    "dma_map: d type=single direction=from_device bus_addr=0x1000 phys_addr=0x9000 length=4096"
    " adapter=1 file=5 mdl=7 offset=0 mdl_length=8192 routine=map_transfer"
)
FLUSH = (
    "dma_unmap: d type=single direction=from_device length=4096 adapter=1 file=5 mdl=7 offset=0"
    " routine=flush_adapter_buffers"
)
RELEASE = "channel_free: d file=5 adapter=1 routine=free_map_registers registers=2"
LIST = (
    "dma_map: d type=sg direction=to_device segments={0x1000+0x1000,0x2000+0x1000}"
    " phys={0x9000,0xa000} adapter=1 file=6 mdl=7 routine=get_scatter_gather_list registers=2"
)
PUT_LIST = (
    "dma_unmap: d type=sg direction=to_device adapter=1 file=6 routine=put_scatter_gather_list"
)
PUT, UNBOUND = "adapter_put: d adapter=1", "driver_unbound: d"
OPEN = (GET, LOCK, *CHANNEL, MAP, KEEP)


def findings(folder: Path, *lines: str) -> tuple[Finding, ...]:
    """Return what the built-in rules find in a native trace."""
    path = folder / "t.dmat"
    path.write_text("\n".join((HEADER, *lines, "")), "utf-8")
    return check_traces([str(path)], CheckOptions()).findings


def told(folder: Path, *lines: str) -> list[tuple[str, list[tuple[str, int | None]]]]:
    """Return the rule of each finding, with the roles and the lines of its evidence."""
    return [
        (f.rule, [(e.role, e.line) for e in f.evidence]) for f in findings(folder, *lines)
    ]  # fmt: skip


def test_a_driver_by_the_book(tmp_path: Path) -> None:
    """A transfer on a channel, a list and a common buffer, each ended as it should be."""
    lines = (*OPEN, FLUSH, RELEASE, LIST, PUT_LIST, ALLOC, FREE, "mdl_unlock: mdl=7", PUT, UNBOUND)

    assert [] == told(tmp_path, *lines)


def test_a_put_explains_what_is_left(tmp_path: Path) -> None:
    """One finding names the first child; what follows from it is its consequence."""
    late = "dma_call: d adapter=1 routine=free_common_buffer"
    ((rule, proof),) = told(tmp_path, *OPEN, ALLOC, PUT, late, UNBOUND)

    assert "adapter-put-while-in-use" == rule
    assert [("got", 2), ("mapped", 6), ("put", 9)] == proof[:3]
    assert {"consequence"} == {role for role, _ in proof[3:]}


def test_registers_freed_while_mapped_explain_the_leak(tmp_path: Path) -> None:
    """The flush that comes too late, or never, is no second mistake."""
    for tail in ((FLUSH, PUT, UNBOUND), (PUT, UNBOUND)):
        ((rule, proof),) = told(tmp_path, *OPEN, RELEASE, *tail)

        assert "map-registers-freed-while-mapped" == rule
        assert ("mapped", 6) in proof


def test_a_list_put_for_another(tmp_path: Path) -> None:
    """The first of two is put twice, and that ends not what lives at its addresses by now."""
    second = LIST.replace("file=6", "file=8")
    found = told(tmp_path, GET, LOCK, LIST, PUT_LIST, second, PUT_LIST, PUT)

    assert ["unmap-of-unmapped", "adapter-put-while-in-use"] == [rule for rule, _ in found]
    assert [("mapped", 4), ("unmapped", 5)] == found[0][1][:2]


def test_calls_at_a_wrong_irql_are_grouped_by_routine(tmp_path: Path) -> None:
    """The level counts for its own CPU; one routine is one finding."""
    call = "dma_call: d adapter=1 routine=get_scatter_gather_list"
    found = findings(tmp_path, GET, "irql: level=0", call, call, call.replace("get_s", "put_s"))

    assert [("wrong-irql", 2), ("wrong-irql", 1)] == [(f.rule, f.occurrences) for f in found]
    assert "GetScatterGatherList called at IRQL 0, allowed are 2 to 2" == found[0].message


def test_two_mistakes_through_one_adapter_are_two(tmp_path: Path) -> None:
    """A wrong IRQL does not hide that the adapter is put too soon."""
    call = "dma_call: d adapter=1 routine=get_scatter_gather_list"

    assert ["wrong-irql", "adapter-put-while-in-use"] == [
        f.rule for f in findings(tmp_path, GET, ALLOC, "irql: level=0", call, PUT)
    ]


def test_lost_events_make_objects_doubtful(tmp_path: Path) -> None:
    """What hangs on an adapter may have been freed in the gap."""
    (found,) = findings(tmp_path, GET, ALLOC, "lost: length=9", PUT)

    assert ("adapter-put-while-in-use", "low") == (found.rule, found.confidence)


def test_ended_objects_are_forgotten_beyond_a_limit() -> None:
    """The memory for objects that ended does not grow with the recording."""
    engine = Engine(Program(b"", ()))
    batch = EventBatch(1 << 16)
    for number in range(1, 140_001):
        batch.add(EventKind.MDL_LOCK, object=number, length=4096)
        batch.add(EventKind.MDL_FREE, object=number)
        if number % 20_000 == 0:
            engine.feed(batch)
            batch.clear()

    assert 140_000 - 65_536 == engine.counters["objects_forgotten"]
    assert 0 == engine.counters["objects_refused"]


def test_calls_of_old_recordings_name_what_was_not_seen(tmp_path: Path) -> None:
    """An adapter, a file and an MDL from before the recording: nothing is known, nothing told."""
    lines = (MAP, FLUSH, RELEASE, "mdl_unlock: mdl=7", PUT)

    assert [] == told(tmp_path, *lines)


def test_named_numbers_do_not_depend_on_the_batch() -> None:
    """Whatever else a batch holds, an event with none of them names nothing."""
    batch = EventBatch(16)
    batch.add(EventKind.DMA_MAP, device=1, bus_addr=1, length=1, args={Arg.ADAPTER: 3})
    batch.add(EventKind.DMA_MAP, device=1, bus_addr=9, length=1)
    batch.clear()
    batch.add(EventKind.DMA_MAP, device=1, bus_addr=9, length=1)

    assert () == batch[0].args
