"""The command line. What a run does not need is not imported: start-up is felt."""

import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the words of the command line after the program's name; None for the process's.
    """
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["--version"]:
        from dmaverify._version import __version__

        sys.stdout.write(f"dmaverify {__version__}\n")
        return 0
    try:
        from dmaverify.cli.run import run

        return run(words)
    except KeyboardInterrupt:
        return 130
