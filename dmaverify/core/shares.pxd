# cython: language_level=3
# From a new mapping to those that share memory or addresses with it.

from libc.stdint cimport uint64_t

from dmaverify.core.context cimport dv_context

# Measure the new mapping's segments and find whose memory it shares.
cdef void resolve_map(dv_context* c) noexcept nogil
# Tell what kind of memory a physical range lies in, where the recording names it.
cdef void resolve_memory(dv_context* c, uint64_t phys, uint64_t length) noexcept nogil
