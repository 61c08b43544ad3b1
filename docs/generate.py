"""Make what follows from the code: pages of the reference, and the output that pages show.

    python docs/generate.py            write it
    python docs/generate.py --check    say what differs, and exit with 1 where something does

The package is taken from this tree where it is built in place, else as it is installed.
"""

import argparse
import difflib
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
if any((ROOT / "dmaverify/model").glob("events.*.so")):
    sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "docs"))

import console  # noqa: E402
from made.blocks import with_blocks  # noqa: E402
from made.cli import cli_page  # noqa: E402
from made.events import events_page  # noqa: E402
from made.platforms import platforms_page  # noqa: E402
from made.reported import reported_page  # noqa: E402
from made.rules import rules_page  # noqa: E402

MADE_PAGES = {
    "docs/reference/cli.md": cli_page,
    "docs/reference/rules.md": rules_page,
    "docs/reference/events.md": events_page,
    "docs/reference/platforms.md": platforms_page,
    "docs/reference/reported-bugs.md": reported_page,
}


def pages() -> list[str]:
    """Return the names of all pages that have something made in them, relative to the root."""
    held = [str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md")]
    return sorted({"README.md", *MADE_PAGES, *held})


def make(name: str) -> str:
    """Return the text that a page should have."""
    if name in MADE_PAGES:
        return "\n".join(MADE_PAGES[name]()).rstrip("\n") + "\n"
    return with_blocks(console.refreshed((ROOT / name).read_text("utf-8")))


def difference(name: str) -> str:
    """Return how the page in the tree differs from what the code says, "" where it does not."""
    path = ROOT / name
    held = path.read_text("utf-8") if path.exists() else ""
    lines = difflib.unified_diff(
        held.splitlines(), make(name).splitlines(), name, "the code", lineterm=""
    )
    return "\n".join(lines)


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="change nothing; 1 where pages differ")
    if parser.parse_args().check:
        differences = [d for d in map(difference, pages()) if d]
        print("\n\n".join(differences) or "the pages are as the code")
        return 1 if differences else 0
    for name in pages():
        (ROOT / name).write_text(make(name), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
