"""What a rule means, told by walking its syntax tree: no types, no registers, no jumps."""

from collections.abc import Callable

from dmaverify.lang import ast
from dmaverify.model.fields import (
    DEVICE_FIELDS,
    EVENT_FIELDS,
    FIELDS,
    MAPPING_FIELDS,
    MAPPING_OBJECTS,
    NAMED_FIELDS,
    NAMED_OBJECTS,
    TRACE_FIELDS,
    Obj,
    Type,
)
from dmaverify.model.kinds import Direction, EventKind, MapType, MemoryKind, Provenance
from dmaverify.model.routines import CacheType, ReleaseAction, Routine

Get = Callable[[int, int], int | None]
LIMIT = 1 << 64
KIND_FIELD = 23


class FaultError(Exception):
    """Arithmetic that has no result in 64 bits."""


ENUMS = {
    Type.DIRECTION: Direction, Type.MAP_TYPE: MapType, Type.KIND: EventKind,
    Type.MEMORY: MemoryKind, Type.PROVENANCE: Provenance, Type.ROUTINE: Routine,
    Type.ACTION: ReleaseAction, Type.CACHE: CacheType,
}  # fmt: skip
TYPES = {f.ref: f.type for f in FIELDS}
WORDS = {type_: {m.name.lower(): int(m) for m in enum} for type_, enum in ENUMS.items()}
KINDS = WORDS[Type.KIND]
EVENT = {f.name: f.number for f in EVENT_FIELDS}
MAPPING = {f.name: f.number for f in MAPPING_FIELDS}
DEVICE = {f.name: f.number for f in DEVICE_FIELDS}
TRACE = {f.name: f.number for f in TRACE_FIELDS}


class Oracle:
    """Evaluates the rules of one file.

    Args:
        file: its syntax tree.
        get: the world: (object, number) to a value, None where it is unknown or missing.
    """

    def __init__(self, file: ast.File, get: Get) -> None:
        self.get = get
        self.lets = {i.name.text: i.value for i in file.items if isinstance(i, ast.Let)}
        self.sets = {i.name.text: i.elements for i in file.items if isinstance(i, ast.SetOf)}
        self.event = "e"

    # ---- paths -----------------------------------------------------------------------------------

    def place(self, path: ast.Path) -> tuple[Obj, int]:
        """Return the object and field of a path."""
        first, *rest = [p.text for p in path.parts]
        if first == "trace":
            return Obj.TRACE, TRACE[rest[0]]
        if first == "device":
            return Obj.DEVICE, DEVICE[rest[0]]
        assert first == self.event
        if rest[0] in MAPPING_OBJECTS:
            return MAPPING_OBJECTS[rest[0]], MAPPING[rest[1]] if len(rest) > 1 else 0
        if rest[0] in NAMED_OBJECTS:
            obj = NAMED_OBJECTS[rest[0]]
            fields = {f.name: f.number for f in NAMED_FIELDS[obj]}
            return obj, fields[rest[1]] if len(rest) > 1 else 0
        if rest[0] == "device":
            return Obj.DEVICE, DEVICE[rest[1]] if len(rest) > 1 else 0
        return Obj.EVENT, EVENT[rest[0]]

    def read(self, obj: Obj, number: int) -> int:
        """Return a value that the checker has promised to be there."""
        value = self.get(obj, number)
        assert value is not None, (obj, number)
        return value

    def owner(self, e: ast.Expr) -> Obj:
        """Return the object of a range."""
        assert isinstance(e, ast.Path)
        assert e.parts[-1].text == "range"
        return Obj.EVENT if len(e.parts) == 2 else MAPPING_OBJECTS[e.parts[1].text]

    def exists(self, e: ast.Expr) -> bool:
        """Return True if a path leads to something that is known."""
        assert isinstance(e, ast.Path)
        if e.parts[-1].text == "range":
            owner = self.owner(e)
            return self.get(owner, 1) is not None and self.get(owner, 3) is not None
        obj, number = self.place(e)
        return self.get(obj, number) is not None

    # ---- expressions -----------------------------------------------------------------------------

    def value(self, e: ast.Expr) -> int:
        """Return the value of an expression, truths as 0 and 1."""
        match e:
            case ast.Number():
                return e.value
            case ast.Truth():
                return int(e.value)
            case ast.Group():
                return self.value(e.inner)
            case ast.Path():
                return self.path(e)
            case ast.Arith():
                return arithmetic(e.op, self.value(e.left), self.value(e.right))
            case ast.Compare():
                left, right = self.side(e.left, e.right), self.side(e.right, e.left)
                return int(compare(e.op, left, right))
            case ast.Member():
                elements = self.elements(e.members)
                left = self.side(e.left, elements.items[0])
                return int(left in [self.side(item, e.left) for item in elements.items])
            case ast.Exists():
                return int(self.exists(e.what))
            case ast.Covers():
                return int(self.covers(self.owner(e.outer), self.owner(e.inner)))
            case ast.Not():
                return int(not self.value(e.inner))
            case ast.And():
                return int(all(self.value(p) for p in e.parts))
            case ast.Or():
                return int(any(self.value(p) for p in e.parts))
            case ast.Implies():
                return int(not self.value(e.left) or bool(self.value(e.right)))
        raise AssertionError(e)

    def path(self, e: ast.Path) -> int:
        """Return the value of a path or of a constant."""
        if len(e.parts) == 1:
            return self.value(self.lets[e.parts[0].text])
        return self.read(*self.place(e))

    def side(self, e: ast.Expr, other: ast.Expr) -> int:
        """Return one side of a comparison; a bare word is of the enumeration of the other side."""
        if not isinstance(e, ast.Path) or len(e.parts) > 1 or e.parts[0].text in self.lets:
            return self.value(e)
        word = e.parts[0].text
        while isinstance(other, ast.Group):
            other = other.inner
        assert isinstance(other, ast.Path)
        if len(other.parts) == 1:  # two words: the same enumeration, whichever
            return next(words[word] for words in WORDS.values() if word in words)
        obj, number = self.place(other)
        of = Obj.MAPPING if obj in MAPPING_OBJECTS.values() else obj
        return WORDS[TYPES[of << 8 | number]][word]

    def elements(self, members: ast.Elements | ast.Word) -> ast.Elements:
        """Return a set, written out or named."""
        return self.sets[members.text] if isinstance(members, ast.Word) else members

    def covers(self, outer: Obj, inner: Obj) -> bool:
        """Return True if each byte of one range is in another; sums are not cut at 64 bits."""
        start, end = self.read(outer, 1), self.read(outer, 1) + self.read(outer, 3)
        first, last = self.read(inner, 1), self.read(inner, 1) + self.read(inner, 3)
        return start <= first and last <= end

    # ---- rules -----------------------------------------------------------------------------------

    def outcome(self, rule: ast.Rule) -> str:
        """Return what a rule says about the event: one of the four outcomes."""
        try:
            return self._outcome(rule)
        except FaultError:
            return "fault"

    def _outcome(self, rule: ast.Rule) -> str:
        on = next(c for c in rule.clauses if isinstance(c, ast.On))
        self.event = on.name.text if on.name else "e"
        for pattern in on.patterns:
            mine = self.get(Obj.EVENT, KIND_FIELD) == KINDS[pattern.kind.text]
            if mine and pattern.guard is not None and not self.value(pattern.guard):
                return "not-applicable"
        for clause in rule.clauses:
            where = isinstance(clause, ast.Clause) and clause.word == "where"
            if where and not self.value(clause.condition):
                return "not-applicable"
        for clause in rule.clauses:
            if isinstance(clause, ast.Except) and self.value(clause.condition):
                return "not-applicable"
        for clause in rule.clauses:
            if not isinstance(clause, ast.Clause) or clause.word == "where":
                continue
            if bool(self.value(clause.condition)) == (clause.word == "forbid"):
                return "violated"
        return "holds"


def arithmetic(op: str, a: int, b: int) -> int:
    """Return `a op b` in unsigned 64-bit numbers, or fault."""
    if (op in ("/", "%") and b == 0) or (op in ("<<", ">>") and b >= 64):
        raise FaultError
    made = {
        "+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a // b,
        "%": lambda: a % b, "&": lambda: a & b, "|": lambda: a | b, "^": lambda: a ^ b,
        "<<": lambda: a << b, ">>": lambda: a >> b,
    }[op]()  # fmt: skip
    if not 0 <= made < LIMIT:
        raise FaultError
    return made


def compare(op: str, a: int, b: int) -> bool:
    """Return the outcome of a comparison."""
    return {"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]
