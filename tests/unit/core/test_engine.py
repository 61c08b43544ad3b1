"""The engine as a whole: batches in, counts and hits out, and input that means harm."""

import pytest

from dmaverify.core.engine import Engine
from dmaverify.lang.builtin import load_builtin
from dmaverify.model.events import EventBatch
from dmaverify.model.kinds import EventKind, Severity
from dmaverify.model.program import Program
from tests.oracle.nouns import Call
from tests.property.events import batch_of
from tests.unit.core.calls import (
    always,
    call,
    dma_list,
    dma_map,
    dma_sync,
    dma_unmap,
    fed,
    life,
    lost,
    numbered,
    unlist,
)

K = EventKind
CATALOGUE = load_builtin()
TOP = 1 << 64
MANY = 70_000


# ---- counts ----------------------------------------------------------------------------------


def test_rules_run_on_their_kinds_only() -> None:
    """A rule that is about unmaps is not asked about maps."""
    engine = fed(always([], kinds=(K.DMA_UNMAP,)), [dma_map(), dma_unmap(), dma_sync()])
    assert [(1, 0, 1, 0)] == engine.rule_counts
    assert (3, 1) == (engine.counters["events"], engine.counters["checked"])


def test_rules_run_in_the_programs_order() -> None:
    """Of several hits at one event the first rule's comes first."""
    kinds = (int(K.DMA_UNMAP),)
    one, two = (always([], id=name, kinds=kinds).rules[0] for name in "ab")
    code = always([]).code
    for rules in ((one, two), (two, one)):
        engine = fed(Program(code, rules), [dma_map(), dma_unmap()])
        assert [0, 1] == [hit.rule for hit in engine.hits()]


def test_what_is_lost_is_counted() -> None:
    """Events, and places; what was lost before the recording is no place."""
    calls = [Call(K.LOST, length=5), Call(K.LOST), Call(K.LOST, length=7, status=1)]
    counters = fed(CATALOGUE, calls).counters
    assert (12, 2) == (counters["lost"], counters["gaps"])


def test_kinds_out_of_range_are_passed_over() -> None:
    """A row whose kind does not exist is no event."""
    batch = EventBatch(16)
    for kind in (0, max(EventKind) + 1, 255):
        batch.add(kind, device=1)
    engine = Engine(CATALOGUE)
    engine.feed(batch)
    assert 0 == engine.counters["events"]


def test_an_empty_batch_changes_nothing() -> None:
    """Nothing in, nothing out."""
    engine = Engine(CATALOGUE)
    engine.feed(EventBatch(16))
    assert {0} == set(engine.counters.values())


def test_no_batch_is_an_error() -> None:
    """The engine takes batches only."""
    with pytest.raises(TypeError):
        Engine(CATALOGUE).feed(None)  # type: ignore[arg-type]


def test_a_failed_call_changes_no_mapping() -> None:
    """A map that failed maps nothing, and an unmap of the error address ends nothing."""
    engine = fed(CATALOGUE, [dma_map(), dma_map(TOP - 1), dma_unmap(TOP - 1)])
    assert [(1, 0x1000, 0x1000)] == engine.live_mappings()


def test_device_numbers_may_be_sparse() -> None:
    """A device's state is found whatever its number."""
    calls = [dma_map(device=n) for n in (1, 15, 16, 70_000)]
    assert [1, 15, 16, 70_000] == [d for d, _, _ in fed(CATALOGUE, calls).live_mappings()]


def test_cpus_may_be_sparse() -> None:
    """CPUs that share a place in the table do no harm."""
    calls = [call(K.DMA_MAP, n << 16, cpu=n) for n in (0, 4095, 4096, 65535)]
    assert 4 == len(fed(CATALOGUE, calls).live_mappings())


def test_witnesses_lie_where_mappings_were_made() -> None:
    """The lines that a later hit may name: where mappings were made, and where they ended."""
    batch = EventBatch(16)
    for offset, one in ((100, dma_map()), (200, dma_map(0x2000)), (300, dma_unmap())):
        batch.add(
            one.kind, offset=offset, bus_addr=one.bus_addr, length=one.length, device=1, type=1
        )
    engine = Engine(CATALOGUE)
    engine.feed(batch)
    assert [100, 200, 300] == sorted(engine.witnesses_between(0, 1000))
    assert [200] == engine.witnesses_between(101, 300)


# ---- the four outcomes of a rule with needs --------------------------------------------------


def test_a_leak_needs_to_see_an_unmap() -> None:
    """Where a device shows no unmap at all the rule can not tell, and says which fact it lacks."""
    calls = [dma_map(), life(K.DRIVER_UNBOUND)]
    names = [r.id for r in CATALOGUE.rules]
    (hit,) = fed(CATALOGUE, calls).hits()
    assert ("leak-at-unbind", 0) == (names[hit.rule], hit.unmet)
    (hit,) = fed(CATALOGUE, [dma_map(0x5000), dma_unmap(0x5000), *calls]).hits()
    assert ("leak-at-unbind", None) == (names[hit.rule], hit.unmet)


# ---- input that means harm -------------------------------------------------------------------


def hostile(calls: list[Call]) -> Engine:
    """Return an engine that has swallowed a long recording in batches."""
    engine = Engine(CATALOGUE)
    for at in range(0, len(calls), 4096):
        engine.feed(batch_of(calls[at : at + 4096]))
    assert len(calls) == engine.counters["events"]
    return engine


def test_many_mappings_at_one_address() -> None:
    """Look-ups in a crowd give up after a while, and say how often."""
    count = 20_000
    engine = hostile([*[dma_map()] * count, *[dma_unmap()] * 100])
    assert count - 100 == engine.counters["live"]
    assert 100 <= engine.counters["crowded"] <= 500


def test_many_mappings_of_one_memory() -> None:
    """So does the search for whose memory a mapping shares."""
    count = 10_000
    engine = hostile([dma_map(n << 12, phys_addr=0x9000, length=64) for n in range(1, count)])
    assert count - 1 == engine.counters["live"]
    assert 0 < engine.counters["crowded"] <= 2 * count


def test_many_addresses_come_and_go() -> None:
    """Ever other addresses leave no more behind than the ghosts that are kept."""
    calls = [c for n in range(MANY) for c in (dma_map(n << 12), dma_unmap(n << 12))]
    engine = hostile(calls)
    counters = engine.counters
    assert (0, MANY - 65536, 0) == (counters["live"], counters["forgotten"], counters["crowded"])
    assert 2 * 65536 == len(engine.witnesses_between(0, 1))


def test_absurd_lengths_are_bounded_work() -> None:
    """A range wider than can be visited is visited in part, and counted once a level."""
    calls = [dma_map(0x1000, phys_addr=0x9000, length=64)]
    calls += [dma_map(n << 12, phys_addr=n << 12, length=TOP - (n << 13)) for n in range(1, 200)]
    calls += [dma_unmap(n << 12, length=TOP - (n << 13)) for n in range(1, 200)]
    engine = hostile(calls)
    assert 1 == engine.counters["live"]
    assert engine.counters["crowded"] <= 6 * len(calls)


def test_many_lists_with_one_first_entry() -> None:
    """A list's unmap searches among those that begin alike, and no further than it must."""
    calls = [dma_list([(n << 12, 64)], [0x9000]) for n in range(1, 6000)]
    engine = hostile([*calls, *[unlist([0x9000])] * 50])
    assert 5999 - 50 == engine.counters["live"]


def test_a_very_long_list_is_walked_in_part() -> None:
    """The end of a run of 5000 segments side by side is not looked for, and nothing is claimed."""
    pieces = [(0x100000 + 64 * i, 64) for i in range(5000)]
    whole = dma_list(pieces, [0x9000], phys_full=5000)
    engine = hostile([whole, *[dma_sync(0x100000, length=5000 * 64)] * 10])
    assert 10 == engine.counters["crowded"]
    assert [] == engine.hits()


def test_many_gaps() -> None:
    """Each gap makes all that lives stale; each new mapping ends only what it meets."""
    calls = [c for n in range(1, 5000) for c in (dma_map(n << 12), lost())]
    engine = hostile([*calls, *[dma_map(n << 12) for n in range(1, 5000)]])
    assert (4999, 4999) == (engine.counters["live"], engine.counters["across_gap"])


def test_many_mistakes_at_many_places() -> None:
    """Groups have a limit, and what finds no room is counted."""
    calls = [dma_map(n << 12, length=0, device=n, site=n) for n in range(1, 20_001)]
    engine = hostile(calls)
    assert (16384, 20_000 - 16384) == (len(engine.hits()), engine.counters["overflow"])


def test_many_unmaps_of_nothing() -> None:
    """Calls that mean nothing keep no more than the limit of subjects."""
    calls = [life(K.DRIVER_PROBE), *[dma_unmap(n << 12) for n in range(1, 50_000)]]
    engine = hostile(calls)
    (hit,) = engine.hits()
    assert 49_999 == hit.occurrences
    assert Severity.ERROR == CATALOGUE.rules[hit.rule].severity


def test_the_iommu_table_forgets_what_is_balanced() -> None:
    """Maps and unmaps of pages cancel out, for very long ranges too."""
    calls = [
        call(kind, n << 12, device=0) for n in range(5000) for kind in (K.IOMMU_MAP, K.IOMMU_UNMAP)
    ]
    calls += [call(K.IOMMU_UNMAP, 0, length=TOP - 1, device=0)] * 100
    assert 10_100 == hostile(calls).counters["iommu_events"]


def test_numbers_may_be_anything() -> None:
    """Corner values in every slot at once are replayed."""
    corner = [0, 1, TOP - 1, TOP // 2]
    calls = [
        Call(kind, bus_addr=a, phys_addr=b, length=c, direction=255, type=6, device=3, flags=0xFE0,
             time=TOP - 1, status=-1)
        for kind in EventKind for a in corner for b in corner for c in corner
    ]  # fmt: skip
    engine = hostile(calls)
    assert all(hit.first.event.kind in EventKind for hit in engine.hits())


def test_the_order_of_hits_is_the_order_of_first_events() -> None:
    """Groups come as they were first hit."""
    calls = numbered([dma_map(), dma_sync(length=0x2000), dma_map(0x8000, length=0)])
    assert [2, 3] == [hit.first.record for hit in hostile(calls).hits()]


def test_absurd_accesses_do_not_fill_the_memory() -> None:
    """Bytes are followed up to a limit, line by line; what is not followed is counted."""
    absurd = TOP >> 1
    maps = [dma_map(n << 12, length=absurd) for n in range(1, 41)]
    writes = [call(K.DEV_WRITE, n << 12, length=absurd) for n in range(1, 41)]
    ends = [dma_unmap(n << 12, length=absurd) for n in range(1, 41)]
    assert 0 < hostile([*maps, *writes]).counters["crowded"] <= 40
    # What ends makes room again.
    one_by_one = [c for n in range(40) for c in (maps[n], writes[n], ends[n])]
    assert 0 == hostile(one_by_one).counters["crowded"]
