"""Profiles: what is used of the built-in rules."""

from pathlib import Path

import pytest

from dmaverify.errors import UsageError
from dmaverify.lang.builtin import load_builtin
from dmaverify.lang.files import rules_folder
from dmaverify.model.fields import KINDS_BY_NAME
from dmaverify.model.kinds import Severity
from dmaverify.pipeline.check import CheckOptions, load_program
from dmaverify.pipeline.profiles import load_groups, load_profile, profile_names, profiled

BUILTIN = load_builtin()


def written(folder: Path, text: str) -> str:
    """Write a profile and return its path."""
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return str(path)


def test_every_folder_is_a_group_and_in_every_profile() -> None:
    """A new group can be forgotten in neither list."""
    folders = {path.parent.name for path in rules_folder().rglob("*.dmar")}

    assert sorted(folders) == [group.name for group in load_groups()]
    assert ["default", "verifier"] == profile_names()
    for name in profile_names():
        assert folders == set(load_profile(name, BUILTIN).groups)


@pytest.mark.parametrize("group", load_groups(), ids=lambda g: g.name)
def test_groups_name_kinds_that_there_are(group: object) -> None:
    """What exercises a group is a kind of event."""
    named = group.exercised_by  # type: ignore[attr-defined]

    assert named
    assert set(named) <= set(KINDS_BY_NAME)


def test_default_is_what_check_uses() -> None:
    """The profile of that name changes nothing."""
    assert load_program(CheckOptions()) == load_program(CheckOptions(profile="default"))


def test_verifier_leaves_advice_out() -> None:
    """No rule of it is a note."""
    program = profiled(BUILTIN, load_profile("verifier", BUILTIN))

    assert Severity.NOTE not in {rule.severity for rule in program.rules}
    assert {r.id for r in BUILTIN.rules if r.severity > Severity.NOTE} == {
        r.id for r in program.rules
    }


def test_groups_and_rules_are_set(tmp_path: Path) -> None:
    """A group that is not named is off; a rule's own line wins."""
    path = written(
        tmp_path,
        '[groups]\nbounds = "warning"\nlifetime = "stated"\n[rules]\nleak-at-unbind = "off"\n'
        'address-wraps = "error"\nillegal-memory = "note"\n',
    )
    profile = load_profile(path, BUILTIN)
    found = {r.id: r for r in profiled(BUILTIN, profile).rules}

    assert "mine" == profile.name
    assert {"bounds", "lifetime", "access"} == {r.tags[0] for r in found.values()}
    assert Severity.ERROR == found["address-wraps"].severity
    assert Severity.WARNING == found["zero-length-mapping"].severity
    assert Severity.NOTE == found["illegal-memory"].severity
    assert Severity.ERROR == found["unmap-of-unmapped"].severity
    assert "leak-at-unbind" not in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[groups]\nlifetim = "stated"', "there is no group `lifetim`; did you mean `lifetime`?"),
        ('[rules]\nleak = "off"', "there is no rule `leak`"),
        ('[groups]\naccess = "eror"', "`access` can not be `eror`; did you mean `error`?"),
        ("[groups]\naccess = 1", "`access` is set to a word in quotes"),
        ("groups = 1", "`groups` is a table"),
        ("title = 1", "`title` is a text"),
        ("[group]", "there is no key `group`; did you mean `groups`?"),
        ("[groups", "mine.toml: "),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    """With the file, and a word that is near."""
    with pytest.raises(UsageError) as caught:
        load_profile(written(tmp_path, text), BUILTIN)

    assert "mine.toml" in str(caught.value)
    assert said in str(caught.value)


def test_a_profile_that_is_not_there() -> None:
    """The names are listed."""
    with pytest.raises(UsageError, match=r"'strict'; there are default, verifier, or a \.toml"):
        load_profile("strict", BUILTIN)
    with pytest.raises(UsageError, match="No such file"):
        load_profile("missing.toml", BUILTIN)
