"""The syntax tree of a rule file: frozen nodes, each with the place where it stands."""

from dataclasses import dataclass

from dmaverify.model.program import Span


@dataclass(frozen=True, slots=True)
class Word:
    """A name or another single word, as written."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted text.

    Args:
        value: the text that is meant, escapes resolved.
        inner: the characters between the quotes, as written; `start` is their offset.
    """

    span: Span
    value: str
    inner: str
    start: int


# ---- expressions -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    """A literal number; `unit` is "", "size" (value in bytes) or "duration" (value in ns)."""

    span: Span
    value: int
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Truth:
    """`true` or `false`."""

    span: Span
    value: bool


@dataclass(frozen=True, slots=True)
class Path:
    """`e.mapping.length`, or a single word: a let or an enum value."""

    span: Span
    parts: tuple[Word, ...]

    @property
    def text(self) -> str:
        """Return the path as written, without spaces."""
        return ".".join(p.text for p in self.parts)


@dataclass(frozen=True, slots=True)
class Group:
    """An expression in parentheses."""

    span: Span
    inner: "Expr"


@dataclass(frozen=True, slots=True)
class Arith:
    """`left op right` on numbers; op is one of + - * / % & | ^ << >>."""

    span: Span
    op: str
    left: "Expr"
    right: "Expr"
    op_span: Span


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right`; op is one of == != < <= > >=."""

    span: Span
    op: str
    left: "Expr"
    right: "Expr"
    op_span: Span


@dataclass(frozen=True, slots=True)
class Elements:
    """A set written out: `{to_device, bidirectional}`."""

    span: Span
    items: tuple["Number | Truth | Path | Text", ...]


@dataclass(frozen=True, slots=True)
class Member:
    """`left in {…}` or `left in name`."""

    span: Span
    left: "Expr"
    members: Elements | Word


@dataclass(frozen=True, slots=True)
class Exists:
    """`path exists`."""

    span: Span
    what: "Expr"


@dataclass(frozen=True, slots=True)
class Covers:
    """`outer covers inner` on ranges."""

    span: Span
    outer: "Expr"
    inner: "Expr"


@dataclass(frozen=True, slots=True)
class Not:
    """`not inner`."""

    span: Span
    inner: "Expr"


@dataclass(frozen=True, slots=True)
class And:
    """`a and b and …`, two parts or more."""

    span: Span
    parts: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """`a or b or …`, two parts or more."""

    span: Span
    parts: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Implies:
    """`left implies right`."""

    span: Span
    left: "Expr"
    right: "Expr"


Expr = (
    Number | Truth | Text | Path | Group | Arith | Compare | Member | Exists | Covers | Not | And
    | Or | Implies
)  # fmt: skip


# ---- rules -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pattern:
    """One event kind of an `on` clause, with its guard."""

    span: Span
    kind: Word
    guard: Expr | None


@dataclass(frozen=True, slots=True)
class On:
    """`on KIND, KIND as NAME`; without `as` the event is called `e`."""

    span: Span
    patterns: tuple[Pattern, ...]
    name: Word | None


@dataclass(frozen=True, slots=True)
class Clause:
    """`where`, `require` or `forbid` with its condition."""

    span: Span
    word: str
    condition: Expr


@dataclass(frozen=True, slots=True)
class Except:
    """`except … because "…"`."""

    span: Span
    condition: Expr
    because: Text


@dataclass(frozen=True, slots=True)
class Needs:
    """`needs … because "…"`."""

    span: Span
    condition: Expr
    because: Text


@dataclass(frozen=True, slots=True)
class Once:
    """`report once per path, path`."""

    span: Span
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A clause that holds one text: `message`, `hint`, `explain` or `source`."""

    span: Span
    word: str
    text: Text


@dataclass(frozen=True, slots=True)
class Named:
    """A clause that holds words: `tags`, `class` or `maturity`."""

    span: Span
    word: str
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Equivalents:
    """`equivalents windows "…" "…"`."""

    span: Span
    system: Word
    names: tuple[Text, ...]


# ---- tests in the file -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Segment:
    """`0x1000 + 4 KiB` in a list of segments."""

    span: Span
    start: Expr
    length: Expr


Datum = Number | Truth | Path | Text | Segment


@dataclass(frozen=True, slots=True)
class Argument:
    """`key=value` of a test's event; a list in braces is a tuple, a bare key is true."""

    span: Span
    key: Word
    value: Datum | tuple[Datum, ...]


@dataclass(frozen=True, slots=True)
class TestEvent:
    """One event of a test; `at` is its time in ns, None where the test does not say."""

    span: Span
    at: int | None
    kind: Word
    arguments: tuple[Argument, ...]
    here: bool


@dataclass(frozen=True, slots=True)
class Test:
    """`test "name" fails { … }`."""

    span: Span
    name: Text
    expect: Word
    events: tuple[TestEvent, ...]


AnyClause = On | Clause | Except | Needs | Once | Said | Named | Equivalents | Test


# ---- files -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Header:
    """`dmarules 1`."""

    span: Span
    version: Number


@dataclass(frozen=True, slots=True)
class Include:
    """`include "file"`."""

    span: Span
    file: Text


@dataclass(frozen=True, slots=True)
class Let:
    """`let NAME = value`."""

    span: Span
    name: Word
    value: Expr


@dataclass(frozen=True, slots=True)
class SetOf:
    """`set NAME = {…}`."""

    span: Span
    name: Word
    elements: Elements


@dataclass(frozen=True, slots=True)
class Rule:
    """`rule ID: SEVERITY { … }`."""

    span: Span
    id: Word
    severity: Word
    clauses: tuple[AnyClause, ...]


Item = Include | Let | SetOf | Rule


@dataclass(frozen=True, slots=True)
class File:
    """One file: what stands at its top level, in order."""

    name: str
    items: tuple[Item, ...]
