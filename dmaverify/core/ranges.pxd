# cython: language_level=3
# Address ranges of processes that regions stand for, and the pages of them that an HCA's table has.

from libc.stdint cimport uint32_t

from dmaverify.core.context cimport dv_context

# Find what an event about such a range means, and let it change what is held; 0 or -1.
cdef void ranges_resolve(dv_context* c) noexcept nogil
cdef int ranges_apply(dv_context* c) noexcept nogil
# A region is there: its addresses are the process's. 0 or -1.
cdef int ranges_region(dv_context* c, uint32_t index) noexcept nogil
