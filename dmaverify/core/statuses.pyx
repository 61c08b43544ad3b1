# cython: language_level=3
"""Completion statuses by family (see statuses.pxd)."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.hca_state cimport DEVICES_MAX, dv_hca_now
from dmaverify.core.objects cimport VERB_LIVE, dv_verb_object
from dmaverify.core.context cimport dv_context, dv_meaning
from dmaverify.core.shadow cimport dv_segment
from dmaverify.core.work cimport OP_ATOMIC, OP_RDMA_READ, OP_RECV, dv_work

cdef enum:                   # model/kinds.py: HcaFamily, Opcode, AccessSide
    HARDWARE = 1
    RXE = 2
    RDMAVT = 3
    SIW = 4
    OP_LOCAL_INV = 7
    OP_FAST_REG = 8
    OP_BIND = 9
    SIDE_REMOTE = 2
    LOCAL_WRITE = 1


cdef inline uint64_t bit(int status) noexcept nogil:
    return <uint64_t>1 << status


cdef int family_of(const dv_context* c) noexcept nogil:
    return c.hca.family[c.event.device] if c.event.device < DEVICES_MAX else 0


cdef uint64_t of_managing(int family) noexcept nogil:
    """Return how a refused invalidation or registration ends.

    Sources: Linux drivers/infiniband/sw/rxe/rxe_req.c, rxe_do_local_ops(); sw/rdmavt/qp.c,
    rvt_post_one_wr() and the callers of rvt_invalidate_rkey(); hw/mlx5/umr.c, whose work
    requests are those of memory windows; sw/siw/siw_qp_tx.c, siw_qp_sq_proc_local().
    """
    if family == RXE:
        return bit(LOC_QP_OP_ERR)
    if family == RDMAVT:
        return bit(LOC_PROT_ERR)
    if family == HARDWARE:
        return bit(LOC_QP_OP_ERR) | bit(MW_BIND_ERR)
    if family == SIW:
        return bit(LOC_QP_OP_ERR) | bit(LOC_PROT_ERR)
    return bit(LOC_QP_OP_ERR) | bit(LOC_PROT_ERR) | bit(MW_BIND_ERR)


cdef uint64_t statuses_local(int family, int opcode) noexcept nogil:
    """Return the statuses of a local protection mistake.

    A receive: rxe takes it for a malformed work request. Sources: Linux
    drivers/infiniband/sw/rxe/rxe_resp.c, send_data_in() and RESPST_ERR_MALFORMED_WQE;
    rxe_req.c, rxe_requester(), where a copy that fails otherwise than by -EFAULT is a local
    QP operation error; rxe_comp.c, do_read() and do_atomic(); sw/rdmavt/mr.c, rvt_lkey_ok();
    hw/mlx5/cq.c, mlx5_handle_error_cqe().
    """
    if opcode == OP_LOCAL_INV or opcode == OP_FAST_REG:
        return of_managing(family)
    if opcode == OP_BIND:
        return bit(MW_BIND_ERR)
    if opcode == OP_RECV:
        if family == RXE:
            return bit(LOC_QP_OP_ERR)
        return bit(LOC_PROT_ERR) | (bit(LOC_QP_OP_ERR) if family == 0 else 0)
    if opcode == OP_RDMA_READ or opcode == OP_ATOMIC or family == HARDWARE or \
            family == RDMAVT or family == SIW:
        return bit(LOC_PROT_ERR)
    return bit(LOC_PROT_ERR) | bit(LOC_QP_OP_ERR)


cdef uint64_t statuses_access(const dv_context* c, int opcode) noexcept nogil:
    """Sources: Linux drivers/infiniband/sw/rxe/rxe_resp.c, check_rkey() and
    check_qp_attr_access(); sw/rdmavt/qp.c, rvt_ruc_loopback().
    """
    cdef const dv_meaning* m = c.means
    if m.side == SIDE_REMOTE:
        return bit(REM_INV_REQ_ERR) if m.disabled != 0 else bit(REM_ACCESS_ERR)
    if m.side == 0:
        return 0
    if opcode == 0 and m.wanted_known and m.wanted & LOCAL_WRITE:  # which request, nobody says
        return statuses_local(family_of(c), OP_RECV) | statuses_local(family_of(c), OP_RDMA_READ)
    return statuses_local(family_of(c), opcode)


cdef void find_ended(dv_context* c, const dv_work* x) noexcept nogil:
    """Find the first buffer of a work request whose key ended while it was outstanding."""
    cdef dv_hca_now* now = &c.hca.now
    cdef uint32_t s = x.buffers, region
    cdef const dv_segment* seg
    cdef const dv_verb_object* r
    while s != 0:            # the last entry of the list stands first
        seg = &c.works.shadow.segments[s]
        s = seg.sibling
        region = <uint32_t>seg.phys
        r = &c.hca.items[region]
        if region != 0 and (r.serial != <uint32_t>seg.run or r.state != VERB_LIVE):
            now.sge = <uint32_t>(seg.run >> 32)
            c.means.ended = region if r.serial == <uint32_t>seg.run else 0
            now.bad_key = r.number if c.means.ended != 0 else 0


cdef void statuses_completed(dv_context* c) noexcept nogil:
    cdef dv_hca_now* now = &c.hca.now
    cdef const dv_work* x = &c.works.items[c.means.work]
    cdef int status = c.event.status
    if c.means.work == 0 or status == 0:
        return
    now.sges = x.sges
    now.expected = statuses_local(family_of(c), x.opcode)
    now.key_refused = 0 <= status < STATUS_MOST and now.expected >> status & 1
    if x.bad != 0:
        now.sge = x.bad
        now.bad_key = x.bad_key
    else:
        find_ended(c, x)
    if now.sge != 0 and status != WR_FLUSH_ERR:
        now.fits_known = 1
        now.fits = now.key_refused
