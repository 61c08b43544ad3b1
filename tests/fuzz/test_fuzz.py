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
