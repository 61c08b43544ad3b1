# cython: language_level=3
# What peers do with memory, and when the CPU can know of it.
#
# An access of a peer is told to the CPU by a polled receive completion of the same queue pair,
# which comes after it, or by the end of the queue pair. An event that a completion is there is no
# such thing, nor is a completion of another queue pair.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.context cimport dv_context

# Count the accesses of peers that nothing orders with this one.
cdef void peers_resolve(dv_context* c) noexcept nogil
# Remember an access of a peer; 0, or -1 when memory is gone.
cdef int peers_apply(dv_context* c) noexcept nogil
# A completion was polled, its work request not retired yet: what it tells, and where a datagram
# came without a routing header. 0 or -1.
cdef int peers_completed(dv_context* c) noexcept nogil
# The HCA gets bytes anew: nothing of before counts there. 0 or -1.
cdef int peers_posted(dv_context* c, uint64_t start, uint64_t length) noexcept nogil
# Find what the CPU must not do at an address: Hazard, 0 = nothing; its region and queue pair
# stand in `means` then.
cdef int peers_touched(dv_context* c, uint64_t start, uint64_t length, bint writes) noexcept nogil
