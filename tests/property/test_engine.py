"""The compiled engine against the slow one, on random recordings."""

import os
from collections import Counter
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmaverify.core.engine import Engine
from dmaverify.lang.builtin import load_builtin
from dmaverify.model.fields import (
    DEVICE_FIELDS,
    EVENT_FIELDS,
    FIELDS,
    MAPPING_FIELDS,
    MAPPING_OBJECTS,
    TRACE_FIELDS,
    Obj,
)
from dmaverify.model.kinds import EventKind, Flag, Maturity, Severity
from dmaverify.model.program import INSTRUCTION, MAX_SHOWN, Op, Program, Rule
from tests.oracle.answers import Answers
from tests.oracle.engine import World
from tests.oracle.judge import Judge
from tests.oracle.nouns import Call
from tests.property.events import batch_of, commands, recording, smallest

DEEP = int(os.environ.get("DMAVERIFY_DEEP", "0"))  # how many examples; 0: few
PROFILE = settings(
    max_examples=DEEP or 120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=not DEEP,
)
SEEDS = st.integers(0, (1 << 32) - 1)
LIMITS = st.fixed_dictionaries(
    {}, optional={"ghost_limit": st.integers(0, 3), "live_limit": st.integers(1, 4)}
)
COUNTED = ("in_flight", "across_gap", "lost", "refused", "forgotten", "iommu_events")


def outcomes(engine: Engine, before: list[tuple[int, ...]]) -> dict[str, Counter[str]]:
    """Return how often each rule came to each outcome since an earlier count."""
    found = {}
    for rule, now, then in zip(engine.program.rules, engine.rule_counts, before, strict=True):
        runs, holds, violated, faults = (a - b for a, b in zip(now, then, strict=True))
        if runs:
            found[rule.id] = +Counter(holds=holds, violated=violated, fault=faults)
    return {rule: counts for rule, counts in found.items() if counts}


def differ_in_outcome(calls: list[Call], limits: dict[str, int]) -> str:
    """Tell where the engines first differ in what rules say, what is live, and what is counted."""
    engine, judge = Engine(load_builtin(), **limits), Judge(World(**limits))
    for call in calls:
        before = engine.rule_counts
        engine.feed(batch_of([call]))
        said = judge.feed(call)
        counted = {name: judge.world.counters[name] for name in COUNTED}
        expected = said, judge.live(), counted, judge.world.gaps
        if engine.counters["crowded"]:
            break  # the engine gave up looking, and says so
        counted = {name: engine.counters[name] for name in COUNTED}
        got = outcomes(engine, before), engine.live_mappings(), counted, engine.counters["gaps"]
        for e, g in zip(expected, got, strict=True):
            if e != g:
                return f"at {call.record:#x}: {unlike(e, g)}"
    return ""


def unlike(expected: object, got: object) -> str:
    """Return the parts of two values that differ."""
    if isinstance(expected, dict) and isinstance(got, dict):
        keys = [k for k in {**expected, **got} if expected.get(k) != got.get(k)]
        return "; ".join(f"{k}: expected {expected.get(k)}, got {got.get(k)}" for k in keys)
    return f"expected {expected}, got {got}"


@PROFILE
@given(SEEDS, LIMITS)
def test_outcomes_mappings_and_counters_agree(seed: int, limits: dict[str, int]) -> None:
    """At each event both engines say the same of each rule, hold the same and count the same."""
    assert not smallest(recording(seed, 40), lambda calls: differ_in_outcome(calls, limits))


# ---- every field -----------------------------------------------------------------------------


def asked() -> list[tuple[Obj, int]]:
    """Return all that can be asked: objects and the numbers of their fields."""
    own = {Obj.EVENT: EVENT_FIELDS, Obj.DEVICE: DEVICE_FIELDS, Obj.TRACE: TRACE_FIELDS}
    own |= dict.fromkeys(MAPPING_OBJECTS.values(), MAPPING_FIELDS)
    return [(obj, f.number) for obj, fields in own.items() for f in fields]


def asking() -> Program:
    """Return a program that shows every field at every event, eight to a rule.

    Groups are kept apart by times, and by CPU pointers where times are not known.
    """
    code, rules, fields = b"", [], asked()
    for at in range(0, len(fields), MAX_SHOWN):
        entry = len(code) // INSTRUCTION.size
        for slot, (obj, number) in enumerate(fields[at : at + MAX_SHOWN]):
            code += INSTRUCTION.pack(Op.SHOWF, slot, obj, number, 0, 0)
        code += INSTRUCTION.pack(Op.VIOLATED, 0, 0, 0, 0, 0)
        rules.append(Rule(
            id=f"ask-{at}", cls="ask", severity=Severity.NOTE, maturity=Maturity.STABLE,
            kinds=tuple(EventKind), entry=entry, message=(),
            group=tuple(f.ref for f in FIELDS if f.name in ("time", "virt_addr")),
        ))  # fmt: skip
    return Program(code, tuple(rules))


PLACES = asked()
KINDS = {(f.obj, f.number): f.kinds for f in FIELDS}
NAMES = {(f.obj, f.number): f.name for f in FIELDS}


def readable(values: list[int | None], kind: EventKind) -> dict[str, int | None]:
    """Return values by name, without those that an event of this kind does not have."""
    out = {}
    for (obj, number), value in zip(PLACES, values, strict=True):
        own = obj if obj in (Obj.EVENT, Obj.DEVICE, Obj.TRACE) else Obj.MAPPING
        if not KINDS[own, number] or kind in KINDS[own, number]:
            out[f"{obj.name.lower()}.{NAMES[own, number]}"] = value
    return out


ASKING = asking()


def differ_in_field(calls: list[Call], limits: dict[str, int], time_known: bool) -> str:
    """Tell at which event the engines first differ in the value of a field."""
    engine = Engine(ASKING, time_known=time_known, **limits)
    world = World(time_known=time_known, **limits)
    expected = []
    for call in calls:
        if time_known:
            call = replace(call, flags=call.flags & ~Flag.TIME_UNKNOWN)
        else:
            call = replace(call, virt_addr=0x1000 + call.record)
        engine.feed(batch_of([call]))
        if engine.counters["crowded"]:
            return ""
        for meaning in world.step(call):
            answers = Answers(world, meaning)
            values = readable([answers.get(*place) for place in PLACES], meaning.call.kind)
            expected.append((call.record, meaning.call.kind, values))
    hits, rules = engine.hits(), len(ASKING.rules)
    for at, (record, kind, values) in enumerate(expected):
        block = hits[at * rules : (at + 1) * rules]
        first = block[0].first.event
        assert (record, kind) == (first.record, first.kind)
        got = readable([value for hit in block for value in hit.shown], kind)
        if values != got:
            return f"at {record:#x}: {unlike(values, got)}"
    assert len(hits) == len(expected) * rules
    return ""


@PROFILE
@given(SEEDS, LIMITS, st.booleans())
def test_every_field_has_the_same_value(
    seed: int, limits: dict[str, int], time_known: bool
) -> None:
    """Whatever a rule can ask, at whatever event, both engines answer the same."""
    calls = recording(seed, 30)
    assert not smallest(calls, lambda calls: differ_in_field(calls, limits, time_known))


@PROFILE
@given(SEEDS, st.booleans())
def test_commands_are_followed_alike(seed: int, time_known: bool) -> None:
    """Commands, their completions and their mappings mean the same to both engines."""
    calls = commands(seed, 60)
    assert not smallest(calls, lambda calls: differ_in_outcome(calls, {}))
    assert not smallest(calls, lambda calls: differ_in_field(calls, {}, time_known))


# ---- batches ---------------------------------------------------------------------------------


@PROFILE
@given(SEEDS, st.lists(st.integers(1, 9), min_size=1, max_size=20))
def test_batches_may_be_cut_anywhere(seed: int, sizes: list[int]) -> None:
    """The same rows give the same hits, however they are cut into batches."""
    calls = recording(seed, 60)
    whole, cut = Engine(load_builtin()), Engine(load_builtin())
    whole.feed(batch_of(calls))
    at = 0
    while at < len(calls):
        size = sizes[at % len(sizes)]
        cut.feed(batch_of(calls[at : at + size]))
        at += size
    assert whole.hits() == cut.hits()
    assert whole.counters == cut.counters
    assert whole.rule_counts == cut.rule_counts
