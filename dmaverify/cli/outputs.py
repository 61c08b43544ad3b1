"""`--output FORMAT[:FILE]`: where each form of the report goes."""

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from dmaverify.errors import UsageError


class Named(Protocol):
    """Any form of any report."""

    name: str


R = TypeVar("R", bound=Named)


@dataclass(frozen=True, slots=True)
class Output(Generic[R]):
    """One form of the report; `path` is None for stdout."""

    reporter: R
    path: str | None


def parse_outputs(words: Sequence[str], formats: Sequence[R]) -> list[Output[R]]:
    """Return the outputs that the command line asks for; the default is the first, on stdout.

    Args:
        words: FORMAT or FORMAT:FILE.
        formats: the formats there are.

    Raises:
        UsageError: a format that does not exist, no file name, or stdout asked for twice.
    """
    outputs = [_parse(word, formats) for word in words] or [Output(formats[0], None)]
    if sum(o.path is None for o in outputs) > 1:
        raise UsageError("only one --output can go to stdout; give the others a file: FORMAT:FILE")
    paths = [o.path for o in outputs if o.path is not None]
    if len(set(paths)) < len(paths):
        raise UsageError("two --output write to the same file")
    return outputs


def _parse(word: str, formats: Sequence[R]) -> Output[R]:
    name, colon, path = word.partition(":")
    by_name = {reporter.name: reporter for reporter in formats}
    if name not in by_name:
        names = ", ".join(by_name)
        raise UsageError(f"--output {word}: there is no format {name!r}; there are {names}")
    if colon and not path:
        raise UsageError(f"--output {word}: a file name is missing behind the colon")
    return Output(by_name[name], path if colon and path != "-" else None)


class Target:
    """A file that appears whole or not at all.

    It is written beside its place and moved there at the end; what is no plain file (a
    pipe, a device) is written directly.

    Args:
        path: as the user named it.

    Raises:
        UsageError: it can not be written. Told before anything is checked.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._place = Path(os.path.realpath(path))
        direct = self._place.exists() and not self._place.is_file()
        self._draft = (
            self._place if direct else self._place.with_name(f".{self._place.name}.{os.getpid()}")
        )
        try:
            if not direct and self._place.exists() and not os.access(self._place, os.W_OK):
                raise PermissionError(13, os.strerror(13))
            self._file = self._draft.open("w", encoding="utf-8", errors="backslashreplace")
        except (OSError, ValueError) as error:
            raise _unwritable(path, error) from error

    def __enter__(self) -> "Target":
        return self

    def write(self, pieces: Iterable[str]) -> None:
        """Write the report and put it in its place.

        Raises:
            UsageError: the disk is full, or the like.
        """
        try:
            with self._file:
                self._file.writelines(pieces)
            if self._draft != self._place:
                self._draft.replace(self._place)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        if self._draft != self._place:
            self._draft.unlink(missing_ok=True)


def _unwritable(path: str, error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or str(error)
    return UsageError(f"--output: can not write {path}: {reason}")
