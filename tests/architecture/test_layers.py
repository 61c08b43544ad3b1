"""Imports and cimports point down, and the few that hide in functions are known."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RANKS = {
    "errors": 0,
    "_version": 0,
    "model": 1,
    "trace": 2,
    "sim": 2,
    "lang": 2,
    "core": 2,
    "findings": 2,
    "report": 2,
    "record": 2,
    "pipeline": 3,
    "cli": 4,
    "lsp": 4,
    "view": 4,
    "testing": 4,
    "__main__": 5,
}

#: Heavy packages that are imported only where they are used.
LAZY_PACKAGES = {
    "rich": "only coloured output and the progress bar draw with it",
    "lark": "a warm run compiles no rules",
    "zstandard": "few recordings are compressed with it",
}

#: Rooms whose functions may import other modules of the package, each with its reason.
LAZY_ROOMS = {
    "cli": "the version, the help and small commands start without readers, engine and compiler",
    "lang": "a program from the cache needs no compiler",
    "trace": "a reader is loaded for a file that it reads",
    "pipeline": "what a run does not use is not loaded",
}

#: Modules of the standard library that few runs need, or that are slow to load.
LAZY_STANDARD = frozenset(
    {"bz2", "dataclasses", "difflib", "gzip", "importlib", "inspect", "json", "lzma", "shutil",
     "tempfile", "textwrap",
     "traceback", "zlib"}
)  # fmt: skip

_CIMPORT = re.compile(r"^(\s*)(?:from\s+([\w.]+)\s+c?import\b|c?import\s+([\w.]+))", re.MULTILINE)


def mistakes(package: Path) -> Iterator[str]:
    """Give what breaks the layers of a package, a sentence each."""
    for path in sorted(p for p in package.rglob("*") if p.suffix in {".py", ".pyi"}):
        yield from _of_python(path, package)
    for path in sorted(p for p in package.rglob("*") if p.suffix in {".pyx", ".pxd", ".pxi"}):
        yield from _of_cython(path, package)


def _of_python(path: Path, package: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"), str(path))
    lazy = _inside_functions(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            yield from _judge(path, package, node.lineno, name, lazy=node in lazy)


def _inside_functions(tree: ast.AST) -> set[ast.AST]:
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    # What stands under TYPE_CHECKING never runs and costs no start-up time.
    return {inner for f in functions for inner in ast.walk(f)} | {
        inner
        for n in ast.walk(tree)
        if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)
        for inner in ast.walk(n)
    }


def _of_cython(path: Path, package: Path) -> Iterator[str]:
    text = path.read_text("utf-8")
    docstrings = re.compile(r'"""(?:.|\n)*?"""')
    text = docstrings.sub(lambda m: "\n" * m[0].count("\n"), text)
    for found in _CIMPORT.finditer(text):
        line = text.count("\n", 0, found.start(2) if found[2] else found.start(3)) + 1
        name = found[2] or found[3]
        yield from _judge(path, package, line, name, lazy=bool(found[1].strip("\n")))


def _judge(path: Path, package: Path, line: int, name: str, *, lazy: bool) -> Iterator[str]:
    place = f"{path.relative_to(package.parent)}:{line}"
    room = path.relative_to(package).parts[0].split(".")[0]
    first, *rest = name.split(".")
    if not first:
        yield f"{place}: relative import"
    elif first == package.name:
        yield from _judge_own(place, room, rest, name, lazy=lazy)
    elif first in LAZY_PACKAGES and not lazy:
        yield f"{place}: {first} is imported at start-up"
    elif lazy and path.suffix == ".py" and not {first} & (LAZY_STANDARD | LAZY_PACKAGES.keys()):
        yield f"{place}: {name} is imported in a function"


def _judge_own(place: str, room: str, rest: list[str], name: str, *, lazy: bool) -> Iterator[str]:
    if not rest:
        yield f"{place}: imports the package itself"
    elif rest[0] not in RANKS:
        yield f"{place}: {name} has no rank"
    elif room == "__init__":
        yield f"{place}: the package's root imports {name}"
    elif room not in RANKS:
        yield f"{place}: the room {room} has no rank"
    elif rest[0] != room and RANKS[rest[0]] >= RANKS[room]:
        yield f"{place}: {room} imports {name}, which does not lie below it"
    elif lazy and room not in LAZY_ROOMS:
        yield f"{place}: {name} is imported in a function"


def test_every_import_points_down() -> None:
    """No import of the package breaks its layers."""
    found = list(mistakes(ROOT / "dmaverify"))

    assert [] == found


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("model/a.py", "from dmaverify.core.engine import Engine\n", "does not lie below"),
        ("model/a.pyx", "from dmaverify.core.shadow cimport shadow\n", "does not lie below"),
        ("model/a.pxd", "cimport dmaverify.core.shadow\n", "does not lie below"),
        ("report/a.py", "from dmaverify.findings.collect import collect\n", "does not lie below"),
        ("report/a.py", "import dmaverify.trace.base\n", "does not lie below"),
        ("pipeline/a.py", "from dmaverify.cli import main\n", "does not lie below"),
        ("model/a.py", "from . import kinds\n", "relative import"),
        ("model/a.py", "from .kinds import Severity\n", "relative import"),
        ("core/a.pyx", "from .shadow cimport shadow\n", "relative import"),
        ("cli/a.py", "import dmaverify\n", "the package itself"),
        ("cli/a.py", "from dmaverify import model\n", "the package itself"),
        ("report/a.py", "def f():\n    from dmaverify.model import kinds\n", "in a function"),
        ("report/a.py", "def f():\n    import argparse\n", "in a function"),
        ("report/a.py", "import rich.console\n", "at start-up"),
        ("lang/a.py", "from lark import Lark\n", "at start-up"),
        ("attic/a.py", "from dmaverify.model import kinds\n", "has no rank"),
        ("model/a.py", "from dmaverify.attic import kinds\n", "has no rank"),
    ],
)
def test_a_planted_violation_is_seen(tmp_path: Path, file: str, text: str, expected: str) -> None:
    """Each way to break the layers is told, with its place."""
    path = tmp_path / "dmaverify" / file
    path.parent.mkdir(parents=True)
    path.write_text(text)

    found = list(mistakes(tmp_path / "dmaverify"))

    assert [expected] == [expected for sentence in found if expected in sentence]
    assert len(found) == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("cli/a.py", "def f():\n    from dmaverify.pipeline.check import check_traces\n"),
        ("report/a.py", "def f():\n    from rich.style import Style\n"),
        ("core/a.pyx", 'from dmaverify.core.arena cimport arena\n"""\nfrom .a cimport b\n"""\n'),
        ("findings/a.py", "from dmaverify.model.finding import Finding\nimport re\n"),
    ],
)
def test_what_is_allowed_is_not_told(tmp_path: Path, file: str, text: str) -> None:
    """Imports that point down, and the listed lazy ones, are in order."""
    path = tmp_path / "dmaverify" / file
    path.parent.mkdir(parents=True)
    path.write_text(text)

    assert [] == list(mistakes(tmp_path / "dmaverify"))
