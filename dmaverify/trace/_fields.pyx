# cython: language_level=3
"""Turn the body of an event line into a row."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcmp, memcpy, memset, strlen

from dmaverify.model.events cimport (
    ARG_COUNT, DIR_BIDIRECTIONAL, DIR_FROM_DEVICE, DIR_NONE, DIR_TO_DEVICE, F_BUS_UNKNOWN,
    F_DIRECTION_UNKNOWN, F_FAILED, F_FROM_MARK, F_HASHED, F_LENGTH_UNKNOWN, F_MMIO, F_NULL_CPU,
    F_PHYS_UNKNOWN, F_SKIP_SYNC, F_TRUNCATED, KIND_COMMAND_BEGIN, KIND_COMMAND_DONE,
    KIND_DEV_FAULT, KIND_DEV_READ, KIND_DEV_WRITE, KIND_DMA_ALLOC, KIND_DMA_FREE, KIND_DMA_MAP,
    KIND_DRIVER_BOUND, KIND_DRIVER_UNBOUND, SIDE_ARGS, SIDE_CPU, SIDE_HCA, SIDE_SGE, SIDE_SG_BUS,
    SIDE_SG_PHYS, SIDE_TEXT, TYPE_SG, TYPE_SHIFT, batch_push, batch_side, dv_batch, dv_entry,
    dv_event, dv_side, kind_of_hca,
)
from dmaverify.trace._chars cimport (
    equals, find_space, hash_ends, hex_value, is_digit, is_word, memory_kind, name_ends,
    read_number, skip_spaces, starts,
)
from dmaverify.trace._hca_words cimport hca_bits, hca_status, hca_type
from dmaverify.trace._head cimport dv_head
from dmaverify.trace._lists cimport read_list, read_segments
from dmaverify.trace._names cimport dv_names, names_number

# Numbers of trace/events.py, Slot; a test holds the two together.
cdef enum:
    S_DEVICE = 1
    S_BUS_ADDR = 2
    S_PHYS_ADDR = 3
    S_LENGTH = 4
    S_DIRECTION = 5
    S_ATTRS = 6
    S_VIRT_ADDR = 7
    S_BUS_LIST = 8
    S_LENGTH_LIST = 9
    S_PHYS_LIST = 10
    S_FULL_BUS = 11
    S_FULL_PHYS = 12
    S_TRUNCATED = 13
    S_STATUS = 14
    S_UNMAPPED = 15
    S_DMA_MASK = 16
    S_FORCE = 17
    S_FAULT_FLAGS = 18
    S_TEXT = 19
    S_TYPE = 20
    S_SEGMENTS = 21
    S_PHYS_PAIR = 22
    S_BUS_PAIR = 23
    S_OBJECT = 24
    S_OPERATION = 25
    S_MEMORY = 26
    S_PFN = 27
    S_ORDER = 28
    S_ARG = 29
    WITHOUT_BIT = 32         # slots from here on have none in `seen`
    S_ACCESS = 32
    S_SIDE = 33
    S_INTO = 34
    S_SGES = 35
    S_OPCODE = 36
    S_ZERO = 37
    S_ZERO_TOO = 38
    FIRST_VALUE = 64

cdef enum:
    ATTR_SKIP_SYNC = 1 << 5
    ATTR_MMIO = 1 << 10
    PAGE_SHIFT = 12          # trace/events.py, PAGE
    ORDERS = 32              # no block of pages is larger

# Slots that hold one number, the common case.
cdef uint32_t NUMBERS = (
    1 << S_BUS_ADDR | 1 << S_PHYS_ADDR | 1 << S_LENGTH | 1 << S_FULL_BUS | 1 << S_FULL_PHYS
    | 1 << S_TRUNCATED | 1 << S_STATUS | 1 << S_UNMAPPED | 1 << S_DMA_MASK | 1 << S_FORCE
    | 1 << S_FAULT_FLAGS | 1 << S_OBJECT | 1 << S_PFN | 1 << S_ORDER
)
cdef uint64_t ALL_ONES = 0xFFFFFFFFFFFFFFFF


cdef uint32_t find_word(const dv_word* table, const char* p, size_t n) noexcept nogil:
    cdef uint64_t head, tail
    cdef size_t at
    name_ends(p, n, &head, &tail)
    at = hash_ends(head, tail, n) & (SPEC_SLOTS - 1)
    while table[at].number:
        if table[at].head == head and table[at].tail == tail and table[at].n == n:
            if n <= 16 or memcmp(table[at].p + 8, p + 8, n - 16) == 0:
                return table[at].number
        at = (at + 1) & (SPEC_SLOTS - 1)
    return 0


cdef int add_word(dv_word* table, const char* p, size_t n, uint32_t number) noexcept nogil:
    cdef uint64_t head, tail
    cdef size_t at
    name_ends(p, n, &head, &tail)
    at = hash_ends(head, tail, n) & (SPEC_SLOTS - 1)
    while table[at].number:
        at = (at + 1) & (SPEC_SLOTS - 1)
    table[at].head = head
    table[at].tail = tail
    table[at].p = p
    table[at].n = <uint32_t>n
    table[at].number = number
    return 0


cdef const dv_spec* find_spec(dv_tables* t, const dv_head* head) noexcept nogil:
    cdef uint32_t number = find_word(t.names, head.name, head.name_end - head.name)
    cdef dv_spec* spec
    if number == 0:
        return NULL
    spec = &t.specs[number - 1]
    if head.system != NULL and spec.system != NULL:
        if <size_t>(head.system_end - head.system) != spec.system_n:
            return NULL
        if memcmp(head.system, spec.system, spec.system_n):
            return NULL
    return spec


cdef void _direction(const char* p, const char* end, dv_values* v) noexcept nogil:
    cdef uint64_t value = 0
    cdef const char* q
    v.direction_known = 1
    if equals(p, end, b"TO_DEVICE") or equals(p, end, b"to_device"):
        v.direction = DIR_TO_DEVICE
    elif equals(p, end, b"FROM_DEVICE") or equals(p, end, b"from_device"):
        v.direction = DIR_FROM_DEVICE
    elif equals(p, end, b"BIDIRECTIONAL") or equals(p, end, b"bidirectional"):
        v.direction = DIR_BIDIRECTIONAL
    elif equals(p, end, b"NONE") or equals(p, end, b"none"):
        v.direction = DIR_NONE
    else:
        q = read_number(p, end, False, &value)
        v.direction = value
        v.direction_known = q != NULL and q == end


cdef uint64_t _attrs(const char* p, const char* end) noexcept nogil:
    cdef uint64_t bits = 0
    cdef uint64_t value = 0
    cdef const char* q
    while p < end:
        q = p
        while q < end and q[0] != c'|':
            q += 1
        if is_digit(p[0]):
            if read_number(p, q, False, &value) == q:
                bits |= value
        elif equals(p, q, b"SKIP_CPU_SYNC"):
            bits |= ATTR_SKIP_SYNC
        elif equals(p, q, b"MMIO"):
            bits |= ATTR_MMIO
        p = q + 1
    return bits


# `%p` prints a hash of 32 bits, `(nil)` or `(____ptrval____)`; `0x` means a true address.
cdef void _pointer(const char* p, const char* end, dv_values* v) noexcept nogil:
    cdef uint64_t value = 0
    cdef bint plain = end - p > 2 and p[0] == c'0' and (p[1] | 0x20) == c'x'
    if equals(p, end, b"(nil)") or equals(p, end, b"(null)"):
        v.seen |= 1 << S_VIRT_ADDR
        v.virt = 0
        return
    if read_number(p, end, True, &value) != end:
        return
    v.seen |= 1 << S_VIRT_ADDR
    v.virt = value
    if value and not plain and value >> 56 != 0xFF:
        v.flags |= F_HASHED


cdef int _map_type(const char* p, const char* end) noexcept nogil:
    cdef const char** names = [b"unknown", b"single", b"resource", b"sg", b"coherent", b"pages",
                               b"sgt"]
    cdef int i
    for i in range(7):
        if equals(p, end, names[i]):
            return i
    return 0


# A word without a value.
cdef void _word(const char* p, const char* end, const dv_spec* spec, dv_values* v) noexcept nogil:
    cdef const char** names = [b"truncated", b"hashed", b"failed", b"null", b"skip_sync", b"mmio",
                               b"from_mark", b"forced"]
    cdef uint32_t* bits = [F_TRUNCATED, F_HASHED, F_FAILED, F_NULL_CPU, F_SKIP_SYNC, F_MMIO,
                           F_FROM_MARK, F_FROM_MARK]
    cdef int i
    if equals(p, end, b"[TRUNCATED]"):
        v.flags |= F_TRUNCATED
    elif equals(p, end, b"FORCE"):
        v.forced = 1
    elif spec.native:
        for i in range(8):
            if equals(p, end, names[i]):
                v.flags |= bits[i]


# A quoted text in `scratch`, its escapes undone; return what follows the closing quote.
# Undone texts are no longer than their line, so `scratch` has room for all of one line.
cdef const char* _quoted(dv_tables* t, const char* p, const char* end, const char** ret,
                         const char** ret_end) noexcept nogil:
    cdef char* out = t.scratch + t.scratch_used
    ret[0] = out
    p += 1
    while p < end and p[0] != c'"':
        if p[0] == c'\\' and end - p > 1:
            p += 1
            if p[0] == c'x' and end - p > 2 and hex_value(p[1]) >= 0 and hex_value(p[2]) >= 0:
                out[0] = <char>(hex_value(p[1]) << 4 | hex_value(p[2]))
                p += 2
            else:
                out[0] = p[0]
        else:
            out[0] = p[0]
        out += 1
        p += 1
    ret_end[0] = out
    t.scratch_used = out - t.scratch
    return p + 1 if p < end else end


# `stored/full`, or `full` alone.
cdef void _pair(const char* p, const char* end, uint64_t* ret) noexcept nogil:
    cdef uint64_t value = 0
    cdef const char* q = read_number(p, end, False, &value)
    if q != NULL and q < end and q[0] == c'/':
        q = read_number(q + 1, end, False, &value)
    if q == end:
        ret[0] = value


# Put a number where its slot says.
cdef inline void _number(uint32_t slot, uint64_t number, dv_values* v) noexcept nogil:
    if slot < WITHOUT_BIT:
        v.seen |= 1 << slot
    if slot == S_BUS_ADDR or slot == S_DMA_MASK:
        v.bus_addr = number
        v.seen |= 1 << S_BUS_ADDR
    elif slot == S_PHYS_ADDR or slot == S_UNMAPPED:
        v.phys_addr = number
        v.seen |= 1 << S_PHYS_ADDR
    elif slot == S_LENGTH:
        v.length = number
    elif slot == S_STATUS:
        v.status = <int>number
    elif slot == S_FAULT_FLAGS:
        v.direction = DIR_FROM_DEVICE if number & 1 else DIR_TO_DEVICE
        v.direction_known = 1
        v.seen |= 1 << S_DIRECTION
    elif slot == S_FORCE:
        v.forced = number != 0
    elif slot == S_TRUNCATED:
        if number:
            v.flags |= F_TRUNCATED
    elif slot == S_FULL_BUS:
        v.full_bus = number
    elif slot == S_FULL_PHYS:
        v.full_phys = number
    elif slot == S_OBJECT:
        v.object = number
    elif slot == S_PFN:
        v.phys_addr = number << PAGE_SHIFT
        if not v.seen & 1 << S_LENGTH:
            v.length = <uint64_t>1 << PAGE_SHIFT
        v.seen |= 1 << S_PHYS_ADDR | 1 << S_LENGTH
    elif slot == S_ORDER:
        v.length = <uint64_t>1 << (PAGE_SHIFT + (number if number < ORDERS else 0))
        v.seen |= 1 << S_LENGTH
    elif slot == S_ACCESS:
        v.direction = number & 0xFF
        v.direction_known = 1
        v.seen |= 1 << S_DIRECTION
    elif slot == S_SIDE:
        v.type = <uint8_t>(number + 1) if number < 2 else 0
    elif slot == S_INTO:
        v.status = 2 if number == 0 else 1
    elif slot == S_ZERO or slot == S_ZERO_TOO:
        v.another |= number != 0


# Keep a number that the row has no slot for.
cdef inline void _value_of_hca(uint32_t slot, uint64_t number, dv_values* v) noexcept nogil:
    if v.hca_count < HCA_VALUES:
        v.hca[v.hca_count].address = number
        v.hca[v.hca_count].length = slot - FIRST_VALUE
        v.hca_count += 1


# A named number, or a word for one; what is neither is unknown.
cdef void _arg(dv_tables* t, uint32_t key, const char* p, const char* end,
               dv_values* v) noexcept nogil:
    cdef uint32_t arg = t.arg_of[key]
    cdef uint32_t word
    cdef uint64_t number = 0
    if p < end and is_digit(p[0]):
        if read_number(p, end, False, &number) != end:
            return
    else:
        word = find_word(t.arg_words, p, end - p)
        if word >> 16 != arg:
            return
        number = word & 0xFFFF
    t.args[arg] = number
    v.args |= <uint32_t>1 << arg


# A field that is no plain number: a list, a name, an unknown value. Return where it ends.
cdef const char* _other_value(dv_tables* t, const dv_spec* spec, uint32_t key, const char* p,
                              const char* end, dv_values* v) noexcept nogil:
    cdef const char* stop
    cdef const char* q
    cdef uint32_t slot = spec.slot[key]
    cdef uint64_t number = 0
    cdef bint known = False
    if slot == S_BUS_LIST:
        v.seen |= 1 << S_BUS_LIST
        return read_list(p, end, &t.bus, 8, &v.cut)
    if slot == S_PHYS_LIST:
        v.seen |= 1 << S_PHYS_LIST
        return read_list(p, end, &t.phys, 8, &v.cut)
    if slot == S_LENGTH_LIST:
        v.seen |= 1 << S_LENGTH_LIST
        return read_list(p, end, &t.lengths, 4, &v.cut)
    if slot == S_SEGMENTS:
        v.seen |= 1 << S_BUS_LIST | 1 << S_LENGTH_LIST
        return read_segments(p, end, &t.bus, &t.lengths, &v.cut)
    if slot == S_SGES:
        v.sges = 1
        return read_segments(p, end, &t.bus, &t.lengths, &v.cut)
    if p < end and p[0] == c'"':
        stop = _quoted(t, p, end, &q, &p)
        if slot == S_DEVICE:
            v.device = q
            v.device_end = p
            v.seen |= 1 << S_DEVICE
        elif slot == S_TEXT:
            v.text = q
            v.text_end = p
            v.seen |= 1 << S_TEXT
        return stop
    stop = find_space(p, end)
    if slot == 0:
        if spec.native:
            t.unknown_keys += 1
    elif stop - p == 1 and p[0] == c'?':
        if slot < WITHOUT_BIT:
            v.asked |= 1 << slot
    elif slot >= FIRST_VALUE:
        pass
    elif slot == S_DEVICE:
        v.device = p
        v.device_end = stop
        v.seen |= 1 << S_DEVICE
    elif slot == S_ATTRS:
        v.attrs = _attrs(p, stop)
    elif slot == S_VIRT_ADDR:
        _pointer(p, stop, v)
    elif slot == S_OPERATION:
        v.direction = DIR_FROM_DEVICE if equals(p, stop, b"DEV_WRITE") or \
            equals(p, stop, b"1") or starts(p, stop, b"0x1 ") else DIR_TO_DEVICE
        v.direction_known = 1
        v.seen |= 1 << S_OPERATION | 1 << S_DIRECTION
    elif slot == S_ARG:
        _arg(t, key, p, stop, v)
    elif slot == S_MEMORY:
        v.object = memory_kind(p, stop)
        v.seen |= 1 << S_MEMORY
    elif slot == S_TYPE:
        v.type = hca_type(spec.kind, p, stop) if kind_of_hca(spec.kind) else \
            <unsigned char>_map_type(p, stop)
        v.seen |= 1 << S_TYPE
    elif slot == S_PHYS_PAIR:
        _pair(p, stop, &v.full_phys)
    elif slot == S_BUS_PAIR:
        _pair(p, stop, &v.full_bus)
    elif slot == S_TEXT:
        v.text = p
        v.text_end = end
        v.seen |= 1 << S_TEXT
        return end
    elif slot == S_STATUS and (equals(p, stop, b"before") or equals(p, stop, b"after")):
        v.status = p[0] == c'a'
        v.seen |= 1 << S_STATUS
    elif slot == S_ACCESS and p < stop:
        v.direction = hca_bits(spec.kind, p, stop, &known)
        v.direction_known = known
        v.seen |= 1 << S_DIRECTION
    elif slot == S_STATUS and kind_of_hca(spec.kind) and hca_status(spec.kind, p, stop) >= 0:
        v.status = hca_status(spec.kind, p, stop)
        v.seen |= 1 << S_STATUS
    elif slot == S_STATUS and p < stop and p[0] == c'-':
        if read_number(p + 1, stop, False, &number) == stop and number < 32769:
            v.status = -<int64_t>number
            v.seen |= 1 << S_STATUS
    elif slot == S_FORCE and p < stop and not is_digit(p[0]) and p[0] != c'(':
        v.forced = starts(p, stop, b"FORCE")
    elif p < stop and p[0] == c'(':
        # With the option `fields`, one-byte fields are printed in brackets alone.
        q = read_number(p + 1, stop, False, &number)
        if q != NULL and q < stop and q[0] == c')':
            _number(slot, number, v)
    return stop


# The value of one field, [p, ...); return where it ends, or NULL when memory is gone.
cdef inline const char* _value(dv_tables* t, const dv_spec* spec, uint32_t key, const char* p,
                               const char* end, dv_values* v) noexcept nogil:
    cdef uint32_t slot = spec.slot[key]
    cdef uint64_t number = 0
    cdef const char* q
    if slot == S_DIRECTION:
        q = find_space(p, end)
        v.seen |= 1 << S_DIRECTION
        _direction(p, q, v)
        return q
    if slot >= FIRST_VALUE:
        q = read_number(p, end, False, &number)
        if q != NULL and (q == end or q[0] == c' '):
            _value_of_hca(slot, number, v)
            return q
    elif S_ACCESS <= slot <= S_INTO or slot < WITHOUT_BIT and 1 << slot & NUMBERS:
        q = read_number(p, end, spec.hexadecimal[key], &number)
        if q != NULL and (q == end or q[0] == c' ' or q[0] == c','):
            _number(slot, number, v)
            return q
    return _other_value(t, spec, key, p, end, v)


# Everything before the first field: the device, in the ways that events name it.
cdef const char* _opening(dv_tables* t, const dv_spec* spec, const char* p, const char* end,
                          dv_values* v) noexcept nogil:
    cdef const char* stop
    cdef const char* q
    cdef uint64_t number = 0
    if p < end and p[0] == c'[' and starts(p, end, b"[FAILED TO PARSE]"):
        return p + strlen(b"[FAILED TO PARSE]")
    if p < end and p[0] == c'I' and starts(p, end, b"IOMMU:"):
        p += 6
        if spec.kind != KIND_DEV_FAULT:
            return p
        p = skip_spaces(find_space(p, end), end)   # the driver
    elif starts(p, end, b"dev_name:"):
        p = skip_spaces(p + 9, end)
    elif KIND_COMMAND_BEGIN <= spec.kind <= KIND_COMMAND_DONE and starts(p, end, b"nvme"):
        q = read_number(p + 4, end, False, &number)
        if q != NULL and q < end and q[0] == c':':
            _number(S_BUS_ADDR, number, v)
            return q + 1
        return p
    elif spec.shape != SHAPE_DEVICE:
        return p
    stop = p
    while stop < end and is_word(stop[0]):
        stop += 1
    if stop < end and stop[0] == c'=' and find_word(t.keys, p, stop - p):
        return p
    if p < end and p[0] == c'(':
        return p                                    # the place of a probe
    stop = find_space(p, end)
    if stop > p:
        v.device = p
        v.device_end = stop
        v.seen |= 1 << S_DEVICE
    return stop


# A printed form that does not name its fields: each text is looked for behind the one before.
cdef void _printed(const dv_spec* spec, const char* p, const char* end,
                   dv_values* v) noexcept nogil:
    cdef const dv_step* step
    cdef const char* q
    cdef uint64_t number = 0
    cdef int i
    for i in range(spec.step_count):
        step = &spec.steps[i]
        while end - p >= step.n and memcmp(p, step.text, step.n):
            p += 1
        if end - p < step.n:
            return
        p += step.n
        q = p
        if step.base == 0:
            while q < end and q[0] != c' ' and q[0] != c']':
                q += 1
            if step.slot == S_DEVICE:
                v.device = p
                v.device_end = q
                v.seen |= 1 << S_DEVICE
        else:
            q = read_number(p, end, step.base == 16, &number)
            if q == NULL:
                return
            if step.slot == S_OPCODE:
                v.type = spec.opcodes[number] if number < 256 else 0
            elif step.slot:
                _number(step.slot, number, v)
        p = q


cdef int _read(dv_tables* t, const dv_spec* spec, const char* p, const char* end,
               dv_values* v) noexcept nogil:
    cdef const char* q
    cdef uint32_t key
    cdef bint open_name
    p = _opening(t, spec, p, end, v)
    # A device's name may hold spaces: words right behind it are part of it.
    open_name = v.device != NULL and not spec.native
    while True:
        p = skip_spaces(p, end)
        if p >= end:
            return 0
        q = p
        while q < end and is_word(q[0]):
            q += 1
        if q < end and q[0] == c'=' and q > p:
            key = find_word(t.keys, p, q - p)
            if key or spec.native:
                open_name = False
            q = _value(t, spec, key, q + 1, end, v)
            if q == NULL:
                return -1
            p = find_space(q, end)
        else:
            q = find_space(q, end)
            if open_name:
                v.device_end = q
            else:
                _word(p, q, spec, v)
            p = q


# A text, and what it says of a driver's life.
cdef void _mark(const dv_spec* spec, const char* p, const char* end, dv_event* e,
                dv_values* v) noexcept nogil:
    cdef const char* q
    cdef bint bound
    v.seen |= 1 << S_TEXT
    # `print` and its like are printed with the place of the call, perhaps as raw fields.
    if spec.shape == SHAPE_MARK and spec.system != NULL:
        if starts(p, end, b"ip="):
            p = skip_spaces(find_space(p, end), end)
        else:
            q = find_space(p, end)
            if q > p and (q - 1)[0] == c':' and q < end and not equals(p, q, b"dmaverify:"):
                p = q + 1
    if starts(p, end, b"buf="):
        p += 4
    v.text = p
    v.text_end = end
    if not starts(p, end, b"dmaverify: "):
        return
    p = skip_spaces(p + 11, end)
    q = find_space(p, end)
    bound = equals(p, q, b"bind")
    if not bound and not equals(p, q, b"unbind-end"):
        return
    p = skip_spaces(q, end)
    q = find_space(p, end)
    if q == p or skip_spaces(q, end) == end:
        return
    v.device = p
    v.device_end = q
    e.kind = KIND_DRIVER_BOUND if bound else KIND_DRIVER_UNBOUND
    v.flags |= F_FROM_MARK
    v.text = NULL


cdef inline void _put_lists(dv_tables* t, dv_event* e, dv_values* v) noexcept nogil:
    cdef size_t i
    cdef uint64_t total = 0
    cdef bint whole
    if v.sges:
        return                   # what the row says there is something else
    if v.seen & 1 << S_BUS_LIST and t.bus.count:
        if not (v.seen | v.asked) & 1 << S_BUS_ADDR:
            v.bus_addr = t.bus.items[0]
            v.seen |= 1 << S_BUS_ADDR
        whole = v.seen & 1 << S_LENGTH_LIST and t.lengths.count >= t.bus.count
        if whole and not (v.seen | v.asked) & 1 << S_LENGTH:
            for i in range(t.bus.count):
                if t.lengths.items[i] > ALL_ONES - total or t.lengths.items[i] == ALL_ONES:
                    whole = False
                    break
                total += t.lengths.items[i]
            if whole:
                v.length = total
                v.seen |= 1 << S_LENGTH
    if v.seen & 1 << S_PHYS_LIST and t.phys.count:
        if not (v.seen | v.asked) & 1 << S_PHYS_ADDR:
            v.phys_addr = t.phys.items[0]
            v.seen |= 1 << S_PHYS_ADDR


# A list of buffers, each with its key: `sges` beside `keys`.
cdef int _put_sges(dv_tables* t, dv_batch* batch) noexcept nogil:
    cdef size_t i, n
    cdef dv_entry* entries
    cdef dv_side* s
    n = t.bus.count
    s = batch_side(batch, SIDE_SGE, <uint32_t>n, <uint32_t>n, 16)
    if s == NULL:
        return -1
    entries = <dv_entry*>(s + 1)
    for i in range(n):
        entries[i].address = t.bus.items[i]
        entries[i].length = <uint32_t>t.lengths.items[i]
        if i < t.phys.count:
            entries[i].length |= t.phys.items[i] << 32
    return 0


cdef int _put_sides(dv_tables* t, dv_batch* batch, dv_values* v) noexcept nogil:
    cdef dv_side* s
    cdef dv_entry* entries
    cdef size_t i, n
    if v.hca_count:
        s = batch_side(batch, SIDE_HCA, v.hca_count, v.hca_count, 16)
        if s == NULL:
            return -1
        memcpy(s + 1, v.hca, v.hca_count * sizeof(dv_entry))
    if v.sges:
        return _put_sges(t, batch)
    if v.seen & 1 << S_BUS_LIST:
        n = t.bus.count
        s = batch_side(batch, SIDE_SG_BUS, <uint32_t>n, <uint32_t>v.full_bus, 16)
        if s == NULL:
            return -1
        entries = <dv_entry*>(s + 1)
        for i in range(n):
            entries[i].address = t.bus.items[i]
            entries[i].length = ALL_ONES
            if v.seen & 1 << S_LENGTH_LIST and i < t.lengths.count:
                entries[i].length = t.lengths.items[i]
    if v.seen & 1 << S_PHYS_LIST:
        n = t.phys.count
        s = batch_side(batch, SIDE_SG_PHYS, <uint32_t>n, <uint32_t>v.full_phys, 16)
        if s == NULL:
            return -1
        entries = <dv_entry*>(s + 1)
        for i in range(n):
            entries[i].address = t.phys.items[i]
            entries[i].length = ALL_ONES
    if v.seen & 1 << S_VIRT_ADDR:
        s = batch_side(batch, SIDE_CPU, 1, 1, 16)
        if s == NULL:
            return -1
        (<dv_entry*>(s + 1)).address = v.virt
    if v.text != NULL:
        n = v.text_end - v.text
        s = batch_side(batch, SIDE_TEXT, <uint32_t>n, <uint32_t>n, 1)
        if s == NULL:
            return -1
        memcpy(s + 1, v.text, n)
    return _put_args(t, batch, v) if v.args else 0


cdef int _put_args(const dv_tables* t, dv_batch* batch, const dv_values* v) noexcept nogil:
    cdef dv_side* s
    cdef dv_entry* entries
    cdef uint32_t arg
    cdef uint32_t n = 0
    for arg in range(1, ARG_COUNT):
        n += v.args >> arg & 1
    s = batch_side(batch, SIDE_ARGS, n, n, 16)
    if s == NULL:
        return -1
    entries = <dv_entry*>(s + 1)
    n = 0
    for arg in range(1, ARG_COUNT):
        if v.args >> arg & 1:
            entries[n].address = arg
            entries[n].length = t.args[arg]
            n += 1
    return 0


# Full counts are never smaller than what is stored, and larger ones mean a cut list.
cdef inline void _full(uint64_t stored, uint64_t* full, dv_values* v) noexcept nogil:
    if full[0] < stored or full[0] >> 32:
        full[0] = stored
    elif full[0] > stored:
        v.flags |= F_TRUNCATED


cdef void _put_flags(const dv_spec* spec, dv_event* e, dv_values* v) noexcept nogil:
    cdef uint32_t flags = v.flags
    cdef bint call = KIND_DMA_MAP <= e.kind <= KIND_DMA_FREE
    if not v.seen & 1 << S_BUS_ADDR:
        flags |= F_BUS_UNKNOWN
    if not v.seen & 1 << S_PHYS_ADDR:
        flags |= F_PHYS_UNKNOWN
    if not v.seen & 1 << S_LENGTH:
        flags |= F_LENGTH_UNKNOWN
    if not v.seen & 1 << S_DIRECTION or not v.direction_known:
        flags |= F_DIRECTION_UNKNOWN
    elif v.direction > 3 and spec.direction_garbage and not spec.native:
        flags |= F_DIRECTION_UNKNOWN
    else:
        e.direction = <unsigned char>(v.direction if v.direction < 255 else 255)
    if v.attrs & ATTR_SKIP_SYNC:
        flags |= F_SKIP_SYNC
    if v.attrs & ATTR_MMIO:
        flags |= F_MMIO
    if v.cut:
        flags |= F_TRUNCATED
    if v.forced:
        flags |= F_FROM_MARK
    if spec.failed or (call and v.seen & 1 << S_BUS_ADDR and v.bus_addr == ALL_ONES):
        flags |= F_FAILED
    if v.seen & 1 << S_VIRT_ADDR and v.virt == 0:
        flags |= F_NULL_CPU
        if e.kind == KIND_DMA_ALLOC:
            flags |= F_FAILED
    e.flags = <unsigned short>(flags | v.type << TYPE_SHIFT)


cdef int make_row(dv_tables* t, const dv_spec* spec, const char* p, const char* end,
                  dv_names* devices, dv_batch* batch) noexcept nogil:
    cdef dv_values v
    cdef dv_event* e
    cdef void* room
    if <size_t>(end - p) > t.scratch_n:
        room = realloc(t.scratch, (end - p) * 2)
        if room == NULL:
            return ROW_NO_MEMORY
        t.scratch = <char*>room
        t.scratch_n = (end - p) * 2
    t.scratch_used = 0
    memset(&v, 0, sizeof(v))
    v.type = spec.type
    t.bus.count = 0
    t.lengths.count = 0
    t.phys.count = 0
    e = batch_push(batch)
    if e == NULL:
        return ROW_NO_MEMORY
    e.kind = spec.kind
    if spec.shape == SHAPE_MARK:
        _mark(spec, p, end, e, &v)
    elif spec.step_count:
        _printed(spec, p, end, &v)
    elif _read(t, spec, p, end, &v) < 0:
        return ROW_NO_MEMORY
    if v.seen & spec.needs != spec.needs or v.another:
        batch.count -= 1
        return ROW_ANOTHER if v.another else ROW_OTHER
    if v.device != NULL and v.device_end > v.device:
        e.device = names_number(devices, v.device, v.device_end - v.device)
        if e.device == 0:
            return ROW_NO_MEMORY
    if spec.native and v.seen & 1 << S_BUS_LIST and not v.seen & 1 << S_TYPE:
        v.type = TYPE_SG
    _put_lists(t, e, &v)
    _full(t.bus.count, &v.full_bus, &v)
    _full(t.phys.count, &v.full_phys, &v)
    _put_flags(spec, e, &v)
    e.bus_addr = v.bus_addr if v.seen & 1 << S_BUS_ADDR else 0
    e.phys_addr = v.phys_addr if v.seen & 1 << S_PHYS_ADDR else 0
    e.length = v.length if v.seen & 1 << S_LENGTH else 0
    e.object = <uint32_t>v.object
    if v.seen & 1 << S_OPERATION and e.kind == KIND_DEV_READ and v.direction == DIR_FROM_DEVICE:
        e.kind = KIND_DEV_WRITE
    if -32768 <= v.status <= 32767:
        e.status = <short>v.status
    return ROW_MADE if _put_sides(t, batch, &v) == 0 else ROW_NO_MEMORY
