"""Statuses by family: the engine's sets against a table, and what names of devices tell."""

from typing import Any

import pytest

from dmaverify.core.engine import Engine
from dmaverify.model.fields import EVENT_FIELDS, Obj
from dmaverify.model.hca_families import family_of
from dmaverify.model.kinds import EventKind, HcaFamily, HcaValue, Opcode, PostFlag, WcStatus
from tests.oracle.nouns import Call
from tests.oracle.statuses import LOCAL, expected
from tests.property.events import batch_of
from tests.unit.core.calls import always, numbered

K, V = EventKind, HcaValue
EVENT = {f.name: f.number for f in EVENT_FIELDS}
WRONG = 0x50000  # behind the region


def answers(calls: list[Call], *names: str, family: int = 0) -> list[int | None]:
    """Return fields of the last event; of device 1, whose name tells a family or does not."""
    engine = Engine(always([(int(Obj.EVENT), EVENT[name]) for name in names]))
    engine.name_device(1, family)
    engine.feed(batch_of(numbered([Call(**{**vars(c), "device": 1}) for c in calls])))
    return list(engine.hits()[-1].shown)


def request(opcode: Opcode, status: WcStatus, **values: Any) -> list[Call]:
    """Return a work request with a buffer behind its region, and its completion."""
    kind = K.POST_RECV if opcode is Opcode.RECV else K.POST_SEND
    return [
        Call(K.REG_MR, object=0x100, bus_addr=0x10000, length=0x1000, phys_addr=0xA0,
             direction=15, type=1),
        Call(K.CREATE_QP, object=1, phys_addr=0xA0, type=3, **values),
        Call(kind, object=1, phys_addr=7, type=opcode, direction=PostFlag.SIGNALED,
             sges=[(0x10000, 64, 0x100), (WRONG, 64, 0x100)]),
        Call(K.CQE, object=1, phys_addr=7, type=0, status=status),
    ]  # fmt: skip


def bits(statuses: set[WcStatus]) -> int:
    """Return a set as the engine has it."""
    return sum(1 << status for status in statuses)


@pytest.mark.parametrize("family", HcaFamily)
@pytest.mark.parametrize("opcode", LOCAL)
def test_the_sets_are_those_of_the_table(family: HcaFamily, opcode: Opcode) -> None:
    """By the name of the device, and by the recording's word."""
    wanted = bits(expected(family, opcode))
    calls = request(opcode, WcStatus.GENERAL_ERR)

    assert [wanted, 2, 0x100] == answers(
        calls, "expected_statuses", "sge", "bad_key", family=family
    )
    told = request(opcode, WcStatus.GENERAL_ERR, hca=[(V.FAMILY, family)])
    assert [wanted] == answers(told, "expected_statuses")


@pytest.mark.parametrize("family", HcaFamily)
@pytest.mark.parametrize("opcode", LOCAL)
def test_a_status_fits_where_it_is_in_the_set(family: HcaFamily, opcode: Opcode) -> None:
    """A flush tells nothing about the request itself."""
    for status in WcStatus:
        if status is WcStatus.SUCCESS:
            continue
        inside = int(status in expected(family, opcode))
        fits = None if status is WcStatus.WR_FLUSH_ERR else inside
        calls = request(opcode, status)
        assert [inside, fits] == answers(calls, "key_refused", "fits", family=family)


def test_a_peer_gets_words_of_its_own() -> None:
    """A key that does not allow it, and an operation that the queue pair does not."""
    calls = [
        Call(K.CREATE_QP, object=1, phys_addr=0xA0, type=3, direction=2),
        Call(K.HCA_ACCESS, object=0x4711, phys_addr=0xA0, direction=2, type=2,
             hca=[(V.QUEUE_PAIR, 1)]),
        Call(K.HCA_ACCESS, object=0x4711, phys_addr=0xA0, direction=4, type=2,
             hca=[(V.QUEUE_PAIR, 1)]),
    ]  # fmt: skip
    assert [1 << WcStatus.REM_ACCESS_ERR] == answers(calls[:2], "expected_statuses")
    assert [1 << WcStatus.REM_INV_REQ_ERR] == answers(calls, "expected_statuses")


@pytest.mark.parametrize(
    ("name", "family"),
    [("mlx5_0", HcaFamily.HARDWARE), ("mthca0", HcaFamily.HARDWARE), ("rxe0", HcaFamily.RXE),
     ("hfi1_0", HcaFamily.RDMAVT), ("siw_eth0", HcaFamily.SIW),
     ("0000:00:05.1", HcaFamily.UNKNOWN), ("", HcaFamily.UNKNOWN)],
)  # fmt: skip
def test_names_tell_families(name: str, family: HcaFamily) -> None:
    """Drivers name their devices after themselves."""
    assert family == family_of(name)
