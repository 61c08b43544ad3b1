# cython: language_level=3
# Work requests that were posted and whose completion has not been polled: queues in the order
# of posting, and the buffers that the HCA owns until then, found by address.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from dmaverify.core.objects cimport dv_verb_objects
from dmaverify.core.shadow cimport dv_shadow
from dmaverify.core.world cimport dv_place

cdef enum:
    QUEUE_SEND = 0
    QUEUE_RECV = 1
    MATCH_MAX = 4096         # requests of a queue that a completion is compared with

cdef enum:                   # model/kinds.py: Opcode, PostFlag
    OP_SEND = 1
    OP_RDMA_READ = 4
    OP_ATOMIC = 5
    OP_LOCAL_INV = 7
    OP_RECV = 11
    POST_FENCE = 1
    POST_SIGNALED = 2
    POST_INLINE = 8

cdef struct dv_work:
    uint64_t wr_id
    uint64_t length          # bytes of its list
    uint64_t counted         # the last search that took it in
    uint32_t qp              # its queue pair
    uint32_t next            # in its queue, or next free
    uint32_t buffers         # first segment of its list; chained by `sibling`
    uint32_t told
    uint32_t faults          # buffers that an HCA must refuse
    uint32_t unsure          # buffers of which that is not known
    uint32_t turn            # how many were posted to its queue with it
    uint32_t ah              # address handle that it uses
    uint32_t ah_serial
    uint32_t sges            # entries of its list that have bytes
    uint32_t bad             # the first of them that an HCA must refuse, from 1; 0 = none
    uint32_t bad_key
    uint32_t key             # that it takes out of use
    uint8_t opcode
    uint8_t flags            # PostFlag
    uint8_t queue
    uint8_t due              # its completion queue counts on an entry
    dv_place posted

cdef struct dv_works:
    dv_work* items           # index 0 is none
    uint32_t count
    uint32_t capacity
    uint32_t free
    uint64_t live
    uint64_t searches
    # Buffers: `mapping` = work request, `phys` = region, `run` = its serial, and above that which
    # buffer of the list it is.
    dv_shadow shadow

cdef int works_init(dv_works* w, uint64_t seed) noexcept nogil
cdef void works_deinit(dv_works* w) noexcept nogil
# Append a work request to a queue; returns its index, -1 when memory is gone.
cdef int32_t work_add(dv_works* w, dv_verb_objects* o, uint32_t qp, int queue) noexcept nogil
# Give the HCA a buffer until its work request is retired; 0 or -1.
cdef int work_owns(dv_works* w, dv_verb_objects* o, uint32_t work, uint64_t start, uint64_t length,
                   uint32_t region, uint32_t sge) noexcept nogil
# Return the request of a queue that a completion is about, 0 where there is none.
cdef uint32_t work_completed(const dv_works* w, const dv_verb_objects* o, uint32_t qp, int queue,
                             uint64_t wr_id) noexcept nogil
# Retire a request, and with it all unsignalled ones of its send queue before it.
cdef void work_retire(dv_works* w, dv_verb_objects* o, uint32_t work,
                      bint all_signal) noexcept nogil
# Retire all requests of a queue pair.
cdef void work_drop(dv_works* w, dv_verb_objects* o, uint32_t qp) noexcept nogil
# True where the HCA writes the buffers of a request.
cdef inline bint work_writes(int opcode) noexcept nogil:
    return opcode == OP_RDMA_READ or opcode == OP_ATOMIC or opcode == OP_RECV
