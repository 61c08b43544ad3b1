"""`dmaverify simulate`: run a driver in a simulated machine and check what it did."""

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dmaverify.cli.base import Command, Streams
from dmaverify.cli.colour import wants_colour
from dmaverify.cli.options import add_colour
from dmaverify.cli.streams import ascii_if_needed, complain, show, speaks_unicode, width
from dmaverify.errors import UsageError
from dmaverify.findings.verdict import exit_code, worst
from dmaverify.model.kinds import Severity
from dmaverify.report import FORMATS, View

if TYPE_CHECKING:
    from dmaverify.pipeline.lives import Life


class Simulate(Command):
    """Run a simulated driver."""

    words = ("simulate",)
    sentence = "run a driver in a simulated machine and report its mistakes"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("scenario", nargs="?", default="", metavar="SCENARIO[:FUNCTION]",
                            help="a scenario of the package, or a Python file")  # fmt: skip
        parser.add_argument("--list", action="store_true", help="show the scenarios there are")
        parser.add_argument("--platform", default="flat", metavar="NAME",
                            help="the machine that it runs on, or a TOML file of one (flat)",
                            )  # fmt: skip
        parser.add_argument("-o", dest="output_file", default="", metavar="FILE",
                            help="write the recording, a .dmat file")  # fmt: skip
        parser.add_argument("--seed", type=_seed, default=None, metavar="N",
                            help="for what happens at random (0)")  # fmt: skip
        parser.add_argument("--inject", choices=["systematic", "random"], default="",
                            metavar="HOW",
                            help="make calls fail: systematic or random")  # fmt: skip
        parser.add_argument("--map-registers", type=_registers, default=0, metavar="N|half",
                            help="give adapters so many map registers at most, or half of what"
                            " they ask for")  # fmt: skip
        parser.add_argument("--partial", action="store_true",
                            help="let MapTransferEx map less than it is asked for")  # fmt: skip
        parser.add_argument("--common-buffers", choices=["page", "end"], default="",
                            metavar="WHERE",
                            help="where common buffers begin: page, or end for pushed to the end of"
                            " their pages (as the platform has it)")  # fmt: skip
        parser.add_argument("--dma", action="store_true",
                            help="show the adapters at the end, as !dma does, with what each"
                            " was called for")  # fmt: skip
        parser.add_argument("-r", "--rules", action="append", default=[], metavar="RULES",
                            help="a rule file to use beside the built-in rules (repeatable)",
                            )  # fmt: skip
        parser.add_argument("--output", default="full", metavar="FORMAT",
                            choices=[r.name for r in FORMATS],
                            help="form of the report: " + ", ".join(r.name for r in FORMATS),
                            )  # fmt: skip
        add_colour(parser)
        parser.add_argument("-v", "--verbose", action="store_true",
                            help="evidence, notices and the machine's effects in full")  # fmt: skip

    def run(self, arguments: argparse.Namespace, streams: Streams) -> int:
        """Run it, show what was found, and return the exit code of `check`."""
        if arguments.list:
            return _list(streams)
        if not arguments.scenario:
            raise UsageError("name a scenario (simulate --list shows those there are)")
        return _simulate(arguments, streams)


def _list(streams: Streams) -> int:
    """Show a line for each scenario, with the names of a file in one column.

    On a terminal a sentence ends with the line; a pipe gets all of it.
    """
    from dmaverify.sim.scenario import built_in

    out, found = streams.out, built_in()
    rooms: dict[str, int] = {}
    for scenario in found:
        rooms[scenario.path] = max(rooms.get(scenario.path, 0), len(scenario.name))
    columns = width(out, os.environ) if out.isatty() else 0
    cut = "…" if speaks_unicode(out) else "..."
    lines = (f"{s.name:<{rooms[s.path]}}  {s.sentence}" for s in found)
    show(out, (ascii_if_needed(f"{_fitted(line, columns, cut)}\n", out) for line in lines))
    return 0


def _fitted(line: str, columns: int, cut: str) -> str:
    """Return a line as far as it goes into so many columns, 0 for any number."""
    if not columns or len(line) <= columns:
        return line
    return line[: columns - len(cut)].rstrip() + cut


def _simulate(arguments: argparse.Namespace, streams: Streams) -> int:
    from dmaverify.pipeline.check import CheckOptions
    from dmaverify.pipeline.simulate import SimulateOptions, simulate
    from dmaverify.sim.run import Pressure

    seed = arguments.seed
    if seed is None:
        seed = int.from_bytes(os.urandom(4), "big") if arguments.inject == "random" else 0
    if arguments.inject == "random":
        show(streams.err, [f"dmaverify: calls fail at random, --seed {seed}\n"])
    options = SimulateOptions(
        platform=arguments.platform,
        output=arguments.output_file,
        seed=seed,
        inject=arguments.inject,
        pressure=Pressure(arguments.map_registers, arguments.partial, arguments.common_buffers),
        check=CheckOptions(rules=tuple(arguments.rules)),
    )
    done = simulate(arguments.scenario, options)
    reporter = next(r for r in FORMATS if r.name == arguments.output)
    out = streams.out
    view = View(
        width=width(out, os.environ),
        colour=wants_colour(arguments.color, os.environ, terminal=out.isatty()),
        ascii=not speaks_unicode(out),
        show=Severity.NOTE,
        fail_on=Severity.ERROR,
        max_findings=20,
        quiet=False,
        verbose=arguments.verbose,
    )
    show(out, reporter.render(done.report, view))
    for effect in done.outcome.effects if arguments.verbose else ():
        where = f" ({effect.place})" if effect.place else ""
        line = f"  {effect.kind.value}: {effect.text}, event {effect.record}{where}\n"
        show(streams.err, [ascii_if_needed(line, streams.err)])
    if arguments.inject:
        _tell_lives(done.lives, streams)
    if arguments.dma:
        listing = done.outcome.listing or "no adapter"
        show(streams.err, [ascii_if_needed(f"{listing}\n", streams.err)])
    codes = [exit_code(done.report, Severity.ERROR)]
    for life in done.lives:
        if life.outcome.error is not None:
            complain(streams.err, str(life.outcome.error))
            codes.append(life.outcome.error.exit_code)
    return worst(codes)


def _tell_lives(lives: "Sequence[Life]", streams: Streams) -> None:
    """Show what was made to fail in each life, and what came of it."""
    for number, life in enumerate(lives, 1):
        failed = ", ".join(map(str, life.outcome.failed)) or "nothing"
        count = len(life.report.findings)
        came = f"{count} finding{'s' * (count != 1)}"
        if life.outcome.error is not None:
            came += ", and the driver fell"
        line = f"dmaverify: life {number}: {failed} was made to fail; {came}\n"
        show(streams.err, [ascii_if_needed(line, streams.err)])


def _registers(text: str) -> int:
    """Return how map registers are cut down: -2 for half, else the most of them."""
    if text == "half":
        return -2
    if not text.isdecimal() or not 0 < int(text) < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 'half' nor a number from 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return int(text)
