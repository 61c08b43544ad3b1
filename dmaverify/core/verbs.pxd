# cython: language_level=3
# What an event of an HCA means, and what it changes: which region its key names, whose domain,
# which rights and bytes it lacks. The look-ups see the world as it was before the event.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.resolve cimport dv_context

cdef enum:
    FIRST_HCA_FIELD = 120    # fields of the event with this number and above are answered here

# Find what the event means. The context's `hca` and world must stand.
cdef int verbs_resolve(dv_context* c) noexcept nogil
# Let the event change the world. Returns 0, or -1 when memory is gone.
cdef int verbs_apply(dv_context* c) noexcept nogil
# Return the value of a field of the event, or of an HCA's object; `known` tells whether there
# is one.
cdef uint64_t verbs_event_field(const dv_context* c, int number, bint* known) noexcept nogil
cdef uint64_t verbs_object_field(const dv_context* c, int obj, int number,
                                 bint* known) noexcept nogil
# True where there is such an object.
cdef bint verbs_has(const dv_context* c, int obj) noexcept nogil
# Return the object that an HCA's event is about; 0 = none.
cdef uint32_t verbs_subject(const dv_context* c) noexcept nogil
