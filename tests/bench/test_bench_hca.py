"""Nanoseconds per event of an HCA's traffic: posts with four buffers each, and completions."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from dmaverify.core.engine import Engine
from dmaverify.lang.builtin import load_builtin
from dmaverify.model.events import EventBatch
from dmaverify.model.kinds import EventKind, HcaValue, Opcode, PostFlag, QpState, QpType
from dmaverify.model.program import Program

K = EventKind
POSTS = 25_000
SGES = 4
QPS = 16
DEPTH = 64
KEY_BASE, PAGE = 0x1000, 4096
V = HcaValue


def _beginning(rows: EventBatch) -> None:
    """Make queue pairs that are ready, and a region for each."""
    caps = [(int(V.MAX_SEND_WR), DEPTH), (int(V.MAX_RECV_WR), DEPTH), (int(V.MAX_SEND_SGE), SGES),
            (int(V.MAX_RECV_SGE), SGES), (int(V.SEND_CQ), 1), (int(V.RECV_CQ), 1)]  # fmt: skip
    rows.add(K.ALLOC_PD, phys_addr=0xA0, site=7)
    rows.add(K.CREATE_CQ, object=1, length=2 * QPS * DEPTH, site=7)
    for q in range(1, QPS + 1):
        rows.add(K.REG_MR, object=KEY_BASE + (q << 8), bus_addr=q << 32, length=1 << 30,
                 phys_addr=0xA0, direction=7, site=7)  # fmt: skip
        rows.add(K.CREATE_QP, object=q, phys_addr=0xA0, type=QpType.RC, hca=caps, site=7)
        for state in (QpState.INIT, QpState.RTR, QpState.RTS):
            rows.add(K.MODIFY_QP, object=q, status=state, site=7)


@pytest.fixture(scope="module")
def batch() -> EventBatch:
    """Return healthy traffic: each queue pair has many sends outstanding, the oldest completes."""
    rows = EventBatch(POSTS * 2)
    _beginning(rows)
    for n in range(POSTS):
        q = n % QPS + 1
        turn = n // QPS
        start = (q << 32) + (turn % DEPTH) * SGES * PAGE
        sges = [(start + i * PAGE, PAGE, KEY_BASE + (q << 8)) for i in range(SGES)]
        if turn >= DEPTH // 2:
            rows.add(K.CQE, object=q, phys_addr=turn - DEPTH // 2, type=Opcode.SEND, status=0,
                     time=n, site=7)  # fmt: skip
        rows.add(K.POST_SEND, object=q, phys_addr=turn, type=Opcode.SEND, time=n, site=7,
                 direction=PostFlag.SIGNALED, sges=sges)  # fmt: skip
    return rows


@pytest.mark.parametrize("rules", ["no rules", "built-in rules"])
def test_feed_posts(benchmark: BenchmarkFixture, batch: EventBatch, rules: str) -> None:
    """Replay traffic; it should take at most 150 ns an event and 100 ns a buffer."""
    program = load_builtin() if rules == "built-in rules" else Program(b"", ())
    engines: list[Engine] = []

    def setup() -> tuple[tuple[Engine, EventBatch], dict[str, object]]:
        engines[:] = [Engine(program)]
        return (engines[0], batch), {}

    benchmark.pedantic(Engine.feed, setup=setup, rounds=7, warmup_rounds=1)
    if benchmark.stats:
        took = benchmark.stats.stats.min * 1e9
        benchmark.extra_info["ns_per_event"] = round(took / len(batch))
        benchmark.extra_info["allowed_ns"] = round(150 + 100 * POSTS * SGES / len(batch))

    assert [] == engines[0].hits()
    assert QPS * DEPTH // 2 == engines[0].counters["works"]
