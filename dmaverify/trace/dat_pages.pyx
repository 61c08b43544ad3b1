# cython: language_level=3
"""Walk the ring-buffer pages of several CPUs in order of time.

Linux Documentation/trace/ring-buffer-design.rst and `include/linux/ring_buffer.h`. A stream
is the pages of one CPU of one instance, given a chunk at a time; decoding never reads
outside its chunk.
"""

from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from dmaverify.model.events cimport EventBatch, dv_batch
from dmaverify.trace._names cimport names_deinit, names_init
from dmaverify.trace.dat_core cimport *
from dmaverify.trace.dat_rows cimport record_use, stream_over

from dmaverify.trace.events import MAX_DEVICES, OTHER_DEVICES

cdef enum:
    TYPE_PADDING = 29
    TYPE_EXTEND = 30
    TYPE_STAMP = 31
    COMMIT_MASK = 0x07FFFFFF
    MISSED_STORED = 0x40000000       # RB_MISSED_STORED, kernel/trace/ring_buffer.c

cdef uint64_t ABSOLUTE_TOP = 0xF800000000000000ULL
cdef uint32_t MISSED = 0x80000000U   # RB_MISSED_EVENTS


# Go to the stream's next page. Returns 0 when the chunk has no more.
cdef int page_open(dat_decoder* d, dat_stream* s) noexcept nogil:
    cdef const dat_layout* layout = &d.layout
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
    if here < layout.data_offset:
        d.damaged += 1
        return 1
    s.clock = read8(d, p + layout.time_offset)
    if layout.commit_size == 8:
        word = read8(d, p + layout.commit_offset)
        commit = <uint32_t>word
    else:
        commit = read4(d, p + layout.commit_offset)
    used = commit & COMMIT_MASK
    if layout.data_offset + used > s.page_size:
        d.damaged += 1
        note_missed(s, -1, p)
        return 1
    if commit & MISSED:
        note_missed(s, stored_missed(d, p, layout.data_offset + used, here, commit), p)
    if layout.data_offset + used > here:
        d.damaged += 1
        used = here - layout.data_offset
    s.at = p + layout.data_offset
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


# --- the Python side --------------------------------------------------------------------

cdef class PageDecoder:
    """Owns the streams of one file; gives rows in order of time.

    Args:
        big: True where the file is big-endian.
        layout: (time offset, commit offset, commit size, data offset) of a page.
        type_spot, pid_spot: (mode, offset, size) of the fields that all events share.
        clock: (multiplier, shift, offset) from the page's clock to the row's time;
            multiplier 0 leaves the clock as it is.
    """

    cdef dat_decoder c
    cdef list _chunks
    cdef list _texts
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
        self._texts = []
        if names_init(&self.c.names, MAX_DEVICES) < 0:
            raise MemoryError()

    def __dealloc__(self):
        names_deinit(&self.c.names)
        free(self.c.owners)
        free(self.c.texts)
        free(self.c.plans)
        free(self.c.streams)
        free(self.c.heap)

    def set_texts(self, dict texts):
        """Take the kernel's texts (bytes) by address, for marks that name them. Call it once."""
        cdef bytes text
        if self.c.texts != NULL or not texts:
            return
        self.c.texts = <dat_text*>calloc(len(texts), sizeof(dat_text))
        if self.c.texts == NULL:
            raise MemoryError()
        for address in sorted(texts):
            text = texts[address]
            self._texts.append(text)
            self.c.texts[self.c.text_count].address = address
            self.c.texts[self.c.text_count].text = text
            self.c.texts[self.c.text_count].size = <uint32_t>len(text)
            self.c.text_count += 1

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
                 bint garbage, list spots, dict opcodes=None):
        """Add how records of an event id become rows.

        Args:
            spots: a (slot, mode, offset, size, element) each.
            opcodes: what numbers of the slot OPCODE mean.
        """
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
        for code, opcode in (opcodes or {}).items():
            plan.opcodes[<uint8_t>code] = opcode
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
        """Add rows to the batch; 0: at the end, 1: at the limit, 2: `hungry` needs a chunk.

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
            "other_devices": self.c.names.refused,
        }

    def add_devices(self, list known):
        """Append to `known` the device names that it lacks, in the order of their numbers."""
        cdef uint32_t i
        cdef dv_names* n = &self.c.names
        for i in range(<uint32_t>len(known) - 1, n.count):
            known.append(n.bytes[n.starts[i]:n.starts[i + 1]].decode("utf-8", "replace"))
        if n.refused and len(known) == n.count + 1:
            known.append(OTHER_DEVICES)
