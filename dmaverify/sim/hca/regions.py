"""Verbs of domains, memory regions and windows."""

import struct
from collections.abc import Sequence

from dmaverify.errors import SimError
from dmaverify.model.kinds import EventKind, HcaObject, HcaValue, RegionType, Rights
from dmaverify.sim.hca.commands import Commands
from dmaverify.sim.hca.layout import Command, CommandStatus, Mpt, MptFlag
from dmaverify.sim.hca.objects import Mr, Mw, MwType, Pd
from dmaverify.sim.hca.pages import MapBy
from dmaverify.sim.memory import PAGE

K = EventKind
EINVAL, ENOMEM, EBUSY = 22, 12, 16

#: Everything that the addresses of a DMA region can be.
ALL = (1 << 64) - 1
FIRST_KEY = 0x26
_WINDOW_FLAGS = {
    MwType.TYPE_1: MptFlag.WINDOW_1,
    MwType.TYPE_2A: MptFlag.WINDOW_2A,
    MwType.TYPE_2B: MptFlag.WINDOW_2B,
}


class Regions(Commands):
    """Registers memory."""

    _domains = 0
    _next_key = FIRST_KEY

    def alloc_pd(self, local_dma: bool = False) -> Pd:
        """Return a protection domain.

        Args:
            local_dma: whether it has a key of all that the device reaches, as a domain of the
                kernel has (`local_dma_lkey`).
        """
        self._domains += 1
        pd = Pd(self._domains)
        self.tell(K.ALLOC_PD, phys_addr=pd.number, hca={HcaValue.FAMILY: self.family.number})
        if local_dma:
            pd.local_dma_lkey = self.get_dma_mr(pd, Rights.LOCAL_WRITE).lkey
        return pd

    def dealloc_pd(self, pd: Pd) -> None:
        """Give a domain back, with its key of all."""
        if pd.local_dma_lkey:
            self.dereg_mr(self._mrs[pd.local_dma_lkey >> 8])
            pd.local_dma_lkey = 0
        self.tell(K.DEALLOC_PD, phys_addr=pd.number)

    # Regions of memory

    def buffer(self, length: int, offset: int = 0) -> int:
        """Return the address of a program's memory.

        Args:
            length: bytes.
            offset: bytes of its first page before it begins.
        """
        return self.pages.memory(length, offset)

    def reg_mr(self, pd: Pd, virt: int, length: int, access: int, *, iova: int | None = None,
               by: MapBy = MapBy.LIST, bus: list[int] | None = None) -> Mr | None:  # fmt: skip
        """Register memory, and return its region; None where it is refused.

        Args:
            pd: the domain.
            virt: its first byte.
            length: bytes.
            access: Rights. ZERO_BASED: addresses by the key begin at 0.
            iova: first address as the key knows it; None for `virt`.
            by: where the bus addresses of its pages come from.
            bus: with MapBy.GIVEN: those addresses, one for each page.
        """
        pages = self.pages.pin(virt, length, by, bus)
        start = 0 if access & Rights.ZERO_BASED else virt if iova is None else iova
        if pages is None:
            self.tell(K.REG_MR, failed=True, bus_addr=start, length=length, phys_addr=pd.number,
                      direction=access, type=RegionType.USER)  # fmt: skip
            return None
        mr = Mr(pd, self.new_key(), start, length, access, RegionType.USER, pages)
        mr.mtt = self.write_mtt(pages.bus)
        self.write_mpt(mr)
        self._mrs[mr.lkey >> 8] = mr
        self.tell_region(K.REG_MR, mr)
        return mr

    def dereg_mr(self, mr: Mr) -> int:
        """End a region, first its key and then its pages; -EBUSY while windows are bound."""
        self.tell(K.DEREG_MR, object=mr.lkey)
        if self.take_mpt_back(mr) is not CommandStatus.OK:
            return -EBUSY
        self.unmap_mr(mr)
        self.forget_mr(mr)
        return 0

    def rereg_mr(self, mr: Mr, virt: int, length: int, access: int) -> None:
        """Give a region other memory and other rights; its key gets another tag."""
        self.tell(K.DEREG_MR, object=mr.lkey)
        self.take_mpt_back(mr)
        self.unmap_mr(mr)
        mr.pages = self.pages.pin(virt, length, MapBy.LIST)
        if mr.pages is None:
            raise SimError("a region can not be mapped anew")
        mr.lkey = mr.lkey & ~0xFF | mr.lkey + 1 & 0xFF
        mr.addr, mr.length, mr.access = virt, length, access
        mr.mtt = self.write_mtt(mr.pages.bus)
        self.write_mpt(mr)
        self.tell_region(K.REREG_MR, mr)

    def get_dma_mr(self, pd: Pd, access: int) -> Mr:
        """Return a region of all that the device reaches, by bus addresses; nothing is checked."""
        mr = Mr(pd, self.new_key(), 0, ALL, access, RegionType.DMA)
        self.write_mpt(mr)
        self._mrs[mr.lkey >> 8] = mr
        self.tell_region(K.REG_MR, mr)
        return mr

    def alloc_mr(self, pd: Pd, max_pages: int) -> Mr:
        """Return a region that a work request can register; see `map_mr_sg` and WrOp.REG_MR."""
        mr = Mr(pd, self.new_key(), type=RegionType.FAST, room=max_pages)
        mr.mtt = self.reserve_mtt(max_pages)
        mr.list_virt, mr.list_bus = self.pages.take_shared(PAGE)
        self.write_mpt(mr)
        self._mrs[mr.lkey >> 8] = mr
        return mr

    def map_mr_sg(self, mr: Mr, bus: Sequence[int], length: int, *, offset: int = 0,
                  iova: int | None = None) -> int:  # fmt: skip
        """Write the page list of a fast registration and return how many pages fit.

        Args:
            mr: of `alloc_mr`.
            bus: bus address of each page, as the mapping call gave them.
            length: bytes of the region.
            offset: bytes of the first page before it.
            iova: its first address; None for the bus address of its first byte.
        """
        count = min(len(bus), mr.room)
        self.write(mr.list_virt, struct.pack(f">{count}Q", *bus[:count]))
        mr.addr = bus[0] + offset if iova is None else iova
        mr.length = min(length, count * PAGE - offset)
        self._lists[mr.lkey >> 8] = offset, count
        self.tell(K.MAP_MR_SG, object=mr.lkey, bus_addr=mr.addr, length=length,
                  sges=[(page, PAGE, 0) for page in bus], hca={HcaValue.MAPPED: count})  # fmt: skip
        return count

    # Windows

    def alloc_mw(self, pd: Pd, mw_type: MwType = MwType.TYPE_2A) -> Mw:
        """Return a window that is not bound; see WrOp.BIND_MW."""
        mw = Mw(pd, mw_type, self.new_key())
        flags = _WINDOW_FLAGS[mw_type] | MptFlag.FREE
        self.command(Command.SW2HW_MPT, mw.rkey >> 8, Mpt(flags, mw.rkey, pd.number).pack())
        self.tell(K.ALLOC_MW, object=mw.rkey, phys_addr=pd.number, type=mw_type.value)
        return mw

    def dealloc_mw(self, mw: Mw) -> None:
        """End a window; where it is bound its key is good no more."""
        if mw.bound:
            self.tell(K.INVALIDATE_MR, object=mw.rkey)
            mw.bound = False
        self.tell(K.DEALLOC_MW, object=mw.rkey)
        self.command(Command.HW2SW_MPT, mw.rkey >> 8)
        self._spare_keys.append(mw.rkey)

    # Steps of the above

    def new_key(self) -> int:
        """Return a key: an index that nobody has, with a tag that it had not last."""
        if self._spare_keys:
            key = self._spare_keys.pop(0)
            return key & ~0xFF | key + 1 & 0xFF
        self._next_key += 1
        return self._next_key - 1 << 8 | 1

    def write_mpt(self, mr: Mr) -> CommandStatus:
        """Give the HCA the entry of a region's key."""
        flags = {RegionType.DMA: MptFlag.PHYSICAL, RegionType.FAST: MptFlag.FAST_REG | MptFlag.FREE}
        entry = Mpt(flags.get(mr.type, 0), mr.lkey, mr.pd.number, mr.access, mr.addr, mr.length,
                    mr.mtt, mr.pages.offset if mr.pages else 0, mr.room)  # fmt: skip
        return self.command(Command.SW2HW_MPT, mr.lkey >> 8, entry.pack())

    def take_mpt_back(self, mr: Mr) -> CommandStatus:
        """Let the HCA give the entry up: from here on it does not use the key."""
        return self.tear_down(HcaObject.MEMORY_REGION, mr.lkey, Command.HW2SW_MPT, mr.lkey >> 8)

    def unmap_mr(self, mr: Mr) -> None:
        """Unmap a region's pages; the program's memory stays."""
        if mr.pages is not None:
            self.pages.unmap(mr.pages)
        if mr.list_virt:
            self.pages.give_shared(PAGE, mr.list_virt, mr.list_bus)
            mr.list_virt = 0

    def forget_mr(self, mr: Mr) -> None:
        """Let the key's index be given again, with another tag."""
        self._mrs.pop(mr.lkey >> 8, None)
        self._spare_keys.append(mr.lkey)

    def tell_region(self, kind: EventKind, mr: Mr, failed: bool = False) -> None:
        """Record a region as it is now."""
        self.tell(kind, failed=failed, object=mr.lkey, bus_addr=mr.addr, length=mr.length,
                  phys_addr=mr.pd.number, direction=mr.access, type=mr.type)  # fmt: skip

    def start_commands(self) -> None:
        """Begin with no key."""
        self._mrs: dict[int, Mr] = {}
        self._lists: dict[int, tuple[int, int]] = {}
        self._spare_keys: list[int] = []
        super().start_commands()
