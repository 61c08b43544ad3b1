# cython: language_level=3
"""Which copy of a mapped byte is newest (see coherence.pxd)."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc

from dmaverify.core.shadow cimport dv_segment, dv_shadow

cdef extern from *:
    int ones "__builtin_popcountll"(unsigned long long bits) noexcept nogil


cdef inline uint64_t first_byte(const dv_segment* s) noexcept nogil:
    """Return where the segment starts in its first line."""
    return (s.phys if s.phys_length != 0 else s.start) & (LINE_BYTES - 1)


cdef inline uint64_t line_count(const dv_segment* s) noexcept nogil:
    cdef uint64_t lines = (first_byte(s) + s.length + LINE_BYTES - 1) // LINE_BYTES
    if s.length > <uint64_t>LINES_MAX * LINE_BYTES or lines > LINES_MAX:
        return LINES_MAX
    return lines


cdef inline uint64_t bits_between(uint64_t first, uint64_t end) noexcept nogil:
    """Return the bits first to end - 1 of a word; 0 <= first < end <= 64."""
    cdef uint64_t upto = ~<uint64_t>0 if end == 64 else (<uint64_t>1 << end) - 1
    return upto & ~((<uint64_t>1 << first) - 1)


cdef void change(dv_segment* s, int side, bint put, uint64_t start, uint64_t end) noexcept nogil:
    cdef uint64_t lines = s.masks[0]
    cdef uint64_t at = start + first_byte(s), stop = end + first_byte(s)
    cdef uint64_t line, upto, bits
    cdef uint64_t* masks = s.masks + 1 + lines * side
    while at < stop:
        line = at // LINE_BYTES
        if line >= lines:
            return
        upto = stop - line * LINE_BYTES
        bits = bits_between(at & (LINE_BYTES - 1), upto if upto < LINE_BYTES else LINE_BYTES)
        masks[line] = masks[line] | bits if put else masks[line] & ~bits
        at = (line + 1) * LINE_BYTES


cdef uint64_t count(const dv_segment* s, int side, uint64_t start, uint64_t end) noexcept nogil:
    cdef uint64_t lines, line, upto, total = 0
    cdef uint64_t at, stop
    cdef const uint64_t* masks
    if s.masks == NULL:
        return 0
    lines = s.masks[0]
    masks = s.masks + 1 + lines * side
    at = start + first_byte(s)
    stop = end + first_byte(s)
    while at < stop:
        line = at // LINE_BYTES
        if line >= lines:
            break
        upto = stop - line * LINE_BYTES
        total += ones(masks[line] & bits_between(
            at & (LINE_BYTES - 1), upto if upto < LINE_BYTES else LINE_BYTES))
        at = (line + 1) * LINE_BYTES
    return total


cdef int wrote(dv_shadow* sh, dv_segment* s, int side, uint64_t start, uint64_t end) noexcept nogil:
    cdef uint64_t lines
    if start >= end:
        return 0
    if s.masks == NULL:
        lines = line_count(s)
        if sh.mask_lines + lines > LINES_IN_ALL:
            sh.crowded += 1
            return 0
        s.masks = <uint64_t*>calloc(lines * 2 + 1, sizeof(uint64_t))
        if s.masks == NULL:
            return -1
        s.masks[0] = lines
        sh.mask_lines += lines
    change(s, side, True, start, end)
    change(s, 1 - side, False, start, end)
    return 0


cdef int device_wrote(dv_shadow* sh, dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    return wrote(sh, s, 0, start, end)


cdef int cpu_wrote(dv_shadow* sh, dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    return wrote(sh, s, 1, start, end)


cdef void handed_to_cpu(dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    if s.masks != NULL:
        change(s, 0, False, start, end)


cdef void handed_to_device(dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    if s.masks != NULL:
        change(s, 1, False, start, end)


cdef uint64_t stale_for_cpu(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    return count(s, 0, start, end)


cdef uint64_t stale_for_device(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    return count(s, 1, start, end)
