# cython: language_level=3
# Live mappings: made by one event, ended by another.

from libc.stdint cimport int32_t, uint32_t

from dmaverify.core.world cimport dv_world
from dmaverify.model.events cimport dv_batch, dv_event, dv_number

# Add the mapping that an event made; returns its index, 0 when it is not followed,
# -1 when memory is gone.
cdef int32_t mapping_add(dv_world* w, const dv_batch* b, const dv_event* e,
                         const dv_number* n) noexcept nogil
# End a mapping: it becomes a ghost, which proves things up to `epoch` gaps.
cdef int mapping_end(dv_world* w, uint32_t index, const dv_event* e, const dv_number* n,
                     uint32_t epoch) noexcept nogil
