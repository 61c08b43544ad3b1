# cython: language_level=3
"""Find the task, the CPU, the time and the event's name in a line."""

from libc.stdint cimport uint64_t
from libc.string cimport memchr, memset

from dmaverify.trace._chars cimport (
    find_space, is_digit, is_word, read_decimal, skip_spaces,
)

cdef enum:
    TASK_COLUMN = 16         # width of a task name in ordinary layouts
    LATENCY_COLUMN = 8
    PREFIX_MAX = 80          # bytes of an instance's name
    SHORT_PREFIX = 12
    FLAGS_MAX = 12           # characters of the irq-info column


# `name: body`, or `system:name: body`. Names hold no space.
cdef bint _name(const char* p, const char* end, dv_head* ret) noexcept nogil:
    cdef const char* stop = find_space(p, end)
    cdef const char* q
    ret.body = skip_spaces(stop, end)
    if stop - p < 2 or (stop - 1)[0] != c':':
        return True
    stop -= 1
    ret.name = p
    ret.name_end = stop
    q = p
    while q < stop and q[0] != c':':
        q += 1
    if q < stop:
        ret.system = p
        ret.system_end = q
        ret.name = q + 1
    return True


# `seconds.fraction:`, `ticks:`, `microseconds us+:`, or `?:` where no time is known.
cdef const char* _time(const char* p, const char* end, dv_head* ret) noexcept nogil:
    cdef uint64_t whole = 0
    cdef uint64_t part = 0
    cdef int digits = 0
    if p < end and p[0] == c'?':
        p += 1
    else:
        p = read_decimal(p, end, &whole)
        if p == NULL:
            return NULL
        ret.clock = CLOCK_TICKS
        ret.time = whole
        if p < end and p[0] == c'.':
            p += 1
            while p < end and is_digit(p[0]):
                if digits < 9:
                    part = part * 10 + (p[0] - c'0')
                    digits += 1
                p += 1
            if digits == 0:
                return NULL
            while digits < 9:
                part *= 10
                digits += 1
            ret.clock = CLOCK_NS
            ret.time = whole * 1000000000 + part
            if whole > <uint64_t>18446744073 or ret.time < part:
                ret.clock = CLOCK_NONE
                ret.time = 0
        elif end - p > 2 and p[0] == c'u' and p[1] == c's':
            p += 2
            if p < end and p[0] != c':':
                p += 1
            ret.clock = CLOCK_NS
            ret.time = whole * 1000
            if whole > <uint64_t>18446744073709551:
                ret.clock = CLOCK_NONE
                ret.time = 0
    if p >= end or p[0] != c':':
        return NULL
    return p + 1


# What follows the task id: CPU, flags, time, and the name.
cdef bint _rest(const char* p, const char* end, dv_head* ret) noexcept nogil:
    cdef uint64_t cpu = 0
    cdef const char* q
    p = skip_spaces(p, end)
    if p < end and p[0] == c'(':
        q = p
        while p < end and p[0] != c')' and p - q < 16:
            p += 1
        p = skip_spaces(p + 1, end)
    if p < end and p[0] == c'[':
        p = read_decimal(p + 1, end, &cpu)
        if p == NULL or p >= end or p[0] != c']' or cpu > 0xFFFF:
            return False
        p += 1
    else:
        p = read_decimal(p, end, &cpu)
        if p == NULL or p >= end or is_digit(p[0]) or cpu > 0xFFFF:
            return False
        if p[0] == c' ':
            return False
        p = find_space(p, end)
    ret.cpu = <uint16_t>cpu
    p = skip_spaces(p, end)
    if p < end and not is_digit(p[0]) and p[0] != c'?':
        q = p
        while p < end and p[0] != c' ':
            if p[0] == c':' or p - q >= FLAGS_MAX:
                return False
            p += 1
        p = skip_spaces(p, end)
    p = _time(p, end, ret)
    if p == NULL:
        return False
    if p < end and p[0] != c' ':
        return False
    p = skip_spaces(p, end)
    if end - p > 2 and p[0] == c'(' and (p[1] == c'+' or p[1] == c'-'):
        while p < end and p[0] != c')':
            p += 1
        p = skip_spaces(p + 1, end)
    return _name(p, end, ret)


# A task id after a dash at `dash`, then the rest.
cdef bint _dash(const char* p, const char* dash, const char* end, dv_head* ret) noexcept nogil:
    cdef uint64_t pid = 0
    cdef const char* q
    if end - dash < 4 or dash[0] != c'-' or not is_digit(dash[1]):
        return False
    q = read_decimal(dash + 1, end, &pid)
    if q == NULL or q >= end or q[0] != c' ' or pid >> 32:
        return False
    ret.clock = CLOCK_NONE
    ret.time = 0
    if not _rest(q, end, ret):
        return False
    ret.pid = <uint32_t>pid
    ret.comm = p
    ret.comm_end = dash
    return True


# `pid [cpu] time:` or `pid/tid [cpu] time:` at p.
cdef bint _perf(const char* line, const char* p, const char* end, dv_head* ret) noexcept nogil:
    cdef uint64_t pid = 0
    cdef uint64_t cpu = 0
    cdef const char* q = skip_spaces(p, end)
    cdef const char* word
    q = read_decimal(q, end, &pid)
    if q != NULL and q < end and q[0] == c'/':
        q = read_decimal(q + 1, end, &pid)
    if q == NULL or q >= end or q[0] != c' ' or pid >> 32:
        return False
    q = skip_spaces(q, end)
    if q >= end or q[0] != c'[':
        return False
    q = read_decimal(q + 1, end, &cpu)
    if q == NULL or end - q < 3 or q[0] != c']' or q[1] != c' ' or cpu > 0xFFFF:
        return False
    ret.clock = CLOCK_NONE
    ret.time = 0
    q = _time(skip_spaces(q + 1, end), end, ret)
    if q == NULL or q >= end or q[0] != c' ':
        return False
    q = skip_spaces(q, end)
    word = q
    while q < end and is_digit(q[0]):
        q += 1
    q = skip_spaces(q, end) if q > word and q < end and q[0] == c' ' else word
    ret.pid = <uint32_t>pid
    ret.cpu = <uint16_t>cpu
    _name(q, end, ret)
    if ret.system == NULL:
        return False
    ret.comm = line
    ret.comm_end = p
    return True


# The right-most fit whose task name is short enough to be one.
cdef int _search(const char* p, const char* end, bint perf, dv_head* ret) noexcept nogil:
    cdef const char* at = p + TASK_COLUMN
    if at >= end:
        at = end - 1
    while at >= p:
        if perf:
            if at > p and at[0] == c' ' and is_digit(at[1]) and _perf(p, at, end, ret):
                return LAYOUT_PERF
        elif at[0] == c'-' and _dash(p, at, end, ret):
            return LAYOUT_DASH
        at -= 1
    return 0


# `instance:` before the task, or blanks in its place.
cdef int _instance(const char* p, const char* end, dv_layout* layout, dv_head* ret) noexcept nogil:
    cdef const char* at = p + TASK_COLUMN + 1
    while at < end and at - p <= TASK_COLUMN + PREFIX_MAX:
        if at[0] != c'-' or (at - TASK_COLUMN - 1)[0] != c' ':
            at += 1
            continue
        if _dash(at - TASK_COLUMN, at, end, ret):
            if at - p < TASK_COLUMN + 2:
                return 0
            if (at - TASK_COLUMN - 2)[0] == c':':
                ret.prefix = skip_spaces(p, end)
                ret.prefix_end = at - TASK_COLUMN - 2
            layout.column = <int>(at - p)
            return LAYOUT_DASH
        at += 1
    return 0


cdef int _bare(const char* p, const char* end, dv_head* ret) noexcept nogil:
    cdef const char* q = p
    while q < end and is_word(q[0]):
        q += 1
    if q == p or is_digit(p[0]) or q >= end or q[0] != c':' or (q + 1 < end and q[1] != c' '):
        return 0
    ret.name = p
    ret.name_end = q
    ret.body = skip_spaces(q + 1, end)
    return LAYOUT_BARE


cdef int _guess(const char* p, const char* end, dv_layout* layout, dv_head* ret) noexcept nogil:
    cdef int mode
    if end - p > TASK_COLUMN + 4:
        if p[TASK_COLUMN] == c'-' and _dash(p, p + TASK_COLUMN, end, ret):
            layout.column = TASK_COLUMN
            return LAYOUT_DASH
        if p[LATENCY_COLUMN] == c'-' and _dash(p, p + LATENCY_COLUMN, end, ret):
            layout.column = LATENCY_COLUMN
            return LAYOUT_DASH
        if p[TASK_COLUMN] == c' ' and _perf(p, p + TASK_COLUMN, end, ret):
            return LAYOUT_PERF
        mode = _instance(p, end, layout, ret)
        if mode:
            return mode
    layout.column = TASK_COLUMN
    mode = _search(p, end, False, ret)
    if mode == 0:
        mode = _search(p, end, True, ret)
    if mode == 0:
        mode = _bare(p, end, ret)
    return mode


# Ties are broken by what can not be text that somebody chose: a task's name reaches no
# further than its own column, and a body begins beyond the column of any short prefix.
cdef int _rank(int column) noexcept nogil:
    if column == TASK_COLUMN:
        return 3
    if column == LATENCY_COLUMN:
        return 1
    return 2 if column <= TASK_COLUMN + SHORT_PREFIX else 0


cdef void learn_layout(const char* p, const char* end, dv_layout* ret) noexcept nogil:
    cdef int counts[TASK_COLUMN + PREFIX_MAX + 1]
    cdef dv_head head
    cdef const char* stop
    cdef int perf = 0
    cdef int best = TASK_COLUMN
    cdef int column
    memset(counts, 0, sizeof(counts))
    while p < end:
        stop = <const char*>memchr(p, c'\n', end - p)
        if stop == NULL:
            stop = end
        if stop - p > TASK_COLUMN + 4 and p[0] != c'#' and p[0] != c'\t':
            for column in range(LATENCY_COLUMN, TASK_COLUMN + PREFIX_MAX + 1):
                if column + 1 >= stop - p:
                    break
                if p[column] != c'-' or not is_digit(p[column + 1]):
                    continue
                if column > TASK_COLUMN:
                    if column == TASK_COLUMN + 1 or p[column - TASK_COLUMN - 1] != c' ':
                        continue
                elif column != TASK_COLUMN and column != LATENCY_COLUMN:
                    continue
                memset(&head, 0, sizeof(head))
                if _dash(p, p + column, stop, &head) and head.name != NULL:
                    counts[column] += 1
            memset(&head, 0, sizeof(head))
            perf += _search(p, stop, True, &head) == LAYOUT_PERF
        p = stop + 1
    for column in range(LATENCY_COLUMN, TASK_COLUMN + PREFIX_MAX + 1):
        if counts[column] > counts[best]:
            best = column
        elif counts[column] == counts[best] and _rank(column) > _rank(best):
            best = column
    if perf > counts[best]:
        ret.mode = LAYOUT_PERF
    elif counts[best]:
        ret.mode = LAYOUT_DASH
        ret.column = best


cdef int read_head(const char* p, const char* end, dv_layout* layout, dv_head* ret) noexcept nogil:
    cdef dv_layout guess
    cdef const char* at
    cdef int mode = 0
    memset(ret, 0, sizeof(dv_head))
    if layout.mode == LAYOUT_DASH:
        at = p + layout.column
        if end - at > 4 and at[0] == c'-' and _dash(p, at, end, ret):
            if layout.column > TASK_COLUMN:
                ret.comm = at - TASK_COLUMN
                if (at - TASK_COLUMN - 2)[0] == c':':
                    ret.prefix = skip_spaces(p, at)
                    ret.prefix_end = at - TASK_COLUMN - 2
            return LAYOUT_DASH
        return _search(p, end, False, ret) if end - p > 4 else 0
    if layout.mode == LAYOUT_PERF:
        if end - p > TASK_COLUMN + 4 and p[TASK_COLUMN] == c' ':
            if _perf(p, p + TASK_COLUMN, end, ret):
                return LAYOUT_PERF
        return _search(p, end, True, ret) if end - p > 4 else 0
    if layout.mode == LAYOUT_BARE:
        return _bare(p, end, ret)
    guess = layout[0]
    mode = _guess(p, end, &guess, ret)
    # A bare line teaches nothing by itself: prose has words before colons too.
    if mode == LAYOUT_DASH or mode == LAYOUT_PERF:
        guess.mode = mode
        layout[0] = guess
    return mode
