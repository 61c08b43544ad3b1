# cython: language_level=3
# Physical memory: its kind, and its end.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.world cimport dv_world
from dmaverify.model.events cimport dv_event, dv_number

# Memory went back to the system: mark the live streaming mappings of any of it, and forget its
# kind.
cdef int memory_freed(dv_world* w, const dv_event* e, const dv_number* n) noexcept nogil
# Remember what kind of memory a physical range is of; an older word about it is void.
cdef int memory_add(dv_world* w, uint64_t phys, uint64_t length, uint32_t kind) noexcept nogil
