"""Nanoseconds per event of the trace.dat reader."""

from pathlib import Path
from typing import Any

import pytest

from dmaverify.trace import open_trace
from tests.bench.make_trace import write_dat

EVENTS = 200_000


@pytest.fixture(scope="module", params=[("none", 7), ("zstd", 7), ("none", 6)], ids=str)
def recording(request: Any, tmp_path_factory: Any) -> Path:
    """Return a long recording in one of the containers."""
    compression, version = request.param
    path: Path = tmp_path_factory.mktemp("bench") / f"{compression}{version}.dat"
    write_dat(path, EVENTS, compression=compression, version=version)
    return path


def count(path: Path) -> int:
    """Return the number of rows."""
    reader = open_trace(str(path))
    try:
        return sum(len(batch) for batch in reader.batches())
    finally:
        reader.close()


def test_read(benchmark: Any, recording: Path) -> None:
    """All rows are read; the reading alone should take less than 250 ns a row."""
    assert EVENTS == benchmark(count, recording)
    if benchmark.stats:
        benchmark.extra_info["ns_per_event"] = benchmark.stats.stats.min * 1e9 / EVENTS
