"""`dmaverify rules test`: run the tests inside rule files."""

import argparse

from dmaverify.cli.base import Command, Streams
from dmaverify.cli.streams import ascii_if_needed
from dmaverify.report.safe import visible, visible_lines
from dmaverify.report.units import count


class RulesTest(Command):
    """Run the tests that stand in rule files."""

    words = ("rules", "test")
    sentence = "run the tests inside rule files (of the built-in rules where no file is given)"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("files", nargs="*", metavar="FILE", help="a rule file (.dmar)")
        parser.add_argument("-k", dest="pattern", default="", metavar="PATTERN",
                            help="only tests whose rule or name holds this text")  # fmt: skip

    def run(self, arguments: argparse.Namespace, streams: Streams) -> int:
        """Run the tests; 1 where one fails, 5 where there is none."""
        from dmaverify.pipeline.ruletests import run

        results = run(arguments.files or None, arguments.pattern)
        failed = [r for r in results if not r.passed]
        for r in failed:
            why = "\n".join(f"  {line}" for line in visible_lines(r.why).split("\n"))
            text = f"FAIL {r.rule}: {r.name} ({r.file}:{r.line})"
            streams.out.write(ascii_if_needed(f"{visible(text)}\n{why}\n", streams.out))
        rules = len({r.rule for r in results})
        streams.out.write(
            f"{len(results) - len(failed):,} passed, {len(failed):,} failed "
            f"({count(len(results), 'test')} of {count(rules, 'rule')})\n"
        )
        if failed:
            return 1
        return 0 if results else 5
