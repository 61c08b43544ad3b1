# cython: language_level=3
# From an event to what it means: the mapping it names, the ghost at its address, whose memory it
# shares, and the counts that rules ask for. Looks at the world as it was before the event and
# changes nothing.

from libc.stdint cimport uint32_t

from dmaverify.core.context cimport dv_context

# The common buffer in whose pages a CPU access lies, the oldest of several; 0 = none.
cdef uint32_t context_buffer(const dv_context* c) noexcept nogil
# Find the live mappings whose memory a CPU access touches, at most `room` of them, the oldest
# first, and return how many; context_accessed then stands at one of them.
cdef int context_accesses(dv_context* c, uint32_t* ret, int room) noexcept nogil
cdef void context_accessed(dv_context* c, uint32_t index) noexcept nogil
# Find what the event means. Does nothing for kinds that mean no mapping.
cdef void context_resolve(dv_context* c) noexcept nogil
# The mapping that a wrong call evidently meant, though it did not name it; 0 = none.
cdef uint32_t context_evident(dv_context* c) noexcept nogil
