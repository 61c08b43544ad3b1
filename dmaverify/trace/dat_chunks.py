"""The pages of one CPU, a chunk at a time, compressed or not."""

from dmaverify.errors import TraceError
from dmaverify.trace.dat_sections import (
    MAX_CHUNK,
    CpuData,
    Cursor,
    CutShortError,
    File,
    Instance,
    Unpacker,
)

CHUNK = 256 << 10  # bytes read at once: small enough to stay in a core's own cache


class Chunks:
    """Gives the pages of one CPU, front to back; `consumed` counts bytes of the file.

    Args:
        method: how the file's chunks are compressed.
        cut: set to the byte offset where pages were missing or could not be decompressed.
    """

    def __init__(self, file: File, place: CpuData, instance: Instance, order: str, method: str):
        self._file = file
        self._method = method if instance.compressed else ""
        self._unpacker = Unpacker(method)
        self._order = order
        self._page_size = instance.page_size
        self._start = place.offset
        self._at = place.offset
        self._end = min(place.offset + place.size, file.size)
        self._left = -1  # chunks of a compressed stream; -1: not asked yet
        self._unpacked = 0
        self.cut = self._end if place.offset + place.size > file.size else None
        if self._at > file.size:
            self._at = self._end = file.size

    @property
    def consumed(self) -> int:
        """Return how many bytes of the file have been used."""
        return max(self._at - self._start, 0)

    def take(self) -> tuple[bytes, int]:
        """Return the next chunk, empty at the end, and its place in the file.

        The place in a compressed file is that of the first chunk plus the offset in the
        decompressed pages: a number that stays the same, not one to seek to.

        Raises:
            TraceError: compressed in a way that is not known.
        """
        if not self._method:
            return self._take_plain()
        try:
            return self._take_packed()
        except CutShortError as cut:
            self._stop(cut.args[0])
            return b"", self._at

    def _take_plain(self) -> tuple[bytes, int]:
        at = self._at
        room = max(CHUNK // self._page_size, 1) * self._page_size
        data = self._file.read_at(at, min(room, self._end - at))
        self._at += len(data)
        return data, at

    def _take_packed(self) -> tuple[bytes, int]:
        # The count of chunks is not part of the size that the file states.
        cursor = Cursor(self._file.read_at, self._at, self._file.size, self._order)
        if self._left < 0:
            self._left = cursor.number(4) if self._end > self._at else 0
        if self._left == 0:
            return b"", self._at
        start = cursor.at
        packed, size = cursor.number(4), cursor.number(4)
        if size > MAX_CHUNK or packed > MAX_CHUNK:
            raise CutShortError(start)
        data = self._unpack(cursor.take(packed), size, start)
        self._at = cursor.at
        self._left -= 1
        where = self._start + self._unpacked
        self._unpacked += len(data)
        return data, where

    def _unpack(self, data: bytes, size: int, at: int) -> bytes:
        if self._method not in ("zlib", "zstd"):
            text = f"compressed as {self._method[:20]!r}, which is not known"
            remedy = "`trace-cmd convert --compression none` writes a file without compression"
            raise TraceError(self._file.path, at, f"{text}; {remedy}")
        try:
            return self._unpacker.unpack(data, size)
        except ValueError:
            raise CutShortError(at) from None

    def _stop(self, at: int) -> None:
        self.cut = at
        self._left = 0
        self._method = ""
        self._at = self._end = max(self._at, self._start)
