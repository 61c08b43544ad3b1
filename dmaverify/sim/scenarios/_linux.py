"""What the Linux scenarios share: how a driver's life begins and ends."""

from collections.abc import Iterator
from contextlib import contextmanager

from dmaverify.sim.device import Device
from dmaverify.sim.run import Simulation

SIZE = 2048
DATA = bytes(range(256)) * 8


@contextmanager
def driver(sim: Simulation, name: str = "0000:00:04.0") -> Iterator[Device]:
    """Bind a driver to a device, and unbind it at the end."""
    dev = sim.device(name)
    sim.linux.probe(dev)
    yield dev
    sim.linux.remove(dev)  # a driver that crashes is never unbound
