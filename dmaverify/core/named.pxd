# cython: language_level=3
# What rules can ask about an event's named numbers, and about the adapter, the map register
# file and the MDL that it names. Numbers as in model/fields.py.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.adapters cimport dv_named, dv_objects
from dmaverify.model.events cimport dv_event

cdef enum:
    FIRST_NAMED = 64         # fields of the event with this number and above are answered here
    FIRST_BOUND = 64         # fields of a mapping, likewise

# Return the value of a field; `known` tells whether there is one. `gaps` is how many places
# there are so far where events were lost.
cdef uint64_t named_field(const dv_named* named, const dv_event* e, int number,
                          bint* known) noexcept nogil
cdef uint64_t object_field(const dv_objects* o, const dv_named* named, int type, int number,
                           uint32_t gaps, bint* known) noexcept nogil
cdef bint object_is_named(const dv_named* named, int type) noexcept nogil
cdef uint64_t bound_field(const dv_objects* o, uint32_t mapping, int number,
                          bint* known) noexcept nogil
