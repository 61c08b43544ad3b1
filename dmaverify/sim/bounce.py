"""Bounce buffers: windows of their own for transfers, with guards around them.

A slot is a run of pages. The bytes of a transfer lie at the same offset in its first page as
in memory; what is left of the slot's pages, and the guard pages on both sides, is filled with
0x0F, and the eight bytes before and behind the transfer say `DmaVrfy0`.
Source: Windows driver documentation, bug check 0xE6, parameter 0x0F.
"""

from dataclasses import dataclass

from dmaverify.sim._move import Memory
from dmaverify.sim.memory import PAGE, PAGE_SHIFT, PageStore

FILL = 0x0F
TAG = b"DmaVrfy0"


@dataclass(slots=True, eq=False)
class Slot:
    """One bounce buffer.

    Args:
        first: its first page frame, a guard's where there are guards.
        pages: page frames in all.
        start: physical address of the first byte of the transfer.
        length: bytes of the transfer.
    """

    first: int
    pages: int
    start: int
    length: int


class BouncePool:
    """Gives out slots, and looks after what must not change in them.

    Args:
        memory: the machine's memory.
        store: where the pages come from; bounce buffers lie below 4 GiB.
        guard_bytes: bytes of guard on each side, whole pages.
    """

    def __init__(self, memory: Memory, store: PageStore, guard_bytes: int) -> None:
        self._memory, self._store = memory, store
        self._guard = -(-guard_bytes // PAGE)
        self._guard_room = len(TAG) if self._guard else 0
        self._free: dict[int, list[int]] = {}
        self.shared: set[int] = set()  # page frames that devices are meant to reach

    def take(self, offset: int, length: int) -> tuple[Slot, int]:
        """Return a slot, and the physical address of a byte that was written while free, or -1.

        Args:
            offset: bytes of the first page that lie before the transfer.
            length: bytes of the transfer.
        """
        pages = (offset + length + PAGE - 1) // PAGE + 2 * self._guard
        free = self._free.get(pages)
        if free:
            first = free.pop()
            dirty = self._changed(first << PAGE_SHIFT, pages << PAGE_SHIFT)
            if dirty >= 0:
                self._memory.fill(first << PAGE_SHIFT, pages << PAGE_SHIFT, FILL)
        else:
            first, dirty = self._store.take(pages, low=True, value=FILL), -1
            self.shared.update(range(first + self._guard, first + pages - self._guard))
        start = (first + self._guard << PAGE_SHIFT) + offset
        if self._guard:
            self._memory.write(start - len(TAG), TAG)
            self._memory.write(start + length, TAG)
        return Slot(first, pages, start, length), dirty

    def give(self, slot: Slot) -> list[int]:
        """Take a slot back, and return where its guards were overwritten, -1 and less before it.

        The offsets are relative to the transfer's first byte.
        """
        bad, room = self.damage(slot) if self._guard else [], self._guard_room
        self._memory.fill(slot.start - room, slot.length + 2 * room, FILL)
        if bad:
            self._memory.fill(slot.first << PAGE_SHIFT, slot.pages << PAGE_SHIFT, FILL)
        self._free.setdefault(slot.pages, []).append(slot.first)
        return bad

    def damage(self, slot: Slot) -> list[int]:
        """Return the first offset on each side at which a guard was overwritten."""
        memory, found = self._memory, list[int]()
        tag = len(TAG)
        low, end = slot.first << PAGE_SHIFT, slot.start + slot.length
        top = (slot.first + slot.pages) << PAGE_SHIFT
        if memory.intact(low, slot.start, end, top, TAG, FILL):
            return found
        at = memory.differs(slot.start - tag, TAG)
        if at >= 0:
            found.append(at - tag)
        elif (at := memory.unlike(low, slot.start - tag - low, FILL)) >= 0:
            found.append(low + at - slot.start)
        if (at := memory.differs(end, TAG)) >= 0:
            found.append(slot.length + at)
        elif (at := memory.unlike(end + tag, top - end - tag, FILL)) >= 0:
            found.append(slot.length + tag + at)
        return found

    def check_free(self) -> list[int]:
        """Return the physical address of the first changed byte of each free slot."""
        found = []
        for pages, firsts in self._free.items():
            for first in firsts:
                at = self._changed(first << PAGE_SHIFT, pages << PAGE_SHIFT)
                if at >= 0:
                    found.append(at)
        return found

    def _changed(self, start: int, length: int) -> int:
        at = self._memory.unlike(start, length, FILL)
        return start + at if at >= 0 else -1
