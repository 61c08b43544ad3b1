"""Printed traces, from the file to the events."""

import gzip
import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from dmaverify.errors import TraceError
from dmaverify.model.events import Event
from dmaverify.model.kinds import Direction, EventKind, Flag, MapType
from dmaverify.trace import open_trace, text
from tests.unit.trace.reading import FIXTURES, LAYOUTS, MAP, dma_line, lines_in, read, read_text

K = EventKind

SAME_EVENTS = [
    "iommu:map: IOMMU: iova=0x00000000ffe8a000 - 0x00000000ffe8b000 paddr=0x000000005fed5000"
    " size=4096",
    f"dma:dma_map_page: {MAP}",
    "dma:dma_map_sg: 0000:00:06.0 dir=FROM_DEVICE nents=3/3 ents=2/2 dma_addrs={0xfff0,0xaa000}"
    " sizes={0x10,0x2000} phys_addrs={0x1000,0x5000,0x2000} attrs=NO_WARN|SKIP_CPU_SYNC",
    "dma:dma_alloc: 0000:00:07.0 dir=BIDIRECTIONAL dma_addr=1000 size=24"
    " virt_addr=0xff36aee7d42c4000 flags=GFP_KERNEL|__GFP_ZERO attrs=",
    "swiotlb:swiotlb_bounced: dev_name: 0000:00:06.0 dma_mask=ffffffff dev_addr=5fed5000 size=512"
    " FORCE",
    "dma:dma_unmap_sg: 0000:00:06.0 dir=FROM_DEVICE phys_addrs={0x1000,0x5000,0x2000} attrs=",
    "iommu:io_page_fault: IOMMU:amd_iommu 0000:00:06.0 iova=0x00000000deadb000 flags=0x0001",
    "iommu:unmap: IOMMU: iova=0x00000000ffe8a000 - 0x00000000ffe8b000 size=4096 unmapped_size=0",
    "sched:sched_switch: prev_comm=dma_map_page: prev_pid=1 ==> next_comm=map: next_pid=2",
    'drv:driver_unbound: (device_links_driver_cleanup+0x4/0x260) dev="0000:00:06.0"',
]

PLACE = {"offset", "record", "line", "time", "site", "cpu", "flags"}


def without_place(events: list[Event]) -> list[dict[str, object]]:
    """Return what must not depend on the layout."""
    return [
        {**{n: v for n, v in e.key() if n not in PLACE}, "flags": e.flags & ~Flag.TIME_UNKNOWN}
        for e in events
    ]


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "tracefs"])
def test_layouts_agree(tmp_path: Path, layout: str) -> None:
    """Every layout gives the same events in the same order."""
    _, expected = read_text(tmp_path, lines_in("tracefs", SAME_EVENTS))
    reader, actual = read_text(tmp_path, lines_in(layout, SAME_EVENTS))

    assert without_place(expected) == without_place(actual)
    assert ["", "0000:00:06.0", "0000:00:07.0"] == reader.devices
    assert (10, 1) == (reader.records, reader.skipped)


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"bare", "integer-clock"}))
def test_head(tmp_path: Path, layout: str) -> None:
    """Time, task and CPU stand in every layout that prints them."""
    _, events = read_text(tmp_path, lines_in(layout, SAME_EVENTS))

    assert [8_000_000_000, 8_000_001_000] == [e.time for e in events[:2]]
    assert {(181, 1)} == {(e.site, e.cpu) for e in events}
    assert not any(e.flags & Flag.TIME_UNKNOWN for e in events)


def test_slots(tmp_path: Path) -> None:
    """Each field is in its slot, and what an event does not say is flagged."""
    _, events = read_text(tmp_path, lines_in("tracefs", SAME_EVENTS))
    iommu_map, page, sg, alloc, bounce, unmap, fault, iommu_unmap, unbound = events

    assert (K.IOMMU_MAP, 0xFFE8A000, 0x5FED5000, 4096) == (
        iommu_map.kind, iommu_map.bus_addr, iommu_map.phys_addr, iommu_map.length)  # fmt: skip
    assert Flag.DIRECTION_UNKNOWN == iommu_map.flags
    assert (K.DMA_MAP, MapType.SINGLE, Direction.TO_DEVICE, 0xFFE8A000, 0x5FED5000, 512, 0) == (
        page.kind, page.type, page.direction, page.bus_addr, page.phys_addr, page.length,
        page.flags)  # fmt: skip
    assert (MapType.SG, ((0xFFF0, 0x10), (0xAA000, 0x2000)), (0x1000, 0x5000, 0x2000)) == (
        sg.type, sg.sg_bus, sg.sg_phys)  # fmt: skip
    assert (0xFFF0, 0x1000, 0x2010, Flag.SKIP_SYNC) == (
        sg.bus_addr, sg.phys_addr, sg.length, sg.flags)  # fmt: skip
    assert (MapType.COHERENT, 0xFF36AEE7D42C4000, Flag.PHYS_UNKNOWN) == (
        alloc.type, alloc.virt_addr, alloc.flags)  # fmt: skip
    assert (K.BOUNCE, 0xFFFFFFFF, 0x5FED5000, 512) == (
        bounce.kind, bounce.bus_addr, bounce.phys_addr, bounce.length)  # fmt: skip
    assert Flag.FROM_MARK | Flag.DIRECTION_UNKNOWN == bounce.flags
    assert Flag.BUS_UNKNOWN | Flag.LENGTH_UNKNOWN == unmap.flags
    assert (0x1000, 0x5000, 0x2000) == unmap.sg_phys
    assert (K.DEV_FAULT, Direction.FROM_DEVICE) == (fault.kind, fault.direction)
    assert Flag.LENGTH_UNKNOWN | Flag.PHYS_UNKNOWN == fault.flags
    assert (4096, 0) == (iommu_unmap.length, iommu_unmap.phys_addr)
    assert K.DRIVER_UNBOUND == unbound.kind


REAL = {
    "perf.txt": ("perf-script", 152), "perf-ns.txt": ("perf-script", 152),
    "perf-stacks.txt": ("perf-script", 7), "report.txt": ("trace-cmd-report", 88),
    "report-l.txt": ("trace-cmd-report", 88), "report-raw.txt": ("trace-cmd-report", 88),
    "report-ts-diff.txt": ("trace-cmd-report", 149), "tracefs-fields.txt": ("ftrace-text", 138),
    "tracefs-nocontext.txt": ("ftrace-text", 148), "tracefs-latency.txt": ("ftrace-text", 132),
    "tracefs-tgid.txt": ("ftrace-text", 138), "tracefs-noirqinfo.txt": ("ftrace-text", 144),
    "tracefs-clock_counter.txt": ("ftrace-text", 138),
    "tracefs-probe_hash.txt": ("ftrace-text", 78),
    "tracefs-latency-swiotlb.txt": ("ftrace-text", 182),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_real_recordings(name: str) -> None:
    """Each line of a real recording is one event that the model has."""
    reader, events = read(FIXTURES / name)
    lines = (FIXTURES / name).read_text().splitlines()
    prefix = ("#", "\t", "cpus=")
    printed = [line for line in lines if line and not line.startswith(prefix)]

    assert REAL[name] == (reader.format, len(events))
    assert len(printed) == len(events) == reader.records
    assert printed == [reader.line_at(e.offset) for e in events]
    assert ([], True, 0) == (reader.notices, reader.complete, reader.skipped)


@pytest.mark.parametrize("other", ["report-l", "report-t", "report-raw", "report-new"])
def test_options_of_report_agree(other: str) -> None:
    """Options of trace-cmd report change the text, not the events."""
    _, expected = read(FIXTURES / "report.txt")
    _, actual = read(FIXTURES / f"{other}.txt")

    assert without_place(expected) == without_place(actual)


@pytest.mark.parametrize("name", ["direct-ok_sg_long", "direct-ok_resource", "swiotlb-ok_sg"])
def test_tracefs_and_report_agree(name: str) -> None:
    """The kernel's own text and trace-cmd's give the same rows, but for hashed pointers."""
    kernel, expected = read(FIXTURES / f"edu-{name}.tracefs.txt")
    user, actual = read(FIXTURES / f"edu-{name}.report.txt")
    for e in expected + actual:
        e.virt_addr, e.flags = None, e.flags & ~Flag.HASHED

    assert len(expected) > 10
    assert expected == actual
    assert kernel.devices == user.devices
    assert [e.record for e in expected] == [e.record for e in actual]


def test_long_list() -> None:
    """A list that the kernel cut keeps its full count."""
    _, events = read(FIXTURES / "edu-direct-ok_sg_long.tracefs.txt")
    sg = next(e for e in events if e.kind is K.DMA_MAP and e.type is MapType.SG)

    assert sg.flags & Flag.TRUNCATED
    assert (128, 128) == (len(sg.sg_bus), len(sg.sg_phys))
    assert sg.phys_full > 128


def test_fields_option() -> None:
    """The `fields` option prints lists as bytes and numbers twice."""
    _, events = read(FIXTURES / "tracefs-fields.txt")
    sg = next(e for e in events if e.kind is K.DMA_MAP and e.type is MapType.SG)

    assert (16, 16, 0x58A7000) == (len(sg.sg_phys), sg.phys_full, sg.sg_phys[0])
    assert ((0xFFF80000, 0x10000),) == sg.sg_bus
    assert Direction.FROM_DEVICE == sg.direction
    assert not sg.flags & Flag.TRUNCATED


def test_pointers() -> None:
    """A printed pointer is a hash unless it lies in the kernel's half."""
    _, hashed = read(FIXTURES / "tracefs-probe_hash.txt")
    _, plain = read(FIXTURES / "tracefs-probe_nohash.txt")
    allocs = [[e for e in events if e.kind is K.DMA_ALLOC] for events in (hashed, plain)]

    assert len(allocs[0]) == len(allocs[1]) == 8
    assert all(e.flags & Flag.HASHED for e in allocs[0])
    assert not any(e.flags & Flag.HASHED for e in allocs[1])
    assert 0xFFFFC900000AD000 == allocs[1][0].virt_addr


def test_null_pointer() -> None:
    """Freeing NULL is flagged, and is not a hash."""
    _, events = read(FIXTURES / "tracefs-reload.txt")

    assert (K.DMA_FREE, 0) == (events[0].kind, events[0].virt_addr)
    assert Flag.NULL_CPU == events[0].flags & (Flag.NULL_CPU | Flag.HASHED | Flag.FAILED)


@pytest.mark.parametrize(
    ("pointer", "virt", "flags"),
    [
        ("(nil)", 0, Flag.NULL_CPU | Flag.FAILED),
        ("0000000000000000", 0, Flag.NULL_CPU | Flag.FAILED),
        ("(____ptrval____)", None, Flag(0)),
        ("000000006120833f", 0x6120833F, Flag.HASHED),
        ("0xff36aee7d42c4000", 0xFF36AEE7D42C4000, Flag(0)),
        ("ffff888012345000", 0xFFFF888012345000, Flag(0)),
    ],
)
def test_alloc_pointers(tmp_path: Path, pointer: str, virt: int | None, flags: Flag) -> None:
    """An allocation without memory has failed; an early boot pointer is unknown."""
    body = f"0000:00:06.0 dir=TO_DEVICE dma_addr=1000 size=24 virt_addr={pointer} attrs="
    _, (event,) = read_text(tmp_path, dma_line(body, "dma_alloc"))

    assert virt == event.virt_addr
    assert flags == event.flags & ~Flag.PHYS_UNKNOWN


def test_losses(tmp_path: Path) -> None:
    """Each way of printing a loss gives a row where it stands."""
    text = (
        "# tracer: nop\n# entries-in-buffer/entries-written: 2/9   #P:2\n"
        + dma_line(MAP)
        + "CPU:1 [LOST 74 EVENTS]\nCPU:3 [LOST EVENTS]\nCPU:2 [80 EVENTS DROPPED]\n"
        + "##### CPU 1 buffer started ####\n"
        + dma_line(MAP)
    )
    reader, events = read_text(tmp_path, text)
    losses = [e for e in events if e.kind is K.LOST]

    assert [7, 74, 0, 80, 0] == [e.length for e in losses]
    assert [1, 0, 0, 0, 0] == [e.status for e in losses]
    assert [0, 1, 3, 2, 1] == [e.cpu for e in losses]
    assert [False, False, True, False, True] == [
        bool(e.flags & Flag.LENGTH_UNKNOWN) for e in losses
    ]
    assert (161, 2) == (reader.lost, reader.records)
    assert [1, 1, 2, 2, 2, 2, 2] == [e.record for e in events]


def test_buffer_started_without_overrun(tmp_path: Path) -> None:
    """Where nothing was overwritten, the start of a CPU's buffer is no loss."""
    _, events = read_text(tmp_path, dma_line(MAP) + "##### CPU 1 buffer started ####\n")

    assert [K.DMA_MAP] == [e.kind for e in events]


def test_perf_loss(tmp_path: Path) -> None:
    """Perf prints losses as records of their own."""
    text = lines_in("perf", SAME_EVENTS[:2])
    text += "           iogen   181 [003]     9.000001: PERF_RECORD_LOST lost 54\n"
    reader, events = read_text(tmp_path, text)

    assert (K.LOST, 54, 3) == (events[-1].kind, events[-1].length, events[-1].cpu)
    assert (54, 2, []) == (reader.lost, reader.records, reader.notices)


def test_lines_of_report(tmp_path: Path) -> None:
    """What trace-cmd report says about the file is no line that was not understood."""
    text = "version = 7\nCPU 1 is empty\ncpus=2\n" + lines_in("report", SAME_EVENTS)
    reader, events = read_text(tmp_path, text)

    assert ("trace-cmd-report", 9, []) == (reader.format, len(events), reader.notices)


def test_bare_without_header(tmp_path: Path) -> None:
    """Lines without task and time need no header if they are events beyond doubt."""
    reader, events = read_text(tmp_path, lines_in("bare", SAME_EVENTS).split("\n", 1)[1])

    assert (9, 10, []) == (len(events), reader.records, reader.notices)


def test_real_losses() -> None:
    """Real recordings tell their losses."""
    lost = {name: read(FIXTURES / name)[0].lost for name in
            ("tracefs-overrun.txt", "trace-pipe-lost.txt", "report-lost.txt")}  # fmt: skip

    assert {
        "tracefs-overrun.txt": 6015, "trace-pipe-lost.txt": 728, "report-lost.txt": 80
    } == lost  # fmt: skip


def test_instances() -> None:
    """Two instances that record different things are both read."""
    reader, events = read(FIXTURES / "report-instances.txt")
    kinds = Counter(e.kind for e in events)

    assert {K.IOMMU_MAP: 36, K.IOMMU_UNMAP: 4, K.DMA_MAP: 4, K.DMA_UNMAP: 4} == kinds
    assert [] == reader.notices


def test_same_events_twice(tmp_path: Path) -> None:
    """Of two instances that record the same device, the first one counts."""
    line = dma_line(MAP)
    other = dma_line(MAP.replace("06.0", "07.0"))
    text = f"foo: {line}bar: {line}bar: {other}foo: {line}bar: {line}     {line}"
    reader, events = read_text(tmp_path, text)

    assert [1, 2, 1] == [e.device for e in events]
    assert [("duplicate-instances", 3)] == [(n.id, n.count) for n in reader.notices]
    assert 6 == reader.records


COMMS = [
    "a b-c d",
    "we] ird: 7",
    "x-12 [001]",
    "a-1 [000] 1: m",
    "<...>",
    "-1",
    "é" * 7,
    "\x1b[31m",
]


@pytest.mark.parametrize("comm", COMMS)
@pytest.mark.parametrize("layout", ["tracefs", "tgid", "report", "report-instance", "perf"])
def test_task_names(tmp_path: Path, comm: str, layout: str) -> None:
    """A task's name can hold anything and changes nothing but itself."""
    pad = len(comm.encode()) - len(comm)
    text = lines_in(layout, SAME_EVENTS).replace("iogen".rjust(16), comm.rjust(16 - pad))
    reader, events = read_text(tmp_path, text)

    assert [8_000_000_000, 8_000_001_000] == [e.time for e in events[:2]]
    assert {(181, 1)} == {(e.site, e.cpu) for e in events}
    assert 9 == len(events)
    assert {comm.strip()} == {reader.task_name(e.site, reader.line_at(e.offset)) for e in events}


def test_task_name_with_line_end(tmp_path: Path) -> None:
    """A task's name with a line end in it loses no event and makes none."""
    text = dma_line(MAP) + dma_line(MAP, comm="x\ny", at=1) + dma_line(MAP, comm="map: \n", at=2)
    reader, events = read_text(tmp_path, text)

    assert [8_000_000_000, 8_000_001_000, 8_000_002_000] == [e.time for e in events]
    assert 3 == reader.records


@pytest.mark.parametrize("layout", ["tracefs", "latency", "report", "perf", "bare"])
def test_forged_marks(tmp_path: Path, layout: str) -> None:
    """The text of a mark is never an event, whatever it looks like."""
    forged = dma_line(MAP).strip()
    events = [
        f"ftrace:tracing_mark_write: {forged}",
        f"ftrace:tracing_mark_write: dma:dma_map_page: {MAP}",
        "ftrace:tracing_mark_write: CPU:1 [LOST 74 EVENTS]",
        f"ftrace:tracing_mark_write:  x-1 [000] ..... 1.0: dma_map_page: {MAP}",
    ]
    reader, found = read_text(tmp_path, lines_in(layout, events))

    assert [K.MARK] * 4 == [e.kind for e in found]
    assert (forged, 0) == (found[0].text, reader.lost)


def test_marks(tmp_path: Path) -> None:
    """Marks in our own words tell a driver's life; others stay texts."""
    text = (
        dma_line("dmaverify: bind 0000:00:06.0 nvme", "tracing_mark_write")
        + dma_line("0xffffffff81136d7b: dmaverify: unbind-end 0000:00:06.0 nvme", "print")
        + dma_line("dmaverify: unbind-begin 0000:00:06.0 nvme", "tracing_mark_write")
        + dma_line("tracing_mark_write: hello  world ", "print")
        + dma_line("dmaverify: bind", "tracing_mark_write")
    )
    _, events = read_text(tmp_path, text)

    kinds = [K.DRIVER_BOUND, K.DRIVER_UNBOUND, K.MARK, K.MARK, K.MARK]
    assert kinds == [e.kind for e in events]
    assert [1, 1, 0, 0, 0] == [e.device for e in events]
    assert all(e.flags & Flag.FROM_MARK for e in events[:2])
    assert [None, None, "dmaverify: unbind-begin 0000:00:06.0 nvme", "hello  world ",
            "dmaverify: bind"] == [e.text for e in events]  # fmt: skip


def test_other_systems(tmp_path: Path) -> None:
    """An event of another system that is called `map` is not the IOMMU's."""
    text = dma_line("device=0000:00:06.0 size=4096", "map") + lines_in(
        "perf", ["xyz:map: iova=0x1000 paddr=0x2000 size=4096", f"dma:dma_map_page: {MAP}"]
    )
    reader, events = read_text(tmp_path, text.split("\n", 1)[1])
    other, none = read_text(tmp_path, text.split("\n", 1)[0] + "\n")

    assert [K.DMA_MAP] == [e.kind for e in events]
    assert (1, []) == (reader.skipped, none)
    assert ["events-garbled"] == [n.id for n in other.notices]


@pytest.mark.parametrize(
    ("name", "word", "direction", "flag"),
    [
        ("dma_map_page", "0x7", 7, False), ("dma_map_page", "2", 2, False),
        ("dma_map_page", "0xffff8000", 255, False), ("dma_map_page", "what", 0, True),
        ("dma_alloc", "0xffff8000", 0, True), ("dma_alloc", "NONE", 3, False),
    ],
)  # fmt: skip
def test_odd_directions(tmp_path: Path, name: str, word: str, direction: int, flag: bool) -> None:
    """A wrong direction is kept; garbage from an old kernel bug is unknown."""
    _, (event,) = read_text(tmp_path, dma_line(MAP.replace("TO_DEVICE", word), name))

    assert (direction, flag) == (event.direction, bool(event.flags & Flag.DIRECTION_UNKNOWN))


@pytest.mark.parametrize(
    ("attrs", "flags"),
    [
        ("SKIP_CPU_SYNC", Flag.SKIP_SYNC), ("WEAK_ORDERING|MMIO", Flag.MMIO),
        ("NO_WARN|0x420", Flag.SKIP_SYNC | Flag.MMIO), ("0x20", Flag.SKIP_SYNC),
        ("", Flag(0)), ("NOT_MMIO", Flag(0)),
    ],
)  # fmt: skip
def test_attributes(tmp_path: Path, attrs: str, flags: Flag) -> None:
    """Attributes are known by name and by bit."""
    _, (event,) = read_text(tmp_path, dma_line(MAP + attrs))

    assert flags == event.flags


def test_failures(tmp_path: Path) -> None:
    """A failed mapping is flagged, and the mislabelled list of the error event is physical."""
    text = dma_line(MAP.replace("ffe8a000", "f" * 16)) + dma_line(
        "0000:00:06.0 dir=TO_DEVICE dma_addrs={0x1000,0x2000} err=-22 attrs=", "dma_map_sg_err"
    )
    _, (page, sg) = read_text(tmp_path, text)

    assert (Flag.FAILED, 2**64 - 1) == (page.flags, page.bus_addr)
    assert sg.flags & Flag.FAILED
    assert sg.flags & Flag.BUS_UNKNOWN
    assert (-22, (0x1000, 0x2000), ()) == (sg.status, sg.sg_phys, sg.sg_bus)


@pytest.mark.parametrize(
    "body",
    [
        MAP.replace("512", "5x2"), MAP.replace("ffe8a000", "1" + "0" * 16),
        MAP.replace("512", "99999999999999999999"), MAP.replace("dma_addr=ffe8a000 ", ""),
        "0000:00:06.0", "", "dir=TO_DEVICE dma_addr=1 size=2",
    ],
)  # fmt: skip
def test_garbled_events(tmp_path: Path, body: str) -> None:
    """An event without its fields is counted and left out, never guessed."""
    reader, events = read_text(tmp_path, dma_line(body))

    assert ([], 1, 1) == (events, reader.records, reader.skipped)
    assert ["events-garbled"] == [n.id for n in reader.notices]


def test_device_with_spaces(tmp_path: Path) -> None:
    """A device's name may hold spaces."""
    reader, _ = read_text(tmp_path, dma_line(MAP.replace("0000:00:06.0", "my odd device")))

    assert ["", "my odd device"] == reader.devices


def test_cut_at_every_byte(tmp_path: Path) -> None:
    """Cut anywhere, a trace gives its whole lines and says that it is cut."""
    whole = (dma_line(MAP) + dma_line(MAP.replace("512", "640"), at=1)).encode()
    first = whole.index(b"\n") + 1
    for n in range(1, len(whole) + 1):
        try:
            reader, events = read_text(tmp_path, whole[:n])
        except TraceError:
            assert n < first
            continue
        assert n >= first
        assert [512, 640][: 2 if n == len(whole) else 1] == [e.length for e in events]
        assert reader.complete == (n in (first, len(whole)))
        assert reader.complete == (not reader.notices)


def test_long_line(tmp_path: Path) -> None:
    """A line longer than the buffer is left out, and its neighbours stay."""
    sizes = (2 << 20, 11 << 20)
    text = dma_line(MAP) + "".join(
        dma_line(MAP[:20] + "x" * n) + dma_line(MAP, at=1) for n in sizes
    )
    reader, events = read_text(tmp_path, text)

    assert [1, 3, 5] == [e.line for e in events]
    assert [text.splitlines()[i] for i in (0, 2, 4)] == [reader.line_at(e.offset) for e in events]
    assert [("lines-too-long", 2)] == [(n.id, n.count) for n in reader.notices]


def test_windows_line_ends(tmp_path: Path) -> None:
    """Carriage returns that an editor added are no part of a line."""
    reader, (event,) = read_text(tmp_path, dma_line(MAP).replace("\n", "\r\n"))

    assert (512, 0) == (event.length, event.flags)
    assert dma_line(MAP).rstrip("\n") == reader.line_at(0)


@pytest.mark.parametrize("text", ["# tracer: nop\n#\n", "cpus=2\n", "# dmaverify trace 1\n"])
def test_no_events(tmp_path: Path, text: str) -> None:
    """A trace with its header alone is a trace, with zero events."""
    reader, events = read_text(tmp_path, text)

    assert ([], 0, True) == (events, reader.records, reader.complete)


@pytest.mark.parametrize(
    "text", ["hello\nworld\n", "# a comment\n", "a: b\nmap: c=d\n", "\n\n", "x,y\n1,2\n"]
)
def test_no_trace(tmp_path: Path, text: str) -> None:
    """A text without any event is refused."""
    with pytest.raises(TraceError):
        read_text(tmp_path, text)


def test_raw_option() -> None:
    """Numbers without names are refused with the remedy."""
    with pytest.raises(TraceError, match="noraw"):
        read(FIXTURES / "tracefs-raw.txt")


def test_ticks() -> None:
    """A clock without a unit is not time."""
    reader, events = read(FIXTURES / "tracefs-clock_counter.txt")

    assert reader.ticks
    assert 3 == events[0].time
    assert not read(FIXTURES / "perf.txt")[0].ticks


def test_many_devices(tmp_path: Path) -> None:
    """Device numbers are bounded; what comes beyond shares one."""
    text = "".join(dma_line(MAP.replace("0000:00:06.0", f"dev{i}")) for i in range(65540))
    reader, events = read_text(tmp_path, text)

    assert (65538, "…others") == (len(reader.devices), reader.devices[-1])
    assert [65535, 65536, 65537, 65537, 65537, 65537] == [e.device for e in events[-6:]]
    assert [("too-many-devices", 4)] == [(n.id, n.count) for n in reader.notices]


def test_stream_keeps_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream gives recent lines, and those that were retained in time."""
    monkeypatch.setattr(text, "CHUNK", 4096)
    monkeypatch.setattr(text, "LINE_MAX", 1024)
    monkeypatch.setattr(text, "HISTORY", 16384)
    monkeypatch.setattr(text._History, "PIECE", 1)
    lines = [dma_line(MAP, at=i) for i in range(1000)]
    path = tmp_path / "trace.gz"
    path.write_bytes(gzip.compress("".join(lines).encode()))
    reader = open_trace(str(path))
    assert reader.streaming
    kept: list[int] = []
    gone = 0
    for batch in reader.batches():
        offsets = [batch[i].offset for i in range(len(batch))]
        assert all(reader.line_at(o) is not None for o in offsets)
        if doomed := reader.forgetting():
            start, end = doomed
            assert start == gone
            gone = end
            reader.retain([start])
            kept.append(start)

    size = len(lines[0])
    assert len(kept) > 10
    assert [lines[o // size].rstrip("\n") for o in kept] == [reader.line_at(o) for o in kept]
    assert reader.line_at(kept[-1] + size) is None
    assert lines[-1].rstrip("\n") == reader.line_at(999 * size)


def test_pipe(tmp_path: Path) -> None:
    """A pipe gives events while its writer is still at work."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    go = threading.Event()

    def write() -> None:
        with path.open("w", buffering=1) as f:
            f.write(dma_line(MAP))
            assert go.wait(60)
            f.write(dma_line(MAP, at=1))

    writer = threading.Thread(target=write)
    writer.start()
    reader = open_trace(str(path))
    batches = reader.batches()
    first = len(next(batches))
    go.set()
    rest = sum(len(batch) for batch in batches)
    writer.join()

    assert (1, 1, None, True) == (first, rest, reader.size, reader.streaming)
