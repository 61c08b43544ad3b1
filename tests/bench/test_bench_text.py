"""How long one line takes: `pytest tests/bench --benchmark-enable --benchmark-only`."""

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from dmaverify.trace import open_trace
from tests.unit.trace.reading import FIXTURES

LINES = 100_000


@pytest.mark.parametrize("name", ["edu-swiotlb-ok_sg.tracefs", "report", "perf", "tracefs-fields"])
def test_scan(benchmark: BenchmarkFixture, tmp_path: Path, name: str) -> None:
    """Scan a long recording; `extra_info` has ns a record and MB/s."""
    lines = (FIXTURES / f"{name}.txt").read_text().splitlines(keepends=True)
    lines = [line for line in lines if not line.startswith(("#", "cpus"))]
    path = tmp_path / "long"
    path.write_text("".join(lines * (LINES // len(lines))))

    def scan() -> int:
        reader = open_trace(str(path))
        rows = sum(len(batch) for batch in reader.batches())
        reader.close()
        assert rows <= reader.records
        return reader.records

    records = benchmark(scan)
    seconds = benchmark.stats.stats.min if benchmark.stats else 0
    if seconds:
        benchmark.extra_info["ns_per_record"] = round(seconds / records * 1e9)
        benchmark.extra_info["mb_per_s"] = round(path.stat().st_size / seconds / 1e6)

    assert records >= LINES * 0.9
