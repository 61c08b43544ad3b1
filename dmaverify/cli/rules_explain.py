"""`dmaverify rules explain`: all there is to say about one rule."""

import argparse
import os
from collections.abc import Iterator

from dmaverify.cli.base import Command, Streams
from dmaverify.cli.rules_list import kinds_of
from dmaverify.cli.streams import ascii_if_needed, width
from dmaverify.errors import UsageError
from dmaverify.model.program import INSTRUCTION, Op, Program, Rule, Template
from dmaverify.report.block import others
from dmaverify.report.safe import visible, wrap
from dmaverify.report.units import SEVERITY_NAMES, count

_ENDS = frozenset({Op.HOLDS, Op.NOT_APPLICABLE, Op.VIOLATED})
_BRANCHES = frozenset({Op.JEQ, Op.JNE, Op.JLT, Op.JLE, Op.FEQ, Op.FNE, Op.FLT, Op.FLE, Op.FGT,
                       Op.FGE, Op.FIN, Op.FNIN, Op.XIST, Op.XMISS})  # fmt: skip
_LABEL = 12


class RulesExplain(Command):
    """Explain one rule."""

    words = ("rules", "explain")
    sentence = "explain one built-in rule: what it means, where it comes from, what it costs"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("id", metavar="ID", help="a rule's id, as in a report")

    def run(self, arguments: argparse.Namespace, streams: Streams) -> int:
        """Explain the rule.

        Raises:
            UsageError: there is no such rule.
        """
        from dmaverify.lang.builtin import load_builtin

        program = load_builtin()
        rules = {r.id: r for r in program.rules}
        if arguments.id not in rules:
            from difflib import get_close_matches

            near = get_close_matches(arguments.id, rules, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else "; `rules list` has them all"
            raise UsageError(f"there is no built-in rule {arguments.id!r}{hint}")
        columns = width(streams.out, os.environ)
        text = "\n".join(_lines(rules[arguments.id], program, columns)) + "\n"
        streams.out.write(ascii_if_needed(text, streams.out))
        return 0


def _lines(rule: Rule, program: Program, columns: int) -> Iterator[str]:
    yield f"{rule.id} ({SEVERITY_NAMES[rule.severity]}, {rule.maturity.name.lower()})"
    yield ""
    from inspect import cleandoc

    for paragraph in cleandoc(rule.explain).split("\n\n"):
        yield from (f"  {line}" for line in wrap(_flat(paragraph), columns - 2, columns - 2))
        yield ""
    for label, text in _facts(rule, program):
        lines = wrap(_flat(text), columns - _LABEL - 2, columns - _LABEL - 2)
        for i, line in enumerate(lines):
            yield f"  {'' if i else label:<{_LABEL}}{line}"


def _facts(rule: Rule, program: Program) -> Iterator[tuple[str, str]]:
    if rule.cls != rule.id:
        yield "class", rule.cls
    yield "events", ", ".join(kinds_of(rule))
    yield "message", _template(rule.message)
    if rule.hint:
        yield "help", _template(rule.hint)
    for i, need in enumerate(rule.needs):
        yield "" if i else "can't tell", f"where {need.because}"
    for i, text in enumerate(others(rule.equivalents)):
        yield "" if i else "also", text
    for i, source in enumerate(rule.source):
        yield "" if i else "source", source
    if rule.tags:
        yield "tags", ", ".join(rule.tags)
    if rule.span:
        yield "file", f"{rule.span.file}:{rule.span.line}"
    yield "cost", f"at most {count(instruction_count(program, rule), 'instruction')} an event"


def _template(template: Template) -> str:
    return "".join(
        p if isinstance(p, str) else f"{{{p.name or p.type.name.lower()}}}" for p in template
    )


def _flat(text: str) -> str:
    return visible(" ".join(text.split()))


def instruction_count(program: Program, rule: Rule) -> int:
    """Return how many instructions of a program a rule can reach; none runs twice an event."""
    total = len(program.code) // INSTRUCTION.size
    seen: set[int] = set()
    left = [rule.entry, *(n.entry for n in rule.needs)]
    while left:
        at = left.pop()
        if at in seen or not 0 <= at < total:
            continue
        seen.add(at)
        op, _, _, _, target, _ = INSTRUCTION.unpack_from(program.code, at * INSTRUCTION.size)
        if op in _ENDS:
            continue
        if op == Op.JUMP or op in _BRANCHES:
            left.append(target)
        if op != Op.JUMP:
            left.append(at + 1)
    return len(seen)
