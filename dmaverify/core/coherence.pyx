# cython: language_level=3
"""Which copy of a mapped byte is newest (see coherence.pxd)."""

from libc.stdint cimport uint64_t, uint8_t
from libc.stdlib cimport calloc

from dmaverify.core.shadow cimport dv_segment, dv_shadow

cdef extern from *:
    int ones "__builtin_popcountll"(unsigned long long bits) noexcept nogil
    int lowest "__builtin_ctzll"(unsigned long long bits) noexcept nogil

cdef enum:                   # the masks of a segment; the first two are each other's opposite
    DEVICE_NEWER = 0
    CPU_NEWER = 1
    DEVICE_OWNS = 2
    MASKS = 3


cdef uint64_t TOP_LINES = ~<uint64_t>127  # no memory reaches the last lines of all


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


cdef inline uint64_t end_byte(const dv_segment* s) noexcept nogil:
    """Return where the segment ends, counted from the start of its first line."""
    return first_byte(s) + s.length


cdef inline uint64_t whole_lines(uint64_t at) noexcept nogil:
    return (at + LINE_BYTES - 1) & ~<uint64_t>(LINE_BYTES - 1)


cdef void change(dv_segment* s, int mask, bint put, uint64_t at, uint64_t stop) noexcept nogil:
    """Set or clear bits of a mask; bytes are counted from the start of the first line."""
    cdef uint64_t lines = s.masks[0]
    cdef uint64_t line, upto, bits
    cdef uint64_t* masks = s.masks + 1 + lines * mask
    while at < stop:
        line = at // LINE_BYTES
        if line >= lines:
            return
        upto = stop - line * LINE_BYTES
        bits = bits_between(at & (LINE_BYTES - 1), upto if upto < LINE_BYTES else LINE_BYTES)
        masks[line] = masks[line] | bits if put else masks[line] & ~bits
        at = (line + 1) * LINE_BYTES


cdef uint64_t count(const dv_segment* s, int mask, uint64_t at, uint64_t stop) noexcept nogil:
    """Count bits of a mask; bytes are counted from the start of the first line."""
    cdef uint64_t lines, line, upto, total = 0
    cdef const uint64_t* masks
    if s.masks == NULL:
        return 0
    lines = s.masks[0]
    masks = s.masks + 1 + lines * mask
    while at < stop:
        line = at // LINE_BYTES
        if line >= lines:
            break
        upto = stop - line * LINE_BYTES
        total += ones(masks[line] & bits_between(
            at & (LINE_BYTES - 1), upto if upto < LINE_BYTES else LINE_BYTES))
        at = (line + 1) * LINE_BYTES
    return total


cdef int make_masks(dv_shadow* sh, dv_segment* s) noexcept nogil:
    """Make the masks of a segment. Return 1, 0 where there are too many, -1 without memory."""
    cdef uint64_t lines
    if s.masks != NULL:
        return 1
    lines = line_count(s)
    if sh.mask_lines + lines > LINES_IN_ALL:
        sh.crowded += 1
        return 0
    s.masks = <uint64_t*>calloc(lines * MASKS + 1, sizeof(uint64_t))
    if s.masks == NULL:
        return -1
    s.masks[0] = lines
    sh.mask_lines += lines
    return 1


cdef int wrote(dv_shadow* sh, dv_segment* s, int side, uint64_t start, uint64_t end) noexcept nogil:
    cdef uint64_t before = first_byte(s)
    cdef int made
    if start >= end:
        return 0
    made = make_masks(sh, s)
    if made <= 0:
        return made
    change(s, side, True, before + start, before + end)
    change(s, 1 - side, False, before + start, before + end)
    return 0


cdef int device_wrote(dv_shadow* sh, dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    return wrote(sh, s, DEVICE_NEWER, start, end)


cdef int cpu_wrote(dv_shadow* sh, dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    return wrote(sh, s, CPU_NEWER, start, end)


cdef void handed_to_cpu(dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    if s.masks != NULL:
        change(s, DEVICE_NEWER, False, first_byte(s) + start, first_byte(s) + end)


cdef void handed_to_device(dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    if s.masks != NULL:
        change(s, CPU_NEWER, False, first_byte(s) + start, first_byte(s) + end)


cdef uint64_t stale_for_cpu(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    return count(s, DEVICE_NEWER, first_byte(s) + start, first_byte(s) + end)


cdef uint64_t stale_for_device(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    return count(s, CPU_NEWER, first_byte(s) + start, first_byte(s) + end)


cdef uint64_t next_bit(const uint64_t* mask, uint64_t lines, uint64_t at,
                       bint wanted) noexcept nogil:
    """Return the first bit at or behind `at` that is set, or is not; where none is, the end."""
    cdef uint64_t line = at // LINE_BYTES, bits
    while line < lines:
        bits = mask[line] if wanted else ~mask[line]
        bits &= ~<uint64_t>0 << (at & (LINE_BYTES - 1))
        if bits != 0:
            return line * LINE_BYTES + lowest(bits)
        line += 1
        at = 0
    return lines * LINE_BYTES


cdef bint device_run(const dv_segment* s, uint64_t at, uint64_t* start,
                     uint64_t* end) noexcept nogil:
    cdef uint64_t before = first_byte(s), lines
    cdef const uint64_t* mask
    if s.masks == NULL or at >= s.length:
        return False
    lines = s.masks[0]
    mask = s.masks + 1 + lines * DEVICE_NEWER
    start[0] = next_bit(mask, lines, before + at, True) - before
    if start[0] >= s.length:
        return False
    end[0] = min(next_bit(mask, lines, before + start[0], False) - before, s.length)
    return start[0] < end[0]


# What lies beside the segment in its first line is bytes 0 to first_byte, and in its last line
# end_byte to the end of the line.

cdef int neighbour_wrote(dv_shadow* sh, dv_segment* s, uint64_t phys, uint64_t end) noexcept nogil:
    cdef uint64_t line = s.phys - first_byte(s)
    cdef uint64_t start = phys - line if phys > line else 0
    cdef uint64_t stop = end - line if end > line else 0
    cdef uint64_t before = first_byte(s), after = end_byte(s)
    cdef int made
    if s.phys_length == 0 or s.phys >= TOP_LINES or s.length >= TOP_LINES - s.phys:
        return 0  # no memory, or none that is so far up
    if start >= min(stop, before) and max(start, after) >= min(stop, whole_lines(after)):
        return 0
    made = make_masks(sh, s)
    if made <= 0:
        return made
    change(s, CPU_NEWER, True, start, min(stop, before))
    change(s, CPU_NEWER, True, max(start, after), min(stop, whole_lines(after)))
    return 0


cdef void neighbours_settled(dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    cdef uint64_t before = first_byte(s), after = end_byte(s)
    if s.masks == NULL or start >= end:
        return
    if before + start < LINE_BYTES:
        change(s, CPU_NEWER, False, 0, before)
    if whole_lines(before + end) == whole_lines(after):
        change(s, CPU_NEWER, False, after, whole_lines(after))


cdef uint64_t neighbours_dirty(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    cdef uint64_t before = first_byte(s), after = end_byte(s), total = 0
    if s.masks == NULL or start >= end:
        return 0
    if before + start < LINE_BYTES:
        total += count(s, CPU_NEWER, 0, before)
    if whole_lines(before + end) == whole_lines(after):
        total += count(s, CPU_NEWER, after, whole_lines(after))
    return total


cdef uint64_t lines_dirty(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    cdef uint64_t at = (first_byte(s) + start) & ~<uint64_t>(LINE_BYTES - 1)
    return count(s, CPU_NEWER, at, whole_lines(first_byte(s) + end)) if start < end else 0


cdef int owned_by(dv_shadow* sh, dv_segment* s, uint64_t start, uint64_t end,
                  int owner) noexcept nogil:
    cdef uint64_t before = first_byte(s)
    cdef int made
    if start == 0 and end >= s.length:
        s.owner = <uint8_t>owner
        return 0
    if start >= end or s.owner == owner:
        return 0
    if s.owner != OWNER_MASK:
        made = make_masks(sh, s)
        if made <= 0:
            s.owner = OWNER_CPU  # what is not followed is not told
            return made
        change(s, DEVICE_OWNS, s.owner == OWNER_DEVICE, before,
               before + min(s.length, <uint64_t>LINES_MAX * LINE_BYTES))
        s.owner = OWNER_MASK
    change(s, DEVICE_OWNS, owner == OWNER_DEVICE, before + start, before + end)
    return 0


cdef uint64_t device_owned(const dv_segment* s, uint64_t start, uint64_t end) noexcept nogil:
    if s.owner == OWNER_MASK:
        return count(s, DEVICE_OWNS, first_byte(s) + start, first_byte(s) + end)
    return end - start if s.owner == OWNER_DEVICE and start < end else 0
