# cython: language_level=3
"""The state of the replay: devices, mappings, ghosts and the IOMMU's pages."""

from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset

from dmaverify.core.coherence cimport (
    LINE_BYTES, OWNER_CPU, OWNER_DEVICE, cpu_wrote, device_owned, device_wrote, handed_to_cpu,
    handed_to_device, neighbour_wrote, neighbours_settled, owned_by, stale_for_cpu,
    stale_for_device,
)
from dmaverify.core.commands cimport commands_deinit
from dmaverify.core.shadow cimport (
    CELLS_MAX, GRID_BUS, GRID_GHOST, GRID_MEMORY, GRID_PHYS, PAGE_SHIFT, dv_segment, dv_walk,
    segment_free, segment_is_identical, segment_link, segment_new, segment_settle, segment_unlink,
    shadow_deinit, shadow_init, walk_init, walk_next,
)
from dmaverify.core.table cimport (
    dv_slot, table_deinit, table_find, table_get, table_init, table_remove, table_set, table_slot,
)
from dmaverify.core.transfers cimport transfers_deinit, transfers_forget
from dmaverify.model.events cimport (
    DIR_NONE, F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN, F_PHYS_UNKNOWN, F_SKIP_SYNC,
    F_TIME_UNKNOWN, F_TRUNCATED, KIND_DMA_ALLOC, SIDE_CPU, SIDE_SG_BUS, SIDE_SG_PHYS,
    TYPE_COHERENT, TYPE_SG, TYPE_SINGLE, dv_batch, dv_entry, dv_event, dv_number, dv_side,
    event_side, event_type, side_entries,
)

cdef uint64_t PAGE_MASK = (1 << PAGE_SHIFT) - 1
cdef uint32_t COUNT_SHIFT = 16
cdef uint32_t COUNT_MAX = 0xFFFF
cdef int32_t BALANCE_ZERO = 0x8000
cdef uint32_t NONE = ~<uint32_t>0
# Bytes of a run of several segments: more, and a look for what it covers would give up.
cdef uint64_t RUN_MAX = <uint64_t>(CELLS_MAX - 1) << PAGE_SHIFT
# Ghosts that one look for covered ones visits; with few ghosts in all, it is worth more.
cdef uint32_t FEW_LOOKS = 2
cdef uint32_t MANY_LOOKS = 8
cdef uint64_t IOMMU_CLEAR_MAX = 1024  # pages; a longer range leaves some marked as live
# Copied to begin with: for a struct of this size the compiler clears memory by a slow loop.
cdef dv_mapping NO_MAPPING


cdef int world_init(dv_world* w, uint64_t seed, uint32_t ghost_limit,
                    uint64_t live_limit) noexcept nogil:
    memset(w, 0, sizeof(dv_world))
    w.ghost_limit = ghost_limit
    w.live_limit = live_limit
    w.time_known = 1
    w.commands.seed = seed
    w.mapping_capacity = 1024
    w.mapping_count = 1
    w.device_capacity = 16
    w.device_count = 1
    w.mappings = <dv_mapping*>malloc(w.mapping_capacity * sizeof(dv_mapping))
    w.devices = <dv_device*>calloc(w.device_capacity, sizeof(dv_device))
    w.cpu_rows = <uint8_t*>calloc(CPUS, 1)
    if w.mappings == NULL or w.devices == NULL or w.cpu_rows == NULL:
        return -1
    w.mappings[0] = NO_MAPPING
    if ghost_limit >= RING_LEAST:
        w.ring.capacity = RING_LEAST
        w.ring.mappings = <dv_mapping*>malloc(RING_LEAST * sizeof(dv_mapping))
        w.ring.keys = <dv_ended*>malloc(RING_LEAST * sizeof(dv_ended))
        if w.ring.mappings == NULL or w.ring.keys == NULL:
            return -1
    if shadow_init(&w.shadow, seed) < 0 or table_init(&w.lists, 1024, seed) < 0:
        return -1
    return table_init(&w.iommu, 4096, seed)


cdef void world_deinit(dv_world* w) noexcept nogil:
    cdef uint32_t i
    if w.mappings != NULL:
        for i in range(1, w.mapping_count):
            if w.mappings[i].state != STATE_FREE:
                free(w.mappings[i].list)
    free(w.mappings)
    free(w.devices)
    free(w.cpu_rows)
    ring_deinit(&w.ring)
    shadow_deinit(&w.shadow)
    table_deinit(&w.lists)
    table_deinit(&w.iommu)
    transfers_deinit(&w.open)
    commands_deinit(&w.commands)
    memset(w, 0, sizeof(dv_world))


cdef dv_device* world_device(dv_world* w, uint32_t number) noexcept nogil:
    cdef uint32_t capacity = w.device_capacity
    cdef void* p
    if number >= capacity:
        while capacity <= number:
            capacity *= 2
        p = realloc(w.devices, capacity * sizeof(dv_device))
        if p == NULL:
            return NULL
        w.devices = <dv_device*>p
        memset(w.devices + w.device_capacity, 0,
               (capacity - w.device_capacity) * sizeof(dv_device))
        w.device_capacity = capacity
    if number >= w.device_count:
        w.device_count = number + 1
    return &w.devices[number]


cdef dv_place place_of(const dv_event* e, const dv_number* n) noexcept nogil:
    cdef dv_place p
    p.offset = e.offset
    p.time = e.time
    p.record = n.record
    p.line = n.line
    p.site = e.site
    p.cpu = e.cpu
    p.kind = e.kind
    p.flags = 0 if e.flags & F_TIME_UNKNOWN else 1
    return p


cdef uint32_t mapping_new(dv_world* w) noexcept nogil:
    cdef uint32_t index = w.mapping_free
    cdef void* p
    if index != 0:
        w.mapping_free = w.mappings[index].next
    else:
        if w.mapping_count == w.mapping_capacity:
            p = realloc(w.mappings, <size_t>w.mapping_capacity * 2 * sizeof(dv_mapping))
            if p == NULL:
                return 0
            w.mappings = <dv_mapping*>p
            w.mapping_capacity *= 2
        index = w.mapping_count
        w.mapping_count += 1
    w.mappings[index] = NO_MAPPING
    return index


cdef void mapping_release(dv_world* w, uint32_t index) noexcept nogil:
    cdef dv_mapping* m = &w.mappings[index]
    free(m.list)
    m.list = NULL
    m.state = STATE_FREE
    m.next = w.mapping_free
    w.mapping_free = index


cdef inline bint whole_pages(uint64_t start, uint64_t length) noexcept nogil:
    cdef uint64_t mask = (<uint64_t>1 << PAGE_SHIFT) - 1
    return length != 0 and (start & mask) == 0 and (length & mask) == 0


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


cdef bint list_in_pages(const dv_side* bus, const dv_side* phys) noexcept nogil:
    """Tell whether each entry of a list that an IOMMU merged is known to be one page of it.

    It merges entries where one ends and the next begins at a page boundary: as many entries as
    pages are one page each, but for the ends. Source: Linux drivers/iommu/dma-iommu.c,
    iommu_dma_map_sg() and __finalise_sg().
    """
    cdef const dv_entry* b = side_entries(bus)
    cdef const dv_entry* p = side_entries(phys)
    cdef uint64_t at, left
    cdef uint32_t i, entries = 0
    if bus.stored != bus.full or phys.stored != phys.full or phys.full > GHOST_SEGMENTS:
        return False
    for i in range(bus.stored):
        at = b[i].address
        left = b[i].length
        while left != 0:
            if entries == phys.full or (p[entries].address ^ at) & PAGE_MASK:
                return False
            entries += 1
            left -= min(left, PAGE_MASK + 1 - (at & PAGE_MASK))
            at = (at | PAGE_MASK) + 1
    return entries == phys.full


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


cdef int keep_list(dv_world* w, uint32_t index, const dv_side* phys) noexcept nogil:
    """Remember the caller's list: an unmap names its mapping by nothing else."""
    cdef dv_mapping* m = &w.mappings[index]
    cdef const dv_entry* p = side_entries(phys)
    cdef uint32_t i, head
    cdef uint64_t key
    m.list = <uint64_t*>malloc(phys.stored * sizeof(uint64_t) + 1)
    if m.list == NULL:
        return -1
    for i in range(phys.stored):
        m.list[i] = p[i].address
    m.listed = phys.stored
    m.count = phys.full
    if phys.stored == 0:
        return 0
    key = list_key(m.device, p[0].address)
    head = table_get(&w.lists, key)
    m.list_next = head
    m.list_prev = 0
    if head != 0:
        w.mappings[head].list_prev = index
    m.marks |= MARK_IN_LIST
    return table_set(&w.lists, key, index)


cdef void unlist(dv_world* w, uint32_t index) noexcept nogil:
    cdef dv_mapping* m = &w.mappings[index]
    cdef dv_slot* slot
    if not m.marks & MARK_IN_LIST:
        return
    m.marks &= ~MARK_IN_LIST
    if m.list_next != 0:
        w.mappings[m.list_next].list_prev = m.list_prev
    if m.list_prev != 0:
        w.mappings[m.list_prev].list_next = m.list_next
        return
    slot = table_find(&w.lists, list_key(m.device, m.list[0]))
    if slot == NULL:
        return
    if m.list_next != 0:
        slot.value = m.list_next
    else:
        table_remove(&w.lists, slot)


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


cdef void drop_ghost(dv_world* w, uint32_t index) noexcept nogil:
    """Forget an ended mapping altogether."""
    cdef dv_mapping* m = &w.mappings[index]
    cdef uint32_t s = m.first, after
    while s != 0:
        after = w.shadow.segments[s].sibling
        segment_unlink(&w.shadow, s, False)
        segment_free(&w.shadow, s)
        w.ghost_segments -= 1
        s = after
    unlist(w, index)
    if m.prev != 0:
        w.mappings[m.prev].next = m.next
    else:
        w.ghost_first = m.next
    if m.next != 0:
        w.mappings[m.next].prev = m.prev
    else:
        w.ghost_last = m.prev
    w.ghosts -= 1
    mapping_release(w, index)


cdef void drop_ghost_run(dv_world* w, uint32_t s) noexcept nogil:
    """Forget one run of an ended mapping, and with the last one what no list names."""
    cdef uint32_t index = w.shadow.segments[s].mapping
    cdef dv_mapping* m = &w.mappings[index]
    cdef uint32_t before = 0, at = m.first
    while at != s:
        before = at
        at = w.shadow.segments[at].sibling
    segment_unlink(&w.shadow, s, False)
    while at != 0 and w.shadow.segments[at].cells[0] == 0:
        s = at
        at = w.shadow.segments[s].sibling
        segment_free(&w.shadow, s)
        w.ghost_segments -= 1
    if before != 0:
        w.shadow.segments[before].sibling = at
    else:
        m.first = at
    if m.first == 0 and not m.marks & MARK_IN_LIST:
        drop_ghost(w, index)


cdef inline bint ended_before(const dv_mapping* a, const dv_mapping* b) noexcept nogil:
    """Tell whether one ghost of a device is older than another; two may end at one event."""
    return a.device == b.device and (a.ended.record < b.ended.record or (
        a.ended.record == b.ended.record and a.serial < b.serial))


cdef void supersede(dv_world* w, uint32_t by, uint64_t start, uint64_t length) noexcept nogil:
    """Drop older ghosts of the device that ghost `by` covers: who came last is what counts.

    Only the newest few are looked at: that keeps the chains of reused addresses short, and
    which ghost a look-up takes does not depend on it.
    """
    cdef dv_walk walk
    cdef uint32_t s, drop = 1
    cdef uint32_t looks = FEW_LOOKS if w.ghost_limit >= RING_LEAST else MANY_LOOKS
    cdef dv_segment* seg
    while drop != 0 and looks != 0:
        drop = 0
        walk_init(&walk, &w.shadow, GRID_GHOST, start, length)
        s = walk_next(&walk)
        while s != 0 and looks != 0:
            looks -= 1
            seg = &w.shadow.segments[s]
            if seg.start >= start and seg.run <= length - (seg.start - start) and \
                    ended_before(&w.mappings[seg.mapping], &w.mappings[by]):
                drop = s
                break
            s = walk_next(&walk)
        if drop != 0:
            drop_ghost_run(w, drop)


cdef int link_run(dv_world* w, uint32_t first, uint64_t length) noexcept nogil:
    """Link a run of a ghost's segments into the grid, in place of what it covers."""
    cdef dv_segment* seg = &w.shadow.segments[first]
    seg.run = length
    supersede(w, seg.mapping, seg.start, length)
    return segment_link(&w.shadow, first, GRID_GHOST)


cdef void supersede_list(dv_world* w, uint32_t index) noexcept nogil:
    """Let a list name one ghost of each (device, first physical address); an older one is found
    by its bus addresses only.
    """
    cdef dv_mapping* m = &w.mappings[index]
    cdef dv_mapping* o
    cdef uint32_t other = table_get(&w.lists, list_key(m.device, m.list[0]))
    cdef uint32_t after, steps = 0
    while other != 0 and steps < SCAN_MAX:
        o = &w.mappings[other]
        after = o.list_next
        if other != index and o.state == STATE_GHOST and o.device == m.device and \
                o.list[0] == m.list[0]:
            unlist(w, other)
            if o.first == 0:
                drop_ghost(w, other)
        other = after
        steps += 1


cdef int ring_push(dv_world* w, const dv_mapping* m, const dv_segment* seg) noexcept nogil:
    """Put the ghost of a mapping with one segment into the ring."""
    cdef dv_ring* r = &w.ring
    cdef uint32_t capacity
    cdef void* p
    if r.count == r.capacity and r.capacity < w.ghost_limit:
        # All at once, and touched: memory does not go on growing with the trace.
        capacity = w.ghost_limit
        p = realloc(r.mappings, capacity * sizeof(dv_mapping))
        if p == NULL:
            return -1
        r.mappings = <dv_mapping*>p
        p = realloc(r.keys, capacity * sizeof(dv_ended))
        if p == NULL:
            return -1
        r.keys = <dv_ended*>p
        memset(r.mappings + r.count, 0, (capacity - r.count) * sizeof(dv_mapping))
        memset(r.keys + r.count, 0, (capacity - r.count) * sizeof(dv_ended))
        r.capacity = capacity
        r.next = r.count
    if r.count < r.capacity:
        r.count += 1
    elif r.keys[r.next].device != 0:
        w.forgotten += 1
    r.mappings[r.next] = m[0]
    r.mappings[r.next].list = NULL  # its owner frees it
    r.mappings[r.next].listed = 0
    r.keys[r.next].start = seg.start
    r.keys[r.next].length = seg.length
    r.keys[r.next].device = m.device
    r.next += 1
    if r.next == w.ghost_limit:
        r.next = 0
    return 0


cdef int ring_take(dv_world* w, uint32_t at) noexcept nogil:
    """Move one ghost from the ring into the grid."""
    cdef uint32_t index = mapping_new(w)
    cdef uint32_t s = segment_new(&w.shadow)
    if index == 0 or s == 0:
        return -1
    w.mappings[index] = w.ring.mappings[at]
    w.mappings[index].first = s
    w.shadow.segments[s].start = w.ring.keys[at].start
    w.shadow.segments[s].length = w.ring.keys[at].length
    w.shadow.segments[s].mapping = index
    w.ring.keys[at].device = 0
    ghost_chain(w, index)
    w.ghost_segments += 1
    return link_run(w, s, w.ring.keys[at].length)


cdef inline uint32_t ring_older(const dv_ring* r, uint32_t at) noexcept nogil:
    return at - 1 if at != 0 else r.count - 1


cdef inline uint32_t ring_oldest(const dv_ring* r) noexcept nogil:
    return r.next if r.count == r.capacity and r.next < r.count else 0


cdef int ghosts_index(dv_world* w) noexcept nogil:
    cdef dv_ring* r = &w.ring
    cdef uint32_t _, at = ring_oldest(r)
    for _ in range(r.count):
        if r.keys[at].device != 0 and ring_take(w, at) < 0:
            return -1
        at = at + 1 if at + 1 < r.count else 0
    ring_deinit(r)
    return 0


cdef int ghosts_ask(dv_world* w, uint32_t device, uint64_t bus_addr) noexcept nogil:
    cdef dv_ring* r = &w.ring
    cdef dv_ended* key
    cdef uint32_t _, at, found = NONE
    if w.forgotten != 0:
        w.asked_late += 1
    if r.count == 0:
        return 0
    r.asks += 1
    if r.asks > RING_ASKS:
        return ghosts_index(w)
    at = ring_oldest(r)
    for _ in range(r.count):
        at = ring_older(r, at)
        key = &r.keys[at]
        if found != NONE and r.mappings[at].ended.record != r.mappings[found].ended.record:
            break
        if key.device == device and bus_addr >= key.start and (
                bus_addr - key.start < key.length or bus_addr == key.start) and (
                found == NONE or r.mappings[at].serial > r.mappings[found].serial):
            found = at  # of what ended at one event, the newest
    return ring_take(w, found) if found != NONE else 0


cdef void ring_deinit(dv_ring* r) noexcept nogil:
    free(r.mappings)
    free(r.keys)
    memset(r, 0, sizeof(dv_ring))


cdef void ghost_chain(dv_world* w, uint32_t index) noexcept nogil:
    """Put a mapping at the head of the list of ghosts."""
    cdef dv_mapping* m = &w.mappings[index]
    m.prev = 0
    m.next = w.ghost_first
    if w.ghost_first != 0:
        w.mappings[w.ghost_first].prev = index
    else:
        w.ghost_last = index
    w.ghost_first = index
    w.ghosts += 1


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


cdef int grid_ghost(dv_world* w, uint32_t index) noexcept nogil:
    """Make an ended mapping a ghost in the grid, with some of its segments."""
    cdef dv_mapping* m = &w.mappings[index]
    if m.marks & MARK_IN_LIST:
        supersede_list(w, index)
    ghost_chain(w, index)
    retire_segments(w, m)
    if link_runs(w, m.first) < 0:
        return -1
    while w.ghosts > w.ghost_limit or w.ghost_segments > <uint64_t>w.ghost_limit * 4:
        w.forgotten += 1
        drop_ghost(w, w.ghost_last)
    return 0


cdef void retire_segments(dv_world* w, dv_mapping* m) noexcept nogil:
    """Take a mapping's segments out of the live grids, and keep the first ones that had a place."""
    cdef uint32_t s = m.first, after, tail = 0, kept = 0
    cdef bint placed
    m.first = 0
    while s != 0:
        after = w.shadow.segments[s].sibling
        placed = w.shadow.segments[s].cells[0] != 0
        segment_unlink(&w.shadow, s, False)
        segment_unlink(&w.shadow, s, True)
        if kept < GHOST_SEGMENTS and placed:
            segment_settle(&w.shadow, s)
            w.shadow.segments[s].sibling = 0
            if tail != 0:
                w.shadow.segments[tail].sibling = s
            else:
                m.first = s
            tail = s
            kept += 1
        else:
            segment_free(&w.shadow, s)
        s = after
    w.ghost_segments += kept


cdef int link_runs(dv_world* w, uint32_t s) noexcept nogil:
    """Link the runs of a ghost's segments; one of no bytes is no part of a longer one."""
    cdef dv_segment* seg
    cdef uint32_t first
    cdef uint64_t length
    while s != 0:
        first = s
        seg = &w.shadow.segments[s]
        length = seg.length
        s = seg.sibling
        while s != 0 and 0 < length < RUN_MAX:
            seg = &w.shadow.segments[s]
            if seg.length == 0 or seg.length > RUN_MAX - length or seg.start < length or \
                    seg.start - length != w.shadow.segments[first].start:
                break
            length += seg.length
            s = seg.sibling
        if link_run(w, first, length) < 0:
            return -1
    return 0


cdef void find_stale(dv_world* w, uint32_t device, int grid, bint memory, uint64_t start,
                     uint64_t length, uint32_t* oldest) noexcept nogil:
    """Find the oldest mapping of before the last gap that lies in a range."""
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef dv_mapping* m
    cdef uint32_t s
    walk_init(&walk, &w.shadow, grid, start, length)
    s = walk_next(&walk)
    while s != 0:
        seg = &w.shadow.segments[s]
        m = &w.mappings[seg.mapping]
        # The bus grid tells of memory only where bus and physical address are the same.
        if m.device == device and m.epoch != w.gaps and \
                not (memory and grid == GRID_BUS and not segment_is_identical(seg)) and \
                (oldest[0] == 0 or m.serial < w.mappings[oldest[0]].serial):
            oldest[0] = seg.mapping
        s = walk_next(&walk)


cdef int retire_range(dv_world* w, uint32_t device, bint memory, uint64_t start, uint64_t length,
                      const dv_event* e, const dv_number* n) noexcept nogil:
    cdef uint32_t stale
    while True:
        stale = 0
        find_stale(w, device, GRID_BUS, memory, start, length, &stale)
        if memory:
            find_stale(w, device, GRID_PHYS, memory, start, length, &stale)
        if stale == 0:
            return 0
        if mapping_end(w, stale, e, n, w.mappings[stale].epoch) < 0:
            return -1
        w.across_gap += 1


cdef int retire_stale(dv_world* w, const dv_batch* b, const dv_event* e,
                      const dv_number* n) noexcept nogil:
    cdef const dv_side* bus = event_side(b, e, SIDE_SG_BUS) if e.side != 0 else NULL
    cdef const dv_side* phys = event_side(b, e, SIDE_SG_PHYS) if e.side != 0 else NULL
    cdef const dv_entry* entries
    cdef uint32_t i
    if bus == NULL or bus.stored == 0:
        if not e.flags & F_BUS_UNKNOWN and \
                retire_range(w, e.device, False, e.bus_addr, e.length, e, n) < 0:
            return -1
        if not e.flags & F_PHYS_UNKNOWN:
            return retire_range(w, e.device, True, e.phys_addr, e.length, e, n)
        return 0
    entries = side_entries(bus)
    for i in range(bus.stored):
        if retire_range(w, e.device, False, entries[i].address, entries[i].length, e, n) < 0:
            return -1
    if phys == NULL:
        return 0
    entries = side_entries(phys)
    for i in range(phys.stored):
        if retire_range(w, e.device, True, entries[i].address, 1, e, n) < 0:
            return -1
    return 0


cdef void memory_forget(dv_world* w, uint64_t phys, uint64_t length) noexcept nogil:
    cdef dv_walk walk
    cdef uint32_t old = 1
    while old != 0 and w.regions != 0:
        walk_init(&walk, &w.shadow, GRID_MEMORY, phys, length)
        old = walk_next(&walk)
        if old != 0:
            segment_unlink(&w.shadow, old, False)
            segment_free(&w.shadow, old)
            w.regions -= 1


cdef int memory_freed(dv_world* w, const dv_event* e, const dv_number* n) noexcept nogil:
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef dv_mapping* m
    cdef uint32_t s
    cdef int grid
    if e.flags & (F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN) or e.length == 0:
        return 0
    memory_forget(w, e.phys_addr, e.length)
    for grid in range(GRID_BUS, GRID_PHYS + 1):
        walk_init(&walk, &w.shadow, grid, e.phys_addr, e.length)
        s = walk_next(&walk)
        while s != 0:
            seg = &w.shadow.segments[s]
            m = &w.mappings[seg.mapping]
            # What the IOMMU has removed is unmapped; its line is late.
            if (grid == GRID_PHYS or (seg.phys == seg.start and seg.phys_length != 0)) and \
                    (m.type == TYPE_SINGLE or m.type == TYPE_SG) and \
                    not m.marks & MARK_FREED and \
                    (m.flags & F_BUS_UNKNOWN or iommu_removed(w, m.bus_addr) <= 0):
                m.marks |= MARK_FREED
                m.ended = place_of(e, n)
            s = walk_next(&walk)
    return 0


cdef int memory_add(dv_world* w, uint64_t phys, uint64_t length, uint32_t kind) noexcept nogil:
    cdef uint32_t s
    if length == 0:
        return 0
    memory_forget(w, phys, length)
    if w.regions >= REGIONS_MAX:
        return 0
    s = segment_new(&w.shadow)
    if s == 0:
        return -1
    w.shadow.segments[s].start = phys
    w.shadow.segments[s].length = length
    w.shadow.segments[s].mapping = kind
    w.regions += 1
    return segment_link(&w.shadow, s, GRID_MEMORY)


cdef bint shared_part(const dv_segment* seg, bint physical, uint64_t start, uint64_t length,
                      uint64_t* first, uint64_t* end) noexcept nogil:
    """Give the part of a range that lies in a segment, as offsets from the segment's start."""
    cdef uint64_t base = seg.phys if physical else seg.start
    if physical and seg.phys_length == 0:
        return False
    # As differences: a range may end at the very top of the address space.
    if start >= base:
        if start - base >= seg.length:
            return False
        first[0] = start - base
        end[0] = seg.length if length > seg.length - first[0] else first[0] + length
    else:
        if base - start >= length:
            return False
        first[0] = 0
        end[0] = length - (base - start)
        if end[0] > seg.length:
            end[0] = seg.length
    return first[0] < end[0]


cdef int segment_touch(dv_world* w, dv_segment* seg, uint64_t first, uint64_t end,
                       int how) noexcept nogil:
    if how == DEVICE_WROTE:
        return device_wrote(&w.shadow, seg, first, end)
    if how == CPU_WROTE:
        return cpu_wrote(&w.shadow, seg, first, end)
    if how == HANDED_TO_CPU:
        handed_to_cpu(seg, first, end)
        neighbours_settled(seg, first, end)
    elif how != OWNED_BY_CPU:
        neighbours_settled(seg, first, end)
        if how == HANDED_TO_DEVICE:
            handed_to_device(seg, first, end)
    if how == HANDED_TO_CPU or how == OWNED_BY_CPU:
        return owned_by(&w.shadow, seg, first, end, OWNER_CPU)
    return owned_by(&w.shadow, seg, first, end, OWNER_DEVICE)


cdef int mapping_touch(dv_world* w, uint32_t index, bint physical, uint64_t start,
                       uint64_t length, int how) noexcept nogil:
    cdef uint32_t s = w.mappings[index].first
    cdef dv_segment* seg
    cdef uint64_t first = 0, end = 0
    while s != 0:
        seg = &w.shadow.segments[s]
        if shared_part(seg, physical, start, length, &first, &end) and \
                segment_touch(w, seg, first, end, how) < 0:
            return -1
        s = seg.sibling
    return 0


cdef int neighbours_touch(dv_world* w, uint64_t phys, uint64_t length) noexcept nogil:
    cdef dv_walk walk
    cdef dv_segment* seg
    cdef uint64_t start = phys & ~<uint64_t>(LINE_BYTES - 1)
    cdef uint64_t end = (phys + length + LINE_BYTES - 1) & ~<uint64_t>(LINE_BYTES - 1)
    cdef uint32_t s
    cdef int grid
    if phys + length <= phys or end <= phys:
        return 0
    for grid in range(GRID_BUS, GRID_PHYS + 1):
        walk_init(&walk, &w.shadow, grid, start, end - start)
        s = walk_next(&walk)
        while s != 0:
            seg = &w.shadow.segments[s]
            if (grid == GRID_PHYS or seg.phys == seg.start) and \
                    neighbour_wrote(&w.shadow, seg, phys, phys + length) < 0:
                return -1
            s = walk_next(&walk)
    return 0


cdef uint64_t mapping_stale(const dv_world* w, uint32_t index, bint physical, uint64_t start,
                            uint64_t length, bint for_cpu) noexcept nogil:
    cdef uint32_t s = w.mappings[index].first
    cdef const dv_segment* seg
    cdef uint64_t first = 0, end = 0, total = 0
    while s != 0:
        seg = &w.shadow.segments[s]
        if seg.masks != NULL and shared_part(seg, physical, start, length, &first, &end):
            total += stale_for_cpu(seg, first, end) if for_cpu else \
                stale_for_device(seg, first, end)
        s = seg.sibling
    return total


cdef uint64_t mapping_owned(const dv_world* w, uint32_t index, uint64_t phys,
                            uint64_t length) noexcept nogil:
    cdef uint32_t s = w.mappings[index].first
    cdef const dv_segment* seg
    cdef uint64_t first = 0, end = 0, total = 0
    while s != 0:
        seg = &w.shadow.segments[s]
        if seg.owner != OWNER_CPU and shared_part(seg, True, phys, length, &first, &end):
            total += device_owned(seg, first, end)
        s = seg.sibling
    return total


# The IOMMU's pages. `iommu:unmap` is logged inside the call, before the unmap event of a
# page and after that of a list or an allocation: a page's balance returns to zero when
# both have been seen. Source: Linux kernel/dma/mapping.c, the trace_dma_* call sites.

cdef bint iommu_is_live(const dv_world* w, uint64_t bus_addr) noexcept nogil:
    if w.iommu_events == 0:
        return False
    return table_get(&w.iommu, bus_addr >> PAGE_SHIFT) >> COUNT_SHIFT != 0


cdef inline int32_t balance_of(uint32_t value) noexcept nogil:
    return <int32_t>(value & 0xFFFF) - BALANCE_ZERO if value != 0 else 0


cdef inline int iommu_change(dv_world* w, uint64_t page, int32_t live, int32_t by) noexcept nogil:
    """Count a translation of a page up or down, and move its balance."""
    cdef dv_slot* slot = table_slot(&w.iommu, page)
    if slot == NULL:
        return -1
    iommu_set(w, slot, live, by)
    return 0


cdef inline void iommu_set(dv_world* w, dv_slot* slot, int32_t live, int32_t by) noexcept nogil:
    """Change a page. Each device may have the same number translated, so there may be several."""
    cdef uint32_t count = slot.value >> COUNT_SHIFT
    cdef int32_t balance = balance_of(slot.value) + by
    if balance > 100:
        balance = 100
    elif balance < -100:
        balance = -100
    if live > 0 and count < COUNT_MAX:
        count += 1
    elif live < 0 and count != 0:
        count -= 1
    if count == 0 and balance == 0:
        table_remove(&w.iommu, slot)
    else:
        slot.value = count << COUNT_SHIFT | <uint32_t>(balance + BALANCE_ZERO)


cdef int iommu_map(dv_world* w, uint64_t iova) noexcept nogil:
    w.iommu_events += 1
    return iommu_change(w, iova >> PAGE_SHIFT, 1, 0)


cdef int iommu_unmap(dv_world* w, uint64_t iova, uint64_t length) noexcept nogil:
    cdef uint64_t page = iova >> PAGE_SHIFT
    cdef uint64_t pages = length >> PAGE_SHIFT
    cdef uint64_t i
    cdef dv_slot* slot
    w.iommu_events += 1
    # One unmap may end what several maps began.
    for i in range(1, pages if pages < IOMMU_CLEAR_MAX else IOMMU_CLEAR_MAX):
        slot = table_find(&w.iommu, page + i)
        if slot != NULL and slot.value >> COUNT_SHIFT != 0:
            iommu_set(w, slot, -1, 0)
    return iommu_change(w, page, -1, 1)


cdef int iommu_ended(dv_world* w, uint64_t bus_addr) noexcept nogil:
    if w.iommu_events == 0:
        return 0
    return iommu_change(w, bus_addr >> PAGE_SHIFT, 0, -1)


cdef int32_t iommu_removed(const dv_world* w, uint64_t bus_addr) noexcept nogil:
    return balance_of(table_get(&w.iommu, bus_addr >> PAGE_SHIFT))
