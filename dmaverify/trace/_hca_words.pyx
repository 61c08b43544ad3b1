# cython: language_level=3
"""Words for values of an HCA's events, made from the enumerations of the model."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp

from dmaverify.model.events cimport (
    KIND_ASYNC_EVENT, KIND_CQE, KIND_CREATE_QP, KIND_DOORBELL, KIND_HCA_ACCESS, KIND_HCA_VERDICT,
    KIND_MAD_RECV,
    KIND_MAD_SEND, KIND_MODIFY_QP, KIND_ODP_PAGES, KIND_POST_RECV, KIND_POST_SEND,
    KIND_QUEUE_MEMORY, KIND_TEARDOWN, KIND_TEARDOWN_DONE, KIND_USER_UNMAP,
)
from dmaverify.trace._chars cimport read_number

from dmaverify.model.kinds import (
    AccessSide, AsyncEvent, HcaObject, MadStep, Opcode, PostFlag, QpState, QpType, QueuePart,
    RangeChange, RegionType, Rights, WcStatus,
)

cdef enum:
    WORDS_MAX = 32

cdef struct dv_words:
    const char* p[WORDS_MAX]
    size_t n[WORDS_MAX]
    int value[WORDS_MAX]
    int count

cdef dv_words SIDES, QP_TYPES, OPCODES, REGION_TYPES, STATES, STATUSES, RIGHTS, POST_FLAGS
cdef dv_words PARTS, SORTS, EVENTS, CHANGES, STEPS
_keep = []  # the tables point into these


cdef object fill(dv_words* table, members):
    table.count = 0
    for member in members:
        data = member.name.lower().encode()
        _keep.append(data)
        table.p[table.count] = data
        table.n[table.count] = len(data)
        table.value[table.count] = int(member)
        table.count += 1


fill(&SIDES, AccessSide)
fill(&QP_TYPES, QpType)
fill(&OPCODES, Opcode)
fill(&REGION_TYPES, RegionType)
fill(&STATES, QpState)
fill(&STATUSES, WcStatus)
fill(&RIGHTS, Rights)
fill(&POST_FLAGS, PostFlag)
fill(&PARTS, QueuePart)
fill(&SORTS, HcaObject)
fill(&EVENTS, AsyncEvent)
fill(&CHANGES, RangeChange)
fill(&STEPS, MadStep)


cdef int look_up(const dv_words* table, const char* p, const char* end) noexcept nogil:
    cdef int i
    for i in range(table.count):
        if table.n[i] == <size_t>(end - p) and memcmp(table.p[i], p, end - p) == 0:
            return table.value[i]
    return -1


cdef uint8_t hca_type(int kind, const char* p, const char* end) noexcept nogil:
    cdef const dv_words* table = &REGION_TYPES
    cdef uint64_t number = 0
    cdef int found
    if kind == KIND_HCA_ACCESS or kind == KIND_HCA_VERDICT:
        table = &SIDES
    elif kind == KIND_CREATE_QP:
        table = &QP_TYPES
    elif kind == KIND_POST_SEND or kind == KIND_POST_RECV or kind == KIND_CQE:
        table = &OPCODES
    elif kind == KIND_DOORBELL or kind == KIND_QUEUE_MEMORY:
        table = &PARTS
    elif kind == KIND_TEARDOWN or kind == KIND_TEARDOWN_DONE:
        table = &SORTS
    elif kind == KIND_ASYNC_EVENT:
        table = &EVENTS
    elif kind == KIND_USER_UNMAP or kind == KIND_ODP_PAGES:
        table = &CHANGES
    elif kind == KIND_MAD_SEND or kind == KIND_MAD_RECV:
        table = &STEPS
    if read_number(p, end, False, &number) == end and number < 16:
        return <uint8_t>number
    found = look_up(table, p, end)
    return <uint8_t>found if found > 0 else 0


cdef uint8_t hca_bits(int kind, const char* p, const char* end, bint* known) noexcept nogil:
    cdef const dv_words* table = &RIGHTS
    cdef const char* q
    cdef int bits = 0, found
    if kind == KIND_POST_SEND or kind == KIND_POST_RECV:
        table = &POST_FLAGS
    known[0] = p < end
    while p < end:
        q = p
        while q < end and q[0] != c'|':
            q += 1
        found = look_up(table, p, q)
        if found < 0:
            known[0] = False
            return 0
        bits |= found
        p = q + 1
    return <uint8_t>bits


cdef int hca_status(int kind, const char* p, const char* end) noexcept nogil:
    if kind == KIND_MODIFY_QP:
        return look_up(&STATES, p, end)
    if kind == KIND_CQE or kind == KIND_MAD_SEND or kind == KIND_MAD_RECV:
        return look_up(&STATUSES, p, end)
    return -1
