# cython: language_level=3
# A platform as the engine and the simulator's compiled parts see it: model/platform.py's
# dataclass, packed. Does not hold names; a platform is known by its place in a list.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum dv_translation:    # as model/platform.py's Translation
    TRANSLATION_NONE = 0
    TRANSLATION_IOMMU = 1
    TRANSLATION_NESTED = 2

cdef enum dv_bounce:         # as model/platform.py's Bounce
    BOUNCE_NEVER = 0
    BOUNCE_ALWAYS = 1
    BOUNCE_ABOVE_WIDTH = 2

cdef packed struct dv_platform:
    uint64_t bus_offset      # bytes; bus address minus physical address
    uint64_t flush_after_ns
    uint64_t highest         # the highest bus address that a device forms
    uint32_t flush_after_unmaps
    uint32_t page_bytes
    uint32_t line_bytes
    uint32_t guard_bytes
    uint8_t recorded
    uint8_t translation
    uint8_t second_reaches_mmio
    uint8_t coherent
    uint8_t bounce
    uint8_t copies_in_always
    uint8_t private_memory
    uint8_t common_buffers_at_end
