# cython: language_level=3
"""Fields of shared queues, handles, doorbells, held memory, races and statuses."""

from libc.stdint cimport uint64_t

from dmaverify.core.hca_state cimport dv_hca_now
from dmaverify.core.context cimport dv_context
from dmaverify.core.statuses cimport family_of, statuses_access
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_FAILED, F_LENGTH_UNKNOWN, KIND_CQE, KIND_HCA_LOST, KIND_POSTED_SGE, dv_event,
    event_type,
)


cdef uint64_t told_field(const dv_context* c, int number, bint* known) noexcept nogil:
    """Return what the event itself says."""
    cdef const dv_event* e = c.event
    if number <= 165 or number == 172:
        known[0] = e.object != 0
        return e.object
    if number == 166 and e.kind == KIND_HCA_LOST:
        return c.hca.now.part
    if number == 170:
        known[0] = not e.flags & F_BUS_UNKNOWN
        return e.bus_addr
    if number == 171:
        known[0] = not e.flags & F_LENGTH_UNKNOWN
        return e.length
    return event_type(e)


cdef uint64_t queue_field(const dv_context* c, int number, bint* known) noexcept nogil:
    """Return what was found out about queues, handles and windows."""
    cdef const dv_hca_now* now = &c.hca.now
    if number == 174:
        return now.shared
    if number == 175:
        return now.shared_early
    if number == 176:
        known[0] = now.subject != 0
        return now.users
    if number == 177:
        return now.ah_ended
    if number == 178:
        return now.ah_other_pd
    if number == 179:
        return now.ah_outstanding
    if number == 180:
        known[0] = now.unposted_known
        return now.unposted
    if number == 181:
        return now.unpublished
    if number == 182:
        return now.bound_before
    return c.event.flags & F_FAILED != 0


cdef uint64_t memory_field(const dv_context* c, int number, bint* known) noexcept nogil:
    """Return what was found out about memory that an HCA holds."""
    cdef const dv_hca_now* now = &c.hca.now
    if number == 184:
        return now.mad
    if number == 185:
        return now.tearing
    if number == 186:
        return now.teardown_failed
    if number == 187 or number == 188:
        known[0] = now.bus_known
        return now.unmapped if number == 187 else now.wrong_way
    if number == 189:
        return now.registered
    if number == 190:
        return now.in_table
    if number == 191:
        known[0] = now.mapped_known
        return now.mapped
    if number == 192:
        return now.pages
    if number == 193:
        return now.unaligned
    return now.wraps


cdef uint64_t verdict_field(const dv_context* c, int number, bint* known) noexcept nogil:
    """Return what was found out about races and statuses."""
    cdef const dv_hca_now* now = &c.hca.now
    if number == 195:
        return now.hazard
    if number == 196:
        return now.racing
    if number == 197 and c.event.kind == KIND_CQE:
        known[0] = now.expected != 0
        return now.expected
    if number == 197:
        known[0] = c.means.side != 0
        return statuses_access(
            c, event_type(c.event) if c.event.kind == KIND_POSTED_SGE else 0)
    if number == 198:
        known[0] = now.sge != 0
        return now.sge
    if number == 199:
        known[0] = now.bad_key != 0
        return now.bad_key
    if number == 200:
        return now.key_refused
    if number == 201:
        known[0] = now.fits_known
        return now.fits
    if number == 202:
        return family_of(c)
    if number == 203:
        known[0] = now.invalidated_known
        return now.invalidated
    if number == 204:
        known[0] = now.request_known
        return now.request
    return now.invalidated_live


cdef uint64_t hca_more_field(const dv_context* c, int number, bint* known) noexcept nogil:
    if number <= 173:
        return told_field(c, number, known)
    if number <= 183:
        return queue_field(c, number, known)
    if number <= 194:
        return memory_field(c, number, known)
    if number <= 205:
        return verdict_field(c, number, known)
    if number == 206:
        return c.hca.now.closed
    if number == 207:
        return c.hca.now.qp_ended
    if number == 208:
        return c.hca.now.skipped
    if number == 210:
        return c.means.side | <uint64_t>c.hca.now.sge << 8
    if number == 209:
        return c.hca.now.fault
    known[0] = False
    return 0
