# cython: language_level=3
# Characters and numbers of printed traces, inline and without the interpreter.
#
# A range of text is always [p, end). No function reads a byte at `end`.

from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy, strlen

cdef inline bint is_digit(char c) noexcept nogil:
    return c >= c'0' and c <= c'9'

cdef inline bint is_word(char c) noexcept nogil:
    return (c >= c'a' and c <= c'z') or c == c'_' or is_digit(c) or (c >= c'A' and c <= c'Z')

# Return the value of a hexadecimal digit, or -1.
cdef inline int hex_value(char c) noexcept nogil:
    if c >= c'0' and c <= c'9':
        return c - c'0'
    if c >= c'a' and c <= c'f':
        return c - c'a' + 10
    if c >= c'A' and c <= c'F':
        return c - c'A' + 10
    return -1

cdef inline const char* skip_spaces(const char* p, const char* end) noexcept nogil:
    while p < end and p[0] == c' ':
        p += 1
    return p

cdef inline const char* find_space(const char* p, const char* end) noexcept nogil:
    while p < end and p[0] != c' ':
        p += 1
    return p

cdef inline bint starts(const char* p, const char* end, const char* word) noexcept nogil:
    cdef size_t n = strlen(word)
    return <size_t>(end - p) >= n and memcmp(p, word, n) == 0

cdef inline bint equals(const char* p, const char* end, const char* word) noexcept nogil:
    cdef size_t n = strlen(word)
    return <size_t>(end - p) == n and memcmp(p, word, n) == 0

# Read a decimal number; return where it ends, or NULL without a digit or past 64 bits.
cdef inline const char* read_decimal(const char* p, const char* end, uint64_t* ret) noexcept nogil:
    cdef uint64_t value = 0
    cdef const char* start = p
    cdef int d
    while p < end and is_digit(p[0]):
        d = p[0] - c'0'
        if p - start >= 19 and value > (<uint64_t>0xFFFFFFFFFFFFFFFF - d) // 10:
            return NULL
        value = value * 10 + d
        p += 1
    if p == start:
        return NULL
    ret[0] = value
    return p

# Read hexadecimal digits; return where they end, or NULL without one or past 64 bits.
cdef inline const char* read_hex(const char* p, const char* end, uint64_t* ret) noexcept nogil:
    cdef uint64_t value = 0
    cdef const char* start = p
    cdef int d
    while p < end:
        d = hex_value(p[0])
        if d < 0:
            break
        if value >> 60:
            return NULL
        value = value << 4 | d
        p += 1
    if p == start:
        return NULL
    ret[0] = value
    return p

# Read a number that is hexadecimal after `0x`, or everywhere if `hexadecimal`.
cdef inline const char* read_number(const char* p, const char* end, bint hexadecimal,
                                    uint64_t* ret) noexcept nogil:
    if end - p > 2 and p[0] == c'0' and (p[1] | 0x20) == c'x':
        return read_hex(p + 2, end, ret)
    if hexadecimal:
        return read_hex(p, end, ret)
    return read_decimal(p, end, ret)

# Mix the bytes of a short name into 64 bits; equal names give equal values.
cdef inline uint64_t hash_name(const char* p, size_t n) noexcept nogil:
    cdef uint64_t head = 0
    cdef uint64_t tail = 0
    cdef uint64_t h
    if n >= 8:
        memcpy(&head, p, 8)
        memcpy(&tail, p + n - 8, 8)
        h = (head ^ (n << 56)) * <uint64_t>0x9E3779B97F4A7C15
        h = (h ^ (h >> 29) ^ tail) * <uint64_t>0xBF58476D1CE4E5B9
        if n > 16:
            memcpy(&head, p + (n >> 1) - 4, 8)
            h = (h ^ (h >> 31) ^ head) * <uint64_t>0x94D049BB133111EB
    else:
        while n:
            n -= 1
            head = head << 8 | <unsigned char>p[n]
        h = (head + 0x51) * <uint64_t>0x9E3779B97F4A7C15
        h = (h ^ (h >> 29)) * <uint64_t>0xBF58476D1CE4E5B9
    return h ^ (h >> 32)
