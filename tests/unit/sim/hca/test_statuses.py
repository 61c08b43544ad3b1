"""How mistakes end: at the simulated HCA by families, and to the engine by the recording alone."""

from pathlib import Path

import pytest

from dmaverify.pipeline.check import CheckOptions, check_traces
from dmaverify.sim.hca.family import FAMILIES, Family
from dmaverify.sim.scenarios._statuses import MISTAKES, REFUSED, Mistake, ending
from tests.unit.sim.hca.recorded import record
from tests.unit.sim.machines import Recorded

PROT, OP, LENGTH = "LOC_PROT_ERR", "LOC_QP_OP_ERR", "LOC_LEN_ERR"
ACCESS, INVALID = "REM_ACCESS_ERR", "REM_INV_REQ_ERR"
KEY = {"hardware": PROT, "rxe": PROT, "rdmavt": REFUSED}, ""
RECEIVE = {"hardware": PROT, "rxe": OP, "rdmavt": PROT}, "REM_OP_ERR"
MANAGED = {"hardware": OP, "rxe": OP, "rdmavt": REFUSED}, ""


def _all(own: str, peer: str = "") -> tuple[dict[str, str], str]:
    return dict.fromkeys(FAMILIES, own), peer


#: Mistake -> (status at its own end, by family; status at the peer).
#: Source: Linux drivers/infiniband/sw/rxe, sw/rdmavt, hw/mlx4/cq.c and hw/mlx5/cq.c.
EXPECTED = {
    "a send by a key that nobody has": KEY,
    "a send by a key with an old tag": KEY,
    "a send by a key of another domain": KEY,
    "a send by a key that is not registered yet": KEY,
    "a send from past its region": KEY,
    "a read into a region without local write": KEY,
    "a receive into a region without local write": RECEIVE,
    "a receive by a key that nobody has": RECEIVE,
    "a receive that is too small": (
        {"hardware": LENGTH, "rxe": INVALID, "rdmavt": OP}, INVALID,
    ),
    "a peer's write by a key that nobody has": _all("", ACCESS),
    "a peer's write by a key with an old tag": _all("", ACCESS),
    "a peer's write by a key of another domain": _all("", ACCESS),
    "a peer's write into a region without the right": _all("", ACCESS),
    "a peer's write past the region": _all("", ACCESS),
    "a peer's write that the queue pair does not enable": _all("", INVALID),
    "a peer's atomic at an odd address": _all("", INVALID),
    "no receive is posted": _all("", "RNR_RETRY_EXC_ERR"),
    "nobody answers": _all("RETRY_EXC_ERR"),
    "a window past its region": _all("MW_BIND_ERR"),
    "a window on a region without the right": _all("MW_BIND_ERR"),
    "a datagram longer than the MTU": (
        {"hardware": "SUCCESS", "rxe": "SUCCESS", "rdmavt": REFUSED}, "",
    ),
    "a post in ERR": _all("WR_FLUSH_ERR"),
    "a completion queue that is full": _all("SUCCESS", "SUCCESS"),
    "LOCAL_INV of a region that no work request registered": (
        {"hardware": OP, "rxe": OP, "rdmavt": PROT}, "",
    ),
    "REG_MR of a region in use": MANAGED,
    "an RDMA READ on UC": MANAGED,
}  # fmt: skip
#: Events at the end that is asked, of families that raise them.
EVENTS = {ACCESS: ("QP_ACCESS_ERR",), INVALID: ("QP_REQ_ERR",)}
CASES = [
    pytest.param(mistake, family, id=f"{mistake.title}-{family.name}")
    for mistake in MISTAKES
    for family in FAMILIES.values()
    if family.has_windows or not mistake.window
]

#: What the engine calls them.
WORDS = {
    PROT: "local protection error", OP: "local QP operation error",
    ACCESS: "remote access error", INVALID: "remote invalid request error",
}  # fmt: skip
#: What the engine is asked: how a refused access ends, and whether a completion is as it expects.
RULES = """dmarules 1

rule remote-status: note {
  on hca_access as e
  where e.side == remote and e.expected_statuses exists and (e.disabled exists and e.disabled > 0 or not e.region exists or e.lacking exists and e.lacking > 0 or e.pd exists and e.region.pd exists and e.pd != e.region.pd)
  forbid true
  message "{e.expected_statuses}"
}

rule range-status: note {
  on hca_access as e
  where e.side == remote and e.outside_bytes exists and e.outside_bytes > 0
  forbid true
  message "{e.expected_statuses}"
}

rule own-status: note {
  on cqe as e
  where e.fits exists
  forbid true
  message "{e.expected_statuses}"
}
"""


def test_each_mistake_has_an_expectation() -> None:
    """The table is about all of them, and no other."""
    assert {m.title for m in MISTAKES} == set(EXPECTED)


@pytest.mark.parametrize(("mistake", "family"), CASES)
def test_the_hca_ends_it_so(mistake: Mistake, family: Family) -> None:
    """Each family gives the status of its kernel driver, at both ends."""
    found = ending(Recorded().sim, mistake, family)
    own, peer = EXPECTED[mistake.title]

    assert (own[family.name], peer) == (found.own, found.peer)


@pytest.mark.parametrize(("mistake", "family"), CASES)
def test_the_queue_pair_is_in_error(mistake: Mistake, family: Family) -> None:
    """What was refused takes its queue pair along, and a full queue raises an event."""
    found = ending(Recorded().sim, mistake, family)
    refused = found.own not in ("", "SUCCESS", REFUSED) or found.peer in (ACCESS, INVALID)

    if mistake.title == "a completion queue that is full":
        assert (("CQ_ERR",), "ERR") == (found.events, found.state)
        return
    assert ("ERR" if refused else "RTS") == found.state
    remote = found.own == "" and family.raises
    assert (EVENTS.get(found.peer, ()) if remote else ()) == found.events


@pytest.mark.parametrize(("mistake", "family"), CASES)
def test_the_engine_expects_the_same(mistake: Mistake, family: Family, tmp_path: Path) -> None:
    """From the recording alone the engine tells a status that is the one of the HCA."""
    path, rules = tmp_path / "t.dmat", tmp_path / "status.dmar"
    rules.write_text(RULES, "utf-8")
    found = record(path, lambda sim: ending(sim, mistake, family))
    options = CheckOptions(rules=(str(rules),),
                           select=("remote-status", "range-status", "own-status"))  # fmt: skip
    report = check_traces([str(path)], options)
    said = {f.rule: f.message for f in report.findings}
    own, peer = EXPECTED[mistake.title]

    assert (own[family.name], peer) == (found.own, found.peer)
    if own[family.name] in (PROT, OP) and EXPECTED[mistake.title] in (KEY, RECEIVE):
        assert WORDS[own[family.name]] in said["own-status"].split(" or ")
    if peer == ACCESS or "not enable" in mistake.title:
        assert WORDS[peer] == (said.get("remote-status") or said["range-status"])
