"""Mistakes by which completion status they end: each is made on two HCAs of a family and looked at.

Source of the table that comes of it: Linux drivers/infiniband/sw/rxe/rxe_resp.c, rxe_req.c and
rxe_comp.c; sw/rdmavt/mr.c and qp.c; hw/mlx4/cq.c; hw/mlx5/cq.c, mlx5_handle_error_cqe().
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dmaverify.model.kinds import QpState, QpType, Rights, WcStatus
from dmaverify.model.platform import Platform
from dmaverify.sim.faults import Injector
from dmaverify.sim.hca.family import Family
from dmaverify.sim.hca.objects import SendWr, WrOp, inc_rkey
from dmaverify.sim.hca.verbs import Verbs
from dmaverify.sim.machine import Machine
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import EVERYTHING, PAGE, QKEY, SIZE, End, ends

Make = Callable[[End, End], int | None]
REFUSED = "post refused"


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake, made by one of two ends that are connected.

    Args:
        title: what it is.
        asked: whether the end that is asked has made it; else the one that asks.
        make: makes it; may return the error of a post.
        values: of the ends.
        window: whether it is about a window.
    """

    title: str
    asked: bool
    make: Make
    values: dict[str, Any] = field(default_factory=dict)
    window: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended.

    Args:
        own: status at the end that made the mistake, "" where nothing completes.
        peer: status at the other end.
        events: asynchronous events at the first.
        state: of its queue pair at the HCA.
    """

    own: str
    peer: str
    events: tuple[str, ...]
    state: str


def ending(sim: Simulation, mistake: Mistake, family: Family) -> Ending:
    """Make a mistake on HCAs of a family, and return how it ended."""
    with ends(sim, family, **mistake.values) as (a, b):
        error = mistake.make(a, b)
        statuses = {end: _first(end) for end in (a, b)}
        own, peer = (b, a) if mistake.asked else (a, b)
        state = own.verbs.hardware.qps[own.qp.number].state
        text = REFUSED if error else statuses[own]
        return Ending(text, statuses[peer], _events(own.verbs), state.name)


def run_mistake(mistake: Mistake, family: Family) -> Ending:
    """Make a mistake on a flat machine of its own; nothing is recorded."""
    platform = Platform("flat", "bus = physical, coherent")
    machine = Machine(platform, lambda batch: None, sites=False)
    return ending(Simulation(machine, Injector(), 0), mistake, family)


def _first(end: End) -> str:
    """Return the first status at an end that is no success, or else success, or ""."""
    found = [c.status for c in end.wait(8)]
    bad = [s for s in found if s is not WcStatus.SUCCESS]
    return bad[0].name if bad else "SUCCESS" if found else ""


def _events(verbs: Verbs) -> tuple[str, ...]:
    found = []
    while (event := verbs.poll_event()) is not None:
        found.append(event[0].name)
    return tuple(found)


# What ends ask for wrongly


def _send_by(key: Callable[[End], int]) -> Make:
    def make(a: End, b: End) -> int:
        b.recv()
        return a.send(key=key(a))

    return make


def _send_past_region(a: End, b: End) -> int:
    b.recv()
    return a.send(at=SIZE - 64)


def _read_into_read_only(a: End, b: End) -> int:
    return a.to_peer(WrOp.RDMA_READ, b, key=a.register(Rights.REMOTE_READ, 0, PAGE).lkey)


def _receive_by(key: Callable[[End], int]) -> Make:
    def make(a: End, b: End) -> int:
        b.recv(key=key(b))
        return a.send()

    return make


def _receive_small(a: End, b: End) -> int:
    b.recv(length=64)
    return a.send()


def _write_by(key: Callable[[End], int]) -> Make:
    return lambda a, b: a.to_peer(WrOp.RDMA_WRITE, b, rkey=key(b))


def _write_past_region(a: End, b: End) -> int:
    return a.to_peer(WrOp.RDMA_WRITE, b, SIZE - 64)


def _write_not_enabled(a: End, b: End) -> int:
    b.verbs.modify_qp(b.qp, QpState.RTS, access=int(Rights.REMOTE_READ))
    return a.to_peer(WrOp.RDMA_WRITE, b)


def _atomic_misaligned(a: End, b: End) -> int:
    return a.to_peer(WrOp.ATOMIC_FETCH_AND_ADD, b, 4, 8)


def _no_receive(a: End, b: End) -> int:
    return a.send()


def _no_peer(a: End, b: End) -> int:
    b.verbs.modify_qp(b.qp, QpState.RESET)
    return a.send()


def _bind(rights: int, at: int) -> Make:
    def make(a: End, b: End) -> int:
        region, window = a.register(rights, 2 * PAGE, PAGE), a.verbs.alloc_mw(a.pd)
        return a.verbs.post_send(a.qp, SendWr(
            WrOp.BIND_MW, wr_id=1, mw=window, mr=region, key=inc_rkey(window.rkey),
            access=Rights.REMOTE_WRITE, bind_addr=a.memory + at, bind_length=PAGE,
        ))  # fmt: skip

    return make


def _datagram_too_long(a: End, b: End) -> int:
    b.recv()
    return a.send(length=2048, ah=a.verbs.create_ah(a.pd), remote_qpn=b.qp.number,
                  remote_qkey=QKEY)  # fmt: skip


def _post_in_error(a: End, b: End) -> int:
    a.verbs.modify_qp(a.qp, QpState.ERR)
    return a.send()


def _queue_full(a: End, b: End) -> int:
    for i in range(3):
        b.recv(at=i * PAGE, wr_id=i)
    for i in range(3):
        a.send(wr_id=i)
    return 0


def _invalidate_region(a: End, b: End) -> int:
    return a.verbs.post_send(a.qp, SendWr(WrOp.LOCAL_INV, wr_id=1, invalidate=a.mr.lkey))


def _register_live(a: End, b: End) -> int:
    region = a.verbs.alloc_mr(a.pd, 2)
    pages, offset = a.pages(0, 2)
    key, error = region.lkey, 0
    for i in range(2):
        a.verbs.map_mr_sg(region, pages, PAGE, offset=offset)
        key = inc_rkey(key)
        error = a.verbs.post_send(a.qp, SendWr(WrOp.REG_MR, wr_id=i, mr=region, key=key,
                                               access=EVERYTHING))  # fmt: skip
    return error


def _read_on_uc(a: End, b: End) -> int:
    return a.to_peer(WrOp.RDMA_READ, b)


def _unknown(end: End) -> int:
    return 0x770001


def _stale(end: End) -> int:
    return inc_rkey(end.mr.lkey)


def _foreign(end: End) -> int:
    return end.register(EVERYTHING, pd=end.verbs.alloc_pd()).lkey


def _free(end: End) -> int:
    return end.verbs.alloc_mr(end.pd, 2).lkey


def _read_only(end: End) -> int:
    return end.register(Rights.REMOTE_READ).lkey


MISTAKES = (
    Mistake("a send by a key that nobody has", False, _send_by(_unknown)),
    Mistake("a send by a key with an old tag", False, _send_by(_stale)),
    Mistake("a send by a key of another domain", False, _send_by(_foreign)),
    Mistake("a send by a key that is not registered yet", False, _send_by(_free)),
    Mistake("a send from past its region", False, _send_past_region),
    Mistake("a read into a region without local write", False, _read_into_read_only),
    Mistake("a receive into a region without local write", True, _receive_by(_read_only)),
    Mistake("a receive by a key that nobody has", True, _receive_by(_unknown)),
    Mistake("a receive that is too small", True, _receive_small),
    Mistake("a peer's write by a key that nobody has", True, _write_by(_unknown)),
    Mistake("a peer's write by a key with an old tag", True, _write_by(_stale)),
    Mistake("a peer's write by a key of another domain", True, _write_by(_foreign)),
    Mistake("a peer's write into a region without the right", True, _write_by(_read_only)),
    Mistake("a peer's write past the region", True, _write_past_region),
    Mistake("a peer's write that the queue pair does not enable", True, _write_not_enabled),
    Mistake("a peer's atomic at an odd address", True, _atomic_misaligned),
    Mistake("no receive is posted", True, _no_receive, {"timing": {"rnr_retries": 2}}),
    Mistake("nobody answers", False, _no_peer),
    Mistake("a window past its region", False, _bind(EVERYTHING, 2 * PAGE + 64), window=True),
    Mistake("a window on a region without the right", False, _bind(1, 2 * PAGE),
            window=True),
    Mistake("a datagram longer than the MTU", False, _datagram_too_long,
            {"qp_type": QpType.UD}),
    Mistake("a post in ERR", False, _post_in_error),
    Mistake("a completion queue that is full", True, _queue_full, {"entries": 2}),
    Mistake("LOCAL_INV of a region that no work request registered", False, _invalidate_region),
    Mistake("REG_MR of a region in use", False, _register_live),
    Mistake("an RDMA READ on UC", False, _read_on_uc, {"qp_type": QpType.UC}),
)  # fmt: skip
