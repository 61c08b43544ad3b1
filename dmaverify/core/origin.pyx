# cython: language_level=3
"""Where an address comes from that a device uses and no mapping of it holds."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.context cimport (
    FROM_BEFORE, FROM_ENDED, FROM_ERROR, FROM_FOREIGN, FROM_MAPPING, FROM_PAST, FROM_PHYSICAL,
    FROM_POINTER, FROM_TRUNCATED, OBJ_ENCLOSING, OBJ_FOREIGN, OBJ_GHOST, OBJ_MAPPING, PAGE,
    dv_context,
)
from dmaverify.core.shadow cimport (
    GRID_BUS, GRID_PHYS, dv_segment, dv_walk, segment_is_identical, walk_init, walk_next,
)
from dmaverify.core.shares cimport resolve_memory
from dmaverify.core.world cimport MARK_LENGTH, SCAN_MAX, dv_mapping, dv_world
from dmaverify.model.events cimport F_LENGTH_UNKNOWN, dv_event


cdef bint memory_is_mapped(dv_world* w, uint64_t phys, uint64_t length) noexcept nogil:
    """Tell whether a live mapping of any device holds memory of a physical range."""
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef uint32_t s
    walk_init(&walk, &w.shadow, GRID_PHYS, phys, length)
    if walk_next(&walk) != 0:
        return True
    walk_init(&walk, &w.shadow, GRID_BUS, phys, length)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        if segment_is_identical(seg):
            return True
        s = walk_next(&walk)
    return False


cdef uint32_t first_after(dv_context* c, uint64_t length, uint64_t* distance) noexcept nogil:
    """Return the segment of the device that begins first in `length` bytes behind the address,
    of equals the newest mapping's; 0 = none.
    """
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef uint32_t s, found = 0
    walk_init(&walk, &w.shadow, GRID_BUS, c.event.bus_addr, length)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        if w.mappings[seg.mapping].device == c.device and seg.start > c.event.bus_addr and (
                found == 0 or seg.start - c.event.bus_addr < distance[0] or (
                    seg.start - c.event.bus_addr == distance[0] and
                    w.mappings[seg.mapping].serial >
                    w.mappings[w.shadow.segments[found].mapping].serial)):
            found = s
            distance[0] = seg.start - c.event.bus_addr
        s = walk_next(&walk)
    return found


cdef uint32_t last_before(dv_context* c, uint64_t* distance) noexcept nogil:
    """Return the segment of the device that ends last in the page before the address, of equals
    the newest mapping's; 0 = none.
    """
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef uint32_t s, found = 0
    cdef uint64_t before = c.event.bus_addr - PAGE if c.event.bus_addr > PAGE else 0
    cdef uint64_t gap
    walk_init(&walk, &w.shadow, GRID_BUS, before, c.event.bus_addr - before)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        gap = c.event.bus_addr - (seg.start + seg.length)
        if w.mappings[seg.mapping].device == c.device and (
                found == 0 or gap < distance[0] or (
                    gap == distance[0] and w.mappings[seg.mapping].serial >
                    w.mappings[w.shadow.segments[found].mapping].serial)):
            found = s
            distance[0] = gap
        s = walk_next(&walk)
    return found


cdef bint runs_into(dv_context* c) noexcept nogil:
    """Tell whether an access begins before a mapping of the device and reaches it."""
    cdef uint32_t s
    if c.event.flags & F_LENGTH_UNKNOWN or c.event.length == 0:
        return False
    s = first_after(c, c.event.length, &c.distance)
    if s != 0:
        c.meant[OBJ_ENCLOSING] = c.world.shadow.segments[s].mapping
        c.distance_known = True
    return s != 0


cdef void trace_back_near(dv_context* c) noexcept nogil:
    """Look for a mapping that ends or begins near the address, or lies 4 GiB higher."""
    cdef dv_world* w = c.world
    cdef dv_mapping* m
    cdef uint64_t past = 0, before = 0, length = c.event.length
    cdef uint32_t s, behind, ahead = 0, steps = 0
    if c.event.flags & F_LENGTH_UNKNOWN:
        length = 0
    behind = last_before(c, &past)
    if length + PAGE > length:
        ahead = first_after(c, length + PAGE, &before)
    if ahead != 0 and (behind == 0 or before - length < past):
        c.provenance = FROM_BEFORE
        c.meant[OBJ_ENCLOSING] = w.shadow.segments[ahead].mapping
        c.distance = before
    elif behind != 0:
        c.provenance = FROM_PAST
        c.meant[OBJ_ENCLOSING] = w.shadow.segments[behind].mapping
        c.distance = past
    if c.provenance != 0:
        c.distance_known = not c.event.flags & F_LENGTH_UNKNOWN
        return
    s = w.devices[c.device].first
    while s != 0 and steps < SCAN_MAX:
        m = &w.mappings[s]
        if m.bus_addr >> 32 != 0 and c.event.bus_addr >> 32 == 0 and m.marks & MARK_LENGTH and \
                <uint32_t>(c.event.bus_addr - m.bus_addr) < m.length:
            c.provenance = FROM_TRUNCATED
            c.meant[OBJ_ENCLOSING] = s
            return
        s = m.next
        steps += 1


cdef void trace_back(dv_context* c) noexcept nogil:
    """Tell where the bus address of a device's access comes from."""
    cdef dv_world* w = c.world
    cdef const dv_event* e = c.event
    cdef uint32_t ghost = c.meant[OBJ_GHOST], foreign = c.meant[OBJ_FOREIGN]
    if e.bus_addr == <uint64_t>-1:
        c.provenance = FROM_ERROR
    elif c.meant[OBJ_MAPPING] != 0:
        c.provenance = FROM_MAPPING
    elif ghost != 0 and foreign != 0:
        # Behind an IOMMU both may have had the number; the driver has the newer one in hand.
        if w.mappings[ghost].ended.record < w.mappings[foreign].made.record:
            c.meant[OBJ_GHOST] = 0
            c.provenance = FROM_FOREIGN
        else:
            c.meant[OBJ_FOREIGN] = 0
            c.provenance = FROM_ENDED
    elif ghost != 0:
        c.provenance = FROM_ENDED
    elif foreign != 0:
        c.provenance = FROM_FOREIGN
    elif e.bus_addr >> 47 == 0x1FFFF:
        c.provenance = FROM_POINTER
    elif runs_into(c):
        c.provenance = FROM_BEFORE
    else:
        resolve_memory(c, e.bus_addr, e.length)
        if c.memory != 0 or memory_is_mapped(w, e.bus_addr, e.length):
            c.provenance = FROM_PHYSICAL
        elif e.bus_addr != 0:
            trace_back_near(c)
