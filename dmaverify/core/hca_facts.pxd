# cython: language_level=3
# Fields of an HCA's events and objects, as rules ask for them.

from libc.stdint cimport uint64_t

from dmaverify.core.context cimport dv_context

cdef enum:
    FIRST_HCA_FIELD = 120    # fields of the event with this number and above are answered here

# Return the value of a field of the event, or of an HCA's object; `known` tells whether there
# is one.
cdef uint64_t hca_event_field(const dv_context* c, int number, bint* known) noexcept nogil
cdef uint64_t hca_object_field(const dv_context* c, int obj, int number,
                               bint* known) noexcept nogil
# True where there is such an object.
cdef bint hca_has(const dv_context* c, int obj) noexcept nogil
