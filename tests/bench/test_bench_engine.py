"""Nanoseconds per event of the engine, alone and with the built-in rules."""

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from dmaverify.core.engine import Engine
from dmaverify.lang.builtin import load_builtin
from dmaverify.model.events import EventBatch
from dmaverify.model.kinds import EventKind, Flag, MapType
from dmaverify.model.program import Program
from tests.bench.make_trace import PAGE, activity

EVENTS = 100_000

#: The kind and the type of mapping of each event that is made.
_KINDS = {
    "driver_probe": (EventKind.DRIVER_PROBE, MapType.UNKNOWN),
    "driver_bound": (EventKind.DRIVER_BOUND, MapType.UNKNOWN),
    "driver_unbound": (EventKind.DRIVER_UNBOUND, MapType.UNKNOWN),
    "map": (EventKind.IOMMU_MAP, MapType.UNKNOWN),
    "unmap": (EventKind.IOMMU_UNMAP, MapType.UNKNOWN),
    "dma_map_page": (EventKind.DMA_MAP, MapType.SINGLE),
    "dma_unmap_page": (EventKind.DMA_UNMAP, MapType.SINGLE),
    "dma_map_sg": (EventKind.DMA_MAP, MapType.SG),
    "dma_unmap_sg": (EventKind.DMA_UNMAP, MapType.SG),
    "dma_sync_single_for_cpu": (EventKind.DMA_SYNC_FOR_CPU, MapType.SINGLE),
    "dma_sync_single_for_device": (EventKind.DMA_SYNC_FOR_DEVICE, MapType.SINGLE),
    "dma_sync_sg_for_cpu": (EventKind.DMA_SYNC_FOR_CPU, MapType.SG),
    "dma_sync_sg_for_device": (EventKind.DMA_SYNC_FOR_DEVICE, MapType.SG),
}


def _values(name: str, told: tuple) -> dict[str, object]:
    """Return the fields of an event from what the story tells of it."""
    if name.startswith("driver"):
        return {}
    if name == "map":
        return dict(zip(("bus_addr", "phys_addr", "length"), told, strict=True))
    if name == "unmap":
        return {"bus_addr": told[0], "length": told[1], "phys_addr": told[1]}
    if name == "dma_map_page":
        return dict(zip(("phys_addr", "bus_addr", "length", "direction"), told, strict=True))
    if name == "dma_unmap_sg":
        return {"sg_phys": told[0], "phys_addr": told[0][0], "direction": told[1]}
    if "_sg" in name:
        pages, bus, direction = told
        listed: dict[str, object] = {
            "sg_bus": [(bus + i * PAGE, PAGE) for i in range(len(pages))],
            "bus_addr": bus,
            "length": len(pages) * PAGE,
            "direction": direction,
        }
        memory = {"sg_phys": pages, "phys_addr": pages[0]} if name == "dma_map_sg" else {}
        return listed | memory
    return dict(zip(("bus_addr", "length", "direction"), told, strict=True))


@pytest.fixture(scope="module")
def batch() -> EventBatch:
    """Return a long, healthy story as one batch."""
    rows = EventBatch(EVENTS)
    for number, (time, who, name, told) in enumerate(activity(EVENTS), 1):
        kind, type_ = _KINDS[name]
        device = 0 if kind in (EventKind.IOMMU_MAP, EventKind.IOMMU_UNMAP) else 1 + who
        rows.add(
            kind, type=type_, time=time, device=device, cpu=who, site=200 + who, record=number,
            flags=Flag(0), **_values(name, told),
        )  # fmt: skip
    return rows


@pytest.mark.parametrize("rules", ["no rules", "built-in rules"])
def test_feed(benchmark: BenchmarkFixture, batch: EventBatch, rules: str) -> None:
    """Replay a story; with the rules it should take at most 150 ns an event."""
    program = load_builtin() if rules == "built-in rules" else Program(b"", ())
    engines: list[Engine] = []

    def setup() -> tuple[tuple[Engine, EventBatch], dict[str, object]]:
        engines[:] = [Engine(program)]
        return (engines[0], batch), {}

    benchmark.pedantic(Engine.feed, setup=setup, rounds=9, warmup_rounds=1)
    if benchmark.stats:
        benchmark.extra_info["ns_per_event"] = round(benchmark.stats.stats.min / len(batch) * 1e9)

    assert len(batch) == EVENTS
    assert [] == engines[0].hits()
    assert [] == engines[0].live_mappings()


def test_compile_the_rules(benchmark: BenchmarkFixture) -> None:
    """Compile all built-in rules from their texts, as a changed file makes necessary."""
    from dmaverify.lang.files import rules_folder
    from dmaverify.lang.front import compile_folder

    folder = rules_folder()
    compiled = benchmark.pedantic(compile_folder, args=(Path(folder),), rounds=3)

    assert compiled.program.rules
