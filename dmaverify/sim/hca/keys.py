"""Keys at the HCA: what an access may, and the bytes that it moves."""

from collections.abc import Sequence

from dmaverify.model.kinds import AccessSide, EventKind, HcaValue, RegionType, Rights
from dmaverify.sim.hca.layout import WINDOWS, Mpt, MptFlag, Sge
from dmaverify.sim.hca.state import HcaFault, QueuePair, State
from dmaverify.sim.memory import PAGE

K, V = EventKind, HcaValue
_TYPES = {1: RegionType.WINDOW_1, 2: RegionType.WINDOW_2A, 3: RegionType.WINDOW_2B}
_FLAGS = {1: MptFlag.WINDOW_1, 2: MptFlag.WINDOW_2A, 3: MptFlag.WINDOW_2B}


class Keys(State):
    """Checks keys and moves bytes by them.

    Source of the checks: Linux drivers/infiniband/sw/rxe/rxe_mr.c, lookup_mr() and
    mr_check_range(); rxe_mw.c, rxe_lookup_mw() and rxe_check_bind_mw().
    """

    def allowed(self, qp: QueuePair, key: int, addr: int, length: int, need: int,
                side: AccessSide) -> Mpt | None:  # fmt: skip
        """Return the entry of a key by which an access is allowed, None where it is not."""
        self.tell_look(qp, key, need, side)
        entry = self.mpts.get(key >> 8)
        if entry is None or not self._fits(qp, entry, need):
            return None
        if entry.key != key and self.breaks(HcaFault.NO_TAG) is None:
            return None
        if self.breaks(HcaFault.REFUSES) is not None:
            return None
        if entry.flags & MptFlag.PHYSICAL:
            self.tell_move(qp, key, addr, length, need, side)
            return entry
        bounds = entry
        if self.family.windows_by_region and entry.flags & WINDOWS:
            bounds = self.mpts[self.windows[key >> 8][0]]
        inside = in_range(bounds, addr, length)
        if inside and self.breaks(HcaFault.REFUSES_RANGE) is not None:
            inside = False
        elif not inside and self.breaks(HcaFault.NO_RANGE) is not None:
            inside = True
        self.tell_range(key, addr, length, not inside)
        if inside:
            self.tell_move(qp, key, addr, length, need, side)
        return entry if inside else None

    def _fits(self, qp: QueuePair, entry: Mpt, need: int) -> bool:
        if entry.flags & MptFlag.FREE or entry.pd != qp.context.pd or need & ~entry.access:
            return False
        if entry.flags & MptFlag.WINDOW_2B:
            return self.windows[entry.key >> 8][1] == qp.number
        return True

    def reach(self, entry: Mpt, addr: int, length: int) -> list[tuple[int, int]]:
        """Return (bus address, bytes) of what an access by a key reaches."""
        if entry.flags & MptFlag.PHYSICAL:
            return [(addr, length)] if length else []
        return self.pieces(entry.mtt, addr - entry.start + entry.offset, length)

    def fetch(self, entry: Mpt, addr: int, length: int) -> bytes:
        """Return the bytes that a key and an address mean."""
        return b"".join(self.device.read(b, n) for b, n in self.reach(entry, addr, length))

    def store(self, entry: Mpt, addr: int, data: bytes) -> None:
        """Write bytes where a key and an address say."""
        extra = self.breaks(HcaFault.OVERRUN)
        done = 0
        pieces = self.reach(entry, addr, len(data))
        for i, (bus, count) in enumerate(pieces):
            part = data[done : done + count]
            if extra and i == len(pieces) - 1:
                part += bytes(extra)
            self.device.write(bus, part)
            done += count

    def gather(self, qp: QueuePair, sges: Sequence[Sge]) -> bytes | None:
        """Return what a list names, None where a key of it is refused."""
        parts = []
        for addr, length, key in sges:
            if not length:
                continue
            entry = self.allowed(qp, key, addr, length, 0, AccessSide.LOCAL)
            if entry is None:
                return None
            parts.append(self.fetch(entry, addr, length))
        return b"".join(parts)

    def scatter(self, qp: QueuePair, sges: Sequence[Sge], data: bytes) -> bool:
        """Write bytes into a list, and tell whether its keys allow it.

        What is longer than the list goes on behind its last entry: only a broken HCA comes here
        with so much.
        """
        for i, (addr, length, key) in enumerate(sges):
            part, data = data[:length], data[length:]
            if not part:
                break
            entry = self.allowed(qp, key, addr, len(part), Rights.LOCAL_WRITE, AccessSide.LOCAL)
            if entry is None:
                return False
            self.store(entry, addr, part + data if i == len(sges) - 1 else part)
        return True

    # Keys by work request

    def register(self, qp: QueuePair, key: int, access: int, values: tuple[int, ...]) -> bool:
        """Register a region by a work request, and tell whether it may be.

        Args:
            qp: the queue pair.
            key: its new key; the index says which region.
            access: its rights.
            values: bus address of the page list, first address, length, offset, pages.
        """
        list_bus, start, length, offset, count = values
        entry = self.mpts.get(key >> 8)
        wanted = Mpt(0, key, entry.pd if entry else qp.context.pd, access, start, length)
        good = (entry is not None and bool(entry.flags & MptFlag.FAST_REG)
                and bool(entry.flags & MptFlag.FREE) and entry.pd == qp.context.pd
                and 0 < count <= entry.room and length <= count * PAGE - offset)  # fmt: skip
        told = {V.QUEUE_PAIR: qp.number, V.REGION_KEY: entry.key if entry else key}
        self.tell_key(K.FAST_REG_MR, wanted, not good, what=RegionType.FAST, hca=told)
        if entry is None or not good:
            return False
        data = self.device.read(list_bus, count * 8)
        for i in range(count):
            self.mtts[entry.mtt + i] = int.from_bytes(data[i * 8 : i * 8 + 8], "big")
        self.mpts[key >> 8] = Mpt(MptFlag.FAST_REG, key, entry.pd, access, start, length,
                                  entry.mtt, offset, entry.room)  # fmt: skip
        return True

    def invalidate(self, qp: QueuePair, key: int) -> bool:
        """Take a key out of use by a work request, and tell whether it may be.

        Regions that are registered by work request and windows of type 2 may, of the domain of
        the queue pair, and no region to which windows are bound.
        """
        entry = self.mpts.get(key >> 8)
        kinds = MptFlag.FAST_REG | MptFlag.WINDOW_2A | MptFlag.WINDOW_2B
        good = (entry is not None and entry.key == key and bool(entry.flags & kinds)
                and not entry.flags & MptFlag.FREE and entry.pd == qp.context.pd
                and not self.bound_to(key >> 8))  # fmt: skip
        self.tell_key(K.INVALIDATE_MR, Mpt(key=key), not good)
        if entry is None or not good:
            return False
        entry.flags |= MptFlag.FREE
        self.windows.pop(key >> 8, None)
        return True

    def bound_to(self, index: int) -> int:
        """Return how many windows are bound to a region."""
        return sum(parent == index for parent, _ in self.windows.values())

    def bind(self, qp: QueuePair, values: tuple[int, ...]) -> bool:
        """Bind a window, and tell whether it may be; the values are those of a bind segment."""
        key, region_key, access, kind, addr, length = values
        entry, region = self.mpts.get(key >> 8), self.mpts.get(region_key >> 8)
        good = entry is not None and self._may_bind(qp, entry, region, values)
        wanted = Mpt(0, key, qp.context.pd, access, addr, length)
        told = {V.REGION_KEY: region_key, V.QUEUE_PAIR: qp.number}
        self.tell_key(K.BIND_MW, wanted, not good, what=_TYPES.get(kind, 0), hca=told)
        if entry is None or not good:
            return False
        flags = entry.flags & ~MptFlag.FREE
        if not length:  # bound to nothing
            self.windows.pop(key >> 8, None)
            entry.flags, entry.key = flags | MptFlag.FREE, key
            return True
        assert region is not None
        self.windows[key >> 8] = region_key >> 8, qp.number
        start = 0 if access & Rights.ZERO_BASED else addr
        self.mpts[key >> 8] = Mpt(flags, key, entry.pd, access, start, length, region.mtt,
                                  region.offset + addr - region.start)  # fmt: skip
        return True

    def _may_bind(self, qp: QueuePair, window: Mpt, region: Mpt | None,
                  values: tuple[int, ...]) -> bool:  # fmt: skip
        """Tell whether a bind keeps the rules, by the order of rxe_check_bind_mw()."""
        _, region_key, access, kind, addr, length = values
        flag = _FLAGS.get(kind)
        if flag is None or not window.flags & flag or window.pd != qp.context.pd:
            return False
        if kind != 1 and (not window.flags & MptFlag.FREE or not length):
            return False
        if kind == 1 and access & Rights.ZERO_BASED:
            return False
        if not length:
            return True
        if region is None or region.key != region_key or region.flags & MptFlag.FREE:
            return False
        writes = access & (Rights.REMOTE_WRITE | Rights.REMOTE_ATOMIC)
        return (region.pd == qp.context.pd and bool(region.access & Rights.MW_BIND)
                and not region.access & Rights.ZERO_BASED
                and (not writes or bool(region.access & Rights.LOCAL_WRITE))
                and in_range(region, addr, length))  # fmt: skip


def in_range(entry: Mpt, addr: int, length: int) -> bool:
    """Tell whether a range lies inside a region. No sum can wrap around.

    Source: Linux drivers/infiniband/sw/rxe/rxe_mr.c, mr_check_range().
    """
    if addr < entry.start or length > entry.length:
        return False
    return addr - entry.start <= entry.length - length
