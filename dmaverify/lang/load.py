"""Rule files from disk: reading with limits, includes, folders."""

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dmaverify.lang import ast
from dmaverify.lang.errors import Problems, did_you_mean, safe
from dmaverify.lang.files import rules_folder
from dmaverify.lang.limits import MAX_FILE_BYTES
from dmaverify.lang.parse import parse
from dmaverify.lang.source import UNSAFE, Source
from dmaverify.model.program import Span

MAX_FILES = 4096
MAX_INCLUDE_DEPTH = 16


def digest(data: bytes) -> str:
    """Return what a file's content is known by in the cache."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A parsed file and the files that it includes, itself not among them."""

    source: Source
    tree: ast.File
    includes: tuple["Loaded", ...] = ()

    def all(self) -> list["Loaded"]:
        """Return this file and all that it includes, each once, the deepest first."""
        seen: dict[str, Loaded] = {}

        def visit(one: Loaded) -> None:
            if one.source.name not in seen:
                for included in one.includes:
                    visit(included)
                seen[one.source.name] = one

        visit(self)
        return list(seen.values())


@dataclass(slots=True)
class Loader:
    """Reads rule files, each once.

    Args:
        problems: takes the errors.
        seen: content by path, None for a path that was looked for and is not there; this
            is what a compiled program depends on.
    """

    problems: Problems
    seen: dict[str, str | None] = field(default_factory=dict)
    loaded: dict[str, Loaded | None] = field(default_factory=dict)
    active: list[str] = field(default_factory=list)

    def file(
        self, path: Path, name: str | None = None, builtin: bool = False, at: Span | None = None
    ) -> Loaded | None:
        """Return a file with its includes, or None after an error.

        Args:
            path: where it is.
            name: how it is called; the path by default.
            builtin: True for rules that ship.
            at: the place that asks for it, for the error; None for the command line.
        """
        shown = name or str(path)
        key = _key(path)
        if key in self.loaded:
            return self.loaded[key]
        if len(self.loaded) >= MAX_FILES:
            self._fail(shown, at, f"more than {MAX_FILES} rule files")
            return None
        text = self._read(path, shown, at)
        if text is None:
            return None
        source = Source.of(shown, text, path, builtin)
        self.loaded[key] = None
        self.active.append(key)
        try:
            self.loaded[key] = self._parsed(source)
        finally:
            self.active.pop()
        return self.loaded[key]

    def text(self, source: Source) -> Loaded | None:
        """Return a text that is in no file, with its includes."""
        self.problems.sources[source.name] = source
        return self._parsed(source)

    def _parsed(self, source: Source) -> Loaded | None:
        self.problems.sources[source.name] = source
        match = UNSAFE.search(source.text)
        if match:
            self.problems.error(
                "control-character", source.span(match.start(), match.end()),
                f"the file holds a control character, U+{ord(match[0]):04X}",
                help_="remove it: a terminal or an editor would obey it",
            )  # fmt: skip
            return None
        tree = parse(source, self.problems)
        included = [self._include(i, source) for i in tree.items if isinstance(i, ast.Include)]
        return Loaded(source, tree, tuple(i for i in included if i is not None))

    # ---- includes ------------------------------------------------------------------------------

    def _include(self, item: ast.Include, source: Source) -> Loaded | None:
        wanted, span = item.file.value, item.file.span
        if len(self.active) >= MAX_INCLUDE_DEPTH:
            self.problems.error(
                "include", span, f"includes are nested more than {MAX_INCLUDE_DEPTH} deep"
            )
            return None
        for path, name, builtin in self._candidates(wanted, source):
            if not path.is_file():
                self.seen[str(path)] = None
                continue
            if _key(path) in self.active:
                self.problems.error(
                    "include", span, f"`{wanted}` includes itself, directly or through others"
                )
                return None
            return self.file(path, name, builtin, span)
        near = did_you_mean(wanted, self._nearby(source))
        self.problems.error(
            "include", span, f"there is no rule file `{wanted}`",
            f"did you mean `{near}`?" if near else "not beside this file, and not built in",
        )  # fmt: skip
        return None

    def _candidates(self, wanted: str, source: Source) -> Iterator[tuple[Path, str, bool]]:
        if not wanted or len(wanted) > 1024 or "\n" in wanted:
            return
        if source.path is not None:
            name = os.path.normpath(Path(source.name).parent / wanted)
            yield source.path.parent / wanted, name, source.builtin
        inside = Path(wanted)
        if not inside.is_absolute() and ".." not in inside.parts:
            yield rules_folder() / inside, f"rules/{inside}", True

    def _nearby(self, source: Source) -> list[str]:
        if source.path is None:
            return []
        try:
            return [p.name for p in sorted(source.path.parent.glob("*.dmar"))[:100]]
        except OSError:
            return []

    # ---- reading -------------------------------------------------------------------------------

    def _read(self, path: Path, shown: str, at: Span | None) -> str | None:
        try:
            if path.exists() and not path.is_file():
                self._fail(shown, at, "not a regular file")
                return None
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except (OSError, ValueError) as error:
            number = getattr(error, "errno", None)
            reason = os.strerror(number) if number else str(error)
            self._fail(shown, at, "no such file" if number == errno.ENOENT else reason.lower())
            return None
        if len(data) > MAX_FILE_BYTES:
            self._fail(shown, at, "larger than 1 MiB: not a rule file")
            return None
        self.seen[str(path)] = digest(data)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            byte = f"byte {error.start} is 0x{data[error.start]:02x}"
            self._fail(shown, at, f"not UTF-8 text: {byte}")
            return None

    def _fail(self, shown: str, at: Span | None, reason: str) -> None:
        span = at or Span(safe(shown), 1, 1)
        self.problems.error("unreadable-file", span, f"cannot read `{shown}`: {reason}")


def _key(path: Path) -> str:
    try:
        return str(path.resolve())
    except (OSError, RuntimeError, ValueError):
        return str(path)
