# cython: language_level=3
"""What an event changes."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t

from dmaverify.core.adapters cimport dv_named, objects_bind, objects_freed
from dmaverify.core.calls cimport judge_left
from dmaverify.core.commands cimport (
    commands_arrived, commands_begin, commands_done, commands_lost, commands_mapped,
    commands_unmapped,
)
from dmaverify.core.context cimport OBJ_ENCLOSING, OBJ_MAPPING, context_init, dv_context
from dmaverify.core.effects cimport effects_cpu, effects_cpu_mapping
from dmaverify.core.groups cimport groups_forget
from dmaverify.core.hca_held cimport ring_written
from dmaverify.core.judge cimport dv_engine, run_rules
from dmaverify.core.lives cimport objects_apply, objects_left
from dmaverify.core.mappings cimport mapping_add, mapping_end
from dmaverify.core.memory cimport memory_add, memory_freed
from dmaverify.core.moves cimport apply_sync, apply_transfer, cancel_transfers
from dmaverify.core.resolve cimport context_accessed, context_accesses, context_buffer
from dmaverify.core.translations cimport iommu_ended, iommu_map, iommu_unmap
from dmaverify.core.versions cimport mapping_owned, mapping_touch, neighbours_touch
from dmaverify.core.world cimport (
    CPU_WROTE, MARK_DIRECTION, MARK_LENGTH, MARK_PHYS, dv_device, dv_mapping, dv_world,
)
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_FROM_MARK, F_LENGTH_UNKNOWN, F_NULL_CPU,
    F_PHYS_UNKNOWN, F_TIME_UNKNOWN, KIND_BOUNCE, KIND_COMMAND_ARRIVED, KIND_COMMAND_BEGIN,
    KIND_COMMAND_DONE, KIND_CPU_READ, KIND_CPU_WRITE, KIND_DEVICE_LIMITS, KIND_DEV_ACCESS,
    KIND_DEV_READ, KIND_DEV_START, KIND_DMA_ALLOC, KIND_DMA_CANCEL, KIND_DMA_FREE, KIND_DMA_MAP,
    KIND_DMA_SYNC_FOR_CPU, KIND_DMA_SYNC_FOR_DEVICE, KIND_DMA_UNMAP, KIND_DRIVER_BOUND,
    KIND_DRIVER_PROBE, KIND_DRIVER_UNBOUND, KIND_IOMMU_MAP, KIND_IOMMU_UNMAP, KIND_LEFT_MAPPED,
    KIND_LOST, KIND_MEMORY, KIND_MEMORY_FREE, TYPE_SHIFT, dv_batch, dv_event, dv_number,
    event_failed,
)


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


cdef int cpu_access(dv_engine* g, dv_context* c) noexcept nogil:
    """Run the rules once for each mapping whose memory the CPU touches."""
    cdef uint32_t found[16]
    cdef int i, count = context_accesses(c, found, 16)
    for i in range(count):
        if ring_written(g, c, found[i]) < 0:
            return -1
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


cdef inline bint begins(const dv_device* d, const dv_event* e) noexcept nogil:
    """Tell whether all that a driver does with a device comes after an event.

    A driver is bound once its probe is done, and that may have mapped. What stands before it in
    the recording tells that its beginning is cut off; a mark is written before the probe.
    Source: Linux drivers/base/dd.c, really_probe() and driver_bound().
    """
    return e.kind == KIND_DRIVER_PROBE or e.flags & F_FROM_MARK or \
        d.maps + d.allocs + d.unmaps + d.frees + d.syncs + d.failures == 0


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
        if begins(d, e):
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
