# cython: language_level=3
"""Mappings that have ended, kept for as long as their addresses may be touched by mistake."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memset

from dmaverify.core.lists cimport unlist
from dmaverify.core.shadow cimport (
    CELLS_MAX, GRID_GHOST, PAGE_SHIFT, dv_segment, dv_walk, segment_free, segment_link,
    segment_new, segment_settle, segment_unlink, walk_init, walk_next,
)
from dmaverify.core.table cimport table_get
from dmaverify.core.world cimport (
    GHOST_SEGMENTS, MARK_IN_LIST, RING_ASKS, RING_LEAST, SCAN_MAX, STATE_GHOST, dv_ended,
    dv_mapping, dv_ring, dv_world, list_key, mapping_new, mapping_release, ring_deinit,
)

cdef uint32_t NONE = ~<uint32_t>0
# Bytes of a run of several segments: more, and a look for what it covers would give up.
cdef uint64_t RUN_MAX = <uint64_t>(CELLS_MAX - 1) << PAGE_SHIFT
# Ghosts that one look for covered ones visits; with few ghosts in all, it is worth more.
cdef uint32_t FEW_LOOKS = 2
cdef uint32_t MANY_LOOKS = 8


cdef void ghost_chain(dv_world* w, uint32_t index) noexcept nogil:
    """Put a mapping at the head of the list of ghosts."""
    cdef dv_mapping* m = &w.mappings[index]
    m.prev = 0
    m.next = w.ghost_first
    if w.ghost_first != 0:
        w.mappings[w.ghost_first].prev = index
    else:
        w.ghost_last = index
    w.ghost_first = index
    w.ghosts += 1


cdef void drop_ghost(dv_world* w, uint32_t index) noexcept nogil:
    """Forget an ended mapping altogether."""
    cdef dv_mapping* m = &w.mappings[index]
    cdef uint32_t s = m.first, after
    while s != 0:
        after = w.shadow.segments[s].sibling
        segment_unlink(&w.shadow, s, False)
        segment_free(&w.shadow, s)
        w.ghost_segments -= 1
        s = after
    unlist(w, index)
    if m.prev != 0:
        w.mappings[m.prev].next = m.next
    else:
        w.ghost_first = m.next
    if m.next != 0:
        w.mappings[m.next].prev = m.prev
    else:
        w.ghost_last = m.prev
    w.ghosts -= 1
    mapping_release(w, index)


cdef void drop_ghost_run(dv_world* w, uint32_t s) noexcept nogil:
    """Forget one run of an ended mapping, and with the last one what no list names."""
    cdef uint32_t index = w.shadow.segments[s].mapping
    cdef dv_mapping* m = &w.mappings[index]
    cdef uint32_t before = 0, at = m.first
    while at != s:
        before = at
        at = w.shadow.segments[at].sibling
    segment_unlink(&w.shadow, s, False)
    while at != 0 and w.shadow.segments[at].cells[0] == 0:
        s = at
        at = w.shadow.segments[s].sibling
        segment_free(&w.shadow, s)
        w.ghost_segments -= 1
    if before != 0:
        w.shadow.segments[before].sibling = at
    else:
        m.first = at
    if m.first == 0 and not m.marks & MARK_IN_LIST:
        drop_ghost(w, index)


cdef inline bint ended_before(const dv_mapping* a, const dv_mapping* b) noexcept nogil:
    """Tell whether one ghost of a device is older than another; two may end at one event."""
    return a.device == b.device and (a.ended.record < b.ended.record or (
        a.ended.record == b.ended.record and a.serial < b.serial))


cdef void supersede(dv_world* w, uint32_t by, uint64_t start, uint64_t length) noexcept nogil:
    """Drop older ghosts of the device that ghost `by` covers: who came last is what counts.

    Only the newest few are looked at: that keeps the chains of reused addresses short, and
    which ghost a look-up takes does not depend on it.
    """
    cdef dv_walk walk
    cdef uint32_t s, drop = 1
    cdef uint32_t looks = FEW_LOOKS if w.ghost_limit >= RING_LEAST else MANY_LOOKS
    cdef dv_segment* seg
    while drop != 0 and looks != 0:
        drop = 0
        walk_init(&walk, &w.shadow, GRID_GHOST, start, length)
        s = walk_next(&walk)
        while s != 0 and looks != 0:
            looks -= 1
            seg = &w.shadow.segments[s]
            if seg.start >= start and seg.run <= length - (seg.start - start) and \
                    ended_before(&w.mappings[seg.mapping], &w.mappings[by]):
                drop = s
                break
            s = walk_next(&walk)
        if drop != 0:
            drop_ghost_run(w, drop)


cdef int link_run(dv_world* w, uint32_t first, uint64_t length) noexcept nogil:
    """Link a run of a ghost's segments into the grid, in place of what it covers."""
    cdef dv_segment* seg = &w.shadow.segments[first]
    seg.run = length
    supersede(w, seg.mapping, seg.start, length)
    return segment_link(&w.shadow, first, GRID_GHOST)


cdef void supersede_list(dv_world* w, uint32_t index) noexcept nogil:
    """Let a list name one ghost of each (device, first physical address); an older one is found
    by its bus addresses only.
    """
    cdef dv_mapping* m = &w.mappings[index]
    cdef dv_mapping* o
    cdef uint32_t other = table_get(&w.lists, list_key(m.device, m.list[0]))
    cdef uint32_t after, steps = 0
    while other != 0 and steps < SCAN_MAX:
        o = &w.mappings[other]
        after = o.list_next
        if other != index and o.state == STATE_GHOST and o.device == m.device and \
                o.list[0] == m.list[0]:
            unlist(w, other)
            if o.first == 0:
                drop_ghost(w, other)
        other = after
        steps += 1


cdef int link_runs(dv_world* w, uint32_t s) noexcept nogil:
    """Link the runs of a ghost's segments; one of no bytes is no part of a longer one."""
    cdef dv_segment* seg
    cdef uint32_t first
    cdef uint64_t length
    while s != 0:
        first = s
        seg = &w.shadow.segments[s]
        length = seg.length
        s = seg.sibling
        while s != 0 and 0 < length < RUN_MAX:
            seg = &w.shadow.segments[s]
            if seg.length == 0 or seg.length > RUN_MAX - length or seg.start < length or \
                    seg.start - length != w.shadow.segments[first].start:
                break
            length += seg.length
            s = seg.sibling
        if link_run(w, first, length) < 0:
            return -1
    return 0


cdef void retire_segments(dv_world* w, dv_mapping* m) noexcept nogil:
    """Take a mapping's segments out of the live grids, and keep the first ones that had a place."""
    cdef uint32_t s = m.first, after, tail = 0, kept = 0
    cdef bint placed
    m.first = 0
    while s != 0:
        after = w.shadow.segments[s].sibling
        placed = w.shadow.segments[s].cells[0] != 0
        segment_unlink(&w.shadow, s, False)
        segment_unlink(&w.shadow, s, True)
        if kept < GHOST_SEGMENTS and placed:
            segment_settle(&w.shadow, s)
            w.shadow.segments[s].sibling = 0
            if tail != 0:
                w.shadow.segments[tail].sibling = s
            else:
                m.first = s
            tail = s
            kept += 1
        else:
            segment_free(&w.shadow, s)
        s = after
    w.ghost_segments += kept


cdef int grid_ghost(dv_world* w, uint32_t index) noexcept nogil:
    """Make an ended mapping a ghost in the grid, with some of its segments."""
    cdef dv_mapping* m = &w.mappings[index]
    if m.marks & MARK_IN_LIST:
        supersede_list(w, index)
    ghost_chain(w, index)
    retire_segments(w, m)
    if link_runs(w, m.first) < 0:
        return -1
    while w.ghosts > w.ghost_limit or w.ghost_segments > <uint64_t>w.ghost_limit * 4:
        w.forgotten += 1
        drop_ghost(w, w.ghost_last)
    return 0


cdef int ring_push(dv_world* w, const dv_mapping* m, const dv_segment* seg) noexcept nogil:
    """Put the ghost of a mapping with one segment into the ring."""
    cdef dv_ring* r = &w.ring
    cdef uint32_t capacity
    cdef void* p
    if r.count == r.capacity and r.capacity < w.ghost_limit:
        # All at once, and touched: memory does not go on growing with the trace.
        capacity = w.ghost_limit
        p = realloc(r.mappings, capacity * sizeof(dv_mapping))
        if p == NULL:
            return -1
        r.mappings = <dv_mapping*>p
        p = realloc(r.keys, capacity * sizeof(dv_ended))
        if p == NULL:
            return -1
        r.keys = <dv_ended*>p
        memset(r.mappings + r.count, 0, (capacity - r.count) * sizeof(dv_mapping))
        memset(r.keys + r.count, 0, (capacity - r.count) * sizeof(dv_ended))
        r.capacity = capacity
        r.next = r.count
    if r.count < r.capacity:
        r.count += 1
    elif r.keys[r.next].device != 0:
        w.forgotten += 1
    r.mappings[r.next] = m[0]
    r.mappings[r.next].list = NULL  # its owner frees it
    r.mappings[r.next].listed = 0
    r.keys[r.next].start = seg.start
    r.keys[r.next].length = seg.length
    r.keys[r.next].device = m.device
    r.next += 1
    if r.next == w.ghost_limit:
        r.next = 0
    return 0


cdef int ring_take(dv_world* w, uint32_t at) noexcept nogil:
    """Move one ghost from the ring into the grid."""
    cdef uint32_t index = mapping_new(w)
    cdef uint32_t s = segment_new(&w.shadow)
    if index == 0 or s == 0:
        return -1
    w.mappings[index] = w.ring.mappings[at]
    w.mappings[index].first = s
    w.shadow.segments[s].start = w.ring.keys[at].start
    w.shadow.segments[s].length = w.ring.keys[at].length
    w.shadow.segments[s].mapping = index
    w.ring.keys[at].device = 0
    ghost_chain(w, index)
    w.ghost_segments += 1
    return link_run(w, s, w.ring.keys[at].length)


cdef inline uint32_t ring_older(const dv_ring* r, uint32_t at) noexcept nogil:
    return at - 1 if at != 0 else r.count - 1


cdef inline uint32_t ring_oldest(const dv_ring* r) noexcept nogil:
    return r.next if r.count == r.capacity and r.next < r.count else 0


cdef int ghosts_index(dv_world* w) noexcept nogil:
    cdef dv_ring* r = &w.ring
    cdef uint32_t _, at = ring_oldest(r)
    for _ in range(r.count):
        if r.keys[at].device != 0 and ring_take(w, at) < 0:
            return -1
        at = at + 1 if at + 1 < r.count else 0
    ring_deinit(r)
    return 0


cdef int ghosts_ask(dv_world* w, uint32_t device, uint64_t bus_addr) noexcept nogil:
    cdef dv_ring* r = &w.ring
    cdef dv_ended* key
    cdef uint32_t _, at, found = NONE
    if w.forgotten != 0:
        w.asked_late += 1
    if r.count == 0:
        return 0
    r.asks += 1
    if r.asks > RING_ASKS:
        return ghosts_index(w)
    at = ring_oldest(r)
    for _ in range(r.count):
        at = ring_older(r, at)
        key = &r.keys[at]
        if found != NONE and r.mappings[at].ended.record != r.mappings[found].ended.record:
            break
        if key.device == device and bus_addr >= key.start and (
                bus_addr - key.start < key.length or bus_addr == key.start) and (
                found == NONE or r.mappings[at].serial > r.mappings[found].serial):
            found = at  # of what ended at one event, the newest
    return ring_take(w, found) if found != NONE else 0
