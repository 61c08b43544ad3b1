# cython: language_level=3
"""Texts that somebody wrote into the trace: marks.

Linux Documentation/trace/ftrace.rst, "trace_marker" and "trace_printk". A text written by
the kernel is stored as the address of its format and the arguments, packed as `vbin_printf`
of lib/vsprintf.c packs them; the file's printk section has the formats by address.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcmp, memcpy

from dmaverify.model.events cimport (
    F_FROM_MARK, KIND_DRIVER_BOUND, KIND_DRIVER_UNBOUND, KIND_MARK, SIDE_TEXT, batch_side,
    dv_batch, dv_event, dv_side,
)
from dmaverify.trace._names cimport names_number
from dmaverify.trace.dat_core cimport *

cdef enum:
    TEXT_MAX = 1024

# A text that grows up to its end, and the arguments that go into it.
cdef struct text_maker:
    char* at
    char* end
    const uint8_t* start     # of the arguments
    const uint8_t* argument
    const uint8_t* last


# Return where the word ends that starts at `at`, and put where the next one starts.
cdef uint32_t word_end(const uint8_t* p, uint32_t size, uint32_t at,
                       uint32_t* next_) noexcept nogil:
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


cdef int mark_fill(dat_decoder* d, const dat_plan* plan, const uint8_t* r, uint32_t size,
                   dv_batch* b) noexcept nogil:
    cdef const dat_spot* f = &plan.spots[0]
    cdef const uint8_t* text = r
    cdef char made[TEXT_MAX]
    cdef const dat_text* known
    cdef uint32_t count = 0
    if f[SLOT_OBJECT].mode == MODE_ADDRESS:
        known = text_find(d, number(d, &f[SLOT_OBJECT], r))
        if known != NULL and f[SLOT_TEXT].mode == MODE_PRINTF:
            count = text_make(d, known, f, r, size, made)
            text = <const uint8_t*>made
        elif known != NULL:
            text = <const uint8_t*>known.text
            count = known.size
    elif extent(d, &f[SLOT_TEXT], r, size, &text, &count) < 0:
        d.damaged += 1
    return mark_tell(d, text, text_length(text, count), b)


# Return the format at an address, or NULL.
cdef const dat_text* text_find(const dat_decoder* d, uint64_t address) noexcept nogil:
    cdef uint32_t low = 0, high = d.text_count, middle
    while low < high:
        middle = low + (high - low) // 2
        if d.texts[middle].address < address:
            low = middle + 1
        else:
            high = middle
    if low < d.text_count and d.texts[low].address == address:
        return &d.texts[low]
    return NULL


# Write a format with its arguments into `made` and return the length. What follows a
# conversion that is not known, or arguments that are missing, is left out.
cdef uint32_t text_make(const dat_decoder* d, const dat_text* known, const dat_spot* f,
                        const uint8_t* r, uint32_t size, char* made) noexcept nogil:
    cdef text_maker t
    cdef const char* p = known.text
    cdef const char* stop = p + known.size
    t.at = made
    t.end = made + TEXT_MAX - 1
    t.start = t.argument = r + f[SLOT_TEXT].offset
    t.last = r + size
    while p < stop and t.at < t.end:
        if p[0] != c'%':
            t.at[0] = p[0]
            t.at += 1
            p += 1
            continue
        p = convert(d, &t, p + 1, stop, f[SLOT_OBJECT].element)
        if p == NULL:
            break
    return <uint32_t>(t.at - made)


# Write one argument; return where the format goes on, or NULL.
cdef const char* convert(const dat_decoder* d, text_maker* t, const char* p, const char* stop,
                         uint32_t long_size) noexcept nogil:
    cdef uint32_t size = 4, longs = 0
    cdef uint64_t v = 0
    cdef char kind
    while p < stop and (c'0' <= p[0] <= c'9' or p[0] in (c'-', c'+', c' ', c'#', c'.')):
        p += 1
    while p < stop and p[0] in (c'l', c'h', c'z', c't'):
        if p[0] == c'h':
            size = size // 2
        else:
            longs += 1
        p += 1
    if p >= stop or size == 0:
        return NULL
    if longs:
        size = 8 if longs > 1 else long_size
    kind = p[0]
    if kind == c'%':
        t.at[0] = c'%'
        t.at += 1
    elif kind == c's':
        while t.argument < t.last and t.argument[0] != 0 and t.at < t.end:
            t.at[0] = <char>t.argument[0]
            t.at += 1
            t.argument += 1
        if t.argument >= t.last or t.argument[0] != 0:
            return NULL
        t.argument += 1
    elif kind in (c'd', c'i', c'u', c'x', c'X', c'c'):
        if not argument_take(d, t, 1 if kind == c'c' else size, &v):
            return NULL
        number_put(t, kind, v, size)
    else:
        return NULL
    return p + 1


cdef bint argument_take(const dat_decoder* d, text_maker* t, uint32_t size,
                        uint64_t* ret) noexcept nogil:
    cdef size_t align = 4 if size == 8 else size
    cdef size_t at = (<size_t>(t.argument - t.start) + align - 1) & ~(align - 1)
    cdef dat_spot spot
    if at + size > <size_t>(t.last - t.start):
        return False
    spot.offset = 0
    spot.size = size
    spot.mode = MODE_UNSIGNED
    ret[0] = number(d, &spot, t.start + at)
    t.argument = t.start + at + size
    return True


cdef void number_put(text_maker* t, char kind, uint64_t v, uint32_t size) noexcept nogil:
    cdef size_t room = <size_t>(t.end - t.at) + 1
    cdef int wrote
    cdef uint32_t unused = 64 - size * 8
    if kind == c'c':
        t.at[0] = <char>v
        wrote = 1
    elif kind == c'x' or kind == c'X':
        wrote = snprintf(t.at, room, "%llx", <unsigned long long>v)
    elif kind == c'u':
        wrote = snprintf(t.at, room, "%llu", <unsigned long long>v)
    else:
        wrote = snprintf(t.at, room, "%lld", <long long>(<int64_t>(v << unused) >> unused))
    t.at += wrote
    if t.at > t.end:
        t.at = t.end


# Fill the last row with what a mark's text says.
cdef int mark_tell(dat_decoder* d, const uint8_t* text, uint32_t size, dv_batch* b) noexcept nogil:
    cdef dv_event* e = &b.rows[b.count - 1]
    cdef uint32_t start = 0, end = 0
    cdef int kind
    cdef dv_side* side
    while size and (text[size - 1] == 10 or text[size - 1] == 13):
        size -= 1
    kind = mark_kind(text, size, &start, &end)
    if kind != KIND_MARK:
        e.kind = <uint8_t>kind
        e.device = names_number(&d.names, <const char*>text + start, end - start)
        e.flags |= F_FROM_MARK
        return 0 if e.device else -1
    side = batch_side(b, SIDE_TEXT, size, size, 1)
    if side == NULL:
        return -1
    memcpy(side + 1, text, size)
    return 0
