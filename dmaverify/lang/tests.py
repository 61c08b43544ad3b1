"""The tests that stand in rule files, as plain data that the pipeline feeds to the engine."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmaverify.lang import ast
from dmaverify.lang.build import MAX_NUMBER
from dmaverify.lang.errors import Problems, did_you_mean
from dmaverify.lang.files import rule_files
from dmaverify.lang.load import Loaded, Loader
from dmaverify.lang.schema import ENUMS
from dmaverify.lang.source import Source
from dmaverify.model.fields import (
    DERIVED,
    EVENT_FIELDS,
    KINDS_BY_NAME,
    NAMED_OBJECTS,
    OBJECT_NAMES,
    Type,
    event_may_name_device,
    names_objects,
)
from dmaverify.model.hca_fields import HCA_KINDS
from dmaverify.model.kinds import Arg, EventKind, Flag, HcaValue
from dmaverify.model.program import Span

STEP_NS = 1000  # between events without a time

#: Flags that stand in a test as bare words, or as `failed=true`.
FLAGS = {
    "failed": Flag.FAILED, "skip_sync": Flag.SKIP_SYNC, "mmio": Flag.MMIO,
    "null": Flag.NULL_CPU, "truncated": Flag.TRUNCATED, "hashed": Flag.HASHED,
    "forced": Flag.FROM_MARK, "from_mark": Flag.FROM_MARK,
}  # fmt: skip

#: Where the row keeps a field whose name differs from its slot's.
_SLOTS = {
    (EventKind.IOMMU_UNMAP, "unmapped"): "phys_addr", (EventKind.BOUNCE, "dma_mask"): "bus_addr",
    (EventKind.DEVICE_LIMITS, "max_segment"): "length",
    (EventKind.DEVICE_LIMITS, "boundary"): "bus_addr",
    (EventKind.DEVICE_LIMITS, "dma_mask"): "phys_addr",
    (EventKind.MEMORY, "memory"): "object", (EventKind.DEV_READ, "transfer"): "object",
    **{(kind, name): slot
       for kind in (EventKind.COMMAND_BEGIN, EventKind.COMMAND_ARRIVED, EventKind.COMMAND_DONE)
       for name, slot in (
           ("controller", "bus_addr"), ("queue", "phys_addr"), ("command", "object"))},
    (EventKind.DEV_WRITE, "transfer"): "object", (EventKind.DEV_START, "transfer"): "object",
    (EventKind.IRQL, "level"): "object", (EventKind.REQUEST_COMPLETE, "request"): "object",
}  # fmt: skip

#: Numbers that an HCA's event has beside its row.
VALUES = {value.name.lower(): value for value in HcaValue}

_UNITS = {
    Type.SIZE: ("", "size"), Type.ADDR: ("",), Type.INT: ("",), Type.TOKEN: ("",),
    Type.KEY: ("",), Type.RIGHTS: ("",),
}  # fmt: skip
_PLAIN = {
    "cpu": Type.INT, "task": Type.INT, "virt_addr": Type.TOKEN, "phys_count": Type.INT,
    "bus_count": Type.INT,
}  # fmt: skip
_LARGEST: dict[str | Arg, int] = {
    "cpu": 0xFFFF, "site": 0xFFFF_FFFF, "object": 0xFFFF_FFFF, "direction": 0xFF,
    "phys_full": 0xFFFF_FFFF, "bus_full": 0xFFFF_FFFF,
}  # fmt: skip
_ARGS = {arg.name.lower(): arg for arg in Arg}
_NAMES = {
    "task": "site", "phys_count": "phys_full", "bus_count": "bus_full", "key": "object",
    "qp": "object", "iova": "bus_addr", "pd": "phys_addr", "wr_id": "phys_addr",
    "access": "direction", "post_flags": "direction", "side": "type", "region_type": "type",
    "qp_type": "type", "opcode": "type", "state": "status", "completion": "status",
    "moves": "status", "result": "status", "cq": "object", "rkey": "phys_addr",
    "entries": "length", "srq": "object", "ah": "object", "number": "object", "agent": "object",
    "part": "type", "object_type": "type", "async_event": "type", "change": "type",
    "step": "type", "address": "bus_addr", "published": "length",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TestEvent:
    """One event of a test.

    Args:
        kind: its kind.
        values: keywords of `EventBatch.add`, without kind and time; `device` is a name.
        time: ns.
        span: where it stands.
    """

    __test__ = False  # the name looks like a test class to test runners

    kind: EventKind
    values: dict[str, Any]
    time: int
    span: Span


@dataclass(frozen=True, slots=True)
class TestCase:
    """One test of one rule.

    Args:
        rule: the id of the rule.
        name: the name of the test.
        fails: True where the rule must be violated, False where it must not.
        marks: indices of the events at which it must be; empty means anywhere.
        events: the recording, in order.
        span: where it stands.
    """

    __test__ = False

    rule: str
    name: str
    fails: bool
    marks: tuple[int, ...]
    events: tuple[TestEvent, ...]
    span: Span


def collect(paths: Iterable[Path | str]) -> list[TestCase]:
    """Return the tests in some rule files or folders, in order.

    Args:
        paths: files and folders; included files are not looked into.

    Raises:
        CompileError: a file can not be parsed, or a test makes no sense.
    """
    problems = Problems()
    loader = Loader(problems)
    loaded = [loader.file(path) for path in rule_files([Path(p) for p in paths])]
    return _collect(loaded, problems)


def collect_text(source: Source) -> list[TestCase]:
    """Return the tests in a text that was read already; see `collect`."""
    problems = Problems()
    return _collect([Loader(problems).text(source)], problems)


def _collect(loaded: Iterable[Loaded | None], problems: Problems) -> list[TestCase]:
    cases: list[TestCase] = []
    for file in loaded:
        for item in file.tree.items if file else ():
            if isinstance(item, ast.Rule):
                cases += [
                    _case(item, clause, problems)
                    for clause in item.clauses
                    if isinstance(clause, ast.Test)
                ]
    problems.check()
    return cases


def _case(rule: ast.Rule, test: ast.Test, problems: Problems) -> TestCase:
    if not test.events:
        problems.error("empty-test", test.name.span, "this test has no events")
    if test.expect.text not in ("fails", "passes"):
        near = did_you_mean(test.expect.text, ("fails", "passes"))
        problems.error(
            "unknown-expectation", test.expect.span, f"unknown expectation `{test.expect.text}`",
            f"did you mean `{near}`?" if near else "", notes=("known: fails, passes",),
        )  # fmt: skip
    events: list[TestEvent] = []
    for tree in test.events:
        made = _event(tree, events[-1] if events else None, problems)
        if made is not None:
            events.append(made)
    marks = tuple(i for i, tree in enumerate(test.events) if tree.here)
    if marks and test.expect.text == "passes":
        problems.error(
            "useless-mark", test.events[marks[0]].span, "a test that passes marks no event",
            help_="remove `<- here`, or let the test say `fails`",
        )  # fmt: skip
    fails = test.expect.text == "fails"
    return TestCase(rule.id.text, test.name.value, fails, marks, tuple(events), test.name.span)


def _event(tree: ast.TestEvent, before: TestEvent | None, problems: Problems) -> TestEvent | None:
    kind = KINDS_BY_NAME.get(tree.kind.text)
    if kind is None:
        near = did_you_mean(tree.kind.text, KINDS_BY_NAME)
        problems.error(
            "unknown-kind", tree.kind.span, f"there is no event kind `{tree.kind.text}`",
            f"did you mean `{near}`?" if near else "",
            notes=(f"kinds: {', '.join(KINDS_BY_NAME)}",),
        )  # fmt: skip
        return None
    if kind in DERIVED:
        problems.error(
            "unknown-kind", tree.kind.span,
            f"`{tree.kind.text}` is derived and can not be recorded", help_=DERIVED[kind],
        )  # fmt: skip
        return None
    time = before.time + STEP_NS if before else 0
    if tree.at is not None:
        time = tree.at
    if before and time < before.time:
        problems.error(
            "time-goes-back", tree.span, "this event is before the one above it",
            f"that one is at {before.time} ns",
        )  # fmt: skip
    values = _Values(kind, problems).read(tree.arguments)
    return TestEvent(kind, values, min(time, MAX_NUMBER), tree.span)


class _Values:
    """Reads the arguments of one event."""

    def __init__(self, kind: EventKind, problems: Problems) -> None:
        self.kind = kind
        self.problems = problems
        self.values: dict[str, Any] = {}
        self.types = dict(_PLAIN)
        for field in EVENT_FIELDS:
            has = not field.kinds or kind in field.kinds
            if has and field.stored and field.type != Type.BOOL:
                self.types[field.name] = field.type
        if names_objects(kind):
            self.types.update(dict.fromkeys(NAMED_OBJECTS, Type.INT))
        if kind == EventKind.LOST:
            self.types["length"] = Type.INT

    def keys(self) -> list[str]:
        """Return the keys that this kind of event can have."""
        own = ["device"] if event_may_name_device(self.kind) else []
        beside = ["sges", "keys", *VALUES] if self.kind in HCA_KINDS else []
        return [*own, *self.types, "segments", "phys", "text", *FLAGS, *beside]

    def read(self, arguments: Iterable[ast.Argument]) -> dict[str, Any]:
        """Return the arguments as keywords of `EventBatch.add`."""
        seen: set[str] = set()
        flags = Flag(0)
        for argument in arguments:
            key = argument.key.text
            if key in seen:
                self.problems.error(
                    "duplicate-key", argument.key.span, f"`{key}` stands here twice"
                )
            seen.add(key)
            if key in FLAGS:
                flags |= FLAGS[key] if self._flag(argument) else Flag(0)
            else:
                self._one(argument, key)
        if flags:
            self.values["flags"] = int(flags)
        self._complete()
        return self.values

    def _complete(self) -> None:
        segments = self.values.get("sg_bus")
        if segments and self.kind != EventKind.LOST:
            self.values.setdefault("bus_addr", segments[0][0])
            self.values.setdefault("length", min(sum(n for _, n in segments), MAX_NUMBER))
        if "sges" in self.values:
            keys = [*self.values.pop("keys", []), *[0] * len(self.values["sges"])]
            pairs = zip(self.values["sges"], keys, strict=False)
            self.values["sges"] = [(a, n, key) for (a, n), key in pairs]
        if self.values.get("sg_phys"):
            self.values.setdefault("phys_addr", self.values["sg_phys"][0])

    def _flag(self, argument: ast.Argument) -> bool:
        if isinstance(argument.value, ast.Truth):
            return argument.value.value
        self._wrong(argument, "true or false")
        return False

    def _one(self, argument: ast.Argument, key: str) -> None:
        value = argument.value
        if key == "text" or (key == "device" and event_may_name_device(self.kind)):
            if isinstance(value, ast.Text):
                self.values[key] = value.value
            else:
                self._wrong(argument, "a text in quotes")
        elif key == "segments":
            self._segments(argument, "sges" if self.kind in HCA_KINDS else "sg_bus")
        elif key == "phys":
            self._addresses(argument)
        elif key in ("sges", "keys") and self.kind in HCA_KINDS:
            self._segments(argument, "sges") if key == "sges" else self._addresses(argument, "keys")
        elif key in VALUES and key not in self.types and self.kind in HCA_KINDS:
            self._beside(argument, VALUES[key])
        elif key in self.types:
            self._typed(argument, self.types[key])
        else:
            near = did_you_mean(key, self.keys())
            self.problems.error(
                "unknown-field", argument.key.span,
                f"event `{self.kind.name.lower()}` has no field `{key}`",
                f"did you mean `{near}`?" if near else "no such field",
                notes=(f"keys of {self.kind.name.lower()}: {', '.join(self.keys())}",),
            )  # fmt: skip

    def _beside(self, argument: ast.Argument, what: HcaValue) -> None:
        value = argument.value
        if isinstance(value, ast.Number) and value.unit in ("", "size"):
            self.values.setdefault("hca", []).append((int(what), value.value))
        else:
            self._wrong(argument, "a number")

    def _segments(self, argument: ast.Argument, name: str = "sg_bus") -> None:
        items = argument.value if isinstance(argument.value, tuple) else (argument.value,)
        made: list[tuple[int, int]] = []
        for item in items:
            ok = isinstance(item, ast.Segment)
            if isinstance(item, ast.Segment):
                start, length = item.start, item.length
                ok = isinstance(start, ast.Number) and isinstance(length, ast.Number)
                if isinstance(start, ast.Number) and isinstance(length, ast.Number):
                    made.append((start.value, length.value))
                    ok = not start.unit and length.unit != "duration"
            if not ok:
                self._wrong(argument, "a list like `{0x1000+4 KiB, 0x3000+4 KiB}`")
                return
        self.values[name] = made

    def _addresses(self, argument: ast.Argument, name: str = "sg_phys") -> None:
        items = argument.value if isinstance(argument.value, tuple) else (argument.value,)
        if not all(isinstance(i, ast.Number) and not i.unit for i in items):
            self._wrong(argument, "a list like `{0x1000, 0x2000}`")
            return
        self.values[name] = [i.value for i in items if isinstance(i, ast.Number)]

    def _typed(self, argument: ast.Argument, type_: Type) -> None:
        value, key = argument.value, argument.key.text
        slot: str | Arg = _SLOTS.get((self.kind, key), _NAMES.get(key, key))
        values: dict[Any, Any] = self.values
        if key in _ARGS and OBJECT_NAMES.get(self.kind) == key:
            slot = "object"
        elif key in _ARGS:
            values, slot = self.values.setdefault("args", {}), _ARGS[key]
        if type_ in ENUMS:
            words = ENUMS[type_]
            if isinstance(value, ast.Path) and value.text in words:
                values[slot] = words[value.text]
            else:
                self._wrong(argument, f"one of {', '.join(words)}")
        elif isinstance(value, ast.Number) and value.unit in _UNITS[type_]:
            values[slot] = value.value
            if value.value > _LARGEST.get(slot, MAX_NUMBER):
                self._wrong(argument, f"at most {_LARGEST[slot]}")
        else:
            self._wrong(argument, "a size" if type_ == Type.SIZE else "a number")

    def _wrong(self, argument: ast.Argument, wanted: str) -> None:
        self.problems.error("type-mismatch", argument.span, f"`{argument.key.text}` takes {wanted}")
