# cython: language_level=3
"""Keys: registrations, windows, and what an access by key means."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t

from dmaverify.core.context cimport dv_context, dv_meaning
from dmaverify.core.objects cimport (
    KNOWS_ACCESS, KNOWS_IOVA, KNOWS_LENGTH, KNOWS_PD, KNOWS_REMOTE, SORT_INDEX, SORT_QP,
    SORT_REGION, SORT_REMOTE, VERB_LIVE, dv_task, dv_verb_object, task_of, verb_object_add,
    verb_object_domain, verb_object_end, verb_object_enter, verb_object_named,
)
from dmaverify.core.wire cimport peer_answered, peer_asked
from dmaverify.core.world cimport dv_place, place_of
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_FAILED, F_LENGTH_UNKNOWN, F_PHYS_UNKNOWN,
    HCA_QUEUE_PAIR, HCA_REGION_KEY, KIND_REG_MR, KIND_REG_MR_BEGIN, SIDE_HCA, dv_entry,
    dv_event, dv_side, event_side, event_type, side_entries,
)

cdef enum:                   # model/kinds.py: Rights
    LOCAL_WRITE = 1
    REMOTE_WRITE = 2
    REMOTE_READ = 4
    REMOTE_ATOMIC = 8
    MW_BIND = 16
    CHECKED_RIGHTS = 15      # those that an access may want
    REMOTE_RIGHTS = 14

cdef enum:                   # model/kinds.py: AccessSide, RegionType
    SIDE_REMOTE = 2
    REGION_DMA = 3
    REGION_NULL = 7
    WINDOW_2B = 10


cdef uint32_t bits_count(uint32_t bits) noexcept nogil:
    cdef uint32_t n = 0
    while bits != 0:
        n += bits & 1
        bits >>= 1
    return n


cdef uint32_t rights_wanted(const dv_event* e, int side, bint* known) noexcept nogil:
    """Return the rights that an access needs; what is only said to be read or written needs the
    right for that.

    Source: InfiniBand verbs as Linux checks them, drivers/infiniband/sw/rxe/rxe_resp.c,
    check_rkey(), and rxe_comp.c, do_read().
    """
    known[0] = True
    if not e.flags & F_DIRECTION_UNKNOWN:
        return e.direction & CHECKED_RIGHTS
    if e.status == 2:
        return REMOTE_WRITE if side == SIDE_REMOTE else LOCAL_WRITE
    if e.status == 1:
        return REMOTE_READ if side == SIDE_REMOTE else 0
    known[0] = False
    return 0


cdef uint64_t bytes_outside(const dv_verb_object* x, uint64_t iova, uint64_t length) noexcept nogil:
    """Return how many bytes of a range lie outside a region. No sum can wrap around.

    Source: Linux drivers/infiniband/sw/rxe/rxe_mr.c, mr_check_range().
    """
    cdef uint64_t into, room
    if x.type == REGION_DMA or x.type == REGION_NULL or length == 0:
        return 0
    if iova < x.iova:
        into = x.iova - iova
        if into >= length:
            return length
        length -= into
        return into + (length - x.length if length > x.length else 0)
    into = iova - x.iova
    room = x.length - into if into < x.length else 0
    return length - room if length > room else 0


cdef int keys_find(dv_context* c) noexcept nogil:
    """Find what the key names: a live region, or one that has ended."""
    cdef dv_meaning* m = c.means
    cdef const dv_event* e = c.event
    cdef uint32_t index = 0, other
    if e.object == 0:
        return 0
    if m.side == SIDE_REMOTE:
        index = verb_object_named(c.hca, e.device, SORT_REMOTE, e.object)
    if index == 0 or c.hca.items[index].state != VERB_LIVE:
        other = verb_object_named(c.hca, e.device, SORT_REGION, e.object)
        if index == 0 or other != 0 and c.hca.items[other].state == VERB_LIVE:
            index = other
    if index != 0 and c.hca.items[index].state == VERB_LIVE:
        m.region = index
        return 0
    m.ended = index
    other = verb_object_named(c.hca, e.device, SORT_INDEX, e.object >> 8)
    m.stale_tag = other != 0 and c.hca.items[other].state == VERB_LIVE
    return 0


cdef uint64_t hca_value(const dv_context* c, int what, bint* known) noexcept nogil:
    cdef const dv_side* s = event_side(c.batch, c.event, SIDE_HCA) if c.event.side != 0 else NULL
    cdef const dv_entry* entries
    cdef uint32_t i
    known[0] = False
    if s == NULL:
        return 0
    entries = side_entries(s)
    for i in range(s.stored):
        if entries[i].length == <uint64_t>what:
            known[0] = True
            return entries[i].address
    return 0


cdef void keys_look_up(dv_context* c) noexcept nogil:
    cdef dv_meaning* m = c.means
    cdef const dv_event* e = c.event
    cdef const dv_verb_object* x
    keys_find(c)
    if m.region == 0:
        return
    x = &c.hca.items[m.region]
    m.lacking_known = m.wanted_known and x.marks & KNOWS_ACCESS != 0
    m.lacking = m.wanted & ~<uint32_t>x.access if x.marks & KNOWS_ACCESS else 0
    m.lacking_count = bits_count(m.lacking)
    m.outside_known = x.marks & KNOWS_IOVA and x.marks & KNOWS_LENGTH and \
        not e.flags & (F_BUS_UNKNOWN | F_LENGTH_UNKNOWN)
    if m.outside_known:
        m.outside = bytes_outside(x, e.bus_addr, e.length)


cdef void look_at_qp(dv_context* c) noexcept nogil:
    """Take in the queue pair that an access is of, where the event names it."""
    cdef dv_meaning* m = c.means
    cdef const dv_verb_object* q
    cdef bint known = False
    cdef uint64_t number = hca_value(c, HCA_QUEUE_PAIR, &known)
    cdef uint32_t index
    if not known:
        return
    index = verb_object_named(c.hca, c.event.device, SORT_QP, <uint32_t>number)
    if index == 0 or c.hca.items[index].state != VERB_LIVE:
        c.hca.now.qp_ended = index != 0
        return
    m.qp = index
    q = &c.hca.items[index]
    if m.side == SIDE_REMOTE and m.wanted_known and q.marks & KNOWS_ACCESS:
        m.disabled = bits_count(m.wanted & REMOTE_RIGHTS & ~<uint32_t>q.access)
    if m.region != 0 and c.hca.items[m.region].type == WINDOW_2B and \
            c.hca.items[m.region].qp != 0:
        m.other_qp = c.hca.items[m.region].qp != q.number


cdef void domain_of_qp(dv_context* c) noexcept nogil:
    """An access is made for the domain of its queue pair.

    Source: Linux drivers/infiniband/sw/rxe/rxe_resp.c, check_rkey(), which looks a key up in
    `qp->pd`.
    """
    cdef bint known = False
    cdef uint64_t number = hca_value(c, HCA_QUEUE_PAIR, &known)
    cdef uint32_t index
    if not known:
        return
    index = verb_object_named(c.hca, c.event.device, SORT_QP, <uint32_t>number)
    if index == 0 or c.hca.items[index].state != VERB_LIVE or \
            not c.hca.items[index].marks & KNOWS_PD:
        return
    c.means.pd_known = True
    c.means.pd = c.hca.items[index].pd


cdef int keys_access(dv_context* c) noexcept nogil:
    """An HCA first looks a key up, for a domain, and then checks ranges and moves bytes by it."""
    cdef dv_meaning* m = c.means
    cdef const dv_event* e = c.event
    cdef dv_task* t
    m.side = event_type(e)
    m.pd_known = not e.flags & F_PHYS_UNKNOWN
    m.pd = e.phys_addr
    if not m.pd_known or m.side == 0:
        t = task_of(c.hca, e.site)
        if t == NULL:
            return -1
        if t.looked and t.look.object == e.object and t.look.device == e.device:
            if not m.pd_known and not t.look.flags & F_PHYS_UNKNOWN:
                m.pd_known = True
                m.pd = t.look.phys_addr
            if m.side == 0:
                m.side = event_type(&t.look)
    if not m.pd_known:
        domain_of_qp(c)
    m.wanted = rights_wanted(e, m.side, &m.wanted_known)
    # Where regions are not followed, a key that is not known proves nothing.
    m.pd_born = m.pd_known and c.hca.refused == 0 and \
        verb_object_domain(c.hca, e.device, m.pd) != 0
    keys_look_up(c)
    look_at_qp(c)
    return 0


cdef int keys_rights(dv_context* c) noexcept nogil:
    """Rights for a peer to write want the right to write at all.

    Source: Linux drivers/infiniband/core/verbs.c, ib_check_mr_access().
    """
    cdef dv_meaning* m = c.means
    m.lacking_known = not c.event.flags & F_DIRECTION_UNKNOWN
    if m.lacking_known and c.event.direction & (REMOTE_WRITE | REMOTE_ATOMIC):
        m.lacking = LOCAL_WRITE & ~<uint32_t>c.event.direction
        m.lacking_count = bits_count(m.lacking)
    return 0


cdef int keys_fast(dv_context* c) noexcept nogil:
    """A region that gets its range must be free, so no live region may have its index."""
    cdef uint32_t index = verb_object_named(c.hca, c.event.device, SORT_INDEX, c.event.object >> 8)
    if c.event.object == 0 or index == 0:
        return keys_rights(c)
    if c.hca.items[index].state == VERB_LIVE:
        c.means.region = index
    elif c.hca.items[index].number == c.event.object:
        c.means.ended = index  # the last registration of this region had the same tag
    return keys_rights(c)


cdef int keys_bind(dv_context* c) noexcept nogil:
    """A window lies in a region: here `region` is the one that it is bound to.

    Source: Linux drivers/infiniband/sw/rxe/rxe_mw.c, rxe_check_bind_mw().
    """
    cdef dv_meaning* m = c.means
    cdef const dv_event* e = c.event
    cdef bint known = False
    cdef uint32_t key = <uint32_t>hca_value(c, HCA_REGION_KEY, &known)
    cdef uint32_t index = verb_object_named(c.hca, e.device, SORT_REGION, key) if known else 0
    cdef const dv_verb_object* x
    m.pd_known = not e.flags & F_PHYS_UNKNOWN
    m.pd = e.phys_addr
    if index == 0 or c.hca.items[index].state != VERB_LIVE:
        return 0
    m.region = index
    x = &c.hca.items[index]
    m.lacking_known = not e.flags & F_DIRECTION_UNKNOWN and x.marks & KNOWS_ACCESS != 0
    m.wanted = MW_BIND
    if e.direction & (REMOTE_WRITE | REMOTE_ATOMIC):
        m.wanted |= LOCAL_WRITE
    m.lacking = m.wanted & ~<uint32_t>x.access
    m.lacking_count = bits_count(m.lacking)
    m.outside_known = x.marks & KNOWS_IOVA and x.marks & KNOWS_LENGTH and \
        not e.flags & (F_BUS_UNKNOWN | F_LENGTH_UNKNOWN)
    if m.outside_known:
        m.outside = bytes_outside(x, e.bus_addr, e.length)
    return 0


cdef void keys_window(dv_context* c) noexcept nogil:
    cdef uint32_t index = verb_object_named(c.hca, c.event.device, SORT_INDEX, c.event.object >> 8)
    if index != 0 and c.hca.items[index].state == VERB_LIVE and \
            c.hca.items[index].type >= WINDOW_2B - 2:
        c.means.region = index


cdef int keys_verdict(dv_context* c) noexcept nogil:
    """What the HCA said of a range is about the one that the same task checked last."""
    cdef dv_task* t = task_of(c.hca, c.event.site)
    if t == NULL:
        return -1
    if event_type(c.event) != 0:
        look_at_qp(c)
        return peer_answered(c)
    c.means.outside_known = t.checked
    c.means.outside = t.outside
    if t.checked and c.hca.items[t.checked].serial == t.checked_serial and \
            c.hca.items[t.checked].state == VERB_LIVE:
        c.means.region = t.checked
    return 0


cdef void fill_region(dv_verb_object* x, const dv_event* e) noexcept nogil:
    x.type = <uint8_t>event_type(e)
    if not e.flags & F_BUS_UNKNOWN:
        x.iova = e.bus_addr
        x.marks |= KNOWS_IOVA
    if not e.flags & F_LENGTH_UNKNOWN:
        x.length = e.length
        x.marks |= KNOWS_LENGTH
    if not e.flags & F_DIRECTION_UNKNOWN:
        x.access = e.direction
        x.marks |= KNOWS_ACCESS
    if not e.flags & F_PHYS_UNKNOWN:
        x.pd = e.phys_addr
        x.marks |= KNOWS_PD


cdef int add_region(dv_context* c, const dv_event* asked, const dv_place* made, uint32_t key,
                    uint64_t remote) noexcept nogil:
    """Add a region under its key. What had the key before has ended without our seeing it."""
    cdef dv_place now = place_of(c.event, c.number)
    cdef uint32_t before = verb_object_named(c.hca, c.event.device, SORT_REGION, key)
    cdef int32_t index
    if before != 0 and c.hca.items[before].state == VERB_LIVE:
        verb_object_end(c.hca, before, &now, c.event.site, False)
    index = verb_object_add(c.hca, SORT_REGION, c.event.device, key, made, c.world.gaps)
    if index <= 0:
        return index
    fill_region(&c.hca.items[index], asked)
    if remote != 0 and remote != key:
        c.hca.items[index].remote = <uint32_t>remote
        c.hca.items[index].marks |= KNOWS_REMOTE
    return verb_object_enter(c.hca, <uint32_t>index)


cdef int keys_registered(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef dv_task* t
    cdef dv_place here = place_of(e, c.number)
    cdef dv_event asked
    cdef dv_place asked_at
    if e.kind == KIND_REG_MR:
        return 0 if e.flags & F_FAILED or e.object == 0 else \
            add_region(c, e, &here, e.object, 0)
    t = task_of(c.hca, e.site)
    if t == NULL:
        return -1
    if e.kind == KIND_REG_MR_BEGIN:
        t.asked = e[0]
        t.asked_at = here
        t.asking = 1
        return 0
    asked = t.asked if t.asking else e[0]
    asked_at = t.asked_at if t.asking else here
    if not t.asking:  # what the call asked for was lost: only the key is known
        asked.flags |= F_BUS_UNKNOWN | F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN | F_DIRECTION_UNKNOWN
    t.asking = 0
    if e.object == 0 or e.status < 0 or e.flags & F_FAILED:
        return 0
    return add_region(c, &asked, &asked_at, e.object,
                      0 if e.flags & F_PHYS_UNKNOWN else e.phys_addr)


cdef int keys_changed(dv_context* c) noexcept nogil:
    """A region gets another range, other rights or another key: it is as good as a new one."""
    cdef const dv_event* e = c.event
    cdef dv_place here = place_of(e, c.number)
    if e.flags & F_FAILED or e.object == 0:
        return 0
    return add_region(c, e, &here, e.object, 0)


cdef int keys_bound(dv_context* c) noexcept nogil:
    """A window that is bound anew, or to nothing, loses what it was bound to."""
    cdef const dv_event* e = c.event
    cdef dv_place here = place_of(e, c.number)
    cdef uint32_t before = verb_object_named(c.hca, e.device, SORT_INDEX, e.object >> 8)
    cdef uint32_t index, parent = c.means.region
    cdef bint known = False
    cdef uint64_t qp
    if e.flags & F_FAILED or e.object == 0:
        return 0
    if before != 0 and c.hca.items[before].state == VERB_LIVE:
        leave_parent(c, before)
        verb_object_end(c.hca, before, &here, e.site, False)
    if parent == 0 or (not e.flags & F_LENGTH_UNKNOWN and e.length == 0):
        return 0
    if add_region(c, e, &here, e.object, 0) < 0:
        return -1
    index = verb_object_named(c.hca, e.device, SORT_REGION, e.object)
    if index == 0:
        return 0
    qp = hca_value(c, HCA_QUEUE_PAIR, &known)
    c.hca.items[index].qp = <uint32_t>qp if known else 0
    c.hca.items[index].parent = parent
    c.hca.items[index].parent_serial = c.hca.items[parent].serial
    c.hca.items[parent].windows += 1
    return 0


cdef void leave_parent(dv_context* c, uint32_t window) noexcept nogil:
    cdef uint32_t parent = c.hca.items[window].parent
    if parent != 0 and c.hca.items[parent].serial == c.hca.items[window].parent_serial and \
            c.hca.items[parent].windows != 0:
        c.hca.items[parent].windows -= 1


cdef int keys_ended(dv_context* c) noexcept nogil:
    cdef dv_place here = place_of(c.event, c.number)
    if c.means.region != 0 and not c.event.flags & F_FAILED:
        leave_parent(c, c.means.region)
        verb_object_end(c.hca, c.means.region, &here, c.event.site, True)
    return 0


cdef int keys_accessed(dv_context* c) noexcept nogil:
    cdef dv_task* t
    if c.means.region != 0:
        c.hca.items[c.means.region].accesses += 1
    t = task_of(c.hca, c.event.site)
    if t == NULL:
        return -1
    t.checked = c.means.region if c.means.outside_known else 0
    t.outside = c.means.outside
    t.checked_serial = c.hca.items[t.checked].serial
    if event_type(c.event) != 0 and peer_asked(c) < 0:
        return -1
    if c.event.flags & F_PHYS_UNKNOWN:
        return 0
    t.look = c.event[0]
    t.looked = 1
    return 0
