# cython: language_level=3
"""Mappings whose end may be among the events that were lost."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.mappings cimport mapping_end
from dmaverify.core.shadow cimport (
    GRID_BUS, GRID_PHYS, dv_segment, dv_walk, segment_is_identical, walk_init, walk_next,
)
from dmaverify.core.world cimport dv_mapping, dv_world
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_PHYS_UNKNOWN, SIDE_SG_BUS, SIDE_SG_PHYS, dv_batch, dv_entry, dv_event,
    dv_number, dv_side, event_side, side_entries,
)


cdef void find_stale(dv_world* w, uint32_t device, int grid, bint memory, uint64_t start,
                     uint64_t length, uint32_t* oldest) noexcept nogil:
    """Find the oldest mapping of before the last gap that lies in a range."""
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef dv_mapping* m
    cdef uint32_t s
    walk_init(&walk, &w.shadow, grid, start, length)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        m = &w.mappings[seg.mapping]
        # The bus grid tells of memory only where bus and physical address are the same.
        if m.device == device and m.epoch != w.gaps and \
                not (memory and grid == GRID_BUS and not segment_is_identical(seg)) and \
                (oldest[0] == 0 or m.serial < w.mappings[oldest[0]].serial):
            oldest[0] = seg.mapping
        s = walk_next(&walk)


cdef int retire_range(dv_world* w, uint32_t device, bint memory, uint64_t start, uint64_t length,
                      const dv_event* e, const dv_number* n) noexcept nogil:
    cdef uint32_t stale
    while True:
        stale = 0
        find_stale(w, device, GRID_BUS, memory, start, length, &stale)
        if memory:
            find_stale(w, device, GRID_PHYS, memory, start, length, &stale)
        if stale == 0:
            return 0
        if mapping_end(w, stale, e, n, w.mappings[stale].epoch) < 0:
            return -1
        w.across_gap += 1


cdef int retire_stale(dv_world* w, const dv_batch* b, const dv_event* e,
                      const dv_number* n) noexcept nogil:
    cdef const dv_side* bus = event_side(b, e, SIDE_SG_BUS) if e.side != 0 else NULL
    cdef const dv_side* phys = event_side(b, e, SIDE_SG_PHYS) if e.side != 0 else NULL
    cdef const dv_entry* entries
    cdef uint32_t i
    if bus == NULL or bus.stored == 0:
        if not e.flags & F_BUS_UNKNOWN and \
                retire_range(w, e.device, False, e.bus_addr, e.length, e, n) < 0:
            return -1
        if not e.flags & F_PHYS_UNKNOWN:
            return retire_range(w, e.device, True, e.phys_addr, e.length, e, n)
        return 0
    entries = side_entries(bus)
    for i in range(bus.stored):
        if retire_range(w, e.device, False, entries[i].address, entries[i].length, e, n) < 0:
            return -1
    if phys == NULL:
        return 0
    entries = side_entries(phys)
    for i in range(phys.stored):
        if retire_range(w, e.device, True, entries[i].address, 1, e, n) < 0:
            return -1
    return 0
