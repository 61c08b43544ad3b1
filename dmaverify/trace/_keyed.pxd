# cython: language_level=3
# When keys change in a trace: what a packet capture is put between.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.model.events cimport dv_event

cdef struct dv_change:
    uint64_t time
    uint32_t key
    uint32_t device
    uint32_t number          # of the change in the trace, from 1
    uint32_t made            # 1: a region has the key from now on; 0: no longer

cdef class KeyScout:
    cdef dv_change* items
    cdef size_t count
    cdef size_t capacity
    cdef readonly bint whole
    cdef readonly bint timed
    cdef readonly object first
    cdef readonly object last
    cdef readonly list asked
    cdef int add(self, uint32_t key, const dv_event* e, uint32_t made) noexcept nogil
    # Return the first change of a key, or where it would be.
    cdef size_t find(self, uint32_t key) noexcept nogil
    # True where a key changes within a span of time.
    cdef bint changes(self, uint32_t key, uint64_t low, uint64_t high) noexcept nogil
    # The number of the device whose region had a key, or what is given.
    cdef uint32_t device_or(self, uint32_t key, uint32_t other) noexcept nogil
    # How often a region got this key.
    cdef uint32_t made(self, uint32_t key) noexcept nogil

# The keys that an event names, and whether a region has them from now on: 1, 0, -1 = neither.
cdef int key_change(const dv_event* e, uint32_t* key, uint32_t* other) noexcept nogil
