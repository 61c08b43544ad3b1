"""Open the container of a `trace.dat`, whichever version it has."""

from dmaverify.errors import TraceError
from dmaverify.trace.dat_sections import (
    MAGIC,
    RECORD_AGAIN,
    Container,
    Cursor,
    CutShortError,
    File,
    check_page_size,
)
from dmaverify.trace.dat_v6 import read_v6
from dmaverify.trace.dat_v7 import read_v7


def read_container(file: File) -> Container:
    """Return what the file holds; what is cut away is left out, and `cut` says where.

    Raises:
        TraceError: not a `trace.dat`, of an unknown version, or without any event format
            or any place of pages.
    """
    cursor = Cursor(file.read_at, 0, file.size, "<")
    try:
        head = _read_head(file, cursor)
    except CutShortError as cut:
        text = f"the file is cut short in its head; {RECORD_AGAIN}"
        raise TraceError(file.path, cut.args[0], text) from None
    if head.version == 6:
        read_v6(file, cursor, head)
    else:
        read_v7(file, cursor, head)
    _check_readable(file, head)
    return head


def _read_head(file: File, cursor: Cursor) -> Container:
    """Read the start that both versions share, and leave the cursor behind it."""
    if cursor.take(len(MAGIC)) != MAGIC:
        raise TraceError(file.path, 0, "not a trace.dat: the first ten bytes are others")
    version = cursor.name()
    if version not in ("6", "7"):
        text = f"trace.dat of version {version[:8]!r}; `trace-cmd convert` can write version 7"
        raise TraceError(file.path, len(MAGIC), text)
    endian, long_size = cursor.number(1), cursor.number(1)
    if endian > 1 or long_size not in (4, 8):
        raise TraceError(file.path, cursor.at - 2, "endianness or size of long is not possible")
    cursor.order = ">" if endian else "<"
    at = cursor.at
    page_size = check_page_size(file.path, cursor.number(4), at)
    return Container(int(version), cursor.order, long_size, page_size)


def _check_readable(file: File, head: Container) -> None:
    """Tell apart a file with nothing in it from one that is cut short."""
    if head.instances and head.formats:
        return
    if head.has_text:
        text = "holds text of a latency tracer; read what `trace-cmd report` prints of it"
        raise TraceError(file.path, None, text)
    missing = "the list of buffers is" if head.formats else "the event formats are"
    at = file.size if head.cut is None else head.cut
    text = f"the file is cut short or damaged: {missing} missing; {RECORD_AGAIN}"
    raise TraceError(file.path, at, text)
