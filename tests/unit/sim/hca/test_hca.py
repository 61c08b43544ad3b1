"""The simulated HCA: what it is given, what it fetches, and what it does with work requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from dmaverify.errors import SimError
from dmaverify.model.kinds import EventKind, QpState, QpType, Rights, WcStatus
from dmaverify.sim.hca.family import HARDWARE, RXE, Family
from dmaverify.sim.hca.layout import (
    R_EVENT,
    R_SEND_DOORBELL,
    Command,
    CommandStatus,
    CqContext,
    Event,
    Mpt,
    QpContext,
    SrqContext,
)
from dmaverify.sim.hca.objects import SendWr, WrOp, inc_rkey
from dmaverify.sim.hca.pages import MapBy
from dmaverify.sim.hca.wqe import parse
from dmaverify.sim.scenarios._verbs import EVERYTHING, PAGE, QKEY, TEXT, UNSIGNALED, End, ends
from tests.unit.sim.machines import Recorded

OK, FLUSH = WcStatus.SUCCESS, WcStatus.WR_FLUSH_ERR


@contextmanager
def two(platform: str = "flat", family: Family = HARDWARE, **values: Any) -> Iterator[
        tuple[Recorded, End, End]]:  # fmt: skip
    """Give a machine with two ends that are connected."""
    recorded = Recorded(platform)
    with ends(recorded.sim, family, **values) as (a, b):
        yield recorded, a, b


def statuses(end: End, count: int = 8) -> list[WcStatus]:
    """Return the statuses of what has completed."""
    return [c.status for c in end.wait(count)]


@pytest.mark.parametrize("context", [
    Mpt(3, 0x2601, 7, 15, 1 << 40, 1 << 33, 9, 512, 4),
    CqContext(5, 64, 1 << 33, 1, 128),
    SrqContext(5, 64, 1 << 33, 7, 32, 128),
    QpContext(*range(20), 1 << 33, 21, 22, 23),
])  # fmt: skip
def test_contexts_are_read_as_they_were_written(context: Any) -> None:
    """Each context comes back from its bytes, all fields different."""
    assert context == type(context).unpack(context.pack())


@pytest.mark.parametrize("value", [object(), "1", True, -1, 1 << 64, 1.0, None])
def test_a_register_holds_numbers_only(value: object) -> None:
    """Nothing of the driver but numbers gets through to the HCA."""
    with two() as (_, a, _b), pytest.raises(SimError):
        a.verbs.registers.write(R_SEND_DOORBELL, cast(int, value))


def test_contexts_and_work_requests_are_fetched_by_dma() -> None:
    """The HCA reads mailboxes, rings and counters, and writes completions, by bus addresses."""
    with two() as (recorded, a, b):
        before = len(recorded.events())
        b.recv()
        a.send()
        a.wait()
        b.wait()
        events = recorded.events()[before:]
    reads = [e.length for e in events if e.kind is EventKind.DEV_READ]
    writes = [e.length for e in events if e.kind is EventKind.DEV_WRITE]

    assert {a.qp.send.ring.stride, 4, len(TEXT)} <= set(reads)
    assert sorted(writes)[:2] == [32, 32]


def test_a_ring_that_the_iommu_does_not_know_is_dead() -> None:
    """Behind an IOMMU an HCA that is told physical addresses fetches nothing."""
    with two("iommu", rings=MapBy.PHYSICAL) as (recorded, a, b):
        b.recv()
        a.write()
        a.send()

        assert [] == a.wait() + b.wait()
        assert ("fault",) == recorded.effects()


def test_every_completion_is_seen_once_when_the_ring_begins_anew() -> None:
    """The owner bit changes with each round of a completion ring."""
    with two(entries=2) as (_, a, b):
        seen = []
        for turn in range(9):
            b.recv(wr_id=turn)
            a.send(wr_id=turn)
            seen += [c.wr_id for c in a.wait()]
            seen += [c.wr_id for c in b.wait()]

    assert [turn for turn in range(9) for _ in "ab"] == seen


def test_work_requests_of_the_last_round_are_not_taken_again() -> None:
    """A doorbell that tells of more than was written finds an old owner bit."""
    with two(max_send_wr=2) as (_, a, b):
        for turn in range(2):
            b.recv(wr_id=turn)
            a.send(wr_id=turn)
        assert [OK, OK] == statuses(a, 2)
        a.verbs.registers.write(R_SEND_DOORBELL, a.qp.number << 32 | 3)

        assert [WcStatus.LOC_QP_OP_ERR] == statuses(a)


def test_bytes_that_are_no_work_request() -> None:
    """An opcode that nobody knows is an operation error."""
    with two() as (_, a, _b):
        a.verbs.post_raw(a.qp, b"\x20\x77\x00\x02" + bytes(60), wr_id=5)

        assert [(5, WcStatus.LOC_QP_OP_ERR)] == [(c.wr_id, c.status) for c in a.wait(8)]


@pytest.mark.parametrize("data", [bytes(256), b"\xff" * 256, bytes(range(256)), b"\x00\x0a" * 128])
def test_any_bytes_are_read_without_a_crash(data: bytes) -> None:
    """What stands in a slot is a request or none."""
    for service in QpType:
        for odd in (False, True):
            parse(data, odd, service)


def test_unsignaled_sends_complete_by_the_next_signaled_one() -> None:
    """Only the last of three gives a completion."""
    with two() as (_, a, b):
        for i in range(3):
            b.recv(at=i * PAGE, wr_id=i)
        for i in range(3):
            flags = UNSIGNALED if i < 2 else UNSIGNALED | 2
            a.send(wr_id=i, flags=flags)

        assert [2] == [c.wr_id for c in a.wait(8)]
        assert a.qp.send.head == a.qp.send.tail == 3


def test_an_error_flushes_what_is_posted_unsignaled_too() -> None:
    """The first completion has the cause, each later one is flushed."""
    with two() as (_, a, b):
        b.recv()
        a.verbs.hardware.stopped = True
        a.send(key=0x7701, wr_id=0)
        a.send(wr_id=1, flags=UNSIGNALED)
        a.verbs.hardware.stopped = False

        assert [WcStatus.LOC_PROT_ERR, FLUSH] == statuses(a)


def test_a_reset_drops_without_completions() -> None:
    """What is posted is gone when a queue pair goes to RESET."""
    with two() as (_, _a, b):
        b.recv()
        b.verbs.modify_qp(b.qp, QpState.RESET)

        assert [] == statuses(b)


def test_uc_drops_what_does_not_fit() -> None:
    """Nobody tells the sender, and the receiver's queue pair lives on."""
    with two(qp_type=QpType.UC) as (_, a, b):
        a.send(WrOp.RDMA_WRITE, remote_addr=b.memory, rkey=0x7701)

        assert [OK] == statuses(a)
        assert QpState.RTS == b.verbs.hardware.qps[b.qp.number].state


def test_a_datagram_with_another_qkey_is_dropped() -> None:
    """A queue pair takes datagrams with its own Q_Key only."""
    with two(qp_type=QpType.UD) as (_, a, b):
        handle = a.verbs.create_ah(a.pd)
        b.recv()
        for qkey in (QKEY + 1, QKEY):
            a.send(length=64, ah=handle, remote_qpn=b.qp.number, remote_qkey=qkey)
        a.wait(2)

        assert [40 + 64] == [c.byte_len for c in b.wait(8)]


def test_a_full_completion_queue_is_dead() -> None:
    """The completion that does not fit raises an event, and the queue pair is in error."""
    with two(entries=2) as (_, a, b):
        for i in range(3):
            b.recv(at=i * PAGE, wr_id=i)
        for i in range(3):
            a.send(length=8, wr_id=i)

        assert QpState.ERR == b.verbs.hardware.qps[b.qp.number].state
        assert Event.CQ_ERR << 32 | b.cq.number == b.verbs.registers.read(R_EVENT)
        assert 0 == b.verbs.registers.read(R_EVENT)


@pytest.mark.parametrize(("family", "status"), [(HARDWARE, WcStatus.REM_ACCESS_ERR), (RXE, OK)])
def test_rxe_looks_at_the_region_of_a_window(family: Family, status: WcStatus) -> None:
    """An access past a window and inside its region: rxe lets it through, adapters do not.

    Source: Linux drivers/infiniband/sw/rxe/rxe_resp.c, check_rkey().
    """
    with two(family=family) as (_, a, b):
        window = b.verbs.alloc_mw(b.pd)
        b.verbs.post_send(b.qp, SendWr(
            WrOp.BIND_MW, mw=window, mr=b.mr, key=inc_rkey(window.rkey),
            access=Rights.REMOTE_WRITE, bind_addr=b.memory, bind_length=PAGE,
        ))  # fmt: skip
        b.wait()
        a.to_peer(WrOp.RDMA_WRITE, b, PAGE - 8, 64, rkey=window.rkey)

        assert [status] == statuses(a)


def test_a_compare_that_fails_changes_nothing() -> None:
    """A compare and swap brings the old value, and stores where it was equal."""
    with two() as (_, a, b):
        b.write((5).to_bytes(8, "little"), 2 * PAGE)
        a.to_peer(WrOp.ATOMIC_CMP_AND_SWP, b, length=8, compare_add=6, swap=9)
        a.wait()

        assert (5).to_bytes(8, "little") == a.read(0, 8) == b.read(2 * PAGE, 8)


def test_an_unfenced_send_goes_before_the_read_lands() -> None:
    """Without a fence the HCA sends what was in the buffer before."""
    with two() as (_, a, b):
        b.write(at=2 * PAGE)
        b.recv()
        a.to_peer(WrOp.RDMA_READ, b, wr_id=1)
        b.verbs.hardware.stopped = a.verbs.hardware.stopped = False
        a.wait()
        a.write(bytes(len(TEXT)))
        a.verbs.hardware.stopped = True
        a.to_peer(WrOp.RDMA_READ, b, wr_id=2)
        a.send(wr_id=3)
        a.verbs.hardware.stopped = False
        a.wait(2)
        b.wait()

        assert bytes(len(TEXT)) == b.read()
        assert TEXT == a.read(0)


def test_keys_do_not_come_back_with_the_same_tag() -> None:
    """The index of a region that ended is given again, with another tag."""
    with two() as (_, a, _b):
        first = a.register(EVERYTHING)
        a.verbs.dereg_mr(first)
        second = a.register(EVERYTHING)
        a.verbs.dereg_mr(second)

    assert first.lkey >> 8 == second.lkey >> 8
    assert first.lkey != second.lkey


def test_a_doorbell_past_the_ring_ends_the_queue_pair() -> None:
    """A producer index that no ring of this size can have is no work."""
    with two() as (_, a, _b):
        a.verbs.registers.write(R_SEND_DOORBELL, a.qp.number << 32 | 0xFFFF_FFFF)

        assert QpState.ERR == a.verbs.hardware.qps[a.qp.number].state
        assert [] == a.wait(8)


@pytest.mark.parametrize("data", [bytes(104), b"\xff" * 104, bytes(range(104))])
@pytest.mark.parametrize("op", list(Command))
def test_any_mailbox_is_answered(op: Command, data: bytes) -> None:
    """Contexts that can not be are refused, and nothing crashes."""
    with two() as (_, a, _b):
        status = a.verbs.command(op, 0x99, data)

    assert status in list(CommandStatus)


def test_without_probes_the_hca_records_bytes_only() -> None:
    """An adapter that nobody can look into tells no look-ups."""
    recorded = Recorded()
    with ends(recorded.sim) as (a, b):
        a.verbs.hardware.probes = b.verbs.hardware.probes = False
        b.recv()
        a.send()
        a.wait()
        b.wait()

    assert {"hca_access", "hca_verdict"}.isdisjoint(recorded.kinds())
