"""`dmaverify matrix`: where a recording works, where it breaks, and why."""

import argparse
import os
from contextlib import ExitStack
from pathlib import Path

from dmaverify.cli.base import Command, Streams
from dmaverify.cli.colour import wants_colour
from dmaverify.cli.options import add_colour, add_logs, add_output
from dmaverify.cli.outputs import Target, parse_outputs
from dmaverify.cli.progress import progress, wants_bar
from dmaverify.cli.streams import complain, show, speaks_unicode, width
from dmaverify.errors import UsageError
from dmaverify.findings.verdict import worst
from dmaverify.model.finding import ALL_PLATFORMS, Report
from dmaverify.report import MATRIX_FORMATS, View

_FILE_WIDTH = 120


class Matrix(Command):
    """Work out a recording on every platform."""

    words = ("matrix",)
    sentence = "tell on which platforms a recording works, where it breaks, and why"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        formats = "\n".join(f"  {r.name:<8} {r.sentence}" for r in MATRIX_FORMATS)
        parser.epilog = f"formats:\n{formats}"
        parser.add_argument(
            "trace",
            metavar="TRACE|SCENARIO",
            help='a recording, "-" for stdin, or a scenario of the simulator (simulate --list)',
        )
        parser.add_argument(
            "--platform",
            action="append",
            default=[],
            metavar="NAME",
            help="a platform, a TOML file that describes one, or all (repeatable; all)",
        )
        add_logs(parser)
        shown = parser.add_argument_group("what is shown")
        add_output(shown, "matrix")
        add_colour(shown)
        shown.add_argument(
            "-q", "--quiet", action="store_true", help="no notices, no count, no progress bar"
        )
        shown.add_argument("-v", "--verbose", action="store_true", help="evidence in full")

    def run(self, arguments: argparse.Namespace, streams: Streams) -> int:
        """Work it out, write every output, and return the exit code: 0, 3 or 5."""
        outputs = parse_outputs(arguments.output, MATRIX_FORMATS)
        with ExitStack() as stack:
            files = [
                (o, stack.enter_context(Target(o.path))) for o in outputs if o.path is not None
            ]
            report = _matrix(arguments, streams)
            for output, target in files:
                coloured = arguments.color == "always"
                view = View(width=_FILE_WIDTH, colour=coloured, verbose=arguments.verbose)
                target.write(output.reporter.render(report, view))
        out = streams.out
        view = View(
            width=width(out, os.environ),
            colour=wants_colour(arguments.color, os.environ, terminal=out.isatty()),
            ascii=not speaks_unicode(out),
            quiet=arguments.quiet,
            verbose=arguments.verbose,
        )
        for output in outputs:
            if output.path is None:
                show(out, output.reporter.render(report, view))
        for error in report.errors:
            complain(streams.err, str(error))
        return worst([e.exit_code for e in report.errors] or [5 * _nothing(report)])


def _nothing(report: Report) -> bool:
    """Tell whether the recording has no mapping and no access at all."""
    return not any(
        kind.startswith(("dma_", "dev_", "cpu_")) for t in report.traces for kind in t.kinds
    )


def _is_scenario(name: str) -> bool:
    """Tell whether a name is a scenario of the package, or a Python file: no trace is one."""
    if Path(name.partition(":")[0]).suffix == ".py":
        return True
    if name == "-" or Path(name).exists() or "." in name:
        return False
    from dmaverify.sim.scenario import FOLDER

    return (FOLDER / f"{name.partition(':')[0].replace('-', '_')}.py").is_file()


def _matrix(arguments: argparse.Namespace, streams: Streams) -> Report:
    from dmaverify.pipeline.check import CheckOptions
    from dmaverify.pipeline.matrix import matrix
    from dmaverify.pipeline.platforms import choose

    platforms = choose(arguments.platform or [ALL_PLATFORMS])
    if _is_scenario(arguments.trace):
        from dmaverify.pipeline.scenario_matrix import scenario_matrix

        if arguments.log or arguments.device_log:
            raise UsageError("a scenario has no other logs: --log and --device-log are for traces")
        return scenario_matrix(arguments.trace, platforms)
    options = CheckOptions(
        log=arguments.log,
        device_log=arguments.device_log,
        clock_offset=arguments.clock_offset,
        log_offset=arguments.log_offset,
        platform=ALL_PLATFORMS,
        platforms=platforms,
    )
    wanted = wants_bar(streams.err, os.environ, quiet=arguments.quiet)
    with progress(streams.err, wanted=wanted) as tick:
        return matrix(arguments.trace, options, tick)
