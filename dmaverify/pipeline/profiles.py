"""The groups and profiles there are, and what a profile makes of a program."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from dmaverify.errors import UsageError
from dmaverify.lang.files import rules_folder
from dmaverify.model.profile import LEVELS, OFF, Group, Profile, profile_from
from dmaverify.model.program import Program, Rule

OWN = "own"  # the group of a user's rules
_SUFFIX = ".toml"


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path}: {reason}") from error


def load_groups() -> tuple[Group, ...]:
    """Return the groups of built-in rules, by name.

    Raises:
        UsageError: the list that is shipped can not be read.
    """
    table = _table(rules_folder() / "groups.toml")
    return tuple(
        Group(name, entry["title"], tuple(entry["exercised_by"]))
        for name, entry in sorted(table.items())
    )


def profile_names() -> list[str]:
    """Return the names of the profiles of the package."""
    return sorted(path.stem for path in (rules_folder() / "profiles").glob("*" + _SUFFIX))


def load_profile(name: str, program: Program) -> Profile:
    """Return a profile by its name, or from a user's file.

    Args:
        name: of a profile, or the path of a TOML file; that ends in ".toml".
        program: the built-in rules, whose ids a profile may name.

    Raises:
        UsageError: there is none of that name, or the file is not good.
    """
    groups = [group.name for group in load_groups()]
    rules = [rule.id for rule in program.rules]
    if name.endswith(_SUFFIX):
        path = Path(name)
        return profile_from(_table(path), path.stem, name, groups, rules)
    if name not in profile_names():
        listed = ", ".join(profile_names())
        raise UsageError(f"there is no profile {name!r}; there are {listed}, or a {_SUFFIX} file")
    path = rules_folder() / "profiles" / (name + _SUFFIX)
    return profile_from(_table(path), name, str(path), groups, rules)


def group_of(rule: Rule) -> str:
    """Return the group of a rule: of a built-in one its folder, which is its first tag."""
    return rule.tags[0] if rule.builtin else OWN


def profiled(program: Program, profile: Profile) -> Program:
    """Return a program as a profile wants it: rules left out, and their severities.

    A user's own rules stay as they are.
    """
    kept = []
    for rule in program.rules:
        level = profile.level(rule.id, group_of(rule)) if rule.builtin else "stated"
        if level == OFF:
            continue
        severity = LEVELS[level]
        kept.append(rule if severity is None else replace(rule, severity=severity))
    return replace(program, rules=tuple(kept))
