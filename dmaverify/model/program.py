"""Compiled rules: packed instructions for the engine and what people are told about them.

An instruction is 16 bytes, little-endian: op u8, a u8, b u8, c u8, target i32, imm u64.
Registers 0 to 15 hold unsigned 64-bit numbers. Arithmetic is checked: what does not fit,
or divides by zero, ends the rule with a fault, and the engine counts it ("can not tell").
`(b, c)` in the F- and X-operations and in LOAD names a field: object b, number c
(number 0: the object itself).
"""

import base64
import json
import struct
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

from dmaverify.model.fields import Type
from dmaverify.model.kinds import Maturity, Severity

INSTRUCTION = struct.Struct("<BBBBiQ")
MAX_SHOWN = 8  # values that a message and its hint may name together
PROGRAM_FORMAT = 2  # goes up when instructions or fields change their meaning


class Op(IntEnum):
    """What an instruction does. The C side repeats the numbers in core/vm.pxd."""

    HOLDS = 0  # end: the rule holds
    NOT_APPLICABLE = 1  # end: the rule says nothing about this event
    VIOLATED = 2  # end: the rule is violated
    CONST = 3  # r[a] = imm
    LOAD = 4  # r[a] = field (b, c); 0 where it is unknown (the compiler has guarded it)
    ADD = 5  # r[a] = r[b] + r[c]
    SUB = 6
    MUL = 7
    DIV = 8
    MOD = 9
    AND = 10  # bitwise
    OR = 11
    XOR = 12
    SHL = 13
    SHR = 14
    JUMP = 15  # go to target
    JEQ = 16  # if r[b] == r[c] go to target
    JNE = 17
    JLT = 18
    JLE = 19
    FEQ = 20  # if field (b, c) == imm go to target
    FNE = 21
    FLT = 22
    FLE = 23
    FGT = 24
    FGE = 25
    FIN = 26  # if bit number field (b, c) of imm is set go to target
    FNIN = 27  # if it is not set go to target
    XIST = 28  # if object or field (b, c) is known go to target
    XMISS = 29  # if object or field (b, c) is missing go to target
    SHOW = 30  # shown[a] = r[b]
    SHOWF = 31  # shown[a] = field (b, c), or "unknown"


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a rule file: 1-based line and column, 0-based offset and length."""

    file: str
    line: int
    column: int
    offset: int = 0
    length: int = 1


@dataclass(frozen=True, slots=True)
class Shown:
    """One value in a message: which slot, of what type, and how to write it.

    Args:
        slot: 0 to MAX_SHOWN - 1.
        type: its type in the rule language.
        format: "" (by type) or "hex".
        name: how the rule names it, for people who read the rule.
    """

    slot: int
    type: Type
    format: str = ""
    name: str = ""


Template = tuple[str | Shown, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """A fact that a rule needs of the recording before its hits count.

    Args:
        entry: index of the first instruction; ends in HOLDS (met) or VIOLATED (not met).
            It may ask for device and trace fields only.
        because: what the recording lacks, for the notice.
    """

    entry: int
    because: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule.

    Args:
        id: kebab-case name.
        cls: the class of the mistake (PRODUCT's list); a user's own rule has its id.
        severity, maturity: as stated.
        kinds: numbers of the event kinds it runs on.
        entry: index of its first instruction.
        needs: what it needs of the recording.
        group: field refs that decide "the same finding"; empty: the engine's default.
        message, hint: what is said.
        explain, source, equivalents, tags: for people; `equivalents` maps "windows" and
            "linux" to the names that these give to the mistake.
        builtin: True for the rules that ship; only these fold into one another.
        span: where it stands.
    """

    id: str
    cls: str
    severity: Severity
    maturity: Maturity
    kinds: tuple[int, ...]
    entry: int
    message: Template
    needs: tuple[Need, ...] = ()
    group: tuple[int, ...] = ()
    hint: Template = ()
    explain: str = ""
    source: tuple[str, ...] = ()
    equivalents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    builtin: bool = False
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """All rules of a run: one block of instructions, and the rules that point into it.

    Args:
        code: n instructions of 16 bytes.
        rules: in the order in which they run at one event.
    """

    code: bytes
    rules: tuple[Rule, ...]

    def to_json(self) -> str:
        """Return the program as one JSON text; `from_json` reads it back."""
        plain: dict[str, Any] = {
            "format": PROGRAM_FORMAT,
            "code": base64.b64encode(self.code).decode(),
            "rules": [asdict(rule) for rule in self.rules],
        }
        return json.dumps(plain, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> "Program":
        """Return the program that `to_json` wrote.

        Raises:
            ValueError: not such a text, or of another version.
        """
        plain = json.loads(text)
        if not isinstance(plain, dict) or plain.get("format") != PROGRAM_FORMAT:
            raise ValueError("not a rule program of this version")
        return Program(
            base64.b64decode(plain["code"]), tuple(_rule(entry) for entry in plain["rules"])
        )


def _template(parts: list[Any]) -> Template:
    return tuple(
        p if isinstance(p, str) else Shown(p["slot"], Type(p["type"]), p["format"], p["name"])
        for p in parts
    )


def _rule(plain: dict[str, Any]) -> Rule:
    return Rule(
        **{
            **plain,
            "severity": Severity(plain["severity"]),
            "maturity": Maturity(plain["maturity"]),
            "kinds": tuple(plain["kinds"]),
            "needs": tuple(Need(**need) for need in plain["needs"]),
            "group": tuple(plain["group"]),
            "message": _template(plain["message"]),
            "hint": _template(plain["hint"]),
            "source": tuple(plain["source"]),
            "tags": tuple(plain["tags"]),
            "equivalents": {k: tuple(v) for k, v in plain["equivalents"].items()},
            "span": Span(**plain["span"]) if plain["span"] else None,
        }
    )
