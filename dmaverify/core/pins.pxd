# cython: language_level=3
# Memory that an HCA works with beside posted buffers: rings and doorbell records, pages of
# regions, datagrams. The two address spaces in series: what a key or a queue names is a bus
# address, and the DMA API's mapping decides whether there is memory behind it.

from libc.stdint cimport uint32_t

from dmaverify.core.context cimport dv_context

cdef enum:
    LOST_MAX = 16            # holds of one mapping that are told

# Find what an event about such memory means.
cdef void pins_resolve(dv_context* c) noexcept nogil
# Let it change what is held; 0, or -1 when memory is gone.
cdef int pins_apply(dv_context* c) noexcept nogil
# Find what an HCA still works with in the memory that a call takes away: at most LOST_MAX
# segments of what is held, each once. Returns how many.
cdef int pins_lost(const dv_context* c, uint32_t* ret) noexcept nogil
# The same where the IOMMU refuses an access: at most one.
cdef int pins_refused(const dv_context* c, uint32_t* ret) noexcept nogil
# Forget what nothing uses any more in the memory that a call takes away; 0, or -1 without memory.
cdef int pins_let_go(dv_context* c) noexcept nogil
# Stand at one of them: the region, the queue pair and the facts of `means` and `now`.
cdef void pins_stand(dv_context* c, uint32_t segment) noexcept nogil
