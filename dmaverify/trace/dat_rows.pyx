# cython: language_level=3
"""Make rows of records, after the plans of their events.

`include/trace/stages/` of the Linux sources for `__data_loc` and `__rel_loc`.
"""

from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memset

from dmaverify.model.events cimport (
    DIR_FROM_DEVICE, DIR_TO_DEVICE, F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_FAILED, F_FROM_MARK,
    F_LENGTH_UNKNOWN, F_MMIO, F_NULL_CPU, F_PHYS_UNKNOWN, F_SKIP_SYNC, F_TRUNCATED,
    KIND_DEV_READ, KIND_DEV_WRITE, KIND_DMA_ALLOC, KIND_DMA_FREE, KIND_DMA_MAP, KIND_LOST,
    KIND_MARK, SIDE_CPU, SIDE_SG_BUS, SIDE_SG_PHYS, TYPE_SHIFT, batch_push, batch_side, dv_batch,
    dv_entry, dv_event, dv_side,
)
from dmaverify.trace._chars cimport memory_kind
from dmaverify.trace._names cimport names_number
from dmaverify.trace.dat_core cimport *
from dmaverify.trace.dat_marks cimport mark_fill

cdef enum:
    FAMILIES = 5
    PAGE_SHIFT = 12          # trace/events.py, PAGE
    ORDERS = 32              # no block of pages is larger

cdef uint64_t ALL_ONES = 0xFFFFFFFFFFFFFFFFULL
cdef uint64_t ATTR_SKIP_SYNC = 0x20  # DMA_ATTR_SKIP_CPU_SYNC, include/linux/dma-mapping.h
cdef uint64_t ATTR_MMIO = 0x400      # DMA_ATTR_MMIO


cdef inline uint64_t time_of(const dat_decoder* d, uint64_t clock) noexcept nogil:
    if d.multiplier:
        clock = dat_scale(clock, d.multiplier, d.shift)
    return clock + d.offset


cdef dv_event* row_add(dat_decoder* d, dat_stream* s, dv_batch* b) noexcept nogil:
    cdef dv_event* e = batch_push(b)
    if e == NULL:
        return NULL
    e.time = time_of(d, s.clock)
    e.cpu = s.cpu
    e.flags = F_BUS_UNKNOWN | F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN | F_DIRECTION_UNKNOWN
    b.numbers[b.count - 1].record = <uint32_t>d.records
    return e


cdef int lost_add(dat_decoder* d, dat_stream* s, dv_batch* b, int64_t count,
                  uint64_t offset) noexcept nogil:
    cdef dv_event* e = row_add(d, s, b)
    if e == NULL:
        return -1
    e.kind = KIND_LOST
    e.offset = offset
    if count < 0:
        d.unsized += 1
    else:
        e.length = <uint64_t>count
        e.flags &= ~F_LENGTH_UNKNOWN
        d.lost += <uint64_t>count
    return 0


# A page may say that events were missed and then have none itself.
cdef int stream_over(dat_decoder* d, dat_stream* s, dv_batch* b) noexcept nogil:
    if s.missed == 0:
        return 0
    return lost_add(d, s, b, s.missed, s.missed_at)


# Make a row of the stream's record, if it is one that the event model has.
cdef int record_use(dat_decoder* d, dat_stream* s, dv_batch* b) noexcept nogil:
    cdef const uint8_t* r = s.head
    cdef uint32_t size = s.head_size
    cdef const dat_plan* plan
    cdef int number_
    d.records += 1
    if s.missed != 0:
        if lost_add(d, s, b, s.missed, s.missed_at) < 0:
            return -1
        if d.records == 1:
            b.rows[b.count - 1].status = 1
        s.missed = 0
    if (size < d.layout.type.offset + d.layout.type.size
            or size < d.layout.pid.offset + d.layout.pid.size):
        d.damaged += 1
        return 0
    number_ = d.plan_of[<uint16_t>number(d, &d.layout.type, r)]
    if number_ < 0:
        d.skipped += 1
        return 0
    plan = &d.plans[number_]
    if size < plan.least:
        d.damaged += 1
        return 0
    return row_make(d, plan, s, b)


cdef int row_make(dat_decoder* d, const dat_plan* plan, dat_stream* s, dv_batch* b) noexcept nogil:
    cdef const uint8_t* r = s.head
    cdef const uint8_t* start
    cdef uint32_t size
    cdef uint32_t device = 0
    cdef dv_event* e
    if plan.spots[SLOT_DEVICE].mode != MODE_ABSENT:
        if extent(d, &plan.spots[SLOT_DEVICE], r, s.head_size, &start, &size) < 0:
            d.damaged += 1
            return 0
        size = text_length(start, size)
        device = names_number(&d.names, <const char*>start, size)
        if device == 0 and size:
            return -1
    if is_another(d, plan, r):
        d.skipped += 1
        return 0
    if not lists_fit(d, plan, r, s.head_size):
        d.damaged += 1
        return 0
    if d.several and plan.family and not owner_is(d, device, plan.family, s.instance):
        d.duplicates += 1
        return 0
    e = row_add(d, s, b)
    if e == NULL:
        return -1
    e.kind = plan.kind
    e.device = device
    e.offset = s.where + <uint64_t>(r - s.chunk)
    e.site = <uint32_t>number(d, &d.layout.pid, r)
    e.flags |= plan.type << TYPE_SHIFT
    if plan.kind == KIND_MARK:
        return mark_fill(d, plan, r, s.head_size, b)
    scalars_fill(d, plan, r, e)
    if plan.spots[SLOT_MEMORY].mode and \
            extent(d, &plan.spots[SLOT_MEMORY], r, s.head_size, &start, &size) == 0:
        e.object = memory_kind(<const char*>start, <const char*>start + text_length(start, size))
    if plan.spots[SLOT_BUS_LIST].mode or plan.spots[SLOT_PHYS_LIST].mode:
        if lists_add(d, plan, r, s.head_size, b) < 0:
            return -1
    if plan.spots[SLOT_VIRT_ADDR].mode:
        return pointer_add(d, plan, r, b)
    return 0


# A field that must be 0 is not: another event of the same name.
cdef inline bint is_another(const dat_decoder* d, const dat_plan* plan,
                            const uint8_t* r) noexcept nogil:
    cdef int slot
    for slot in range(SLOT_ZERO, SLOT_ZERO_TOO + 1):
        if plan.spots[slot].mode and number(d, &plan.spots[slot], r):
            return True
    return False


# The instance that first told of a device (and family of events) goes on telling.
cdef inline bint owner_is(dat_decoder* d, uint32_t device, uint8_t family,
                          uint16_t instance) noexcept nogil:
    cdef size_t at = <size_t>device * FAMILIES + family
    cdef size_t room
    cdef void* p
    if at >= d.owners_room:
        room = (at + 1) * 2
        p = realloc(d.owners, room * sizeof(uint16_t))
        if p == NULL:
            return True
        d.owners = <uint16_t*>p
        memset(d.owners + d.owners_room, 0, (room - d.owners_room) * sizeof(uint16_t))
        d.owners_room = <uint32_t>room
    if d.owners[at] == 0:
        d.owners[at] = instance + 1
    return d.owners[at] == instance + 1


cdef inline bint lists_fit(dat_decoder* d, const dat_plan* plan, const uint8_t* r,
                           uint32_t size) noexcept nogil:
    cdef const uint8_t* start
    cdef uint32_t bytes_
    cdef int slot
    if not plan.spots[SLOT_BUS_LIST].mode and not plan.spots[SLOT_PHYS_LIST].mode:
        return True
    for slot in range(SLOT_BUS_LIST, SLOT_PHYS_LIST + 1):
        if plan.spots[slot].mode and extent(d, &plan.spots[slot], r, size, &start, &bytes_) < 0:
            return False
    return True


cdef inline void scalars_fill(const dat_decoder* d, const dat_plan* plan, const uint8_t* r,
                              dv_event* e) noexcept nogil:
    cdef const dat_spot* f = &plan.spots[0]
    cdef uint64_t v
    cdef int64_t code
    if f[SLOT_BUS_ADDR].mode:
        e.bus_addr = number(d, &f[SLOT_BUS_ADDR], r)
        e.flags &= ~F_BUS_UNKNOWN
        if KIND_DMA_MAP <= e.kind <= KIND_DMA_FREE:
            if f[SLOT_BUS_ADDR].size == 4 and e.bus_addr >> 32 == 0 and e.bus_addr + 1 >> 32 == 1:
                e.bus_addr = ALL_ONES
            if e.bus_addr == ALL_ONES:
                e.flags |= F_FAILED
    elif f[SLOT_DMA_MASK].mode:
        e.bus_addr = number(d, &f[SLOT_DMA_MASK], r)
        e.flags &= ~F_BUS_UNKNOWN
    if f[SLOT_PHYS_ADDR].mode:
        e.phys_addr = number(d, &f[SLOT_PHYS_ADDR], r)
        e.flags &= ~F_PHYS_UNKNOWN
    elif f[SLOT_UNMAPPED].mode:
        e.phys_addr = number(d, &f[SLOT_UNMAPPED], r)
        e.flags &= ~F_PHYS_UNKNOWN
    if f[SLOT_LENGTH].mode:
        e.length = number(d, &f[SLOT_LENGTH], r)
        e.flags &= ~F_LENGTH_UNKNOWN
    if f[SLOT_PFN].mode:
        v = number(d, &f[SLOT_ORDER], r) if f[SLOT_ORDER].mode else 0
        e.phys_addr = number(d, &f[SLOT_PFN], r) << PAGE_SHIFT
        e.length = <uint64_t>1 << (PAGE_SHIFT + (v if v < ORDERS else 0))
        e.flags &= ~(F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN)
    if f[SLOT_DIRECTION].mode:
        v = number(d, &f[SLOT_DIRECTION], r)
        if v <= 3 or not plan.garbage:
            e.direction = <uint8_t>v if v < 255 else 255
            e.flags &= ~F_DIRECTION_UNKNOWN
    elif f[SLOT_FAULT_FLAGS].mode:
        v = number(d, &f[SLOT_FAULT_FLAGS], r)
        e.direction = DIR_FROM_DEVICE if v & 1 else DIR_TO_DEVICE
        e.flags &= ~F_DIRECTION_UNKNOWN
    elif f[SLOT_ACCESS].mode:
        e.direction = <uint8_t>number(d, &f[SLOT_ACCESS], r)
        e.flags &= ~F_DIRECTION_UNKNOWN
    if f[SLOT_SIDE].mode:
        v = number(d, &f[SLOT_SIDE], r)
        e.flags |= <uint16_t>((v + 1 if v < 2 else 0) << TYPE_SHIFT)
    if f[SLOT_OPCODE].mode:
        v = number(d, &f[SLOT_OPCODE], r)
        e.flags |= <uint16_t>(plan.opcodes[v] if v < 256 else 0) << TYPE_SHIFT
    if f[SLOT_ATTRS].mode:
        v = number(d, &f[SLOT_ATTRS], r)
        if v & ATTR_SKIP_SYNC:
            e.flags |= F_SKIP_SYNC
        if v & ATTR_MMIO:
            e.flags |= F_MMIO
    if f[SLOT_FORCE].mode and number(d, &f[SLOT_FORCE], r):
        e.flags |= F_FROM_MARK
    if f[SLOT_STATUS].mode:
        code = <int64_t>number(d, &f[SLOT_STATUS], r)
        e.status = <int16_t>code if -32768 <= code <= 32767 else -32768
    if f[SLOT_INTO].mode:
        e.status = 2 if number(d, &f[SLOT_INTO], r) == 0 else 1
    if plan.failed:
        e.flags |= F_FAILED
    if f[SLOT_OPERATION].mode:
        e.direction = DIR_FROM_DEVICE if number(d, &f[SLOT_OPERATION], r) else DIR_TO_DEVICE
        e.flags &= ~F_DIRECTION_UNKNOWN
        if e.kind == KIND_DEV_READ and e.direction == DIR_FROM_DEVICE:
            e.kind = KIND_DEV_WRITE
    if f[SLOT_OBJECT].mode:
        e.object = <uint32_t>number(d, &f[SLOT_OBJECT], r)


cdef inline uint64_t entry(const dat_decoder* d, const uint8_t* p, uint8_t size) noexcept nogil:
    return read8(d, p) if size == 8 else read4(d, p)


# The caller's full count, or what is stored where the event names none.
cdef inline uint32_t full_count(const dat_decoder* d, const dat_spot* f, const uint8_t* r,
                                uint32_t stored) noexcept nogil:
    cdef int64_t full = stored
    if f.mode:
        full = <int64_t>number(d, f, r)
    return stored if full < stored or full >> 32 != 0 else <uint32_t>full


cdef int lists_add(dat_decoder* d, const dat_plan* plan, const uint8_t* r, uint32_t size,
                   dv_batch* b) noexcept nogil:
    cdef const dat_spot* f = &plan.spots[0]
    cdef bint cut = f[SLOT_TRUNCATED].mode != 0 and number(d, &f[SLOT_TRUNCATED], r) != 0
    if f[SLOT_BUS_LIST].mode and bus_list_add(d, f, r, size, b, &cut) < 0:
        return -1
    if f[SLOT_PHYS_LIST].mode and phys_list_add(d, f, r, size, b, &cut) < 0:
        return -1
    if cut:
        b.rows[b.count - 1].flags |= F_TRUNCATED
    return 0


cdef int bus_list_add(dat_decoder* d, const dat_spot* f, const uint8_t* r, uint32_t size,
                      dv_batch* b, bint* cut) noexcept nogil:
    cdef dv_event* e = &b.rows[b.count - 1]
    cdef uint8_t wide = f[SLOT_BUS_LIST].element, narrow = f[SLOT_LENGTH_LIST].element
    cdef const uint8_t* at
    cdef const uint8_t* lengths = NULL
    cdef uint32_t count, i, some = 0
    cdef uint64_t sum = 0
    cdef dv_side* side
    cdef dv_entry* entries
    extent(d, &f[SLOT_BUS_LIST], r, size, &at, &count)
    count = count // wide
    if f[SLOT_LENGTH_LIST].mode:
        extent(d, &f[SLOT_LENGTH_LIST], r, size, &lengths, &some)
        some = some // narrow
    side = batch_side(b, SIDE_SG_BUS, count, full_count(d, &f[SLOT_FULL_BUS], r, count), 16)
    if side == NULL:
        return -1
    if side.full > count:
        cut[0] = True
    entries = <dv_entry*>(side + 1)
    for i in range(count):
        entries[i].address = entry(d, at + i * wide, wide)
        entries[i].length = entry(d, lengths + i * narrow, narrow) if i < some else ALL_ONES
        if i < some:
            sum += entries[i].length
    if count:
        e.bus_addr = entries[0].address
        e.flags &= ~F_BUS_UNKNOWN
    if count and some >= count:
        e.length = sum
        e.flags &= ~F_LENGTH_UNKNOWN
    return 0


cdef int phys_list_add(dat_decoder* d, const dat_spot* f, const uint8_t* r, uint32_t size,
                       dv_batch* b, bint* cut) noexcept nogil:
    cdef dv_event* e = &b.rows[b.count - 1]
    cdef uint8_t wide = f[SLOT_PHYS_LIST].element
    cdef const uint8_t* at
    cdef uint32_t count, i
    cdef dv_side* side
    cdef dv_entry* entries
    extent(d, &f[SLOT_PHYS_LIST], r, size, &at, &count)
    count = count // wide
    side = batch_side(b, SIDE_SG_PHYS, count, full_count(d, &f[SLOT_FULL_PHYS], r, count), 16)
    if side == NULL:
        return -1
    if side.full > count:
        cut[0] = True
    entries = <dv_entry*>(side + 1)
    for i in range(count):
        entries[i].address = entry(d, at + i * wide, wide)
        entries[i].length = ALL_ONES
    if count:
        e.phys_addr = entries[0].address
        e.flags &= ~F_PHYS_UNKNOWN
    return 0


cdef int pointer_add(dat_decoder* d, const dat_plan* plan, const uint8_t* r,
                     dv_batch* b) noexcept nogil:
    cdef uint64_t pointer = number(d, &plan.spots[SLOT_VIRT_ADDR], r)
    cdef dv_event* e = &b.rows[b.count - 1]
    cdef dv_side* side = batch_side(b, SIDE_CPU, 1, 1, 16)
    if side == NULL:
        return -1
    (<dv_entry*>(side + 1)).address = pointer
    if pointer == 0:
        e.flags |= F_NULL_CPU
        if e.kind == KIND_DMA_ALLOC:
            e.flags |= F_FAILED
    return 0
