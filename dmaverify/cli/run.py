"""Parse the command line, run the command, and turn whatever goes wrong into one message."""

import argparse
import os
import sys
from collections.abc import Sequence

from dmaverify.cli.base import Command, Parser, Streams
from dmaverify.cli.commands import COMMANDS, GROUPS
from dmaverify.cli.streams import abandon, complain, complain_at_length
from dmaverify.errors import DmaVerifyError, InternalError, RuleError

DESCRIPTION = """Driver Verifier for recordings: replays what a driver did with DMA memory
and shows its mistakes."""
EXIT_CODES = """exit codes:
  0  nothing at or above --fail-on
  1  findings at or above --fail-on, or a rule's test failed
  2  usage, configuration or rule error
  3  a trace can not be read (or is cut short, with --strict-trace)
  4  internal error
  5  nothing was checked
"""


def run(words: Sequence[str]) -> int:
    """Run one command and return its exit code; errors become one message on stderr.

    Args:
        words: the command line after the program's name.
    """
    streams = Streams(sys.stdout, sys.stderr)
    try:
        code = _run(words, streams)
        streams.out.flush()
        return code
    except BrokenPipeError:  # whoever read our output has seen enough
        abandon(streams.out)
        return 0
    except SystemExit as done:  # argparse has shown its help
        return done.code if isinstance(done.code, int) else 0
    except InternalError as error:
        return _internal(error, streams)
    except RuleError as error:
        complain_at_length(streams.err, str(error))
        complain(streams.err, "the rules do not compile; nothing was done")
        return error.exit_code
    except DmaVerifyError as error:
        complain(streams.err, str(error))
        return error.exit_code
    except Exception as error:
        return _internal(error, streams)


def _run(words: Sequence[str], streams: Streams) -> int:
    parser = build_parser()
    if not words:
        parser.print_help(streams.err)
        return 2
    arguments = parser.parse_args(words)
    command: Command = arguments.command
    return command.run(arguments, streams)


def build_parser() -> Parser:
    """Return the parser of the whole command line, made from the list of commands."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = Parser(
        prog="dmaverify", description=DESCRIPTION, epilog=EXIT_CODES, formatter_class=layout,
        allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    top = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    groups: dict[str, argparse._SubParsersAction[Parser]] = {}
    for command in COMMANDS:
        *group, name = command.words
        where = top
        if group and group[0] not in groups:
            about = GROUPS[group[0]]
            inner = top.add_parser(group[0], help=about, description=f"{about.capitalize()}.")
            groups[group[0]] = inner.add_subparsers(
                title="commands", metavar="COMMAND", required=True
            )
        if group:
            where = groups[group[0]]
        sub = where.add_parser(
            name, help=command.sentence, description=f"{command.sentence.capitalize()}.",
            allow_abbrev=False, formatter_class=layout,
        )  # fmt: skip
        command.add_arguments(sub)
        sub.set_defaults(command=command)
    return parser


def _internal(error: Exception, streams: Streams) -> int:
    if os.environ.get("DMAVERIFY_DEBUG") == "1":
        import traceback

        traceback.print_exception(error, file=streams.err)
    from dmaverify._version import __version__

    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    complain(streams.err, f"internal error in dmaverify {__version__}: {what}")
    complain_at_length(
        streams.err,
        "  This is a mistake of dmaverify, not of the trace. Please report it with the command\n"
        "  line and what DMAVERIFY_DEBUG=1 in the environment adds to this message.",
    )
    return 4
