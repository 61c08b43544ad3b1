"""All colours and all drawing characters, each in one table.

Colours are the terminal's own sixteen, so that they fit whatever palette a person has.
"""

from dataclasses import dataclass

from dmaverify.model.kinds import Severity

#: Styles in the words of rich, by what they mean.
STYLES = {
    "": "",
    "error": "bold red",
    "warning": "bold yellow",
    "note": "bold cyan",
    "message": "bold",
    "gutter": "bold blue",
    "place": "",
    "time": "dim",
    "device": "magenta",
    "address": "dim",
    "mapping": "green",
    "other": "cyan",
    "event": "yellow",
    "past": "bold red",
    "role": "bold",
    "trace": "dim",
    "differs": "bold yellow",
    "label": "bold blue",
    "help": "bold green",
    "quiet": "dim",
    "pass": "bold green",
    "fail": "bold red",
    "nothing": "bold yellow",
}

SEVERITY_STYLES = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOTE: "note",
}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters that drawings are made of, each one column wide but the last two."""

    corner: str
    gutter: str
    tee: str
    start: str
    line: str
    end: str
    past: str
    point: str
    gap: str
    dot: str
    ellipsis: str
    check: str


UNICODE = Glyphs("┌", "│", "├", "├", "─", "┤", "▓", "┼", "┄", "·", "…", "✓ ")
ASCII = Glyphs(",", "|", "|", "|", "-", "|", "#", "+", ".", "-", "..", "")
