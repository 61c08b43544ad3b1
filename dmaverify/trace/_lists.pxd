# cython: language_level=3
# Lists of numbers, in each spelling that printed traces have.

from libc.stdint cimport uint8_t, uint64_t

cdef struct dv_list:
    uint64_t* items
    size_t count
    size_t capacity

# Both read a list at p and return where it ends, or NULL when memory is gone. `cut` is set
# to 1 where the list ends in mid-air. Lists grow with their line, never beyond.
#
# `{0x..,0x..}`, `ARRAY[hh, hh, ...]`, `hh,hh,...` (bytes: `size` make a number, little-endian),
# or decimals with commas or spaces between.
cdef const char* read_list(const char* p, const char* end, dv_list* ret, int size,
                           uint8_t* cut) noexcept nogil
# `{address+length,address+?}`: bus addresses and lengths together.
cdef const char* read_segments(const char* p, const char* end, dv_list* bus, dv_list* lengths,
                               uint8_t* cut) noexcept nogil
