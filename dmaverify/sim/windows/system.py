"""The calls that a Windows driver makes."""

from dmaverify.sim.faults import Injector
from dmaverify.sim.machine import Machine


class Windows:
    """The system.

    Args:
        machine: where it runs.
        injector: what decides which call fails.
    """

    def __init__(self, machine: Machine, injector: Injector) -> None:
        self.machine = machine
        self.injector = injector
