"""Every message of the compiler, with its exact text."""

import re
from pathlib import Path

import pytest

import dmaverify.lang
from dmaverify.lang.errors import MAX_DRAWN, CompileError, Diagnostic, render
from dmaverify.lang.source import UNSAFE
from tests.unit.lang.helpers import GOLDEN, compiled, diagnostics, report, rule

CASES = sorted(GOLDEN.glob("*.dmar"))
#: These need files, or very large texts; they are shown by tests of their own.
ELSEWHERE = {"file-name", "too-many-rules", "too-long", "unreadable-file"}


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.stem)
def test_diagnostic_is_worded_as_recorded(case: Path) -> None:
    """The report on each sample is the recorded one, to the character."""
    expected = case.with_suffix(".txt").read_text("utf-8")

    assert expected == report(case.read_text("utf-8"), case.name)


def ids_in_code() -> set[str]:
    """Return the ids that the compiler can give."""
    folder = Path(str(dmaverify.lang.__path__[0]))
    code = "".join(p.read_text("utf-8") for p in folder.glob("*.py"))
    plain = set(re.findall(r'(?:error|warning|_fail)\(\s*"([a-z-]+)"', code))
    whats = re.findall(r'self\.(?:choice|unknown)\([^"]*?"([a-z]+)"\)', code)
    return plain | {f"unknown-{what}" for what in whats} | {"always-true", "never-true"}


def test_every_id_is_shown_once() -> None:
    """There is a sample for each id that the code can give."""
    shown = {d.id for case in CASES for d in diagnostics(case.read_text("utf-8"))}

    assert set() == ids_in_code() - shown - ELSEWHERE


def test_every_id_is_in_the_reference() -> None:
    """The reference page lists each id."""
    page = Path(__file__).parents[3] / "docs/reference/rule-language.md"
    text = page.read_text("utf-8")

    assert [i for i in sorted(ids_in_code()) if f"`{i}`" not in text] == []


def test_three_mistakes_are_three_errors() -> None:
    """Each rule with a mistake is told on its own, at its line."""
    text = (
        "dmarules 1\nrule a: error {\n  on dma_map\n  requre e.failed\n}\n"
        'rule b: error {\n  on dma_map\n  forbid e.lenght exists\n  message "m"\n}\n'
        'rule c: error {\n  on dma_map\n  forbid e.failed\n  message "m\n}\n'
    )

    assert sorted(((d.id, d.span.line) for d in diagnostics(text)), key=lambda pair: pair[1]) == [
        ("syntax", 4),
        ("unknown-field", 8),
        ("unclosed-text", 14),
    ]


def test_warnings_are_returned() -> None:
    """A rule with a mere warning compiles."""
    made = compiled(rule("forbid e.count < 0"))

    assert [w.id for w in made.warnings] == ["never-true"]
    assert len(made.program.rules) == 1


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_places_do_not_depend_on_line_ends(newline: str, mark: str) -> None:
    """Line and column are the same for all line ends, with and without a byte order mark."""
    text = mark + rule("forbid e.lenght exists").replace("\n", newline)

    assert [(d.span.line, d.span.column) for d in diagnostics(text)] == [(4, 12)]


def test_caret_stands_under_tabs_and_wide_characters() -> None:
    """Tabs are four columns wide and East Asian characters two, in the caret line as well."""
    drawn = report(rule('\tmessage "日本" forbid e.x == 1')).splitlines()
    at = drawn[4].index("^")

    assert drawn[3] == '4 |       message "日本" forbid e.x == 1'
    assert at == drawn[3].index("x ==") + len("日本")


def test_nothing_in_a_file_can_steer_the_terminal() -> None:
    """Escape characters of a rule file do not reach the report, nor do those of its name."""
    said = report(rule("forbid \x1b[31m\u202e == 1"), "a\x1b]0;x\x07.dmar")

    assert None is UNSAFE.search(said.replace("\n", ""))


def test_very_long_line_is_cut_around_the_mark() -> None:
    """Of a line of many thousand characters only the surroundings of the mistake are shown."""
    drawn = report(rule("forbid " + "e.failed or " * 2000 + "e.x")).splitlines()

    assert len(drawn[3]) < 200
    assert drawn[3][drawn[4].index("^")] == "x"


def test_number_of_errors_is_bounded() -> None:
    """A file of mistakes is told in fifty, and work stops early."""
    lets = "".join(f"let a{i} = b{i}\n" for i in range(3000))
    with pytest.raises(CompileError) as caught:
        compiled(f"dmarules 1\n{lets}")

    assert str(caught.value).count("error[unknown-name]") == MAX_DRAWN


@pytest.mark.parametrize(
    "text",
    [
        rule("require " + "not " * 15000 + "e.failed"),
        rule("require " + "(" * 15000 + "e.failed" + ")" * 15000),
        rule("require " + " + ".join(["e.count"] * 5000) + " == 1"),
        rule("require " + " implies ".join(["e.failed"] * 3000)),
        "dmarules 1\n" + "".join(f"let a{i} = a{i + 1}\n" for i in range(3000)),
    ],
    ids=["not", "parentheses", "sum", "implies", "lets"],
)
def test_deep_nesting_is_an_error(text: str) -> None:
    """Nesting beyond the limit is told, and does not exhaust the stack."""
    assert "too-deep" in {d.id for d in diagnostics(text)}


@pytest.mark.parametrize(
    "text",
    ["dmarules 1\n#" + "x" * 100_000, "dmarules 1\n" + "set a = {1}\n" * 5001],
    ids=["item", "items"],
)
def test_long_files_are_refused(text: str) -> None:
    """An item, and the number of items, has a limit."""
    assert {"too-long"} == {d.id for d in diagnostics(text)}


def test_diagnostic_is_drawn_without_a_file() -> None:
    """A diagnostic carries the source line that it shows."""
    found: Diagnostic = diagnostics(rule("forbid e.lenght exists"))[0]

    assert "4 |   forbid e.lenght exists" in render(found)
