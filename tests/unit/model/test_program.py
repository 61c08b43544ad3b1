"""Compiled rules as text, there and back."""

import json

import pytest

from dmaverify.lang.builtin import load_builtin
from dmaverify.model.fields import Type
from dmaverify.model.kinds import Maturity, Severity
from dmaverify.model.program import INSTRUCTION, Need, Op, Program, Rule, Shown, Span

RULE = Rule(
    id="a", cls="b", severity=Severity.WARNING, maturity=Maturity.SANDBOX, kinds=(3, 4), entry=1,
    message=("x ", Shown(2, Type.ADDR, "hex")), needs=(Need(1, "why"),), group=(257,),
    hint=("y",), explain="z", source=("s",), equivalents={"linux": ("one", "two")}, tags=("t",),
    builtin=True, span=Span("f", 1, 2, 3, 4),
)  # fmt: skip
CODE = INSTRUCTION.pack(Op.CONST, 1, 0, 0, 0, (1 << 64) - 1) + INSTRUCTION.pack(0, 0, 0, 0, 0, 0)


def test_an_instruction_has_16_bytes() -> None:
    """Little-endian: op, a, b, c, target, immediate."""
    expected = bytes([5, 1, 2, 3, 0xFE, 0xFF, 0xFF, 0xFF, 0x0A, 0, 0, 0, 0, 0, 0, 0])
    assert expected == INSTRUCTION.pack(Op.ADD, 1, 2, 3, -2, 10)


@pytest.mark.parametrize(
    "program", [Program(b"", ()), Program(CODE, (RULE,)), load_builtin()],
    ids=["empty", "everything", "built-in"],
)  # fmt: skip
def test_a_program_comes_back_from_its_text(program: Program) -> None:
    """Each field of each rule, with its type."""
    back = Program.from_json(program.to_json())
    assert program == back
    assert [type(r.severity) for r in program.rules] == [type(r.severity) for r in back.rules]
    assert program.to_json() == back.to_json()


@pytest.mark.parametrize("text", ["[]", "null", "{}", "{", '{"format": 0}', '"format"', "1"])
def test_another_text_is_an_error(text: str) -> None:
    """What `to_json` did not write is refused."""
    with pytest.raises(ValueError):
        Program.from_json(text)


def test_another_version_is_an_error() -> None:
    """A program of another version means something else."""
    plain = json.loads(Program(CODE, (RULE,)).to_json())
    plain["format"] += 1
    with pytest.raises(ValueError, match="version"):
        Program.from_json(json.dumps(plain))
