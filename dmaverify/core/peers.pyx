# cython: language_level=3
"""Accesses of peers that no completion has told of yet (see peers.pxd)."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.hca_state cimport (
    HOLD_ATOMIC, HOLD_HEADER, HOLD_READ, HOLD_WRITTEN, dv_holds, hold_add, hold_first,
    hold_shared, holds_cut,
    holds_drop, holds_of, owner_object,
)
from dmaverify.core.keys cimport hca_value
from dmaverify.core.objects cimport (
    DATA_IN_ORDER, KNOWS_ACCESS, KNOWS_PD, VERB_LIVE, WRITES_RELAXED, dv_verb_object,
)
from dmaverify.core.context cimport dv_context, dv_meaning
from dmaverify.core.shadow cimport GRID_BUS, dv_segment, dv_walk, walk_init, walk_next
from dmaverify.core.work cimport OP_RECV
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_FAILED, F_LENGTH_UNKNOWN, HCA_WC_FLAGS, dv_event, event_type,
)

cdef enum:                   # model/kinds.py: AccessSide, Rights, QpType, WcFlag, Hazard
    SIDE_REMOTE = 2
    REMOTE_ATOMIC = 8
    ZERO_BASED = 32
    QP_GSI = 2
    QP_UD = 5
    WC_GRH = 1
    HAZARD_WRITTEN = 2
    HAZARD_ATOMIC = 3
    HAZARD_READ = 4
    HAZARD_POLLED = 5
    HAZARD_HEADER = 6
    GRH_BYTES = 40


cdef int what_of(const dv_context* c) noexcept nogil:
    """Return what a peer does to memory; 0 where that is not told, or it does not move bytes."""
    cdef const dv_event* e = c.event
    cdef const dv_meaning* m = c.means
    if m.side != SIDE_REMOTE or m.region == 0 or m.qp == 0 or e.status == 0 or \
            e.flags & (F_BUS_UNKNOWN | F_LENGTH_UNKNOWN | F_FAILED) or e.length == 0:
        return 0
    if m.wanted_known and m.wanted & REMOTE_ATOMIC:
        return HOLD_ATOMIC
    return HOLD_WRITTEN if e.status == 2 else HOLD_READ


cdef bint one_memory(const dv_context* c, uint32_t a, uint32_t b) noexcept nogil:
    """Tell whether equal addresses by two regions are the same memory of one process."""
    cdef const dv_verb_object* x = &c.hca.items[a]
    cdef const dv_verb_object* y = &c.hca.items[b]
    if a == b:
        return True
    if x.device != y.device or not x.marks & y.marks & KNOWS_PD or x.pd != y.pd:
        return False
    return x.marks & y.marks & KNOWS_ACCESS and not (x.access | y.access) & ZERO_BASED


cdef bint in_order(const dv_context* c, int what, const dv_segment* s) noexcept nogil:
    """Tell whether something orders an access with one of before.

    Source: rdma-core libibverbs/man/ibv_reg_mr.3, IBV_ACCESS_RELAXED_ORDERING.
    """
    cdef uint32_t region = <uint32_t>s.phys
    if what == HOLD_READ and s.owner == HOLD_READ or \
            what == HOLD_ATOMIC and s.owner == HOLD_ATOMIC:
        return True
    if s.phys >> 32 != c.means.qp:
        return False
    return what != HOLD_WRITTEN or s.owner != HOLD_WRITTEN or \
        not (c.hca.items[c.means.region].marks | c.hca.items[region].marks) & WRITES_RELAXED


cdef bint counts(const dv_context* c, const dv_segment* s) noexcept nogil:
    """Tell whether the region of an access is still there."""
    cdef const dv_verb_object* x = &c.hca.items[<uint32_t>s.phys]
    return x.state == VERB_LIVE and x.serial == <uint32_t>s.run


cdef void peers_resolve(dv_context* c) noexcept nogil:
    cdef int what = what_of(c)
    cdef dv_holds* h = &c.hca.told
    cdef dv_walk w
    cdef const dv_segment* s
    cdef uint32_t index
    if what == 0 or h.live == 0:
        return
    walk_init(&w, &h.shadow, GRID_BUS, c.event.bus_addr, c.event.length)
    while True:
        index = walk_next(&w)
        if index == 0:
            return
        s = &h.shadow.segments[index]
        if s.owner == HOLD_HEADER or not counts(c, s) or in_order(c, what, s) or \
                not hold_first(&w, s):
            continue
        if one_memory(c, c.means.region, <uint32_t>s.phys):
            c.hca.now.racing += 1


cdef bint known_already(const dv_context* c, int what) noexcept nogil:
    """Tell whether the same queue pair has done the same to all these bytes."""
    cdef dv_holds* h = &c.hca.told
    cdef dv_walk w
    cdef const dv_segment* s
    cdef uint32_t index
    cdef uint64_t first = 0
    if h.live == 0:
        return False
    walk_init(&w, &h.shadow, GRID_BUS, c.event.bus_addr, c.event.length)
    while True:
        index = walk_next(&w)
        if index == 0:
            return False
        s = &h.shadow.segments[index]
        if s.owner == what and s.phys == (<uint64_t>c.means.qp << 32 | c.means.region) and \
                counts(c, s) and hold_shared(s.start, s.length, c.event.bus_addr,
                                             c.event.length, &first) == c.event.length:
            return True


cdef int peers_apply(dv_context* c) noexcept nogil:
    cdef int what = what_of(c)
    cdef const dv_meaning* m = c.means
    if what == 0 or known_already(c, what):
        return 0
    return hold_add(&c.hca.told, GRID_BUS,
                    owner_object(HOLD_WRITTEN, c.hca.items[m.qp].serial), what, c.event.device,
                    <uint64_t>m.qp << 32 | m.region, c.hca.items[m.region].serial,
                    c.event.bus_addr, c.event.length)


cdef int hold_header(dv_context* c) noexcept nogil:
    """The first 40 bytes of a datagram's list are undefined where no routing header came.

    Source: rdma-core libibverbs/man/ibv_post_recv.3; InfiniBand C9-92 as cited in Linux
    drivers/infiniband/sw/rxe/rxe_resp.c, rxe_resp_check_length().
    """
    cdef uint32_t s = c.works.items[c.means.work].buffers, region
    cdef uint64_t end = c.works.items[c.means.work].length, at
    cdef const dv_segment* seg
    while s != 0:            # the last entry of the list stands first
        seg = &c.works.shadow.segments[s]
        s = seg.sibling
        at = end - seg.length
        end = at
        region = <uint32_t>seg.phys
        if at >= GRH_BYTES or region == 0 or c.hca.items[region].access & ZERO_BASED:
            continue
        if hold_add(&c.hca.told, GRID_BUS,
                    owner_object(HOLD_HEADER, c.hca.items[c.means.qp].serial), HOLD_HEADER,
                    c.event.device, <uint64_t>c.means.qp << 32 | region,
                    c.hca.items[region].serial, seg.start,
                    min(seg.length, GRH_BYTES - at)) < 0:
            return -1
    return 0


cdef int peers_completed(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef const dv_verb_object* q = &c.hca.items[c.means.qp]
    cdef bint known = False
    cdef uint64_t flags
    if e.status != 0 or c.means.qp == 0:
        return 0
    if c.hca.told.live != 0 and event_type(e) == OP_RECV:
        holds_drop(&c.hca.told, owner_object(HOLD_WRITTEN, q.serial))
    if c.means.work == 0 or c.works.items[c.means.work].opcode != OP_RECV or \
            (q.type != QP_UD and q.type != QP_GSI) or e.side == 0:
        return 0
    flags = hca_value(c, HCA_WC_FLAGS, &known)
    return hold_header(c) if known and not flags & WC_GRH else 0


cdef int peers_posted(dv_context* c, uint64_t start, uint64_t length) noexcept nogil:
    cdef uint64_t owner
    if c.hca.told.headers == 0:
        return 0
    owner = owner_object(HOLD_HEADER, c.hca.items[c.means.qp].serial)
    return holds_cut(&c.hca.told, owner, start, length) \
        if holds_of(&c.hca.told, owner) != 0 else 0


cdef int hazard_of(const dv_context* c, const dv_segment* s, bint writes) noexcept nogil:
    cdef const dv_verb_object* q = &c.hca.items[<uint32_t>(s.phys >> 32)]
    if s.owner == HOLD_WRITTEN:
        if writes:
            return HAZARD_WRITTEN
        return HAZARD_POLLED if not q.marks & DATA_IN_ORDER else 0
    if s.owner == HOLD_ATOMIC:
        return HAZARD_ATOMIC if writes else 0
    if s.owner == HOLD_READ:
        return HAZARD_READ if writes else 0
    return HAZARD_HEADER if s.owner == HOLD_HEADER and not writes else 0


cdef int peers_touched(dv_context* c, uint64_t start, uint64_t length, bint writes) noexcept nogil:
    cdef dv_holds* h = &c.hca.told
    cdef dv_walk w
    cdef const dv_segment* s
    cdef const dv_verb_object* x
    cdef uint32_t index
    cdef int hazard, found = 0
    if h.live == 0 or length == 0:
        return 0
    walk_init(&w, &h.shadow, GRID_BUS, start, length)
    while True:
        index = walk_next(&w)
        if index == 0:
            return found
        s = &h.shadow.segments[index]
        x = &c.hca.items[<uint32_t>s.phys]
        if not counts(c, s) or x.access & ZERO_BASED or \
                (x.device != 0 and c.event.device != 0 and x.device != c.event.device):
            continue
        hazard = hazard_of(c, s, writes)
        if hazard != 0 and (found == 0 or hazard < found):
            found = hazard
            c.means.region = <uint32_t>s.phys
            c.means.qp = <uint32_t>(s.phys >> 32)
