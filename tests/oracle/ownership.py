"""Who owns which bytes of a mapping, and what the CPU wrote in its lines: sets and intervals."""

from collections.abc import Iterator

from dmaverify.model.kinds import Direction, EventKind, Flag, MapType
from tests.oracle.nouns import LINE, TOP, Call, Mapping, Piece

K = EventKind
FOLLOWED = (1 << 18) * LINE  # bytes from the start of a piece's first line
HIGHEST = TOP - 128  # no memory reaches the last lines of all
Range = tuple[int, int, int]  # piece, first byte, end


def first_byte(piece: Piece) -> int:
    """Return where a piece begins in its first line."""
    return (piece.phys if piece.phys is not None else piece.start or 0) % LINE


def lines_up(address: int) -> int:
    """Return the end of the line that an address is in, or is the end of."""
    return -(-address // LINE) * LINE


def lines_of(piece: Piece, first: int, end: int) -> tuple[int, int]:
    """Return the offsets between which the whole lines of some bytes of a piece lie."""
    before = first_byte(piece)
    return (before + first) // LINE * LINE - before, lines_up(before + end) - before


# ---- ownership -------------------------------------------------------------------------------


def owned(m: Mapping) -> list[list[tuple[int, int]]]:
    """Return the intervals of each piece that the device owns."""
    if not m.owned:
        mine = m.call.flags & Flag.SKIP_SYNC or m.call.type >= MapType.COHERENT
        m.owned = [[] if mine else [(0, p.length)] for p in m.pieces]
    return m.owned


def give(m: Mapping, ranges: list[Range], to_cpu: bool) -> None:
    """Give ranges of a mapping to one side; in a piece of which it has a part, what is followed."""
    for i, first, end in ranges:
        piece, now = m.pieces[i], owned(m)[i]
        if first == 0 and end >= piece.length:
            owned(m)[i] = [] if to_cpu else [(0, piece.length)]
        elif now != ([] if to_cpu else [(0, piece.length)]):
            now = cut(now, first, end) if to_cpu else [*cut(now, first, end), (first, end)]
            limit = FOLLOWED - first_byte(piece)
            owned(m)[i] = [(a, min(z, limit)) for a, z in now if a < min(z, limit)]


def cut(intervals: list[tuple[int, int]], first: int, end: int) -> list[tuple[int, int]]:
    """Return intervals without what lies in another."""
    parts = [(a, min(z, first)) for a, z in intervals] + [(max(a, end), z) for a, z in intervals]
    return [(a, z) for a, z in parts if a < z]


def device_owns(m: Mapping, ranges: list[Range]) -> int:
    """Count the bytes of ranges that the device owns."""
    return sum(
        max(0, min(z, end) - max(a, first)) for i, first, end in ranges for a, z in owned(m)[i]
    )


# ---- lines -----------------------------------------------------------------------------------


def beside(piece: Piece) -> Iterator[int]:
    """Give the addresses in a piece's first and last line that are not in the piece."""
    if piece.phys is None or piece.phys >= HIGHEST or piece.length >= HIGHEST - piece.phys:
        return
    end = piece.phys + piece.length
    yield from range(piece.phys - first_byte(piece), piece.phys)
    if lines_up(end) - (piece.phys - first_byte(piece)) <= FOLLOWED:
        yield from range(end, lines_up(end))


def write_beside(m: Mapping, start: int, length: int) -> None:
    """Note what the CPU wrote in the lines of a mapping's pieces, but not in them."""
    if lines_up(start + length) >= TOP:
        return
    for i, piece in enumerate(m.pieces):
        for address in beside(piece):
            if start <= address < start + length and piece.phys is not None:
                m.beside.add((i, address - piece.phys))


def dirty_beside(m: Mapping, ranges: list[Range]) -> set[tuple[int, int]]:
    """Return what the CPU wrote outside of the pieces, in the lines of some ranges."""
    spans = [(i, *lines_of(m.pieces[i], first, end)) for i, first, end in ranges if first < end]
    return {(i, b) for i, b in m.beside for j, a, z in spans if i == j and a <= b < z}


def dirty_lines(m: Mapping, ranges: list[Range]) -> int:
    """Count what the CPU wrote in the lines of some ranges."""
    spans = [(i, *lines_of(m.pieces[i], first, end)) for i, first, end in ranges]
    inside = {(i, b) for i, b in m.unsent for j, a, z in spans if i == j and a <= b < z}
    return len(inside) + len(dirty_beside(m, ranges))


def overwrites(call: Call, m: Mapping) -> bool:
    """Return True if a sync or an unmap brings bytes of the device into memory."""
    if call.kind == K.DMA_SYNC_FOR_CPU:
        return call.direction != Direction.TO_DEVICE
    direction = m.direction if call.direction is None else call.direction
    both = (Direction.FROM_DEVICE, Direction.BIDIRECTIONAL)
    return call.kind == K.DMA_UNMAP and direction in both and not call.flags & Flag.SKIP_SYNC


# ---- transfers -------------------------------------------------------------------------------


def end_transfer(m: Mapping, call: Call) -> None:
    """End the transfer that an access completes: by number, else by address, else the oldest."""

    def score(begun: Call) -> int:
        if call.object and begun.object == call.object:
            return 2
        return int(begun.bus_addr == call.bus_addr)

    if m.open:
        m.open.remove(max(m.open, key=score))


def under_way(m: Mapping, direction: Direction, start: int, length: int) -> bool:
    """Return True if a transfer in a direction shares a byte with a range."""
    return any(
        begun.direction == direction
        and begun.length and length
        and begun.bus_addr is not None
        and begun.bus_addr < start + length
        and start < begun.bus_addr + begun.length
        for begun in m.open
    )  # fmt: skip
