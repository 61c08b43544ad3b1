"""What the engine says of accesses by key, against a world of lists and scans."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dmaverify.core.engine import Engine
from dmaverify.model.fields import EVENT_FIELDS, REGION_FIELDS, Obj
from dmaverify.model.kinds import EventKind, Flag
from dmaverify.model.program import INSTRUCTION, MAX_SHOWN, Op, Program, Rule
from tests.oracle.hca import Hcas
from tests.oracle.nouns import Call
from tests.property.events import batch_of, smallest
from tests.unit.core.calls import always

K = EventKind
TOP = 1 << 64
KEYS = [0x100, 0x101, 0x200, 0x201, 0x2FF, 0x300, 0]
IOVAS = [0x1000, 0x1000, 0x1800, 0x2000, 0, TOP - 0x1000, TOP - 1]
LENGTHS = [0, 1, 0x800, 0x1000, 0x2000, TOP - 0x1000, TOP - 1]
WEIGHTS = {
    K.REG_MR: 5, K.REG_MR_BEGIN: 3, K.REG_MR_END: 3, K.REREG_MR: 1, K.FAST_REG_MR: 1,
    K.DEREG_MR: 4, K.INVALIDATE_MR: 2, K.HCA_ACCESS: 14, K.ALLOC_PD: 2, K.DEALLOC_PD: 1,
}  # fmt: skip
KINDS = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]
EVENT = {f.name: f.number for f in EVENT_FIELDS}
REGION = {f.name: f.number for f in REGION_FIELDS}
ASKED = (
    "pd", "access", "side", "live_regions", "ended", "stale_tag", "pd_born", "missing_rights",
    "lacking", "outside_bytes", "expected_status", "accesses",
)  # fmt: skip


def recording(seed: int, most: int) -> list[Call]:
    """Return random events of HCAs: few keys and tasks, so that everything collides."""
    random = Random(seed)
    calls = []
    for number in range(1, random.randint(1, most) + 1):
        kind = random.choice(KINDS)
        values: dict[str, Any] = {
            "site": random.choice([7, 7, 8]), "device": random.choice([0, 0, 0, 1]),
            "object": random.choice(KEYS), "flags": 0,
            "phys_addr": random.choice([0xA0, 0xA0, 0xB0, None]),
        }  # fmt: skip
        if random.randrange(12) == 0:
            values["flags"] = Flag.FAILED
        if kind in (K.REG_MR, K.REG_MR_BEGIN, K.REREG_MR, K.FAST_REG_MR, K.HCA_ACCESS):
            values["bus_addr"] = random.choice([*IOVAS, None])
            values["length"] = random.choice([*LENGTHS, None])
            values["direction"] = random.choice([0, 1, 3, 7, 15, 0xFF, None])
            values["type"] = random.choice([0, 1, 1, 1, 2, 3, 7])
        if kind == K.REG_MR_END:
            values["phys_addr"] = random.choice([None, *KEYS])
            values["status"] = random.choice([0, 0, 0, -12])
        if kind == K.HCA_ACCESS:
            values["type"] = random.choice([0, 1, 2])
            values["status"] = random.choice([0, 1, 2])
        calls.append(Call(kind, time=1000 * number, record=number, **values))
    return calls


def place(name: str) -> tuple[int, int]:
    """Return where a name of the twin stands in the rule language."""
    if name == "ended":
        return int(Obj.ENDED_REGION), REGION["key"]
    if name == "accesses":
        return int(Obj.REGION), REGION["accesses"]
    return int(Obj.EVENT), EVENT[name]


def asking() -> Program:
    """Return a program that shows all that is asked at every access."""
    code, rules = b"", []
    usual = always([]).rules[0]
    for at in range(0, len(ASKED), MAX_SHOWN):
        entry = len(code) // INSTRUCTION.size
        for slot, name in enumerate(ASKED[at : at + MAX_SHOWN]):
            code += INSTRUCTION.pack(Op.SHOWF, slot, *place(name), 0, 0)
        code += INSTRUCTION.pack(Op.VIOLATED, 0, 0, 0, 0, 0)
        values = {n: getattr(usual, n) for n in Rule.__slots__}
        rules.append(Rule(**{**values, "id": f"ask-{at}", "entry": entry,
                             "kinds": (int(K.HCA_ACCESS),)}))  # fmt: skip
    return Program(code, tuple(rules))


ASKING = asking()


def differ(calls: list[Call]) -> str:
    """Tell at which access the two first differ."""
    engine, world = Engine(ASKING), Hcas()
    expected = []
    for call in calls:
        if call.kind == K.HCA_ACCESS:
            expected.append((call.record, world.access(call)))
        world.step(call)
    engine.feed(batch_of(calls))
    hits, rules = engine.hits(), len(ASKING.rules)
    for at, (record, values) in enumerate(expected):
        block = hits[at * rules : (at + 1) * rules]
        got = dict(zip(ASKED, [v for hit in block for v in hit.shown], strict=True))
        if got != values:
            wrong = [k for k in ASKED if got[k] != values[k]]
            return f"at {record}: " + ", ".join(f"{k}: {values[k]} != {got[k]}" for k in wrong)
    assert len(hits) == len(expected) * rules
    return ""


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32))
def test_every_access_means_the_same(seed: int) -> None:
    """Which region, which rights, which bytes: the engine's tables and the scans agree."""
    assert not smallest(recording(seed, 40), differ)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32))
def test_what_ended_long_ago_is_forgotten(seed: int) -> None:
    """With room for few ended regions a key of before is unknown, never wrong."""
    engine = Engine(ASKING, ghost_limit=2)
    whole = Engine(ASKING)
    calls = recording(seed, 60)
    engine.feed(batch_of(calls))
    whole.feed(batch_of(calls))
    at = {name: number for number, name in enumerate(ASKED)}
    for few, all_ in zip(engine.hits(), whole.hits(), strict=True):
        if few.rule:
            continue
        for name in ("pd", "access", "side", "live_regions"):
            assert few.shown[at[name]] == all_.shown[at[name]]
        assert few.shown[at["ended"]] in (None, all_.shown[at["ended"]])
