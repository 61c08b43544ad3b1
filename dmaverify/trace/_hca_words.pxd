# cython: language_level=3
# Words for values of an HCA's events. What a word means hangs on the kind of its event.

from libc.stdint cimport uint8_t

# Return the number of a word for a row's type, 0 where it is none.
cdef uint8_t hca_type(int kind, const char* p, const char* end) noexcept nogil
# Return the bits of words joined by `|`; `known` tells whether all are words of the kind.
cdef uint8_t hca_bits(int kind, const char* p, const char* end, bint* known) noexcept nogil
# Return the number of a word for a row's status, -1 where it is none.
cdef int hca_status(int kind, const char* p, const char* end) noexcept nogil
