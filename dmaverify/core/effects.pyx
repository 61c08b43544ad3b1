# cython: language_level=3
"""What every platform makes of an event (see effects.pxd)."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from dmaverify.core.coherence cimport device_run
from dmaverify.core.contract cimport call_mistake
from dmaverify.core.facts cimport event_fact
from dmaverify.core.incidents cimport (
    CAUSE_CONTRACT, CAUSE_CPU_BYTES_LOST, CAUSE_DEVICE_BYTES_LOST, CAUSE_FAULT_SEEN, CAUSE_FILL,
    CAUSE_FOREIGN_BYTES, CAUSE_GUARD, CAUSE_LATE_WINDOW, CAUSE_LINE_SHARED,
    CAUSE_MAY_BE_SHARED, CAUSE_MMIO,
    CAUSE_NEEDS_ORDER, CAUSE_NEIGHBOURS_LOST, CAUSE_NOT_FLUSHED, CAUSE_NO_DIRECTION,
    CAUSE_NO_MEMORY, CAUSE_NO_PERMISSION,
    CAUSE_NO_PERSISTENT,
    CAUSE_NO_TRANSLATION, CAUSE_OTHER_DOMAIN, CAUSE_OTHER_MEMORY, CAUSE_OWN_MEMORY,
    CAUSE_PAST_PAGES, CAUSE_PRIVATE, CAUSE_SAME_PAGE, CAUSE_SHARED_AT_ONCE, CAUSE_STALE_FOR_CPU,
    CAUSE_STALE_FOR_DEVICE, CAUSE_TOO_WIDE, CAUSE_TRANSLATION_GONE, CAUSE_UNKNOWN_MEMORY,
    EFFECT_BREAKS, EFFECT_CANNOT_TELL, EFFECT_LUCK, EFFECT_REFUSED, MISTAKE_AFTER_UNMAP,
    MISTAKE_CPU_WRITE_LOST, MISTAKE_FAILED_USED, MISTAKE_FOREIGN, MISTAKE_LEAK, MISTAKE_NONE, MISTAKE_NO_SYNC_FOR_CPU,
    MISTAKE_NO_SYNC_FOR_DEVICE, MISTAKE_OUT_OF_RANGE, MISTAKE_SHARED_LINE, MISTAKE_UNMAPPED, MISTAKE_UNMAP_IN_TRANSFER, MISTAKE_WHILE_DEVICE_OWNS,
    MISTAKE_WRONG_DIRECTION,
    dv_incident, dv_verdict, incident_add, incident_at, incident_retell,
    incidents_deinit, incidents_init,
)
from dmaverify.core.resolve cimport (
    FROM_BEFORE, FROM_ERROR, FROM_PAST, FROM_PHYSICAL, FROM_POINTER, FROM_TRUNCATED, OBJ_ENCLOSING,
    OBJ_FOREIGN, OBJ_GHOST, OBJ_MAPPING, context_init, context_spanned, dv_context, event_allowed,
)
from dmaverify.core.shadow cimport (
    GRID_BUS, GRID_PHYS, dv_segment, dv_walk, walk_init, walk_next,
)
from dmaverify.core.touches cimport (
    CLEANED, CPU_WRITES, DEVICE_WRITES, LEFT_BEHIND, cpu_wrote_since, dv_touch, end_seen,
    ends_since, last_touch, newest_by_device, touch, touched, touches_deinit, touches_init,
)
from dmaverify.core.world cimport (
    MARK_BOUNCED, MARK_DIRECTION, MARK_EXISTING, MARK_LENGTH, MARK_PHYS, MARK_WHOLE_PAGES, SCAN_MAX, STATE_LIVE, dv_mapping, dv_world,
    list_in_pages,
    mapping_stale,
)
from dmaverify.model.events cimport (
    DIR_BIDIRECTIONAL, DIR_FROM_DEVICE, DIR_TO_DEVICE, F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN,
    F_FROM_MARK, F_LENGTH_UNKNOWN, F_MMIO, F_NULL_CPU, F_PHYS_UNKNOWN, F_SKIP_SYNC, F_TIME_UNKNOWN,
    KIND_CPU_READ, KIND_CPU_WRITE, KIND_DEREG_MR, KIND_DEV_ACCESS, KIND_DEV_FAULT, KIND_DEV_START,
    KIND_DMA_ALLOC, KIND_DMA_FREE, KIND_DMA_MAP, KIND_DMA_SYNC_FOR_CPU, KIND_DMA_SYNC_FOR_DEVICE,
    KIND_DMA_UNMAP, SIDE_SG_BUS, SIDE_SG_PHYS, TYPE_COHERENT, TYPE_RESOURCE,
    TYPE_SG, TYPE_SINGLE, device_reaches, device_reads, device_writes, dv_batch, dv_entry, dv_event, dv_number,
    dv_side, event_failed, event_side, event_type, side_entries,
)
from dmaverify.model.platform cimport (
    BOUNCE_ABOVE_WIDTH, BOUNCE_ALWAYS, BOUNCE_NEVER, TRANSLATION_IOMMU, TRANSLATION_NESTED,
    TRANSLATION_NONE, dv_platform,
)

cdef enum:                   # model/fields.py: facts of an event
    DIRTY_LINE_BYTES = 36
    NEIGHBOUR_BYTES = 38
    OWNED_BYTES = 39
    WRITE_OPEN = 40
    READ_OPEN = 41

cdef enum:
    PAGES_LOOKED_AT = 256    # pages of one access that are looked up
    RUNS_MAX = 64            # pieces of one mapping that are remembered as left behind

cdef uint64_t ALL = ~<uint64_t>0
# How long the recording machine's IOMMU may have gone on, if it was a lazy one: Linux
# drivers/iommu/dma-iommu.c, IOVA_FQ_TIMEOUT and IOVA_DEFAULT_FQ_SIZE.
cdef uint64_t LAZY_NS = 10000000
cdef uint32_t LAZY_UNMAPS = 256


cdef int effects_init(dv_effects* f, uint64_t seed, uint32_t platforms) noexcept nogil:
    memset(f, 0, sizeof(dv_effects))
    f.count = platforms
    if platforms == 0:
        return 0
    if touches_init(&f.touches) < 0:
        return -1
    return incidents_init(&f.incidents, seed)


cdef void effects_deinit(dv_effects* f) noexcept nogil:
    if f.count != 0:
        incidents_deinit(&f.incidents)
        touches_deinit(&f.touches)
    free(f.used)
    memset(f, 0, sizeof(dv_effects))


cdef dv_used* used_by(dv_effects* f, uint32_t device) noexcept nogil:
    cdef uint32_t count = f.used_count if f.used_count != 0 else 16
    cdef void* block
    if device >= f.used_count:
        while count <= device:
            count *= 2
        block = realloc(f.used, <size_t>count * sizeof(dv_used))
        if block == NULL:
            return NULL
        f.used = <dv_used*>block
        memset(f.used + f.used_count, 0, (count - f.used_count) * sizeof(dv_used))
        f.used_count = count
    return &f.used[device]


# Facts about a mapping, and what a platform does with it.

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


cdef uint64_t physical_end(const dv_world* w, const dv_mapping* m) noexcept nogil:
    """Return where the highest known memory of a mapping ends; 0 = not known."""
    cdef uint64_t end = 0
    cdef uint32_t s = m.first if m.state == STATE_LIVE else 0
    cdef const dv_segment* seg
    if m.marks & MARK_PHYS:
        end = m.phys_addr + (m.length if m.marks & MARK_LENGTH and m.type != TYPE_SG else 1)
    while s != 0:
        seg = &w.shadow.segments[s]
        if seg.phys_length != 0 and seg.phys + seg.phys_length > end:
            end = seg.phys + seg.phys_length
        s = seg.sibling
    return end


cdef bint bounced(const dv_platform* p, const dv_world* w, const dv_mapping* m) noexcept nogil:
    """Tell whether a platform puts a bounce buffer between a mapping's memory and its device."""
    cdef uint64_t end
    if p.recorded:
        return m.marks & MARK_BOUNCED != 0
    if not streams(m) or p.bounce == BOUNCE_NEVER:
        return False
    if p.bounce == BOUNCE_ALWAYS:
        return True
    end = physical_end(w, m)
    return end != 0 and end - 1 > p.highest


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


cdef bint others_memory(dv_world* w, uint32_t but, uint64_t phys, uint64_t length) noexcept nogil:
    """Tell whether a live mapping but one, of any device, holds memory of a physical range."""
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef uint32_t s
    cdef int grid
    for grid in range(GRID_BUS, GRID_PHYS + 1):
        walk_init(&walk, &w.shadow, grid, phys, length)
        s = walk_next(&walk)
        while s != 0:
            seg = &w.shadow.segments[s]
            # The bus grid tells of memory only where bus and physical address are the same.
            if seg.mapping != but and (
                    grid == GRID_PHYS or (seg.phys == seg.start and seg.phys_length != 0)):
                return True
            s = walk_next(&walk)
    return False


cdef bint memory_at(const dv_world* w, const dv_mapping* m, uint64_t bus, bint behind,
                    uint64_t* phys) noexcept nogil:
    """Give the memory that a bus address in a mapping stands for, or (`behind`) one right behind
    a segment of it; False where it is not known.
    """
    cdef uint32_t s = m.first, steps = 0
    cdef const dv_segment* seg
    cdef uint64_t into
    if m.type != TYPE_SG:
        phys[0] = m.phys_addr + (bus - m.bus_addr)
        return m.marks & MARK_PHYS != 0
    while s != 0 and steps < SCAN_MAX:
        seg = &w.shadow.segments[s]
        into = bus - seg.start
        if seg.phys_length != 0 and bus >= seg.start and (
                into < seg.length or (behind and into == seg.length)):
            phys[0] = seg.phys + into
            return True
        s = seg.sibling
        steps += 1
    return False


cdef bint pages_mapped(dv_context* c, uint64_t bus, uint64_t length) noexcept nogil:
    """Tell whether each page of a bus range has a live mapping of the device that allows what the
    event does.
    """
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef const dv_mapping* m
    cdef uint64_t page = bus >> 12, last = (bus + (length - 1)) >> 12
    cdef uint32_t s
    cdef bint found
    if length == 0 or last < page or last - page > PAGES_LOOKED_AT:
        return False
    while page <= last:
        walk_init(&walk, &w.shadow, GRID_BUS, page << 12, 4096)
        s = walk_next(&walk)
        found = False
        while s != 0 and not found:
            m = &w.mappings[w.shadow.segments[s].mapping]
            found = m.device == c.device and event_allowed(c.event, m)
            s = walk_next(&walk)
        if not found:
            return False
        page += 1
    return True


# A device's access.

cdef struct dv_reach:
    bint writes
    bint reads
    bint unknown             # nothing tells which of the two
    bint wrong               # the direction of the mapping does not allow it
    uint64_t length          # 1 where it is not told
    uint64_t past            # bytes past the end of the mapping
    uint64_t end             # where the mapping ends: physical where known, else bus
    uint64_t before          # bytes before the mapping that it begins in front of
    uint64_t start           # where that mapping starts: physical where known, else bus
    bint foreign             # what lies there is another mapping's
    bint others_pages        # the pages past the end are those of the device's other mappings
    uint64_t phys            # of the first byte past the end, or of a late access
    bint phys_known
    uint64_t unsent          # bytes that the CPU wrote and did not hand over
    bint unclean             # what the CPU wrote before the mapping is in its cache yet
    uint64_t dirty           # bytes that the CPU wrote, and has in its cache, in the same lines
    bint overwrites          # the CPU has written there since the mapping ended
    bint within_lazy
    bint lazy_known


cdef inline uint64_t page_room(const dv_platform* p, const dv_reach* r) noexcept nogil:
    """Return how many bytes past the end of a mapping lie on the last page of its translation.

    A translation keeps the offset within a page, so that physical and bus address tell the same.
    """
    return -r.end & (p.page_bytes - 1)


cdef inline bint guarded(const dv_platform* p, const dv_mapping* m, bint copied) noexcept nogil:
    """Tell whether a guard begins where a mapping ends."""
    return copied or (p.common_buffers_at_end and not p.recorded and m.type >= TYPE_COHERENT and
                      not m.marks & MARK_EXISTING)


cdef inline bint shared_whole(const dv_platform* p, const dv_mapping* m) noexcept nogil:
    """Tell whether a mapping's own pages are shared with a device that reaches nothing else."""
    return p.private_memory and not p.recorded and m.type >= TYPE_COHERENT


cdef void judge_past(const dv_platform* p, const dv_reach* r, const dv_mapping* m,
                     bint translated, bint copied, uint32_t i, dv_verdict* v) noexcept nogil:
    """The part of an access that runs past the end of its mapping."""
    if translated and r.past > page_room(p, r):
        if not p.recorded or not r.others_pages:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_PAST_PAGES, 1)
        elif r.writes:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_FOREIGN_BYTES, 0)
        else:
            set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    elif guarded(p, m, copied) and not translated:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_GUARD, 0)
    elif shared_whole(p, m) and r.past > page_room(p, r):
        set_effect(v, i, EFFECT_BREAKS, CAUSE_PRIVATE, 0)
    elif r.foreign and not copied and not r.reads:
        may_break(v, i, r, CAUSE_FOREIGN_BYTES)
    else:
        set_effect(v, i, EFFECT_LUCK, CAUSE_SAME_PAGE if translated else CAUSE_CONTRACT, 0)


cdef inline void may_break(dv_verdict* v, uint32_t i, const dv_reach* r,
                           int cause) noexcept nogil:
    """What a write breaks, and an access of which nothing tells the direction may break."""
    if r.unknown:
        set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_NO_DIRECTION, 0)
    else:
        set_effect(v, i, EFFECT_BREAKS, cause, 0)


cdef void judge_mapped(dv_effects* f, dv_context* c, const dv_reach* r, const dv_mapping* m,
                       uint32_t i, dv_verdict* v) noexcept nogil:
    """An access that lies, or begins, in a live mapping."""
    cdef const dv_platform* p = &f.platforms[i]
    cdef int tr = translation(p, c)
    cdef bint copied = bounced(p, c.world, m)
    cdef bint apart = copied or cached_apart(p, m)
    if tr != TRANSLATION_NONE and r.wrong:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_NO_PERMISSION, 1)
    if tr == TRANSLATION_NESTED and m.flags & F_MMIO and not p.second_reaches_mmio:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_MMIO, 2)
    if r.past != 0:
        judge_past(p, r, m, tr != TRANSLATION_NONE, copied, i, v)
    if r.wrong:
        if copied and r.writes:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_DEVICE_BYTES_LOST, 0)
        elif copied and not p.copies_in_always and not p.recorded:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_FILL, 0)
        set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    if r.dirty != 0 and cached_apart(p, m):
        set_effect(v, i, EFFECT_BREAKS, CAUSE_LINE_SHARED, 0)
    if r.unsent == 0 and not r.unclean:
        return
    # A write of the device is of its own buffer, whatever the CPU has there.
    if r.unsent != 0 and apart and r.unknown:
        set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_NO_DIRECTION, 0)
        return
    if (r.unsent != 0 and apart and r.reads) or (r.unclean and cached_apart(p, m)):
        set_effect(v, i, EFFECT_BREAKS,
                   CAUSE_SHARED_AT_ONCE if registered(m) else CAUSE_STALE_FOR_DEVICE, 0)
    if owes_syncs(m) and not registered(m):
        set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)


cdef void judge_late(dv_effects* f, dv_context* c, const dv_reach* r, const dv_mapping* m,
                     uint32_t i, dv_verdict* v) noexcept nogil:
    """An access through a mapping that has ended."""
    cdef const dv_platform* p = &f.platforms[i]
    if translation(p, c) != TRANSLATION_NONE:
        if p.recorded and c.event.kind == KIND_DEV_ACCESS:
            set_effect(v, i, EFFECT_LUCK, CAUSE_NOT_FLUSHED, 0)
        elif p.recorded and r.within_lazy:
            set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_NOT_FLUSHED, 0)
        elif p.flush_after_ns == 0 and p.flush_after_unmaps == 0 or not within_flush(f, c, p, m):
            set_effect(v, i, EFFECT_BREAKS, CAUSE_TRANSLATION_GONE, 1)
        elif r.wrong:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_NO_PERMISSION, 1)
        elif r.past > page_room(p, r):
            set_effect(v, i, EFFECT_BREAKS, CAUSE_PAST_PAGES, 1)
        elif not r.lazy_known:
            set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_NOT_FLUSHED, 0)
        elif not bounced(p, c.world, m):
            judge_reused(p, r, CAUSE_NOT_FLUSHED, m, i, v)
    elif bounced(p, c.world, m):
        if not r.reads:
            may_break(v, i, r, CAUSE_LATE_WINDOW)
        elif p.guard_bytes != 0:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_FILL, 0)
        if not r.unknown:
            set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    elif shared_whole(p, m):
        set_effect(v, i, EFFECT_BREAKS, CAUSE_PRIVATE, 0)
    else:
        judge_reused(p, r, CAUSE_CONTRACT, m, i, v)


cdef void judge_reused(const dv_platform* p, const dv_reach* r, int luck, const dv_mapping* m,
                       uint32_t i, dv_verdict* v) noexcept nogil:
    """A late access that reaches the memory itself, whoever has it by now."""
    if r.overwrites and not r.reads:
        may_break(v, i, r, CAUSE_CPU_BYTES_LOST)
    elif r.foreign and not r.reads:
        may_break(v, i, r, CAUSE_FOREIGN_BYTES)
    elif r.overwrites and cached_apart(p, m):
        set_effect(v, i, EFFECT_BREAKS, CAUSE_STALE_FOR_DEVICE, 0)
    else:
        set_effect(v, i, EFFECT_LUCK, luck, 0)


cdef bint within_flush(const dv_effects* f, const dv_context* c, const dv_platform* p,
                       const dv_mapping* m) noexcept nogil:
    """Tell whether a translation that was taken away may still work on a platform."""
    cdef bint time_known = c.world.time_known and m.ended.flags & 1 and \
        not c.event.flags & F_TIME_UNKNOWN
    if p.flush_after_unmaps != 0 and \
            ends_since(&f.touches, m.ended.record) > p.flush_after_unmaps:
        return False
    if p.flush_after_ns != 0 and time_known and c.event.time > m.ended.time and \
            c.event.time - m.ended.time > p.flush_after_ns:
        return False
    return True


cdef void judge_loose(dv_effects* f, dv_context* c, const dv_reach* r, uint32_t i,
                      dv_verdict* v) noexcept nogil:
    """An access of what is mapped for nobody, and was not of late."""
    cdef const dv_platform* p = &f.platforms[i]
    cdef uint64_t first = c.event.bus_addr, last = first + (r.length - 1)
    cdef uint32_t near = c.meant[OBJ_ENCLOSING]
    cdef int from_ = c.provenance
    cdef bint beside = from_ == FROM_PAST or from_ == FROM_BEFORE
    cdef bint copied = beside and near != 0 and bounced(p, c.world, &c.world.mappings[near])
    if translation(p, c) != TRANSLATION_NONE:
        if beside and near != 0 and r.past + r.before != 0 and r.past <= page_room(p, r) and \
                r.before <= r.start & (p.page_bytes - 1):
            if r.writes and r.foreign and not copied:
                set_effect(v, i, EFFECT_BREAKS, CAUSE_FOREIGN_BYTES, 0)
            else:
                set_effect(v, i, EFFECT_LUCK, CAUSE_SAME_PAGE, 0)
        elif from_ == FROM_TRUNCATED and not p.recorded:
            # A translated address may lie low enough to survive.
            set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_UNKNOWN_MEMORY, 0)
        else:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_NO_TRANSLATION, 1)
    elif from_ == FROM_POINTER:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_NO_MEMORY, 0)
    elif from_ == FROM_TRUNCATED:
        if p.highest >> 32 != 0 and not p.recorded:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_OTHER_MEMORY, 0)
        elif p.recorded:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_OTHER_MEMORY, 0)
        else:
            set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    elif from_ == FROM_PAST and near != 0 and guarded(p, &c.world.mappings[near], False):
        set_effect(v, i, EFFECT_BREAKS, CAUSE_GUARD, 0)
    elif p.private_memory and not copied and not (
            beside and near != 0 and shared_whole(p, &c.world.mappings[near]) and
            r.past <= page_room(p, r) and r.before <= r.start & (p.page_bytes - 1)):
        set_effect(v, i, EFFECT_BREAKS, CAUSE_PRIVATE, 0)
    elif copied:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_GUARD, 0)
    elif beside:
        if r.writes and r.foreign:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_FOREIGN_BYTES, 0)
        else:
            set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    elif from_ != FROM_PHYSICAL:
        set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_UNKNOWN_MEMORY, 0)
    elif p.bus_offset != 0:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_OTHER_MEMORY, 0)
    elif not p.recorded and last > p.highest:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_TOO_WIDE, 0)
    elif not p.recorded and not p.coherent and r.reads and r.overwrites:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_STALE_FOR_DEVICE, 0)
    else:
        set_effect(v, i, EFFECT_LUCK, CAUSE_OWN_MEMORY, 0)


cdef void learn_end(dv_context* c, uint32_t index, dv_reach* r) noexcept nogil:
    """Learn what lies behind the end of a mapping that an access runs over."""
    cdef dv_world* w = c.world
    cdef uint64_t first_past = c.event.bus_addr + (r.length - r.past)
    r.end = first_past
    r.others_pages = w.devices[c.device].iommu_seen and pages_mapped(c, first_past, r.past)
    if not memory_at(w, &w.mappings[index], first_past, True, &r.phys):
        return
    r.phys_known = True
    r.end = r.phys
    r.foreign = others_memory(w, index, r.phys, r.past)


cdef void learn_late(dv_effects* f, dv_context* c, const dv_mapping* m, dv_reach* r) noexcept nogil:
    """Learn what became of the memory, and of the translation, of a mapping that has ended."""
    cdef const dv_event* e = c.event
    cdef uint64_t since = 0, into = e.bus_addr - m.bus_addr
    r.lazy_known = c.world.time_known and m.ended.flags & 1 and not e.flags & F_TIME_UNKNOWN
    if r.lazy_known and e.time > m.ended.time:
        since = e.time - m.ended.time
    r.within_lazy = since <= LAZY_NS and ends_since(&f.touches, m.ended.record) <= LAZY_UNMAPS
    if e.bus_addr >= m.bus_addr and m.type != TYPE_SG and m.marks & MARK_LENGTH and \
            into <= m.length and r.length > m.length - into:
        r.past = r.length - (m.length - into)
        r.end = (m.phys_addr if m.marks & MARK_PHYS else m.bus_addr) + m.length
    if e.bus_addr < m.bus_addr and m.type != TYPE_SG or \
            not memory_at(c.world, m, e.bus_addr, False, &r.phys):
        return
    r.phys_known = True
    r.foreign = others_memory(c.world, 0, r.phys, r.length)
    r.overwrites = cpu_wrote_since(&f.touches, r.phys, r.length, m.ended.record)


cdef void learn_direction(const dv_event* e, const dv_mapping* m, dv_reach* r) noexcept nogil:
    """Learn which way an access goes, of which only its mapping tells."""
    if not r.unknown or e.kind == KIND_DEV_FAULT or not m.marks & MARK_DIRECTION:
        return
    r.writes = m.direction == DIR_FROM_DEVICE
    r.reads = m.direction == DIR_TO_DEVICE
    r.unknown = not r.writes and not r.reads


cdef void learn_spanned(dv_context* c, dv_reach* r, uint32_t* index) noexcept nogil:
    """Learn what the mappings are that an access goes on into; `index` becomes one that does not
    allow it, or whose bytes the CPU did not hand over.
    """
    cdef dv_world* w = c.world
    cdef const dv_event* e = c.event
    cdef uint64_t at = c.held, end = r.length - r.past, room = 0, unsent
    cdef uint32_t other, steps = 0
    while at < end and steps < SCAN_MAX:
        steps += 1
        other = context_spanned(c, at, &room)
        if other == 0:
            return
        unsent = mapping_stale(w, other, False, e.bus_addr + at, min(room, end - at), False)
        if not r.wrong and r.unsent == 0 and (
                unsent != 0 or not event_allowed(e, &w.mappings[other])):
            index[0] = other
        r.unsent += unsent
        r.wrong = r.wrong or ((r.writes or r.reads) and not event_allowed(e, &w.mappings[other]))
        at += room


cdef bint unclean(const dv_effects* f, const dv_context* c, const dv_mapping* m) noexcept nogil:
    """Tell whether a device reads what the CPU wrote before a mapping that left its caches alone,
    and that no sync has handed over.
    """
    cdef uint64_t phys = 0
    cdef const dv_touch* t
    if not m.flags & F_SKIP_SYNC or f.touches.by_cpu == 0 or \
            not memory_at(c.world, m, c.event.bus_addr, False, &phys):
        return False
    t = last_touch(&f.touches, phys, c.event.length, 0)
    return t != NULL and t.what == CPU_WRITES and t.record < m.made.record


cdef int judge_access(dv_effects* f, dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef dv_world* w = c.world
    cdef uint32_t index = c.meant[OBJ_MAPPING], i
    cdef const dv_mapping* m
    cdef dv_verdict v
    cdef dv_reach r
    memset(&r, 0, sizeof(dv_reach))
    r.writes = device_writes(e)
    r.reads = device_reads(e)
    r.unknown = not r.writes and not r.reads
    r.length = 1 if e.flags & F_LENGTH_UNKNOWN else e.length
    if r.length == 0:
        return 0  # it touches nothing
    if index != 0:
        return judge_at_mapping(f, c, index, &r)
    memset(&v, 0, sizeof(dv_verdict))
    v.bytes = r.length
    if event_failed(e) or c.provenance == FROM_ERROR:
        v.mistake = MISTAKE_FAILED_USED
        for i in range(f.count):
            set_effect(&v, i, EFFECT_BREAKS, CAUSE_NO_MEMORY,
                       1 if translation(&f.platforms[i], c) != TRANSLATION_NONE else 0)
    elif c.meant[OBJ_FOREIGN] != 0:
        index = c.meant[OBJ_FOREIGN]
        v.mistake = MISTAKE_FOREIGN
        for i in range(f.count):
            if translation(&f.platforms[i], c) != TRANSLATION_NONE:
                set_effect(&v, i, EFFECT_BREAKS, CAUSE_OTHER_DOMAIN, 1)
            else:
                set_effect(&v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    elif c.provenance != FROM_POINTER and (
            c.may_predate or w.devices[c.device].truncated_live != 0):
        for i in range(f.count):
            set_effect(&v, i, EFFECT_CANNOT_TELL, CAUSE_NEEDS_ORDER, 0)
    elif c.meant[OBJ_GHOST] != 0:
        index = c.meant[OBJ_GHOST]
        m = &w.mappings[index]
        v.mistake = MISTAKE_AFTER_UNMAP
        v.across_gap = m.epoch != w.gaps
        learn_direction(e, m, &r)
        r.wrong = (r.writes or r.reads) and not event_allowed(e, m)
        learn_late(f, c, m, &r)
        for i in range(f.count):
            judge_late(f, c, &r, m, i, &v)
        if r.writes and r.phys_known and e.kind != KIND_DEV_FAULT:
            touched(&f.touches, r.phys, r.length, c.number.record, DEVICE_WRITES,
                    MISTAKE_AFTER_UNMAP)
    else:
        v.mistake = MISTAKE_UNMAPPED
        index = c.meant[OBJ_ENCLOSING]
        learn_loose(f, c, index, &r)
        for i in range(f.count):
            judge_loose(f, c, &r, i, &v)
        if r.writes and c.provenance == FROM_PHYSICAL and e.kind != KIND_DEV_FAULT:
            touched(&f.touches, e.bus_addr, r.length, c.number.record, DEVICE_WRITES,
                    MISTAKE_UNMAPPED)
    return add_access(f, c, &v, index, &r)


cdef int judge_at_mapping(dv_effects* f, dv_context* c, uint32_t index,
                          dv_reach* r) noexcept nogil:
    """An access of what is mapped, by its direction, its range and whose bytes are there."""
    cdef const dv_event* e = c.event
    cdef dv_world* w = c.world
    cdef const dv_mapping* m = &w.mappings[index]
    cdef dv_verdict v
    cdef uint64_t phys = 0
    cdef bint known = True
    cdef uint32_t i
    learn_direction(e, m, r)
    r.unsent = c.unsent
    r.wrong = (r.writes or r.reads) and not event_allowed(e, m)
    if registered(m) and (r.writes or r.reads):
        note_bypass(&f.used[c.device], e, r)
    if not e.flags & F_LENGTH_UNKNOWN:
        r.past = c.past_end
        if m.state == STATE_LIVE and c.held < r.length - r.past:
            learn_spanned(c, r, &index)
            m = &w.mappings[index]
        r.unclean = r.reads and unclean(f, c, m)
    if r.writes:
        r.dirty = event_fact(c, DIRTY_LINE_BYTES, &known)
    if not r.wrong and not r.unclean and r.past + r.unsent + r.dirty == 0 and \
            not m.flags & F_MMIO:
        return 0
    memset(&v, 0, sizeof(dv_verdict))
    v.bytes = r.length
    if r.past != 0:
        learn_end(c, index, r)
        blame(&v, MISTAKE_OUT_OF_RANGE)
        v.bytes = r.past
    if r.wrong:
        blame(&v, MISTAKE_WRONG_DIRECTION)
        if r.writes and m.state == STATE_LIVE and e.kind != KIND_DEV_FAULT and \
                memory_at(w, m, e.bus_addr, False, &phys):
            touched(&f.touches, phys, r.length, c.number.record, DEVICE_WRITES,
                    MISTAKE_WRONG_DIRECTION)
    if v.mistake == MISTAKE_NONE and (r.unsent != 0 or r.dirty != 0 or r.unclean):
        v.rests_on_syncs = 1
        v.bytes = r.unsent if r.unsent != 0 else r.dirty if r.dirty != 0 else r.length
        if not registered(m):
            v.mistake = MISTAKE_NO_SYNC_FOR_DEVICE if r.unsent != 0 or r.unclean else \
                MISTAKE_SHARED_LINE
    v.across_gap = m.epoch != w.gaps
    for i in range(f.count):
        judge_mapped(f, c, r, m, i, &v)
    return add_access(f, c, &v, index, r)


cdef int add_access(dv_effects* f, dv_context* c, dv_verdict* v, uint32_t index,
                    const dv_reach* r) noexcept nogil:
    """Keep what platforms make of an access. The access and the fault that it raised on the
    recording machine are one, whichever comes first.
    """
    cdef const dv_event* e = c.event
    cdef bint fault = e.kind == KIND_DEV_FAULT
    cdef uint64_t ordinal = f.used[c.device].accesses + fault
    cdef dv_incident* item = incident_at(&f.incidents, e, not fault)
    cdef uint32_t i
    if item != NULL and of_syncs(v.mistake if not fault else item.verdict.mistake):
        item = NULL  # what the IOMMU refuses is an address, whoever has its bytes
    if item != NULL and fault:
        fault_seen(f, &item.verdict)
        return 0
    if item != NULL:
        for i in range(f.count):
            if f.platforms[i].recorded:
                v.effect[i] = item.verdict.effect[i]
                v.cause[i] = item.verdict.cause[i]
                v.stage[i] = item.verdict.stage[i]
        incident_retell(&f.incidents, item, c, v, index, ordinal, r.length)
        return 0
    if fault:
        fault_seen(f, v)
    return incident_add(&f.incidents, c, f.count, v, index, ordinal, r.length)


cdef inline bint of_syncs(int mistake) noexcept nogil:
    return mistake == MISTAKE_NO_SYNC_FOR_CPU or mistake == MISTAKE_NO_SYNC_FOR_DEVICE or \
        mistake == MISTAKE_SHARED_LINE


cdef void fault_seen(dv_effects* f, dv_verdict* v) noexcept nogil:
    cdef uint32_t i
    for i in range(f.count):
        if f.platforms[i].recorded:
            v.effect[i] = EFFECT_BREAKS
            v.cause[i] = CAUSE_FAULT_SEEN
            v.stage[i] = 1
            f.incidents.seen[i][<int>EFFECT_BREAKS] = 1


cdef void learn_loose(dv_effects* f, dv_context* c, uint32_t near, dv_reach* r) noexcept nogil:
    """Learn what lies where nothing is mapped for the device."""
    cdef dv_world* w = c.world
    cdef const dv_mapping* m = &w.mappings[near]
    cdef const dv_touch* t
    cdef uint64_t bus = c.event.bus_addr
    if near != 0 and c.provenance == FROM_PAST:
        r.past = c.distance + r.length
        r.end = bus - c.distance
        if memory_at(w, m, r.end, True, &r.phys):
            r.end = r.phys
            r.foreign = others_memory(w, near, r.phys + c.distance, r.length)
    elif near != 0 and c.provenance == FROM_BEFORE:
        learn_before(c, near, r)
    elif c.provenance == FROM_PHYSICAL:
        # What the CPU wrote and no call has brought to memory since.
        t = last_touch(&f.touches, bus, r.length, 0)
        r.overwrites = t != NULL and t.what == CPU_WRITES


cdef void learn_before(dv_context* c, uint32_t near, dv_reach* r) noexcept nogil:
    """Learn how an access that begins before a mapping lies to it and to its end."""
    cdef dv_world* w = c.world
    cdef uint64_t bus = c.event.bus_addr + c.distance, end
    cdef const dv_segment* seg
    cdef uint32_t s = w.mappings[near].first, steps = 0
    r.before = c.distance
    r.start = bus
    while s != 0 and steps < SCAN_MAX and w.shadow.segments[s].start != bus:
        s = w.shadow.segments[s].sibling
        steps += 1
    if s == 0 or steps == SCAN_MAX:
        return
    seg = &w.shadow.segments[s]
    end = seg.start + seg.length
    if r.length > r.before and r.length - r.before > seg.length:
        r.past = r.length - r.before - seg.length
    r.end = end
    if seg.phys_length != 0:
        r.start = seg.phys
        r.end = seg.phys + seg.length
        r.foreign = others_memory(w, near, seg.phys - r.before, min(r.length, r.before)) or (
            r.past != 0 and others_memory(w, near, r.end, r.past))


cdef void note_bypass(dv_used* u, const dv_event* e, const dv_reach* r) noexcept nogil:
    cdef uint64_t first = e.bus_addr // 64, last = (e.bus_addr + r.length - 1) // 64
    if e.flags & F_LENGTH_UNKNOWN:
        return
    u.bypass_accesses += 1
    u.bypass_bytes += r.length
    u.bypass_lines += last - first + 1


cdef int effects_seen(dv_effects* f, dv_context* c, bint settled) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef dv_used* u = used_by(f, c.device)
    cdef dv_incident* item
    cdef dv_verdict v
    cdef uint32_t i
    if u == NULL:
        return -1
    if e.kind != KIND_DEV_FAULT:
        # A transfer counts once: at its end, and by the trace's own word where there is one.
        if e.kind != KIND_DEV_START and not e.flags & F_FROM_MARK:
            u.accesses += 1
        return 0
    if not settled or e.flags & F_BUS_UNKNOWN:
        return 0
    item = incident_at(&f.incidents, e, False)
    if item != NULL:
        fault_seen(f, &item.verdict)
        return 0
    memset(&v, 0, sizeof(dv_verdict))
    for i in range(f.count):
        # What one IOMMU refuses, a strict one does; elsewhere nothing tells what it was.
        if f.platforms[i].translation != TRANSLATION_NONE and \
                f.platforms[i].flush_after_ns == 0 and f.platforms[i].flush_after_unmaps == 0:
            set_effect(&v, i, EFFECT_BREAKS, CAUSE_FAULT_SEEN, 1)
        else:
            set_effect(&v, i, EFFECT_CANNOT_TELL, CAUSE_NEEDS_ORDER, 0)
    fault_seen(f, &v)
    v.bytes = 1
    return incident_add(&f.incidents, c, f.count, &v, 0, 0, 1)


# The driver's calls.

cdef int judge_end(dv_effects* f, dv_context* c, int mistake) noexcept nogil:
    """Bytes that an unmap does not move, or moves over others."""
    cdef const dv_event* e = c.event
    cdef dv_world* w = c.world
    cdef uint32_t index = c.meant[OBJ_MAPPING]
    cdef const dv_mapping* m = &w.mappings[index]
    cdef uint64_t lost = 0, overwritten = 0
    cdef bint to_cpu, whole, skips = (e.flags | m.flags) & F_SKIP_SYNC != 0
    if e.kind == KIND_DMA_UNMAP and not e.flags & F_NULL_CPU:
        end_seen(&f.touches, c.number.record)
    if index != 0 and registered(m) and note_registered(f, c.world, m, e.site) < 0:
        return -1
    if index != 0 and m.transfers != 0 and mistake == MISTAKE_NONE:
        mistake = MISTAKE_UNMAP_IN_TRANSFER
    # What is in memory that was allocated goes with it, and nobody is the worse for it.
    if index != 0 and e.kind == KIND_DMA_UNMAP and skips and owes_syncs(m):
        leave_behind(f, c, m, 0)
    elif index != 0 and e.kind == KIND_DMA_UNMAP and not skips:
        whole = e.flags & F_LENGTH_UNKNOWN or m.type == TYPE_SG
        to_cpu = (m.direction if e.flags & F_DIRECTION_UNKNOWN else e.direction) != DIR_TO_DEVICE
        if w.shadow.mask_lines == 0:
            pass
        elif not to_cpu:
            # What was written against the direction of the mapping itself is told as that.
            if m.direction != DIR_TO_DEVICE:
                lost = mapping_stale(w, index, False, 0, ALL, True)
        elif whole:
            overwritten = mapping_stale(w, index, False, 0, ALL, False)
        else:
            overwritten = mapping_stale(w, index, False, e.bus_addr, e.length, False)
            lost = mapping_stale(w, index, False, 0, ALL, True) - \
                mapping_stale(w, index, False, e.bus_addr, e.length, True)
        if lost != 0:
            leave_behind(f, c, m, e.bus_addr + e.length if to_cpu else 0)
        if to_cpu and touches_matter(f):
            if judge_raw(f, c, m) < 0:
                return -1
            if lost == 0:
                clean_mapping(f, c, m)
    if index != 0 and registered(m) and mistake == MISTAKE_NONE:
        return judge_shared(f, c, overwritten)
    return add_call(f, c, mistake, overwritten, lost, beside(c))


cdef int judge_shared(dv_effects* f, dv_context* c, uint64_t overwritten) noexcept nogil:
    """What the CPU wrote into registered memory is no mistake, and is lost all the same where the
    device's copy is put over it.
    """
    cdef uint32_t index = c.meant[OBJ_MAPPING], i
    cdef const dv_mapping* m = &c.world.mappings[index]
    cdef dv_verdict v
    if overwritten == 0:
        return 0
    memset(&v, 0, sizeof(dv_verdict))
    v.rests_on_syncs = 1
    v.across_gap = m.epoch != c.world.gaps
    v.bytes = overwritten
    for i in range(f.count):
        if bounced(&f.platforms[i], c.world, m) or cached_apart(&f.platforms[i], m):
            set_effect(&v, i, EFFECT_BREAKS, CAUSE_CPU_BYTES_LOST, 0)
    return incident_add(&f.incidents, c, f.count, &v, index, 0, m.length)


cdef void leave_behind(dv_effects* f, const dv_context* c, const dv_mapping* m,
                       uint64_t bus) noexcept nogil:
    """Remember the device's bytes, from a bus address on, that an unmap does not bring to the CPU."""
    cdef const dv_world* w = c.world
    cdef uint32_t s = m.first, runs = 0
    cdef const dv_segment* seg
    cdef uint64_t start = 0, end = 0
    cdef dv_touch one
    memset(&one, 0, sizeof(dv_touch))
    one.record = c.number.record
    one.what = LEFT_BEHIND
    one.mistake = MISTAKE_NO_SYNC_FOR_CPU
    one.bounced = m.marks & MARK_BOUNCED != 0
    while s != 0:
        seg = &w.shadow.segments[s]
        end = 0
        while seg.phys_length != 0 and runs < RUNS_MAX and device_run(seg, end, &start, &end):
            if seg.start + start < bus:
                start = bus - seg.start
            if start >= end:
                continue
            one.phys_addr = seg.phys + start
            one.length = end - start
            touch(&f.touches, &one)
            runs += 1
        s = seg.sibling


cdef int judge_raw(dv_effects* f, const dv_context* c, const dv_mapping* m) noexcept nogil:
    """What a device wrote to memory by another way than the mapping is lost when the mapping's
    bounce buffer is copied over it.
    """
    cdef uint32_t s = m.first, i, steps = 0
    cdef const dv_segment* seg
    cdef const dv_touch* t = NULL
    cdef uint64_t bytes = 0
    cdef dv_verdict v
    while s != 0 and t == NULL and f.touches.by_device != 0 and steps < SCAN_MAX:
        seg = &c.world.shadow.segments[s]
        if seg.phys_length != 0:
            t = newest_by_device(&f.touches, seg.phys, seg.phys_length, &bytes)
        s = seg.sibling
        steps += 1
    if t == NULL or t.what != DEVICE_WRITES or t.record < m.made.record:
        return 0
    memset(&v, 0, sizeof(dv_verdict))
    v.mistake = t.mistake
    v.bytes = bytes
    v.across_gap = m.epoch != c.world.gaps
    for i in range(f.count):
        if bounced(&f.platforms[i], c.world, m):
            set_effect(&v, i, EFFECT_BREAKS, CAUSE_DEVICE_BYTES_LOST, 0)
    return incident_add(&f.incidents, c, f.count, &v, c.meant[OBJ_MAPPING], 0, m.length)


cdef inline bint touches_matter(const dv_effects* f) noexcept nogil:
    """Tell whether anything was touched that a call can clean."""
    return f.touches.by_cpu + f.touches.by_device != 0


cdef void clean_mapping(dv_effects* f, const dv_context* c, const dv_mapping* m) noexcept nogil:
    """Remember that caches and memory agree where a mapping lies."""
    cdef uint32_t s = m.first, steps = 0
    cdef const dv_segment* seg
    while s != 0 and touches_matter(f) and steps < SCAN_MAX:
        seg = &c.world.shadow.segments[s]
        touched(&f.touches, seg.phys, seg.phys_length, c.number.record, CLEANED, 0)
        s = seg.sibling
        steps += 1


cdef inline uint64_t beside(const dv_context* c) noexcept nogil:
    """Count what the CPU wrote beside a mapping that goes with the cache lines of a call."""
    cdef bint known = True
    return event_fact(c, NEIGHBOUR_BYTES, &known)


cdef int judge_sync(dv_effects* f, dv_context* c, int mistake) noexcept nogil:
    """A sync copies over what the other side has newer."""
    cdef const dv_event* e = c.event
    cdef const dv_side* bus = event_side(c.batch, e, SIDE_SG_BUS) if e.side != 0 else NULL
    cdef const dv_entry* entries
    cdef bint to_cpu = e.kind == KIND_DMA_SYNC_FOR_CPU
    cdef uint64_t newer = 0, near = 0
    cdef uint32_t i
    if c.meant[OBJ_MAPPING] != 0 and (
            e.flags & F_DIRECTION_UNKNOWN or
            e.direction != (DIR_TO_DEVICE if to_cpu else DIR_FROM_DEVICE)):
        near = beside(c)
        if bus != NULL:
            entries = side_entries(bus)
            for i in range(bus.stored):
                newer += moved(f, c, entries[i].address, entries[i].length)
        elif not e.flags & (F_BUS_UNKNOWN | F_LENGTH_UNKNOWN):
            newer = moved(f, c, e.bus_addr, e.length)
    return add_call(f, c, mistake, newer if to_cpu else 0, 0 if to_cpu else newer, near)


cdef uint64_t moved(dv_effects* f, dv_context* c, uint64_t bus, uint64_t length) noexcept nogil:
    """Return how many bytes a sync of a bus range takes from the other side; caches and memory
    agree from then on.
    """
    cdef uint32_t index = c.meant[OBJ_MAPPING]
    cdef const dv_mapping* m = &c.world.mappings[index]
    cdef uint64_t phys = 0
    if touches_matter(f) and memory_at(c.world, m, bus, False, &phys):
        touched(&f.touches, phys, length, c.number.record, CLEANED, 0)
    if c.world.shadow.mask_lines == 0 or not owes_syncs(m):
        return 0
    return mapping_stale(c.world, index, False, bus, length,
                         c.event.kind == KIND_DMA_SYNC_FOR_DEVICE)


cdef int add_call(dv_effects* f, dv_context* c, int mistake, uint64_t cpu_bytes,
                  uint64_t device_bytes, uint64_t neighbours) noexcept nogil:
    """Keep what platforms make of a call: bytes of the CPU that it overwrites, bytes of the device
    that it does not bring over or overwrites, bytes beside the mapping, and a broken contract.
    """
    cdef const dv_event* e = c.event
    cdef dv_world* w = c.world
    cdef uint32_t index = c.meant[OBJ_MAPPING], i
    cdef const dv_mapping* m = &w.mappings[index]
    cdef const dv_platform* p
    cdef dv_verdict v
    if cpu_bytes + device_bytes + neighbours == 0 and mistake == MISTAKE_NONE:
        return 0
    memset(&v, 0, sizeof(dv_verdict))
    v.mistake = <uint8_t>mistake
    v.rests_on_syncs = mistake == MISTAKE_NONE
    v.across_gap = index != 0 and m.epoch != w.gaps
    v.bytes = cpu_bytes + device_bytes if cpu_bytes + device_bytes != 0 else neighbours
    blame(&v, MISTAKE_CPU_WRITE_LOST if cpu_bytes != 0 else
          MISTAKE_NO_SYNC_FOR_CPU if device_bytes != 0 else MISTAKE_SHARED_LINE)
    for i in range(f.count):
        p = &f.platforms[i]
        if index != 0 and bounced(p, w, m):
            if device_bytes != 0:
                set_effect(&v, i, EFFECT_BREAKS, CAUSE_DEVICE_BYTES_LOST, 0)
            if cpu_bytes != 0:
                set_effect(&v, i, EFFECT_BREAKS, CAUSE_CPU_BYTES_LOST, 0)
        elif index != 0 and cached_apart(p, m) and cpu_bytes + neighbours != 0:
            set_effect(&v, i, EFFECT_BREAKS,
                       CAUSE_CPU_BYTES_LOST if cpu_bytes != 0 else CAUSE_NEIGHBOURS_LOST, 0)
        if v.mistake != MISTAKE_SHARED_LINE:  # elsewhere sharing a line is nothing
            set_effect(&v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    if index == 0:
        index = c.meant[OBJ_FOREIGN] if c.meant[OBJ_FOREIGN] != 0 else \
            c.meant[OBJ_ENCLOSING] if c.meant[OBJ_ENCLOSING] != 0 else c.meant[OBJ_GHOST]
    return incident_add(&f.incidents, c, f.count, &v, index, 0,
                        0 if e.flags & F_LENGTH_UNKNOWN else e.length)


cdef int note_map(dv_effects* f, const dv_context* c) noexcept nogil:
    """A mapping brings caches and memory together; keep how far up memory is mapped."""
    cdef const dv_event* e = c.event
    cdef const dv_side* phys = event_side(c.batch, e, SIDE_SG_PHYS) if e.side != 0 else NULL
    cdef const dv_side* bus = event_side(c.batch, e, SIDE_SG_BUS) if e.side != 0 else NULL
    cdef bint streaming = e.kind == KIND_DMA_MAP and not e.flags & F_MMIO
    cdef dv_used* u
    cdef uint64_t end, first, length
    cdef uint32_t i
    if event_failed(e):
        return 0
    u = used_by(f, c.device)
    if u == NULL:
        return -1
    if e.flags & F_PHYS_UNKNOWN:
        u.unplaced += streaming
        return 0
    end = e.phys_addr + (e.length if phys == NULL and not e.flags & F_LENGTH_UNKNOWN else 1)
    if phys == NULL and not e.flags & F_LENGTH_UNKNOWN:
        cleaned(f, c, e.phys_addr, e.length)
    elif phys != NULL:
        for i in range(phys.stored):
            first = side_entries(phys)[i].address
            end = max(end, first + 1)
            # Where the list was merged nothing tells how long an entry is: at most its page.
            length = 4096 - (first & 4095)
            if bus != NULL and bus.full == phys.full and i < bus.stored:
                length = side_entries(bus)[i].length
            cleaned(f, c, first, length)
    if streaming and phys != NULL and bus != NULL and bus.full != phys.full:
        u.unpaired += not list_in_pages(bus, phys)
    if streaming:
        u.highest_mapped = max(u.highest_mapped, end)
    return 0


cdef inline void cleaned(dv_effects* f, const dv_context* c, uint64_t phys,
                         uint64_t length) noexcept nogil:
    if touches_matter(f) and not c.event.flags & F_SKIP_SYNC:
        touched(&f.touches, phys, length, c.number.record, CLEANED, 0)


cdef int judge_persistent(dv_effects* f, dv_context* c) noexcept nogil:
    """An allocation made of memory that was there is refused where the device can not reach it
    as it is: nothing may lie in between.
    """
    cdef const dv_event* e = c.event
    cdef const dv_side* phys = event_side(c.batch, e, SIDE_SG_PHYS) if e.side != 0 else NULL
    cdef const dv_platform* p
    cdef dv_verdict v
    cdef uint64_t last = 0
    cdef uint32_t i
    if phys == NULL or e.kind != KIND_DMA_ALLOC or event_type(e) != TYPE_COHERENT or \
            event_failed(e):
        return 0
    for i in range(phys.stored):
        last = max(last, side_entries(phys)[i].address | 4095)
    memset(&v, 0, sizeof(dv_verdict))
    v.bytes = e.length
    for i in range(f.count):
        p = &f.platforms[i]
        if not p.recorded and (p.private_memory or
                               (last > p.highest and p.translation == TRANSLATION_NONE)):
            set_effect(&v, i, EFFECT_REFUSED, CAUSE_NO_PERSISTENT, 0)
    return incident_add(&f.incidents, c, f.count, &v, 0, 0, e.length)


cdef int note_registered(dv_effects* f, dv_world* w, const dv_mapping* m,
                         uint64_t site) noexcept nogil:
    cdef dv_used* u = used_by(f, m.device)
    cdef uint64_t end = physical_end(w, m)
    if u == NULL:
        return -1
    u.registered += 1
    u.registered_bytes += m.length
    u.bounced += m.marks & MARK_BOUNCED != 0
    if m.length > u.longest:
        u.longest = m.length
    if end > u.highest:
        u.highest = end
    if site + 1 == f.dereg_site:
        u.registers = 1
    if not u.has_example and not m.marks & MARK_EXISTING:
        u.has_example = 1
        u.example = m[0]
        u.example.list = NULL
    return 0


cdef int effects_judge(dv_effects* f, dv_context* c) noexcept nogil:
    cdef int kind = c.event.kind
    cdef int mistake
    if device_reaches(c.event):
        if kind == KIND_DEV_START or c.event.flags & F_BUS_UNKNOWN:
            return 0
        return judge_access(f, c)
    mistake = call_mistake(c)
    if kind == KIND_DMA_MAP or kind == KIND_DMA_ALLOC:
        if note_map(f, c) < 0 or judge_persistent(f, c) < 0:
            return -1
        return add_call(f, c, mistake, 0, 0, 0)
    if kind == KIND_DMA_UNMAP or kind == KIND_DMA_FREE:
        return judge_end(f, c, mistake)
    if kind == KIND_DMA_SYNC_FOR_CPU or kind == KIND_DMA_SYNC_FOR_DEVICE:
        return judge_sync(f, c, mistake)
    if kind == KIND_DEREG_MR:
        f.dereg_site = <uint64_t>c.event.site + 1
    return 0


# The CPU's accesses.

cdef int effects_cpu_mapping(dv_effects* f, dv_context* c) noexcept nogil:
    cdef dv_world* w = c.world
    cdef uint32_t index = c.meant[OBJ_MAPPING], i
    cdef const dv_mapping* m = &w.mappings[index]
    cdef dv_used* u = used_by(f, m.device)
    cdef dv_verdict v
    if u == NULL:
        return -1
    u.cpu_accesses += 1
    if c.stale == 0 or c.event.kind != KIND_CPU_READ:
        return judge_owner(f, c, m)
    memset(&v, 0, sizeof(dv_verdict))
    v.rests_on_syncs = 1
    v.bytes = c.stale
    v.across_gap = m.epoch != w.gaps
    v.mistake = MISTAKE_NONE if registered(m) else MISTAKE_NO_SYNC_FOR_CPU
    for i in range(f.count):
        if bounced(&f.platforms[i], w, m) or cached_apart(&f.platforms[i], m):
            set_effect(&v, i, EFFECT_BREAKS,
                       CAUSE_SHARED_AT_ONCE if registered(m) else CAUSE_STALE_FOR_CPU, 0)
        elif owes_syncs(m) and not registered(m):
            set_effect(&v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    return incident_add(&f.incidents, c, f.count, &v, index, 0, c.event.length)


cdef int judge_owner(dv_effects* f, dv_context* c, const dv_mapping* m) noexcept nogil:
    """An access of the CPU while the bytes are the device's: no copy makes that right or wrong."""
    cdef bint known = True, read_open, write_open, reads = c.event.kind == KIND_CPU_READ
    cdef dv_verdict v
    cdef uint32_t i
    if not streams(m) or registered(m) or not m.marks & MARK_DIRECTION:
        return 0
    write_open = m.transfers != 0 and event_fact(c, WRITE_OPEN, &known) != 0
    read_open = m.transfers != 0 and event_fact(c, READ_OPEN, &known) != 0
    memset(&v, 0, sizeof(dv_verdict))
    v.mistake = MISTAKE_WHILE_DEVICE_OWNS
    v.across_gap = m.epoch != c.world.gaps
    v.rests_on_syncs = reads or not (read_open or write_open)
    if v.rests_on_syncs:
        # What both only read harms nobody, and of what goes to the device nothing comes back.
        if m.direction == DIR_TO_DEVICE or \
                (reads and m.direction == DIR_BIDIRECTIONAL and not write_open) or \
                event_fact(c, OWNED_BYTES, &known) == 0:
            return 0
    v.bytes = c.event.length
    for i in range(f.count):
        set_effect(&v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    return incident_add(&f.incidents, c, f.count, &v, c.meant[OBJ_MAPPING], 0, c.event.length)


cdef int effects_cpu(dv_effects* f, dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef const dv_platform* p
    cdef const dv_touch* t
    cdef dv_verdict v
    cdef uint32_t i
    cdef uint64_t bytes = 0
    cdef dv_used* u = used_by(f, c.device)
    cdef bint copied
    if u == NULL:
        return -1
    if e.flags & (F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN) or e.length == 0:
        return 0
    u.cpu_accesses += 1
    if e.kind == KIND_CPU_WRITE:
        touched(&f.touches, e.phys_addr, e.length, c.number.record, CPU_WRITES, 0)
        return 0
    t = newest_by_device(&f.touches, e.phys_addr, e.length, &bytes)
    if t == NULL:
        return 0
    memset(&v, 0, sizeof(dv_verdict))
    v.bytes = bytes
    v.mistake = t.mistake
    v.rests_on_syncs = t.what == LEFT_BEHIND
    for i in range(f.count):
        p = &f.platforms[i]
        copied = t.bounced != 0 if p.recorded else p.bounce == BOUNCE_ALWAYS or (
            p.bounce == BOUNCE_ABOVE_WIDTH and e.phys_addr + (e.length - 1) > p.highest)
        if not p.recorded and not p.coherent or t.what == LEFT_BEHIND and copied:
            set_effect(&v, i, EFFECT_BREAKS, CAUSE_STALE_FOR_CPU, 0)
        elif t.what == LEFT_BEHIND:
            set_effect(&v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    return incident_add(&f.incidents, c, f.count, &v, 0, 0, e.length)


cdef int effects_left(dv_effects* f, dv_context* c) noexcept nogil:
    cdef uint32_t index = c.meant[OBJ_MAPPING], i
    cdef const dv_mapping* m = &c.world.mappings[index]
    cdef dv_verdict v
    if registered(m) and note_registered(f, c.world, m, 0) < 0:
        return -1
    if c.world.devices[c.device].unmaps == 0 and not c.world.devices[c.device].iommu_seen and \
            streams(m):
        return 0  # where an unmap has nothing to do, the driver may skip it
    memset(&v, 0, sizeof(dv_verdict))
    v.mistake = MISTAKE_LEAK
    v.across_gap = m.epoch != c.world.gaps
    v.bytes = m.length
    for i in range(f.count):
        set_effect(&v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    return incident_add(&f.incidents, c, f.count, &v, index, 0, m.length)


cdef int finish_device(dv_effects* f, dv_world* w, dv_used* u) noexcept nogil:
    """Registered memory is one incident of its device: where a copy is in between, CPU and device
    never see each other's bytes.
    """
    cdef dv_event e
    cdef dv_number n
    cdef dv_batch none
    cdef dv_context c
    cdef dv_verdict v
    cdef const dv_mapping* m = &u.example
    cdef const dv_platform* p
    cdef uint32_t i
    cdef bint copied
    memset(&e, 0, sizeof(dv_event))
    memset(&v, 0, sizeof(dv_verdict))
    memset(&none, 0, sizeof(dv_batch))
    e.kind = m.made.kind
    e.time = m.made.time
    e.offset = m.made.offset
    e.site = m.made.site
    e.cpu = m.made.cpu
    e.device = m.device
    e.bus_addr = m.bus_addr
    e.phys_addr = m.phys_addr
    e.length = m.length
    e.direction = m.direction
    e.flags = m.flags
    n.record = m.made.record
    n.line = m.made.line
    context_init(&c, w, &none, &e, &n)
    v.bytes = u.registered_bytes
    for i in range(f.count):
        p = &f.platforms[i]
        copied = u.bounced != 0 if p.recorded else p.bounce == BOUNCE_ALWAYS or \
            (p.bounce == BOUNCE_ABOVE_WIDTH and u.highest != 0 and u.highest - 1 > p.highest)
        if copied or (not p.recorded and not p.coherent):
            if u.registers:
                set_effect(&v, i, EFFECT_BREAKS, CAUSE_SHARED_AT_ONCE, 0)
            else:
                set_effect(&v, i, EFFECT_CANNOT_TELL, CAUSE_MAY_BE_SHARED, 0)
    return incident_add(&f.incidents, &c, f.count, &v, 0, 0, u.registered_bytes)


cdef int effects_finish(dv_effects* f, dv_world* w) noexcept nogil:
    cdef uint32_t i
    for i in range(1, w.mapping_count):
        if w.mappings[i].state == STATE_LIVE and registered(&w.mappings[i]) and \
                note_registered(f, w, &w.mappings[i], 0) < 0:
            return -1
    for i in range(f.used_count):
        if f.used[i].has_example and finish_device(f, w, &f.used[i]) < 0:
            return -1
    return 0
