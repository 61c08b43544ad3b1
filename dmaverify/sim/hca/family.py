"""Families of HCAs: with which status each refuses what, and when.

Source: Linux drivers/infiniband/sw/rxe/rxe_resp.c and rxe_req.c; sw/rdmavt/mr.c and qp.c,
rvt_post_one_wr(); hw/hfi1/rc.c, hfi1_rc_rcv(), and qp.c, hfi1_setup_wqe(); hw/mlx4/cq.c;
hw/mlx5/cq.c, mlx5_handle_error_cqe().
"""

from dataclasses import dataclass

from dmaverify.model.kinds import HcaFamily
from dmaverify.sim.hca.layout import Syndrome

S = Syndrome


@dataclass(frozen=True, slots=True)
class Family:
    """What differs between HCAs.

    Args:
        name: a word.
        number: its number in recordings.
        checks_at_post: the driver checks keys when work is posted, and refuses the post.
        receive_key: syndrome of a receive whose own list is refused.
        receive_short: of one that is too small.
        invalidate: of LOCAL_INV or REG_MR that is refused.
        invalidate_remote: what a peer's refused SEND_WITH_INV comes to for the peer.
        access_served: of the receive of a refused RDMA WRITE with immediate; None: none completes.
        raises: whether a refused request of a peer raises an event of the queue pair.
        has_windows: whether there are memory windows.
        windows_by_region: a window's range is looked for in its region, not in the window.
    """

    name: str
    number: HcaFamily
    checks_at_post: bool
    receive_key: Syndrome
    receive_short: Syndrome
    invalidate: Syndrome
    access_served: Syndrome | None
    raises: bool = False
    has_windows: bool = True
    invalidate_remote: Syndrome = S.REMOTE_INVAL_REQ
    windows_by_region: bool = False


#: mlx4 and mlx5.
HARDWARE = Family("hardware", HcaFamily.HARDWARE, False, S.LOCAL_PROT, S.LOCAL_LENGTH,
                  S.LOCAL_QP_OP, S.LOCAL_ACCESS, raises=True)  # fmt: skip
RXE = Family("rxe", HcaFamily.RXE, False, S.LOCAL_QP_OP, S.REMOTE_INVAL_REQ, S.LOCAL_QP_OP,
             S.REMOTE_ACCESS, windows_by_region=True)  # fmt: skip
RDMAVT = Family("rdmavt", HcaFamily.RDMAVT, True, S.LOCAL_PROT, S.LOCAL_QP_OP, S.LOCAL_PROT, None,
                has_windows=False)  # fmt: skip

FAMILIES = {f.name: f for f in (HARDWARE, RXE, RDMAVT)}
