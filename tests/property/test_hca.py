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
from tests.oracle.work import Works
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


# ---- work requests ---------------------------------------------------------------------------

WORK_WEIGHTS = {
    K.REG_MR: 3, K.DEREG_MR: 2, K.CREATE_QP: 3, K.DESTROY_QP: 1, K.MODIFY_QP: 1, K.POST_SEND: 10,
    K.POST_RECV: 6, K.CQE: 8, K.CPU_READ: 3, K.CPU_WRITE: 3,
}  # fmt: skip
WORK_KINDS = [kind for kind, weight in WORK_WEIGHTS.items() for _ in range(weight)]
WORK_KEYS = [0x100, 0x200, 0x200, 0x300]
STARTS = [0x1000, 0x1000, 0x1800, 0x1FFF, 0x2000, 0x8000]
SIZES = [0, 1, 0x800, 0x1000, 0x9000]
#: What is shown at each kind of event.
WORK_ASKED: dict[EventKind, tuple[tuple[int, int], ...]] = {
    K.POST_SEND: ((Obj.QP, 5), (Obj.QP, 6)),
    K.POST_RECV: ((Obj.QP, 5), (Obj.QP, 6)),
    K.POSTED_SGE: ((Obj.EVENT, EVENT["conflicts"]), (Obj.EVENT, EVENT["unfenced"])),
    K.CQE: ((Obj.EVENT, EVENT["matched"]),),
    K.DEREG_MR: ((Obj.REGION, REGION["outstanding"]),),
    K.WORK_TOUCHED: (),
}


def work_recording(seed: int, most: int) -> list[Call]:
    """Return random posts and completions on few queue pairs and addresses."""
    random = Random(seed)
    calls = [Call(K.CREATE_QP, time=1000, record=1, object=1, phys_addr=0xA0, site=7)]
    for number in range(2, random.randint(2, most) + 2):
        kind = random.choice(WORK_KINDS)
        values: dict[str, Any] = {"site": 7, "object": random.choice([1, 1, 2])}
        if kind in (K.REG_MR, K.DEREG_MR):
            values["object"] = random.choice(WORK_KEYS)
        if kind == K.REG_MR:
            values.update(bus_addr=0, length=1 << 20, phys_addr=random.choice([0xA0, 0xA0, 0xB0]),
                          direction=random.choice([7, 7, 7, 0x27, None]))  # fmt: skip
        if kind == K.CREATE_QP:
            values["phys_addr"] = random.choice([0xA0, None])
        if kind == K.MODIFY_QP:
            values["status"] = random.choice([1, 2, 7])
        if kind in (K.POST_SEND, K.POST_RECV):
            values["sges"] = [
                (random.choice(STARTS), random.choice(SIZES), random.choice(WORK_KEYS))
                for _ in range(random.randint(0, 3))
            ]
            values["phys_addr"] = random.randrange(4)
        if kind == K.POST_SEND:
            values["type"] = random.choice([1, 1, 2, 4, 4, 5])
            values["direction"] = random.choice([0, 2, 2, 3, 1, 10])
        if kind == K.CQE:
            values.update(phys_addr=random.randrange(4), type=random.choice([0, 1, 1, 11]),
                          status=random.choice([0, 0, 0, 5]))  # fmt: skip
        if kind in (K.CPU_READ, K.CPU_WRITE):
            values.update(object=0, device=1, virt_addr=random.choice([*STARTS, None]),
                          length=random.choice([1, 0x40, 0x1000, None]))  # fmt: skip
        calls.append(Call(kind, time=1000 * number, record=number, **values))
    return calls


def work_asking() -> Program:
    """Return a program that shows what is asked at each kind of event."""
    code, rules = b"", []
    usual = always([]).rules[0]
    for kind, places in WORK_ASKED.items():
        entry = len(code) // INSTRUCTION.size
        if kind == K.DEREG_MR:  # of a region that there is
            code += INSTRUCTION.pack(Op.XIST, 0, Obj.REGION, 0, entry + 2, 0)
            code += INSTRUCTION.pack(Op.NOT_APPLICABLE, 0, 0, 0, 0, 0)
        if kind in (K.POST_SEND, K.POST_RECV, K.CQE):
            code += INSTRUCTION.pack(Op.XIST, 0, Obj.QP, 0, entry + 2, 0)
            code += INSTRUCTION.pack(Op.NOT_APPLICABLE, 0, 0, 0, 0, 0)
        for slot, (obj, number) in enumerate(places):
            code += INSTRUCTION.pack(Op.SHOWF, slot, obj, number, 0, 0)
        code += INSTRUCTION.pack(Op.VIOLATED, 0, 0, 0, 0, 0)
        values = {n: getattr(usual, n) for n in Rule.__slots__}
        key = (Obj.EVENT << 8 | EVENT["time"], Obj.EVENT << 8 | EVENT["iova"])
        rules.append(Rule(**{**values, "id": kind.name.lower(), "entry": entry,
                             "kinds": (int(kind),), "group": key}))  # fmt: skip
    return Program(code, tuple(rules))


WORK_ASKING = work_asking()


def differ_in_work(calls: list[Call]) -> str:
    """Tell at which event the two first differ; each event is fed alone."""
    engine, world = Engine(WORK_ASKING), Works()
    before = [0] * len(WORK_ASKED)
    for call in calls:
        expected = world.step(call)
        seen = len(engine.hits())
        engine.feed(batch_of([call]))
        counts = [violations for _, _, violations, _ in engine.rule_counts]
        fired = {
            kind: n - b for kind, n, b in zip(WORK_ASKED, counts, before, strict=True) if n > b
        }
        before = counts
        wanted: dict[EventKind, int] = {}
        for kind, _ in expected:
            wanted[kind] = wanted.get(kind, 0) + 1
        if fired != wanted:
            return f"at {call.record}: {wanted} != {fired}"
        said = [v for k, v in expected if wanted[k] == 1]
        got = [
            h.shown for h in engine.hits()[seen:]
            if wanted[list(WORK_ASKED)[h.rule]] == 1
        ]  # fmt: skip
        if sorted(said) != sorted(got):
            return f"at {call.record}: {said} != {got}"
    return ""


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32))
def test_who_owns_a_buffer_is_the_same(seed: int) -> None:
    """Posts, completions, conflicts and touches: the queues and the lists agree."""
    assert not smallest(work_recording(seed, 40), differ_in_work)
