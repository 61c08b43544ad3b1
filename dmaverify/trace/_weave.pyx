# cython: language_level=3
"""Put the rows of a packet capture between those of a trace, by time or by key."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, qsort, realloc

from dmaverify.model.events cimport (
    EventBatch, F_TIME_UNKNOWN, KIND_HCA_ACCESS, KIND_HCA_VERDICT, KIND_LOST,
    batch_clear, dv_batch, dv_event,
)
from dmaverify.trace._keyed cimport KeyScout, key_change
from dmaverify.trace._rows cimport other_put, pool_copied, row_put

cdef enum:
    ROWS = 65536             # of a batch

DONE = 0
HUNGRY = 1
FULL = 2

cdef enum:
    IS_DONE = 0
    IS_HUNGRY = 1
    IS_FULL = 2
    NO_MEMORY = -1


cdef class Weaver:
    """Merges a trace and a capture, a batch of either at a time.

    A packet that comes as near to a change of its key as the clocks may be wrong is left out:
    nobody knows which was first.

    Args:
        keys: has seen the whole trace.
        host: number of the address, among the capture's, whose keys the trace has; 0 for all.
        device: number of the trace's device where a key is not one of the trace's.
        mark: bit of an offset that says: of the capture.

    Attributes:
        out: the batch that is filled.
        near: requests left out because their key changes at about that time.
        outside: requests before or after the recording.
        foreign: requests to other addresses.
        joined: requests that were put in, or would be.
    """

    cdef KeyScout keys
    cdef readonly EventBatch out
    cdef EventBatch trace
    cdef EventBatch packets
    cdef size_t at
    cdef size_t packet
    cdef uint32_t host
    cdef uint32_t device
    cdef uint32_t record
    cdef uint64_t mark
    cdef bint ended          # the capture has no more
    cdef int64_t base_other
    cdef int64_t base_trace
    cdef double rate
    cdef uint64_t doubt
    cdef double drift
    cdef int64_t near_first
    cdef int64_t near_last
    cdef uint64_t first
    cdef uint64_t last
    cdef readonly uint64_t near
    cdef readonly uint64_t outside
    cdef readonly uint64_t foreign
    cdef readonly uint64_t joined

    def __init__(self, KeyScout keys not None, uint32_t host, uint32_t device, uint64_t mark):
        self.keys = keys
        self.out = EventBatch(4096)
        self.host = host
        self.device = device
        self.mark = mark
        self.ended = False
        self.record = 1
        self.trace = self.packets = None
        self.first = keys.first or 0
        self.last = keys.last or 0

    def set_clock(self, int64_t base_other, int64_t base_trace, double rate, uint64_t doubt,
                  double drift, int64_t near_first, int64_t near_last):
        """Say how to turn the capture's times into the trace's.

        Args:
            base_other, base_trace: one moment by both clocks, ns.
            rate: how much faster the trace's clock runs, as a share.
            doubt: how far a time may be off at the moments that are known, ns.
            drift: how much that grows away from them, as a share of the time between.
            near_first, near_last: the moments that are known, by the capture's clock.
        """
        self.base_other = base_other
        self.base_trace = base_trace
        self.rate = rate
        self.doubt = doubt
        self.drift = drift
        self.near_first = near_first
        self.near_last = near_last

    def begin(self, EventBatch batch not None):
        """Take the trace's next batch."""
        self.trace = batch
        self.at = 0
        self.again()

    def again(self):
        """Empty the result, to go on with the same batch of the trace."""
        batch_clear(&self.out.c)
        if pool_copied(&self.out.c, &self.trace.c) < 0:
            raise MemoryError()

    def feed(self, EventBatch batch):
        """Take the capture's next batch, None at its end."""
        self.packets = batch
        self.packet = 0
        self.ended = batch is None

    def weave(self):
        """Fill `out`. Return DONE, HUNGRY (for the capture's next batch) or FULL."""
        cdef const dv_batch* packets = NULL if self.packets is None else &self.packets.c
        cdef int how
        with nogil:
            how = self.work(&self.trace.c, packets)
        if how == NO_MEMORY:
            raise MemoryError()
        return how

    cdef int work(self, const dv_batch* trace, const dv_batch* packets) noexcept nogil:
        cdef dv_batch* out = &self.out.c
        cdef uint64_t time = 0
        while self.at < trace.count:
            if out.count >= ROWS:
                return IS_FULL
            if trace.rows[self.at].flags & F_TIME_UNKNOWN == 0:
                while not self.ended:
                    if packets == NULL or self.packet >= packets.count:
                        return IS_HUNGRY
                    if not self.place(&packets.rows[self.packet], &time):
                        self.packet += 1
                        continue
                    if time >= trace.rows[self.at].time:
                        break
                    if self.add(packets, time) < 0:
                        return NO_MEMORY
                    if out.count >= ROWS:
                        return IS_FULL
            if row_put(out, trace, self.at) < 0:
                return NO_MEMORY
            self.record = trace.numbers[self.at].record
            self.at += 1
        return IS_DONE

    cdef int add(self, const dv_batch* packets, uint64_t time) noexcept nogil:
        cdef dv_event* e
        if other_put(&self.out.c, packets, self.packet, self.record,
                     packets.numbers[self.packet].record) < 0:
            return -1
        e = &self.out.c.rows[self.out.c.count - 1]
        e.time = time
        e.device = self.keys.device_or(e.object, self.device)
        e.offset |= self.mark
        self.packet += 1
        self.joined += e.kind == KIND_HCA_ACCESS
        return 0

    cdef bint wanted(self, const dv_event* e) noexcept nogil:
        """Tell whether a row is about the trace's HCA; the capture's losses are not its own."""
        if e.kind == KIND_LOST:
            return False
        if self.host != 0 and e.device != self.host:
            self.foreign += e.kind == KIND_HCA_ACCESS
            return False
        return True

    cdef bint place(self, const dv_event* e, uint64_t* ret) noexcept nogil:
        """Find the time of a packet by the trace's clock; False where it has no place."""
        cdef int64_t since = <int64_t>e.time - self.base_other, time, away = 0
        cdef uint64_t doubt
        if not self.wanted(e):
            return False
        if e.flags & F_TIME_UNKNOWN:
            self.outside += e.kind == KIND_HCA_ACCESS
            return False
        time = self.base_trace + since + <int64_t>(<double>since * self.rate)
        if time < <int64_t>self.first or time > <int64_t>self.last:
            self.outside += e.kind == KIND_HCA_ACCESS
            return False
        if <int64_t>e.time < self.near_first:
            away = self.near_first - <int64_t>e.time
        elif <int64_t>e.time > self.near_last:
            away = <int64_t>e.time - self.near_last
        doubt = self.doubt + <uint64_t>(<double>away * self.drift)
        if e.object != 0 and self.keys.changes(
                e.object, <uint64_t>time - doubt if <uint64_t>time > doubt else 0,
                <uint64_t>time + doubt):
            self.near += e.kind == KIND_HCA_ACCESS
            return False
        ret[0] = <uint64_t>time
        return True


cdef struct dv_place:
    uint32_t key
    uint32_t row


cdef int by_key(const void* a, const void* b) noexcept nogil:
    cdef const dv_place* x = <const dv_place*>a
    cdef const dv_place* y = <const dv_place*>b
    if x.key != y.key:
        return 1 if x.key > y.key else -1
    return 1 if x.row > y.row else -1


cdef class KeyWeaver:
    """Puts packets behind the registration of their key, where no clock tells when they were.

    Only keys that are given once in the whole trace count: of those it is known which region
    they name, and not whether it was still there.

    Args:
        keys: has seen the whole trace.
        host, device, mark: as of `Weaver`.
        most: rows that are kept.

    Attributes:
        out: the batch that is filled.
        unplaced: requests by keys that the trace does not give, or gives several times.
        foreign, joined: as of `Weaver`.
        left_out: requests beyond what is kept.
    """

    cdef KeyScout keys
    cdef readonly EventBatch out
    cdef EventBatch kept
    cdef dv_place* places
    cdef size_t count
    cdef size_t most
    cdef uint32_t host
    cdef uint32_t device
    cdef uint64_t mark
    cdef readonly uint64_t unplaced
    cdef readonly uint64_t foreign
    cdef readonly uint64_t joined
    cdef readonly uint64_t left_out

    def __cinit__(self):
        self.places = NULL

    def __init__(self, KeyScout keys not None, uint32_t host, uint32_t device, uint64_t mark,
                 size_t most):
        self.keys = keys
        self.out = EventBatch(4096)
        self.kept = EventBatch(4096)
        self.host = host
        self.device = device
        self.mark = mark
        self.most = most

    def __dealloc__(self):
        free(self.places)

    def keep(self, EventBatch batch not None):
        """Take a batch of the capture."""
        cdef const dv_batch* b = &batch.c
        cdef dv_event* e
        cdef size_t i
        cdef int failed = 0
        with nogil:
            for i in range(b.count):
                if b.rows[i].kind != KIND_HCA_ACCESS and b.rows[i].kind != KIND_HCA_VERDICT:
                    continue
                if self.host != 0 and b.rows[i].device != self.host:
                    self.foreign += b.rows[i].kind == KIND_HCA_ACCESS
                elif self.keys.made(b.rows[i].object) != 1:
                    self.unplaced += b.rows[i].kind == KIND_HCA_ACCESS
                elif self.kept.c.count >= self.most:
                    self.left_out += b.rows[i].kind == KIND_HCA_ACCESS
                elif other_put(&self.kept.c, b, i, b.numbers[i].record, 0) < 0:
                    failed = 1
                    break
                else:
                    e = &self.kept.c.rows[self.kept.c.count - 1]
                    e.device = self.keys.device_or(e.object, self.device)
                    e.offset |= self.mark
                    e.flags |= F_TIME_UNKNOWN
                    e.time = 0
                    self.joined += e.kind == KIND_HCA_ACCESS
        if failed:
            raise MemoryError()

    def ready(self):
        """Put what was kept in the order of keys; call it after the last batch."""
        cdef size_t i
        cdef void* p = realloc(self.places, (self.kept.c.count + 1) * sizeof(dv_place))
        if p == NULL:
            raise MemoryError()
        self.places = <dv_place*>p
        self.count = self.kept.c.count
        for i in range(self.count):
            self.places[i].key = self.kept.c.rows[i].object
            self.places[i].row = <uint32_t>i
        with nogil:
            if self.count != 0:
                qsort(self.places, self.count, sizeof(dv_place), by_key)

    def merge(self, EventBatch batch not None):
        """Return a batch with the trace's rows, each registration followed by its packets."""
        cdef int failed
        with nogil:
            failed = self.work(&batch.c)
        if failed < 0:
            raise MemoryError()
        return self.out

    cdef int work(self, const dv_batch* b) noexcept nogil:
        cdef dv_batch* out = &self.out.c
        cdef uint32_t key = 0, other = 0
        cdef size_t i
        batch_clear(out)
        if pool_copied(out, b) < 0:
            return -1
        for i in range(b.count):
            if row_put(out, b, i) < 0:
                return -1
            if key_change(&b.rows[i], &key, &other) != 1:
                continue
            if self.add(key, b.numbers[i].record) < 0:
                return -1
            if other != 0 and other != key and self.add(other, b.numbers[i].record) < 0:
                return -1
        return 0

    cdef int add(self, uint32_t key, uint32_t record) noexcept nogil:
        cdef size_t low = 0, high = self.count, middle
        while low < high:
            middle = (low + high) // 2
            if self.places[middle].key < key:
                low = middle + 1
            else:
                high = middle
        while low < self.count and self.places[low].key == key:
            if other_put(&self.out.c, &self.kept.c, self.places[low].row, record,
                         self.kept.c.numbers[self.places[low].row].record) < 0:
                return -1
            low += 1
        return 0
