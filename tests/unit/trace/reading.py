"""Helpers: read a trace whole, and print one list of events in every layout."""

from pathlib import Path

from dmaverify.model.events import Event
from dmaverify.trace import open_trace
from dmaverify.trace.base import Reader

FIXTURES = Path(__file__).parents[3] / "fixtures" / "text"

#: Columns before the event's name, by layout; `{0}` is the moment in microseconds.
LAYOUTS = {
    "tracefs": "           iogen-181     [001] d..1.     8.{0:06d}: ",
    "four-flags": "           iogen-181     [001] d..1     8.{0:06d}: ",
    "tgid": "           iogen-181     (    180) [001] d..1.     8.{0:06d}: ",
    "no-tgid-known": "           iogen-181     (-------) [001] d..1.     8.{0:06d}: ",
    "noirq": "           iogen-181     [001]      8.{0:06d}: ",
    "latency": "   iogen-181       1d..1. 8{0:06d}us+: ",
    "latency-blank": "   iogen-181       1d..1. 8{0:06d}us : ",
    "report": "           iogen-181   [001]     8.{0:06d}: ",
    "report-flags": "           iogen-181   [001] d..1.     8.{0:06d}: ",
    "report-l": "   iogen-181     1d..1.     8.{0:06d}: ",
    "report-t": "           iogen-181   [001]     8.{0:06d}000: ",
    "report-ts-diff": "           iogen-181   [001]     8.{0:06d}: (+28)    ",
    "report-instance": "foo:            iogen-181   [001]     8.{0:06d}: ",
    "report-top-instance": "                iogen-181   [001]     8.{0:06d}: ",
    "stripped": "iogen-181 [001] d..1. 8.{0:06d}: ",
    "perf": "           iogen   181 [001]     8.{0:06d}:               SYSTEM:",
    "perf-tid": "           iogen   180/181   [001]     8.{0:06d}000:               SYSTEM:",
    "perf-stacks": "iogen   181 [001]     8.{0:06d}: SYSTEM:",
    "perf-period": "           iogen   181 [001]     8.{0:06d}:          1 SYSTEM:",
    "integer-clock": "           iogen-181     [001] d..1.   8{0:06d}: ",
    "bare": "",
}


def read(path: Path) -> tuple[Reader, list[Event]]:
    """Return the reader, at its end, and all events of a trace."""
    reader = open_trace(str(path))
    events = [batch[i] for batch in reader.batches() for i in range(len(batch))]
    return reader, events


def read_text(folder: Path, text: str | bytes) -> tuple[Reader, list[Event]]:
    """Return what `read` does of a trace with this text."""
    path = folder / "trace"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path)


def lines_in(layout: str, events: list[str]) -> str:
    """Return `SYSTEM:name: body` events in a layout, one each microsecond."""
    out = ["# tracer: nop\n"] if layout == "bare" else []
    for i, event in enumerate(events):
        system, rest = event.split(":", 1)
        head = LAYOUTS[layout].format(i)
        name, body = rest.split(": ", 1)
        if layout.startswith("report"):
            rest = f"{name + ':':<20}  {body}"
        out.append(f"{head.replace('SYSTEM', system)}{rest}\n")
    return "".join(out)


def dma_line(body: str, name: str = "dma_map_page", comm: str = "iogen", at: int = 0) -> str:
    """Return one tracefs line."""
    return f"{comm:>16}-181     [001] .....     8.{at:06d}: {name}: {body}\n"


MAP = "0000:00:06.0 dir=TO_DEVICE dma_addr=ffe8a000 size=512 phys_addr=5fed5000 attrs="
