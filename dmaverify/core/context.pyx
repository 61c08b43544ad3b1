# cython: language_level=3
"""What is found out about one event, and the small looks that finding it is made of."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.shadow cimport dv_segment
from dmaverify.core.world cimport dv_world
from dmaverify.model.events cimport F_LENGTH_UNKNOWN, dv_batch, dv_event, dv_number

# Copied to begin with: for a struct of this size the compiler clears memory by a slow loop.
cdef dv_context NO_CONTEXT


cdef void context_init(dv_context* c, dv_world* w, const dv_batch* b, const dv_event* e,
                       const dv_number* n) noexcept nogil:
    c[0] = NO_CONTEXT
    c.world = w
    c.batch = b
    c.event = e
    c.number = n
    c.device = e.device
    c.count = 1


cdef uint64_t run_end(dv_world* w, uint32_t s) noexcept nogil:
    """Return where the run of adjacent segments of one mapping ends that starts at `s`."""
    cdef dv_segment* seg = &w.shadow.segments[s]
    cdef uint64_t end = seg.start + seg.length
    cdef uint32_t steps = 0
    while seg.sibling != 0 and w.shadow.segments[seg.sibling].start == end:
        seg = &w.shadow.segments[seg.sibling]
        end += seg.length
        steps += 1
        if steps == SCAN_MAX:
            w.shadow.crowded += 1
            return w.shadow.segments[s].start - 1  # as far as addresses go
    return end


cdef void reached(const dv_event* e, uint64_t* start, uint64_t* length) noexcept nogil:
    """Put the range that a device reaches for: its page, where no length is told."""
    start[0] = e.bus_addr
    length[0] = e.length if e.length != 0 else 1
    if e.flags & F_LENGTH_UNKNOWN:
        start[0] &= ~(PAGE - 1)
        length[0] = PAGE
