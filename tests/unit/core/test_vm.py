"""Each instruction of the rule machine, against a machine in plain Python."""

import struct
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmaverify.core.engine import Engine
from dmaverify.errors import InternalError
from dmaverify.model.fields import Obj
from dmaverify.model.kinds import EventKind, Maturity, Severity
from dmaverify.model.program import INSTRUCTION, MAX_SHOWN, Need, Op, Program, Rule
from tests.oracle import vm
from tests.oracle.answers import Answers
from tests.oracle.engine import World
from tests.oracle.nouns import Call
from tests.property.events import batch_of
from tests.unit.core.calls import dma_map, dma_sync, numbered

TOP = (1 << 64) - 1
NUMBERS = [0, 1, 2, 3, 7, 63, 64, 65, 0x1000, 1 << 32, 1 << 63, TOP - 1, TOP]
#: What a sync of a known mapping certainly has, so that a program may look at it.
FIELDS = [
    (0, 1),
    (0, 3),
    (0, 4),
    (0, 5),
    (0, 7),
    (0, 23),
    (1, 1),
    (1, 3),
    (1, 4),
    (1, 6),
    (8, 1),
    (9, 2),
]
MAYBE = [*FIELDS, (1, 0), (2, 0), (2, 1), (5, 0), (0, 2), (0, 10), (1, 2), (8, 9)]
ARITHMETIC = [op for op in Op if Op.ADD <= op <= Op.SHR]
COMPARE = [Op.JEQ, Op.JNE, Op.JLT, Op.JLE]
WITH_FIELD = [op for op in Op if Op.FEQ <= op <= Op.FNIN]
EVENTS = numbered([dma_map(phys_addr=0x9000), dma_sync(0x1040, length=0x800)])


def pack(op: Op, a: int = 0, b: int = 0, c: int = 0, target: int = 0, imm: int = 0) -> bytes:
    """Return one instruction."""
    return INSTRUCTION.pack(op, a, b, c, target, imm)


def program(code: bytes) -> Program:
    """Return a program of one rule on syncs that begins at the first instruction."""
    kinds = (int(EventKind.DMA_SYNC_FOR_CPU),)
    return Program(code, (Rule("r", "r", Severity.NOTE, Maturity.STABLE, kinds, 0, ()),))


def outcome(one: Program, calls: list[Call]) -> tuple[str, list[int | None]]:
    """Return how the engine ends a program at the last event, and what it shows."""
    engine = Engine(one)
    engine.feed(batch_of(calls))
    _, holds, violated, faults = engine.rule_counts[0]
    assert holds + violated + faults <= 1
    shown = list(engine.hits()[0].shown) if violated else []
    for name, count in (("holds", holds), ("violated", violated), ("fault", faults)):
        if count:
            return name, shown + [None] * (MAX_SHOWN - len(shown))
    return "not-applicable", [None] * MAX_SHOWN


def world(calls: list[Call]) -> Callable[[int, int], int | None]:
    """Return what the slow engine answers at the last event."""
    slow = World()
    for call in calls[:-1]:
        list(slow.step(call))
    return Answers(slow, next(slow.step(calls[-1]))).get


def agree(code: bytes) -> None:
    """Assert that both machines end a program alike."""
    expected, shown = vm.run(program(code), 0, world(EVENTS))
    got, got_shown = outcome(program(code), EVENTS)
    assert expected == got
    if expected == "violated":
        assert shown == got_shown


END = [pack(Op.VIOLATED), pack(Op.HOLDS), pack(Op.NOT_APPLICABLE)]


@pytest.mark.parametrize("op", ARITHMETIC, ids=lambda op: op.name)
def test_arithmetic_is_exact_or_a_fault(op: Op) -> None:
    """Each pair of corner values gives the exact result, or ends the rule with a fault."""
    for x in NUMBERS:
        for y in NUMBERS:
            agree(
                pack(Op.CONST, 1, imm=x) + pack(Op.CONST, 2, imm=y) + pack(op, 3, 1, 2)
                + pack(Op.SHOW, 0, 3) + pack(Op.VIOLATED)
            )  # fmt: skip


@pytest.mark.parametrize("op", COMPARE, ids=lambda op: op.name)
def test_registers_compare_as_unsigned_numbers(op: Op) -> None:
    """Each pair of corner values jumps or does not, as unsigned numbers compare."""
    for x in NUMBERS:
        for y in NUMBERS:
            agree(
                pack(Op.CONST, 1, imm=x) + pack(Op.CONST, 2, imm=y) + pack(op, 0, 1, 2, 4)
                + pack(Op.HOLDS) + pack(Op.VIOLATED)
            )  # fmt: skip


@pytest.mark.parametrize("op", WITH_FIELD, ids=lambda op: op.name)
def test_a_field_compares_with_a_constant(op: Op) -> None:
    """Each field against corner values and its own."""
    get = world(EVENTS)
    for obj, number in FIELDS:
        value = get(obj, number)
        assert value is not None
        for imm in {*NUMBERS, value, value + 1, max(value, 1) - 1, 1 << min(value, 63)}:
            agree(pack(op, 0, obj, number, 2, imm) + pack(Op.HOLDS) + pack(Op.VIOLATED))


@pytest.mark.parametrize("op", [Op.XIST, Op.XMISS], ids=lambda op: op.name)
def test_what_is_known_exists(op: Op) -> None:
    """Objects and fields that are there, and such as are not."""
    for obj, number in MAYBE:
        agree(pack(op, 0, obj, number, 2) + pack(Op.HOLDS) + pack(Op.VIOLATED))


def test_values_are_shown_or_unknown() -> None:
    """SHOWF shows what is known; LOAD takes 0 for what is not."""
    for obj, number in MAYBE:
        if number:
            agree(pack(Op.SHOWF, 2, obj, number) + pack(Op.VIOLATED))
            agree(pack(Op.LOAD, 4, obj, number) + pack(Op.SHOW, 7, 4) + pack(Op.VIOLATED))


def written(random: Random, length: int) -> bytes:
    """Return a random program that is well formed: registers are set first, jumps go forward."""
    code = [pack(Op.CONST, r, imm=random.choice(NUMBERS)) for r in range(4)]
    total = len(code) + length + len(END)
    for at in range(len(code), len(code) + length):
        target = random.randint(at + 1, total - 1)
        a, b, c = (random.randrange(4) for _ in range(3))
        obj, number = random.choice(FIELDS)
        other, maybe = random.choice(MAYBE)
        code.append(random.choice([
            pack(Op.CONST, a, imm=random.choice(NUMBERS)), pack(Op.LOAD, a, obj, number),
            pack(random.choice(ARITHMETIC), a, b, c), pack(random.choice(ARITHMETIC), a, b, c),
            pack(Op.JUMP, target=target) if random.random() < 0.2 else pack(Op.CONST, a),
            pack(random.choice(COMPARE), 0, b, c, target),
            pack(random.choice(WITH_FIELD), 0, obj, number, target, random.choice(NUMBERS)),
            pack(random.choice([Op.XIST, Op.XMISS]), 0, other, maybe, target),
            pack(Op.SHOW, random.randrange(MAX_SHOWN), b),
            pack(Op.SHOWF, random.randrange(MAX_SHOWN), obj, number),
        ]))  # fmt: skip
    return b"".join([*code, *random.sample(END, len(END))])


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.integers(0, 1 << 32), st.integers(0, 25))
def test_any_program_ends_alike(seed: int, length: int) -> None:
    """Both machines come to the same end and show the same, whatever the program."""
    agree(written(Random(seed), length))


def conditional(random: Random, length: int) -> bytes:
    """Return a program that begins with conditions, most of which end it as not applicable."""
    end = length + 2
    code = []
    for at in range(length):
        if random.random() < 0.7:
            ops, places = [Op.XIST, Op.XMISS], [*MAYBE, (0, 9), (0, 31), (8, 8)]
        else:
            ops, places = [Op.FNE, Op.FNIN, Op.FEQ], [(0, 5), (0, 11), (0, 4), (1, 6)]
        obj, number = random.choice(places)
        target = end if random.random() < 0.9 else random.randint(at + 1, end)
        imm = random.choice([0, 1, 1, 2, 0xE, 0x2A])
        code.append(pack(random.choice(ops), 0, obj, number, target, imm))
    return b"".join([*code, pack(Op.SHOWF, 0, 0, 1), pack(Op.VIOLATED), pack(Op.NOT_APPLICABLE)])


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.integers(0, 1 << 32), st.integers(1, 4))
def test_any_row_of_conditions_ends_alike(seed: int, length: int) -> None:
    """Conditions that the engine takes out of a rule's beginning mean what they meant there."""
    agree(conditional(Random(seed), length))


HOLDS = pack(Op.HOLDS)
MALFORMED = {
    "no instruction at all": b"",
    "an operation that does not exist": struct.pack("<BBBBiQ", len(Op), 0, 0, 0, 0, 0) + HOLDS,
    "no end": pack(Op.CONST, 1),
    "a jump to itself": pack(Op.JUMP, target=0) + HOLDS,
    "a jump backward": HOLDS + pack(Op.JUMP, target=0) + HOLDS,
    "a jump past the end": pack(Op.JUMP, target=2) + HOLDS,
    "a jump to a negative place": pack(Op.JEQ, target=-1) + HOLDS,
    "a field jump past the end": pack(Op.FEQ, 0, 0, 1, 9) + HOLDS,
    "an existence jump to itself": pack(Op.XIST, 0, 1, 0, 0) + HOLDS,
    "a register to set that does not exist": pack(Op.CONST, 16) + HOLDS,
    "a register to load that does not exist": pack(Op.LOAD, 16, 0, 1) + HOLDS,
    "a first operand that does not exist": pack(Op.ADD, 0, 16, 0) + HOLDS,
    "a second operand that does not exist": pack(Op.SHR, 0, 0, 200) + HOLDS,
    "a register to compare that does not exist": pack(Op.JLE, 0, 0, 16, 1) + HOLDS,
    "a register to show that does not exist": pack(Op.SHOW, 0, 16) + HOLDS,
    "a slot that does not exist": pack(Op.SHOWF, 8, 0, 1) + HOLDS,
    "half an instruction": HOLDS + b"\0" * 7,
}


@pytest.mark.parametrize("code", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_program_is_refused(code: bytes) -> None:
    """A program that could run away or reach out of its memory never runs."""
    with pytest.raises(InternalError, match="not well formed"):
        Engine(program(code))


@pytest.mark.parametrize("entry", [-1, 1, 1 << 30])
def test_an_entry_outside_the_program_is_refused(entry: int) -> None:
    """Both a rule and what it needs must begin within the program."""
    rule = Rule("r", "r", Severity.NOTE, Maturity.STABLE, (3,), entry, ())
    with pytest.raises(InternalError, match="not well formed"):
        Engine(Program(HOLDS, (rule,)))
    needing = Rule("r", "r", Severity.NOTE, Maturity.STABLE, (3,), 0, (), needs=(Need(entry, ""),))
    with pytest.raises(InternalError, match="not well formed"):
        Engine(Program(HOLDS, (needing,)))


def test_unknown_objects_and_fields_are_unknown() -> None:
    """A program of another version may ask for what does not exist here; that is unknown."""
    for obj in (0, 1, 8, 9, 10, 31, 32, 255):
        code = pack(Op.SHOWF, 0, obj, 255) + pack(Op.VIOLATED)
        assert ("violated", [None] * MAX_SHOWN) == outcome(program(code), EVENTS)


def test_a_faulty_rule_does_not_stop_the_others() -> None:
    """A fault ends one rule at one event."""
    code = pack(Op.CONST, 1) + pack(Op.DIV, 1, 1, 1) + pack(Op.HOLDS) + pack(Op.VIOLATED)
    kinds = (int(EventKind.DMA_SYNC_FOR_CPU),)
    rules = tuple(Rule(f"r{e}", "r", Severity.NOTE, Maturity.STABLE, kinds, e, ()) for e in (0, 3))
    engine = Engine(Program(code, rules))
    engine.feed(batch_of(EVENTS))
    assert [(1, 0, 0, 1), (1, 0, 1, 0)] == engine.rule_counts


def test_an_event_may_have_no_rule() -> None:
    """A program without rules replays all the same."""
    engine = Engine(Program(b"", ()))
    engine.feed(batch_of(EVENTS))
    assert 1 == len(engine.live_mappings())


def test_no_object_is_the_trace() -> None:
    """The recording is no object that could be missing; only its fields are asked for."""
    code = pack(Op.XIST, 0, Obj.EVENT, 0, 2) + pack(Op.HOLDS) + pack(Op.VIOLATED)
    assert "violated" == outcome(program(code), EVENTS)[0]
