# cython: language_level=3
"""What kind of memory a physical range is of, and what went back to the system."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.shadow cimport (
    GRID_BUS, GRID_MEMORY, GRID_PHYS, dv_segment, dv_walk, segment_free, segment_link,
    segment_new, segment_unlink, walk_init, walk_next,
)
from dmaverify.core.translations cimport iommu_removed
from dmaverify.core.world cimport MARK_FREED, REGIONS_MAX, dv_mapping, dv_world, place_of
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_LENGTH_UNKNOWN, F_PHYS_UNKNOWN, TYPE_SG, TYPE_SINGLE, dv_event, dv_number,
)


cdef void memory_forget(dv_world* w, uint64_t phys, uint64_t length) noexcept nogil:
    cdef dv_walk walk
    cdef uint32_t old = 1
    while old != 0 and w.regions != 0:
        walk_init(&walk, &w.shadow, GRID_MEMORY, phys, length)
        old = walk_next(&walk)
        if old != 0:
            segment_unlink(&w.shadow, old, False)
            segment_free(&w.shadow, old)
            w.regions -= 1


cdef int memory_freed(dv_world* w, const dv_event* e, const dv_number* n) noexcept nogil:
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef dv_mapping* m
    cdef uint32_t s
    cdef int grid
    if e.flags & (F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN) or e.length == 0:
        return 0
    memory_forget(w, e.phys_addr, e.length)
    for grid in range(GRID_BUS, GRID_PHYS + 1):
        walk_init(&walk, &w.shadow, grid, e.phys_addr, e.length)
        s = walk_next(&walk)
        while s != 0:
            seg = &w.shadow.segments[s]
            m = &w.mappings[seg.mapping]
            # What the IOMMU has removed is unmapped; its line is late.
            if (grid == GRID_PHYS or (seg.phys == seg.start and seg.phys_length != 0)) and \
                    (m.type == TYPE_SINGLE or m.type == TYPE_SG) and \
                    not m.marks & MARK_FREED and \
                    (m.flags & F_BUS_UNKNOWN or iommu_removed(w, m.bus_addr) <= 0):
                m.marks |= MARK_FREED
                m.ended = place_of(e, n)
            s = walk_next(&walk)
    return 0


cdef int memory_add(dv_world* w, uint64_t phys, uint64_t length, uint32_t kind) noexcept nogil:
    cdef uint32_t s
    if length == 0:
        return 0
    memory_forget(w, phys, length)
    if w.regions >= REGIONS_MAX:
        return 0
    s = segment_new(&w.shadow)
    if s == 0:
        return -1
    w.shadow.segments[s].start = phys
    w.shadow.segments[s].length = length
    w.shadow.segments[s].mapping = kind
    w.regions += 1
    return segment_link(&w.shadow, s, GRID_MEMORY)
