# cython: language_level=3
"""Posts and completions: who owns a buffer, and from when to when."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t

from dmaverify.core.context cimport OBJ_MAPPING, dv_context, dv_meaning
from dmaverify.core.hca_state cimport hold_first
from dmaverify.core.keys cimport hca_value, keys_look_up
from dmaverify.core.objects cimport (
    KNOWS_ACCESS, KNOWS_LENGTH, KNOWS_PD, SIGNALS_ALL, SORT_PD, SORT_REGION, VERB_LIVE,
    dv_verb_object, verb_object_domain, verb_object_end, verb_object_named,
)
from dmaverify.core.peers cimport peers_completed, peers_posted, peers_touched
from dmaverify.core.queues cimport queues_posted
from dmaverify.core.shadow cimport GRID_BUS, dv_segment, dv_walk, walk_init, walk_next
from dmaverify.core.statuses cimport statuses_completed
from dmaverify.core.work cimport (
    MATCH_MAX, OP_ATOMIC, OP_LOCAL_INV, OP_RDMA_READ, OP_RECV, POST_FENCE, POST_INLINE,
    POST_SIGNALED, QUEUE_RECV, QUEUE_SEND, dv_work, work_add, work_completed, work_owns,
    work_retire, work_writes,
)
from dmaverify.core.world cimport dv_place, place_of
from dmaverify.model.events cimport (
    F_DIRECTION_UNKNOWN, F_FAILED, F_PHYS_UNKNOWN, F_TIME_UNKNOWN, HCA_REMOTE_ADDR,
    HCA_REMOTE_KEY, HCA_REQUEST_KEY, KIND_CQE, KIND_INVALIDATE_MR, KIND_POSTED_SGE,
    KIND_POST_RECV, SIDE_SGE, TYPE_SHIFT, dv_entry, dv_event, dv_side, event_side, event_type,
    side_entries,
)

cdef enum:                   # of a post, that each of its buffers has too
    KEPT_FLAGS = F_TIME_UNKNOWN | F_DIRECTION_UNKNOWN | F_PHYS_UNKNOWN

cdef enum:                   # model/kinds.py: Rights, AccessSide
    LOCAL_WRITE = 1
    ZERO_BASED = 32
    SIDE_LOCAL = 1
    HAZARD_OWNED = 1
    REGION_DMA = 3


cdef dv_meaning NO_MEANING   # copied: faster than to clear memory


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
        m.due = c.hca.items[cq].outstanding
        if not c.event.flags & F_FAILED:  # of a refused post no completion comes
            m.due += gives_completion(c)


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
        if m.work == 0 and c.hca.items[m.qp].srq != 0:  # in whatever order they are taken
            m.work = work_completed(c.works, c.hca, c.hca.items[m.qp].srq, QUEUE_RECV, e.phys_addr)


cdef void posts_resolve(dv_context* c) noexcept nogil:
    if c.event.kind == KIND_CQE:
        resolve_completion(c)
        queues_posted(c)
        statuses_completed(c)
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
    if x.device != y.device:  # each HCA numbers its domains, and has bus addresses of its own
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


cdef inline bint domain_born(const dv_context* c, const dv_verb_object* q) noexcept nogil:
    """Tell whether the beginning of a queue pair's domain was seen, and its end was not."""
    cdef const dv_verb_object* d = &c.hca.items[q.domain]
    if q.domain != 0 and d.state == VERB_LIVE and d.sort == SORT_PD and d.pd == q.pd and \
            d.device == q.device:
        return True
    return verb_object_domain(c.hca, q.device, q.pd) != 0


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
    m[0] = NO_MEANING
    m.qp = qp
    m.side = SIDE_LOCAL
    m.wanted_known = True
    m.wanted = LOCAL_WRITE if work_writes(opcode) else 0
    if qp != 0 and c.hca.items[qp].marks & KNOWS_PD:
        m.pd_known = True
        m.pd = c.hca.items[qp].pd
        m.pd_born = c.hca.refused == 0 and domain_born(c, &c.hca.items[qp])
    keys_look_up(c)
    find_conflicts(c, opcode)


cdef inline bint other_domain(const dv_context* c) noexcept nogil:
    """Tell whether the region of a buffer is of another domain than its queue pair."""
    cdef const dv_verb_object* r = &c.hca.items[c.means.region]
    return c.means.pd_known and r.marks & KNOWS_PD and r.pd != c.means.pd


cdef int posts_own(dv_context* c, uint32_t sge, uint32_t told) noexcept nogil:
    cdef dv_meaning* m = c.means
    cdef uint32_t work = c.hca.items[m.qp].last[QUEUE_RECV if event_type(c.event) == OP_RECV
                                                else QUEUE_SEND]
    cdef dv_work* x = &c.works.items[work]
    x.sges = sge
    if x.told == 0:
        x.told = told
    if m.region == 0 and m.ended == 0 and not m.stale_tag and not m.pd_born:
        x.unsure += 1
    elif m.region == 0 or m.lacking != 0 or m.outside != 0 or other_domain(c):
        x.faults += 1
        if x.bad == 0:
            x.bad = x.sges
            x.bad_key = c.event.object
    if peers_posted(c, c.event.bus_addr, c.event.length) < 0:
        return -1
    return work_owns(c.works, c.hca, work, c.event.bus_addr, c.event.length, m.region,
                     sge)


cdef void end_key(dv_context* c, uint32_t key) noexcept nogil:
    """A key is out of use: what it named goes on under another, or not at all."""
    cdef uint32_t index = verb_object_named(c.hca, c.event.device, SORT_REGION, key)
    cdef dv_place here = place_of(c.event, c.number)
    if key != 0 and index != 0 and c.hca.items[index].state == VERB_LIVE:
        verb_object_end(c.hca, index, &here, c.event.site, False)


cdef void end_invalidated(dv_context* c) noexcept nogil:
    """Take keys out of use whose invalidation a completion tells: the peer's, or one's own.

    Source: Linux net/sunrpc/xprtrdma/frwr_ops.c, frwr_unmap_sync(): the last of a chain is
    signaled, and tells of all before it.
    """
    cdef dv_verb_object* q = &c.hca.items[c.means.qp]
    cdef uint32_t index = q.first[QUEUE_SEND]
    if c.event.status != 0:
        return
    if c.hca.now.invalidated_known:
        end_key(c, c.hca.now.invalidated)
    if q.invalidating == 0 or c.means.work == 0 or \
            c.works.items[c.means.work].queue != QUEUE_SEND:
        return
    while index != 0:
        if c.works.items[index].opcode == OP_LOCAL_INV and (
                index == c.means.work or not c.works.items[index].flags & POST_SIGNALED):
            end_key(c, c.works.items[index].key)
        if index == c.means.work:
            return
        index = c.works.items[index].next


cdef int posts_apply(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef dv_meaning* m = c.means
    cdef dv_work* x
    cdef int32_t index
    cdef uint32_t cq
    cdef bint known = False
    if m.qp == 0:
        return 0
    if e.kind == KIND_CQE:
        if peers_completed(c) < 0:
            return -1
        end_invalidated(c)
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
    x.ah = c.hca.now.ah
    if x.ah != 0:
        x.ah_serial = c.hca.items[x.ah].serial
        c.hca.items[x.ah].outstanding += 1
    if x.opcode == OP_LOCAL_INV:
        x.key = <uint32_t>hca_value(c, HCA_REMOTE_KEY, &known)
        if not known:
            x.key = <uint32_t>hca_value(c, HCA_REQUEST_KEY, &known)
        c.hca.items[m.qp].invalidating += 1
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


cdef int posts_hazard(dv_context* c, bint writes) noexcept nogil:
    c.means.work = posts_touched(c, c.virt, c.event.length, writes)
    if c.means.work == 0:
        return peers_touched(c, c.virt, c.event.length, writes)
    c.means.qp = c.works.items[c.means.work].qp
    return HAZARD_OWNED


cdef uint32_t posts_lost(dv_context* c) noexcept nogil:
    """What a region of all memory makes of an address is the bus address itself."""
    cdef uint32_t s = c.world.mappings[c.meant[OBJ_MAPPING]].first, index
    cdef const dv_segment* seg
    cdef dv_segment* held
    cdef dv_walk w
    while s != 0 and c.meant[OBJ_MAPPING] != 0:
        seg = &c.world.shadow.segments[s]
        s = seg.sibling
        walk_init(&w, &c.works.shadow, GRID_BUS, seg.start, seg.length)
        while True:
            index = walk_next(&w)
            if index == 0:
                break
            held = &c.works.shadow.segments[index]
            if held.phys == 0 or c.hca.items[<uint32_t>held.phys].type != REGION_DMA or \
                    c.hca.items[<uint32_t>held.phys].device != c.event.device:
                continue
            c.means.work = held.mapping
            c.means.qp = c.works.items[held.mapping].qp
            c.means.region = <uint32_t>held.phys
            return held.mapping
    return 0


cdef bint waited_for(const dv_context* c, uint32_t work, uint32_t key) noexcept nogil:
    """Tell whether an invalidation of a key stands behind a request in its queue, and waits for it.

    Sends and writes before it are done by then; reads and atomics where it has a fence. One that
    names no key may be the one. Source: https://lore.kernel.org/linux-rdma/
    20230522155654.1309-4-shiraz.saleem@intel.com/, on fences before invalidations.
    """
    cdef const dv_work* x = &c.works.items[work]
    cdef const dv_work* other
    cdef uint32_t index = x.next
    cdef int steps = 0
    if x.queue != QUEUE_SEND:
        return False
    while index != 0 and steps < MATCH_MAX:
        other = &c.works.items[index]
        if other.opcode == OP_LOCAL_INV and (other.key == key or other.key == 0) and (
                other.flags & POST_FENCE or not work_writes(x.opcode)):
            return True
        index = other.next
        steps += 1
    return False


cdef uint32_t posts_unordered(const dv_context* c) noexcept nogil:
    cdef const dv_verb_object* r = &c.hca.items[c.means.region]
    cdef dv_walk w
    cdef const dv_segment* s
    cdef uint32_t index, ordered = 0
    if c.means.region == 0 or r.outstanding == 0 or c.event.kind != KIND_INVALIDATE_MR or \
            not r.marks & KNOWS_LENGTH:
        return r.outstanding if c.means.region != 0 else 0
    walk_init(&w, &c.works.shadow, GRID_BUS, r.iova, r.length)
    while True:
        index = walk_next(&w)
        if index == 0:
            return r.outstanding - ordered if ordered < r.outstanding else 0
        s = &c.works.shadow.segments[index]
        if s.phys == c.means.region and <uint32_t>s.run == r.serial and hold_first(&w, s) and \
                waited_for(c, s.mapping, r.number):
            ordered += 1
