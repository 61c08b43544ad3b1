"""`dmaverify rules list`: the built-in rules."""

import argparse

from dmaverify.cli.base import Command, Streams
from dmaverify.cli.streams import ascii_if_needed
from dmaverify.model.fields import kind_name
from dmaverify.model.kinds import EventKind
from dmaverify.model.program import Rule
from dmaverify.report.json import dumps
from dmaverify.report.safe import visible
from dmaverify.report.units import SEVERITY_NAMES, count

SCHEMA = "dmaverify/rules/v1"


class RulesList(Command):
    """List the built-in rules."""

    words = ("rules", "list")
    sentence = "list the built-in rules"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--format", choices=["text", "json"], default="text", metavar="FORMAT",
                            help="text or json (text)")  # fmt: skip

    def run(self, arguments: argparse.Namespace, streams: Streams) -> int:
        """List the rules by id."""
        from dmaverify.lang.builtin import load_builtin

        rules = sorted(load_builtin().rules, key=lambda r: r.id)
        text = _json(rules) if arguments.format == "json" else _table(rules)
        streams.out.write(ascii_if_needed(text, streams.out))
        return 0


def kinds_of(rule: Rule) -> list[str]:
    """Return the names of the event kinds that a rule runs on."""
    return [kind_name(EventKind(k)) for k in rule.kinds]


def _table(rules: list[Rule]) -> str:
    width = max((len(r.id) for r in rules), default=0)
    lines = [
        f"{visible(r.id):<{width}}  {SEVERITY_NAMES[r.severity]:<7}  "
        f"{r.maturity.name.lower():<10}  {', '.join(kinds_of(r))}\n"
        for r in rules
    ]
    end = f"\n{count(len(rules), 'rule')}; `dmaverify rules explain ID` tells more\n"
    return "".join(lines) + end


def _json(rules: list[Rule]) -> str:
    body = ",\n    ".join(dumps(_plain(r)) for r in rules)
    return f'{{\n  "schema": "{SCHEMA}",\n  "rules": [\n    {body}\n  ]\n}}\n'


def _plain(rule: Rule) -> dict[str, object]:
    return {
        "rule": rule.id,
        "class": rule.cls,
        "severity": SEVERITY_NAMES[rule.severity],
        "maturity": rule.maturity.name.lower(),
        "kinds": kinds_of(rule),
        "tags": list(rule.tags),
        "needs": [n.because for n in rule.needs],
        "equivalents": {k: list(v) for k, v in sorted(rule.equivalents.items())},
        "source": list(rule.source),
        "file": rule.span.file if rule.span else None,
        "line": rule.span.line if rule.span else None,
    }
