"""The recordings that benches read are what they claim to be."""

from collections import Counter
from pathlib import Path

import pytest

from dmaverify.model.events import Event
from dmaverify.model.kinds import EventKind
from dmaverify.trace import open_trace
from tests.bench.make_trace import write_dat, write_text


def rows(path: Path) -> list[tuple[Event, str]]:
    """Return the rows of a file with the names of their devices."""
    reader = open_trace(str(path))
    found = [batch[i] for batch in reader.batches() for i in range(len(batch))]
    reader.close()
    assert reader.complete
    return [(row, reader.devices[row.device]) for row in found]


@pytest.mark.parametrize(("events", "live", "seed"), [(3000, 100, 1), (5000, 1000, 2), (400, 5, 3)])
def test_both_forms_tell_the_same(tmp_path: Path, events: int, live: int, seed: int) -> None:
    """The binary form and the text hold the same events, as many as asked for."""
    write_dat(tmp_path / "a", events, live, seed)
    write_text(tmp_path / "b", events, live, seed)
    binary, text = rows(tmp_path / "a"), rows(tmp_path / "b")

    assert (events, events) == (len(binary), len(text))
    for (one, device), (other, name) in zip(binary, text, strict=True):
        assert device == name
        assert (one.time + 500) // 1000 * 1000 == other.time
        one.time, one.device = other.time, other.device
        assert one == other


def test_everything_ends_well(tmp_path: Path) -> None:
    """Every mapping is ended, and every translation is taken back."""
    write_dat(tmp_path / "a", 4000, 50, 7)
    found = [row for row, _ in rows(tmp_path / "a")]
    counts = Counter(row.kind for row in found)
    mapped: Counter[int] = Counter()
    for row in found:
        if row.kind == EventKind.IOMMU_MAP:
            mapped[row.bus_addr] += 1
            assert mapped[row.bus_addr] == 1
        elif row.kind == EventKind.IOMMU_UNMAP:
            for page in range(row.bus_addr, row.bus_addr + row.length, 4096):
                mapped[page] -= 1

    assert {0} == set(mapped.values())
    assert counts[EventKind.DMA_MAP] == counts[EventKind.DMA_UNMAP] > 500
    assert 2 == counts[EventKind.DRIVER_PROBE] == counts[EventKind.DRIVER_UNBOUND]
