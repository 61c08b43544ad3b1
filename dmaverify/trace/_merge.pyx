# cython: language_level=3
"""The work of merging: a look at a whole trace beforehand, and rows put in by time."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.model.events cimport (
    EventBatch, F_BUS_UNKNOWN, F_FAILED, F_FROM_MARK, F_LENGTH_UNKNOWN, F_TIME_UNKNOWN,
    F_TRUNCATED, KIND_CLOCK_SYNC,
    KIND_DEV_ACCESS, KIND_DEV_READ, KIND_DEV_START, KIND_DMA_ALLOC, KIND_DMA_MAP, SIDE_SG_BUS,
    batch_clear, device_writes, dv_batch, dv_entry, dv_event, dv_side, event_side, kind_of_hca,
    side_entries,
)
from dmaverify.trace._rows cimport other_put, pool_copied, row_put

from array import array

cdef enum:
    DEVICES = 4096           # devices whose mappings are looked at
    TRANSFERS = 4096         # transfers that are remembered
    SYNCS = 65536
    STEPS = 1 << 28          # pages that are marked, all in all

cdef uint64_t PAGE = 4096


cdef class Scout:
    """Looks through a trace for what another log is joined by.

    Args:
        pages: page numbers, sorted, whose mappings count.

    Attributes:
        syncs: (number, time in ns, device, 1 where it is the second of a pair) in order.
        transfers: (device, bus address, length, writes) of accesses that the trace tells.
        truncated: numbers of the devices with a list that the recorder cut.
        whole: False where there was too much to look at: then an unmarked page proves nothing.
        telling: numbers of the devices whose accesses the trace tells.
        first, last: the span of the clock, None where no event has a time.
    """

    cdef readonly list syncs
    cdef readonly list transfers
    cdef readonly set telling
    cdef readonly set truncated
    cdef readonly bint whole
    cdef uint64_t steps
    cdef readonly object first
    cdef readonly object last
    cdef object pages
    cdef dict seen
    cdef uint64_t low
    cdef uint64_t high

    def __init__(self, pages):
        self.pages = array("Q", pages)
        self.seen = {}
        self.syncs = []
        self.transfers = []
        self.telling = set()
        self.truncated = set()
        self.whole = True
        self.steps = 0
        self.first = self.last = None

    def scan(self, EventBatch batch not None):
        """Look through a batch."""
        cdef dv_batch* b = &batch.c
        cdef dv_event* e
        cdef size_t i
        cdef uint64_t low = <uint64_t>-1, high = 0
        for i in range(b.count):
            e = &b.rows[i]
            if not e.flags & F_TIME_UNKNOWN:
                low = e.time if e.time < low else low
                high = e.time if e.time > high else high
            if e.kind == KIND_DMA_MAP or e.kind == KIND_DMA_ALLOC:
                if e.device >= DEVICES:
                    self.whole = False
                elif len(self.pages) != 0 and not e.flags & F_FAILED:
                    self.mapped(b, e)
            elif e.kind == KIND_CLOCK_SYNC:
                if len(self.syncs) < SYNCS and not e.flags & F_TIME_UNKNOWN:
                    self.syncs.append((e.object, e.time, e.device, e.status))
            elif KIND_DEV_READ <= e.kind <= KIND_DEV_START or e.kind == KIND_DEV_ACCESS:
                if len(self.transfers) < TRANSFERS:
                    self.transfers.append((e.device, e.bus_addr, e.length, device_writes(e)))
                self.telling.add(e.device)
        if low <= high:
            self.first = low if self.first is None else min(low, self.first)
            self.last = high if self.last is None else max(high, self.last)

    cdef mapped(self, dv_batch* b, const dv_event* e):
        cdef const dv_side* s = event_side(b, e, SIDE_SG_BUS) if e.side != 0 else NULL
        cdef const dv_entry* entries
        cdef uint32_t i
        if e.flags & F_TRUNCATED:
            self.truncated.add(e.device)
        marks = self.seen.get(e.device)
        if marks is None:
            marks = self.seen[e.device] = bytearray(len(self.pages))
        if s != NULL:
            entries = side_entries(s)
            for i in range(s.stored):
                self.mark(marks, entries[i].address, entries[i].length)
        elif not e.flags & (F_BUS_UNKNOWN | F_LENGTH_UNKNOWN):
            self.mark(marks, e.bus_addr, e.length)

    cdef mark(self, unsigned char[::1] marks, uint64_t start, uint64_t length):
        cdef const unsigned long long[::1] pages = self.pages
        cdef size_t low = 0, high = pages.shape[0], middle
        cdef uint64_t last
        if length == 0 or length > <uint64_t>-1 - start:
            return
        last = (start + length - 1) // PAGE
        start //= PAGE
        while low < high:
            middle = (low + high) // 2
            if pages[middle] < start:
                low = middle + 1
            else:
                high = middle
        while low < <size_t>pages.shape[0] and pages[low] <= last:
            if self.steps > STEPS:
                self.whole = False
                return
            self.steps += 1
            marks[low] = 1
            low += 1

    def mapped_pages(self):
        """Return, for each device, the pages of `pages` that were mapped for it."""
        return {device: {p for p, m in zip(self.pages, marks) if m}
                for device, marks in self.seen.items()}


cdef inline uint64_t place_of(const dv_event* e) noexcept nogil:
    """Return when an access comes: when every event that may have been before it has come.

    What the trace tells itself is not judged, and comes at its time.
    """
    if e.flags & F_FROM_MARK or kind_of_hca(e.kind):
        return e.time
    return e.time + <uint64_t>(e.status if e.status > 0 else 0) * 1000


cdef class Merger:
    """Puts rows of other sources between those of a trace.

    Args:
        others: the rows, in the order of their places; their side records have words only.
    """

    cdef EventBatch others
    cdef readonly EventBatch out
    cdef size_t at
    cdef uint32_t record

    def __init__(self, EventBatch others not None):
        self.others = others
        self.out = EventBatch(4096)
        self.at = 0
        self.record = 1

    def merge(self, EventBatch batch not None):
        """Return a batch with the rows of the trace's batch, and those that come between.

        The result is reused by the next call. A row of another source has the record number
        of the trace's event before it, and the line of its own file.
        """
        cdef int failed
        with nogil:
            failed = self.weave(&batch.c)
        if failed < 0:
            raise MemoryError()
        return self.out

    cdef int weave(self, const dv_batch* b) noexcept nogil:
        cdef dv_batch* out = &self.out.c
        cdef const dv_batch* others = &self.others.c
        cdef size_t i
        batch_clear(out)
        if pool_copied(out, b) < 0:
            return -1
        for i in range(b.count):
            while self.at < others.count and not b.rows[i].flags & F_TIME_UNKNOWN and \
                    not others.rows[self.at].flags & F_TIME_UNKNOWN and \
                    place_of(&others.rows[self.at]) < b.rows[i].time:
                if other_put(out, others, self.at, self.record,
                             others.numbers[self.at].line) < 0:
                    return -1
                self.at += 1
            if row_put(out, b, i) < 0:
                return -1
            self.record = b.numbers[i].record
        return 0

    def rest(self):
        """Return a batch with the rows that come after the trace's last."""
        cdef dv_batch* out = &self.out.c
        cdef const dv_batch* others = &self.others.c
        batch_clear(out)
        while self.at < others.count:
            if other_put(out, others, self.at, self.record, others.numbers[self.at].line) < 0:
                raise MemoryError()
            self.at += 1
        return self.out
