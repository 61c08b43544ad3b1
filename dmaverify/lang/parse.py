"""Rule text to syntax tree, with errors that say what was expected and where."""

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from dmaverify.lang import ast
from dmaverify.lang.build import DURATIONS, SIZES, Builder, TooDeepError
from dmaverify.lang.errors import Problems, did_you_mean
from dmaverify.lang.source import Source
from dmaverify.lang.split import Chunk, split
from dmaverify.model.program import Span

if TYPE_CHECKING:
    from lark import Lark, UnexpectedInput

LANGUAGE_VERSION = 1
MAX_ITEM = 64 << 10  # characters of one top-level item
MAX_ITEMS = 5000  # top-level items of one file
MAX_FAILED = 100  # items with mistakes after which the rest of a file is not looked at
ITEM_WORDS = ("include", "let", "set", "rule")
CLAUSE_WORDS = (
    "on", "where", "require", "forbid", "except", "report once per", "message", "hint", "tags",
    "explain", "class", "equivalents", "source", "maturity", "needs", "test",
)  # fmt: skip

#: How the terminals of the grammar are called in an error.
_SAID = {
    "NAME": "a name", "RULE_ID": "an id like `my-rule`", "STRING": "a text in quotes",
    "DOC": 'a text in """', "INT": "a number", "SIZE": "a size like `4 KiB`",
    "DURATION": "a duration like `10 us`", "CMP": "a comparison", "ADD": "an operator",
    "MUL": "an operator", "SHIFT": "an operator", "PLUS": "an operator",
    "AT": "a time like `@10 us`",
    "HERE": "`<- here`", "LBRACE": "`{`", "RBRACE": "`}`", "LPAR": "`(`", "RPAR": "`)`",
    "LSQB": "`[`", "RSQB": "`]`", "COLON": "`:`", "COMMA": "`,`", "DOT": "`.`", "EQUAL": "`=`",
    "$END": "the end", "_REPORT": "`report once per`",
}  # fmt: skip
_VALUE = {"NAME", "INT", "SIZE", "DURATION", "STRING", "TRUE", "FALSE", "LPAR"}
_CLAUSES = {f"_{w.split()[0].upper()}" for w in CLAUSE_WORDS}
_ITEMS = {f"_{w.upper()}" for w in ITEM_WORDS}
_AFTER_VALUE = {"CMP", "_IN", "_EXISTS", "_COVERS"}
_FOREIGN = {"&&": "and", "||": "or", "!": "not", "=": "==", "=>": "implies", "->": "implies"}


@cache
def lark_parser() -> "Lark":
    """Return the parser of the grammar; built once, and only when a text has to be parsed."""
    from lark import Lark

    grammar = files("dmaverify.lang").joinpath("grammar.lark").read_text("utf-8")
    return Lark(
        grammar, parser="lalr", lexer="contextual", start=["chunk", "value"],
        propagate_positions=True, maybe_placeholders=True,
    )  # fmt: skip


def parse(source: Source, problems: Problems) -> ast.File:
    """Return the syntax tree of a file; items with mistakes are left out and told.

    Args:
        source: the text.
        problems: takes the errors.
    """
    problems.sources[source.name] = source
    items: list[ast.Item] = []
    header, failed = False, 0
    chunks = split(source.text)
    if len(chunks) > MAX_ITEMS:
        place = source.span(chunks[MAX_ITEMS].start, chunks[MAX_ITEMS].end)
        problems.error("too-long", place, f"a file holds at most {MAX_ITEMS} items")
        return ast.File(source.name, ())
    for chunk in chunks:
        parsed = _chunk(source, chunk, problems)
        if parsed is None:
            header = header or chunk.word == "dmarules"
            failed += 1
            if failed == MAX_FAILED:
                break
            continue
        for item in parsed:
            if not isinstance(item, ast.Header):
                items.append(item)
                continue
            if header or items or failed:
                problems.error(
                    "header", item.span, "`dmarules` must stand once, at the top of the file"
                )
            elif item.version.value != LANGUAGE_VERSION:
                problems.error(
                    "header", item.version.span,
                    f"version {item.version.value} of the language is not known",
                    help_=f"this program reads version {LANGUAGE_VERSION}",
                )  # fmt: skip
            header = True
    if not header:
        problems.error(
            "header", source.span(0, 1), "the file does not say which language it is in",
            help_="begin it with the line `dmarules 1`",
        )  # fmt: skip
    return ast.File(source.name, tuple(items))


def _chunk(source: Source, chunk: Chunk, problems: Problems) -> list[ast.Header | ast.Item] | None:
    from lark import UnexpectedInput

    if chunk.end - chunk.start > MAX_ITEM:
        problems.error(
            "too-long", source.span(chunk.start, chunk.start + len(chunk.word)),
            f"this item is longer than {MAX_ITEM >> 10} KiB",
            help_="split it into several rules",
        )  # fmt: skip
        return None
    text = source.text[chunk.start : chunk.end].rstrip()
    try:
        tree = lark_parser().parse(text, start="chunk")
    except UnexpectedInput as error:
        _explain(error, source, chunk.start, text, problems)
        return None
    builder = Builder(source, chunk.start, problems)
    try:
        return [builder.item(kid) for kid in tree.children]
    except TooDeepError as error:
        too_deep(error.span, problems)
        return None


def parse_value(source: Source, start: int, end: int, problems: Problems) -> ast.Expr | None:
    """Return the expression in `text[start:end]`, or None after telling what is wrong."""
    from lark import UnexpectedInput

    text = source.text[start:end]
    try:
        tree = lark_parser().parse(text, start="value")
        node: Any = tree
        return Builder(source, start, problems).expr(node.children[0])
    except UnexpectedInput as error:
        _explain(error, source, start, text, problems)
    except TooDeepError as error:
        too_deep(error.span, problems)
    return None


def too_deep(span: Span, problems: Problems) -> None:
    """Tell that an expression is nested too deeply."""
    problems.error(
        "too-deep", span, "this expression is nested too deeply",
        help_="name parts of it with `let`, or split it into several clauses",
    )  # fmt: skip


# ---- what a parse error means ------------------------------------------------------------------


def expected(names: set[str]) -> str:
    """Return what the parser would have taken, in words."""
    said: list[str] = []
    left = set(names)
    for group, word in (
        (_VALUE, "a value"), (_ITEMS, "a top-level item"), (_CLAUSES, "a clause"),
        (_AFTER_VALUE, "a comparison"),
    ):  # fmt: skip
        if len(left & group) > 2:
            said.append(word)
            left -= group
            left -= {"NOT"} if group is _VALUE else set()
            left -= {"ADD", "MUL", "PLUS", "SHIFT"} if group is _AFTER_VALUE else set()
    known = {_SAID.get(n) or f"`{n.strip('_').lower()}`" for n in left}
    said += sorted(known)
    if len(said) > 6:
        return f"{', '.join(said[:5])}, …"
    return " or ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def _accepted(error: "UnexpectedInput") -> set[str]:
    names: Any = getattr(error, "accepts", None) or getattr(error, "allowed", None) or set()
    return set(names)


def _explain(
    error: "UnexpectedInput", source: Source, offset: int, text: str, problems: Problems
) -> None:
    """Add one error for what lark could not read."""
    token: Any = getattr(error, "token", None)
    at_end = token is not None and token.type == "$END"
    position = len(text.rstrip()) if at_end else max(0, error.pos_in_stream or 0)
    found = "" if at_end else _found(text, position)
    if found in ("&", "|") and text[:position].endswith(found):
        position, found = position - 1, found * 2
    start = offset + position
    span = source.span(start, start + len(found))
    names = _accepted(error)
    if _special(source, text, position, found, span, names, problems):
        return
    problems.error(
        "syntax", span, f"unexpected `{found}`" if found else "the text ends too early",
        f"expected {expected(names)}" if names else "",
        help_=_remedy(found, names),
    )  # fmt: skip


def _found(text: str, position: int) -> str:
    """Return the word or the sign at a position."""
    match = re.compile(r"[A-Za-z0-9_]+|&&|\|\||=>|->|<-|[=!<>]=|.", re.S).match(text, position)
    return match[0][:60] if match else ""


def _special(
    source: Source, text: str, position: int, found: str, span: Span, names: set[str],
    problems: Problems,
) -> bool:  # fmt: skip
    """Tell the mistakes that have an id of their own; return True if it was one."""
    if found == '"':
        if text.startswith('"""', position):
            problems.error(
                "unclosed-text", source.span(span.offset, span.offset + 3),
                "this text is never closed", help_='close it with """',
            )  # fmt: skip
            return True
        line = text[position : (text + "\n").index("\n", position)]
        if not re.match(r'"(\\.|[^"\\])*"', line):
            problems.error(
                "unclosed-text", span, "this text is not closed on its line",
                help_='close it with `"`; a longer explanation stands between """',
            )  # fmt: skip
            return True
    if not found and "RBRACE" in names:
        problems.error(
            "unclosed-brace", span, "the next item, or the end of the file, comes before `}`",
            "expected `}`", others=_opening(source, text, span),
        )  # fmt: skip
        return True
    if found[:1] in ("x", "X") and re.search(r"(?<!\w)0$", text[:position]):
        number_span = source.span(span.offset - 1, span.offset + len(found))
        problems.error(
            "bad-number", number_span, f"`0{found}` is not a number",
            help_="hexadecimal digits are 0 to 9 and a to f",
        )  # fmt: skip
        return True
    number = re.search(r"(\d[\d_]*)[ ]?$", text[:position])
    if number and found.isalpha() and not names & {"NAME"}:
        units = [*SIZES, *DURATIONS]
        if found not in CLAUSE_WORDS and (found.lower() in _UNIT_LIKE or len(found) <= 3):
            near = _UNIT_LIKE.get(found.lower()) or did_you_mean(found, units)
            problems.error(
                "unknown-unit", span, f"`{found}` is not a unit",
                f"did you mean `{near}`?" if near else "", notes=(f"units: {', '.join(units)}",),
            )  # fmt: skip
            return True
    return False


_UNIT_LIKE = {
    "k": "KiB", "kb": "KiB", "kib": "KiB", "m": "MiB", "mb": "MiB", "mib": "MiB", "g": "GiB",
    "gb": "GiB", "gib": "GiB", "tb": "TiB", "tib": "TiB", "b": "B", "bytes": "B", "byte": "B",
    "usec": "us", "msec": "ms", "sec": "s", "nsec": "ns", "seconds": "s", "second": "s",
}  # fmt: skip


def _opening(source: Source, text: str, span: Span) -> list[tuple[Span, str]]:
    """Return the brace that was left open last, to be pointed at."""
    stack: list[int] = []
    start = span.offset - len(text.rstrip())
    for match in re.finditer(r'"""(?:.|\n)*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*|[{}]', text):
        if match[0] == "{":
            stack.append(match.start())
        elif match[0] == "}" and stack:
            stack.pop()
    return [(source.span(start + s, start + s + 1), "opened here") for s in stack[-1:]]


def _remedy(found: str, names: set[str]) -> str:
    if found in _FOREIGN:
        return f"write `{_FOREIGN[found]}`"
    if found == "-" and names & _VALUE:
        return "values are unsigned: there are no negative numbers"
    if found in ("==", "!=", "<", ">", "<=", ">=") and "_AND" in names:
        return "comparisons do not chain: write `a < b and b < c`"
    words = [w for w in CLAUSE_WORDS if f"_{w.split()[0].upper()}" in names]
    words += [w for w in ITEM_WORDS if f"_{w.upper()}" in names]
    near = did_you_mean(found, words) if found.isidentifier() else None
    return f"did you mean `{near}`?" if near else ""
