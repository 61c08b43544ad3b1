"""Pages, regions and virtual addresses: who owns which memory of the machine.

Two memories lie side by side. `real` is what the machine has; `meant` is what it would have
if caches, bounce buffers and translations did not exist. Where they differ, bytes were lost.
"""

from dataclasses import dataclass, field

from dmaverify.model.kinds import MemoryKind
from dmaverify.sim._move import Cache, Memory
from dmaverify.sim.stop import Stopped

PAGE = 4096
PAGE_SHIFT = 12
LOW_PFN, LOW_END = 0x1000, 0x9000  # 128 MiB from 16 MiB on
HIGH_PFN, HIGH_END = 0x100000, 0x108000  # 128 MiB from 4 GiB on
DIRECT = 0xFFFF_8880_0000_0000  # where all of memory is mapped, in order
SCATTERED = 0xFFFF_C900_0000_0000  # where pages that do not follow each other are put together
SLAB_LEAST = 64  # bytes

Run = tuple[int, int]  # (physical address, bytes)


@dataclass(slots=True, eq=False)
class Region:
    """Memory that somebody asked for.

    Args:
        virt: its first virtual address.
        length: bytes.
        kind: what kind of memory it is.
        pages: its page frames in the order of its addresses.
        cached: whether the CPU reaches it through the cache.
        pageable: True where it may be moved out unless it is locked.
        live: False once it was freed.
        locks: how often its pages are locked.
        used: (first physical address, bytes) that may be used, where guards surround them.
    """

    virt: int
    length: int
    kind: MemoryKind
    pages: list[int]
    cached: bool = True
    pageable: bool = False
    live: bool = True
    locks: int = 0
    used: Run | None = None


@dataclass(slots=True, eq=False)
class _Slab:
    """A page cut into pieces of one size, a power of two."""

    size: int
    pieces: dict[int, Region] = field(default_factory=dict)


class PageStore:
    """The page frames of the machine."""

    def __init__(self, real: Memory, meant: Memory) -> None:
        self._real, self._meant = real, meant
        self._next = {True: LOW_PFN, False: HIGH_PFN}
        self._end = {True: LOW_END, False: HIGH_END}
        self._spare: dict[tuple[bool, int], list[int]] = {}
        self._apart: dict[int, list[list[int]]] = {}

    def take(self, count: int, low: bool = False, value: int = 0) -> int:
        """Return the first of `count` page frames that follow each other.

        Args:
            count: pages, at least 1.
            low: whether they have to lie below 4 GiB.
            value: what their bytes are.
        """
        spare = self._spare.get((low, count))
        if spare:
            pfn = spare.pop()
            for memory in (self._real, self._meant):
                memory.fill(pfn << PAGE_SHIFT, count << PAGE_SHIFT, value)
            return pfn
        pfn = self._next[low]
        if pfn + count > self._end[low]:
            raise Stopped("the machine has no memory left: the driver never frees")
        self._next[low] = pfn + count
        for memory in (self._real, self._meant):
            memory.add(pfn, count, value)
        return pfn

    def take_scattered(self, count: int) -> list[int]:
        """Return `count` page frames of which no two follow each other."""
        if self._apart.get(count):
            pages = self._apart[count].pop()
            for memory in (self._real, self._meant):
                for pfn in pages:
                    memory.fill(pfn << PAGE_SHIFT, PAGE, 0)
            return pages
        first = self.take(count * 2)
        self._spare.setdefault((False, 1), []).extend(range(first + 1, first + 2 * count, 2))
        return list(range(first, first + 2 * count, 2))

    def give(self, pfn: int, count: int, low: bool = False) -> None:
        """Take page frames back."""
        self._spare.setdefault((low, count), []).append(pfn)

    def give_scattered(self, pages: list[int]) -> None:
        """Take back page frames that do not follow each other."""
        self._apart.setdefault(len(pages), []).append(pages)


class AddressSpace:
    """Regions, and the virtual addresses that the CPU knows them by."""

    def __init__(self, real: Memory, meant: Memory, cache: Cache | None) -> None:
        self.store = PageStore(real, meant)
        self.cache = cache
        self.regions: dict[int, Region] = {}
        self.table: dict[int, int] = {}  # virtual page -> page frame
        self.uncached: set[int] = set()  # virtual pages
        self.owners: dict[int, Region | _Slab] = {}  # page frame -> who has it
        self._slabs: dict[int, list[int]] = {}  # size -> free pieces, physical addresses
        self._next_virt = SCATTERED

    # Regions

    def pages(self, length: int, kind: MemoryKind, *, low: bool = False,
              cached: bool = True) -> Region:  # fmt: skip
        """Return whole pages that follow each other, in the direct mapping."""
        count = -(-length // PAGE)
        first = self.store.take(count, low)
        region = Region(DIRECT + (first << PAGE_SHIFT), length, kind,
                        list(range(first, first + count)), cached)  # fmt: skip
        return self._enter(region)

    def scattered(self, length: int, kind: MemoryKind, *, pageable: bool = False,
                  offset: int = 0, at: int = 0) -> Region:  # fmt: skip
        """Return memory whose addresses follow each other and whose pages do not.

        Args:
            length: bytes.
            kind: what kind of memory.
            pageable: whether it can be moved out.
            offset: bytes of its first page before it begins.
            at: its first address, which means nothing yet; 0 for addresses of its own.
        """
        pages = self.store.take_scattered(-(-(length + offset) // PAGE))
        virt = at or self.new_virt(len(pages)) + offset
        return self._enter(Region(virt, length, kind, pages, True, pageable))

    def small(self, length: int, kind: MemoryKind) -> Region:
        """Return less than a page: a piece of a page that others share."""
        size = max(SLAB_LEAST, 1 << (length - 1).bit_length())
        if size >= PAGE:
            return self.pages(length, kind)
        free = self._slabs.setdefault(size, [])
        if not free:
            pfn = self.store.take(1)
            self.owners[pfn] = _Slab(size)
            self.table[(DIRECT >> PAGE_SHIFT) + pfn] = pfn
            free.extend(range((pfn + 1 << PAGE_SHIFT) - size, (pfn << PAGE_SHIFT) - 1, -size))
        phys = free.pop()
        region = Region(DIRECT + phys, length, kind, [phys >> PAGE_SHIFT])
        slab = self.owners[phys >> PAGE_SHIFT]
        assert isinstance(slab, _Slab)
        slab.pieces[phys] = region
        self.regions[region.virt] = region
        return region

    def free(self, region: Region) -> list[int]:
        """Take a region back; its addresses mean nothing any more.

        Returns the page frames that nobody has any more: none for a piece of a page.
        """
        region.live = False
        self.regions.pop(region.virt, None)
        owner = self.owners.get(region.pages[0])
        if isinstance(owner, _Slab):
            phys = region.virt - DIRECT
            owner.pieces.pop(phys, None)
            self._slabs[owner.size].append(phys)
            return []
        self.unmap(region.virt, len(region.pages))
        for pfn in region.pages:
            self.owners.pop(pfn, None)
        if self.cache is not None:
            for pfn in region.pages:
                self.cache.invalidate(pfn << PAGE_SHIFT, PAGE)
        if region.pages == list(range(region.pages[0], region.pages[0] + len(region.pages))):
            self.store.give(region.pages[0], len(region.pages), region.pages[0] < LOW_END)
        else:
            self.store.give_scattered(region.pages)
        return region.pages

    def _enter(self, region: Region) -> Region:
        self.map(region.virt, region.pages, region.cached)
        for pfn in region.pages:
            self.owners[pfn] = region
        self.regions[region.virt] = region
        return region

    def region_at(self, phys: int) -> Region | None:
        """Return the region that a physical address belongs to."""
        owner = self.owners.get(phys >> PAGE_SHIFT)
        if isinstance(owner, _Slab):
            return owner.pieces.get(phys & ~(owner.size - 1))
        if owner is not None and owner.used is not None:
            start, length = owner.used
            return owner if start <= phys < start + length else None
        return owner

    # Virtual addresses

    def new_virt(self, pages: int) -> int:
        """Return virtual addresses that nobody uses, with a hole behind them."""
        virt = self._next_virt
        self._next_virt += (pages + 1) << PAGE_SHIFT
        return virt

    def map(self, virt: int, pages: list[int], cached: bool) -> None:
        """Let virtual addresses mean page frames."""
        for i, pfn in enumerate(pages, virt >> PAGE_SHIFT):
            self.table[i] = pfn
            if not cached:
                self.uncached.add(i)

    def unmap(self, virt: int, pages: int) -> None:
        """Let virtual addresses mean nothing."""
        for page in range(virt >> PAGE_SHIFT, (virt >> PAGE_SHIFT) + pages):
            self.table.pop(page, None)
            self.uncached.discard(page)

    def runs(self, virt: int, length: int) -> list[Run] | None:
        """Return the physical runs behind virtual addresses, None where there is no memory."""
        if (virt & (PAGE - 1)) + length <= PAGE:
            pfn = self.table.get(virt >> PAGE_SHIFT)
            return None if pfn is None else [((pfn << PAGE_SHIFT) | virt & (PAGE - 1), length)]
        runs: list[Run] = []
        while length > 0:
            pfn = self.table.get(virt >> PAGE_SHIFT)
            if pfn is None:
                return None
            phys = (pfn << PAGE_SHIFT) | virt & (PAGE - 1)
            count = min(length, PAGE - (virt & (PAGE - 1)))
            if runs and runs[-1][0] + runs[-1][1] == phys:
                runs[-1] = (runs[-1][0], runs[-1][1] + count)
            else:
                runs.append((phys, count))
            virt += count
            length -= count
        return runs

    def is_cached(self, virt: int) -> bool:
        """Tell whether the CPU reaches a virtual address through the cache."""
        return virt >> PAGE_SHIFT not in self.uncached
