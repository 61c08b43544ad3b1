# cython: language_level=3
# Slots of rings: which of them an HCA owns.

from libc.stdint cimport uint32_t

from dmaverify.core.context cimport dv_context

# Tell whether the CPU writes, in memory of a mapping, a slot of a ring that the HCA owns: posted,
# published where doorbells are recorded, and not retired. Its queue pair stands in `means` then.
cdef bint rings_written(dv_context* c, uint32_t mapping) noexcept nogil
