"""Make the pictures of real runs that the pages show, drawn by a browser.

Needs the package, its recordings, and Chromium (`apt-get install chromium fonts-dejavu-core`):

    python docs/images/make.py

The words and colours are those of the command with `--color always`; only the frame is added.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
FOLDER = ROOT / "fixtures/recordings/edu"
#: Picture -> the command, run in FOLDER, and the exit code that it has.
PICTURES = {
    "report.png": (
        [
            "check",
            "strict/sync_out_of_range.tracefs.txt",
            "strict/overlapping_mappings.tracefs.txt",
        ],
        1,
    ),
    "matrix.png": (["matrix", "direct/unmapped_physical.tracefs.txt"], 0),
}
COLUMNS = 110
LINE, CHARACTER, MARGIN = 21, 9.03, 26  # px, of the font below

BACKGROUND, FOREGROUND = (22, 24, 33), (205, 210, 226)
THEME = TerminalTheme(
    BACKGROUND,
    FOREGROUND,
    [(46, 50, 68), (240, 113, 120), (155, 206, 124), (240, 192, 110),
     (115, 168, 250), (199, 146, 234), (110, 205, 212), (190, 196, 214)],
    [(98, 104, 130), (255, 128, 134), (176, 226, 146), (255, 211, 130),
     (140, 188, 255), (216, 168, 248), (134, 226, 232), (240, 243, 252)],
)  # fmt: skip

PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>
html, body {{ margin: 0; background: rgb{background}; }}
pre {{ margin: {margin}px; font: 15px/{line}px "DejaVu Sans Mono", monospace; color: rgb{ink};
      white-space: pre; }}
pre span {{ display: inline-block; height: {line}px; vertical-align: top; }}
</style><pre>{text}</pre>
"""


def output(words: list[str], code: int) -> str:
    """Return what a command prints, with colours."""
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "dmaverify", *words, "--color", "always"], cwd=FOLDER, check=False,
        stdout=subprocess.PIPE, encoding="utf-8", env=environment,
    )  # fmt: skip
    if done.returncode != code:
        raise SystemExit(f"dmaverify {words[0]} ended with {done.returncode}, not with {code}")
    prompt = f"\x1b[32m$\x1b[0m \x1b[1mdmaverify {' '.join(words)}"
    return f"{prompt}\x1b[0m\n\n{done.stdout}"


def page(text: str) -> str:
    """Return an HTML page that looks like a terminal."""
    console = Console(record=True, width=COLUMNS + 8, file=io.StringIO())
    console.print(Text.from_ansi(text), soft_wrap=True)
    inner = console.export_html(theme=THEME, inline_styles=True, code_format="{code}")
    inner = inner.replace("#717581", "#8b91a5")  # faint text is too dark on a web page
    return PAGE.format(
        background=BACKGROUND, ink=FOREGROUND, margin=MARGIN, line=LINE, text=inner.rstrip()
    )


def draw(browser: str, text: str, picture: Path) -> None:
    """Draw what a command printed."""
    width = int(COLUMNS * CHARACTER) + 2 * MARGIN
    height = (text.count("\n") + 1) * LINE + 2 * MARGIN
    with tempfile.TemporaryDirectory() as folder:
        html = Path(folder) / "page.html"
        html.write_text(page(text), "utf-8")
        subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--disable-background-networking", "--disable-sync", "--no-first-run",
             f"--user-data-dir={folder}/profile", "--force-device-scale-factor=1.5",
             f"--window-size={width},{height}", f"--screenshot={picture}", html.as_uri()],
            check=True, timeout=120, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def main() -> None:
    """Draw all pictures."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("there is no Chromium; apt-get install chromium")
    for name, (words, code) in PICTURES.items():
        draw(browser, output(words, code).rstrip("\n"), HERE / name)


if __name__ == "__main__":
    main()
