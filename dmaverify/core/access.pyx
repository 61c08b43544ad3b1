# cython: language_level=3
"""A device's access, and how it lies to what is mapped (see access.pxd)."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from dmaverify.core.aims cimport context_spanned, event_allowed
from dmaverify.core.between cimport (
    blame, cached_apart, dv_effects, dv_used, memory_at, others_memory, registered, set_effect,
    translation,
)
from dmaverify.core.coherence cimport LINE_BYTES
from dmaverify.core.context cimport (
    FROM_BEFORE, FROM_ERROR, FROM_PAST, FROM_PHYSICAL, FROM_POINTER, OBJ_ENCLOSING, OBJ_FOREIGN,
    OBJ_GHOST, OBJ_MAPPING, dv_context,
)
from dmaverify.core.facts cimport event_fact
from dmaverify.core.incidents cimport (
    CAUSE_CONTRACT, CAUSE_FAULT_SEEN, CAUSE_NEEDS_ORDER, CAUSE_NO_MEMORY, CAUSE_OTHER_DOMAIN,
    EFFECT_BREAKS, EFFECT_CANNOT_TELL, EFFECT_LUCK, MISTAKE_AFTER_UNMAP, MISTAKE_FAILED_USED,
    MISTAKE_FOREIGN, MISTAKE_NONE, MISTAKE_NO_SYNC_FOR_CPU, MISTAKE_NO_SYNC_FOR_DEVICE,
    MISTAKE_OUT_OF_RANGE, MISTAKE_SHARED_LINE, MISTAKE_UNMAPPED, MISTAKE_WRONG_DIRECTION,
    dv_incident, dv_verdict, incident_add, incident_at, incident_retell,
)
from dmaverify.core.reach cimport dirty_on, dv_reach, judge_late, judge_loose, judge_mapped
from dmaverify.core.shadow cimport GRID_BUS, dv_segment, dv_walk, walk_init, walk_next
from dmaverify.core.touches cimport DEVICE_WRITES, cpu_wrote_since, dirty_bytes, ends_since, touched
from dmaverify.core.versions cimport mapping_stale
from dmaverify.core.world cimport (
    MARK_DIRECTION, MARK_LENGTH, SCAN_MAX, STATE_LIVE, dv_mapping, dv_world,
)
from dmaverify.model.events cimport (
    DIR_BIDIRECTIONAL, DIR_FROM_DEVICE, DIR_TO_DEVICE, F_LENGTH_UNKNOWN, F_MMIO, F_SKIP_SYNC,
    F_TIME_UNKNOWN, KIND_DEV_FAULT, TYPE_SG, device_reads, device_writes, dv_event,
    event_failed,
)
from dmaverify.model.platform cimport TRANSLATION_NONE

cdef enum:                   # model/fields.py: facts of an event
    DIRTY_LINE_BYTES = 36

cdef uint64_t PAGES_LOOKED_AT = 256  # pages of one access that are looked up
# How long the recording machine's IOMMU may have gone on, if it was a lazy one: Linux
# drivers/iommu/dma-iommu.c, IOVA_FQ_TIMEOUT and IOVA_DEFAULT_FQ_SIZE.
cdef uint64_t LAZY_NS = 10000000
cdef uint32_t LAZY_UNMAPS = 256

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


cdef uint64_t ended_run(const dv_world* w, const dv_mapping* m, uint64_t bus) noexcept nogil:
    """Return how many bytes from a bus address on an ended mapping held in a row; 0 = not known."""
    cdef uint32_t s = m.first, steps = 0
    cdef const dv_segment* seg
    cdef uint64_t run = 0
    if m.type != TYPE_SG:
        if not m.marks & MARK_LENGTH or bus < m.bus_addr or bus - m.bus_addr >= m.length:
            return 0
        return m.length - (bus - m.bus_addr)
    while s != 0 and steps < SCAN_MAX:
        seg = &w.shadow.segments[s]
        if bus + run >= seg.start and bus + run - seg.start < seg.length:
            run += seg.length - (bus + run - seg.start)
        elif run != 0:
            break
        s = seg.sibling
        steps += 1
    return run


cdef void learn_late(dv_effects* f, dv_context* c, const dv_mapping* m, dv_reach* r) noexcept nogil:
    """Learn what became of the memory, and of the translation, of a mapping that has ended."""
    cdef const dv_event* e = c.event
    cdef uint64_t since = 0, run
    r.lazy_known = c.world.time_known and m.ended.flags & 1 and not e.flags & F_TIME_UNKNOWN
    if r.lazy_known and e.time > m.ended.time:
        since = e.time - m.ended.time
    r.within_lazy = since <= LAZY_NS and ends_since(&f.touches, m.ended.record) <= LAZY_UNMAPS
    run = ended_run(c.world, m, e.bus_addr)
    if run == 0:
        return
    r.end = e.bus_addr + run
    r.past = r.length - run if r.length > run else 0
    if not memory_at(c.world, m, e.bus_addr, False, &r.phys):
        return
    r.phys_known = True
    if memory_at(c.world, m, r.end, True, &since):
        r.end = since
    r.foreign = others_memory(c.world, 0, r.phys, r.length)
    r.overwrites = cpu_wrote_since(&f.touches, r.phys, r.length, m.ended.record)
    r.unclean = r.overwrites and \
        dirty_bytes(&f.touches, r.phys, r.length, m.ended.record) != 0


cdef void learn_direction(const dv_event* e, const dv_mapping* m, dv_reach* r) noexcept nogil:
    """Learn which way an access goes, of which only its mapping tells."""
    if not r.unknown or e.kind == KIND_DEV_FAULT or not m.marks & MARK_DIRECTION:
        return
    r.writes = m.direction == DIR_FROM_DEVICE
    r.reads = m.direction == DIR_TO_DEVICE
    r.unknown = not r.writes and not r.reads


cdef inline bint goes(const dv_reach* r, const dv_mapping* m) noexcept nogil:
    """Tell whether a mapping's direction allows an access, or nothing tells that it does not."""
    if not m.marks & MARK_DIRECTION or m.direction == DIR_BIDIRECTIONAL:
        return True
    if r.writes:
        return m.direction == DIR_FROM_DEVICE
    return m.direction == DIR_TO_DEVICE or not r.reads


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
        r.last = other
        learn_direction(e, &w.mappings[other], r)
        unsent = mapping_stale(w, other, False, e.bus_addr + at, min(room, end - at), False)
        if not r.wrong and r.unsent == 0 and (
                unsent != 0 or not goes(r, &w.mappings[other])):
            index[0] = other
        r.unsent += unsent
        r.wrong = r.wrong or not goes(r, &w.mappings[other])
        at += room


cdef bint unclean(const dv_effects* f, const dv_context* c, const dv_mapping* m) noexcept nogil:
    """Tell whether a device reads what the CPU wrote before a mapping that left its caches alone,
    and that no sync has handed over.
    """
    cdef uint64_t phys = 0
    if not m.flags & F_SKIP_SYNC or f.touches.by_cpu == 0 or \
            not memory_at(c.world, m, c.event.bus_addr, False, &phys):
        return False
    return dirty_bytes(&f.touches, phys, c.event.length, 0) > \
        dirty_bytes(&f.touches, phys, c.event.length, m.made.record)


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


cdef void learn_loose(dv_effects* f, dv_context* c, uint32_t near, dv_reach* r) noexcept nogil:
    """Learn what lies where nothing is mapped for the device."""
    cdef dv_world* w = c.world
    cdef const dv_mapping* m = &w.mappings[near]
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
        r.overwrites = dirty_bytes(&f.touches, bus, r.length, 0) != 0


cdef void note_bypass(dv_used* u, const dv_event* e, const dv_reach* r) noexcept nogil:
    cdef uint64_t first = e.bus_addr // 64, last = (e.bus_addr + r.length - 1) // 64
    if e.flags & F_LENGTH_UNKNOWN:
        return
    u.bypass_accesses += 1
    u.bypass_bytes += r.length
    u.bypass_lines += last - first + 1


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


cdef void learn_other_lines(const dv_effects* f, const dv_context* c, const dv_mapping* m,
                            dv_reach* r) noexcept nogil:
    """Learn what the CPU wrote in the lines of a write, where lines are not of the usual length."""
    cdef uint32_t i
    if f.touches.by_cpu == 0 or m.state != STATE_LIVE or c.event.flags & F_LENGTH_UNKNOWN:
        return
    r.memory_known = memory_at(c.world, m, c.event.bus_addr, False, &r.memory)
    r.since = m.made.record
    for i in range(f.count):
        if f.platforms[i].line_bytes != LINE_BYTES and cached_apart(&f.platforms[i], m):
            r.other_dirty = max(r.other_dirty, dirty_on(f, &f.platforms[i], r))


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
    r.last = index
    r.unsent = c.unsent
    r.wrong = not goes(r, m)
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
        learn_other_lines(f, c, m, r)
    if not r.wrong and not r.unclean and not m.flags & F_MMIO and \
            r.past + r.unsent + r.dirty + r.other_dirty == 0:
        return 0
    memset(&v, 0, sizeof(dv_verdict))
    v.bytes = r.length
    if r.past != 0:
        learn_end(c, r.last, r)
        blame(&v, MISTAKE_OUT_OF_RANGE)
        v.bytes = r.past
    if r.wrong:
        blame(&v, MISTAKE_WRONG_DIRECTION)
        if r.writes and m.state == STATE_LIVE and e.kind != KIND_DEV_FAULT and \
                memory_at(w, m, e.bus_addr, False, &phys):
            touched(&f.touches, phys, r.length, c.number.record, DEVICE_WRITES,
                    MISTAKE_WRONG_DIRECTION)
    if v.mistake == MISTAKE_NONE and (r.unsent + r.dirty + r.other_dirty != 0 or r.unclean):
        v.rests_on_syncs = 1
        v.bytes = r.unsent if r.unsent != 0 else \
            r.length if r.unclean else max(r.dirty, r.other_dirty)
        if not registered(m):
            v.mistake = MISTAKE_NO_SYNC_FOR_DEVICE if r.unsent != 0 or r.unclean else \
                MISTAKE_SHARED_LINE
    v.across_gap = m.epoch != w.gaps
    for i in range(f.count):
        judge_mapped(f, c, r, m, i, &v)
    return add_access(f, c, &v, index, r)


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
        r.wrong = not goes(&r, m)
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
