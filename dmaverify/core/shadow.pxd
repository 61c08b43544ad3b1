# cython: language_level=3
# The shadow memory: which segments lie at an address, byte-exact.
#
# A segment is linked into the cells of a grid. The grid has levels; a cell of level k is
# 4 KiB * 8^k wide, and a segment lies on the lowest level whose cells are as long as it
# is, so it touches at most two cells whatever its length. A look-up asks each level that
# holds anything: usually one or two.
# Three grids share the table: live bus ranges, live physical ranges, and ghosts (ended
# bus ranges). The key is the cell alone; devices and address spaces are compared in the
# chain, so that another device's mapping at the same address can be found.
# Ghosts are linked by runs: segments of one mapping that follow each other in the bus's
# addresses are one range there, and the first of them stands for all.
# Does not judge; does not know devices.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from dmaverify.core.table cimport dv_table, table_get

cdef extern from *:
    int lowest_bit "__builtin_ctz"(unsigned int bits) noexcept nogil

cdef enum:
    PAGE_SHIFT = 12
    LEVELS = 18          # the last is wide enough for any 64-bit length
    GRID_BUS = 0
    GRID_PHYS = 1
    GRID_GHOST = 2
    GRID_MEMORY = 3      # physical ranges of which the recording names the kind
    GRIDS = 4
    CHAIN_MAX = 4096     # steps along one chain before a look-up gives up
    CELLS_MAX = 4096     # cells of one level that one look-up visits

cdef struct dv_segment:
    uint64_t start       # bus address
    uint64_t length      # bytes
    uint64_t phys        # physical address
    uint64_t phys_length  # bytes; 0 = not in the physical grid
    uint64_t run         # bytes of the run that it stands for in the ghost grid
    uint32_t mapping     # index of its mapping (GRID_MEMORY: kind of memory); 0 = free
    uint32_t sibling     # next segment of the same mapping, or next free; 0 = none
    uint32_t next[4]     # links: two cells of its bus or ghost grid, two of the physical
    uint32_t prev[4]     # 0 = first of its chain
    uint8_t grid         # GRID_BUS, GRID_GHOST or GRID_MEMORY
    uint8_t level[2]     # bus or ghost level, physical level
    uint8_t cells[2]     # cells it touches there: 0 = not linked (or no first of a run)
    uint8_t owner        # who owns its bytes (coherence.pxd)
    uint16_t told        # what an HCA holds: group of the error about it, plus 1; 0 = none
    uint64_t* masks      # line count, then what is newest where (coherence.pxd); NULL = both

cdef struct dv_shadow:
    dv_segment* segments  # index 0 is never used
    uint32_t count
    uint32_t capacity
    uint32_t free
    dv_table heads
    uint32_t population[4][18]
    uint32_t levels[4]   # one bit a level that holds anything
    uint64_t identical   # segments of the bus grid whose physical address is the same
    uint64_t crowded     # look-ups that gave up
    uint64_t mask_lines  # lines of all masks together

cdef inline int level_shift(int level) noexcept nogil:
    return PAGE_SHIFT + 3 * level

cdef inline int level_of(uint64_t length) noexcept nogil:
    cdef int level = 0
    while level < LEVELS - 1 and (length - 1) >> level_shift(level) != 0:
        level += 1
    return level

cdef inline uint64_t cell_key(int grid, int level, uint64_t cell) noexcept nogil:
    # A cell number has at most 52 bits, so the key is exact.
    return cell << 12 | <uint64_t>level << 4 | <uint64_t>grid

cdef inline uint64_t cell_of(uint64_t address, int level) noexcept nogil:
    cdef int shift = level_shift(level)
    return address >> shift if shift < 64 else 0

# Return the bytes of the range that a segment is in a grid.
cdef inline uint64_t segment_reach(const dv_segment* seg, int grid) noexcept nogil:
    if grid == GRID_PHYS:
        return seg.phys_length
    return seg.run if grid == GRID_GHOST else seg.length

# True where the bus grid serves for the physical address too.
cdef inline bint segment_is_identical(const dv_segment* seg) noexcept nogil:
    return seg.phys == seg.start and seg.phys_length != 0

cdef int shadow_init(dv_shadow* s, uint64_t seed) noexcept nogil
cdef void shadow_deinit(dv_shadow* s) noexcept nogil
# Return a new segment's index, or 0 when memory is gone. May move all segments.
cdef uint32_t segment_new(dv_shadow* s) noexcept nogil
cdef void segment_free(dv_shadow* s, uint32_t index) noexcept nogil
# Forget which copy of its bytes is newest.
cdef void segment_settle(dv_shadow* s, uint32_t index) noexcept nogil
# Link a segment into its bus or ghost grid, or into the physical grid; 0 or -1.
cdef int segment_link(dv_shadow* s, uint32_t index, int grid) noexcept nogil
cdef void segment_unlink(dv_shadow* s, uint32_t index, bint physical) noexcept nogil

# A walk over all segments of a grid that share a byte with [start, start + length).
# A segment may come twice (once a cell).
cdef struct dv_walk:
    dv_shadow* shadow
    uint64_t start
    uint64_t last
    uint64_t cell
    uint64_t last_cell
    uint32_t link
    uint32_t levels      # one bit a level still to visit
    int grid
    int level
    uint32_t steps

# Stand at the first cell of the next level that holds anything; False where there is none.
cdef inline bint walk_level(dv_walk* w) noexcept nogil:
    if w.levels == 0:
        return False
    w.level = lowest_bit(w.levels)
    w.levels &= w.levels - 1
    w.cell = cell_of(w.start, w.level)
    w.last_cell = cell_of(w.last, w.level)
    if w.last_cell - w.cell >= CELLS_MAX:
        # Too wide to visit cell by cell: the rest of this level stays unseen, and counted.
        w.last_cell = w.cell + CELLS_MAX - 1
        w.shadow.crowded += 1
    w.link = table_get(&w.shadow.heads, cell_key(w.grid, w.level, w.cell))
    w.steps = 0
    return True

cdef inline void walk_init(dv_walk* w, dv_shadow* s, int grid, uint64_t start,
                           uint64_t length) noexcept nogil:
    w.shadow = s
    w.grid = grid
    w.start = start
    w.last = start + (length - 1 if length != 0 else 0)
    if w.last < start:
        w.last = <uint64_t>-1
    w.levels = s.levels[grid]
    w.link = 0
    w.cell = 0
    w.last_cell = 0

# Return the index of the next segment, or 0 at the end.
cdef inline uint32_t walk_next(dv_walk* w) noexcept nogil:
    cdef dv_segment* seg
    cdef uint64_t start, length
    cdef uint32_t index
    while True:
        while w.link == 0:
            if w.cell < w.last_cell:
                w.cell += 1
                w.link = table_get(&w.shadow.heads, cell_key(w.grid, w.level, w.cell))
                w.steps = 0
            elif not walk_level(w):
                return 0
        index = w.link >> 2
        seg = &w.shadow.segments[index]
        w.link = seg.next[w.link & 3]
        w.steps += 1
        if w.steps > CHAIN_MAX:
            w.shadow.crowded += 1
            w.link = 0
        start = seg.phys if w.grid == GRID_PHYS else seg.start
        length = segment_reach(seg, w.grid)
        if start <= w.last and (start >= w.start or w.start - start < length):
            return index
