"""Checked rules to instructions: conditions become jumps, comparisons with constants one each.

Order within a rule: guards of the `on` clause and `where` (false: not applicable), `except`
(true: not applicable), `require` and `forbid` in the order in which they are written, then
HOLDS; on violation the values of the message are shown first.
"""

from collections.abc import Iterable

from dmaverify.lang import ir
from dmaverify.lang.check import CheckedRule
from dmaverify.lang.emit import REGISTERS, Emitter, Label
from dmaverify.lang.errors import Problems
from dmaverify.lang.schema import ENUMS
from dmaverify.model.classes import class_order
from dmaverify.model.fields import Obj
from dmaverify.model.program import Need, Op, Program, Rule

_ARITH = {
    "+": Op.ADD, "-": Op.SUB, "*": Op.MUL, "/": Op.DIV, "%": Op.MOD, "&": Op.AND, "|": Op.OR,
    "^": Op.XOR, "<<": Op.SHL, ">>": Op.SHR,
}  # fmt: skip
_FUSED = {"==": Op.FEQ, "!=": Op.FNE, "<": Op.FLT, "<=": Op.FLE, ">": Op.FGT, ">=": Op.FGE}
_INVERSE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", "<=": ">", ">": "<="}
_MIRROR = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_KIND_FIELD = 23  # the event's own kind, in EVENT_FIELDS


class TooManyRegistersError(Exception):
    """An expression needs more registers than there are; caught within this module."""


class _Code:
    """Emits expressions into an emitter."""

    def __init__(self, out: Emitter) -> None:
        self.out = out

    # ---- conditions ----------------------------------------------------------------------------

    def jump(self, e: ir.Value, want: bool, target: Label, free: int = 0) -> None:
        """Go to `target` if a condition is as wanted, else fall through.

        Args:
            e: the condition.
            want: the outcome on which to go.
            target: where to.
            free: the first register that may be used.
        """
        out = self.out
        match e:
            case ir.Const():
                if bool(e.value) == want:
                    out.emit(Op.JUMP, target=target)
            case ir.Load():
                out.field(Op.FNE if want else Op.FEQ, e.obj, e.number, target)
            case ir.Not():
                self.jump(e.inner, not want, target, free)
            case ir.All():
                self._chain(e.parts, want, target, free, stops=False)
            case ir.Some():
                self._chain(e.parts, want, target, free, stops=True)
            case ir.Compare():
                self._compare(e if want else _inverse(e), target, free)
            case ir.Member():
                self._member(e, want, target, free)
            case ir.Exists():
                self._exists(e, want, target)
            case ir.Covers():
                self._covers(e, want, target, free)
            case ir.Arith():
                raise AssertionError("a number is no condition")

    def _chain(
        self, parts: tuple[ir.Value, ...], want: bool, target: Label, free: int, stops: bool
    ) -> None:
        """Emit parts of which the first that equals `stops` decides."""
        if want == stops:
            for part in parts:
                self.jump(part, stops, target, free)
            return
        skip = Label()
        for part in parts[:-1]:
            self.jump(part, stops, skip, free)
        self.jump(parts[-1], want, target, free)
        self.out.place(skip)

    def _compare(self, e: ir.Compare, target: Label, free: int) -> None:
        left, right, op = e.left, e.right, e.op
        if isinstance(left, ir.Const) and isinstance(right, ir.Load):
            left, right, op = right, left, _MIRROR[op]
        if isinstance(left, ir.Load) and isinstance(right, ir.Const):
            self.out.field(_FUSED[op], left.obj, left.number, target, right.value)
            return
        a, b = free, free + 1
        self.value(left, a)
        self.value(right, b)
        if op in (">", ">="):
            a, b, op = b, a, _MIRROR[op]
        jump = {"==": Op.JEQ, "!=": Op.JNE, "<": Op.JLT, "<=": Op.JLE}[op]
        self.out.emit(jump, 0, a, b, target)

    def _member(self, e: ir.Member, want: bool, target: Label, free: int) -> None:
        left = e.left
        if isinstance(left, ir.Load) and left.type in ENUMS:
            bits = sum(1 << v for v in e.values)
            self.out.field(Op.FIN if want else Op.FNIN, left.obj, left.number, target, bits)
            return
        found = target if want else Label()
        if isinstance(left, ir.Load):
            for value in e.values:
                self.out.field(Op.FEQ, left.obj, left.number, found, value)
        else:
            self.value(left, free)
            self._register(free + 1)
            for value in e.values:
                self.out.emit(Op.CONST, free + 1, imm=value)
                self.out.emit(Op.JEQ, 0, free, free + 1, found)
        if not want:
            self.out.emit(Op.JUMP, target=target)
            self.out.place(found)

    def _exists(self, e: ir.Exists, want: bool, target: Label) -> None:
        skip = Label()
        for number in e.refs[:-1] if want else e.refs:
            self.out.field(Op.XMISS, Obj(number >> 8), number & 0xFF, skip if want else target)
        if want:
            last = e.refs[-1]
            self.out.field(Op.XIST, Obj(last >> 8), last & 0xFF, target)
            self.out.place(skip)

    def _covers(self, e: ir.Covers, want: bool, target: Label, free: int) -> None:
        """Emit `covers` without sums of address and length: they may be just too large.

        With o, i for the starts and n, m for the lengths: o <= i, i - o <= n and
        m <= n - (i - o).
        """
        out = self.out
        missed = Label() if want else target
        o, n, i, m = range(free, free + 4)
        for load, register in (
            (e.outer.start, o), (e.inner.start, i), (e.outer.length, n), (e.inner.length, m)
        ):  # fmt: skip
            self.value(load, register)
        out.emit(Op.JLT, 0, i, o, missed)
        out.emit(Op.SUB, i, i, o)
        out.emit(Op.JLT, 0, n, i, missed)
        out.emit(Op.SUB, n, n, i)
        if want:
            out.emit(Op.JLE, 0, m, n, target)
            out.place(missed)
        else:
            out.emit(Op.JLT, 0, n, m, target)

    # ---- values --------------------------------------------------------------------------------

    def _register(self, number: int) -> None:
        if number >= REGISTERS:
            raise TooManyRegistersError

    def value(self, e: ir.Value, register: int) -> None:
        """Put a value into a register; higher registers may be used on the way."""
        self._register(register)
        match e:
            case ir.Const():
                self.out.emit(Op.CONST, register, imm=e.value)
            case ir.Load():
                self.out.emit(Op.LOAD, register, e.obj, e.number)
            case ir.Arith():
                self.value(e.left, register)
                self.value(e.right, register + 1)
                self.out.emit(_ARITH[e.op], register, register, register + 1)
            case _:
                self._truth(e, register)

    def _truth(self, e: ir.Value, register: int) -> None:
        yes, end = Label(), Label()
        self.jump(e, True, yes, register)
        self.out.emit(Op.CONST, register, imm=0)
        self.out.emit(Op.JUMP, target=end)
        self.out.place(yes)
        self.out.emit(Op.CONST, register, imm=1)
        self.out.place(end)


def _inverse(e: ir.Compare) -> ir.Compare:
    return ir.Compare(e.span, _INVERSE[e.op], e.left, e.right)


def _body(rule: CheckedRule, out: Emitter) -> None:
    code = _Code(out)
    outside, violated = Label(), Label()
    for kind, guard in rule.guards:
        after = Label()
        if len(rule.kinds) > 1:
            out.field(Op.FNE, Obj.EVENT, _KIND_FIELD, after, int(kind))
        code.jump(guard, False, outside)
        out.place(after)
    for condition in rule.wheres:
        code.jump(condition, False, outside)
    for condition in rule.excepts:
        code.jump(condition, True, outside)
    for judgement in rule.judgements:
        code.jump(judgement.condition, judgement.forbid, violated)
    out.emit(Op.HOLDS)
    out.place(violated)
    for slot, value in enumerate(rule.shown):
        if isinstance(value, ir.Load):
            out.emit(Op.SHOWF, slot, value.obj, value.number)
        else:
            code.value(value, 0)
            out.emit(Op.SHOW, slot, 0)
    out.emit(Op.VIOLATED)
    out.place(outside)
    out.emit(Op.NOT_APPLICABLE)


def _need(condition: ir.Value, out: Emitter) -> int:
    entry, lacking = out.here(), Label()
    _Code(out).jump(condition, False, lacking)
    out.emit(Op.HOLDS)
    out.place(lacking)
    out.emit(Op.VIOLATED)
    return entry


def _rule(rule: CheckedRule, base: int) -> tuple[bytes, Rule]:
    out = Emitter(base)
    _body(rule, out)
    needs = tuple(Need(_need(condition, out), because) for condition, because in rule.needs)
    compiled = Rule(
        id=rule.tree.id.text, cls=rule.cls, severity=rule.severity, maturity=rule.maturity,
        kinds=tuple(int(k) for k in rule.kinds), entry=base, message=rule.message, needs=needs,
        group=rule.group, hint=rule.hint, explain=rule.explain, source=rule.sources,
        equivalents=rule.equivalents, tags=rule.tags, builtin=rule.source.builtin,
        span=rule.tree.id.span,
    )  # fmt: skip
    return out.packed(), compiled


def order(rule: Rule) -> tuple[bool, int]:
    """Return the sort key of the order in which rules run: built-in ones by class, then users'."""
    return not rule.builtin, class_order(rule.cls) if rule.builtin else 0


def generate(rules: Iterable[CheckedRule], problems: Problems) -> Program:
    """Return the program of some checked rules; too complex ones are left out and told."""
    code, made = b"", []
    chunks: list[bytes] = []
    base = 0
    for rule in rules:
        try:
            code, compiled = _rule(rule, base)
        except TooManyRegistersError:
            problems.error(
                "too-complex", rule.tree.id.span, "an expression of this rule is too complex",
                help_="name constant parts with `let`, or write sums from left to right",
            )  # fmt: skip
            continue
        chunks.append(code)
        made.append(compiled)
        base += len(code) // 16
    return Program(b"".join(chunks), tuple(sorted(made, key=order)))
