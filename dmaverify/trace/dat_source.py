"""Read any part of a trace at any time, whether it is a plain file, compressed or a pipe."""

import mmap

from dmaverify.trace.source import Source

# Pages of a mapping that were read stay in memory until told otherwise.
_FORGET = 16 << 20


class AnyPart:
    """The bytes of a source by offset; a stream goes to a temporary file first.

    A plain file is read, not mapped: if someone shortens it meanwhile, a read gives less,
    where a mapping would kill the process.

    Args:
        source: of which nothing has been read.

    Raises:
        TraceError: a stream that does not fit on the disk.
    """

    def __init__(self, source: Source) -> None:
        self.path = source.path
        self._source = source
        self._map: mmap.mmap | None = None
        self._touched = 0
        if source.streaming or source.size is None:
            self._map = source.map()
            self.size = len(self._map)
        else:
            self.size = source.size
        self.cut_short = source.cut_short

    def read_at(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset`; fewer only at the end of the file."""
        if self._map is None:
            return self._source.pread(count, offset)
        data = self._map[offset : offset + count]
        self._touched += len(data)
        if self._touched > _FORGET:
            self._touched = 0
            self._map.madvise(mmap.MADV_DONTNEED)
        return data

    def close(self) -> None:
        """Give back the file."""
        if self._map is not None:
            self._map.close()
        self._source.close()
