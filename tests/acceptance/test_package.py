"""The package as it is installed, and the commands that people and CI use."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.runs import FIXTURES
from tests.conftest import PACKAGE, ROOT

INSTALLED = PACKAGE.parent != ROOT
needs_installed = pytest.mark.skipif(not INSTALLED, reason="the source tree is tested")
MISTAKE = FIXTURES / "recordings/edu/strict/unmap_wrong_size.tracefs.txt"
PACKED = FIXTURES / "recordings/edu/strict/leak_coherent_at_unbind.dat.xz"


def names(folder: Path, pattern: str) -> set[str]:
    """Return the paths below a folder that fit a pattern."""
    return {str(p.relative_to(folder)) for p in folder.rglob(pattern)}


@needs_installed
def test_every_rule_is_installed() -> None:
    """The rules lie in the package, as text and as one program."""
    assert names(ROOT / "rules", "*.dmar") == names(PACKAGE / "rules", "*.dmar")
    assert (PACKAGE / "rules/builtin.json").is_file()


@needs_installed
@pytest.mark.parametrize("pattern", ["*.pyi", "*.pxd", "*.lark", "py.typed"])
def test_what_others_build_and_check_with_is_installed(pattern: str) -> None:
    """Types, declarations for Cython and the grammar are in the package."""
    assert names(ROOT / "dmaverify", pattern)
    assert names(ROOT / "dmaverify", pattern) == names(PACKAGE, pattern)


@needs_installed
def test_no_test_is_installed() -> None:
    """The tests and the recordings stay in the repository."""
    assert not (PACKAGE.parent / "tests").exists()
    assert not names(PACKAGE, "test_*.py")
    assert not names(PACKAGE, "*.txt")


def loaded(*words: str | Path) -> set[str]:
    """Return the modules that are loaded at the end of a run."""
    code = (
        "import sys, io; from dmaverify.cli import main\n"
        f"sys.stdout = io.StringIO(); main({[str(w) for w in words]!r})\n"
        "print(*sys.modules, file=sys.__stdout__)"
    )
    run = [sys.executable, "-c", code]
    return set(subprocess.run(run, capture_output=True, text=True, check=True).stdout.split())


@needs_installed
@pytest.mark.parametrize("trace", [MISTAKE, PACKED], ids=lambda path: path.name)
def test_a_check_compiles_no_rules(trace: Path, tmp_path: Path) -> None:
    """A check with the rules that ship loads neither the compiler's library nor the terminal's."""
    modules = loaded("check", trace, "--output", f"json:{tmp_path / 'out'}")

    assert "dmaverify.core.engine" in modules
    assert not {"lark", "rich"} & modules


def test_a_module_can_be_run() -> None:
    """`python -m dmaverify` is the same as the command."""
    run = [sys.executable, "-m", "dmaverify", "check", str(MISTAKE), "--output", "concise"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert "error[unmap-size-mismatch]" in done.stdout
    assert "" == done.stderr


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """CI runs the tests exactly as README.md tells people to."""
    command = (
        "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/python -m pytest"
    )

    assert command in (ROOT / "README.md").read_text("utf-8").splitlines()
    assert command in (line.strip() for line in (ROOT / ".ci/run").read_text().splitlines())


def test_every_target_has_a_help_text() -> None:
    """`make` tells what each of its targets does."""
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)

    assert phony
    assert set(phony[1].split()) == set(re.findall(r"^([a-z-]+):.*## \S", text, re.MULTILINE))
