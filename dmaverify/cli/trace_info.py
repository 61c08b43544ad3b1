"""`dmaverify trace info`: what is in a recording."""

import argparse
from collections.abc import Iterator

from dmaverify.cli.base import Command, Streams
from dmaverify.cli.options import add_events, add_logs, add_packets
from dmaverify.cli.streams import ascii_if_needed, complain
from dmaverify.errors import TraceError
from dmaverify.model.finding import Notice, TraceInfo
from dmaverify.report.json import dumps, trace_json
from dmaverify.report.safe import visible
from dmaverify.report.units import clock, span

SCHEMA = "dmaverify/trace-info/v1"
_MOST_DEVICES = 12


class TraceInfoCommand(Command):
    """Tell what is in recordings."""

    words = ("trace", "info")
    sentence = "tell what is in recordings: format, clock, devices, events by kind"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("traces", nargs="+", metavar="TRACE", help='a recording; "-" for stdin')
        parser.add_argument("--output", choices=["text", "json"], default="text", metavar="FORMAT",
                            help="text or json (text)")  # fmt: skip
        add_events(parser)
        add_logs(parser)
        add_packets(parser)

    def run(self, arguments: argparse.Namespace, streams: Streams) -> int:
        """Tell about every trace that can be read; a bad one hides no good one."""
        from dmaverify.pipeline.info import trace_info
        from dmaverify.pipeline.sources import Beside, refuse_loose

        beside = Beside(
            arguments.log, arguments.device_log, arguments.packets, arguments.clock_offset,
            arguments.log_offset, arguments.packets_offset, arguments.packets_host,
            arguments.events,
        )  # fmt: skip
        refuse_loose(len(arguments.traces), beside)
        told: list[tuple[TraceInfo, tuple[Notice, ...]]] = []
        errors: list[TraceError] = []
        for path in arguments.traces:
            try:
                told.append(trace_info(path, beside=beside))
            except TraceError as error:
                errors.append(error)
        if arguments.output == "json":
            streams.out.write(_json(told))
        else:
            blocks = ("\n".join(_lines(info, notices)) for info, notices in told)
            text = "\n\n".join(blocks)
            streams.out.write(ascii_if_needed(text, streams.out) + "\n" * bool(told))
        streams.out.flush()
        for bad in errors:
            complain(streams.err, str(bad))
        return 3 if errors else 0


def _json(told: list[tuple[TraceInfo, tuple[Notice, ...]]]) -> str:
    traces = [
        trace_json(info)
        | {"ticks": info.ticks}
        | {"notices": [{"id": n.id, "text": n.text, "count": n.count} for n in notices]}
        for info, notices in told
    ]
    body = ",\n    ".join(dumps(t) for t in traces)
    return f'{{\n  "schema": "{SCHEMA}",\n  "traces": [\n    {body}\n  ]\n}}\n'


def _lines(info: TraceInfo, notices: tuple[Notice, ...]) -> Iterator[str]:
    yield visible(info.path)
    for name, text in _facts(info):
        yield f"  {name:<8}  {visible(text)}"
    width = max(map(len, info.kinds), default=0)
    for i, (kind, number) in enumerate(sorted(info.kinds.items(), key=lambda k: (-k[1], k[0]))):
        yield f"  {'' if i else 'kinds':<8}  {visible(kind):<{width}}  {number:>12,}"
    for notice in notices:
        times = f" ({notice.count:,} times)" if notice.count > 1 else ""
        yield f"  {'note':<8}  {visible(notice.text)}{times} [{notice.id}]"


def _facts(info: TraceInfo) -> Iterator[tuple[str, str]]:
    yield "format", info.format if info.complete else f"{info.format}, cut short"
    yield "events", f"{info.events:,} ({info.skipped:,} of other kinds, {info.lost:,} lost)"
    yield "clock", _clock(info)
    if info.cpus:
        yield "CPUs", str(info.cpus)
    shown = info.devices[:_MOST_DEVICES]
    for i, device in enumerate(shown):
        yield "" if i else "devices", device
    if len(info.devices) > len(shown):
        yield "", f"and {len(info.devices) - len(shown):,} more"


def _clock(info: TraceInfo) -> str:
    name = info.clock or "unknown"
    if info.ticks:
        return f"{name} (a counter, not time)"
    if info.first_ns is None or info.last_ns is None:
        return f"{name} (no times)"
    lasted = span(info.first_ns, info.last_ns)
    return f"{name}, {clock(info.first_ns)} to {clock(info.last_ns)} ({lasted})"
