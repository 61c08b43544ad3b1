"""Nanoseconds per packet of the capture reader."""

from pathlib import Path
from typing import Any

import pytest

from dmaverify.trace import open_trace
from tests.writers import roce

PACKETS = 40_000


@pytest.fixture(scope="module", params=["pcap", "pcapng"])
def capture(request: Any, tmp_path_factory: Any) -> Path:
    """Return a capture of writes and their acknowledgements on a few queue pairs."""
    packets: list[tuple[int, bytes]] = []
    wires = [roce.Wire(asked=10 + i, asking=60 + i, psn=i << 16, packets=packets)
             for i in range(8)]  # fmt: skip
    for i in range(PACKETS // 2):
        wire = wires[i % 8]
        wire.answer(wire.write(0x10000 + 64 * i, 0x2605))
    path: Path = tmp_path_factory.mktemp("bench") / request.param
    head = getattr(roce, request.param)([])
    body = getattr(roce, request.param)(packets)
    assert body.startswith(head)
    path.write_bytes(body)
    return path


def count(path: Path) -> int:
    """Return the number of rows."""
    reader = open_trace(str(path))
    try:
        return sum(len(batch) for batch in reader.batches())
    finally:
        reader.close()


def test_read(benchmark: Any, capture: Path) -> None:
    """Each request is a row, and so is each answer."""
    assert PACKETS == benchmark(count, capture)
    if benchmark.stats:
        benchmark.extra_info["ns_per_packet"] = benchmark.stats.stats.min * 1e9 / PACKETS
