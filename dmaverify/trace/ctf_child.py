"""The process that reads a CTF trace by babeltrace2 and tells its parent, a JSON line an event.

libbabeltrace2 ends its process on some damaged metadata (an assertion in its parser), so it
works in one of its own.
"""

import json
import sys
from importlib import import_module
from typing import Any

from dmaverify.trace.ctf_events import USER_EVENTS


def main(path: str) -> None:
    """Tell all events of a trace: what is known with its fields, the rest by number.

    Args:
        path: the trace's folder.
    """
    try:
        bt2 = import_module("bt2")
    except ImportError:
        return _tell({"missing": True})
    try:
        for message in bt2.TraceCollectionMessageIterator(path):
            _take(bt2, message)
    except Exception as error:  # the bindings raise errors of their own, of many classes
        return _tell({"error": _first(error)})
    return _tell({"end": True})


def _take(bt2: Any, message: Any) -> None:
    if isinstance(message, bt2._EventMessageConst):
        name = message.event.name
        payload = message.event.payload_field
        if name not in USER_EVENTS or payload is None:
            return _tell({"other": 1})
        fields = {str(k): _plain(v) for k, v in payload.items()}
        return _tell({"name": name, "time": _time(message), "fields": fields})
    if isinstance(message, (bt2._DiscardedEventsMessageConst, bt2._DiscardedPacketsMessageConst)):
        return _tell({"lost": message.count})
    return None


def _plain(value: Any) -> int | str:
    try:
        return int(value)
    except (TypeError, ValueError):
        return str(value)[:256]


def _time(message: Any) -> int | None:
    """Return the time in ns, None where the stream has no clock, or one that begins elsewhere."""
    try:
        ns = int(message.default_clock_snapshot.ns_from_origin)
    except Exception:  # the bindings raise errors of their own where there is no clock
        return None
    return ns if 0 <= ns < 1 << 64 else None


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _tell(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
