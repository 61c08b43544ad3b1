# cython: language_level=3
"""Whose bytes are newest, and whose turn it is: the parts of a mapping that an event is about."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.coherence cimport (
    LINE_BYTES, OWNER_CPU, OWNER_DEVICE, cpu_wrote, device_owned, device_wrote, handed_to_cpu,
    handed_to_device, neighbour_wrote, neighbours_settled, owned_by, stale_for_cpu,
    stale_for_device,
)
from dmaverify.core.shadow cimport GRID_BUS, GRID_PHYS, dv_segment, dv_walk, walk_init, walk_next
from dmaverify.core.world cimport (
    CPU_WROTE, DEVICE_WROTE, HANDED_TO_CPU, HANDED_TO_DEVICE, OWNED_BY_CPU, dv_world,
)


cdef bint shared_part(const dv_segment* seg, bint physical, uint64_t start, uint64_t length,
                      uint64_t* first, uint64_t* end) noexcept nogil:
    """Give the part of a range that lies in a segment, as offsets from the segment's start."""
    cdef uint64_t base = seg.phys if physical else seg.start
    if physical and seg.phys_length == 0:
        return False
    # As differences: a range may end at the very top of the address space.
    if start >= base:
        if start - base >= seg.length:
            return False
        first[0] = start - base
        end[0] = seg.length if length > seg.length - first[0] else first[0] + length
    else:
        if base - start >= length:
            return False
        first[0] = 0
        end[0] = length - (base - start)
        if end[0] > seg.length:
            end[0] = seg.length
    return first[0] < end[0]


cdef int segment_touch(dv_world* w, dv_segment* seg, uint64_t first, uint64_t end,
                       int how) noexcept nogil:
    if how == DEVICE_WROTE:
        return device_wrote(&w.shadow, seg, first, end)
    if how == CPU_WROTE:
        return cpu_wrote(&w.shadow, seg, first, end)
    if how == HANDED_TO_CPU:
        handed_to_cpu(seg, first, end)
        neighbours_settled(seg, first, end)
    elif how != OWNED_BY_CPU:
        neighbours_settled(seg, first, end)
        if how == HANDED_TO_DEVICE:
            handed_to_device(seg, first, end)
    if how == HANDED_TO_CPU or how == OWNED_BY_CPU:
        return owned_by(&w.shadow, seg, first, end, OWNER_CPU)
    return owned_by(&w.shadow, seg, first, end, OWNER_DEVICE)


cdef int mapping_touch(dv_world* w, uint32_t index, bint physical, uint64_t start,
                       uint64_t length, int how) noexcept nogil:
    cdef uint32_t s = w.mappings[index].first
    cdef dv_segment* seg
    cdef uint64_t first = 0, end = 0
    while s != 0:
        seg = &w.shadow.segments[s]
        if shared_part(seg, physical, start, length, &first, &end) and \
                segment_touch(w, seg, first, end, how) < 0:
            return -1
        s = seg.sibling
    return 0


cdef int neighbours_touch(dv_world* w, uint64_t phys, uint64_t length) noexcept nogil:
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef uint64_t start = phys & ~<uint64_t>(LINE_BYTES - 1)
    cdef uint64_t end = (phys + length + LINE_BYTES - 1) & ~<uint64_t>(LINE_BYTES - 1)
    cdef uint32_t s
    cdef int grid
    if phys + length <= phys or end <= phys:
        return 0
    for grid in range(GRID_BUS, GRID_PHYS + 1):
        walk_init(&walk, &w.shadow, grid, start, end - start)
        s = walk_next(&walk)
        while s != 0:
            seg = &w.shadow.segments[s]
            if (grid == GRID_PHYS or seg.phys == seg.start) and \
                    neighbour_wrote(&w.shadow, seg, phys, phys + length) < 0:
                return -1
            s = walk_next(&walk)
    return 0


cdef uint64_t mapping_stale(const dv_world* w, uint32_t index, bint physical, uint64_t start,
                            uint64_t length, bint for_cpu) noexcept nogil:
    cdef uint32_t s = w.mappings[index].first
    cdef const dv_segment* seg
    cdef uint64_t first = 0, end = 0, total = 0
    while s != 0:
        seg = &w.shadow.segments[s]
        if seg.masks != NULL and shared_part(seg, physical, start, length, &first, &end):
            total += stale_for_cpu(seg, first, end) if for_cpu else \
                stale_for_device(seg, first, end)
        s = seg.sibling
    return total


cdef uint64_t mapping_owned(const dv_world* w, uint32_t index, uint64_t phys,
                            uint64_t length) noexcept nogil:
    cdef uint32_t s = w.mappings[index].first
    cdef const dv_segment* seg
    cdef uint64_t first = 0, end = 0, total = 0
    while s != 0:
        seg = &w.shadow.segments[s]
        if seg.owner != OWNER_CPU and shared_part(seg, True, phys, length, &first, &end):
            total += device_owned(seg, first, end)
        s = seg.sibling
    return total
