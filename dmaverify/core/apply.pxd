# cython: language_level=3
# What an event changes, once the rules have looked at it.

from dmaverify.core.context cimport dv_context
from dmaverify.core.judge cimport dv_engine
from dmaverify.model.events cimport KIND_DMA_CANCEL, KIND_IRQL, dv_batch

cdef inline bint kind_of_windows(int kind) noexcept nogil:
    return KIND_IRQL <= kind <= KIND_DMA_CANCEL

# Judge what the CPU touches, once for each mapping that holds it, and apply it.
cdef int cpu_access(dv_engine* g, dv_context* c) noexcept nogil
# Change the world as an event says; 0, or -1 when memory is gone.
cdef int apply_event(dv_engine* g, dv_batch* b, dv_context* c) noexcept nogil
