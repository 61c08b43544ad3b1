"""Programs ready to run: the built-in rules, a user's files, and the selection of both."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dmaverify.errors import UsageError
from dmaverify.lang import cache as kept_programs
from dmaverify.lang.emit import relocated
from dmaverify.lang.files import rule_files, rules_folder
from dmaverify.model.program import INSTRUCTION, Need, Program, Rule

if TYPE_CHECKING:
    from dmaverify.lang.errors import Diagnostic

BUILTIN = "builtin.json"
Warn = Callable[["Diagnostic"], None]


def write_program(rules_dir: Path, out_dir: Path) -> None:
    """Compile the built-in rules and write them as one program beside them.

    Args:
        rules_dir: the folder that holds the groups of rules.
        out_dir: where `builtin.json` goes; made if it is not there.

    Raises:
        CompileError: a rule does not compile.
    """
    from dmaverify.lang.front import compile_folder

    program = compile_folder(rules_dir).program
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / BUILTIN).write_text(program.to_json(), encoding="utf-8")


def load_builtin() -> Program:
    """Return the built-in rules: as shipped, else compiled from their texts, and cached.

    A process loads them once: its runs all judge by the same rules.

    Raises:
        CompileError: a rule does not compile (source tree only).
    """
    return _loaded(rules_folder())


@cache
def _loaded(home: Path) -> Program:
    try:
        return Program.from_json((home / BUILTIN).read_text("utf-8"))
    except (OSError, ValueError):
        # No shipped program, or one of another version: a source tree.
        pass
    texts = sorted(home.rglob("*.dmar"))
    key = ["builtin", *map(str, texts)]
    kept = kept_programs.load(key)
    if kept is not None:
        return kept.program
    from dmaverify.lang.front import compile_folder

    compiled = compile_folder(home)
    kept_programs.save(key, kept_programs.Entry(compiled.program, compiled.warnings), compiled.seen)
    return compiled.program


def compile_files(paths: Iterable[Path | str], warn: Warn | None = None) -> Program:
    """Return the program of a user's rule files and folders; unchanged ones come from a cache.

    Args:
        paths: files and folders.
        warn: is given each warning.

    Raises:
        CompileError: something is wrong in them; all of it is told.
    """
    wanted = list(rule_files([Path(p) for p in paths]))
    key = ["files", str(Path.cwd()), *map(str, wanted)]
    kept = kept_programs.load(key)
    if kept is None:
        from dmaverify.lang.front import compile_paths

        compiled = compile_paths(wanted)
        kept = kept_programs.Entry(compiled.program, compiled.warnings)
        kept_programs.save(key, kept, compiled.seen)
    for warning in kept.warnings if warn else ():
        assert warn is not None
        warn(warning)
    return kept.program


# ---- several programs as one ---------------------------------------------------------------------


def _moved(rule: Rule, shift: int) -> Rule:
    from dataclasses import replace

    needs = tuple(Need(need.entry + shift, need.because) for need in rule.needs)
    return replace(rule, entry=rule.entry + shift, needs=needs)


def _check_names(names: Iterable[str], rules: Sequence[Rule]) -> None:
    known = {r.id for r in rules} | {r.cls for r in rules}
    for name in names:
        if name not in known:
            from dmaverify.lang.errors import did_you_mean

            near = did_you_mean(name, sorted(known))
            more = f"; did you mean `{near}`?" if near else "; `dmaverify rules list` shows all"
            raise UsageError(f"there is no rule or class `{name}`{more}")


def _check_twice(rules: Sequence[Rule]) -> None:
    first: dict[str, Rule] = {}
    for rule in rules:
        other = first.setdefault(rule.id, rule)
        if other is not rule:
            place = f" at {rule.span.file}:{rule.span.line}" if rule.span else ""
            what = "a built-in rule" if other.builtin else "another rule"
            raise UsageError(f"rule `{rule.id}`{place} has the id of {what}; rename it")


def combine(
    programs: Sequence[Program], select: Iterable[str] = (), ignore: Iterable[str] = ()
) -> Program:
    """Return one program of several, with the rules that are wanted.

    Args:
        programs: built-in rules first.
        select: ids and classes of the rules to keep; none means all. A name that is the id of
            a rule means that rule alone, any other the rules of a class.
        ignore: those to leave out, also of selected ones.

    Raises:
        UsageError: an id is in two programs, or nothing has a selected or ignored name.
    """
    code = b""
    rules: list[Rule] = []
    for program in programs:
        shift = len(code) // INSTRUCTION.size
        code += relocated(program.code, shift) if shift else program.code
        rules += [_moved(rule, shift) for rule in program.rules] if shift else program.rules
    _check_twice(rules)
    wanted, unwanted = set(select), set(ignore)
    _check_names(sorted(wanted | unwanted), rules)
    ids = {r.id for r in rules}

    def named(rule: Rule, names: set[str]) -> bool:
        return rule.id in names or (rule.cls in names and rule.cls not in ids)

    kept = [r for r in rules if (not wanted or named(r, wanted)) and not named(r, unwanted)]
    kept.sort(key=lambda r: not r.builtin)
    return Program(code, tuple(kept))
