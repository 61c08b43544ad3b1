"""Ask an engine at every event of an HCA, and compare what it says with a slow twin."""

from collections.abc import Callable, Mapping
from typing import Protocol

from dmaverify.core.engine import Engine
from dmaverify.model.fields import EVENT_FIELDS, REGION_FIELDS, Obj
from dmaverify.model.hca_fields import QP_FIELDS
from dmaverify.model.kinds import EventKind
from dmaverify.model.program import INSTRUCTION, Op, Program, Rule
from tests.oracle.nouns import Call
from tests.property.events import batch_of
from tests.unit.core.calls import always

Said = tuple[EventKind, tuple[int | None, ...]]
NUMBERS = {
    "event": (Obj.EVENT, {f.name: f.number for f in EVENT_FIELDS}),
    "region": (Obj.REGION, {f.name: f.number for f in REGION_FIELDS}),
    "queue_pair": (Obj.QP, {f.name: f.number for f in QP_FIELDS}),
}


class Twin(Protocol):
    """A slow world: it replays an event and returns what is said at it."""

    def step(self, call: Call) -> list[Said]:
        """Replay one event."""


def place(path: str) -> tuple[int, int]:
    """Return where "field" or "object.field" stands in the rule language."""
    obj, _, name = path.rpartition(".")
    number, fields = NUMBERS[obj or "event"]
    return int(number), fields[name]


def program(asked: Mapping[EventKind, tuple[str, ...]], needs: Mapping[EventKind, Obj]) -> Program:
    """Return a program that shows fields at each kind of event.

    Args:
        asked: fields by kind, at most eight each.
        needs: the object without which a kind says nothing.
    """
    code, rules = b"", []
    usual = always([]).rules[0]
    for kind, paths in asked.items():
        entry = len(code) // INSTRUCTION.size
        if kind in needs:
            code += INSTRUCTION.pack(Op.XIST, 0, needs[kind], 0, entry + 2, 0)
            code += INSTRUCTION.pack(Op.NOT_APPLICABLE, 0, 0, 0, 0, 0)
        for slot, path in enumerate(paths):
            code += INSTRUCTION.pack(Op.SHOWF, slot, *place(path), 0, 0)
        code += INSTRUCTION.pack(Op.VIOLATED, 0, 0, 0, 0, 0)
        values = {n: getattr(usual, n) for n in Rule.__slots__}
        key = tuple(obj << 8 | number for obj, number in [place("time"), *map(place, paths)][:4])
        rules.append(Rule(**{**values, "id": kind.name.lower(), "entry": entry,
                             "kinds": (int(kind),), "group": key}))  # fmt: skip
    return Program(code, tuple(rules))


def differing(
    asking: Program, kinds: list[EventKind], twin: Callable[[], Twin]
) -> Callable[[list[Call]], str]:
    """Return what tells at which event an engine and a twin first differ."""

    def differ(calls: list[Call]) -> str:
        engine, world = Engine(asking), twin()
        for call in calls:
            expected = sorted((k.value, values) for k, values in set(world.step(call)))
            seen = len(engine.hits())
            engine.feed(batch_of([call]))
            got = sorted((kinds[h.rule].value, h.shown) for h in engine.hits()[seen:])
            if got != expected:
                return f"at {call.record}: {expected} != {got}"
        return ""

    return differ
