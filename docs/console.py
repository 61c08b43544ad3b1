"""Run the commands that pages show, and put what they print below them.

A block of the language `console` holds commands, each behind `$ `, and what they print.
`dmaverify ...` is run, with its two streams as one; `echo $?` is the exit code of the one
before; other commands are left as they are. A block behind `<!-- file: NAME -->` is a file
that the commands of the page find under that name; `fixtures` is the folder of the project.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import dmaverify.model

ROOT = Path(__file__).parents[1]
COLUMNS = 88

_FILE = re.compile(r"^<!-- file: ([\w.-]+) -->\n+```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^(```console\n)(.*?)(^```$)", re.MULTILINE | re.DOTALL)


def refreshed(page: str) -> str:
    """Return a page with the output of its commands as it is now."""
    if not _BLOCK.search(page):
        return page
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fixtures").symlink_to(ROOT / "fixtures")
        for found in _FILE.finditer(page):
            (folder / found[1]).write_text(found[2], "utf-8")
        return _BLOCK.sub(lambda m: m[1] + _block(m[2], folder) + m[3], page)


def _block(text: str, folder: Path) -> str:
    commands = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    if not any(command.startswith("dmaverify ") for command in commands):
        return text
    out, code = "", 0
    for command in commands:
        out += f"$ {command}\n"
        if command == "echo $?":
            out += f"{code}\n"
        elif command.startswith("dmaverify "):
            code, printed = _run(shlex.split(command)[1:], folder)
            out += printed
    return out


def _run(words: list[str], folder: Path) -> tuple[int, str]:
    here = Path(dmaverify.model.__file__).parents[2]  # where the package was found
    environment = {
        **os.environ, "COLUMNS": str(COLUMNS), "NO_COLOR": "1", "PYTHONPATH": str(here),
        "PYTHONIOENCODING": "utf-8", "XDG_CACHE_HOME": str(folder / ".cache"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "dmaverify", *words], cwd=folder, env=environment, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
    )  # fmt: skip
    return done.returncode, done.stdout
