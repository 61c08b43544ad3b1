"""Shared queues, handles, doorbells and order of completions: the engine against plain lists."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dmaverify.model.fields import Obj
from dmaverify.model.kinds import EventKind, Flag, HcaValue
from tests.oracle.nouns import Call
from tests.oracle.queues import Queues
from tests.property.events import smallest
from tests.property.hca_asking import differing, program

K, V = EventKind, HcaValue
WEIGHTS = {
    K.ALLOC_PD: 2, K.DEALLOC_PD: 2, K.CREATE_CQ: 2, K.DESTROY_CQ: 2, K.CREATE_SRQ: 2,
    K.DESTROY_SRQ: 1, K.CREATE_AH: 3, K.DESTROY_AH: 3, K.CREATE_QP: 5, K.DESTROY_QP: 2,
    K.MODIFY_QP: 4, K.ASYNC_EVENT: 2, K.DOORBELL: 7, K.POST_SEND: 9, K.POST_RECV: 8, K.CQE: 12,
}  # fmt: skip
KINDS = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]
ASKED = {
    K.DEALLOC_PD: ("users",), K.DESTROY_CQ: ("users",), K.DESTROY_SRQ: ("users",),
    K.DESTROY_AH: ("ah_outstanding",), K.DESTROY_QP: ("shared", "shared_early"),
    K.DOORBELL: ("unposted",), K.POST_SEND: ("ah_ended", "ah_other_pd"),
    K.POST_RECV: ("shared", "closed", "queue_pair.receives"),
    K.CQE: ("matched", "skipped", "unpublished"),
}  # fmt: skip
OF_PAIRS = dict.fromkeys(
    (K.DESTROY_QP, K.DOORBELL, K.POST_SEND, K.POST_RECV, K.CQE), Obj.QP
)  # fmt: skip
differ = differing(program(ASKED, OF_PAIRS), list(ASKED), Queues)


def recording(seed: int, most: int) -> list[Call]:
    """Return random events on one HCA whose numbers are few, so that everything collides."""
    random = Random(seed)
    calls = [Call(K.ALLOC_PD, time=1000, record=1, phys_addr=0xA0, site=7),
             Call(K.CREATE_SRQ, time=2000, record=2, object=1, phys_addr=0xA0, site=7),
             Call(K.CREATE_QP, time=3000, record=3, object=1, phys_addr=0xA0, site=7,
                  hca=[(V.SRQ, 1)] if random.random() < 0.5 else None)]  # fmt: skip
    for number in range(4, random.randint(4, most) + 4):
        kind = random.choice(KINDS)
        values: dict[str, Any] = {"object": random.choice([1, 1, 2]), "site": 7}
        if kind in (K.ALLOC_PD, K.DEALLOC_PD, K.CREATE_SRQ, K.CREATE_AH, K.CREATE_QP):
            values["phys_addr"] = random.choice([0xA0, 0xA0, 0xB0])
        if kind.name.startswith("D") and random.randrange(6) == 0 and kind != K.DOORBELL:
            values["flags"] = Flag.FAILED
        if kind is K.CREATE_QP:
            values["hca"] = [(v, random.choice([1, 2])) for v in (V.SEND_CQ, V.RECV_CQ, V.SRQ)
                             if random.random() < 0.6]  # fmt: skip
        if kind is K.MODIFY_QP:
            values["status"] = random.choice([1, 2, 3, 4, 7, 7])
        if kind is K.ASYNC_EVENT:
            values["type"] = random.choice([1, 1, 2, 8])
        if kind is K.DOORBELL:
            values.update(type=random.choice([0, 1, 1, 2, 3, 4, 5]),
                          length=random.choice([None, 0, 1, 1, 2]))  # fmt: skip
        if kind in (K.POST_SEND, K.POST_RECV, K.CQE):
            values["phys_addr"] = random.randrange(4)
        if kind is K.POST_SEND:
            values.update(type=1, direction=random.choice([0, 2, 2]),
                          hca=random.choice([None, [(V.AH, 1)], [(V.AH, 2)]]))  # fmt: skip
        if kind is K.POST_RECV and random.random() < 0.5:
            values.update(object=0, hca=[(V.SRQ, random.choice([1, 2]))])
        if kind is K.CQE:
            values.update(type=random.choice([0, 1, 11, 11]), status=random.choice([0, 0, 0, 5]))
        calls.append(Call(kind, time=1000 * number, record=number, **values))
    return calls


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32))
def test_what_hangs_on_what_is_the_same(seed: int) -> None:
    """Users, receives, handles, doorbells and the order of completions agree."""
    assert not smallest(recording(seed, 40), differ)
