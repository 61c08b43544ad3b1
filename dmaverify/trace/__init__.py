"""Read recordings: bytes in, batches of events out."""

from dmaverify.errors import TraceError
from dmaverify.trace.base import Reader

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
    (b"SQLite format 3", "an SQLite database"),
    (b"{", "JSON"),
)

_ACCEPTED = (
    "accepted are tracefs text, trace-cmd report, perf script, trace.dat and .dmat,"
    " also compressed with gzip, xz or zstd"
)


def open_trace(path: str) -> Reader:
    """Open a trace in whatever format its content shows; the file's name plays no part.

    Args:
        path: a file, or "-" for standard input.

    Raises:
        TraceError: it can not be read, or is no trace; the text names what was found.
    """
    from dmaverify.trace.source import Source

    source = Source(path)
    try:
        if source.head.startswith(DAT_MAGIC):
            from dmaverify.trace.dat import DatReader

            reader: Reader = DatReader(source)
            return reader
        _refuse_others(path, source.head)
        from dmaverify.trace.text import TextReader

        return TextReader(source)
    except BaseException:
        source.close()
        raise


def _refuse_others(path: str, head: bytes) -> None:
    """Raise where a head can not be that of a printed trace."""
    for magic, what in _OTHERS:
        if head.startswith(magic):
            raise TraceError(path, 0, f"is {what}; {_ACCEPTED}")
    # Task names can hold any byte, so some control characters prove nothing.
    odd = sum(head.count(bytes((c,))) for c in range(32) if c not in b"\t\n\r\x1b")
    if odd * 16 > len(head):
        raise TraceError(path, 0, f"is binary data of an unknown format; {_ACCEPTED}")
