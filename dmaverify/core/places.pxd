# cython: language_level=3
# Where fields lie that rules ask for, by the numbers of model/fields.py. A field with a place is
# one load, a shift and a mask; the others are worked out by functions.

from libc.stdint cimport uint16_t, uint64_t, uint8_t

cdef enum:
    EVENT_FIELDS = 256
    OBJECT_FIELDS = 32       # of each other object

cdef struct dv_where:
    uint64_t mask            # 0 = it has no place
    uint16_t offset          # of its word of eight bytes
    uint16_t care            # bits that tell whether it is known
    uint16_t want            # what they have to be
    uint8_t shift
    uint8_t base             # in which struct

cdef struct dv_places:
    dv_where event[EVENT_FIELDS]
    dv_where mapping[OBJECT_FIELDS]
    dv_where device[OBJECT_FIELDS]
    dv_where region[OBJECT_FIELDS]
    dv_where qp[OBJECT_FIELDS]

cdef void places_fill(dv_places* p) noexcept nogil
# Return where a field of an object lies, NULL where it has no place.
cdef const dv_where* place_find(const dv_places* p, int obj, int number) noexcept nogil
# The flag of an event that is set where a field is not known; 0 = it always is.
cdef int flags_of(int number) noexcept nogil
# The marks that a mapping has whose field is known.
cdef int marks_of(int number) noexcept nogil
# The limit of a device that a field is; 0 where it is none.
cdef int limits_of(int number) noexcept nogil
