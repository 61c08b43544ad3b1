"""Virtual time: a run takes as long as what it does, on every machine alike."""

from dmaverify.sim.stop import Stopped

#: What things cost, in nanoseconds; only their order matters.
CALL_NS = 200
ACCESS_NS = 100
START_NS = 1_000_000_000  # a run begins one second after boot


class Clock:
    """Nanoseconds since boot.

    Args:
        limit_ns: how long a run may take.
    """

    __slots__ = ("limit_ns", "now_ns")

    def __init__(self, limit_ns: int) -> None:
        self.now_ns = START_NS
        self.limit_ns = START_NS + limit_ns

    def advance(self, duration_ns: int) -> None:
        """Let time pass.

        Raises:
            Stopped: the run has taken longer than it may.
        """
        self.now_ns += duration_ns
        if self.now_ns > self.limit_ns:
            seconds = (self.limit_ns - START_NS) / 1e9
            raise Stopped(f"the driver ran for more than {seconds:g} s of virtual time")
