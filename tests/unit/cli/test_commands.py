"""The other commands, the help, and how fast the version comes."""

import json
import subprocess
import sys

import pytest

from dmaverify import _version
from dmaverify.cli import main
from dmaverify.cli.commands import COMMANDS

Capture = pytest.CaptureFixture[str]
SLOW = {"argparse", "rich", "lark", "zstandard", "json", "re", "dataclasses", "pathlib"}


def loaded(*words: str) -> set[str]:
    """Return the modules that a command loads beyond those of a bare interpreter."""
    code = (
        "import sys; before = set(sys.modules); sys.stdout = sys.stderr\n"
        "from dmaverify.cli import main\n"
        f"main({list(words)!r})\n"
        "sys.stdout = sys.__stdout__; print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_version_imports_nothing_heavy() -> None:
    """--version is answered before anything that takes time is imported."""
    modules = loaded("--version")

    assert {"dmaverify", "dmaverify.cli", "dmaverify._version"} == {
        m for m in modules if m.startswith("dmaverify")
    }
    assert not SLOW & modules


def test_help_imports_no_library() -> None:
    """--help needs neither the compiler's library nor the terminal's."""
    modules = loaded("--help")

    assert "argparse" in modules
    assert not {"rich", "lark", "zstandard"} & modules


def test_version(capsys: Capture) -> None:
    """--version tells the one version there is."""
    assert 0 == main(["--version"])
    assert f"dmaverify {_version.__version__}\n" == capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(c.words))
def test_every_command_has_help(command, capsys: Capture) -> None:
    """Each command explains itself and exits with 0."""
    assert 0 == main([*command.words, "--help"])
    assert command.sentence[1:30] in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("words", [[], ["chek"], ["rules"], ["rules", "lsit"], ["check"]])
def test_wrong_words_are_usage_errors(words: list[str], capsys: Capture) -> None:
    """A command that does not exist, or lacks something, exits with 2 and writes to stderr."""
    assert 2 == main(words)
    assert "" == capsys.readouterr().out


def test_trace_info_tells_the_good_ones(pipeline: object, capsys: Capture) -> None:
    """A bad trace makes the exit code 3, and the good ones are still told."""
    assert 3 == main(["trace", "info", "edu.txt", "bad", "--output", "json"])
    out, err = capsys.readouterr()

    assert ["edu.txt"] == [t["path"] for t in json.loads(out)["traces"]]
    assert "dmaverify: error: bad\\x1b: byte 3: not a recording\n" == err


def test_trace_info_text(pipeline: object, capsys: Capture) -> None:
    """The text names format, clock, devices and kinds."""
    assert 0 == main(["trace", "info", "edu.txt"])
    out = capsys.readouterr().out

    assert "ftrace-text" in out
    assert "local, 2.112694 to 2.468910 (0.4 s)" in out
    assert "dma_unmap" in out


def test_rules_list(pipeline: object, capsys: Capture) -> None:
    """The list has a line a rule, and a JSON form."""
    assert 0 == main(["rules", "list"])
    first = capsys.readouterr().out.split("\n")[0]
    assert "unmap-size-mismatch  error    stable      dma_unmap" == first
    assert 0 == main(["rules", "list", "--format", "json"])
    assert ["dma_unmap"] == json.loads(capsys.readouterr().out)["rules"][0]["kinds"]


def test_rules_explain(pipeline: object, capsys: Capture) -> None:
    """A rule is explained with its message, needs, source, file and cost."""
    assert 0 == main(["rules", "explain", "unmap-size-mismatch"])
    out = capsys.readouterr().out

    assert "The rest stays alive. And more." in out
    assert "unmap of {size}" in out
    assert "the recording has no unmaps" in out
    assert "rules/api/unmap-size-mismatch.dmar:2" in out
    assert "at most 4 instructions an event" in out


def test_rules_explain_proposes_the_nearest(pipeline: object, capsys: Capture) -> None:
    """A rule that does not exist is a usage error that names the likely one."""
    assert 2 == main(["rules", "explain", "unmap-size-mismach"])
    assert "did you mean unmap-size-mismatch?" in capsys.readouterr().err


def test_rules_check(pipeline: object, capsys: Capture) -> None:
    """Rules that compile are counted."""
    assert 0 == main(["rules", "check", "a.dmar"])
    assert "a.dmar: 1 rule, no mistakes\n" == capsys.readouterr().out


def test_rules_test(pipeline, capsys: Capture) -> None:
    """0 where all tests pass, 1 where one fails, 5 where there is none."""
    good = pipeline.tests[0]
    bad = type(good)("a", "twin", False, "expected silence", "a.dmar", 9)

    assert 0 == main(["rules", "test"])
    assert 5 == main(["rules", "test", "-k", "nothing"])
    pipeline.tests = (good, bad)
    assert 1 == main(["rules", "test", "a.dmar"])
    assert "FAIL a: twin (a.dmar:9)\n  expected silence\n" in capsys.readouterr().out


def test_a_reader_that_leaves_is_no_error(tmp_path) -> None:
    """A closed pipe ends the output without a word."""
    code = "from dmaverify.cli import main; import sys; sys.exit(main(['check', '--help']))"
    done = subprocess.run(
        f"{sys.executable} -c \"{code}\" | true", shell=True, capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert "" == done.stderr


@pytest.mark.parametrize(
    "words", [["check"], ["check", "-r"], ["trace", "info"], ["rules", "check"], ["rules", "test"]]
)
def test_a_path_is_told_in_one_harmless_line(words: list[str], capsys: Capture) -> None:
    """Control characters of a path are told as escapes, a line feed too."""
    more = ["trace"] if words[-1] == "-r" else []

    assert main([*words, "a\nb\x1b[31m\r\x9b", *more]) in (2, 3)
    out, err = capsys.readouterr()
    assert [] == [c for c in out + err if not c.isprintable() and c != "\n"]
    assert not any(line.startswith("b") for line in err.splitlines())
