"""One run, several sources: clocks, owners, and rows at their place."""

from pathlib import Path

import pytest

from dmaverify.errors import TraceError
from dmaverify.model.events import Event
from dmaverify.model.kinds import EventKind, Flag
from dmaverify.trace.clocks import from_moments, from_offset
from dmaverify.trace.devlog import read_device_log
from dmaverify.trace.klog import read_kernel_log
from dmaverify.trace.merge import MergedReader, OtherSources, open_merged, readable_twice

K = EventKind
DEVICE = "0000:00:06.0"
SECOND = 1_000_000_000


def _write(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)


def _sync(number: int, before: float, after: float) -> list[str]:
    return [
        f"  x-1 [000] ..... {before:.6f}: clock_sync: {DEVICE} seq={number:x} phase=before",
        f"  x-1 [000] ..... {after:.6f}: clock_sync: {DEVICE} seq={number:x} phase=after",
    ]


def _map(time: float, address: int, call: str = "dma_map_page") -> str:
    return (
        f"  x-1 [000] ..... {time:.6f}: {call}: {DEVICE} dir=FROM_DEVICE dma_addr={address:x} "
        f"size=4096 phys_addr={address:x} attrs="
    )


def _received(time: float, address: int) -> str:
    return (
        f"7@{time:.6f}:e1000e_rx_desc_buff_write buffer #0, addr: {address:#x}, offset: 0, "
        "from: 0x7f, length: 64"
    )


def _marker(time: float, number: int) -> str:
    return (
        f"7@{time:.6f}:memory_region_ops_write cpu 0 mr 0x5 addr 0xfe900004 "
        f"value {number:#x} size 4 name 'edu-mmio'"
    )


TRACE = [
    *_sync(0xC10C0001, 1.000000, 1.000010),
    _map(2.0, 0x5000),
    _map(3.0, 0x5000, "dma_unmap_page"),
    _map(8.0, 0x9000),
]
LOG = [_marker(101.000005, 0xC10C0001), _received(102.5, 0x5040), _received(104.0, 0x5040)]


def _merged(
    tmp_path: Path, trace: list[str], log: list[str], offset: float | None = None
) -> MergedReader:
    path = _write(tmp_path / "t.txt", trace)
    device_log = read_device_log(_write(tmp_path / "d.log", log))
    return open_merged(path, OtherSources(device_log, clock_offset=offset))


def _events(reader: MergedReader) -> list[Event]:
    return [batch[i] for batch in reader.batches() for i in range(len(batch))]


def test_rows_stand_where_they_were(tmp_path: Path) -> None:
    """Accesses come between the calls of the trace, in its clock, each with its doubt."""
    reader = _merged(tmp_path, TRACE, LOG)
    events = _events(reader)
    assert [K.DMA_MAP, K.DEV_WRITE, K.DMA_UNMAP, K.DEV_WRITE, K.DMA_MAP] == [
        e.kind for e in events if e.kind != K.CLOCK_SYNC
    ]
    accesses = [e for e in events if e.kind == K.DEV_WRITE]
    assert [2_500_000_000, 4 * SECOND] == [e.time for e in accesses]
    assert all(30 <= e.status <= 300 for e in accesses)
    assert [DEVICE] * 2 == [reader.devices[e.device] for e in accesses]


def test_lines_are_those_of_their_source(tmp_path: Path) -> None:
    """A row's line is found again in the file that it came from, with its own line number."""
    reader = _merged(tmp_path, TRACE, LOG)
    for event in _events(reader):
        line = reader.line_at(event.offset)
        assert line == (LOG if event.kind == K.DEV_WRITE else TRACE)[event.line - 1]
        other = reader.other_line(event.offset)
        assert (other is not None) is (event.kind == K.DEV_WRITE)
        assert other is None or other.path.endswith("d.log")


def test_an_access_waits_for_what_may_have_been_before_it(tmp_path: Path) -> None:
    """A mapping made within the doubt after an access stands before it."""
    trace = [*TRACE[:2], _map(2.0, 0x5000), _map(8.0, 0x5000, "dma_unmap_page")]
    log = [LOG[0], _received(102.0 - 0.00001, 0x5040)]
    kinds = [e.kind for e in _events(_merged(tmp_path, trace, log))]
    assert kinds.index(K.DMA_MAP) < kinds.index(K.DEV_WRITE)


def test_what_is_outside_the_recording_is_left_out(tmp_path: Path) -> None:
    """Accesses before the trace's first event or after its last can not be judged by it."""
    log = [_received(100.5, 0x5040), LOG[0], _received(109.0, 0x5040)]
    assert K.DEV_WRITE not in [e.kind for e in _events(_merged(tmp_path, TRACE, log))]


def test_without_a_common_moment_there_is_no_order(tmp_path: Path) -> None:
    """Then a notice says so, and what was ever mapped is not judged."""
    reader = _merged(tmp_path, TRACE, [*LOG[1:], _received(104.0, 0x77000)])
    events = _events(reader)
    assert [K.DEV_WRITE] * 2 == [e.kind for e in events[-2:]]
    assert [(-1, True), (-1, False)] == [
        (e.status, bool(e.flags & Flag.FROM_MARK)) for e in events[-2:]
    ]
    assert ["clock-unknown"] == [n.id for n in reader.notices]


def test_an_offset_takes_the_place_of_moments(tmp_path: Path) -> None:
    """The other clock minus the trace's, in seconds, places the accesses."""
    reader = _merged(tmp_path, TRACE, LOG[1:], 100.0)
    assert [2_500_000_000, 4 * SECOND] == [e.time for e in _events(reader) if e.kind == K.DEV_WRITE]


def test_whose_lines_are_not_clear_is_said(tmp_path: Path) -> None:
    """Where two devices had the pages mapped, nothing is guessed."""
    other = [line.replace(DEVICE, "0000:00:07.0") for line in TRACE[2:4]]
    reader = _merged(
        tmp_path, [*TRACE[:2], *sorted([*TRACE[2:], *other], key=lambda x: x[16:25])], LOG
    )
    assert K.DEV_WRITE not in [e.kind for e in _events(reader)]
    assert ["device-ambiguous"] == [n.id for n in reader.notices]


def test_what_the_trace_tells_itself_is_told_again(tmp_path: Path) -> None:
    """A transfer that the driver's own events have is marked, so that nobody judges it twice."""
    start = (
        f"  x-1 [000] ..... 2.400000: edu_dma_start: {DEVICE} op=DEV_WRITE dma_addr=5000 "
        "size=64 id=1"
    )
    values = {0x80: 0x40000, 0x88: 0x5000, 0x90: 64, 0x98: 3}
    log = [LOG[0]] + [
        f"7@102.400100:memory_region_ops_write cpu 0 mr 0x5 addr {0xFE900000 + r:#x} "
        f"value {v:#x} size 8 name 'edu-mmio'"
        for r, v in values.items()
    ]
    events = _events(_merged(tmp_path, [*TRACE[:3], start, *TRACE[3:]], log))
    (again,) = [e for e in events if e.kind == K.DEV_WRITE]
    assert again.flags & Flag.FROM_MARK
    assert 0x5000 == again.bus_addr


def test_faults_of_a_kernel_log_come_without_a_place(tmp_path: Path) -> None:
    """Its clock is not the trace's: its faults come last, unless the offset is given."""
    trace = _write(tmp_path / "t.txt", TRACE)
    fault = (
        "[    2.490000] DMAR: [DMA Write NO_PASID] Request device [00:06.0] fault addr 0x5000 "
        "[fault reason 0x05] x"
    )
    log = read_kernel_log(_write(tmp_path / "dmesg", [fault]))
    last = _events(open_merged(trace, OtherSources(None, log)))[-1]
    assert (K.DEV_FAULT, -1, True) == (last.kind, last.status, bool(last.flags & Flag.TIME_UNKNOWN))
    timed = _events(open_merged(trace, OtherSources(None, log, log_offset=-0.01)))
    (placed,) = [e for e in timed if e.kind == K.DEV_FAULT]
    assert 2_500_000_000 == placed.time


def test_a_stream_is_refused() -> None:
    """A trace is read twice beside other logs; standard input can not be."""
    with pytest.raises(TraceError, match="save it to a file"):
        readable_twice("-")


def test_the_best_moments_count() -> None:
    """Of the moments near each end the one with the smallest gap counts, and a line joins them."""
    brackets = {1: (0, 40_000), 2: (2_000_000, 2_004_000), 3: (8 * SECOND, 8 * SECOND + 6_000)}
    others = {1: 900_000, 2: 5_002_000, 3: 8 * SECOND + 3_000 + 2_940_000}
    clocks = from_moments(brackets, others)
    assert clocks is not None
    assert [2_002_000, 8 * SECOND + 3_000] == [m.trace_ns for m in clocks.moments]
    middle = (5_002_000 + others[3]) // 2
    time, doubt = clocks.trace_time(middle)
    assert abs(time - (2_002_000 + 8 * SECOND + 3_000) // 2) <= 1
    assert 26_000 < doubt < 200_000


def test_moments_that_only_one_log_has_are_no_moments() -> None:
    """Without a number in common the clocks are unknown."""
    assert None is from_moments({1: (0, 10)}, {2: 5})


def test_doubt_grows_beyond_the_moments() -> None:
    """Clocks drift: the farther from a common moment, the less is known."""
    clocks = from_moments({1: (0, 4_000)}, {1: 2_000})
    assert clocks is not None
    assert clocks.trace_time(2_000)[1] < clocks.trace_time(10 * SECOND)[1]
    assert (SECOND, 200_000) == from_offset(100.0).trace_time(101 * SECOND)
