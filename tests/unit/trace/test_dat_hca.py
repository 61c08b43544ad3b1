"""Tracepoints of HCAs in binary traces: the same rows as from their printed form."""

import pytest

from dmaverify.model.events import Event
from dmaverify.model.kinds import EventKind, MadStep, Opcode, PostFlag, WcStatus
from tests.writers.reading import notice_ids, read
from tests.writers.tracedat import File, Instance, Kernel, Ring

K = EventKind
MACHINES = [("<", 8), (">", 8), ("<", 4), (">", 4)]


def rows(kernel: Kernel, *records: tuple[str, dict[str, object]]) -> tuple[list[Event], list[str]]:
    """Return the rows of some records, a microsecond apart, and the ids of what there is to say."""
    ring = Ring(kernel)
    for i, (name, values) in enumerate(records):
        ring.add(1000 * (i + 1), kernel.record(name, 77, **values))
    found, reader = read(File(kernel, [Instance([ring])]).build())
    return found, notice_ids(reader)


@pytest.mark.parametrize(("order", "long_size"), MACHINES)
def test_a_chunk_of_rpc_over_rdma(order: str, long_size: int) -> None:
    """The handle is the key; range and end of its use."""
    chunk: dict[str, object] = {"handle": 0x2605, "length": 4096, "offset": 0x1_2345_0000}
    found, _ = rows(Kernel(order, long_size), ("xprtrdma_mr_fastreg", chunk),
                    ("xprtrdma_mr_unmap", chunk))  # fmt: skip

    assert [(K.FAST_REG_MR, 0x2605, 0x1_2345_0000, 4096), (K.INVALIDATE_MR, 0x2605, 0, 0)] == [
        (e.kind, e.object, e.bus_addr, e.length) for e in found
    ]


@pytest.mark.parametrize(("order", "long_size"), MACHINES)
def test_posts_and_completions_of_rdmavt(order: str, long_size: int) -> None:
    """Opcodes by the table of each event, flags, ids, the device."""
    found, _ = rows(
        Kernel(order, long_size),
        ("rvt_post_one_wr", {"dev": "hfi1_0", "wr_id": 0x99, "qpn": 18, "opcode": 4,
                             "send_flags": 3}),
        ("rvt_cq_enter", {"dev": "hfi1_0", "wr_id": 0x99, "qpn": 18, "opcode": 128, "status": 4,
                          "length": 64}),
        ("rvt_cq_enter", {"dev": "hfi1_0", "wr_id": 0x99, "qpn": 18, "opcode": 4000}),
    )  # fmt: skip
    post, done, odd = found

    assert (Opcode.RDMA_READ, PostFlag.FENCE | PostFlag.SIGNALED) == (post.type, post.direction)
    assert (18, 0x99, 1) == (post.object, post.phys_addr, post.device)
    assert (Opcode.RECV, WcStatus.LOC_PROT_ERR, 64) == (done.type, done.status, done.length)
    assert Opcode.UNKNOWN == odd.type


def test_only_the_first_piece_of_a_region_registers_it() -> None:
    """The others are skipped, and are no damage."""
    piece = {"dev": "hfi1_0", "lkey": 0x300100, "iova": 0x7F0012340000, "length": 16384}
    found, said = rows(Kernel(), ("rvt_mr_user_seg", piece),
                       ("rvt_mr_user_seg", {**piece, "n": 1}),
                       ("rvt_mr_user_seg", {**piece, "m": 1}))  # fmt: skip

    assert [(K.REG_MR, 0x300100, 0x7F0012340000, 16384)] == [
        (e.kind, e.object, e.bus_addr, e.length) for e in found
    ]
    assert [] == said


def test_a_datagram_that_arrived() -> None:
    """Its outcome and its length; memory is named by no event."""
    (event,), _ = rows(Kernel(), ("ib_mad_recv_done_handler", {"length": 256, "wc_status": 5}))

    assert (K.MAD_RECV, MadStep.COMPLETED, 256, WcStatus.WR_FLUSH_ERR) == (
        event.kind, event.type, event.length, event.status,
    )  # fmt: skip
