"""`dmaverify rules check`: whether rules compile."""

import argparse
from typing import TYPE_CHECKING

from dmaverify.cli.base import Command, Streams
from dmaverify.cli.streams import ascii_if_needed, complain_at_length
from dmaverify.report.safe import visible
from dmaverify.report.units import count

if TYPE_CHECKING:
    from dmaverify.lang.errors import Diagnostic


class RulesCheck(Command):
    """Compile rule files and report every mistake in them."""

    words = ("rules", "check")
    sentence = "compile rule files and report every mistake in them"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("files", nargs="+", metavar="FILE", help="a rule file (.dmar)")

    def run(self, arguments: argparse.Namespace, streams: Streams) -> int:
        """Compile; what does not compile is raised by the compiler, all of it at once."""
        from dmaverify.lang.builtin import compile_files
        from dmaverify.lang.errors import render_all

        warnings: list[Diagnostic] = []
        program = compile_files(arguments.files, warnings.append)
        if warnings:
            complain_at_length(streams.err, render_all(warnings))
        files = ", ".join(visible(f) for f in arguments.files)
        text = f"{files}: {count(len(program.rules), 'rule')}, no mistakes\n"
        streams.out.write(ascii_if_needed(text, streams.out))
        return 0
