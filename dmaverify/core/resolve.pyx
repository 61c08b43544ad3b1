# cython: language_level=3
"""From an event to what it means."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.adapters cimport (
    COUNT_BUFFERS, OBJECT_ADAPTER, OBJECT_FILE, OBJECT_MDL, objects_binding, objects_child,
)
from dmaverify.core.aims cimport order_matters, resolve_doubt, resolve_transfer
from dmaverify.core.context cimport (
    FROM_PHYSICAL, OBJ_ENCLOSING, OBJ_FOREIGN, OBJ_MAPPING, PAGE, dv_context, first_count,
)
from dmaverify.core.ends cimport (
    foreign_counts, judge_beginning, resolve_end, resolve_file_end, resolve_ghost,
    resolve_list_end,
)
from dmaverify.core.ghosts cimport ghosts_index
from dmaverify.core.origin cimport trace_back
from dmaverify.core.shadow cimport (
    GRID_BUS, GRID_PHYS, dv_segment, dv_walk, segment_is_identical, walk_init, walk_next,
)
from dmaverify.core.shares cimport resolve_map, resolve_memory
from dmaverify.core.syncs cimport resolve_sync
from dmaverify.core.versions cimport mapping_stale
from dmaverify.core.world cimport MARK_LENGTH, MARK_VIRT, SCAN_MAX, dv_mapping, dv_world
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_LENGTH_UNKNOWN, F_PHYS_UNKNOWN, KIND_ADAPTER_PUT, KIND_CHANNEL_ACTION,
    KIND_CHANNEL_FREE, KIND_CPU_READ, KIND_CPU_WRITE, KIND_DEV_FAULT, KIND_DMA_ALLOC,
    KIND_DMA_FREE, KIND_DMA_MAP, KIND_DMA_SYNC_FOR_CPU, KIND_DMA_SYNC_FOR_DEVICE,
    KIND_DMA_UNMAP, KIND_MDL_FREE, KIND_MDL_UNLOCK, KIND_REQUEST_COMPLETE, SIDE_CPU,
    SIDE_SG_PHYS, device_reaches, dv_event, dv_side, event_failed, event_side, side_entries,
)


cdef uint32_t context_buffer(const dv_context* c) noexcept nogil:
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef uint32_t s, binding, found = 0
    cdef uint64_t start = c.event.phys_addr & ~(PAGE - 1)
    cdef uint64_t last = c.event.phys_addr + c.event.length - 1
    cdef int grid
    if w.objects.bound == 0 or c.event.flags & (F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN) or \
            c.event.length == 0:
        return 0
    if last < c.event.phys_addr:
        last = ~<uint64_t>0
    last |= PAGE - 1
    for grid in range(GRID_BUS, GRID_PHYS + 1):
        walk_init(&walk, &w.shadow, grid, start, last - start + 1)
        s = walk_next(&walk)
        while s != 0:
            if w.shadow.segments[s].phys_length != 0 and \
                    (grid == GRID_PHYS or segment_is_identical(&w.shadow.segments[s])):
                binding = objects_binding(&w.objects, w.shadow.segments[s].mapping)
                if binding != 0 and w.objects.bindings[binding].count == COUNT_BUFFERS and (
                        found == 0 or w.mappings[w.shadow.segments[s].mapping].serial <
                        w.mappings[found].serial):
                    found = w.shadow.segments[s].mapping
            s = walk_next(&walk)
    return found


cdef int context_accesses(dv_context* c, uint32_t* ret, int room) noexcept nogil:
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef uint32_t s
    cdef int grid, i, found = 0
    cdef uint32_t serial
    if c.event.flags & (F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN) or c.event.length == 0:
        return 0
    w.counts += 1
    for grid in range(GRID_BUS, GRID_PHYS + 1):
        walk_init(&walk, &w.shadow, grid, c.event.phys_addr, c.event.length)
        s = walk_next(&walk)
        while s != 0:
            seg = &w.shadow.segments[s]
            if (grid == GRID_PHYS or segment_is_identical(seg)) and \
                    first_count(c, &w.mappings[seg.mapping]):
                if found == room:
                    w.shadow.crowded += 1
                    return found
                serial = w.mappings[seg.mapping].serial
                i = found
                while i != 0 and w.mappings[ret[i - 1]].serial > serial:
                    ret[i] = ret[i - 1]
                    i -= 1
                ret[i] = seg.mapping
                found += 1
            s = walk_next(&walk)
    return found


cdef void context_accessed(dv_context* c, uint32_t index) noexcept nogil:
    c.meant[OBJ_MAPPING] = index
    c.stale = mapping_stale(c.world, index, True, c.event.phys_addr, c.event.length, True)
    c.unsent = mapping_stale(c.world, index, True, c.event.phys_addr, c.event.length, False)


cdef void resolve_named(dv_context* c) noexcept nogil:
    """Find the oldest mapping that hangs on what an event ends."""
    cdef int kind = c.event.kind
    cdef int type = OBJECT_MDL
    if kind == KIND_ADAPTER_PUT:
        type = OBJECT_ADAPTER
    elif kind == KIND_CHANNEL_FREE or kind == KIND_CHANNEL_ACTION:
        type = OBJECT_FILE
    elif kind != KIND_MDL_UNLOCK and kind != KIND_MDL_FREE and \
            kind != KIND_REQUEST_COMPLETE:
        return
    if c.named.index[type] != 0:
        c.meant[OBJ_MAPPING] = objects_child(
            &c.world.objects, type, c.named.index[type], kind == KIND_REQUEST_COMPLETE)


cdef void context_resolve(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef int kind = e.kind
    cdef const dv_side* s = event_side(c.batch, e, SIDE_CPU) if e.side != 0 else NULL
    if s != NULL:
        c.virt = side_entries(s)[0].address
        c.virt_known = True
    if kind == KIND_DMA_MAP or kind == KIND_DMA_ALLOC:
        if not event_failed(e):
            resolve_map(c)
            if c.world.regions != 0 and not e.flags & (F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN):
                resolve_memory(c, e.phys_addr, e.length)
        return
    if kind == KIND_DMA_UNMAP or kind == KIND_DMA_FREE:
        s = event_side(c.batch, e, SIDE_SG_PHYS) if e.side != 0 else NULL
        if s != NULL:
            c.count = s.full
        if kind == KIND_DMA_UNMAP and resolve_file_end(c, s):
            return
        if not e.flags & F_BUS_UNKNOWN:
            resolve_end(c)
        elif s != NULL and s.stored != 0:
            resolve_list_end(c, s)
    elif kind == KIND_DMA_SYNC_FOR_CPU or kind == KIND_DMA_SYNC_FOR_DEVICE:
        if not e.flags & F_BUS_UNKNOWN:
            resolve_sync(c)
    elif device_reaches(e):
        if e.flags & F_BUS_UNKNOWN:
            return
        # In doubt, whatever ended near the time or the page matters, not only the last.
        if (e.status != 0 or e.flags & F_LENGTH_UNKNOWN) and ghosts_index(c.world) < 0:
            return  # no memory: then there is no ghost to be had
        resolve_transfer(c)
        # What the IOMMU refused was not allowed, whatever the clocks say.
        if e.status > 0 and kind != KIND_DEV_FAULT:
            resolve_doubt(c)
        elif e.status < 0:
            c.undecided = order_matters(c)
        if c.meant[OBJ_MAPPING] == 0:
            resolve_ghost(c)
            judge_beginning(c)
        trace_back(c)
        # Memory that came into use in the recording was not mapped before it.
        if c.provenance == FROM_PHYSICAL and c.memory != 0:
            c.may_predate = False
        return
    else:
        if c.named != NULL:
            resolve_named(c)
        return
    if c.meant[OBJ_MAPPING] != 0:
        return
    if not e.flags & F_BUS_UNKNOWN:
        resolve_ghost(c)
    judge_beginning(c)
    if c.meant[OBJ_FOREIGN] != 0 and not foreign_counts(c):
        c.meant[OBJ_FOREIGN] = 0


cdef uint32_t context_evident(dv_context* c) noexcept nogil:
    cdef dv_world* w = c.world
    cdef dv_mapping* m
    cdef uint32_t index, steps = 0, only = 0, found = 0
    if c.event.kind == KIND_CPU_READ or c.event.kind == KIND_CPU_WRITE:
        return 0
    if c.meant[OBJ_FOREIGN] != 0:
        return c.meant[OBJ_FOREIGN]
    if c.meant[OBJ_ENCLOSING] != 0:
        return c.meant[OBJ_ENCLOSING]
    index = w.devices[c.device].first
    while index != 0 and steps < SCAN_MAX:
        m = &w.mappings[index]
        steps += 1
        if index != c.meant[OBJ_MAPPING]:
            if c.virt_known and m.marks & MARK_VIRT and m.virt_addr == c.virt:
                return index
            if not c.event.flags & F_LENGTH_UNKNOWN and m.marks & MARK_LENGTH and \
                    m.length == c.event.length:
                found += 1
                only = index
        index = m.next
    if c.meant[OBJ_MAPPING] == 0 and found == 1:
        return only
    return 0
