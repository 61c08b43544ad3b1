# cython: language_level=3
# Bytes of mappings that an access or a sync moves or outdates.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.shadow cimport dv_segment
from dmaverify.core.world cimport dv_world

# The part of a range that lies in a segment, as offsets from the segment's start; False where
# there is none.
cdef bint shared_part(const dv_segment* seg, bint physical, uint64_t start, uint64_t length,
                      uint64_t* first, uint64_t* end) noexcept nogil
# An access or a sync moves or outdates bytes of one mapping: [start, start + length) of the
# bus, or of physical memory. `how` is one of the six above.
cdef int mapping_touch(dv_world* w, uint32_t index, bint physical, uint64_t start,
                       uint64_t length, int how) noexcept nogil
# The CPU wrote memory: mark what of it lies in a line with the first or last byte of a mapping,
# but in no mapping's bytes.
cdef int neighbours_touch(dv_world* w, uint64_t phys, uint64_t length) noexcept nogil
# Count bytes of the range that are newer on the device's side, or on the CPU's.
cdef uint64_t mapping_stale(const dv_world* w, uint32_t index, bint physical, uint64_t start,
                            uint64_t length, bint for_cpu) noexcept nogil
# Count bytes of a physical range that the device owns.
cdef uint64_t mapping_owned(const dv_world* w, uint32_t index, uint64_t phys,
                            uint64_t length) noexcept nogil
