"""docs/reference/rules.md, from the catalogue."""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from dmaverify.lang.front import compile_folder
from dmaverify.lang.tests import collect
from dmaverify.model.classes import CLASSES
from dmaverify.model.fields import kind_name
from dmaverify.model.kinds import EventKind
from dmaverify.model.program import Rule
from dmaverify.pipeline.profiles import load_groups
from made.words import MADE, code, table

ROOT = Path(__file__).parents[2]
GROUPS = {group.name: group.title for group in load_groups()}


def rules_page() -> Iterator[str]:
    """Give the catalogue of the built-in rules."""
    folder = ROOT / "rules"
    rules = {r.id: r for r in compile_folder(folder).program.rules}
    tests: dict[str, list[str]] = defaultdict(list)
    for case in collect([folder]):
        tests[case.rule].append(f"{case.name} ({'fails' if case.fails else 'passes'})")
    files = {path.stem: path for path in folder.rglob("*.dmar")}
    yield from ("# The built-in rules", "", MADE, "")
    yield f"There are {len(rules)} rules."
    yield "`dmaverify rules list` lists them, `dmaverify rules explain ID` explains one."
    yield (
        "What a maturity promises, and how a rule is added: [add a built-in "
        "rule](../how-to/add-a-built-in-rule.md)."
    )
    yield from ("", "A rule's *class* is the mistake that it finds; several rules may share one.")
    yield (
        "Where one event breaks several rules, the first class in the order below is "
        "told, the others are consequences."
    )
    yield ""
    rows = (
        (
            f"[`{r.id}`](#{r.id})",
            f"`{r.cls}`",
            r.severity.name.lower(),
            r.maturity.name.lower(),
            code(kind_name(EventKind(k)) for k in r.kinds),
        )
        for r in _in_order(rules.values())
    )
    yield from table(("rule", "class", "severity", "maturity", "events"), rows)
    for group, title in GROUPS.items():
        yield from ("", f"## {title}")
        for name, path in sorted(files.items()):
            if path.parent.name == group and name in rules:
                yield from _rule(rules[name], path, tests[name])


def _in_order(rules: Iterable[Rule]) -> list[Rule]:
    return sorted(rules, key=lambda r: (CLASSES.index(r.cls) if r.cls in CLASSES else 99, r.id))


def _rule(rule: Rule, path: Path, tests: list[str]) -> Iterator[str]:
    text = path.read_text("utf-8")
    yield from ("", f"### {rule.id}", "")
    for paragraph in inspect.cleandoc(rule.explain).split("\n\n"):
        yield from (re.sub(r"(?<=\.) +(?=[A-Z`])", "\n", " ".join(paragraph.split())), "")
    rows = [
        ("class", f"`{rule.cls}`"),
        ("severity", rule.severity.name.lower()),
        ("maturity", rule.maturity.name.lower()),
        ("events", code(kind_name(EventKind(k)) for k in rule.kinds)),
        ("message", f"`{_said(text, 'message')}`"),
    ]
    if rule.hint:
        rows.append(("help", _said(text, "hint")))
    rows += [("needs", f"can not tell where {need.because}") for need in rule.needs]
    for system, name in (("windows", "Driver Verifier"), ("linux", "kernel DMA-API")):
        rows.append((name, code(rule.equivalents.get(system, ())) or "no word for it"))
    rows += [("source", source) for source in rule.source]
    rows += [("test", test) for test in tests]
    place = path.relative_to(ROOT)
    rows.append(("file", f"[`{place}`](../../{place})"))
    yield from table(("", ""), rows)


def _said(text: str, clause: str) -> str:
    found = re.search(rf'^ *{clause} "((?:[^"\\]|\\.)*)"', text, re.MULTILINE)
    return found[1] if found else ""
