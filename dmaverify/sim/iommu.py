"""An IOMMU's translations for one device, and how long they outlive their mappings."""

from collections import deque
from itertools import pairwise

from dmaverify.model.platform import Platform
from dmaverify.sim.memory import PAGE, PAGE_SHIFT, Run

TOP = 0x1_0000_0000  # bus addresses are given out downwards from here
BOTTOM = 0x8000_0000  # memory of the machine lies below, or above the top

MMIO_PFN, MMIO_END = 0xC0000, 0xC1000  # registers of devices: 16 MiB from 3 GiB on

HOST_PFN, HOST_STEP = 0x240_0000, 3  # the guest's memory lies above 144 GiB of the host's

Entry = tuple[int, bool, bool]  # (page frame, the device may read, it may write)


class SecondStage:
    """The hypervisor's translation, behind the guest's: guest-physical to host-physical.

    The machine's physical addresses are the guest's, and the CPU goes through the same
    translation; memory is kept by them. The host has page frames of its own numbers, given out as
    they are first asked for, of which no two that follow each other in the guest do so on the host.
    What it has is the guest's memory: registers of devices are no memory.

    Args:
        platform: whether it has registers too.
    """

    def __init__(self, platform: Platform) -> None:
        self._all = platform.second_reaches_mmio
        self._frames: dict[int, int] = {}  # guest's -> host's

    def host(self, pfn: int) -> int | None:
        """Return the host's page frame behind a guest-physical one, None for a fault."""
        frame = self._frames.get(pfn)
        if frame is None and (self._all or not MMIO_PFN <= pfn < MMIO_END):
            frame = self._frames[pfn] = HOST_PFN + HOST_STEP * len(self._frames)
        return frame


class Domain:
    """The bus addresses of one device.

    Args:
        platform: when a translation that was taken away stops to work.
    """

    def __init__(self, platform: Platform) -> None:
        self.pages: dict[int, Entry] = {}  # bus page -> entry
        self._stale: dict[int, Entry] = {}
        self._waiting: deque[tuple[int, int, int]] = deque()  # (time, bus page, pages)
        self._after_ns = platform.flush_after_ns
        self._after_unmaps = platform.flush_after_unmaps
        self._lazy = platform.lazy
        self._next = TOP >> PAGE_SHIFT
        self._spare: dict[int, list[int]] = {}

    def take(self, pages: int) -> int | None:
        """Return the first of so many free bus pages, None where there are no more."""
        spare = self._spare.get(pages)
        if spare:
            return spare.pop()
        if self._next - pages < BOTTOM >> PAGE_SHIFT:
            return None
        self._next -= pages
        return self._next

    def map(self, page: int, frames: list[int], reads: bool, writes: bool) -> None:
        """Translate bus pages from `page` on to page frames."""
        for i, pfn in enumerate(frames, page):
            self.pages[i] = (pfn, reads, writes)

    def unmap(self, page: int, count: int, now_ns: int) -> int:
        """Take translations away; with a lazy flush they go on working for a while.

        Returns how many pages were translated.
        """
        found = 0
        for i in range(page, page + count):
            entry = self.pages.pop(i, None)
            found += entry is not None
            if self._lazy and entry is not None:
                self._stale[i] = entry
        if not self._lazy:
            self._spare.setdefault(count, []).append(page)
            return found
        self._waiting.append((now_ns, page, count))
        self._flush(now_ns)
        return found

    def cut(self, page: int, count: int) -> int:
        """Take translations away at once, whoever has the addresses.

        Returns how many pages from `page` on were translated, up to the first that was not.
        """
        found = 0
        while found < count and self.pages.pop(page + found, None) is not None:
            found += 1
        return found

    def translate(self, page: int, write: bool, now_ns: int) -> int | None:
        """Return the page frame that a device reaches by a bus page, None for a fault."""
        entry = self.pages.get(page)
        if entry is None:
            if not self._stale:
                return None
            self._flush(now_ns)
            entry = self._stale.get(page)
            if entry is None:
                return None
        return entry[0] if entry[2 if write else 1] else None

    def _flush(self, now_ns: int) -> None:
        waiting = self._waiting
        if not waiting:
            return
        if len(waiting) < self._after_unmaps and now_ns - waiting[0][0] < self._after_ns:
            return
        for _, page, count in waiting:
            self._spare.setdefault(count, []).append(page)
        waiting.clear()
        self._stale.clear()


def spanned(start: int, length: int) -> int:
    """Return how many pages a range touches."""
    return ((start & (PAGE - 1)) + length + PAGE - 1) >> PAGE_SHIFT


def joined(runs: list[Run], longest: int) -> list[list[Run]]:
    """Put runs together that an IOMMU lets follow each other.

    One ends with its page, and the next begins one.

    Args:
        runs: (physical address, bytes), in order.
        longest: the most bytes of a group of several.
    """
    groups = [[runs[0]]]
    for (before, count), run in pairwise(runs):
        meet = (before + count) % PAGE == 0 and run[0] % PAGE == 0
        if meet and sum(length for _, length in groups[-1]) + run[1] <= longest:
            groups[-1].append(run)
        else:
            groups.append([run])
    return groups
