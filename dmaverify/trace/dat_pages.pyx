# cython: language_level=3
"""Decode ring-buffer pages of several CPUs into rows, merged by time.

Linux Documentation/trace/ring-buffer-design.rst and `include/linux/ring_buffer.h` for
the entries, `include/trace/stages/` for `__data_loc` and `__rel_loc`.
"""

from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from dmaverify.model.events cimport (
    DIR_FROM_DEVICE, DIR_TO_DEVICE, EventBatch, F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_FAILED,
    F_FROM_MARK, F_LENGTH_UNKNOWN, F_MMIO, F_NULL_CPU, F_PHYS_UNKNOWN, F_SKIP_SYNC, F_TRUNCATED,
    KIND_BOUNCE, KIND_DMA_ALLOC, KIND_DMA_FREE, KIND_DMA_MAP, KIND_DRIVER_BOUND,
    KIND_DRIVER_UNBOUND, KIND_LOST, KIND_MARK, SIDE_CPU, SIDE_SG_BUS, SIDE_SG_PHYS, SIDE_TEXT,
    TYPE_SHIFT, batch_push, batch_side, dv_batch, dv_entry, dv_event, dv_side,
)

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static inline uint64_t dat_scale(uint64_t v, uint64_t m, uint32_t s) {
        return (uint64_t)(((unsigned __int128)v * m) >> s);
    }
    static inline uint16_t dat_swap2(uint16_t v) { return __builtin_bswap16(v); }
    static inline uint32_t dat_swap4(uint32_t v) { return __builtin_bswap32(v); }
    static inline uint64_t dat_swap8(uint64_t v) { return __builtin_bswap64(v); }
    """
    uint64_t dat_scale(uint64_t v, uint64_t m, uint32_t s) noexcept nogil
    uint16_t dat_swap2(uint16_t v) noexcept nogil
    uint32_t dat_swap4(uint32_t v) noexcept nogil
    uint64_t dat_swap8(uint64_t v) noexcept nogil


cdef enum:
    MAX_DEVICES = 65536
    MAX_NAME = 255
    FAMILIES = 5
    TYPE_PADDING = 29
    TYPE_EXTEND = 30
    TYPE_STAMP = 31
    COMMIT_MASK = 0x07FFFFFF
    MISSED_STORED = 0x40000000       # RB_MISSED_STORED, kernel/trace/ring_buffer.c

cdef uint64_t ALL_ONES = 0xFFFFFFFFFFFFFFFFULL
cdef uint64_t ABSOLUTE_TOP = 0xF800000000000000ULL
cdef uint32_t MISSED = 0x80000000U   # RB_MISSED_EVENTS
cdef uint64_t ATTR_SKIP_SYNC = 0x20  # DMA_ATTR_SKIP_CPU_SYNC, include/linux/dma-mapping.h
cdef uint64_t ATTR_MMIO = 0x400      # DMA_ATTR_MMIO


# --- numbers ----------------------------------------------------------------------------

cdef inline uint16_t read2(const dat_decoder* d, const uint8_t* p) noexcept nogil:
    cdef uint16_t v
    memcpy(&v, p, 2)
    return dat_swap2(v) if d.swap else v


cdef inline uint32_t read4(const dat_decoder* d, const uint8_t* p) noexcept nogil:
    cdef uint32_t v
    memcpy(&v, p, 4)
    return dat_swap4(v) if d.swap else v


cdef inline uint64_t read8(const dat_decoder* d, const uint8_t* p) noexcept nogil:
    cdef uint64_t v
    memcpy(&v, p, 8)
    return dat_swap8(v) if d.swap else v


# The record has all bytes of its spots: plan.least is compared first.
cdef inline uint64_t number(const dat_decoder* d, const dat_spot* f, const uint8_t* r) noexcept nogil:
    cdef const uint8_t* p = r + f.offset
    if f.size == 8:
        return read8(d, p)
    if f.size == 4:
        return <uint64_t><int64_t><int>read4(d, p) if f.mode == MODE_SIGNED else read4(d, p)
    if f.size == 2:
        return <uint64_t><int64_t><short>read2(d, p) if f.mode == MODE_SIGNED else read2(d, p)
    return <uint64_t><int64_t><signed char>p[0] if f.mode == MODE_SIGNED else p[0]


# Find the bytes of a list or text. Returns -1 where they lie outside the record.
cdef inline int extent(const dat_decoder* d, const dat_spot* f, const uint8_t* r, uint32_t size,
                       const uint8_t** start, uint32_t* ret) noexcept nogil:
    cdef uint64_t at = f.offset, count = f.size
    cdef uint32_t word
    if f.mode == MODE_DATA_LOC or f.mode == MODE_REL_LOC:
        word = read4(d, r + f.offset)
        count = word >> 16
        at = (word & 0xFFFF) + (<uint64_t>f.offset + 4 if f.mode == MODE_REL_LOC else 0)
    elif f.mode == MODE_TAIL:
        count = size - f.offset
    start[0] = r
    ret[0] = 0
    if at + count > size:
        return -1
    start[0] = r + at
    ret[0] = <uint32_t>count
    return 0


cdef inline uint32_t text_length(const uint8_t* p, uint32_t size) noexcept nogil:
    cdef uint32_t n = 0
    while n < size and p[n] != 0:
        n += 1
    return n


# --- device names -----------------------------------------------------------------------

cdef int names_grow(dat_names* n) noexcept nogil:
    cdef uint32_t room = n.room * 2 if n.room else 64
    cdef uint32_t i, at
    cdef void* p = realloc(n.texts, room * sizeof(char*))
    if p == NULL:
        return -1
    n.texts = <char**>p
    p = realloc(n.sizes, room)
    if p == NULL:
        return -1
    n.sizes = <uint8_t*>p
    p = calloc(room * 2, sizeof(uint32_t))
    if p == NULL:
        return -1
    free(n.table)
    n.table = <uint32_t*>p
    n.mask = room * 2 - 1
    n.room = room
    for i in range(1, n.count + 1):
        at = name_hash(<const uint8_t*>n.texts[i], n.sizes[i]) & n.mask
        while n.table[at] != 0:
            at = (at + 1) & n.mask
        n.table[at] = i
    return 0


cdef inline uint32_t name_hash(const uint8_t* p, uint32_t size) noexcept nogil:
    cdef uint32_t h = 2166136261U, i
    for i in range(size):
        h = (h ^ p[i]) * 16777619U
    return h ^ (h >> 15)


# Return the number of a name, 0 where there are too many or it is too long, -1 without memory.
cdef int64_t name_number(dat_names* n, const uint8_t* p, uint32_t size) noexcept nogil:
    cdef uint32_t at, i
    cdef char* text
    if size > MAX_NAME or size == 0:
        return 0
    if n.count + 1 >= n.room and names_grow(n) < 0:
        return -1
    at = name_hash(p, size) & n.mask
    while n.table[at] != 0:
        i = n.table[at]
        if n.sizes[i] == size and memcmp(n.texts[i], p, size) == 0:
            return i
        at = (at + 1) & n.mask
    if n.count == MAX_DEVICES - 1:
        return 0
    text = <char*>malloc(size)
    if text == NULL:
        return -1
    memcpy(text, p, size)
    n.count += 1
    n.texts[n.count] = text
    n.sizes[n.count] = <uint8_t>size
    n.table[at] = n.count
    return n.count


# --- pages and entries ------------------------------------------------------------------

# Go to the stream's next page. Returns 0 when the chunk has no more.
cdef int page_open(dat_decoder* d, dat_stream* s) noexcept nogil:
    cdef const dat_layout* l = &d.layout
    cdef const uint8_t* p = s.chunk + s.page
    cdef size_t here = s.size - s.page, used
    cdef uint64_t word
    cdef uint32_t commit
    if here == 0:
        return 0
    if here > s.page_size:
        here = s.page_size
    s.page += here
    s.at = s.end = p
    if here < l.data_offset:
        d.damaged += 1
        return 1
    s.clock = read8(d, p + l.time_offset)
    if l.commit_size == 8:
        word = read8(d, p + l.commit_offset)
        commit = <uint32_t>word
    else:
        commit = read4(d, p + l.commit_offset)
    used = commit & COMMIT_MASK
    if l.data_offset + used > s.page_size:
        d.damaged += 1
        note_missed(s, -1, p)
        return 1
    if commit & MISSED:
        note_missed(s, stored_missed(d, p, l.data_offset + used, here, commit), p)
    if l.data_offset + used > here:
        d.damaged += 1
        used = here - l.data_offset
    s.at = p + l.data_offset
    s.end = s.at + used
    return 1


cdef inline int64_t stored_missed(const dat_decoder* d, const uint8_t* p, size_t at, size_t here,
                                  uint32_t commit) noexcept nogil:
    cdef uint32_t size = d.layout.commit_size
    cdef uint64_t count
    if not commit & MISSED_STORED or at + size > here:
        return -1
    count = read8(d, p + at) if size == 8 else read4(d, p + at)
    return <int64_t>count if 0 < count < (1ull << 48) else -1


cdef inline void note_missed(dat_stream* s, int64_t count, const uint8_t* page) noexcept nogil:
    s.missed_at = s.where + <uint64_t>(page - s.chunk)
    s.missed = -1 if count < 0 or s.missed < 0 else s.missed + count


# What cannot be an entry ends its page: whatever follows is lost.
cdef inline void page_spoilt(dat_decoder* d, dat_stream* s) noexcept nogil:
    d.damaged += 1
    note_missed(s, -1, s.at)
    s.at = s.end


# Find the stream's next record. Returns 1, or 0 when the chunk has no more.
cdef int stream_next(dat_decoder* d, dat_stream* s) noexcept nogil:
    cdef uint32_t word, kind, delta
    cdef uint64_t size, left, wide
    while True:
        left = <uint64_t>(s.end - s.at)
        if left < 4:
            if page_open(d, s) == 0:
                return 0
            continue
        word = read4(d, s.at)
        kind = word >> 27 if d.big else word & 31
        delta = word & 0x7FFFFFF if d.big else word >> 5
        if 1 <= kind <= 28:
            size = 4 + kind * 4
            if size > left:
                page_spoilt(d, s)
                continue
            s.clock += delta
            s.head = s.at + 4
            s.head_size = <uint32_t>size - 4
            s.at += size
            return 1
        if kind == TYPE_PADDING and delta == 0:
            s.at = s.end
            continue
        if left < 8:
            page_spoilt(d, s)
            continue
        wide = read4(d, s.at + 4)
        if kind == TYPE_EXTEND:
            s.clock += (wide << 27) + delta
            s.at += 8
        elif kind == TYPE_STAMP:
            # 59 bits are stored; the others are those of the time before.
            s.clock = (s.clock & ABSOLUTE_TOP) | (((wide << 27) + delta) & ~ABSOLUTE_TOP)
            s.at += 8
        else:
            size = 4 + ((wide + 3) & ~<uint64_t>3)
            if size > left or wide < 4:
                page_spoilt(d, s)
                continue
            s.clock += delta
            if kind == 0:
                s.head = s.at + 8
                s.head_size = <uint32_t>wide - 4
                s.at += size
                return 1
            s.at += size


# --- the streams in order of time -------------------------------------------------------

cdef inline bint earlier(const dat_decoder* d, uint32_t a, uint32_t b) noexcept nogil:
    cdef uint64_t x = d.streams[a].clock, y = d.streams[b].clock
    return x < y or (x == y and a < b)


cdef void heap_down(dat_decoder* d) noexcept nogil:
    cdef uint32_t at = 0, child, mine = d.heap[0]
    while True:
        child = at * 2 + 1
        if child >= d.heap_count:
            break
        if child + 1 < d.heap_count and earlier(d, d.heap[child + 1], d.heap[child]):
            child += 1
        if not earlier(d, d.heap[child], mine):
            break
        d.heap[at] = d.heap[child]
        at = child
    d.heap[at] = mine


cdef void heap_add(dat_decoder* d, uint32_t mine) noexcept nogil:
    cdef uint32_t at = d.heap_count, above
    d.heap_count += 1
    while at > 0:
        above = (at - 1) // 2
        if not earlier(d, mine, d.heap[above]):
            break
        d.heap[at] = d.heap[above]
        at = above
    d.heap[at] = mine


# Ask stream `i` for its next record: 1 has one, 0 has ended, -1 needs a chunk first.
cdef inline int stream_ask(dat_decoder* d, uint32_t i) noexcept nogil:
    if stream_next(d, &d.streams[i]):
        return 1
    if d.streams[i].chunk == NULL and d.hungry == <int64_t>i:
        d.hungry = -1  # it was fed nothing: there is nothing more
        return 0
    d.hungry = i
    return -1


cdef int decode(dat_decoder* d, dv_batch* b, size_t limit) noexcept nogil:
    cdef int got
    while d.primed < d.stream_count:
        got = stream_ask(d, d.primed)
        if got < 0:
            return DAT_HUNGRY
        d.hungry = -1
        if got:
            heap_add(d, d.primed)
        elif stream_over(d, &d.streams[d.primed], b) < 0:
            return DAT_NO_MEMORY
        d.primed += 1
    while True:
        if d.advance:
            got = stream_ask(d, d.heap[0])
            if got < 0:
                return DAT_HUNGRY
            d.hungry = -1
            if got == 0:
                if stream_over(d, &d.streams[d.heap[0]], b) < 0:
                    return DAT_NO_MEMORY
                d.heap_count -= 1
                d.heap[0] = d.heap[d.heap_count]
            if d.heap_count > 1:
                heap_down(d)
            d.advance = False
        if d.heap_count == 0:
            return DAT_END
        if b.count >= limit:
            return DAT_FULL
        if record_use(d, &d.streams[d.heap[0]], b) < 0:
            return DAT_NO_MEMORY
        d.advance = True


# --- rows -------------------------------------------------------------------------------

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


cdef int lost_add(dat_decoder* d, dat_stream* s, dv_batch* b, int64_t count, uint64_t offset) noexcept nogil:
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
    if size < d.layout.type.offset + d.layout.type.size or size < d.layout.pid.offset + d.layout.pid.size:
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
    cdef int64_t device = 0
    cdef dv_event* e
    if plan.spots[SLOT_DEVICE].mode != MODE_ABSENT:
        if extent(d, &plan.spots[SLOT_DEVICE], r, s.head_size, &start, &size) < 0:
            d.damaged += 1
            return 0
        size = text_length(start, size)
        device = name_number(&d.names, start, size)
        if device < 0:
            return -1
        if device == 0 and size:
            d.crowded += 1
            return 0
    if not lists_fit(d, plan, r, s.head_size):
        d.damaged += 1
        return 0
    if d.several and plan.family and not owner_is(d, <uint32_t>device, plan.family, s.instance):
        d.duplicates += 1
        return 0
    e = row_add(d, s, b)
    if e == NULL:
        return -1
    e.kind = plan.kind
    e.device = <uint32_t>device
    e.offset = s.where + <uint64_t>(r - s.chunk)
    e.site = <uint32_t>number(d, &d.layout.pid, r)
    e.flags |= plan.type << TYPE_SHIFT
    if plan.kind == KIND_MARK:
        return mark_fill(d, plan, s, b)
    scalars_fill(d, plan, r, e)
    if plan.spots[SLOT_BUS_LIST].mode or plan.spots[SLOT_PHYS_LIST].mode:
        if lists_add(d, plan, r, s.head_size, b) < 0:
            return -1
    if plan.spots[SLOT_VIRT_ADDR].mode:
        return pointer_add(d, plan, r, b)
    return 0


# The instance that first told of a device (and family of events) goes on telling.
cdef inline bint owner_is(dat_decoder* d, uint32_t device, uint8_t family, uint16_t instance) noexcept nogil:
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


cdef inline bint lists_fit(dat_decoder* d, const dat_plan* plan, const uint8_t* r, uint32_t size) noexcept nogil:
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
    if f[SLOT_DIRECTION].mode:
        v = number(d, &f[SLOT_DIRECTION], r)
        if v <= 3 or not plan.garbage:
            e.direction = <uint8_t>v if v < 255 else 255
            e.flags &= ~F_DIRECTION_UNKNOWN
    elif f[SLOT_FAULT_FLAGS].mode:
        v = number(d, &f[SLOT_FAULT_FLAGS], r)
        e.direction = DIR_FROM_DEVICE if v & 1 else DIR_TO_DEVICE
        e.flags &= ~F_DIRECTION_UNKNOWN
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
    if plan.failed:
        e.flags |= F_FAILED


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


cdef int pointer_add(dat_decoder* d, const dat_plan* plan, const uint8_t* r, dv_batch* b) noexcept nogil:
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


# --- marks ------------------------------------------------------------------------------

# Return where the word ends that starts at `at`, and put where the next one starts.
cdef uint32_t word_end(const uint8_t* p, uint32_t size, uint32_t at, uint32_t* next_) noexcept nogil:
    cdef uint32_t end = at
    while end < size and p[end] > 32:
        end += 1
    next_[0] = end
    while next_[0] < size and p[next_[0]] <= 32:
        next_[0] += 1
    return end


# Tell what a mark says: DRIVER_BOUND or DRIVER_UNBOUND and the device's name, or MARK.
cdef int mark_kind(const uint8_t* p, uint32_t size, uint32_t* start, uint32_t* end) noexcept nogil:
    cdef uint32_t at = 0, second, third, stop
    while at < size and p[at] <= 32:
        at += 1
    stop = word_end(p, size, at, &second)
    if stop - at != 10 or memcmp(p + at, <const char*>"dmaverify:", 10) != 0:
        return KIND_MARK
    stop = word_end(p, size, second, &third)
    start[0] = third
    end[0] = word_end(p, size, third, &at)
    if end[0] == third:
        return KIND_MARK
    if stop - second == 4 and memcmp(p + second, <const char*>"bind", 4) == 0:
        return KIND_DRIVER_BOUND
    if stop - second == 10 and memcmp(p + second, <const char*>"unbind-end", 10) == 0:
        return KIND_DRIVER_UNBOUND
    return KIND_MARK


cdef int mark_fill(dat_decoder* d, const dat_plan* plan, dat_stream* s, dv_batch* b) noexcept nogil:
    cdef const uint8_t* text = s.head
    cdef uint32_t size = 0
    if plan.spots[SLOT_TEXT].mode == MODE_TAIL or plan.spots[SLOT_TEXT].mode == MODE_DATA_LOC \
            or plan.spots[SLOT_TEXT].mode == MODE_FIXED or plan.spots[SLOT_TEXT].mode == MODE_REL_LOC:
        if extent(d, &plan.spots[SLOT_TEXT], s.head, s.head_size, &text, &size) < 0:
            size = 0
            d.damaged += 1
        size = text_length(text, size)
    return mark_tell(d, text, size, b)


# Fill the last row with what a mark's text says.
cdef int mark_tell(dat_decoder* d, const uint8_t* text, uint32_t size, dv_batch* b) noexcept nogil:
    cdef dv_event* e = &b.rows[b.count - 1]
    cdef uint32_t start = 0, end = 0
    cdef int kind
    cdef int64_t device
    cdef dv_side* side
    while size and (text[size - 1] == 10 or text[size - 1] == 13):
        size -= 1
    kind = mark_kind(text, size, &start, &end)
    if kind != KIND_MARK:
        device = name_number(&d.names, text + start, end - start)
        if device < 0:
            return -1
        if device:
            e.kind = <uint8_t>kind
            e.device = <uint32_t>device
            e.flags |= F_FROM_MARK
            return 0
    side = batch_side(b, SIDE_TEXT, size, size, 1)
    if side == NULL:
        return -1
    memcpy(side + 1, text, size)
    return 0


# --- the Python side --------------------------------------------------------------------

cdef class PageDecoder:
    """Owns the streams of one file; see dat_pages.pxd for what it does and does not do.

    Args:
        big: True where the file is big-endian.
        layout: (time offset, commit offset, commit size, data offset) of a page.
        type_spot, pid_spot: (mode, offset, size) of the fields that all events share.
        clock: (multiplier, shift, offset) from the page's clock to the row's time;
            multiplier 0 leaves the clock as it is.
    """

    cdef dat_decoder c
    cdef list _chunks
    cdef uint32_t _named
    cdef uint32_t _planned

    def __cinit__(self, bint big, tuple layout, tuple type_spot, tuple pid_spot, tuple clock):
        import sys

        memset(&self.c, 0, sizeof(dat_decoder))
        memset(self.c.plan_of, 0xFF, sizeof(self.c.plan_of))
        self.c.big = big
        self.c.swap = big != (sys.byteorder == "big")
        (self.c.layout.time_offset, self.c.layout.commit_offset, self.c.layout.commit_size,
         self.c.layout.data_offset) = layout
        self.c.layout.type.mode, self.c.layout.type.offset, self.c.layout.type.size = type_spot
        self.c.layout.pid.mode, self.c.layout.pid.offset, self.c.layout.pid.size = pid_spot
        self.c.multiplier, self.c.shift, self.c.offset = clock
        self.c.hungry = -1
        self._chunks = []
        if names_grow(&self.c.names) < 0:
            raise MemoryError()

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(1, self.c.names.count + 1):
            free(self.c.names.texts[i])
        free(self.c.names.texts)
        free(self.c.names.sizes)
        free(self.c.names.table)
        free(self.c.owners)
        free(self.c.plans)
        free(self.c.streams)
        free(self.c.heap)

    def add_stream(self, uint16_t cpu, uint16_t instance, uint32_t page_size):
        """Add the pages of one CPU; on equal times, streams added earlier come first."""
        cdef uint32_t n = self.c.stream_count
        cdef void* p = realloc(self.c.streams, (n + 1) * sizeof(dat_stream))
        if p == NULL:
            raise MemoryError()
        self.c.streams = <dat_stream*>p
        p = realloc(self.c.heap, (n + 1) * sizeof(uint32_t))
        if p == NULL:
            raise MemoryError()
        self.c.heap = <uint32_t*>p
        memset(&self.c.streams[n], 0, sizeof(dat_stream))
        self.c.streams[n].cpu = cpu
        self.c.streams[n].instance = instance
        self.c.streams[n].page_size = page_size
        self.c.several = self.c.several or instance != 0
        self.c.stream_count = n + 1
        self._chunks.append(None)

    def add_plan(self, uint16_t event, uint8_t kind, uint8_t type, uint8_t family, bint failed,
                 bint garbage, list spots):
        """Add how records of an event id become rows; `spots` are (slot, mode, offset, size, element)."""
        cdef void* p = realloc(self.c.plans, (self._planned + 1) * sizeof(dat_plan))
        cdef dat_plan* plan
        cdef int slot
        if p == NULL:
            raise MemoryError()
        self.c.plans = <dat_plan*>p
        plan = &self.c.plans[self._planned]
        memset(plan, 0, sizeof(dat_plan))
        plan.kind, plan.type, plan.family = kind, type, family
        plan.failed, plan.garbage = failed, garbage
        for slot, mode, offset, size, element in spots:
            if not 0 < slot < SLOT_COUNT:
                raise ValueError(slot)
            plan.spots[slot].mode, plan.spots[slot].element = mode, element
            plan.spots[slot].offset, plan.spots[slot].size = offset, size
            plan.least = max(plan.least, offset + size)
        self.c.plan_of[event] = <int16_t>self._planned
        self._planned += 1

    def feed(self, uint32_t stream, bytes chunk, uint64_t where):
        """Give a stream its next chunk, whole pages; an empty one says that there are no more."""
        cdef dat_stream* s
        if stream >= self.c.stream_count:
            raise IndexError(stream)
        s = &self.c.streams[stream]
        self._chunks[stream] = chunk
        s.chunk = <const uint8_t*><const char*>chunk if chunk else NULL
        s.size = len(chunk)
        s.page = 0
        s.at = s.end = s.head = s.chunk
        s.where = where

    def decode(self, EventBatch batch not None, size_t limit):
        """Add rows to the batch; return 0 at the end, 1 at the limit, 2 where `hungry` needs a chunk.

        Raises:
            MemoryError: no memory for the rows.
        """
        cdef int result
        with nogil:
            result = decode(&self.c, &batch.c, limit)
        if result < 0:
            raise MemoryError()
        return result

    @property
    def hungry(self):
        """Return the number of the stream that needs its next chunk."""
        return self.c.hungry

    @property
    def counts(self):
        """Return what was counted so far, by name."""
        return {
            "records": self.c.records, "skipped": self.c.skipped, "lost": self.c.lost,
            "unsized": self.c.unsized, "damaged": self.c.damaged, "duplicates": self.c.duplicates,
            "crowded": self.c.crowded,
        }

    def new_devices(self):
        """Return the device names that were numbered since the last call, in that order."""
        cdef uint32_t i
        found = []
        for i in range(self._named + 1, self.c.names.count + 1):
            found.append(self.c.names.texts[i][:self.c.names.sizes[i]].decode("utf-8", "replace"))
        self._named = self.c.names.count
        return found
