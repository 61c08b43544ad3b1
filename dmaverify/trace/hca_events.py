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

from dataclasses import dataclass, field

from dmaverify.model.kinds import AccessSide, EventKind, MadStep, MapType, Opcode
from dmaverify.trace.slots import Slot

K, S, Op = EventKind, Slot, Opcode

Printed = tuple[tuple[str, str, int], ...]


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
        binary: True where the printed line can not be read: then only `trace.dat` has the fields.
        printed: the printed form where it does not name its fields, as in `EventSpec`.
        opcodes: what numbers of the slot OPCODE mean.
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
    printed: Printed = ()
    opcodes: dict[int, Opcode] = field(default_factory=dict)


def _type(number: int) -> MapType:
    """Return a number as the type of every row of an event."""
    return MapType(number)


_ASKED = {"iova": S.BUS_ADDR, "length": S.LENGTH, "access": S.ACCESS, "pd": S.PHYS_ADDR}
_KEYS = {"lkey": S.OBJECT, "rkey": S.PHYS_ADDR}
_LOOKED = {"pd": S.PHYS_ADDR, "access": S.ACCESS, "key": S.OBJECT, "kind": S.SIDE}
_CHECKED = {"lkey": S.OBJECT, "iova": S.BUS_ADDR, "length": S.LENGTH}
_QPN = {"qpn": S.OBJECT}

_CHUNK = {"handle": S.OBJECT, "offset": S.BUS_ADDR, "length": S.LENGTH}
_RPC_H = "include/trace/events/rpcrdma.h"
_RDMA_H = "include/trace/events/rdma_core.h"
_MAD_H = "include/trace/events/ib_mad.h"
_HNS_H = "drivers/infiniband/hw/hns/hns_roce_trace.h"
_RVT = "drivers/infiniband/sw/rdmavt/trace_{}.h"

#: `mr.id=7 nents=1 4096@0x0000000012340000:0x00002605 (TO_DEVICE)`, whatever stands before it.
_CHUNK_TEXT = (("nents=", "", 10), (" ", "length", 10), ("@0x", "offset", 16),
               (":0x", "handle", 16))  # fmt: skip
_HANDLE_TEXT = (("nents=", "", 10), ("@0x", "", 16), (":0x", "handle", 16))
#: `SQ 0x12 wqe(0x0/0x99): {...}`; the words of the work request are not read.
_WQE_TEXT = ((" 0x", "qpn", 16), ("(0x", "", 16), ("/0x", "id", 16))

#: enum ib_wr_opcode and ib_wc_opcode, include/rdma/ib_verbs.h.
_WR_OPCODES = {
    0: Op.RDMA_WRITE, 1: Op.RDMA_WRITE_IMM, 2: Op.SEND, 3: Op.SEND, 4: Op.RDMA_READ, 5: Op.ATOMIC,
    6: Op.ATOMIC, 7: Op.BIND, 9: Op.SEND_INV, 10: Op.LOCAL_INV, 14: Op.FLUSH, 15: Op.RDMA_WRITE,
    32: Op.FAST_REG,
}  # fmt: skip
_WC_OPCODES = {
    0: Op.SEND, 1: Op.RDMA_WRITE, 2: Op.RDMA_READ, 3: Op.ATOMIC, 4: Op.ATOMIC, 5: Op.BIND,
    6: Op.LOCAL_INV, 128: Op.RECV, 129: Op.RECV,
}  # fmt: skip


def _kernel(
    name: str, system: str, kind: EventKind, fields: dict[str, Slot], source: str,
    printed: Printed, number: int = 0, opcodes: dict[int, Opcode] | None = None,
) -> Probe:  # fmt: skip
    """Return a tracepoint of the kernel, whose printed form does not name its fields."""
    return Probe(
        name, kind, fields, system=system, source=source, type=_type(number), printed=printed,
        opcodes=opcodes or {},
    )  # fmt: skip


#: Tracepoints of the RDMA core, of its users, and of drivers.
_KERNEL = (
    _kernel("cq_alloc", "rdma_core", K.CREATE_CQ, {"cq_id": S.OBJECT, "nr_cqe": S.LENGTH},
            _RDMA_H, (("cq.id=", "cq_id", 10), ("nr_cqe=", "nr_cqe", 10))),
    _kernel("cq_free", "rdma_core", K.DESTROY_CQ, {"cq_id": S.OBJECT}, _RDMA_H,
            (("cq.id=", "cq_id", 10),)),
    _kernel("ib_mad_ib_send_mad", "ib_mad", K.MAD_SEND, {"length": S.LENGTH}, _MAD_H,
            ((" length ", "length", 10),), int(MadStep.POSTED)),
    _kernel("ib_mad_send_done_handler", "ib_mad", K.MAD_SEND, {"wc_status": S.STATUS}, _MAD_H,
            (("WC Status ", "wc_status", 10),), int(MadStep.COMPLETED)),
    _kernel("ib_mad_recv_done_handler", "ib_mad", K.MAD_RECV,
            {"wc_status": S.STATUS, "length": S.LENGTH}, _MAD_H,
            (("WC Status ", "wc_status", 10), ("length ", "length", 10)),
            int(MadStep.COMPLETED)),
    _kernel("xprtrdma_mr_fastreg", "rpcrdma", K.FAST_REG_MR, _CHUNK, _RPC_H, _CHUNK_TEXT),
    *(_kernel(f"xprtrdma_mr_{what}", "rpcrdma", K.INVALIDATE_MR, {"handle": S.OBJECT}, _RPC_H,
              _HANDLE_TEXT) for what in ("localinv", "reminv", "unmap")),
    _kernel("hns_mr", "hns_roce", K.REG_MR,
            {"iova": S.BUS_ADDR, "size": S.LENGTH, "key": S.OBJECT, "pd": S.PHYS_ADDR}, _HNS_H,
            (("iova:", "iova", 16), ("size:", "size", 10), ("key:", "key", 10),
             ("pd:", "pd", 10))),
    _kernel("hns_sq_wqe", "hns_roce", K.POST_SEND, {"qpn": S.OBJECT, "id": S.PHYS_ADDR}, _HNS_H,
            _WQE_TEXT),
    _kernel("hns_rq_wqe", "hns_roce", K.POST_RECV, {"qpn": S.OBJECT, "id": S.PHYS_ADDR}, _HNS_H,
            _WQE_TEXT),
    _kernel("rvt_post_one_wr", "rvt_tx", K.POST_SEND,
            {"dev": S.DEVICE, "wr_id": S.PHYS_ADDR, "send_flags": S.ACCESS, "qpn": S.OBJECT,
             "opcode": S.OPCODE},
            _RVT.format("tx"),
            (("[", "dev", 0), ("wr_id ", "wr_id", 16), ("send_flags ", "send_flags", 16),
             ("qpn ", "qpn", 16), ("opcode ", "opcode", 16)), 0, _WR_OPCODES),
    # When the HCA tells of it: what the program polls is told by no event of user queues.
    _kernel("rvt_cq_enter", "rvt_cq", K.CQE,
            {"dev": S.DEVICE, "wr_id": S.PHYS_ADDR, "status": S.STATUS, "opcode": S.OPCODE,
             "length": S.LENGTH, "qpn": S.OBJECT},
            _RVT.format("cq"),
            (("[", "dev", 0), ("wr_id ", "wr_id", 16), ("status ", "status", 10),
             ("opcode ", "opcode", 10), ("length ", "length", 10), ("qpn ", "qpn", 16)), 0,
            _WC_OPCODES),
    # A region has one event for each piece of it: the first tells what the region is.
    _kernel("rvt_mr_user_seg", "rvt_mr", K.REG_MR,
            {"dev": S.DEVICE, "lkey": S.OBJECT, "iova": S.BUS_ADDR, "length": S.LENGTH,
             "m": S.ZERO, "n": S.ZERO_TOO},
            _RVT.format("mr"),
            (("[", "dev", 0), ("lkey ", "lkey", 16), ("iova ", "iova", 16),
             ("mr_len ", "length", 10), (" m ", "m", 10), (" n ", "n", 10))),
    _kernel("rvt_sge_new", "rvt_mr", K.HCA_ACCESS,
            {"dev": S.DEVICE, "ivaddr": S.BUS_ADDR, "lkey": S.OBJECT, "ilength": S.LENGTH},
            _RVT.format("mr"),
            (("[", "dev", 0), ("ivaddr ", "ivaddr", 16), ("lkey ", "lkey", 16),
             ("ilength ", "ilength", 10)), int(AccessSide.LOCAL)),
)  # fmt: skip

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
    *_KERNEL,
    # A process ends: its files are closed after this, and the kernel takes back what is left.
    Probe(
        "sched_process_exit", K.TASK_EXIT, {}, system="sched",
        source="include/trace/events/sched.h",
    ),
)  # fmt: skip
