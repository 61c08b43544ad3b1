"""The rules of types and units: what may be added to what, and how large a value can be."""

from collections.abc import Callable

from dmaverify.lang import ir
from dmaverify.model.fields import Type

LIMIT = 0xFFFF_FFFF_FFFF_FFFF

_I, _A, _S, _T, _D = Type.INT, Type.ADDR, Type.SIZE, Type.TIME, Type.DURATION

#: (operator, left, right) -> result; what is not here is a type error.
RESULTS: dict[tuple[str, Type, Type], Type] = {
    ("+", _A, _S): _A, ("+", _S, _A): _A, ("+", _T, _D): _T, ("+", _D, _T): _T,
    ("-", _A, _A): _S, ("-", _A, _S): _A, ("-", _T, _T): _D, ("-", _T, _D): _T,
    ("*", _S, _I): _S, ("*", _I, _S): _S, ("*", _D, _I): _D, ("*", _I, _D): _D,
    ("/", _S, _I): _S, ("/", _S, _S): _I, ("/", _D, _I): _D, ("/", _D, _D): _I,
    ("%", _A, _S): _S, ("%", _S, _S): _S, ("%", _D, _D): _D,
    **{(op, t, t): t for op in "+-" for t in (_I, _S, _D)},
    **{(op, _I, _I): _I for op in ("*", "/", "%", "<<", ">>")},
    **{(op, t, t): t for op in "&|^" for t in (_I, _A, _S)},
    **{(op, a, b): _A for op in "&|^" for a, b in ((_A, _I), (_I, _A), (_A, _S), (_S, _A))},
    **{(op, t, _I): t for op in ("<<", ">>") for t in (_A, _S)},
}  # fmt: skip

#: Units to propose where a bare number stands in the place of a size or a duration.
UNIT_OF = {_S: "B", _D: "ns"}


def result(op: str, left: Type, right: Type) -> Type | None:
    """Return the type of `left op right`, or None where it means nothing."""
    return RESULTS.get((op, left, right))


_FOLD: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
    "/": lambda a, b: a // b, "%": lambda a, b: a % b, "&": lambda a, b: a & b,
    "|": lambda a, b: a | b, "^": lambda a, b: a ^ b, "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
}  # fmt: skip

_HOLDS: dict[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


def fold(op: str, a: int, b: int) -> int | None:
    """Return `a op b`, or None: not in 64 bits, division by zero, a shift by 64 or more."""
    if (op in "/%" and b == 0) or (op in ("<<", ">>") and b > 63):
        return None
    value = _FOLD[op](a, b)
    return value if 0 <= value <= LIMIT else None


def bounds(value: ir.Value) -> tuple[int, int]:
    """Return the least and the greatest number that an expression can be."""
    match value:
        case ir.Const():
            return value.value, value.value
        case ir.Load(type=Type.BOOL):
            return 0, 1
        case ir.Arith(op="%", right=ir.Const() as c) if c.value:
            return 0, c.value - 1
        case ir.Arith(op="&"):
            return 0, min(bounds(value.left)[1], bounds(value.right)[1])
        case ir.Arith(op="/", right=ir.Const() as c) if c.value:
            low, high = bounds(value.left)
            return low // c.value, high // c.value
        case ir.Arith(op=">>", right=ir.Const() as c):
            low, high = bounds(value.left)
            return low >> min(c.value, 64), high >> min(c.value, 64)
        case ir.Load() | ir.Arith():
            return 0, LIMIT
    return 0, 1


def decided(op: str, left: ir.Value, right: ir.Value) -> bool | None:
    """Return what a comparison always gives, or None where it depends on the event."""
    (a, b), (c, d) = bounds(left), bounds(right)
    if left == right and isinstance(left, ir.Load):
        return op in ("==", "<=", ">=")
    if a == b and c == d:
        return _HOLDS[op](a, c)
    match op:
        case "<":
            return True if b < c else False if a >= d else None
        case "<=":
            return True if b <= c else False if a > d else None
        case ">":
            return True if a > d else False if b <= c else None
        case ">=":
            return True if a >= d else False if b < c else None
    apart = b < c or d < a
    return (op == "!=") if apart else None


def amount(type_: Type, value: int) -> str:
    """Return a number with its unit, as a rule would write it."""
    if type_ == Type.SIZE:
        if value == LIMIT:
            return "16 EiB"
        for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
            if value and value % size == 0:
                return f"{value // size} {unit}"
        return f"{value} B"
    if type_ == Type.DURATION:
        for unit, ns in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
            if value and value % ns == 0:
                return f"{value // ns} {unit}"
        return f"{value} ns"
    if type_ == Type.BOOL and value < 2:
        return "true" if value else "false"
    return hex(value) if type_ == Type.ADDR else str(value)
