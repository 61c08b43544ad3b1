# cython: language_level=3
# Characters and numbers of printed traces, inline and without the interpreter.
#
# A range of text is always [p, end). No function reads a byte at `end`.

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, strlen

cdef extern from *:
    """
    /* 1 where a character may be part of a field's or an event's name. */
    static const unsigned char dv_word_chars[256] = {
        ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['_'] = 1,
    };
    /* The value of a hexadecimal digit plus 1; 0 for any other character. */
    static const unsigned char dv_hex_digits[256] = {
        ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8,
        ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15,
        ['f'] = 16, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    };
    """
    const unsigned char dv_word_chars[256]
    const unsigned char dv_hex_digits[256]

cdef inline bint is_digit(char c) noexcept nogil:
    return c >= c'0' and c <= c'9'

cdef inline bint is_word(char c) noexcept nogil:
    return dv_word_chars[<unsigned char>c]

# Return the value of a hexadecimal digit, or -1.
cdef inline int hex_value(char c) noexcept nogil:
    return <int>dv_hex_digits[<unsigned char>c] - 1

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
        value = value << 4 | <uint64_t>d
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

# The first and last eight bytes of a name (shorter names: what there is), which together
# are all of a name of up to sixteen.
cdef inline void name_ends(const char* p, size_t n, uint64_t* head, uint64_t* tail) noexcept nogil:
    cdef uint32_t a, b
    if n >= 8:
        memcpy(head, p, 8)
        memcpy(tail, p + n - 8, 8)
    elif n >= 4:
        memcpy(&a, p, 4)
        memcpy(&b, p + n - 4, 4)
        head[0] = a
        tail[0] = b
    else:
        head[0] = 0
        tail[0] = 0
        if n:
            head[0] = <unsigned char>p[0] | <uint64_t><unsigned char>p[n >> 1] << 8
            tail[0] = <unsigned char>p[n - 1]

# Mix a name into 64 bits; equal names give equal values.
cdef inline uint64_t hash_ends(uint64_t head, uint64_t tail, size_t n) noexcept nogil:
    cdef uint64_t h = (head ^ (<uint64_t>n << 56)) * <uint64_t>0x9E3779B97F4A7C15
    h = (h ^ (h >> 29) ^ tail) * <uint64_t>0xBF58476D1CE4E5B9
    return h ^ (h >> 32)

cdef inline uint64_t hash_name(const char* p, size_t n) noexcept nogil:
    cdef uint64_t head, tail, h, word
    name_ends(p, n, &head, &tail)
    h = hash_ends(head, tail, n)
    # The middle counts too, or names that differ only there would all collide.
    while n > 16:
        n -= 8
        memcpy(&word, p + n - 8, 8)
        h = (h ^ (h >> 31) ^ word) * <uint64_t>0x94D049BB133111EB
    return h ^ (h >> 32)


# Return the number of a kind of memory (model/kinds.py, MemoryKind) by its name, or 0.
cdef inline int memory_kind(const char* p, const char* end) noexcept nogil:
    cdef const char** names = [b"kmalloc", b"pages", b"coherent", b"noncoherent", b"stack",
                               b"vmalloc", b"rodata", b"text", b"nonpaged_pool",
                               b"paged_pool", b"user"]
    cdef int i
    for i in range(11):
        if equals(p, end, names[i]):
            return i + 1
    return 0
