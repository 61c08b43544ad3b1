"""Compiled rules against the oracle that walks the syntax tree."""

import re
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmaverify.lang.errors import CompileError, Problems
from dmaverify.lang.front import compile_sources
from dmaverify.lang.parse import parse
from dmaverify.lang.source import UNSAFE, Source
from dmaverify.lang.tests import collect_text
from dmaverify.model.fields import DEVICE_FIELDS, EVENT_FIELDS, MAPPING_FIELDS, Field, Obj, Type
from dmaverify.model.kinds import EventKind
from tests.oracle import vm
from tests.oracle.rules import Oracle

KINDS = (EventKind.DMA_UNMAP, EventKind.DMA_FREE)
OBJECTS = {"mapping": Obj.MAPPING, "ghost": Obj.GHOST}
TOP = (1 << 64) - 1
ENUM = {
    Type.DIRECTION: ["bidirectional", "to_device", "from_device", "none"],
    Type.MAP_TYPE: ["unknown", "single", "resource", "sg", "coherent", "pages", "sgt"],
}
NUMERIC = (Type.INT, Type.ADDR, Type.SIZE, Type.DURATION)


def fields() -> list[tuple[str, Obj, Field]]:
    """Return paths that both kinds have, with their object and field."""
    own = [("e", Obj.EVENT, f) for f in EVENT_FIELDS if not f.kinds or set(KINDS) <= f.kinds]
    own += [("e.device", Obj.DEVICE, f) for f in DEVICE_FIELDS]
    return own + [(f"e.{n}", o, f) for n, o in OBJECTS.items() for f in MAPPING_FIELDS]


FIELDS = fields()
NUMBERS = [0, 1, 2, 3, 7, 63, 64, 4095, 4096, 1 << 32, 1 << 63, TOP - 1, TOP]

World = dict[tuple[int, int], int | None]
Known = frozenset[str]  # paths that a condition further out says exist


class Writer:
    """Writes random rules that are well typed and guard what may be missing."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def pick(self, *options: str) -> str:
        """Return one of some words."""
        return self.draw(st.sampled_from(options))

    def usable(self, type_: Type, known: Known) -> list[str]:
        """Return the fields of a type that may be read."""
        return [
            f"{root}.{f.name}"
            for root, obj, f in FIELDS
            if f.type == type_
            and (obj in (Obj.EVENT, Obj.DEVICE) or root in known)
            and (not f.optional or f"{root}.{f.name}" in known)
        ]

    def literal(self, type_: Type) -> str:
        """Return a constant of a type."""
        if type_ in ENUM:
            return self.pick(*ENUM[type_])
        if type_ == Type.BOOL:
            return self.pick("true", "false")
        value = self.draw(st.sampled_from(NUMBERS))
        if type_ == Type.SIZE:
            return self.pick(f"{value} B", "4 KiB", "SOME", "0 B")
        if type_ == Type.DURATION:
            return self.pick(f"{value} ns", "10 us")
        return self.pick(str(value), hex(value))

    def value(self, type_: Type, known: Known, depth: int) -> str:
        """Return an expression of a type."""
        leaves = self.usable(type_, known)
        if depth <= 0 or type_ not in NUMERIC or self.draw(st.integers(0, 2)) == 0:
            if leaves and self.draw(st.booleans()):
                return self.draw(st.sampled_from(leaves))
            return self.literal(type_)
        op, left, right = self.draw(st.sampled_from(ARITH[type_]))
        a, b = self.operand(left, known, depth), self.operand(right, known, depth)
        if a is None or b is None:
            return self.literal(type_)
        return f"({a} {op} {b})"

    def operand(self, type_: Type, known: Known, depth: int) -> str | None:
        """Return an operand; an address must be a field, as a bare number is no address there."""
        if type_ != Type.ADDR:
            return self.value(type_, known, depth - 1)
        leaves = self.usable(type_, known)
        return self.draw(st.sampled_from(leaves)) if leaves else None

    def known_ones(self) -> list[str]:
        """Return all that can be asked with `exists`."""
        return [f"{r}.{f.name}" for r, _, f in FIELDS if f.optional] + ["e.mapping", "e.ghost"]

    def condition(self, known: Known, depth: int) -> str:
        """Return a condition."""
        shape = self.draw(st.integers(0, 10)) if depth > 0 else self.draw(st.integers(0, 3))
        if shape <= 1:
            return self.comparison(known, depth)
        if shape == 2:
            return f"{self.draw(st.sampled_from(self.known_ones()))} exists"
        if shape == 3:
            return self.membership(known, depth)
        if shape == 4:
            return f"not {self.inner(known, depth - 1)}"
        if shape <= 6:
            word = self.pick("and", "or")
            count = self.draw(st.integers(2, 3))
            return f" {word} ".join(self.inner(known, depth - 1) for _ in range(count))
        if shape == 7:
            return f"{self.inner(known, depth - 1)} implies {self.inner(known, depth - 1)}"
        return self.guarded(known, depth)

    def guarded(self, known: Known, depth: int) -> str:
        """Return a condition that asks for something and then uses it."""
        path = self.draw(st.sampled_from(self.known_ones()))
        more = known | {path, path.rsplit(".", 1)[0]} if path.count(".") == 2 else known | {path}
        if "range" in path:
            return self.comparison(known, depth)
        body = self.inner(more, depth - 1)
        if path in ("e.mapping", "e.ghost") and self.draw(st.booleans()):
            body = f"(e.range exists and {path}.range exists and {path}.range covers e.range)"
        form = self.pick("{p} exists and {b}", "{p} exists implies {b}", "not {p} exists or {b}")
        return form.format(p=path, b=body)

    def inner(self, known: Known, depth: int) -> str:
        """Return a condition in parentheses."""
        return f"({self.condition(known, depth)})"

    def comparison(self, known: Known, depth: int) -> str:
        """Return a comparison of two values of one type."""
        type_ = self.draw(st.sampled_from([*NUMERIC, Type.BOOL, *ENUM]))
        ops = ("==", "!=", "<", "<=", ">", ">=") if type_ in NUMERIC else ("==", "!=")
        left, right = self.value(type_, known, depth), self.value(type_, known, depth)
        if type_ == Type.BOOL and self.draw(st.booleans()):
            left = self.inner(known, depth - 1)
        return f"{left} {self.pick(*ops)} {right}"

    def membership(self, known: Known, depth: int) -> str:
        """Return a test for a set."""
        type_ = self.draw(st.sampled_from([Type.INT, Type.SIZE, *ENUM]))
        left = self.value(type_, known, depth)
        count = self.draw(st.integers(1, 3))
        if type_ == Type.DIRECTION and self.draw(st.booleans()):
            return f"{left} in ways"
        return f"{left} in {{{', '.join(self.literal(type_) for _ in range(count))}}}"

    def rule(self) -> str:
        """Return a whole file with one rule."""
        lines = ["dmarules 1", "let SOME = 2 * (3 KiB + 5 B)"]
        lines += ["set ways = {to_device, none}", "rule r: error {"]
        guard = f"({self.condition(frozenset(), 1)})" if self.draw(st.booleans()) else ""
        lines.append(f"  on dma_unmap{guard}, dma_free as e")
        known: Known = frozenset()
        for _ in range(self.draw(st.integers(0, 2))):
            if self.draw(st.booleans()):
                path = self.draw(st.sampled_from(self.known_ones()))
                lines.append(f"  where {path} exists")
                known |= {path, path.rsplit(".", 1)[0]} if path.count(".") == 2 else {path}
            else:
                lines.append(f"  where {self.condition(known, 2)}")
        if self.draw(st.booleans()):
            lines.append(f'  except {self.condition(known, 1)} because "b"')
        for _ in range(self.draw(st.integers(1, 3))):
            lines.append(f"  {self.pick('require', 'forbid')} {self.condition(known, 3)}")
        lines.append('  message "{e.length} {e.mapping.age}"')
        return "\n".join([*lines, "}\n"])


ARITH = {
    Type.INT: [(op, Type.INT, Type.INT) for op in ("+", "-", "*", "/", "%", "&", "|", "^", "<<")]
    + [(">>", Type.INT, Type.INT), ("/", Type.SIZE, Type.SIZE)],
    Type.ADDR: [("+", Type.ADDR, Type.SIZE), ("-", Type.ADDR, Type.SIZE),
                ("&", Type.ADDR, Type.ADDR)],
    Type.SIZE: [("+", Type.SIZE, Type.SIZE), ("-", Type.ADDR, Type.ADDR),
                ("*", Type.SIZE, Type.INT), ("%", Type.SIZE, Type.SIZE),
                ("%", Type.ADDR, Type.SIZE), ("/", Type.SIZE, Type.INT)],
    Type.DURATION: [("+", Type.DURATION, Type.DURATION), ("*", Type.INT, Type.DURATION)],
}  # fmt: skip


@st.composite
def rule_texts(draw: st.DrawFn) -> str:
    """Give the texts of random rules."""
    return Writer(draw).rule()


def world_of(seed: int) -> World:
    """Return a random world: values by object and field, None for what is unknown."""
    random = Random(seed)
    world: World = {}
    there = {o: random.random() < 0.7 for o in OBJECTS.values()}
    # Few different values, so that equal ones and neighbours meet.
    some = random.choices(NUMBERS, k=random.randint(1, 4))
    for _, obj, field in FIELDS:
        value = random.choice(some)
        if field.type in ENUM:
            value = random.randrange(len(ENUM[field.type]))
        elif field.type == Type.BOOL:
            value = random.randrange(2)
        missing = field.optional and random.random() < 0.3
        world[obj, field.number] = None if missing or not there.get(obj, True) else value
    for obj, is_there in there.items():
        world[obj, 0] = 1 if is_there else None
    world[Obj.DEVICE, 0] = 1
    world[Obj.EVENT, 23] = int(random.choice(KINDS))
    return world


def compiles(text: str) -> bool:
    """Return True if a random rule compiles; constants may overflow, and nothing else."""
    try:
        compile_sources([Source.of("r.dmar", text)])
    except CompileError as error:
        ids = {d.id for d in error.diagnostics if d.severity == "error"}
        if not ids <= {"overflow", "division-by-zero"}:
            raise
        return False
    return True


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=rule_texts(), seed=st.integers(0, 1 << 32))
def test_compiled_rules_agree_with_the_syntax_tree(text: str, seed: int) -> None:
    """A compiled rule has the outcome that its syntax tree has, in every world."""
    if not compiles(text):
        return
    source = Source.of("r.dmar", text)
    program = compile_sources([source]).program
    tree = parse(source, Problems())
    rule = next(i for i in tree.items if type(i).__name__ == "Rule")
    for world in map(world_of, range(seed, seed + 12)):

        def get(obj: int, number: int, world: World = world) -> int | None:
            return world[obj, number]

        expected = Oracle(tree, get).outcome(rule)
        actual, shown = vm.run(program, program.rules[0].entry, get)

        assert expected == actual, text
        if actual == "violated":
            assert [get(Obj.EVENT, 3), get(Obj.MAPPING, 10)] == shown[:2]


SAMPLE = (Path(__file__).parents[2] / "rules/api/unmap-size-mismatch.dmar").read_text("utf-8")
PIECES = re.findall(r"\s+|\w+|.", SAMPLE)
NOISE = st.sampled_from(
    [*sorted(set(PIECES)), '"""', "let a = a\n", "0x", "4 KB", "{", "}", "\\", "\x1b", "é", "=="]
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(PIECES) - 1), st.sampled_from("diw"), NOISE), max_size=6
    )
)
def test_spoiled_rules_are_told_and_nothing_else(edits: list[tuple[int, str, str]]) -> None:
    """A rule file with random edits compiles or is refused with places that exist."""
    pieces = list(PIECES)
    for at, how, noise in edits:
        pieces[at] = {"d": "", "i": pieces[at] + noise, "w": noise}[how]
    source = Source.of("r.dmar", "".join(pieces))
    try:
        said = compile_sources([source]).warnings
        collect_text(source)
    except CompileError as error:
        said = error.diagnostics
        assert UNSAFE.search(str(error).replace("\n", "")) is None  # noqa: PT017
    for diagnostic in said:
        span = diagnostic.span

        assert 1 <= span.line <= len(source.starts)
        assert 0 <= span.offset <= len(source.text)
        assert span == source.span(span.offset, span.offset + span.length)
