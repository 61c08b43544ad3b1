"""Where rule files lie. Light: a run with the built-in rules alone imports no more than this."""

from collections.abc import Iterable, Iterator
from pathlib import Path


def rules_folder() -> Path:
    """Return where the built-in rules lie: in the installed package, else in the source tree."""
    from importlib.util import find_spec

    spec = find_spec("dmaverify.rules")
    for place in (spec.submodule_search_locations or []) if spec else []:
        return Path(place)
    return Path(__file__).parents[2] / "rules"


def rule_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Give the rule files that some paths mean: files as they are, folders by `*.dmar`."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*.dmar") if p.is_file())
        else:
            yield path
