# cython: language_level=3
"""The life of a mapping: an event makes it, another ends it."""

from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t, uint8_t

from dmaverify.core.adapters cimport objects_unbind
from dmaverify.core.coherence cimport OWNER_CPU, OWNER_DEVICE
from dmaverify.core.ghosts cimport grid_ghost, ring_push
from dmaverify.core.lists cimport keep_list, list_in_pages
from dmaverify.core.shadow cimport (
    GRID_BUS, GRID_PHYS, PAGE_SHIFT, dv_segment, segment_free, segment_link, segment_new,
    segment_unlink,
)
from dmaverify.core.transfers cimport transfers_forget
from dmaverify.core.translations cimport iommu_is_live
from dmaverify.core.world cimport (
    GHOST_SEGMENTS, MARK_BOUNCED, MARK_DIRECTION, MARK_EXISTING, MARK_FREED, MARK_IN_LIST,
    MARK_IOMMU, MARK_LENGTH, MARK_PHYS, MARK_THERE, MARK_VIRT, MARK_WHOLE_PAGES, STATE_GHOST,
    STATE_LIVE, dv_device, dv_mapping, dv_world, mapping_new, mapping_release, place_of,
    world_device,
)
from dmaverify.model.events cimport (
    DIR_NONE, F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN, F_PHYS_UNKNOWN, F_SKIP_SYNC,
    F_TRUNCATED, KIND_DMA_ALLOC, SIDE_CPU, SIDE_SG_BUS, SIDE_SG_PHYS, TYPE_COHERENT, TYPE_SG,
    dv_batch, dv_entry, dv_event, dv_number, dv_side, event_side, event_type, side_entries,
)

cdef uint64_t PAGE_MASK = (1 << PAGE_SHIFT) - 1


cdef inline bint whole_pages(uint64_t start, uint64_t length) noexcept nogil:
    return length != 0 and (start & PAGE_MASK) == 0 and (length & PAGE_MASK) == 0


cdef inline uint8_t first_owner(const dv_mapping* m) noexcept nogil:
    """Return who owns new memory: it is mapped for the device, or allocated by the CPU.

    Without the sync that a mapping call does, the caller hands it over by a sync of its own.
    Source: Linux Documentation/core-api/dma-attributes.rst, DMA_ATTR_SKIP_CPU_SYNC.
    """
    return OWNER_CPU if m.flags & F_SKIP_SYNC or m.type >= TYPE_COHERENT else OWNER_DEVICE


cdef int add_segment(dv_world* w, uint32_t index, uint32_t* tail, uint64_t start, uint64_t length,
                     uint64_t phys, uint64_t phys_length) noexcept nogil:
    cdef uint32_t s = segment_new(&w.shadow)
    cdef dv_segment* seg
    if s == 0:
        return -1
    seg = &w.shadow.segments[s]
    seg.start = start
    seg.length = length
    seg.phys = phys
    seg.phys_length = phys_length
    seg.mapping = index
    seg.owner = first_owner(&w.mappings[index])
    if tail[0] == 0:
        w.mappings[index].first = s
    else:
        w.shadow.segments[tail[0]].sibling = s
    tail[0] = s
    if segment_link(&w.shadow, s, GRID_BUS) < 0:
        return -1
    # Where bus and physical address are the same number, the bus grid serves for both.
    if phys_length != 0 and phys != start and segment_link(&w.shadow, s, GRID_PHYS) < 0:
        return -1
    if not whole_pages(start, length):
        w.mappings[index].marks &= ~MARK_WHOLE_PAGES
    return 0


cdef int add_unplaced(dv_world* w, uint32_t index, const dv_event* e) noexcept nogil:
    """Add the memory of a mapping whose bus address is not known: no address leads to it."""
    cdef uint32_t s = segment_new(&w.shadow)
    cdef dv_segment* seg
    if s == 0:
        return -1
    w.mappings[index].marks &= ~MARK_WHOLE_PAGES
    w.mappings[index].first = s
    seg = &w.shadow.segments[s]
    seg.length = e.length
    seg.mapping = index
    seg.owner = first_owner(&w.mappings[index])
    if e.flags & F_PHYS_UNKNOWN or e.length == 0:
        return 0
    seg.phys = e.phys_addr
    seg.phys_length = e.length
    return segment_link(&w.shadow, s, GRID_PHYS)


cdef int add_pages(dv_world* w, uint32_t index, const dv_entry* b, const dv_entry* p,
                   uint32_t count) noexcept nogil:
    """Add a merged list page by page."""
    cdef uint32_t i, tail = 0
    cdef uint64_t at, left, room
    for i in range(count):
        at = b[i].address
        left = b[i].length
        while left != 0:
            room = min(left, PAGE_MASK + 1 - (at & PAGE_MASK))
            if add_segment(w, index, &tail, at, room, p[0].address, room) < 0:
                return -1
            p += 1
            at += room
            left -= room
    return 0


cdef int add_list(dv_world* w, uint32_t index, const dv_side* bus,
                  const dv_side* phys) noexcept nogil:
    """Add the segments of a scatter/gather list; physical lengths are known only one to one."""
    cdef const dv_entry* b = side_entries(bus)
    cdef const dv_entry* p = side_entries(phys) if phys != NULL else NULL
    cdef bint paired = phys != NULL and bus.full == phys.full
    cdef uint32_t i, tail = 0
    cdef uint64_t address
    w.mappings[index].segments = bus.full
    if phys != NULL and not paired and list_in_pages(bus, phys):
        return add_pages(w, index, b, p, bus.stored)
    for i in range(bus.stored):
        address = p[i].address if paired and i < phys.stored else 0
        if add_segment(w, index, &tail, b[i].address, b[i].length, address,
                       b[i].length if paired and i < phys.stored else 0) < 0:
            return -1
    return 0


cdef void describe(dv_world* w, dv_mapping* m, const dv_batch* b, const dv_event* e,
                   const dv_number* n) noexcept nogil:
    cdef const dv_side* cpu = event_side(b, e, SIDE_CPU)
    m.bus_addr = e.bus_addr
    m.length = e.length
    m.phys_addr = e.phys_addr
    m.device = e.device
    m.type = <uint8_t>event_type(e)
    m.direction = e.direction
    m.flags = e.flags
    m.made = place_of(e, n)
    m.epoch = w.gaps
    m.count = 1
    m.segments = 1
    m.marks = MARK_THERE | MARK_WHOLE_PAGES
    if not e.flags & F_PHYS_UNKNOWN:
        m.marks |= MARK_PHYS
    if not e.flags & F_LENGTH_UNKNOWN:
        m.marks |= MARK_LENGTH
    if not e.flags & F_DIRECTION_UNKNOWN and e.direction <= DIR_NONE:
        m.marks |= MARK_DIRECTION
    if cpu != NULL:
        m.virt_addr = side_entries(cpu)[0].address
        m.marks |= MARK_VIRT
    if not e.flags & F_BUS_UNKNOWN and iommu_is_live(w, e.bus_addr):
        m.marks |= MARK_IOMMU
    if e.kind == KIND_DMA_ALLOC and e.side != 0 and m.type == TYPE_COHERENT and \
            event_side(b, e, SIDE_SG_PHYS) != NULL:
        m.marks |= MARK_EXISTING
    w.serial += 1
    m.serial = w.serial
    m.state = STATE_LIVE


cdef int32_t mapping_add(dv_world* w, const dv_batch* b, const dv_event* e,
                         const dv_number* n) noexcept nogil:
    cdef dv_device* d = world_device(w, e.device)
    cdef const dv_side* bus = event_side(b, e, SIDE_SG_BUS) if e.side != 0 else NULL
    cdef const dv_side* phys = event_side(b, e, SIDE_SG_PHYS) if e.side != 0 else NULL
    cdef uint32_t index, tail = 0
    cdef dv_mapping* m
    if d == NULL:
        return -1
    if w.live >= w.live_limit:
        w.refused += 1
        d.bounced_next = 0  # it was that one's
        return 0
    index = mapping_new(w)
    if index == 0:
        return -1
    m = &w.mappings[index]
    describe(w, m, b, e, n)
    if d.bounced_next and m.marks & MARK_PHYS and d.bounced_phys == m.phys_addr:
        m.marks |= MARK_BOUNCED
    d.bounced_next = 0
    if m.marks & MARK_IOMMU:
        d.iommu_seen = 1
    if bus != NULL and bus.stored != 0:
        if add_list(w, index, bus, phys) < 0:
            return -1
    elif e.flags & F_BUS_UNKNOWN:
        if add_unplaced(w, index, e) < 0:
            return -1
    elif add_segment(w, index, &tail, e.bus_addr, e.length, e.phys_addr,
                     e.length if m.marks & MARK_PHYS else 0) < 0:
        return -1
    m = &w.mappings[index]
    if phys != NULL and m.type == TYPE_SG and keep_list(w, index, phys) < 0:
        return -1
    m.next = d.first
    if d.first != 0:
        w.mappings[d.first].prev = index
    d.first = index
    d.live += 1
    if e.flags & F_TRUNCATED:
        d.truncated_live += 1
    w.live += 1
    return <int32_t>index


cdef void leave_device(dv_world* w, const dv_mapping* m, uint64_t time) noexcept nogil:
    cdef dv_device* d = &w.devices[m.device]
    if m.prev != 0:
        w.mappings[m.prev].next = m.next
    else:
        d.first = m.next
    if m.next != 0:
        w.mappings[m.next].prev = m.prev
    d.live -= 1
    if m.flags & F_TRUNCATED:
        d.truncated_live -= 1
    if m.flags & F_TRUNCATED or m.segments > GHOST_SEGMENTS:
        d.partly_ended = time
    w.live -= 1


cdef int mapping_end(dv_world* w, uint32_t index, const dv_event* e, const dv_number* n,
                     uint32_t epoch) noexcept nogil:
    cdef dv_mapping* m = &w.mappings[index]
    cdef uint32_t s = m.first
    cdef bint placed = s != 0 and w.shadow.segments[s].cells[0] != 0
    leave_device(w, m, e.time)
    if m.transfers != 0:
        transfers_forget(&w.open, index)
    if w.objects.bound != 0:
        objects_unbind(&w.objects, index)
    m.state = STATE_GHOST
    m.marks &= <uint16_t>~MARK_FREED  # where it was freed gives way to where it ended
    m.epoch = epoch
    m.ended = place_of(e, n)
    if w.ring.capacity == 0 or m.marks & MARK_IN_LIST or not placed or \
            w.shadow.segments[s].sibling != 0:
        return grid_ghost(w, index)
    segment_unlink(&w.shadow, s, False)
    segment_unlink(&w.shadow, s, True)
    if ring_push(w, m, &w.shadow.segments[s]) < 0:
        return -1
    segment_free(&w.shadow, s)
    mapping_release(w, index)
    return 0
