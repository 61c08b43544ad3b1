"""docs/reference/cli.md, from the parsers of the commands."""

import argparse
import re
from collections.abc import Iterator

from dmaverify.cli.commands import COMMANDS
from dmaverify.cli.run import EXIT_CODES, build_parser
from made.words import MADE, table


def cli_page() -> Iterator[str]:
    """Give the page of the command line, from the parser itself."""
    yield from ("# The command line", "", MADE, "")
    yield "Findings go to stdout; errors and the progress bar go to stderr."
    yield from ("`dmaverify --version` shows the version.", "")
    yield from table(
        ("command", "what it does"),
        ((f"[`dmaverify {' '.join(c.words)}`](#dmaverify-{'-'.join(c.words)})", c.sentence)
         for c in COMMANDS),
    )  # fmt: skip
    parser = build_parser()
    for command in COMMANDS:
        where: argparse.ArgumentParser = parser
        for word in command.words:
            where = _inner(where, word)
        yield from ("", f"## dmaverify {' '.join(command.words)}", "")
        yield from _command(where, command.sentence)
    yield from ("", "## Environment", "")
    yield from table(
        ("variable", "effect"),
        (
            ("`NO_COLOR`", "not empty: no colours"),
            ("`FORCE_COLOR`, `CLICOLOR_FORCE`", "not empty: colours, also into a file; `0`: none"),
            ("`COLUMNS`", "the width of the report, 40 to 120"),
            ("`CI`", "not empty: no progress bar"),
            ("`TERM`", "`dumb`: no colours, no progress bar"),
            ("`XDG_CACHE_HOME`", "where compiled rules are kept (`~/.cache`)"),
            ("`DMAVERIFY_DEBUG`", "`1`: an internal error shows where it happened"),
        ),
    )
    yield from (
        "",
        "`--color` wins over `NO_COLOR`, that over the other two, those over the terminal.",
    )
    yield from ("", "## Exit codes", "", *_exit_codes(), "")
    yield "More on them: [exit codes](exit-codes.md)."


def _inner(parser: argparse.ArgumentParser, word: str) -> argparse.ArgumentParser:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found: argparse.ArgumentParser = action.choices[word]
            return found
    raise KeyError(word)


def _command(parser: argparse.ArgumentParser, sentence: str) -> Iterator[str]:
    yield from (f"{sentence[0].upper()}{sentence[1:]}.", "")
    places = [a for a in parser._actions if not a.option_strings]
    yield from ("```text", " ".join([parser.prog, "[OPTIONS]", *map(_place, places)]), "```", "")
    rows = [(f"`{a.metavar}`", a.help or "") for a in places]
    for group in parser._action_groups:
        for action in group._group_actions:
            if action.option_strings and action.dest != "help":
                value = f" {action.metavar}" if action.nargs != 0 and action.metavar else ""
                names = ", ".join(f"`{name}{value}`" for name in action.option_strings)
                rows.append((names, _help(action)))
    yield from table(("argument", "what it is"), rows)
    if parser.epilog:
        yield from ("", "```text", parser.epilog.strip(), "```")


def _place(action: argparse.Action) -> str:
    name = str(action.metavar)
    return {"+": f"{name} [{name} ...]", "*": f"[{name} ...]"}.get(str(action.nargs), name)


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")


def _exit_codes() -> Iterator[str]:
    rows = re.findall(r"^ +(\d)  (.+)$", EXIT_CODES, re.MULTILINE)
    yield from table(("code", "when"), rows)
