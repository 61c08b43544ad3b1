# cython: language_level=3
"""What rules ask of an HCA's events: one chain of numbers for each object."""

from libc.stdint cimport uint64_t

from dmaverify.core.hca_more cimport FIRST_MORE, hca_more_field
from dmaverify.core.context cimport (
    OBJ_ENDED_REGION, OBJ_QP, OBJ_REGION, OBJ_WORK, dv_context, dv_meaning,
)
from dmaverify.core.objects cimport (
    KNOWS_ACCESS, KNOWS_BIRTH, KNOWS_INLINE, KNOWS_IOVA, KNOWS_LENGTH, KNOWS_PD, KNOWS_RECV_SGE,
    KNOWS_RECV_WR, KNOWS_REMOTE, KNOWS_SEND_SGE, KNOWS_SEND_WR, SIGNALS_ALL, VERB_LIVE,
    dv_verb_object,
)
from dmaverify.core.posts cimport posts_unordered
from dmaverify.core.work cimport POST_FENCE, POST_INLINE, POST_SIGNALED, dv_work, work_writes
from dmaverify.core.world cimport dv_place
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_PHYS_UNKNOWN, F_TIME_UNKNOWN, KIND_BIND_MW,
    KIND_HCA_ACCESS, KIND_HCA_VERDICT, KIND_POSTED_SGE, KIND_POST_RECV, dv_event, event_type,
)

cdef enum:
    FIRST_WIRE = 240         # fields of requests on the wire

cdef enum:                   # model/kinds.py: AccessSide, WcStatus, Opcode
    SIDE_REMOTE = 2
    LOC_PROT_ERR = 4
    REM_ACCESS_ERR = 10
    OP_RECV = 11
    REMOTE_ATOMIC = 8        # Rights


cdef bint hca_has(const dv_context* c, int obj) noexcept nogil:
    if c.means == NULL:
        return False
    if obj == OBJ_REGION:
        return c.means.region != 0
    if obj == OBJ_ENDED_REGION:
        return c.means.ended != 0
    if obj == OBJ_QP:
        return c.means.qp != 0
    return obj == OBJ_WORK and c.means.work != 0


cdef uint64_t hca_event_field(const dv_context* c, int number, bint* known) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef const dv_meaning* m = c.means
    known[0] = True
    if m == NULL:
        known[0] = False
        return 0
    if number == 134 and e.kind == KIND_POSTED_SGE:
        known[0] = m.qp != 0
        return c.hca.items[m.qp].number
    if number == 120 or number == 134:
        known[0] = e.object != 0
        return e.object
    if number == 121:
        known[0] = not e.flags & F_BUS_UNKNOWN
        return e.bus_addr
    if number == 122:
        if e.kind == KIND_HCA_ACCESS or e.kind == KIND_POSTED_SGE:
            known[0] = m.pd_known
            return m.pd
        known[0] = not e.flags & F_PHYS_UNKNOWN
        return e.phys_addr
    if number == 123:
        if e.kind == KIND_HCA_ACCESS or e.kind == KIND_POSTED_SGE:
            known[0] = m.wanted_known
            return m.wanted
        known[0] = not e.flags & F_DIRECTION_UNKNOWN
        return e.direction
    if number == 124:
        return m.side
    if number == 125:
        return event_type(e)
    if number == 126 or number == 127:
        known[0] = m.lacking_known
        return m.lacking if number == 127 else m.lacking_count
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
    if number == 211:
        return posts_unordered(c)
    if number >= FIRST_MORE and number < FIRST_WIRE:
        return hca_more_field(c, number, known)
    if number >= 139:
        return post_field(c, number, known)
    known[0] = False
    return 0


cdef uint64_t misfits(const dv_context* c) noexcept nogil:
    cdef const dv_meaning* m = c.means
    cdef const dv_verb_object* x = &c.hca.items[m.region]
    cdef uint64_t n = c.hca.now.misfits
    if c.event.kind != KIND_BIND_MW:
        return n
    if m.lacking_known and m.lacking != 0:
        n += 1
    if m.outside_known and m.outside != 0:
        n += 1
    if m.pd_known and x.marks & KNOWS_PD and m.pd != x.pd:
        n += 1
    return n


cdef uint64_t post_field(const dv_context* c, int number, bint* known) noexcept nogil:
    """Return a field of a post, of one of its buffers, or of a completion."""
    cdef const dv_event* e = c.event
    cdef const dv_meaning* m = c.means
    cdef int flags = 0 if e.flags & F_DIRECTION_UNKNOWN else e.direction
    if number == 139:
        return event_type(e)
    if number == 140:
        known[0] = e.status > 0
        return e.status if e.status > 0 else 0
    if number == 141:
        known[0] = not e.flags & F_PHYS_UNKNOWN
        return e.phys_addr
    if number == 142:
        return OP_RECV if e.kind == KIND_POST_RECV else event_type(e)
    if number == 143:
        known[0] = e.kind != KIND_HCA_VERDICT or m.side != 0
        return e.status
    if number == 241:
        known[0] = e.kind == KIND_HCA_ACCESS and m.wanted_known and \
            m.wanted & REMOTE_ATOMIC != 0 and not e.flags & F_BUS_UNKNOWN
        return e.bus_addr & 7
    if number == 240:
        known[0] = m.answered_known
        return m.answered
    if number == 144:
        return m.sges
    if number == 145:
        return m.bytes
    if number == 146:
        return flags & POST_INLINE != 0
    if number == 147:
        return e.kind == KIND_POST_RECV or flags & POST_SIGNALED or (
            m.qp != 0 and c.hca.items[m.qp].marks & SIGNALS_ALL != 0)
    if number == 148:
        return flags & POST_FENCE != 0
    if number == 149:
        known[0] = m.remote_known
        return m.remote_addr
    if number == 150:
        return m.conflicts
    if number == 151:
        return m.unfenced
    if number == 152 or number == 153:
        known[0] = m.room != 0
        return m.due if number == 152 else m.room
    if number == 154:
        known[0] = m.qp != 0 and m.wanted_known and \
            c.hca.items[m.qp].marks & KNOWS_ACCESS and m.side == SIDE_REMOTE
        return m.disabled
    if number == 155:
        return m.other_qp
    if number == 156:
        return m.work != 0
    if number == 157:
        return e.direction == 1
    if number == 158:
        known[0] = not e.flags & F_DIRECTION_UNKNOWN
        return e.direction
    if number == 159:
        known[0] = e.object != 0
        return e.object
    if number == 160:
        return e.length
    if number == 162:
        known[0] = not e.flags & F_PHYS_UNKNOWN
        return e.phys_addr
    if number == 161:
        return misfits(c)
    known[0] = False
    return 0


cdef uint64_t since(const dv_context* c, const dv_place* place, bint* known) noexcept nogil:
    known[0] = c.world.time_known and not c.event.flags & F_TIME_UNKNOWN and place.flags & 1
    return c.event.time - place.time if c.event.time >= place.time else 0


cdef uint64_t hca_object_field(const dv_context* c, int obj, int number,
                               bint* known) noexcept nogil:
    cdef const dv_verb_object* x
    known[0] = hca_has(c, obj)
    if not known[0]:
        return 0
    if obj == OBJ_QP:
        return qp_field(c, &c.hca.items[c.means.qp], number, known)
    if obj == OBJ_WORK:
        return work_field(c, &c.works.items[c.means.work], number, known)
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
        return since(c, &x.ended, known) if x.state != VERB_LIVE else 0
    if number == 9:
        return x.epoch != c.world.gaps
    if number == 10:
        return x.made.site
    if number == 11:
        return x.accesses
    if number == 12:
        known[0] = x.marks & KNOWS_REMOTE != 0
        return x.remote
    if number == 13:
        return x.outstanding
    if number == 14:
        return x.windows
    known[0] = False
    return 0


cdef uint64_t qp_field(const dv_context* c, const dv_verb_object* x, int number,
                       bint* known) noexcept nogil:
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
    if number == 5 or number == 6:
        return x.posted[number - 5]
    if number == 7 or number == 8:
        known[0] = x.marks & (KNOWS_SEND_WR if number == 7 else KNOWS_RECV_WR) != 0
        return x.most[number - 7]
    if number == 9 or number == 10:
        known[0] = x.marks & (KNOWS_SEND_SGE if number == 9 else KNOWS_RECV_SGE) != 0
        return x.most_sge[number - 9]
    if number == 11:
        known[0] = x.marks & KNOWS_INLINE != 0
        return x.most_inline
    if number == 12:
        return x.marks & KNOWS_BIRTH != 0
    if number == 13:
        return x.epoch != c.world.gaps
    known[0] = False
    return 0


cdef uint64_t work_field(const dv_context* c, const dv_work* x, int number,
                         bint* known) noexcept nogil:
    if number == 1:
        return x.wr_id
    if number == 2:
        return x.opcode
    if number == 3:
        return x.length
    if number == 4:
        return c.hca.items[x.qp].number
    if number == 5:
        return since(c, &x.posted, known)
    if number == 6:
        return x.faults
    if number == 7:
        return x.unsure
    if number == 8:
        return work_writes(x.opcode)
    known[0] = False
    return 0
