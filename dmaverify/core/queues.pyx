# cython: language_level=3
"""Shared queues, handles, doorbells, windows and tear-downs (see queues.pxd)."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t

from dmaverify.core.hca_state cimport DEVICES_MAX, dv_hca_now
from dmaverify.core.keys cimport hca_value
from dmaverify.core.objects cimport (
    DATA_IN_ORDER, KNOWS_ACCESS, KNOWS_BIRTH, KNOWS_PD, KNOWS_RECV_SGE, KNOWS_RECV_WR,
    SIGNALS_ALL, SORT_AH, SORT_CQ,
    SORT_INDEX, SORT_PD, SORT_QP, SORT_REGION, SORT_SRQ, SORT_WINDOW, TEARDOWN_ASKED,
    TEARDOWN_FAILED, TEARDOWN_OVER, VERB_LIVE, dv_verb_object, verb_object_add,
    verb_object_domain, verb_object_end, verb_object_enter, verb_object_named,
)
from dmaverify.core.context cimport dv_context
from dmaverify.core.work cimport (
    MATCH_MAX, POST_SIGNALED, QUEUE_RECV, QUEUE_SEND, dv_work, work_drop,
)
from dmaverify.core.world cimport dv_place, place_of
from dmaverify.model.events cimport (
    F_DIRECTION_UNKNOWN, F_FAILED, F_LENGTH_UNKNOWN, F_PHYS_UNKNOWN, HCA_AH, HCA_DATA_IN_ORDER,
    HCA_FAMILY, HCA_INVALIDATED, HCA_MAX_RECV_SGE, HCA_QUEUE_PAIR, HCA_REGION_KEY, HCA_REQUEST_KEY,
    HCA_SRQ, KIND_ALLOC_MW, KIND_ALLOC_PD, KIND_ASYNC_EVENT, KIND_BIND_MW, KIND_CQE, KIND_CREATE_AH,
    KIND_CREATE_QP, KIND_CREATE_SRQ, KIND_DEALLOC_MW, KIND_DEALLOC_PD, KIND_DESTROY_AH,
    KIND_DESTROY_CQ, KIND_DESTROY_QP, KIND_DESTROY_SRQ, KIND_DOORBELL, KIND_FAST_REG_MR,
    KIND_INVALIDATE_MR, KIND_POST_RECV, KIND_POST_SEND, KIND_TEARDOWN, KIND_TEARDOWN_DONE,
    dv_event, event_type,
)

cdef enum:                   # model/kinds.py: QueuePart, HcaObject, AsyncEvent, QpState, HcaFamily
    PART_SEND_RING = 1
    PART_RECV_RING = 2
    PART_QP_RING = 3
    PART_SRQ_RING = 5
    THING_REGION = 1
    THING_WINDOW = 2
    THING_QP = 3
    THING_CQ = 4
    THING_SRQ = 5
    THING_AH = 6
    LAST_WQE_REACHED = 1
    STATE_RTR = 3
    STATE_ERR = 7
    FAMILIES = 5
    WINDOW_2A = 9
    ZERO_BASED = 32


cdef uint32_t live_one(const dv_context* c, int sort, uint32_t number) noexcept nogil:
    cdef uint32_t index = verb_object_named(c.hca, c.event.device, sort, number)
    return index if index != 0 and c.hca.items[index].state == VERB_LIVE else 0


cdef uint32_t queues_shared(const dv_context* c) noexcept nogil:
    cdef bint known = False
    cdef uint64_t number = hca_value(c, HCA_SRQ, &known)
    return live_one(c, SORT_SRQ, <uint32_t>number) if known else 0


cdef bint leaves_early(const dv_context* c, const dv_verb_object* q) noexcept nogil:
    """Tell whether a queue pair goes while it may still take from its shared receive queue.

    Source: Linux drivers/infiniband/core/verbs.c, __ib_drain_srq().
    """
    if q.mode == STATE_ERR:
        return c.hca.async_seen and not q.last_wqe
    return q.mode >= STATE_RTR


cdef void resolve_handle(dv_context* c) noexcept nogil:
    """Look at the address handle of a send: its life and its domain.

    Source: Linux drivers/infiniband/sw/rxe/rxe_av.c, rxe_get_av().
    """
    cdef dv_hca_now* now = &c.hca.now
    cdef bint known = False
    cdef uint64_t number = hca_value(c, HCA_AH, &known)
    cdef const dv_verb_object* a
    cdef const dv_verb_object* q = &c.hca.items[c.means.qp]
    cdef uint32_t index = 0
    if known:
        index = verb_object_named(c.hca, c.event.device, SORT_AH, <uint32_t>number)
    if index == 0:
        return
    a = &c.hca.items[index]
    now.ah_ended = a.state != VERB_LIVE
    now.ah = 0 if now.ah_ended else index
    now.ah_other_pd = not now.ah_ended and a.marks & q.marks & KNOWS_PD and a.pd != q.pd


cdef void resolve_doorbell(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef int part = event_type(e), queue = QUEUE_SEND
    cdef const dv_verb_object* x
    if part == PART_SRQ_RING:
        c.means.qp = live_one(c, SORT_SRQ, e.object)
        queue = QUEUE_RECV
    elif part <= PART_QP_RING:
        c.means.qp = live_one(c, SORT_QP, e.object)
        queue = QUEUE_RECV if part == PART_RECV_RING else QUEUE_SEND
    if c.means.qp == 0:
        return
    x = &c.hca.items[c.means.qp]
    if part == 0 or not x.marks & KNOWS_BIRTH or e.flags & F_LENGTH_UNKNOWN or \
            x.epoch != c.world.gaps:
        return
    c.hca.now.unposted_known = 1
    if x.rung[queue] + e.length > x.turns[queue]:
        c.hca.now.unposted = x.rung[queue] + e.length - x.turns[queue]


cdef uint32_t thing_named(const dv_context* c) noexcept nogil:
    cdef int what = event_type(c.event)
    cdef uint32_t number = c.event.object
    if what == THING_REGION:
        return verb_object_named(c.hca, c.event.device, SORT_REGION, number)
    if what == THING_WINDOW:
        return verb_object_named(c.hca, c.event.device, SORT_WINDOW, number >> 8)
    if what == THING_QP:
        return verb_object_named(c.hca, c.event.device, SORT_QP, number)
    if what == THING_CQ:
        return verb_object_named(c.hca, c.event.device, SORT_CQ, number)
    if what == THING_SRQ:
        return verb_object_named(c.hca, c.event.device, SORT_SRQ, number)
    return verb_object_named(c.hca, c.event.device, SORT_AH, number) if what == THING_AH else 0


cdef void resolve_parent(dv_context* c, int sort) noexcept nogil:
    cdef uint32_t index
    if sort == SORT_PD:
        index = verb_object_domain(c.hca, c.event.device, c.event.phys_addr)
    else:
        index = live_one(c, sort, c.event.object)
    c.hca.now.subject = index
    c.hca.now.users = c.hca.items[index].users


cdef void resolve_bind(dv_context* c) noexcept nogil:
    """A window of type 2 must be free when it is bound.

    Source: Linux drivers/infiniband/sw/rxe/rxe_mw.c, rxe_check_bind_mw(), o10-37.2.30.
    """
    cdef const dv_event* e = c.event
    cdef dv_hca_now* now = &c.hca.now
    cdef uint32_t index = live_one(c, SORT_INDEX, e.object >> 8)
    cdef const dv_verb_object* r = &c.hca.items[c.means.region]
    cdef bint second = event_type(e) >= WINDOW_2A
    if second and index != 0 and (e.flags & F_LENGTH_UNKNOWN or e.length):
        now.bound_before = 1
    pair_named(c)
    if c.means.region == 0:
        return
    if r.marks & KNOWS_ACCESS and r.access & ZERO_BASED:
        now.misfits += 1
    if not second and not e.flags & F_DIRECTION_UNKNOWN and e.direction & ZERO_BASED:
        now.misfits += 1
    if second and not e.flags & F_LENGTH_UNKNOWN and e.length == 0:
        now.misfits += 1
    now.misfits += other_domain(c, c.means.qp, r)
    now.misfits += other_domain(c, live_one(c, SORT_WINDOW, e.object >> 8), r)


cdef inline bint other_domain(const dv_context* c, uint32_t index,
                              const dv_verb_object* x) noexcept nogil:
    """Tell whether an object that is there has another protection domain than a region."""
    cdef const dv_verb_object* y = &c.hca.items[index]
    return index != 0 and x.marks & y.marks & KNOWS_PD and x.pd != y.pd


cdef void pair_named(dv_context* c) noexcept nogil:
    cdef bint known = False
    cdef uint64_t number
    if c.event.side == 0:
        return
    number = hca_value(c, HCA_QUEUE_PAIR, &known)
    if known:
        c.means.qp = live_one(c, SORT_QP, <uint32_t>number)


cdef void resolve_fast(dv_context* c) noexcept nogil:
    """A region gets its range on a queue pair of its domain, and keeps the index of its key.

    Source: Linux drivers/infiniband/sw/rxe/rxe_mr.c, rxe_reg_fast_mr().
    """
    cdef const dv_event* e = c.event
    cdef bint known = False
    cdef uint64_t key
    pair_named(c)
    if e.side == 0:
        return
    key = hca_value(c, HCA_REGION_KEY, &known)
    if known and key >> 8 != e.object >> 8:
        c.hca.now.misfits += 1
    if c.means.qp != 0 and not e.flags & F_PHYS_UNKNOWN and \
            c.hca.items[c.means.qp].marks & KNOWS_PD and \
            c.hca.items[c.means.qp].pd != e.phys_addr:
        c.hca.now.misfits += 1


cdef void queues_resolve(dv_context* c) noexcept nogil:
    cdef int kind = c.event.kind
    if kind == KIND_CQE:
        if c.means.qp == 0:
            c.hca.now.qp_ended = verb_object_named(
                c.hca, c.event.device, SORT_QP, c.event.object) != 0
        return
    if kind == KIND_POST_SEND:
        if c.event.side != 0 and c.means.qp != 0:
            resolve_handle(c)
    elif kind == KIND_POST_RECV:
        if c.means.qp != 0:
            c.hca.now.closed = c.hca.items[c.means.qp].srq != 0
    elif kind == KIND_DESTROY_QP:
        if c.means.qp != 0 and c.hca.items[c.means.qp].srq != 0:
            c.hca.now.shared = 1
            c.hca.now.shared_early = leaves_early(c, &c.hca.items[c.means.qp])
    elif kind == KIND_BIND_MW:
        resolve_bind(c)
    elif kind == KIND_FAST_REG_MR:
        resolve_fast(c)
    elif kind == KIND_DOORBELL:
        resolve_doorbell(c)
    elif kind == KIND_DEALLOC_PD:
        if not c.event.flags & F_PHYS_UNKNOWN:
            resolve_parent(c, SORT_PD)
    elif kind == KIND_DESTROY_CQ or kind == KIND_DESTROY_SRQ:
        resolve_parent(c, SORT_CQ if kind == KIND_DESTROY_CQ else SORT_SRQ)
    elif kind == KIND_DESTROY_AH:
        c.hca.now.subject = live_one(c, SORT_AH, c.event.object)
        c.hca.now.ah_outstanding = c.hca.items[c.hca.now.subject].outstanding
    elif kind == KIND_ASYNC_EVENT:
        c.means.qp = live_one(c, SORT_QP, c.event.object)
    elif kind == KIND_TEARDOWN or kind == KIND_TEARDOWN_DONE:
        c.hca.now.subject = thing_named(c)


cdef uint32_t passed_over(const dv_context* c, const dv_verb_object* q,
                          uint32_t work) noexcept nogil:
    """Count the requests of a queue before one that should have completed before it.

    A send that gives no completion when it succeeds may stand before it; receives of a queue
    pair are taken in order. Source: rdma-core libibverbs/man/ibv_post_send.3, ibv_post_recv.3.
    """
    cdef int queue = c.works.items[work].queue, steps = 0
    cdef uint32_t index = q.first[queue], n = 0
    while index != work and index != 0 and steps < MATCH_MAX:
        if queue == QUEUE_RECV or q.marks & SIGNALS_ALL or \
                c.works.items[index].flags & POST_SIGNALED:
            n += 1
        index = c.works.items[index].next
        steps += 1
    return n


cdef bint just_ended(dv_context* c, uint32_t key) noexcept nogil:
    """Tell whether a key was taken out of use and no completion has told of that yet.

    The HCA does it when the message comes, and a recording may have that before the completion.
    """
    cdef uint32_t index = verb_object_named(c.hca, c.event.device, SORT_REGION, key)
    cdef dv_verb_object* x = &c.hca.items[index]
    if index == 0 or x.ended.kind != KIND_INVALIDATE_MR or x.told_ended:
        return False
    x.told_ended = 1
    return True


cdef void queues_posted(dv_context* c) noexcept nogil:
    cdef dv_hca_now* now = &c.hca.now
    cdef const dv_work* x
    cdef const dv_verb_object* q
    cdef bint known = False
    if c.event.kind != KIND_CQE:
        return
    if c.means.work != 0:
        x = &c.works.items[c.means.work]
        q = &c.hca.items[x.qp]
        if q.sort == SORT_QP and q.epoch == c.world.gaps and x.turn > 1:
            now.skipped = passed_over(c, q, c.means.work)
        now.unpublished = q.rings >> x.queue & 1 and x.turn > q.rung[x.queue]
    if c.event.side == 0:
        return
    now.invalidated = <uint32_t>hca_value(c, HCA_INVALIDATED, &known)
    now.invalidated_known = known
    now.invalidated_live = known and (live_one(c, SORT_REGION, now.invalidated) != 0 or
                                      just_ended(c, now.invalidated))
    now.request = <uint32_t>hca_value(c, HCA_REQUEST_KEY, &known)
    now.request_known = known


cdef void queues_made(dv_context* c, uint32_t index) noexcept nogil:
    cdef dv_verb_object* x = &c.hca.items[index]
    cdef bint known = False
    cdef uint64_t value = hca_value(c, HCA_SRQ, &known)
    if known:
        x.srq = live_one(c, SORT_SRQ, <uint32_t>value)
        if x.srq == 0:       # what was posted to it before, nobody knows
            x.marks &= ~KNOWS_BIRTH
    if hca_value(c, HCA_DATA_IN_ORDER, &known) != 0:
        x.marks |= DATA_IN_ORDER


cdef void learn_family(dv_context* c) noexcept nogil:
    cdef bint known = False
    cdef uint64_t value
    if c.event.side == 0 or c.event.device >= DEVICES_MAX:
        return
    value = hca_value(c, HCA_FAMILY, &known)
    if known and value < FAMILIES:
        c.hca.family[c.event.device] = <uint8_t>value


cdef int add_one(dv_context* c, int sort, uint32_t number) noexcept nogil:
    """Add an object that an event makes; one of before under its number has ended unseen."""
    cdef const dv_event* e = c.event
    cdef dv_place here = place_of(e, c.number)
    cdef uint32_t before = live_one(c, sort, number)
    cdef int32_t index
    cdef dv_verb_object* x
    cdef bint known = False
    cdef uint64_t most
    if e.object == 0 or e.flags & F_FAILED:
        return 0
    if before != 0:
        end_one(c, before, False)
    index = verb_object_add(c.hca, sort, e.device, number, &here, c.world.gaps)
    if index <= 0:
        return index
    x = &c.hca.items[index]
    x.marks |= KNOWS_BIRTH
    x.type = <uint8_t>event_type(e)
    if not e.flags & F_PHYS_UNKNOWN:
        x.pd = e.phys_addr
        x.marks |= KNOWS_PD
    if sort == SORT_SRQ and not e.flags & F_LENGTH_UNKNOWN:
        x.most[QUEUE_RECV] = <uint32_t>e.length
        x.marks |= KNOWS_RECV_WR
    most = hca_value(c, HCA_MAX_RECV_SGE, &known)
    if known:
        x.most_sge[QUEUE_RECV] = <uint32_t>most
        x.marks |= KNOWS_RECV_SGE
    return verb_object_enter(c.hca, <uint32_t>index)


cdef void end_one(dv_context* c, uint32_t index, bint tidy) noexcept nogil:
    cdef dv_place here = place_of(c.event, c.number)
    if index == 0 or c.event.flags & F_FAILED:
        return
    if c.hca.items[index].sort == SORT_SRQ:
        work_drop(c.works, c.hca, index)
    verb_object_end(c.hca, index, &here, c.event.site, tidy)


cdef void ring(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef int part = event_type(e)
    cdef int queue = QUEUE_RECV if part == PART_RECV_RING or part == PART_SRQ_RING else QUEUE_SEND
    cdef dv_verb_object* x = &c.hca.items[c.means.qp]
    if c.means.qp == 0 or part == 0:
        return
    x.rings |= <uint8_t>(1 << queue)
    if e.flags & F_LENGTH_UNKNOWN:
        x.rung[queue] = x.turns[queue]
    else:
        x.rung[queue] += <uint32_t>e.length


cdef void tear_down(dv_context* c) noexcept nogil:
    cdef dv_verb_object* x = &c.hca.items[c.hca.now.subject]
    if c.hca.now.subject == 0:
        return
    if c.event.kind == KIND_TEARDOWN:
        x.teardown = TEARDOWN_ASKED
    else:
        x.teardown = TEARDOWN_FAILED if c.event.flags & F_FAILED else TEARDOWN_OVER


cdef int queues_apply(dv_context* c) noexcept nogil:
    cdef int kind = c.event.kind
    if kind == KIND_ALLOC_PD or kind == KIND_CREATE_QP:
        learn_family(c)
    elif kind == KIND_CREATE_SRQ:
        return add_one(c, SORT_SRQ, c.event.object)
    elif kind == KIND_CREATE_AH:
        return add_one(c, SORT_AH, c.event.object)
    elif kind == KIND_ALLOC_MW:
        return add_one(c, SORT_WINDOW, c.event.object >> 8)
    elif kind == KIND_DESTROY_SRQ or kind == KIND_DESTROY_AH:
        end_one(c, c.hca.now.subject, True)
    elif kind == KIND_DEALLOC_MW:
        end_one(c, live_one(c, SORT_WINDOW, c.event.object >> 8), True)
    elif kind == KIND_DOORBELL:
        ring(c)
    elif kind == KIND_TEARDOWN or kind == KIND_TEARDOWN_DONE:
        tear_down(c)
    elif kind == KIND_ASYNC_EVENT:
        c.hca.async_seen = 1
        if event_type(c.event) == LAST_WQE_REACHED:
            c.hca.items[c.means.qp].last_wqe = c.means.qp != 0
    return 0
