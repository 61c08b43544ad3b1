# cython: language_level=3
"""The scanner: lines of a printed trace in, rows out, without the interpreter."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memset

from dmaverify.model.events cimport (
    EventBatch, F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN, F_PHYS_UNKNOWN,
    F_TIME_UNKNOWN, KIND_LOST, KIND_MARK, batch_push, dv_batch, dv_event,
)
from dmaverify.trace._chars cimport is_digit, read_decimal, skip_spaces, starts
from dmaverify.trace._fields cimport (
    KEYS_MAX, ROW_ANOTHER, ROW_MADE, SHAPE_DEVICE, SHAPE_KEYS, SHAPE_MARK, SPECS_MAX, add_word,
    dv_spec, dv_tables, dv_word, find_spec, make_row,
)
from dmaverify.trace._head cimport (
    CLOCK_NONE, CLOCK_TICKS, LAYOUT_BARE, LAYOUT_DASH, LAYOUT_PERF, dv_head,
    dv_layout, learn_layout, read_head,
)
from dmaverify.trace._names cimport dv_names, names_deinit, names_init, names_number

from dmaverify.model.fields import event_has_device
from dmaverify.model.kinds import Arg, EventKind
from dmaverify.model.routines import ARG_WORDS
from dmaverify.trace.events import HEX_FIELDS, MAX_DEVICES, OTHER_DEVICES

cdef enum:
    LINE_MAX = 1 << 20       # bytes; what is longer is no event
    OWNERS = 1 << 20         # (device, family) -> instance: more than devices << 3

cdef enum:
    TALLY_OVERRUN = 0        # events overwritten before the first one, by the header
    TALLY_RAW = 1            # lines of the `raw` trace option
    TALLY_OTHER = 2          # lines that are nothing known
    TALLY_GARBLED = 3        # event lines of a known name without the fields it needs
    TALLY_LONG = 4
    TALLY_TWICE = 5          # events of a second instance
    TALLIES = 6

cdef struct dv_scan:
    dv_tables tables
    dv_names devices
    dv_names instances
    dv_layout layout
    uint64_t records
    uint64_t lines
    uint64_t skipped
    uint64_t lost
    uint64_t matched         # records that became rows
    uint64_t tally[TALLIES]
    uint8_t* owners          # by device << 3 | family: instance, 0 = none yet
    uint8_t bare             # lines without a head are events
    uint8_t ticks
    uint8_t padded           # event names are padded as trace-cmd pads them


cdef int _lost(dv_scan* s, dv_batch* batch, uint64_t offset, uint64_t cpu, uint64_t count,
               bint known, bint before) noexcept nogil:
    cdef dv_event* e = batch_push(batch)
    if e == NULL:
        return -1
    e.kind = KIND_LOST
    e.cpu = <uint16_t>cpu
    e.offset = offset
    e.flags = F_BUS_UNKNOWN | F_PHYS_UNKNOWN | F_DIRECTION_UNKNOWN | F_TIME_UNKNOWN
    if known:
        e.length = count
        s.lost += count
    else:
        e.flags |= F_LENGTH_UNKNOWN
    e.status = before
    batch.numbers[batch.count - 1].record = <uint32_t>(s.records + 1)
    batch.numbers[batch.count - 1].line = <uint32_t>s.lines
    return 0


# `CPU:1 [LOST 74 EVENTS]`, `CPU:1 [LOST EVENTS]`, `CPU:1 [80 EVENTS DROPPED]`. Return 1 if
# the line is one, 0 if not.
cdef int _loss_line(dv_scan* s, dv_batch* batch, const char* p, const char* end,
                    uint64_t offset) noexcept nogil:
    cdef uint64_t cpu = 0
    cdef uint64_t count = 0
    cdef bint known = False
    cdef const char* q
    p = read_decimal(p + 4, end, &cpu)
    if p == NULL or not starts(p, end, b" ["):
        return 0
    p += 2
    if starts(p, end, b"LOST "):
        p += 5
    if p < end and is_digit(p[0]):
        q = read_decimal(p, end, &count)
        known = q != NULL
        while p < end and is_digit(p[0]):
            p += 1
        p = skip_spaces(p, end)
    if not starts(p, end, b"EVENTS"):
        return 0
    return 1 if _lost(s, batch, offset, cpu, count, known, False) == 0 else -1


# Comments: the header's counts, and the places where a CPU's buffer begins.
cdef int _comment(dv_scan* s, dv_batch* batch, const char* p, const char* end,
                  uint64_t offset) noexcept nogil:
    cdef uint64_t have = 0
    cdef uint64_t written = 0
    cdef uint64_t cpu = 0
    cdef const char* q = NULL
    if starts(p, end, b"# tracer:"):
        s.bare = 1
    elif starts(p, end, b"# entries-in-buffer/entries-written: "):
        q = p + 37
    elif starts(p, end, b"# latency: "):
        q = <const char*>memchr(p + 1, c'#', end - p - 1)
        if q != NULL:
            q += 1
    elif s.tally[TALLY_OVERRUN] and starts(p, end, b"##### CPU "):
        if read_decimal(p + 10, end, &cpu) != NULL:
            return _lost(s, batch, offset, cpu, 0, False, False)
    if q != NULL:
        q = read_decimal(q, end, &have)
        if q != NULL and q < end and q[0] == c'/':
            if read_decimal(q + 1, end, &written) != NULL and written > have:
                s.tally[TALLY_OVERRUN] += written - have
                return _lost(s, batch, offset, 0, written - have, True, True)
    return 0


# Return True where a body makes a row, and take the row away again.
cdef bint _is_row(dv_scan* s, dv_batch* batch, const dv_spec* spec, const char* body,
                  const char* end) noexcept nogil:
    cdef size_t side_count = batch.side_count
    if make_row(&s.tables, spec, body, end, &s.devices, batch) != ROW_MADE:
        return False
    batch.count -= 1
    batch.side_count = side_count
    return True


# perf's `task pid [cpu] time: PERF_RECORD_LOST lost 54`, printed with --show-lost-events.
cdef int _perf_loss(dv_scan* s, dv_batch* batch, const char* p, const char* end,
                    uint64_t offset) noexcept nogil:
    cdef const char* q = <const char*>memchr(p, c'[', end - p)
    cdef uint64_t cpu = 0
    cdef uint64_t count = 0
    if q != NULL:
        q = read_decimal(q + 1, end, &cpu)
    while q != NULL and q < end and not starts(q, end, b": PERF_RECORD_LOST lost "):
        q += 1
    if q == NULL or q == end or read_decimal(q + 24, end, &count) == NULL:
        return 0
    return 1 if _lost(s, batch, offset, cpu, count, True, False) == 0 else -1


# `124 0 3692743383 type: 535`
cdef bint _is_raw(const char* p, const char* end) noexcept nogil:
    cdef uint64_t n = 0
    cdef int _i
    for _i in range(3):
        p = read_decimal(p, end, &n)
        if p == NULL or p >= end or p[0] != c' ':
            return False
        p += 1
    return starts(p, end, b"type: ")


# A line that is no event: a loss, a stack, trace-cmd's first line, or nothing known.
cdef int _no_event(dv_scan* s, dv_batch* batch, const char* p, const char* end,
                   uint64_t offset) noexcept nogil:
    cdef int status
    p = skip_spaces(p, end)
    if p == end or starts(p, end, b"=> "):
        return 0
    if starts(p, end, b"CPU:"):
        status = _loss_line(s, batch, p, end, offset)
        if status:
            return -1 if status < 0 else 0
    if starts(p, end, b"cpus=") or starts(p, end, b"version = "):
        s.padded = 1
        return 0
    if starts(p, end, b"CPU ") and end - p < 24 and starts(end - 9, end, b" is empty"):
        return 0
    if s.layout.mode == LAYOUT_PERF:
        status = _perf_loss(s, batch, p, end, offset)
        if status:
            return -1 if status < 0 else 0
    s.tally[TALLY_OTHER] += 1
    if is_digit(p[0]) and end - p < 64 and _is_raw(p, end):
        s.tally[TALLY_RAW] += 1
    return 0


# Return True where another instance recorded such events of this device first.
cdef bint _twice(dv_scan* s, const dv_head* head, uint32_t device, int family) noexcept nogil:
    cdef uint32_t instance = 1
    cdef size_t at = <size_t>device << 3 | family
    if head.prefix != NULL:
        instance = names_number(&s.instances, head.prefix, head.prefix_end - head.prefix) + 1
    if s.owners[at] == 0:
        s.owners[at] = <uint8_t>instance
    return s.owners[at] != instance


cdef int _event_line(dv_scan* s, dv_batch* batch, const char* p, const char* end,
                     uint64_t offset) noexcept nogil:
    cdef dv_head head
    cdef const dv_spec* spec = NULL
    cdef dv_event* e
    cdef size_t side_count
    cdef int made
    cdef int mode = read_head(p, end, &s.layout, &head)
    if mode and head.name != NULL:
        spec = find_spec(&s.tables, &head)
    if mode == LAYOUT_BARE and not s.bare and spec != NULL:
        # Without a header, only a line with all that its event needs shows a trace.
        s.bare = spec.kind != KIND_MARK and _is_row(s, batch, spec, head.body, end)
    if mode == 0 or (mode == LAYOUT_BARE and not s.bare):
        return _no_event(s, batch, p, end, offset)
    if mode == LAYOUT_BARE:
        s.layout.mode = LAYOUT_BARE
    s.records += 1
    if head.clock == CLOCK_TICKS:
        s.ticks = 1
    if spec == NULL:
        s.skipped += 1
        return 0
    side_count = batch.side_count
    made = make_row(&s.tables, spec, head.body, end, &s.devices, batch)
    if made != ROW_MADE:
        s.skipped += 1
        s.tally[TALLY_GARBLED] += made != ROW_ANOTHER
        return made if made < 0 else 0
    e = &batch.rows[batch.count - 1]
    if s.layout.column > 16 and _twice(s, &head, e.device, spec.family):
        batch.count -= 1
        batch.side_count = side_count
        s.tally[TALLY_TWICE] += 1
        return 0
    s.matched += 1
    if head.body - head.name_end > 2 and mode == LAYOUT_DASH:
        s.padded = 1
    e.offset = offset
    e.time = head.time
    e.cpu = head.cpu
    e.site = head.pid
    if head.clock == CLOCK_NONE:
        e.flags |= F_TIME_UNKNOWN
    if e.kind == KIND_LOST:
        s.lost += e.length
    batch.numbers[batch.count - 1].record = <uint32_t>s.records
    batch.numbers[batch.count - 1].line = <uint32_t>s.lines
    return 0


cdef int _line(dv_scan* s, dv_batch* batch, const char* p, const char* end,
               uint64_t offset) noexcept nogil:
    cdef char c
    if end > p and (end - 1)[0] == c'\r':
        end -= 1
    if end == p:
        return 0
    c = p[0]
    if c == c'#':
        return _comment(s, batch, p, end, offset)
    if c == c'\t':
        return 0
    if end - p > LINE_MAX:
        s.tally[TALLY_LONG] += 1
        return 0
    return _event_line(s, batch, p, end, offset)


cdef int _scan(dv_scan* s, dv_batch* batch, const char* p, const char* end,
               uint64_t offset) noexcept nogil:
    cdef const char* stop
    while p < end:
        stop = <const char*>memchr(p, c'\n', end - p)
        if stop == NULL:
            return 0
        s.lines += 1
        if _line(s, batch, p, stop, offset) < 0:
            return -1
        offset += stop + 1 - p
        p = stop + 1
    return 0


cdef int _family(kind):
    """Return which events two instances record together: they are switched on together."""
    if EventKind.DMA_MAP <= kind <= EventKind.DMA_FREE:
        return 1
    if EventKind.IOMMU_MAP <= kind <= EventKind.DEV_FAULT:
        return 2
    if kind in (EventKind.DRIVER_PROBE, EventKind.DRIVER_BOUND, EventKind.DRIVER_UNBOUND):
        return 3
    return {EventKind.BOUNCE: 4, EventKind.MARK: 5}.get(kind, 6)


cdef class Scanner:
    """Reads lines and remembers what they taught: layout, devices, counts.

    Args:
        specs: the events to take, `EventSpec` each.
        native: names of those that are of the native format.
        bare: True where lines without task and time are events.
    """

    cdef dv_scan s
    cdef list _keep

    def __cinit__(self, specs, native=(), bint bare=False):
        memset(&self.s, 0, sizeof(dv_scan))
        self.s.bare = bare
        self._keep = []
        self.s.owners = <uint8_t*>calloc(OWNERS, 1)
        if (self.s.owners == NULL or names_init(&self.s.devices, MAX_DEVICES) < 0
                or names_init(&self.s.instances, 200) < 0):
            raise MemoryError()
        keys = {}
        for spec in specs:
            for name in () if spec.printed else spec.fields:
                keys.setdefault(name, len(keys) + 1)
        if len(specs) > SPECS_MAX or len(keys) >= KEYS_MAX:
            raise ValueError("too many events or fields for the scanner's tables")
        for name, number in keys.items():
            self._add_word(self.s.tables.keys, name, number)
        self._add_args(keys)
        for spec in specs:
            self._add_spec(spec, keys, spec.name in native)

    def __dealloc__(self):
        free(self.s.owners)
        free(self.s.tables.bus.items)
        free(self.s.tables.lengths.items)
        free(self.s.tables.phys.items)
        free(self.s.tables.scratch)
        names_deinit(&self.s.devices)
        names_deinit(&self.s.instances)

    cdef object _add_word(self, dv_word* table, str name, uint32_t number):
        data = name.encode()
        self._keep.append(data)   # the table points into it
        add_word(table, <const char*>data, len(data), number)
        return data

    cdef object _add_args(self, dict keys):
        for arg in Arg:
            if arg.name.lower() in keys:
                self.s.tables.arg_of[keys[arg.name.lower()]] = int(arg)
            for value, word in ARG_WORDS.get(arg, {}).items():
                self._add_word(self.s.tables.arg_words, word, arg << 16 | value)

    cdef object _add_spec(self, spec, dict keys, bint native):
        cdef dv_spec* c = &self.s.tables.specs[self.s.tables.spec_count]
        c.kind = int(spec.kind)
        c.type = int(spec.type)
        c.family = _family(spec.kind)
        c.failed = spec.failed
        c.direction_garbage = spec.direction_garbage
        c.native = native
        c.shape = SHAPE_KEYS
        if spec.kind is EventKind.MARK and not native:
            c.shape = SHAPE_MARK
        elif event_has_device(spec.kind) and (native or spec.systems & {"dma", "edu"}):
            c.shape = SHAPE_DEVICE
        for slot in spec.needs:
            if slot < 32:
                c.needs |= 1 << <int>slot
        for system in spec.systems:
            data = system.encode()
            self._keep.append(data)
            c.system = data
            c.system_n = len(data)
        for number, opcode in spec.opcodes.items():
            c.opcodes[number] = int(opcode)
        for text, name, base in spec.printed:
            data = text.encode()
            self._keep.append(data)
            c.steps[c.step_count].text = data
            c.steps[c.step_count].n = len(data)
            c.steps[c.step_count].slot = int(spec.fields[name]) if name else 0
            c.steps[c.step_count].base = base
            c.step_count += 1
        for name, slot in () if spec.printed else spec.fields.items():
            c.slot[keys[name]] = int(slot)
            # A list spells each of its numbers out, whatever the label.
            c.hexadecimal[keys[name]] = name in HEX_FIELDS and (
                not native or name in ("dma_addr", "virt_addr"))
        self.s.tables.spec_count += 1
        self._add_word(self.s.tables.names, spec.name, self.s.tables.spec_count)

    def learn(self, bytes head):
        """Find the layout of a trace from its first text, before anything is scanned."""
        cdef const char* p = head
        learn_layout(p, p + len(head), &self.s.layout)

    def scan(self, const unsigned char[::1] data, size_t n, uint64_t offset, EventBatch batch):
        """Append the rows of the whole lines in the first n bytes; the GIL is free meanwhile.

        Args:
            data: text; what follows the last line end is not looked at.
            n: bytes.
            offset: of data[0] in the source.
            batch: gets the rows.

        Raises:
            MemoryError: no memory for the rows.
        """
        cdef int status
        cdef const char* p
        if n == 0:
            return
        if n > <size_t>data.shape[0]:
            raise ValueError("more bytes asked for than there are")
        p = <const char*>&data[0]
        with nogil:
            status = _scan(&self.s, &batch.c, p, p + n, offset)
        if status < 0:
            raise MemoryError()

    def count_long_line(self):
        """Count a line that was too long to be read at all."""
        self.s.lines += 1
        self.s.tally[TALLY_LONG] += 1

    def task(self, bytes line):
        """Return the task name that a line prints, as bytes; empty without one."""
        cdef dv_head head
        cdef dv_layout layout = self.s.layout
        cdef const char* p = line
        if len(line) == 0 or not read_head(p, p + len(line), &layout, &head):
            return b""
        if head.comm == NULL:
            return b""
        return head.comm[:head.comm_end - head.comm].strip()

    def devices(self, list known):
        """Append to `known` the device names that it lacks, in the order of their numbers."""
        cdef uint32_t i
        cdef dv_names* names = &self.s.devices
        for i in range(<uint32_t>len(known) - 1, names.count):
            name = names.bytes[names.starts[i]:names.starts[i + 1]]
            known.append(name.decode("utf-8", "replace"))
        if names.refused and len(known) == names.count + 1:
            known.append(OTHER_DEVICES)

    @property
    def counts(self):
        """Return the counts by name."""
        return {
            "records": self.s.records, "lines": self.s.lines, "skipped": self.s.skipped,
            "lost": self.s.lost, "matched": self.s.matched,
            "overrun": self.s.tally[TALLY_OVERRUN], "raw": self.s.tally[TALLY_RAW],
            "other": self.s.tally[TALLY_OTHER], "garbled": self.s.tally[TALLY_GARBLED],
            "long": self.s.tally[TALLY_LONG], "twice": self.s.tally[TALLY_TWICE],
            "unknown_fields": self.s.tables.unknown_keys, "other_devices": self.s.devices.refused,
        }

    @property
    def layout(self):
        """Return "", "dash", "perf" or "bare": how the lines seen so far are laid out."""
        return ("", "dash", "perf", "bare")[self.s.layout.mode]

    @property
    def ticks(self):
        """Return True where a time had no unit."""
        return self.s.ticks != 0

    @property
    def padded(self):
        """Return True where event names are padded, as trace-cmd does."""
        return self.s.padded != 0
