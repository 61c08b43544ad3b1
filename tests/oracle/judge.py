"""Rules on the slow world: what each says at each event."""

from collections import Counter
from functools import cache

from dmaverify.lang import ast
from dmaverify.lang.errors import Problems
from dmaverify.lang.files import rules_folder
from dmaverify.lang.parse import parse
from dmaverify.lang.source import Source
from dmaverify.model.fields import KINDS_BY_NAME
from dmaverify.model.kinds import EventKind
from tests.oracle.answers import Answers
from tests.oracle.engine import World
from tests.oracle.nouns import Call
from tests.oracle.rules import Oracle

Outcomes = dict[str, Counter[str]]


@cache
def catalogue() -> tuple[tuple[ast.File, ast.Rule, frozenset[EventKind]], ...]:
    """Return the trees of the built-in rules, each with its file and its kinds of events."""
    found = []
    for path in sorted(rules_folder().rglob("*.dmar")):
        problems = Problems()
        file = parse(Source.of(path.name, path.read_text("utf-8"), path, True), problems)
        problems.check()
        for rule in file.items:
            if isinstance(rule, ast.Rule):
                on = next(c for c in rule.clauses if isinstance(c, ast.On))
                kinds = frozenset(KINDS_BY_NAME[p.kind.text] for p in on.patterns)
                found.append((file, rule, kinds))
    return tuple(found)


class Judge:
    """The slow engine: a world, and the rules of the catalogue."""

    def __init__(self, world: World) -> None:
        self.world = world

    def feed(self, call: Call) -> Outcomes:
        """Replay an event and return how often each rule that applies came to each outcome."""
        outcomes: Outcomes = {}
        for meaning in self.world.step(call):
            answers = Answers(self.world, meaning)
            for file, rule, kinds in catalogue():
                if meaning.call.kind in kinds:
                    said = Oracle(file, answers.get).outcome(rule)
                    if said != "not-applicable":
                        outcomes.setdefault(rule.id.text, Counter())[said] += 1
        return outcomes

    def live(self) -> list[tuple[int, int, int]]:
        """Return (device, bus address, length) of each live mapping, sorted."""
        calls = [m.call for m in self.world.live]
        return sorted((c.device, c.bus_addr or 0, c.length or 0) for c in calls)
