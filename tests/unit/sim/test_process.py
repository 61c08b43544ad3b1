"""A program's addresses come and go, and pages that a device has stay."""

import pytest

from dmaverify.errors import SimError
from dmaverify.model.kinds import MemoryKind
from dmaverify.sim.linux import DMA_BIDIRECTIONAL, ScatterEntry
from dmaverify.sim.process import mmap_fixed, munmap
from tests.unit.sim.machines import Recorded

PAGE = 4096


def _memory(run: Recorded) -> int:
    return run.machine.space.scattered(PAGE, MemoryKind.USER).virt


def test_unmapped_pages_are_freed() -> None:
    """Nobody has them: they go back to the system, and the address means nothing."""
    run = Recorded()
    virt = _memory(run)
    munmap(run.sim, virt, PAGE)

    assert ["user_unmap", "memory_free"] == run.kinds()
    with pytest.raises(SimError, match="no memory"):
        run.sim.cpu.read(virt, 1)


def test_mapped_pages_stay() -> None:
    """A device writes the old pages, the program reads the new ones, and the unmap is of the old."""
    run = Recorded()
    virt, dev = _memory(run), run.sim.device()
    entry = ScatterEntry(virt, PAGE)
    run.sim.linux.dma_map_sg(dev, [entry], DMA_BIDIRECTIONAL)
    old = entry.phys
    munmap(run.sim, virt, PAGE)
    assert virt == mmap_fixed(run.sim, virt, PAGE)
    dev.write(entry.dma_address, b"late")
    run.sim.linux.dma_unmap_sg(dev, [entry], DMA_BIDIRECTIONAL)

    assert b"\0\0\0\0" == run.sim.cpu.read(virt, 4)
    assert b"late" == run.machine.real.read(old, 4)
    assert not run.machine.bus.live
    assert "memory_free" not in run.kinds()


def test_munmap_wants_all_of_it() -> None:
    """A range that is no memory of the program as it was given is an error of the scenario."""
    run = Recorded()
    virt = _memory(run)

    with pytest.raises(SimError, match="no such memory"):
        munmap(run.sim, virt, 2 * PAGE)
    with pytest.raises(SimError, match="no such memory"):
        munmap(run.sim, virt + PAGE, PAGE)
