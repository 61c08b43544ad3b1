"""Short ways to ask what platforms make of events."""

from dmaverify.core.engine import Engine
from dmaverify.model.effect import Cause, Incident
from dmaverify.model.kinds import EventKind, MemoryKind
from dmaverify.model.platform import Effect, Platform
from dmaverify.model.program import Program
from dmaverify.pipeline.platforms import built_in
from tests.oracle.nouns import Call
from tests.property.events import batch_of
from tests.unit.core.calls import call, dma_map, life, numbered

K, E = EventKind, Effect
NOTHING = Program(b"", ())
PLATFORMS = {p.name: p for p in built_in()}
SIGNS = {
    E.WORKS: ".", E.CANNOT_TELL: "?", E.WORKS_BY_LUCK: "~", E.REFUSED: "R", E.BREAKS: "X",
}  # fmt: skip
BOUND = life(K.DRIVER_PROBE)


def incidents(calls: list[Call], *platforms: Platform) -> list[Incident]:
    """Return what some platforms make of events."""
    engine = Engine(NOTHING, platforms=platforms)
    engine.feed(batch_of(numbered(calls)))
    engine.finish()
    return engine.incidents()


def row(calls: list[Call]) -> str:
    """Return a sign for each platform.

    They are flat, driver-verifier, iommu, iommu-lazy, bus-offset, non-coherent, mask-32,
    confidential-vm and nested.
    """
    chosen = [p for p in PLATFORMS.values() if not p.recorded]
    found = incidents(calls, *chosen)
    worst = [
        max((n.outcomes[i].effect for n in found), default=E.WORKS) for i in range(len(chosen))
    ]
    return "".join(SIGNS[e] for e in worst)


def one(calls: list[Call], platform: str | Platform) -> Incident:
    """Return the only incident on a platform."""
    chosen = PLATFORMS[platform] if isinstance(platform, str) else platform
    (found,) = incidents(calls, chosen)
    return found


def cause(calls: list[Call], platform: str | Platform) -> tuple[Effect, Cause, int]:
    """Return effect, cause and stage of the only incident on a platform."""
    (outcome,) = one(calls, platform).outcomes
    return outcome.effect, outcome.cause, outcome.stage


def writes(bus: int = 0x1000, length: int = 0x1000, **values: object) -> Call:
    """Return a device's write."""
    return call(K.DEV_WRITE, bus, length=length, **values)


def reads(bus: int = 0x1000, length: int = 0x1000, **values: object) -> Call:
    """Return a device's read."""
    return call(K.DEV_READ, bus, length=length, direction=1, **values)


def memory(phys: int, length: int = 0x1000, kind: MemoryKind = MemoryKind.PAGES) -> Call:
    """Return a region that came into use."""
    return Call(K.MEMORY, device=1, phys_addr=phys, length=length, object=int(kind))


def cpu(kind: EventKind, phys: int, length: int = 0x1000) -> Call:
    """Return an access of the CPU."""
    return Call(kind, device=1, phys_addr=phys, length=length)


MAPPED = dma_map(phys_addr=0x91000)
READABLE = dma_map(phys_addr=0x91000, direction=1)
