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
# Give the HCA the buffer that posts_buffer stands at; 0 or -1.
cdef int posts_own(dv_context* c) noexcept nogil
# Find a posted work request whose buffer the CPU touches and must not; 0 = none.
cdef uint32_t posts_touched(const dv_context* c, uint64_t start, uint64_t length,
                            bint writes) noexcept nogil
