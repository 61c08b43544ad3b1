"""Probes and events that show what an HCA does, and what each of their fields fills in a row.

An HCA's driver has no tracepoints for keys and accesses. Probe events have: `kprobe_events` of
tracefs puts them on any function, with names of one's own. This table knows the probes by name
and field, in group `hca`; another driver's functions need other probe lines and no entry here,
as long as they give the same names, and an entry, no code, where they have others.

    p:hca/reg_user_mr rxe_reg_user_mr start=%si length=%dx iova=%cx access=%r8 pd=%di
    r:hca/reg_user_mr_ret rxe_reg_user_mr mr=$retval lkey=+16($retval):u32 rkey=+20($retval):u32
    p:hca/lookup_mr lookup_mr pd=%di access=%si key=%dx kind=%cx

Linux Documentation/trace/kprobetrace.rst.
"""

from dataclasses import dataclass

from dmaverify.model.kinds import EventKind, MapType
from dmaverify.trace.slots import Slot

K, S = EventKind, Slot


@dataclass(frozen=True, slots=True)
class Probe:
    """One event of an HCA.

    Args:
        name: its name.
        kind: what it becomes.
        fields: field name -> slot.
        optional: slots that may be missing; the others must be there, where they can be
            required, else it is another event.
        system: the system or probe group that it comes from.
        source: where it is defined.
        binary: True where the printed line does not name its fields: then only `trace.dat` has
            them.
        type: the four high bits of the row's flags, a number that its kind gives a meaning.
    """

    name: str
    kind: EventKind
    fields: dict[str, Slot]
    optional: frozenset[Slot] = frozenset()
    system: str = "hca"
    source: str = "kernel/trace/trace_kprobe.c"
    type: MapType = MapType.UNKNOWN
    binary: bool = False


_ASKED = {"iova": S.BUS_ADDR, "length": S.LENGTH, "access": S.ACCESS, "pd": S.PHYS_ADDR}
_KEYS = {"lkey": S.OBJECT, "rkey": S.PHYS_ADDR}
_LOOKED = {"pd": S.PHYS_ADDR, "access": S.ACCESS, "key": S.OBJECT, "kind": S.SIDE}
_CHECKED = {"lkey": S.OBJECT, "iova": S.BUS_ADDR, "length": S.LENGTH}
_QPN = {"qpn": S.OBJECT}

_CHUNK = {"handle": S.OBJECT, "offset": S.BUS_ADDR, "length": S.LENGTH}
_RPC_H = "include/trace/events/rpcrdma.h"

PROBES = (
    Probe("alloc_pd", K.ALLOC_PD, {"pd": S.PHYS_ADDR}),
    Probe("dealloc_pd", K.DEALLOC_PD, {"pd": S.PHYS_ADDR}),
    Probe("invalidate_mr", K.INVALIDATE_MR, {"key": S.OBJECT}),
    Probe("reg_user_mr", K.REG_MR_BEGIN, _ASKED),
    Probe("reg_user_mr_ret", K.REG_MR_END, _KEYS, frozenset({S.PHYS_ADDR})),
    Probe("dereg_mr", K.DEREG_MR, {"lkey": S.OBJECT}),
    Probe("lookup_mr", K.HCA_ACCESS, _LOOKED),
    Probe("mr_check_range", K.HCA_ACCESS, _CHECKED),
    Probe("mr_check_range_ret", K.HCA_VERDICT, {"result": S.STATUS}),
    Probe("mr_copy", K.HCA_ACCESS, {**_CHECKED, "dir": S.INTO}),
    Probe("create_qp", K.CREATE_QP, _QPN, frozenset({S.OBJECT})),
    Probe("modify_qp", K.MODIFY_QP, _QPN),
    Probe("destroy_qp", K.DESTROY_QP, _QPN),
    Probe("post_send", K.POST_SEND, _QPN),
    Probe("post_recv", K.POST_RECV, _QPN),
    Probe(
        "hns_mr", K.REG_MR,
        {"iova": S.BUS_ADDR, "size": S.LENGTH, "key": S.OBJECT, "pd": S.PHYS_ADDR},
        system="hns_roce", source="drivers/infiniband/hw/hns/hns_roce_trace.h", binary=True,
    ),
    Probe("xprtrdma_mr_fastreg", K.FAST_REG_MR, _CHUNK, system="rpcrdma", source=_RPC_H,
          binary=True),
    Probe("xprtrdma_mr_localinv", K.INVALIDATE_MR, {"handle": S.OBJECT}, system="rpcrdma",
          source=_RPC_H, binary=True),
    Probe("xprtrdma_mr_unmap", K.INVALIDATE_MR, {"handle": S.OBJECT}, system="rpcrdma",
          source=_RPC_H, binary=True),
    Probe("xprtrdma_mr_reminv", K.INVALIDATE_MR, {"handle": S.OBJECT}, system="rpcrdma",
          source=_RPC_H, binary=True),
    # A process ends: its files are closed after this, and the kernel takes back what is left.
    Probe(
        "sched_process_exit", K.TASK_EXIT, {}, system="sched",
        source="include/trace/events/sched.h",
    ),
)  # fmt: skip
