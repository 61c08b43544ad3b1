"""Whole rules: clauses, kinds, what is known to exist from clause to clause."""

from dataclasses import dataclass, field

from dmaverify.lang import ast, ir
from dmaverify.lang.errors import Problems, did_you_mean
from dmaverify.lang.expr import NOTHING, Facts, Typer
from dmaverify.lang.names import Context
from dmaverify.lang.resolve import reserved
from dmaverify.lang.schema import event_fields, kinds_text
from dmaverify.lang.source import Source
from dmaverify.lang.template import Templates
from dmaverify.model.fields import KINDS_BY_NAME
from dmaverify.model.kinds import EventKind, Maturity, Severity
from dmaverify.model.program import Template

SEVERITIES = {s.name.lower(): s for s in Severity}
MATURITIES = {m.name.lower(): m for m in Maturity}
SYSTEMS = ("windows", "linux")
EXPECTATIONS = ("fails", "passes")
DEFAULT_EVENT = "e"
_ONCE = ("on", "message", "hint", "explain", "class", "maturity", "report", "tags")


@dataclass(frozen=True, slots=True)
class Judgement:
    """A `require` (must be true) or a `forbid` (must be false)."""

    forbid: bool
    condition: ir.Value


@dataclass(slots=True)
class CheckedRule:
    """A rule that makes sense: the compiler's input. Fields as in `model.program.Rule`."""

    tree: ast.Rule
    source: Source
    severity: Severity
    cls: str
    maturity: Maturity = Maturity.INCUBATING
    kinds: tuple[EventKind, ...] = ()
    guards: list[tuple[EventKind, ir.Value]] = field(default_factory=list)
    wheres: list[ir.Value] = field(default_factory=list)
    excepts: list[ir.Value] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    needs: list[tuple[ir.Value, str]] = field(default_factory=list)
    group: tuple[int, ...] = ()
    message: Template = ()
    hint: Template = ()
    shown: list[ir.Value] = field(default_factory=list)
    explain: str = ""
    sources: tuple[str, ...] = ()
    equivalents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


class RuleChecker:
    """Checks one rule.

    Args:
        tree: the rule.
        source: the file that it stands in.
        typer: checks expressions, and knows the names of the file.
        problems: takes the errors.
    """

    def __init__(self, tree: ast.Rule, source: Source, typer: Typer, problems: Problems) -> None:
        self.tree = tree
        self.source = source
        self.typer = typer
        self.problems = problems
        severity = self.choice(tree.severity, list(SEVERITIES), "severity") or "error"
        self.made = CheckedRule(tree, source, SEVERITIES[severity], tree.id.text)
        self.context = Context()

    def run(self) -> CheckedRule | None:
        """Return the checked rule, or None after errors."""
        before = len(self.problems.errors)
        self._shape()
        facts = self._on()
        if facts is None:
            return None
        facts = self._conditions(facts)
        violated = self._judgements(facts)
        self._needs()
        self._words()
        self._texts(violated)
        return self.made if len(self.problems.errors) == before else None

    def choice(self, word: ast.Word, known: list[str], what: str) -> str | None:
        """Return a word if it is one of a few, else None after an error."""
        if word.text in known:
            return word.text
        near = did_you_mean(word.text, known)
        self.problems.error(
            f"unknown-{what}", word.span, f"unknown {what} `{word.text}`",
            f"did you mean `{near}`?" if near else "", notes=(f"known: {', '.join(known)}",),
        )  # fmt: skip
        return None

    # ---- the shape of the rule -----------------------------------------------------------------

    def _shape(self) -> None:
        seen: dict[str, ast.AnyClause] = {}
        for clause in self.tree.clauses:
            word = _clause_word(clause)
            if word in _ONCE and word in seen:
                self.problems.error(
                    "duplicate-clause", clause.span, f"this rule has two `{word}` clauses",
                    others=((seen[word].span, "the first"),) if not _long(seen[word]) else (),
                )  # fmt: skip
            seen.setdefault(word, clause)
        for word, why in (
            ("on", "it says which events the rule is about"),
            ("message", "it says what is wrong"),
        ):
            if word not in seen:
                self._lacks(f"`{word}`", why)
        if "require" not in seen and "forbid" not in seen:
            self._lacks("`require` or `forbid`", "it says what must hold")

    def _lacks(self, what: str, why: str) -> None:
        self.problems.error(
            "missing-clause", self.tree.id.span, f"rule `{self.tree.id.text}` has no {what}",
            help_=f"add one: {why}",
        )  # fmt: skip

    def _of(self, word: str) -> list[ast.AnyClause]:
        return [c for c in self.tree.clauses if _clause_word(c) == word]

    # ---- events --------------------------------------------------------------------------------

    def _on(self) -> Facts | None:
        on = next((c for c in self.tree.clauses if isinstance(c, ast.On)), None)
        if on is None:
            return None
        name = on.name.text if on.name else DEFAULT_EVENT
        if on.name:
            reserved(on.name, "the event", self.problems)
        kinds: dict[EventKind, ast.Pattern] = {}
        for pattern in on.patterns:
            kind = self._kind(pattern.kind)
            if kind in kinds:
                self.problems.error(
                    "duplicate-kind", pattern.kind.span, f"`{pattern.kind.text}` stands here twice"
                )
            if kind is not None:
                kinds.setdefault(kind, pattern)
        if len(kinds) < len(on.patterns):
            return None
        self.context = Context(name, tuple(kinds))
        self.made.kinds = tuple(kinds)
        if name in self.typer.names.known and on.name:
            self.problems.error(
                "duplicate-name", on.name.span, f"`{name}` names the event and a let or set"
            )
        return self._guards(name, kinds)

    def _kind(self, word: ast.Word) -> EventKind | None:
        kind = KINDS_BY_NAME.get(word.text)
        if kind is None:
            near = did_you_mean(word.text, KINDS_BY_NAME)
            self.problems.error(
                "unknown-kind", word.span, f"there is no event kind `{word.text}`",
                f"did you mean `{near}`?" if near else "", notes=(
                    f"kinds: {', '.join(KINDS_BY_NAME)}",),
            )  # fmt: skip
        return kind

    def _guards(self, name: str, kinds: dict[EventKind, ast.Pattern]) -> Facts:
        facts: list[Facts] = []
        for kind, pattern in kinds.items():
            known = NOTHING
            if pattern.guard is not None:
                judged = self.typer.condition(pattern.guard, Context(name, (kind,)), NOTHING)
                known = judged.yes
                if judged.node is not None:
                    self.made.guards.append((kind, judged.node))
            facts.append(known)
        return frozenset.intersection(*facts)

    # ---- conditions ----------------------------------------------------------------------------

    def _conditions(self, facts: Facts) -> Facts:
        for clause in self.tree.clauses:
            if isinstance(clause, ast.Clause) and clause.word == "where":
                judged = self.typer.condition(clause.condition, self.context, facts)
                facts = judged.yes
                self.made.wheres += [judged.node] if judged.node else []
        for clause in self.tree.clauses:
            if isinstance(clause, ast.Except):
                self._because(clause.because)
                judged = self.typer.condition(clause.condition, self.context, facts)
                facts = judged.no
                self.made.excepts += [judged.node] if judged.node else []
        return facts

    def _judgements(self, facts: Facts) -> Facts:
        """Check what must hold; return what is known wherever the rule is violated."""
        violated: Facts | None = None
        for clause in self.tree.clauses:
            if not isinstance(clause, ast.Clause) or clause.word == "where":
                continue
            judged = self.typer.condition(clause.condition, self.context, facts)
            forbid = clause.word == "forbid"
            broken = judged.yes if forbid else judged.no
            violated = broken if violated is None else violated & broken
            facts = judged.no if forbid else judged.yes
            if judged.node is not None:
                self.made.judgements.append(Judgement(forbid, judged.node))
        return facts if violated is None else violated

    def _needs(self) -> None:
        for clause in self.tree.clauses:
            if isinstance(clause, ast.Needs):
                self._because(clause.because)
                judged = self.typer.condition(clause.condition, Context(needs=True), NOTHING)
                if judged.node is not None:
                    self.made.needs.append((judged.node, clause.because.value))

    def _because(self, text: ast.Text) -> None:
        if not text.value.strip():
            self.problems.error("empty-text", text.span, "say why")

    # ---- words and texts -----------------------------------------------------------------------

    def _words(self) -> None:
        made = self.made
        for clause in self.tree.clauses:
            match clause:
                case ast.Named(word="class"):
                    made.cls = clause.words[0].text
                case ast.Named(word="maturity"):
                    word = self.choice(clause.words[0], list(MATURITIES), "maturity")
                    made.maturity = MATURITIES[word] if word else made.maturity
                case ast.Named(word="tags"):
                    made.tags += tuple(w.text for w in clause.words)
                case ast.Equivalents():
                    system = self.choice(clause.system, list(SYSTEMS), "system")
                    if system:
                        new = tuple(n.value for n in clause.names)
                        made.equivalents[system] = made.equivalents.get(system, ()) + new
                case ast.Once():
                    made.group = tuple(self._subject(p) for p in clause.paths)
                case ast.Test():
                    self.choice(clause.expect, list(EXPECTATIONS), "expectation")

    def _subject(self, path: ast.Path) -> int:
        if len(path.parts) < 2:
            self.problems.error(
                "type-mismatch", path.span, "a field or an object of the event is needed here",
                notes=(f"fields of {kinds_text(self.context.kinds)}: "
                       f"{', '.join(event_fields(self.context.kinds))}",),
            )  # fmt: skip
            return 0
        place = self.typer.names.place(path, self.context)
        if place is None:
            return 0
        if place.range is not None:
            self.problems.error(
                "type-mismatch", path.span, "a range can not be reported once",
                help_=f"name `{path.text.removesuffix('range')}bus_addr`",
            )  # fmt: skip
            return 0
        load = place.value
        return load.obj << 8 | load.number if load else place.self_refs[-1]

    def _texts(self, violated: Facts) -> None:
        made = self.made
        templates = Templates(self.source, self.typer, self.context, violated, self.problems)
        for clause in self.tree.clauses:
            if not isinstance(clause, ast.Said):
                continue
            if not clause.text.value.strip():
                self.problems.error("empty-text", clause.text.span, f"`{clause.word}` says nothing")
            match clause.word:
                case "message":
                    made.message = templates.read(clause.text)
                case "hint":
                    made.hint = templates.read(clause.text)
                case "explain":
                    made.explain = _dedent(clause.text.value)
                case "source":
                    made.sources += (clause.text.value,)
        made.shown = templates.values


def _clause_word(clause: ast.AnyClause) -> str:
    match clause:
        case ast.Clause() | ast.Said() | ast.Named():
            return clause.word
        case ast.Once():
            return "report"
    return type(clause).__name__.lower()


def _long(clause: ast.AnyClause) -> bool:
    return clause.span.length > 200


def _dedent(text: str) -> str:
    from textwrap import dedent

    return dedent(text.strip("\n")).strip()
