"""How HCAs complete what they refuse, again: one line a mistake, with each family's words.

Sources: InfiniBand statuses as Linux gives them. rxe: rxe_resp.c (send_data_in(),
RESPST_ERR_MALFORMED_WQE), rxe_req.c (rxe_requester(), rxe_do_local_ops()), rxe_comp.c (do_read());
rdmavt: mr.c, rvt_lkey_ok(), and qp.c, rvt_invalidate_rkey(); mlx5: cq.c, mlx5_handle_error_cqe(),
and umr.c; siw: siw_qp_tx.c, siw_qp_sq_proc_local().
"""

from dmaverify.model.kinds import HcaFamily, Opcode, WcStatus

F, S = HcaFamily, WcStatus
Words = dict[HcaFamily, set[WcStatus]]

SENT: Words = {
    F.HARDWARE: {S.LOC_PROT_ERR}, F.RXE: {S.LOC_PROT_ERR, S.LOC_QP_OP_ERR},
    F.RDMAVT: {S.LOC_PROT_ERR}, F.SIW: {S.LOC_PROT_ERR},
}  # fmt: skip
FETCHED: Words = {family: {S.LOC_PROT_ERR} for family in SENT}
RECEIVED: Words = {**FETCHED, F.RXE: {S.LOC_QP_OP_ERR}}
MANAGED: Words = {
    F.HARDWARE: {S.LOC_QP_OP_ERR, S.MW_BIND_ERR}, F.RXE: {S.LOC_QP_OP_ERR},
    F.RDMAVT: {S.LOC_PROT_ERR}, F.SIW: {S.LOC_QP_OP_ERR, S.LOC_PROT_ERR},
}  # fmt: skip
BOUND: Words = {family: {S.MW_BIND_ERR} for family in SENT}
#: By what the work request asks for.
LOCAL = {
    Opcode.SEND: SENT, Opcode.RDMA_WRITE: SENT, Opcode.SEND_INV: SENT,
    Opcode.RDMA_READ: FETCHED, Opcode.ATOMIC: FETCHED, Opcode.RECV: RECEIVED,
    Opcode.LOCAL_INV: MANAGED, Opcode.FAST_REG: MANAGED, Opcode.BIND: BOUND,
}  # fmt: skip


def expected(family: HcaFamily, opcode: Opcode) -> set[WcStatus]:
    """Return the statuses of a family; those of all where it is not known."""
    words = LOCAL[opcode]
    return words[family] if family else set().union(*words.values())
