"""`dmaverify check`: arguments, outputs, exit codes."""

import json
from pathlib import Path

import pytest

from dmaverify.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["passing"], 0),
        (["failing"], 1),
        (["failing", "--exit-zero"], 0),
        (["failing", "--fail-on", "never"], 0),
        (["unchecked"], 5),
        (["unchecked", "--exit-zero"], 5),
        (["unreadable"], 3),
        (["unreadable", "--exit-zero"], 3),
        (["rules"], 2),
        (["usage"], 2),
        (["bug"], 4),
        (["interrupt"], 130),
        ([], 2),
        (["passing", "--fail-on", "sometimes"], 2),
        (["passing", "--max-findings", "-1"], 2),
        (["passing", "--output", "yaml"], 2),
        (["passing", "--output", "json:"], 2),
        (["passing", "--output", "json", "--output", "full"], 2),
        (["passing", "--output", "json:/nonexistent/x.json"], 2),
        (["passing", "--select", "a,,b"], 2),
        (["passing", "--color", "blue"], 2),
    ],
)
@pytest.mark.parametrize("form", [[], ["--output", "concise"], ["-qq"]])
def test_exit_codes(
    pipeline: object, capsys: Capture, words: list[str], form: list[str], expected: int
) -> None:
    """The exit code depends on what was found, never on the form of the report."""
    if form[:1] == ["--output"] and "--output" in words:
        form = []

    assert expected == main(["check", *words, *form])


@pytest.mark.parametrize("words", [["rules"], ["usage"], ["bug"], ["unreadable"], ["-r"]])
def test_errors_are_one_message_on_stderr(
    pipeline: object, capsys: Capture, words: list[str]
) -> None:
    """What went wrong is told on stderr, with our name, without traceback and escapes."""
    main(["check", *words])
    out, err = capsys.readouterr()

    assert 1 == err.count("dmaverify: error: ")
    assert "Traceback" not in err
    assert "\x1b" not in out + err


def test_debug_shows_the_traceback(
    pipeline: object, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DMAVERIFY_DEBUG=1 adds the traceback to an internal error."""
    monkeypatch.setenv("DMAVERIFY_DEBUG", "1")

    assert 4 == main(["check", "bug"])
    assert "Traceback" in capsys.readouterr().err


def test_options_reach_the_pipeline(pipeline, capsys: Capture) -> None:
    """Rules, selections and strictness are passed on as they were given."""
    main(["check", "passing", "-r", "a.dmar", "--rules", "b.dmar", "--select", "x,y",
          "--select", "z", "--ignore", "w", "--strict-trace"])  # fmt: skip

    assert ("a.dmar", "b.dmar") == pipeline.options.rules
    assert ("x", "y", "z") == pipeline.options.select
    assert ("w",) == pipeline.options.ignore
    assert pipeline.options.strict_trace


def test_several_outputs_in_one_run(pipeline: object, capsys: Capture, tmp_path: Path) -> None:
    """A report for people on stdout and one for programs in a file, whole or not at all."""
    target = tmp_path / "out.json"
    target.write_text("old")

    assert 1 == main(["check", "failing", "--output", "concise", "--output", f"json:{target}"])
    assert "fail" == json.loads(target.read_text())["summary"]["verdict"]
    assert capsys.readouterr().out.startswith("edu.txt:25: error[unmap-size-mismatch] ")
    assert ["out.json"] == [p.name for p in tmp_path.iterdir()]


def test_a_failed_run_leaves_the_old_file(
    pipeline: object, capsys: Capture, tmp_path: Path
) -> None:
    """What was there stays where the run breaks off, and no draft is left behind."""
    target = tmp_path / "out.json"
    target.write_text("old")

    assert 4 == main(["check", "bug", "--output", f"json:{target}"])
    assert "old" == target.read_text()
    assert ["out.json"] == [p.name for p in tmp_path.iterdir()]


def test_quiet_twice_is_the_exit_code_alone(pipeline: object, capsys: Capture) -> None:
    """-qq writes nothing at all."""
    assert 1 == main(["check", "failing", "-qq"])
    assert ("", "") == tuple(capsys.readouterr())


def test_quiet_is_findings_only(pipeline: object, capsys: Capture) -> None:
    """-q shows findings and neither notices nor verdict."""
    main(["check", "failing", "-q"])
    out = capsys.readouterr().out

    assert "error[unmap-size-mismatch]" in out
    assert "can not tell" not in out
    assert "fail:" not in out


def test_colour_only_where_wanted(
    pipeline: object, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Piped output has no escape bytes unless they are forced; JSON never has."""
    main(["check", "failing"])
    assert "\x1b" not in capsys.readouterr().out
    main(["check", "failing", "--color", "always"])
    assert "\x1b[" in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    main(["check", "failing"])
    assert "\x1b[" in capsys.readouterr().out
    main(["check", "failing", "--output", "json"])
    assert "\x1b" not in capsys.readouterr().out
