# cython: language_level=3
# Posted work requests, their buffers and their completions: what they mean and change.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.context cimport dv_context
from dmaverify.model.events cimport dv_entry, dv_event

# Find what a post or a completion means; its queue pair is found already.
cdef void posts_resolve(dv_context* c) noexcept nogil
# Return the buffers of a post, `count` of them; NULL where it has none that an HCA will touch.
cdef const dv_entry* posts_buffers(const dv_context* c, uint32_t* count) noexcept nogil
# Make the event of one buffer of a post, and find what it means.
cdef void posts_buffer(dv_context* c, const dv_entry* entry, dv_event* ret) noexcept nogil
# Append the work request of a post, or retire the one that has completed; 0 or -1.
cdef int posts_apply(dv_context* c) noexcept nogil
# Give the HCA the buffer that posts_buffer stands at, the `sge`-th of its list; 0 or -1. `told`
# is the group of an error about it, plus 1.
cdef int posts_own(dv_context* c, uint32_t sge, uint32_t told) noexcept nogil
# Count the posted buffers of the event's region that its end does not wait for.
cdef uint32_t posts_unordered(const dv_context* c) noexcept nogil
# Find a posted work request that names, by the key for all memory, bytes that a call takes away;
# 0 = none. It, its queue pair and its region stand in `means` then.
cdef uint32_t posts_lost(dv_context* c) noexcept nogil
# Find what the CPU, which touches `length` bytes at `virt`, must not do there: Hazard, 0 =
# nothing. What it is about stands in `means` then.
cdef int posts_hazard(dv_context* c, bint writes) noexcept nogil
