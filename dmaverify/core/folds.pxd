# cython: language_level=3
# Memory that an HCA works with, as the subject of an error: the mapping behind it, or where
# there is none what was told when the HCA got the memory. So what the device does there, and
# the IOMMU's word of it, are consequences of the error about the ring, the region or the
# datagram.

from libc.stdint cimport uint32_t

from dmaverify.core.context cimport dv_context
from dmaverify.core.objects cimport dv_verb_objects

# True where an event of an HCA is about memory by its bus address: its subject is no object.
cdef bint about_memory(const dv_context* c) noexcept nogil
# Return the group that told an error on that memory, plus 1; 0 = none.
cdef uint32_t memory_told(const dv_context* c) noexcept nogil
# The same for a device that reaches where nothing is mapped and nothing was.
cdef uint32_t reached_told(const dv_context* c) noexcept nogil
# Mark a segment of what is held as told: the next mapping at its address may be another's.
cdef void held_tell(dv_verb_objects* o, uint32_t segment, uint32_t group) noexcept nogil
# Mark the mapping of that memory, and a request that it belongs to, as told.
cdef void memory_tell(dv_context* c, uint32_t group) noexcept nogil
