# cython: language_level=3
# Scatter/gather lists as the driver passed them; an unmap names its mapping by nothing else.

from libc.stdint cimport uint32_t

from dmaverify.core.world cimport dv_world
from dmaverify.model.events cimport dv_side

# Tell whether the pages that a merged list is made of are known, one to each entry.
cdef bint list_in_pages(const dv_side* bus, const dv_side* phys) noexcept nogil
# Remember the caller's list of a new mapping; 0, or -1 when memory is gone.
cdef int keep_list(dv_world* w, uint32_t index, const dv_side* phys) noexcept nogil
# Take a mapping out of the index of lists.
cdef void unlist(dv_world* w, uint32_t index) noexcept nogil
