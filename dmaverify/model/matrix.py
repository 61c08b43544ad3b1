"""The matrix: what each platform makes of a recording, ready to be shown."""

from dataclasses import dataclass

from dmaverify.model.evidence import Evidence
from dmaverify.model.platform import Effect


@dataclass(frozen=True, slots=True)
class PredictedFault:
    """A fault that a platform's IOMMU raises.

    Args:
        cls: the class of the mistake.
        device: its name.
        direction: "read", "write" or "unknown": what the device does to memory.
        ordinal: how many accesses the device had made by then, this one included.
        address: where the device reaches, bus space of the recording.
        event, line, time_ns, source: the access in the recording; see `Evidence`.
        stage: 1 or 2: the translation that fails.
        why: what is the matter, a phrase.
    """

    cls: str
    device: str
    direction: str
    ordinal: int
    address: int
    event: int
    line: int | None
    time_ns: int | None
    stage: int
    why: str
    source: str = ""

    @property
    def page_offset(self) -> int:
        """Return the offset of the address in its page of 4 KiB."""
        return self.address & 0xFFF


@dataclass(frozen=True, slots=True)
class BypassCost:
    """What it would take to make memory that CPU and device use at once correct.

    Args:
        device: its name.
        mappings, mapped_bytes: how much memory is used so.
        operations: accesses of the device in it; 0 where the recording has none.
        flushes_per_operation: cache lines to write back or invalidate, on average; for 0
            operations the most that one could need.
        bytes_per_operation: bytes that an operation moves, on average; likewise.
    """

    device: str
    mappings: int
    mapped_bytes: int
    operations: int
    flushes_per_operation: float
    bytes_per_operation: float


@dataclass(frozen=True, slots=True)
class PlatformResult:
    """One row of the matrix. `effect`, `event`, `why` and `missing` as in the JSON report.

    Args:
        name, title: of the platform.
        effect: what it makes of the recording.
        event, line, time_ns, source: the deciding event, None where none decides; see `Evidence`.
        trace: index of the trace that comes to this.
        device: the device of that event, "" where none decides.
        cls: the class of the mistake behind it, "" for none.
        why: a sentence: `deed`, what happens, and `cause`, what the platform makes of it ("" and
            "" where no event decides).
        missing: what the recording lacks to tell, a sentence each, with how to record it.
        evidence: the lines that prove it.
        faults: the faults that its IOMMU would raise, in order.
        bytes, length: how many bytes of how many are the worse for the deciding event.
        breaks, lucky, unclear: accesses and calls that break, work by luck, or can not be told.
        costs: what bypassing the kernel would take where caches do not see the device.
    """

    name: str
    title: str
    effect: Effect
    event: int | None
    line: int | None
    time_ns: int | None
    device: str
    cls: str
    why: str
    missing: tuple[str, ...]
    deed: str = ""
    cause: str = ""
    evidence: tuple[Evidence, ...] = ()
    faults: tuple[PredictedFault, ...] = ()
    bytes: int = 0
    length: int = 0
    breaks: int = 0
    lucky: int = 0
    unclear: int = 0
    costs: tuple[BypassCost, ...] = ()
    source: str = ""
    trace: int = 0
