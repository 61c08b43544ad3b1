"""The shadow engine again, in lists and scans: what the world is after each event.

Nothing here is fast, packed or limited; an address belongs to a mapping if a walk over all
mappings says so. What a rule may ask of it is in `oracle.answers`.
"""

from collections.abc import Iterator
from dataclasses import replace

from dmaverify.model.kinds import MAPPING_ERROR, EventKind, Flag
from tests.oracle.access import CPU_KINDS, DEVICE_KINDS, Accesses
from tests.oracle.commands import COMMANDS
from tests.oracle.nouns import (
    ENDS,
    MAPS,
    PAGE,
    SYNCS,
    Call,
    Device,
    Mapping,
    Meaning,
    inside,
)

#: Counts of what a driver does with a device.
CALLS = {"maps", "allocs", "unmaps", "frees", "syncs", "failures"}

K = EventKind
GHOST_PIECES = 64  # of an ended list that are remembered
GHOST_LENGTH = 4  # pieces a ghost, on average, that are remembered
FOLLOWED_PAGES = 1024  # that one IOMMU unmap clears


class World(Accesses):
    """Everything at a moment, and how events change it."""

    # ---- one event -------------------------------------------------------------------------------

    def step(self, call: Call) -> Iterator[Meaning]:
        """Replay an event, stopping wherever rules have their say, in the world of that moment."""
        if self.gaps and call.kind in MAPS and not call.failed:
            self.retire(call)
        if call.kind in CPU_KINDS:
            yield from self.accesses(call)
        else:
            meaning = self.meaning(call)
            yield meaning
            self.apply(meaning)
        if call.kind == K.DRIVER_UNBOUND:
            yield from self.left(call)
            self.windows.left(call.device)
            device = self.devices[call.device]
            device.counts["unbinds"] += 1
            device.probe_seen, device.probe_epoch = True, self.gaps
        self.rows[call.cpu] += 1

    def meaning(self, call: Call) -> Meaning:
        """Return what an event means, in the world before it."""
        meaning = Meaning(call)
        if call.kind in MAPS and not call.failed:
            self.measure(meaning)
            if call.phys_addr is not None and call.length is not None:
                meaning.numbers["memory"] = self.memory_at(call.phys_addr, call.length)
        if call.kind in ENDS:
            if call.sg_phys is not None:
                meaning.count = call.listed
            if call.kind == K.DMA_UNMAP and self.find_by_file(meaning):
                return meaning
            if call.bus_addr is not None:
                self.find_ended(meaning, call.bus_addr)
            elif call.sg_phys:
                self.find_list(meaning, call.sg_phys)
        if call.kind in SYNCS:
            if call.sg_bus:
                meaning.count = call.seen
            if call.bus_addr is not None:
                self.find_synced(meaning, call.bus_addr)
        if call.kind in DEVICE_KINDS and call.bus_addr is not None:
            self.find_accessed(meaning, call.bus_addr)
        child = self.windows.child(call)
        if child:
            meaning.roles["mapping"] = child
        if call.kind in (K.DMA_UNMAP, *SYNCS):
            self.measure_return(meaning)
        if call.kind in ENDS + SYNCS and "mapping" not in meaning.roles:
            self.judge_beginning(meaning)
            if "foreign" in meaning.roles and not self.foreign_counts(meaning):
                del meaning.roles["foreign"]
        return meaning

    def find_by_file(self, meaning: Meaning) -> bool:
        """Find what a flush ends by its map register file, if that is known."""
        call = meaning.call
        file = self.windows.named(call).get("file")
        if file is None:
            return False
        mapping = self.windows.transfer(file, call)
        if mapping:
            meaning.roles["mapping"] = mapping
            meaning.numbers["candidates"] = 1
            if call.sg_phys and mapping.list:
                same = [a == b for a, b in zip(call.sg_phys, mapping.list, strict=False)]
                meaning.numbers["matching_entries"] = [*same, False].index(False)
            if call.sg_phys is None:
                meaning.count = mapping.count
            self.measure_return(meaning)
            return True
        if call.bus_addr is not None:
            self.find_ghost(meaning, call.bus_addr)
        self.judge_beginning(meaning)
        if file.marks & {"born", "list"} and file.epoch == self.gaps:
            meaning.may_predate = meaning.across_gap = False
        return True

    def left(self, call: Call) -> Iterator[Meaning]:
        """End what a driver left behind, the oldest first."""
        for m in [m for m in self.live if m.device == call.device]:
            was = m.call
            told = replace(
                call, kind=K.LEFT_MAPPED, bus_addr=was.bus_addr, phys_addr=was.phys_addr,
                length=was.length, direction=m.direction, type=was.type,
                flags=call.flags & Flag.TIME_UNKNOWN,
            )  # fmt: skip
            yield Meaning(told, {"mapping": m}, count=m.count)
            self.end(m, call)

    def apply(self, meaning: Meaning) -> None:
        """Change the world as an event says."""
        call, device = meaning.call, self.devices[meaning.call.device]
        if call.kind in MAPS:
            self.apply_map(call, device)
        elif call.kind in ENDS:
            self.apply_end(meaning, device)
        elif call.kind in SYNCS:
            device.counts["syncs"] += 1
            self.attribute(meaning)
            if "mapping" in meaning.roles:
                meaning.roles["mapping"].syncs += 1
                self.hand_over(meaning.roles["mapping"], call)
        elif call.kind in DEVICE_KINDS:
            self.apply_transfer(meaning)
        elif call.kind == K.MEMORY:
            self.add_memory(call)
        elif call.kind in COMMANDS:
            self.commands.step(call)
        elif call.kind == K.MEMORY_FREE:
            self.free_memory(call)
        elif call.kind == K.BOUNCE:
            device.counts["bounces"] += 1
            device.bounced_at = call.phys_addr
            if call.bus_addr is not None and (device.inferred or "dma_mask" not in device.limits):
                device.limits["dma_mask"], device.inferred = call.bus_addr, True
        elif call.kind in (K.DRIVER_PROBE, K.DRIVER_BOUND):
            before = {name for name, count in device.counts.items() if count} & CALLS
            told_first = call.kind == K.DRIVER_PROBE or call.flags & Flag.FROM_MARK
            if told_first or not before:
                device.probe_seen, device.probe_epoch = True, self.gaps
            if call.kind == K.DRIVER_PROBE and device.inferred:
                del device.limits["dma_mask"]
                device.inferred = False
        elif call.kind == K.DEVICE_LIMITS:
            said = {
                "max_segment": call.length,
                "boundary": call.bus_addr,
                "dma_mask": call.phys_addr,
            }
            device.limits.update({k: v for k, v in said.items() if v is not None})
            device.inferred &= call.phys_addr is None
        elif call.kind >= K.IRQL:
            self.cancel(call)
            self.windows.apply(call, self.gaps)
        elif call.kind == K.LOST:
            self.counters["lost"] += call.length or 0
            self.gaps += call.status != 1
            if call.status != 1:
                self.commands.lost()
        elif call.kind in (K.IOMMU_MAP, K.IOMMU_UNMAP):
            self.apply_iommu(call)

    def apply_map(self, call: Call, device: Device) -> None:
        """Add a mapping, or the ghost of one that failed."""
        bounced = call.phys_addr is not None and device.bounced_at == call.phys_addr
        device.bounced_at = None
        if call.failed:
            device.counts["failures"] += 1
            if call.bus_addr != MAPPING_ERROR:
                return
        else:
            device.counts["allocs" if call.kind == K.DMA_ALLOC else "maps"] += 1
            if call.args and call.bus_addr is None and call.length == 0:
                return
        if len(self.live) >= self.live_limit:
            self.counters["refused"] += 1
            if not call.failed:
                self.windows.bind(call, None, self.gaps)
            return
        self.serial += 1
        m = Mapping(call, self.serial, self.gaps, call.pieces, bounced and not call.failed)
        self.live.append(m)
        m.command = None if call.failed else self.commands.mapped(call)
        if call.bus_addr is not None and self.translated[call.bus_addr // PAGE]:
            device.iommu_seen = m.translated = True
        if call.failed:
            self.end(m, call)
        else:
            self.windows.bind(call, m, self.gaps)

    def cancel(self, call: Call) -> None:
        """Take a cancelled transfer's accesses for done."""
        file = self.windows.named(call).get("file") if call.kind == K.DMA_CANCEL else None
        for tie in self.windows.tied(file) if file else []:
            tie.mapping.transfers = 0
            tie.mapping.open.clear()

    def apply_end(self, meaning: Meaning, device: Device) -> None:
        """End what an unmap or a free means."""
        call, m = meaning.call, meaning.roles.get("mapping")
        if call.failed or call.flags & Flag.NULL_CPU:
            return
        device.counts["frees" if call.kind == K.DMA_FREE else "unmaps"] += 1
        self.windows.freed(call, m)
        address = m.call.bus_addr if m and call.bus_addr is None else call.bus_addr
        if self.counters["iommu_events"] and address is not None:
            self.settle(address // PAGE, -1)
        if m:
            if m.command:
                self.commands.unmapped(m.command, call)
            self.end(m, call)
        else:
            self.attribute(meaning)

    def attribute(self, meaning: Meaning) -> None:
        """Count what means nothing that is known."""
        if "mapping" not in meaning.roles and not meaning.call.failed:
            self.counters["across_gap"] += meaning.across_gap
            self.counters["in_flight"] += meaning.may_predate and not meaning.across_gap

    def apply_iommu(self, call: Call) -> None:
        """Keep the IOMMU's pages: translated or not, and the unmaps that no call explains."""
        self.counters["iommu_events"] += 1
        first = (call.bus_addr or 0) // PAGE
        if call.kind == K.IOMMU_MAP:
            self.translated[first] += 1
            return
        pages = min(max((call.length or 0) // PAGE, 1), FOLLOWED_PAGES)
        for page in range(first, first + pages):
            self.translated[page] = max(0, self.translated[page] - 1)
        self.settle(first, 1)

    def settle(self, page: int, step: int) -> None:
        """Move a page's balance, within bounds."""
        self.balance[page] = max(-100, min(100, self.balance[page] + step))

    # ---- ends ------------------------------------------------------------------------------------

    def end(self, m: Mapping, call: Call) -> None:
        """Make a ghost of a mapping. What it covers is what ended last there."""
        self.live.remove(m)
        self.windows.unbind(m)
        for g in self.ghosts if m.list else []:
            g.named &= g.device != m.device or g.list[:1] != m.list[:1]
        m.ended, m.epoch = call, self.gaps
        del m.pieces[GHOST_PIECES:]
        for g in self.ghosts:
            if g.device == m.device:
                g.pieces = [p for p in g.pieces if not any(inside(p, new) for new in m.pieces)]
        self.ghosts = [g for g in self.ghosts if g.remembered]
        self.ghosts.append(m)
        while self.remembers_too_much():
            self.counters["forgotten"] += 1
            del self.ghosts[0]

    def remembers_too_much(self) -> bool:
        """Return True if there are more ghosts, or more pieces of them, than the limit allows."""
        pieces = sum(p.start is not None for g in self.ghosts for p in g.pieces)
        return len(self.ghosts) > self.ghost_limit or pieces > self.ghost_limit * GHOST_LENGTH

    def retire(self, call: Call) -> None:
        """End what was mapped before a gap and can not live beside the new mapping."""
        pieces = call.pieces
        places = [(p.start, p.length) for p in pieces if p.start is not None]
        if call.sg_bus:
            memory = [(p, 1) for p in call.sg_phys or []]
        else:
            memory = [(call.phys_addr, call.length or 0)] if call.phys_addr is not None else []
        tests = [("touches", r) for r in places] + [("remembers", r) for r in memory]
        for test, (start, length) in tests:
            for m in list(self.live):
                hit = any(getattr(p, test)(start, length) for p in m.pieces)
                if hit and m.device == call.device and m.epoch != self.gaps:
                    epoch = m.epoch
                    self.end(m, call)
                    m.epoch = epoch
                    self.counters["across_gap"] += 1
