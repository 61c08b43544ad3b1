"""Scenarios: drivers, each a function of one argument, with what to expect in its docstring.

    def late_write(sim):
        \"\"\"The device writes after the unmap.

        Expect: device-access-after-unmap
        Outcome: fault on iommu, nested; stale on driver-verifier
        \"\"\"

`Expect` names the rules that find something, or `nothing`; `Expect on PLATFORM` those that do in a
recording made there, where they differ. `Outcome` says what comes of it on
which platform; what is not named is fine. `Ends` is a part of the error that ends the run, where
a machine can not go on. All are for people and tests; no engine reads them. A bug that somebody
reported has two keys more, see `reported.py`.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmaverify.errors import SimError, UsageError

FOLDER = Path(__file__).parent / "scenarios"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One driver.

    Args:
        name: file stem and function, "late_write:after_unmap".
        path: its file.
        function: is given a `Simulation`.
        sentence: the first line of its docstring.
        expected: rules, or classes, of the findings that are expected; None: nothing is said.
        expected_on: platform -> the same, where they differ from `expected`.
        outcomes: platform -> kinds of effects; a platform that is not named is fine.
        ends: a part of the error that ends the run, "" where it comes to its end.
    """

    name: str
    path: str
    function: Callable[[Any], object]
    sentence: str
    expected: tuple[str, ...] | None
    expected_on: dict[str, tuple[str, ...]]
    outcomes: dict[str, frozenset[str]]
    ends: str = ""


def built_in() -> list[Scenario]:
    """Return the scenarios of the package, by file and in the order of each file."""
    found = []
    for path in sorted(FOLDER.glob("*.py")):
        if not path.stem.startswith("_"):
            found += scenarios_in(path)
    return found


def find(name: str) -> Scenario:
    """Return the scenario that a command line names: "STEM", "STEM:function" or "FILE.py[:...]".

    Raises:
        UsageError: there is no such scenario, or several.
        SimError: the file can not be loaded.
    """
    head, _, function = name.partition(":")
    if head.endswith(".py") or "/" in head:
        path = Path(head)
    else:
        path = FOLDER / f"{head.replace('-', '_')}.py"
    if not path.is_file():
        raise UsageError(f"there is no scenario {head!r} (simulate --list shows those there are)")
    found = scenarios_in(path)
    if function:
        found = [s for s in found if s.function.__name__ == function.replace("-", "_")]
    if not found:
        raise UsageError(f"{name!r} has no such function of one argument")
    if len(found) > 1:
        names = ", ".join(s.function.__name__ for s in found)
        raise UsageError(f"{head!r} has several scenarios, name one with {head}:NAME: {names}")
    return found[0]


def scenarios_in(path: Path) -> list[Scenario]:
    """Return the scenarios of a file, in its order.

    Raises:
        SimError: the file can not be loaded.
    """
    module = _load(path)
    found = []
    for name, value in vars(module).items():
        if name.startswith("_") or not inspect.isfunction(value):
            continue
        parameters = inspect.signature(value).parameters.values()
        needed = [p for p in parameters if p.default is p.empty]
        if value.__module__ == module.__name__ and len(needed) == 1:
            found.append(_scenario(path, value))
    return found


def _load(path: Path) -> Any:
    inside = path.parent == FOLDER
    name = f"dmaverify.sim.scenarios.{path.stem}" if inside else f"dmaverify_user_{path.stem}"
    if inside and name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SimError("it is no Python file", str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise SimError(f"{error.msg}", f"{path}:{error.lineno}") from error
    except Exception as error:
        text = f"loading the scenario raised {type(error).__name__}: {error}"
        raise SimError(text, _line_in(error, path)) from error
    return module


def _line_in(error: Exception, path: Path) -> str:
    trace, found = error.__traceback__, str(path)
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            found = f"{path}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _scenario(path: Path, function: Callable[[Any], object]) -> Scenario:
    text = inspect.getdoc(function) or ""
    lines = text.split("\n")
    expected: tuple[str, ...] | None = None
    expected_on: dict[str, tuple[str, ...]] = {}
    outcomes: dict[str, set[str]] = {}
    ends = ""
    for line in joined(lines):
        key, _, rest = line.partition(": ")
        if key == "Expect":
            expected = _names(rest)
        elif key.startswith("Expect on "):
            for platform in key.removeprefix("Expect on ").split(","):
                expected_on[platform.strip()] = _names(rest)
        elif key == "Ends":
            ends = rest
        elif key == "Outcome":
            for part in rest.split(";"):
                kinds, _, platforms = part.strip().partition(" on ")
                for platform in platforms.split(","):
                    outcomes.setdefault(platform.strip(), set()).update(
                        k.strip() for k in kinds.split(" and ")
                    )
    return Scenario(
        name=f"{path.stem}:{function.__name__}",
        path=str(path),
        function=function,
        sentence=lines[0],
        expected=expected,
        expected_on=expected_on,
        outcomes={name: frozenset(kinds) for name, kinds in outcomes.items()},
        ends=ends,
    )


def _names(text: str) -> tuple[str, ...]:
    words = tuple(w.strip() for w in text.split(","))
    return () if words == ("nothing",) else words


def joined(lines: list[str]) -> list[str]:
    """Return the lines with those that go on with an indent joined to what they continue."""
    whole: list[str] = []
    for line in lines:
        if line.startswith("  ") and whole:
            whole[-1] += " " + line.strip()
        else:
            whole.append(line.rstrip())
    return whole
