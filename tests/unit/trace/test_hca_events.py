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
