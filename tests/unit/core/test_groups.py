"""One mistake, one finding: what is grouped, and what is a consequence of what."""

from dmaverify.core.engine import Engine
from dmaverify.lang.builtin import load_builtin
from dmaverify.model.hit import Hit
from dmaverify.model.kinds import EventKind, Maturity, Severity
from dmaverify.model.program import INSTRUCTION, Need, Op, Program, Rule
from tests.oracle.nouns import Call
from tests.unit.core.calls import (
    always,
    call,
    dma_map,
    dma_sync,
    dma_unmap,
    fed,
    life,
    lost,
    unlist,
)

K = EventKind
CATALOGUE = load_builtin()


def found(calls: list[Call]) -> list[tuple[str, int, int]]:
    """Return (rule, occurrences, number of consequences) of each finding of the catalogue."""
    hits = fed(CATALOGUE, calls).hits()
    names = [r.id for r in CATALOGUE.rules]
    return [(names[h.rule], h.occurrences, len(h.consequences)) for h in hits if h.unmet is None]


# ---- consequences ----------------------------------------------------------------------------


def test_the_first_class_at_an_event_is_the_finding() -> None:
    """An unmap that is wrong in length and direction is one finding, with a consequence."""
    wrong = dma_unmap(length=64, direction=1)
    assert [("unmap-size-mismatch", 1, 1)] == found([dma_map(), wrong])


def test_a_later_error_on_the_same_mapping_is_a_consequence() -> None:
    """A sync out of range is told once; the wrong unmap of the same mapping belongs to it."""
    calls = [dma_map(), dma_sync(length=0x2000), dma_unmap(length=64)]
    assert [("sync-out-of-range", 1, 1)] == found(calls)


def test_the_same_mistake_again_is_an_occurrence() -> None:
    """Two syncs out of range are one finding that occurred twice."""
    assert [("sync-out-of-range", 2, 0)] == found([dma_map(), *[dma_sync(length=0x2000)] * 2])


def test_what_a_wrong_call_evidently_meant_is_told_with_it() -> None:
    """An unmap inside a mapping leaves it mapped: the leak is no second finding."""
    calls = [dma_map(), dma_unmap(0x1040), life(K.DRIVER_UNBOUND)]
    assert [("unmap-inside-mapping", 1, 1)] == found(calls)


def test_an_unmap_by_another_device_explains_the_leak() -> None:
    """The mapping that the other device's call meant stays behind because of it."""
    calls = [dma_map(), dma_unmap(device=2), life(K.DRIVER_UNBOUND)]
    assert [("unmap-by-other-device", 1, 1)] == found(calls)


def test_two_mappings_are_two_subjects() -> None:
    """A mistake about one mapping does not hide a different mistake about another."""
    calls = [dma_map(), dma_map(0x2000), dma_sync(length=0x2000), dma_unmap(0x2000, length=64)]
    assert [("sync-out-of-range", 1, 0), ("unmap-size-mismatch", 1, 0)] == found(calls)


def test_a_new_mapping_at_the_address_of_an_old_mistake_is_a_new_subject() -> None:
    """Addresses are reused at once: an old double unmap does not explain a new mapping's errors."""
    double = [dma_map(), dma_unmap(), dma_unmap()]
    calls = [*double, dma_map(), dma_unmap(length=64)]
    assert [("unmap-of-unmapped", 1, 0), ("unmap-size-mismatch", 1, 0)] == found(calls)


def test_a_mistake_made_by_a_mapping_is_not_that_of_its_address() -> None:
    """The mapping call itself may be wrong where something else went wrong before."""
    double = [dma_map(), dma_unmap(), dma_unmap()]
    calls = [*double, dma_map(0x8000, phys_addr=0x9000), dma_map(phys_addr=0x9000)]
    assert [("unmap-of-unmapped", 1, 0), ("overlapping-mappings", 1, 0)] == found(calls)


def test_a_mistake_of_the_mapping_call_is_told_of_its_mapping() -> None:
    """What goes wrong later with a mapping of nothing follows from that."""
    calls = [dma_map(length=0), dma_unmap(length=64)]
    assert [("zero-length-mapping", 1, 1)] == found(calls)


def test_a_second_double_unmap_belongs_to_the_first() -> None:
    """A free and a sync of what is not mapped are one story at one address."""
    calls = [dma_map(), dma_unmap(), dma_unmap(), dma_sync()]
    assert [("unmap-of-unmapped", 1, 1)] == found(calls)


def test_a_users_rule_is_never_folded() -> None:
    """Rules that do not ship are told beside the finding that they follow from."""
    kinds = (int(K.DMA_UNMAP),)
    mine = always([], severity=Severity.ERROR, kinds=kinds, group=())
    code = CATALOGUE.code + mine.code
    rule = always([], severity=Severity.ERROR, kinds=kinds, group=()).rules[0]
    at = len(CATALOGUE.code) // INSTRUCTION.size
    moved = Rule(**{**{f: getattr(rule, f) for f in rule.__slots__}, "entry": at})
    program = Program(code, (*CATALOGUE.rules, moved))
    hits = fed(program, [dma_map(), dma_unmap(length=64)]).hits()
    assert ["unmap-size-mismatch", "always"] == [program.rules[h.rule].id for h in hits]


def test_a_rule_with_needs_hides_nothing() -> None:
    """What may turn out not to be told at all can not be what others are a consequence of."""
    #  a leak needs an unmap somewhere; a wrong list length needs nothing
    calls = [dma_map(), life(K.DRIVER_UNBOUND)]
    hits = fed(CATALOGUE, calls).hits()
    assert [0] == [h.unmet for h in hits]


# ---- groups ----------------------------------------------------------------------------------


def test_groups_are_by_device_kind_task_and_size_class() -> None:
    """Without call sites, equal in these means the same place in the driver."""
    program = always([], group=(), kinds=(K.DMA_MAP,))
    base = dma_map()
    for other, groups in (
        (dma_map(0x5000), 1), (dma_map(length=0x1800), 1), (dma_map(length=0x2000), 2),
        (dma_map(device=2), 2), (dma_map(site=9), 2), (dma_map(type=2), 2),
        (dma_map(length=None), 2),
    ):  # fmt: skip
        assert groups == len(fed(program, [base, other]).hits())


def test_groups_by_a_rules_own_fields() -> None:
    """`report once per` decides alone."""
    program = always([], group=(5,), kinds=(K.DMA_MAP,))
    calls = [dma_map(), dma_map(0x2000, device=2, length=64), dma_map(0x3000, type=2)]
    assert [2, 1] == [h.occurrences for h in fed(program, calls).hits()]


def test_more_groups_than_the_limit_are_counted() -> None:
    """Hits that find no room are counted, and rules go on."""
    program = always([], group=(1,))
    calls = [dma_map(n << 16) for n in range(1, 6)] + [dma_map(1 << 16)]
    engine = fed(program, calls, group_limit=2)
    assert [2, 1] == [h.occurrences for h in engine.hits()]
    assert 3 == engine.counters["overflow"]
    assert 6 == engine.rule_counts[0][2]


def test_no_room_for_any_group() -> None:
    """A limit of zero keeps no hit."""
    engine = fed(CATALOGUE, [dma_map(), dma_unmap(length=64)], group_limit=0)
    assert ([], 1) == (engine.hits(), engine.counters["overflow"])


def test_at_most_four_consequences_are_kept() -> None:
    """More are dropped from the evidence, not from the counts of their rules."""
    wrong = [dma_sync(length=0x2000), *[dma_sync(direction=1)] * 6]
    assert [("sync-out-of-range", 1, 4)] == found([dma_map(), *wrong])


# ---- confidence ------------------------------------------------------------------------------


def low(calls: list[Call]) -> list[bool]:
    """Return of each finding whether it is in doubt."""
    return [h.low_confidence for h in fed(CATALOGUE, calls).hits()]


def test_a_finding_across_a_gap_is_in_doubt() -> None:
    """Lost events between a mapping and its wrong unmap may explain it."""
    wrong = [dma_map(), dma_unmap(length=64)]
    assert [False] == low(wrong)
    assert [False] == low([lost(), *wrong])
    assert [True] == low([wrong[0], lost(), wrong[1]])


def test_loss_before_the_first_event_is_no_gap() -> None:
    """What was overwritten before the recording leaves no hole in it."""
    before = Call(K.LOST, length=5, status=1)
    assert [False] == low([dma_map(), before, dma_unmap(length=64)])


def test_one_hit_without_doubt_is_enough() -> None:
    """A group is in doubt only as long as all its hits are."""
    calls = [dma_map(), lost(), dma_unmap(length=64), dma_map(), dma_unmap(length=64)]
    assert [False] == low(calls)
    assert [True] == low(calls[:3])


# ---- what a hit holds ------------------------------------------------------------------------


def only(calls: list[Call]) -> Hit:
    """Return the one hit of the catalogue."""
    (hit,) = fed(CATALOGUE, calls).hits()
    return hit


def test_a_hit_names_its_first_and_last_event() -> None:
    """Both are told with their places."""
    hit = only([dma_map(), dma_sync(length=0x2000), dma_sync(), dma_sync(length=0x3000)])
    assert (2, 0x2000) == (hit.first.record, hit.first.event.length)
    assert (4, 0x3000) == (hit.last.record, hit.last.event.length)


def test_a_hit_shows_the_values_of_its_first_event() -> None:
    """A message is about the first hit, whatever comes later."""
    hit = only([dma_map(), dma_sync(length=0x2000), dma_sync(length=0x3000)])
    assert 0x2000 in hit.shown
    assert 0x3000 not in hit.shown


def test_a_hit_holds_the_mapping_that_it_is_about() -> None:
    """With where it was made, what it was, and its segments."""
    hit = only([dma_map(phys_addr=0x9000, site=7), dma_unmap(length=64)])
    (view,) = hit.mappings
    assert ("mapping", 1, 0x1000, 0x1000, 0x9000) == (
        view.role, view.made.record, view.bus_addr, view.length, view.phys_addr
    )  # fmt: skip
    assert ((0x1000, 0x1000),) == view.segments
    assert view.ended is None


def test_a_hit_about_what_is_gone_holds_the_ghost() -> None:
    """With where it was made and where it ended."""
    hit = only([dma_map(), dma_unmap(), dma_unmap()])
    (view,) = hit.mappings
    assert view.ended is not None
    assert ("ghost", 1, 2) == (view.role, view.made.record, view.ended.record)


def test_a_list_is_kept_with_its_hit() -> None:
    """The first entries of the event's list are evidence; how many there were is kept too."""
    calls = [dma_map(None, type=3, length=None, sg_phys=[0x9000, 0xA000]), unlist([0x9000])]
    hit = only(calls)
    assert ((0x9000,), 1) == (hit.first.event.sg_phys, hit.first.event.phys_full)
    assert 2 == hit.mappings[0].made.event.phys_full


def test_needs_are_judged_by_the_whole_recording() -> None:
    """What a hit lacks at its event may be told later in the recording."""
    calls = [dma_map(), life(K.DRIVER_UNBOUND)]
    engine = fed(CATALOGUE, calls)
    assert [0] == [h.unmet for h in engine.hits()]
    later = fed(CATALOGUE, [*calls, dma_map(), dma_unmap()])
    assert [None] == [h.unmet for h in later.hits()]


def test_the_first_need_that_is_not_met_is_named() -> None:
    """Of two needs the index of the first that fails is told."""
    code = b"".join(
        INSTRUCTION.pack(*one)
        for one in (
            (Op.VIOLATED, 0, 0, 0, 0, 0),
            (Op.FEQ, 0, 9, 2, 3, 0), (Op.VIOLATED, 0, 0, 0, 0, 0), (Op.HOLDS, 0, 0, 0, 0, 0),
            (Op.FGT, 0, 9, 1, 6, 0), (Op.VIOLATED, 0, 0, 0, 0, 0), (Op.HOLDS, 0, 0, 0, 0, 0),
        )
    )  # fmt: skip
    needs = Need(1, "no gaps"), Need(4, "losses")
    rule = Rule("r", "r", Severity.ERROR, Maturity.STABLE, (int(K.DMA_MAP),), 0, (), needs)
    before = Call(K.LOST, length=5, status=1)
    for calls, unmet in (
        ([dma_map()], 1), ([dma_map(), lost()], 0), ([dma_map(), before], None),
    ):  # fmt: skip
        assert [unmet] == [h.unmet for h in fed(Program(code, (rule,)), calls).hits()]


def test_hits_may_be_asked_for_at_any_time() -> None:
    """Asking changes nothing, and later events go on from there."""
    engine = Engine(CATALOGUE)
    assert [] == engine.hits()
    engine = fed(CATALOGUE, [dma_map(), dma_unmap(length=64)])
    assert engine.hits() == engine.hits()


def test_fresh_witnesses_are_told_once() -> None:
    """The lines that new groups name are asked for after each batch."""
    engine = fed(CATALOGUE, [dma_map(), dma_unmap(length=64)])
    assert 2 == len(engine.fresh_witnesses())
    assert [] == engine.fresh_witnesses()


def test_a_call_that_ends_nothing_is_no_subject() -> None:
    """An error at an address is told of that address, until something new lives there."""
    calls = [life(K.DRIVER_PROBE), dma_unmap(), call(K.DMA_UNMAP, 0x2000)]
    assert [("unmap-of-unmapped", 2, 0)] == found(calls)
