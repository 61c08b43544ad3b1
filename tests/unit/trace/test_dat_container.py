"""Files that are cut, damaged, or no trace.dat at all."""

import random
from pathlib import Path

import pytest

from dmaverify.errors import TraceError
from dmaverify.trace import open_trace
from tests.writers.reading import fixture, notice_ids, read
from tests.writers.tracedat import EVENTS, File, Instance, Kernel, Ring

CONTAINERS = [(6, "none"), (7, "none"), (7, "zlib"), (7, "zstd")]


def small(version: int, compression: str, named: bool = True) -> bytes:
    """Return a file of two CPUs with some dozens of events."""
    kernel = Kernel()
    keep = ("map", "unmap", "dma_map_sg", "print", "other")
    kernel.events = {name: e for name, e in kernel.events.items() if name in keep}
    rings = [Ring(kernel, 0), Ring(kernel, 1)]
    for time in range(0, 80, 2):
        rings[0].add(time, kernel.record("map", iova=time))
        sg = {"phys_addrs": [1, 2], "dma_addrs": [3], "lengths": [4]}
        rings[1].add(time + 1, kernel.record("dma_map_sg", device="d", **sg))
    rings[0].lose(7)
    rings[0].add(99, kernel.record("print", buf="x"))
    file = File(kernel, [Instance(rings)], compression, chunk_pages=1, named=named)
    return file.build(version)


def tiny(version: int, compression: str) -> bytes:
    """Return a file of one CPU and one kind of event."""
    kernel = Kernel()
    kernel.events = {"map": kernel.events["map"]}
    ring = Ring(kernel)
    for time in range(3):
        ring.add(time, kernel.record("map", iova=time))
    return File(kernel, [Instance([ring])], compression).build(version)


def outcome(data: bytes) -> str:
    """Return how reading ends; anything but a clear outcome fails the test."""
    try:
        _, reader = read(data)
    except TraceError as error:
        return "error" if error.text else "error without a text"
    if reader.complete:
        return "complete"
    assert "trace-cut-short" in notice_ids(reader)
    return "cut"


@pytest.mark.parametrize(("version", "compression"), CONTAINERS)
def test_cut_at_every_byte(version: int, compression: str) -> None:
    """Wherever a file is cut, what is left is read and the loss is told."""
    data = tiny(version, compression)

    assert "complete" == outcome(data)
    assert [] == [n for n in range(len(data)) if outcome(data[:n]) not in ("error", "cut")]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(("version", "compression"), CONTAINERS)
def test_cut_of_a_larger_file(version: int, compression: str, named: bool) -> None:
    """A file with several CPUs is told to be cut too, whether its sections have names or not."""
    data = small(version, compression, named)
    steps = {*range(0, len(data), 31), *range(len(data) - 300, len(data))}

    assert "complete" == outcome(data)
    assert [] == [n for n in steps if outcome(data[:n]) not in ("error", "cut")]


@pytest.mark.parametrize("name", ["record_v7_nocomp", "record_date", "instances", "record_v6"])
def test_cut_of_a_recording(name: str) -> None:
    """A file of trace-cmd that lacks any of its last bytes is told to be cut."""
    data = fixture(name)

    assert "complete" == outcome(data)
    steps = range(len(data) - 300, len(data))
    assert [] == [n for n in steps if outcome(data[:n]) not in ("error", "cut")]


@pytest.mark.parametrize("more", [bytes(16), bytes(50_000), b"\xff" * 100])
def test_more_than_sections_at_the_end(more: bytes) -> None:
    """What somebody put behind the last section is no cut."""
    assert "complete" == outcome(small(7, "zstd") + more)


def test_cut_pages_are_read_as_far_as_they_go() -> None:
    """Version 6 has its pages last: what lies before the cut is delivered."""
    data = small(6, "none")
    rows, reader = read(data[:-8192])

    assert 0 < len(rows) < 82
    assert (False, ["trace-cut-short"]) == (reader.complete, notice_ids(reader))


@pytest.mark.parametrize(("version", "compression"), CONTAINERS)
def test_damage_never_crashes(version: int, compression: str) -> None:
    """Bytes changed at random give rows, a notice or an error, and nothing else."""
    whole = small(version, compression)
    dice = random.Random(version)
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 3, 30))):
            at = dice.randrange(len(data))
            data[at : at + dice.choice((1, 4))] = dice.choice(
                (b"\xff" * 4, b"\0" * 4, dice.randbytes(1))
            )
        outcome(bytes(data))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "cut short"),
        (b"hello, this is no trace", "not a trace.dat"),
        (b"\x17\x08\x44tracing5\0", "version '5'"),
        (b"\x17\x08\x44tracing7\0\x02\x08\0\x10\0\0", "endianness"),
        (b"\x17\x08\x44tracing7\0\0\x07\0\x10\0\0", "size of long"),
        (b"\x17\x08\x44tracing7\0\0\x08\0\x10\x01\0", "page size"),
        (b"\x17\x08\x44tracing7\0\0\x08\0\x10\0\0none\0\0" + bytes(8), "event formats"),
        (b"\x17\x08\x44tracing7\0\0\x08\0\x10\0\0none\0\0" + b"\xff" * 8, "event formats"),
    ],
)
def test_not_a_trace(data: bytes, text: str) -> None:
    """What cannot be read is refused with the reason."""
    with pytest.raises(TraceError, match=text):
        read(data)


def test_unknown_compression() -> None:
    """A compression that is not known is named, with what to do about it."""
    data = small(7, "zlib").replace(b"zlib\0", b"lzma\0", 1)

    with pytest.raises(TraceError, match=r"'lzma'.*trace-cmd convert"):
        read(data)


def test_loop_of_options() -> None:
    """A chain of options that leads back to itself ends."""
    data = bytearray(small(7, "none"))
    at = data.index(b"none\0") + 7
    first = int.from_bytes(data[at : at + 8], "little")
    end = data.index(b"\0\0\x08\0\0\0", first + 20)
    data[end + 6 : end + 14] = first.to_bytes(8, "little")

    with pytest.raises(TraceError, match="list of buffers"):
        read(bytes(data))


def test_format_texts_of_garbage() -> None:
    """Without one readable event format nothing can be read."""
    data = small(7, "none").replace(b"field:", b"fjeld:")

    with pytest.raises(TraceError, match="no event format"):
        read(data)


def test_text_of_a_latency_tracer() -> None:
    """A file that holds text is named as such."""
    data = small(6, "none").replace(b"flyrecord\0", b"latency  \0")

    with pytest.raises(TraceError, match="latency tracer"):
        read(data)


def test_cpus_on_the_same_pages() -> None:
    """CPUs that claim the same pages are refused: a small file must not become a long one."""
    data = bytearray(small(6, "none"))
    at = data.index(b"flyrecord\0") + 10
    for place in (at, at + 16):
        data[place : place + 16] = (0).to_bytes(8, "little") + len(data).to_bytes(8, "little")
    data += bytes(1 << 17)
    for place in (at, at + 16):
        data[place + 8 : place + 16] = len(data).to_bytes(8, "little")

    with pytest.raises(TraceError, match="overlap"):
        read(bytes(data))


def test_file_on_disk_that_is_cut(tmp_path: Path) -> None:
    """A cut file on disk gives the same as one in memory."""
    path = tmp_path / "x"
    path.write_bytes(small(6, "none")[:-5000])
    reader = open_trace(str(path))
    count = sum(len(batch) for batch in reader.batches())
    reader.close()

    assert count > 0
    assert not reader.complete
    assert len(EVENTS) > 20
