# cython: language_level=3
"""A look at a whole trace beforehand, for when its keys change and what peers ask it for."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort, realloc

from dmaverify.model.events cimport (
    EventBatch, F_BUS_UNKNOWN, F_FAILED, F_PHYS_UNKNOWN, F_TIME_UNKNOWN, HCA_REMOTE_ADDR,
    HCA_REMOTE_KEY, KIND_BIND_MW, KIND_DEREG_MR, KIND_FAST_REG_MR, KIND_HCA_ACCESS,
    KIND_INVALIDATE_MR, KIND_POST_SEND, KIND_REG_MR, KIND_REG_MR_END, KIND_REREG_MR, SIDE_HCA,
    dv_batch, dv_entry, dv_event, dv_side, event_side, event_type, side_entries,
)

from array import array

from dmaverify.trace.events import MAX_DEVICES

cdef enum:
    ASKED_MAX = 65536        # requests that are remembered
    CHANGES_MAX = 1 << 24
    SIDE_LOCAL = 1


cdef int key_change(const dv_event* e, uint32_t* key, uint32_t* other) noexcept nogil:
    key[0] = e.object
    other[0] = 0
    if e.object == 0 or e.flags & F_FAILED:
        return -1
    if e.kind == KIND_REG_MR_END:
        if e.status < 0:
            return -1
        other[0] = <uint32_t>e.phys_addr if not e.flags & F_PHYS_UNKNOWN else 0
        return 1
    if e.kind == KIND_REG_MR or e.kind == KIND_REREG_MR or e.kind == KIND_FAST_REG_MR or \
            e.kind == KIND_BIND_MW:
        return 1
    return 0 if e.kind == KIND_DEREG_MR or e.kind == KIND_INVALIDATE_MR else -1


cdef int by_key(const void* a, const void* b) noexcept nogil:
    cdef const dv_change* x = <const dv_change*>a
    cdef const dv_change* y = <const dv_change*>b
    if x.key != y.key:
        return 1 if x.key > y.key else -1
    return 1 if x.number > y.number else -1


cdef object posted(const dv_batch* b, const dv_event* e, list asked):
    cdef const dv_side* s = event_side(b, e, SIDE_HCA)
    cdef const dv_entry* entries
    cdef uint32_t i
    key = address = None
    if s == NULL:
        return
    entries = side_entries(s)
    for i in range(s.stored):
        if entries[i].length == HCA_REMOTE_KEY:
            key = entries[i].address
        elif entries[i].length == HCA_REMOTE_ADDR:
            address = entries[i].address
    if key is not None and address is not None:
        asked.append((key, address, e.time))


cdef object look_for_requests(const dv_batch* b, list asked):
    cdef const dv_event* e
    cdef size_t i
    for i in range(b.count):
        e = &b.rows[i]
        if e.flags & F_TIME_UNKNOWN or len(asked) >= ASKED_MAX:
            continue
        if e.kind == KIND_HCA_ACCESS and e.object != 0 and not e.flags & F_BUS_UNKNOWN and \
                event_type(e) != SIDE_LOCAL:
            asked.append((e.object, e.bus_addr, e.time))
        elif e.kind == KIND_POST_SEND and e.side != 0:
            posted(b, e, asked)


cdef class KeyScout:
    """Looks through a trace for its keys.

    Attributes:
        whole: False where there were too many changes to remember.
        timed: False where a change of a key has no time.
        first, last: the span of the clock, None where no event has a time.
        asked: (key, address, time) of what the trace says itself that a peer asks, or asks a
            peer for; the first of many.
    """

    def __cinit__(self):
        self.items = NULL
        self.count = self.capacity = 0

    def __init__(self):
        self.whole = self.timed = True
        self.first = self.last = None
        self.asked = []

    def __dealloc__(self):
        free(self.items)

    cdef int add(self, uint32_t key, const dv_event* e, uint32_t made) noexcept nogil:
        cdef void* p
        cdef dv_change* x
        if self.count == self.capacity:
            p = realloc(self.items, (self.capacity * 2 + 256) * sizeof(dv_change))
            if p == NULL:
                return -1
            self.items = <dv_change*>p
            self.capacity = self.capacity * 2 + 256
        x = &self.items[self.count]
        self.count += 1
        x.time = e.time
        x.key = key
        x.device = e.device
        x.number = <uint32_t>self.count
        x.made = made
        return 0

    def scan(self, EventBatch batch not None):
        """Look through a batch."""
        cdef dv_batch* b = &batch.c
        cdef const dv_event* e
        cdef uint64_t low = <uint64_t>-1, high = 0
        cdef uint32_t key = 0, other = 0
        cdef size_t i
        cdef int made, failed = 0
        cdef bint untimed = False
        with nogil:
            for i in range(b.count):
                e = &b.rows[i]
                if not e.flags & F_TIME_UNKNOWN:
                    low = e.time if e.time < low else low
                    high = e.time if e.time > high else high
                made = key_change(e, &key, &other)
                if made >= 0 and self.count < CHANGES_MAX:
                    failed |= self.add(key, e, made)
                    if other != 0 and other != key:
                        failed |= self.add(other, e, made)
                    untimed |= e.flags & F_TIME_UNKNOWN != 0
        if failed:
            raise MemoryError()
        if self.count >= CHANGES_MAX:
            self.whole = False
        if untimed:
            self.timed = False
        if low <= high:
            self.first = low if self.first is None else min(low, self.first)
            self.last = high if self.last is None else max(high, self.last)
        if len(self.asked) < ASKED_MAX:
            look_for_requests(b, self.asked)

    def ready(self):
        """Put what was seen in order; call it after the last batch."""
        with nogil:
            if self.count != 0:
                qsort(self.items, self.count, sizeof(dv_change), by_key)

    cdef size_t find(self, uint32_t key) noexcept nogil:
        cdef size_t low = 0, high = self.count, middle
        while low < high:
            middle = (low + high) // 2
            if self.items[middle].key < key:
                low = middle + 1
            else:
                high = middle
        return low

    cdef bint changes(self, uint32_t key, uint64_t low, uint64_t high) noexcept nogil:
        cdef size_t a = self.find(key), b, middle, end = a
        b = self.count if key == <uint32_t>-1 else self.find(key + 1)
        end = b
        # The times of one key rise, but for lines that were written out of order.
        while a < b:
            middle = (a + b) // 2
            if self.items[middle].time < low:
                a = middle + 1
            else:
                b = middle
        return a < end and self.items[a].time <= high

    cdef uint32_t made(self, uint32_t key) noexcept nogil:
        cdef size_t i = self.find(key)
        cdef uint32_t n = 0
        while i < self.count and self.items[i].key == key and n < 2:
            n += self.items[i].made
            i += 1
        return n

    cdef uint32_t device_or(self, uint32_t key, uint32_t other) noexcept nogil:
        cdef size_t i = self.find(key)
        return self.items[i].device if i < self.count and self.items[i].key == key else other

    def count_made(self, uint32_t key):
        """Return how often a region got a key: 0, 1, or 2 for more."""
        return self.made(key)

    def device_of(self, uint32_t key):
        """Return the number of the device whose region had a key, None where none had it."""
        cdef size_t i = self.find(key)
        if i < self.count and self.items[i].key == key:
            return self.items[i].device
        return None

    def devices(self):
        """Return the numbers of the devices that have keys."""
        cdef size_t i
        return {self.items[i].device for i in range(self.count)}

    def __len__(self):
        return self.count


cdef struct dv_asked:
    uint64_t time
    uint64_t address
    uint32_t key
    uint32_t device


cdef class RequestScout:
    """Looks through a capture for whom peers ask, by which keys.

    Args:
        keys: has seen the whole trace, and is ready.

    Attributes:
        first, last: the span of the clock, None where no packet has a time.
    """

    cdef KeyScout keys
    cdef uint64_t[::1] requests
    cdef uint64_t[::1] known
    cdef dv_asked* sample
    cdef size_t count
    cdef readonly object first
    cdef readonly object last

    def __cinit__(self):
        self.sample = NULL

    def __init__(self, KeyScout keys not None):
        self.keys = keys
        self.requests = array("Q", bytes(8 * (MAX_DEVICES + 2)))
        self.known = array("Q", bytes(8 * (MAX_DEVICES + 2)))
        self.sample = <dv_asked*>malloc(ASKED_MAX * sizeof(dv_asked))
        if self.sample == NULL:
            raise MemoryError()
        self.first = self.last = None

    def __dealloc__(self):
        free(self.sample)

    def scan(self, EventBatch batch not None):
        """Look through a batch."""
        cdef const dv_batch* b = &batch.c
        cdef const dv_event* e
        cdef uint64_t low = <uint64_t>-1, high = 0
        cdef size_t i
        cdef bint known
        with nogil:
            for i in range(b.count):
                e = &b.rows[i]
                if e.kind != KIND_HCA_ACCESS:
                    continue
                known = self.keys.made(e.object) != 0
                self.requests[e.device] += 1
                self.known[e.device] += known
                if e.flags & F_TIME_UNKNOWN:
                    continue
                low = e.time if e.time < low else low
                high = e.time if e.time > high else high
                if known and self.count < ASKED_MAX:
                    self.sample[self.count].time = e.time
                    self.sample[self.count].address = e.bus_addr
                    self.sample[self.count].key = e.object
                    self.sample[self.count].device = e.device
                    self.count += 1
        if low <= high:
            self.first = low if self.first is None else min(low, self.first)
            self.last = high if self.last is None else max(high, self.last)

    def votes(self):
        """Return, for each address that is asked, (its requests, those by keys of the trace)."""
        cdef size_t i
        return {i: (self.requests[i], self.known[i]) for i in range(self.requests.shape[0])
                if self.requests[i]}

    def asked(self, uint32_t device):
        """Return (key, address, time) of the first requests to an address, 0 for any."""
        cdef size_t i
        return [(self.sample[i].key, self.sample[i].address, self.sample[i].time)
                for i in range(self.count) if device == 0 or self.sample[i].device == device]
