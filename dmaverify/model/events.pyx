# cython: language_level=3
"""The packed event row, the batch of rows, and the builder that fills a batch.

A batch is what readers give and the engine takes: rows of 64 bytes, the place of each
row in its source, and a side pool for lists and texts.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset

from cpython.unicode cimport PyUnicode_AsUTF8AndSize

from dmaverify.model.kinds import (
    MAP_TYPE_SHIFT, UNKNOWN, Arg, EventKind, Flag, HcaValue, MapType,
)

cdef extern from *:
    """
    #define DV_ONE_CACHE_LINE(size) _Static_assert((size) == 64, "an event is one cache line")
    """
    void DV_ONE_CACHE_LINE(size_t size) noexcept nogil


cdef int batch_init(dv_batch* b, size_t capacity) noexcept nogil:
    DV_ONE_CACHE_LINE(sizeof(dv_event))
    memset(b, 0, sizeof(dv_batch))
    b.rows = <dv_event*>malloc(capacity * sizeof(dv_event))
    b.numbers = <dv_number*>malloc(capacity * sizeof(dv_number))
    b.side = <uint64_t*>malloc(capacity * sizeof(uint64_t))
    if b.rows == NULL or b.numbers == NULL or b.side == NULL:
        batch_deinit(b)
        return -1
    b.capacity = capacity
    b.side_capacity = capacity
    b.side_count = 1
    return 0


cdef void batch_deinit(dv_batch* b) noexcept nogil:
    free(b.rows)
    free(b.numbers)
    free(b.side)
    memset(b, 0, sizeof(dv_batch))


cdef void batch_clear(dv_batch* b) noexcept nogil:
    b.count = 0
    b.side_count = 1
    b.named = 0


cdef dv_event* batch_push(dv_batch* b) noexcept nogil:
    cdef size_t capacity
    cdef void* p
    if b.count == b.capacity:
        capacity = b.capacity * 2
        p = realloc(b.rows, capacity * sizeof(dv_event))
        if p == NULL:
            return NULL
        b.rows = <dv_event*>p
        p = realloc(b.numbers, capacity * sizeof(dv_number))
        if p == NULL:
            return NULL
        b.numbers = <dv_number*>p
        b.capacity = capacity
    memset(&b.rows[b.count], 0, sizeof(dv_event))
    memset(&b.numbers[b.count], 0, sizeof(dv_number))
    b.count += 1
    return &b.rows[b.count - 1]


cdef dv_side* batch_side(dv_batch* b, int tag, uint32_t stored, uint32_t full,
                         uint32_t bytes_per_entry) noexcept nogil:
    cdef size_t words = (<size_t>stored * bytes_per_entry + 7) >> 3
    cdef size_t needed = b.side_count + words + 2
    cdef size_t capacity = b.side_capacity
    cdef void* p
    cdef dv_side* s
    cdef dv_event* e = &b.rows[b.count - 1]
    cdef size_t at
    if needed >> 32:
        return NULL
    if needed > capacity:
        while capacity < needed:
            capacity *= 2
        p = realloc(b.side, capacity * sizeof(uint64_t))
        if p == NULL:
            return NULL
        b.side = <uint64_t*>p
        b.side_capacity = capacity
    if e.side == 0:
        e.side = <uint32_t>b.side_count
    else:
        at = e.side
        while True:
            s = <dv_side*>(b.side + at)
            if s.last:
                s.last = 0
                break
            at += 2 + s.words
    s = <dv_side*>(b.side + b.side_count)
    memset(s, 0, (words + 2) * sizeof(uint64_t))
    s.tag = <uint8_t>tag
    s.last = 1
    s.words = <uint32_t>words
    s.stored = stored
    s.full = full
    b.side_count = needed
    b.named += tag == SIDE_ARGS
    return s


class Event:
    """One event as a Python object, for people and tests; never used in bulk.

    Attributes have the names of the row's slots (`bus_addr`, `length`, ...); lists are
    tuples: `sg_bus` of (bus address, length), `sg_phys` of physical addresses, with
    `bus_full` and `phys_full` the full counts; `virt_addr` and `text` are None where
    the event has none; `args` is a tuple of (Arg, value), in the order of their numbers;
    `sges` of (address, length, key) and `hca` of (HcaValue, value), both None where there
    are none.
    """

    __slots__ = ("time", "bus_addr", "phys_addr", "length", "offset", "device", "object", "site",
                 "cpu", "status", "flags", "kind", "direction", "type", "record", "line",
                 "sg_bus", "sg_phys", "bus_full", "phys_full", "virt_addr", "text", "args", "sges",
                 "hca")

    def __init__(self, **values):
        for name in self.__slots__:
            setattr(self, name, values.get(name, () if name == "args" else None))

    def key(self):
        """Return everything but the place in the source, for comparison."""
        skip = ("offset", "record", "line")
        return tuple((n, getattr(self, n)) for n in self.__slots__ if n not in skip)

    def __eq__(self, other):
        return isinstance(other, Event) and self.key() == other.key()

    def __hash__(self):
        return hash(self.key())

    def __repr__(self):
        return "Event(" + ", ".join(f"{n}={getattr(self, n)!r}" for n in self.__slots__) + ")"


cdef object event_to_python(const dv_batch* b, const dv_event* e, const dv_number* n):
    cdef const dv_side* s
    cdef const dv_entry* entries
    cdef uint32_t i
    values = {
        "time": e.time, "bus_addr": e.bus_addr, "phys_addr": e.phys_addr, "length": e.length,
        "offset": e.offset, "device": e.device, "object": e.object, "site": e.site, "cpu": e.cpu,
        "status": e.status, "flags": Flag(e.flags & ((1 << MAP_TYPE_SHIFT) - 1)),
        "kind": EventKind(e.kind), "direction": e.direction, "type": event_type_of(e),
        "record": n.record, "line": n.line, "bus_full": 0, "phys_full": 0, "sg_bus": (),
        "sg_phys": (), "virt_addr": None, "text": None, "args": (), "sges": None, "hca": None,
    }
    s = event_side(b, e, SIDE_SG_BUS)
    if s != NULL:
        entries = side_entries(s)
        values["sg_bus"] = tuple([(entries[i].address, entries[i].length) for i in range(s.stored)])
        values["bus_full"] = s.full
    s = event_side(b, e, SIDE_SG_PHYS)
    if s != NULL:
        entries = side_entries(s)
        values["sg_phys"] = tuple([entries[i].address for i in range(s.stored)])
        values["phys_full"] = s.full
    s = event_side(b, e, SIDE_CPU)
    if s != NULL:
        values["virt_addr"] = side_entries(s)[0].address
    s = event_side(b, e, SIDE_TEXT)
    if s != NULL:
        values["text"] = (<const char*>side_entries(s))[:s.stored].decode("utf-8", "replace")
    s = event_side(b, e, SIDE_ARGS)
    if s != NULL:
        entries = side_entries(s)
        values["args"] = tuple([(Arg(entries[i].address), entries[i].length)
                                for i in range(s.stored)])
    s = event_side(b, e, SIDE_SGE)
    if s != NULL:
        entries = side_entries(s)
        values["sges"] = tuple([(entries[i].address, entries[i].length & 0xFFFFFFFF,
                                 entries[i].length >> 32) for i in range(s.stored)])
    s = event_side(b, e, SIDE_HCA)
    if s != NULL:
        entries = side_entries(s)
        values["hca"] = tuple([(HcaValue(entries[i].length), entries[i].address)
                               for i in range(s.stored)])
    return Event(**values)


cdef uint32_t pairs_in_order(args, uint64_t* ret) except? 0:
    """Put named numbers into ret, number and value in turn, in ascending order; return how many.

    Raises:
        ValueError: a number is no `Arg`, or stands there twice.
        OverflowError, TypeError: a value is not of 64 bits.
    """
    cdef uint32_t count = 0, at
    cdef uint64_t number, value
    for name, held in (args.items() if isinstance(args, dict) else args):
        number = name
        value = held
        at = count
        while at != 0 and ret[2 * at - 2] > number:
            at -= 1
        if number == 0 or number >= ARG_COUNT or (at != 0 and ret[2 * at - 2] == number):
            raise ValueError(f"{name!r} is no named number of an event, or is given twice")
        memmove(ret + 2 * at + 2, ret + 2 * at, (count - at) * 2 * sizeof(uint64_t))
        ret[2 * at] = number
        ret[2 * at + 1] = value
        count += 1
    return count


cdef object event_type_of(const dv_event* e):
    """Return the four high bits of a row's flags: of an HCA's event they are no MapType."""
    number = e.flags >> TYPE_SHIFT
    return MapType(number) if number <= TYPE_SGT else number


cdef object add_entries(EventBatch batch, int tag, list items):
    cdef dv_side* s
    cdef dv_entry* entries
    if not items:
        return
    s = batch_side(&batch.c, tag, len(items), len(items), 16)
    if s == NULL:
        raise MemoryError()
    entries = <dv_entry*>(s + 1)
    for i, item in enumerate(items):
        entries[i].address, entries[i].length = item


cdef class EventBatch:
    """Rows in the order of the trace, with their side pool.

    The buffer protocol gives the rows as bytes, shape (n, 64), read-only.
    """

    def __cinit__(self, size_t capacity=4096):
        if batch_init(&self.c, capacity if capacity > 16 else 16) < 0:
            raise MemoryError()

    def __dealloc__(self):
        batch_deinit(&self.c)

    def __len__(self):
        return self.c.count

    def __getitem__(self, Py_ssize_t i):
        """Return row i as an `Event`."""
        if i < 0:
            i += <Py_ssize_t>self.c.count
        if not 0 <= i < <Py_ssize_t>self.c.count:
            raise IndexError(i)
        return event_to_python(&self.c, &self.c.rows[i], &self.c.numbers[i])

    def rows(self):
        """Return a copy of the rows as bytes, 64 a row."""
        return (<const char*>self.c.rows)[:self.c.count * sizeof(dv_event)]

    def tally(self):
        """Return (rows of each kind, first and last time or None, highest CPU number).

        The rows of kind k are the k-th of a list; times are the least and the greatest that
        are known.
        """
        cdef size_t i
        cdef uint64_t counts[KIND_ROOM]
        cdef uint64_t first = <uint64_t>-1, last = 0
        cdef uint32_t cpu = 0
        cdef dv_event* e
        memset(counts, 0, sizeof(counts))
        with nogil:
            for i in range(self.c.count):
                e = &self.c.rows[i]
                counts[e.kind & (KIND_ROOM - 1)] += 1
                if e.cpu > cpu:
                    cpu = e.cpu
                if not e.flags & F_TIME_UNKNOWN:
                    if e.time < first:
                        first = e.time
                    if e.time > last:
                        last = e.time
        known = first <= last
        return ([counts[i] for i in range(KIND_ROOM)], first if known else None,
                last if known else None, cpu)

    def clear(self):
        """Forget all rows and keep the memory."""
        batch_clear(&self.c)

    def add(self, kind, *, time=None, bus_addr=None, phys_addr=None, length=None, offset=0,
            device=0, object=0, site=0, cpu=0, status=0, flags=0, direction=None, type=0,
            record=None, line=0, sg_bus=None, sg_phys=None, bus_full=None, phys_full=None,
            virt_addr=None, text=None, args=None, sges=None, hca=None):
        """Append one event; what is None is unknown and flagged so.

        Args:
            kind: an EventKind; the others are the attributes of `Event`. `args` may be a
                dictionary too; the numbers must fit 64 bits.

        Raises:
            MemoryError: no memory for the row.
            OverflowError, TypeError: a value does not fit its slot.
            ValueError: a named number of `args` is no `Arg`.
        """
        cdef dv_event* e
        cdef dv_side* s
        cdef dv_entry* entries
        cdef dv_event row
        cdef const char* words
        cdef Py_ssize_t size
        memset(&row, 0, sizeof(row))
        cdef int bits = flags
        if time is None:
            bits |= F_TIME_UNKNOWN
        if bus_addr is None:
            bits |= F_BUS_UNKNOWN
        if phys_addr is None:
            bits |= F_PHYS_UNKNOWN
        if length is None:
            bits |= F_LENGTH_UNKNOWN
        if direction is None:
            bits |= F_DIRECTION_UNKNOWN
        # A value that does not fit raises here, before there is a row to be left half made.
        row.kind = kind
        row.time = time or 0
        row.bus_addr = bus_addr or 0
        row.phys_addr = phys_addr or 0
        row.length = length or 0
        row.offset = offset
        row.device = device
        row.object = object
        row.site = site
        row.cpu = cpu
        row.status = status
        row.direction = direction or 0
        row.flags = bits | <int>type << TYPE_SHIFT
        cdef uint32_t number = 0 if record is None else record
        cdef uint32_t of_line = line
        cdef uint64_t virt = virt_addr or 0
        cdef uint64_t named[2 * ARG_COUNT]
        cdef uint32_t named_count = 0 if not args else pairs_in_order(args, named)
        e = batch_push(&self.c)
        if e == NULL:
            raise MemoryError()
        e[0] = row
        self.c.numbers[self.c.count - 1].record = self.c.count if record is None else number
        self.c.numbers[self.c.count - 1].line = of_line
        if sg_bus is not None:
            s = batch_side(&self.c, SIDE_SG_BUS, len(sg_bus),
                           len(sg_bus) if bus_full is None else bus_full, 16)
            if s == NULL:
                raise MemoryError()
            entries = <dv_entry*>(s + 1)
            for i, item in enumerate(sg_bus):
                entries[i].address, entries[i].length = item
        if sg_phys is not None:
            s = batch_side(&self.c, SIDE_SG_PHYS, len(sg_phys),
                           len(sg_phys) if phys_full is None else phys_full, 16)
            if s == NULL:
                raise MemoryError()
            entries = <dv_entry*>(s + 1)
            for i, item in enumerate(sg_phys):
                entries[i].address, entries[i].length = item, UNKNOWN
        if virt_addr is not None:
            s = batch_side(&self.c, SIDE_CPU, 1, 1, 16)
            if s == NULL:
                raise MemoryError()
            (<dv_entry*>(s + 1)).address = virt
        if sges:
            add_entries(self, SIDE_SGE, [(a, n | k << 32) for a, n, k in sges])
        if hca:
            add_entries(self, SIDE_HCA, [(value, int(what)) for what, value in hca])
        if text is not None:
            if not text.isascii():
                text = text.encode("utf-8", "replace").decode("utf-8")  # no half of a pair
            words = PyUnicode_AsUTF8AndSize(text, &size)
            s = batch_side(&self.c, SIDE_TEXT, size, size, 1)
            if s == NULL:
                raise MemoryError()
            memcpy(s + 1, words, size)
        if named_count:
            s = batch_side(&self.c, SIDE_ARGS, named_count, named_count, 16)
            if s == NULL:
                raise MemoryError()
            memcpy(s + 1, named, named_count * sizeof(dv_entry))
