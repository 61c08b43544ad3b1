"""The nouns of the slow engine: calls, their pieces, mappings, devices, and what is meant."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from dmaverify.model.kinds import MAPPING_ERROR, Arg, Direction, EventKind, Flag, MapType

K = EventKind
TOP = 1 << 64
PAGE = 4096
LINE = 64
MAPS = (K.DMA_MAP, K.DMA_ALLOC)
ENDS = (K.DMA_UNMAP, K.DMA_FREE)
SYNCS = (K.DMA_SYNC_FOR_CPU, K.DMA_SYNC_FOR_DEVICE)


@dataclass(frozen=True)
class Call:
    """One event; None is unknown. The names are those of `EventBatch.add`."""

    kind: EventKind
    time: int = 0
    record: int = 1
    bus_addr: int | None = None
    phys_addr: int | None = None
    length: int | None = None
    direction: int | None = None
    type: int = 0
    device: int = 0
    object: int = 0
    site: int = 0
    cpu: int = 0
    status: int = 0
    flags: int = 0
    virt_addr: int | None = None
    sg_bus: list[tuple[int, int]] | None = None
    sg_phys: list[int] | None = None
    bus_full: int | None = None
    phys_full: int | None = None
    args: dict[Arg, int] | None = None
    sges: list[tuple[int, int, int]] | None = None
    hca: list[tuple[int, int]] | None = None  # (HcaValue, value)

    @property
    def failed(self) -> bool:
        """Return True if the call failed, or names what a failed mapping returns."""
        return bool(self.flags & Flag.FAILED) or self.bus_addr == MAPPING_ERROR

    def beside(self, what: int) -> int | None:
        """Return a number that an HCA's event has beside its row, None where it has none."""
        return next((value for name, value in self.hca or [] if name == what), None)

    @property
    def listed(self) -> int:
        """Return how many entries the caller's list has, stored or not."""
        assert self.sg_phys is not None
        return len(self.sg_phys) if self.phys_full is None else self.phys_full

    @property
    def seen(self) -> int:
        """Return how many segments the device sees, stored or not."""
        assert self.sg_bus is not None
        return len(self.sg_bus) if self.bus_full is None else self.bus_full

    @property
    def pieces(self) -> "list[Piece]":
        """Return the segments that the call maps."""
        if not self.sg_bus:
            length = self.length or 0
            return [Piece(self.bus_addr, length, self.phys_addr if length else None)]
        paired = self.sg_phys if self.sg_phys is not None and self.listed == self.seen else []
        phys = [*paired, *[None] * len(self.sg_bus)]
        return [Piece(a, n, p if n else None) for (a, n), p in zip(self.sg_bus, phys, strict=False)]


@dataclass(frozen=True)
class Piece:
    """One segment: bytes of the bus, and of memory where that is known."""

    start: int | None
    length: int
    phys: int | None

    def touches(self, start: int, length: int) -> bool:
        """Return True if it shares a byte of the bus; nothing at all still has a place."""
        return self.start is not None and meet(self.start, self.length, start, length)

    def remembers(self, start: int, length: int) -> bool:
        """Return True if it shares a byte of memory."""
        return self.phys is not None and meet(self.phys, self.length, start, length)


def meet(a: int, a_length: int, b: int, b_length: int) -> bool:
    """Return True if two ranges share a place; an empty one is where it begins."""
    return a < b + max(b_length, 1) and b < a + max(a_length, 1)


@dataclass(eq=False)
class Mapping:
    """A mapping, live or ended: the call that made it, and what became of it."""

    call: Call
    serial: int
    epoch: int
    pieces: list[Piece]
    bounced: bool = False
    translated: bool = False  # the IOMMU had its first page when it was made
    ambiguous: bool = False
    syncs: int = 0
    transfers: int = 0
    stale: set[tuple[int, int]] = field(default_factory=set)  # (piece, byte): the CPU's is old
    unsent: set[tuple[int, int]] = field(default_factory=set)  # the device's is old
    beside: set[tuple[int, int]] = field(default_factory=set)  # written in its lines, not in it
    owned: list[list[tuple[int, int]]] = field(default_factory=list)  # by the device, per piece
    open: list[Call] = field(default_factory=list)  # transfers that have begun
    unsynced_reads: int = 0
    command: Any = None  # the one that it was made for (oracle.commands)
    freed: Call | None = None  # where memory of it was given back
    ended: Call | None = None
    named: bool = True  # an unmap of its list would find it

    @property
    def device(self) -> int:
        """Return its device."""
        return self.call.device

    @property
    def truncated(self) -> bool:
        """Return True if its list has more entries than were recorded."""
        return bool(self.call.flags & Flag.TRUNCATED)

    @property
    def direction(self) -> int | None:
        """Return its direction if that is one."""
        known = self.call.direction
        return known if known is not None and known <= Direction.NONE else None

    @property
    def list(self) -> list[int]:
        """Return the physical addresses by which an unmap names it; empty for no list."""
        return self.call.sg_phys or [] if self.call.type == MapType.SG else []

    @property
    def count(self) -> int:
        """Return how many entries the caller passed."""
        named = self.call.type == MapType.SG and self.call.sg_phys is not None
        return self.call.listed if named else 1

    @property
    def remembered(self) -> bool:
        """Return True if an address or a list still leads to it, ended as it is."""
        if self.list:
            return self.named or any(p.start is not None for p in self.pieces)
        return bool(self.pieces)

    @property
    def whole_pages(self) -> bool:
        """Return True if it is made of whole pages."""
        return all(
            p.start is not None and p.length and p.start % PAGE == p.length % PAGE == 0
            for p in self.call.pieces
        )

    def offset(self, piece: Piece, address: int) -> int:
        """Return how many of its bytes come before an address that is in one of its pieces."""
        assert piece.start is not None
        before = self.pieces[: self.pieces.index(piece)]
        return sum(p.length for p in before) + address - piece.start

    def run(self, piece: Piece) -> int:
        """Return where the bytes end that lie side by side from a piece on."""
        assert piece.start is not None
        end = piece.start + piece.length
        for after in self.pieces[self.pieces.index(piece) + 1 :]:
            if after.start != end:
                break
            end += after.length
        return end


@dataclass
class Device:
    """What is known of a device: counts by name, and what it says about itself."""

    counts: Counter[str] = field(default_factory=Counter)
    limits: dict[str, int] = field(default_factory=dict)
    inferred: bool = False  # its DMA mask is that of a bounce
    probe_seen: bool = False
    probe_epoch: int = 0
    iommu_seen: bool = False
    bounced_at: int | None = None


@dataclass
class Meaning:
    """What an event means: mappings by role, and numbers by the names of the fields."""

    call: Call
    roles: dict[str, Mapping] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)
    count: int = 1
    may_predate: bool = False
    across_gap: bool = False


def agree(a: int | None, b: int | None) -> bool:
    """Return True unless both are known and differ."""
    return a is None or b is None or a == b


def inside(a: Piece, b: Piece) -> bool:
    """Return True if a place lies wholly in another."""
    if a.start is None or b.start is None or not a.touches(b.start, b.length):
        return False
    return b.start <= a.start and a.start + a.length <= b.start + b.length


def preference(m: Mapping, device: int) -> tuple[bool, bool, bool, bool]:
    """Return which of several mappings that share memory is named: the one most likely wrong."""
    call = m.call
    registered = (
        call.type == MapType.SG and (call.direction or 0) == Direction.BIDIRECTIONAL
        and m.whole_pages
    )  # fmt: skip
    quiet = call.flags & (Flag.SKIP_SYNC | Flag.MMIO)
    return (
        m.device == device,
        (call.direction or 0) != Direction.TO_DEVICE,
        not quiet,
        not registered,
    )
