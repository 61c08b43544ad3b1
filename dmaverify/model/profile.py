"""Profiles: which groups of rules a run uses, and how grave each rule is; read from TOML."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dmaverify.errors import UsageError
from dmaverify.model.kinds import Severity

#: How a group or a rule can be set. None: as the rule states itself; "off" has no severity.
LEVELS: dict[str, Severity | None] = {
    "stated": None, "error": Severity.ERROR, "warning": Severity.WARNING, "note": Severity.NOTE,
}  # fmt: skip
OFF = "off"


@dataclass(frozen=True, slots=True)
class Group:
    """A folder of built-in rules.

    Args:
        name: of the folder.
        title: what it is about.
        exercised_by: names of the event kinds without which it has had nothing to judge.
    """

    name: str
    title: str
    exercised_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a run uses of the built-in rules.

    Args:
        name: as the command line has it.
        title: what it is for.
        groups: by name of the group a key of LEVELS, or "off"; what is not here is off.
        rules: the same by id of a rule; wins over its group.
    """

    name: str
    title: str
    groups: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)

    def level(self, rule: str, group: str) -> str:
        """Return how a rule of a group is set."""
        return self.rules.get(rule, self.groups.get(group, OFF))


def profile_from(
    table: Mapping[str, Any],
    name: str,
    place: str,
    groups: Iterable[str],
    rules: Iterable[str],
) -> Profile:
    """Return the profile that a table describes.

    Args:
        table: of a TOML file: `title`, `[groups]`, `[rules]`.
        name: of the profile.
        place: the file, for errors.
        groups: names of the groups that there are.
        rules: ids of the rules that there are.

    Raises:
        UsageError: a key or a value means nothing.
    """
    for key in table:
        _check(key, ("title", "groups", "rules"), f"{place}: there is no key `{key}`")
    title = table.get("title", name)
    if not isinstance(title, str):
        raise UsageError(f"{place}: `title` is a text")
    return Profile(
        name,
        title,
        _levels(table.get("groups", {}), "groups", "group", place, tuple(groups)),
        _levels(table.get("rules", {}), "rules", "rule", place, tuple(rules)),
    )


def _levels(
    table: Any, section: str, what: str, place: str, known: tuple[str, ...]
) -> dict[str, str]:
    if not isinstance(table, dict):
        raise UsageError(f'{place}: `{section}` is a table of lines like `NAME = "error"`')
    for name, level in table.items():
        _check(name, known, f"{place}: [{section}]: there is no {what} `{name}`")
        if not isinstance(level, str):
            raise UsageError(f"{place}: [{section}]: `{name}` is set to a word in quotes")
        _check(level, (*LEVELS, OFF), f"{place}: [{section}]: `{name}` can not be `{level}`")
    return table


def _check(word: str, known: tuple[str, ...], wrong: str) -> None:
    if word in known:
        return
    near = difflib.get_close_matches(word, known, 1)
    listed = ", ".join(known) if len(known) < 12 else "`dmaverify rules list` shows all"
    raise UsageError(f"{wrong}; did you mean `{near[0]}`?" if near else f"{wrong}; {listed}")
