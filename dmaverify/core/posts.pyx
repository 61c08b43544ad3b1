# cython: language_level=3
"""Posts and completions: who owns a buffer, and from when to when."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memset

from dmaverify.core.context cimport dv_context, dv_meaning
from dmaverify.core.keys cimport hca_value, keys_look_up
from dmaverify.core.objects cimport (
    KNOWS_ACCESS, KNOWS_PD, SIGNALS_ALL, dv_verb_object, verb_object_domain,
)
from dmaverify.core.shadow cimport GRID_BUS, dv_segment, dv_walk, walk_init, walk_next
from dmaverify.core.work cimport (
    OP_ATOMIC, OP_RDMA_READ, OP_RECV, POST_FENCE, POST_INLINE, POST_SIGNALED, QUEUE_RECV,
    QUEUE_SEND, dv_work, work_add, work_completed, work_owns, work_retire, work_writes,
)
from dmaverify.core.world cimport place_of
from dmaverify.model.events cimport (
    F_DIRECTION_UNKNOWN, F_FAILED, F_PHYS_UNKNOWN, F_TIME_UNKNOWN, HCA_REMOTE_ADDR, KIND_CQE,
    KIND_POSTED_SGE, KIND_POST_RECV, SIDE_SGE, TYPE_SHIFT, dv_entry, dv_event, dv_side,
    event_side, event_type, side_entries,
)

cdef enum:                   # of a post, that each of its buffers has too
    KEPT_FLAGS = F_TIME_UNKNOWN | F_DIRECTION_UNKNOWN | F_PHYS_UNKNOWN

cdef enum:                   # model/kinds.py: Rights, AccessSide
    LOCAL_WRITE = 1
    ZERO_BASED = 32
    SIDE_LOCAL = 1


cdef inline int queue_of(const dv_event* e) noexcept nogil:
    return QUEUE_RECV if e.kind == KIND_POST_RECV else QUEUE_SEND


cdef inline int opcode_of(const dv_event* e) noexcept nogil:
    return OP_RECV if e.kind == KIND_POST_RECV else event_type(e)


cdef inline int flags_of(const dv_event* e) noexcept nogil:
    return 0 if e.flags & F_DIRECTION_UNKNOWN else e.direction


cdef bint gives_completion(const dv_context* c) noexcept nogil:
    """Tell whether a post gives a completion when it succeeds."""
    if c.event.kind == KIND_POST_RECV or flags_of(c.event) & POST_SIGNALED:
        return True
    return c.means.qp != 0 and c.hca.items[c.means.qp].marks & SIGNALS_ALL


cdef void resolve_post(dv_context* c) noexcept nogil:
    cdef dv_meaning* m = c.means
    cdef const dv_side* s = event_side(c.batch, c.event, SIDE_SGE) if c.event.side != 0 else NULL
    cdef const dv_entry* entries
    cdef uint32_t i, cq
    if s != NULL:
        entries = side_entries(s)
        m.sges = s.full
        for i in range(s.stored):
            m.bytes += <uint32_t>entries[i].length
    m.remote_addr = hca_value(c, HCA_REMOTE_ADDR, &m.remote_known)
    if m.qp == 0:
        return
    cq = c.hca.items[m.qp].cq[queue_of(c.event)]
    if cq != 0:
        m.room = c.hca.items[cq].entries
        m.due = c.hca.items[cq].outstanding + gives_completion(c)


cdef void resolve_completion(dv_context* c) noexcept nogil:
    """Find what has completed. On an error the completion's opcode is not valid."""
    cdef dv_meaning* m = c.means
    cdef const dv_event* e = c.event
    cdef bint failed = e.status != 0
    if m.qp == 0 or e.flags & F_PHYS_UNKNOWN:
        return
    if failed or event_type(e) != OP_RECV:
        m.work = work_completed(c.works, c.hca, m.qp, QUEUE_SEND, e.phys_addr)
    if m.work == 0 and (failed or event_type(e) == OP_RECV or event_type(e) == 0):
        m.work = work_completed(c.works, c.hca, m.qp, QUEUE_RECV, e.phys_addr)


cdef void posts_resolve(dv_context* c) noexcept nogil:
    if c.event.kind == KIND_CQE:
        resolve_completion(c)
    else:
        resolve_post(c)


cdef const dv_entry* posts_buffers(const dv_context* c, uint32_t* count) noexcept nogil:
    cdef const dv_side* s = event_side(c.batch, c.event, SIDE_SGE) if c.event.side != 0 else NULL
    count[0] = 0
    # Inline data was copied: the buffer is the program's again, and its key is not looked at.
    if s == NULL or flags_of(c.event) & POST_INLINE or c.event.flags & F_FAILED:
        return NULL
    count[0] = s.stored
    return side_entries(s)


cdef bint one_memory(const dv_context* c, uint32_t a, uint32_t b) noexcept nogil:
    """Tell whether equal addresses by two regions are the same memory.

    Addresses of a process are; what a zero-based region makes of them is its own.
    """
    cdef const dv_verb_object* x = &c.hca.items[a]
    cdef const dv_verb_object* y = &c.hca.items[b]
    if a == b:
        return a != 0
    if a == 0 or b == 0 or not x.marks & y.marks & KNOWS_PD or x.pd != y.pd:
        return False
    return x.marks & y.marks & KNOWS_ACCESS and not (x.access | y.access) & ZERO_BASED


cdef void find_conflicts(dv_context* c, int opcode) noexcept nogil:
    """Count the outstanding requests that are in the way of a buffer, each once."""
    cdef dv_meaning* m = c.means
    cdef const dv_event* e = c.event
    cdef dv_walk w
    cdef dv_segment* s
    cdef dv_work* other
    cdef uint32_t index
    cdef bint brings
    if c.works.live == 0 or e.length == 0:
        return
    c.works.searches += 1
    walk_init(&w, &c.works.shadow, GRID_BUS, e.bus_addr, e.length)
    while True:
        index = walk_next(&w)
        if index == 0:
            return
        s = &c.works.shadow.segments[index]
        other = &c.works.items[s.mapping]
        if other.counted == c.works.searches or \
                not (work_writes(opcode) or work_writes(other.opcode)):
            continue
        if not one_memory(c, m.region, <uint32_t>s.phys):
            continue
        other.counted = c.works.searches
        brings = other.opcode == OP_RDMA_READ or other.opcode == OP_ATOMIC
        if brings and not work_writes(opcode) and other.qp == m.qp:
            # The data is waited for with a fence; without one it may be read before it is there.
            if flags_of(e) & POST_FENCE:
                continue
            m.unfenced += 1
        else:
            m.conflicts += 1
        if m.work == 0:
            m.work = s.mapping


cdef void posts_buffer(dv_context* c, const dv_entry* entry, dv_event* ret) noexcept nogil:
    cdef dv_meaning* m = c.means
    cdef const dv_event* post = c.event
    cdef int opcode = opcode_of(post)
    cdef uint32_t qp = m.qp
    ret[0] = post[0]
    ret.kind = KIND_POSTED_SGE
    ret.flags = <unsigned short>(post.flags & KEPT_FLAGS | opcode << TYPE_SHIFT)
    ret.bus_addr = entry.address
    ret.length = <uint32_t>entry.length
    ret.object = <uint32_t>(entry.length >> 32)
    c.event = ret
    memset(m, 0, sizeof(dv_meaning))
    m.qp = qp
    m.side = SIDE_LOCAL
    m.wanted_known = True
    m.wanted = LOCAL_WRITE if work_writes(opcode) else 0
    if qp != 0 and c.hca.items[qp].marks & KNOWS_PD:
        m.pd_known = True
        m.pd = c.hca.items[qp].pd
        m.pd_born = c.hca.refused == 0 and verb_object_domain(c.hca, ret.device, m.pd) != 0
    keys_look_up(c)
    find_conflicts(c, opcode)


cdef int posts_own(dv_context* c) noexcept nogil:
    cdef dv_meaning* m = c.means
    cdef uint32_t work = c.hca.items[m.qp].last[QUEUE_RECV if event_type(c.event) == OP_RECV
                                                else QUEUE_SEND]
    cdef dv_work* x = &c.works.items[work]
    if m.region == 0 and m.ended == 0 and not m.stale_tag and not m.pd_born:
        x.unsure += 1
    elif m.region == 0 or m.lacking != 0 or m.outside != 0:
        x.faults += 1
    return work_owns(c.works, c.hca, work, c.event.bus_addr, c.event.length, m.region)


cdef int posts_apply(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef dv_meaning* m = c.means
    cdef dv_work* x
    cdef int32_t index
    cdef uint32_t cq
    if m.qp == 0:
        return 0
    if e.kind == KIND_CQE:
        if m.work != 0:
            work_retire(c.works, c.hca, m.work, c.hca.items[m.qp].marks & SIGNALS_ALL != 0)
        return 0
    if e.flags & F_FAILED:
        return 0
    index = work_add(c.works, c.hca, m.qp, queue_of(e))
    if index < 0:
        return -1
    x = &c.works.items[index]
    x.wr_id = 0 if e.flags & F_PHYS_UNKNOWN else e.phys_addr
    x.opcode = <uint8_t>opcode_of(e)
    x.flags = <uint8_t>flags_of(e)
    x.length = m.bytes
    x.posted = place_of(e, c.number)
    cq = c.hca.items[m.qp].cq[queue_of(e)]
    if cq != 0 and gives_completion(c):
        x.due = 1
        c.hca.items[cq].outstanding += 1
    return 0


cdef uint32_t posts_touched(const dv_context* c, uint64_t start, uint64_t length,
                            bint writes) noexcept nogil:
    cdef dv_walk w
    cdef const dv_segment* s
    cdef const dv_verb_object* q
    cdef const dv_work* x
    cdef uint32_t index
    if c.works.live == 0 or length == 0:
        return 0
    walk_init(&w, &c.works.shadow, GRID_BUS, start, length)
    while True:
        index = walk_next(&w)
        if index == 0:
            return 0
        s = &c.works.shadow.segments[index]
        x = &c.works.items[s.mapping]
        q = &c.hca.items[x.qp]
        if q.device != 0 and c.event.device != 0 and q.device != c.event.device:
            continue
        if s.phys != 0 and c.hca.items[<uint32_t>s.phys].access & ZERO_BASED:
            continue
        # The HCA may read what it sends until the completion, and writes what it receives.
        if writes or work_writes(x.opcode):
            return s.mapping
