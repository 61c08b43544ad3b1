# cython: language_level=3
"""Read lists of numbers, in each spelling that printed traces have."""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport realloc

from dmaverify.trace._chars cimport hex_value, is_digit, is_word, read_number, starts

cdef uint64_t UNKNOWN_LENGTH = 0xFFFFFFFFFFFFFFFF


cdef inline int _append(dv_list* items, uint64_t value) noexcept nogil:
    cdef void* p
    if items.count == items.capacity:
        p = realloc(items.items, (items.capacity * 2 + 64) * sizeof(uint64_t))
        if p == NULL:
            return -1
        items.items = <uint64_t*>p
        items.capacity = items.capacity * 2 + 64
    items.items[items.count] = value
    items.count += 1
    return 0


# Little-endian bytes, `00, 70, 8a` or `00,70,8a`, `size` of them a value.
cdef const char* _bytes(const char* p, const char* end, dv_list* ret, int size,
                        uint8_t* cut) noexcept nogil:
    cdef uint64_t value = 0
    cdef int have = 0
    cdef int high, low
    while end - p >= 2:
        high = hex_value(p[0])
        low = hex_value(p[1])
        if high < 0 or low < 0:
            break
        value |= <uint64_t>(high << 4 | low) << (8 * have)
        have += 1
        if have == size:
            if _append(ret, value) < 0:
                return NULL
            value = 0
            have = 0
        p += 2
        if p < end and p[0] == c',':
            p += 1
            if p < end and p[0] == c' ':
                p += 1
        else:
            break
    if have:
        cut[0] = 1
    return p


# `{0x..,0x..}`, `ARRAY[hh, hh, ...]`, `hh,hh,...`, or decimals with commas or spaces between.
cdef const char* read_list(const char* p, const char* end, dv_list* ret, int size,
                           uint8_t* cut) noexcept nogil:
    cdef uint64_t value = 0
    cdef const char* q
    cdef char close = 0
    ret.count = 0
    if starts(p, end, b"ARRAY["):
        p = _bytes(p + 6, end, ret, size, cut)
        if p != NULL and (p >= end or p[0] != c']'):
            cut[0] = 1
        return p
    if p < end and (p[0] == c'{' or p[0] == c'['):
        close = c'}' if p[0] == c'{' else c']'
        p += 1
    elif end - p > 2 and p[2] == c',' and p[1] != c'x':
        return _bytes(p, end, ret, size, cut)
    while p < end and p[0] != close:
        q = read_number(p, end, False, &value)
        if q == NULL or (q < end and is_word(q[0])) or (q < end and q[0] == c'='):
            break
        if _append(ret, value) < 0:
            return NULL
        p = q
        if p < end and p[0] == c',':
            p += 1
            if close and p < end and p[0] == c' ':
                p += 1
        elif end - p > 1 and p[0] == c' ' and is_digit(p[1]):
            p += 1
        else:
            break
    if close:
        if p < end and p[0] == close:
            p += 1
        else:
            cut[0] = 1
    return p


# `{address+length,address+?}`: bus addresses and lengths together.
cdef const char* read_segments(const char* p, const char* end, dv_list* bus, dv_list* lengths,
                               uint8_t* cut) noexcept nogil:
    cdef uint64_t value = 0
    cdef const char* q
    bus.count = 0
    lengths.count = 0
    if p >= end or p[0] != c'{':
        cut[0] = 1
        return p
    p += 1
    while p < end and p[0] != c'}':
        q = read_number(p, end, False, &value)
        if q == NULL:
            break
        if _append(bus, value) < 0:
            return NULL
        p = q
        value = UNKNOWN_LENGTH
        if p < end and p[0] == c'+':
            p += 1
            if p < end and p[0] == c'?':
                p += 1
            else:
                q = read_number(p, end, False, &value)
                if q == NULL:
                    value = UNKNOWN_LENGTH
                    cut[0] = 1
                    q = p
                p = q
        if _append(lengths, value) < 0:
            return NULL
        if p < end and p[0] == c',':
            p += 1
        else:
            break
    if p < end and p[0] == c'}':
        p += 1
    else:
        cut[0] = 1
    return p
