"""What the two versions of the `trace.dat` container share: nouns, numbers and options.

trace-cmd manual pages trace-cmd.dat.v6(5) and trace-cmd.dat.v7(5). Nothing here looks into
the ring-buffer pages or into the event formats; both are handed on as they are.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from dmaverify.errors import TraceError

MAGIC = b"\x17\x08\x44tracing"
MAX_METADATA = 64 << 20  # bytes of one section; real ones stay below 10 MiB
MAX_CHUNK = 32 << 20  # bytes of one decompressed chunk of pages; trace-cmd writes ten pages
MAX_PAGE = 16 << 20
MAX_CPUS = 0xFFFF
MAX_NAME = 4096
MAX_OPTIONS_SECTIONS = 1024

OPTION_DONE, OPTION_DATE, OPTION_CPUSTAT, OPTION_BUFFER, OPTION_TRACECLOCK = range(5)
OPTION_OFFSET, OPTION_CPUCOUNT, OPTION_TSC2NSEC = 7, 8, 14
SECTION_STRINGS = 15
SECTION_HEADER_INFO, SECTION_FTRACE_EVENTS, SECTION_EVENT_FORMATS = 16, 17, 18
SECTION_KALLSYMS, SECTION_PRINTK, SECTION_CMDLINES, SECTION_BUFFER_TEXT = 19, 20, 21, 22
COMPRESSED = 1

RECORD_AGAIN = "record it again, or copy it again from the machine that recorded it"


class File(Protocol):
    """What the container needs of its source: any part of it, at any time.

    Attributes:
        path: as the user named it.
        size: in bytes.
    """

    @property
    def path(self) -> str:
        """Return the name for messages."""
        ...

    @property
    def size(self) -> int:
        """Return the size in bytes."""
        ...

    def read_at(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset`; fewer only at the end of the file."""
        ...


class CutShortError(Exception):
    """A part of the file ends before its contents do; `args[0]` is the byte offset."""


@dataclass(slots=True)
class CpuData:
    """Where the pages of one CPU lie: `offset` and `size` in bytes of the file."""

    cpu: int
    offset: int
    size: int


@dataclass(slots=True)
class Instance:
    """One buffer instance of the recording; the top instance has no name."""

    name: str
    clock: str
    page_size: int
    cpus: list[CpuData]
    compressed: bool = False


@dataclass(slots=True)
class Container:
    """What a `trace.dat` holds, pages excepted.

    Args:
        order: "<" or ">".
        formats: (system, text of a format file); the system of ftrace's own is "ftrace".
        statistics: (instance name, text) of the kernel's per-CPU statistics.
        ts_offset: ns to add to every time; 0 where the file has no such option.
        tsc2nsec: (multiplier, shift) that turn ticks into ns, or None.
        cut: byte offset at which something was missing, or None.
    """

    version: int
    order: str
    long_size: int
    page_size: int
    compression: str = "none"
    header_page: str = ""
    formats: list[tuple[str, str]] = field(default_factory=list)
    cmdlines: bytes = b""
    printk: bytes = b""
    trace_clock: str = ""
    statistics: list[tuple[str, str]] = field(default_factory=list)
    ts_offset: int = 0
    tsc2nsec: tuple[int, int] | None = None
    instances: list[Instance] = field(default_factory=list)
    has_text: bool = False
    cut: int | None = None


class Cursor:
    """Reads numbers, names and blocks from a file or a block, never past its end."""

    def __init__(self, read_at: Callable[[int, int], bytes], start: int, end: int, order: str):
        self._read_at = read_at
        self.at = start
        self.end = end
        self.order = order

    @classmethod
    def over(cls, data: bytes, order: str) -> "Cursor":
        """Return a cursor over bytes in memory."""
        return cls(lambda at, count: data[at : at + count], 0, len(data), order)

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes.

        Raises:
            CutShortError: there are not as many, or more than any metadata has.
        """
        if count > self.end - self.at or count > MAX_METADATA:
            raise CutShortError(self.at)
        data = self._read_at(self.at, count)
        if len(data) != count:
            raise CutShortError(self.at + len(data))
        self.at += count
        return data

    def skip(self, count: int) -> None:
        """Go on by `count` bytes without reading them."""
        if count > self.end - self.at:
            raise CutShortError(self.end)
        self.at += count

    def number(self, size: int) -> int:
        """Return an unsigned number of 1, 2, 4 or 8 bytes."""
        code = {1: "B", 2: "H", 4: "I", 8: "Q"}[size]
        return int(struct.unpack(self.order + code, self.take(size))[0])

    def name(self) -> str:
        """Return a text that ends in a zero byte."""
        data = self._read_at(self.at, min(MAX_NAME, self.end - self.at))
        stop = data.find(b"\0")
        if stop < 0:
            raise CutShortError(self.at)
        self.at += stop + 1
        return data[:stop].decode("utf-8", "replace")

    def block(self, size_bytes: int) -> bytes:
        """Return a block that its own size, a number of `size_bytes`, precedes."""
        return self.take(self.number(size_bytes))


class Unpacker:
    """Undoes one compression method; its memory is used again for the next block."""

    def __init__(self, method: str) -> None:
        self.method = method
        self._zstd: Any = None

    def unpack(self, data: bytes, size: int) -> bytes:
        """Return the `size` bytes that `data` was made from.

        Raises:
            ValueError: not such data, another size, or a method that is not known.
        """
        if self.method == "zlib":
            plain = _inflate(data, size)
        elif self.method == "zstd":
            plain = self._unpack_zstd(data, size)
        else:
            raise ValueError(f"unknown compression {self.method[:20]!r}")
        if len(plain) != size:
            raise ValueError(f"{len(plain)} bytes instead of {size}")
        return plain

    def _unpack_zstd(self, data: bytes, size: int) -> bytes:
        import zstandard

        if self._zstd is None:
            self._zstd = zstandard.ZstdDecompressor()
        try:
            # The frame's own claim decides what is allocated, so it is asked first.
            if zstandard.frame_content_size(data) not in (-1, size):
                raise ValueError("a frame of another size")
            plain: bytes = self._zstd.decompress(data, max_output_size=size)
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from None
        return plain


def _inflate(data: bytes, size: int) -> bytes:
    import zlib

    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, size)
        # A full block may still have its checksum before it, or more than it should have.
        more = inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if more or not inflater.eof:
        raise ValueError("a block of another size")
    return plain


def check_page_size(path: str, size: int, at: int) -> int:
    """Return a page size that can be true.

    Raises:
        TraceError: no ring buffer has such pages.
    """
    if size & (size - 1) or not 512 <= size <= MAX_PAGE:
        raise TraceError(path, at, f"a page size of {size} bytes is not possible")
    return size


def read_header_info(cursor: Cursor, ret: Container) -> None:
    """Read the layout of a page; that of an entry's head has never changed."""
    cursor.name()
    ret.header_page = cursor.block(8).decode("utf-8", "replace")
    cursor.name()
    cursor.take(cursor.number(8))


def read_ftrace_events(cursor: Cursor, ret: Container) -> None:
    """Read the format files of ftrace's own events."""
    for _ in range(cursor.number(4)):
        ret.formats.append(("ftrace", cursor.block(8).decode("utf-8", "replace")))


def read_event_formats(cursor: Cursor, ret: Container) -> None:
    """Read the format files of all other events, by system."""
    for _ in range(cursor.number(4)):
        system = cursor.name()
        for _ in range(cursor.number(4)):
            ret.formats.append((system, cursor.block(8).decode("utf-8", "replace")))


def read_printk(cursor: Cursor, ret: Container) -> None:
    """Read the texts that binary marks point to."""
    ret.printk = cursor.block(4)


def read_cmdlines(cursor: Cursor, ret: Container) -> None:
    """Read the names of tasks."""
    ret.cmdlines = cursor.block(8)


def apply_option(ret: Container, option: int, data: bytes) -> None:
    """Take over what an option says about time and statistics; unknown ones say nothing."""
    if option in (OPTION_DATE, OPTION_OFFSET):
        # A date is in microseconds, an offset in nanoseconds; both are C numbers in ASCII.
        unit = 1000 if option == OPTION_DATE else 1
        ret.ts_offset += unit * _c_number(data)
    elif option == OPTION_TRACECLOCK:
        chosen = re.search(rb"\[([\w-]+)\]", data)
        ret.trace_clock = chosen[1].decode() if chosen else ""
    elif option == OPTION_CPUSTAT:
        _add_statistics(ret, data.rstrip(b"\0").decode("utf-8", "replace"))
    elif option == OPTION_TSC2NSEC and len(data) >= 8:
        multiplier, shift = struct.unpack(ret.order + "II", data[:8])
        if multiplier and shift < 64:
            ret.tsc2nsec = (multiplier, shift)


def _add_statistics(ret: Container, text: str) -> None:
    """Keep one CPU's statistics; a text of its own names the instance of those after it."""
    instance = ret.statistics[-1][0] if ret.statistics else ""
    named = re.match(r"\s*Buffer: (.+)", text)
    ret.statistics.append((named[1].strip(), "") if named else (instance, text))


def _c_number(data: bytes) -> int:
    found = re.match(rb"\s*([+-]?)(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})", data)
    if not found:
        return 0
    value = int(found[2], 16 if found[2][:2].lower() == b"0x" else 10)
    return -value if found[1] == b"-" else value
