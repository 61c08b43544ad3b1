# cython: language_level=3
# Which copy of a mapped byte is newest: the CPU's, the device's, or both alike.
#
# Masks a cache line of a segment, one bit a byte, made when the first access comes: bytes
# that the device wrote and nobody handed to the CPU since, bytes that the CPU wrote and
# nobody handed to the device since, and bytes that the device owns. The contract is that of
# a bounced buffer, whatever the recording machine did: bytes move at map, sync and unmap
# only. A sync of a hundred bytes clears exactly those.
# The first and the last line of a segment have bits outside of it, for what the CPU wrote
# beside the mapping. There the contract is that of a cache: lines are handed over whole.

from libc.stdint cimport uint64_t

from dmaverify.core.shadow cimport dv_segment, dv_shadow

cdef enum:
    LINE_BYTES = 64
    LINES_MAX = 1 << 18      # lines of one segment that are followed
    LINES_IN_ALL = 1 << 22   # lines of all segments together; more are counted as crowded

cdef enum:                   # who owns the bytes of a segment
    OWNER_DEVICE = 0
    OWNER_CPU = 1
    OWNER_MASK = 2           # a mask tells

# Note that one side wrote bytes [start, end) of a segment (offsets from its start): its copy
# is the newest, and the other side's is not. Return 0, or -1 when memory is gone.
cdef int device_wrote(dv_shadow* sh, dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
cdef int cpu_wrote(dv_shadow* sh, dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
cdef void handed_to_cpu(dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
cdef void handed_to_device(dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
# Count the bytes of [start, end) that are newer on one side.
cdef uint64_t stale_for_cpu(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
cdef uint64_t stale_for_device(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
# Find the first run of bytes, at or behind an offset, that are newer on the device's side.
cdef bint device_run(const dv_segment* s, uint64_t at, uint64_t* start,
                     uint64_t* end) noexcept nogil

# The CPU wrote memory [phys, end) in or beside the segment: remember what lies beside it, in
# its first and its last line. Return 0, or -1 when memory is gone.
cdef int neighbour_wrote(dv_shadow* sh, dv_segment* s, uint64_t phys, uint64_t end) noexcept nogil
# The lines of [start, end) were cleaned, or thrown away: nothing beside the segment is dirty.
cdef void neighbours_settled(dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
# Count the bytes outside of the segment, in the lines of [start, end), that the CPU wrote.
cdef uint64_t neighbours_dirty(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
# Count what the CPU wrote in the lines of [start, end), in the segment and beside it.
cdef uint64_t lines_dirty(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil

# Give [start, end) to one side. Return 0, or -1 when memory is gone.
cdef int owned_by(dv_shadow* sh, dv_segment* s, uint64_t start, uint64_t end,
                  int owner) noexcept nogil
# Count the bytes of [start, end) that the device owns.
cdef uint64_t device_owned(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
