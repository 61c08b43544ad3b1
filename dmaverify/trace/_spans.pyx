# cython: language_level=3
"""When given pages were mapped in a trace, and from which event to which."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.model.events cimport (
    EventBatch, F_BUS_UNKNOWN, F_FAILED, F_LENGTH_UNKNOWN, F_PHYS_UNKNOWN, F_TIME_UNKNOWN,
    F_TRUNCATED, KIND_DMA_ALLOC, KIND_DMA_FREE, KIND_DMA_MAP, KIND_DMA_UNMAP, SIDE_SG_BUS, dv_batch,
    dv_entry, dv_event, dv_side, event_side, side_entries,
)

from array import array

cdef enum:
    SPANS = 65536            # mappings that are remembered

cdef uint64_t PAGE = 4096


cdef class SpanScout:
    """Looks through a trace for the mappings of some pages.

    Args:
        pages: page numbers, sorted.

    Attributes:
        spans: [device, first address, bytes, time made, time ended or None, record, line] of each
            mapping, or piece of a list, that has one of the pages; in the order of the trace.
        cut: device -> [time made, time ended or None] of each list that the recorder cut.
        first: time of the first event that has one.
        whole: False where there were more than are remembered.
    """

    cdef readonly list spans
    cdef readonly dict cut
    cdef readonly bint whole
    cdef readonly object first
    cdef object pages
    cdef dict open_cut       # (device, physical address of a cut list's first entry) -> its spans
    cdef dict open_at        # (device, address) -> spans, oldest first
    cdef dict open_by        # (device, physical address of a list's first entry) -> groups

    def __init__(self, pages):
        self.pages = array("Q", pages)
        self.spans = []
        self.cut = {}
        self.open_cut = {}
        self.first = None
        self.whole = True
        self.open_at = {}
        self.open_by = {}

    def scan(self, EventBatch batch not None):
        """Look through a batch."""
        cdef const dv_batch* b = &batch.c
        cdef const dv_event* e
        cdef size_t i
        for i in range(b.count):
            e = &b.rows[i]
            if e.flags & F_TIME_UNKNOWN or e.kind < KIND_DMA_MAP or e.kind > KIND_DMA_FREE:
                continue
            if self.first is None:
                self.first = e.time
            if e.flags & F_FAILED:
                continue
            if e.kind == KIND_DMA_MAP or e.kind == KIND_DMA_ALLOC:
                self.made(b, e, i)
            elif e.kind == KIND_DMA_UNMAP or e.kind == KIND_DMA_FREE:
                self.ended(e)

    cdef bint wanted(self, uint64_t start, uint64_t length):
        cdef const unsigned long long[::1] pages = self.pages
        cdef size_t low = 0, high = pages.shape[0], middle
        cdef uint64_t last
        if length == 0 or length > <uint64_t>-1 - start or high == 0:
            return False
        last = (start + length - 1) // PAGE
        start //= PAGE
        while low < high:
            middle = (low + high) // 2
            if pages[middle] < start:
                low = middle + 1
            else:
                high = middle
        return low < <size_t>pages.shape[0] and pages[low] <= last

    cdef object made(self, const dv_batch* b, const dv_event* e, size_t i):
        cdef const dv_side* s = event_side(b, e, SIDE_SG_BUS) if e.side != 0 else NULL
        cdef const dv_entry* entries
        cdef uint32_t k
        if e.flags & F_TRUNCATED:
            cut = [e.time, None]
            if len(self.cut.setdefault(e.device, [])) < SPANS:
                self.cut[e.device].append(cut)
                self.open_cut.setdefault((e.device, e.phys_addr), []).append(cut)
        if s == NULL:
            if not e.flags & (F_BUS_UNKNOWN | F_LENGTH_UNKNOWN) and \
                    self.wanted(e.bus_addr, e.length):
                span = self.add(b, e, i, e.bus_addr, e.length)
                if span is not None:
                    self.open_at.setdefault((e.device, e.bus_addr), []).append([span])
            return
        entries = side_entries(s)
        group = []
        for k in range(s.stored):
            if self.wanted(entries[k].address, entries[k].length):
                span = self.add(b, e, i, entries[k].address, entries[k].length)
                if span is not None:
                    group.append(span)
        if group and not e.flags & F_PHYS_UNKNOWN:
            self.open_by.setdefault((e.device, e.phys_addr), []).append(group)

    cdef object add(self, const dv_batch* b, const dv_event* e, size_t i, uint64_t start,
                    uint64_t length):
        if len(self.spans) >= SPANS:
            self.whole = False
            return None
        span = [e.device, start, length, e.time, None, b.numbers[i].record, b.numbers[i].line]
        self.spans.append(span)
        return span

    cdef object ended(self, const dv_event* e):
        if not e.flags & F_BUS_UNKNOWN:
            table, key = self.open_at, (e.device, e.bus_addr)
        elif not e.flags & F_PHYS_UNKNOWN:
            table, key = self.open_by, (e.device, e.phys_addr)
        else:
            return
        cuts = self.open_cut.get(key) if table is self.open_by else None
        if cuts:
            cuts.pop(0)[1] = e.time
        groups = table.get(key)
        if not groups:
            return
        for span in groups.pop(0):
            span[4] = e.time
