"""Memory that CPU and device share: coherent allocations, common buffers."""

from dataclasses import dataclass

from dmaverify.model.kinds import Direction, MemoryKind
from dmaverify.sim.bounce import FILL, TAG
from dmaverify.sim.bus import Bus
from dmaverify.sim.memory import DIRECT, PAGE, PAGE_SHIFT, AddressSpace, Region
from dmaverify.sim.window import Window

ALIGNMENT = 8  # bytes to which a buffer at the end of its pages is aligned


@dataclass(slots=True, eq=False)
class CommonBuffer:
    """One allocation.

    Args:
        virt: its first byte for the CPU.
        length: bytes that were asked for.
        window: where the device sees it.
        region: the pages that it lies in, guards included.
        guarded: whether there are guards around it.
    """

    virt: int
    length: int
    window: Window
    region: Region
    guarded: bool

    @property
    def bus(self) -> int:
        """Return its bus address."""
        return self.window.bus

    @property
    def phys(self) -> int:
        """Return the physical address of its first byte."""
        return self.window.segments[0].phys


class CommonBuffers:
    """Allocates memory with its window.

    Args:
        bus: where devices see it.
        space: where the CPU sees it.

    Attributes:
        at_end: whether a buffer is pushed to the end of its pages, as the platform says.
    """

    def __init__(self, bus: Bus, space: AddressSpace) -> None:
        self._bus, self._space = bus, space
        self.at_end = bus.platform.common_buffers_at_end
        self._guard = -(-bus.platform.guard_bytes // PAGE)

    def take(self, device: int, length: int, highest: int = (1 << 64) - 1) -> CommonBuffer | None:
        """Return memory that a device shares with the CPU, None where there is none in reach.

        Args:
            device: its number.
            length: bytes, at least 1.
            highest: the highest bus address that is wanted.
        """
        bus, platform = self._bus, self._bus.platform
        low = min(bus.highest(device), highest) < 1 << 36 or platform.private_memory
        pages = -(-(length + len(TAG) * self.at_end) // PAGE)
        region = self._space.pages((pages + 2 * self._guard) * PAGE, MemoryKind.COHERENT, low=low,
                                   cached=platform.coherent)  # fmt: skip
        start = region.pages[0] + self._guard << PAGE_SHIFT
        if self.at_end:
            start += (pages * PAGE - length - len(TAG)) & ~(ALIGNMENT - 1)
        if self._guard:
            region.used = start, length
        self._shield(region, start, length)
        if platform.private_memory:
            bus.bounce.shared.update(region.pages)
        window = Window(device, Direction.BIDIRECTIONAL, coherent=True)
        if not bus.place(window, start, length, highest):
            self._drop(region, window)
            return None
        return CommonBuffer(DIRECT + start, length, window, region, self._guard > 0)

    def give(self, buffer: CommonBuffer) -> list[int]:
        """Take memory back, and return the offsets at which its guards were overwritten."""
        bad = self.damage(buffer)
        self._bus.unmap(buffer.window)
        self._drop(buffer.region, None)
        return bad

    def damage(self, buffer: CommonBuffer) -> list[int]:
        """Return the first offset on each side at which a guard was overwritten."""
        if not buffer.guarded:
            return []
        real, found = self._bus.real, []
        start, end = buffer.phys, buffer.phys + buffer.length
        low = buffer.region.pages[0] << PAGE_SHIFT
        top = (buffer.region.pages[-1] + 1) << PAGE_SHIFT
        if (at := real.differs(start - len(TAG), TAG)) >= 0:
            found.append(at - len(TAG))
        elif (at := real.unlike(low, start - len(TAG) - low, FILL)) >= 0:
            found.append(low + at - start)
        if (at := real.differs(end, TAG)) >= 0:
            found.append(buffer.length + at)
        elif (at := real.unlike(end + len(TAG), top - end - len(TAG), FILL)) >= 0:
            found.append(buffer.length + len(TAG) + at)
        return found

    def _shield(self, region: Region, start: int, length: int) -> None:
        """Fill what surrounds a buffer, tags next to it."""
        if not self._guard:
            return
        for memory in (self._bus.real, self._bus.meant):
            memory.fill(region.pages[0] << PAGE_SHIFT, len(region.pages) << PAGE_SHIFT, FILL)
            memory.fill(start, length, 0)
            memory.write(start - len(TAG), TAG)
            memory.write(start + length, TAG)

    def _drop(self, region: Region, window: Window | None) -> None:
        if window is not None and window.segments:
            self._bus.displace(window)
        self._bus.bounce.shared.difference_update(region.pages)
        self._space.free(region)
