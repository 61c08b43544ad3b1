"""Whether to colour: the command line, then the environment, then the terminal."""

from collections.abc import Mapping

CHOICES = ("auto", "always", "never")


def wants_colour(when: str, environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Return True where output should have colours.

    Args:
        when: "always" and "never" decide; "auto" asks on.
        environ: NO_COLOR beats FORCE_COLOR beats CLICOLOR_FORCE; an empty value is as
            none (https://no-color.org), and "0" in the latter two means no.
        terminal: True where the stream is a terminal.
    """
    if when != "auto":
        return when == "always"
    if environ.get("NO_COLOR"):
        return False
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        if environ.get(name):
            return environ[name] != "0"
    return terminal and environ.get("TERM") != "dumb"
