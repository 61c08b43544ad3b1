# cython: language_level=3
"""Requests of peers and the answers to them (see wire.pxd)."""

from dmaverify.core.objects cimport KNOWS_PD, dv_task, dv_verb_object, task_of
from dmaverify.core.context cimport dv_context, dv_meaning
from dmaverify.model.events cimport F_LENGTH_UNKNOWN, event_type


cdef int peer_asked(dv_context* c) noexcept nogil:
    """An access is judged where its region is known, or has ended; of no bytes it needs none.

    Source: Linux drivers/infiniband/sw/rxe/rxe_resp.c, check_rkey() and check_qp_attr_access().
    """
    cdef const dv_meaning* m = c.means
    cdef const dv_verb_object* x
    cdef dv_task* t
    if m.side == 0:
        return 0
    t = task_of(c.hca, c.event.site)
    if t == NULL:
        return -1
    t.asked_key = c.event.object
    t.asked_faults = 1 if m.disabled != 0 else 0
    t.asked_judged = m.ended != 0 or (m.lacking_known and m.outside_known)
    if not c.event.flags & F_LENGTH_UNKNOWN and c.event.length == 0:
        t.asked_judged = True
        return 0
    if m.region == 0:
        if m.ended != 0:
            t.asked_faults += 1
        return 0
    x = &c.hca.items[m.region]
    if m.lacking != 0:
        t.asked_faults += 1
    if m.outside != 0:
        t.asked_faults += 1
    if m.other_qp:
        t.asked_faults += 1
    if m.pd_known and x.marks & KNOWS_PD and m.pd != x.pd:
        t.asked_faults += 1
    return 0


cdef int peer_answered(dv_context* c) noexcept nogil:
    cdef dv_meaning* m = c.means
    cdef dv_task* t = task_of(c.hca, c.event.site)
    if t == NULL:
        return -1
    m.side = event_type(c.event)
    m.answered_known = t.asked_judged and t.asked_key == c.event.object and t.asked_key != 0
    m.answered = t.asked_faults
    t.asked_judged = False
    return 0
