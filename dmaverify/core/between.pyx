# cython: language_level=3
"""What lies between a device and memory on each platform of a run (see between.pxd)."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from dmaverify.core.incidents cimport incidents_deinit, incidents_init
from dmaverify.core.shadow cimport GRID_BUS, GRID_PHYS, dv_segment, dv_walk, walk_init, walk_next
from dmaverify.core.touches cimport touches_deinit, touches_init
from dmaverify.core.world cimport (
    MARK_BOUNCED, MARK_LENGTH, MARK_PHYS, SCAN_MAX, STATE_LIVE, dv_mapping, dv_world,
)
from dmaverify.model.events cimport TYPE_SG
from dmaverify.model.platform cimport BOUNCE_ALWAYS, BOUNCE_NEVER, dv_platform


cdef int between_init(dv_effects* f, uint64_t seed, uint32_t platforms) noexcept nogil:
    memset(f, 0, sizeof(dv_effects))
    f.count = platforms
    if platforms == 0:
        return 0
    if touches_init(&f.touches) < 0:
        return -1
    return incidents_init(&f.incidents, seed)


cdef void between_deinit(dv_effects* f) noexcept nogil:
    if f.count != 0:
        incidents_deinit(&f.incidents)
        touches_deinit(&f.touches)
    free(f.used)
    memset(f, 0, sizeof(dv_effects))


cdef dv_used* used_by(dv_effects* f, uint32_t device) noexcept nogil:
    cdef uint32_t count = f.used_count if f.used_count != 0 else 16
    cdef void* block
    if device >= f.used_count:
        while count <= device:
            count *= 2
        block = realloc(f.used, <size_t>count * sizeof(dv_used))
        if block == NULL:
            return NULL
        f.used = <dv_used*>block
        memset(f.used + f.used_count, 0, (count - f.used_count) * sizeof(dv_used))
        f.used_count = count
    return &f.used[device]


cdef uint64_t physical_end(const dv_world* w, const dv_mapping* m) noexcept nogil:
    """Return where the highest known memory of a mapping ends; 0 = not known."""
    cdef uint64_t end = 0
    cdef uint32_t s = m.first if m.state == STATE_LIVE else 0
    cdef const dv_segment* seg
    if m.marks & MARK_PHYS:
        end = m.phys_addr + (m.length if m.marks & MARK_LENGTH and m.type != TYPE_SG else 1)
    while s != 0:
        seg = &w.shadow.segments[s]
        if seg.phys_length != 0 and seg.phys + seg.phys_length > end:
            end = seg.phys + seg.phys_length
        s = seg.sibling
    return end


cdef bint bounced(const dv_platform* p, const dv_world* w, const dv_mapping* m) noexcept nogil:
    """Tell whether a platform puts a bounce buffer between a mapping's memory and its device."""
    cdef uint64_t end
    if p.recorded:
        return m.marks & MARK_BOUNCED != 0
    if not streams(m) or p.bounce == BOUNCE_NEVER:
        return False
    if p.bounce == BOUNCE_ALWAYS:
        return True
    end = physical_end(w, m)
    return end != 0 and end - 1 > p.highest


cdef bint others_memory(dv_world* w, uint32_t but, uint64_t phys, uint64_t length) noexcept nogil:
    """Tell whether a live mapping but one, of any device, holds memory of a physical range."""
    cdef dv_walk walk
    cdef const dv_segment* seg
    cdef uint32_t s
    cdef int grid
    for grid in range(GRID_BUS, GRID_PHYS + 1):
        walk_init(&walk, &w.shadow, grid, phys, length)
        s = walk_next(&walk)
        while s != 0:
            seg = &w.shadow.segments[s]
            # The bus grid tells of memory only where bus and physical address are the same.
            if seg.mapping != but and (
                    grid == GRID_PHYS or (seg.phys == seg.start and seg.phys_length != 0)):
                return True
            s = walk_next(&walk)
    return False


cdef bint memory_at(const dv_world* w, const dv_mapping* m, uint64_t bus, bint behind,
                    uint64_t* phys) noexcept nogil:
    """Give the memory that a bus address in a mapping stands for, or (`behind`) one right behind
    a segment of it; False where it is not known.
    """
    cdef uint32_t s = m.first, steps = 0
    cdef const dv_segment* seg
    cdef uint64_t into
    if m.type != TYPE_SG:
        phys[0] = m.phys_addr + (bus - m.bus_addr)
        return m.marks & MARK_PHYS != 0
    while s != 0 and steps < SCAN_MAX:
        seg = &w.shadow.segments[s]
        into = bus - seg.start
        if seg.phys_length != 0 and bus >= seg.start and (
                into < seg.length or (behind and into == seg.length)):
            phys[0] = seg.phys + into
            return True
        s = seg.sibling
        steps += 1
    return False
