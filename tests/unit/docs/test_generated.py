"""Pages are as the code: what is made from it, what commands print, where links lead."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "docs"))

import console  # noqa: E402
import generate  # noqa: E402

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_RECORDING = re.compile(r"\bfixtures/[\w./-]+")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"^dmaverify ((?:trace|rules) )?(\w+)((?: .*)?)$")


def anchors(text: str) -> set[str]:
    """Return the anchors that the titles of a page give, in the manner of GitHub."""
    titles = re.findall(r"^#+ (.+)$", _FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    broken = []
    for link in _LINK.findall(_FENCED.sub("", page.read_text("utf-8"))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("name", generate.pages())
def test_page_is_as_the_code(name: str) -> None:
    """What a page has from the code, and what its commands print, is what they give now."""
    assert "" == generate.difference(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file, and a title in it, that exist."""
    assert [] == broken_links(page)


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    """A link to a missing file, or to a missing title, is told; one in a code block is none."""
    page = tmp_path / "a.md"
    page.write_text("# One title\n[a](b.md) [b](#one-title) [c](a.md#two)\n```\n[d](e.md)\n```\n")

    assert ["b.md", "a.md#two"] == broken_links(page)


def test_output_is_put_below_its_command() -> None:
    """A command is run on the files of its page, and the exit code is told where asked for."""
    rule = 'dmarules 1\nrule r: error {\n  on dma_map\n  forbid e.failed\n  message "m"\n}\n'
    file = f"<!-- file: r.dmar -->\n```dmar\n{rule}```\n"
    page = file + "```console\n$ dmaverify rules check r.dmar\n$ echo $?\n```\n"

    good = console.refreshed(page)
    bad = console.refreshed(page.replace("check r.dmar", "check s.dmar"))

    assert good.endswith("r.dmar\nr.dmar: 1 rule, no mistakes\n$ echo $?\n0\n```\n")
    assert bad.endswith("$ echo $?\n2\n```\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_in_scripts_exist(page: Path) -> None:
    """A command that a page shows without running it has options and recordings that exist."""
    known = generate.make("docs/reference/cli.md")
    for block in _SHELL.findall(page.read_text("utf-8")):
        assert [] == [p for p in _RECORDING.findall(block) if not (ROOT / p).exists()]
        for found in filter(None, map(_COMMAND.match, block.splitlines())):
            assert f"## dmaverify {found[1] or ''}{found[2]}\n" in known
            assert all(f"`{o}" in known for o in re.findall(r"(?<= )--?[a-z][\w-]*", found[3]))
