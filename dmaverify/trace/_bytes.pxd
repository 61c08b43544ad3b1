# cython: language_level=3
# Numbers as they lie in a file: in network order, or in that of the machine or the other one.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdint.h>
    static inline uint16_t dv_swap2(uint16_t v) { return __builtin_bswap16(v); }
    static inline uint32_t dv_swap4(uint32_t v) { return __builtin_bswap32(v); }
    static inline uint64_t dv_swap8(uint64_t v) { return __builtin_bswap64(v); }
    """
    uint16_t dv_swap2(uint16_t v) noexcept nogil
    uint32_t dv_swap4(uint32_t v) noexcept nogil
    uint64_t dv_swap8(uint64_t v) noexcept nogil


cdef inline uint16_t be16(const uint8_t* p) noexcept nogil:
    return <uint16_t>(p[0] << 8 | p[1])


cdef inline uint32_t be24(const uint8_t* p) noexcept nogil:
    return <uint32_t>p[0] << 16 | <uint32_t>p[1] << 8 | p[2]


cdef inline uint32_t be32(const uint8_t* p) noexcept nogil:
    return <uint32_t>p[0] << 24 | be24(p + 1)


cdef inline uint64_t be64(const uint8_t* p) noexcept nogil:
    return <uint64_t>be32(p) << 32 | be32(p + 4)


# The machine's order, or with `swap` the other.
cdef inline uint16_t host16(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint16_t v
    memcpy(&v, p, 2)
    return dv_swap2(v) if swap else v


cdef inline uint32_t host32(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t v
    memcpy(&v, p, 4)
    return dv_swap4(v) if swap else v


cdef inline uint64_t host64(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint64_t v
    memcpy(&v, p, 8)
    return dv_swap8(v) if swap else v
