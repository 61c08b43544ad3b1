"""What the compiler says: diagnostics as data, and how they are drawn as plain text."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice

from dmaverify.errors import RuleError
from dmaverify.lang.source import UNSAFE, Source
from dmaverify.model.program import Span

MAX_DRAWN = 50  # diagnostics in one report; the rest is counted
MAX_FOUND = 200  # diagnostics after which nobody reads on, and work stops
WINDOW = 120  # columns of a source line that are shown
TAB = 4  # columns of a tab, wherever it stands


@dataclass(frozen=True, slots=True)
class Label:
    """A marked place: the source line is kept, so that drawing needs no file.

    Args:
        span: the place.
        text: what is said about it, may be empty.
        line: the source line, or the part of a very long one that is around the place.
        first: the column at which `line` begins, 1 where it is whole.
    """

    span: Span
    text: str
    line: str
    first: int = 1


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong, or worth a look, in a rule file.

    Args:
        id: kebab-case, one per kind of message.
        severity: "error" or "warning".
        text: what is wrong, in one sentence.
        label: the place that it is about.
        others: further places that explain it.
        notes: facts that help.
        help: what to do, "" where there is nothing to propose.
    """

    id: str
    severity: str
    text: str
    label: Label
    others: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str = ""

    @property
    def span(self) -> Span:
        """Return the place that it is about."""
        return self.label.span


class CompileError(RuleError):
    """Rule files that do not compile, with all that is wrong in them.

    Args:
        diagnostics: errors, and the warnings that were found on the way.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(render_all(self.diagnostics))


@dataclass(slots=True)
class Problems:
    """Collects diagnostics; an error does not stop the work, so that several can be told."""

    found: dict[Diagnostic, None] = field(default_factory=dict)  # a set that keeps its order
    sources: dict[str, Source] = field(default_factory=dict)

    def label(self, span: Span, text: str = "") -> Label:
        """Return a label that carries its source line."""
        source = self.sources.get(span.file)
        first = max(1, span.column - WINDOW)
        line = source.line(span.line, first, 3 * WINDOW) if source else ""
        return Label(span, text, line, first)

    def error(
        self, id_: str, span: Span, text: str, label: str = "", *,
        others: Iterable[tuple[Span, str]] = (), notes: Iterable[str] = (), help_: str = "",
    ) -> None:  # fmt: skip
        """Add an error.

        Raises:
            CompileError: there are too many by now.
        """
        self._add("error", id_, span, text, label, others, notes, help_)

    def warning(
        self, id_: str, span: Span, text: str, label: str = "", *,
        others: Iterable[tuple[Span, str]] = (), notes: Iterable[str] = (), help_: str = "",
    ) -> None:  # fmt: skip
        """Add a warning."""
        self._add("warning", id_, span, text, label, others, notes, help_)

    def _add(
        self, severity: str, id_: str, span: Span, text: str, label: str,
        others: Iterable[tuple[Span, str]], notes: Iterable[str], help_: str,
    ) -> None:  # fmt: skip
        more = tuple(self.label(s, t) for s, t in others)
        new = Diagnostic(id_, severity, text, self.label(span, label), more, tuple(notes), help_)
        self.found.setdefault(new)
        if len(self.found) >= MAX_FOUND and self.errors:
            raise CompileError(self.sorted())

    @property
    def errors(self) -> list[Diagnostic]:
        """Return the errors alone."""
        return [d for d in self.found if d.severity == "error"]

    @property
    def warnings(self) -> list[Diagnostic]:
        """Return the warnings alone."""
        return [d for d in self.sorted() if d.severity == "warning"]

    def check(self) -> None:
        """Raise everything found if there is an error in it.

        Raises:
            CompileError: there is at least one error.
        """
        if self.errors:
            raise CompileError(self.sorted())

    def sorted(self) -> list[Diagnostic]:
        """Return all that was found: file by file, from the top to the bottom."""
        files = list(dict.fromkeys(d.span.file for d in self.found))
        return sorted(self.found, key=lambda d: (files.index(d.span.file), d.span.offset))


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is nearest to a misspelt one, or None."""
    near = get_close_matches(word.lower()[:80], list(islice(known, 500)), n=1, cutoff=0.6)
    return near[0] if near else None


def safe(text: str) -> str:
    """Return a text as one line in which nothing can steer a terminal."""
    escaped = UNSAFE.sub(lambda m: f"\\u{ord(m[0]):04x}", text)
    return escaped.replace("\n", "\\u000a")


def _width(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def _shown(text: str) -> str:
    return safe(text.replace("\t", " " * TAB))


def _columns(line: str, first: int, span: Span) -> tuple[int, int]:
    """Return where a span starts in the shown line, and how wide it is there."""
    before = min(max(0, span.column - first), len(line) + 1)
    start = _width(_shown(line[:before])) + max(0, before - len(line))
    return start, max(1, _width(_shown(line[before : before + span.length])))


def _window(line: str, places: list[tuple[int, int]]) -> tuple[str, int]:
    """Cut a very long line around its first mark; return it and the columns cut off."""
    if _width(line) <= WINDOW:
        return line, 0
    first = max(0, min(start for start, _ in places) - WINDOW // 2)
    return line[first : first + WINDOW], first


def _marks(main: Label, labels: list[Label], primary: Label) -> list[str]:
    """Return the shown source line and the lines of marks and words below it."""
    places = [_columns(main.line, main.first, label.span) for label in labels]
    shown, cut = _window(_shown(main.line), places)
    row: list[str] = []
    order = sorted(range(len(labels)), key=lambda i: places[i][0])
    for i in order:
        start, width = max(0, places[i][0] - cut), places[i][1]
        start, width = min(start, WINDOW), max(1, min(width, WINDOW - min(start, WINDOW)))
        row += " " * (start - len(row))
        row[start : start + width] = ("^" if labels[i] is primary else "-") * width
    last = labels[order[-1]]
    out = [shown.rstrip(), f"{''.join(row)} {_shown(last.text)}".rstrip()]
    for i in reversed(order[:-1]):
        if labels[i].text:
            out.append(" " * max(0, places[i][0] - cut) + _shown(labels[i].text))
    return out


def _snippet(labels: list[Label], primary: Label, gutter: int) -> list[str]:
    """Return one excerpt: the place, the line and its marks."""
    first = primary if primary in labels else labels[0]
    arrow = "-->" if first is primary else ":::"
    span = first.span
    out = [f"{' ' * gutter}{arrow} {safe(span.file)}:{span.line}:{span.column}"]
    body = _marks(first, labels, primary)
    bar = " " * (gutter + 1) + "|"
    out += [bar, f"{span.line:<{gutter}} | {body[0]}".rstrip()]
    out += [f"{bar} {mark}" for mark in body[1:]]
    return out


def render(diagnostic: Diagnostic) -> str:
    """Return one diagnostic as plain text, in the manner of a compiler."""
    primary = diagnostic.label
    labels = [primary, *diagnostic.others]
    gutter = len(str(max(label.span.line for label in labels)))
    out = [f"{diagnostic.severity}[{diagnostic.id}]: {_shown(diagnostic.text)}"]
    groups: dict[tuple[str, int], list[Label]] = {}
    for label in labels:
        groups.setdefault((label.span.file, label.span.line), []).append(label)
    for group in groups.values():
        out += _snippet(group, primary, gutter)
    out += [f"{' ' * gutter} = note: {_shown(note)}" for note in diagnostic.notes]
    if diagnostic.help:
        out.append(f"{' ' * gutter} = help: {_shown(diagnostic.help)}")
    return "\n".join(out)


def render_all(diagnostics: Iterable[Diagnostic]) -> str:
    """Return several diagnostics as one report, with a count at its end."""
    found = list(diagnostics)
    parts = [render(d) for d in found[:MAX_DRAWN]]
    counts: Mapping[str, int] = {
        "error": sum(d.severity == "error" for d in found),
        "warning": sum(d.severity == "warning" for d in found),
    }
    told = [f"{n} {word}{'s' if n != 1 else ''}" for word, n in counts.items() if n]
    more = f" ({len(found) - MAX_DRAWN} not shown)" if len(found) > MAX_DRAWN else ""
    return "\n\n".join([*parts, f"{', '.join(told)}{more}"])
