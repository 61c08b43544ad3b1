# cython: language_level=3
"""Errors about memory of an HCA, and what follows from them (see folds.pxd)."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from dmaverify.core.context cimport OBJ_GHOST, OBJ_MAPPING, dv_context
from dmaverify.core.objects cimport dv_verb_object, dv_verb_objects
from dmaverify.core.shadow cimport GRID_BUS, dv_segment, dv_walk, walk_init, walk_next
from dmaverify.core.work cimport dv_works
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_LENGTH_UNKNOWN, KIND_HCA_LOST, KIND_MAD_RECV, KIND_MAD_SEND,
    KIND_QUEUE_MEMORY, device_reaches, dv_event,
)

cdef enum:                   # model/kinds.py: RegionType
    REGION_DMA = 3

cdef uint32_t TOLD_MOST = 0xFFFF


cdef bint about_memory(const dv_context* c) noexcept nogil:
    cdef int kind = c.event.kind
    return kind == KIND_MAD_SEND or kind == KIND_MAD_RECV or (
        kind == KIND_HCA_LOST and (c.hca.now.mad or c.means.work != 0))


cdef uint32_t memory_told(const dv_context* c) noexcept nogil:
    cdef int kind = c.event.kind
    cdef uint32_t told = 0
    if kind != KIND_HCA_LOST and kind != KIND_MAD_SEND and kind != KIND_MAD_RECV:
        return 0
    if c.meant[OBJ_MAPPING] != 0:
        told = c.world.mappings[c.meant[OBJ_MAPPING]].told
    elif c.meant[OBJ_GHOST] != 0:
        told = c.world.mappings[c.meant[OBJ_GHOST]].told
    return told if told != 0 else c.hca.now.told


cdef inline uint64_t reach_of(const dv_event* e) noexcept nogil:
    return 1 if e.flags & F_LENGTH_UNKNOWN or e.length == 0 else e.length


cdef uint32_t held_told(const dv_context* c) noexcept nogil:
    cdef dv_walk w
    cdef const dv_segment* s
    cdef uint32_t index
    if not c.hca.held.there:
        return 0
    walk_init(&w, &c.hca.held.shadow, GRID_BUS, c.event.bus_addr, reach_of(c.event))
    while True:
        index = walk_next(&w)
        if index == 0:
            return 0
        s = &c.hca.held.shadow.segments[index]
        if s.mapping == c.event.device + 1 and s.told != 0:
            return s.told


cdef uint32_t posted_told(const dv_context* c) noexcept nogil:
    """The key of all memory makes of a posted buffer's address the bus address itself."""
    cdef dv_walk w
    cdef const dv_segment* s
    cdef const dv_verb_object* r
    cdef uint32_t index
    if c.works.live == 0:
        return 0
    walk_init(&w, &c.works.shadow, GRID_BUS, c.event.bus_addr, reach_of(c.event))
    while True:
        index = walk_next(&w)
        if index == 0:
            return 0
        s = &c.works.shadow.segments[index]
        r = &c.hca.items[<uint32_t>s.phys]
        if s.phys != 0 and r.type == REGION_DMA and r.device == c.event.device and s.told != 0:
            return s.told


cdef uint32_t reached_told(const dv_context* c) noexcept nogil:
    cdef uint32_t told
    if c.hca == NULL or c.event.flags & F_BUS_UNKNOWN or not device_reaches(c.event):
        return 0
    told = held_told(c)
    return told if told != 0 else posted_told(c)


cdef void held_tell(dv_verb_objects* o, uint32_t segment, uint32_t group) noexcept nogil:
    cdef dv_segment* s = &o.held.shadow.segments[segment]
    if s.told == 0 and group <= TOLD_MOST:
        s.told = <uint16_t>group


cdef void work_tell(dv_works* w, uint32_t work, uint32_t group) noexcept nogil:
    """Mark a request whose memory has gone, and its buffers, whatever its post was told for."""
    cdef uint32_t s = w.items[work].buffers
    if w.items[work].told == 0:
        w.items[work].told = group
    while s != 0 and group <= TOLD_MOST:
        if w.shadow.segments[s].told == 0:
            w.shadow.segments[s].told = <uint16_t>group
        s = w.shadow.segments[s].sibling


cdef void memory_tell(dv_context* c, uint32_t group) noexcept nogil:
    cdef int kind = c.event.kind
    cdef uint32_t index = c.meant[OBJ_MAPPING]
    if kind != KIND_HCA_LOST and kind != KIND_QUEUE_MEMORY and kind != KIND_MAD_SEND and \
            kind != KIND_MAD_RECV:
        return
    if index != 0 and c.world.mappings[index].told == 0:
        c.world.mappings[index].told = group
    if c.means.work != 0:
        work_tell(c.works, c.means.work, group)
