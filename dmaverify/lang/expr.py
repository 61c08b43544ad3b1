"""Types of expressions, and what is known to exist where (flow typing)."""

from dataclasses import dataclass

from dmaverify.lang import ast, ir
from dmaverify.lang.errors import Problems
from dmaverify.lang.names import Context, Names, Place
from dmaverify.lang.schema import ENUMS, ORDERED, TYPE_NAMES
from dmaverify.lang.units import LIMIT, UNIT_OF, amount, bounds, decided, fold, result
from dmaverify.model.fields import Type
from dmaverify.model.program import Span

Facts = frozenset[int]  # refs of objects and fields that are known to exist
NOTHING: Facts = frozenset()
_ZERO_IS_NOTHING = ("+", "-", "|", "^", "<<", ">>")
_LITERALS = {"": Type.INT, "size": Type.SIZE, "duration": Type.DURATION}


@dataclass(frozen=True, slots=True)
class Judged:
    """A checked condition, and what is known to exist where it is true and where it is not."""

    node: ir.Value | None
    yes: Facts
    no: Facts


class Typer:
    """Checks expressions of one file.

    Args:
        names: what names mean.
        problems: takes the errors.
    """

    def __init__(self, names: Names, problems: Problems) -> None:
        self.names = names
        self.problems = problems

    # ---- conditions ----------------------------------------------------------------------------

    def condition(self, e: ast.Expr, context: Context, facts: Facts) -> Judged:
        """Check an expression that must be true or false."""
        match e:
            case ast.Group():
                return self.condition(e.inner, context, facts)
            case ast.Not():
                inner = self.condition(e.inner, context, facts)
                node = ir.Not(e.span, inner.node) if inner.node else None
                return Judged(node, inner.no, inner.yes)
            case ast.And() | ast.Or():
                return self._chain(e, context, facts)
            case ast.Implies():
                left = self.condition(e.left, context, facts)
                right = self.condition(e.right, context, left.yes)
                implied: ir.Value | None = None
                if left.node and right.node:
                    implied = ir.Some(e.span, (ir.Not(e.left.span, left.node), right.node))
                return Judged(implied, left.no & right.yes, right.no)
            case ast.Exists():
                return self._exists(e, context, facts)
        made = self.value(e, context, facts)
        if made is not None and ir.type_of(made) != Type.BOOL:
            self._not_bool(e, ir.type_of(made))
            made = None
        return Judged(made, facts, facts)

    def _chain(self, e: ast.And | ast.Or, context: Context, facts: Facts) -> Judged:
        conjunction = isinstance(e, ast.And)
        nodes: list[ir.Value | None] = []
        going, left = facts, None
        for part in e.parts:
            if not conjunction and isinstance(part, ast.And):
                self._mixed(e, part)
            judged = self.condition(part, context, going)
            nodes.append(judged.node)
            leaving = judged.no if conjunction else judged.yes
            left = leaving if left is None else left & leaving
            going = judged.yes if conjunction else judged.no
        left = left if left is not None else facts
        parts = tuple(n for n in nodes if n is not None)
        if len(parts) < len(nodes):
            node: ir.Value | None = None
        else:
            node = ir.All(e.span, parts) if conjunction else ir.Some(e.span, parts)
        return Judged(node, going, left) if conjunction else Judged(node, left, going)

    def _mixed(self, e: ast.Expr, part: ast.And) -> None:
        self.problems.warning(
            "mixed-and-or", part.span, "`and` and `or` are mixed without parentheses",
            "`and` binds first", help_="put this part in parentheses, as it is read now",
        )  # fmt: skip

    def _not_bool(self, e: ast.Expr, type_: Type) -> None:
        self.problems.error(
            "type-mismatch", e.span, "a condition is needed here",
            f"type is {TYPE_NAMES[type_]}", help_="compare it with something",
        )  # fmt: skip

    def _exists(self, e: ast.Exists, context: Context, facts: Facts) -> Judged:
        what = e.what
        if not isinstance(what, ast.Path) or len(what.parts) < 2:
            self.problems.error(
                "type-mismatch", what.span, "`exists` asks for a field or an object",
                help_="write a path like `e.mapping` or `e.length`",
            )  # fmt: skip
            return Judged(None, facts, facts)
        place = self.names.place(what, context)
        if place is None:
            return Judged(None, facts, facts)
        if not place.self_refs:
            self.problems.warning(
                "always-true", e.span, "this always holds", f"`{place.text}` is never missing"
            )
            return Judged(ir.Const(e.span, Type.BOOL, 1), facts, facts)
        # A known field implies that its object is known, so the innermost decide.
        last = place.self_refs if place.range else place.self_refs[-1:]
        return Judged(ir.Exists(e.span, last), facts | set(place.self_refs), facts)

    # ---- values --------------------------------------------------------------------------------

    def value(
        self, e: ast.Expr, context: Context, facts: Facts, want: Type | None = None
    ) -> ir.Value | None:
        """Check an expression of any type; None after an error.

        Args:
            e: the expression.
            context: where it stands.
            facts: what is known to exist.
            want: the type that is expected, for words that several enums share.
        """
        match e:
            case ast.Group():
                return self.value(e.inner, context, facts, want)
            case ast.Number():
                return ir.Const(e.span, _LITERALS[e.unit], e.value)
            case ast.Truth():
                return ir.Const(e.span, Type.BOOL, int(e.value))
            case ast.Text():
                self.problems.error("type-mismatch", e.span, "a text is no value in an expression")
                return None
            case ast.Path():
                return self._path(e, context, facts, want)
            case ast.Arith():
                return self._arith(e, context, facts)
            case ast.Compare():
                return self._compare(e, context, facts)
            case ast.Member():
                return self._member(e, context, facts)
            case ast.Covers():
                return self._covers(e, context, facts)
        return self.condition(e, context, facts).node

    def _path(
        self, e: ast.Path, context: Context, facts: Facts, want: Type | None
    ) -> ir.Value | None:
        if len(e.parts) == 1:
            return self.names.word(e.parts[0], context, want)
        place = self.names.place(e, context)
        if place is None:
            return None
        if place.value is None:
            what = "a range" if place.range else "an object"
            self.problems.error(
                "type-mismatch", e.span, f"`{place.text}` is {what}, not a value",
                help_="ranges are for `covers`" if place.range
                else f"name one of its fields, or ask `{place.text} exists`",
            )  # fmt: skip
            return None
        return place.value if self.known(place, facts) else None

    def known(self, place: Place, facts: Facts) -> bool:
        """Tell (once) what may be missing on the way to a place; return True if nothing."""
        for number, span, text, type_ in place.required:
            if number not in facts:
                self.problems.error(
                    "maybe-missing", span, f"`{text}` may be missing here", f"type is {type_}?",
                    help_=f"write `{text} exists and …`"
                    if text.startswith(("device.", "trace."))
                    else f"add `where {text} exists`",
                )  # fmt: skip
                return False
        return True

    def _arith(self, e: ast.Arith, context: Context, facts: Facts) -> ir.Value | None:
        left = self.value(e.left, context, facts)
        right = self.value(e.right, context, facts)
        if left is None or right is None:
            return None
        if e.op in ("+", "-", "&", "|", "^", "%"):
            left, right = self._fit(left, right)
        a, b = ir.type_of(left), ir.type_of(right)
        type_ = result(e.op, a, b)
        if type_ is None:
            self._no_arith(e, left, right)
            return None
        if e.op in "/%" and bounds(right) == (0, 0):
            self.problems.error("division-by-zero", e.right.span, "this divides by zero")
            return None
        if isinstance(left, ir.Const) and isinstance(right, ir.Const):
            folded = fold(e.op, left.value, right.value)
            if folded is None:
                self.problems.error(
                    "overflow", e.span, "this does not fit into 64 bits",
                    "below zero" if e.op == "-" else "too large",
                )  # fmt: skip
                return None
            return ir.Const(e.span, type_, folded)
        nothing = isinstance(right, ir.Const) and right.value == 0 and type_ == a
        if nothing and e.op in _ZERO_IS_NOTHING:
            return left
        space = ir.space_of(left) or ir.space_of(right) if type_ == Type.ADDR else ""
        return ir.Arith(e.span, type_, e.op, left, right, space)

    def _no_arith(self, e: ast.Arith, left: ir.Value, right: ir.Value) -> None:
        a, b = ir.type_of(left), ir.type_of(right)
        if self._unit_missing(left, right, e) or self._unit_missing(right, left, e):
            return
        self.problems.error(
            "type-mismatch", e.op_span, f"`{e.op}` does not go with these types",
            others=((e.left.span, TYPE_NAMES[a]), (e.right.span, TYPE_NAMES[b])),
        )  # fmt: skip

    def _fit(self, left: ir.Value, right: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Give the literal 0 the type of the other side; it needs no unit."""
        return self._zero(left, right), self._zero(right, left)

    def _zero(self, value: ir.Value, other: ir.Value) -> ir.Value:
        if isinstance(value, ir.Const) and value.type == Type.INT and value.value == 0:
            type_ = ir.type_of(other)
            if type_ in (Type.SIZE, Type.DURATION, Type.TIME):
                return ir.Const(value.span, type_, 0)
        return value

    def _unit_missing(self, value: ir.Value, other: ir.Value, e: ast.Expr) -> bool:
        type_ = ir.type_of(other)
        if not isinstance(value, ir.Const) or value.type != Type.INT or type_ not in UNIT_OF:
            return False
        if isinstance(e, ast.Arith) and e.op in ("*", "/", "<<", ">>"):
            return False
        self.problems.error(
            "unit-missing", value.span, "this number needs a unit",
            f"a {TYPE_NAMES[type_]} is due", help_=f"write `{value.value} {UNIT_OF[type_]}`",
        )  # fmt: skip
        return True

    # ---- comparisons ---------------------------------------------------------------------------

    def _compare(self, e: ast.Compare, context: Context, facts: Facts) -> ir.Value | None:
        right = self.value(e.right, context, facts)
        left = self.value(e.left, context, facts, ir.type_of(right) if right else None)
        if left is not None and right is not None and isinstance(right, ir.Const):
            right = self.value(e.right, context, facts, ir.type_of(left))
        if left is None or right is None:
            return None
        left, right = self._fit(left, right)
        if not self._comparable(e, left, right):
            return None
        always = decided(e.op, left, right)
        if always is not None:
            self._decided(e, left, right, always)
        return ir.Compare(e.span, e.op, left, right)

    def _comparable(self, e: ast.Compare, left: ir.Value, right: ir.Value) -> bool:
        a, b = ir.type_of(left), ir.type_of(right)
        if self._unit_missing(left, right, e) or self._unit_missing(right, left, e):
            return False
        if a != b and {a, b} != {Type.ADDR, Type.INT}:
            notes = [f"values of {TYPE_NAMES[t]}: {', '.join(ENUMS[t])}" for t in (a, b)
                     if t in ENUMS]  # fmt: skip
            self.problems.error(
                "type-mismatch", e.op_span, "the two sides are of different types",
                others=((e.left.span, TYPE_NAMES[a]), (e.right.span, TYPE_NAMES[b])),
                notes=notes[:1],
            )  # fmt: skip
            return False
        if e.op not in ("==", "!=") and a not in ORDERED:
            self.problems.error(
                "type-mismatch", e.op_span, f"values of type {TYPE_NAMES[a]} have no order",
                "only `==` and `!=` are possible",
            )  # fmt: skip
            return False
        spaces = ir.space_of(left), ir.space_of(right)
        if all(spaces) and spaces[0] != spaces[1]:
            self.problems.warning(
                "space-mismatch", e.op_span, "addresses of different spaces are compared",
                others=((e.left.span, spaces[0]), (e.right.span, spaces[1])),
            )  # fmt: skip
        return True

    def _decided(self, e: ast.Compare, left: ir.Value, right: ir.Value, always: bool) -> None:
        id_, text = ("always-true", "this always holds") if always else (
            "never-true", "this can not hold")  # fmt: skip
        others = [(side.span, _extent(value)) for side, value in
                  ((e.left, left), (e.right, right))]  # fmt: skip
        self.problems.warning(id_, e.op_span, text, others=others)

    def _member(self, e: ast.Member, context: Context, facts: Facts) -> ir.Value | None:
        left = self.value(e.left, context, facts)
        if left is None:
            return None
        type_ = ir.type_of(left)
        if isinstance(e.members, ast.Word):
            members = self.names.members(e.members)
        else:
            members = self.elements(e.members, context, type_)
        if members is None:
            return None
        fitted = [self._zero(m, left) for m in members]
        for member in fitted:
            if self._unit_missing(member, left, e):
                return None
            own = ir.type_of(member)
            if own != type_ and {own, type_} != {Type.ADDR, Type.INT}:
                span = e.members.span if isinstance(e.members, ast.Word) else member.span
                self.problems.error(
                    "type-mismatch", span, "the set does not go with this value",
                    TYPE_NAMES[own], others=((e.left.span, TYPE_NAMES[type_]),),
                )  # fmt: skip
                return None
        if not members:
            self.problems.warning("never-true", e.span, "this can not hold", "the set is empty")
        values = sorted({m.value for m in members})
        return ir.Member(e.span, left, tuple(values))

    def elements(
        self, elements: ast.Elements, context: Context, want: Type | None
    ) -> tuple[ir.Const, ...] | None:
        """Return the constants of a set that is written out, or None after an error."""
        made = [self.value(item, context, NOTHING, want) for item in elements.items]
        constants = tuple(m for m in made if isinstance(m, ir.Const))
        return constants if len(constants) == len(made) else None

    def _covers(self, e: ast.Covers, context: Context, facts: Facts) -> ir.Value | None:
        ranges: list[ir.Range] = []
        for side in (e.outer, e.inner):
            place = None
            if isinstance(side, ast.Path) and len(side.parts) > 1:
                place = self.names.place(side, context)
                if place is None:
                    continue
            if place is None or place.range is None:
                self.problems.error(
                    "type-mismatch", side.span, "`covers` compares two ranges",
                    help_="write `e.mapping.range covers e.range`",
                )  # fmt: skip
            elif self.known(place, facts):
                ranges.append(place.range)
        return ir.Covers(e.span, ranges[0], ranges[1]) if len(ranges) == 2 else None


def _extent(value: ir.Value) -> str:
    """Return how large a value can be, in words."""
    type_ = ir.type_of(value)
    low, high = bounds(value)
    if low == high:
        if low in (0, LIMIT) and type_ in ORDERED:
            return "lowest value" if low == 0 else "highest value"
        return f"always {amount(type_, low)}"
    return f"{TYPE_NAMES[type_]}, from {amount(type_, low)} to {amount(type_, high)}"


def constant(typer: Typer, e: ast.Expr) -> ir.Const | None:
    """Return the constant that an expression without fields gives, or None after an error."""
    made = typer.value(e, Context(), NOTHING)
    if made is None or isinstance(made, ir.Const):
        return made
    _not_constant(typer.problems, e.span)
    return None


def _not_constant(problems: Problems, span: Span) -> None:
    problems.error(
        "not-constant", span, "a `let` is a constant",
        "not a constant", help_="use numbers, sizes, durations and other lets",
    )  # fmt: skip
