# cython: language_level=3
# Ended mappings: the ring that they are written to, and the grid in which they are found.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.shadow cimport dv_segment
from dmaverify.core.world cimport dv_mapping, dv_world

# Bring all that the ring holds into the ghost grid, and all that ends from now on.
cdef int ghosts_index(dv_world* w) noexcept nogil
# Before a look-up in the ghost grid: bring what the ring holds about the address into it.
cdef int ghosts_ask(dv_world* w, uint32_t device, uint64_t bus_addr) noexcept nogil
# Put the ghost of a mapping with one segment into the ring.
cdef int ring_push(dv_world* w, const dv_mapping* m, const dv_segment* seg) noexcept nogil
# Make an ended mapping a ghost in the grid.
cdef int grid_ghost(dv_world* w, uint32_t index) noexcept nogil
