# cython: language_level=3
"""The loop over the events of a batch."""

from dmaverify.core.adapters cimport named_read
from dmaverify.core.aims cimport fault_allowed
from dmaverify.core.apply cimport apply_event, cpu_access, kind_of_windows
from dmaverify.core.context cimport OBJ_MAPPING, context_init, dv_context
from dmaverify.core.effects cimport effects_judge, effects_seen
from dmaverify.core.groups cimport groups_word
from dmaverify.core.hca_feed cimport hca_event
from dmaverify.core.hca_held cimport hca_lost, work_touched
from dmaverify.core.judge cimport dv_engine, run_rules
from dmaverify.core.resolve cimport context_resolve
from dmaverify.core.stale cimport retire_stale
from dmaverify.core.translations cimport iommu_map
from dmaverify.core.world cimport CPUS, dv_world, world_device
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_FROM_MARK, KIND_COUNT, KIND_CPU_READ, KIND_CPU_WRITE, KIND_DEV_FAULT,
    KIND_DMA_ALLOC, KIND_DMA_FREE, KIND_DMA_MAP, KIND_DMA_UNMAP, KIND_DRIVER_UNBOUND,
    KIND_IOMMU_MAP, SIDE_ARGS, device_reaches, dv_batch, dv_event, event_failed, event_side,
    kind_of_hca,
)


cdef int other_source(dv_engine* g, dv_context* c) noexcept nogil:
    """Take what a source other than the trace tells. Return 1 where there is nothing to judge."""
    cdef const dv_event* e = c.event
    cdef bint fault = e.kind == KIND_DEV_FAULT
    cdef int told
    if e.flags & F_BUS_UNKNOWN or not (fault or e.status != 0 or e.flags & F_FROM_MARK):
        return 0
    if fault or e.flags & F_FROM_MARK:
        told = groups_word(&g.groups, c)
        if told != 0:
            return told
        if e.flags & F_FROM_MARK:
            g.world.undecided += e.status < 0
            return 1
    if c.in_time:
        g.checked += 1
        return 1
    if c.undecided:
        g.world.undecided += 1
        return 1
    if fault and c.meant[OBJ_MAPPING] != 0 and fault_allowed(c):
        g.world.unexplained += 1
    return 0


cdef inline bint names_objects(const dv_world* w, const dv_batch* b,
                               const dv_event* e) noexcept nogil:
    """Tell whether an event may have to do with adapters, map register files and MDLs."""
    if kind_of_windows(e.kind):
        return True
    if b.named != 0 and e.side != 0 and event_side(b, e, SIDE_ARGS) != NULL:
        return True
    if e.kind == KIND_DRIVER_UNBOUND:
        return w.objects.adapters != 0
    return w.objects.bound != 0 and (e.kind == KIND_DMA_UNMAP or e.kind == KIND_DMA_FREE)


cdef int engine_feed(dv_engine* g, dv_batch* b) noexcept nogil:
    cdef size_t i
    cdef int settled
    cdef dv_event* e
    cdef dv_context c
    cdef dv_world* w = &g.world
    for i in range(b.count):
        e = &b.rows[i]
        if e.kind == 0 or e.kind >= KIND_COUNT:
            continue
        g.events += 1
        if w.cpu_rows[e.cpu % CPUS] < 255:
            w.cpu_rows[e.cpu % CPUS] += 1
        if e.kind == KIND_IOMMU_MAP and not g.has_rules[e.kind]:
            if iommu_map(w, e.bus_addr) < 0:
                return -1
            continue
        w.now = e.time
        if world_device(w, e.device) == NULL:
            return -1
        if w.gaps != 0 and (e.kind == KIND_DMA_MAP or e.kind == KIND_DMA_ALLOC) and \
                not event_failed(e) and retire_stale(w, b, e, &b.numbers[i]) < 0:
            return -1
        context_init(&c, w, b, e, &b.numbers[i])
        c.hca = &g.hca
        c.works = &g.works
        if kind_of_hca(e.kind):
            if hca_event(g, &c) < 0:
                return -1
            continue
        if names_objects(w, b, e):
            named_read(&g.named, &w.objects, b, e)
            c.named = &g.named
        context_resolve(&c)
        g.pending = 0
        if device_reaches(e):
            settled = other_source(g, &c)
            if settled < 0:
                return -1
            if g.effects.count != 0 and effects_seen(&g.effects, &c, settled) < 0:
                return -1
            if settled:
                continue
        if e.kind == KIND_CPU_READ or e.kind == KIND_CPU_WRITE:
            g.checked += g.has_rules[e.kind]
            if work_touched(g, &c) < 0:
                return -1
            if cpu_access(g, &c) < 0:
                return -1
            continue
        if g.effects.count != 0 and effects_judge(&g.effects, &c) < 0:
            return -1
        if g.has_rules[e.kind]:
            g.checked += 1
            if run_rules(g, &c) < 0:
                return -1
        if hca_lost(g, &c) < 0 or apply_event(g, b, &c) < 0:
            return -1
    return 0
