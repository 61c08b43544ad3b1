"""Numbers for people: counts, spans of time, addresses, plural words."""

from dmaverify.model.kinds import Severity

SEVERITY_NAMES = {s: s.name.lower() for s in Severity}


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it takes one."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def span(start_ns: int | None, end_ns: int | None) -> str:
    """Return how long a recording lasted, "" where it has no time."""
    if start_ns is None or end_ns is None or end_ns < start_ns:
        return ""
    seconds = (end_ns - start_ns) / 1e9
    if seconds >= 120:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    if seconds >= 0.1:
        return f"{seconds:.1f} s"
    if seconds >= 1e-6:
        return f"{seconds * 1e3:.3g} ms"
    return f"{end_ns - start_ns} ns"


def clock(time_ns: int) -> str:
    """Return a moment of the trace clock in seconds, to the digit that the clock has."""
    digits = f"{time_ns % 1_000_000_000:09d}"
    return f"{time_ns // 1_000_000_000}.{digits if time_ns % 1000 else digits[:6]}"
