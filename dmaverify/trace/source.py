"""Where the bytes of a trace come from: a file or standard input, compressed or not.

Compression is told by content, never by the file's name: gzip (RFC 1952), xz (the .xz
File Format) and zstd (RFC 8878). It is undone in bounded pieces, so a small file that
decompresses to terabytes costs time and no memory. Damaged or cut compression is no error:
what came before it is delivered, and `cut_short` says that there should be more.
"""

import mmap
import os
import select
import stat
import sys
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from dmaverify.errors import TraceError

HEAD = 1 << 16  # bytes for sniffing
PIECE = 1 << 18  # compressed bytes read at once
SPOOL_MAX = 1 << 36  # bytes that a stream may need on disk
XZ_MEMORY = 1 << 28  # bytes that an xz dictionary may need
ZSTD_WINDOW = 1 << 27  # bytes of history that a zstd frame may need, as the zstd tool allows

GZIP = b"\x1f\x8b"
XZ = b"\xfd7zXZ\x00"
ZSTD = b"\x28\xb5\x2f\xfd"


class _Decoder(Protocol):
    """Undoes one member of a compressed file."""

    def feed(self, data: bytes, room: int) -> bytes:
        """Return at most about `room` bytes; `data` is new input, b"" to drain."""
        ...

    @property
    def hungry(self) -> bool:
        """Return True where more input is needed for more output."""
        ...

    @property
    def done(self) -> bool:
        """Return True at the end of the member."""
        ...

    @property
    def rest(self) -> bytes:
        """Return the input that follows the member."""
        ...


class _Gzip:
    """One gzip member; the interface of `_Decoder`."""

    def __init__(self) -> None:
        self._d = zlib.decompressobj(wbits=31)
        self.hungry = True

    def feed(self, data: bytes, room: int) -> bytes:
        out = self._d.decompress(self._d.unconsumed_tail + data, room)
        self.hungry = not self._d.unconsumed_tail and len(out) < room
        return out

    @property
    def done(self) -> bool:
        return self._d.eof

    @property
    def rest(self) -> bytes:
        return self._d.unused_data


class _Xz:
    """One xz stream; the interface of `_Decoder`."""

    def __init__(self) -> None:
        import lzma

        self._d = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)

    def feed(self, data: bytes, room: int) -> bytes:
        return self._d.decompress(data, room)

    @property
    def hungry(self) -> bool:
        return self._d.needs_input

    @property
    def done(self) -> bool:
        return self._d.eof

    @property
    def rest(self) -> bytes:
        return self._d.unused_data


class _Zstd:
    """One zstd frame; the interface of `_Decoder`.

    The library gives everything that its input decompresses to, and four bytes of input can
    stand for a block of 128 KiB: so the input is given in small slices.
    """

    SLICE = 512

    def __init__(self) -> None:
        import zstandard

        context = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
        self._d = context.decompressobj()
        self._input = b""
        self._at = 0

    def feed(self, data: bytes, room: int) -> bytes:
        if data:
            self._input = self._input[self._at :] + data
            self._at = 0
        parts: list[bytes] = []
        have = 0
        while have < room and not self.hungry and not self._d.eof:
            part = self._d.decompress(self._input[self._at : self._at + self.SLICE])
            self._at += self.SLICE
            parts.append(part)
            have += len(part)
        return b"".join(parts)

    @property
    def hungry(self) -> bool:
        return self._at >= len(self._input)

    @property
    def done(self) -> bool:
        return self._d.eof

    @property
    def rest(self) -> bytes:
        return self._d.unused_data + self._input[self._at :]


def _failures() -> tuple[type[Exception], ...]:
    """Return what decoders raise on damaged input, of those that are loaded."""
    found: list[type[Exception]] = [zlib.error, EOFError]
    if "lzma" in sys.modules:
        import lzma

        found.append(lzma.LZMAError)
    if "zstandard" in sys.modules:
        import zstandard

        found.append(zstandard.ZstdError)
    return tuple(found)


_DECODERS: tuple[tuple[str, bytes, Callable[[], _Decoder]], ...] = (
    ("gzip", GZIP, _Gzip),
    ("xz", XZ, _Xz),
    ("zstd", ZSTD, _Zstd),
)


class _Members:
    """The bytes of a file of one or more compressed members."""

    def __init__(
        self, raw: Callable[[int], bytes], first: bytes, make: Callable[[], _Decoder], magic: bytes
    ) -> None:
        self._raw = raw
        self._input = first
        self._make = make
        self._magic = magic
        self._decoder = make()
        self._end = False
        self.cut_short = False

    def read(self, room: int) -> bytes:
        """Return some bytes, or b"" at the end."""
        while not self._end:
            try:
                out = self._step(room)
            except _failures():
                self.cut_short = self._end = True
                return b""
            if out:
                return out
        return b""

    def _step(self, room: int) -> bytes:
        decoder = self._decoder
        if decoder.done:
            self._next_member()
            return b""
        data, self._input = self._input, b""
        if not data and decoder.hungry:
            data = self._raw(PIECE)
            if not data:
                self.cut_short = self._end = True
                return b""
        return decoder.feed(data, room)

    def _next_member(self) -> None:
        rest = self._decoder.rest
        while len(rest) < len(self._magic):
            more = self._raw(PIECE)
            if not more:
                break
            rest += more
        if rest.startswith(self._magic):
            self._input = rest
            self._decoder = self._make()
        else:
            self._end = True  # the end, or padding, which the tools ignore too


class Source:
    """One opened trace, to be read once from front to back.

    Attributes:
        path: as the user named it.
        head: the first 64 KiB, decompressed; fewer where there are no more.
        size: bytes of the file as it lies on disk, None for a pipe.
        consumed: bytes of the file read so far, of `size`.
        streaming: True where a byte can be read once only.
        compression: "gzip", "xz", "zstd" or "".
        cut_short: True once the compressed data turned out to be cut or damaged.

    Args:
        path: a file, or "-" for standard input.

    Raises:
        TraceError: there is nothing to read, or it may not be read.
    """

    _fd = -1

    def __init__(self, path: str) -> None:
        self.path = path
        self.consumed = 0
        self.compression = ""
        self._members: _Members | None = None
        self._fd = self._open()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _open(self) -> int:
        try:
            if self.path == "-":
                return os.dup(0)
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise TraceError(self.path, None, _why(error)) from None

    def _start(self) -> None:
        status = os.fstat(self._fd)
        if stat.S_ISDIR(status.st_mode):
            raise TraceError(self.path, None, "is a directory; name a file in it")
        # Files of tracefs are regular and have no size: they can be read once only.
        regular = stat.S_ISREG(status.st_mode) and status.st_size > 0
        self.size = status.st_size if regular else None
        self.streaming = not regular or self.path == "-"
        first = self._raw(PIECE)
        while first and len(first) < len(XZ):
            more = self._raw(PIECE)
            if not more:
                break
            first += more
        if not first:
            raise TraceError(self.path, None, "is empty; record a trace first")
        for name, magic, make in _DECODERS:
            if first.startswith(magic):
                self.compression = name
                self.streaming = True
                self._members = _Members(self._raw, first, make, magic)
                first = b""
        self._pending = first
        self._fill_head()

    def _fill_head(self) -> None:
        """Collect the head; do not wait for all of it where a line of a live trace is there."""
        while len(self._pending) < HEAD:
            if b"\n" in self._pending and not self._members and not self.ready():
                break
            more = self._next(HEAD)
            if not more:
                break
            self._pending += more
        self.head = self._pending[:HEAD]
        if not self.head:
            raise TraceError(
                self.path, None, f"the {self.compression} data is damaged from its start"
            )

    def _raw(self, room: int) -> bytes:
        try:
            data = os.read(self._fd, room)
        except OSError as error:
            raise TraceError(self.path, self.consumed or None, _why(error)) from None
        self.consumed += len(data)
        return data

    def _next(self, room: int) -> bytes:
        return self._members.read(room) if self._members else self._raw(room)

    @property
    def cut_short(self) -> bool:
        """Return True once the compressed data turned out to be cut or damaged."""
        return self._members is not None and self._members.cut_short

    def ready(self) -> bool:
        """Return False where reading more would wait for a writer."""
        if not self.streaming or self._members:
            return True
        waiting = select.poll()  # select() knows no file numbers from 1024 on
        waiting.register(self._fd, select.POLLIN)
        try:
            return bool(waiting.poll(0))
        except OSError:
            return True

    def read(self, room: int) -> bytes:
        """Return up to about `room` of the next decompressed bytes, b"" at the end.

        Raises:
            TraceError: the file can not be read on.
        """
        if self._pending:
            out, self._pending = self._pending[:room], self._pending[room:]
            return out
        return self._next(room)

    def readinto(self, view: memoryview) -> int:
        """Fill a part of `view` with the next bytes and return how many; 0 at the end.

        Raises:
            TraceError: the file can not be read on.
        """
        if self._pending or self._members:
            data = self.read(len(view))
            view[: len(data)] = data
            return len(data)
        try:
            n = os.readv(self._fd, [view])
        except OSError as error:
            raise TraceError(self.path, self.consumed or None, _why(error)) from None
        self.consumed += n
        return n

    def pread(self, n: int, offset: int) -> bytes:
        """Return up to n bytes at an offset; only where `streaming` is False."""
        try:
            return os.pread(self._fd, n, offset)
        except OSError:
            return b""

    def map(self) -> mmap.mmap:
        """Return everything, decompressed, in an order of one's own choice.

        A plain file is mapped as it lies; a stream goes to an unlinked temporary file first.
        Nothing may have been read before.

        Raises:
            TraceError: the stream does not fit on the disk.
        """
        if not self.streaming:
            return mmap.mmap(self._fd, 0, access=mmap.ACCESS_READ)
        import tempfile  # a plain file needs none

        with tempfile.TemporaryFile(prefix="dmaverify-") as spool:
            self._spool(spool)
            return mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ)

    def _spool(self, spool: BinaryIO) -> None:
        have = 0
        try:
            while data := self.read(PIECE * 4):
                have += len(data)
                if have > SPOOL_MAX:
                    raise TraceError(self.path, None, "is larger than 64 GiB when decompressed")
                spool.write(data)
            spool.flush()
        except OSError as error:
            import tempfile

            text = f"can not be kept in {tempfile.gettempdir()}: {_why(error)}; set TMPDIR"
            raise TraceError(self.path, None, text) from None

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give back the file; one that nobody has any more is given back by itself."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _why(error: Exception) -> str:
    """Return what the system says about a file, as a sentence's end."""
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, PermissionError):
        return "may not be read by this user; change its mode, or run as its owner"
    if isinstance(error, OSError) and error.strerror:
        return f"can not be read: {error.strerror}"
    return f"can not be read: {error}"
