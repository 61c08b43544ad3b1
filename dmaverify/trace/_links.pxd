# cython: language_level=3
# From a captured frame to the transport header of InfiniBand in it.

from libc.stdint cimport uint8_t, uint32_t
from libc.stddef cimport size_t

cdef enum dv_found:
    FOUND_NOTHING = 0        # another protocol
    FOUND_RDMA = 1
    FOUND_CUT = 2            # the capture ends before the headers do
    FOUND_FRAGMENT = 3       # a later part of an IP datagram
    FOUND_LINK = 4           # a link type that is not known

# What surrounds a transport header.
cdef struct dv_frame:
    const uint8_t* at        # base transport header
    size_t n                 # bytes there, captured and of the datagram
    uint8_t source[16]
    uint8_t target[16]
    bint whole               # the datagram is captured to its end

# Find the transport header in a frame; `link` is its LINKTYPE.
cdef int frame_open(const uint8_t* p, size_t n, uint32_t link, dv_frame* ret) noexcept nogil
cdef bint link_known(uint32_t link) noexcept nogil
