# cython: language_level=3
"""What an event means, looked up in the world as it was before the event."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.shadow cimport (
    GRID_BUS, GRID_GHOST, GRID_MEMORY, GRID_PHYS, dv_segment, dv_walk, segment_is_identical,
    walk_init, walk_next,
)
from dmaverify.core.table cimport table_get
from dmaverify.core.world cimport (
    CPUS, MARK_AMBIGUOUS, MARK_DIRECTION, MARK_IOMMU, MARK_LENGTH, MARK_VIRT, MARK_WHOLE_PAGES,
    SCAN_MAX, STATE_GHOST, STATE_LIVE, dv_device, dv_mapping, dv_world, ghosts_ask, ghosts_index,
    iommu_is_live, iommu_removed, list_key, mapping_stale,
)
from dmaverify.model.events cimport (
    DIR_BIDIRECTIONAL, DIR_FROM_DEVICE, DIR_TO_DEVICE, F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_FAILED,
    F_LENGTH_UNKNOWN, F_MMIO, F_NULL_CPU, F_PHYS_UNKNOWN, F_SKIP_SYNC, KIND_DEV_FAULT,
    KIND_DMA_ALLOC, KIND_DMA_FREE, KIND_DMA_MAP, KIND_DMA_SYNC_FOR_CPU, KIND_DMA_SYNC_FOR_DEVICE,
    KIND_DMA_UNMAP, SIDE_CPU, SIDE_SG_BUS, SIDE_SG_PHYS, TYPE_SG, device_reaches, device_reads,
    device_writes, dv_batch, dv_entry, dv_event, dv_number, dv_side, event_failed, event_side,
    event_type, side_entries,
)

cdef uint64_t PAGE = 4096
cdef uint64_t LINE = 64  # bytes of a cache line, where the recording does not say
# Copied to begin with: for a struct of this size the compiler clears memory by a slow loop.
cdef dv_context NO_CONTEXT


cdef void context_init(dv_context* c, dv_world* w, const dv_batch* b, const dv_event* e,
                       const dv_number* n) noexcept nogil:
    c[0] = NO_CONTEXT
    c.world = w
    c.batch = b
    c.event = e
    c.number = n
    c.device = e.device
    c.count = 1


cdef inline bint same_direction(const dv_event* e, const dv_mapping* m) noexcept nogil:
    return e.flags & F_DIRECTION_UNKNOWN or not m.marks & MARK_DIRECTION \
        or e.direction == m.direction


cdef inline bint same_length(const dv_event* e, const dv_mapping* m) noexcept nogil:
    return e.flags & F_LENGTH_UNKNOWN or not m.marks & MARK_LENGTH or e.length == m.length


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


cdef void take(dv_context* c, int obj, uint32_t index, int score, int* best) noexcept nogil:
    """Keep the better fit; of two that fit equally, the older (an unmap ends the older)."""
    cdef uint32_t held = c.meant[obj]
    if held == 0 or score > best[0] or \
            (score == best[0] and c.world.mappings[index].serial < c.world.mappings[held].serial):
        c.meant[obj] = index
        best[0] = score


cdef inline bint first_count(dv_context* c, dv_mapping* m) noexcept nogil:
    """Tell whether this count meets a mapping for the first time; `counts` names the count."""
    if m.counted == c.world.counts:
        return False
    m.counted = c.world.counts
    return True


cdef uint64_t distance_into(dv_world* w, uint32_t s, uint64_t address) noexcept nogil:
    """Return how many bytes of its mapping come before an address in segment `s`."""
    cdef uint32_t at = w.mappings[w.shadow.segments[s].mapping].first
    cdef uint64_t distance = address - w.shadow.segments[s].start
    cdef uint32_t steps = 0
    while at != s and steps < SCAN_MAX:
        steps += 1
        distance += w.shadow.segments[at].length
        at = w.shadow.segments[at].sibling
    return distance


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


cdef uint64_t run_end(dv_world* w, uint32_t s) noexcept nogil:
    """Return where the run of adjacent segments of one mapping ends that starts at `s`."""
    cdef dv_segment* seg = &w.shadow.segments[s]
    cdef uint64_t end = seg.start + seg.length
    cdef uint32_t steps = 0
    while seg.sibling != 0 and w.shadow.segments[seg.sibling].start == end:
        seg = &w.shadow.segments[seg.sibling]
        end += seg.length
        steps += 1
        if steps == SCAN_MAX:
            w.shadow.crowded += 1
            return w.shadow.segments[s].start - 1  # as far as addresses go
    return end


cdef void resolve_sync(dv_context* c) noexcept nogil:
    """Find the mapping that holds the start of a synced range, best one that holds it all."""
    cdef dv_world* w = c.world
    cdef const dv_event* e = c.event
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef dv_mapping* m
    cdef uint64_t end, past, length = e.length
    cdef uint32_t s
    cdef int best = 0, best_foreign = 0, score
    cdef const dv_side* bus = event_side(c.batch, e, SIDE_SG_BUS) if e.side != 0 else NULL
    if bus != NULL and bus.stored != 0:
        length = side_entries(bus)[0].length
        c.count = bus.full
    w.counts += 1
    walk_init(&walk, &w.shadow, GRID_BUS, e.bus_addr, 1)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        m = &w.mappings[seg.mapping]
        end = run_end(w, s)
        past = length - (end - e.bus_addr) if length > end - e.bus_addr else 0
        score = (8 if past == 0 else 0) + (2 if same_direction(e, m) else 0)
        if bus != NULL and m.type == TYPE_SG:
            score += 1 + (4 if m.count == bus.full else 0)
        if m.device == c.device:
            c.candidates += first_count(c, m)
            # Of two that fit equally the newer: the older may be ended, its unmap not logged yet.
            if c.meant[OBJ_MAPPING] == 0 or score > best or (
                    score == best and m.serial > w.mappings[c.meant[OBJ_MAPPING]].serial):
                c.meant[OBJ_MAPPING] = seg.mapping
                c.past_end = past
                c.into = distance_into(w, s, e.bus_addr)
                best = score
        elif past == 0 and same_direction(e, m):
            take(c, OBJ_FOREIGN, seg.mapping, score, &best_foreign)
        s = walk_next(&walk)
    if c.meant[OBJ_MAPPING] != 0:
        c.meant[OBJ_FOREIGN] = 0


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


cdef int preference(const dv_mapping* m, uint32_t device) noexcept nogil:
    """Of several mappings that share memory, tell the one worth naming first."""
    cdef int score = 1
    if m.device == device:
        score += 8
    if m.direction != DIR_TO_DEVICE:
        score += 4
    if not m.flags & (F_SKIP_SYNC | F_MMIO):
        score += 2
    if not (m.type == TYPE_SG and m.direction == DIR_BIDIRECTIONAL and m.marks & MARK_WHOLE_PAGES):
        score += 1
    return score


cdef void take_newer(dv_context* c, int obj, uint32_t index, int score, int* best) noexcept nogil:
    """Keep the better one; of two that are equal, the newer."""
    cdef uint32_t held = c.meant[obj]
    if score > best[0] or (score == best[0] and
                           c.world.mappings[index].serial > c.world.mappings[held].serial):
        c.meant[obj] = index
        best[0] = score


cdef void overlap_range(dv_context* c, uint64_t phys, uint64_t length, int* best,
                        int* best_line) noexcept nogil:
    cdef uint64_t end = (phys + length + LINE - 1) & ~(LINE - 1)
    if length == 0 or phys + length < phys or end < phys:
        return
    overlap_grid(c, GRID_PHYS, phys, length, best, best_line)
    if c.world.shadow.identical != 0:
        overlap_grid(c, GRID_BUS, phys, length, best, best_line)


cdef void overlap_grid(dv_context* c, int grid, uint64_t phys, uint64_t length, int* best,
                       int* best_line) noexcept nogil:
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef dv_mapping* m
    cdef uint32_t s
    cdef int score
    cdef uint64_t start = phys & ~(LINE - 1)
    cdef uint64_t end = (phys + length + LINE - 1) & ~(LINE - 1)
    walk_init(&walk, &w.shadow, grid, start, end - start)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        m = &w.mappings[seg.mapping]
        # The bus grid tells of memory only where bus and physical address are the same.
        if m.marks & MARK_AMBIGUOUS or (grid == GRID_BUS and not segment_is_identical(seg)):
            s = walk_next(&walk)
            continue
        score = preference(m, c.device)
        # As a difference: an absurd length would carry a sum past the top.
        if phys - seg.phys < seg.phys_length if phys >= seg.phys else seg.phys - phys < length:
            if first_count(c, m):
                c.overlaps += 1
            take_newer(c, OBJ_OVERLAP, seg.mapping, score, best)
        else:
            take_newer(c, OBJ_NEIGHBOUR, seg.mapping, score, best_line)
        s = walk_next(&walk)


cdef void find_translated(dv_context* c) noexcept nogil:
    """Find a mapping of the device at whose pages the IOMMU has just put another.

    An unmap may be logged later than the map that reuses its address, but the IOMMU's own
    removal is not: it explains the older mapping. Source: Linux drivers/iommu/dma-iommu.c,
    __iommu_dma_unmap(); kernel/dma/mapping.c, dma_unmap_page_attrs().
    """
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef const dv_mapping* m
    cdef uint64_t start = c.event.bus_addr & ~(PAGE - 1)
    cdef uint64_t last, length = c.event.length
    cdef const dv_side* bus = \
        event_side(c.batch, c.event, SIDE_SG_BUS) if c.event.side != 0 else NULL
    cdef uint32_t s
    cdef int best = 0
    if bus != NULL and bus.stored != 0:
        length = side_entries(bus)[0].length
    last = c.event.bus_addr + (length - 1 if length != 0 else 0)
    if last < c.event.bus_addr:
        last = ~<uint64_t>0
    walk_init(&walk, &w.shadow, GRID_BUS, start, (last | (PAGE - 1)) - start + 1)
    s = walk_next(&walk)
    while s != 0:
        m = &w.mappings[w.shadow.segments[s].mapping]
        if m.device == c.device and m.marks & MARK_IOMMU and \
                iommu_removed(w, m.bus_addr) <= 0:
            take_newer(c, OBJ_ENCLOSING, w.shadow.segments[s].mapping, 1, &best)
        s = walk_next(&walk)


cdef void resolve_map(dv_context* c) noexcept nogil:
    """Measure the new mapping's segments and find whose memory it shares."""
    cdef const dv_event* e = c.event
    cdef const dv_side* bus = event_side(c.batch, e, SIDE_SG_BUS) if e.side != 0 else NULL
    cdef const dv_side* phys = event_side(c.batch, e, SIDE_SG_PHYS) if e.side != 0 else NULL
    cdef const dv_entry* b
    cdef const dv_entry* p
    cdef uint32_t i
    cdef int best = 0, best_line = 0
    c.world.counts += 1
    if phys != NULL:
        c.count = phys.full
    # After a loss nobody knows what the IOMMU removed.
    if c.world.devices[c.device].iommu_seen and c.world.gaps == 0 and \
            not e.flags & F_BUS_UNKNOWN and iommu_is_live(c.world, e.bus_addr):
        find_translated(c)
    if bus != NULL and bus.stored != 0:
        b = side_entries(bus)
        p = side_entries(phys) if phys != NULL and phys.full == bus.full else NULL
        for i in range(bus.stored):
            if b[i].length > c.longest:
                c.longest = b[i].length
            if b[i].length != 0:
                c.crossing |= b[i].address ^ (b[i].address + (b[i].length - 1))
            if p != NULL and i < phys.stored:
                overlap_range(c, p[i].address, b[i].length, &best, &best_line)
        return
    if e.flags & (F_LENGTH_UNKNOWN | F_BUS_UNKNOWN):
        return
    c.longest = e.length
    if e.length != 0:
        c.crossing = e.bus_addr ^ (e.bus_addr + (e.length - 1))
    if not e.flags & F_PHYS_UNKNOWN:
        overlap_range(c, e.phys_addr, e.length, &best, &best_line)


cdef void resolve_memory(dv_context* c, uint64_t phys, uint64_t length) noexcept nogil:
    """Tell what kind of memory a physical range lies in, where the recording names it."""
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef uint64_t lowest = ~<uint64_t>0
    cdef uint32_t s
    walk_init(&walk, &c.world.shadow, GRID_MEMORY, phys, length)
    s = walk_next(&walk)
    while s != 0:
        seg = &c.world.shadow.segments[s]
        if seg.start <= lowest:  # what it begins in, or meets first
            lowest = seg.start
            c.memory = seg.mapping
        s = walk_next(&walk)


cdef void reached(const dv_event* e, uint64_t* start, uint64_t* length) noexcept nogil:
    """Put the range that a device reaches for: its page, where no length is told."""
    start[0] = e.bus_addr
    length[0] = e.length if e.length != 0 else 1
    if e.flags & F_LENGTH_UNKNOWN:
        start[0] &= ~(PAGE - 1)
        length[0] = PAGE


cdef uint64_t covered(dv_context* c, uint64_t reach, uint64_t wanted) noexcept nogil:
    """Return how many bytes from the event's address on lie in live mappings of the device that
    follow each other, of `wanted`, where `reach` do at least.

    Counted from the address, so that nothing is carried past the top of the address space.
    """
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef uint32_t s, steps = 0
    cdef uint64_t at, into, further
    while reach < wanted and steps < SCAN_MAX:
        steps += 1
        at = c.event.bus_addr + reach
        if at < c.event.bus_addr:
            return reach
        further = reach
        walk_init(&walk, &w.shadow, GRID_BUS, at, 1)
        s = walk_next(&walk)
        while s != 0:
            seg = &w.shadow.segments[s]
            into = at - seg.start
            if w.mappings[seg.mapping].device == c.device and seg.length > into and \
                    seg.length - into > further - reach:
                further = reach + (seg.length - into)
                if further < reach:
                    further = ~<uint64_t>0
            s = walk_next(&walk)
        if further == reach:
            return reach
        reach = further
    return reach


cdef void resolve_transfer(dv_context* c) noexcept nogil:
    """Find the mapping that a device's access lies in: best fit, then the newest."""
    cdef dv_world* w = c.world
    cdef const dv_event* e = c.event
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef dv_mapping* m
    cdef uint64_t start, length, room, reach = 0
    cdef uint32_t s
    cdef int best = 0, score
    cdef bint page = e.flags & F_LENGTH_UNKNOWN
    w.counts += 1
    reached(e, &start, &length)
    walk_init(&walk, &w.shadow, GRID_BUS, start, length if page else 1)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        m = &w.mappings[seg.mapping]
        room = e.length if page else run_end(w, s) - e.bus_addr
        score = (8 if room >= e.length else 0) + (4 if allows(e, m) else 0) + 1
        if m.device == c.device:
            c.candidates += first_count(c, m)
            if c.meant[OBJ_MAPPING] == 0 or score > best or (
                    score == best and m.serial > w.mappings[c.meant[OBJ_MAPPING]].serial):
                c.meant[OBJ_MAPPING] = seg.mapping
                c.into = distance_into(w, s, max(e.bus_addr, seg.start))
                reach = room
                best = score
        elif c.meant[OBJ_FOREIGN] == 0 or \
                m.serial > w.mappings[c.meant[OBJ_FOREIGN]].serial:
            c.meant[OBJ_FOREIGN] = seg.mapping
        s = walk_next(&walk)
    if c.meant[OBJ_MAPPING] != 0:
        c.meant[OBJ_FOREIGN] = 0
        c.held = reach
        reach = covered(c, reach, e.length)
        c.past_end = e.length - reach if e.length > reach else 0
        if not page and e.kind != KIND_DEV_FAULT:
            c.unsent = mapping_stale(w, c.meant[OBJ_MAPPING], False, e.bus_addr, e.length, False)


cdef uint32_t context_spanned(dv_context* c, uint64_t at, uint64_t* room) noexcept nogil:
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef const dv_mapping* m
    cdef uint32_t s, found = 0
    cdef int best = 0, score
    walk_init(&walk, &w.shadow, GRID_BUS, c.event.bus_addr + at, 1)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        m = &w.mappings[seg.mapping]
        score = 2 if allows(c.event, m) else 1
        if m.device == c.device and (score > best or (
                score == best and m.serial > w.mappings[found].serial)):
            best = score
            found = seg.mapping
            room[0] = seg.length - (c.event.bus_addr + at - seg.start)
        s = walk_next(&walk)
    return found if room[0] != 0 else 0


cdef inline bint allows(const dv_event* e, const dv_mapping* m) noexcept nogil:
    """Tell whether a mapping's direction allows what the device does."""
    if not m.marks & MARK_DIRECTION or m.direction == DIR_BIDIRECTIONAL:
        return True
    if device_writes(e):
        return m.direction == DIR_FROM_DEVICE
    return m.direction == DIR_TO_DEVICE or not device_reads(e)


cdef bint event_allowed(const dv_event* e, const dv_mapping* m) noexcept nogil:
    return allows(e, m)


cdef bint fault_allowed(const dv_context* c) noexcept nogil:
    return allows(c.event, &c.world.mappings[c.meant[OBJ_MAPPING]])


cdef void resolve_doubt(dv_context* c) noexcept nogil:
    """Let a mapping explain an access that ended within the doubt about the access's time.

    Such an access comes after every event that may have been before it (trace/merge.py), so
    what began in time is there; what it meant may have ended in between.
    """
    cdef dv_world* w = c.world
    cdef const dv_event* e = c.event
    cdef dv_device* d = &w.devices[c.device]
    cdef dv_walk walk
    cdef dv_mapping* m
    cdef uint64_t start, length, room
    cdef uint64_t since = <uint64_t>e.status * 1000
    cdef uint32_t s, index = c.meant[OBJ_MAPPING]
    cdef int best = 0, score
    cdef bint page = e.flags & F_LENGTH_UNKNOWN
    since = e.time - since if e.time > since else 0
    reached(e, &start, &length)
    if index != 0:
        best = (8 if c.past_end == 0 else 0) + (4 if allows(e, &w.mappings[index]) else 0) + 1
        if best == 13:
            return
    walk_init(&walk, &w.shadow, GRID_GHOST, start, length if page else 1)
    s = walk_next(&walk)
    while s != 0:
        m = &w.mappings[w.shadow.segments[s].mapping]
        if m.ended.flags & 1 and m.ended.time >= since and not m.flags & F_FAILED:
            room = length if page else run_end(w, s) - start
            score = (8 if room >= length else 0) + (4 if allows(e, m) else 0) + 1
            if m.device != c.device:
                if c.meant[OBJ_MAPPING] == 0 and c.meant[OBJ_FOREIGN] == 0:
                    c.meant[OBJ_FOREIGN] = w.shadow.segments[s].mapping
            elif score > best:
                best = score
                c.meant[OBJ_MAPPING] = w.shadow.segments[s].mapping
                c.meant[OBJ_FOREIGN] = 0
                c.past_end = length - room if length > room else 0
                c.into = start - m.bus_addr if start >= m.bus_addr else 0
                c.in_time = score == 13 and m.ended.time >= e.time
                # One that began later may have taken the place of what the access meant.
                c.undecided = m.ended.time < e.time if score == 13 else m.made.time > e.time
        s = walk_next(&walk)
    if best < 13 and d.partly_ended != 0 and d.partly_ended >= since:
        c.undecided = True


cdef bint order_matters(dv_context* c) noexcept nogil:
    """Tell whether an access whose place among the events is not known can not be judged."""
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef uint64_t start, length
    if c.meant[OBJ_MAPPING] != 0 or c.meant[OBJ_FOREIGN] != 0 or w.forgotten != 0:
        return True
    reached(c.event, &start, &length)
    walk_init(&walk, &w.shadow, GRID_GHOST, start, length)
    return walk_next(&walk) != 0


cdef bint memory_is_mapped(dv_world* w, uint64_t phys, uint64_t length) noexcept nogil:
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
        if segment_is_identical(seg):
            return True
        s = walk_next(&walk)
    return False


cdef void trace_back(dv_context* c) noexcept nogil:
    """Tell where the bus address of a device's access comes from."""
    cdef dv_world* w = c.world
    cdef const dv_event* e = c.event
    cdef uint32_t ghost = c.meant[OBJ_GHOST], foreign = c.meant[OBJ_FOREIGN]
    if e.bus_addr == <uint64_t>-1:
        c.provenance = FROM_ERROR
    elif c.meant[OBJ_MAPPING] != 0:
        c.provenance = FROM_MAPPING
    elif ghost != 0 and foreign != 0:
        # Behind an IOMMU both may have had the number; the driver has the newer one in hand.
        if w.mappings[ghost].ended.record < w.mappings[foreign].made.record:
            c.meant[OBJ_GHOST] = 0
            c.provenance = FROM_FOREIGN
        else:
            c.meant[OBJ_FOREIGN] = 0
            c.provenance = FROM_ENDED
    elif ghost != 0:
        c.provenance = FROM_ENDED
    elif foreign != 0:
        c.provenance = FROM_FOREIGN
    elif e.bus_addr >> 47 == 0x1FFFF:
        c.provenance = FROM_POINTER
    elif runs_into(c):
        c.provenance = FROM_BEFORE
    else:
        resolve_memory(c, e.bus_addr, e.length)
        if c.memory != 0 or memory_is_mapped(w, e.bus_addr, e.length):
            c.provenance = FROM_PHYSICAL
        elif e.bus_addr != 0:
            trace_back_near(c)


cdef uint32_t first_after(dv_context* c, uint64_t length, uint64_t* distance) noexcept nogil:
    """Return the segment of the device that begins first in `length` bytes behind the address,
    of equals the newest mapping's; 0 = none.
    """
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef uint32_t s, found = 0
    walk_init(&walk, &w.shadow, GRID_BUS, c.event.bus_addr, length)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        if w.mappings[seg.mapping].device == c.device and seg.start > c.event.bus_addr and (
                found == 0 or seg.start - c.event.bus_addr < distance[0] or (
                    seg.start - c.event.bus_addr == distance[0] and
                    w.mappings[seg.mapping].serial >
                    w.mappings[w.shadow.segments[found].mapping].serial)):
            found = s
            distance[0] = seg.start - c.event.bus_addr
        s = walk_next(&walk)
    return found


cdef uint32_t last_before(dv_context* c, uint64_t* distance) noexcept nogil:
    """Return the segment of the device that ends last in the page before the address, of equals
    the newest mapping's; 0 = none.
    """
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef uint32_t s, found = 0
    cdef uint64_t before = c.event.bus_addr - PAGE if c.event.bus_addr > PAGE else 0
    cdef uint64_t gap
    walk_init(&walk, &w.shadow, GRID_BUS, before, c.event.bus_addr - before)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        gap = c.event.bus_addr - (seg.start + seg.length)
        if w.mappings[seg.mapping].device == c.device and (
                found == 0 or gap < distance[0] or (
                    gap == distance[0] and w.mappings[seg.mapping].serial >
                    w.mappings[w.shadow.segments[found].mapping].serial)):
            found = s
            distance[0] = gap
        s = walk_next(&walk)
    return found


cdef bint runs_into(dv_context* c) noexcept nogil:
    """Tell whether an access begins before a mapping of the device and reaches it."""
    cdef uint32_t s
    if c.event.flags & F_LENGTH_UNKNOWN or c.event.length == 0:
        return False
    s = first_after(c, c.event.length, &c.distance)
    if s != 0:
        c.meant[OBJ_ENCLOSING] = c.world.shadow.segments[s].mapping
        c.distance_known = True
    return s != 0


cdef void trace_back_near(dv_context* c) noexcept nogil:
    """Look for a mapping that ends or begins near the address, or lies 4 GiB higher."""
    cdef dv_world* w = c.world
    cdef dv_mapping* m
    cdef uint64_t past = 0, before = 0, length = c.event.length
    cdef uint32_t s, behind, ahead = 0, steps = 0
    if c.event.flags & F_LENGTH_UNKNOWN:
        length = 0
    behind = last_before(c, &past)
    if length + PAGE > length:
        ahead = first_after(c, length + PAGE, &before)
    if ahead != 0 and (behind == 0 or before - length < past):
        c.provenance = FROM_BEFORE
        c.meant[OBJ_ENCLOSING] = w.shadow.segments[ahead].mapping
        c.distance = before
    elif behind != 0:
        c.provenance = FROM_PAST
        c.meant[OBJ_ENCLOSING] = w.shadow.segments[behind].mapping
        c.distance = past
    if c.provenance != 0:
        c.distance_known = not c.event.flags & F_LENGTH_UNKNOWN
        return
    s = w.devices[c.device].first
    while s != 0 and steps < SCAN_MAX:
        m = &w.mappings[s]
        if m.bus_addr >> 32 != 0 and c.event.bus_addr >> 32 == 0 and m.marks & MARK_LENGTH and \
                <uint32_t>(c.event.bus_addr - m.bus_addr) < m.length:
            c.provenance = FROM_TRUNCATED
            c.meant[OBJ_ENCLOSING] = s
            return
        s = m.next
        steps += 1


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
