# cython: language_level=3
"""Ranges that an HCA holds on to: chains of segments by owner (see hca_state.pxd)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from dmaverify.core.shadow cimport (
    dv_segment, segment_free, segment_link, segment_new, segment_unlink, shadow_deinit,
    shadow_init,
)
from dmaverify.core.table cimport (
    dv_slot, table_deinit, table_find, table_get, table_init, table_remove, table_set,
)


cdef int make(dv_holds* h) noexcept nogil:
    """Most recordings have nothing to hold: the tables are made when something comes."""
    if h.there:
        return 0
    if shadow_init(&h.shadow, h.seed) < 0:
        return -1
    if table_init(&h.chains, 64, h.seed) < 0:
        shadow_deinit(&h.shadow)
        return -1
    h.there = 1
    return 0


cdef void holds_deinit(dv_holds* h) noexcept nogil:
    if h.there:
        shadow_deinit(&h.shadow)
        table_deinit(&h.chains)
    h.there = 0


cdef int hold_add(dv_holds* h, int grid, uint64_t owner, int what, uint32_t device, uint64_t of,
                  uint64_t run, uint64_t start, uint64_t length) noexcept nogil:
    cdef uint32_t index
    cdef dv_segment* s
    if length == 0:
        return 0
    if h.live >= HELD_MOST:
        h.refused += 1
        return 0
    if make(h) < 0:
        return -1
    index = segment_new(&h.shadow)
    if index == 0:
        return -1
    s = &h.shadow.segments[index]
    s.start = start
    s.length = length
    s.mapping = device + 1
    s.phys = of
    s.run = run
    s.owner = <uint8_t>what
    s.told = h.telling
    s.sibling = table_get(&h.chains, owner)
    h.live += 1
    if what == HOLD_HEADER:
        h.headers += 1
    if table_set(&h.chains, owner, index) < 0:
        return -1
    return segment_link(&h.shadow, index, grid)


cdef uint32_t holds_of(const dv_holds* h, uint64_t owner) noexcept nogil:
    return table_get(&h.chains, owner) if h.there else 0


cdef void let_go(dv_holds* h, uint32_t index) noexcept nogil:
    h.headers -= h.shadow.segments[index].owner == HOLD_HEADER
    h.live -= 1
    segment_unlink(&h.shadow, index, False)
    segment_free(&h.shadow, index)


cdef void holds_drop(dv_holds* h, uint64_t owner) noexcept nogil:
    cdef dv_slot* slot
    cdef uint32_t index, after
    if not h.there or h.live == 0:
        return
    slot = table_find(&h.chains, owner)
    if slot == NULL:
        return
    index = slot.value
    table_remove(&h.chains, slot)
    while index != 0:
        after = h.shadow.segments[index].sibling
        let_go(h, index)
        index = after


cdef int holds_cut(dv_holds* h, uint64_t owner, uint64_t start, uint64_t length) noexcept nogil:
    cdef uint32_t index = holds_of(h, owner), after
    cdef dv_segment seg
    cdef uint64_t first = 0, shared, last
    cdef uint16_t telling = h.telling
    if index == 0:
        return 0
    table_remove(&h.chains, table_find(&h.chains, owner))
    while index != 0:
        seg = h.shadow.segments[index]
        after = seg.sibling
        let_go(h, index)
        h.telling = seg.told
        shared = hold_shared(seg.start, seg.length, start, length, &first)
        if shared == 0:
            first = seg.start + seg.length
        last = first + shared
        if first > seg.start and hold_add(
                h, seg.grid, owner, seg.owner, seg.mapping - 1, seg.phys, seg.run, seg.start,
                first - seg.start) < 0:
            return -1
        if seg.start + seg.length > last and hold_add(
                h, seg.grid, owner, seg.owner, seg.mapping - 1, seg.phys, seg.run, last,
                seg.start + seg.length - last) < 0:
            return -1
        index = after
    h.telling = telling
    return 0
