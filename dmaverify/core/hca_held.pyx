# cython: language_level=3
"""Events of mappings and of the CPU that meet what an HCA works with."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from dmaverify.core.context cimport dv_context, dv_meaning
from dmaverify.core.hca_state cimport dv_hca_now
from dmaverify.core.folds cimport held_tell
from dmaverify.core.judge cimport dv_engine, run_rules
from dmaverify.core.pins cimport LOST_MAX, pins_let_go, pins_lost, pins_refused, pins_stand
from dmaverify.core.posts cimport posts_hazard, posts_lost
from dmaverify.core.rings cimport rings_written
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN, KIND_CPU_WRITE, KIND_DEV_FAULT,
    KIND_DMA_FREE, KIND_DMA_UNMAP, KIND_HCA_LOST, KIND_WORK_TOUCHED, TYPE_SHIFT, dv_event,
)

cdef enum:                   # model/kinds.py: Hazard
    HAZARD_RING = 7


cdef void begin(dv_engine* g, dv_context* c) noexcept nogil:
    memset(&g.means, 0, sizeof(dv_meaning))
    memset(&g.hca.now, 0, sizeof(dv_hca_now))
    c.means = &g.means


cdef int judge_as(dv_engine* g, dv_context* c, const dv_event* derived) noexcept nogil:
    """Run the rules on an event made of the one at hand; `means` stands."""
    cdef const dv_event* told = c.event
    cdef int failed
    c.event = derived
    failed = run_rules(g, c)
    c.event = told
    c.means = NULL
    return failed


cdef inline bint takes_memory(int kind) noexcept nogil:
    return kind == KIND_DMA_UNMAP or kind == KIND_DMA_FREE or kind == KIND_DEV_FAULT


cdef int hca_lost(dv_engine* g, dv_context* c) noexcept nogil:
    cdef uint32_t found[LOST_MAX]
    cdef dv_event lost
    cdef int i, count, kind = KIND_HCA_LOST
    cdef bint fault = c.event.kind == KIND_DEV_FAULT
    if not takes_memory(c.event.kind) or not g.has_rules[kind] or \
            g.hca.held.live + g.works.live == 0:
        return 0
    lost = c.event[0]
    lost.kind = KIND_HCA_LOST
    lost.flags &= <unsigned short>((1 << TYPE_SHIFT) - 1)
    count = pins_refused(c, found) if fault else pins_lost(c, found)
    for i in range(count):
        begin(g, c)
        pins_stand(c, found[i])
        g.hca.now.fault = fault
        if judge_as(g, c, &lost) < 0:
            return -1
        held_tell(&g.hca, found[i], g.pending)
    if fault:
        return 0
    if pins_let_go(c) < 0:
        return -1
    if g.works.live == 0:
        return 0
    begin(g, c)
    if posts_lost(c) != 0:
        return judge_as(g, c, &lost)
    c.means = NULL
    return 0


cdef int touched(dv_engine* g, dv_context* c, uint64_t address) noexcept nogil:
    """Run the rules on what the CPU touches, where there is a hazard."""
    cdef dv_event touch
    if g.hca.now.hazard == 0:
        c.means = NULL
        return 0
    touch = c.event[0]
    touch.kind = KIND_WORK_TOUCHED
    touch.bus_addr = address
    touch.direction = c.event.kind == KIND_CPU_WRITE
    touch.flags &= ~(F_BUS_UNKNOWN | F_DIRECTION_UNKNOWN)
    return judge_as(g, c, &touch)


cdef int work_touched(dv_engine* g, dv_context* c) noexcept nogil:
    cdef int kind = KIND_WORK_TOUCHED
    if g.works.live + g.hca.told.live == 0 or not g.has_rules[kind] or not c.virt_known or \
            c.event.flags & F_LENGTH_UNKNOWN:
        return 0
    begin(g, c)
    g.hca.now.hazard = posts_hazard(c, c.event.kind == KIND_CPU_WRITE)
    return touched(g, c, c.virt)


cdef int ring_written(dv_engine* g, dv_context* c, uint32_t mapping) noexcept nogil:
    cdef int kind = KIND_WORK_TOUCHED
    if c.event.kind != KIND_CPU_WRITE or g.hca.held.live == 0 or not g.has_rules[kind]:
        return 0
    begin(g, c)
    g.hca.now.hazard = HAZARD_RING if rings_written(c, mapping) else 0
    return touched(g, c, c.event.phys_addr)
