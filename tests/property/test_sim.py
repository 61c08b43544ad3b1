"""Random drivers with mistakes planted: the engine finds exactly these, live and in the file.

Each mistake has a buffer of its own, so that none is a consequence of another.
"""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from dmaverify.lang.builtin import load_builtin
from dmaverify.model.events import EventBatch
from dmaverify.model.finding import Finding
from dmaverify.pipeline.check import CheckOptions, check_reader
from dmaverify.pipeline.live import LiveReader
from dmaverify.pipeline.simulate import platform_named
from dmaverify.sim.device import Device
from dmaverify.sim.faults import Injector
from dmaverify.sim.linux import (
    DMA_BIDIRECTIONAL,
    DMA_FROM_DEVICE,
    DMA_TO_DEVICE,
    Linux,
    ScatterEntry,
)
from dmaverify.sim.machine import Machine
from dmaverify.sim.run import Simulation
from dmaverify.trace import open_trace
from dmaverify.trace.native import DmatWriter
from tests.property import windows_drivers

DRIVERS = 1000  # of both systems
PLATFORMS = ("flat", "iommu", "nested", "driver-verifier", "non-coherent", "mask-32")


class Planter:
    """Plants one mistake at a time; each method is named by the class that it is of.

    Args:
        sim: where the driver runs.
        dev: its device.
        other: another device, with a driver of its own.
    """

    def __init__(self, sim: Simulation, dev: Device, other: Device) -> None:
        self.sim, self.linux, self.dev, self.other = sim, sim.linux, dev, other

    def page(self) -> int:
        """Return a page that nobody else uses."""
        return self.linux.alloc_pages(1)

    def freed_while_mapped(self) -> None:
        """Give a page back before it is unmapped."""
        page = self.page()
        address = self.linux.dma_map_single(self.dev, page, 512, DMA_TO_DEVICE)
        self.linux.kfree(page)
        self.linux.dma_unmap_single(self.dev, address, 512, DMA_TO_DEVICE)

    def unmap_of_unmapped(self) -> None:
        """Unmap twice."""
        address = self.linux.dma_map_single(self.dev, self.page(), 512, DMA_TO_DEVICE)
        for _ in range(2):
            self.linux.dma_unmap_single(self.dev, address, 512, DMA_TO_DEVICE)

    def unmap_size_mismatch(self) -> None:
        """Unmap less than what was mapped."""
        address = self.linux.dma_map_single(self.dev, self.page(), 512, DMA_TO_DEVICE)
        self.linux.dma_unmap_single(self.dev, address, 500, DMA_TO_DEVICE)

    def unmap_direction_mismatch(self) -> None:
        """Unmap the other way."""
        address = self.linux.dma_map_single(self.dev, self.page(), 512, DMA_FROM_DEVICE)
        self.linux.dma_unmap_single(self.dev, address, 512, DMA_BIDIRECTIONAL)

    def unmap_type_mismatch(self) -> None:
        """Unmap a single mapping as a list."""
        page = self.page()
        self.linux.dma_map_single(self.dev, page, 512, DMA_TO_DEVICE)
        self.linux.dma_unmap_sg(self.dev, [ScatterEntry(page, 512)], DMA_TO_DEVICE)

    def free_size_mismatch(self) -> None:
        """Free less than what was allocated."""
        ring, address = self.linux.dma_alloc_coherent(self.dev, 1024)
        self.linux.dma_free_coherent(self.dev, 1000, ring, address)

    def free_cpu_address_mismatch(self) -> None:
        """Free by another pointer."""
        ring, address = self.linux.dma_alloc_coherent(self.dev, 1024)
        self.linux.dma_free_coherent(self.dev, 1024, ring + 8, address)

    def sync_out_of_range(self) -> None:
        """Sync more than what was mapped."""
        address = self.linux.dma_map_single(self.dev, self.page(), 512, DMA_FROM_DEVICE)
        self.linux.dma_sync_single_for_cpu(self.dev, address, 600, DMA_FROM_DEVICE)
        self.linux.dma_unmap_single(self.dev, address, 512, DMA_FROM_DEVICE)

    def sync_direction_mismatch(self) -> None:
        """Sync the other way."""
        address = self.linux.dma_map_single(self.dev, self.page(), 512, DMA_FROM_DEVICE)
        self.linux.dma_sync_single_for_cpu(self.dev, address, 512, DMA_BIDIRECTIONAL)
        self.linux.dma_unmap_single(self.dev, address, 512, DMA_FROM_DEVICE)

    def missing_sync_for_cpu(self) -> None:
        """Read what the device wrote before it was handed over."""
        page = self.page()
        address = self.linux.dma_map_single(self.dev, page, 512, DMA_FROM_DEVICE)
        self.dev.write(address, b"x" * 512)
        self.sim.cpu.read(page, 512)
        self.linux.dma_unmap_single(self.dev, address, 512, DMA_FROM_DEVICE)

    def missing_sync_for_device(self) -> None:
        """Write into a mapped buffer and let the device read it."""
        page = self.page()
        address = self.linux.dma_map_single(self.dev, page, 512, DMA_TO_DEVICE)
        self.sim.cpu.write(page, b"x" * 512)
        self.dev.read(address, 512)
        self.linux.dma_unmap_single(self.dev, address, 512, DMA_TO_DEVICE)

    def device_access_wrong_direction(self) -> None:
        """Let the device write what it may only read."""
        address = self.linux.dma_map_single(self.dev, self.page(), 512, DMA_TO_DEVICE)
        self.dev.write(address, b"x" * 512)
        self.linux.dma_unmap_single(self.dev, address, 512, DMA_TO_DEVICE)

    def device_access_foreign_mapping(self) -> None:
        """Let another device read by the address."""
        address = self.linux.dma_map_single(self.dev, self.page(), 512, DMA_TO_DEVICE)
        self.other.read(address, 512)
        self.linux.dma_unmap_single(self.dev, address, 512, DMA_TO_DEVICE)

    def unmap_during_transfer(self) -> None:
        """Unmap before the device is done."""
        address = self.linux.dma_map_single(self.dev, self.page(), 512, DMA_FROM_DEVICE)
        self.dev.start(address, 512, DMA_FROM_DEVICE)
        self.linux.dma_unmap_single(self.dev, address, 512, DMA_FROM_DEVICE)

    def invalid_direction(self) -> None:
        """Map for no direction."""
        self.linux.dma_map_single(self.dev, self.page(), 512, 3)

    def illegal_memory(self) -> None:
        """Map a variable on the stack."""
        address = self.linux.dma_map_single(self.dev, self.linux.stack(64), 64, DMA_TO_DEVICE)
        self.linux.dma_unmap_single(self.dev, address, 64, DMA_TO_DEVICE)


MISTAKES = tuple(
    name for name, value in vars(Planter).items()
    if not name.startswith("_") and name != "page" and callable(value)
)  # fmt: skip


def healthy(sim: Simulation, dev: Device, numbers: random.Random) -> None:
    """Do one transfer by the book."""
    linux: Linux = sim.linux
    length, direction = numbers.randrange(1, 8192), numbers.choice((0, 1, 2))
    memory = linux.kmalloc(length)
    data = numbers.randbytes(length)
    if direction != DMA_FROM_DEVICE:
        sim.cpu.write(memory, data)
    address = linux.dma_map_single(dev, memory, length, direction)
    if direction != DMA_FROM_DEVICE:
        assert data == dev.read(address, length)
    if direction != DMA_TO_DEVICE:
        dev.write(address, data[::-1])
    if numbers.random() < 0.5:
        linux.dma_sync_single_for_cpu(dev, address, length, direction)
        if direction != DMA_TO_DEVICE:
            assert data[::-1] == sim.cpu.read(memory, length)
        linux.dma_sync_single_for_device(dev, address, length, direction)
    linux.dma_unmap_single(dev, address, length, direction)
    linux.kfree(memory)


def drive_linux(sim: Simulation, numbers: random.Random, mistakes: list[str]) -> None:
    """Run a random driver that makes these mistakes, among healthy transfers."""
    dev, other = sim.device(), sim.device("0000:00:05.0")
    for one in (dev, other):
        sim.linux.probe(one)
    planter = Planter(sim, dev, other)
    steps: list[Callable[[], None]] = [getattr(planter, name) for name in mistakes]
    steps += [lambda: healthy(sim, numbers.choice((dev, other)), numbers)] * numbers.randrange(6)
    numbers.shuffle(steps)
    for step in steps:
        step()
    for one in (dev, other):
        sim.linux.remove(one)


SYSTEMS = {
    "linux": (drive_linux, MISTAKES),
    "windows": (windows_drivers.drive, windows_drivers.MISTAKES),
}


def findings_of(batches: list[EventBatch], machine: Machine) -> tuple[Finding, ...]:
    """Return what the engine finds in the batches of a tape."""
    reader = LiveReader("x.dmat", machine.tape.devices, machine.tape.tasks)
    for batch in (*batches, None):
        reader.put(batch, lambda: True)
    return check_reader(reader, load_builtin(), CheckOptions()).findings


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_engine_finds_what_was_planted(platform: str, system: str, tmp_path: Path) -> None:
    """Over a thousand random drivers, exactly the planted classes are found, live and in the file.

    The recording of each is written and read again: `check` on the bytes alone finds the same.
    """
    drive, mistakes = SYSTEMS[system]
    for seed in range(DRIVERS // len(PLATFORMS) // len(SYSTEMS) + 1):
        numbers = random.Random(f"{platform} {system} {seed}")
        planted = numbers.sample(mistakes, numbers.randrange(len(mistakes) + 1))
        batches: list[EventBatch] = []
        machine = Machine(platform_named(platform), batches.append, sites=False)
        machine.tape.task("driver")
        drive(Simulation(machine, Injector(), seed), numbers, planted)
        machine.tape.flush()
        found = findings_of(batches, machine)

        expected = sorted(name.replace("_", "-") for name in planted)
        assert expected == sorted(f.cls for f in found), (platform, seed)
        assert found == _in_the_file(batches, machine, tmp_path / "x.dmat")


def _in_the_file(batches: list[EventBatch], machine: Machine, path: Path) -> tuple[Finding, ...]:
    """Return what is found in the recording, when nothing but the file is known."""
    with path.open("w", encoding="utf-8") as out:
        writer = DmatWriter(out, every_sync=True)
        for batch in batches:
            for i in range(len(batch)):
                writer.write(batch[i], machine.tape.devices, "driver")
    reader = open_trace(str(path))
    try:
        return check_reader(reader, load_builtin(), CheckOptions()).findings
    finally:
        reader.close()
