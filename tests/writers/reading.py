"""Read a built file from memory."""

import gzip
from pathlib import Path
from typing import Any

from dmaverify.model.events import Event
from dmaverify.trace.dat import DatReader

FIXTURES = Path(__file__).parents[2] / "fixtures/tracedat"


class Memory:
    """Bytes in the place of a `dmaverify.trace.source.Source`."""

    streaming = False
    cut_short = False

    def __init__(self, data: bytes, path: str = "memory.dat"):
        self.path = path
        self.data = data
        self.size = len(data)

    def pread(self, n: int, offset: int) -> bytes:
        """Return up to n bytes at an offset."""
        return self.data[offset : offset + n]

    def close(self) -> None:
        """Do nothing."""


def reader_of(data: bytes) -> DatReader:
    """Return a reader over bytes."""
    source: Any = Memory(data)
    return DatReader(source)


def read(data: bytes) -> tuple[list[Event], DatReader]:
    """Return all rows of a file, and its reader."""
    reader = reader_of(data)
    return [batch[i] for batch in reader.batches() for i in range(len(batch))], reader


def fixture(name: str) -> bytes:
    """Return a recording, decompressed."""
    return gzip.decompress((FIXTURES / f"{name}.dat.gz").read_bytes())


def notice_ids(reader: DatReader) -> list[str]:
    """Return the ids of what a reader has to say."""
    return [notice.id for notice in reader.notices]
