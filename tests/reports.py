"""Hand-made reports that several tests look at."""

from dmaverify.errors import TraceError
from dmaverify.model.evidence import Evidence
from dmaverify.model.finding import Finding, Notice, Range, Report, TraceInfo
from dmaverify.model.kinds import Severity

EDU = "0000:00:04.0"


def trace(path: str = "edu.txt", **values: object) -> TraceInfo:
    """Return what is in a small trace of one device."""
    plain = {
        "format": "ftrace-text",
        "events": 48,
        "lost": 0,
        "skipped": 12,
        "devices": (EDU,),
        "complete": True,
        "clock": "local",
        "cpus": 2,
        "first_ns": 2_112_694_000,
        "last_ns": 2_468_910_000,
        "kinds": {"dma_map": 24, "dma_unmap": 24},
        "checked": 48,
    }
    return TraceInfo(path=path, **{**plain, **values})


def proof(role: str, line: int, text: str, rule: str = "") -> Evidence:
    """Return one piece of evidence as ftrace prints it."""
    time_ns = 2_363_000_000 + line * 1000
    head = f"sh-95      [000] .....     2.{363_000 + line}: "
    return Evidence(role, line, line, time_ns, " " * 14 + head + text, rule)


def wrong_size(**values: object) -> Finding:
    """Return an unmap that is shorter than its mapping."""
    plain = {
        "rule": "unmap-size-mismatch",
        "cls": "unmap-size-mismatch",
        "severity": Severity.ERROR,
        "confidence": "high",
        "device": EDU,
        "trace": 0,
        "event": 25,
        "line": 25,
        "time_ns": 2_363_284_000,
        "message": "unmap of 1024 bytes at bus 0x34f8000, mapped with 2048 bytes",
        "occurrences": 3,
        "fingerprint": "0123456789abcdef",
        "evidence": (
            proof(
                "mapped",
                22,
                f"dma_map_page: {EDU} dir=FROM_DEVICE dma_addr=34f8000 size=2048 "
                "phys_addr=34f8000 attrs=",
            ),
            proof(
                "unmapped",
                25,
                f"dma_unmap_page: {EDU} dir=FROM_DEVICE dma_addr=34f8000 size=1024 attrs=",
            ),
        ),
        "equivalents": {
            "windows": ("0xE6/0x00",),
            "linux": ("device driver frees DMA memory with different size",),
        },
        "ranges": (
            Range("mapping", "mapping #2  2048 B  FROM_DEVICE", 0x34F8000, 2048),
            Range("unmap", "unmap 1024 B", 0x34F8000, 1024),
        ),
        "hint": "pass to the unmap the length that the map was given, not the length received",
        "why": "the rest of the mapping stays alive: the device keeps its window, and the "
        "translation or bounce buffer behind it is lost for good.",
        "address": Range("unmap", "unmap 1024 B", 0x34F8000, 1024),
        "last": proof("unmapped", 51, "dma_unmap_page: ..."),
    }
    return Finding(**{**plain, **values})


def past_end(**values: object) -> Finding:
    """Return a sync that runs past the end of its mapping, from a binary trace."""
    plain = {
        "rule": "sync-out-of-range",
        "cls": "sync-out-of-range",
        "device": "0000:00:05.0",
        "trace": 1,
        "event": 118,
        "line": None,
        "time_ns": 12_034_221_517,
        "message": "sync of 128 bytes ends 64 bytes past the end of its mapping",
        "occurrences": 1,
        "confidence": "low",
        "severity": Severity.WARNING,
        "evidence": (
            Evidence("mapped", 97, None, None, "dma_map: dev=0000:00:05.0 bus_addr=0xfffe1000"),
            Evidence("synced", 118, None, None, _LIST),
        ),
        "equivalents": {"windows": ("0xE6/0x0F (5)",), "linux": ()},
        "ranges": (
            Range("mapping", "mapping #12  4096 B  FROM_DEVICE", 0xFFFE1000, 4096),
            Range("sync", "sync for CPU 128 B", 0xFFFE1FC0, 128),
        ),
        "address": Range("sync", "sync for CPU 128 B", 0xFFFE1FC0, 128),
        "last": None,
    }
    return wrong_size(**{**plain, **values})


_LIST = (
    "dma_sync_sg_for_cpu: 0000:00:05.0 dir=FROM_DEVICE nents=200 dma_addrs={"
    + ",".join(hex(0x3842000 + i * 0x2000) for i in range(128))
    + "} sizes={" + ",".join(["4096"] * 128) + "}"
)  # fmt: skip

NOTICES = (
    Notice("trace-starts-in-flight",
           "unmaps whose mapping was made before the recording began", 17),
    Notice("can-not-tell", f"missing-sync-for-cpu can not tell for {EDU}: the recording has no "
           "sync of this device", 4, "missing-sync-for-cpu", EDU),
    Notice("can-not-tell", f"missing-sync-for-device can not tell for {EDU}: the recording has no "
           "sync of this device", 9, "missing-sync-for-device", EDU),
    Notice("can-not-tell", f"leak-at-unbind can not tell for {EDU}: the recording has no end of a "
           "driver's life", 1, "leak-at-unbind", EDU),
)  # fmt: skip


def failing() -> Report:
    """Return a report with an error, a warning of low confidence and notices."""
    traces = (trace(), trace("nvme.dat", format="trace-dat", devices=("0000:00:05.0",)))
    return Report(traces, (wrong_size(), past_end()), NOTICES, checked=96)


def passing() -> Report:
    """Return a report without findings and notices."""
    return Report((trace(),), (), (), checked=48)


def unchecked() -> Report:
    """Return a report of a trace that no rule says anything about."""
    return Report((trace(events=3, checked=0),), (), (), checked=0)


def unreadable() -> Report:
    """Return a report of a trace that could not be read, beside one that passes."""
    error = TraceError("bad.dat", 17, "not a recording")
    return Report((trace(),), (), (), checked=48, errors=(error,))
