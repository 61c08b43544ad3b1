# cython: language_level=3
# The state machines of adapters, map register files and MDLs: what an event makes of them. A
# wrong call does what it evidently meant, so that a later leak of the same is none of its own.

from libc.stdint cimport uint32_t

from dmaverify.core.adapters cimport dv_named, dv_objects
from dmaverify.model.events cimport dv_event, dv_number

# A driver's life with a device is over: the adapters that it left are nobody's any more.
cdef void objects_left(dv_objects* o, uint32_t device, const dv_event* e,
                       const dv_number* n) noexcept nogil
# Change the objects as an event says; the world's mappings are not touched. Returns -1 when
# memory is gone.
cdef int objects_apply(dv_objects* o, dv_named* named, const dv_event* e, const dv_number* n,
                       uint32_t epoch) noexcept nogil
