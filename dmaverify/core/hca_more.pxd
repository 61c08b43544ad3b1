# cython: language_level=3
# Fields of an HCA's events beside those of keys and posts.

from libc.stdint cimport uint64_t

from dmaverify.core.context cimport dv_context

cdef enum:
    FIRST_MORE = 163         # fields of the event with this number and above are answered here

cdef uint64_t hca_more_field(const dv_context* c, int number, bint* known) noexcept nogil
