"""Checked expressions: names resolved, types settled, constants folded. The compiler's input."""

from dataclasses import dataclass

from dmaverify.model.fields import Obj, Type
from dmaverify.model.program import Span


@dataclass(frozen=True, slots=True)
class Const:
    """A constant; truths are 0 and 1 of Type.BOOL."""

    span: Span
    type: Type
    value: int


@dataclass(frozen=True, slots=True)
class Load:
    """A field of an object; number 0 is the object itself (a device only)."""

    span: Span
    type: Type
    obj: Obj
    number: int
    space: str = ""


@dataclass(frozen=True, slots=True)
class Arith:
    """Checked arithmetic."""

    span: Span
    type: Type
    op: str
    left: "Value"
    right: "Value"
    space: str = ""


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison of two values of one type."""

    span: Span
    op: str
    left: "Value"
    right: "Value"


@dataclass(frozen=True, slots=True)
class Member:
    """True where the value is one of some constants, in ascending order."""

    span: Span
    left: "Value"
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """True where all of some objects and fields (by ref) are known."""

    span: Span
    refs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The bytes from a bus address on; both parts are known where it is used."""

    start: Load
    length: Load


@dataclass(frozen=True, slots=True)
class Covers:
    """True where each byte of `inner` is in `outer`."""

    span: Span
    outer: Range
    inner: Range


@dataclass(frozen=True, slots=True)
class Not:
    """Negation."""

    span: Span
    inner: "Value"


@dataclass(frozen=True, slots=True)
class All:
    """True where each part is; parts after the first false one are not looked at."""

    span: Span
    parts: tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """True where one part is; parts after the first true one are not looked at."""

    span: Span
    parts: tuple["Value", ...]


Condition = Compare | Member | Exists | Covers | Not | All | Some
Value = Const | Load | Arith | Condition


def type_of(value: Value) -> Type:
    """Return the type of a checked expression."""
    return value.type if isinstance(value, Const | Load | Arith) else Type.BOOL


def space_of(value: Value) -> str:
    """Return the address space of a checked expression, "" where it has none."""
    return value.space if isinstance(value, Load | Arith) else ""
