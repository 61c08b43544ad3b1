"""Whatever the bytes, the text reader ends, and says what it can not read."""

import contextlib
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dmaverify.errors import TraceError
from dmaverify.model.events import EventBatch
from dmaverify.model.kinds import EventKind
from dmaverify.trace.text import make_scanner
from tests.unit.trace.reading import FIXTURES, read

LINES = [
    line
    for path in sorted(FIXTURES.glob("*.txt"))
    for line in path.read_bytes().splitlines(keepends=True)[:40]
]
PIECES = (b"=", b"{", b"}", b"0x", b"ARRAY[", b'"', b"\\x", b":", b"\n", b"-1 [000]", b"(",
          b"?", b",", b"18446744073709551616", b"\x00", b"\xff", b"dmaverify: bind a")  # fmt: skip


def mutate(line: bytes, rng: random.Random) -> bytes:
    """Return a line with one piece cut out and another one put in."""
    at, to = sorted(rng.randrange(len(line) + 1) for _ in range(2))
    return line[:at] + rng.choice(PIECES) + line[min(to, at + rng.randrange(9)) :]


@given(st.integers(0, 2**32), st.booleans())
@settings(max_examples=60, deadline=None)
def test_mutated_lines(seed: int, native: bool) -> None:
    """Damaged lines give rows or counts, and each row can be looked at."""
    rng = random.Random(seed)
    data = b"".join(mutate(line, rng) for line in rng.choices(LINES, k=60))
    scanner, batch = make_scanner(native), EventBatch()
    scanner.scan(data, len(data), 0, batch)
    names = [""]
    scanner.devices(names)
    counts = scanner.counts

    assert data.count(b"\n") == counts["lines"]
    assert counts["matched"] + counts["skipped"] + counts["twice"] == counts["records"]
    for i in range(len(batch)):
        event = batch[i]
        assert 0 <= event.device < len(names)
        assert event.offset < len(data)
        assert 1 <= event.line <= counts["lines"]


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes(data: bytes) -> None:
    """Any bytes are a trace or a TraceError."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "t").write_bytes(data)
        with contextlib.suppress(TraceError):
            reader, events = read(Path(folder) / "t")
            assert reader.records >= len([e for e in events if e.kind is not EventKind.LOST])
