# cython: language_level=3
"""Events of HCAs: what they mean and what they change."""

from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t, uint8_t

from dmaverify.core.context cimport dv_context, dv_meaning
from dmaverify.core.keys cimport (
    hca_value, keys_access, keys_accessed, keys_bind, keys_bound, keys_changed, keys_ended,
    keys_fast, keys_find, keys_registered, keys_rights, keys_verdict, keys_window,
)
from dmaverify.core.hca_state cimport dv_hca_now
from dmaverify.core.objects cimport (
    KNOWS_ACCESS, KNOWS_BIRTH, KNOWS_INLINE, KNOWS_MODE, KNOWS_PD, KNOWS_RECV_SGE, KNOWS_RECV_WR,
    KNOWS_SEND_SGE, KNOWS_SEND_WR, SIGNALS_ALL, SORT_CQ, SORT_PD, SORT_QP, SORT_REGION, VERB_LIVE,
    WRITES_RELAXED, dv_task, dv_verb_object, task_of, verb_object_add, verb_object_domain,
    verb_object_end, verb_object_enter, verb_object_named,
)
from dmaverify.core.peers cimport peers_apply, peers_resolve
from dmaverify.core.pins cimport pins_apply, pins_resolve
from dmaverify.core.queues cimport queues_apply, queues_made, queues_resolve, queues_shared
from dmaverify.core.ranges cimport ranges_region
from dmaverify.core.work cimport work_drop
from dmaverify.core.world cimport dv_place, place_of
from dmaverify.model.events cimport (
    F_DIRECTION_UNKNOWN, F_FAILED, F_LENGTH_UNKNOWN, F_PHYS_UNKNOWN, HCA_MAX_INLINE,
    HCA_MAX_RECV_SGE, HCA_MAX_RECV_WR, HCA_MAX_SEND_SGE, HCA_MAX_SEND_WR, HCA_RECV_CQ, HCA_RELAXED,
    HCA_SEND_CQ, HCA_SIGNAL_ALL, KIND_ALLOC_PD, KIND_BIND_MW, KIND_CQE, KIND_CREATE_CQ,
    KIND_CREATE_QP, KIND_DEALLOC_PD, KIND_DEREG_MR, KIND_DESTROY_CQ, KIND_DESTROY_QP,
    KIND_FAST_REG_MR, KIND_HCA_ACCESS, KIND_HCA_VERDICT, KIND_INVALIDATE_MR, KIND_MODIFY_QP,
    KIND_POST_RECV, KIND_POST_SEND, KIND_REG_MR, KIND_REG_MR_BEGIN, KIND_REG_MR_END, KIND_REREG_MR,
    KIND_TASK_EXIT, KIND_CREATE_SRQ, KIND_DEALLOC_MW, KIND_WORK_TOUCHED, dv_event, event_type,
)

cdef enum:                   # model/kinds.py: QpState
    STATE_RESET = 1
    STATE_ERR = 7


# Copied to begin with: for structs of this size the compiler clears memory by a slow loop.
cdef dv_meaning NO_MEANING
cdef dv_hca_now NOTHING_NOW


cdef int resolve_end(dv_context* c, uint32_t index) noexcept nogil:
    cdef dv_meaning* m = c.means
    cdef const dv_verb_object* x
    cdef dv_task* t = task_of(c.hca, c.event.site)
    if t == NULL:
        return -1
    if index == 0:
        return 0
    x = &c.hca.items[index]
    m.left = t.exited and x.sort == SORT_REGION
    if t.live != 1 or t.newest != index or t.untidy or t.exited:
        return 0
    t.left = t.swept_regions + (x.sort == SORT_REGION and t.queue_pairs != 0)
    t.left_at = c.event[0]
    t.left_number = c.number[0]
    return 0


cdef int verbs_resolve(dv_context* c) noexcept nogil:
    cdef int kind = c.event.kind
    c.means[0] = NO_MEANING
    c.hca.now = NOTHING_NOW
    if kind >= KIND_CREATE_SRQ:
        if kind == KIND_DEALLOC_MW:
            keys_window(c)
        queues_resolve(c)
        pins_resolve(c)
        return 0
    if resolve_old(c) < 0:
        return -1
    if kind == KIND_HCA_ACCESS:
        peers_resolve(c)
    else:
        queues_resolve(c)
    return 0


cdef int resolve_old(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef uint32_t index
    if e.kind == KIND_HCA_ACCESS:
        return keys_access(c)
    if KIND_CREATE_QP <= e.kind <= KIND_DESTROY_QP or KIND_POST_SEND <= e.kind <= KIND_CQE:
        index = verb_object_named(c.hca, e.device, SORT_QP, e.object) if e.object != 0 else 0
        if index != 0 and c.hca.items[index].state == VERB_LIVE:
            c.means.qp = index
        elif e.kind == KIND_POST_RECV and e.object == 0 and e.side != 0:
            c.means.qp = queues_shared(c)
            c.hca.now.shared = c.means.qp != 0
        return resolve_end(c, c.means.qp) if e.kind == KIND_DESTROY_QP else 0
    if e.kind == KIND_BIND_MW:
        return keys_bind(c)
    if e.kind == KIND_FAST_REG_MR:
        return keys_fast(c)
    if e.kind == KIND_REG_MR or e.kind == KIND_REG_MR_BEGIN or e.kind == KIND_REREG_MR:
        keys_find(c)
        return keys_rights(c)
    if e.kind == KIND_HCA_VERDICT:
        return keys_verdict(c)
    if KIND_REG_MR <= e.kind <= KIND_BIND_MW or e.kind == KIND_DEREG_MR:
        keys_find(c)
        if e.kind == KIND_DEREG_MR and e.object != 0:
            return resolve_end(c, c.means.region)
    return 0


cdef uint32_t verbs_subject(const dv_context* c) noexcept nogil:
    if KIND_POST_SEND <= c.event.kind <= KIND_CQE or c.event.kind == KIND_WORK_TOUCHED:
        return c.means.qp
    if c.hca.now.subject != 0:
        return c.hca.now.subject
    if c.means.region != 0:
        return c.means.region
    return c.means.ended if c.means.ended != 0 else c.means.qp


cdef void capacity(dv_context* c, dv_verb_object* x, int what, uint32_t* ret,
                   int mark) noexcept nogil:
    cdef bint known = False
    cdef uint64_t value = hca_value(c, what, &known)
    if known:
        ret[0] = <uint32_t>value
        x.marks |= <uint16_t>mark


cdef uint32_t queue_named(dv_context* c, int what) noexcept nogil:
    cdef bint known = False
    cdef uint32_t number = <uint32_t>hca_value(c, what, &known)
    cdef uint32_t index = verb_object_named(c.hca, c.event.device, SORT_CQ, number) if known else 0
    return index if index != 0 and c.hca.items[index].state == VERB_LIVE else 0


cdef void fill_capacities(dv_context* c, dv_verb_object* x) noexcept nogil:
    cdef bint known = False
    capacity(c, x, HCA_MAX_SEND_WR, &x.most[0], KNOWS_SEND_WR)
    capacity(c, x, HCA_MAX_RECV_WR, &x.most[1], KNOWS_RECV_WR)
    capacity(c, x, HCA_MAX_SEND_SGE, &x.most_sge[0], KNOWS_SEND_SGE)
    capacity(c, x, HCA_MAX_RECV_SGE, &x.most_sge[1], KNOWS_RECV_SGE)
    capacity(c, x, HCA_MAX_INLINE, &x.most_inline, KNOWS_INLINE)
    if hca_value(c, HCA_SIGNAL_ALL, &known) != 0:
        x.marks |= SIGNALS_ALL
    x.cq[0] = queue_named(c, HCA_SEND_CQ)
    x.cq[1] = queue_named(c, HCA_RECV_CQ)


cdef int apply_cq(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef dv_place here = place_of(e, c.number)
    cdef uint32_t before = verb_object_named(c.hca, e.device, SORT_CQ, e.object)
    cdef int32_t index
    if e.object == 0 or e.flags & F_FAILED:
        return 0
    if before != 0 and c.hca.items[before].state == VERB_LIVE:
        verb_object_end(c.hca, before, &here, e.site, e.kind == KIND_DESTROY_CQ)
    if e.kind == KIND_DESTROY_CQ:
        return 0
    index = verb_object_add(c.hca, SORT_CQ, e.device, e.object, &here, c.world.gaps)
    if index <= 0:
        return index
    c.hca.items[index].entries = 0 if e.flags & F_LENGTH_UNKNOWN else <uint32_t>e.length
    return verb_object_enter(c.hca, <uint32_t>index)


cdef int add_qp(dv_context* c, const dv_place* made, bint born) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef dv_place here = place_of(e, c.number)
    cdef int32_t index
    cdef dv_verb_object* x
    if c.means.qp != 0:  # its end was not seen
        work_drop(c.works, c.hca, c.means.qp)
        verb_object_end(c.hca, c.means.qp, &here, e.site, False)
    index = verb_object_add(c.hca, SORT_QP, e.device, e.object, made, c.world.gaps)
    if index <= 0:
        return index
    x = &c.hca.items[index]
    x.marks |= KNOWS_BIRTH if born else 0
    if e.kind == KIND_CREATE_QP:
        fill_capacities(c, x)
        queues_made(c, <uint32_t>index)
        x.type = <uint8_t>event_type(e)
        x.mode = STATE_RESET
        x.marks |= KNOWS_MODE
        if not e.flags & F_PHYS_UNKNOWN:
            x.pd = e.phys_addr
            x.marks |= KNOWS_PD
        if not e.flags & F_DIRECTION_UNKNOWN:
            x.access = e.direction
            x.marks |= KNOWS_ACCESS
    c.means.qp = <uint32_t>index
    return verb_object_enter(c.hca, <uint32_t>index)


cdef int name_qp(dv_context* c) noexcept nogil:
    """A queue pair is named for the first time: the task has made it, or it was there before."""
    cdef dv_task* t = task_of(c.hca, c.event.site)
    cdef dv_place here = place_of(c.event, c.number)
    if t == NULL:
        return -1
    if t.unnamed == 0:
        return add_qp(c, &here, False)
    t.unnamed -= 1
    return add_qp(c, &t.unnamed_at, True)


cdef int apply_qp(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef dv_place here = place_of(e, c.number)
    cdef dv_task* t
    if e.kind == KIND_CREATE_QP:
        if e.flags & F_FAILED:
            return 0
        if e.object != 0:
            return add_qp(c, &here, True)
        t = task_of(c.hca, e.site)
        if t == NULL:
            return -1
        t.unnamed += 1
        t.unnamed_at = here
        return 0
    if e.object == 0:
        return 0
    if e.kind == KIND_DESTROY_QP:
        if c.means.qp != 0 and not e.flags & F_FAILED:
            work_drop(c.works, c.hca, c.means.qp)
            verb_object_end(c.hca, c.means.qp, &here, e.site, True)
        return 0
    if c.means.qp == 0 and name_qp(c) < 0:
        return -1
    if c.means.qp == 0 or e.kind != KIND_MODIFY_QP or e.flags & F_FAILED:
        return 0
    c.hca.items[c.means.qp].mode = <uint8_t>e.status if 0 < e.status <= STATE_ERR else 0
    c.hca.items[c.means.qp].marks &= ~KNOWS_MODE
    if c.hca.items[c.means.qp].mode != 0:
        c.hca.items[c.means.qp].marks |= KNOWS_MODE
    if e.status == STATE_RESET:  # what was posted is dropped, without a completion
        work_drop(c.works, c.hca, c.means.qp)
        c.hca.items[c.means.qp].last_wqe = 0
    if not e.flags & F_DIRECTION_UNKNOWN:
        c.hca.items[c.means.qp].access = e.direction
        c.hca.items[c.means.qp].marks |= KNOWS_ACCESS
    return 0


cdef int apply_domain(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef dv_place here = place_of(e, c.number)
    cdef uint32_t index
    cdef int32_t made
    if e.flags & (F_PHYS_UNKNOWN | F_FAILED):
        return 0
    index = verb_object_domain(c.hca, e.device, e.phys_addr)
    if e.kind == KIND_DEALLOC_PD:
        if index != 0:
            verb_object_end(c.hca, index, &here, e.site, True)
        return 0
    if index != 0:
        verb_object_end(c.hca, index, &here, e.site, False)
    made = verb_object_add(c.hca, SORT_PD, e.device, 0, &here, c.world.gaps)
    if made <= 0:
        return made
    c.hca.items[made].pd = e.phys_addr
    c.hca.items[made].marks |= KNOWS_PD | KNOWS_BIRTH
    return verb_object_enter(c.hca, <uint32_t>made)


cdef int at_work(dv_context* c) noexcept nogil:
    """A task that posts is not cleaning up."""
    cdef dv_task* t = task_of(c.hca, c.event.site)
    if t == NULL:
        return -1
    t.untidy = 0
    t.swept_regions = 0
    t.left = 0
    return 0


cdef int registered(dv_context* c) noexcept nogil:
    """A new region: its addresses are the process's, and it may have been made relaxed."""
    cdef const dv_event* e = c.event
    cdef uint32_t index = verb_object_named(c.hca, e.device, SORT_REGION, e.object)
    cdef bint known = False
    if e.object == 0 or index == 0 or c.hca.items[index].state != VERB_LIVE or \
            c.hca.items[index].ranged:
        return 0
    if e.side != 0 and hca_value(c, HCA_RELAXED, &known) != 0:
        c.hca.items[index].marks |= WRITES_RELAXED
    return ranges_region(c, index)


cdef int verbs_apply(dv_context* c) noexcept nogil:
    cdef int kind = c.event.kind
    cdef dv_task* t
    if kind == KIND_HCA_ACCESS:
        return -1 if peers_apply(c) < 0 else keys_accessed(c)
    if kind >= KIND_CREATE_SRQ:
        if kind == KIND_DEALLOC_MW and keys_ended(c) < 0:
            return -1
        return -1 if queues_apply(c) < 0 else pins_apply(c)
    if (kind == KIND_ALLOC_PD or kind == KIND_CREATE_QP) and queues_apply(c) < 0:
        return -1
    if kind == KIND_POST_SEND or kind == KIND_POST_RECV:
        return -1 if at_work(c) < 0 else apply_qp(c)
    if kind == KIND_CREATE_CQ or kind == KIND_DESTROY_CQ:
        return apply_cq(c)
    if kind == KIND_BIND_MW:
        return keys_bound(c)
    if KIND_REG_MR <= kind <= KIND_REG_MR_END:
        return -1 if keys_registered(c) < 0 else registered(c)
    if kind == KIND_DEREG_MR or kind == KIND_INVALIDATE_MR:
        return keys_ended(c)
    if kind == KIND_REREG_MR or kind == KIND_FAST_REG_MR:
        return -1 if keys_changed(c) < 0 else registered(c)
    if KIND_CREATE_QP <= kind <= KIND_DESTROY_QP:
        return apply_qp(c)
    if kind == KIND_ALLOC_PD or kind == KIND_DEALLOC_PD:
        return apply_domain(c)
    if kind == KIND_HCA_VERDICT:
        t = task_of(c.hca, c.event.site)
        if t != NULL:
            t.checked = 0
        return 0
    if kind == KIND_TASK_EXIT:
        t = task_of(c.hca, c.event.site)
        if t == NULL:
            return -1
        t.exited = 1
        c.hca.exits += 1
    return 0
