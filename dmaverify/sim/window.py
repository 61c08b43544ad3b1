"""Windows: a mapping or an allocation as a device has it, and its pieces."""

from dataclasses import dataclass, field

from dmaverify.model.kinds import Direction
from dmaverify.sim.bounce import Slot
from dmaverify.sim.iommu import Domain
from dmaverify.sim.memory import Region


@dataclass(slots=True, eq=False)
class Segment:
    """A piece of a window.

    Args:
        bus: bus address of its first byte.
        length: bytes.
        phys: physical address of the memory that is meant.
        target: physical address that the device reaches: the same, or a bounce buffer's.
        slot: the bounce buffer, if there is one.
        region: whose memory it is, if anybody's.
        joined: whether the device is told of it and the piece before it as of one.
    """

    bus: int
    length: int
    phys: int
    target: int
    slot: Slot | None
    region: Region | None
    joined: bool = False


@dataclass(slots=True, eq=False)
class Window:
    """Where a device sees a piece of memory.

    Args:
        device: number of the device.
        direction: which way data may move.
        segments: its pieces, in order.
        coherent: True for memory that CPU and device share at all times.
        live: False once it has ended.
        cleaned: whether caches were looked after when it was made.
        pages: (first bus page, pages) of each range that the IOMMU translates for it.
        bus, length: its first bus address, and its bytes.
        domain: whose addresses these are, None where nothing translates.
    """

    device: int
    direction: Direction
    segments: list[Segment] = field(default_factory=list)
    coherent: bool = False
    live: bool = True
    cleaned: bool = True
    pages: list[tuple[int, int]] = field(default_factory=list)
    bus: int = 0
    length: int = 0
    domain: Domain | None = None

    def slots(self) -> list[Slot]:
        """Return its bounce buffers, each once."""
        if len(self.segments) == 1:
            slot = self.segments[0].slot
            return [] if slot is None else [slot]
        return list({id(s.slot): s.slot for s in self.segments if s.slot is not None}.values())

    def seen(self) -> list[tuple[int, int]]:
        """Return (bus address, bytes) of the pieces as the device is told of them."""
        pieces: list[tuple[int, int]] = []
        for segment in self.segments:
            if segment.joined:
                bus, length = pieces.pop()
                pieces.append((bus, length + segment.length))
            else:
                pieces.append((segment.bus, segment.length))
        return pieces
