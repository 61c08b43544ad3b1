# cython: language_level=3
"""What platforms make of the driver's calls (see calls.pxd)."""

from libc.stdint cimport uint32_t, uint64_t, uint8_t
from libc.string cimport memset

from dmaverify.core.between cimport (
    blame, bounced, cached_apart, dv_effects, dv_used, memory_at, owes_syncs, physical_end,
    registered, set_effect, streams, touches_matter, used_by,
)
from dmaverify.core.coherence cimport LINE_BYTES, device_run
from dmaverify.core.context cimport OBJ_ENCLOSING, OBJ_FOREIGN, OBJ_GHOST, OBJ_MAPPING, dv_context
from dmaverify.core.facts cimport event_fact
from dmaverify.core.incidents cimport (
    CAUSE_CONTRACT, CAUSE_CPU_BYTES_LOST, CAUSE_DEVICE_BYTES_LOST, CAUSE_NEIGHBOURS_LOST,
    CAUSE_NO_PERSISTENT, EFFECT_BREAKS, EFFECT_LUCK, EFFECT_REFUSED, MISTAKE_CPU_WRITE_LOST,
    MISTAKE_LEAK, MISTAKE_NONE, MISTAKE_NO_SYNC_FOR_CPU, MISTAKE_SHARED_LINE,
    MISTAKE_UNMAP_IN_TRANSFER, dv_verdict, incident_add,
)
from dmaverify.core.lists cimport list_in_pages
from dmaverify.core.shadow cimport dv_segment
from dmaverify.core.touches cimport (
    CLEANED, DEVICE_WRITES, LEFT_BEHIND, dirty_bytes, dv_touch, end_seen, newest_by_device,
    touch, touched,
)
from dmaverify.core.versions cimport mapping_stale
from dmaverify.core.world cimport (
    MARK_BOUNCED, MARK_EXISTING, MARK_LENGTH, MARK_PHYS, SCAN_MAX, dv_mapping, dv_world,
)
from dmaverify.model.events cimport (
    DIR_FROM_DEVICE, DIR_TO_DEVICE, F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN,
    F_MMIO, F_NULL_CPU, F_PHYS_UNKNOWN, F_SKIP_SYNC, KIND_DMA_ALLOC, KIND_DMA_MAP,
    KIND_DMA_SYNC_FOR_CPU, KIND_DMA_SYNC_FOR_DEVICE, KIND_DMA_UNMAP, SIDE_SG_BUS, SIDE_SG_PHYS,
    TYPE_COHERENT, TYPE_SG, TYPE_SINGLE, dv_entry, dv_event, dv_side, event_failed, event_side,
    event_type, side_entries,
)
from dmaverify.model.platform cimport TRANSLATION_NONE, dv_platform

cdef enum:                   # model/fields.py: facts of an event
    NEIGHBOUR_BYTES = 38

cdef uint32_t RUNS_MAX = 64  # pieces of one mapping that are remembered as left behind
cdef uint64_t ALL = ~<uint64_t>0

cdef inline uint64_t beside(const dv_context* c) noexcept nogil:
    """Count what the CPU wrote beside a mapping that goes with the cache lines of a call."""
    cdef bint known = True
    return event_fact(c, NEIGHBOUR_BYTES, &known)


cdef uint64_t beside_on(const dv_effects* f, const dv_context* c, const dv_platform* p,
                        uint64_t usual) noexcept nogil:
    """Count what the CPU wrote beside a mapping that goes with the cache lines of a call, of the
    length that lines have on a platform; `usual`: where they have the usual one.
    """
    cdef const dv_event* e = c.event
    cdef const dv_mapping* m = &c.world.mappings[c.meant[OBJ_MAPPING]]
    cdef uint64_t line = p.line_bytes - 1, first = m.phys_addr, end, start, bytes = 0
    if p.line_bytes == LINE_BYTES or p.recorded or p.coherent:
        return usual
    if m.type != TYPE_SINGLE or not m.marks & MARK_PHYS or not m.marks & MARK_LENGTH or \
            m.length == 0 or m.length > ALL - line - m.phys_addr:
        return 0
    end = first + m.length
    start = first
    if e.kind != KIND_DMA_UNMAP and not e.flags & F_LENGTH_UNKNOWN and e.length != 0 and \
            e.bus_addr - m.bus_addr < m.length:
        start += e.bus_addr - m.bus_addr
        end = min(end, start + (min(e.length, m.length)))
    if start & ~line < first:
        bytes = dirty_bytes(&f.touches, start & ~line, first - (start & ~line), m.made.record)
    end = ((end - 1) | line) + 1
    if end > first + m.length:
        bytes += dirty_bytes(
            &f.touches, first + m.length, end - (first + m.length), m.made.record)
    return bytes


cdef int add_call(dv_effects* f, dv_context* c, int mistake, uint64_t cpu_bytes,
                  uint64_t device_bytes, uint64_t neighbours, bint throws) noexcept nogil:
    """Keep what platforms make of a call: bytes of the CPU that it overwrites, bytes of the device
    that it does not bring over or overwrites, bytes beside the mapping, and a broken contract.
    """
    cdef const dv_event* e = c.event
    cdef dv_world* w = c.world
    cdef uint32_t index = c.meant[OBJ_MAPPING], i
    cdef const dv_mapping* m = &w.mappings[index]
    cdef const dv_platform* p
    cdef uint64_t widest = 0
    cdef dv_verdict v
    if throws and index != 0 and f.touches.by_cpu != 0:
        for i in range(f.count):
            widest = max(widest, beside_on(f, c, &f.platforms[i], neighbours))
    if cpu_bytes + device_bytes + neighbours + widest == 0 and mistake == MISTAKE_NONE:
        return 0
    memset(&v, 0, sizeof(dv_verdict))
    v.mistake = <uint8_t>mistake
    v.rests_on_syncs = mistake == MISTAKE_NONE
    v.across_gap = index != 0 and m.epoch != w.gaps
    v.bytes = cpu_bytes + device_bytes if cpu_bytes + device_bytes != 0 else \
        max(neighbours, widest)
    blame(&v, MISTAKE_CPU_WRITE_LOST if cpu_bytes != 0 else
          MISTAKE_NO_SYNC_FOR_CPU if device_bytes != 0 else MISTAKE_SHARED_LINE)
    for i in range(f.count):
        p = &f.platforms[i]
        if index != 0 and bounced(p, w, m):
            if device_bytes != 0:
                set_effect(&v, i, EFFECT_BREAKS, CAUSE_DEVICE_BYTES_LOST, 0)
            if cpu_bytes != 0:
                set_effect(&v, i, EFFECT_BREAKS, CAUSE_CPU_BYTES_LOST, 0)
        elif index != 0 and cached_apart(p, m) and \
                cpu_bytes + (beside_on(f, c, p, neighbours) if throws else neighbours) != 0:
            set_effect(&v, i, EFFECT_BREAKS,
                       CAUSE_CPU_BYTES_LOST if cpu_bytes != 0 else CAUSE_NEIGHBOURS_LOST, 0)
        if v.mistake != MISTAKE_SHARED_LINE:  # elsewhere sharing a line is nothing
            set_effect(&v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    if index == 0:
        index = c.meant[OBJ_FOREIGN] if c.meant[OBJ_FOREIGN] != 0 else \
            c.meant[OBJ_ENCLOSING] if c.meant[OBJ_ENCLOSING] != 0 else c.meant[OBJ_GHOST]
    return incident_add(&f.incidents, c, f.count, &v, index, 0,
                        0 if e.flags & F_LENGTH_UNKNOWN else e.length)


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
    """Remember the device's bytes, from a bus address on, that an unmap does not bring over."""
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


cdef void clean_mapping(dv_effects* f, const dv_context* c, const dv_mapping* m) noexcept nogil:
    """Remember that caches and memory agree where a mapping lies."""
    cdef uint32_t s = m.first, steps = 0
    cdef const dv_segment* seg
    while s != 0 and touches_matter(f) and steps < SCAN_MAX:
        seg = &c.world.shadow.segments[s]
        touched(&f.touches, seg.phys, seg.phys_length, c.number.record, CLEANED, 0)
        s = seg.sibling
        steps += 1


cdef int judge_end(dv_effects* f, dv_context* c, int mistake) noexcept nogil:
    """Bytes that an unmap does not move, or moves over others."""
    cdef const dv_event* e = c.event
    cdef dv_world* w = c.world
    cdef uint32_t index = c.meant[OBJ_MAPPING]
    cdef const dv_mapping* m = &w.mappings[index]
    cdef uint64_t lost = 0, overwritten = 0
    cdef bint to_cpu = False, whole, skips = (e.flags | m.flags) & F_SKIP_SYNC != 0
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
    return add_call(f, c, mistake, overwritten, lost, beside(c), e.kind == KIND_DMA_UNMAP and
                    not skips and to_cpu)


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
    return add_call(f, c, mistake, newer if to_cpu else 0, 0 if to_cpu else newer, near,
                    to_cpu and c.meant[OBJ_MAPPING] != 0 and bus == NULL)


cdef inline void cleaned(dv_effects* f, const dv_context* c, uint64_t phys,
                         uint64_t length) noexcept nogil:
    if touches_matter(f) and not c.event.flags & F_SKIP_SYNC:
        touched(&f.touches, phys, length, c.number.record, CLEANED, 0)


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


cdef int judge_left(dv_effects* f, dv_context* c) noexcept nogil:
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
