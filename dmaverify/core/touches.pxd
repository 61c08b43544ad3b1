# cython: language_level=3
# Touches of memory: what happened to bytes that no live mapping watches, and when mappings
# ended. Both are rings: the newest few thousand are remembered. Does not judge.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    TOUCHES = 4096           # touches of memory that are remembered
    ENDS = 4096              # ends of mappings that are counted back
    STEPS_MAX = 16384        # touches that one look-up visits

cdef enum:                   # what touched memory
    CPU_WRITES = 1           # the CPU: its cache may hold the only copy
    CLEANED = 2              # a mapping or a sync: caches and memory agree
    DEVICE_WRITES = 3        # the device, with nobody told: the cache may hold old bytes
    LEFT_BEHIND = 4          # an unmap that copied nothing: the device's bytes stayed with it

cdef struct dv_touch:
    uint64_t phys_addr
    uint64_t length
    uint32_t record          # number of the event
    uint8_t what
    uint8_t mistake          # of the device, for DEVICE_WRITES
    uint8_t bounced          # the recording machine had a bounce buffer there

cdef struct dv_touches:
    dv_touch* items          # a ring
    uint32_t next
    uint32_t count
    uint64_t by_device       # DEVICE_WRITES and LEFT_BEHIND ever put in
    uint64_t by_cpu          # CPU_WRITES ever put in
    uint32_t* ends           # a ring: record of each end of a mapping, rising
    uint64_t end_count

cdef int touches_init(dv_touches* t) noexcept nogil
cdef void touches_deinit(dv_touches* t) noexcept nogil
cdef void touch(dv_touches* t, const dv_touch* one) noexcept nogil
# The same as `touch`, in parts.
cdef void touched(dv_touches* t, uint64_t phys, uint64_t length, uint32_t record, int what,
                  int mistake) noexcept nogil
# Return the newest touch of a range but those of one kind, or NULL.
cdef const dv_touch* last_touch(const dv_touches* t, uint64_t phys, uint64_t length,
                                int but) noexcept nogil
# Return a touch by the device that is the newest one of some byte of a range, or NULL; how many
# bytes the newest of such touches are of is put into `bytes`.
cdef const dv_touch* newest_by_device(const dv_touches* t, uint64_t phys, uint64_t length,
                                      uint64_t* bytes) noexcept nogil
# Count the bytes of a range that the CPU wrote last, after an event, and that nothing has cleaned
# since.
cdef uint64_t dirty_bytes(const dv_touches* t, uint64_t phys, uint64_t length,
                          uint32_t since) noexcept nogil
# Tell whether the CPU was the last to write into a range, and did so after an event.
cdef bint cpu_wrote_since(const dv_touches* t, uint64_t phys, uint64_t length,
                          uint32_t record) noexcept nogil
# Remember the end of a mapping, and count those after an event, as far back as they go.
cdef void end_seen(dv_touches* t, uint32_t record) noexcept nogil
cdef uint32_t ends_since(const dv_touches* t, uint32_t record) noexcept nogil
