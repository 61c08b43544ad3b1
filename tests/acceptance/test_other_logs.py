"""A recording with the logs of the same run: the device's, and the kernel's."""

import json
import lzma
import re
from pathlib import Path
from typing import Any

import pytest

from dmaverify.pipeline.check import CheckOptions, check_traces
from dmaverify.pipeline.simulate import SimulateOptions, simulate
from tests.acceptance.runs import FIXTURES, Checked, check, run

MANIFEST: list[dict[str, Any]] = json.loads((FIXTURES / "manifest.json").read_text("utf-8"))
LOGGED = [e for e in MANIFEST if "device_log" in e["files"]]


def _checked(entry: dict[str, Any], *, kind: str = "tracefs_text", log: bool = True) -> Checked:
    files = entry["files"]
    options = ["--device-log", str(FIXTURES / files["device_log"])]
    if log and "dmesg" in files:
        options += ["--log", str(FIXTURES / files["dmesg"])]
    return check(files[kind], *options)


def _entry(name: str) -> dict[str, Any]:
    return next(e for e in MANIFEST if e["name"] == name)


@pytest.mark.parametrize("entry", LOGGED, ids=[e["name"] for e in LOGGED])
def test_the_logs_change_no_verdict(entry: dict[str, Any]) -> None:
    """With both logs every label holds: thousands of healthy accesses give no error."""
    checked = _checked(entry)
    wanted = entry["expected_class"]
    judged = wanted is not None and entry["decidable"] and entry.get("shown_by") != "hca"

    assert ({wanted.replace("_", "-")} if judged else set()) == checked.classes
    assert (1 if judged else 0) == checked.code


EXACT = [
    ("work/nvme.direct", 8778), ("work/nvme.strict", 5902), ("work/nvme.swiotlb", 10090),
    ("work/e1000e.strict", 2121), ("nodebug/e1000e.strict", 1968),
]  # fmt: skip


@pytest.mark.parametrize(("name", "count"), EXACT)
def test_every_access_is_judged(name: str, count: int) -> None:
    """The accesses of the device's log are among the events, and each one is inside a mapping."""
    (trace,) = _checked(_entry(name)).report["traces"]

    assert count == trace["kinds"]["dev_read"] + trace["kinds"]["dev_write"]


@pytest.mark.parametrize("off", [0.01, -0.01])
def test_a_wrong_clock_shows(off: float) -> None:
    """Ten milliseconds beside the truth the same healthy accesses are outside their mappings."""
    entry = _entry("work/nvme.direct")
    offset = f"{entry['device_log_clock']['offset_s'] + off:.6f}"
    log = str(FIXTURES / entry["files"]["device_log"])
    checked = check(entry["files"]["tracefs_text"], "--device-log", log, "--clock-offset", offset)

    assert "device-access-after-unmap" in checked.classes


FAULTED = [
    e["name"]
    for e in LOGGED
    if e.get("shown_by") in ("edu", "device_log")
    and any("DMAR: [" in x for x in e["kernel_verdict"])
]


@pytest.mark.parametrize("name", FAULTED)
def test_a_fault_is_evidence_of_its_finding(name: str) -> None:
    """The IOMMU's fault, by the device's log and by the kernel's, is no second finding."""
    evidence = [e for f in _checked(_entry(name)).findings for e in f["evidence"]]
    faults = [e["text"] for e in evidence if e["role"] == "faulted"]

    assert any("vtd_dmar_fault" in text for text in faults)
    assert any("DMAR: [DMA" in text for text in faults)


def test_the_kernels_fault_joins_a_packets_finding() -> None:
    """A network driver's late packet has the refused write, and the kernel's line, beside it."""
    checked = _checked(_entry("mutated/e1000e_b.strict"))
    evidence = [e for f in checked.findings for e in f["evidence"]]

    assert {"device-access-after-unmap"} == checked.classes
    assert any("vtd_dmar_fault sid 0x30" in e["text"] for e in evidence)
    assert {"accessed", "mapped", "unmapped", "faulted"} <= {e["role"] for e in evidence}


@pytest.mark.parametrize("name", ["use_after_unmap", "unmapped_physical", "device_wrong_direction"])
def test_without_an_iommu_the_devices_line_is_evidence(name: str) -> None:
    """Where nothing faulted the device's own log still tells what the device was given."""
    findings = _checked(_entry(f"edu/direct/{name}")).findings
    logged = [e for f in findings for e in f["evidence"] if e["role"] == "logged"]

    assert logged
    assert all(e["source"].endswith(".device.log.gz") and "edu-mmio" in e["text"] for e in logged)


BY_LOG_ALONE = [
    e for e in LOGGED
    if e.get("shown_by") == "edu" and e["decidable"] and e["expected_class"].startswith("device_")
]  # fmt: skip


@pytest.mark.parametrize("entry", BY_LOG_ALONE, ids=[e["name"] for e in BY_LOG_ALONE])
def test_the_devices_log_alone_shows_the_mistake(entry: dict[str, Any], tmp_path: Path) -> None:
    """Without the driver's own events of its accesses the device's log gives the same class."""
    text = (FIXTURES / entry["files"]["tracefs_text"]).read_text("utf-8")
    kept = [x for x in text.splitlines(True) if not re.search(r": (edu_dma|cpu_)\w+:", x)]
    trace = tmp_path / "trace.txt"
    trace.write_text("".join(kept), "utf-8")
    checked = check(trace, "--device-log", str(FIXTURES / entry["files"]["device_log"]))

    assert {entry["expected_class"].replace("_", "-")} == checked.classes


def test_the_kernels_verdict_is_shown_beside_ours() -> None:
    """The kernel says the same, nothing, or more; each is told once for a device and class."""
    same = _checked(_entry("edu/strict/double_unmap")).notices
    nothing = _checked(_entry("edu/direct/use_after_unmap")).notices

    assert "unmap-of-unmapped" in same["kernel-says-the-same"][0]
    assert "its checker was on" in nothing["kernel-says-nothing"][0]
    more = _checked(_entry("hca_driver/ok_overlapping_regions.direct")).notices
    assert "cacheline tracking EEXIST" in more["kernel-says-more"][0]


def test_a_missing_sync_is_told_where_the_log_says_that_all_are_traced() -> None:
    """The kernel's log is what makes the lack of a line a proof."""
    entry = _entry("edu/strict/missing_sync_for_cpu")
    trace, log = entry["files"]["tracefs_text"], str(FIXTURES / entry["files"]["dmesg"])

    assert set() == check(trace).classes
    assert {"missing-sync-for-cpu"} == check(trace, "--log", log).classes


def test_binary_traces_quote_the_other_logs_lines() -> None:
    """A record has no line, a line of another log has: the evidence quotes it."""
    entry = _entry("work/e1000e.strict")
    offset = f"{entry['device_log_clock']['offset_s'] + 0.01:.6f}"
    log = str(FIXTURES / entry["files"]["device_log"])
    checked = check(entry["files"]["trace_dat"], "--device-log", log, "--clock-offset", offset)
    texts = [e["text"] for f in checked.findings for e in f["evidence"] if "source" in e]

    assert any("e1000e_" in text for text in texts)


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["a", "b", "--log", "x"], "give one trace"),
        (["a", "--clock-offset", "1"], "give that too"),
        (["a", "--log-offset", "1"], "give that too"),
        (["a", "--device-log", "x", "--clock-offset", "soon"], "no number of seconds"),
    ],
)
def test_loose_logs_are_a_usage_error(words: list[str], remedy: str) -> None:
    """A log belongs to one trace, and an offset to a log."""
    done = run("check", *words)

    assert 2 == done.code
    assert remedy in done.err


def test_a_log_that_is_none_is_told(tmp_path: Path) -> None:
    """A device log that is something else can not be read, and its name is in the error."""
    path = tmp_path / "other.log.xz"
    path.write_bytes(lzma.compress(b"nothing of QEMU\n"))
    done = run("check", FIXTURES / _entry("work/nvme.direct")["files"]["tracefs_text"],
               "--device-log", path)  # fmt: skip

    assert 3 == done.code
    assert "other.log.xz" in done.err
    assert "msg timestamp=on" in done.err


@pytest.mark.parametrize(
    "scenario", ["windows_adapters:put_with_list", "windows_buffers:not_locked",
                 "windows_order:mapped_before_flush"],
)  # fmt: skip
def test_another_log_takes_no_named_objects_away(scenario: str, tmp_path: Path) -> None:
    """What an event names beside its fields is read beside another log too."""
    path, log = tmp_path / "t.dmat", tmp_path / "k.log"
    log.write_text("[    1.000000] random: crng init done\n")
    simulate(scenario, SimulateOptions(output=str(path)))
    alone = check_traces([str(path)], CheckOptions())
    beside = check_traces([str(path)], CheckOptions(log=str(log)))

    assert alone.findings
    assert alone.findings == beside.findings
