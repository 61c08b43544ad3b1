# cython: language_level=3
"""Posted work requests: queues, buffers, and what a completion gives back."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from dmaverify.core.objects cimport dv_verb_object, dv_verb_objects
from dmaverify.core.pool cimport pool_room
from dmaverify.core.shadow cimport (
    GRID_BUS, dv_segment, segment_free, segment_link, segment_new, segment_unlink, shadow_deinit,
    shadow_init,
)


cdef int works_init(dv_works* w, uint64_t seed) noexcept nogil:
    memset(w, 0, sizeof(dv_works))
    w.capacity = 64
    w.count = 1
    w.items = <dv_work*>calloc(w.capacity, sizeof(dv_work))
    return -1 if w.items == NULL else shadow_init(&w.shadow, seed)


cdef void works_deinit(dv_works* w) noexcept nogil:
    free(w.items)
    shadow_deinit(&w.shadow)
    memset(w, 0, sizeof(dv_works))


cdef int32_t work_add(dv_works* w, dv_verb_objects* o, uint32_t qp, int queue) noexcept nogil:
    cdef dv_verb_object* x = &o.items[qp]
    cdef uint32_t index = w.free
    cdef void* p
    if index != 0:
        w.free = w.items[index].next
    else:
        p = pool_room(w.items, w.count, &w.capacity, sizeof(dv_work))
        if p == NULL:
            return -1
        w.items = <dv_work*>p
        index = w.count
        w.count += 1
    memset(&w.items[index], 0, sizeof(dv_work))
    w.items[index].qp = qp
    w.items[index].queue = <uint8_t>queue
    if x.last[queue] != 0:
        w.items[x.last[queue]].next = index
    else:
        x.first[queue] = index
    x.last[queue] = index
    x.posted[queue] += 1
    x.turns[queue] += 1
    w.items[index].turn = x.turns[queue]
    w.live += 1
    return <int32_t>index


cdef int work_owns(dv_works* w, dv_verb_objects* o, uint32_t work, uint64_t start, uint64_t length,
                   uint32_t region, uint32_t sge) noexcept nogil:
    cdef uint32_t index = segment_new(&w.shadow)
    cdef dv_segment* s
    if index == 0:
        return -1
    s = &w.shadow.segments[index]
    s.start = start
    s.length = length
    s.mapping = work
    s.phys = region
    s.run = o.items[region].serial | <uint64_t>sge << 32
    s.sibling = w.items[work].buffers
    w.items[work].buffers = index
    if region != 0:
        o.items[region].outstanding += 1
    return segment_link(&w.shadow, index, GRID_BUS)


cdef uint32_t work_completed(const dv_works* w, const dv_verb_objects* o, uint32_t qp, int queue,
                             uint64_t wr_id) noexcept nogil:
    cdef uint32_t index = o.items[qp].first[queue]
    cdef int steps = 0
    while index != 0 and steps < MATCH_MAX:
        if w.items[index].wr_id == wr_id:
            return index
        index = w.items[index].next
        steps += 1
    return 0


cdef void give_back(dv_works* w, dv_verb_objects* o, uint32_t work) noexcept nogil:
    """Return the buffers of a request to the CPU, and its place to the arena."""
    cdef uint32_t s = w.items[work].buffers, after, region, cq
    while s != 0:
        after = w.shadow.segments[s].sibling
        region = <uint32_t>w.shadow.segments[s].phys
        if region != 0 and o.items[region].serial == <uint32_t>w.shadow.segments[s].run and \
                o.items[region].outstanding != 0:
            o.items[region].outstanding -= 1
        segment_unlink(&w.shadow, s, False)
        segment_free(&w.shadow, s)
        s = after
    region = w.items[work].ah
    if region != 0 and o.items[region].serial == w.items[work].ah_serial and \
            o.items[region].outstanding != 0:
        o.items[region].outstanding -= 1
    cq = o.items[w.items[work].qp].cq[w.items[work].queue]
    if w.items[work].due and o.items[cq].outstanding != 0:
        o.items[cq].outstanding -= 1
    w.items[work].buffers = 0
    w.items[work].next = w.free
    w.free = work
    w.live -= 1


cdef void work_retire(dv_works* w, dv_verb_objects* o, uint32_t work,
                      bint all_signal) noexcept nogil:
    cdef dv_verb_object* x = &o.items[w.items[work].qp]
    cdef int queue = w.items[work].queue
    cdef uint32_t index = x.first[queue], before = 0, after
    cdef bint found, done
    while index != 0:
        after = w.items[index].next
        found = index == work
        done = found or queue == QUEUE_SEND and not all_signal and \
            not w.items[index].flags & POST_SIGNALED
        if done:
            if before != 0:
                w.items[before].next = after
            else:
                x.first[queue] = after
            if after == 0:
                x.last[queue] = before
            x.posted[queue] -= 1
            give_back(w, o, index)
        else:
            before = index
        if found:
            return
        index = after


cdef void work_drop(dv_works* w, dv_verb_objects* o, uint32_t qp) noexcept nogil:
    cdef dv_verb_object* x = &o.items[qp]
    cdef int queue
    cdef uint32_t index, after
    for queue in range(2):
        index = x.first[queue]
        while index != 0:
            after = w.items[index].next
            give_back(w, o, index)
            index = after
        x.first[queue] = x.last[queue] = 0
        x.posted[queue] = 0
        x.turns[queue] = x.rung[queue] = 0
