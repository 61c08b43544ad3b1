"""A progress bar on stderr, where somebody looks at it and a run takes long enough."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

_PATIENCE = 0.4  # seconds without a bar: most runs are over by then and never load rich

Report = Callable[[int, int | None], None]


def wants_bar(stream: TextIO, environ: Mapping[str, str], *, quiet: bool) -> bool:
    """Return True where a progress bar is of use: a terminal, and no CI behind it."""
    return not quiet and stream.isatty() and not environ.get("CI") and environ.get("TERM") != "dumb"


@contextmanager
def progress(stream: TextIO, *, wanted: bool) -> Iterator[Report | None]:
    """Give a function to call with the bytes read and the bytes in all, or None."""
    if not wanted:
        yield None
        return
    bar = _Bar(stream)
    try:
        yield bar.show
    finally:
        bar.stop()


class _Bar:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begin = time.monotonic()
        self._bar: Progress | None = None

    def show(self, done: int, size: int | None) -> None:
        if self._bar is None:
            if time.monotonic() - self._begin < _PATIENCE:
                return
            self._bar = _make(self._stream)
            self._bar.add_task("checking", total=size)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=size)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def _make(stream: TextIO) -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    words = TextColumn("{task.description}")
    columns = (words, BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(file=stream), transient=True)
