# cython: language_level=3
"""Ranges of processes and tables of on-demand regions (see ranges.pxd)."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.context cimport dv_context
from dmaverify.core.hca_state cimport (
    HOLD_ODP, HOLD_RANGE, dv_hca_now, dv_holds, hold_add, hold_first, hold_shared, holds_cut,
    owner_object,
)
from dmaverify.core.keys cimport keys_find
from dmaverify.core.objects cimport (
    KNOWS_ACCESS, KNOWS_IOVA, KNOWS_LENGTH, VERB_LIVE, dv_verb_object,
)
from dmaverify.core.shadow cimport GRID_MEMORY, dv_segment, dv_walk, walk_init, walk_next
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_FAILED, F_LENGTH_UNKNOWN, KIND_ODP_PAGES, dv_event, event_type,
)

cdef enum:                   # model/kinds.py: RangeChange, RegionType, Rights
    BROUGHT_IN = 7
    REGION_ON_DEMAND = 2
    REGION_DMA = 3
    REGION_FAST = 4
    REGION_DMABUF = 5        # it and what follows it have no addresses of the process
    ZERO_BASED = 32


cdef void find_regions(dv_context* c) noexcept nogil:
    """Find the regions in a range of a process that changes; of several one that is in use.

    Source: Linux drivers/infiniband/core/umem.c and umem_odp.c.
    """
    cdef dv_hca_now* now = &c.hca.now
    cdef const dv_event* e = c.event
    cdef dv_holds* h = &c.hca.held
    cdef dv_walk w
    cdef const dv_segment* s
    cdef const dv_verb_object* x
    cdef uint32_t index, region
    cdef uint64_t first = 0, shared
    if not h.there or e.flags & (F_BUS_UNKNOWN | F_LENGTH_UNKNOWN) or e.length == 0:
        return
    walk_init(&w, &h.shadow, GRID_MEMORY, e.bus_addr, e.length)
    while True:
        index = walk_next(&w)
        if index == 0:
            return
        s = &h.shadow.segments[index]
        region = <uint32_t>s.phys
        x = &c.hca.items[region]
        if s.owner != HOLD_RANGE and s.owner != HOLD_ODP or x.state != VERB_LIVE or \
                x.serial != <uint32_t>s.run or e.device != 0 and e.device != x.device or \
                not hold_first(&w, s):
            continue
        shared = hold_shared(s.start, s.length, e.bus_addr, e.length, &first)
        if s.owner == HOLD_ODP:
            now.in_table += shared
        elif x.type != REGION_ON_DEMAND and x.type != REGION_DMABUF:
            now.registered += shared
        else:
            continue
        if c.means.region == 0 or x.outstanding > c.hca.items[c.means.region].outstanding:
            c.means.region = region


cdef int ranges_apply(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef uint32_t index = c.means.region
    cdef uint64_t owner
    if index == 0 or e.flags & (F_BUS_UNKNOWN | F_LENGTH_UNKNOWN | F_FAILED) or e.length == 0:
        return 0
    owner = owner_object(HOLD_ODP, c.hca.items[index].serial)
    c.hca.items[index].ranged = 1
    if holds_cut(&c.hca.held, owner, e.bus_addr, e.length) < 0:
        return -1
    if event_type(e) != BROUGHT_IN:
        return 0
    return hold_add(&c.hca.held, GRID_MEMORY, owner, HOLD_ODP,
                    e.device, index, c.hca.items[index].serial, e.bus_addr, e.length)


cdef int ranges_region(dv_context* c, uint32_t index) noexcept nogil:
    cdef dv_verb_object* x = &c.hca.items[index]
    cdef int need = KNOWS_IOVA | KNOWS_LENGTH | KNOWS_ACCESS
    if x.marks & need != need or x.access & ZERO_BASED or x.type == REGION_DMA or \
            x.type == REGION_FAST or x.type >= REGION_DMABUF or x.length > <uint64_t>1 << 47:
        return 0
    x.ranged = 1
    return hold_add(&c.hca.held, GRID_MEMORY, owner_object(HOLD_RANGE, x.serial), HOLD_RANGE,
                    x.device, index, x.serial, x.iova, x.length)


cdef void ranges_resolve(dv_context* c) noexcept nogil:
    if c.event.kind == KIND_ODP_PAGES:
        keys_find(c)
    else:
        find_regions(c)
