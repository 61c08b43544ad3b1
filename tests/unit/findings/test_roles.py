"""Each kind of event has a word for what it did."""

import pytest

from dmaverify.findings.evidence import ROLES, role_of
from dmaverify.model.events import Event
from dmaverify.model.hit import Witness
from dmaverify.model.kinds import EventKind, Flag


@pytest.mark.parametrize("kind", EventKind)
def test_each_kind_has_a_role(kind: EventKind) -> None:
    """Evidence can be of any event, done or failed."""
    usual = {
        "time": 0, "bus_addr": 0, "phys_addr": 0, "length": 0, "offset": 0, "device": 0,
        "object": 0, "site": 0, "cpu": 0, "status": 0, "direction": 0, "type": 0, "record": 1,
        "line": 1, "text": None, "sg_bus": (), "sg_phys": (), "bus_full": 0, "phys_full": 0,
        "virt_addr": None, "kind": kind,
    }  # fmt: skip
    done = Witness(1, 1, 0, 0, Event(**usual, flags=Flag(0)))
    failed = Witness(1, 1, 0, 0, Event(**usual, flags=Flag.FAILED))

    assert ROLES[kind] == role_of(done)
    assert role_of(failed) in ("failed", "used")
