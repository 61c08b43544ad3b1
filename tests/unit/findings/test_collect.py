"""Hits become findings."""

from dataclasses import replace

import pytest

from dmaverify.findings.collect import collect, first_sentence
from dmaverify.findings.context import TraceContext
from dmaverify.findings.fingerprint import device_role
from dmaverify.findings.words import render, value_words
from dmaverify.model.events import Event
from dmaverify.model.fields import Type
from dmaverify.model.finding import Finding, Range
from dmaverify.model.hit import Hit, MappingView, Witness
from dmaverify.model.kinds import Direction, EventKind, Flag, MapType, Maturity, Severity
from dmaverify.model.program import Need, Program, Rule, Shown

DEVICES = ["", "0000:00:04.0", "0000:00:05.0", "0000:00:04.1"]


def rule(name: str, **values: object) -> Rule:
    """Return a rule that shows two values."""
    plain = {
        "id": name,
        "cls": name,
        "severity": Severity.ERROR,
        "maturity": Maturity.STABLE,
        "kinds": (4,),
        "entry": 0,
        "message": (
            "unmap of ", Shown(0, Type.SIZE), " at bus ", Shown(1, Type.ADDR),
            ", mapped with ", Shown(2, Type.SIZE),
        ),
        "needs": (Need(0, "the recording has no unmaps"), Need(0, "the recording has no syncs")),
        "explain": "The rest stays\n alive. More.",
    }  # fmt: skip
    return Rule(**{**plain, **values})


PROGRAM = Program(
    b"",
    (rule("unmap-size-mismatch"), rule("leak-at-unbind"), rule("twin", cls="unmap-size-mismatch")),
)
CONTEXT = TraceContext(
    3, DEVICES, False, lambda w: f"line {w.record}", lambda w: f"kworker/{w.event.site}:1"
)


def witness(record: int, kind: EventKind, **values: object) -> Witness:
    """Return an event of a streaming mapping."""
    plain = {
        "time": record * 1000, "bus_addr": 0x1000, "phys_addr": 0x9000, "length": 2048, "offset": 0,
        "device": 1, "site": 7, "flags": Flag(0), "kind": kind, "record": record, "line": record,
        "direction": Direction.FROM_DEVICE, "type": MapType.SINGLE,
    }  # fmt: skip
    event = Event(**{**plain, **values})
    return Witness(record, event.line, 0, event.time, event)


def mapping(record: int = 5, ended: int | None = None, **values: object) -> MappingView:
    """Return a mapping as the engine knew it."""
    made = witness(record, EventKind.DMA_MAP, device=values.get("device", 1))
    gone = witness(ended, EventKind.DMA_UNMAP) if ended else None
    plain = MappingView("mapping", 2, 1, made, gone, 0x1000, 2048, 0x9000, 2, 1, ((0x1000, 2048),))
    return replace(plain, **values)


def hit(record: int = 9, **values: object) -> Hit:
    """Return a hit of the first rule: an unmap of half a mapping."""
    first = witness(record, EventKind.DMA_UNMAP, length=1024)
    plain = Hit(0, first, first, (mapping(),), (1024, 0x1000, 2048), 1, (), False, None)
    return replace(plain, **values)


def found(*hits: Hit) -> list[Finding]:
    """Return the findings of some hits."""
    return collect(hits, PROGRAM, CONTEXT)[0]


def test_a_hit_becomes_a_finding() -> None:
    """Everything that a report tells is there."""
    last = witness(51, EventKind.DMA_UNMAP)
    (finding,) = found(hit(last=last, occurrences=3, consequences=((1, last),)))

    assert finding.message == "unmap of 1024 bytes at bus 0x1000, mapped with 2048 bytes"
    assert (finding.trace, finding.event, finding.line, finding.time_ns) == (3, 9, 9, 9000)
    assert [(e.role, e.event, e.rule) for e in finding.evidence] == [
        ("mapped", 5, ""),
        ("unmapped", 9, ""),
        ("consequence", 51, "leak-at-unbind"),
    ]
    assert finding.ranges == (
        Range("mapping", "mapping #2  2048 B  FROM_DEVICE", 0x1000, 2048),
        Range("unmap", "unmap 1024 B  FROM_DEVICE", 0x1000, 1024),
    )
    assert finding.why == "The rest stays alive."
    assert finding.last is not None
    assert finding.last.event == 51
    assert finding.confidence == "high"


def test_binary_traces_have_no_lines_and_counters_no_time() -> None:
    """Unknown is not zero: line 0 and ticks are told as None."""
    first = witness(9, EventKind.DMA_UNMAP, line=0)
    (finding,) = collect([hit(first=first, last=first)], PROGRAM, replace(CONTEXT, ticks=True))[0]

    assert finding.line is None
    assert finding.time_ns is None


def test_the_same_mistake_merges() -> None:
    """Equal but for address and place: one finding, true counts, first and last place."""
    first = witness(19, EventKind.DMA_UNMAP, length=1025, bus_addr=0x7000, site=99)
    other = hit(first=first, last=first, occurrences=4)
    (finding,) = found(other, hit(occurrences=2))

    assert finding.occurrences == 6
    assert finding.event == 9
    assert finding.last is not None
    assert finding.last.event == 19


@pytest.mark.parametrize(
    "values",
    [
        {"rule": 1},
        {"rule": 2},
        {"first": witness(19, EventKind.DMA_UNMAP, length=64)},
        {"first": witness(19, EventKind.DMA_FREE, length=1024)},
        {"first": witness(19, EventKind.DMA_UNMAP, length=1024, device=2)},
        {"first": witness(19, EventKind.DMA_UNMAP, length=1024, device=3)},
        {"mappings": ()},
    ],
)
def test_what_differs_stays_apart(values: dict[str, object]) -> None:
    """Another rule, size class, kind, device or history is another finding."""
    assert (
        len(found(hit(), hit(**{"first": witness(19, EventKind.DMA_UNMAP, length=1024), **values})))
        == 2
    )


def test_fingerprints_survive_another_slot_and_tell_devices_apart() -> None:
    """A card in another slot keeps its fingerprint; two cards in one machine differ."""
    elsewhere = replace(CONTEXT, devices=["", "0000:81:00.0"])
    other = witness(19, EventKind.DMA_UNMAP, length=1024, device=2)
    both = found(hit(), hit(first=other, last=other, mappings=(mapping(device=2),)))

    assert collect([hit()], PROGRAM, elsewhere)[0][0].fingerprint == both[0].fingerprint
    assert both[0].fingerprint != both[1].fingerprint


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("0000:00:04.0", "pci.0"),
        ("0000:81:00.1", "pci.1"),
        ("fe300000.ethernet", "@.ethernet"),
        ("rxe0", "rxe"),
        ("", ""),
    ],
)
def test_device_role(name: str, role: str) -> None:
    """What depends on the machine is no part of a device's role."""
    assert device_role(name) == role


def test_a_certain_hit_speaks_for_the_group() -> None:
    """A group is of low confidence only if all of it is."""
    (finding,) = found(hit(low_confidence=True), hit(19))
    (unsure,) = found(hit(low_confidence=True))

    assert (finding.confidence, finding.event) == ("high", 19)
    assert unsure.confidence == "low"


def test_unmet_needs_are_one_notice_a_rule_and_device() -> None:
    """A rule that can not tell says why, once, and finds nothing."""
    other = witness(3, EventKind.DMA_UNMAP, device=2)
    findings, notices = collect(
        [hit(unmet=1, occurrences=2), hit(19, unmet=1), hit(first=other, unmet=0)], PROGRAM, CONTEXT
    )

    assert findings == []
    assert [(n.id, n.text, n.count) for n in notices] == [
        ("can-not-tell", "unmap-size-mismatch can not tell for 0000:00:05.0: "
         "the recording has no unmaps", 1),
        ("can-not-tell", "unmap-size-mismatch can not tell for 0000:00:04.0: "
         "the recording has no syncs", 3),
    ]  # fmt: skip


def test_a_pattern_among_the_consequences_says_what_to_do() -> None:
    """A habit that needs the same of the recording has the better hint; any other has not."""
    habit = {"tags": ("coherence", "pattern"), "hint": ("stop polling",), "explain": "A habit."}
    for needs, hint, why in (
        (rule("r").needs, "stop polling", "A habit."), ((), "", "The rest stays alive."),
    ):  # fmt: skip
        program = Program(b"", (rule("r"), rule("p", **habit, needs=needs)))
        told = hit(consequences=((1, witness(12, EventKind.CPU_READ)),))
        (finding,) = collect([told], program, CONTEXT)[0]
        assert (hint, why) == (finding.hint, finding.why)


def test_order_does_not_depend_on_the_order_of_hits() -> None:
    """Findings stand in the order of the trace, then by rule."""
    hits = [hit(19, rule=1), hit(9, rule=2), hit(9, rule=1)]

    assert [(f.event, f.rule) for f in found(*hits)] == [(9, "leak-at-unbind"), (9, "twin")]
    assert found(*hits) == found(*hits[::-1])


def test_ghosts_and_failed_calls_have_their_roles() -> None:
    """An ended mapping shows its end; what names a failed mapping was used."""
    used = witness(9, EventKind.DMA_UNMAP, flags=Flag.FAILED)
    (finding,) = found(hit(first=used, mappings=(mapping(5, 7, role="ghost"),)))

    assert [e.role for e in finding.evidence] == ["mapped", "unmapped", "used"]
    assert finding.ranges == ()
    assert finding.address is None


def test_lists_in_pieces_are_not_drawn_as_one_range() -> None:
    """The sum of a list's lengths is no range."""
    pieces = mapping(segments=((0x1000, 1024), (0x8000, 1024)), type=MapType.SG)
    first = witness(9, EventKind.DMA_UNMAP, type=MapType.SG)

    assert found(hit(first=first, mappings=(pieces,)))[0].ranges == ()
    joined = mapping(segments=((0x1000, 1024), (0x1400, 1024)), type=MapType.SG)
    assert len(found(hit(first=first, mappings=(joined,)))[0].ranges) == 2


def test_overlap_is_drawn_in_memory() -> None:
    """Mappings that share memory are compared by physical addresses."""
    first = witness(9, EventKind.DMA_MAP, phys_addr=0x9400)
    (finding,) = found(hit(first=first, mappings=(mapping(role="overlap"),)))

    assert [(r.space, r.start) for r in finding.ranges] == [
        ("physical", 0x9000),
        ("physical", 0x9400),
    ]


@pytest.mark.parametrize(
    ("shown", "value", "expected"),
    [
        (Shown(0, Type.SIZE), 1, "1 byte"),
        (Shown(0, Type.SIZE), 2048, "2048 bytes"),
        (Shown(0, Type.SIZE, "hex"), 2048, "0x800"),
        (Shown(0, Type.ADDR), 2**64 - 1, "0xffffffffffffffff"),
        (Shown(0, Type.INT), 7, "7"),
        (Shown(0, Type.BOOL), 1, "yes"),
        (Shown(0, Type.DURATION), 999, "999 ns"),
        (Shown(0, Type.DURATION), 1_200_000, "1.2 ms"),
        (Shown(0, Type.DURATION), 5_000_000_000_000, "5000 s"),
        (Shown(0, Type.TIME), 12_034_221_000, "12.034221 s"),
        (Shown(0, Type.DIRECTION), 2, "FROM_DEVICE"),
        (Shown(0, Type.DIRECTION), 9, "invalid direction 9"),
        (Shown(0, Type.MAP_TYPE), 3, "scatter-gather"),
        (Shown(0, Type.MAP_TYPE), 99, "type 99"),
        (Shown(0, Type.KIND), 4, "dma_unmap"),
        (Shown(0, Type.KIND), 99, "kind 99"),
        (Shown(0, Type.TOKEN), 16, "0x10"),
        (Shown(0, Type.DEVICE), 1, "0000:00:04.0"),
        (Shown(0, Type.DEVICE), 99, "unknown"),
        (Shown(0, Type.TASK), 1, "modprobe"),
        (Shown(0, Type.SIZE), None, "unknown length"),
    ],
)
def test_values_by_type(shown: Shown, value: int | None, expected: str) -> None:
    """Each type is written as people write it."""
    names = {"device_name": CONTEXT.device_name, "task_name": {1: "modprobe"}.get}

    assert value_words(shown, value, ticks=False, **names) == expected
    assert render(("<", shown, ">"), [value], ticks=False, **names) == f"<{expected}>"


def test_every_type_can_be_written() -> None:
    """No type of the rule language is without words, with any 64-bit value."""
    for kind in Type:
        for value in (0, 2**64 - 1):
            words = {"device_name": str, "task_name": str}
            assert value_words(Shown(0, kind), value, ticks=False, **words)
            assert value_words(Shown(0, kind), value, ticks=True, **words)


def test_first_sentence() -> None:
    """The first sentence, on one line, whatever follows."""
    assert first_sentence(" One,\n  e.g. two. Three.") == "One, e.g. two."
    assert first_sentence("") == ""
