"""What a command is, and what every command is given."""

import argparse
from dataclasses import dataclass
from typing import NoReturn, Protocol, TextIO

from dmaverify.errors import UsageError


@dataclass(frozen=True, slots=True)
class Streams:
    """Where a command writes: findings to `out`, everything else to `err`."""

    out: TextIO
    err: TextIO


class Command(Protocol):
    """One command.

    Attributes:
        words: its name, a word or two.
        sentence: what it does, for the help.
    """

    words: tuple[str, ...]
    sentence: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        ...

    def run(self, arguments: argparse.Namespace, streams: Streams) -> int:
        """Do it and return the exit code."""
        ...


class Parser(argparse.ArgumentParser):
    """A parser whose errors are raised, so that every error looks the same."""

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong, with the command that tells more.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{message} (see {self.prog} --help)")
