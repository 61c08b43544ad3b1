"""Nanoseconds per event of the engine with platforms: none, one, and all in one pass."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from dmaverify.core.engine import Engine
from dmaverify.lang.builtin import load_builtin
from dmaverify.model.events import EventBatch
from dmaverify.model.kinds import Direction, EventKind, MapType
from dmaverify.model.platform import Platform
from dmaverify.pipeline.platforms import built_in

ROUNDS = 20_000
LENGTH = 2048
RING = 256
K = EventKind
PLATFORMS = {p.name: p for p in built_in()}
CHOICES = {
    "none": (),
    "one": (PLATFORMS["confidential-vm"],),
    "ten": tuple(PLATFORMS.values()),
}


@pytest.fixture(scope="module", params=["calls", "accesses"])
def packets(request: pytest.FixtureRequest) -> EventBatch:
    """Return the life of a receive ring, as one batch: without accesses, or with them."""
    rows = EventBatch(ROUNDS * 6)
    number = 0
    for i in range(ROUNDS):
        at = i % RING * 0x1000
        where = {"device": 1, "length": LENGTH, "direction": int(Direction.FROM_DEVICE)}
        bus = {**where, "bus_addr": 0x8000_0000 + at, "type": MapType.SINGLE}
        steps = [
            (K.DMA_MAP, {**bus, "phys_addr": 0x1_0000_0000 + at}),
            (K.DEV_WRITE, {**where, "bus_addr": 0x8000_0000 + at}),
            (K.DMA_SYNC_FOR_CPU, bus),
            (K.CPU_READ, {"device": 1, "length": LENGTH, "phys_addr": 0x1_0000_0000 + at}),
            (K.DMA_SYNC_FOR_DEVICE, bus),
            (K.DMA_UNMAP, bus),
        ]
        for kind, values in steps:
            if request.param == "accesses" or kind not in (K.DEV_WRITE, K.CPU_READ):
                number += 1
                rows.add(kind, time=1000 * number, record=number, **values)
    return rows


@pytest.mark.parametrize("platforms", CHOICES)
def test_feed(benchmark: BenchmarkFixture, packets: EventBatch, platforms: str) -> None:
    """Replay it; ten platforms should take at most three times what one does."""
    program = load_builtin()
    chosen: tuple[Platform, ...] = CHOICES[platforms]
    engines: list[Engine] = []

    def setup() -> tuple[tuple[Engine, EventBatch], dict[str, object]]:
        engines[:] = [Engine(program, platforms=chosen)]
        return (engines[0], packets), {}

    benchmark.pedantic(Engine.feed, setup=setup, rounds=7, warmup_rounds=1)
    if benchmark.stats:
        benchmark.extra_info["ns_per_event"] = round(benchmark.stats.stats.min / len(packets) * 1e9)
    engines[0].finish()

    assert [] == engines[0].hits()
    assert [] == engines[0].incidents()
