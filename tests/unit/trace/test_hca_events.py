"""Probe events of an HCA, and the words of its native events."""

from pathlib import Path

import pytest

from dmaverify.model.events import Event
from dmaverify.model.kinds import (
    AccessSide,
    EventKind,
    Flag,
    HcaValue,
    Opcode,
    PostFlag,
    QpState,
    Rights,
    WcStatus,
)
from dmaverify.trace import open_trace
from dmaverify.trace.events import EVENTS, EVENTS_BY_NAME
from dmaverify.trace.hca_events import PROBES

K = EventKind
HEAD = "          prog-208      [000] .....    15.898908: "


def read_lines(tmp_path: Path, *lines: str, native: bool = False) -> list[Event]:
    """Return the events of some lines."""
    first, head = ("# dmaverify trace 1\n", "") if native else ("# tracer: nop\n#\n", HEAD)
    path = tmp_path / "t.txt"
    path.write_text(first + "".join(f"{head}{line}\n" for line in lines), "utf-8")
    reader = open_trace(str(path))
    return [batch[i] for batch in reader.batches() for i in range(len(batch))]


def test_a_registration_and_its_return(tmp_path: Path) -> None:
    """What is asked for, and the keys that came of it."""
    asked, got = read_lines(
        tmp_path,
        "reg_user_mr: (rxe_reg_user_mr+0x4/0x1e0) start=0x55ba1c13e000 length=0x4000 "
        "iova=0x55ba1c13e000 access=0x7 pd=0xffff88800452dd80",
        "reg_user_mr_ret: (ib_uverbs_reg_mr+0x18d/0x2c0 <- rxe_reg_user_mr) "
        "mr=0xffff88800445b450 lkey=0x2605 rkey=0x2606",
    )
    assert (K.REG_MR_BEGIN, K.REG_MR_END) == (asked.kind, got.kind)
    assert (0x55BA1C13E000, 0x4000, 7) == (asked.bus_addr, asked.length, asked.direction)
    assert asked.phys_addr == 0xFFFF88800452DD80
    assert (0x2605, 0x2606) == (got.object, got.phys_addr)


@pytest.mark.parametrize(("kind", "side"), [(0, AccessSide.LOCAL), (1, AccessSide.REMOTE)])
def test_a_look_up_has_a_side(tmp_path: Path, kind: int, side: AccessSide) -> None:
    """The rights that are wanted, for a domain, by lkey or by rkey."""
    (event,) = read_lines(
        tmp_path, f"lookup_mr: (lookup_mr+0x4/0xa0) pd=0xa0 access=0x2 key=0x2605 kind={kind}"
    )
    assert (K.HCA_ACCESS, side, 2) == (event.kind, event.type, event.direction)
    assert (0xA0, 0x2605) == (event.phys_addr, event.object)
    assert event.flags & Flag.BUS_UNKNOWN


def test_which_way_bytes_go(tmp_path: Path) -> None:
    """0 is into the region, 1 is out of it."""
    line = "mr_copy: (rxe_mr_copy+0x4/0x330) lkey=0x2605 rkey=0x2605 iova=0x1000 length=64 dir="
    into, out = read_lines(tmp_path, line + "0", line + "1")
    assert (2, 1) == (into.status, out.status)


def test_a_refusal_is_a_number(tmp_path: Path) -> None:
    """What a probe on a return tells."""
    (event,) = read_lines(tmp_path, "mr_check_range_ret: (a+0x1 <- mr_check_range) result=-22")
    assert (K.HCA_VERDICT, -22) == (event.kind, event.status)


def test_words_of_native_events(tmp_path: Path) -> None:
    """Rights, states, opcodes and statuses are words; lists have keys beside them."""
    region, move, post, done = read_lines(
        tmp_path,
        "reg_mr: key=0x2605 iova=0x0 length=8 pd=0xa0 access=local_write|remote_read "
        "region_type=user",
        "modify_qp: qp=43 state=rts",
        "post_send: qp=43 wr_id=0x9 opcode=rdma_write post_flags=fence|signaled "
        "sges={0x1000+0x10,0x2000+0x20} keys={0x2605,0x2705} remote_key=0x99 remote_addr=0x5000",
        "cqe: qp=43 wr_id=9 opcode=rdma_write completion=rem_access_err",
        native=True,
    )
    assert region.direction == Rights.LOCAL_WRITE | Rights.REMOTE_READ
    assert move.status == QpState.RTS
    assert (Opcode.RDMA_WRITE, PostFlag.FENCE | PostFlag.SIGNALED) == (post.type, post.direction)
    assert ((0x1000, 0x10, 0x2605), (0x2000, 0x20, 0x2705)) == post.sges
    assert ((HcaValue.REMOTE_KEY, 0x99), (HcaValue.REMOTE_ADDR, 0x5000)) == post.hca
    assert done.status == WcStatus.REM_ACCESS_ERR


def test_a_completion_needs_its_status(tmp_path: Path) -> None:
    """Without it the line is no event."""
    assert [] == read_lines(tmp_path, "cqe: qp=43 wr_id=9", native=True)


def test_every_probe_is_an_event() -> None:
    """The table is part of the one that the readers share."""
    assert {p.name for p in PROBES} <= set(EVENTS_BY_NAME)
    assert all(EVENTS_BY_NAME[p.name].kind is p.kind for p in PROBES)
    assert len(EVENTS) == len(EVENTS_BY_NAME)


#: Lines of kernel tracepoints as their headers print them, and what they tell.
PRINTED = {
    "xprtrdma_mr_fastreg: task:42@1 mr.id=7 nents=1 4096@0x0000000012340000:0x00002605 (TO_DEVICE)":
        (K.FAST_REG_MR, 0x2605, 0x12340000, 4096),
    "xprtrdma_mr_fastreg: mr.id=7 nents=3 9000@0x00007f0012340000:0x00002606 (FROM_DEVICE)":
        (K.FAST_REG_MR, 0x2606, 0x7F0012340000, 9000),
    "xprtrdma_mr_localinv: task:42@1 mr.id=7 nents=1 4096@0x0000000012340000:0x00002605 (BIDIR)":
        (K.INVALIDATE_MR, 0x2605, 0, 0),
    "xprtrdma_mr_unmap: mr.id=7 nents=1 4096@0x0000000012340000:0x00002605 (TO_DEVICE)":
        (K.INVALIDATE_MR, 0x2605, 0, 0),
    "hns_mr: iova:0x7f001000, size:8192, key:9733, pd:3, pbl_hop:1, npages:2, type:0, status:1":
        (K.REG_MR, 9733, 0x7F001000, 8192),
    "rvt_mr_user_seg: [hfi1_0] lkey 300100 iova 7f0012340000 user_base 7f0012340000 mr_len 16384"
    " vaddr ffff888012340000 page 00000000abcdef m 0 n 0 len 4096 off 0":
        (K.REG_MR, 0x300100, 0x7F0012340000, 16384),
    "rvt_sge_new: [hfi1_0] mr 000000001 sge 000000002 isge 00000003 vaddr 00000004 ivaddr"
    " 7f0012341000 lkey 300100 sge_length 64 length 4096 ilength 64 m 0 n 0 user 1":
        (K.HCA_ACCESS, 0x300100, 0x7F0012341000, 64),
    "cq_alloc: cq.id=5 nr_cqe=640 comp_vector=0 poll_ctx=UNBOUND_WORKQUEUE":
        (K.CREATE_CQ, 5, 0, 640),
    "cq_free: cq.id=5": (K.DESTROY_CQ, 5, 0, 0),
    "rvt_post_one_wr: [hfi1_0] wqe 00000000ab wr_id 99 send_flags 2 qpn 12 qpt 2 psn 1 lpsn 1"
    " ssn 1 length 64 opcode 0x04,RDMA_READ size 16 avail 15 head 1 last 0 pid 100 num_sge 1"
    " wr_num_sge 1": (K.POST_SEND, 0x12, 0, 0),
    "rvt_cq_enter: [hfi1_0] idx 0 wr_id 99 status 10 opcode 128,RECV length 64 qpn 12":
        (K.CQE, 0x12, 0, 64),
    "hns_sq_wqe: SQ 0x15 wqe(0x3/0x77): {0x1,0x2}": (K.POST_SEND, 0x15, 0, 0),
    "hns_rq_wqe: RQ 0x15 wqe(0x3/0x77): {0x1,0x2}": (K.POST_RECV, 0x15, 0, 0),
    "ib_mad_ib_send_mad: 1:1 QP1 agent 0000000053457c2b: wrtid 0x47e9b3013; 15/15 retries(0);"
    " timeout 1152 length 256 : hdr : base_ver 0x1": (K.MAD_SEND, 0, 0, 256),
    "ib_mad_send_done_handler: 1:1 QP1 : SEND WC Status 12 : agent 0000000053457c2b: wrtid 0x4":
        (K.MAD_SEND, 0, 0, 0),
    "ib_mad_recv_done_handler: 1:1 QP1 : RECV WC Status 0 : length 256 : hdr : base_ver 0x01":
        (K.MAD_RECV, 0, 0, 256),
}  # fmt: skip


@pytest.mark.parametrize("line", sorted(PRINTED))
def test_printed_forms_that_do_not_name_their_fields(tmp_path: Path, line: str) -> None:
    """Each value stands behind a text of its own; cut anywhere a line is whole or nothing."""
    (event,) = read_lines(tmp_path, line)

    assert PRINTED[line] == (event.kind, event.object, event.bus_addr, event.length)
    for end in range(len(line.split(":")[0]) + 1, len(line), 5):
        for part in read_lines(tmp_path, "cq_free: cq.id=5", line[:end])[1:]:
            assert part.kind == event.kind


def test_details_of_printed_forms(tmp_path: Path) -> None:
    """Opcode, flags, outcome, ids, and where a datagram is on its way."""
    by_name = {line.split(":")[0]: line for line in PRINTED}
    names = ("rvt_post_one_wr", "rvt_cq_enter", "hns_mr", "ib_mad_send_done_handler")
    post, done, region, mad = read_lines(tmp_path, *(by_name[name] for name in names))

    assert (Opcode.RDMA_READ, PostFlag.SIGNALED, 0x99) == (post.type, post.direction, post.phys_addr)
    assert (Opcode.RECV, WcStatus.REM_ACCESS_ERR) == (done.type, done.status)
    assert 3 == region.phys_addr
    assert (2, WcStatus.RETRY_EXC_ERR) == (mad.type, mad.status)


def test_a_region_of_many_pieces_is_told_once(tmp_path: Path) -> None:
    """The other pieces are no registrations, and no garbled events either."""
    first = next(line for line in PRINTED if line.startswith("rvt_mr_user_seg"))
    path = tmp_path / "t.txt"
    lines = [first, first.replace(" n 0 ", " n 1 "), first.replace(" m 0 ", " m 1 ")]
    path.write_text("# tracer: nop\n#\n" + "".join(f"{HEAD}{x}\n" for x in lines), "utf-8")
    reader = open_trace(str(path))
    found = [batch[i] for batch in reader.batches() for i in range(len(batch))]

    assert [K.REG_MR] == [e.kind for e in found]
    assert (2, []) == (reader.skipped, reader.notices)
