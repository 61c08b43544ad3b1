"""What HCAs have, again, in lists and scans: regions, domains, and the meaning of an access."""

from dataclasses import dataclass, field

from dmaverify.model.kinds import AccessSide, EventKind, Flag, RegionType, Rights, WcStatus
from tests.oracle.nouns import Call

K = EventKind
CHECKED = (
    Rights.LOCAL_WRITE | Rights.REMOTE_WRITE | Rights.REMOTE_READ | Rights.REMOTE_ATOMIC
)  # fmt: skip
BOUNDLESS = (RegionType.DMA, RegionType.NULL)
Value = int | None


@dataclass
class Region:
    """A region under one key, from its registration to its end."""

    key: int
    device: int
    asked: Call
    remote: int | None = None
    ended: bool = False
    accesses: int = 0


@dataclass
class Hcas:
    """All regions that there ever were, in the order in which they were made."""

    regions: list[Region] = field(default_factory=list)
    domains: set[tuple[int, int]] = field(default_factory=set)
    asking: dict[int, Call] = field(default_factory=dict)  # by task
    looked: dict[int, Call] = field(default_factory=dict)  # by task

    def find(self, call: Call, side: int = 0) -> tuple[Region | None, Region | None]:
        """Return the live region that a key names, or the one that ended last under it."""
        mine = [r for r in self.regions if r.device == call.device]
        far = [r for r in mine if r.remote == call.object and side == AccessSide.REMOTE]
        near = [r for r in mine if r.key == call.object]
        found = [*far[-1:], *near[-1:]] if call.object else []
        live = next((r for r in found if not r.ended), None)
        return live, None if live or not found else found[0]

    def access(self, call: Call) -> dict[str, Value]:
        """Return what may be asked about an access, before it."""
        look = self.looked.get(call.site)
        if look and (look.object, look.device) != (call.object, call.device):
            look = None
        pd = call.phys_addr if call.phys_addr is not None or look is None else look.phys_addr
        side = call.type or (look.type if look else 0)
        wanted = self.wanted(call, side)
        live, ended = self.find(call, side)
        others = [
            r for r in self.regions
            if r.device == call.device and r.key >> 8 == call.object >> 8
        ][-1:]  # fmt: skip
        rights = live.asked.direction if live else None
        lacking = None if live is None or wanted is None or rights is None else wanted & ~rights
        status = WcStatus.REM_ACCESS_ERR if side == AccessSide.REMOTE else WcStatus.LOC_PROT_ERR
        return {
            "pd": pd,
            "access": wanted,
            "side": side,
            "live_regions": int(live is not None),
            "ended": None if ended is None else ended.key,
            "stale_tag": int(live is None and call.object > 0 and not all(r.ended for r in others)),
            "pd_born": int(pd is not None and (call.device, pd) in self.domains),
            "missing_rights": lacking,
            "lacking": None if lacking is None else lacking.bit_count(),
            "outside_bytes": self.outside(live, call),
            "expected_status": int(status) if side else None,
            "accesses": live.accesses if live else None,
        }

    def wanted(self, call: Call, side: int) -> Value:
        """Return the rights that an access needs."""
        if call.direction is not None:
            return call.direction & CHECKED
        far = side == AccessSide.REMOTE
        if call.status == 2:
            return int(Rights.REMOTE_WRITE if far else Rights.LOCAL_WRITE)
        if call.status == 1:
            return int(Rights.REMOTE_READ) if far else 0
        return None

    def outside(self, region: Region | None, call: Call) -> Value:
        """Return how many bytes of a range lie outside a region: no byte is counted twice."""
        if region is None or call.bus_addr is None or call.length is None:
            return None
        asked = region.asked
        if asked.bus_addr is None or asked.length is None:
            return None
        if asked.type in BOUNDLESS:
            return 0
        start, end = call.bus_addr, call.bus_addr + call.length
        first, last = asked.bus_addr, asked.bus_addr + asked.length
        inside = max(0, min(end, last) - max(start, first))
        return call.length - inside

    # ---- what changes ----------------------------------------------------------------------------

    def step(self, call: Call) -> None:
        """Replay an event."""
        failed = bool(call.flags & Flag.FAILED)
        if call.kind == K.REG_MR_BEGIN:
            self.asking[call.site] = call
        elif call.kind == K.REG_MR_END:
            asked = self.asking.pop(call.site, Call(K.REG_MR))
            if call.object and call.status >= 0 and not failed:
                self.register(call, asked, call.phys_addr)
        elif call.kind in (K.REG_MR, K.REREG_MR, K.FAST_REG_MR) and call.object and not failed:
            self.register(call, call, None)
        elif call.kind in (K.DEREG_MR, K.INVALIDATE_MR) and not failed:
            live, _ = self.find(call)
            if live:
                live.ended = True
        elif call.kind == K.HCA_ACCESS:
            live, _ = self.find(call, int(self.access(call)["side"] or 0))
            if live:
                live.accesses += 1
            if call.phys_addr is not None:
                self.looked[call.site] = call
        elif call.kind == K.ALLOC_PD and call.phys_addr is not None and not failed:
            self.domains.add((call.device, call.phys_addr))
        elif call.kind == K.DEALLOC_PD and call.phys_addr is not None and not failed:
            self.domains.discard((call.device, call.phys_addr))

    def register(self, call: Call, asked: Call, remote: int | None) -> None:
        """Add a region; what had the key before has ended."""
        for old in self.regions:
            if old.device == call.device and old.key == call.object:
                old.ended = True
        other = remote if remote and remote != call.object else None
        self.regions.append(Region(call.object, call.device, asked, other))
