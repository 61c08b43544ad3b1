# cython: language_level=3
"""Rows of one batch put into another (see _rows.pxd)."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy

from dmaverify.model.events cimport batch_push, batch_side, dv_batch, dv_event, dv_side


cdef int pool_copied(dv_batch* out, const dv_batch* source) noexcept nogil:
    cdef void* p
    if source.side_count <= 1:
        return 0  # word 0 is never used: there are no records
    if source.side_count > out.side_capacity:
        p = realloc(out.side, source.side_count * 8)
        if p == NULL:
            return -1
        out.side = <uint64_t*>p
        out.side_capacity = source.side_count
    memcpy(out.side, source.side, source.side_count * 8)
    out.side_count = source.side_count
    out.named = source.named
    return 0


cdef int row_put(dv_batch* out, const dv_batch* source, size_t i) noexcept nogil:
    cdef dv_event* e = batch_push(out)
    if e == NULL:
        return -1
    e[0] = source.rows[i]
    out.numbers[out.count - 1] = source.numbers[i]
    return 0


cdef int sides_put(dv_batch* out, const dv_batch* source, size_t at) noexcept nogil:
    """Give the row put last the side records that begin at a word of another batch."""
    cdef const dv_side* from_
    cdef dv_side* to
    while at != 0:
        from_ = <const dv_side*>(source.side + at)
        to = batch_side(out, from_.tag, from_.stored, from_.full, 16)
        if to == NULL:
            return -1
        memcpy(to + 1, from_ + 1, <size_t>from_.words * 8)
        at = 0 if from_.last else at + 2 + from_.words
    return 0


cdef int other_put(dv_batch* out, const dv_batch* source, size_t i, uint32_t record,
                   uint32_t line) noexcept nogil:
    if row_put(out, source, i) < 0:
        return -1
    out.numbers[out.count - 1].record = record
    out.numbers[out.count - 1].line = line
    out.rows[out.count - 1].side = 0
    return sides_put(out, source, source.rows[i].side)
