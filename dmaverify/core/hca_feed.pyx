# cython: language_level=3
"""Events of HCAs: judged and applied, and what hangs on them."""

from libc.stdint cimport uint32_t
from libc.string cimport memset

from dmaverify.core.context cimport context_init, dv_context, dv_meaning
from dmaverify.core.effects cimport effects_judge
from dmaverify.core.judge cimport dv_engine, run_rules
from dmaverify.core.objects cimport dv_task
from dmaverify.core.posts cimport (
    posts_apply, posts_buffer, posts_buffers, posts_own, posts_resolve, posts_touched,
)
from dmaverify.core.verbs cimport verbs_apply, verbs_resolve
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN, KIND_CPU_WRITE, KIND_CQE,
    KIND_DEREG_MR, KIND_LEFT_REGISTERED, KIND_POSTED_SGE, KIND_POST_SEND, KIND_WORK_TOUCHED,
    dv_batch, dv_entry, dv_event,
)


cdef int left_registered(dv_engine* g, dv_context* c) noexcept nogil:
    """Run the rules on regions that a task has left to its kernel."""
    cdef dv_event left = c.event[0]
    cdef const dv_event* told = c.event
    cdef int failed
    left.kind = KIND_LEFT_REGISTERED
    c.event = &left
    failed = run_rules(g, c)
    c.event = told
    return failed


cdef int tasks_left(dv_engine* g) noexcept nogil:
    """Where no end of a task is recorded, only the order in which its objects went tells."""
    cdef dv_context c
    cdef dv_task* t
    cdef dv_batch none
    cdef uint32_t i
    cdef int kind = KIND_LEFT_REGISTERED
    if g.hca.exits != 0 or not g.has_rules[kind]:
        return 0
    memset(&none, 0, sizeof(dv_batch))
    for i in range(1, g.hca.task_count):
        t = &g.hca.task_items[i]
        if t.left == 0:
            continue
        context_init(&c, &g.world, &none, &t.left_at, &t.left_number)
        c.hca = &g.hca
        c.works = &g.works
        c.means = &g.means
        memset(c.means, 0, sizeof(dv_meaning))
        c.means.left = t.left
        if left_registered(g, &c) < 0:
            return -1
    return 0


cdef int post_buffers(dv_engine* g, dv_context* c) noexcept nogil:
    """Run the rules once for each buffer of a post, which then belongs to the HCA."""
    cdef dv_event buffer
    cdef const dv_event* post = c.event
    cdef int kind = KIND_POSTED_SGE
    cdef uint32_t i, count = 0
    cdef const dv_entry* entries = posts_buffers(c, &count)
    cdef dv_meaning whole = c.means[0]
    if whole.qp == 0:
        return 0
    for i in range(count):
        if <uint32_t>entries[i].length == 0:
            continue
        c.event = post
        c.means[0] = whole
        posts_buffer(c, &entries[i], &buffer)
        if g.has_rules[kind] and run_rules(g, c) < 0:
            return -1
        if posts_own(c) < 0:
            return -1
    c.event = post
    c.means[0] = whole
    return 0


cdef int work_touched(dv_engine* g, dv_context* c) noexcept nogil:
    """Run the rules where the CPU touches a buffer that belongs to an HCA."""
    cdef dv_event touch
    cdef const dv_event* told = c.event
    cdef int kind = KIND_WORK_TOUCHED
    cdef int failed
    cdef bint writes = c.event.kind == KIND_CPU_WRITE
    if not c.virt_known or c.event.flags & F_LENGTH_UNKNOWN or not g.has_rules[kind]:
        return 0
    memset(&g.means, 0, sizeof(dv_meaning))
    g.means.work = posts_touched(c, c.virt, c.event.length, writes)
    if g.means.work == 0:
        return 0
    g.means.qp = g.works.items[g.means.work].qp
    touch = c.event[0]
    touch.kind = KIND_WORK_TOUCHED
    touch.bus_addr = c.virt
    touch.direction = writes
    touch.flags &= ~(F_BUS_UNKNOWN | F_DIRECTION_UNKNOWN)
    c.event = &touch
    c.means = &g.means
    failed = run_rules(g, c)
    c.event = told
    c.means = NULL
    return failed


cdef bint is_post(int kind) noexcept nogil:
    return KIND_POST_SEND <= kind <= KIND_CQE


cdef int hca_event(dv_engine* g, dv_context* c) noexcept nogil:
    """Judge and apply an event of an HCA: it is about keys and queue pairs, not mappings."""
    c.means = &g.means
    if verbs_resolve(c) < 0:
        return -1
    if is_post(c.event.kind):
        posts_resolve(c)
    g.pending = 0
    if g.effects.count != 0 and c.event.kind == KIND_DEREG_MR and \
            effects_judge(&g.effects, c) < 0:
        return -1
    if g.has_rules[c.event.kind]:
        g.checked += 1
        if run_rules(g, c) < 0:
            return -1
    if c.means.left != 0 and left_registered(g, c) < 0:
        return -1
    if verbs_apply(c) < 0:
        return -1
    if not is_post(c.event.kind):
        return 0
    return -1 if posts_apply(c) < 0 else post_buffers(g, c)
