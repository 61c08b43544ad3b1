"""Memory that an HCA works with and the mappings behind it: the engine against lists."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dmaverify.model.kinds import EventKind, Flag, HcaValue
from tests.oracle.nouns import Call
from tests.oracle.pins import PARTS, Pins
from tests.property.events import smallest
from tests.property.hca_asking import differing, program

K, V = EventKind, HcaValue
TOP = 1 << 64
WEIGHTS = {
    K.DMA_MAP: 6, K.DMA_UNMAP: 6, K.QUEUE_MEMORY: 4, K.MAD_SEND: 4, K.MAD_RECV: 4,
    K.MAP_MR_SG: 5, K.TEARDOWN: 3, K.TEARDOWN_DONE: 3, K.REG_MR: 5, K.DEREG_MR: 3,
    K.CREATE_QP: 3, K.MODIFY_QP: 3, K.DESTROY_QP: 2, K.ODP_PAGES: 4, K.USER_UNMAP: 5,
}  # fmt: skip
KINDS = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]
ASKED = {
    K.HCA_LOST: ("mad", "part", "tearing", "teardown_failed"),
    K.QUEUE_MEMORY: ("unmapped_bytes",), K.MAD_SEND: ("unmapped_bytes", "wrong_way_bytes"),
    K.MAD_RECV: ("unmapped_bytes", "wrong_way_bytes"),
    K.MAP_MR_SG: ("mapped", "pages", "unaligned", "wraps"),
    K.USER_UNMAP: ("registered_bytes", "table_bytes"),
}  # fmt: skip
BEGUN = Call(K.DRIVER_PROBE, time=1000, record=1, device=1)
_differ = differing(program(ASKED, {}), list(ASKED), Pins)
#: Mappings lie far apart: which of two a range means is another test's.
SLOTS = [0x90000, 0xA0000, 0xB0000]
HOLES = [0x0, 0x0, 0x1000, 0x1F00]
SIZES = [0, 0x100, 0x1000, 0x2000]
ADDRESSES = [0x10000, 0x10400, 0x11000, 0x20000]


def differ(calls: list[Call]) -> str:
    """Tell where the two first differ: nothing was mapped before the recording."""
    return _differ([BEGUN, *calls])


def recording(seed: int, most: int) -> list[Call]:
    """Return random events on one device, with one clock and one driver."""
    random = Random(seed)
    calls = []
    mapped: dict[int, int] = {}
    for number in range(2, random.randint(2, most) + 2):
        kind = random.choice(KINDS)
        values: dict[str, Any] = {"device": 1, "site": 7, "object": random.choice([1, 1, 2])}
        if kind is K.DMA_MAP:
            free = [s for s in SLOTS if s not in mapped]
            if not free:
                continue
            bus = random.choice(free)
            mapped[bus] = random.randrange(3)
            values.update(object=0, bus_addr=bus, phys_addr=bus + 0x1000000, length=0x2000, type=1,
                          direction=mapped[bus])  # fmt: skip
        elif kind is K.DMA_UNMAP:
            if not mapped:
                continue
            bus = random.choice(list(mapped))
            values.update(object=0, bus_addr=bus, length=0x2000, type=1, direction=mapped.pop(bus))
        elif kind in (K.QUEUE_MEMORY, K.MAD_SEND, K.MAD_RECV, K.MAP_MR_SG):
            values.update(memory(random))
        if kind is K.QUEUE_MEMORY:
            values["type"] = random.choice(PARTS)
        if kind in (K.MAD_SEND, K.MAD_RECV):
            values.update(type=random.choice([1, 1, 2]), phys_addr=random.choice([5, 6]))
        if kind is K.MAP_MR_SG:
            values["hca"] = [(V.MAPPED, 1)] * random.randrange(2)
            if random.randrange(8) == 0:
                values["sges"] = [(TOP - 0x1000, random.choice([0x800, 0x1000, 0x2000]), 0)]
        if kind in (K.REG_MR, K.DEREG_MR, K.ODP_PAGES, K.MAP_MR_SG):
            values["object"] = random.choice([0x100, 0x101, 0x200])
        if kind is K.REG_MR:
            values.update(bus_addr=random.choice([*ADDRESSES, None]), length=0x1000,
                          phys_addr=random.choice([0xA0, 0xA0, 0xB0, None]),
                          direction=random.choice([7, 7, 0x27, None]),
                          type=random.choice([0, 1, 1, 2, 4, 5]))  # fmt: skip
        if kind in (K.TEARDOWN, K.TEARDOWN_DONE):
            values["type"] = random.choice([1, 3])
            if values["type"] == 1:
                values["object"] = random.choice([0x100, 0x101, 0x200])
        if kind in (K.TEARDOWN_DONE, K.DEREG_MR, K.DESTROY_QP) and random.randrange(3) == 0:
            values["flags"] = Flag.FAILED
        if kind is K.CREATE_QP:
            values["phys_addr"] = random.choice([0xA0, 0xA0, 0xB0, None])
        if kind is K.MODIFY_QP:
            values["status"] = random.choice([1, 2, 3, 4, 7])
        if kind in (K.ODP_PAGES, K.USER_UNMAP):
            values.update(bus_addr=random.choice(ADDRESSES), type=random.choice([7, 8]),
                          length=random.choice([0x400, 0x800, 0x1000]))  # fmt: skip
        calls.append(Call(kind, time=1000 * number, record=number, **values))
    return calls


def memory(random: Random) -> dict[str, Any]:
    """Return memory in one piece, or as a list."""
    one = random.choice(SLOTS) + random.choice(HOLES)
    if random.random() < 0.5:
        return {"bus_addr": one, "length": random.choice(SIZES)}
    return {"sges": [(random.choice(SLOTS) + random.choice(HOLES), random.choice(SIZES), 0)
                     for _ in range(random.randint(1, 3))]}  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32))
def test_what_memory_is_held_is_the_same(seed: int) -> None:
    """Which bytes lie behind no mapping, and what still uses those that go."""
    assert not smallest(recording(seed, 40), differ)
