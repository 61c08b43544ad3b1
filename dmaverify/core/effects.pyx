# cython: language_level=3
"""What every platform makes of an event (see effects.pxd)."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from dmaverify.core.access cimport fault_seen, judge_access
from dmaverify.core.between cimport (
    bounced, cached_apart, dv_effects, dv_used, owes_syncs, registered, set_effect, streams,
    used_by,
)
from dmaverify.core.calls cimport (
    add_call, judge_end, judge_persistent, judge_sync, note_map, note_registered,
)
from dmaverify.core.context cimport OBJ_MAPPING, context_init, dv_context
from dmaverify.core.contract cimport call_mistake
from dmaverify.core.facts cimport event_fact
from dmaverify.core.incidents cimport (
    CAUSE_CONTRACT, CAUSE_FAULT_SEEN, CAUSE_MAY_BE_SHARED, CAUSE_NEEDS_ORDER,
    CAUSE_SHARED_AT_ONCE, CAUSE_STALE_FOR_CPU, EFFECT_BREAKS, EFFECT_CANNOT_TELL, EFFECT_LUCK,
    MISTAKE_NONE, MISTAKE_NO_SYNC_FOR_CPU, MISTAKE_WHILE_DEVICE_OWNS, dv_incident, dv_verdict,
    incident_add, incident_at,
)
from dmaverify.core.touches cimport CPU_WRITES, LEFT_BEHIND, dv_touch, newest_by_device, touched
from dmaverify.core.world cimport MARK_DIRECTION, STATE_LIVE, dv_mapping, dv_world
from dmaverify.model.events cimport (
    DIR_BIDIRECTIONAL, DIR_TO_DEVICE, F_BUS_UNKNOWN, F_FROM_MARK, F_LENGTH_UNKNOWN,
    F_PHYS_UNKNOWN, KIND_CPU_READ, KIND_CPU_WRITE, KIND_DEREG_MR, KIND_DEV_FAULT,
    KIND_DEV_START, KIND_DMA_ALLOC, KIND_DMA_FREE, KIND_DMA_MAP, KIND_DMA_SYNC_FOR_CPU,
    KIND_DMA_SYNC_FOR_DEVICE, KIND_DMA_UNMAP, device_reaches, dv_batch, dv_event, dv_number,
)
from dmaverify.model.platform cimport (
    BOUNCE_ABOVE_WIDTH, BOUNCE_ALWAYS, TRANSLATION_NONE, dv_platform,
)

cdef enum:                   # model/fields.py: facts of an event
    OWNED_BYTES = 39
    WRITE_OPEN = 40
    READ_OPEN = 41

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

cdef enum:
    OTHER_SOURCE_BIT = 62    # trace/base.py: of offsets of rows from another log


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
        return add_call(f, c, mistake, 0, 0, 0, False)
    if kind == KIND_DMA_UNMAP or kind == KIND_DMA_FREE:
        return judge_end(f, c, mistake)
    if kind == KIND_DMA_SYNC_FOR_CPU or kind == KIND_DMA_SYNC_FOR_DEVICE:
        return judge_sync(f, c, mistake)
    # Another log's word of it names no task.
    if kind == KIND_DEREG_MR and c.event.offset >> OTHER_SOURCE_BIT == 0:
        f.dereg_site = <uint64_t>c.event.site + 1
    return 0


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
