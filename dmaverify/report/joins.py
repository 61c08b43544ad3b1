"""What another source's memory belongs to: the mapping of the trace, or why there is none."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from dmaverify.model.finding import Join, Report
from dmaverify.report.base import View
from dmaverify.report.paint import Line
from dmaverify.report.safe import visible, wrap

_MOST = 500  # lines; JSON has all
_INDENT = 8


def joins(report: Report, view: View) -> Iterator[Line]:
    """Give a line for each mapping, or reason, and what lies in it; only with `-v`."""
    if not view.verbose:
        return
    texts = [text for trace in report.traces for text in _texts(trace.joins)]
    for text in texts[:_MOST]:
        first, *rest = wrap(text, view.width - _INDENT, view.width - _INDENT)
        yield [("quiet", f"joined: {first}")]
        yield from ([("quiet", " " * _INDENT + line)] for line in rest)
    if len(texts) > _MOST:
        yield [("quiet", f"joined: and {len(texts) - _MOST:,} more; JSON has all")]


def _texts(found: tuple[Join, ...]) -> Iterator[str]:
    for (what, event, why), members in groupby(found, _key):
        pieces = list(members)
        first = pieces[0]
        size = sum(piece.length for piece in pieces)
        place = f"{Path(first.source).name}:{first.line}"
        some = f"{len(pieces)} pieces, " if len(pieces) > 1 else ""
        memory = f"{visible(what)} at {first.bus_addr:#x} ({some}{size:,} bytes; {visible(place)})"
        line = first.mapping_line
        mapped = f"mapped in line {line}" if line else f"mapped by event {event}"
        yield f"{memory}: {why or mapped}"


def _key(join: Join) -> tuple[str, int | None, str]:
    return join.what, join.mapping_event, join.why
