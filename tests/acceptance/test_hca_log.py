"""A real HCA driver's recordings, and the log of its device: what is joined to which mapping."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.runs import FIXTURES, Checked, check, run

MANIFEST: list[dict[str, Any]] = json.loads((FIXTURES / "manifest.json").read_text("utf-8"))
DRIVER = {e["name"]: e for e in MANIFEST if e["name"].startswith("hca_driver/")}
#: Pages that each recording's device took, and those that a cut list of the trace may hold.
JOINED = {
    "hca_driver/ok.strict": (643, 0),
    "hca_driver/ok.direct": (515, 128),
    "hca_driver/ok.swiotlb": (257, 128),
    "hca_driver/cm.direct": (98, 0),
    "hca_driver/exit_without_dereg.direct": (643, 0),
    "hca_driver/ok_overlapping_regions.direct": (536, 128),
    "hca_driver/mutated_region_stays_mapped.direct": (387, 256),
}


def joined(name: str, *options: str) -> Checked:
    """Return the check of a recording with its device log."""
    files = DRIVER[name]["files"]
    return check(
        files["tracefs_text"], "--device-log", str(FIXTURES / files["device_log"]), *options
    )


def joins(name: str) -> list[dict[str, Any]]:
    """Return what was joined."""
    (trace,) = joined(name).report["traces"]
    found: list[dict[str, Any]] = trace["joins"]
    return found


def test_every_recording_is_here() -> None:
    """None is left out."""
    assert sorted(DRIVER) == sorted(JOINED)


@pytest.mark.parametrize("name", sorted(DRIVER))
def test_all_that_the_device_took_is_joined_or_says_why(name: str) -> None:
    """Each piece lies in a mapping; the rest may be an entry that the kernel left out of a list."""
    whys = Counter(join["why"] for join in joins(name))
    left = [why for why in whys if why]

    assert JOINED[name] == (whys[""], sum(whys[why] for why in left))
    assert all("a list of the trace is cut" in why for why in left)


@pytest.mark.parametrize("name", sorted(DRIVER))
def test_each_ring_and_each_datagram_has_its_mapping(name: str) -> None:
    """No page of a queue's ring, and no datagram, is without one; the line is one that maps."""
    found = [j for j in joins(name) if re.match("ring of|datagram", j["what"])]
    opened = DRIVER[name]["files"]["tracefs_text"]
    lines = _lines(FIXTURES / opened)

    assert found
    assert [] == [j for j in found if j["why"]]
    for join in found:
        text = lines[join["mapping"]["line"] - 1]
        assert re.search(r": dma_(alloc|map_page|map_sg|map_phys):", text)
        if "dma_map_sg" not in text:
            start = int(re.search(r"dma_addr=([0-9a-f]+)", text)[1], 16)  # type: ignore[index]
            size = int(re.search(r"size=(\d+)", text)[1])  # type: ignore[index]
            assert start <= join["bus_addr"] <= start + size - join["length"]


def _lines(path: Path) -> list[str]:
    from dmaverify.trace.source import Source

    source, parts = Source(str(path)), []
    while data := source.read(1 << 20):
        parts.append(data)
    source.close()
    return b"".join(parts).decode("utf-8", "replace").split("\n")


def test_datagrams_are_events() -> None:
    """Five sends of two pieces and five receives; the kernel's own events tell them again."""
    (trace,) = joined("hca_driver/cm.direct").report["traces"]

    assert (20 + 10, 10 + 5) == (trace["kinds"]["mad_send"], trace["kinds"]["mad_recv"])


@pytest.mark.parametrize("name", sorted(n for n in DRIVER if "mutated" not in n))
def test_the_healthy_ones_give_no_finding(name: str) -> None:
    """Regions may overlap, be cut short in the trace, or be left to the kernel."""
    assert [] == joined(name).findings


def test_the_mutated_one_gives_its_class() -> None:
    """A region that stays mapped is found at the end of the driver's life."""
    assert {"leak-at-unbind"} == joined("hca_driver/mutated_region_stays_mapped.direct").classes


def test_a_wrong_clock_joins_less() -> None:
    """Three seconds beside the truth most of what was taken is in no mapping."""
    offset = DRIVER["hca_driver/ok.strict"]["device_log_clock"]["offset_s"] - 3
    (trace,) = joined("hca_driver/ok.strict", "--clock-offset", f"{offset:.6f}").report["traces"]
    whys = Counter(join["why"] for join in trace["joins"])

    assert whys[""] < 643
    assert set(whys) - {""} <= {
        "nothing is mapped there", "its mapping was made later", "its mapping had ended",
        "it was after the recording", "its mapping holds a part of it only",
        "a list of the trace is cut, and it may be one of the entries left out",
    }  # fmt: skip


def test_the_joins_are_shown_and_counted() -> None:
    """In words with -v, and in numbers by `trace info`."""
    files = DRIVER["hca_driver/cm.direct"]["files"]
    words = [FIXTURES / files["tracefs_text"], "--device-log", FIXTURES / files["device_log"]]
    shown = run("check", *words, "-v").out
    told = run("trace", "info", *words).out

    assert 10 <= shown.count("joined: datagram")
    assert "ring of queue pair 1" in shown
    assert "(98 times) [hca-memory-joined]" in told
