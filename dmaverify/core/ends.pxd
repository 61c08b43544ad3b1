# cython: language_level=3
# From the end of a mapping to the mapping: by address, by list, by map register file.

from dmaverify.core.context cimport dv_context
from dmaverify.model.events cimport dv_side

# Find what an unmap or a free by bus address means.
cdef void resolve_end(dv_context* c) noexcept nogil
# Find what an unmap of a list means; it names physical addresses only.
cdef void resolve_list_end(dv_context* c, const dv_side* phys) noexcept nogil
# Find the mapping of this device that last covered the address and has ended.
cdef void resolve_ghost(dv_context* c) noexcept nogil
# Tell whether another device's mapping at this address is more than a coincidence.
cdef bint foreign_counts(dv_context* c) noexcept nogil
# Tell whether what the event means may have been made before the recording began.
cdef void judge_beginning(dv_context* c) noexcept nogil
# Find what a flush or the put of a list means: it names a map register file.
cdef bint resolve_file_end(dv_context* c, const dv_side* phys) noexcept nogil
