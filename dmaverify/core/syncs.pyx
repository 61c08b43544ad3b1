# cython: language_level=3
"""Which mapping a sync is about."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.context cimport (
    OBJ_FOREIGN, OBJ_MAPPING, distance_into, dv_context, first_count, run_end, same_direction,
    take,
)
from dmaverify.core.shadow cimport GRID_BUS, dv_segment, dv_walk, walk_init, walk_next
from dmaverify.core.world cimport dv_mapping, dv_world
from dmaverify.model.events cimport (
    SIDE_SG_BUS, TYPE_SG, dv_event, dv_side, event_side, side_entries,
)


cdef void resolve_sync(dv_context* c) noexcept nogil:
    """Find the mapping that holds the start of a synced range, best one that holds it all."""
    cdef dv_world* w = c.world
    cdef const dv_event* e = c.event
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef dv_mapping* m
    cdef uint64_t end, past, length = e.length
    cdef uint32_t s
    cdef int best = 0, best_foreign = 0, score
    cdef const dv_side* bus = event_side(c.batch, e, SIDE_SG_BUS) if e.side != 0 else NULL
    if bus != NULL and bus.stored != 0:
        length = side_entries(bus)[0].length
        c.count = bus.full
    w.counts += 1
    walk_init(&walk, &w.shadow, GRID_BUS, e.bus_addr, 1)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        m = &w.mappings[seg.mapping]
        end = run_end(w, s)
        past = length - (end - e.bus_addr) if length > end - e.bus_addr else 0
        score = (8 if past == 0 else 0) + (2 if same_direction(e, m) else 0)
        if bus != NULL and m.type == TYPE_SG:
            score += 1 + (4 if m.count == bus.full else 0)
        if m.device == c.device:
            c.candidates += first_count(c, m)
            # Of two that fit equally the newer: the older may be ended, its unmap not logged yet.
            if c.meant[OBJ_MAPPING] == 0 or score > best or (
                    score == best and m.serial > w.mappings[c.meant[OBJ_MAPPING]].serial):
                c.meant[OBJ_MAPPING] = seg.mapping
                c.past_end = past
                c.into = distance_into(w, s, e.bus_addr)
                best = score
        elif past == 0 and same_direction(e, m):
            take(c, OBJ_FOREIGN, seg.mapping, score, &best_foreign)
        s = walk_next(&walk)
    if c.meant[OBJ_MAPPING] != 0:
        c.meant[OBJ_FOREIGN] = 0
