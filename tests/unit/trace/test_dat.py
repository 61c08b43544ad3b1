"""Whole files, recorded and built."""

import re
from collections import Counter

import pytest

from dmaverify.model.kinds import EventKind
from dmaverify.trace import open_trace
from tests.writers.reading import FIXTURES, fixture, notice_ids, read
from tests.writers.tracedat import File, Instance, Kernel, Ring

DEV = "0000:00:04.0"

# Events by name as `trace-cmd report` prints them, put together by kind.
COUNTS = {
    "edu_sg": (92, 0, {"MARK": 4, "IOMMU_MAP": 11, "DMA_MAP": 5, "IOMMU_UNMAP": 5, "DMA_UNMAP": 5,
               "DMA_SYNC_FOR_CPU": 1, "DMA_SYNC_FOR_DEVICE": 1, "DRIVER_UNBOUND": 4,
               "CLOCK_SYNC": 16, "CPU_READ": 5, "CPU_WRITE": 6, "DEV_START": 11, "DEV_READ": 6,
               "DEV_WRITE": 5, "MEMORY": 7}),
    "instances": (48, 0, {"IOMMU_MAP": 36, "DMA_MAP": 4, "DMA_UNMAP": 4, "IOMMU_UNMAP": 4}),
    "iommu": (88, 0, {"IOMMU_MAP": 64, "DMA_MAP": 8, "DMA_UNMAP": 8, "IOMMU_UNMAP": 8}),
    "record": (1174, 0, {"IOMMU_MAP": 382, "DMA_MAP": 264, "IOMMU_UNMAP": 264, "DMA_UNMAP": 264}),
    "record_date": (222, 0, {"DMA_MAP": 111, "DMA_UNMAP": 111}),
    "record_funcs": (1259, 0, {"DMA_MAP": 194, "DMA_UNMAP": 194, "COMMAND_BEGIN": 194,
                     "COMMAND_ARRIVED": 194, "COMMAND_DONE": 194}),
    "record_lost": (43469, 2776, {"IOMMU_MAP": 25304, "DMA_MAP": 6052, "DMA_UNMAP": 6056,
                    "IOMMU_UNMAP": 6056, "LOST": 20, "DMA_ALLOC": 1}),
    "record_tsc": (212, 0, {"DMA_MAP": 106, "DMA_UNMAP": 106}),
    "record_tsc2nsec": (212, 0, {"DMA_MAP": 106, "DMA_UNMAP": 106}),
    "record_v6": (1308, 0, {"IOMMU_MAP": 516, "DMA_MAP": 264, "IOMMU_UNMAP": 264,
                  "DMA_UNMAP": 264}),
    "record_v7_nocomp": (232, 0, {"DMA_MAP": 116, "DMA_UNMAP": 116}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_recordings(name: str) -> None:
    """A recording has as many records of each kind as trace-cmd counts in it."""
    rows, reader = read(fixture(name))
    records, lost, kinds = COUNTS[name]

    assert kinds == dict(Counter(row.kind.name for row in rows))
    assert (records, lost) == (reader.records, reader.lost)
    assert reader.complete
    assert [] == notice_ids(reader)
    assert reader.consumed == reader.size


_LINE = re.compile(r"\s*(.*)-(\d+) +\[(\d+)\] +(\d+)(?:\.(\d+))?: (\w+): +(.*)")


@pytest.mark.parametrize(
    "name", ["edu_sg", "record_date", "record_tsc", "record_tsc2nsec", "record_v6"]
)
def test_recordings_as_trace_cmd_prints_them(name: str) -> None:
    """Order, task, CPU, time and event of each record are those that trace-cmd prints."""
    lines = (FIXTURES / f"{name}.report.txt").read_text().splitlines()
    told = {n: m.groups() for n, m in enumerate(map(_LINE.match, lines)) if m}
    rows, reader = read(fixture(name))
    checked = 0
    for row in rows:
        if row.record not in told:
            continue
        comm, pid, cpu, seconds, fraction, event, _ = told[row.record]
        time = int(seconds) * 10**6 + int(fraction) if fraction else int(seconds)
        ours = row.time if reader.ticks else (row.time + 500) // 1000
        assert (comm, int(pid), int(cpu), time) == (
            reader.task_name(row.site, None), row.site, row.cpu, ours,
        )  # fmt: skip
        assert event.startswith(
            ("dma_", "map", "unmap", "print", "driver_", "edu_", "cpu_", "clock_")
        )
        checked += 1

    assert checked >= min(len(rows), 100)


@pytest.mark.parametrize(
    ("name", "clock", "ticks"),
    [("record", "local", False), ("record_tsc", "x86-tsc", True), ("record_v6", "local", False),
     ("record_tsc2nsec", "tsc2nsec", False)],
)  # fmt: skip
def test_clock(name: str, clock: str, ticks: bool) -> None:
    """The clock has its name, and whether its values are time."""
    _, reader = read(fixture(name))

    assert (clock, ticks) == (reader.clock, reader.ticks)


def test_opened_by_content() -> None:
    """A compressed trace.dat is found out by what is in it."""
    reader = open_trace(str(FIXTURES / "record_date.dat.gz"))
    count = sum(len(batch) for batch in reader.batches())
    reader.close()

    assert ("trace-dat", 222) == (reader.format, count)
    assert (True, False) == (reader.binary, reader.streaming)
    assert reader.line_at(0) is None
    assert reader.forgetting() is None


def _build(version: int, compression: str, **more: object) -> bytes:
    kernel = Kernel()
    rings = [Ring(kernel, cpu) for cpu in (0, 1, 3)]
    for time in range(900):
        rings[time % 3].add(time, kernel.record("map", 7, iova=time))
    return File(kernel, [Instance(rings)], compression, cmdlines={7: "a b"}, **more).build(version)  # type: ignore[arg-type]


CONTAINERS = [(6, "none"), (7, "none"), (7, "zlib"), (7, "zstd")]


@pytest.mark.parametrize(("version", "compression"), CONTAINERS)
def test_containers(version: int, compression: str) -> None:
    """Each version and compression holds the same."""
    rows, reader = read(_build(version, compression))

    assert list(range(900)) == [row.bus_addr for row in rows]
    assert {0, 1, 3} == {row.cpu for row in rows}
    assert ("a b", "", "<idle>") == tuple(reader.task_name(n, None) for n in (7, 8, 0))
    assert reader.complete


def test_offsets_are_places() -> None:
    """In a file without compression an offset is where the record stands."""
    data = _build(7, "none")
    rows, _ = read(data)

    for row in rows[::50]:
        assert row.bus_addr == int.from_bytes(data[row.offset + 8 : row.offset + 16], "little")


@pytest.mark.parametrize(
    ("options", "add"),
    [([(1, b"0x10\0")], 16000), ([(7, b"-300\0")], -300), ([(1, b"-0x1\0"), (7, b"5\0")], -995),
     ([(7, b"nonsense\0")], 0)],
)  # fmt: skip
def test_time_options(options: list[tuple[int, bytes]], add: int) -> None:
    """Options move all times, a date in microseconds and an offset in nanoseconds."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(10**9, kernel.record("map"))
    rows, _ = read(File(kernel, [Instance([ring])], options=options).build())

    assert [10**9 + add] == [row.time for row in rows]


def test_unknown_options_are_passed_over() -> None:
    """An option that nobody knows is skipped by its size."""
    rows, reader = read(_build(7, "none", options=[(999, b"xyz" * 100), (15, b"")]))

    assert (900, True) == (len(rows), reader.complete)


def test_dropped_events_come_first() -> None:
    """Events that were dropped leave no mark in pages, so they are told at the beginning."""
    text = b"CPU: 0\nentries: 0\noverrun: 0\ncommit overrun: 0\ndropped events: 12\n\0"
    rows, reader = read(_build(7, "none", options=[(2, text)]))

    assert (EventKind.LOST, 12) == (rows[0].kind, rows[0].length)
    assert 12 == reader.lost
    assert ["events-lost-somewhere"] == notice_ids(reader)


def test_instances_with_the_same_events() -> None:
    """If two instances recorded a device's events, those of the first are used."""
    kernel = Kernel()
    first, second = Ring(kernel), Ring(kernel, 1)
    for time in range(10):
        sync = kernel.record("dma_sync_single_for_cpu", device=DEV, dma_addr=time)
        first.add(time, sync)
        second.add(time, sync)
        second.add(time, kernel.record("map", iova=time))
        other = kernel.record("dma_sync_single_for_cpu", device="other", dma_addr=time)
        second.add(time, other)
    instances = [Instance([first]), Instance([second], "b")]
    for version in (6, 7):
        rows, reader = read(File(kernel, instances).build(version))

        want = {
            ("DMA_SYNC_FOR_CPU", DEV): 10,
            ("DMA_SYNC_FOR_CPU", "other"): 10,
            ("IOMMU_MAP", ""): 10,
        }
        assert want == Counter((row.kind.name, reader.devices[row.device]) for row in rows)
        assert ["duplicate-instances"] == notice_ids(reader)
        assert 10 == reader.notices[0].count
