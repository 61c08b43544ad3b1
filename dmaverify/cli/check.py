"""`dmaverify check`: the main thing."""

import argparse
import os
from contextlib import ExitStack

from dmaverify.cli.base import Command, Streams
from dmaverify.cli.colour import wants_colour
from dmaverify.cli.options import add_colour, add_events, add_logs, add_output, add_packets
from dmaverify.cli.outputs import Output, Target, parse_outputs
from dmaverify.cli.progress import progress, wants_bar
from dmaverify.cli.streams import complain, show, speaks_unicode, width
from dmaverify.findings.verdict import exit_code
from dmaverify.model.finding import AS_RECORDED, Report
from dmaverify.model.kinds import Severity
from dmaverify.model.platform import Platform
from dmaverify.report import FORMATS, Reporter, View

LEVELS = {"error": Severity.ERROR, "warning": Severity.WARNING, "note": Severity.NOTE}
_FILE_WIDTH = 120


class Check(Command):
    """Check recordings."""

    words = ("check",)
    sentence = "replay recordings, apply the rules and report mistakes"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        formats = "\n".join(f"  {r.name:<8} {r.sentence}" for r in FORMATS)
        parser.epilog = f"formats:\n{formats}"
        parser.add_argument("traces", nargs="+", metavar="TRACE", help='a recording; "-" for stdin')
        what = parser.add_argument_group("what is checked")
        what.add_argument(
            "-r",
            "--rules",
            action="append",
            default=[],
            metavar="RULES",
            help="a rule file to use beside the built-in rules (repeatable)",
        )
        what.add_argument(
            "--profile",
            default="",
            metavar="NAME",
            help="which built-in rules are used and how grave they are: default, verifier, or a "
            "TOML file (default)",
        )
        what.add_argument(
            "--select",
            action="append",
            default=[],
            type=_ids,
            metavar="IDS",
            help="use only these rules: ids with commas between (repeatable)",
        )
        what.add_argument(
            "--ignore",
            action="append",
            default=[],
            type=_ids,
            metavar="IDS",
            help="leave these rules out (repeatable)",
        )
        what.add_argument(
            "--strict-trace",
            action="store_true",
            help="a recording that is cut short is an error (exit code 3)",
        )
        what.add_argument(
            "--platform",
            default=AS_RECORDED,
            metavar="NAME",
            help="a platform to work out too, a TOML file that describes one, or all; breaking "
            f"on a platform that is named fails ({AS_RECORDED})",
        )
        add_events(what)
        add_logs(parser)
        add_packets(parser)
        verdict = parser.add_argument_group("what fails")
        verdict.add_argument(
            "--fail-on",
            choices=[*LEVELS, "never"],
            default="error",
            metavar="LEVEL",
            help="least level that fails: error, warning, note or never (error)",
        )
        verdict.add_argument(
            "--exit-zero", action="store_true", help="exit with 0 where findings would make it 1"
        )
        shown = parser.add_argument_group("what is shown")
        add_output(shown, "report")
        shown.add_argument(
            "--show",
            choices=list(LEVELS),
            default="note",
            metavar="LEVEL",
            help="least level that is displayed; what fails always is (note)",
        )
        shown.add_argument(
            "--max-findings",
            type=_number,
            default=20,
            metavar="N",
            help="findings of one rule that are displayed, 0 for all (20)",
        )
        add_colour(shown)
        shown.add_argument(
            "-q",
            "--quiet",
            action="count",
            default=0,
            help="only findings; -qq for the exit code alone",
        )
        shown.add_argument("-v", "--verbose", action="store_true",
                           help="evidence and notices in full")  # fmt: skip

    def run(self, arguments: argparse.Namespace, streams: Streams) -> int:
        """Check, write every output, and return the exit code."""
        outputs = parse_outputs(arguments.output, FORMATS)
        with ExitStack() as stack:
            files = [
                (o, stack.enter_context(Target(o.path))) for o in outputs if o.path is not None
            ]
            report = _check(arguments, streams)
            for output, target in files:
                target.write(output.reporter.render(report, _file_view(arguments)))
        _to_stdout([o for o in outputs if o.path is None], report, arguments, streams)
        for error in report.errors:
            complain(streams.err, str(error))
        code = exit_code(report, LEVELS.get(arguments.fail_on))
        return 0 if code == 1 and arguments.exit_zero else code


def _check(arguments: argparse.Namespace, streams: Streams) -> Report:
    from dmaverify.pipeline.check import CheckOptions, check_traces

    platforms = _platforms(arguments.platform)
    options = CheckOptions(
        rules=tuple(arguments.rules),
        profile=arguments.profile,
        select=tuple(i for ids in arguments.select for i in ids),
        ignore=tuple(i for ids in arguments.ignore for i in ids),
        strict_trace=arguments.strict_trace,
        log=arguments.log,
        device_log=arguments.device_log,
        clock_offset=arguments.clock_offset,
        log_offset=arguments.log_offset,
        packets=arguments.packets,
        packets_offset=arguments.packets_offset,
        packets_host=arguments.packets_host,
        events=arguments.events,
        platform=_platform_name(platforms, arguments.platform),
        platforms=platforms,
    )
    wanted = wants_bar(streams.err, os.environ, quiet=arguments.quiet > 0)
    with progress(streams.err, wanted=wanted) as tick:
        return check_traces(arguments.traces, options, tick)


def _platforms(name: str) -> tuple[Platform, ...]:
    if name == AS_RECORDED:  # what the rules find is all that is asked for
        return ()
    from dmaverify.pipeline.platforms import choose

    return choose([name])


def _platform_name(platforms: tuple[Platform, ...], name: str) -> str:
    """Return what was asked for: the name in the file, where it was a file."""
    return platforms[0].name if len(platforms) == 1 else name


def _to_stdout(
    outputs: list[Output[Reporter]], report: Report, arguments: argparse.Namespace, streams: Streams
) -> None:
    if arguments.quiet > 1 or not outputs:
        return
    out = streams.out
    colour = wants_colour(arguments.color, os.environ, terminal=out.isatty())
    columns = width(out, os.environ)
    view = _view(arguments, columns, colour=colour, only_ascii=not speaks_unicode(out))
    show(out, outputs[0].reporter.render(report, view))


def _file_view(arguments: argparse.Namespace) -> View:
    return _view(arguments, _FILE_WIDTH, colour=arguments.color == "always", only_ascii=False)


def _view(arguments: argparse.Namespace, columns: int, *, colour: bool, only_ascii: bool) -> View:
    return View(
        width=columns,
        colour=colour,
        ascii=only_ascii,
        show=LEVELS[arguments.show],
        fail_on=LEVELS.get(arguments.fail_on),
        max_findings=arguments.max_findings,
        quiet=arguments.quiet > 0,
        verbose=arguments.verbose,
    )


def _ids(text: str) -> list[str]:
    ids = [part.strip() for part in text.split(",")]
    if not all(ids):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of rule ids with commas between")
    return ids


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return int(text)
