"""The whole way from files to a program: load, resolve, check, generate."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dmaverify.lang import ast
from dmaverify.lang.check import CheckedRule, RuleChecker
from dmaverify.lang.compile import generate
from dmaverify.lang.errors import Diagnostic, Problems
from dmaverify.lang.files import rule_files
from dmaverify.lang.load import Loaded, Loader
from dmaverify.lang.resolve import Definitions
from dmaverify.lang.source import Source
from dmaverify.model.program import Program

MAX_RULES = 2000


@dataclass(frozen=True, slots=True)
class Compiled:
    """What compiling gives.

    Args:
        program: the instructions and the rules.
        warnings: what is worth a look.
        files: the parsed files, for their tests.
        seen: content by path, None for a path that was looked for and is not there.
    """

    program: Program
    warnings: tuple[Diagnostic, ...]
    files: tuple[Loaded, ...]
    seen: dict[str, str | None] = field(default_factory=dict)


def compile_paths(paths: Iterable[Path]) -> Compiled:
    """Compile rule files, or all that are in folders, with what they include.

    Args:
        paths: files and folders.

    Raises:
        CompileError: something is wrong in them; all of it is told.
    """
    problems = Problems()
    loader = Loader(problems)
    loaded = [loader.file(path) for path in rule_files(paths)]
    return _compile(loaded, loader, problems)


def compile_sources(sources: Iterable[Source]) -> Compiled:
    """Compile texts that were read already; see `compile_paths`.

    Args:
        sources: the texts; includes are looked up beside their paths.

    Raises:
        CompileError: something is wrong in them; all of it is told.
    """
    problems = Problems()
    loader = Loader(problems)
    return _compile([loader.text(source) for source in sources], loader, problems)


def compile_folder(folder: Path) -> Compiled:
    """Compile the built-in rules: one rule a file, named like it, the folder being its group.

    Args:
        folder: the folder that holds the groups; `std` in it is for includes.

    Raises:
        CompileError: something is wrong in them; all of it is told.
    """
    problems = Problems()
    loader = Loader(problems)
    loaded = []
    for path in sorted(folder.rglob("*.dmar")):
        inside = path.relative_to(folder)
        one = loader.file(path, f"rules/{inside.as_posix()}", builtin=True)
        if one is not None and inside.parts[0] != "std":
            _one_rule(one, path.stem, problems)
        loaded.append(one)
    return _compile(loaded, loader, problems)


def _one_rule(file: Loaded, stem: str, problems: Problems) -> None:
    rules = [i for i in file.tree.items if isinstance(i, ast.Rule)]
    for rule in rules:
        if rule.id.text != stem or len(rules) > 1:
            problems.error(
                "file-name", rule.id.span, "a built-in rule stands alone in a file of its name",
                help_=f"move it to `{rule.id.text}.dmar`",
            )  # fmt: skip


def _compile(loaded: Iterable[Loaded | None], loader: Loader, problems: Problems) -> Compiled:
    roots = [one for one in loaded if one is not None]
    checked: list[CheckedRule] = []
    ids: dict[str, ast.Rule] = {}
    done: set[str] = set()
    names = {root.source.name for root in roots}
    for root in roots:
        for file in root.all():
            if file.source.name not in done:
                done.add(file.source.name)
                checked += _rules(file, ids, file.source.name in names, problems)
    problems.check()
    program = generate(checked, problems)
    problems.check()
    return Compiled(program, tuple(problems.warnings), tuple(roots), loader.seen)


def _rules(
    file: Loaded, ids: dict[str, ast.Rule], is_root: bool, problems: Problems
) -> list[CheckedRule]:
    definitions = Definitions(file, problems)
    checked: list[CheckedRule] = []
    rules = [item for item in file.tree.items if isinstance(item, ast.Rule)]
    for rule in rules:
        first = ids.setdefault(rule.id.text, rule)
        if first is not rule:
            problems.error(
                "duplicate-rule", rule.id.span, f"there is a rule `{rule.id.text}` already",
                others=((first.id.span, "first here"),),
            )  # fmt: skip
            continue
        if len(ids) > MAX_RULES:
            problems.error("too-many-rules", rule.id.span, f"more than {MAX_RULES} rules")
            break
        made = RuleChecker(rule, file.source, definitions.typer, problems).run()
        checked += [made] if made else []
    if rules and is_root and not problems.errors:
        definitions.tell_unused()
    return checked
