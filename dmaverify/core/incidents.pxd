# cython: language_level=3
# Incidents: accesses and calls that some platform does not take as the driver wants, grouped
# as they happen. One incident holds what every platform of the run makes of it. The first
# incident of each effect on each platform is always kept; of the others so many as there is
# room for. Does not judge.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from dmaverify.core.context cimport dv_context
from dmaverify.core.table cimport dv_table
from dmaverify.core.world cimport dv_mapping
from dmaverify.model.events cimport dv_event, dv_number

cdef enum dv_effect:         # as model/platform.py's Effect
    EFFECT_WORKS = 0
    EFFECT_CANNOT_TELL = 1
    EFFECT_LUCK = 2
    EFFECT_REFUSED = 3
    EFFECT_BREAKS = 4

cdef enum dv_cause:          # as model/effect.py's Cause
    CAUSE_NONE = 0
    CAUSE_CONTRACT = 1
    CAUSE_NO_TRANSLATION = 2
    CAUSE_TRANSLATION_GONE = 3
    CAUSE_NO_PERMISSION = 4
    CAUSE_PAST_PAGES = 5
    CAUSE_SAME_PAGE = 6
    CAUSE_OTHER_DOMAIN = 7
    CAUSE_NO_MEMORY = 8
    CAUSE_TOO_WIDE = 9
    CAUSE_OTHER_MEMORY = 10
    CAUSE_PRIVATE = 11
    CAUSE_MMIO = 12
    CAUSE_STALE_FOR_CPU = 13
    CAUSE_STALE_FOR_DEVICE = 14
    CAUSE_CPU_BYTES_LOST = 15
    CAUSE_DEVICE_BYTES_LOST = 16
    CAUSE_GUARD = 17
    CAUSE_LATE_WINDOW = 18
    CAUSE_FILL = 19
    CAUSE_FOREIGN_BYTES = 20
    CAUSE_OWN_MEMORY = 21
    CAUSE_SHARED_AT_ONCE = 22
    CAUSE_LINE_SHARED = 23
    CAUSE_FAULT_SEEN = 24
    CAUSE_NOT_FLUSHED = 25
    CAUSE_NEEDS_ORDER = 26
    CAUSE_UNKNOWN_MEMORY = 27
    CAUSE_NO_PERSISTENT = 28
    CAUSE_NEIGHBOURS_LOST = 29
    CAUSE_MAY_BE_SHARED = 30
    CAUSE_NO_DIRECTION = 31

cdef enum dv_mistake:        # as model/effect.py's Mistake
    MISTAKE_NONE = 0
    MISTAKE_UNMAPPED = 1
    MISTAKE_AFTER_UNMAP = 2
    MISTAKE_OUT_OF_RANGE = 3
    MISTAKE_WRONG_DIRECTION = 4
    MISTAKE_FOREIGN = 5
    MISTAKE_NO_SYNC_FOR_CPU = 6
    MISTAKE_NO_SYNC_FOR_DEVICE = 7
    MISTAKE_WHILE_DEVICE_OWNS = 8
    MISTAKE_FAILED_USED = 9
    MISTAKE_UNMAP_SIZE = 10
    MISTAKE_UNMAP_DIRECTION = 11
    MISTAKE_UNMAP_UNMAPPED = 12
    MISTAKE_LEAK = 13
    MISTAKE_UNMAP_TYPE = 14
    MISTAKE_SG_COUNT = 15
    MISTAKE_FREE_SIZE = 16
    MISTAKE_FREE_CPU_ADDRESS = 17
    MISTAKE_UNMAP_OTHER_DEVICE = 18
    MISTAKE_SYNC_UNMAPPED = 19
    MISTAKE_SYNC_RANGE = 20
    MISTAKE_SYNC_DIRECTION = 21
    MISTAKE_INVALID_DIRECTION = 22
    MISTAKE_ILLEGAL_MEMORY = 23
    MISTAKE_OVERLAP = 24
    MISTAKE_ZERO_LENGTH = 25
    MISTAKE_SHARED_LINE = 26
    MISTAKE_CPU_WRITE_LOST = 27
    MISTAKE_UNMAP_IN_TRANSFER = 28

cdef enum:
    PLATFORMS_MAX = 16       # as model/effect.py
    INCIDENTS_MAX = 1024

# What each platform makes of one event.
cdef struct dv_verdict:
    uint8_t effect[16]
    uint8_t cause[16]
    uint8_t stage[16]        # which of two translations failed; 0 = none
    uint64_t bytes           # how many bytes are the worse for it
    uint8_t mistake
    uint8_t rests_on_syncs
    uint8_t across_gap

cdef struct dv_incident:
    dv_verdict verdict
    uint64_t count
    dv_event event
    dv_number number
    uint64_t ordinal         # accesses of the device by then; 0 = not an access
    uint64_t length
    uint8_t has_mapping
    uint8_t retold           # since somebody asked for its lines
    dv_mapping mapping

cdef struct dv_incidents:
    dv_incident* items
    uint32_t count
    uint32_t capacity
    uint64_t overflow        # further incidents that were counted only
    uint32_t faults          # incidents that are faults of an IOMMU, so far
    uint32_t accesses        # and those that are other accesses of devices
    dv_table keys            # what an incident is known by -> index + 1
    uint8_t seen[16][8]      # [platform][effect]: there is one

cdef int incidents_init(dv_incidents* s, uint64_t seed) noexcept nogil
cdef void incidents_deinit(dv_incidents* s) noexcept nogil
# Keep an incident, or count it with one that is the same. `index`: the mapping that it is
# about, 0 = none. Return 0, or -1 when memory is gone.
cdef int incident_add(dv_incidents* s, const dv_context* c, uint32_t platforms,
                      const dv_verdict* v, uint32_t index, uint64_t ordinal,
                      uint64_t length) noexcept nogil
# Find what was kept of an access on this device, page and direction, or NULL; `fault`: of a
# fault of the IOMMU only.
cdef dv_incident* incident_at(dv_incidents* s, const dv_event* e, bint fault) noexcept nogil
# Tell an incident anew: it is the same as this event.
cdef void incident_retell(dv_incidents* s, dv_incident* item, const dv_context* c,
                          const dv_verdict* v, uint32_t index, uint64_t ordinal,
                          uint64_t length) noexcept nogil
