"""What the collector has to know of the trace that the hits come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dmaverify.model.hit import Witness


@dataclass(frozen=True, slots=True)
class TraceContext:
    """One trace, seen by what findings need of it.

    Args:
        index: its place in the report's list of traces, from 0.
        devices: device names by number; number 0 is "" (no device).
        ticks: True where the clock's values are not nanoseconds.
        text_of: gives the source line of a witness, or its canonical `.dmat` line.
        source_of: gives the file of a witness, "" where it is the trace.
        task_of: gives the name of the task that logged a witness, "" where unknown.
    """

    index: int
    devices: Sequence[str]
    ticks: bool
    text_of: Callable[[Witness], str]
    task_of: Callable[[Witness], str]
    source_of: Callable[[Witness], str] = lambda _: ""

    def device_name(self, number: int) -> str:
        """Return the name of a device, "" where the event names none."""
        return self.devices[number] if 0 < number < len(self.devices) else ""
