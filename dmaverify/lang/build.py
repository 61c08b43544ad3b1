"""From lark's trees to the syntax tree: positions, literals and texts are settled here."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from dmaverify.lang import ast
from dmaverify.lang.errors import Problems
from dmaverify.lang.source import Source
from dmaverify.model.program import Span

if TYPE_CHECKING:
    from lark import Token, Tree

Node: TypeAlias = "Tree[Any] | Token"

MAX_DEPTH = 100  # levels of an expression
MAX_NUMBER = 0xFFFF_FFFF_FFFF_FFFF
SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
DURATIONS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F_]+|[\d_]+)(?:\.(\d+))?\s*([A-Za-z]*)$")
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


class TooDeepError(Exception):
    """An expression is nested beyond any sense; raised and caught within the room."""

    def __init__(self, span: Span) -> None:
        super().__init__("expression is nested too deeply")
        self.span = span


class Builder:
    """Turns the tree of one chunk into nodes.

    Args:
        source: the whole text.
        offset: where the chunk starts in it.
        problems: takes what is wrong with literals and texts.
    """

    def __init__(self, source: Source, offset: int, problems: Problems) -> None:
        self.source = source
        self.offset = offset
        self.problems = problems
        self.depth = 0

    # ---- places and words --------------------------------------------------------------------

    def span(self, node: Node) -> Span:
        """Return where a tree or token stands."""
        place: Any = node if isinstance(node, str) else node.meta
        if getattr(place, "start_pos", None) is None:
            return self.source.span(self.offset, self.offset)
        return self.source.span(self.offset + place.start_pos, self.offset + place.end_pos)

    def word(self, token: Any) -> ast.Word:
        """Return a token as a word."""
        return ast.Word(self.span(token), str(token))

    def _between(self, first: Span, last: Span) -> Span:
        return self.source.span(first.offset, last.offset + last.length)

    # ---- literals ----------------------------------------------------------------------------

    def number(self, text: str, span: Span, units: dict[str, int], unit: str) -> ast.Number:
        """Return a literal as a number of its smallest unit, 0 (with an error) if it can not be."""
        match = _NUMBER.match(text.strip())
        digits, fraction, suffix = match.groups() if match else ("", None, "")
        plain = digits.replace("_", "")
        base = 16 if plain[:2] in ("0x", "0X") else 10
        value = MAX_NUMBER + 1
        if plain in ("", "0x", "0X"):
            self.problems.error("bad-number", span, f"`{text}` has no digits")
            return ast.Number(span, 0, unit)
        if len(plain.lstrip("0")) <= 40:
            value = int(plain, base) * units.get(suffix, 1)
            if fraction:
                value += int((fraction + "0" * 9)[:9]) * units.get(suffix, 1) // 10**9
        if value > MAX_NUMBER:
            self.problems.error(
                "overflow", span, "this number does not fit into 64 bits",
                help_="the largest value is 0xffff_ffff_ffff_ffff",
            )  # fmt: skip
            value = 0
        return ast.Number(span, value, unit)

    def text(self, token: Any) -> ast.Text:
        """Return a quoted text with its escapes resolved."""
        span, raw = self.span(token), str(token)
        if raw.startswith('"""'):
            inner = raw[3:-3]
            return ast.Text(span, inner, inner, span.offset + 3)
        inner = raw[1:-1]
        start = span.offset + 1

        def resolve(match: re.Match[str]) -> str:
            if match[1] in _ESCAPES:
                return _ESCAPES[match[1]]
            place = self.source.span(start + match.start(), start + match.end())
            self.problems.error(
                "bad-escape", place, f"unknown escape `{match[0]}`",
                help_=r"known are \n, \t, \" and \\",
            )  # fmt: skip
            return match[0]

        return ast.Text(span, re.sub(r"\\(.)", resolve, inner), inner, start)

    # ---- expressions ---------------------------------------------------------------------------

    def expr(self, node: Any) -> ast.Expr:
        """Return an expression.

        Raises:
            TooDeepError: it is nested beyond `MAX_DEPTH`.
        """
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooDeepError(self.span(node))
        try:
            made: ast.Expr = getattr(self, f"_{node.data}")(node, self.span(node), node.children)
            return made
        finally:
            self.depth -= 1

    def _integer(self, _: Node, span: Span, kids: list[Any]) -> ast.Expr:
        return self.number(str(kids[0]), span, {"": 1}, "")

    def _size(self, _: Node, span: Span, kids: list[Any]) -> ast.Expr:
        return self.number(str(kids[0]), span, SIZES, "size")

    def _duration(self, _: Node, span: Span, kids: list[Any]) -> ast.Expr:
        return self.number(str(kids[0]), span, DURATIONS, "duration")

    def _string(self, _: Node, __: Span, kids: list[Any]) -> ast.Expr:
        return self.text(kids[0])

    def _true(self, _: Node, span: Span, __: list[Any]) -> ast.Expr:
        return ast.Truth(span, True)

    def _false(self, _: Node, span: Span, __: list[Any]) -> ast.Expr:
        return ast.Truth(span, False)

    def _path(self, _: Node, span: Span, kids: list[Any]) -> ast.Path:
        return ast.Path(span, tuple(self.word(k) for k in kids))

    _word = _path

    def _group(self, _: Node, span: Span, kids: list[Any]) -> ast.Expr:
        return ast.Group(span, self.expr(kids[0]))

    def _arithmetic(self, _: Node, span: Span, kids: list[Any]) -> ast.Expr:
        # A long chain leans to the left, and so is as deep as it is long.
        if len(kids) // 2 + self.depth > MAX_DEPTH:
            raise TooDeepError(span)
        left = self.expr(kids[0])
        for op, right_node in zip(kids[1::2], kids[2::2], strict=True):
            right = self.expr(right_node)
            place = self._between(left.span, right.span)
            left = ast.Arith(place, str(op), left, right, self.span(op))
        return left

    def _comparison(self, _: Node, span: Span, kids: list[Any]) -> ast.Expr:
        left, right = self.expr(kids[0]), self.expr(kids[2])
        return ast.Compare(span, str(kids[1]), left, right, self.span(kids[1]))

    def elements(self, node: Any) -> ast.Elements:
        """Return a set that is written out."""
        items: list[Any] = [self.expr(k) for k in node.children if k is not None]
        return ast.Elements(self.span(node), tuple(items))

    def _membership(self, _: Node, span: Span, kids: list[Any]) -> ast.Expr:
        members = self.word(kids[1]) if isinstance(kids[1], str) else self.elements(kids[1])
        return ast.Member(span, self.expr(kids[0]), members)

    def _exists(self, _: Node, span: Span, kids: list[Any]) -> ast.Expr:
        return ast.Exists(span, self.expr(kids[0]))

    def _covers(self, _: Node, span: Span, kids: list[Any]) -> ast.Expr:
        return ast.Covers(span, self.expr(kids[0]), self.expr(kids[1]))

    def _negation(self, _: Node, span: Span, kids: list[Any]) -> ast.Expr:
        return ast.Not(span, self.expr(kids[0]))

    def _conjunction(self, _: Node, span: Span, kids: list[Any]) -> ast.Expr:
        return ast.And(span, tuple(self.expr(k) for k in kids))

    def _disjunction(self, _: Node, span: Span, kids: list[Any]) -> ast.Expr:
        return ast.Or(span, tuple(self.expr(k) for k in kids))

    def _implies(self, _: Node, span: Span, kids: list[Any]) -> ast.Expr:
        return ast.Implies(span, self.expr(kids[0]), self.expr(kids[1]))

    # ---- clauses -------------------------------------------------------------------------------

    def _on(self, span: Span, kids: list[Any]) -> ast.On:
        patterns = tuple(
            ast.Pattern(
                self.span(k), self.word(k.children[0]), self.expr(k.children[1])
                if k.children[1] is not None else None,
            )
            for k in kids[:-1]
        )  # fmt: skip
        return ast.On(span, patterns, None if kids[-1] is None else self.word(kids[-1]))

    def _event(self, node: Any) -> ast.TestEvent:
        at, kind, *arguments, here = node.children
        when = None
        if at is not None:
            when = self.number(str(at).lstrip("@ \t"), self.span(at), DURATIONS, "duration").value
        given = tuple(self._argument(a) for a in arguments if a is not None)
        return ast.TestEvent(self.span(node), when, self.word(kind), given, here is not None)

    def _argument(self, node: Any) -> ast.Argument:
        key, value = node.children
        data: Any
        if value is None:
            data = ast.Truth(self.span(node), True)
        elif value.data == "datum_list":
            data = tuple(self._datum(v) for v in value.children if v is not None)
        else:
            data = self._datum(value)
        return ast.Argument(self.span(node), self.word(key), data)

    def _datum(self, node: Any) -> Any:
        if node.data == "segment":
            start, _, length = node.children
            return ast.Segment(self.span(node), self.expr(start), self.expr(length))
        return self.expr(node)

    def _test(self, span: Span, kids: list[Any]) -> ast.Test:
        name, expect, *events = kids
        made = tuple(self._event(e) for e in events)
        return ast.Test(span, self.text(name), self.word(expect), made)

    def clause(self, node: Any) -> ast.AnyClause:
        """Return one clause of a rule."""
        span, kids, word = self.span(node), node.children, str(node.data).rstrip("_")
        simple: dict[str, Callable[[], ast.AnyClause]] = {
            "on": lambda: self._on(span, kids),
            "except": lambda: ast.Except(span, self.expr(kids[0]), self.text(kids[1])),
            "needs": lambda: ast.Needs(span, self.expr(kids[0]), self.text(kids[1])),
            "report": lambda: ast.Once(
                span, tuple(self._path(k, self.span(k), k.children) for k in kids)
            ),
            "equivalents": lambda: ast.Equivalents(
                span, self.word(kids[0]), tuple(self.text(k) for k in kids[1:])
            ),
            "test": lambda: self._test(span, kids),
        }
        if word in simple:
            return simple[word]()
        if word in ("message", "hint", "explain", "source"):
            return ast.Said(span, word, self.text(kids[0]))
        if word in ("tags", "class", "maturity"):
            return ast.Named(span, word, tuple(self.word(k) for k in kids))
        return ast.Clause(span, word, self.expr(kids[0]))

    # ---- items ---------------------------------------------------------------------------------

    def item(self, node: Any) -> ast.Header | ast.Item:
        """Return one top-level item."""
        span, kids = self.span(node), node.children
        match str(node.data):
            case "header":
                return ast.Header(span, self.number(str(kids[0]), self.span(kids[0]), {}, ""))
            case "include":
                return ast.Include(span, self.text(kids[0]))
            case "let_":
                return ast.Let(span, self.word(kids[0]), self.expr(kids[1]))
            case "set_":
                return ast.SetOf(span, self.word(kids[0]), self.elements(kids[1]))
        id_, severity, *clauses = kids
        made = tuple(self.clause(c) for c in clauses)
        return ast.Rule(span, self.word(id_), self.word(severity), made)
