# cython: language_level=3
"""Transfers of devices that have begun and not ended (see transfers.pxd)."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove, memset


cdef void transfers_deinit(dv_transfers* t) noexcept nogil:
    free(t.items)
    memset(t, 0, sizeof(dv_transfers))


cdef int transfers_begin(dv_transfers* t, const dv_transfer* one) noexcept nogil:
    cdef uint32_t capacity
    cdef void* p
    if t.count == OPEN_MAX:
        return 0
    if t.count == t.capacity:
        capacity = t.capacity * 2 if t.capacity != 0 else 16
        p = realloc(t.items, capacity * sizeof(dv_transfer))
        if p == NULL:
            return -1
        t.items = <dv_transfer*>p
        t.capacity = capacity
    t.items[t.count] = one[0]
    t.count += 1
    return 0


cdef void remove(dv_transfers* t, uint32_t at) noexcept nogil:
    t.count -= 1
    memmove(t.items + at, t.items + at + 1, (t.count - at) * sizeof(dv_transfer))


cdef void transfers_end(dv_transfers* t, uint32_t mapping, uint32_t object,
                        uint64_t start) noexcept nogil:
    cdef const dv_transfer* one
    cdef uint32_t i, score, best = 0, found = 0
    for i in range(t.count):
        one = &t.items[i]
        if one.mapping != mapping:
            continue
        score = 1
        if object != 0 and one.object == object:
            score = 3
        elif one.start == start:
            score = 2
        if score > best:
            best = score
            found = i
    if best != 0:
        remove(t, found)


cdef void transfers_forget(dv_transfers* t, uint32_t mapping) noexcept nogil:
    cdef uint32_t i, kept = 0
    for i in range(t.count):
        if t.items[i].mapping != mapping:
            t.items[kept] = t.items[i]
            kept += 1
    t.count = kept


cdef bint transfers_touch(const dv_transfers* t, uint32_t mapping, uint32_t direction,
                          uint64_t start, uint64_t length) noexcept nogil:
    cdef const dv_transfer* one
    cdef uint32_t i
    for i in range(t.count):
        one = &t.items[i]
        # As differences: a range may end at the very top of the address space.
        if one.mapping == mapping and one.direction == direction and (
                one.start - start < length if one.start >= start
                else start - one.start < one.length) and one.length != 0 and length != 0:
            return True
    return False
