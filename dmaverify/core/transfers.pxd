# cython: language_level=3
# Transfers that a device was told to begin and that have not ended: where they are, and which
# way the data goes. Does not look anything up; a transfer belongs to a mapping that is known.

from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    OPEN_MAX = 4096          # transfers that are remembered; a mapping counts all of its own

cdef struct dv_transfer:
    uint64_t start           # bus address
    uint64_t length          # bytes; 0 = not known
    uint32_t mapping
    uint32_t object          # number of the transfer; 0 = none
    uint32_t direction       # dv_direction; DIR_NONE = not known

cdef struct dv_transfers:
    dv_transfer* items       # in the order of their beginning
    uint32_t count
    uint32_t capacity

cdef void transfers_deinit(dv_transfers* t) noexcept nogil
# Return 0, or -1 when memory is gone.
cdef int transfers_begin(dv_transfers* t, const dv_transfer* one) noexcept nogil
# End the transfer of a mapping that has this number, else that begins at this address, else
# its oldest.
cdef void transfers_end(dv_transfers* t, uint32_t mapping, uint32_t object,
                        uint64_t start) noexcept nogil
# Forget all of a mapping's.
cdef void transfers_forget(dv_transfers* t, uint32_t mapping) noexcept nogil
# Tell whether one of a mapping's in this direction shares a byte with [start, start + length).
cdef bint transfers_touch(const dv_transfers* t, uint32_t mapping, uint32_t direction,
                          uint64_t start, uint64_t length) noexcept nogil
