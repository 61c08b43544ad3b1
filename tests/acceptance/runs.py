"""Runs of the command line, inside this process, and what they wrote."""

import contextlib
import functools
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmaverify.cli import main

FIXTURES = Path(__file__).parents[2] / "fixtures"


@dataclass(frozen=True, slots=True)
class Run:
    """How a run of the command line ended, and what it wrote."""

    code: int
    out: str
    err: str


def run(*words: str | Path) -> Run:
    """Run one command; stdout and stderr can carry any character, and are no terminal."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(w) for w in words])
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return Run(code, *texts)


@dataclass(frozen=True, slots=True)
class Checked:
    """A run of `check` with its JSON report."""

    code: int
    err: str
    report: dict[str, Any]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The findings of level error or warning, of any confidence."""
        return [f for f in self.report["findings"] if f["severity"] in ("error", "warning")]

    @property
    def sure(self) -> list[dict[str, Any]]:
        """Those of them that do not reach across a gap of the recording."""
        return [f for f in self.findings if f["confidence"] != "low"]

    @property
    def classes(self) -> set[str]:
        """The classes of the sure findings."""
        return {f["class"] for f in self.sure}

    @property
    def notices(self) -> dict[str, list[str]]:
        """The texts of the notices by their id."""
        found: dict[str, list[str]] = {}
        for notice in self.report["notices"]:
            found.setdefault(notice["id"], []).append(notice["text"])
        return found


@functools.cache
def check(path: str | Path, *options: str) -> Checked:
    """Check one recording, by its path below `fixtures/` or an absolute one; done once each."""
    done = run("check", FIXTURES / path, "--output", "json", *options)
    return Checked(done.code, done.err, json.loads(done.out))
