"""The matrix over labelled recordings: what one machine recorded, and what others showed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.runs import FIXTURES, check, run

MANIFEST: list[dict[str, Any]] = json.loads((FIXTURES / "manifest.json").read_text("utf-8"))
ENTRIES = {e["name"]: e for e in MANIFEST}
TRACES = ("tracefs_text", "report_text", "dat")


def logs(name: str, *, device: bool = True, kernel: bool = True) -> list[str]:
    """Return the options that give the other logs of a recording."""
    files = ENTRIES[name]["files"]
    options = []
    if device and "device_log" in files:
        options += ["--device-log", str(FIXTURES / files["device_log"])]
    if kernel and "dmesg" in files:
        options += ["--log", str(FIXTURES / files["dmesg"])]
    return options


def trace(name: str) -> Path:
    """Return the trace of a recording, its text where there is one."""
    files = ENTRIES[name]["files"]
    return FIXTURES / next(files[kind] for kind in TRACES if kind in files)


def matrix(name: str, *options: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a labelled recording's matrix by platform."""
    return rows_of(trace(name), *options)


def rows_of(path: Path, *options: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a trace's matrix by platform."""
    done = run("matrix", path, "--output", "json", *options)
    assert done.code in (0, 5), done.err
    return {p["name"]: p for p in json.loads(done.out)["platforms"]}


def effects(rows: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return the effect of each platform."""
    return {name: r["effect"] for name, r in rows.items()}


def faults(row: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return what names a fault whatever addresses a machine has."""
    return [
        (f["class"], f["device"], f["direction"], f["ordinal"], f["page_offset"])
        for f in row["faults"]
    ]


READABLE = [
    e["name"] for e in MANIFEST
    if any(k in e["files"] for k in TRACES) and not e["name"].startswith("formats/")
]  # fmt: skip
HEALTHY = [n for n in READABLE if ENTRIES[n]["expected_class"] is None]
RDMA = ("hca_driver/", "rdma/")


@pytest.mark.parametrize("name", [n for n in HEALTHY if not n.startswith(RDMA)])
def test_a_healthy_recording_is_clean_wherever_it_can_be_judged(name: str) -> None:
    """It works, or the recording does not tell; with the logs of the run and without."""
    for options in (logs(name), []):
        assert set(effects(matrix(name, *options)).values()) <= {"works", "cannot-tell"}


@pytest.mark.parametrize("name", ["work/nvme.direct", "work/nvme.strict", "work/e1000e.strict"])
def test_a_translation_can_be_judged_without_the_cpu(name: str) -> None:
    """Each access of the device lies in a mapping: that is all that an IOMMU asks."""
    rows = matrix(name, *logs(name))

    assert "works" == rows["iommu"]["effect"] == rows["flat"]["effect"] == rows["nested"]["effect"]
    assert "cannot-tell" == rows["driver-verifier"]["effect"]
    assert "cpu_read" in rows["driver-verifier"]["missing"][0]


SCENARIOS = [
    "unmapped_physical", "use_after_unmap", "device_overrun_page", "device_wrong_direction",
    "other_device_mapping",
]  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_machine_without_an_iommu_predicts_the_faults_of_one_with(scenario: str) -> None:
    """The faults on `iommu` are those that the recording with an IOMMU shows."""
    plain = matrix(f"edu/direct/{scenario}")
    real = matrix(f"edu/strict/{scenario}", *logs(f"edu/strict/{scenario}"))

    assert faults(plain["iommu"]) == faults(real["as-recorded"])
    assert plain["iommu"]["faults"]
    assert "breaks" == real["as-recorded"]["effect"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_machine_that_recorded_does_not_matter(scenario: str) -> None:
    """Two recordings of one scenario come to the same on every platform but their own."""
    rows = [
        effects(matrix(f"edu/{v}/{scenario}", *logs(f"edu/{v}/{scenario}", kernel=False)))
        for v in ("direct", "strict", "swiotlb", "lazy")
        if f"edu/{v}/{scenario}" in ENTRIES
    ]
    for row in rows:
        del row["as-recorded"]

    assert len(rows) >= 2
    assert [rows[0]] * len(rows) == rows


def test_a_strict_iommu_predicts_the_stale_read_of_bounce_buffers() -> None:
    """A missing sync breaks, by as many bytes as the CPU reads, where a buffer is in between."""
    rows = matrix("edu/strict/missing_sync_for_cpu", *logs("edu/strict/missing_sync_for_cpu"))
    real = matrix("edu/swiotlb/missing_sync_for_cpu")["as-recorded"]

    assert ("breaks", 1024, 1024) == (real["effect"], real["bytes"], real["length"])
    for name in ("driver-verifier", "confidential-vm"):
        row = rows[name]
        assert ("breaks", "missing-sync-for-cpu", 1024, 1024) == (
            row["effect"], row["class"], row["bytes"], row["length"]
        )  # fmt: skip
    assert "works-by-luck" == rows["as-recorded"]["effect"] == rows["flat"]["effect"]


def test_without_the_kernel_log_a_missing_sync_can_not_be_told() -> None:
    """A kernel leaves out syncs that do nothing, and the row says how to record them."""
    row = matrix("nodebug/missing_sync_for_cpu.direct")["driver-verifier"]

    assert "cannot-tell" == row["effect"]
    assert any("DMA_API_DEBUG" in text for text in row["missing"])


def test_a_healthy_hca_breaks_wherever_dma_bounces() -> None:
    """User queues and regions are of CPU and device at once; with bounce buffers it shows."""
    rows = matrix("hca_driver/ok.direct")
    real = matrix("hca_driver/ok.swiotlb")["as-recorded"]

    for name in ("driver-verifier", "confidential-vm", "non-coherent"):
        assert "breaks" == rows[name]["effect"]
        assert "user queues" in rows[name]["why"]
    for name in ("flat", "iommu", "mask-32"):
        assert "breaks" != rows[name]["effect"]
    assert "breaks" == real["effect"]
    (cost,) = rows["non-coherent"]["costs"]
    assert (17, 1_802_240) == (cost["mappings"], cost["mapped_bytes"])
    assert (1 << 20, 1 << 14) == (cost["bytes_per_operation"], cost["flushes_per_operation"])


HCA = [e["name"] for e in MANIFEST if e["name"].startswith("hca_driver/")]


@pytest.mark.parametrize("name", [n for n in HCA if "device_log" in ENTRIES[n]["files"]])
def test_the_log_of_an_hca_takes_nothing_away(name: str) -> None:
    """The device's log tells of regions too; whose mappings they are, the trace has said."""
    alone = effects(matrix(name))

    assert alone == effects(matrix(name, *logs(name, kernel=False)))
    assert "breaks" in alone.values()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_nested_break_names_its_translation(scenario: str) -> None:
    """Where two translations are in a row, each fault says which one failed."""
    row = matrix(f"edu/direct/{scenario}")["nested"]

    assert {1} == {f["translation"] for f in row["faults"]}
    assert "first translation" in row["why"]


def test_late_packets_of_a_network_driver() -> None:
    """The device's log shows accesses after the unmap; strict or not, they would fault."""
    row = matrix("mutated/e1000e_b.strict", *logs("mutated/e1000e_b.strict"))["iommu"]

    assert ("breaks", "device-access-after-unmap") == (row["effect"], row["class"])
    assert row["source"]


def test_the_matrix_of_check_is_the_same() -> None:
    """`check --platform all` adds the same rows whatever rules run, and where a finding breaks."""
    name = "edu/direct/device_overrun_page"
    path = str(trace(name).relative_to(FIXTURES))
    alone = matrix(name)
    both = check(path, "--platform", "all")
    none = check(path, "--platform", "all", "--select", "zero-length-mapping")
    (finding,) = both.findings

    assert "all" == both.report["platform"]
    assert list(alone.values()) == both.report["platforms"] == none.report["platforms"]
    assert ["driver-verifier", "iommu", "iommu-lazy", "confidential-vm", "nested"] == (
        finding["breaks_on"]
    )
    assert (1, 0) == (both.code, none.code)


@pytest.mark.parametrize(("platform", "code"), [("iommu", 1), ("flat", 0), ("all", 0)])
def test_breaking_on_a_named_platform_fails(platform: str, code: int) -> None:
    """A platform that is asked for by name counts, all of them together do not."""
    path = str(trace("edu/direct/device_overrun_page").relative_to(FIXTURES))
    checked = check(path, "--platform", platform, "--ignore", "device-access-out-of-range")

    assert code == checked.code
    assert ("fail" if code else "pass") == checked.report["summary"]["verdict"]


def test_a_platform_of_ones_own(tmp_path: Path) -> None:
    """A TOML file is as good as a built-in platform, and a bad one is told with its place."""
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "mine"\ntitle = "my board"\ncoherent = false\nbus_offset = 4096\n')
    rows = matrix("edu/direct/unmapped_physical", "--platform", str(mine))
    mine.write_text('name = "mine"\ntitle = "my board"\nline_bytes = 48\n')
    bad = run("matrix", trace("edu/direct/unmapped_physical"), "--platform", str(mine))

    assert {"mine": "breaks"} == effects(rows)
    assert 2 == bad.code
    assert "line_bytes is a power of two, not 48" in bad.err


def test_bad_input_of_the_matrix(tmp_path: Path) -> None:
    """No such platform, no such file, nothing to work out: each has its exit code."""
    good = trace("edu/direct/ok_sg")

    assert 2 == run("matrix", good, "--platform", "windows-95").code
    assert 3 == run("matrix", tmp_path / "none").code
    assert 5 == run("matrix", trace("rdma/remote_out_of_range")).code
    assert 2 == run("matrix", good, "--output", "concise").code


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each platform has its row, with a sign, and no line is too long."""
    monkeypatch.setenv("COLUMNS", str(columns))
    done = run("matrix", trace("edu/direct/unmapped_physical"))
    lines = done.out.splitlines()
    table = lines[: lines.index("")]

    assert 10 == len(table)
    assert {"✗", "~"} == {line.split()[0] for line in table}
    assert [line for line in lines if len(line) > columns and "┌" not in line] == []


DEVICE = "0000:00:04.0"


def recorded(folder: Path, *events: str) -> Path:
    """Return a recording of some events of a device, from before its driver was bound."""
    lines = [f"driver_probe: {DEVICE}", *(e.replace(":", f": {DEVICE}", 1) for e in events)]
    path = folder / "made.dmat"
    path.write_text("# dmaverify trace 1\n" + "".join(
        f"    a-1 [000] ..... {i / 1e6:.6f}: {line}\n" for i, line in enumerate(lines, 1)
    ))  # fmt: skip
    return path


MAP = "dma_map: type=single direction=from_device bus_addr=0x10000 length=64"
SEEN = ["dev_write: bus_addr=0x10000 length=64", "cpu_read: phys_addr=0xb0000 length=64"]


@pytest.mark.parametrize(("events", "platform", "said"), [
    ([f"{MAP} phys_addr=0x90000", *SEEN, "dev_write: bus_addr=0x7770000 length=64"],
     "flat", "whose memory some addresses are"),
    ([MAP, *SEEN], "mask-32", "the physical addresses of some mappings"),
    (["dma_map: type=sg direction=bidirectional segments={0x10000+0x1000} phys={0x90000}", *SEEN],
     "driver-verifier", "whether a program uses memory"),
    (["dma_map: type=sg direction=from_device segments={0x10000+0x3000} phys={0x90000,0xa0000}",
      *SEEN], "driver-verifier", "which memory the parts of some lists"),
    (["dma_map: type=single direction=bidirectional bus_addr=0x10000 length=64 phys_addr=0x90000",
      "dma_sync_for_cpu: type=single direction=bidirectional bus_addr=0x10000 length=64",
      "cpu_write: phys_addr=0x90000 length=64", "dev_access: bus_addr=0x10000 length=64"],
     "non-coherent", "were reads or writes"),
])  # fmt: skip
def test_what_can_not_be_told_says_what_is_lacking(
    events: list[str], platform: str, said: str, tmp_path: Path
) -> None:
    """Whatever the reason is: the facts that are missing, and how to record them."""
    row = rows_of(recorded(tmp_path, *events))[platform]

    assert "cannot-tell" == row["effect"]
    assert any(said in text and ": " in text for text in row["missing"])


def test_a_doubt_is_told_instead_of_an_effect() -> None:
    """A row that can not be told does not say what came of it."""
    row = matrix("nodebug/missing_sync_for_cpu.direct")["flat"]

    assert row["why"].endswith("syncs of 0000:00:04.0 may have left no event")


def test_the_worst_of_several_traces_names_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the table and in the report for programs; counts are of all traces."""
    names = ("edu/direct/ok_sg", "edu/direct/unmapped_physical", "edu/direct/unmapped_physical")
    traces = [trace(n) for n in names]
    report = json.loads(run("check", *traces, "--platform", "all", "--output", "json").out)
    row = {p["name"]: p for p in report["platforms"]}["iommu"]
    once = matrix(names[1])["iommu"]

    assert (1, 2 * once["counts"]["breaks"]) == (row["trace"], row["counts"]["breaks"])
    for columns, place in ((160, "unmapped_physical.tracefs.txt line 31"), (80, "trace 2, line")):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert place in run("check", *traces, "--platform", "all").out
