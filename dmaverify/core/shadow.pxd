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
# Does not judge; does not know devices.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from dmaverify.core.table cimport dv_table

cdef enum:
    PAGE_SHIFT = 12
    LEVELS = 18          # the last is wide enough for any 64-bit length
    GRID_BUS = 0
    GRID_PHYS = 1
    GRID_GHOST = 2
    GRIDS = 3
    CHAIN_MAX = 4096     # steps along one chain before a look-up gives up
    CELLS_MAX = 4096     # cells of one level that one look-up visits

cdef struct dv_segment:
    uint64_t start       # bus address
    uint64_t length      # bytes
    uint64_t phys        # physical address
    uint64_t phys_length # bytes; 0 = not in the physical grid
    uint32_t mapping     # index of its mapping; 0 = free
    uint32_t sibling     # next segment of the same mapping, or next free; 0 = none
    uint32_t next[4]     # links: two cells of its bus or ghost grid, two of the physical
    uint32_t prev[4]     # 0 = first of its chain
    uint8_t grid         # GRID_BUS or GRID_GHOST
    uint8_t level[2]     # bus or ghost level, physical level
    uint8_t cells[2]     # cells it touches there: 0 = not linked

cdef struct dv_shadow:
    dv_segment* segments # index 0 is never used
    uint32_t count
    uint32_t capacity
    uint32_t free
    dv_table heads
    uint32_t population[3][18]
    uint64_t crowded     # look-ups that gave up

cdef int shadow_init(dv_shadow* s, uint64_t seed) noexcept nogil
cdef void shadow_deinit(dv_shadow* s) noexcept nogil
# Return a new segment's index, or 0 when memory is gone. May move all segments.
cdef uint32_t segment_new(dv_shadow* s) noexcept nogil
cdef void segment_free(dv_shadow* s, uint32_t index) noexcept nogil
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
    int grid
    int level
    uint32_t steps

cdef void walk_init(dv_walk* w, dv_shadow* s, int grid, uint64_t start,
                    uint64_t length) noexcept nogil
# Return the index of the next segment, or 0 at the end.
cdef uint32_t walk_next(dv_walk* w) noexcept nogil
