"""Between devices and memory: the platform decides where a device sees a piece of memory.

Both interfaces, Windows' and Linux', are made
of the calls below; so is whatever goes wrong on one machine and not on another.
"""

from dmaverify.errors import SimError
from dmaverify.model.kinds import Direction, EventKind, Flag
from dmaverify.model.platform import Bounce, Platform, Translation
from dmaverify.sim._move import Memory
from dmaverify.sim.bounce import FILL, BouncePool, Slot
from dmaverify.sim.effects import Effect, EffectKind, Effects
from dmaverify.sim.iommu import MMIO_END, MMIO_PFN, Domain, SecondStage, joined, spanned
from dmaverify.sim.memory import PAGE, PAGE_SHIFT, AddressSpace, Run
from dmaverify.sim.stop import driver_place
from dmaverify.sim.tape import Tape
from dmaverify.sim.window import Segment, Window

# Members looked up once: this is on the way of every call.
_TO_DEVICE, _FROM_DEVICE = Direction.TO_DEVICE, Direction.FROM_DEVICE
_BOUNCE, _IOMMU_MAP, _IOMMU_UNMAP = EventKind.BOUNCE, EventKind.IOMMU_MAP, EventKind.IOMMU_UNMAP
_FORCED = int(Flag.FROM_MARK)
ALL_ONES = (1 << 64) - 1
ENDED_KEPT = 1 << 16  # pages of ended windows that are remembered


class Bus:
    """Makes and ends windows as the platform wants it."""

    def __init__(self, platform: Platform, real: Memory, meant: Memory, space: AddressSpace,
                 tape: Tape, effects: Effects) -> None:  # fmt: skip
        self.platform = platform
        self.real, self.meant, self.space = real, meant, space
        self.tape, self.effects = tape, effects
        self.bounce = BouncePool(real, space.store, platform.guard_bytes)
        self.domains: dict[int, Domain] = {}
        self.masks: dict[int, int] = {}
        self.live: dict[int, list[tuple[Segment, Window]]] = {}  # bus page -> segments
        self.ended: dict[int, tuple[Segment, Window]] = {}
        self._translates = platform.translation is not Translation.NONE
        self._always = platform.bounce is Bounce.ALWAYS
        self._offset = platform.bus_offset
        self._highest = platform.highest
        nested = platform.translation is Translation.NESTED
        self._second = SecondStage(platform) if nested else None
        self._registers = MMIO_PFN  # the next page frame for registers

    # Windows

    def map(self, device: int, runs: list[Run], direction: Direction, *, split: bool = False,
            skip_sync: bool = False, clean: bool = True,
            site: str = "") -> Window | None:  # fmt: skip
        """Return a window on memory for a device, None where the platform can not give one.

        Args:
            device: its number.
            runs: the memory, in order; no run is empty.
            direction: which way data may move.
            split: whether a bounced run may be cut at page boundaries, each with its guards.
            skip_sync: whether memory is not copied or cleaned now.
            clean: whether caches are looked after; else the driver has to.
            site: the driver's line, where the caller knows it; "" to look for it.
        """
        window = Window(device, direction, cleaned=clean)
        for phys, length in runs:
            if not self._always and not self._bounces(device, phys + length):
                if not self._place(window, phys, length, phys, None):
                    return self._refused(window, "the device can not reach the memory")
                continue
            whole = not split or (phys & (PAGE - 1)) + length <= PAGE
            for at, count in ((phys, length),) if whole else _pages(phys, length):
                slot = self._slot(device, at, count, site)
                if not self._place(window, at, count, slot.start, slot):
                    return self._refused(window, "the device can not reach its bounce buffers")
        self._index(window)
        if not skip_sync:
            self._first_copy(window)
        return window

    def map_joined(self, device: int, runs: list[Run], direction: Direction, *,
                   clean: bool = True) -> Window | None:  # fmt: skip
        """Return a window in which all of the memory follows each other on the bus.

        Where the platform can not do it otherwise, all of it is bounced.
        """
        if len(runs) == 1:
            return self.map(device, runs, direction, clean=clean)
        window = Window(device, direction, cleaned=clean)
        total = sum(length for _, length in runs)
        slot = self._slot(device, runs[0][0], total)
        bus = self._bus_of(window, [(slot.start, total)])
        if bus is None or bus + total - 1 > self.highest(device):
            self.bounce.give(slot)
            return self._refused(window, "the device can not reach its bounce buffers")
        done = 0
        for phys, length in runs:
            window.segments.append(Segment(bus + done, length, phys, slot.start + done, slot,
                                           self.space.region_at(phys)))  # fmt: skip
            done += length
        self._index(window)
        self._first_copy(window)
        return window

    def map_list(self, device: int, runs: list[Run], direction: Direction,
                 longest: int) -> Window | None:  # fmt: skip
        """Return a window on a list; what an IOMMU can join is one piece to the device.

        Runs are joined where one ends with its page and the next begins one, as long as the
        piece does not get longer than `longest` bytes; nothing that is bounced is joined.
        Source: Linux drivers/iommu/dma-iommu.c, iommu_dma_map_sg() and __finalise_sg().
        """
        bounced = any(self._bounces(device, phys + length) for phys, length in runs)
        if bounced or not self._translates or len(runs) == 1:
            return self.map(device, runs, direction)
        window = Window(device, direction)
        for group in joined(runs, longest):
            bus = self._bus_of(window, group)
            if bus is None or bus + sum(r[1] for r in group) - 1 > self.highest(device):
                return self._refused(window, "the device can not reach the memory")
            for i, (phys, length) in enumerate(group):
                region = self.space.region_at(phys)
                window.segments.append(Segment(bus, length, phys, phys, None, region, i > 0))
                bus += length
        self._index(window)
        self._first_copy(window)
        return window

    def registers(self, pages: int) -> int:
        """Return the physical address of new pages of registers, zeroed: memory to the machine.

        Raises:
            SimError: there is no room for them.
        """
        first, self._registers = self._registers, self._registers + pages
        if pages < 1 or self._registers > MMIO_END:
            raise SimError(f"there is no room for {pages} pages of registers")
        for memory in (self.real, self.meant):
            memory.add(first, pages)
        self.bounce.shared.update(range(first, self._registers))  # no memory: nobody encrypts it
        return first << PAGE_SHIFT

    def map_registers(self, device: int, run: Run, direction: Direction) -> Window | None:
        """Return a window on another device's registers: never bounced, in no cache."""
        window = Window(device, direction, coherent=True)
        if not self._place(window, *run, run[0], None):
            return self._refused(window, "the device can not reach the registers")
        self._index(window)
        return window

    def share(self, device: int, runs: list[Run]) -> Window | None:
        """Return a window that CPU and device share for its life: not bounced, both ways.

        None where the platform has none for this memory.
        """
        window = Window(device, Direction.BIDIRECTIONAL, coherent=True)
        if not all(self._can_share(device, run) for run in runs):
            return self._refused(window, "this memory can not be shared with the device")
        bus = self._bus_of(window, runs) if self._translates or len(runs) == 1 else None
        if bus is None or bus + sum(r[1] for r in runs) - 1 > self.highest(device):
            return self._refused(window, "this memory has no addresses that follow each other")
        for phys, length in runs:
            region = self.space.region_at(phys)
            window.segments.append(Segment(bus, length, phys, phys, None, region))
            bus += length
        self._index(window)
        return window

    def _can_share(self, device: int, run: Run) -> bool:
        phys, length = run
        if self.platform.private_memory:
            pages = range(phys >> PAGE_SHIFT, (phys + length - 1 >> PAGE_SHIFT) + 1)
            return self.bounce.shared.issuperset(pages)
        # The verifier bounces transfers, and not what is shared for its life.
        return self.platform.guard_bytes > 0 or not self._bounces(device, phys + length)

    def unmap(self, window: Window, *, skip_sync: bool = False) -> None:
        """End a window: what the device wrote is in memory now."""
        if not skip_sync and not window.coherent:
            for segment in window.segments:
                self.sync_for_cpu(window, segment, 0, segment.length)
        window.live = False
        for segment in window.segments:
            self._forget(segment, window)
        for slot in window.slots():
            for at in self.bounce.give(slot):
                self._effect(EffectKind.GUARD, f"the guard of a bounce buffer was overwritten at"
                                               f" offset {at}")  # fmt: skip
        domain = window.domain
        for page, count in window.pages:
            assert domain is not None
            found = domain.unmap(page, count, self.tape.now_ns)
            self.tape.add(_IOMMU_UNMAP, 0, bus_addr=page << PAGE_SHIFT,
                          length=count << PAGE_SHIFT, phys_addr=found << PAGE_SHIFT)  # fmt: skip

    def sync_for_cpu(self, window: Window, segment: Segment, offset: int, length: int) -> None:
        """Let the CPU see what the device wrote to a part of a segment."""
        if window.direction is _TO_DEVICE:
            return
        phys = segment.phys + offset
        if segment.slot is not None:
            self._copy(segment.target + offset, phys, length)
        elif self.space.cache is not None:
            if not window.cleaned:
                # What nobody cleaned before the transfer is written back at any time in it.
                self.space.cache.clean(phys, length)
            self.space.cache.invalidate(phys, length)
            self.space.cache.prefetch(phys, length)  # see sync_for_device

    def sync_for_device(self, window: Window, segment: Segment, offset: int, length: int) -> None:
        """Let the device see what the CPU wrote to a part of a segment."""
        phys = segment.phys + offset
        if segment.slot is not None:
            if window.direction is not _FROM_DEVICE:
                self._copy(phys, segment.target + offset, length)
        elif self.space.cache is not None:
            self.space.cache.clean(phys, length)
            # A CPU may fetch what it likes at any time: this one does so at once, so that
            # the sync that is owed before the CPU's next look is always needed.
            self.space.cache.prefetch(phys, length)

    def place(self, window: Window, phys: int, length: int, highest: int) -> bool:
        """Let a new window show memory of its own, and tell whether the device can reach it."""
        reached = self._place(window, phys, length, phys, None)
        if not reached or window.bus + length - 1 > highest:
            return False
        self._index(window)
        return True

    def displace(self, window: Window) -> None:
        """Take a window away that nobody was told of."""
        domain = window.domain
        for page, count in window.pages:
            if domain is not None:
                domain.unmap(page, count, self.tape.now_ns)
        for slot in window.slots():
            self.bounce.give(slot)
        window.live = False

    # What devices ask

    def translate(self, device: int, bus: int, write: bool) -> int | None:
        """Return the physical address that a device reaches by a bus address, None for a fault."""
        if self._translates:
            domain = self.domains.get(device)
            if domain is None:
                return None
            pfn = domain.translate(bus >> PAGE_SHIFT, write, self.tape.now_ns)
            if pfn is not None and self._second is not None and self._second.host(pfn) is None:
                return None
            return None if pfn is None else (pfn << PAGE_SHIFT) | bus & (PAGE - 1)
        phys = ((bus & self.platform.highest) - self.platform.bus_offset) & ALL_ONES
        if self.platform.private_memory and phys >> PAGE_SHIFT not in self.bounce.shared:
            return None
        return phys

    def refusal(self, device: int, bus: int, write: bool) -> tuple[int | None, str]:
        """Return (guest-physical address, why) of an access that `translate` gives none for.

        The address is None where it is not the second of two translations that refuses.
        """
        if not self._translates:
            return None, "the memory is private to the guest"
        domain, pfn = self.domains.get(device), None
        if domain is not None:
            pfn = domain.translate(bus >> PAGE_SHIFT, write, self.tape.now_ns)
        if pfn is None:
            return None, "the IOMMU lets nothing through there"
        guest = (pfn << PAGE_SHIFT) | bus & (PAGE - 1)
        return guest, f"guest-physical {guest:#x} has no host-physical address (second translation)"

    def behind(self, phys: int) -> str:
        """Return the host-physical address behind one of the machine's in words, "" for none."""
        frame = None if self._second is None else self._second.host(phys >> PAGE_SHIFT)
        if frame is None:
            return ""
        return f", host-physical {(frame << PAGE_SHIFT) | phys & (PAGE - 1):#x}"

    def segment_at(self, device: int, bus: int) -> tuple[Segment, Window] | None:
        """Return the live piece that holds a bus address, the device's own before others'."""
        other = None
        for segment, window in self.live.get(bus >> PAGE_SHIFT, ()):
            if segment.bus <= bus < segment.bus + segment.length:
                if window.device == device:
                    return segment, window
                other = segment, window
        return other

    def domain_of(self, device: int) -> Domain | None:
        """Return the bus addresses of a device, None where nothing translates."""
        if not self._translates:
            return None
        if device not in self.domains:
            self.domains[device] = Domain(self.platform)
        return self.domains[device]

    def highest(self, device: int) -> int:
        """Return the highest bus address that a device can form, as its driver has said."""
        mask = self.masks.get(device)
        return self._highest if mask is None or mask > self._highest else mask

    def needs_room(self, device: int) -> bool:
        """Tell whether a mapping takes something of which there could be none left."""
        return self._translates or self._bounces(device, 0)

    # Parts of the above

    def _bounces(self, device: int, end: int) -> bool:
        if self._translates:
            return self.platform.bounces(end)
        reach = self.masks.get(device)
        out_of_reach = reach is not None and end - 1 + self.platform.bus_offset > reach
        return out_of_reach or self.platform.bounces(end)

    def _place(self, window: Window, phys: int, length: int, target: int,
               slot: Slot | None) -> bool:  # fmt: skip
        """Give one piece its bus address, and tell whether there was one in reach."""
        bus = target + self._offset
        segment = Segment(bus, length, phys, target, slot, self.space.region_at(phys))
        window.segments.append(segment)
        if self._translates:
            found = self._bus_of(window, [(target, length)])
            if found is None:
                return False
            segment.bus = bus = found
        return bus + length - 1 <= self.highest(window.device)

    def _bus_of(self, window: Window, runs: list[Run]) -> int | None:
        """Return the bus address at which runs begin that follow each other there."""
        first = runs[0][0]
        if not self._translates:
            return first + self.platform.bus_offset
        total = sum(length for _, length in runs)
        domain = window.domain = window.domain or self.domain_of(window.device)
        assert domain is not None
        page = domain.take(spanned(first, total))
        if page is None:
            return None
        window.pages.append((page, spanned(first, total)))
        at = page
        for phys, length in runs:
            pfn, count = phys >> PAGE_SHIFT, spanned(phys, length)
            domain.map(at, list(range(pfn, pfn + count)),
                       window.direction is not _FROM_DEVICE,
                       window.direction is not _TO_DEVICE)  # fmt: skip
            self.tape.add(_IOMMU_MAP, 0, bus_addr=at << PAGE_SHIFT, phys_addr=pfn << PAGE_SHIFT,
                          length=count << PAGE_SHIFT)  # fmt: skip
            at += count
        return (page << PAGE_SHIFT) | first & (PAGE - 1)

    def _slot(self, device: int, phys: int, length: int, site: str = "") -> Slot:
        """Return a bounce buffer for memory, which is told."""
        slot, dirty = self.bounce.take(phys & (PAGE - 1), length)
        if dirty >= 0:
            self._effect(EffectKind.GUARD, f"a free bounce buffer was written at {dirty:#x}")
        self.tape.add(_BOUNCE, 0, site, device=device, phys_addr=phys, length=length,
                      bus_addr=self.highest(device),
                      flags=_FORCED if self.platform.guard_bytes else 0)  # fmt: skip
        return slot

    def _refused(self, window: Window, why: str) -> Window | None:
        self.displace(window)
        self._effect(EffectKind.REFUSED, why)
        return None

    def _index(self, window: Window) -> None:
        live = self.live
        window.bus = window.segments[0].bus
        for segment in window.segments:
            window.length += segment.length
            last = (segment.bus + segment.length - 1) >> PAGE_SHIFT
            for page in range(segment.bus >> PAGE_SHIFT, last + 1):
                if page in live:
                    live[page].append((segment, window))
                else:
                    live[page] = [(segment, window)]

    def _forget(self, segment: Segment, window: Window) -> None:
        last = (segment.bus + segment.length - 1) >> PAGE_SHIFT
        for page in range(segment.bus >> PAGE_SHIFT, last + 1):
            entries = self.live[page]
            entries.remove((segment, window))
            if not entries:
                del self.live[page]
            self.ended.pop(page, None)
            self.ended[page] = segment, window
            if len(self.ended) > ENDED_KEPT:
                del self.ended[next(iter(self.ended))]

    def _first_copy(self, window: Window) -> None:
        """Hand the memory of a new window to the device."""
        filled = self.platform.copies_in_always or window.direction is not _FROM_DEVICE
        for segment in window.segments:
            if segment.slot is None:
                if window.cleaned:
                    self.sync_for_device(window, segment, 0, segment.length)
            elif filled:
                self._copy(segment.phys, segment.target, segment.length)
            else:  # what the device does not write is undefined from here on
                self.real.fill(segment.target, segment.length, FILL)
                self.meant.fill(segment.phys, segment.length, FILL)

    def _copy(self, source: int, target: int, length: int) -> None:
        """Copy between memory and a bounce buffer, as the CPU does it."""
        cache = self.space.cache
        if cache is None:
            self.real.move(source, target, length)
        elif source >> PAGE_SHIFT in self.bounce.shared:
            cache.write(target, self.real.read(source, length))
        else:
            self.real.write(target, cache.read(source, length))

    def _effect(self, kind: EffectKind, text: str) -> None:
        self.effects.add(Effect(kind, self.tape.records, driver_place(), text))


def _pages(phys: int, length: int) -> list[Run]:
    """Cut a run at page boundaries."""
    runs = []
    while length > 0:
        count = min(length, PAGE - (phys & (PAGE - 1)))
        runs.append((phys, count))
        phys += count
        length -= count
    return runs
