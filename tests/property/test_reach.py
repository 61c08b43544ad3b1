"""Where a device reaches on a platform: the engine against bytes in sets."""

import os
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dmaverify.core.engine import Engine
from dmaverify.model.kinds import Direction, EventKind, MapType
from dmaverify.model.platform import Effect, Platform
from dmaverify.model.program import Program
from dmaverify.pipeline.platforms import choose
from tests.oracle.nouns import Call
from tests.oracle.reach import Reach
from tests.property.events import batch_of

K, D = EventKind, Direction
PLATFORMS = choose(
    ["flat", "iommu", "iommu-lazy", "driver-verifier", "confidential-vm", "non-coherent", "mask-32",
     "bus-offset", "nested"]
)  # fmt: skip
DEEP = int(os.environ.get("DMAVERIFY_DEEP", "300"))
SIGNS = {
    Effect.WORKS: ".", Effect.CANNOT_TELL: "?", Effect.WORKS_BY_LUCK: "~", Effect.BREAKS: "X",
}  # fmt: skip
#: Two that follow each other on a page, one over two pages, one alone, one of a whole page.
PLACES = ((0x10000, 0x200), (0x10200, 0x100), (0x10F00, 0x200), (0x12800, 0x80), (0x20000, 0x1000))


@st.composite
def histories(draw: st.DrawFn) -> list[Call]:
    """Draw mappings of two devices, writes of the CPU where nothing is mapped, and an access."""
    calls = [Call(K.DRIVER_PROBE, device=d) for d in (1, 2)]
    alive: dict[int, tuple[Call, Call]] = {}
    for _ in range(draw(st.integers(0, 10))):
        place = draw(st.sampled_from(range(len(PLACES))))
        start, length = PLACES[place]
        if place in alive:
            calls.append(alive.pop(place)[1])
        elif draw(st.integers(0, 3)) == 0:
            first = draw(st.integers(0, length - 1))
            count = draw(st.integers(1, length - first))
            calls.append(Call(K.CPU_WRITE, device=1, phys_addr=start + first, length=count))
        else:
            alive[place] = mapping(draw, start, length)
            calls.append(alive[place][0])
    start, length = draw(st.sampled_from(PLACES))
    first = draw(st.integers(0, length - 1))
    calls.append(Call(
        draw(st.sampled_from([K.DEV_READ, K.DEV_WRITE, K.DEV_ACCESS])),
        device=draw(st.sampled_from([1, 2])), bus_addr=start + first,
        length=draw(st.sampled_from([1, length - first, 0x100, 0x300, 0x1001, 0x1800])),
    ))  # fmt: skip
    return [replace(c, record=i, time=1000 * i) for i, c in enumerate(calls, 1)]


def mapping(draw: st.DrawFn, start: int, length: int) -> tuple[Call, Call]:
    """Draw how a place is mapped, as one range or as a list of two, and the call that ends it."""
    half = length // 2
    direction = draw(st.sampled_from([D.TO_DEVICE, D.FROM_DEVICE, D.BIDIRECTIONAL]))
    common = {"device": draw(st.sampled_from([1, 2])), "direction": direction}
    if draw(st.booleans()):
        listed = {"type": int(MapType.SG), "sg_phys": [start, start + half]}
        pieces = [(start, half), (start + half, length - half)]
        made = Call(K.DMA_MAP, bus_addr=start, phys_addr=start, length=length, sg_bus=pieces,
                    **listed, **common)  # fmt: skip
        return made, Call(K.DMA_UNMAP, **listed, **common)
    single = {"type": int(MapType.SINGLE), "bus_addr": start, "length": length, **common}
    return Call(K.DMA_MAP, phys_addr=start, **single), Call(K.DMA_UNMAP, **single)


def engine_signs(calls: list[Call], platforms: tuple[Platform, ...]) -> list[str]:
    """Return what the engine makes of the last event on each platform."""
    engine = Engine(Program(b"", ()), platforms=platforms)
    engine.feed(batch_of(calls))
    found = [n for n in engine.incidents() if n.first.record == calls[-1].record]
    return [
        SIGNS[max((n.outcomes[i].effect for n in found), default=Effect.WORKS)]
        for i in range(len(platforms))
    ]


@settings(max_examples=DEEP)
@given(histories())
def test_an_access_leads_where_its_bytes_say(calls: list[Call]) -> None:
    """After any history of mappings, engine and sets of bytes agree on one access."""
    slow = Reach(calls[:-1])
    for platform, found in zip(PLATFORMS, engine_signs(calls, PLATFORMS), strict=True):
        wanted = slow.sign(calls[-1], platform)
        assert wanted in (None, found), platform.name
