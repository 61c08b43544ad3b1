# cython: language_level=3
# Which copy of a mapped byte is newest: the CPU's, the device's, or both alike.
#
# Two masks a cache line of a segment, one bit a byte, made when the first access comes:
# bytes that the device wrote and nobody handed to the CPU since, and bytes that the CPU
# wrote and nobody handed to the device since. The contract is that of a bounced buffer,
# whatever the recording machine did: bytes move at map, sync and unmap only. A sync of a
# hundred bytes clears exactly those.

from libc.stdint cimport uint64_t

from dmaverify.core.shadow cimport dv_segment, dv_shadow

cdef enum:
    LINE_BYTES = 64
    LINES_MAX = 1 << 18      # lines of one segment that are followed
    LINES_IN_ALL = 1 << 22   # lines of all segments together; more are counted as crowded

# Note that one side wrote bytes [start, end) of a segment (offsets from its start): its copy
# is the newest, and the other side's is not. Return 0, or -1 when memory is gone.
cdef int device_wrote(dv_shadow* sh, dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
cdef int cpu_wrote(dv_shadow* sh, dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
cdef void handed_to_cpu(dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
cdef void handed_to_device(dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
# Count the bytes of [start, end) that are newer on one side.
cdef uint64_t stale_for_cpu(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
cdef uint64_t stale_for_device(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil
