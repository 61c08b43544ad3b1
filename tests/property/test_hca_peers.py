"""Races with peers and undefined bytes: the engine against sets of bytes."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dmaverify.model.kinds import EventKind, HcaValue
from tests.oracle.nouns import Call
from tests.oracle.peers import Peers
from tests.property.events import smallest
from tests.property.hca_asking import differing, program

K, V = EventKind, HcaValue
WEIGHTS = {
    K.REG_MR: 3, K.DEREG_MR: 1, K.CREATE_QP: 3, K.DESTROY_QP: 1, K.MODIFY_QP: 1, K.POST_RECV: 6,
    K.CQE: 7, K.HCA_ACCESS: 12, K.CPU_READ: 6, K.CPU_WRITE: 6,
}  # fmt: skip
KINDS = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]
ASKED = {K.HCA_ACCESS: ("racing",), K.WORK_TOUCHED: ("hazard",)}
differ = differing(program(ASKED, {}), list(ASKED), Peers)
KEYS = [0x100, 0x200, 0x200]
STARTS = [0xFC0, 0xFE0, 0xFF8, 0x1000, 0x1010]
SIZES = [0, 8, 0x20, 0x30, 0x80]


def recording(seed: int, most: int) -> list[Call]:
    """Return random accesses of peers and of the CPU to few bytes at the edge of a page."""
    random = Random(seed)
    calls = [
        Call(K.REG_MR, time=1000, record=1, object=0x100, bus_addr=0, length=1 << 20,
             phys_addr=0xA0, direction=15, site=7),
        Call(K.CREATE_QP, time=2000, record=2, object=1, type=5, site=7),
    ]  # fmt: skip
    for number in range(3, random.randint(3, most) + 3):
        kind = random.choice(KINDS)
        values: dict[str, Any] = {"object": random.choice([1, 1, 2]), "site": 7}
        if kind in (K.REG_MR, K.DEREG_MR, K.HCA_ACCESS):
            values["object"] = random.choice(KEYS)
        if kind is K.REG_MR:
            values.update(bus_addr=0, length=1 << 20, phys_addr=random.choice([0xA0, 0xA0, 0xB0]),
                          direction=random.choice([15, 15, 0x2F]),
                          hca=[(V.RELAXED, 1)] * random.randrange(2))  # fmt: skip
        if kind is K.CREATE_QP:
            values.update(type=random.choice([3, 5, 5]),
                          hca=[(V.DATA_IN_ORDER, 1)] * random.randrange(2))  # fmt: skip
        if kind is K.MODIFY_QP:
            values["status"] = random.choice([1, 2, 4])
        if kind is K.POST_RECV:
            values.update(phys_addr=random.randrange(2), sges=[
                (random.choice(STARTS), random.choice(SIZES), random.choice(KEYS))
                for _ in range(random.randint(1, 3))
            ])  # fmt: skip
        if kind is K.CQE:
            values.update(phys_addr=random.randrange(2), type=random.choice([0, 1, 11, 11]),
                          status=random.choice([0, 0, 0, 5]),
                          hca=random.choice([None, [(V.WC_FLAGS, 0)], [(V.WC_FLAGS, 1)]]),
                          )  # fmt: skip
        if kind is K.HCA_ACCESS:
            values.update(bus_addr=random.choice(STARTS), length=random.choice(SIZES),
                          type=random.choice([1, 2, 2, 2]), status=random.choice([0, 1, 2, 2]),
                          direction=random.choice([None, None, 8]), phys_addr=0xA0,
                          hca=[(V.QUEUE_PAIR, random.choice([1, 1, 2]))])  # fmt: skip
        if kind in (K.CPU_READ, K.CPU_WRITE):
            values.update(object=0, device=1, virt_addr=random.choice([*STARTS, None]),
                          length=random.choice(SIZES))  # fmt: skip
        calls.append(Call(kind, time=1000 * number, record=number, **values))
    return calls


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32))
def test_what_nothing_orders_is_the_same(seed: int) -> None:
    """Which accesses race, and what the CPU must not touch."""
    assert not smallest(recording(seed, 40), differ)
