# cython: language_level=3
# What lies between a device and memory on each platform of a run: nothing, a translation, a
# bounce buffer, caches that do not see it. And what all that judges on platforms shares: their
# state, and facts about memory. Judges no event.

from libc.stdint cimport uint32_t, uint64_t, uint8_t

from dmaverify.core.context cimport dv_context
from dmaverify.core.incidents cimport MISTAKE_NONE, dv_incidents, dv_verdict
from dmaverify.core.touches cimport dv_touches, touched
from dmaverify.core.world cimport MARK_EXISTING, MARK_WHOLE_PAGES, dv_mapping, dv_world
from dmaverify.model.events cimport (
    DIR_BIDIRECTIONAL, F_MMIO, TYPE_COHERENT, TYPE_RESOURCE, TYPE_SG, TYPE_SINGLE,
)
from dmaverify.model.platform cimport TRANSLATION_IOMMU, TRANSLATION_NONE, dv_platform

cdef struct dv_used:
    uint64_t accesses        # of the device
    uint64_t cpu_accesses    # to memory that was mapped for it
    uint64_t registered      # mappings that CPU and device use at once
    uint64_t registered_bytes
    uint64_t longest
    uint64_t highest         # end of the highest of them, physical
    uint64_t highest_mapped  # end of the highest memory of all streaming mappings
    uint64_t unplaced        # streaming mappings whose memory is not told
    uint64_t unpaired        # lists of which nothing tells what memory their parts are
    uint64_t bounced         # of them in a bounce buffer of the recording machine
    uint64_t bypass_accesses
    uint64_t bypass_bytes
    uint64_t bypass_lines
    uint8_t registers        # events tell that it registers memory
    uint8_t has_example
    dv_mapping example       # the first such mapping

cdef struct dv_effects:
    dv_platform platforms[16]
    uint32_t count           # platforms; 0 = nothing is judged
    dv_incidents incidents
    dv_used* used            # by device
    uint32_t used_count
    dv_touches touches
    uint64_t dereg_site      # task that deregisters a memory region, plus 1

# Return 0, or -1 when memory is gone.
cdef int between_init(dv_effects* f, uint64_t seed, uint32_t platforms) noexcept nogil
cdef void between_deinit(dv_effects* f) noexcept nogil
# Return what is known of a device, growing the table, or NULL when memory is gone.
cdef dv_used* used_by(dv_effects* f, uint32_t device) noexcept nogil
# Return where the highest known memory of a mapping ends; 0 = not known.
cdef uint64_t physical_end(const dv_world* w, const dv_mapping* m) noexcept nogil
# Tell whether a platform puts a bounce buffer between a mapping's memory and its device.
cdef bint bounced(const dv_platform* p, const dv_world* w, const dv_mapping* m) noexcept nogil
# Tell whether a live mapping but one, of any device, holds memory of a physical range.
cdef bint others_memory(dv_world* w, uint32_t but, uint64_t phys, uint64_t length) noexcept nogil
# Give the memory that a bus address in a mapping stands for, or (`behind`) one right behind a
# segment of it; False where it is not known.
cdef bint memory_at(const dv_world* w, const dv_mapping* m, uint64_t bus, bint behind,
                    uint64_t* phys) noexcept nogil

cdef inline bint streams(const dv_mapping* m) noexcept nogil:
    """True where a call moves bytes between CPU and device: not an allocation, not registers."""
    return (m.type == TYPE_SINGLE or m.type == TYPE_SG) and not m.flags & F_MMIO

cdef inline bint owes_syncs(const dv_mapping* m) noexcept nogil:
    """True where bytes are handed over by calls, so that a missing one breaks the contract."""
    return m.type != TYPE_COHERENT and m.type != TYPE_RESOURCE and not m.flags & F_MMIO

cdef inline bint registered(const dv_mapping* m) noexcept nogil:
    """True for memory that CPU and device use at once, as an HCA's regions and user queues: whole
    pages, both ways, and no sync. Known by how it lives, not by a driver's name.
    """
    return m.marks & MARK_EXISTING or m.type == TYPE_SG and m.direction == DIR_BIDIRECTIONAL and \
        m.marks & MARK_WHOLE_PAGES and m.syncs == 0

cdef inline bint cached_apart(const dv_platform* p, const dv_mapping* m) noexcept nogil:
    """Tell whether the CPU's caches and what the device sees of a mapping can differ."""
    return not p.recorded and not p.coherent and not m.flags & F_MMIO and \
        (m.type != TYPE_COHERENT or m.marks & MARK_EXISTING)

cdef inline int translation(const dv_platform* p, const dv_context* c) noexcept nogil:
    if p.recorded:
        return TRANSLATION_IOMMU if c.world.devices[c.device].iommu_seen else TRANSLATION_NONE
    return p.translation

cdef inline void set_effect(dv_verdict* v, uint32_t p, int effect, int cause,
                            int stage) noexcept nogil:
    """Keep the worst effect of an event on a platform; of equals the first."""
    if effect > v.effect[p]:
        v.effect[p] = <uint8_t>effect
        v.cause[p] = <uint8_t>cause
        v.stage[p] = <uint8_t>stage

cdef inline void blame(dv_verdict* v, int mistake) noexcept nogil:
    if v.mistake == MISTAKE_NONE:
        v.mistake = <uint8_t>mistake

cdef inline bint guarded(const dv_platform* p, const dv_mapping* m, bint copied) noexcept nogil:
    """Tell whether a guard begins where a mapping ends."""
    return copied or (p.common_buffers_at_end and not p.recorded and m.type >= TYPE_COHERENT and
                      not m.marks & MARK_EXISTING)

cdef inline bint shared_whole(const dv_platform* p, const dv_mapping* m) noexcept nogil:
    """Tell whether a mapping's own pages are shared with a device that reaches nothing else."""
    return p.private_memory and not p.recorded and m.type >= TYPE_COHERENT

cdef inline bint touches_matter(const dv_effects* f) noexcept nogil:
    """Tell whether anything was touched that a call can clean."""
    return f.touches.by_cpu + f.touches.by_device != 0
