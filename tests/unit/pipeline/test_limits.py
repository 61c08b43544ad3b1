"""What a run says about its own limits."""

from pathlib import Path

import pytest

from dmaverify.model.finding import Notice
from dmaverify.pipeline.check import CheckOptions, check_traces
from tests.writers.tracedat import File, Instance, Kernel, Ring

FIXTURES = Path(__file__).parents[3] / "fixtures"
MAP = "dma_map: d type=single direction=to_device bus_addr=0x1000 length=64"
UNMAP = "dma_unmap: d type=single direction=to_device bus_addr=0x9000 length=64"


def lost(path: Path) -> list[Notice]:
    """Return the notices of one trace that tell of losses."""
    report = check_traces([str(path)], CheckOptions())
    return [n for n in report.notices if n.id.startswith("events-lost")]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([MAP], None),
        ([MAP, "lost: length=12"], "12 events were lost;"),
        ([MAP, "lost: length=1"], "1 event was lost;"),
        ([MAP, "lost:", "lost:"], "events were lost in 2 places, nothing says how many;"),
        ([MAP, "lost: length=12", UNMAP],
         "12 events were lost, which may explain 1 call or access;"),
        ([MAP, "lost:", UNMAP, UNMAP],
         "events were lost in 1 place, nothing says how many, "
         "which may explain 2 calls or accesses;"),
    ],
)  # fmt: skip
def test_one_notice_tells_of_losses(lines: list[str], told: str | None, tmp_path: Path) -> None:
    """A trace that lost events says how many, and what that may explain, in one notice."""
    path = tmp_path / "x.dmat"
    path.write_text("\n".join(["# dmaverify trace 1", *lines, ""]))
    notices = lost(path)

    assert ([told] if told else []) == [n.text.split(";")[0] + ";" for n in notices]
    assert all("record with a larger buffer" in n.text for n in notices)


def test_an_overrun_ring_is_told() -> None:
    """A header that tells of more events than the trace holds gives the notice."""
    (notice,) = lost(FIXTURES / "text/tracefs-overrun.txt")

    assert "6,015 events were lost" in notice.text


def test_dropped_events_are_told_once(tmp_path: Path) -> None:
    """Losses that only statistics know have a notice of their own, and no second one."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(1, kernel.record("map", iova=1))
    text = b"CPU: 0\nentries: 0\noverrun: 0\ncommit overrun: 0\ndropped events: 12\n\0"
    path = tmp_path / "x.dat"
    path.write_bytes(File(kernel, [Instance([ring])], options=[(2, text)]).build())

    assert ["events-lost-somewhere"] == [n.id for n in lost(path)]
