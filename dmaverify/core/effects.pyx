# cython: language_level=3
"""What every platform makes of an event (see effects.pxd)."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from dmaverify.core.contract cimport call_mistake
from dmaverify.core.facts cimport event_fact
from dmaverify.core.incidents cimport (
    CAUSE_CONTRACT, CAUSE_CPU_BYTES_LOST, CAUSE_DEVICE_BYTES_LOST, CAUSE_FAULT_SEEN, CAUSE_FILL,
    CAUSE_FOREIGN_BYTES, CAUSE_GUARD, CAUSE_LATE_WINDOW, CAUSE_LINE_SHARED, CAUSE_MMIO,
    CAUSE_NEEDS_ORDER, CAUSE_NEIGHBOURS_LOST, CAUSE_NOT_FLUSHED, CAUSE_NO_MEMORY,
    CAUSE_NO_PERMISSION, CAUSE_NO_PERSISTENT, CAUSE_NO_TRANSLATION, CAUSE_OTHER_DOMAIN,
    CAUSE_OTHER_MEMORY, CAUSE_OWN_MEMORY, CAUSE_PAST_PAGES, CAUSE_PRIVATE, CAUSE_SAME_PAGE,
    CAUSE_SHARED_AT_ONCE, CAUSE_STALE_FOR_CPU, CAUSE_STALE_FOR_DEVICE, CAUSE_TOO_WIDE,
    CAUSE_TRANSLATION_GONE, CAUSE_UNKNOWN_MEMORY, EFFECT_BREAKS, EFFECT_CANNOT_TELL, EFFECT_LUCK,
    EFFECT_REFUSED, MISTAKE_AFTER_UNMAP, MISTAKE_CPU_WRITE_LOST, MISTAKE_FAILED_USED,
    MISTAKE_FOREIGN, MISTAKE_LEAK, MISTAKE_NONE, MISTAKE_NO_SYNC_FOR_CPU,
    MISTAKE_NO_SYNC_FOR_DEVICE, MISTAKE_OUT_OF_RANGE, MISTAKE_SHARED_LINE, MISTAKE_UNMAPPED,
    MISTAKE_WRONG_DIRECTION, dv_incident, dv_verdict, incident_add, incident_at, incident_retell,
    incidents_deinit, incidents_init,
)
from dmaverify.core.resolve cimport (
    FROM_BEFORE, FROM_ERROR, FROM_PAST, FROM_PHYSICAL, FROM_POINTER, FROM_TRUNCATED, OBJ_ENCLOSING,
    OBJ_FOREIGN, OBJ_GHOST, OBJ_MAPPING, context_init, dv_context, event_allowed,
)
from dmaverify.core.shadow cimport (
    GRID_BUS, GRID_PHYS, dv_segment, dv_walk, walk_init, walk_next,
)
from dmaverify.core.world cimport (
    MARK_BOUNCED, MARK_EXISTING, MARK_LENGTH, MARK_PHYS, MARK_WHOLE_PAGES, STATE_LIVE, dv_mapping,
    dv_world, mapping_stale,
)
from dmaverify.model.events cimport (
    DIR_BIDIRECTIONAL, DIR_FROM_DEVICE, DIR_TO_DEVICE, F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN,
    F_FROM_MARK, F_LENGTH_UNKNOWN, F_MMIO, F_NULL_CPU, F_PHYS_UNKNOWN, F_SKIP_SYNC, F_TIME_UNKNOWN,
    KIND_CPU_READ, KIND_CPU_WRITE, KIND_DEREG_MR, KIND_DEV_ACCESS, KIND_DEV_FAULT, KIND_DEV_START,
    KIND_DMA_ALLOC, KIND_DMA_FREE, KIND_DMA_MAP, KIND_DMA_SYNC_FOR_CPU, KIND_DMA_SYNC_FOR_DEVICE,
    KIND_DMA_UNMAP, TYPE_COHERENT, TYPE_SG, TYPE_SINGLE,
    SIDE_SG_PHYS, device_reaches, device_reads, device_writes, dv_batch, dv_event, dv_number,
    dv_side, event_failed, event_side, event_type, side_entries,
)
from dmaverify.model.platform cimport (
    BOUNCE_ABOVE_WIDTH, BOUNCE_ALWAYS, BOUNCE_NEVER, TRANSLATION_IOMMU, TRANSLATION_NESTED,
    TRANSLATION_NONE, dv_platform,
)

cdef enum:                   # model/fields.py: facts of an event
    DIRTY_LINE_BYTES = 36
    NEIGHBOUR_BYTES = 38

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
    f.touches = <dv_touch*>calloc(TOUCHES, sizeof(dv_touch))
    f.ends = <uint32_t*>calloc(ENDS, sizeof(uint32_t))
    if f.touches == NULL or f.ends == NULL:
        return -1
    return incidents_init(&f.incidents, seed)


cdef void effects_deinit(dv_effects* f) noexcept nogil:
    if f.count != 0:
        incidents_deinit(&f.incidents)
    free(f.used)
    free(f.touches)
    free(f.ends)
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


# Touches of memory: what happened to bytes that no live mapping watches.

cdef void touch(dv_effects* f, uint64_t phys, uint64_t length, uint32_t record, int what,
                int mistake) noexcept nogil:
    cdef dv_touch* t = &f.touches[f.touch_next]
    t.phys_addr = phys
    t.length = length
    t.record = record
    t.what = <uint8_t>what
    t.mistake = <uint8_t>mistake
    f.device_touches += what == DEVICE_WRITES
    f.touch_next = f.touch_next + 1 if f.touch_next + 1 < TOUCHES else 0
    if f.touch_count < TOUCHES:
        f.touch_count += 1


cdef const dv_touch* last_touch(const dv_effects* f, uint64_t phys, uint64_t length,
                                int but) noexcept nogil:
    """Return the newest touch of a range but those of one kind, or NULL."""
    cdef uint32_t _, at = f.touch_next
    cdef const dv_touch* t
    for _ in range(f.touch_count):
        at = at - 1 if at != 0 else TOUCHES - 1
        t = &f.touches[at]
        if t.what != but and (t.phys_addr - phys < length if t.phys_addr >= phys
                              else phys - t.phys_addr < t.length):
            return t
    return NULL


cdef bint cpu_wrote_since(const dv_effects* f, uint64_t phys, uint64_t length,
                          uint32_t record) noexcept nogil:
    cdef const dv_touch* t = last_touch(f, phys, length, CLEANED)
    return t != NULL and t.what == CPU_WRITES and t.record > record


cdef uint32_t unmaps_since(const dv_effects* f, uint32_t record) noexcept nogil:
    """Count the ends of mappings after an event, as far back as they are remembered."""
    cdef uint64_t i, room = f.end_count if f.end_count < ENDS else ENDS
    for i in range(room):
        if f.ends[(f.end_count - 1 - i) % ENDS] <= record:
            return <uint32_t>i
    return <uint32_t>room


cdef bint others_memory(dv_world* w, uint64_t phys, uint64_t length) noexcept nogil:
    """Tell whether a live mapping of any device holds memory of a physical range."""
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef uint32_t s
    walk_init(&walk, &w.shadow, GRID_PHYS, phys, length)
    if walk_next(&walk) != 0:
        return True
    walk_init(&walk, &w.shadow, GRID_BUS, phys, length)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        if seg.phys == seg.start and seg.phys_length != 0:
            return True
        s = walk_next(&walk)
    return False


# A device's access.

cdef struct dv_reach:
    bint writes
    bint reads
    bint wrong               # the direction of the mapping does not allow it
    uint64_t length          # 1 where it is not told
    uint64_t past            # bytes past the end of the mapping
    uint64_t end             # where the mapping ends: physical where known, else bus
    bint foreign             # what lies there is another mapping's
    uint64_t phys            # of the first byte past the end, or of a late access
    bint phys_known
    uint64_t dirty           # bytes that the CPU wrote, and has in its cache, in the same lines
    bint overwrites          # the CPU has written there since the mapping ended
    bint within_lazy
    bint lazy_known


cdef inline uint64_t page_room(const dv_platform* p, const dv_reach* r) noexcept nogil:
    """Return how many bytes past the end of a mapping lie on the last page of its translation.

    A translation keeps the offset within a page, so that physical and bus address tell the same.
    """
    return -r.end & (p.page_bytes - 1)


cdef void judge_mapped(dv_effects* f, dv_context* c, const dv_reach* r, const dv_mapping* m,
                       uint32_t i, dv_verdict* v) noexcept nogil:
    """An access that lies, or begins, in a live mapping."""
    cdef const dv_platform* p = &f.platforms[i]
    cdef int tr = translation(p, c)
    cdef bint copied = bounced(p, c.world, m)
    if tr != TRANSLATION_NONE:
        if r.wrong:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_NO_PERMISSION, 1)
        if r.past > page_room(p, r):
            set_effect(v, i, EFFECT_BREAKS, CAUSE_PAST_PAGES, 1)
        elif r.past != 0:
            set_effect(v, i, EFFECT_LUCK, CAUSE_SAME_PAGE, 0)
        if tr == TRANSLATION_NESTED and m.flags & F_MMIO and not p.second_reaches_mmio:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_MMIO, 2)
    elif r.past != 0:
        if copied:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_GUARD, 0)
        elif r.writes and r.foreign:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_FOREIGN_BYTES, 0)
        else:
            set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    if r.wrong:
        if copied and r.writes:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_DEVICE_BYTES_LOST, 0)
        elif copied and not p.copies_in_always and not p.recorded:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_FILL, 0)
        set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    if r.dirty != 0 and cached_apart(p, m):
        set_effect(v, i, EFFECT_BREAKS, CAUSE_LINE_SHARED, 0)
    if c.unsent == 0:
        return
    # A write of the device is of its own buffer, whatever the CPU has there.
    if not r.writes and (copied or cached_apart(p, m)):
        set_effect(v, i, EFFECT_BREAKS,
                   CAUSE_SHARED_AT_ONCE if registered(m) else CAUSE_STALE_FOR_DEVICE, 0)
    if streams(m) and not registered(m):
        set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)


cdef void judge_late(dv_effects* f, dv_context* c, const dv_reach* r, const dv_mapping* m,
                     uint32_t i, dv_verdict* v) noexcept nogil:
    """An access through a mapping that has ended."""
    cdef const dv_platform* p = &f.platforms[i]
    cdef bint lost = r.writes and r.overwrites
    if translation(p, c) != TRANSLATION_NONE:
        if p.recorded and c.event.kind == KIND_DEV_ACCESS:
            set_effect(v, i, EFFECT_LUCK, CAUSE_NOT_FLUSHED, 0)
        elif p.recorded and r.within_lazy:
            set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_NOT_FLUSHED, 0)
        elif p.flush_after_ns == 0 and p.flush_after_unmaps == 0 or not within_flush(f, c, p, m):
            set_effect(v, i, EFFECT_BREAKS, CAUSE_TRANSLATION_GONE, 1)
        elif not r.lazy_known:
            set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_NOT_FLUSHED, 0)
        elif lost:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_CPU_BYTES_LOST, 0)
        else:
            set_effect(v, i, EFFECT_LUCK, CAUSE_NOT_FLUSHED, 0)
    elif bounced(p, c.world, m):
        if r.writes:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_LATE_WINDOW, 0)
        elif r.reads and p.guard_bytes != 0:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_FILL, 0)
        set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    elif lost:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_CPU_BYTES_LOST, 0)
    elif r.writes and r.foreign:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_FOREIGN_BYTES, 0)
    elif r.reads and r.overwrites and cached_apart(p, m):
        set_effect(v, i, EFFECT_BREAKS, CAUSE_STALE_FOR_DEVICE, 0)
    else:
        set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)


cdef bint within_flush(const dv_effects* f, const dv_context* c, const dv_platform* p,
                       const dv_mapping* m) noexcept nogil:
    """Tell whether a translation that was taken away may still work on a platform."""
    cdef bint time_known = c.world.time_known and m.ended.flags & 1 and \
        not c.event.flags & F_TIME_UNKNOWN
    if p.flush_after_unmaps != 0 and \
            unmaps_since(f, m.ended.record) > p.flush_after_unmaps:
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
        if from_ == FROM_PAST and r.past != 0 and r.past <= page_room(p, r):
            set_effect(v, i, EFFECT_LUCK, CAUSE_SAME_PAGE, 0)
        elif from_ == FROM_BEFORE and near != 0 and \
                first >> 12 == c.world.mappings[near].bus_addr >> 12:
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
    elif p.private_memory and not copied:
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


cdef void learn_end(dv_effects* f, dv_context* c, const dv_mapping* m, dv_reach* r) noexcept nogil:
    """Learn what lies behind the end of a mapping that an access runs over."""
    cdef dv_world* w = c.world
    cdef uint64_t first_past = c.event.bus_addr + (r.length - r.past)
    r.end = first_past
    if not m.marks & MARK_PHYS or m.type == TYPE_SG:
        return
    r.phys = m.phys_addr + (first_past - m.bus_addr)
    r.phys_known = True
    r.end = r.phys
    # As a mapping takes in its own memory only, whatever is mapped there is another's.
    r.foreign = others_memory(w, r.phys, r.past)


cdef void learn_late(dv_effects* f, dv_context* c, const dv_mapping* m, dv_reach* r) noexcept nogil:
    """Learn what became of the memory, and of the translation, of a mapping that has ended."""
    cdef uint64_t since = 0
    r.lazy_known = c.world.time_known and m.ended.flags & 1 and \
        not c.event.flags & F_TIME_UNKNOWN
    if r.lazy_known and c.event.time > m.ended.time:
        since = c.event.time - m.ended.time
    r.within_lazy = since <= LAZY_NS and unmaps_since(f, m.ended.record) <= LAZY_UNMAPS
    if not m.marks & MARK_PHYS or m.type == TYPE_SG or c.event.bus_addr < m.bus_addr:
        return
    r.phys = m.phys_addr + (c.event.bus_addr - m.bus_addr)
    r.phys_known = True
    r.foreign = others_memory(c.world, r.phys, r.length)
    r.overwrites = cpu_wrote_since(f, r.phys, r.length, m.ended.record)


cdef int judge_access(dv_effects* f, dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef dv_world* w = c.world
    cdef dv_used* u = &f.used[c.device]
    cdef uint32_t index = c.meant[OBJ_MAPPING], i
    cdef const dv_mapping* m = &w.mappings[index]
    cdef dv_verdict v
    cdef dv_reach r
    cdef bint known = True
    memset(&r, 0, sizeof(dv_reach))
    r.writes = device_writes(e)
    r.reads = device_reads(e)
    r.length = 1 if e.flags & F_LENGTH_UNKNOWN or e.length == 0 else e.length
    r.past = c.past_end if not e.flags & F_LENGTH_UNKNOWN else 0
    if index != 0:
        r.wrong = (r.writes or r.reads) and not event_allowed(e, m)
        if registered(m) and (r.writes or r.reads):
            note_bypass(u, e, &r)
        if r.writes:
            r.dirty = event_fact(c, DIRTY_LINE_BYTES, &known)
        if not r.wrong and r.past == 0 and c.unsent == 0 and r.dirty == 0 and \
                not m.flags & F_MMIO:
            return 0
    memset(&v, 0, sizeof(dv_verdict))
    v.bytes = r.length
    if index != 0:
        if r.past != 0:
            learn_end(f, c, m, &r)
            blame(&v, MISTAKE_OUT_OF_RANGE)
            v.bytes = r.past
        if r.wrong:
            blame(&v, MISTAKE_WRONG_DIRECTION)
            if r.writes and m.marks & MARK_PHYS and m.type != TYPE_SG and \
                    m.state == STATE_LIVE and e.kind != KIND_DEV_FAULT:
                touch(f, m.phys_addr + (e.bus_addr - m.bus_addr), r.length, c.number.record,
                      DEVICE_WRITES, MISTAKE_WRONG_DIRECTION)
        if (c.unsent != 0 or r.dirty != 0) and v.mistake == MISTAKE_NONE:
            v.rests_on_syncs = 1
            v.bytes = c.unsent if c.unsent != 0 else r.dirty
            if not registered(m):
                v.mistake = MISTAKE_NO_SYNC_FOR_DEVICE if c.unsent != 0 else MISTAKE_SHARED_LINE
        v.across_gap = m.epoch != w.gaps
        for i in range(f.count):
            judge_mapped(f, c, &r, m, i, &v)
    elif event_failed(e) or c.provenance == FROM_ERROR:
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
    elif c.may_predate or w.devices[c.device].truncated_live != 0:
        for i in range(f.count):
            set_effect(&v, i, EFFECT_CANNOT_TELL, CAUSE_NEEDS_ORDER, 0)
        return add_access(f, c, &v, 0, &r)
    elif c.meant[OBJ_GHOST] != 0:
        index = c.meant[OBJ_GHOST]
        m = &w.mappings[index]
        v.mistake = MISTAKE_AFTER_UNMAP
        v.across_gap = m.epoch != w.gaps
        learn_late(f, c, m, &r)
        for i in range(f.count):
            judge_late(f, c, &r, m, i, &v)
        if r.writes and r.phys_known and e.kind != KIND_DEV_FAULT:
            touch(f, r.phys, r.length, c.number.record, DEVICE_WRITES, MISTAKE_AFTER_UNMAP)
    else:
        v.mistake = MISTAKE_UNMAPPED
        index = c.meant[OBJ_ENCLOSING]
        learn_loose(f, c, index, &r)
        for i in range(f.count):
            judge_loose(f, c, &r, i, &v)
        if r.writes and c.provenance == FROM_PHYSICAL and e.kind != KIND_DEV_FAULT:
            touch(f, e.bus_addr, r.length, c.number.record, DEVICE_WRITES, MISTAKE_UNMAPPED)
    return add_access(f, c, &v, index, &r)


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
    if item != NULL and fault:
        fault_seen(f, &item.verdict)
        return 0
    if item != NULL:
        for i in range(f.count):
            if f.platforms[i].recorded:
                v.effect[i] = item.verdict.effect[i]
                v.cause[i] = item.verdict.cause[i]
                v.stage[i] = item.verdict.stage[i]
        incident_retell(item, c, v, ordinal, r.length)
        return 0
    if fault:
        fault_seen(f, v)
    return incident_add(&f.incidents, c, f.count, v, index, ordinal, r.length)


cdef void fault_seen(dv_effects* f, dv_verdict* v) noexcept nogil:
    cdef uint32_t i
    for i in range(f.count):
        if f.platforms[i].recorded:
            v.effect[i] = EFFECT_BREAKS
            v.cause[i] = CAUSE_FAULT_SEEN
            v.stage[i] = 1
            f.incidents.seen[i][<int>EFFECT_BREAKS] = 1


cdef void learn_loose(dv_effects* f, dv_context* c, uint32_t near, dv_reach* r) noexcept nogil:
    cdef const dv_mapping* m = &c.world.mappings[near]
    cdef const dv_touch* t
    cdef uint64_t end
    if c.provenance == FROM_PAST and near != 0 and m.marks & MARK_LENGTH:
        end = m.bus_addr + m.length
        r.past = c.event.bus_addr - end + r.length
        r.end = end
        if m.marks & MARK_PHYS and m.type != TYPE_SG:
            r.foreign = others_memory(
                c.world, m.phys_addr + (c.event.bus_addr - m.bus_addr), r.length)
    elif c.provenance == FROM_BEFORE and near != 0 and m.marks & MARK_PHYS and \
            m.type != TYPE_SG and r.length != 0:
        r.foreign = others_memory(
            c.world, m.phys_addr - (m.bus_addr - c.event.bus_addr),
            min(r.length, m.bus_addr - c.event.bus_addr))
    elif c.provenance == FROM_PHYSICAL:
        # What the CPU wrote and no call has brought to memory since.
        t = last_touch(f, c.event.bus_addr, r.length, 0)
        r.overwrites = t != NULL and t.what == CPU_WRITES


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
    cdef bint to_cpu, whole
    if e.kind == KIND_DMA_UNMAP and not e.flags & F_NULL_CPU:
        f.ends[f.end_count % ENDS] = c.number.record
        f.end_count += 1
    if index != 0 and registered(m) and note_registered(f, c.world, m, e.site) < 0:
        return -1
    # What a free does not hand over is given back unread.
    if index != 0 and w.shadow.mask_lines != 0 and not (e.flags | m.flags) & F_SKIP_SYNC and \
            e.kind == KIND_DMA_UNMAP and not registered(m):
        whole = e.flags & F_LENGTH_UNKNOWN or m.type == TYPE_SG
        to_cpu = (m.direction if e.flags & F_DIRECTION_UNKNOWN else e.direction) != DIR_TO_DEVICE
        if not to_cpu:
            # What was written against the direction of the mapping itself is told as that.
            if m.direction != DIR_TO_DEVICE:
                lost = mapping_stale(w, index, False, 0, ALL, True)
        elif whole:
            overwritten = mapping_stale(w, index, False, 0, ALL, False)
        else:
            overwritten = mapping_stale(w, index, False, e.bus_addr, e.length, False)
            lost = mapping_stale(w, index, False, 0, ALL, True) - \
                mapping_stale(w, index, False, e.bus_addr, e.length, True)
    return add_call(f, c, mistake, overwritten, lost, beside(c))


cdef inline uint64_t beside(const dv_context* c) noexcept nogil:
    """Count what the CPU wrote beside a mapping that goes with the cache lines of a call."""
    cdef bint known = True
    return event_fact(c, NEIGHBOUR_BYTES, &known)


cdef int judge_sync(dv_effects* f, dv_context* c, int mistake) noexcept nogil:
    """A sync copies over what the other side has newer."""
    cdef const dv_event* e = c.event
    cdef uint32_t index = c.meant[OBJ_MAPPING]
    cdef bint to_cpu = e.kind == KIND_DMA_SYNC_FOR_CPU
    cdef uint64_t newer = 0
    cdef bint moves = e.flags & F_DIRECTION_UNKNOWN or \
        e.direction != (DIR_TO_DEVICE if to_cpu else DIR_FROM_DEVICE)
    if index != 0 and moves and c.world.shadow.mask_lines != 0 and e.side == 0 and \
            not e.flags & (F_BUS_UNKNOWN | F_LENGTH_UNKNOWN):
        newer = mapping_stale(c.world, index, False, e.bus_addr, e.length, not to_cpu)
    return add_call(f, c, mistake, newer if to_cpu else 0, 0 if to_cpu else newer, beside(c))


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
    """A mapping brings caches and memory together."""
    cdef const dv_event* e = c.event
    cdef const dv_side* phys
    cdef dv_used* u
    cdef uint64_t end
    cdef uint32_t i
    if e.flags & F_PHYS_UNKNOWN or event_failed(e):
        return 0
    if not e.flags & F_LENGTH_UNKNOWN:
        touch(f, e.phys_addr, e.length, c.number.record, CLEANED, 0)
    if e.kind != KIND_DMA_MAP or e.flags & F_MMIO:
        return 0
    u = used_by(f, c.device)
    if u == NULL:
        return -1
    phys = event_side(c.batch, e, SIDE_SG_PHYS) if e.side != 0 else NULL
    end = e.phys_addr + (e.length if phys == NULL and not e.flags & F_LENGTH_UNKNOWN else 1)
    if phys != NULL:
        for i in range(phys.stored):
            end = max(end, side_entries(phys)[i].address + 1)
    u.highest_mapped = max(u.highest_mapped, end)
    return 0


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
        return 0
    memset(&v, 0, sizeof(dv_verdict))
    v.rests_on_syncs = 1
    v.bytes = c.stale
    v.across_gap = m.epoch != w.gaps
    v.mistake = MISTAKE_NONE if registered(m) else MISTAKE_NO_SYNC_FOR_CPU
    for i in range(f.count):
        if bounced(&f.platforms[i], w, m) or cached_apart(&f.platforms[i], m):
            set_effect(&v, i, EFFECT_BREAKS,
                       CAUSE_SHARED_AT_ONCE if registered(m) else CAUSE_STALE_FOR_CPU, 0)
        elif streams(m) and not registered(m):
            set_effect(&v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    return incident_add(&f.incidents, c, f.count, &v, index, 0, c.event.length)


cdef int effects_cpu(dv_effects* f, dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef const dv_touch* t
    cdef dv_verdict v
    cdef uint32_t i
    cdef dv_used* u
    if e.flags & (F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN) or e.length == 0:
        return 0
    if e.kind == KIND_CPU_WRITE:
        touch(f, e.phys_addr, e.length, c.number.record, CPU_WRITES, 0)
        return 0
    u = used_by(f, c.device)
    if u == NULL:
        return -1
    u.cpu_accesses += 1
    if f.device_touches == 0:
        return 0
    t = last_touch(f, e.phys_addr, e.length, 0)
    if t == NULL or t.what != DEVICE_WRITES:
        return 0
    memset(&v, 0, sizeof(dv_verdict))
    v.bytes = e.length
    v.mistake = t.mistake
    for i in range(f.count):
        if not f.platforms[i].recorded and not f.platforms[i].coherent:
            set_effect(&v, i, EFFECT_BREAKS, CAUSE_STALE_FOR_CPU, 0)
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
            set_effect(&v, i, EFFECT_BREAKS if u.registers else EFFECT_CANNOT_TELL,
                       CAUSE_SHARED_AT_ONCE, 0)
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
