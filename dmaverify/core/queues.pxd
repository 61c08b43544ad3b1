# cython: language_level=3
# Shared receive queues, address handles, doorbells, windows as objects, tear-downs, and what
# hangs on what: what an event about them means and changes.

from libc.stdint cimport uint32_t

from dmaverify.core.context cimport dv_context

# Find what an event means beside its region and queue pair, which stand already.
cdef void queues_resolve(dv_context* c) noexcept nogil
# Return the shared receive queue that a receive is posted to; 0 = none.
cdef uint32_t queues_shared(const dv_context* c) noexcept nogil
# Find what a post or a completion means beside its list: the work request stands already.
cdef void queues_posted(dv_context* c) noexcept nogil
# Take in what a new queue pair has beside its capacities.
cdef void queues_made(dv_context* c, uint32_t index) noexcept nogil
# Let an event of these kinds change the world; 0, or -1 when memory is gone.
cdef int queues_apply(dv_context* c) noexcept nogil
