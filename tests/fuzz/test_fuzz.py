"""Damaged input of every kind ends in a result or in one of dmaverify's own errors.

A test runs for DMAVERIFY_FUZZ_SECONDS (3); `make fuzz` gives it longer. DMAVERIFY_FUZZ_SEED
chooses other damage; what fails is kept in the test's temporary folder.
"""

import contextlib
import gzip
import lzma
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dmaverify.errors import DmaVerifyError, InternalError
from dmaverify.lang.front import compile_sources
from dmaverify.lang.source import Source
from dmaverify.pipeline.check import CheckOptions, check_traces
from tests.fuzz.mutate import Mutator
from tests.writers import roce

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
SECONDS = float(os.environ.get("DMAVERIFY_FUZZ_SECONDS", "3"))
SEED = int(os.environ.get("DMAVERIFY_FUZZ_SEED", "1"))
LONGEST = 5.0  # seconds that one small file may take, on a busy machine

TEXT_WORDS = (b"{", b"}", b"=", b"0x", b"ARRAY[", b"[FAILED TO PARSE]", b"\n", b"[000]", b": ",
              b"CPU:1 [LOST 9 EVENTS]\n", b"\x1b[2J", b"\xff\xfe", b"18446744073709551616",
              b"# dmaverify trace 1\n", b"dmaverify: unbind-end 0000:00:04.0 x")  # fmt: skip
DAT_WORDS = (b"\x17\x08\x44tracing", b"zstd\0", b"zlib\0", b"none\0", b"field:", b"offset:9;",
             b"size:0;", b"signed:0;", b"__data_loc char[] device;", b"\0" * 64,
             b"\xff" * 16)  # fmt: skip
PACKET_WORDS = (b"\x0a\x0d\x0d\x0a", b"\x4d\x3c\x2b\x1a", b"\xd4\xc3\xb2\xa1", b"\6\0\0\0", b"\0" * 12,
                b"\xff" * 12, b"\x12\xb7", b"\x81\0\0\5", b"\x86\xdd", b"\x89\x15")  # fmt: skip
RULE_WORDS = (b"rule ", b"{", b"}", b"(", b")", b"where ", b"require ", b"exists", b"on ", b'"',
              b'"""', b"\\", b"let ", b"set ", b"include ", b"4 KiB", b"0x", b"9" * 40, b"#",
              b"test ", b"<- here", b"not " * 50, b"(" * 300, b"\x00", b"\xf0\x9f")  # fmt: skip


def rounds(mutator: Mutator, samples: list[bytes]) -> Iterator[bytes]:
    """Give damaged samples until the time is over, each sample at least once."""
    end = time.monotonic() + SECONDS
    number = 0
    while number < len(samples) or time.monotonic() < end:
        yield mutator.damage(samples[number % len(samples)], samples[number * 7 % len(samples)])
        number += 1


def play(data: bytes, path: Path, job: Callable[[], object]) -> None:
    """Run a job on damaged data; only dmaverify's own errors may come out, and soon."""
    path.write_bytes(data)
    begin = time.monotonic()
    with contextlib.suppress(DmaVerifyError):
        try:
            job()
        except InternalError as error:
            raise AssertionError(f"{path} breaks a promise: {error}") from error
        except RecursionError as error:
            raise AssertionError(f"{path} nests too deep for the parser") from error
    assert time.monotonic() - begin < LONGEST, path


def fuzz_traces(samples: list[bytes], words: tuple[bytes, ...], path: Path) -> None:
    """Check damaged traces from reader to findings."""
    for data in rounds(Mutator(SEED, words), samples):
        play(data, path, lambda: check_traces([str(path)], CheckOptions()))


def read(pattern: str) -> list[bytes]:
    """Return the small files that a pattern below the fixtures finds, unpacked."""
    opened = {".gz": gzip.decompress, ".xz": lzma.decompress}
    paths = sorted(FIXTURES.glob(pattern))
    found = [opened.get(p.suffix, bytes)(p.read_bytes()) for p in paths]
    small = [data for data in found if len(data) < 100_000]
    assert small, f"no file for {pattern}"
    return small


@pytest.mark.parametrize("pattern", ["text/*.txt", "recordings/edu/*/*.tracefs.txt"])
def test_printed_text(pattern: str, tmp_path: Path) -> None:
    """Damaged text is read or refused."""
    fuzz_traces([data[:20_000] for data in read(pattern)], TEXT_WORDS, tmp_path / "trace")


def test_trace_dat(tmp_path: Path) -> None:
    """Damaged `trace.dat` files are read or refused."""
    samples = [*read("tracedat/*.dat.gz"), *read("recordings/edu/strict/*.dat.xz")]
    fuzz_traces(samples, DAT_WORDS, tmp_path / "trace")


def captures() -> list[bytes]:
    """Return captures of both forms and orders, with requests, answers and refusals."""
    wire = roce.Wire()
    for i in range(4):
        wire.answer(wire.write(0x1000 * i, 0x2605, 4096), (0, roce.NAK_ACCESS)[i % 2])
        wire.answer(wire.read(0x1000 * i, 0x2605, 4096), opcode=roce.READ_ONLY)
        wire.ask(roce.FETCH_ADD, roce.atomic(0x10000, 0x99))
        wire.ask(roce.SEND_ONLY_INV, b"\0\0\x26\5", 64)
    tail = roce.dropped(3)
    return [roce.pcap(wire.packets), roce.pcap(wire.packets, ">", nano=True),
            roce.pcapng(wire.packets) + tail, roce.pcapng(wire.packets, ">")]  # fmt: skip


def test_captures(tmp_path: Path) -> None:
    """Damaged packet captures are read or refused."""
    fuzz_traces(captures(), PACKET_WORDS, tmp_path / "capture")


def test_captures_beside_a_trace(tmp_path: Path) -> None:
    """So are captures beside a recording, and recordings beside a capture."""
    trace, path = tmp_path / "trace.dmat", tmp_path / "capture"
    lines = ["# dmaverify trace 1"] + [
        f"app-1 [000] ..... {1_700_000_000 + i}.000000000: {event}"
        for i, event in enumerate(
            ("reg_mr: key=0x2605 iova=0x1000 length=8192 pd=0xa0 access=local_write",
             "create_qp: qp=18 pd=0xa0", "dereg_mr: key=0x2605"))
    ]  # fmt: skip
    trace.write_text("\n".join(lines) + "\n", "utf-8")
    for data in rounds(Mutator(SEED, PACKET_WORDS), captures()):
        play(data, path, lambda: check_traces([str(trace)], CheckOptions(packets=str(path))))


def test_device_logs(tmp_path: Path) -> None:
    """Damaged logs of an HCA's device are read or refused."""
    (kept,) = FIXTURES.glob("recordings/hca_driver/cm.direct.device.log.gz")
    log = gzip.decompress(kept.read_bytes())[-60_000:]
    (packed,) = FIXTURES.glob("recordings/hca_driver/cm.direct.tracefs.txt.xz")
    trace, path = tmp_path / "trace.txt", tmp_path / "device.log"
    trace.write_bytes(lzma.decompress(packed.read_bytes()))
    words = (b"rdma_mad_message mad send (256): ", b"(len=0)", b"handle ", b"0x", b"\n", b"@")
    for data in rounds(Mutator(SEED, words), [log, log[:20_000]]):
        options = CheckOptions(device_log=str(path))
        play(data, path, lambda options=options: check_traces([str(trace)], options))


def test_packed(tmp_path: Path) -> None:
    """Damaged compressed files are read or refused."""
    samples = read("recordings/edu/direct/*.tracefs.txt")[:6]
    packed = [pack(data) for data in samples for pack in (gzip.compress, lzma.compress)]
    fuzz_traces(packed, TEXT_WORDS, tmp_path / "trace")


def test_rules(tmp_path: Path) -> None:
    """Damaged rule files compile or give errors."""
    samples = [path.read_bytes() for path in sorted((ROOT / "rules").rglob("*.dmar"))]
    path = tmp_path / "damaged.dmar"
    for data in rounds(Mutator(SEED, RULE_WORDS), samples):
        source = Source.of(path.name, data.decode("utf-8", "replace"), path)
        play(data, path, lambda source=source: compile_sources([source]))
