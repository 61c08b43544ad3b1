"""An IOMMU's translations for one device, and how long they outlive their mappings."""

from collections import deque

from dmaverify.model.platform import Platform
from dmaverify.sim.memory import PAGE, PAGE_SHIFT

TOP = 0x1_0000_0000  # bus addresses are given out downwards from here
BOTTOM = 0x8000_0000  # memory of the machine lies below, or above the top

Entry = tuple[int, bool, bool]  # (page frame, the device may read, it may write)


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

    def unmap(self, page: int, count: int, now_ns: int) -> None:
        """Take translations away; with a lazy flush they go on working for a while."""
        for i in range(page, page + count):
            entry = self.pages.pop(i, None)
            if self._lazy and entry is not None:
                self._stale[i] = entry
        if not self._lazy:
            self._spare.setdefault(count, []).append(page)
            return
        self._waiting.append((now_ns, page, count))
        self._flush(now_ns)

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
