# cython: language_level=3
# What each platform makes of a device's access, once it is known how it lies: in a mapping, past
# its end, in one that has ended, or nowhere. Looks nothing up.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.between cimport dv_effects, translation
from dmaverify.core.context cimport dv_context
from dmaverify.core.incidents cimport dv_verdict
from dmaverify.core.world cimport dv_mapping
from dmaverify.model.platform cimport dv_platform

cdef struct dv_reach:
    bint writes
    bint reads
    bint unknown             # nothing tells which of the two
    bint wrong               # the direction of the mapping does not allow it
    uint64_t length          # 1 where it is not told
    uint64_t past            # bytes past the end of the mapping
    uint32_t last            # of several mappings that it spans, the last
    uint64_t end             # where the mapping ends: physical where known, else bus
    uint64_t before          # bytes before the mapping that it begins in front of
    uint64_t start           # where that mapping starts: physical where known, else bus
    bint foreign             # what lies there is another mapping's
    bint others_pages        # the pages past the end are those of the device's other mappings
    uint64_t phys            # of the first byte past the end, or of a late access
    bint phys_known
    uint64_t unsent          # bytes that the CPU wrote and did not hand over
    bint unclean             # what the CPU wrote there is in its cache yet, and no call's matter
    uint64_t dirty           # bytes that the CPU wrote, and has in its cache, in the same lines
    uint64_t other_dirty     # the same, where lines are of another length
    uint64_t memory          # where it begins in memory
    bint memory_known
    uint32_t since           # the event that mapped it
    bint overwrites          # the CPU has written there since the mapping ended
    bint within_lazy
    bint lazy_known

# An access that lies, or begins, in a live mapping; through one that has ended; of what is mapped
# for nobody. `i` is the platform.
# Count the bytes that the CPU wrote in the lines of a write, of the length that lines have there.
cdef uint64_t dirty_on(const dv_effects* f, const dv_platform* p, const dv_reach* r) noexcept nogil
cdef void judge_mapped(dv_effects* f, dv_context* c, const dv_reach* r, const dv_mapping* m,
                       uint32_t i, dv_verdict* v) noexcept nogil
cdef void judge_late(dv_effects* f, dv_context* c, const dv_reach* r, const dv_mapping* m,
                     uint32_t i, dv_verdict* v) noexcept nogil
cdef void judge_loose(dv_effects* f, dv_context* c, const dv_reach* r, uint32_t i,
                      dv_verdict* v) noexcept nogil

cdef inline uint64_t page_room(const dv_platform* p, const dv_reach* r) noexcept nogil:
    """Return how many bytes past the end of a mapping lie on the last page of its translation.

    A translation keeps the offset within a page, so that physical and bus address tell the same.
    """
    return -r.end & (p.page_bytes - 1)
