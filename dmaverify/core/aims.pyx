# cython: language_level=3
"""Where a device's access goes: the mapping that holds it, or what may explain that none does."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.context cimport (
    OBJ_FOREIGN, OBJ_MAPPING, distance_into, dv_context, first_count, reached, run_end,
)
from dmaverify.core.shadow cimport GRID_BUS, GRID_GHOST, dv_segment, dv_walk, walk_init, walk_next
from dmaverify.core.versions cimport mapping_stale
from dmaverify.core.world cimport MARK_DIRECTION, SCAN_MAX, dv_device, dv_mapping, dv_world
from dmaverify.model.events cimport (
    DIR_BIDIRECTIONAL, DIR_FROM_DEVICE, DIR_TO_DEVICE, F_FAILED, F_LENGTH_UNKNOWN,
    KIND_DEV_FAULT, device_reads, device_writes, dv_event,
)


cdef inline bint allows(const dv_event* e, const dv_mapping* m) noexcept nogil:
    """Tell whether a mapping's direction allows what the device does."""
    if not m.marks & MARK_DIRECTION or m.direction == DIR_BIDIRECTIONAL:
        return True
    if device_writes(e):
        return m.direction == DIR_FROM_DEVICE
    return m.direction == DIR_TO_DEVICE or not device_reads(e)


cdef bint event_allowed(const dv_event* e, const dv_mapping* m) noexcept nogil:
    return allows(e, m)


cdef bint fault_allowed(const dv_context* c) noexcept nogil:
    return allows(c.event, &c.world.mappings[c.meant[OBJ_MAPPING]])


cdef uint64_t covered(dv_context* c, uint64_t reach, uint64_t wanted) noexcept nogil:
    """Return how many bytes from the event's address on lie in live mappings of the device that
    follow each other, of `wanted`, where `reach` do at least.

    Counted from the address, so that nothing is carried past the top of the address space.
    """
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef uint32_t s, steps = 0
    cdef uint64_t at, into, further
    while reach < wanted and steps < SCAN_MAX:
        steps += 1
        at = c.event.bus_addr + reach
        if at < c.event.bus_addr:
            return reach
        further = reach
        walk_init(&walk, &w.shadow, GRID_BUS, at, 1)
        s = walk_next(&walk)
        while s != 0:
            seg = &w.shadow.segments[s]
            into = at - seg.start
            if w.mappings[seg.mapping].device == c.device and seg.length > into and \
                    seg.length - into > further - reach:
                further = reach + (seg.length - into)
                if further < reach:
                    further = ~<uint64_t>0
            s = walk_next(&walk)
        if further == reach:
            return reach
        reach = further
    return reach


cdef void resolve_transfer(dv_context* c) noexcept nogil:
    """Find the mapping that a device's access lies in: best fit, then the newest."""
    cdef dv_world* w = c.world
    cdef const dv_event* e = c.event
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef dv_mapping* m
    cdef uint64_t start, length, room, reach = 0
    cdef uint32_t s
    cdef int best = 0, score
    cdef bint page = e.flags & F_LENGTH_UNKNOWN
    w.counts += 1
    reached(e, &start, &length)
    walk_init(&walk, &w.shadow, GRID_BUS, start, length if page else 1)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        m = &w.mappings[seg.mapping]
        room = e.length if page else run_end(w, s) - e.bus_addr
        score = (8 if room >= e.length else 0) + (4 if allows(e, m) else 0) + 1
        if m.device == c.device:
            c.candidates += first_count(c, m)
            if c.meant[OBJ_MAPPING] == 0 or score > best or (
                    score == best and m.serial > w.mappings[c.meant[OBJ_MAPPING]].serial):
                c.meant[OBJ_MAPPING] = seg.mapping
                c.into = distance_into(w, s, max(e.bus_addr, seg.start))
                reach = room
                best = score
        elif c.meant[OBJ_FOREIGN] == 0 or \
                m.serial > w.mappings[c.meant[OBJ_FOREIGN]].serial:
            c.meant[OBJ_FOREIGN] = seg.mapping
        s = walk_next(&walk)
    if c.meant[OBJ_MAPPING] != 0:
        c.meant[OBJ_FOREIGN] = 0
        c.held = reach
        reach = covered(c, reach, e.length)
        c.past_end = e.length - reach if e.length > reach else 0
        if not page and e.kind != KIND_DEV_FAULT:
            c.unsent = mapping_stale(w, c.meant[OBJ_MAPPING], False, e.bus_addr, e.length, False)


cdef uint32_t context_spanned(dv_context* c, uint64_t at, uint64_t* room) noexcept nogil:
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef const dv_mapping* m
    cdef uint32_t s, found = 0
    cdef int best = 0, score
    walk_init(&walk, &w.shadow, GRID_BUS, c.event.bus_addr + at, 1)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        m = &w.mappings[seg.mapping]
        score = 2 if allows(c.event, m) else 1
        if m.device == c.device and (score > best or (
                score == best and m.serial > w.mappings[found].serial)):
            best = score
            found = seg.mapping
            room[0] = seg.length - (c.event.bus_addr + at - seg.start)
        s = walk_next(&walk)
    return found if room[0] != 0 else 0


cdef void resolve_doubt(dv_context* c) noexcept nogil:
    """Let a mapping explain an access that ended within the doubt about the access's time.

    Such an access comes after every event that may have been before it (trace/merge.py), so
    what began in time is there; what it meant may have ended in between.
    """
    cdef dv_world* w = c.world
    cdef const dv_event* e = c.event
    cdef dv_device* d = &w.devices[c.device]
    cdef dv_walk walk
    cdef dv_mapping* m
    cdef uint64_t start, length, room
    cdef uint64_t since = <uint64_t>e.status * 1000
    cdef uint32_t s, index = c.meant[OBJ_MAPPING]
    cdef int best = 0, score
    cdef bint page = e.flags & F_LENGTH_UNKNOWN
    since = e.time - since if e.time > since else 0
    reached(e, &start, &length)
    if index != 0:
        best = (8 if c.past_end == 0 else 0) + (4 if allows(e, &w.mappings[index]) else 0) + 1
        if best == 13:
            return
    walk_init(&walk, &w.shadow, GRID_GHOST, start, length if page else 1)
    s = walk_next(&walk)
    while s != 0:
        m = &w.mappings[w.shadow.segments[s].mapping]
        if m.ended.flags & 1 and m.ended.time >= since and not m.flags & F_FAILED:
            room = length if page else run_end(w, s) - start
            score = (8 if room >= length else 0) + (4 if allows(e, m) else 0) + 1
            if m.device != c.device:
                if c.meant[OBJ_MAPPING] == 0 and c.meant[OBJ_FOREIGN] == 0:
                    c.meant[OBJ_FOREIGN] = w.shadow.segments[s].mapping
            elif score > best:
                best = score
                c.meant[OBJ_MAPPING] = w.shadow.segments[s].mapping
                c.meant[OBJ_FOREIGN] = 0
                c.past_end = length - room if length > room else 0
                c.into = start - m.bus_addr if start >= m.bus_addr else 0
                c.in_time = score == 13 and m.ended.time >= e.time
                # One that began later may have taken the place of what the access meant.
                c.undecided = m.ended.time < e.time if score == 13 else m.made.time > e.time
        s = walk_next(&walk)
    if best < 13 and d.partly_ended != 0 and d.partly_ended >= since:
        c.undecided = True


cdef bint order_matters(dv_context* c) noexcept nogil:
    """Tell whether an access whose place among the events is not known can not be judged."""
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef uint64_t start, length
    if c.meant[OBJ_MAPPING] != 0 or c.meant[OBJ_FOREIGN] != 0 or w.forgotten != 0:
        return True
    reached(c.event, &start, &length)
    walk_init(&walk, &w.shadow, GRID_GHOST, start, length)
    return walk_next(&walk) != 0
