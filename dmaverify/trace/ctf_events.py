"""Static tracepoints of rdma-core, and what each of their fields fills in a row.

rdma-core built with `-DENABLE_LTTNG=ON` or `-DTRACING=LTTNG`:
providers/{mlx5/mlx5,rxe/rxe,efa/efa,hns/hns_roce_u}_trace.h. None of them names an address, a
key or a protection domain: they tell of posts and completions, their order and their outcome.
"""

from dataclasses import dataclass, field

from dmaverify.model.kinds import EventKind, HcaValue, Opcode

K, Op = EventKind, Opcode

#: Names that ibv_wr_opcode_str() gives: libibverbs/verbs.h, enum ibv_wr_opcode.
OPCODE_NAMES = {
    "IBV_WR_RDMA_WRITE": Op.RDMA_WRITE,
    "IBV_WR_RDMA_WRITE_WITH_IMM": Op.RDMA_WRITE_IMM,
    "IBV_WR_SEND": Op.SEND,
    "IBV_WR_SEND_WITH_IMM": Op.SEND,
    "IBV_WR_RDMA_READ": Op.RDMA_READ,
    "IBV_WR_ATOMIC_CMP_AND_SWP": Op.ATOMIC,
    "IBV_WR_ATOMIC_FETCH_AND_ADD": Op.ATOMIC,
    "IBV_WR_LOCAL_INV": Op.LOCAL_INV,
    "IBV_WR_BIND_MW": Op.BIND,
    "IBV_WR_SEND_WITH_INV": Op.SEND_INV,
    "IBV_WR_FLUSH": Op.FLUSH,
    "IBV_WR_ATOMIC_WRITE": Op.RDMA_WRITE,
}
#: The same by number.
OPCODES = {
    0: Op.RDMA_WRITE, 1: Op.RDMA_WRITE_IMM, 2: Op.SEND, 3: Op.SEND, 4: Op.RDMA_READ, 5: Op.ATOMIC,
    6: Op.ATOMIC, 7: Op.LOCAL_INV, 8: Op.BIND, 9: Op.SEND_INV, 14: Op.FLUSH, 15: Op.RDMA_WRITE,
}  # fmt: skip
#: enum ibv_wc_opcode.
COMPLETED = {
    0: Op.SEND, 1: Op.RDMA_WRITE, 2: Op.RDMA_READ, 3: Op.ATOMIC, 4: Op.ATOMIC, 5: Op.BIND,
    6: Op.LOCAL_INV, 8: Op.FLUSH, 9: Op.RDMA_WRITE, 128: Op.RECV, 129: Op.RECV,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class UserEvent:
    """One tracepoint.

    Args:
        kind: what it becomes.
        device: field with the device's name.
        fields: field -> name of the row's slot, as `EventBatch.add` has it.
        opcode: field with the opcode, "" for none, and its numbers or names.
        opcodes: opcode -> Opcode.
        values: field -> number beside the row.
        unless: field that makes it another event where it is not 0.
        source: where it is defined, below providers/.
    """

    kind: EventKind
    device: str
    fields: dict[str, str]
    source: str
    opcode: str = ""
    opcodes: dict[int, Opcode] = field(default_factory=dict)
    values: dict[str, HcaValue] = field(default_factory=dict)
    unless: str = ""


def _plain(source: str) -> UserEvent:
    return UserEvent(K.POST_SEND, "dev", {"src_qp_num": "object"}, source, "opcode")


#: Every tracepoint that is read.
USER_EVENTS = {
    "rdma_core_mlx5:post_send": _plain("mlx5/mlx5_trace.h"),
    "rdma_core_rxe:post_send": _plain("rxe/rxe_trace.h"),
    "rdma_core_efa:post_send": UserEvent(
        K.POST_SEND, "dev_name", {"wr_id": "phys_addr", "src_qp_num": "object"}, "efa/efa_trace.h",
        values={"dst_qp_num": HcaValue.REMOTE_QP},
    ),
    "rdma_core_efa:post_recv": UserEvent(
        K.POST_RECV, "dev_name", {"wr_id": "phys_addr", "qp_num": "object"}, "efa/efa_trace.h",
    ),
    # Of a send its queue pair is the source, of a receive it is the destination.
    "rdma_core_efa:process_completion": UserEvent(
        K.CQE, "dev_name",
        {"wr_id": "phys_addr", "status": "status", "src_qp_num": "object", "length": "length"},
        "efa/efa_trace.h", "opcode", COMPLETED,
    ),
    "rdma_core_hns:post_send": UserEvent(
        K.POST_SEND, "dev_name",
        {"wr_id": "phys_addr", "lqpn": "object", "send_flags": "direction"},
        "hns/hns_roce_u_trace.h", "opcode", OPCODES, {"rqpn": HcaValue.REMOTE_QP},
    ),
    "rdma_core_hns:post_recv": UserEvent(
        K.POST_RECV, "dev_name", {"wr_id": "phys_addr", "rqn": "object"},
        "hns/hns_roce_u_trace.h", unless="is_srq",
    ),
    "rdma_core_hns:poll_cq": UserEvent(
        K.CQE, "dev_name",
        {"wr_id": "phys_addr", "status": "status", "lqpn": "object", "byte_len": "length"},
        "hns/hns_roce_u_trace.h", "opcode", COMPLETED, {"vendor_err": HcaValue.VENDOR_ERR},
    ),
}  # fmt: skip
