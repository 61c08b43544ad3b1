# cython: language_level=3
"""Numbers for names, in an open-addressing table that never forgets."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from dmaverify.trace._chars cimport hash_name

cdef enum:
    NAME_MAX = 128


cdef int names_init(dv_names* names, uint32_t limit) noexcept nogil:
    memset(names, 0, sizeof(dv_names))
    names.limit = limit
    names.capacity = 1024
    names.starts_capacity = 64
    names.mask = 127
    names.bytes = <char*>malloc(names.capacity)
    names.starts = <uint32_t*>calloc(names.starts_capacity, sizeof(uint32_t))
    names.slots = <uint32_t*>calloc(names.mask + 1, sizeof(uint32_t))
    if names.bytes == NULL or names.starts == NULL or names.slots == NULL:
        names_deinit(names)
        return -1
    return 0


cdef void names_deinit(dv_names* names) noexcept nogil:
    free(names.bytes)
    free(names.starts)
    free(names.slots)
    memset(names, 0, sizeof(dv_names))


cdef int _rehash(dv_names* names) noexcept nogil:
    cdef uint32_t mask = names.mask * 2 + 1
    cdef uint32_t* slots = <uint32_t*>calloc(<size_t>mask + 1, sizeof(uint32_t))
    cdef uint32_t i
    cdef uint64_t at
    if slots == NULL:
        return -1
    for i in range(names.count):
        at = hash_name(names.bytes + names.starts[i], names.starts[i + 1] - names.starts[i]) & mask
        while slots[at]:
            at = (at + 1) & mask
        slots[at] = i + 1
    free(names.slots)
    names.slots = slots
    names.mask = mask
    return 0


cdef int _grow(dv_names* names, size_t n) noexcept nogil:
    cdef void* p
    if names.used + n > names.capacity:
        p = realloc(names.bytes, names.capacity * 2 + n)
        if p == NULL:
            return -1
        names.bytes = <char*>p
        names.capacity = names.capacity * 2 + n
    if names.count + 2 > names.starts_capacity:
        p = realloc(names.starts, <size_t>names.starts_capacity * 2 * sizeof(uint32_t))
        if p == NULL:
            return -1
        names.starts = <uint32_t*>p
        names.starts_capacity *= 2
    if names.count * 2 > names.mask:
        return _rehash(names)
    return 0


cdef uint32_t names_number(dv_names* names, const char* p, size_t n) noexcept nogil:
    cdef uint64_t at
    cdef uint32_t number, start
    if n == 0:
        return 0
    if n > NAME_MAX:
        n = NAME_MAX
    at = hash_name(p, n) & names.mask
    while True:
        number = names.slots[at]
        if number == 0:
            break
        start = names.starts[number - 1]
        if names.starts[number] - start == n and memcmp(names.bytes + start, p, n) == 0:
            return number
        at = (at + 1) & names.mask
    if names.count >= names.limit:
        names.refused += 1
        return names.limit + 1
    if _grow(names, n) < 0:
        return 0
    at = hash_name(p, n) & names.mask
    while names.slots[at]:
        at = (at + 1) & names.mask
    memcpy(names.bytes + names.used, p, n)
    names.used += n
    names.count += 1
    names.starts[names.count] = <uint32_t>names.used
    names.slots[at] = names.count
    return names.count
