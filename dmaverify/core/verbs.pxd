# cython: language_level=3
# What an event of an HCA means, and what it changes. The look-ups see the world as it was before
# the event.

from libc.stdint cimport uint32_t

from dmaverify.core.context cimport dv_context

# Find what the event means. The context's `hca`, `works`, `means` and world must stand.
cdef int verbs_resolve(dv_context* c) noexcept nogil
# Let the event change the world. Returns 0, or -1 when memory is gone.
cdef int verbs_apply(dv_context* c) noexcept nogil
# Return the object that an HCA's event is about; 0 = none.
cdef uint32_t verbs_subject(const dv_context* c) noexcept nogil
