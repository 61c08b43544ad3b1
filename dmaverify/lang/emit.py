"""Instructions with labels: the bookkeeping below the compiler."""

from dataclasses import dataclass, field

from dmaverify.model.fields import Obj
from dmaverify.model.program import INSTRUCTION, Op

REGISTERS = 16
JUMPS = frozenset(range(Op.JUMP, Op.JLE + 1)) | frozenset(range(Op.FEQ, Op.XMISS + 1))


@dataclass(slots=True)
class Label:
    """A place in the code that jumps can name before it is known."""

    at: int | None = None


@dataclass(slots=True)
class _Instruction:
    op: Op
    a: int
    b: int
    c: int
    target: Label | None
    imm: int


@dataclass(slots=True)
class Emitter:
    """Collects instructions.

    Args:
        base: the index of the first one in the program.
    """

    base: int = 0
    code: list[_Instruction] = field(default_factory=list)

    def emit(
        self, op: Op, a: int = 0, b: int = 0, c: int = 0, target: Label | None = None, imm: int = 0
    ) -> None:
        """Append one instruction."""
        self.code.append(_Instruction(op, a, b, c, target, imm))

    def field(self, op: Op, obj: Obj, number: int, target: Label, imm: int = 0) -> None:
        """Append a jump that looks at a field."""
        self.emit(op, 0, obj, number, target, imm)

    def here(self) -> int:
        """Return the index of the next instruction."""
        return self.base + len(self.code)

    def place(self, label: Label) -> None:
        """Let a label mean the next instruction."""
        label.at = self.here()

    def packed(self) -> bytes:
        """Return the instructions, 16 bytes each."""
        return b"".join(
            INSTRUCTION.pack(i.op, i.a, i.b, i.c, _index(i.target), i.imm) for i in self.code
        )


def _index(label: Label | None) -> int:
    if label is None:
        return 0
    assert label.at is not None, "a label was used and never placed"
    return label.at


def relocated(code: bytes, shift: int) -> bytes:
    """Return instructions whose jump targets are moved by `shift` instructions."""
    out = bytearray()
    for op, a, b, c, target, imm in INSTRUCTION.iter_unpack(code):
        out += INSTRUCTION.pack(op, a, b, c, target + shift if op in JUMPS else target, imm)
    return bytes(out)
