# cython: language_level=3
"""Facts about an event that are worked out when a rule asks (see facts.pxd)."""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from dmaverify.core.adapters cimport COUNT_BUFFERS, objects_binding, objects_element
from dmaverify.core.coherence cimport lines_dirty, neighbours_dirty, stale_for_device
from dmaverify.core.commands cimport commands_early
from dmaverify.core.context cimport OBJ_ENCLOSING, OBJ_MAPPING, dv_context
from dmaverify.core.named cimport FIRST_NAMED, named_field
from dmaverify.core.shadow cimport GRID_BUS, GRID_PHYS, dv_segment, dv_walk, walk_init, walk_next
from dmaverify.core.transfers cimport transfers_touch
from dmaverify.core.translations cimport iommu_is_live, iommu_removed
from dmaverify.core.versions cimport mapping_owned, shared_part
from dmaverify.core.world cimport (
    MARK_DIRECTION, MARK_FREED, MARK_IOMMU, STATE_LIVE, dv_mapping, dv_world,
)
from dmaverify.model.events cimport (
    DIR_BIDIRECTIONAL, DIR_FROM_DEVICE, DIR_TO_DEVICE, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN,
    F_PHYS_UNKNOWN, F_SKIP_SYNC, F_TIME_UNKNOWN, KIND_COMMAND_DONE, KIND_CPU_READ,
    KIND_CPU_WRITE, KIND_DEV_WRITE, KIND_DMA_ALLOC, KIND_DMA_MAP, KIND_DMA_SYNC_FOR_CPU,
    KIND_DMA_SYNC_FOR_DEVICE, KIND_DMA_UNMAP, SIDE_SG_BUS, SIDE_SG_PHYS, device_reaches,
    dv_entry, dv_event, dv_side, event_failed, event_side, side_entries,
)

cdef uint64_t PAGE = 4096
cdef uint64_t SKEW = 100000  # ns; the clocks of two CPUs may be so far apart


cdef enum:                   # what `written` counts of the CPU's bytes
    IN_RANGE = 0
    BESIDE = 1               # in its lines, outside of the segment
    IN_LINES = 2             # in its lines, all of them


cdef uint64_t written(const dv_context* c, int what, bint whole, uint64_t start,
                      uint64_t length) noexcept nogil:
    """Count what the CPU wrote in a bus range of the mapping, or in the whole mapping."""
    cdef const dv_world* w = c.world
    cdef uint32_t s = w.mappings[c.meant[OBJ_MAPPING]].first
    cdef const dv_segment* seg
    cdef uint64_t first = 0, end = 0, total = 0
    while s != 0:
        seg = &w.shadow.segments[s]
        s = seg.sibling
        if seg.masks == NULL:
            continue
        if whole:
            first = 0
            end = seg.length
        elif not shared_part(seg, False, start, length, &first, &end):
            continue
        if what == IN_RANGE:
            total += stale_for_device(seg, first, end)
        elif what == BESIDE:
            total += neighbours_dirty(seg, first, end)
        else:
            total += lines_dirty(seg, first, end)
    return total


cdef inline const dv_side* list_of(const dv_context* c) noexcept nogil:
    return event_side(c.batch, c.event, SIDE_SG_BUS) if c.event.side != 0 else NULL


cdef uint64_t written_at_sync(const dv_context* c, int what) noexcept nogil:
    cdef const dv_side* bus = list_of(c)
    cdef const dv_entry* entries
    cdef uint64_t total = 0
    cdef uint32_t i
    if bus == NULL:
        return written(c, what, False, c.event.bus_addr, c.event.length)
    entries = side_entries(bus)
    for i in range(bus.stored):
        total += written(c, what, False, entries[i].address, entries[i].length)
    return total


cdef bint overwrites_memory(const dv_context* c) noexcept nogil:
    """Tell whether the call copies a bounce buffer back, or throws cache lines away.

    Its own direction decides. Source: Linux kernel/dma/swiotlb.c, swiotlb_tbl_unmap_single()
    and swiotlb_sync_single_for_cpu(); kernel/dma/direct.h, dma_direct_unmap_phys().
    """
    cdef const dv_event* e = c.event
    cdef const dv_mapping* m = &c.world.mappings[c.meant[OBJ_MAPPING]]
    cdef int direction = e.direction
    if e.kind == KIND_DMA_SYNC_FOR_CPU:
        return e.flags & F_DIRECTION_UNKNOWN or direction != DIR_TO_DEVICE
    if e.flags & F_SKIP_SYNC:
        return False
    if e.flags & F_DIRECTION_UNKNOWN:
        if not m.marks & MARK_DIRECTION:
            return False
        direction = m.direction
    return direction == DIR_FROM_DEVICE or direction == DIR_BIDIRECTIONAL


cdef uint64_t written_by_cpu(const dv_context* c, int what) noexcept nogil:
    """Count what the CPU wrote and nobody handed over, where the event touches the mapping."""
    cdef const dv_event* e = c.event
    if c.world.cpu_writes == 0 or c.meant[OBJ_MAPPING] == 0:
        return 0
    if e.kind == KIND_DEV_WRITE:
        if e.flags & F_LENGTH_UNKNOWN:
            return 0
        return written(c, what, False, e.bus_addr, e.length)
    if e.kind != KIND_DMA_UNMAP and e.kind != KIND_DMA_SYNC_FOR_CPU or not overwrites_memory(c):
        return 0
    if e.kind == KIND_DMA_UNMAP:
        return written(c, what, True, 0, 0)
    return written_at_sync(c, what)


cdef bint open_at_access(const dv_context* c, uint32_t direction) noexcept nogil:
    """Tell whether a transfer is under way in the memory that the CPU touches."""
    cdef const dv_world* w = c.world
    cdef uint32_t index = c.meant[OBJ_MAPPING], s = w.mappings[index].first
    cdef const dv_segment* seg
    cdef uint64_t first = 0, end = 0
    while s != 0:
        seg = &w.shadow.segments[s]
        if shared_part(seg, True, c.event.phys_addr, c.event.length, &first, &end) and \
                transfers_touch(&w.open, index, direction, seg.start + first, end - first):
            return True
        s = seg.sibling
    return False


cdef bint open_here(const dv_context* c, uint32_t direction) noexcept nogil:
    """Tell whether a transfer is under way in what the event touches of the mapping."""
    cdef const dv_event* e = c.event
    cdef uint32_t i, index = c.meant[OBJ_MAPPING]
    cdef const dv_side* bus
    cdef const dv_entry* entries
    if index == 0 or c.world.mappings[index].transfers == 0:
        return False
    if e.kind == KIND_CPU_READ or e.kind == KIND_CPU_WRITE:
        return open_at_access(c, direction)
    if e.kind != KIND_DMA_SYNC_FOR_CPU and e.kind != KIND_DMA_SYNC_FOR_DEVICE:
        return False
    bus = list_of(c)
    if bus == NULL:
        return transfers_touch(&c.world.open, index, direction, e.bus_addr, e.length)
    entries = side_entries(bus)
    for i in range(bus.stored):
        if transfers_touch(&c.world.open, index, direction, entries[i].address,
                           entries[i].length):
            return True
    return False


cdef uint32_t sharer_of(const dv_context* c, uint64_t phys, uint64_t length) noexcept nogil:
    """Return another device with a live mapping in one of the pages of a range; 0 = none.

    Of several the one whose mapping is the newest.
    """
    cdef dv_world* w = c.world
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef const dv_mapping* m
    cdef uint64_t start = phys & ~(PAGE - 1), last = phys + length - 1
    cdef uint32_t s, serial = 0, found = 0
    cdef int grid
    if length == 0 or last < phys:
        return 0
    for grid in range(GRID_BUS, GRID_PHYS + 1):
        walk_init(&walk, &w.shadow, grid, start, (last | (PAGE - 1)) - start + 1)
        s = walk_next(&walk)
        while s != 0:
            seg = &w.shadow.segments[s]
            m = &w.mappings[seg.mapping]
            if m.device != c.device and m.serial > serial and (
                    grid == GRID_PHYS or (seg.phys == seg.start and seg.phys_length != 0)):
                serial = m.serial
                found = m.device
            s = walk_next(&walk)
    return found


cdef uint32_t page_sharer(const dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef const dv_side* bus
    cdef const dv_side* phys
    cdef uint32_t i, found = 0
    if c.world.live == c.world.devices[c.device].live or event_failed(e):
        return 0
    bus = list_of(c)
    if bus == NULL or bus.stored == 0:
        if e.flags & (F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN):
            return 0
        return sharer_of(c, e.phys_addr, e.length)
    phys = event_side(c.batch, e, SIDE_SG_PHYS)
    if phys == NULL or phys.full != bus.full:
        return 0
    for i in range(min(bus.stored, phys.stored)):
        found = sharer_of(c, side_entries(phys)[i].address, side_entries(bus)[i].length)
        if found != 0:
            return found
    return 0


cdef bint mapping_untranslated(const dv_context* c, uint32_t index) noexcept nogil:
    cdef dv_world* w = c.world
    cdef const dv_mapping* m = &w.mappings[index]
    cdef const dv_mapping* other
    cdef dv_walk walk
    cdef uint32_t s
    cdef int32_t removed, live = 0
    # After a loss nobody knows what the IOMMU removed.
    if w.gaps != 0 or m.state != STATE_LIVE or not m.marks & MARK_IOMMU or \
            (device_reaches(c.event) and c.event.status != 0):
        return False
    removed = iommu_removed(w, m.bus_addr)
    if removed <= 0 or iommu_is_live(w, m.bus_addr):
        return False
    # Devices with address spaces of their own have mappings of the same number.
    walk_init(&walk, &w.shadow, GRID_BUS, m.bus_addr & ~(PAGE - 1), PAGE)
    s = walk_next(&walk)
    while s != 0:
        other = &w.mappings[w.shadow.segments[s].mapping]
        if other.first == s and other.bus_addr // PAGE == m.bus_addr // PAGE:
            live += 1
        s = walk_next(&walk)
    return removed >= live


cdef bint mapping_freed_unordered(const dv_context* c, uint32_t index) noexcept nogil:
    cdef const dv_mapping* m = &c.world.mappings[index]
    if m.state != STATE_LIVE or not m.marks & MARK_FREED or m.ended.cpu == c.event.cpu:
        return False
    if not c.world.time_known or c.event.flags & F_TIME_UNKNOWN or not m.ended.flags & 1:
        return True
    return c.event.time < m.ended.time or c.event.time - m.ended.time < SKEW


cdef uint64_t common(uint64_t a, uint64_t a_last, uint64_t b, uint64_t b_last) noexcept nogil:
    """Return how many bytes two ranges share, each given by its first and its last byte."""
    cdef uint64_t first = a if a > b else b
    cdef uint64_t last = a_last if a_last < b_last else b_last
    return last - first + 1 if first <= last else 0


cdef inline uint64_t last_of(uint64_t start, uint64_t length) noexcept nogil:
    """Return the last byte of a range that is not empty, at most the top of the space."""
    return start + length - 1 if start + length - 1 >= start else ~<uint64_t>0


cdef uint64_t beside_buffer(const dv_context* c) noexcept nogil:
    """Count the bytes of a CPU access in the pages of a common buffer, and outside of it."""
    cdef const dv_world* w = c.world
    cdef uint32_t index = c.meant[OBJ_MAPPING] if c.meant[OBJ_MAPPING] else c.meant[OBJ_ENCLOSING]
    cdef uint32_t binding = objects_binding(&w.objects, index)
    cdef uint32_t s = w.mappings[index].first
    cdef uint64_t first = c.event.phys_addr, last, seg_last, total = 0
    cdef const dv_segment* seg
    if binding == 0 or w.objects.bindings[binding].count != COUNT_BUFFERS:
        return 0
    last = last_of(first, c.event.length)
    while s != 0:
        seg = &w.shadow.segments[s]
        s = seg.sibling
        if seg.phys_length == 0:
            continue
        seg_last = last_of(seg.phys, seg.phys_length)
        if seg.phys & (PAGE - 1):
            total += common(first, last, seg.phys & ~(PAGE - 1), seg.phys - 1)
        if ~seg_last & (PAGE - 1):
            total += common(first, last, seg_last + 1, seg_last | (PAGE - 1))
    return total


cdef uint64_t event_fact(const dv_context* c, int number, bint* known) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef uint32_t sharer = 0, early = 0
    cdef uint64_t since = 0
    if number == 36:
        return written_by_cpu(c, IN_LINES)
    if number == 37:
        return written_by_cpu(c, IN_RANGE)
    if number == 38:
        return written_by_cpu(c, BESIDE)
    if number == 39:
        if c.meant[OBJ_MAPPING] == 0:
            return 0
        return mapping_owned(c.world, c.meant[OBJ_MAPPING], c.event.phys_addr, c.event.length)
    if number == 40:
        return open_here(c, DIR_FROM_DEVICE)
    if number == 41:
        return open_here(c, DIR_TO_DEVICE)
    if number == 42:
        known[0] = c.distance_known
        return c.distance
    if number == 43:
        known[0] = False
        if e.kind == KIND_DMA_MAP or e.kind == KIND_DMA_ALLOC:
            sharer = page_sharer(c)
            known[0] = sharer != 0
        return sharer
    if number == 44:
        return e.bus_addr
    if number == 45:
        return e.phys_addr
    if number == 46:
        return e.object
    if number == 47 or number == 48:
        if e.kind == KIND_COMMAND_DONE:
            early = commands_early(&c.world.commands, e, &since)
        if number == 47:
            return early
        known[0] = early != 0 and c.world.time_known and not e.flags & F_TIME_UNKNOWN
        return e.time - since if e.time > since else 0
    if number == 81:
        return beside_buffer(c)
    if number == 84 or number == 85:  # elements_left, element_there
        early = 0
        if c.named != NULL:
            early = objects_element(&c.world.objects, c.named, &since)
        return since if number == 84 else early != 0
    if number >= FIRST_NAMED:
        return named_field(c.named, c.event, number, known)
    known[0] = False
    return 0
