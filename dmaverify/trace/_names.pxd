# cython: language_level=3
# Names by number: each distinct name gets the next number, from 1. Nothing is forgotten.
#
# Bounded: at most `limit` names are told apart, and of each at most 128 bytes are kept.

from libc.stdint cimport uint32_t, uint64_t

cdef struct dv_names:
    char* bytes          # the names, one after the other
    size_t used
    size_t capacity
    uint32_t* starts     # of name i + 1; starts[count] is `used`
    uint32_t starts_capacity
    uint32_t count
    uint32_t limit
    uint32_t* slots      # open addressing: numbers, 0 = free
    uint32_t mask
    uint64_t refused     # uses of names beyond the limit

# Return 0, or -1 when memory is gone.
cdef int names_init(dv_names* names, uint32_t limit) noexcept nogil
cdef void names_deinit(dv_names* names) noexcept nogil
# Return the number of a name: 0 for the empty name and when memory is gone, limit + 1
# beyond the limit.
cdef uint32_t names_number(dv_names* names, const char* p, size_t n) noexcept nogil
