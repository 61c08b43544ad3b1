"""Texts to trees: precedence, places, keywords as words."""

import sys

import pytest

from dmaverify.lang import ast
from dmaverify.lang.errors import Problems
from dmaverify.lang.parse import lark_parser, parse, parse_value
from dmaverify.lang.schema import KEYWORDS
from dmaverify.lang.source import Source
from dmaverify.lang.split import split
from tests.unit.lang.helpers import diagnostics, rule


def value(text: str) -> ast.Expr:
    """Return the tree of an expression."""
    problems = Problems()
    tree = parse_value(Source.of("v", text), 0, len(text), problems)
    assert tree is not None, problems.found
    return tree


def shape(e: object) -> str:
    """Return an expression with all its parentheses."""
    match e:
        case ast.Path():
            return e.text
        case ast.Number():
            return str(e.value)
        case ast.Arith() | ast.Compare():
            return f"({shape(e.left)} {e.op} {shape(e.right)})"
        case ast.And():
            return f"({' and '.join(map(shape, e.parts))})"
        case ast.Or():
            return f"({' or '.join(map(shape, e.parts))})"
        case ast.Implies():
            return f"({shape(e.left)} implies {shape(e.right)})"
        case ast.Not():
            return f"(not {shape(e.inner)})"
        case ast.Exists():
            return f"({shape(e.what)} exists)"
        case ast.Group():
            return shape(e.inner)
    return repr(e)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a or b and c", "(a or (b and c))"),
        ("not a and b", "((not a) and b)"),
        ("not a == b", "(not (a == b))"),
        ("a implies b implies c", "(a implies (b implies c))"),
        ("a or b implies c", "((a or b) implies c)"),
        ("a + b * c - d", "((a + (b * c)) - d)"),
        ("a << b + c", "((a << b) + c)"),
        ("a & b == c", "((a & b) == c)"),
        ("a | b & c", "(a | (b & c))"),
        ("a.b exists and c", "((a.b exists) and c)"),
        ("(a or b) and c", "((a or b) and c)"),
    ],
)
def test_precedence(text: str, expected: str) -> None:
    """Operators bind as the reference says."""
    assert expected == shape(value(text))


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("42", 42, ""),
        ("1_000", 1000, ""),
        ("0xfffe_1000", 0xFFFE1000, ""),
        ("4 KiB", 4096, "size"),
        ("4KiB", 4096, "size"),
        ("0x40 B", 64, "size"),
        ("2 TiB", 2 << 40, "size"),
        ("10 us", 10_000, "duration"),
        ("1.5 ms", 1_500_000, "duration"),
        ("2 s", 2_000_000_000, "duration"),
    ],
)
def test_literals(text: str, number: int, unit: str) -> None:
    """A literal is a number of its smallest unit."""
    made = value(text)

    assert isinstance(made, ast.Number)
    assert (number, unit) == (made.value, made.unit)


def test_spans_point_at_the_text() -> None:
    """The span of a node covers the characters that it was made from."""
    text = "e.mapping.length + 2 B <= 4 KiB"
    made = value(text)

    assert isinstance(made, ast.Compare)
    for node, expected in ((made.left, "e.mapping.length + 2 B"), (made.right, "4 KiB")):
        assert expected == text[node.span.offset : node.span.offset + node.span.length]


def test_split_ignores_words_in_texts_and_comments() -> None:
    """Only an item's first word in the first column begins a piece."""
    text = 'dmarules 1\n# \nlet a = 1\n  set b\nrule r: {\n"""\nrule x\n"""\n}\n#\nset c = {}\n'

    assert [c.word for c in split(text)] == ["dmarules", "let", "rule", "set"]
    assert text == "".join(text[c.start : c.end] for c in split(text))


@pytest.mark.parametrize("word", sorted(KEYWORDS))
def test_keyword_is_no_name(word: str) -> None:
    """Every word of the language is refused as the name of a let."""
    found = {d.id for d in diagnostics(f"dmarules 1\nlet {word} = 1\n")}

    assert found in ({"reserved-name"}, {"syntax"})


@pytest.mark.parametrize("word", sorted(KEYWORDS))
def test_keyword_can_begin_a_name(word: str) -> None:
    """A name that begins with a word of the language is a name."""
    assert diagnostics(rule(f"forbid e.count == {word}x", head=f"let {word}x = 1\n")) == ()


@pytest.mark.parametrize(
    "glued", ["forbide.failed", "forbid note.failed", "forbid e.failed andtrue"]
)
def test_keywords_do_not_stick_to_words(glued: str) -> None:
    """A keyword ends at a word's end."""
    assert set() != {d.severity for d in diagnostics(rule(glued))} & {"error"}


def test_grammar_is_clean_in_strict_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """The grammar has no conflicts and no terminals that collide."""
    pytest.importorskip("interegular")
    import lark

    original = lark.Lark
    lark_parser.cache_clear()
    monkeypatch.setattr(lark, "Lark", lambda *a, **k: original(*a, strict=True, **k))
    lark_parser()
    lark_parser.cache_clear()


def test_parsing_is_lazy() -> None:
    """Importing the room's entry does not import lark."""
    import subprocess

    code = "import sys, dmaverify.lang.builtin; print('lark' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout == "False\n"


def test_header_may_follow_comments() -> None:
    """A comment may stand above the header."""
    problems = Problems()
    parse(Source.of("r", "# words\n\ndmarules 1\nlet a = 1\n"), problems)

    assert problems.errors == []
