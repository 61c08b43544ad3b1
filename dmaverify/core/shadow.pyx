# cython: language_level=3
"""The shadow memory: a grid of cells over bus and physical addresses (see shadow.pxd)."""

from libc.stdint cimport uint32_t, uint64_t, uint8_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset

from dmaverify.core.table cimport (
    dv_slot, table_deinit, table_find, table_init, table_remove, table_swap,
)

# Copied to begin with: for a struct of this size the compiler clears memory by a slow loop.
cdef dv_segment NO_SEGMENT


cdef int shadow_init(dv_shadow* s, uint64_t seed) noexcept nogil:
    memset(s, 0, sizeof(dv_shadow))
    s.capacity = 4096
    s.count = 1
    s.segments = <dv_segment*>malloc(s.capacity * sizeof(dv_segment))
    if s.segments == NULL:
        return -1
    return table_init(&s.heads, 8192, seed)


cdef void shadow_deinit(dv_shadow* s) noexcept nogil:
    cdef uint32_t i
    if s.segments != NULL:
        for i in range(1, s.count):
            free(s.segments[i].masks)
    free(s.segments)
    s.segments = NULL
    table_deinit(&s.heads)


cdef uint32_t segment_new(dv_shadow* s) noexcept nogil:
    cdef uint32_t index = s.free
    cdef void* p
    if index != 0:
        s.free = s.segments[index].sibling
    else:
        if s.count == s.capacity:
            if s.capacity >> 29:  # a link holds the index and two bits
                return 0
            p = realloc(s.segments, <size_t>s.capacity * 2 * sizeof(dv_segment))
            if p == NULL:
                return 0
            s.segments = <dv_segment*>p
            s.capacity *= 2
        index = s.count
        s.count += 1
    s.segments[index] = NO_SEGMENT
    return index


cdef void segment_settle(dv_shadow* s, uint32_t index) noexcept nogil:
    cdef dv_segment* seg = &s.segments[index]
    if seg.masks != NULL:
        s.mask_lines -= seg.masks[0]
        free(seg.masks)
        seg.masks = NULL


cdef void segment_free(dv_shadow* s, uint32_t index) noexcept nogil:
    segment_settle(s, index)
    s.segments[index].mapping = 0
    s.segments[index].sibling = s.free
    s.free = index


cdef int segment_link(dv_shadow* s, uint32_t index, int grid) noexcept nogil:
    cdef dv_segment* seg = &s.segments[index]
    cdef bint physical = grid == GRID_PHYS
    cdef uint64_t start = seg.phys if physical else seg.start
    cdef uint64_t length = segment_reach(seg, grid)
    cdef uint64_t last, cell
    cdef bint failed = False
    cdef uint32_t head, link
    cdef int level, slot, side = 1 if physical else 0
    if length == 0:
        length = 1  # a mapping of nothing still stands at its address
    last = start + (length - 1)
    if last < start:
        last = <uint64_t>-1
    level = level_of(last - start + 1 if last - start + 1 != 0 else <uint64_t>-1)
    seg.level[side] = <uint8_t>level
    seg.cells[side] = 0
    if not physical:
        seg.grid = <uint8_t>grid
    cell = cell_of(start, level)
    while True:
        slot = side * 2 + seg.cells[side]
        link = index << 2 | <uint32_t>slot
        head = table_swap(&s.heads, cell_key(grid, level, cell), link, &failed)
        if failed:
            return -1
        seg.next[slot] = head
        seg.prev[slot] = 0
        if head != 0:
            s.segments[head >> 2].prev[head & 3] = link
        seg.cells[side] += 1
        if cell == cell_of(last, level) or seg.cells[side] == 2:
            break
        cell += 1
    s.identical += grid == GRID_BUS and segment_is_identical(seg)
    s.population[grid][level] += 1
    s.levels[grid] |= <uint32_t>1 << level
    return 0


cdef void segment_unlink(dv_shadow* s, uint32_t index, bint physical) noexcept nogil:
    cdef dv_segment* seg = &s.segments[index]
    cdef int side = 1 if physical else 0
    cdef int grid = GRID_PHYS if physical else seg.grid
    cdef int level = seg.level[side]
    cdef uint64_t start = seg.phys if physical else seg.start
    cdef int i, slot
    cdef uint32_t before, after
    cdef dv_slot* head
    if seg.cells[side] == 0:
        return
    for i in range(seg.cells[side]):
        slot = side * 2 + i
        before = seg.prev[slot]
        after = seg.next[slot]
        if after != 0:
            s.segments[after >> 2].prev[after & 3] = before
        if before != 0:
            s.segments[before >> 2].next[before & 3] = after
            continue
        head = table_find(&s.heads, cell_key(grid, level, cell_of(start, level) + i))
        if head == NULL:
            continue
        if after != 0:
            head.value = after
        else:
            table_remove(&s.heads, head)
    seg.cells[side] = 0
    s.identical -= grid == GRID_BUS and segment_is_identical(seg)
    s.population[grid][level] -= 1
    if s.population[grid][level] == 0:
        s.levels[grid] &= ~(<uint32_t>1 << level)
