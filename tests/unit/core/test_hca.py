"""Keys, queue pairs and tasks in the engine: what is kept, and what losses do."""

from typing import Any

import pytest

from dmaverify.core.engine import Engine
from dmaverify.lang.builtin import load_builtin
from dmaverify.model.kinds import EventKind, QpState
from tests.oracle.nouns import Call
from tests.property.events import batch_of
from tests.unit.core.calls import numbered

K = EventKind
PROGRAM = load_builtin()


def reg(key: int = 0x2605, **values: Any) -> Call:
    """Return a registration of 16 KiB at 0x10000 with all rights."""
    usual = {"bus_addr": 0x10000, "length": 0x4000, "phys_addr": 0xA0, "direction": 7, "site": 7}
    return Call(K.REG_MR, object=key, **{**usual, **values})


def look(key: int = 0x2605, **values: Any) -> Call:
    """Return a look-up by the peer that wants to write."""
    usual = {"phys_addr": 0xA0, "direction": 2, "type": 2, "site": 9}
    return Call(K.HCA_ACCESS, object=key, **{**usual, **values})


def dereg(key: int = 0x2605, **values: Any) -> Call:
    """Return a deregistration."""
    return Call(K.DEREG_MR, object=key, **{"site": 7, **values})


def told(calls: list[Call], **limits: Any) -> list[tuple[str, bool]]:
    """Return the rule of each finding, and whether it is certain."""
    engine = Engine(PROGRAM, **limits)
    engine.feed(batch_of(numbered(calls)))
    engine.finish()
    return [
        (PROGRAM.rules[h.rule].id, not h.low_confidence) for h in engine.hits() if h.unmet is None
    ]


def test_a_dead_key_is_told_once() -> None:
    """However often it is used, and with where it was made and ended."""
    assert [("hca-access-after-deregistration", True)] == told([reg(), dereg(), look(), look()])


def test_a_loss_in_between_makes_it_uncertain() -> None:
    """The region could have been registered anew in the gap."""
    lost = Call(K.LOST)
    assert [("hca-access-after-deregistration", False)] == told([reg(), dereg(), lost, look()])


def test_what_was_before_the_recording_is_no_mistake() -> None:
    """Neither a key nor a queue pair that nobody has seen begin."""
    calls = [look(0x4711), Call(K.MODIFY_QP, object=5, status=QpState.RTS, site=7),
             Call(K.CQE, object=5, phys_addr=1, type=1, site=7)]  # fmt: skip
    assert [] == told(calls)


def test_two_devices_have_keys_of_their_own() -> None:
    """The key of one is nothing to the other."""
    assert [] == told([reg(device=1), reg(device=2), dereg(device=1), look(device=2)])


@pytest.mark.parametrize("limit", [1, 2, 8])
def test_memory_is_bounded(limit: int) -> None:
    """Ended regions are forgotten, live ones beyond the limit are not followed."""
    calls = [c for n in range(1, 40) for c in (reg(n << 8), dereg(n << 8))]
    engine = Engine(PROGRAM, ghost_limit=limit)
    engine.feed(batch_of(numbered(calls)))
    assert 39 - limit == engine.counters["objects_forgotten"]
    engine = Engine(PROGRAM, live_limit=limit)
    engine.feed(batch_of(numbered([reg(n << 8) for n in range(1, 40)])))
    assert (limit, 39 - limit) == (
        engine.counters["objects"], engine.counters["objects_refused"],
    )  # fmt: skip


def test_the_kernel_cleans_up_newest_first() -> None:
    """Without the ends of tasks that is a reason to ask, and no finding."""
    calls = [Call(K.CREATE_QP, object=43, phys_addr=0xA0, site=7), reg(), dereg(),
             Call(K.DESTROY_QP, object=43, site=7)]  # fmt: skip
    engine = Engine(PROGRAM)
    engine.feed(batch_of(numbered(calls)))
    engine.finish()
    assert [("mr-leak-at-exit", 0)] == [(PROGRAM.rules[h.rule].id, h.unmet) for h in engine.hits()]
    assert [] == told([*calls, Call(K.TASK_EXIT, site=7)])
    assert [("mr-leak-at-exit", True)] == told([*calls[:2], Call(K.TASK_EXIT, site=7), *calls[2:]])


def test_a_queue_pair_is_named_later() -> None:
    """A probe on the call that makes it does not know its number yet."""
    calls = [Call(K.CREATE_QP, site=7), Call(K.MODIFY_QP, object=43, status=2, site=7),
             Call(K.MODIFY_QP, object=43, status=4, site=7)]  # fmt: skip
    assert [("wrong-queue-pair-transition", True)] == told(calls)
