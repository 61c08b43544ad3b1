"""Lines of a text that is no trace: a kernel log, a device log. Bounded, whatever they hold."""

from collections.abc import Iterator

from dmaverify.trace.source import Source

LINE_MAX = 4096  # bytes of a line that are looked at; the rest is skipped
_ROOM = 1 << 18


class Lines:
    """The lines of a file, compressed or not, as text without their ends.

    Args:
        path: a file, or "-" for standard input.

    Attributes:
        cut_short: True once the compressed data turned out to be cut or damaged.

    Raises:
        TraceError: there is nothing to read, or it may not be read.
    """

    def __init__(self, path: str) -> None:
        self._source = Source(path)
        self.cut_short = False

    def __iter__(self) -> Iterator[str]:
        """Give each line once; the file is closed at the end."""
        try:
            for line in self._lines():
                yield line.rstrip(b"\r").decode("utf-8", "replace")
        finally:
            self.cut_short = self._source.cut_short
            self._source.close()

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        while data := self._source.read(_ROOM):
            *whole, tail = data.split(b"\n")
            for part in whole:
                yield (rest + part[:LINE_MAX])[:LINE_MAX] if rest else part[:LINE_MAX]
                rest = b""
            rest = (rest + tail[:LINE_MAX])[:LINE_MAX]
        if rest:
            yield rest
