"""CTF traces of rdma-core: by the real bindings where they are, and by a bare stand-in always."""

import contextlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from dmaverify.errors import TraceError
from dmaverify.model.events import Event
from dmaverify.model.kinds import EventKind, HcaValue, Opcode, PostFlag, WcStatus
from dmaverify.trace import open_trace
from dmaverify.trace.base import Reader
from tests.acceptance.runs import run
from tests.writers import ctf

K = EventKind
DISTRIBUTION = "/usr/lib/python3/dist-packages"  # where Debian's python3-bt2 is

EVENTS = [
    ("rdma_core_efa:post_recv", 1000, ("efa0", 3, 6, 1)),
    ("rdma_core_efa:post_send", 2000, ("efa0", 7, 0, 5, 6, 1, 64)),
    ("rdma_core_efa:process_completion", 3000, ("efa0", 7, 0, 0, 5, 0xFFFFFFFF, 1, 64)),
    ("rdma_core_efa:process_completion", 4000, ("efa0", 3, 0, 128, 5, 6, 1, 64)),
    ("rdma_core_hns:post_send", 5000, ("hns0", 9, 1, 21, 22, 3, 64, 4, 0, 0)),
    ("rdma_core_hns:post_recv", 5500, ("hns0", 8, 1, 21, 0)),
    ("rdma_core_hns:post_recv", 5600, ("hns0", 8, 1, 21, 1)),
    ("rdma_core_hns:poll_cq", 6000, ("hns0", 9, 10, 2, 0, 7, 0, 21, 22, 64)),
    ("rdma_core_rxe:post_send", 7000, ("rxe0", 17, "IBV_WR_RDMA_WRITE", 64)),
    ("other:event", 8000, (1,)),
]


#: A module `bt2` with as much as the reader asks for; it plays a list of messages.
STAND_IN = """
import json, os
class _DiscardedEventsMessageConst:
    pass
class _DiscardedPacketsMessageConst:
    pass
class _Thing:
    pass
class _EventMessageConst:
    def __init__(self, name, when, payload):
        self.event = _Thing()
        self.event.name, self.event.payload_field = name, payload
        self.default_clock_snapshot = _Thing()
        self.default_clock_snapshot.ns_from_origin = when
def TraceCollectionMessageIterator(path):
    for told in json.load(open(os.path.join(os.path.dirname(__file__), "messages.json"))):
        if told == "abort":
            os.abort()
        if isinstance(told, str):
            raise ValueError(told)
        if isinstance(told, int):
            lost = _DiscardedEventsMessageConst()
            lost.count = told
            yield lost
        else:
            yield _EventMessageConst(*told)
"""


def stand_in(folder: Path, messages: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Put such a module where it is imported first."""
    place = folder / "bindings"
    place.mkdir(exist_ok=True)
    (place / "bt2.py").write_text(STAND_IN, "ascii")
    (place / "messages.json").write_text(json.dumps(messages), "ascii")
    monkeypatch.syspath_prepend(str(place))


def message(name: str, when: int, values: tuple[int | str, ...]) -> list[object]:
    """Return an event as the stand-in plays it."""
    fields = [field for field, _ in ctf.EVENTS[name]]
    return [name, when, dict(zip(fields, values, strict=True))]


@pytest.fixture(params=["stand-in", "real"])
def folder(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a trace's folder, with bindings that can read it."""
    if request.param == "stand-in":
        stand_in(tmp_path, [message(*event) for event in EVENTS], monkeypatch)
    elif find_spec("bt2") is None:
        monkeypatch.syspath_prepend(DISTRIBUTION)
        if find_spec("bt2") is None:
            pytest.skip("babeltrace2's bindings are not installed")
    written = [ctf.event(name, when, *values) for name, when, values in EVENTS]
    ctf.write(tmp_path / "session" / "ust" / "uid" / "1000" / "64-bit", written)
    return tmp_path / "session"


def read(folder: Path) -> tuple[list[Event], Reader]:
    """Return all rows, and the reader at its end."""
    reader = open_trace(str(folder))
    return [batch[i] for batch in reader.batches() for i in range(len(batch))], reader


def test_posts_and_completions(folder: Path) -> None:
    """Device, queue pair, id, opcode, flags, outcome: each by its own tracepoint."""
    found, reader = read(folder)
    rows = [
        (reader.devices[e.device], e.kind, e.object, e.phys_addr, e.type, e.time) for e in found
    ]

    assert rows == [
        ("efa0", K.POST_RECV, 6, 3, 0, 1000),
        ("efa0", K.POST_SEND, 5, 7, 0, 2000),
        ("efa0", K.CQE, 5, 7, Opcode.SEND, 3000),
        ("efa0", K.CQE, 6, 3, Opcode.RECV, 4000),
        ("hns0", K.POST_SEND, 21, 9, Opcode.RDMA_READ, 5000),
        ("hns0", K.POST_RECV, 21, 8, 0, 5500),
        ("hns0", K.CQE, 21, 9, Opcode.RDMA_READ, 6000),
        ("rxe0", K.POST_SEND, 17, 0, Opcode.RDMA_WRITE, 7000),
    ]
    assert PostFlag.FENCE | PostFlag.SIGNALED == found[4].direction
    assert ((HcaValue.REMOTE_QP, 22),) == found[4].hca
    assert (WcStatus.REM_ACCESS_ERR, ((HcaValue.VENDOR_ERR, 7),)) == (found[6].status, found[6].hca)
    assert ("ctf", 10, 2, True) == (
        reader.format, reader.records, reader.skipped, reader.complete,
    )  # fmt: skip
    assert "addresses-missing" in {n.id for n in reader.notices}


def test_check_reads_it(folder: Path) -> None:
    """From the folder to a report; what addresses are needed for is told as a note."""
    done = run("check", folder)
    told = run("trace", "info", folder)

    assert 0 == done.code
    assert "[addresses-missing]" in done.out
    assert "ctf" in told.out


def test_without_the_bindings_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3, and the packages."""
    place = tmp_path / "bindings"
    place.mkdir()
    (place / "bt2.py").write_text("raise ImportError", "ascii")
    monkeypatch.syspath_prepend(str(place))
    done = run("check", ctf.write(tmp_path / "trace", []))

    assert 3 == done.code
    assert "python3-bt2" in done.err


@pytest.mark.parametrize(("end", "words"), [("packet 2\nmore", "packet 2"), ("abort", "signal 6")])
def test_what_breaks_in_the_middle_loses_nothing_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, words: str
) -> None:
    """An error of the bindings, or the end of their process, ends the trace and says so."""
    stand_in(tmp_path, [message(*EVENTS[0]), 3, end], monkeypatch)
    path = ctf.write(tmp_path / "trace", [])
    if end != "abort":
        found, reader = read(path)
        assert [K.POST_RECV, K.LOST] == [e.kind for e in found]
        assert (3, False) == (reader.lost, reader.complete)
        assert any(words in n.text and "more" not in n.text for n in reader.notices)

    stand_in(tmp_path, [end], monkeypatch)
    with pytest.raises(TraceError, match=words):
        read(path)


def test_a_folder_that_is_no_trace(tmp_path: Path) -> None:
    """It stays what it was: an error that says to name a file."""
    (tmp_path / "metadata").write_text("something else", "ascii")
    with pytest.raises(TraceError, match="is a directory"):
        open_trace(str(tmp_path))


@pytest.mark.parametrize("name", ["metadata", "stream"])
def test_damaged_files_end_in_an_error_or_a_note(folder: Path, name: str) -> None:
    """Cut at many places; the bindings' errors never come out."""
    trace = folder / "ust" / "uid" / "1000" / "64-bit"
    whole = (trace / name).read_bytes()
    for end in range(1, len(whole), max(1, len(whole) // 40)):
        (trace / name).write_bytes(whole[:end])
        with contextlib.suppress(TraceError):
            read(folder)
