"""Compiled rules on disk, so that a warm run parses nothing; never needed, never trusted."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmaverify._version import __version__
from dmaverify.lang.limits import MAX_FILE_BYTES
from dmaverify.model.program import PROGRAM_FORMAT, Program, Span

if TYPE_CHECKING:
    from dmaverify.lang.errors import Diagnostic, Label

_LANGUAGE = 1  # goes up when the compiler gives other instructions for the same text


@dataclass(frozen=True, slots=True)
class Entry:
    """What the cache keeps of one compilation."""

    program: Program
    warnings: "tuple[Diagnostic, ...]"


def folder() -> Path:
    """Return the folder of the cache: in $XDG_CACHE_HOME, else in ~/.cache.

    Source: XDG Base Directory Specification, "Environment variables" (relative paths are
    to be ignored).
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return home / "dmaverify"


def _path(key: Sequence[str]) -> Path:
    parts = [__version__, str(PROGRAM_FORMAT), str(_LANGUAGE), *key]
    name = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
    return folder() / f"rules-{name[:40]}.json"


def _content(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return hashlib.sha256(file.read(MAX_FILE_BYTES + 1)).hexdigest()
    except OSError:
        return None


def load(key: Sequence[str]) -> Entry | None:
    """Return what was kept under a key, if every file that it came from is unchanged.

    Args:
        key: what was asked for: the paths, and their contents if these are at hand.
    """
    try:
        checksum, _, body = _path(key).read_text("utf-8").partition("\n")
        if hashlib.sha256(body.encode()).hexdigest() != checksum:
            return None
        plain = json.loads(body)
        if any(_content(path) != known for path, known in plain["seen"].items()):
            return None
        program = Program.from_json(plain["program"])
        return Entry(program, tuple(_diagnostic(d) for d in plain["warnings"]))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError):
        return None


def save(key: Sequence[str], entry: Entry, seen: Mapping[str, str | None]) -> None:
    """Keep a compilation; where that is impossible, nothing happens.

    Args:
        key: what was asked for.
        entry: what came out.
        seen: content by path, None for a path that was looked for and is not there.
    """
    import tempfile  # a warm run only loads

    with suppress(OSError, RuntimeError, ValueError):
        path = _path(key)
        body = json.dumps({
            "program": entry.program.to_json(),
            "warnings": [asdict(w) for w in entry.warnings],
            "seen": dict(seen),
        })  # fmt: skip
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Written beside and renamed: another process never sees half a file.
        number, name = tempfile.mkstemp(dir=path.parent, prefix=".rules-")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}")
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)


def _label(plain: dict[str, Any]) -> "Label":
    from dmaverify.lang.errors import Label

    return Label(Span(**plain["span"]), plain["text"], plain["line"], plain["first"])


def _diagnostic(plain: dict[str, Any]) -> "Diagnostic":
    from dmaverify.lang.errors import Diagnostic

    return Diagnostic(
        plain["id"], plain["severity"], plain["text"], _label(plain["label"]),
        tuple(_label(o) for o in plain["others"]), tuple(plain["notes"]), plain["help"],
    )  # fmt: skip
