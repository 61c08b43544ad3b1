# cython: language_level=3
# Arenas that grow: an array whose item 0 stands for "none" and is all zero.

from libc.stdint cimport uint32_t
from libc.stdlib cimport realloc
from libc.string cimport memset

# Make room for one item more behind `count` items of `size` bytes, the new ones zeroed. Returns
# the array, which may have moved, or NULL when memory is gone: then the old one still stands.
cdef inline void* pool_room(void* items, uint32_t count, uint32_t* capacity,
                            size_t size) noexcept nogil:
    cdef void* p
    if count < capacity[0]:
        return items
    p = realloc(items, <size_t>capacity[0] * 2 * size)
    if p == NULL:
        return NULL
    memset(<char*>p + <size_t>capacity[0] * size, 0, <size_t>capacity[0] * size)
    capacity[0] *= 2
    return p
