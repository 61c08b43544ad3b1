# cython: language_level=3
"""Events of HCAs: judged and applied, and what hangs on them."""

from libc.stdint cimport uint16_t, uint32_t
from libc.string cimport memset

from dmaverify.core.context cimport context_init, dv_context, dv_meaning
from dmaverify.core.effects cimport effects_judge
from dmaverify.core.judge cimport dv_engine, run_rules
from dmaverify.core.objects cimport dv_task
from dmaverify.core.posts cimport (
    posts_apply, posts_buffer, posts_buffers, posts_own, posts_resolve,
)
from dmaverify.core.verbs cimport verbs_apply, verbs_resolve
from dmaverify.model.events cimport (
    KIND_CQE, KIND_DEREG_MR, KIND_LEFT_REGISTERED, KIND_MAD_RECV, KIND_MAD_SEND,
    KIND_POSTED_SGE, KIND_POST_SEND, KIND_QUEUE_MEMORY, dv_batch, dv_entry, dv_event,
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
        c.means.qp = whole.qp
        posts_buffer(c, &entries[i], &buffer)
        g.hca.now.sge = i + 1
        g.pending = 0
        if g.has_rules[kind] and run_rules(g, c) < 0:
            return -1
        if posts_own(c, i + 1, g.pending) < 0:
            return -1
    c.event = post
    c.means[0] = whole
    return 0


cdef bint is_post(int kind) noexcept nogil:
    return KIND_POST_SEND <= kind <= KIND_CQE


cdef uint16_t memory_error(const dv_engine* g, const dv_context* c) noexcept nogil:
    """Return what told an error about the memory that the HCA gets by the event at hand."""
    cdef int kind = c.event.kind
    if g.pending > 0xFFFF or not (kind == KIND_MAD_SEND or kind == KIND_MAD_RECV or (
            kind == KIND_QUEUE_MEMORY and c.hca.now.unmapped != 0)):
        return 0
    return <uint16_t>g.pending


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
    g.hca.held.telling = memory_error(g, c)
    if verbs_apply(c) < 0:
        return -1
    g.hca.held.telling = 0
    if not is_post(c.event.kind):
        return 0
    return -1 if posts_apply(c) < 0 else post_buffers(g, c)
