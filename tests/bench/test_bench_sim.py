"""Calls a second of a simulated driver, double buffered and verified, and its copies."""

from collections.abc import Callable
from time import perf_counter, thread_time

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from dmaverify.lang.builtin import load_builtin
from dmaverify.model.events import EventBatch
from dmaverify.pipeline.check import CheckOptions, check_reader
from dmaverify.pipeline.live import LiveReader
from dmaverify.pipeline.simulate import platform_named
from dmaverify.sim._move import Memory
from dmaverify.sim.faults import Injector
from dmaverify.sim.linux import DMA_FROM_DEVICE
from dmaverify.sim.machine import Machine
from dmaverify.sim.run import Simulation, less_garbage_collected
from dmaverify.sim.scenarios._hca import start
from dmaverify.sim.windows.names import SCATTER_GATHER_LIST

PAGE = 4096
TRANSFERS = 5000  # a round: twice as many calls; its batches fit the reader's queue


def linux_transfers(sim: Simulation) -> None:
    """Map and unmap one page again and again."""
    dev, page = sim.device(), sim.linux.alloc_pages(1)
    sim.linux.probe(dev)
    for _ in range(TRANSFERS):
        address = sim.linux.dma_map_single(dev, page, PAGE, DMA_FROM_DEVICE)
        sim.linux.dma_unmap_single(dev, address, PAGE, DMA_FROM_DEVICE)
    sim.linux.remove(dev)


def windows_transfers(sim: Simulation) -> None:
    """Get and put the list of one page again and again."""
    dev, adapter = start(sim)
    nt, ops = sim.windows, adapter.DmaOperations
    virt = nt.ExAllocatePool2(PAGE)
    mdl = nt.IoAllocateMdl(virt, PAGE)
    nt.MmBuildMdlForNonPagedPool(mdl)
    held: list[SCATTER_GATHER_LIST] = []

    def keep(device: object, irp: object, made: SCATTER_GATHER_LIST, context: object) -> None:
        held.append(made)

    with nt.at_dispatch():
        for _ in range(TRANSFERS):
            ops.GetScatterGatherList(adapter, dev, mdl, virt, PAGE, keep, None, False)
            ops.PutScatterGatherList(adapter, held.pop(), False)
    ops.PutDmaAdapter(adapter)
    nt.RemoveDevice(dev)


@pytest.mark.parametrize("driver", [linux_transfers, windows_transfers])
def test_calls_with_double_buffering(
    driver: Callable[[Simulation], None], benchmark: BenchmarkFixture
) -> None:
    """Forced double buffering with guards, the driver's lines, and every rule at work."""
    program = load_builtin()
    spent: list[float] = []

    def run() -> None:
        before = thread_time()
        batches: list[EventBatch] = []
        machine = Machine(platform_named("driver-verifier"), batches.append)
        with less_garbage_collected():
            driver(Simulation(machine, Injector(), 0))
        machine.tape.flush()
        reader = LiveReader("bench", machine.tape.devices, machine.tape.tasks)
        for batch in (*batches, None):
            reader.put(batch, lambda: True)
        report = check_reader(reader, program, CheckOptions())
        spent.append(thread_time() - before)
        assert () == report.findings

    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    # Of the thread's own time: what else the machine does is no part of it.
    benchmark.extra_info["calls_per_second"] = round(2 * TRANSFERS / min(spent))


def test_copies_run_at_the_speed_of_memcpy(benchmark: BenchmarkFixture) -> None:
    """Pages are copied about as fast as Python copies a bytearray, which is memcpy."""
    memory, count = Memory(), 64
    memory.add(0, 2 * count)
    length = count * PAGE

    benchmark(memory.move, 0, length, length)
    source, target = memoryview(bytearray(length)), memoryview(bytearray(length))
    plain = min(_timed(lambda: target.__setitem__(slice(None), source)) for _ in range(200))
    if benchmark.stats:
        benchmark.extra_info["GB/s"] = round(length / benchmark.stats.stats.min / 1e9, 1)
        benchmark.extra_info["memcpy GB/s"] = round(length / plain / 1e9, 1)


def _timed(call: Callable[[], object]) -> float:
    before = perf_counter()
    call()
    return perf_counter() - before
