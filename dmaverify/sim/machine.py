"""The machine: memory, caches, bus and devices of one platform."""

from dmaverify.errors import SimError
from dmaverify.model.kinds import EventKind
from dmaverify.model.platform import Platform
from dmaverify.sim._move import Cache, Memory
from dmaverify.sim.bus import Bus
from dmaverify.sim.clock import Clock
from dmaverify.sim.common import CommonBuffers
from dmaverify.sim.cpu import Cpu
from dmaverify.sim.device import Device
from dmaverify.sim.effects import Effect, EffectKind, Effects
from dmaverify.sim.memory import PAGE, PAGE_SHIFT, AddressSpace, Region
from dmaverify.sim.tape import Sink, Tape

K = EventKind


class Machine:
    """A machine as a platform describes it.

    Args:
        platform: what lies between devices and memory; one that stands for the machine of a
            recording is taken as it reads, without anything in between.
        sink: is given the events, in batches.
        event_limit: the most events of a run.
        time_limit_ns: the longest run, in virtual time.
        sites: whether events carry the driver's own line.
    """

    def __init__(self, platform: Platform, sink: Sink, *, event_limit: int = 1_000_000,
                 time_limit_ns: int = 3_600_000_000_000, sites: bool = True) -> None:  # fmt: skip
        self.platform = platform
        self.real, self.meant = Memory(), Memory()
        self.cache = None if platform.coherent else Cache(self.real, platform.line_bytes)
        self.space = AddressSpace(self.real, self.meant, self.cache)
        self.clock = Clock(time_limit_ns)
        self.tape = Tape(sink, self.clock, event_limit, sites)
        self.effects = Effects()
        self.bus = Bus(platform, self.real, self.meant, self.space, self.tape, self.effects)
        self.common = CommonBuffers(self.bus, self.space)
        self.cpu = Cpu(self.real, self.meant, self.space, self.bus, self.tape, self.effects)
        self.devices: dict[str, Device] = {}

    def device(self, name: str = "0000:00:04.0") -> Device:
        """Return the device of this name, which is plugged in where it is not there yet."""
        if name not in self.devices:
            number = self.tape.device(name)
            self.devices[name] = Device(name, number, self.bus, self.real, self.meant, self.tape,
                                        self.effects)  # fmt: skip
        return self.devices[name]

    def sleep(self, duration_ns: int) -> None:
        """Let virtual time pass."""
        if duration_ns < 0:
            raise SimError("time does not go back")
        self.clock.advance(duration_ns)

    def tell_memory(self, region: Region) -> None:
        """Record that memory came into use, once for each piece that is in one piece."""
        runs = self.space.runs(region.virt, region.length) or []
        virt = region.virt
        for phys, length in runs:
            self.tape.add(K.MEMORY, device=self.cpu.device, phys_addr=phys, length=length,
                          virt_addr=virt, object=region.kind)  # fmt: skip
            virt += length

    def free_memory(self, region: Region) -> None:
        """Give memory back; whole pages are told, once for each run of them.

        A piece of a page stays with its page, as in the kernel's allocators.
        """
        pages = self.space.free(region)
        at = 0
        while at < len(pages):
            count = 1
            while at + count < len(pages) and pages[at + count] == pages[at] + count:
                count += 1
            self.tape.add(K.MEMORY_FREE, 0, phys_addr=pages[at] << PAGE_SHIFT,
                          length=count << PAGE_SHIFT)  # fmt: skip
            at += count

    def sweep(self) -> None:
        """Look for bytes that were lost, in all memory that is in use and not mapped.

        Nobody has read them yet; whoever does finds something else than was written last.
        """
        mapped = {page for entries in self.bus.live.values() for s, w in entries
                  if not w.coherent for page in _pages(s.phys, s.length)}  # fmt: skip
        for region in list(self.space.regions.values()):
            for phys, length in self.space.runs(region.virt, region.length) or []:
                if not mapped.isdisjoint(_pages(phys, length)):
                    continue
                seen = self._seen(region, phys, length)
                at = self.meant.differs(phys, seen)
                if at >= 0:
                    newest = self.real.differs(phys + at, self.meant.read(phys + at, 1)) < 0
                    self.effects.add(Effect(
                        EffectKind.STALE if newest else EffectKind.LOST, self.tape.records, "",
                        f"the CPU does not see what was written at physical {phys + at:#x}",
                    ))  # fmt: skip
                    break

    def _seen(self, region: Region, phys: int, length: int) -> bytes:
        if self.cache is None or not region.cached:
            return self.real.read(phys, length)
        return self.cache.read(phys, length)


def _pages(phys: int, length: int) -> range:
    return range(phys >> PAGE_SHIFT, (phys + length + PAGE - 1) >> PAGE_SHIFT)
