"""What a program does to its own addresses, which an HCA that has its pages does not see.

Source: Linux Documentation/core-api/pin_user_pages.rst; rdma-core
libibverbs/man/ibv_reg_mr.3.
"""

from dmaverify.errors import SimError
from dmaverify.model.kinds import EventKind, MemoryKind, RangeChange
from dmaverify.sim.memory import PAGE, PAGE_SHIFT
from dmaverify.sim.run import Simulation


def munmap(sim: Simulation, virt: int, length: int) -> None:
    """Take memory away from a program; its pages are freed, or stay while they are mapped.

    Args:
        sim: where the program runs.
        virt: where the memory begins, as it was given.
        length: bytes of all of it.

    Raises:
        SimError: no memory begins there.
    """
    machine = sim.machine
    region = machine.space.regions.get(virt)
    if region is None or -(-length // PAGE) != len(region.pages):
        raise SimError(f"munmap of {length} bytes at {virt:#x}, where no such memory begins")
    machine.tape.add(EventKind.USER_UNMAP, bus_addr=virt, length=length, type=RangeChange.MUNMAP)
    held = {s.phys >> PAGE_SHIFT for entries in machine.bus.live.values() for s, _ in entries}
    if held.isdisjoint(region.pages):
        machine.free_memory(region)
    else:
        machine.space.unmap(virt, len(region.pages))
        del machine.space.regions[virt]


def mmap_fixed(sim: Simulation, virt: int, length: int) -> int:
    """Give a program new memory at an address where it has none, and return the address."""
    region = sim.machine.space.scattered(length, MemoryKind.USER, at=virt)
    sim.machine.tell_memory(region)
    return region.virt
