"""What the CPU does to memory: reads and writes by virtual address, through its cache."""

from dmaverify.errors import SimError
from dmaverify.model.kinds import EventKind
from dmaverify.sim._move import Memory
from dmaverify.sim.bus import Bus
from dmaverify.sim.clock import ACCESS_NS
from dmaverify.sim.effects import Effect, EffectKind, Effects
from dmaverify.sim.memory import AddressSpace, Run
from dmaverify.sim.stop import driver_place
from dmaverify.sim.tape import Tape

K = EventKind


class Cpu:
    """A processor.

    Args:
        real, meant: the two memories of the machine.
        space: what its virtual addresses mean.
        bus: who else has copies of memory.
        tape, effects: where what happens is told.
    """

    def __init__(self, real: Memory, meant: Memory, space: AddressSpace, bus: Bus, tape: Tape,
                 effects: Effects) -> None:  # fmt: skip
        self._real, self._meant, self._space = real, meant, space
        self._bus, self._tape, self._effects = bus, tape, effects
        self.device = 0  # whose driver runs: accesses are recorded as its

    def write(self, virt: int, data: bytes | bytearray | memoryview) -> None:
        """Write bytes at a virtual address.

        Raises:
            SimError: there is no memory: on a real machine the driver ends here.
        """
        if not data:
            return
        runs = self._runs(virt, len(data), "writes")
        cache = self._space.cache if self._space.is_cached(virt) else None
        whole, done = memoryview(data), 0
        for phys, length in runs:
            part = whole[done : done + length]
            self._tell(K.CPU_WRITE, virt + done, phys, length)
            if cache is None:
                self._real.write(phys, part)
            else:
                cache.write(phys, part)
            self._meant.write(phys, part)
            done += length

    def read(self, virt: int, length: int) -> bytes:
        """Return the bytes at a virtual address, as this machine has them.

        Raises:
            SimError: there is no memory: on a real machine the driver ends here.
        """
        if length <= 0:
            return b""
        runs = self._runs(virt, length, "reads")
        cache = self._space.cache if self._space.is_cached(virt) else None
        parts, done = [], 0
        for phys, count in runs:
            self._tell(K.CPU_READ, virt + done, phys, count)
            part = self._real.read(phys, count) if cache is None else cache.read(phys, count)
            at = self._meant.differs(phys, part)
            if at >= 0:
                self._note(phys, at, count)
            parts.append(part)
            done += count
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _runs(self, virt: int, length: int, verb: str) -> list[Run]:
        runs = self._space.runs(virt, length)
        if runs is None:
            raise SimError(f"the driver {verb} {length} bytes at {virt:#x}, where it has no memory")
        return runs

    def _tell(self, kind: EventKind, virt: int, phys: int, length: int) -> None:
        self._tape.add(kind, ACCESS_NS, device=self.device, virt_addr=virt, phys_addr=phys,
                       length=length)  # fmt: skip

    def _note(self, phys: int, at: int, length: int) -> None:
        """Note that the CPU read something else than what was written there last."""
        kind, text = EffectKind.LOST, "the newest are nowhere any more"
        if self._is_elsewhere(phys + at):
            kind, text = EffectKind.STALE, "newer ones lie where the CPU does not look"
        self._effects.add(Effect(
            kind, self._tape.records, driver_place(),
            f"the CPU reads old bytes at physical {phys + at:#x}, in {length}: {text}",
        ))  # fmt: skip

    def _is_elsewhere(self, phys: int) -> bool:
        """Tell whether some other copy of a byte is the newest."""
        wanted = self._meant.read(phys, 1)
        if self._space.cache is not None and self._real.read(phys, 1) == wanted:
            return True
        for entries in self._bus.live.values():
            for segment, _ in entries:
                offset = phys - segment.phys
                if segment.slot is not None and 0 <= offset < segment.length:
                    return self._real.read(segment.target + offset, 1) == wanted
        return False
