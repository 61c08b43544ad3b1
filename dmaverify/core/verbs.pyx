# cython: language_level=3
"""Events of HCAs: what they mean, what they change, and the fields that rules ask of them."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memset

from dmaverify.core.objects cimport (
    KNOWS_ACCESS, KNOWS_BIRTH, KNOWS_IOVA, KNOWS_LENGTH, KNOWS_PD, KNOWS_REMOTE,
    OBJECT_LIVE, SORT_INDEX, SORT_PD, SORT_QP, SORT_REGION, SORT_REMOTE, dv_object, dv_objects,
    dv_task, object_add, object_domain, object_end, object_enter, object_named, task_of,
)
from dmaverify.core.resolve cimport OBJ_ENDED_REGION, OBJ_QP, OBJ_REGION, dv_context, dv_meaning
from dmaverify.core.world cimport dv_place, place_of
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_FAILED, F_LENGTH_UNKNOWN, F_PHYS_UNKNOWN,
    F_TIME_UNKNOWN, KIND_ALLOC_PD, KIND_BIND_MW, KIND_CQE, KIND_CREATE_QP, KIND_DEALLOC_PD,
    KIND_DEREG_MR, KIND_DESTROY_QP, KIND_FAST_REG_MR, KIND_HCA_ACCESS, KIND_HCA_VERDICT,
    KIND_INVALIDATE_MR, KIND_MODIFY_QP, KIND_POST_RECV, KIND_POST_SEND, KIND_REG_MR,
    KIND_REG_MR_BEGIN, KIND_REG_MR_END, KIND_REREG_MR, KIND_TASK_EXIT, TYPE_SHIFT, dv_event,
    event_type,
)

cdef enum:                   # model/kinds.py: Rights
    LOCAL_WRITE = 1
    REMOTE_WRITE = 2
    REMOTE_READ = 4
    CHECKED_RIGHTS = 15      # those that an access may want

cdef enum:                   # model/kinds.py: AccessSide, RegionType, WcStatus
    SIDE_LOCAL = 1
    SIDE_REMOTE = 2
    REGION_DMA = 3
    REGION_NULL = 7
    LOC_PROT_ERR = 4
    REM_ACCESS_ERR = 10
    STATE_RESET = 1          # QpState
    STATE_ERR = 7


# ---- what an event means -------------------------------------------------------------------------

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


cdef uint64_t bytes_outside(const dv_object* x, uint64_t iova, uint64_t length) noexcept nogil:
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


cdef int find_region(dv_context* c) noexcept nogil:
    """Find what the key names: a live region, or one that has ended."""
    cdef dv_meaning* m = c.means
    cdef const dv_event* e = c.event
    cdef uint32_t index = 0, other
    if e.object == 0:
        return 0
    if m.side == SIDE_REMOTE:
        index = object_named(c.hca, e.device, SORT_REMOTE, e.object)
    if index == 0 or c.hca.items[index].state != OBJECT_LIVE:
        other = object_named(c.hca, e.device, SORT_REGION, e.object)
        if index == 0 or other != 0 and c.hca.items[other].state == OBJECT_LIVE:
            index = other
    if index != 0 and c.hca.items[index].state == OBJECT_LIVE:
        m.region = index
        return 0
    m.ended = index
    other = object_named(c.hca, e.device, SORT_INDEX, e.object >> 8)
    m.stale_tag = other != 0 and c.hca.items[other].state == OBJECT_LIVE
    return 0


cdef int resolve_access(dv_context* c) noexcept nogil:
    """An HCA first looks a key up, for a domain, and then checks ranges and moves bytes by it."""
    cdef dv_meaning* m = c.means
    cdef const dv_event* e = c.event
    cdef const dv_object* x
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
    m.wanted = rights_wanted(e, m.side, &m.wanted_known)
    m.pd_born = m.pd_known and object_domain(c.hca, e.device, m.pd) != 0
    find_region(c)
    if m.region == 0:
        return 0
    x = &c.hca.items[m.region]
    m.lacking = m.wanted & ~<uint32_t>x.access if x.marks & KNOWS_ACCESS else 0
    m.outside_known = x.marks & KNOWS_IOVA and x.marks & KNOWS_LENGTH and \
        not e.flags & (F_BUS_UNKNOWN | F_LENGTH_UNKNOWN)
    if m.outside_known:
        m.outside = bytes_outside(x, e.bus_addr, e.length)
    return 0


cdef int resolve_end(dv_context* c, uint32_t index) noexcept nogil:
    cdef dv_meaning* m = c.means
    cdef const dv_object* x
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


cdef int resolve_verdict(dv_context* c) noexcept nogil:
    """What the HCA said of a range is about the one that the same task checked last."""
    cdef dv_task* t = task_of(c.hca, c.event.site)
    if t == NULL:
        return -1
    c.means.outside_known = t.checked
    c.means.outside = t.outside
    if t.checked and c.hca.items[t.checked].serial == t.checked_serial and \
            c.hca.items[t.checked].state == OBJECT_LIVE:
        c.means.region = t.checked
    return 0


cdef int verbs_resolve(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef uint32_t index
    memset(c.means, 0, sizeof(dv_meaning))
    if e.kind == KIND_HCA_ACCESS:
        return resolve_access(c)
    if KIND_CREATE_QP <= e.kind <= KIND_DESTROY_QP or KIND_POST_SEND <= e.kind <= KIND_CQE:
        index = object_named(c.hca, e.device, SORT_QP, e.object) if e.object != 0 else 0
        if index != 0 and c.hca.items[index].state == OBJECT_LIVE:
            c.means.qp = index
        return resolve_end(c, c.means.qp) if e.kind == KIND_DESTROY_QP else 0
    if e.kind == KIND_HCA_VERDICT:
        return resolve_verdict(c)
    if KIND_REG_MR <= e.kind <= KIND_BIND_MW or e.kind == KIND_DEREG_MR:
        find_region(c)
        if e.kind == KIND_DEREG_MR and e.object != 0:
            return resolve_end(c, c.means.region)
    return 0


cdef uint32_t verbs_subject(const dv_context* c) noexcept nogil:
    if c.means.region != 0:
        return c.means.region
    return c.means.ended if c.means.ended != 0 else c.means.qp


# ---- what an event changes -----------------------------------------------------------------------

cdef void fill_region(dv_object* x, const dv_event* e) noexcept nogil:
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
    cdef uint32_t before = object_named(c.hca, c.event.device, SORT_REGION, key)
    cdef int32_t index
    if before != 0 and c.hca.items[before].state == OBJECT_LIVE:
        object_end(c.hca, before, &now, c.event.site, False)
    index = object_add(c.hca, SORT_REGION, c.event.device, key, made, c.world.gaps)
    if index <= 0:
        return index
    fill_region(&c.hca.items[index], asked)
    if remote != 0 and remote != key:
        c.hca.items[index].remote = <uint32_t>remote
        c.hca.items[index].marks |= KNOWS_REMOTE
    return object_enter(c.hca, <uint32_t>index)


cdef int apply_registration(dv_context* c) noexcept nogil:
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


cdef int change_region(dv_context* c) noexcept nogil:
    """A region gets another range, other rights or another key: it is as good as a new one."""
    cdef const dv_event* e = c.event
    cdef dv_place here = place_of(e, c.number)
    if e.flags & F_FAILED or e.object == 0:
        return 0
    return add_region(c, e, &here, e.object, 0)


cdef int end_region(dv_context* c) noexcept nogil:
    cdef dv_place here = place_of(c.event, c.number)
    if c.means.region != 0 and not c.event.flags & F_FAILED:
        object_end(c.hca, c.means.region, &here, c.event.site, True)
    return 0


cdef int add_qp(dv_context* c, const dv_place* made, bint born) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef int32_t index = object_add(c.hca, SORT_QP, e.device, e.object, made, c.world.gaps)
    cdef dv_object* x
    if index <= 0:
        return index
    x = &c.hca.items[index]
    x.marks |= KNOWS_BIRTH if born else 0
    if e.kind == KIND_CREATE_QP:
        x.type = <uint8_t>event_type(e)
        x.mode = STATE_RESET
        if not e.flags & F_PHYS_UNKNOWN:
            x.pd = e.phys_addr
            x.marks |= KNOWS_PD
        if not e.flags & F_DIRECTION_UNKNOWN:
            x.access = e.direction
            x.marks |= KNOWS_ACCESS
    c.means.qp = <uint32_t>index
    return object_enter(c.hca, <uint32_t>index)


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
            object_end(c.hca, c.means.qp, &here, e.site, True)
        return 0
    if c.means.qp == 0 and name_qp(c) < 0:
        return -1
    if c.means.qp == 0 or e.kind != KIND_MODIFY_QP or e.flags & F_FAILED:
        return 0
    c.hca.items[c.means.qp].mode = <uint8_t>e.status if 0 < e.status <= STATE_ERR else 0
    return 0


cdef int apply_access(dv_context* c) noexcept nogil:
    cdef dv_task* t
    if c.means.region != 0:
        c.hca.items[c.means.region].accesses += 1
    t = task_of(c.hca, c.event.site)
    if t == NULL:
        return -1
    t.checked = c.means.region if c.means.outside_known else 0
    t.outside = c.means.outside
    t.checked_serial = c.hca.items[t.checked].serial
    if c.event.flags & F_PHYS_UNKNOWN:
        return 0
    t.look = c.event[0]
    t.looked = 1
    return 0


cdef int apply_domain(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef dv_place here = place_of(e, c.number)
    cdef uint32_t index
    cdef int32_t made
    if e.flags & (F_PHYS_UNKNOWN | F_FAILED):
        return 0
    index = object_domain(c.hca, e.device, e.phys_addr)
    if e.kind == KIND_DEALLOC_PD:
        if index != 0:
            object_end(c.hca, index, &here, e.site, True)
        return 0
    if index != 0:
        object_end(c.hca, index, &here, e.site, False)
    made = object_add(c.hca, SORT_PD, e.device, 0, &here, c.world.gaps)
    if made <= 0:
        return made
    c.hca.items[made].pd = e.phys_addr
    c.hca.items[made].marks |= KNOWS_PD | KNOWS_BIRTH
    return object_enter(c.hca, <uint32_t>made)


cdef int at_work(dv_context* c) noexcept nogil:
    """A task that posts is not cleaning up."""
    cdef dv_task* t = task_of(c.hca, c.event.site)
    if t == NULL:
        return -1
    t.untidy = 0
    t.swept_regions = 0
    t.left = 0
    return 0


cdef int verbs_apply(dv_context* c) noexcept nogil:
    cdef int kind = c.event.kind
    cdef dv_task* t
    if kind == KIND_HCA_ACCESS:
        return apply_access(c)
    if kind == KIND_POST_SEND or kind == KIND_POST_RECV:
        return -1 if at_work(c) < 0 else apply_qp(c)
    if KIND_REG_MR <= kind <= KIND_REG_MR_END:
        return apply_registration(c)
    if kind == KIND_DEREG_MR or kind == KIND_INVALIDATE_MR:
        return end_region(c)
    if kind == KIND_REREG_MR or kind == KIND_FAST_REG_MR or kind == KIND_BIND_MW:
        return change_region(c)
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


# ---- what rules ask ------------------------------------------------------------------------------

cdef bint verbs_has(const dv_context* c, int obj) noexcept nogil:
    if c.means == NULL:
        return False
    if obj == OBJ_REGION:
        return c.means.region != 0
    if obj == OBJ_ENDED_REGION:
        return c.means.ended != 0
    return obj == OBJ_QP and c.means.qp != 0


cdef uint64_t verbs_event_field(const dv_context* c, int number, bint* known) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef const dv_meaning* m = c.means
    known[0] = True
    if m == NULL:
        known[0] = False
        return 0
    if number == 120 or number == 134:
        known[0] = e.object != 0
        return e.object
    if number == 121:
        known[0] = not e.flags & F_BUS_UNKNOWN
        return e.bus_addr
    if number == 122:
        if e.kind == KIND_HCA_ACCESS:
            known[0] = m.pd_known
            return m.pd
        known[0] = not e.flags & F_PHYS_UNKNOWN
        return e.phys_addr
    if number == 123:
        if e.kind == KIND_HCA_ACCESS:
            known[0] = m.wanted_known
            return m.wanted
        known[0] = not e.flags & F_DIRECTION_UNKNOWN
        return e.direction
    if number == 124:
        return m.side
    if number == 125:
        return event_type(e)
    if number == 126 or number == 127:
        known[0] = m.region != 0 and m.wanted_known and \
            c.hca.items[m.region].marks & KNOWS_ACCESS
        return m.lacking if number == 127 else rights_count(m.lacking)
    if number == 128:
        known[0] = m.outside_known
        return m.outside
    if number == 129:
        return m.stale_tag
    if number == 130:
        return m.pd_born
    if number == 132:
        return m.left
    if number == 133:
        known[0] = m.side != 0
        return REM_ACCESS_ERR if m.side == SIDE_REMOTE else LOC_PROT_ERR
    if number == 135 or number == 138:
        return e.status != 0
    if number == 136:
        return m.region != 0
    if number == 137:
        known[0] = e.status != 0
        return e.status if e.status > 0 else 0
    known[0] = False
    return 0


cdef uint64_t rights_count(uint32_t rights) noexcept nogil:
    cdef uint64_t n = 0
    while rights != 0:
        n += rights & 1
        rights >>= 1
    return n


cdef uint64_t since(const dv_context* c, const dv_place* place, bint* known) noexcept nogil:
    known[0] = c.world.time_known and not c.event.flags & F_TIME_UNKNOWN and place.flags & 1
    return c.event.time - place.time if c.event.time >= place.time else 0


cdef uint64_t verbs_object_field(const dv_context* c, int obj, int number,
                                 bint* known) noexcept nogil:
    cdef const dv_object* x
    known[0] = verbs_has(c, obj)
    if not known[0]:
        return 0
    if obj == OBJ_QP:
        return qp_field(&c.hca.items[c.means.qp], number, known)
    x = &c.hca.items[c.means.region if obj == OBJ_REGION else c.means.ended]
    if number == 1:
        return x.number
    if number == 2:
        known[0] = x.marks & KNOWS_IOVA != 0
        return x.iova
    if number == 3:
        known[0] = x.marks & KNOWS_LENGTH != 0
        return x.length
    if number == 4:
        known[0] = x.marks & KNOWS_ACCESS != 0
        return x.access
    if number == 5:
        known[0] = x.marks & KNOWS_PD != 0
        return x.pd
    if number == 6:
        return x.type
    if number == 7:
        return since(c, &x.made, known)
    if number == 8:
        return since(c, &x.ended, known) if x.state != OBJECT_LIVE else 0
    if number == 9:
        return x.epoch != c.world.gaps
    if number == 10:
        return x.made.site
    if number == 11:
        return x.accesses
    if number == 12:
        known[0] = x.marks & KNOWS_REMOTE != 0
        return x.remote
    known[0] = False
    return 0


cdef uint64_t qp_field(const dv_object* x, int number, bint* known) noexcept nogil:
    if number == 1:
        return x.number
    if number == 2:
        known[0] = x.marks & KNOWS_PD != 0
        return x.pd
    if number == 3:
        return x.type
    if number == 4:
        known[0] = x.mode != 0
        return x.mode
    known[0] = False
    return 0
