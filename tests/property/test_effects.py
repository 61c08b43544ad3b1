"""What a platform makes of bytes: the engine against two copies of each byte."""

import os
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dmaverify.core.engine import Engine
from dmaverify.model.kinds import Direction, EventKind
from dmaverify.model.platform import Effect, Platform
from dmaverify.model.program import Program
from dmaverify.pipeline.platforms import choose
from tests.oracle.nouns import Call
from tests.oracle.platforms import Machine
from tests.property.events import batch_of

K, D = EventKind, Direction
PLATFORMS = choose(["driver-verifier", "confidential-vm", "non-coherent", "flat", "iommu"])
DEEP = int(os.environ.get("DMAVERIFY_DEEP", "300"))
#: Where three mappings lie: bus and physical address, bytes. No two share a cache line.
PLACES = ((0x1000, 0x91000, 200), (0x3000, 0x93000, 64), (0x5040, 0x95040, 130))


@st.composite
def traces(draw: st.DrawFn) -> list[Call]:
    """Draw accesses and syncs of up to three mappings of one device."""
    calls: list[Call] = []
    alive: dict[int, int] = {}
    for _ in range(draw(st.integers(1, 14))):
        place = draw(st.sampled_from(range(len(PLACES))))
        bus, phys, length = PLACES[place]
        common = {"device": 1, "type": 1}
        if place not in alive:
            if draw(st.booleans()):
                calls.append(part(draw, K.CPU_WRITE, place, phys=True))
            alive[place] = draw(st.sampled_from([D.TO_DEVICE, D.FROM_DEVICE, D.BIDIRECTIONAL]))
            calls.append(
                Call(K.DMA_MAP, bus_addr=bus, phys_addr=phys, length=length,
                     direction=alive[place], **common)
            )  # fmt: skip
            continue
        kinds = [K.CPU_READ, K.CPU_WRITE, K.DMA_SYNC_FOR_CPU, K.DMA_SYNC_FOR_DEVICE, K.DMA_UNMAP]
        kinds += [K.DEV_READ] * (alive[place] != D.FROM_DEVICE)
        kinds += [K.DEV_WRITE] * (alive[place] != D.TO_DEVICE)
        kind = draw(st.sampled_from(kinds))
        if kind == K.DMA_UNMAP:
            calls.append(
                Call(kind, bus_addr=bus, length=length, direction=alive.pop(place), **common)
            )
            continue
        calls.append(part(draw, kind, place, phys=kind in (K.CPU_READ, K.CPU_WRITE),
                          direction=alive[place]))  # fmt: skip
    return [replace(c, record=i, time=1000 * i) for i, c in enumerate(calls, 1)]


def part(
    draw: st.DrawFn, kind: EventKind, place: int, *, phys: bool, direction: int | None = None
) -> Call:
    """Draw an event about some bytes of a mapping."""
    bus, memory, length = PLACES[place]
    first = draw(st.integers(0, length - 1))
    count = draw(st.integers(1, length - first))
    where = {"phys_addr": memory + first} if phys else {"bus_addr": bus + first}
    return Call(kind, device=1, type=1, length=count, direction=direction, **where)


def engine_breaks(calls: list[Call], platforms: tuple[Platform, ...]) -> list[int | None]:
    """Return the first event that breaks on each platform."""
    engine = Engine(Program(b"", ()), platforms=platforms)
    engine.feed(batch_of(calls))
    engine.finish()
    found = engine.incidents()
    return [
        min((n.first.record for n in found if n.outcomes[i].effect == Effect.BREAKS), default=None)
        for i in range(len(platforms))
    ]


@settings(max_examples=DEEP)
@given(traces())
def test_the_first_break_is_where_two_copies_differ(calls: list[Call]) -> None:
    """Engine and two copies of each byte agree on the first event at which a platform breaks."""
    for platform, found in zip(PLATFORMS, engine_breaks(calls, PLATFORMS), strict=True):
        assert Machine(platform).first_break(calls) == found, platform.name


@settings(max_examples=DEEP)
@given(traces())
def test_the_platforms_of_a_run_do_not_matter_to_each_other(calls: list[Call]) -> None:
    """A platform comes to the same alone and among others."""
    together = engine_breaks(calls, PLATFORMS)

    assert together == [engine_breaks(calls, (p,))[0] for p in PLATFORMS]
