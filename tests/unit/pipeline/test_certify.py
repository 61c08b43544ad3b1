"""The certificate: what each group comes to, and what it rests on."""

import hashlib
import json
from pathlib import Path

import pytest

from dmaverify.cli.run import run
from dmaverify.errors import UsageError
from dmaverify.model.certificate import Certificate, GroupVerdict
from dmaverify.pipeline.certify import certify
from dmaverify.pipeline.simulate import SimulateOptions, simulate
from dmaverify.report import CERTIFICATE_FORMATS, View
from dmaverify.trace.native import HEADER

V = GroupVerdict
GET = "adapter_get: d adapter=1 granted=16 version=2"
MAP = "dma_map: d type=single direction=to_device bus_addr=0x1000 length=64"
UNMAP = "dma_unmap: d type=single direction=to_device bus_addr=0x1000 length=64"


def trace(folder: Path, *lines: str, name: str = "t.dmat") -> str:
    """Write a native trace and return its path."""
    path = folder / name
    path.write_text("\n".join((HEADER, *lines, "")), "utf-8")
    return str(path)


def verdicts(certificate: Certificate) -> dict[str, str]:
    """Return the verdict of each group that is more than not exercised."""
    return {g.name: g.verdict.value for g in certificate.groups if g.verdict is not V.NOT_EXERCISED}


def test_a_driver_that_keeps_the_contract(tmp_path: Path) -> None:
    """Groups pass where they had something to judge, the others are not exercised."""
    found = certify([trace(tmp_path, GET, MAP, UNMAP, "adapter_put: d adapter=1")], "verifier")

    assert {"api": "pass", "bounds": "pass", "lifetime": "pass", "windows": "pass"} == verdicts(
        found
    )
    assert ("pass", 0) == (found.verdict, found.exit_code)
    assert ("access", "coherence", "hca", "iommu", "mad") == tuple(
        g.name for g in found.having(V.NOT_EXERCISED)
    )


def test_a_driver_that_does_not(tmp_path: Path) -> None:
    """The group of the rule fails, with the finding; no other does."""
    found = certify([trace(tmp_path, GET, MAP, UNMAP, UNMAP)], "verifier")
    (failed,) = found.having(V.FAIL)

    assert ("fail", 1, "lifetime") == (found.verdict, found.exit_code, failed.name)
    assert ["unmap-of-unmapped"] == [f.rule for f in failed.findings]
    assert {"unmap-of-unmapped": (2, 1, 1, 1)} == {
        r.id: (r.events, r.applied, r.violated, r.findings) for r in failed.rules if r.findings
    }


def test_what_can_not_be_told_is_no_pass(tmp_path: Path) -> None:
    """A read of what the device wrote, where nothing shows that syncs are recorded."""
    lines = (
        "dma_map: d type=single direction=from_device bus_addr=0x1000 phys_addr=0x9000 length=64",
        "dev_write: d bus_addr=0x1000 length=64",
        "cpu_read: d phys_addr=0x9000 length=64",
    )
    found = certify([trace(tmp_path, *lines)], "verifier")
    (group,) = found.having(V.CAN_NOT_TELL)

    assert ("coherence", "pass") == (group.name, found.verdict)
    assert {"missing-sync-for-cpu"} <= {n.rule for n in group.untold}


def test_nothing_to_judge(tmp_path: Path) -> None:
    """A recording without DMA certifies nothing."""
    found = certify([trace(tmp_path, 'mark: text="a"')], "verifier")

    assert ("nothing-checked", 5) == (found.verdict, found.exit_code)


def test_several_recordings_count_together(tmp_path: Path) -> None:
    """Events and findings are added up; each file has its hash."""
    paths = [trace(tmp_path, MAP, UNMAP, name="a"), trace(tmp_path, MAP, UNMAP, UNMAP, name="b")]
    found = certify(paths, "verifier")
    (lifetime,) = found.having(V.FAIL)

    assert {"dma_unmap": 3} == lifetime.exercised
    assert [hashlib.sha256(Path(p).read_bytes()).hexdigest() for p in paths] == [
        t.sha256 for t in found.traces
    ]


def test_the_hash_of_the_rules_is_that_of_what_is_used(tmp_path: Path) -> None:
    """Another profile has another; the same has the same."""
    path = trace(tmp_path, MAP)
    first, again, other = (certify([path], p) for p in ("verifier", "verifier", "default"))

    assert first == again
    assert first.rules_sha256 != other.rules_sha256


def test_standard_input_has_no_name(tmp_path: Path) -> None:
    """A certificate is about files."""
    with pytest.raises(UsageError, match="give files"):
        certify(["-"], "verifier")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text to the terminal, JSON to a file, and the exit code of the verdict."""
    path, out = trace(tmp_path, GET, MAP, UNMAP, UNMAP), tmp_path / "c.json"
    code = run(["certify", path, "--output", "full", "--output", f"json:{out}"])
    text, told = capsys.readouterr().out, json.loads(out.read_text("utf-8"))

    assert 1 == code
    assert text.startswith("certificate: fail\n")
    assert "fail           lifetime    2 dma_unmap" in text
    assert "not exercised  access" in text
    assert ("dmaverify/certificate/v1", "fail") == (told["schema"], told["verdict"])
    assert "not exercised" == told["groups"][0]["verdict"]
    assert 64 == len(told["rules"]["sha256"]) == len(told["traces"][0]["sha256"])


def test_a_recording_that_can_not_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told, and nothing passes with it."""
    code = run(["certify", trace(tmp_path, MAP, UNMAP), str(tmp_path / "missing")])
    captured = capsys.readouterr()

    assert 3 == code
    assert "missing" in captured.err
    assert captured.out.startswith("certificate: nothing-checked\n")


def test_hostile_text_is_shown_harmless(tmp_path: Path) -> None:
    """An escape sequence in a recording reaches no terminal."""
    line = 'dma_unmap: device="\\x1b[31md" type=single direction=to_device bus_addr=0x1000 length=1'
    path = trace(tmp_path, line.replace("dma_unmap", "driver_probe").split(" type")[0], line)
    text = "".join(CERTIFICATE_FORMATS[0].render(certify([path], "verifier"), View(ascii=True)))

    assert "\x1b" not in text
    assert text.isascii()


@pytest.mark.parametrize("columns", [80, 120])
def test_a_certificate_fits_its_columns(
    columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evidence and lists are broken at spaces; nothing of them is cut."""
    path = tmp_path / "t.dmat"
    simulate("windows_channels:not_flushed", SimulateOptions(output=str(path)))
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.chdir(tmp_path)

    assert 1 == run(["certify", "t.dmat"])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= columns
    for line in path.read_text("utf-8").splitlines():
        if "channel_allocate" in line:
            assert " ".join(line.split()) in " ".join(shown.split())
