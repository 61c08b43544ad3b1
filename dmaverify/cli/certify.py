"""`dmaverify certify`: pass or fail for each group of rules, with the evidence, in one file."""

import argparse
import os
from contextlib import ExitStack

from dmaverify.cli.base import Command, Streams
from dmaverify.cli.options import add_output
from dmaverify.cli.outputs import Target, parse_outputs
from dmaverify.cli.progress import progress, wants_bar
from dmaverify.cli.streams import complain, show, speaks_unicode, width
from dmaverify.findings.verdict import worst
from dmaverify.report import CERTIFICATE_FORMATS, View


class Certify(Command):
    """Give a profile's verdict on recordings."""

    words = ("certify",)
    sentence = "pass or fail recordings by a profile, group by group, with evidence and hashes"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        formats = "\n".join(f"  {r.name:<8} {r.sentence}" for r in CERTIFICATE_FORMATS)
        parser.epilog = f"formats:\n{formats}"
        parser.add_argument("traces", nargs="+", metavar="TRACE", help="a recording, a file")
        parser.add_argument(
            "--profile",
            default="verifier",
            metavar="NAME",
            help="which rules count and how grave they are: a profile of the package, or a TOML "
            "file (verifier)",
        )
        add_output(parser, "certificate")
        parser.add_argument(
            "-q", "--quiet", action="store_true", help="no notices, no progress bar"
        )

    def run(self, arguments: argparse.Namespace, streams: Streams) -> int:
        """Certify, write every output, and return the exit code: 0, 1, 3 or 5."""
        from dmaverify.pipeline.certify import certify

        outputs = parse_outputs(arguments.output, CERTIFICATE_FORMATS)
        out = streams.out
        with ExitStack() as stack:
            files = [
                (o, stack.enter_context(Target(o.path))) for o in outputs if o.path is not None
            ]
            wanted = wants_bar(streams.err, os.environ, quiet=arguments.quiet)
            with progress(streams.err, wanted=wanted) as tick:
                certificate = certify(arguments.traces, arguments.profile, tick)
            for output, target in files:
                target.write(output.reporter.render(certificate, View()))
        view = View(
            width=width(out, os.environ), ascii=not speaks_unicode(out), quiet=arguments.quiet
        )
        for output in outputs:
            if output.path is None:
                show(out, output.reporter.render(certificate, view))
        for error in certificate.errors:
            complain(streams.err, str(error))
        return worst([certificate.exit_code, *(e.exit_code for e in certificate.errors)])
