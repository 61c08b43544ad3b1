# cython: language_level=3
"""Which mapping an unmap or a free ends, and what is left to say where there is none."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.adapters cimport IS_LIST, OBJECT_FILE, SEEN_BIRTH, dv_object, objects_transfer
from dmaverify.core.context cimport (
    OBJ_ENCLOSING, OBJ_FOREIGN, OBJ_GHOST, OBJ_MAPPING, distance_into, dv_context, first_count,
    reached, same_direction, same_length, take,
)
from dmaverify.core.ghosts cimport ghosts_ask
from dmaverify.core.shadow cimport (
    GRID_BUS, GRID_GHOST, GRID_PHYS, dv_segment, dv_walk, walk_init, walk_next,
)
from dmaverify.core.table cimport table_get
from dmaverify.core.translations cimport iommu_removed
from dmaverify.core.world cimport (
    CPUS, MARK_AMBIGUOUS, MARK_VIRT, SCAN_MAX, STATE_GHOST, STATE_LIVE, dv_device, dv_mapping,
    dv_world, list_key,
)
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_LENGTH_UNKNOWN, F_NULL_CPU, KIND_DMA_FREE, KIND_DMA_UNMAP, TYPE_SG,
    device_reaches, dv_entry, dv_event, dv_side, event_failed, event_type, side_entries,
)


cdef int fit(dv_context* c, const dv_mapping* m) noexcept nogil:
    """Score how well an unmap or a free fits a mapping: length, type, direction, pointer."""
    cdef int score = 0
    if same_length(c.event, m):
        score += 8
    if event_type(c.event) == m.type:
        score += 4
    if same_direction(c.event, m):
        score += 2
    if c.virt_known and m.marks & MARK_VIRT and c.virt == m.virt_addr:
        score += 8
    score *= 4
    if m.epoch == c.world.gaps:
        score += 2  # the end of an older one may be among the events that were lost
    if m.made.site == c.event.site:
        score += 1
    return score


cdef void mark_ambiguous(dv_context* c) noexcept nogil:
    """Mark other memory's mappings at this very address: the unmap may have been theirs.

    An unmap is logged after the address was released, so that another CPU's map of it may be
    logged first. Source: Linux kernel/dma/mapping.c, dma_unmap_page_attrs().
    """
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef dv_mapping* taken = &w.mappings[c.meant[OBJ_MAPPING]]
    cdef dv_mapping* m
    cdef uint32_t s
    walk_init(&walk, &w.shadow, GRID_BUS, c.event.bus_addr, 1)
    s = walk_next(&walk)
    while s != 0:
        m = &w.mappings[w.shadow.segments[s].mapping]
        if m != taken and m.device == c.device and m.phys_addr != taken.phys_addr and \
                w.shadow.segments[s].start == c.event.bus_addr:
            m.marks |= MARK_AMBIGUOUS
        s = walk_next(&walk)


cdef void resolve_end(dv_context* c) noexcept nogil:
    """Find what an unmap or a free by bus address means."""
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef dv_mapping* m
    cdef uint32_t s
    cdef int best = 0, best_foreign = 0, best_enclosing = 0, score
    c.world.counts += 1
    walk_init(&walk, &w.shadow, GRID_BUS, c.event.bus_addr, 1)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        m = &w.mappings[seg.mapping]
        score = fit(c, m)
        if m.device == c.device:
            if seg.start == c.event.bus_addr:
                c.candidates += first_count(c, m)
                # A segment inside a list is a worse fit than the start of a mapping.
                take(c, OBJ_MAPPING, seg.mapping, score * 2 + (m.first == s), &best)
            else:
                take(c, OBJ_ENCLOSING, seg.mapping, score, &best_enclosing)
                if c.meant[OBJ_ENCLOSING] == seg.mapping:
                    c.into = distance_into(w, s, c.event.bus_addr)
        elif seg.start == c.event.bus_addr and m.first == s:
            take(c, OBJ_FOREIGN, seg.mapping, score, &best_foreign)
        s = walk_next(&walk)
    if c.meant[OBJ_MAPPING] != 0:
        c.meant[OBJ_ENCLOSING] = 0
        c.meant[OBJ_FOREIGN] = 0
        c.into = 0
        if c.candidates > 1 and not c.event.flags & F_NULL_CPU and not event_failed(c.event):
            mark_ambiguous(c)


cdef uint32_t common_entries(const dv_mapping* m, const dv_side* phys) noexcept nogil:
    cdef const dv_entry* p = side_entries(phys)
    cdef uint32_t i = 0
    while i < m.listed and i < phys.stored and m.list[i] == p[i].address:
        i += 1
    return i


cdef void resolve_list_end(dv_context* c, const dv_side* phys) noexcept nogil:
    """Find what an unmap of a list means; it names physical addresses only.

    Source: Linux include/trace/events/dma.h, dma_unmap_sg.
    """
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef dv_mapping* m
    cdef const dv_entry* p = side_entries(phys)
    cdef uint32_t index, same, shorter, steps = 0
    cdef int best = 0, score, grid
    index = table_get(&w.lists, list_key(c.device, p[0].address))
    while index != 0 and steps < SCAN_MAX:
        steps += 1
        m = &w.mappings[index]
        same = common_entries(m, phys)
        shorter = m.listed if m.listed < phys.stored else phys.stored
        if m.device == c.device and same == shorter:
            if m.state == STATE_GHOST:
                c.meant[OBJ_GHOST] = index
            elif m.state == STATE_LIVE:
                c.candidates += 1
                score = 8 if m.count == phys.full else 0
                score += 2 if same_direction(c.event, m) else 0
                take(c, OBJ_MAPPING, index, score + 1, &best)
                if c.meant[OBJ_MAPPING] == index:
                    c.matching = same
        index = m.list_next
    if c.meant[OBJ_MAPPING] != 0:
        c.meant[OBJ_GHOST] = 0
        return
    w.counts += 1
    for grid in range(GRID_BUS, GRID_PHYS + 1):
        walk_init(&walk, &w.shadow, grid, p[0].address, 1)
        index = walk_next(&walk)
        while index != 0:
            seg = &w.shadow.segments[index]
            m = &w.mappings[seg.mapping]
            if m.device == c.device and m.type != TYPE_SG and seg.phys == p[0].address and \
                    seg.phys_length != 0:
                c.candidates += first_count(c, m)
                c.matching = 1
                score = 1 + (2 if same_direction(c.event, m) else 0)
                take(c, OBJ_MAPPING, seg.mapping, score, &best)
                c.meant[OBJ_GHOST] = 0
            index = walk_next(&walk)


cdef void resolve_ghost(dv_context* c) noexcept nogil:
    """Find the mapping of this device that last covered the address and has ended."""
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef dv_mapping* m
    cdef uint32_t s, index, held
    cdef uint64_t start = c.event.bus_addr, length = 1
    if ghosts_ask(w, c.device, c.event.bus_addr) < 0:
        return  # no memory: then there is no ghost to be had
    if device_reaches(c.event):
        reached(c.event, &start, &length)
        length = length if c.event.flags & F_LENGTH_UNKNOWN else 1
    walk_init(&walk, &w.shadow, GRID_GHOST, start, length)
    s = walk_next(&walk)
    while s != 0:
        index = w.shadow.segments[s].mapping
        m = &w.mappings[index]
        held = c.meant[OBJ_GHOST]
        if m.device == c.device and (
                held == 0 or m.ended.record > w.mappings[held].ended.record or (
                    m.ended.record == w.mappings[held].ended.record and
                    m.serial > w.mappings[held].serial)):
            c.meant[OBJ_GHOST] = index
        s = walk_next(&walk)


cdef bint foreign_counts(dv_context* c) noexcept nogil:
    """Tell whether another device's mapping at this address is more than a coincidence.

    Behind an IOMMU each device has its own addresses, and equal numbers mean nothing by
    themselves. What equals in length, direction and type, while the IOMMU removed nothing
    here, is that device's mapping.
    """
    cdef dv_mapping* m = &c.world.mappings[c.meant[OBJ_FOREIGN]]
    cdef bint exact = same_length(c.event, m) and same_direction(c.event, m)
    cdef bint apart = c.world.devices[m.device].iommu_seen or \
        c.world.devices[c.device].iommu_seen
    if c.event.kind == KIND_DMA_UNMAP or c.event.kind == KIND_DMA_FREE:
        exact = exact and event_type(c.event) == m.type
        if apart:
            return exact and c.meant[OBJ_GHOST] == 0 and \
                iommu_removed(c.world, c.event.bus_addr) <= 0
        return exact or not c.may_predate
    return not apart and (exact or not c.may_predate)


cdef void judge_beginning(dv_context* c) noexcept nogil:
    """Tell whether what the event means may have been made before the recording began.

    It was not, when the address was mapped and ended in the recording, or the recording
    holds the beginning of the driver's life, or the IOMMU removed nothing for the call.
    Lost events undo each of these.
    """
    cdef dv_world* w = c.world
    cdef const dv_event* e = c.event
    cdef dv_device* d = &w.devices[c.device]
    cdef uint32_t ghost = c.meant[OBJ_GHOST]
    c.may_predate = True
    if ghost != 0 and w.mappings[ghost].epoch == w.gaps and not (
            e.kind == KIND_DMA_UNMAP and not e.flags & F_BUS_UNKNOWN and
            iommu_removed(w, e.bus_addr) > 0):
        c.may_predate = False
    elif d.probe_seen and d.probe_epoch == w.gaps:
        c.may_predate = False
    elif e.kind == KIND_DMA_UNMAP and event_type(e) != TYPE_SG and w.gaps == 0 and \
            d.iommu_seen and w.cpu_rows[e.cpu % CPUS] > 2 and \
            (e.flags & F_BUS_UNKNOWN or iommu_removed(w, e.bus_addr) <= 0):
        c.may_predate = False
    c.across_gap = c.may_predate and w.gaps != 0


cdef bint resolve_file_end(dv_context* c, const dv_side* phys) noexcept nogil:
    """Find what a flush or the put of a list means: it names a map register file.

    Of a file that is known nothing else is meant, not even where its addresses live again.
    """
    cdef const dv_object* f
    if c.named == NULL or c.named.index[OBJECT_FILE] == 0:
        return False
    f = &c.world.objects.items[c.named.index[OBJECT_FILE]]
    c.meant[OBJ_MAPPING] = objects_transfer(&c.world.objects, c.named)
    c.candidates = c.meant[OBJ_MAPPING] != 0
    if phys != NULL:
        c.matching = common_entries(&c.world.mappings[c.meant[OBJ_MAPPING]], phys)
    elif c.meant[OBJ_MAPPING] != 0:  # a put names the list, and so all of its entries
        c.count = c.world.mappings[c.meant[OBJ_MAPPING]].count
    if c.meant[OBJ_MAPPING] == 0:
        if not c.event.flags & F_BUS_UNKNOWN:
            resolve_ghost(c)
        judge_beginning(c)
        if f.flags & (SEEN_BIRTH | IS_LIST) and f.epoch == c.world.gaps:
            c.may_predate = False
            c.across_gap = False
    return True
