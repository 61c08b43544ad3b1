"""Read a kernel log: what the kernel's DMA checker said, and the faults of the IOMMU.

Messages are those of kernel/dma/debug.c of the Linux sources, in the order of today
(`DMA-API: driver device: text`) and of kernels before 5.0 (`driver device: DMA-API: text`).
Faults are those of drivers/iommu; `trace.faults` has their forms. A log has its own clock,
which lags that of the trace by a constant that nobody wrote down.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime

from dmaverify.trace.faults import Fault, FaultReader
from dmaverify.trace.lines import Lines

KEPT = 65536  # verdicts, and faults, of one log that are kept; more are counted


@dataclass(frozen=True, slots=True)
class KernelVerdict:
    """One complaint of the kernel's DMA checker.

    Args:
        cls: our class for it, "" where we have none.
        device: name of the device, "" where the kernel knew none.
        text: the line.
        line: 1-based line of the log.
        time_s: time stamp in seconds, or None.
    """

    cls: str
    device: str
    text: str
    line: int
    time_s: float | None


@dataclass(slots=True)
class KernelLog:
    """What a kernel log says.

    Attributes:
        path: as the user named it.
        debugging_enabled: True where the kernel's checker was on to the end.
        disabled: the line that says that the checker was off or gave up, "" where none does.
        iommu: "strict" or "lazy" where the log says how translations are invalidated, or "".
        verdicts: complaints of the kernel's checker, in order.
        faults: faults of the IOMMU, in order.
        lost: lines that say that others were suppressed or lost.
        left_out: verdicts and faults beyond what is kept.
        lines: lines in all.
        cut_short: True where the compressed data ends early.
    """

    path: str
    debugging_enabled: bool = False
    disabled: str = ""
    iommu: str = ""
    verdicts: list[KernelVerdict] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    left_out: int = 0
    lines: int = 0
    cut_short: bool = False


#: What a line may have before its message: level, time stamp, name of the logger.
_PREFIX = re.compile(
    r"""\s*(?:<\d{1,3}>)?\s*
    (?:(?P<iso>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)\s+
       |[A-Z][a-z]{2}\s+\d{1,2}\s\d\d:\d\d:\d\d(?:\.\d{1,9})?\s+)?
    (?:[\w.-]{1,255}\s+)?
    (?:kernel(?:\[\d{1,9}\])?:\s*)?
    (?:<\d{1,3}>)?\s*
    (?:\[\s*(?P<stamp>\d{1,12}\.\d{1,9})\](?:\s*\[\s*[TC]\d{1,10}\])?\s*)?""",
    re.VERBOSE,
)

#: Parts of the kernel's messages, and our classes for them; the first that fits counts.
CLASSES = (
    ("tries to free an invalid DMA memory address", "failed-mapping-used"),
    ("tries to free DMA memory it has not allocated", "unmap-of-unmapped"),
    ("frees DMA memory with different size", "unmap-size-mismatch"),
    ("frees DMA memory with wrong function", "unmap-type-mismatch"),
    ("frees DMA memory with different CPU address", "free-cpu-address-mismatch"),
    ("frees DMA sg list with different entry count", "sg-entry-count-mismatch"),
    ("frees DMA memory with different direction", "unmap-direction-mismatch"),
    ("failed to check map error", "mapping-error-not-checked"),
    ("tries to sync DMA memory it has not allocated", "sync-of-unmapped"),
    ("syncs DMA memory outside allocated range", "sync-out-of-range"),
    ("syncs DMA memory with different direction", "sync-direction-mismatch"),
    ("syncs device read-only DMA memory for cpu", "sync-direction-mismatch"),
    ("syncs device write-only DMA memory to device", "sync-direction-mismatch"),
    ("syncs DMA sg list with different entry count", "sg-entry-count-mismatch"),
    ("maps memory from", "illegal-memory"),
    ("mapping sg segment longer than device claims to support", "sg-segment-too-long"),
    ("mapping sg segment across boundary", "sg-boundary-crossed"),
    ("overlapping mappings aren't supported", "overlapping-mappings"),
    ("overlapping mappings of cacheline", "overlapping-mappings"),
    ("cpu touching an active dma mapped cacheline", "cpu-access-while-device-owns"),
    ("dma_map_resource called for RAM address", "illegal-memory"),
    ("has pending DMA allocations while released from device", "leak-at-unbind"),
)

#: The like, from outside the checker: kernel/dma/mapping.c, kernel/dma/swiotlb.c.
WARNINGS = (
    ("rejecting DMA map of vmalloc memory", "illegal-memory"),
    ("Buffer overflow detected. Allocation size: ", "sync-out-of-range"),
    ("overflow (mask ", "address-beyond-mask"),
)

_DEBUG = re.compile(r"(?P<before>(?:\S{1,64} \S{1,64}: )?)DMA-API: (?P<rest>.*)")
_OWNER = re.compile(r"(?P<driver>\S{1,64}) (?P<device>\S{1,64}?): (?P<text>.*)")
_BEFORE = re.compile(r"(?P<driver>\S{1,64}) (?P<device>\S{1,64}): [^:]{0,64}$")
_OFF = re.compile(
    r"debugging disabled|debugging out of memory|dma-debug disabled|out of memory error - disabled"
)
_SUPPRESSED = re.compile(r"\d+ callbacks suppressed|AMD-Vi: callbacks suppressed|events lost", re.I)
_INVALIDATION = re.compile(
    r"iommu: DMA domain TLB invalidation policy: (?P<policy>lazy|strict) mode"
    r"|disable batched IOTLB flush"
    r"|DMA domain TLB invalidation policy: (?P<old>lazy|strict)"
)
#: Where one message follows another that has no line end, the second prefix tells.
_GLUED = re.compile(r"(?<=\S)(?=(?:<\d>)?\[\s*\d{1,12}\.\d{6}\] )")


def read_kernel_log(path: str) -> KernelLog:
    """Read a kernel log.

    Args:
        path: a file of `dmesg`, `journalctl` or syslog, compressed or not; "-" for stdin.

    Raises:
        TraceError: the file can not be read.
    """
    log = KernelLog(path)
    lines = Lines(path)
    faults = FaultReader()
    for number, whole in enumerate(lines, 1):
        log.lines = number
        for text in _GLUED.split(whole) if "] " in whole[1:] else (whole,):
            _take(log, faults, text, number)
    for fault in faults.finish():
        _keep(log, fault)
    log.cut_short = lines.cut_short
    log.debugging_enabled = log.debugging_enabled and not log.disabled
    return log


def _take(log: KernelLog, faults: FaultReader, text: str, number: int) -> None:
    prefix = _PREFIX.match(text)
    time = _seconds(prefix) if prefix else None
    if _SUPPRESSED.search(text) and len(log.lost) < KEPT:
        log.lost.append(text.strip())
    debug = _DEBUG.search(text) if "DMA-API: " in text else None
    if debug:
        _debug_line(log, debug, text, number, time)
        return
    policy = _INVALIDATION.search(text) if "IOTLB" in text or "invalidation" in text else None
    if policy:
        log.iommu = policy["policy"] or policy["old"] or "strict"
    for part, cls in WARNINGS:
        if part in text:
            owner = _BEFORE.search(text[: text.index(part)])
            _keep(log, KernelVerdict(cls, _device(owner), text.strip(), number, time))
    for fault in faults.take(text, number, time):
        _keep(log, fault)


def _keep(log: KernelLog, found: Fault | KernelVerdict) -> None:
    held: list[Fault] | list[KernelVerdict]
    held = log.faults if isinstance(found, Fault) else log.verdicts
    if len(held) >= KEPT:
        log.left_out += 1
    elif isinstance(found, Fault):
        log.faults.append(found)
    else:
        log.verdicts.append(found)


def _seconds(prefix: re.Match[str]) -> float | None:
    if prefix["stamp"]:
        return float(prefix["stamp"])
    if prefix["iso"]:
        try:
            return datetime.fromisoformat(prefix["iso"].replace(",", ".")).timestamp()
        except (ValueError, OverflowError):
            return None
    return None


def _debug_line(
    log: KernelLog, debug: re.Match[str], text: str, number: int, time: float | None
) -> None:
    rest = debug["rest"]
    if rest.startswith("debugging enabled by kernel config"):
        log.debugging_enabled = True
    elif _OFF.search(rest):
        log.disabled = text.strip()
    else:
        cls = next((cls for part, cls in CLASSES if part in rest), "")
        owner = _OWNER.match(debug["before"] + "x" if debug["before"] else rest)
        if cls:
            _keep(log, KernelVerdict(cls, _device(owner), text.strip(), number, time))


def _device(owner: re.Match[str] | None) -> str:
    if owner is None or owner["device"] == "NULL":
        return ""
    return owner["device"]
