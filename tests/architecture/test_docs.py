"""The page of the architecture says what the code is: rooms, ranks, and the ladder of core."""

import re
from pathlib import Path

import pytest

from tests.architecture.test_layers import RANKS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/architecture.md"
CORE = ROOT / "dmaverify/core"

_CIMPORT = re.compile(r"^\s*from dmaverify\.core\.(\w+) c?import", re.MULTILINE)


def rows(title: str, text: str) -> list[list[str]]:
    """Return the cells of the first table below a title, without its head."""
    section = text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines[2:]]


def rungs_used(file: Path) -> set[str]:
    """Return the files of core that a file of core uses, other than itself."""
    return set(_CIMPORT.findall(file.read_text("utf-8"))) - {file.stem}


def climbs(ladder: list[str], folder: Path) -> list[str]:
    """Return each use of a file that does not stand above its user in the ladder."""
    return [
        f"{file.name} uses {used}"
        for file in sorted(folder.iterdir())
        if file.suffix in {".pyx", ".pxd"}
        for used in sorted(rungs_used(file))
        if used not in ladder[: ladder.index(file.stem)]
    ]


def test_the_table_of_rooms_is_the_package() -> None:
    """Every room is on the page, with the rank that the test of the layers holds it to."""
    package = ROOT / "dmaverify"
    rooms = {p.name for p in package.iterdir() if (p / "__init__.py").exists()} | {"errors"}
    expected = {(room, str(RANKS[room])) for room in rooms}

    assert expected == {(row[0], row[1]) for row in rows("The star of rooms", PAGE.read_text())}


def test_the_ladder_of_core_is_whole() -> None:
    """Every compiled file of core stands on the ladder, once."""
    files = sorted({p.stem for p in CORE.iterdir() if p.suffix in {".pyx", ".pxd"}})

    assert files == sorted(row[0] for row in rows("The ladder of core", PAGE.read_text()))


def test_the_ladder_of_core_holds() -> None:
    """A file of core uses only those that stand above it."""
    ladder = [row[0] for row in rows("The ladder of core", PAGE.read_text())]

    assert [] == climbs(ladder, CORE)


def test_a_climb_is_seen(tmp_path: Path) -> None:
    """A file that uses one below it is told."""
    (tmp_path / "table.pxd").write_text("from dmaverify.core.shadow cimport dv_shadow\n")

    assert ["table.pxd uses shadow"] == climbs(["table", "shadow"], tmp_path)


@pytest.mark.parametrize("folder", sorted((ROOT / "docs/decisions").glob("*.md")))
def test_decisions_have_one_form(folder: Path) -> None:
    """A decision has a numbered title, a context, a decision and its consequences."""
    text = folder.read_text("utf-8")
    number = int(folder.name[:4])

    assert text.startswith(f"# {number:04d}. ")
    assert ["Context", "Decision", "Consequences"] == re.findall(r"^## (.+)$", text, re.MULTILINE)
