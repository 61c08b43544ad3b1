"""Every labelled recording gives the verdict that its label says."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.runs import FIXTURES, Checked, check, run

MANIFEST: list[dict[str, Any]] = json.loads((FIXTURES / "manifest.json").read_text("utf-8"))
TRACES = ("tracefs_text", "trace_cmd_report", "trace_dat", "file")

#: Recordings that lack the fact that would show the mistake, and the notice that must say so;
#: None where no event meets a rule, so that there is nothing to say.
UNDECIDABLE = {
    "edu/direct/sg_boundary": ("can-not-tell", "the boundary that a segment"),
    "edu/direct/unmap_never_mapped": ("trace-starts-in-flight", "before the recording began"),
    "edu/direct/dma_none_direction": None,
    "edu/strict/dma_none_direction": None,
    "hca_driver/ok.swiotlb": None,
    "nodebug/missing_sync_for_cpu.direct": ("can-not-tell", "shows no sync event"),
    "rdma/leak_mr_at_exit": ("can-not-tell", "the ends of tasks are not in the recording"),
}

#: What can not be read, and a word of the remedy.
UNREADABLE = {
    "recordings/formats/perf.data.gz": "perf script",
    "recordings/formats/tracefs.raw.txt": "echo noraw",
    "recordings/producers/iommu_perf.data.xz": "perf script",
}

#: Recordings that lost events, and say so: what reaches across a gap has low confidence.
LOSSY = {
    "recordings/formats/record_lost.dat.gz",
    "recordings/formats/record_lost.report.txt.gz",
    "recordings/formats/trace_pipe.lost.txt.xz",
    "recordings/formats/tracefs.overrun.txt.gz",
    "recordings/producers/iommu_small.txt",
    "recordings/producers/iommu_small_pipe.txt",
}


def _traces(entry: dict[str, Any]) -> list[str]:
    return [entry["files"][kind] for kind in TRACES if kind in entry["files"]]


def _files(wanted: str) -> list[Any]:
    """Return a parameter set (file, entry) for each trace of the entries of one outcome."""
    return [
        pytest.param(file, entry, id=file)
        for entry in MANIFEST
        if _outcome(entry) == wanted
        for file in _traces(entry)
        if file not in UNREADABLE
    ]


def _outcome(entry: dict[str, Any]) -> str:
    if entry["expected_class"] is None:
        return "healthy"
    return "mistake" if entry["decidable"] else "undecidable"


def _key(finding: dict[str, Any]) -> tuple[Any, ...]:
    address = finding["address"] or {}
    return (
        finding["class"],
        finding["device"],
        address.get("space"),
        address.get("start"),
        address.get("length"),
        finding["occurrences"],
        finding["confidence"],
    )


def _logs(entry: dict[str, Any]) -> list[str]:
    """Return the options for what a mistake is seen by, beside the trace."""
    files, by = entry["files"], entry.get("shown_by")
    if by == "edu" and "dmesg" in files:
        return ["--log", str(FIXTURES / files["dmesg"])]
    return ["--device-log", str(FIXTURES / files["device_log"])] if by == "device_log" else []


def _clean(checked: Checked, file: str) -> None:
    found = checked.sure if file in LOSSY else checked.findings

    assert [] == [(f["rule"], f["message"]) for f in found]
    assert checked.code in (0, 5)


@pytest.mark.parametrize(("file", "entry"), _files("mistake"))
def test_a_mistake_is_found(file: str, entry: dict[str, Any]) -> None:
    """A recording with one mistake gives its class, and no other error or warning."""
    checked = check(file, *_logs(entry))

    assert {entry["expected_class"].replace("_", "-")} == {f["class"] for f in checked.findings}
    assert checked.classes
    assert 1 == checked.code
    assert "fail" == checked.report["summary"]["verdict"]


@pytest.mark.parametrize(("file", "entry"), _files("healthy"))
def test_a_healthy_recording_is_clean(file: str, entry: dict[str, Any]) -> None:
    """A recording without a mistake gives neither error nor warning."""
    _clean(check(file), file)


@pytest.mark.parametrize(("file", "entry"), _files("undecidable"))
def test_what_a_recording_can_not_show_is_said(file: str, entry: dict[str, Any]) -> None:
    """Where a fact is missing there is no error; a notice names the fact that was needed."""
    checked = check(file)

    _clean(checked, file)
    notice = UNDECIDABLE[entry["name"]]
    if notice:
        name, words = notice
        assert any(words in text for text in checked.notices[name])


@pytest.mark.parametrize("file", sorted(UNREADABLE))
def test_what_can_not_be_read_has_a_remedy(file: str) -> None:
    """A recording in a form that says too little is refused, with what to do instead."""
    done = run("check", FIXTURES / file)

    assert 3 == done.code
    assert UNREADABLE[file] in done.err
    assert file in done.err
    assert "Traceback" not in done.err


PRODUCERS = sorted((FIXTURES / "recordings/producers").iterdir())


@pytest.mark.parametrize("path", PRODUCERS, ids=[p.name for p in PRODUCERS])
def test_every_producer_is_read(path: Path) -> None:
    """Ordinary work, written by any producer, is read whole and gives no finding."""
    file = str(path.relative_to(FIXTURES))
    if file in UNREADABLE:
        return
    checked = check(file)

    _clean(checked, file)
    assert 0 == checked.code
    (trace,) = checked.report["traces"]
    assert trace["events"] > trace["skipped"]
    assert trace["complete"]


@pytest.mark.parametrize("file", sorted(LOSSY))
def test_loss_is_counted(file: str) -> None:
    """A recording that says that events were lost is not taken for a whole one."""
    (trace,) = check(file).report["traces"]

    assert trace["lost"] != 0


TWINS = [entry for entry in MANIFEST if len(_traces(entry)) > 1]


@pytest.mark.parametrize("entry", TWINS, ids=[e["name"] for e in TWINS])
def test_twins_agree(entry: dict[str, Any]) -> None:
    """The forms of one recording give the same findings at the same addresses."""
    first, *others = [check(file) for file in _traces(entry)]

    for other in others:
        assert sorted(map(_key, first.findings), key=str) == sorted(
            map(_key, other.findings), key=str
        )
        assert first.code == other.code
        assert first.report["traces"][0]["devices"] == other.report["traces"][0]["devices"]


def test_every_undecidable_recording_is_in_the_table() -> None:
    """No recording is excused that the manifest does not excuse."""
    assert {e["name"] for e in MANIFEST if not e["decidable"]} == set(UNDECIDABLE)


def test_every_recording_is_there() -> None:
    """The manifest names files that exist, and none is too large for a repository."""
    files = [FIXTURES / f for e in MANIFEST for f in e["files"].values()]

    assert [] == [f for f in files if not f.is_file()]
    assert [] == [f for f in FIXTURES.rglob("*") if f.is_file() and f.stat().st_size > 512 * 1024]


def test_the_figures_of_the_manifest() -> None:
    """So many recordings have each outcome: a changed label is noticed."""
    figures: dict[str, int] = {}
    for entry in MANIFEST:
        figures[_outcome(entry)] = figures.get(_outcome(entry), 0) + 1

    assert {"healthy": 87, "mistake": 52, "undecidable": 7} == figures
