"""Streams: what they can show, and how to leave them."""

import os
import shutil
from collections.abc import Iterable, Mapping
from typing import TextIO

from dmaverify.report.safe import ascii_only, visible, visible_lines

_NARROWEST, _WIDEST = 40, 120
_PIPE_WIDTH = 100


def complain(stream: TextIO, text: str, prefix: str = "dmaverify: error: ") -> None:
    """Write an error message in one line, harmless, whatever a path or a trace put into it."""
    complain_at_length(stream, visible(f"{prefix}{text}"))


def complain_at_length(stream: TextIO, text: str) -> None:
    """Write a message of several lines; the names in it are harmless already."""
    try:
        stream.write(ascii_if_needed(visible_lines(text), stream) + "\n")
        stream.flush()
    except OSError:
        abandon(stream)  # nobody listens; the exit code still tells


def show(stream: TextIO, lines: Iterable[str]) -> None:
    """Write lines as they come, for as long as someone reads them."""
    try:
        stream.writelines(lines)
        stream.flush()
    except BrokenPipeError:  # `| head` has seen enough; the exit code stays what it is
        abandon(stream)


def abandon(stream: TextIO) -> None:
    """Send what is still buffered to nowhere, so that closing the stream can not fail."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass  # not a real file: nothing is flushed at exit


def speaks_unicode(stream: TextIO) -> bool:
    """Return True where a stream can show characters beyond ASCII."""
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") in ("utf8", "utf8sig")


def ascii_if_needed(text: str, stream: TextIO) -> str:
    """Return a text as a stream can show it."""
    return text if speaks_unicode(stream) else ascii_only(text)


def width(stream: TextIO, environ: Mapping[str, str]) -> int:
    """Return the columns to fill: COLUMNS, else those of the terminal, else a fixed number."""
    asked = environ.get("COLUMNS", "")
    if asked.isdecimal() and 0 < len(asked) < 6 and int(asked):
        columns = int(asked)
    elif stream.isatty():
        columns = shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns
    else:
        columns = _PIPE_WIDTH
    return max(_NARROWEST, min(_WIDEST, columns))
