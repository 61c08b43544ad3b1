"""DMA adapters: what a driver holds, how much of it, and what it did.

The counters and the listing are those of the kernel debugger's `!dma`; the history of calls
is what that does not have.
Source: Windows driver documentation, "!dma".
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dmaverify.sim.common import CommonBuffer
from dmaverify.sim.device import Device
from dmaverify.sim.window import Window
from dmaverify.sim.windows.mdl import MDL
from dmaverify.sim.windows.names import DEVICE_DESCRIPTION

HISTORY = 10_000  # calls of an adapter that are remembered


@dataclass(slots=True, eq=False)
class Mapping:
    """One MapTransfer, or one list, that has not been flushed.

    Args:
        mdl: the chain.
        offset, length: the part of it, bytes.
        write: whether the device reads.
        window: where the device sees it.
        site: the driver's line that made it.
    """

    mdl: MDL
    offset: int
    length: int
    write: bool
    window: Window
    site: str


@dataclass(slots=True, eq=False)
class RegisterFile:
    """Map registers of one allocation: what MapRegisterBase stands for.

    Args:
        number: its number in the run, from 1.
        count: map registers.
        mappings: what is mapped through it.
        held: whether it has its map registers: not before they are granted, not once freed.
        granted: whether it was given them.
        channel: True while the adapter's channel is held with it, or waited for.
        listed: whether it is that of a scatter/gather list, which has no channel.
        cancelled: whether its request was taken back before it was granted.
        owner: the adapter whose map registers they are, once it has them.
        first: the first of them; they follow each other.
    """

    number: int
    count: int
    mappings: list[Mapping] = field(default_factory=list)
    held: bool = False
    granted: bool = False
    channel: bool = True
    listed: bool = False
    cancelled: bool = False
    owner: "DMA_ADAPTER | None" = None
    first: int = 0


class Call(NamedTuple):
    """One call in an adapter's history.

    Attributes:
        time_ns: virtual time.
        irql: the level at which it was made.
        routine: its name.
        site: the driver's line.
        arguments: those that tell the call from others, in the order of the routine.
    """

    time_ns: int
    irql: int
    routine: str
    site: str
    arguments: tuple[int, ...]


@dataclass(slots=True)
class Count:
    """How often something was allocated and freed."""

    allocated: int = 0
    freed: int = 0


@dataclass(slots=True, eq=False)
class DMA_ADAPTER:
    """An adapter.

    Args:
        number: its number in the run, from 1.
        device: what it is for.
        description: what the driver said of the device.
        registers: the most map registers that one transfer may use.
        DmaOperations: the table of its version.
        site: the driver's line that got it.
    """

    number: int
    device: Device
    description: DEVICE_DESCRIPTION
    registers: int
    DmaOperations: Any
    site: str
    Version: int = 1  # always: it does not tell which table this is
    live: bool = True
    files: list[RegisterFile] = field(default_factory=list)
    latest: RegisterFile | None = None  # the one whose channel was granted last
    buffers: dict[int, CommonBuffer] = field(default_factory=dict)  # logical address -> buffer
    # who waits for map registers, and for how many
    waiting: deque[tuple[int, Callable[[], int]]] = field(default_factory=deque)
    counts: dict[str, Count] = field(default_factory=lambda: {
        "map registers": Count(), "scatter/gather lists": Count(), "common buffers": Count(),
        "adapter channels": Count(),
    })  # fmt: skip
    held: int = 0  # map registers
    mapped_since_flush: int = 0
    # each as the fields of a Call, which is made when somebody looks
    history: deque[tuple[int, int, str, str, tuple[int, ...]]] = field(
        default_factory=lambda: deque(maxlen=HISTORY)
    )

    def place(self, count: int) -> int:
        """Return the first of so many map registers that follow each other, -1 for none."""
        at = 0
        for file in sorted(self.files, key=lambda f: f.first):
            if file.first - at >= count:
                return at
            at = max(at, file.first + file.count)
        return at if self.registers - at >= count else -1

    def longest_run(self) -> int:
        """Return how many free map registers follow each other at most."""
        at = longest = 0
        for file in sorted(self.files, key=lambda f: f.first):
            longest = max(longest, file.first - at)
            at = max(at, file.first + file.count)
        return max(longest, self.registers - at)

    def listing(self) -> str:
        """Return what `!dma` shows of it, and its history."""
        held = [f for f in self.files if f.held]
        mapped = sum(len(f.mappings) for f in held)
        lines = [
            f"adapter {self.number} of {self.device.name}, got at {self.site or '?'}"
            f"{'' if self.live else ', put'}",
            f"  map registers: {mapped} mapped, {self.held} allocated, {self.registers} max",
        ]
        lines += [f"  {name}: {c.allocated} allocated, {c.freed} freed"
                  for name, c in self.counts.items()]  # fmt: skip
        lines.append(f"  bytes mapped since last flush: {self.mapped_since_flush}")
        for file in held:
            lines.append(f"  map register file {file.number}: {len(file.mappings)}/{file.count}")
            lines += [
                f"    {m.length} bytes at {m.window.bus:#x}, "
                f"{'to' if m.write else 'from'} device, {m.site}"
                for m in file.mappings
            ]
        lines += [
            f"  common buffer: {b.length} bytes, virtual {b.virt:#x}, logical {b.bus:#x}"
            for b in self.buffers.values()
        ]
        for call in map(Call._make, self.history):
            given = ", ".join(f"{a:#x}" for a in call.arguments)
            lines.append(f"  {call.time_ns} irql {call.irql} {call.routine}({given}) {call.site}")
        return "\n".join(lines)
