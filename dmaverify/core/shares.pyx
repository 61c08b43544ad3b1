# cython: language_level=3
"""What a new mapping shares its memory, its cache lines and its addresses with."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.context cimport (
    OBJ_ENCLOSING, OBJ_NEIGHBOUR, OBJ_OVERLAP, PAGE, dv_context, first_count,
)
from dmaverify.core.shadow cimport (
    GRID_BUS, GRID_MEMORY, GRID_PHYS, dv_segment, dv_walk, segment_is_identical, walk_init,
    walk_next,
)
from dmaverify.core.translations cimport iommu_is_live, iommu_removed
from dmaverify.core.world cimport MARK_AMBIGUOUS, MARK_IOMMU, MARK_WHOLE_PAGES, dv_mapping, dv_world
from dmaverify.model.events cimport (
    DIR_BIDIRECTIONAL, DIR_TO_DEVICE, F_BUS_UNKNOWN, F_LENGTH_UNKNOWN, F_MMIO, F_PHYS_UNKNOWN,
    F_SKIP_SYNC, SIDE_SG_BUS, SIDE_SG_PHYS, TYPE_SG, dv_entry, dv_event, dv_side, event_side,
    side_entries,
)

cdef uint64_t LINE = 64  # bytes of a cache line, where the recording does not say


cdef int preference(const dv_mapping* m, uint32_t device) noexcept nogil:
    """Of several mappings that share memory, tell the one worth naming first."""
    cdef int score = 1
    if m.device == device:
        score += 8
    if m.direction != DIR_TO_DEVICE:
        score += 4
    if not m.flags & (F_SKIP_SYNC | F_MMIO):
        score += 2
    if not (m.type == TYPE_SG and m.direction == DIR_BIDIRECTIONAL and m.marks & MARK_WHOLE_PAGES):
        score += 1
    return score


cdef void take_newer(dv_context* c, int obj, uint32_t index, int score, int* best) noexcept nogil:
    """Keep the better one; of two that are equal, the newer."""
    cdef uint32_t held = c.meant[obj]
    if score > best[0] or (score == best[0] and
                           c.world.mappings[index].serial > c.world.mappings[held].serial):
        c.meant[obj] = index
        best[0] = score


cdef void overlap_grid(dv_context* c, int grid, uint64_t phys, uint64_t length, int* best,
                       int* best_line) noexcept nogil:
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef dv_mapping* m
    cdef uint32_t s
    cdef int score
    cdef uint64_t start = phys & ~(LINE - 1)
    cdef uint64_t end = (phys + length + LINE - 1) & ~(LINE - 1)
    walk_init(&walk, &w.shadow, grid, start, end - start)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        m = &w.mappings[seg.mapping]
        # The bus grid tells of memory only where bus and physical address are the same.
        if m.marks & MARK_AMBIGUOUS or (grid == GRID_BUS and not segment_is_identical(seg)):
            s = walk_next(&walk)
            continue
        score = preference(m, c.device)
        # As a difference: an absurd length would carry a sum past the top.
        if phys - seg.phys < seg.phys_length if phys >= seg.phys else seg.phys - phys < length:
            if first_count(c, m):
                c.overlaps += 1
            take_newer(c, OBJ_OVERLAP, seg.mapping, score, best)
        else:
            take_newer(c, OBJ_NEIGHBOUR, seg.mapping, score, best_line)
        s = walk_next(&walk)


cdef void overlap_range(dv_context* c, uint64_t phys, uint64_t length, int* best,
                        int* best_line) noexcept nogil:
    cdef uint64_t end = (phys + length + LINE - 1) & ~(LINE - 1)
    if length == 0 or phys + length < phys or end < phys:
        return
    overlap_grid(c, GRID_PHYS, phys, length, best, best_line)
    if c.world.shadow.identical != 0:
        overlap_grid(c, GRID_BUS, phys, length, best, best_line)


cdef void find_translated(dv_context* c) noexcept nogil:
    """Find a mapping of the device at whose pages the IOMMU has just put another.

    An unmap may be logged later than the map that reuses its address, but the IOMMU's own
    removal is not: it explains the older mapping. Source: Linux drivers/iommu/dma-iommu.c,
    __iommu_dma_unmap(); kernel/dma/mapping.c, dma_unmap_page_attrs().
    """
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef const dv_mapping* m
    cdef uint64_t start = c.event.bus_addr & ~(PAGE - 1)
    cdef uint64_t last, length = c.event.length
    cdef const dv_side* bus = \
        event_side(c.batch, c.event, SIDE_SG_BUS) if c.event.side != 0 else NULL
    cdef uint32_t s
    cdef int best = 0
    if bus != NULL and bus.stored != 0:
        length = side_entries(bus)[0].length
    last = c.event.bus_addr + (length - 1 if length != 0 else 0)
    if last < c.event.bus_addr:
        last = ~<uint64_t>0
    walk_init(&walk, &w.shadow, GRID_BUS, start, (last | (PAGE - 1)) - start + 1)
    s = walk_next(&walk)
    while s != 0:
        m = &w.mappings[w.shadow.segments[s].mapping]
        if m.device == c.device and m.marks & MARK_IOMMU and \
                iommu_removed(w, m.bus_addr) <= 0:
            take_newer(c, OBJ_ENCLOSING, w.shadow.segments[s].mapping, 1, &best)
        s = walk_next(&walk)


cdef void resolve_map(dv_context* c) noexcept nogil:
    """Measure the new mapping's segments and find whose memory it shares."""
    cdef const dv_event* e = c.event
    cdef const dv_side* bus = event_side(c.batch, e, SIDE_SG_BUS) if e.side != 0 else NULL
    cdef const dv_side* phys = event_side(c.batch, e, SIDE_SG_PHYS) if e.side != 0 else NULL
    cdef const dv_entry* b
    cdef const dv_entry* p
    cdef uint32_t i
    cdef int best = 0, best_line = 0
    c.world.counts += 1
    if phys != NULL:
        c.count = phys.full
    # After a loss nobody knows what the IOMMU removed.
    if c.world.devices[c.device].iommu_seen and c.world.gaps == 0 and \
            not e.flags & F_BUS_UNKNOWN and iommu_is_live(c.world, e.bus_addr):
        find_translated(c)
    if bus != NULL and bus.stored != 0:
        b = side_entries(bus)
        p = side_entries(phys) if phys != NULL and phys.full == bus.full else NULL
        for i in range(bus.stored):
            if b[i].length > c.longest:
                c.longest = b[i].length
            if b[i].length != 0:
                c.crossing |= b[i].address ^ (b[i].address + (b[i].length - 1))
            if p != NULL and i < phys.stored:
                overlap_range(c, p[i].address, b[i].length, &best, &best_line)
        return
    if e.flags & (F_LENGTH_UNKNOWN | F_BUS_UNKNOWN):
        return
    c.longest = e.length
    if e.length != 0:
        c.crossing = e.bus_addr ^ (e.bus_addr + (e.length - 1))
    if not e.flags & F_PHYS_UNKNOWN:
        overlap_range(c, e.phys_addr, e.length, &best, &best_line)


cdef void resolve_memory(dv_context* c, uint64_t phys, uint64_t length) noexcept nogil:
    """Tell what kind of memory a physical range lies in, where the recording names it."""
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef uint64_t lowest = ~<uint64_t>0
    cdef uint32_t s
    walk_init(&walk, &c.world.shadow, GRID_MEMORY, phys, length)
    s = walk_next(&walk)
    while s != 0:
        seg = &c.world.shadow.segments[s]
        if seg.start <= lowest:  # what it begins in, or meets first
            lowest = seg.start
            c.memory = seg.mapping
        s = walk_next(&walk)
