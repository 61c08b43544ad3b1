"""Damaged, hostile and absent input: the right exit code, one clear message, and no more."""

import gzip
import json
import lzma
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.acceptance.runs import FIXTURES, Run, run

EDU = FIXTURES / "recordings/edu/strict"
MISTAKE = EDU / "unmap_wrong_size.tracefs.txt"
HEALTHY = EDU / "ok_sg.tracefs.txt"
WRONG = "unmap-size-mismatch"  # no event of keys is one of mappings
BINARY = EDU / "leak_coherent_at_unbind.dat.xz"

DMAT = b"""\
# dmaverify trace 1
a-1 [000] ..... 1.000001: dma_map: 0000:00:04.0 type=single direction=to_device bus_addr=0x1000 length=64
a-1 [000] ..... 1.000002: dma_unmap: 0000:00:04.0 type=single direction=to_device bus_addr=0x1000 length=32
"""
FIRST_EVENT_ENDS = DMAT.index(b"\n", DMAT.index(b"\n") + 1)

#: What a terminal obeys, or what turns the reading direction, is none of these.
HARMLESS = re.compile(
    r"[\n\x20-\x7e\xa0-\u200a\u2010-\u2027\u2030-\u205f\u2070-\ufefe\uff00-\U0010ffff]*"
)


def check(data: bytes, folder: Path, *options: str) -> Run:
    """Check bytes as a file."""
    path = folder / "trace"
    path.write_bytes(data)
    return run("check", path, "--output", "json", *options)


def is_told(done: Run, code: int, words: str = "") -> None:
    """Assert that a run ended with one harmless message that names the trouble."""
    assert code == done.code
    assert done.err.startswith("dmaverify: error: ")
    assert words in done.err
    assert 1 == done.err.count("\n")
    assert HARMLESS.fullmatch(done.err)


def is_cut_or_refused(done: Run) -> None:
    """Assert that a cut file is refused with a place, or read as far as it goes and said so."""
    if done.code == 3:
        is_told(done, 3)
        return
    assert done.code in (0, 1, 5)
    report = json.loads(done.out)
    assert "trace-cut-short" in [n["id"] for n in report["notices"]]
    assert not report["traces"][0]["complete"]
    assert "" == done.err


def test_native_text_cut_at_every_byte(tmp_path: Path) -> None:
    """A `.dmat` that ends anywhere is read to its last whole line."""
    for at in range(len(DMAT)):
        done = check(DMAT[:at], tmp_path)

        if at and DMAT[at - 1 : at] == b"\n":  # whole lines: no one can see that there were more
            assert (5 if at < FIRST_EVENT_ENDS else 0) == done.code
        else:
            is_cut_or_refused(done)


@pytest.mark.parametrize("name", ["tracefs", "report"])
def test_text_cut_anywhere(name: str, tmp_path: Path) -> None:
    """Printed text that ends in the middle of a line is read to its last whole line."""
    data = (EDU / f"unmap_wrong_size.{name}.txt").read_bytes()
    for at in range(1, len(data), 97):
        if data[at - 1 : at] != b"\n":
            is_cut_or_refused(check(data[:at], tmp_path))


def test_what_was_read_is_still_judged(tmp_path: Path) -> None:
    """A mistake before the cut is found; --strict-trace makes the cut an error as well."""
    data = MISTAKE.read_bytes()[:-20]
    done = check(data, tmp_path)
    strict = check(data, tmp_path, "--strict-trace")

    assert 1 == done.code
    assert ["unmap-size-mismatch"] == [f["class"] for f in json.loads(done.out)["findings"]]
    assert 3 == strict.code
    assert json.loads(done.out)["findings"] == json.loads(strict.out)["findings"]


def test_trace_dat_cut_anywhere(tmp_path: Path) -> None:
    """A `trace.dat` that ends anywhere is refused with a place, or read as far as it goes."""
    data = lzma.decompress(BINARY.read_bytes())
    for at in [*range(1, 64), *range(64, len(data) - 200, 1999)]:
        is_cut_or_refused(check(data[:at], tmp_path))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("name", PACKERS)
def test_a_packed_trace_cut_anywhere(name: str, tmp_path: Path) -> None:
    """A compressed file that ends anywhere is refused, or read as far as it goes."""
    data = PACKERS[name](MISTAKE.read_bytes())

    for at in range(1, len(data), 31):
        is_cut_or_refused(check(data[:at], tmp_path))


@pytest.mark.parametrize("name", PACKERS)
def test_a_packed_trace_with_damage(name: str, tmp_path: Path) -> None:
    """A compressed file with a wrong byte ends in no traceback, wherever that is."""
    data = bytearray(PACKERS[name](MISTAKE.read_bytes()))
    for at in range(0, len(data), 61):
        damaged = bytearray(data)
        damaged[at] ^= 0x55

        assert check(bytes(damaged), tmp_path).code in (0, 1, 3, 5)


DICE = random.Random(2)
GARBAGE = {
    "empty": (b"", "is empty"),
    "noise": (DICE.randbytes(5000), "binary data of an unknown format"),
    "zeros": (bytes(5000), "binary data of an unknown format"),
    "ones": (b"\xff" * 5000, "no line of it is an event"),
    "line feeds": (b"\n" * 5000, "no line of it is an event"),
    "one long line": (b"A" * 3_000_000, "no line of it is an event"),
    "a program": (b"\x7fELF" + bytes(200), "is a program"),
    "perf.data": (b"PERFILE2" + bytes(100), "perf script"),
    "an unknown version": (b"# dmaverify trace 99\n", "this version reads"),
    "wrong magic": (b"\x17\x08\x45tracing6\0" + bytes(200), "binary data"),
    "an unknown trace.dat": (b"\x17\x08\x44tracing9\0\0\x08" + bytes(200), "version"),
    "a kilobyte that unpacks to 30 MB": (
        gzip.compress(bytes(30_000_000)),
        "binary data of an unknown format",
    ),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_trace(name: str, tmp_path: Path) -> None:
    """What is no trace is refused with what it is, and what would be accepted."""
    data, words = GARBAGE[name]

    is_told(check(data, tmp_path), 3, words)


def test_a_directory_and_nothing(tmp_path: Path) -> None:
    """A directory, and a file that is not there, are refused by name."""
    is_told(run("check", tmp_path), 3, f"{tmp_path}: is a directory")
    is_told(run("check", tmp_path / "gone"), 3, f"{tmp_path / 'gone'}: does not exist")
    is_told(run("check", tmp_path / "a\x1b[31m"), 3, r"a\x1b[31m: does not exist")
    is_told(run("trace", "info", tmp_path), 3, "is a directory")


def test_absurd_numbers_in_trace_dat(tmp_path: Path) -> None:
    """Any four bytes of a `trace.dat` made absurd end in no crash and no huge allocation."""
    data = lzma.decompress(BINARY.read_bytes())
    dice = random.Random(3)
    places = [*range(10, 60, 4), *(dice.randrange(len(data) - 8) for _ in range(20))]
    tail = range(len(data) - 2400, len(data) - 8, 160)  # options, buffers, offsets of pages
    for at in [*places, *tail]:
        for value in (0xFFFFFFFF, 0x7FFFFFFF, 0):
            damaged = bytearray(data)
            struct.pack_into("<I", damaged, at, value)

            assert check(bytes(damaged), tmp_path).code in (0, 1, 3, 5)


def test_absurd_numbers_in_text(tmp_path: Path) -> None:
    """Numbers too large, negative or no numbers are unknown values, never findings."""
    head = "a-1 [000] ..... 1.000001: dma_map_page: 0000:00:04.0 dir=TO_DEVICE"
    for number in ("f" * 40, "-1", "", "zz", "0x", "1e9", "99999999999999999999999"):
        line = f"{head} dma_addr={number} size={number} phys_addr={number} attrs=\n"
        done = check(line.encode() * 3, tmp_path)

        assert done.code in (0, 3, 5), number


THREE_MISTAKES = """\
dmarules 1

rule first: error {
  class first
  on dma_map as e
  require e.count > 4 potatoes
  message "too few"
}

rule second: terrible {
  class second
  on dma_map as e
  require e.count > 0
  message "none"
}

rule third: error {
  class third
  on dma_map as e
  require e.count > 0
  message "none of {e.nothing}"
}
"""


def test_three_mistakes_in_a_rule_file(tmp_path: Path) -> None:
    """Every mistake of a rule file is told in one run, at its line and column."""
    path = tmp_path / "three.dmar"
    path.write_text(THREE_MISTAKES)
    for words in (["rules", "check", path], ["check", HEALTHY, "-r", path]):
        done = run(*words)
        told = done.err + done.out

        assert 2 == done.code
        assert [6, 10, 21] == [int(n) for n in re.findall(r"three\.dmar:(\d+):\d+", told)]
        assert 3 == len(re.findall(r"^error\[", told, re.MULTILINE))
        assert "3 errors" in told


@pytest.mark.parametrize(
    "data",
    [b"", b"dmarules 99\n", b"\xff\xfe\x00", b"dmarules 1\nrule", b"(" * 100_000, bytes(1000)],
    ids=["empty", "version", "bytes", "cut", "nested", "zeros"],
)
def test_what_is_no_rule_file(data: bytes, tmp_path: Path) -> None:
    """What is no rule file is refused with exit code 2, and no traceback."""
    path = tmp_path / "bad.dmar"
    path.write_bytes(data)
    done = run("rules", "check", path)

    assert 2 == done.code
    assert "Traceback" not in done.err
    assert HARMLESS.fullmatch(done.err)


def test_one_bad_trace_of_several(tmp_path: Path) -> None:
    """A trace that can not be read does not hide what the others show."""
    done = run("check", MISTAKE, tmp_path / "gone", HEALTHY, "--output", "json")
    report = json.loads(done.out)

    is_told(done, 3, "does not exist")
    assert [str(MISTAKE), str(HEALTHY)] == [t["path"] for t in report["traces"]]
    assert 1 == report["summary"]["findings"]


NASTY = ("\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\u202e", "\u2066", "\r", "\x08", "\x00",
         "\u2028")  # fmt: skip
DEVICE = "00:" + "".join(NASTY)
HOSTILE = f"""\
# dmaverify trace 1
ev\x1b[2Jil-1 [000] ..... 1.000001: dma_map: {DEVICE} type=single direction=to_device bus_addr=0x1000 length=64
ev\x1b[2Jil-1 [000] ..... 1.000002: mark: text="\x1b[31m{chr(0x202E)}\\x1b[1m"
ev\x1b[2Jil-1 [000] ..... 1.000003: dma_unmap: {DEVICE} type=single direction=to_device bus_addr=0x1000 length=32
ev\x1b[2Jil-1 [000] ..... 1.000004: driver_unbound: {DEVICE}
"""


@pytest.mark.parametrize(
    "words",
    [
        ["check"],
        ["check", "-v"],
        ["check", "--output", "concise"],
        ["check", "--output", "json"],
        ["trace", "info"],
        ["trace", "info", "--output", "json"],
    ],
    ids=" ".join,
)
def test_nothing_raw_reaches_the_terminal(words: list[str], tmp_path: Path) -> None:
    """Escape sequences, control characters and changes of direction are shown, never sent."""
    path = tmp_path / "hostile\x1b[5m\u202e.dmat"
    path.write_text(HOSTILE, "utf-8", newline="")
    done = run(*words, path)

    assert done.out
    assert HARMLESS.fullmatch(done.out)
    assert HARMLESS.fullmatch(done.err)


def test_hostile_printed_text(tmp_path: Path) -> None:
    """A driver's name and a mark in tracefs text can not write to the terminal either."""
    text = MISTAKE.read_text().replace("0000:00:04.0", "0000\x1b[8m\u202e:4")
    text = text.replace(" bind", "\x07")
    path = tmp_path / "trace"
    path.write_text(text)
    done = run("check", path)

    assert 1 == done.code
    assert HARMLESS.fullmatch(done.out)
    assert r"0000\x1b[8m\u202e:4" in done.out


def test_colour_is_the_only_escape_sequence(tmp_path: Path) -> None:
    """With --color always, what the trace brought in is still shown as text."""
    path = tmp_path / "hostile.dmat"
    path.write_text(HOSTILE, "utf-8", newline="")
    done = run("check", path, "--color", "always")
    plain, colours = re.subn("\x1b\\[[0-9;]*m", "", done.out)

    assert colours
    assert HARMLESS.fullmatch(plain)


def test_an_output_that_can_not_be_written() -> None:
    """A report's file that can not be made is a mistake of the command line."""
    is_told(run("check", MISTAKE, "--output", "json:/nonexistent/x"), 2, "/nonexistent/x")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([HEALTHY], 0),
        ([MISTAKE], 1),
        ([HEALTHY, MISTAKE], 1),
        ([MISTAKE, "--exit-zero"], 0),
        ([MISTAKE, "--fail-on", "never"], 0),
        ([MISTAKE, "/nonexistent/trace"], 3),
        ([MISTAKE, "/nonexistent/trace", "--exit-zero"], 3),
        ([MISTAKE, "/nonexistent/trace", "--output", "json:/nonexistent/x"], 2),
        ([MISTAKE, "-r", "/nonexistent/rules.dmar"], 2),
        ([MISTAKE, "/nonexistent/trace", "-r", "/nonexistent/rules.dmar"], 2),
        ([MISTAKE, "--select", "no-such-rule"], 2),
        ([MISTAKE, "--output", "yaml"], 2),
        ([MISTAKE, "--nonsense"], 2),
        ([], 2),
        ([MISTAKE, "--select", "unmap-of-unmapped"], 0),
        ([FIXTURES / "recordings/rdma/ok_write.tracefs.txt"], 0),
        ([FIXTURES / "recordings/rdma/ok_write.tracefs.txt", "--select", WRONG], 5),
        ([HEALTHY, FIXTURES / "recordings/rdma/ok_write.tracefs.txt", "--select", WRONG], 5),
    ],
)
def test_the_exit_code(words: list[str | Path], code: int) -> None:
    """Where several exit codes apply, 4, 2, 3, 1, 5 and 0 win in this order."""
    assert code == run("check", *words).code


@pytest.mark.parametrize("name", ["ok.direct", "ok_overlapping_regions.direct"])
def test_text_without_its_beginning(name: str, tmp_path: Path) -> None:
    """A healthy recording whose first lines are gone has no mistakes, wherever it begins.

    Between the probe of a driver and the line that says that it is bound lies what it maps first.
    """
    packed = FIXTURES / f"recordings/hca_driver/{name}.tracefs.txt.xz"
    lines = lzma.decompress(packed.read_bytes()).splitlines()
    bound = next(i for i, line in enumerate(lines) if b" driver_bound: " in line)
    for first in range(0, bound + 40, 37):
        done = check(b"\n".join(lines[first:]) + b"\n", tmp_path)
        assert [] == json.loads(done.out)["findings"], first
