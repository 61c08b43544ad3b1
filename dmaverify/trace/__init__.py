"""Read recordings: bytes in, batches of events out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dmaverify.errors import TraceError
from dmaverify.trace.base import Reader

if TYPE_CHECKING:
    from dmaverify.trace.events import EventSpec

#: What a trace.dat begins with: trace-cmd.dat(5), "Initial format".
DAT_MAGIC = b"\x17\x08\x44tracing"

#: What other files begin with, to name them: (magic, what it is and what to do).
_OTHERS = (
    (b"PERFILE2", "a perf.data file; give the text that `perf script` prints from it"),
    (b"PERFFILE", "an old perf.data file; give the text that `perf script` prints from it"),
    (b"\x7fELF", "a program"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"BZh", "bzip2 data; decompress it first"),
    (b"\x04\x22\x4d\x18", "lz4 data; decompress it first"),
    (b"\x1f\x8b", "gzip data inside other compression; decompress it first"),
    (b"\xff\xfe", "UTF-16 text; save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text; save it as UTF-8"),
    (
        b"\x34\xcd\xb2\xa1",
        "a capture in the modified form of pcap; convert it with `editcap -F pcap`",
    ),
    (
        b"\xa1\xb2\xcd\x34",
        "a capture in the modified form of pcap; convert it with `editcap -F pcap`",
    ),
    (b"SQLite format 3", "an SQLite database"),
    (b"{", "JSON"),
)

_ACCEPTED = (
    "accepted are tracefs text, trace-cmd report, perf script, trace.dat, pcap, pcapng and .dmat,"
    " also compressed with gzip, xz or zstd"
)


def open_trace(path: str, more: Sequence["EventSpec"] = ()) -> Reader:
    """Open a trace in whatever format its content shows; the file's name plays no part.

    Args:
        path: a file, or "-" for standard input.
        more: events of the user's own, beside those that are known.

    Raises:
        TraceError: it can not be read, or is no trace; the text names what was found.
    """
    from dmaverify.trace.source import Source

    if path != "-" and Path(path).is_dir():
        from dmaverify.trace.ctf import CtfReader, is_ctf

        if is_ctf(path):
            return CtfReader(path)
    source = Source(path)
    try:
        if source.head.startswith(DAT_MAGIC):
            from dmaverify.trace.dat import DatReader

            reader: Reader = DatReader(source, more)
            return reader
        if _begins_as_capture(source.head):
            from dmaverify.trace.capture import CaptureReader, is_capture

            if is_capture(source.head):
                return CaptureReader(source)
        _refuse_others(path, source.head)
        from dmaverify.trace.text import TextReader

        return TextReader(source, more)
    except BaseException:
        source.close()
        raise


def _begins_as_capture(head: bytes) -> bool:
    """Return True for the first byte of a pcap or pcapng file; the module knows the rest."""
    return head[:1] in (b"\xd4", b"\xa1", b"\x4d", b"\x0a")


def _refuse_others(path: str, head: bytes) -> None:
    """Raise where a head can not be that of a printed trace."""
    for magic, what in _OTHERS:
        if head.startswith(magic):
            raise TraceError(path, 0, f"is {what}; {_ACCEPTED}")
    # Task names can hold any byte, so some control characters prove nothing.
    odd = sum(head.count(bytes((c,))) for c in range(32) if c not in b"\t\n\r\x1b")
    if odd * 16 > len(head):
        raise TraceError(path, 0, f"is binary data of an unknown format; {_ACCEPTED}")
