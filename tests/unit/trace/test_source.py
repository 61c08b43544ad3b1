"""Where bytes come from: files, pipes, compression, and what can be wrong with them."""

import bz2
import gzip
import lzma
import os
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from dmaverify.errors import TraceError
from dmaverify.trace import open_trace
from dmaverify.trace.source import Source
from tests.unit.trace.reading import MAP, dma_line, read, read_text

#: select() knows file numbers below this.
BEYOND_SELECT = 1024
TEXT = "".join(dma_line(MAP, at=i) for i in range(5000)).encode()


def zstd_streamed(data: bytes) -> bytes:
    """Return a frame that does not tell its size."""
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(data) + stream.flush()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "zstd-streamed": zstd_streamed,
}


def everything(source: Source) -> bytes:
    """Return all bytes of a source."""
    parts = []
    while part := source.read(1 << 16):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("name", COMPRESS)
def test_compressed(tmp_path: Path, name: str) -> None:
    """Compression is undone, whatever the file is called, and one member after the other."""
    path = tmp_path / "trace.txt"
    path.write_bytes(COMPRESS[name](TEXT) + COMPRESS[name](b"more"))
    source = Source(str(path))

    assert TEXT[: 1 << 16] == source.head
    assert TEXT + b"more" == everything(source)
    assert (name.split("-")[0], True, False) == (
        source.compression, source.streaming, source.cut_short)  # fmt: skip
    assert path.stat().st_size == source.size == source.consumed


@pytest.mark.parametrize("name", ["gzip", "xz", "zstd"])
@pytest.mark.parametrize("part", [0.5, 0.9, 0.999])
def test_cut_compression(tmp_path: Path, name: str, part: float) -> None:
    """What stands before a cut is delivered, and the cut is told."""
    data = COMPRESS[name](os.urandom(200_000).hex().encode())
    (tmp_path / "t").write_bytes(data[: int(len(data) * part)])
    source = Source(str(tmp_path / "t"))
    got = everything(source)

    assert source.cut_short
    assert len(got) > 100_000 * part


def test_damaged_trace(tmp_path: Path) -> None:
    """Events before the damage are read; the trace is not complete."""
    data = bytearray(gzip.compress(TEXT, 1))
    data[len(data) // 2 :] = b"\xff" * 200
    reader, events = read_text(tmp_path, bytes(data))

    assert 100 < len(events) < 5000
    assert "trace-cut-short" == reader.notices[0].id
    assert not reader.complete


@pytest.mark.parametrize("name", ["gzip", "xz", "zstd"])
def test_bomb(tmp_path: Path, name: str) -> None:
    """A small file that decompresses to much needs no memory for it."""
    (tmp_path / "t").write_bytes(COMPRESS[name](bytes(60_000_000)))
    source = Source(str(tmp_path / "t"))
    tracemalloc.start()
    total = 0
    while part := source.read(1 << 20):
        total += len(part)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert 60_000_000 == total
    assert peak < 45_000_000


@pytest.mark.parametrize(
    "data", [b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd\xff\xff", b"\xfd7zXZ\x00\x00"]
)
def test_damaged_from_the_start(tmp_path: Path, data: bytes) -> None:
    """Compression that holds nothing is refused."""
    (tmp_path / "t").write_bytes(data)

    with pytest.raises(TraceError, match="damaged"):
        Source(str(tmp_path / "t"))


def test_no_file(tmp_path: Path) -> None:
    """What is no readable file is refused in words."""
    (tmp_path / "empty").touch()
    for path, words in ((tmp_path / "none", "does not exist"), (tmp_path, "is a directory"),
                        (tmp_path / "empty", "is empty"), ("a\0b", "can not be read")):  # fmt: skip
        with pytest.raises(TraceError, match=words):
            open_trace(str(path))


def test_standard_input(tmp_path: Path) -> None:
    """`-` is standard input, and compression is told there too."""
    code = "from dmaverify.trace import open_trace; print(sum(map(len, open_trace('-').batches())))"
    for data in (TEXT, gzip.compress(TEXT)):
        done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True)

        assert b"5000\n" == done.stdout


@pytest.mark.parametrize("name", ["gzip", "plain"])
def test_map(tmp_path: Path, name: str) -> None:
    """Any source can be given as a whole, in any order."""
    (tmp_path / "t").write_bytes(gzip.compress(TEXT) if name == "gzip" else TEXT)
    source = Source(str(tmp_path / "t"))
    whole = source.map()
    source.close()

    assert TEXT == whole[:]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PERFILE2" + bytes(99), "perf script"), (b"\x7fELF" + bytes(99), "a program"),
        (bz2.compress(TEXT), "bzip2"), (TEXT.decode().encode("utf-16"), "UTF-16"),
        (bytes(range(256)) * 20, "binary data"), (gzip.compress(gzip.compress(TEXT)), "gzip"),
        (b"{}\n", "JSON"),
    ],
)  # fmt: skip
def test_other_files(tmp_path: Path, data: bytes, words: str) -> None:
    """Other files are refused by name, with what is accepted."""
    (tmp_path / "trace.dat").write_bytes(data)

    with pytest.raises(TraceError, match=words):
        open_trace(str(tmp_path / "trace.dat"))


def test_control_characters(tmp_path: Path) -> None:
    """Odd bytes in a task's name are no reason to refuse a trace."""
    text = dma_line(MAP, comm="\x00\x01\x02\x03") + dma_line(MAP, at=1) * 9
    (tmp_path / "t").write_bytes(text.encode())
    reader, events = read(tmp_path / "t")

    assert 10 == len(events)
    assert "\x00\x01\x02\x03" == reader.task_name(0, reader.line_at(0))


def test_a_file_number_beyond_select(tmp_path: Path) -> None:
    """Whether a pipe has more is known for any file number."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < BEYOND_SELECT + 100:
        pytest.skip("this process may not open so many files")
    path = tmp_path / "pipe"
    os.mkfifo(path)
    held = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while held[-1] <= BEYOND_SELECT:
            held.append(os.dup(held[0]))
        writer = os.open(path, os.O_RDWR)
        held.append(writer)
        os.write(writer, dma_line(MAP).encode())
        source = Source(str(path))

        assert dma_line(MAP).encode() == source.head
        assert not source.ready()
        os.write(writer, b"more")
        assert source.ready()
    finally:
        for file in held:
            os.close(file)
