"""Adapters on a wire, each with its driver bound."""

from collections.abc import Iterator
from contextlib import contextmanager

from dmaverify.sim.hca.family import HARDWARE, Family
from dmaverify.sim.hca.hca import Hca
from dmaverify.sim.hca.verbs import Verbs, hardware
from dmaverify.sim.run import Simulation

FIRST, SECOND = "0000:00:04.0", "0000:00:05.0"


def join(a: Hca, b: Hca) -> None:
    """Connect two ports by a wire; a port that is connected to itself loops back."""
    a.peer, b.peer = b, a


@contextmanager
def pair(sim: Simulation, family: Family = HARDWARE,
         windows: bool = False) -> Iterator[tuple[Verbs, Verbs]]:  # fmt: skip
    """Give the drivers of two HCAs that a wire joins, and unbind them at the end.

    A driver that crashes is never unbound.
    """
    a, b = (Verbs(sim, hardware(sim, name, family), windows) for name in (FIRST, SECOND))
    join(a.hardware, b.hardware)
    a.begin()
    b.begin()
    yield a, b
    b.end()
    a.end()


@contextmanager
def loopback(sim: Simulation, family: Family = HARDWARE) -> Iterator[Verbs]:
    """Give the driver of one HCA whose port leads back to itself, and unbind it at the end."""
    verbs = Verbs(sim, hardware(sim, FIRST, family))
    join(verbs.hardware, verbs.hardware)
    verbs.begin()
    yield verbs
    verbs.end()
