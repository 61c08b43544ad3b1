# cython: language_level=3
"""The engine: batches of events in, groups of hits out."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from dmaverify.core.adapters cimport (
    CHILDREN_MAX, OBJECT_FILE, dv_named, named_read, objects_bind, objects_freed,
)
from dmaverify.core.between cimport between_deinit, between_init, dv_effects, dv_used
from dmaverify.core.calls cimport judge_left
from dmaverify.core.effects cimport (
    effects_cpu, effects_cpu_mapping, effects_finish, effects_judge, effects_seen,
)
from dmaverify.core.groups cimport (
    GROUP_FIELDS, RULE_FOLDS, RULE_TELLS, dv_group, dv_groups, dv_rule, dv_view, dv_word,
    groups_deinit, groups_forget, groups_hit, groups_init, groups_told, groups_word,
)
from dmaverify.core.incidents cimport PLATFORMS_MAX, dv_incident
from dmaverify.core.commands cimport (
    commands_arrived, commands_begin, commands_done, commands_lost, commands_mapped,
    commands_unmapped,
)
from dmaverify.core.link cimport guard_of, objects_used, program_link, traits_of
from dmaverify.core.lives cimport objects_apply, objects_left
from dmaverify.core.objects cimport (
    dv_task, dv_verb_objects, verb_objects_deinit, verb_objects_init,
)
from dmaverify.core.posts cimport (
    posts_apply, posts_buffer, posts_buffers, posts_own, posts_resolve, posts_touched,
)
from dmaverify.core.resolve cimport (
    OBJ_ENCLOSING, OBJ_FOREIGN, OBJ_GHOST, OBJ_MAPPING, OBJ_REGION, context_accessed,
    context_accesses, context_buffer, context_init, context_resolve, context_spanned, dv_context,
    dv_meaning, fault_allowed,
)
from dmaverify.core.transfers cimport (
    dv_transfer, transfers_begin, transfers_end, transfers_forget,
)
from dmaverify.core.verbs cimport verbs_apply, verbs_resolve
from dmaverify.core.vm cimport (
    OP_HOLDS, OP_NOT_APPLICABLE, OUT_FAULT, dv_frame, dv_instruction, dv_shown, dv_step, frame_init,
    program_check, rule_run,
)
from dmaverify.core.work cimport dv_works, works_deinit, works_init
from dmaverify.core.world cimport (
    CPUS, CPU_WROTE, DEVICE_WROTE, HANDED_TO_CPU, HANDED_TO_DEVICE, MARK_DIRECTION, MARK_FREED,
    MARK_LENGTH, MARK_PHYS, MARK_VIRT, OWNED_BY_CPU, OWNED_BY_DEVICE, SCAN_MAX, STATE_FREE,
    STATE_GHOST,
    STATE_LIVE,
    dv_device, dv_mapping, dv_place, dv_world, iommu_ended, iommu_map, iommu_unmap, mapping_add,
    mapping_end, mapping_owned, mapping_touch, memory_add, memory_freed, neighbours_touch,
    retire_stale,
    world_deinit, world_device, world_init,
)
from dmaverify.model.events cimport (
    DIR_FROM_DEVICE, DIR_NONE, DIR_TO_DEVICE, F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_FROM_MARK,
    F_LENGTH_UNKNOWN, F_NULL_CPU, F_PHYS_UNKNOWN, F_TIME_UNKNOWN, KIND_BOUNCE,
    KIND_COMMAND_ARRIVED, KIND_COMMAND_BEGIN, KIND_COMMAND_DONE, KIND_COUNT, KIND_CPU_READ,
    KIND_CPU_WRITE, KIND_CQE, KIND_DEREG_MR, KIND_DEVICE_LIMITS, KIND_DEV_ACCESS, KIND_DEV_FAULT,
    KIND_DEV_READ, KIND_DEV_START, KIND_DEV_WRITE, KIND_DMA_ALLOC, KIND_DMA_CANCEL, KIND_DMA_FREE,
    KIND_DMA_MAP, KIND_DMA_SYNC_FOR_CPU, KIND_DMA_SYNC_FOR_DEVICE, KIND_DMA_UNMAP,
    KIND_DRIVER_BOUND, KIND_DRIVER_PROBE, KIND_DRIVER_UNBOUND, KIND_IOMMU_MAP, KIND_IOMMU_UNMAP,
    KIND_IRQL, KIND_LEFT_MAPPED, KIND_LEFT_REGISTERED, KIND_LOST, KIND_MEMORY, KIND_MEMORY_FREE,
    KIND_POSTED_SGE, KIND_POST_SEND, KIND_ROOM, KIND_WORK_TOUCHED, SIDE_ARGS, SIDE_SG_BUS,
    TYPE_SHIFT, EventBatch, device_reaches, dv_batch, dv_entry, dv_event, dv_number, dv_side,
    event_failed, event_side, event_type, event_type_of, kind_of_hca, side_entries,
)
from dmaverify.model.platform cimport dv_platform

import os

from dmaverify.errors import InternalError
from dmaverify.model.effect import Cause, DeviceFacts, Incident, Mistake, Outcome
from dmaverify.model.events import Event
from dmaverify.model.fields import Obj
from dmaverify.model.hit import Hit, MappingView, Witness
from dmaverify.model.kinds import Arg, EventKind, Flag, MapType, Severity
from dmaverify.model.platform import Effect

cdef enum:
    TYPES = 16               # map types that a row's flags have room for

cdef struct dv_engine:
    dv_world world
    dv_groups groups
    dv_step* code
    dv_rule* rules
    uint32_t rule_count
    uint32_t* index          # rules of cell i: index_rules[index[i]:index[i + 1]]
    uint32_t* index_rules    # a cell is a kind and a map type: kind * TYPES + type
    uint8_t has_rules[KIND_ROOM]    # kinds that any rule is about
    uint64_t checked
    uint64_t events
    uint32_t pending         # group to tell about the mapping that this event makes, plus 1
    dv_effects effects
    dv_named named           # of the event at hand
    dv_verb_objects hca
    dv_works works
    dv_meaning means


cdef int run_rules(dv_engine* g, dv_context* c) noexcept nogil:
    cdef uint32_t at = <uint32_t>c.event.kind * TYPES + event_type(c.event)
    cdef uint32_t i, number
    cdef uint32_t told = groups_told(&g.groups, c)
    cdef int32_t now
    cdef int outcome
    cdef dv_rule* rule
    cdef dv_shown shown
    cdef dv_frame frame
    cdef uint64_t traits
    frame_init(&frame, c)
    traits = traits_of(&frame)
    for i in range(g.index[at], g.index[at + 1]):
        number = g.index_rules[i]
        rule = &g.rules[number]
        if (traits ^ rule.guard.want) & rule.guard.care:
            continue
        rule.runs += 1
        shown.known = 0
        shown.count = 0
        outcome = rule_run(g.code, rule.guard.start, &frame, &shown)
        if outcome == OP_NOT_APPLICABLE:
            continue
        if outcome == OP_HOLDS:
            rule.holds += 1
        elif outcome == OUT_FAULT:
            rule.faults += 1
        else:
            rule.violations += 1
            now = groups_hit(&g.groups, g.rules, number, c, &shown, told)
            if now < 0:
                return -1
            told = <uint32_t>now
    g.pending = told
    return 0


cdef int left_mapped(dv_engine* g, dv_batch* b, const dv_event* e,
                     const dv_number* n) noexcept nogil:
    """Run the rules on each mapping that its driver left behind, oldest first, and end it."""
    cdef dv_world* w = &g.world
    cdef dv_device* d = &w.devices[e.device]
    cdef uint32_t index = d.first
    cdef uint32_t before
    cdef dv_mapping* m
    cdef dv_event left
    cdef dv_context c
    while index != 0 and w.mappings[index].next != 0:
        index = w.mappings[index].next
    while index != 0:
        m = &w.mappings[index]
        before = m.prev
        left = e[0]
        left.kind = KIND_LEFT_MAPPED
        left.side = 0
        left.bus_addr = m.bus_addr
        left.phys_addr = m.phys_addr
        left.length = m.length
        left.direction = m.direction
        left.flags = <unsigned short>(m.type << TYPE_SHIFT | (e.flags & F_TIME_UNKNOWN) |
                                      (m.flags & F_BUS_UNKNOWN))
        if not m.marks & MARK_PHYS:
            left.flags |= F_PHYS_UNKNOWN
        if not m.marks & MARK_LENGTH:
            left.flags |= F_LENGTH_UNKNOWN
        if not m.marks & MARK_DIRECTION:
            left.flags |= F_DIRECTION_UNKNOWN
        context_init(&c, w, b, &left, n)
        c.hca = &g.hca
        c.meant[OBJ_MAPPING] = index
        c.count = m.count
        if g.effects.count != 0 and judge_left(&g.effects, &c) < 0:
            return -1
        if run_rules(g, &c) < 0 or mapping_end(w, index, e, n, w.gaps) < 0:
            return -1
        index = before
    d = &w.devices[e.device]
    d.unbinds += 1
    d.probe_seen = 1
    d.probe_epoch = w.gaps
    return 0


cdef int failed_map(dv_world* w, const dv_batch* b, const dv_event* e,
                    const dv_number* n) noexcept nogil:
    """Remember a mapping that failed as a ghost at the address it returned."""
    cdef int32_t index
    w.devices[e.device].failures += 1
    w.devices[e.device].bounced_next = 0
    if e.flags & F_BUS_UNKNOWN or e.bus_addr != <uint64_t>-1:
        return 0
    index = mapping_add(w, b, e, n)
    return mapping_end(w, <uint32_t>index, e, n, w.gaps) if index > 0 else index


cdef int apply_map(dv_engine* g, const dv_batch* b, const dv_event* e, const dv_number* n,
                   dv_named* named) noexcept nogil:
    cdef dv_world* w = &g.world
    cdef dv_device* d = &w.devices[e.device]
    cdef int32_t index
    if event_failed(e):
        return failed_map(w, b, e, n)
    if e.kind == KIND_DMA_ALLOC:
        d.allocs += 1
    else:
        d.maps += 1
    # Nothing was mapped, at no address: a refused call that leaves nothing behind.
    if named != NULL and e.length == 0 and \
            e.flags & (F_BUS_UNKNOWN | F_LENGTH_UNKNOWN) == F_BUS_UNKNOWN:
        return 0
    groups_forget(&g.groups, e.device, e.bus_addr)
    index = mapping_add(w, b, e, n)
    if index < 0:
        return -1
    if index > 0:
        w.mappings[index].told = g.pending
        if w.commands.items != NULL:
            w.mappings[index].command = commands_mapped(
                &w.commands, e, &w.mappings[index].command_serial)
    if named != NULL:
        return objects_bind(&w.objects, named, e, n, w.gaps, <uint32_t>index)
    return 0


cdef int apply_end(dv_engine* g, dv_context* c, const dv_event* e,
                   const dv_number* n) noexcept nogil:
    cdef dv_world* w = &g.world
    cdef dv_device* d = &w.devices[e.device]
    cdef uint32_t index = c.meant[OBJ_MAPPING]
    if e.flags & F_NULL_CPU or event_failed(e):
        return 0
    if e.kind == KIND_DMA_FREE:
        d.frees += 1
    else:
        d.unmaps += 1
    if c.named != NULL:
        objects_freed(&w.objects, c.named, e, n, index)
    if not e.flags & F_BUS_UNKNOWN:
        if iommu_ended(w, e.bus_addr) < 0:
            return -1
    elif index != 0 and not w.mappings[index].flags & F_BUS_UNKNOWN and \
            iommu_ended(w, w.mappings[index].bus_addr) < 0:
        return -1
    if index != 0:
        if w.mappings[index].command != 0:
            commands_unmapped(&w.commands, w.mappings[index].command,
                              w.mappings[index].command_serial, e)
        return mapping_end(w, index, e, n, w.gaps)
    if c.across_gap:
        w.across_gap += 1
    elif c.may_predate:
        w.in_flight += 1
    return 0


cdef int apply_sync(dv_world* w, const dv_batch* b, const dv_event* e,
                    uint32_t index) noexcept nogil:
    """Hand the synced bytes over. The sync's own direction decides what moves.

    Source: Linux kernel/dma/swiotlb.c, swiotlb_sync_single_for_cpu() and _for_device().
    """
    cdef const dv_side* bus = event_side(b, e, SIDE_SG_BUS) if e.side != 0 else NULL
    cdef const dv_entry* entries
    cdef uint32_t i
    cdef bint to_cpu = e.kind == KIND_DMA_SYNC_FOR_CPU
    cdef int how = HANDED_TO_CPU if to_cpu else HANDED_TO_DEVICE
    if not e.flags & F_DIRECTION_UNKNOWN and \
            e.direction == (DIR_TO_DEVICE if to_cpu else DIR_FROM_DEVICE):
        how = OWNED_BY_CPU if to_cpu else OWNED_BY_DEVICE
    if bus == NULL:
        return mapping_touch(w, index, False, e.bus_addr, e.length, how)
    entries = side_entries(bus)
    for i in range(bus.stored):
        if mapping_touch(w, index, False, entries[i].address, entries[i].length, how) < 0:
            return -1
    return 0


cdef int begin_transfer(dv_world* w, const dv_event* e, uint32_t index) noexcept nogil:
    cdef dv_transfer one
    one.start = e.bus_addr
    one.length = 0 if e.flags & F_LENGTH_UNKNOWN else e.length
    one.mapping = index
    one.object = e.object
    one.direction = DIR_NONE if e.flags & F_DIRECTION_UNKNOWN else e.direction
    return transfers_begin(&w.open, &one)


cdef int apply_transfer(dv_world* w, dv_context* c) noexcept nogil:
    """Open or close a device's transfer in its mapping; what it wrote is news to the CPU."""
    cdef const dv_event* e = c.event
    cdef uint32_t index = c.meant[OBJ_MAPPING]
    if index != 0 and w.mappings[index].state != STATE_LIVE:
        return 0
    if index == 0:
        if c.meant[OBJ_FOREIGN] == 0 and c.may_predate and not event_failed(e) and \
                w.devices[e.device].truncated_live == 0:
            if c.across_gap:
                w.across_gap += 1
            else:
                w.in_flight += 1
        return 0
    if e.kind == KIND_DEV_START:
        w.mappings[index].transfers += 1
        return begin_transfer(w, e, index)
    if w.mappings[index].transfers != 0:
        w.mappings[index].transfers -= 1
        transfers_end(&w.open, index, e.object, e.bus_addr)
    if e.kind != KIND_DEV_WRITE or e.flags & F_LENGTH_UNKNOWN:
        return 0
    if mapping_touch(w, index, False, e.bus_addr, e.length, DEVICE_WROTE) < 0:
        return -1
    return spanned_written(w, c)


cdef int spanned_written(dv_world* w, dv_context* c) noexcept nogil:
    """Mark what a device wrote in the mappings that its write went on into."""
    cdef const dv_event* e = c.event
    cdef uint64_t at = c.held, room = 0, end = e.length - c.past_end
    cdef uint32_t other, steps = 0
    while at < end and steps < SCAN_MAX:
        steps += 1
        other = context_spanned(c, at, &room)
        if other == 0:
            return 0
        if mapping_touch(w, other, False, e.bus_addr + at, min(room, end - at), DEVICE_WROTE) < 0:
            return -1
        at += room
    return 0


cdef int cpu_access(dv_engine* g, dv_context* c) noexcept nogil:
    """Run the rules once for each mapping whose memory the CPU touches."""
    cdef uint32_t found[16]
    cdef int i, count = context_accesses(c, found, 16)
    for i in range(count):
        context_accessed(c, found[i])
        if g.effects.count != 0 and effects_cpu_mapping(&g.effects, c) < 0:
            return -1
        if g.has_rules[c.event.kind] and run_rules(g, c) < 0:
            return -1
        if c.event.kind == KIND_CPU_WRITE and mapping_touch(
                &g.world, found[i], True, c.event.phys_addr, c.event.length, CPU_WROTE) < 0:
            return -1
        if c.event.kind == KIND_CPU_READ and mapping_owned(
                &g.world, found[i], c.event.phys_addr, c.event.length) != 0:
            g.world.mappings[found[i]].unsynced_reads += 1
    if g.effects.count != 0 and effects_cpu(&g.effects, c) < 0:
        return -1
    if count == 0 and g.has_rules[c.event.kind]:
        c.meant[OBJ_ENCLOSING] = context_buffer(c)
        if run_rules(g, c) < 0:
            return -1
    if c.event.kind == KIND_CPU_WRITE:
        g.world.cpu_writes += 1
        if not c.event.flags & (F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN):
            return neighbours_touch(&g.world, c.event.phys_addr, c.event.length)
    return 0


cdef void cancel_transfers(dv_world* w, const dv_named* named) noexcept nogil:
    """A mapped transfer was cancelled: the device is done with what its file maps."""
    cdef uint32_t at = w.objects.items[named.index[OBJECT_FILE]].first
    cdef uint32_t mapping, steps = 0
    while at != 0 and steps < CHILDREN_MAX:
        mapping = w.objects.bindings[at].mapping
        if w.mappings[mapping].transfers != 0:
            transfers_forget(&w.open, mapping)
            w.mappings[mapping].transfers = 0
        at = w.objects.bindings[at].next[OBJECT_FILE]
        steps += 1


cdef inline bint kind_of_windows(int kind) noexcept nogil:
    return KIND_IRQL <= kind <= KIND_DMA_CANCEL


cdef int apply_event(dv_engine* g, dv_batch* b, dv_context* c) noexcept nogil:
    cdef dv_world* w = &g.world
    cdef const dv_event* e = c.event
    cdef const dv_number* n = c.number
    cdef int kind = e.kind
    cdef dv_device* d
    if kind == KIND_IOMMU_MAP:
        return iommu_map(w, e.bus_addr)
    if kind == KIND_IOMMU_UNMAP:
        return iommu_unmap(w, e.bus_addr, e.length)
    if kind == KIND_DMA_MAP or kind == KIND_DMA_ALLOC:
        return apply_map(g, b, e, n, &g.named if c.named != NULL else NULL)
    if kind == KIND_DMA_UNMAP or kind == KIND_DMA_FREE:
        return apply_end(g, c, e, n)
    d = &w.devices[e.device]
    if kind == KIND_DMA_SYNC_FOR_CPU or kind == KIND_DMA_SYNC_FOR_DEVICE:
        d.syncs += 1
        if c.meant[OBJ_MAPPING] != 0:
            w.mappings[c.meant[OBJ_MAPPING]].syncs += 1
            return apply_sync(w, b, e, c.meant[OBJ_MAPPING])
        if event_failed(e):
            return 0  # the address of a failed mapping is no mapping of before
        if c.across_gap:
            w.across_gap += 1
        elif c.may_predate:
            w.in_flight += 1
    elif KIND_DEV_READ <= kind <= KIND_DEV_START or kind == KIND_DEV_ACCESS:
        return apply_transfer(w, c)
    elif kind == KIND_MEMORY:
        if not e.flags & (F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN):
            return memory_add(w, e.phys_addr, e.length, e.object)
    elif kind == KIND_MEMORY_FREE:
        return memory_freed(w, e, n)
    elif kind == KIND_COMMAND_BEGIN:
        return commands_begin(&w.commands, e)
    elif kind == KIND_COMMAND_ARRIVED:
        return commands_arrived(&w.commands, e)
    elif kind == KIND_COMMAND_DONE:
        return commands_done(&w.commands, e)
    elif kind == KIND_BOUNCE:
        d.bounces += 1
        d.bounced_next = 1
        d.bounced_phys = e.phys_addr
        if not e.flags & F_BUS_UNKNOWN and (not d.limits & 4 or d.limits & 8):
            d.dma_mask = e.bus_addr  # the event's dma_mask
            d.limits |= 4 | 8
    elif kind == KIND_DRIVER_PROBE or kind == KIND_DRIVER_BOUND:
        d.probe_seen = 1
        d.probe_epoch = w.gaps
        if kind == KIND_DRIVER_PROBE and d.limits & 8:
            d.limits &= <uint8_t>~(4 | 8)  # the next driver states its own
    elif kind == KIND_DRIVER_UNBOUND:
        if left_mapped(g, b, e, n) < 0:
            return -1
        objects_left(&w.objects, e.device, e, n)
    elif kind == KIND_DEVICE_LIMITS:
        if not e.flags & F_LENGTH_UNKNOWN:
            d.max_segment = e.length
            d.limits |= 1
        if not e.flags & F_BUS_UNKNOWN:
            d.boundary = e.bus_addr
            d.limits |= 2
        if not e.flags & F_PHYS_UNKNOWN:
            d.dma_mask = e.phys_addr
            d.limits = <uint8_t>((d.limits | 4) & ~8)
    elif kind_of_windows(kind):
        if kind == KIND_DMA_CANCEL:
            cancel_transfers(w, &g.named)
        return objects_apply(&w.objects, &g.named, e, n, w.gaps)
    elif kind == KIND_LOST:
        if not e.flags & F_LENGTH_UNKNOWN:
            w.lost += e.length
        if e.status != 1:  # what was lost before the first event leaves no gap between two
            w.gaps += 1
            commands_lost(&w.commands)
    return 0


cdef int other_source(dv_engine* g, dv_context* c) noexcept nogil:
    """Take what a source other than the trace tells. Return 1 where there is nothing to judge."""
    cdef const dv_event* e = c.event
    cdef bint fault = e.kind == KIND_DEV_FAULT
    cdef int told
    if e.flags & F_BUS_UNKNOWN or not (fault or e.status != 0 or e.flags & F_FROM_MARK):
        return 0
    if fault or e.flags & F_FROM_MARK:
        told = groups_word(&g.groups, c)
        if told != 0:
            return told
        if e.flags & F_FROM_MARK:
            g.world.undecided += e.status < 0
            return 1
    if c.in_time:
        g.checked += 1
        return 1
    if c.undecided:
        g.world.undecided += 1
        return 1
    if fault and c.meant[OBJ_MAPPING] != 0 and fault_allowed(c):
        g.world.unexplained += 1
    return 0


cdef inline bint names_objects(const dv_world* w, const dv_batch* b,
                               const dv_event* e) noexcept nogil:
    """Tell whether an event may have to do with adapters, map register files and MDLs."""
    if kind_of_windows(e.kind):
        return True
    if b.named != 0 and e.side != 0 and event_side(b, e, SIDE_ARGS) != NULL:
        return True
    if e.kind == KIND_DRIVER_UNBOUND:
        return w.objects.adapters != 0
    return w.objects.bound != 0 and (e.kind == KIND_DMA_UNMAP or e.kind == KIND_DMA_FREE)


cdef int left_registered(dv_engine* g, dv_context* c) noexcept nogil:
    """Run the rules on regions that a task has left to its kernel."""
    cdef dv_event left = c.event[0]
    cdef const dv_event* told = c.event
    cdef int failed
    left.kind = KIND_LEFT_REGISTERED
    c.event = &left
    failed = run_rules(g, c)
    c.event = told
    return failed


cdef int tasks_left(dv_engine* g) noexcept nogil:
    """Where no end of a task is recorded, only the order in which its objects went tells."""
    cdef dv_context c
    cdef dv_task* t
    cdef dv_batch none
    cdef uint32_t i
    cdef int kind = KIND_LEFT_REGISTERED
    if g.hca.exits != 0 or not g.has_rules[kind]:
        return 0
    memset(&none, 0, sizeof(dv_batch))
    for i in range(1, g.hca.task_count):
        t = &g.hca.task_items[i]
        if t.left == 0:
            continue
        context_init(&c, &g.world, &none, &t.left_at, &t.left_number)
        c.hca = &g.hca
        c.works = &g.works
        c.means = &g.means
        memset(c.means, 0, sizeof(dv_meaning))
        c.means.left = t.left
        if left_registered(g, &c) < 0:
            return -1
    return 0


cdef int post_buffers(dv_engine* g, dv_context* c) noexcept nogil:
    """Run the rules once for each buffer of a post, which then belongs to the HCA."""
    cdef dv_event buffer
    cdef const dv_event* post = c.event
    cdef int kind = KIND_POSTED_SGE
    cdef uint32_t i, count = 0
    cdef const dv_entry* entries = posts_buffers(c, &count)
    cdef dv_meaning whole = c.means[0]
    if whole.qp == 0:
        return 0
    for i in range(count):
        if <uint32_t>entries[i].length == 0:
            continue
        c.event = post
        c.means[0] = whole
        posts_buffer(c, &entries[i], &buffer)
        if g.has_rules[kind] and run_rules(g, c) < 0:
            return -1
        if posts_own(c) < 0:
            return -1
    c.event = post
    c.means[0] = whole
    return 0


cdef int work_touched(dv_engine* g, dv_context* c) noexcept nogil:
    """Run the rules where the CPU touches a buffer that belongs to an HCA."""
    cdef dv_event touch
    cdef const dv_event* told = c.event
    cdef int kind = KIND_WORK_TOUCHED
    cdef int failed
    cdef bint writes = c.event.kind == KIND_CPU_WRITE
    if not c.virt_known or c.event.flags & F_LENGTH_UNKNOWN or not g.has_rules[kind]:
        return 0
    memset(&g.means, 0, sizeof(dv_meaning))
    g.means.work = posts_touched(c, c.virt, c.event.length, writes)
    if g.means.work == 0:
        return 0
    g.means.qp = g.works.items[g.means.work].qp
    touch = c.event[0]
    touch.kind = KIND_WORK_TOUCHED
    touch.bus_addr = c.virt
    touch.direction = writes
    touch.flags &= ~(F_BUS_UNKNOWN | F_DIRECTION_UNKNOWN)
    c.event = &touch
    c.means = &g.means
    failed = run_rules(g, c)
    c.event = told
    c.means = NULL
    return failed


cdef bint is_post(int kind) noexcept nogil:
    return KIND_POST_SEND <= kind <= KIND_CQE


cdef int hca_event(dv_engine* g, dv_context* c) noexcept nogil:
    """Judge and apply an event of an HCA: it is about keys and queue pairs, not mappings."""
    c.means = &g.means
    if verbs_resolve(c) < 0:
        return -1
    if is_post(c.event.kind):
        posts_resolve(c)
    g.pending = 0
    if g.effects.count != 0 and c.event.kind == KIND_DEREG_MR and \
            effects_judge(&g.effects, c) < 0:
        return -1
    if g.has_rules[c.event.kind]:
        g.checked += 1
        if run_rules(g, c) < 0:
            return -1
    if c.means.left != 0 and left_registered(g, c) < 0:
        return -1
    if verbs_apply(c) < 0:
        return -1
    if not is_post(c.event.kind):
        return 0
    return -1 if posts_apply(c) < 0 else post_buffers(g, c)


cdef int engine_feed(dv_engine* g, dv_batch* b) noexcept nogil:
    cdef size_t i
    cdef int settled
    cdef dv_event* e
    cdef dv_context c
    cdef dv_world* w = &g.world
    for i in range(b.count):
        e = &b.rows[i]
        if e.kind == 0 or e.kind >= KIND_COUNT:
            continue
        g.events += 1
        if w.cpu_rows[e.cpu % CPUS] < 255:
            w.cpu_rows[e.cpu % CPUS] += 1
        if e.kind == KIND_IOMMU_MAP and not g.has_rules[e.kind]:
            if iommu_map(w, e.bus_addr) < 0:
                return -1
            continue
        w.now = e.time
        if world_device(w, e.device) == NULL:
            return -1
        if w.gaps != 0 and (e.kind == KIND_DMA_MAP or e.kind == KIND_DMA_ALLOC) and \
                not event_failed(e) and retire_stale(w, b, e, &b.numbers[i]) < 0:
            return -1
        context_init(&c, w, b, e, &b.numbers[i])
        c.hca = &g.hca
        c.works = &g.works
        if kind_of_hca(e.kind):
            if hca_event(g, &c) < 0:
                return -1
            continue
        if names_objects(w, b, e):
            named_read(&g.named, &w.objects, b, e)
            c.named = &g.named
        context_resolve(&c)
        g.pending = 0
        if device_reaches(e):
            settled = other_source(g, &c)
            if settled < 0:
                return -1
            if g.effects.count != 0 and effects_seen(&g.effects, &c, settled) < 0:
                return -1
            if settled:
                continue
        if e.kind == KIND_CPU_READ or e.kind == KIND_CPU_WRITE:
            g.checked += g.has_rules[e.kind]
            if g.works.live != 0 and work_touched(g, &c) < 0:
                return -1
            if cpu_access(g, &c) < 0:
                return -1
            continue
        if g.effects.count != 0 and effects_judge(&g.effects, &c) < 0:
            return -1
        if g.has_rules[e.kind]:
            g.checked += 1
            if run_rules(g, &c) < 0:
                return -1
        if apply_event(g, b, &c) < 0:
            return -1
    return 0


cdef object place_event(const dv_place* p, values):
    return Witness(p.record, p.line, p.offset, p.time, Event(
        time=p.time, offset=p.offset, record=p.record, line=p.line, site=p.site, cpu=p.cpu,
        kind=EventKind(p.kind), status=0, object=0, text=None, **values))


cdef object view_to_python(const dv_view* v):
    cdef const dv_mapping* m = &v.mapping
    cdef uint32_t i
    segments = tuple([(v.entries[i].address, v.entries[i].length) for i in range(v.listed)])
    flags = Flag(m.flags & ((1 << TYPE_SHIFT) - 1))
    phys = tuple([v.phys[i] for i in range(v.phys_listed)])
    values = {
        "bus_addr": m.bus_addr, "phys_addr": m.phys_addr, "length": m.length, "device": m.device,
        "flags": flags, "direction": m.direction,
        "type": MapType(m.type) if v.obj < OBJ_REGION else m.type,
        "virt_addr": m.virt_addr if m.marks & MARK_VIRT else None,
        "sg_bus": segments if m.type == 3 else (), "bus_full": m.segments if m.type == 3 else 0,
        "sg_phys": phys, "phys_full": m.count if phys else 0,
    }
    made = place_event(&m.made, values)
    ended = None
    if m.state == STATE_GHOST or m.marks & MARK_FREED:
        ended = place_event(&m.ended, {**values, "flags": flags & ~Flag.FAILED})
    return MappingView(
        Obj(v.obj).name.lower(), m.serial, m.device, made, ended, m.bus_addr,
        m.length if m.marks & MARK_LENGTH else None,
        m.phys_addr if m.marks & MARK_PHYS else None, m.direction, m.type, segments,
        v.number)


cdef object word_to_python(const dv_word* word):
    return row_to_python(&word.event, &word.number, NO_LISTS)


cdef object row_to_python(const dv_event* e, const dv_number* n, values):
    return Witness(n.record, n.line, e.offset, e.time, Event(
        time=e.time, bus_addr=e.bus_addr, phys_addr=e.phys_addr, length=e.length, offset=e.offset,
        device=e.device, object=e.object, site=e.site, cpu=e.cpu, status=e.status,
        flags=Flag(e.flags & ((1 << TYPE_SHIFT) - 1)), kind=EventKind(e.kind),
        direction=e.direction, type=event_type_of(e), record=n.record, line=n.line,
        text=None, **values))


NO_LISTS = {"sg_bus": (), "sg_phys": (), "bus_full": 0, "phys_full": 0, "virt_addr": None}


cdef object group_to_python(const dv_group* g, unmet):
    cdef uint32_t i
    values = {
        "sg_bus": tuple([(g.bus[i].address, g.bus[i].length) for i in range(g.bus_stored)]),
        "sg_phys": tuple([g.phys[i].address for i in range(g.phys_stored)]),
        "bus_full": g.bus_full, "phys_full": g.phys_full,
        "virt_addr": g.virt if g.virt_known else None,
        "args": tuple([(Arg(g.args[i].address), g.args[i].length) for i in range(g.arg_count)]),
    }
    shown = tuple([g.shown.values[i] if g.shown.known >> i & 1 else None
                   for i in range(g.shown.count)])
    return Hit(
        g.rule, row_to_python(&g.event, &g.number, values),
        row_to_python(&g.last, &g.last_number, NO_LISTS),
        tuple([view_to_python(&g.views[i]) for i in range(g.view_count)]), shown, g.occurrences,
        tuple([(g.consequences[i].rule,
                row_to_python(&g.consequences[i].event, &g.consequences[i].number, NO_LISTS))
               for i in range(g.consequence_count)]),
        bool(g.low), unmet,
        tuple([word_to_python(&g.attached[i]) for i in range(g.attached_count)]))


cdef object incident_to_python(const dv_incident* n, uint32_t platforms):
    cdef dv_view view
    cdef uint32_t i
    mapping = None
    if n.has_mapping:
        memset(&view, 0, sizeof(dv_view))
        view.obj = OBJ_MAPPING if n.mapping.state == STATE_LIVE else OBJ_GHOST
        view.mapping = n.mapping
        mapping = view_to_python(&view)
    outcomes = tuple([
        Outcome(Effect(n.verdict.effect[i]), Cause(n.verdict.cause[i]), n.verdict.stage[i])
        for i in range(platforms)])
    return Incident(
        Mistake(n.verdict.mistake), row_to_python(&n.event, &n.number, NO_LISTS), n.event.device,
        n.ordinal, mapping, n.verdict.bytes, n.length, n.count, outcomes,
        bool(n.verdict.rests_on_syncs), bool(n.verdict.across_gap))


cdef class Engine:
    """Replays events through the shadow memory and runs a program's rules on each.

    Args:
        program: the compiled rules.
        time_known: False where the trace clock is not time; durations are then unknown.
        syncs_traced: True where the kernel log says that every sync leaves an event.
        ghost_limit: ended mappings that are remembered.
        live_limit: live mappings that are followed; more are counted only.
        group_limit: groups of hits that are kept apart; more are counted only.
        platforms: what to work out the effects on, at most 16; none costs nothing.

    Raises:
        InternalError: the program is not well formed.
    """

    cdef dv_engine g
    cdef uint32_t told_witnesses
    cdef uint32_t told_incidents
    cdef bint finished
    cdef readonly object program

    def __cinit__(self, program, *, bint time_known=True, bint syncs_traced=False,
                  uint32_t ghost_limit=65536, uint64_t live_limit=1 << 24,
                  uint32_t group_limit=16384, platforms=()):
        cdef uint64_t seed = int.from_bytes(os.urandom(8), "little")
        memset(&self.g, 0, sizeof(dv_engine))
        self.program = program
        if world_init(&self.g.world, seed, ghost_limit, live_limit) < 0 or \
                groups_init(&self.g.groups, seed, group_limit) < 0:
            raise MemoryError()
        if works_init(&self.g.works, seed) < 0:
            raise MemoryError()
        if verb_objects_init(&self.g.hca, seed, <uint32_t>min(live_limit, 1 << 30),
                             ghost_limit) < 0:
            raise MemoryError()
        self.set_platforms(platforms, seed)
        self.g.world.time_known = time_known
        self.g.world.syncs_traced = syncs_traced
        self.load(program)

    cdef set_platforms(self, platforms, uint64_t seed):
        cdef dv_platform* p
        if len(platforms) > PLATFORMS_MAX:
            raise InternalError(f"{len(platforms)} platforms in one run, {PLATFORMS_MAX} at most")
        if between_init(&self.g.effects, seed, <uint32_t>len(platforms)) < 0:
            raise MemoryError()
        for i, source in enumerate(platforms):
            p = &self.g.effects.platforms[i]
            p.bus_offset = source.bus_offset
            p.flush_after_ns = source.flush_after_ns
            p.flush_after_unmaps = source.flush_after_unmaps
            p.highest = source.highest
            p.page_bytes = source.page_bytes
            p.line_bytes = source.line_bytes
            p.guard_bytes = source.guard_bytes
            p.recorded = source.recorded
            p.translation = source.translation
            p.second_reaches_mmio = source.second_reaches_mmio
            p.coherent = source.coherent
            p.bounce = source.bounce
            p.copies_in_always = source.copies_in_always
            p.private_memory = source.private_memory
            p.common_buffers_at_end = source.common_buffers_at_end

    cdef load(self, program):
        cdef const unsigned char[::1] packed
        cdef const dv_instruction* code = NULL
        cdef int32_t count = len(program.code) // sizeof(dv_instruction)
        cdef dv_rule* rule
        cdef uint32_t i
        self.g.rule_count = len(program.rules)
        self.g.code = <dv_step*>malloc((count + 1) * sizeof(dv_step))
        self.g.rules = <dv_rule*>calloc(self.g.rule_count + 1, sizeof(dv_rule))
        if self.g.code == NULL or self.g.rules == NULL:
            raise MemoryError()
        if count:
            packed = program.code
            code = <const dv_instruction*>&packed[0]
        entries = [r.entry for r in program.rules]
        entries += [n.entry for r in program.rules for n in r.needs]
        if len(program.code) % sizeof(dv_instruction) or \
                not program_check(code, count) or not all(0 <= e < count for e in entries):
            raise InternalError("a compiled rule program is not well formed")
        needs = {}
        program_link(code, count, self.g.code)
        for i, source in enumerate(program.rules):
            rule = &self.g.rules[i]
            if source.needs:
                because = tuple([n.because for n in source.needs])
                rule.needs = needs.setdefault(because, len(needs) + 1)
            rule.uses = objects_used(code, source.entry)
            rule.guard = guard_of(code, source.entry)
            if source.builtin and source.severity == Severity.ERROR:
                rule.flags = RULE_FOLDS | RULE_TELLS
            rule.group_count = min(len(source.group), GROUP_FIELDS)
            for at, ref in enumerate(source.group[:GROUP_FIELDS]):
                rule.group_obj[at] = ref >> 8
                rule.group_number[at] = ref & 255
        self.index(program)

    cdef index(self, program):
        cdef uint32_t at = 0, kind, type_, cell, number
        cdef uint32_t cells = <uint32_t>KIND_COUNT * TYPES
        total = TYPES * sum(len(set(r.kinds)) for r in program.rules)
        self.g.index = <uint32_t*>calloc(cells + 1, sizeof(uint32_t))
        self.g.index_rules = <uint32_t*>calloc(total + 1, sizeof(uint32_t))
        if self.g.index == NULL or self.g.index_rules == NULL:
            raise MemoryError()
        for cell in range(cells):
            self.g.index[cell] = at
            kind, type_ = divmod(cell, TYPES)
            for number, source in enumerate(program.rules):
                if kind in source.kinds:
                    self.g.has_rules[kind] = 1
                    if self.g.rules[number].guard.types >> type_ & 1:
                        self.g.index_rules[at] = number
                        at += 1
        self.g.index[cells] = at

    def __dealloc__(self):
        world_deinit(&self.g.world)
        verb_objects_deinit(&self.g.hca)
        works_deinit(&self.g.works)
        groups_deinit(&self.g.groups)
        between_deinit(&self.g.effects)
        free(self.g.code)
        free(self.g.rules)
        free(self.g.index)
        free(self.g.index_rules)

    def feed(self, EventBatch batch not None):
        """Replay a batch. Releases the GIL.

        Args:
            batch: n rows in the order of the trace; n may be 0.

        Raises:
            MemoryError: the shadow can not grow.
        """
        cdef int failed
        with nogil:
            failed = engine_feed(&self.g, &batch.c)
        if failed < 0:
            raise MemoryError("no memory left for the shadow")

    def finish(self):
        """Judge what only the whole trace tells: call it after the last batch.

        Raises:
            MemoryError: the incidents can not grow.
        """
        if self.finished:
            return
        self.finished = True
        if tasks_left(&self.g) < 0:
            raise MemoryError("no memory left for the hits")
        if self.g.effects.count != 0 and effects_finish(&self.g.effects, &self.g.world) < 0:
            raise MemoryError("no memory left for the incidents")

    def incidents(self):
        """Return what the platforms of the run do not take as the driver wants, by event."""
        cdef uint32_t i
        return [incident_to_python(&self.g.effects.incidents.items[i], self.g.effects.count)
                for i in range(self.g.effects.incidents.count)]

    def device_facts(self):
        """Return what the recording tells about each device with mappings or accesses."""
        cdef uint32_t i
        cdef dv_device* d
        cdef dv_used* u
        cdef dv_used none
        memset(&none, 0, sizeof(dv_used))
        out = []
        for i in range(1, self.g.world.device_count):
            d = &self.g.world.devices[i]
            u = &self.g.effects.used[i] if i < self.g.effects.used_count else &none
            if d.maps + d.allocs + u.accesses:
                out.append(DeviceFacts(
                    i, d.maps + d.allocs, u.accesses, u.cpu_accesses,
                    bool(d.syncs or d.bounces or self.g.world.syncs_traced), u.registered,
                    u.registered_bytes, u.bypass_accesses, u.bypass_bytes, u.bypass_lines,
                    u.longest, u.highest_mapped, u.unplaced, u.unpaired))
        return out

    def hits(self):
        """Return all groups of hits so far, each with the first of its rule's needs that the
        recording, as known now, does not meet.
        """
        cdef uint32_t i
        out = []
        for i in range(self.g.groups.count):
            if self.g.groups.items[i].folded != 0:
                continue
            out.append(group_to_python(&self.g.groups.items[i], self.unmet(i)))
        return out

    cdef unmet(self, uint32_t group):
        cdef dv_context c
        cdef dv_frame frame
        cdef dv_shown shown
        cdef dv_group* item = &self.g.groups.items[group]
        cdef dv_batch none
        memset(&none, 0, sizeof(dv_batch))
        context_init(&c, &self.g.world, &none, &item.event, &item.number)
        c.hca = &self.g.hca
        c.works = &self.g.works
        frame_init(&frame, &c)
        for number, need in enumerate(self.program.rules[item.rule].needs):
            if rule_run(self.g.code, need.entry, &frame, &shown) != OP_HOLDS:
                return number
        return None

    def fresh_witnesses(self):
        """Return the offsets of the source lines that groups and incidents made since the last
        call name.
        """
        cdef uint32_t i, k
        cdef dv_group* item
        cdef dv_incident* found
        out = []
        for i in range(self.told_witnesses, self.g.groups.count):
            item = &self.g.groups.items[i]
            out.append(item.event.offset)
            for k in range(item.view_count):
                out.append(item.views[k].mapping.made.offset)
                if item.views[k].mapping.state == STATE_GHOST:
                    out.append(item.views[k].mapping.ended.offset)
        self.told_witnesses = self.g.groups.count
        # An incident that is told anew names another line: all that are kept are few.
        for i in range(self.g.effects.incidents.count):
            found = &self.g.effects.incidents.items[i]
            if i >= self.told_incidents or found.retold:
                out.append(found.event.offset)
                found.retold = 0
                if found.has_mapping:
                    out.append(found.mapping.made.offset)
                    out.append(found.mapping.ended.offset)
        self.told_incidents = self.g.effects.incidents.count
        return out

    def witnesses_between(self, uint64_t start, uint64_t end):
        """Return the offsets in [start, end) of lines that a later hit may name: where live
        and remembered mappings were made and ended.
        """
        cdef uint32_t i
        cdef dv_mapping* m
        out = []
        for i in range(1, self.g.world.mapping_count):
            m = &self.g.world.mappings[i]
            if m.state == STATE_FREE:
                continue
            if start <= m.made.offset < end:
                out.append(m.made.offset)
            if m.state == STATE_GHOST and start <= m.ended.offset < end:
                out.append(m.ended.offset)
        for i in range(self.g.world.ring.count):
            m = &self.g.world.ring.mappings[i]
            if self.g.world.ring.keys[i].device != 0:
                if start <= m.made.offset < end:
                    out.append(m.made.offset)
                if start <= m.ended.offset < end:
                    out.append(m.ended.offset)
        return out

    def left_open(self):
        """Return (device, live mappings) of each device that has any and whose driver's end is
        not in the recording.
        """
        cdef uint32_t i
        return [(i, self.g.world.devices[i].live) for i in range(1, self.g.world.device_count)
                if self.g.world.devices[i].live and not self.g.world.devices[i].unbinds]

    @property
    def counters(self):
        """Counts about the run as a whole, by name."""
        cdef dv_world* w = &self.g.world
        cdef uint32_t i
        return {
            "events": self.g.events, "checked": self.g.checked, "in_flight": w.in_flight,
            "across_gap": w.across_gap, "lost": w.lost, "gaps": w.gaps, "refused": w.refused,
            "forgotten": w.forgotten, "asked_late": w.asked_late,
            "crowded": w.shadow.crowded, "live": w.live,
            "works": self.g.works.live, "objects": self.g.hca.live,
            "overflow": self.g.groups.overflow, "incidents": self.g.effects.incidents.overflow,
            "iommu_events": w.iommu_events,
            "objects_forgotten": w.objects.forgotten + self.g.hca.forgotten,
            "objects_refused": w.objects.refused + self.g.hca.refused,
            "undecided": w.undecided, "unexplained": w.unexplained,
            "bounces": sum([w.devices[i].bounces for i in range(w.device_count)]),
        }

    @property
    def rule_counts(self):
        """(runs, holds, violations, faults) of each rule, in the program's order."""
        cdef uint32_t i
        return [(self.g.rules[i].runs, self.g.rules[i].holds, self.g.rules[i].violations,
                 self.g.rules[i].faults) for i in range(self.g.rule_count)]

    def live_mappings(self):
        """Return (device, bus address, length) of each live mapping, sorted."""
        cdef uint32_t i
        cdef dv_mapping* m
        out = []
        for i in range(1, self.g.world.mapping_count):
            m = &self.g.world.mappings[i]
            if m.state == STATE_LIVE:
                out.append((m.device, m.bus_addr, m.length))
        return sorted(out)
