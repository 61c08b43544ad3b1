# cython: language_level=3
# The rules run where an event of the DMA API or of the CPU meets what an HCA works with.

from libc.stdint cimport uint32_t

from dmaverify.core.context cimport dv_context
from dmaverify.core.judge cimport dv_engine

# Run the rules on each thing of an HCA whose memory an event takes away, or refuses to it.
cdef int hca_lost(dv_engine* g, dv_context* c) noexcept nogil
# Run them where the CPU touches, by virtual address, what belongs to an HCA.
cdef int work_touched(dv_engine* g, dv_context* c) noexcept nogil
# Run them where the CPU writes a slot of a ring, in memory of this mapping, that belongs to one.
cdef int ring_written(dv_engine* g, dv_context* c, uint32_t mapping) noexcept nogil
