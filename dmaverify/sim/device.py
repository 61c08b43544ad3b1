"""A bus master: it reads and writes memory by bus addresses, as far as the platform lets it."""

from dataclasses import dataclass
from enum import Enum

from dmaverify.errors import SimError
from dmaverify.model.kinds import Direction, EventKind
from dmaverify.sim._move import Memory
from dmaverify.sim.bus import Bus
from dmaverify.sim.clock import ACCESS_NS
from dmaverify.sim.effects import Effect, EffectKind, Effects
from dmaverify.sim.memory import PAGE
from dmaverify.sim.stop import driver_place
from dmaverify.sim.tape import Tape
from dmaverify.sim.window import Segment, Window

K = EventKind


@dataclass(slots=True)
class Piece:
    """A part of an access that lies in one page and one segment.

    Args:
        bus: its first bus address.
        length: bytes.
        phys: where the device gets to.
        meant: where the driver meant it to get to; None: nobody meant it.
        right: whether `phys` is where `meant` is reached on this machine.
    """

    bus: int
    length: int
    phys: int
    meant: int | None
    right: bool


@dataclass(slots=True)
class Transfer:
    """Work that a device was told to do.

    Args:
        number: its number, from 1, as recorded.
        bus: bus address that the device was given.
        length: bytes.
        direction: TO_DEVICE: the device reads memory.
        completed: whether the device has said that it is done.
        cancelled: whether it was told to stop before it did anything.
        window: what it was told of, None where nothing was mapped there.
    """

    number: int
    bus: int
    length: int
    direction: Direction
    completed: bool = False
    cancelled: bool = False
    window: Window | None = None


class DeviceFault(Enum):
    """What a broken device does in one transfer. The number is the fault's `amount`."""

    OVERRUN = "overrun"  # so many bytes more than it was told
    UNDERRUN = "underrun"  # so many bytes fewer, and says that it is done
    LATE = "late"  # says that it is done, and moves the bytes when `catch_up` is called
    WRONG_ADDRESS = "wrong-address"  # so many bytes off
    LOST_COMPLETION = "lost-completion"  # moves the bytes, and never says so


class Device:
    """A device.

    Args:
        name: as events name it.
        number: its number on the tape.
        bus: what it is attached to.
        real, meant: the two memories of the machine.
        tape, effects: where what happens is told.
    """

    def __init__(self, name: str, number: int, bus: Bus, real: Memory, meant: Memory,
                 tape: Tape, effects: Effects) -> None:  # fmt: skip
        self.name, self.number = name, number
        self.errors = 0  # accesses of it that were refused
        self._bus, self._real, self._meant = bus, real, meant
        self._tape, self._effects = tape, effects
        self._transfers = 0
        self._faults: list[tuple[DeviceFault, int]] = []
        self._late: list[tuple[Transfer, bytes]] = []
        self._open: list[Transfer] = []

    def registers(self, pages: int = 1) -> int:
        """Return the physical address of registers of this device that others can reach."""
        return self._bus.registers(pages)

    def break_next(self, fault: DeviceFault, amount: int = 0) -> None:
        """Let the next transfer that is finished go wrong; several wait in a row."""
        self._faults.append((fault, amount))

    def catch_up(self) -> None:
        """Let the device do what it is late with."""
        late, self._late = self._late, []
        for transfer, data in late:
            self._move(transfer.bus, transfer.length, transfer, data)

    def start(self, bus: int, length: int, direction: Direction) -> Transfer:
        """Tell the device to begin a transfer; it does nothing before `finish`."""
        self._transfers += 1
        found = self._bus.segment_at(self.number, bus)
        transfer = Transfer(self._transfers, bus, length, direction,
                            window=found[1] if found else None)  # fmt: skip
        self._tape.add(K.DEV_START, device=self.number, bus_addr=bus, length=length,
                       direction=direction, object=transfer.number)  # fmt: skip
        self._open.append(transfer)
        return transfer

    def cancel(self) -> None:
        """Stop every transfer that was begun and is not done: it will move no bytes."""
        for transfer in self._open:
            transfer.cancelled = True
        self._open, self._late = [], []

    def finish(self, transfer: Transfer, data: bytes = b"") -> bytes:
        """Let the device do a transfer, and return what it read.

        Args:
            transfer: what `start` gave.
            data: what it writes; at most the transfer's length, and zeros where it is shorter.
        """
        if len(data) > transfer.length:
            raise SimError(f"a transfer of {transfer.length} bytes is given {len(data)}")
        if transfer.cancelled:
            return b""
        if transfer in self._open:
            self._open.remove(transfer)
        fault, amount = self._faults.pop(0) if self._faults else (None, 0)
        transfer.completed = fault is not DeviceFault.LOST_COMPLETION
        bus, length = transfer.bus, transfer.length
        if fault is DeviceFault.LATE:
            self._late.append((transfer, data))
            return b""
        if fault is DeviceFault.OVERRUN:
            length += amount
        elif fault is DeviceFault.UNDERRUN:
            length = max(0, length - amount)
        elif fault is DeviceFault.WRONG_ADDRESS:
            bus += amount
        return self._move(bus, length, transfer, data)

    def _move(self, bus: int, length: int, transfer: Transfer, data: bytes) -> bytes:
        if not length:
            return b""
        self._look_for_another(bus, transfer)
        if transfer.direction is Direction.TO_DEVICE:
            return self.read(bus, length, transfer.number)
        self.write(bus, data[:length].ljust(length, b"\0"), transfer.number)
        return b""

    def _look_for_another(self, bus: int, transfer: Transfer) -> None:
        """Note it where a transfer comes late, and another buffer lies at its address by now.

        Nothing on the bus tells the two apart: only who told the device knows what was meant.
        """
        now, told = self._bus.segment_at(self.number, bus), transfer.window
        if now is not None and told is not None and not told.live and now[1] is not told:
            self._effects.add(Effect(
                EffectKind.FOREIGN, self._tape.records, driver_place(),
                f"{self.name} is late with {transfer.length} bytes at bus {bus:#x}: the buffer that"
                f" it was told of is gone, and another one is there",
            ))  # fmt: skip

    def write(self, bus: int, data: bytes | bytearray | memoryview, transfer: int = 0) -> bool:
        """Write memory, and tell whether all of it was let through."""
        _check(bus, len(data))
        pieces = self._pieces(bus, len(data), write=True)
        done = self._tell(K.DEV_WRITE, Direction.FROM_DEVICE, bus, len(data), pieces, transfer)
        view = memoryview(data)
        for piece in pieces:
            part = view[piece.bus - bus : piece.bus - bus + piece.length]
            backed = self._real.backed(piece.phys, piece.length)
            if backed:
                self._real.write(piece.phys, part)
            else:
                self._note(EffectKind.LOST, "writes", piece, "there is no memory")
            if piece.meant is not None:
                self._meant.write(piece.meant, part)
            if backed and not piece.right:
                self._note(EffectKind.FOREIGN, "writes", piece, "that is not meant for it")
        return done == len(data)

    def read(self, bus: int, length: int, transfer: int = 0) -> bytes:
        """Return what the device reads from memory; all ones where it is refused."""
        _check(bus, length)
        pieces = self._pieces(bus, length, write=False)
        self._tell(K.DEV_READ, Direction.TO_DEVICE, bus, length, pieces, transfer)
        parts = []
        for piece in pieces:
            if not self._real.backed(piece.phys, piece.length):
                self._note(EffectKind.FOREIGN, "reads", piece, "there is no memory")
                parts.append(b"\xff" * piece.length)
                continue
            part = self._real.read(piece.phys, piece.length)
            if not piece.right:
                self._note(EffectKind.FOREIGN, "reads", piece, "that is not meant for it")
            elif piece.meant is not None and self._meant.differs(piece.meant, part) >= 0:
                self._note(EffectKind.STALE, "reads", piece, "newer bytes lie elsewhere")
            parts.append(part)
        found = parts[0] if len(parts) == 1 else b"".join(parts)
        return found if len(found) == length else found.ljust(length, b"\xff")

    def _pieces(self, bus: int, length: int, *, write: bool) -> list[Piece]:
        """Return the parts of an access up to the first that is refused."""
        pieces: list[Piece] = []
        at, left, first = bus, length, self._bus.segment_at(self.number, bus)
        while left > 0:
            count = min(left, PAGE - (at & (PAGE - 1)))
            found = first if at == bus else self._bus.segment_at(self.number, at)
            if found is not None:
                count = min(count, found[0].bus + found[0].length - at)
            else:
                count = min(count, self._room_before_next(at, count))
            phys = self._bus.translate(self.number, at, write)
            if phys is None:
                break
            if found is not None:
                segment = found[0]
                meant: int | None = segment.phys + at - segment.bus
                right = phys == segment.target + at - segment.bus
            else:
                meant = self._wish(at, count, bus)
                right = phys == meant
            pieces.append(Piece(at, count, phys, meant, right))
            at += count
            left -= count
        return pieces

    def _room_before_next(self, at: int, count: int) -> int:
        starts = [s.bus for s, _ in self._bus.live.get(at // PAGE, ()) if s.bus > at]
        return min([count, *(start - at for start in starts)])

    def _wish(self, at: int, count: int, bus: int) -> int | None:
        """Return the memory that an access outside of every window was meant for, if any.

        Three wishes can be told: a window that has ended, while its memory is still there; the
        rest of the buffer that a window shows a part of; a physical address as it is.
        """
        ended = self._bus.ended.get(at // PAGE)
        if ended is not None and ended[1].device == self.number:
            segment = ended[0]
            if segment.bus <= at and at + count <= segment.bus + segment.length:
                gone = segment.region is not None and not segment.region.live
                return None if gone else segment.phys + at - segment.bus
        near = self._bus.segment_at(self.number, bus) or self._beside(at)
        if near is not None:
            wish = near[0].phys + at - near[0].bus
            region = near[0].region
        else:
            wish = at
            region = self._bus.space.region_at(at)
        if region is None or not region.live:
            return None
        same = self._bus.space.region_at(wish), self._bus.space.region_at(wish + count - 1)
        return wish if same == (region, region) else None

    def _beside(self, at: int) -> tuple[Segment, Window] | None:
        """Return a window of this device that lies in the page of an address, if any."""
        entries = self._bus.live.get(at // PAGE, ())
        return next(((s, w) for s, w in entries if w.device == self.number), None)

    def _tell(self, kind: EventKind, direction: Direction, bus: int, length: int,
              pieces: list[Piece], transfer: int) -> int:  # fmt: skip
        """Record what was done and what was refused, and return the bytes done."""
        if pieces:
            done = sum(p.length for p in pieces)
            self._tape.add(kind, ACCESS_NS, device=self.number, bus_addr=bus, length=done,
                           direction=direction, object=transfer)  # fmt: skip
        else:
            done = 0
        if done < length:
            self.errors += 1
            guest, why = self._bus.refusal(self.number, bus + done, kind is K.DEV_WRITE)
            self._tape.add(K.DEV_FAULT, ACCESS_NS, device=self.number, bus_addr=bus + done,
                           length=length - done, direction=direction, phys_addr=guest)  # fmt: skip
            self._effects.add(Effect(
                EffectKind.FAULT, self._tape.records, driver_place(),
                f"{self.name}: access to bus {bus + done:#x} refused: {why}",
            ))  # fmt: skip
        return done

    def _note(self, kind: EffectKind, verb: str, piece: Piece, why: str) -> None:
        self._effects.add(Effect(
            kind, self._tape.records, driver_place(),
            f"{self.name} {verb} {piece.length} bytes at bus {piece.bus:#x}, physical"
            f" {piece.phys:#x}{self._bus.behind(piece.phys)}: {why}",
        ))  # fmt: skip


def _check(bus: int, length: int) -> None:
    if not isinstance(bus, int) or bus < 0 or length <= 0 or bus + length > 1 << 64:
        raise SimError(f"a device is told to reach {length} bytes at {bus!r}: no bus address")
