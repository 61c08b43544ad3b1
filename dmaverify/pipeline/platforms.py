"""The platforms there are: those of the package, and a user's own files."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from dmaverify.errors import UsageError
from dmaverify.model.effect import PLATFORMS_MAX
from dmaverify.model.finding import ALL_PLATFORMS
from dmaverify.model.platform import Platform, platform_from

HOME = Path(__file__).parents[1] / "platforms"
_SUFFIX = ".toml"


def read_platform(path: Path) -> Platform:
    """Return the platform that a file describes.

    Raises:
        UsageError: the file can not be read, or does not describe one.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path}: {reason}") from error
    return platform_from(table, str(path))


def built_in() -> tuple[Platform, ...]:
    """Return the platforms of the package, in the order of a table."""
    found = map(read_platform, sorted(HOME.glob("*" + _SUFFIX)))
    return tuple(sorted(found, key=lambda p: (p.order, p.name)))


def choose(names: Sequence[str]) -> tuple[Platform, ...]:
    """Return the platforms that a command line names.

    Args:
        names: names, paths of TOML files (they end in ".toml"), or "all".

    Raises:
        UsageError: a name is not known, a file is not good, or there are too many.
    """
    chosen: dict[str, Platform] = {}
    for name in names:
        for platform in _named(name):
            chosen[platform.name] = platform
    if len(chosen) > PLATFORMS_MAX:
        raise UsageError(f"{len(chosen)} platforms in one run; {PLATFORMS_MAX} at most")
    return tuple(chosen.values())


def _named(name: str) -> tuple[Platform, ...]:
    if name == ALL_PLATFORMS:
        return built_in()
    if name.endswith(_SUFFIX):
        return (read_platform(Path(name)),)
    known = {p.name: p for p in built_in()}
    if name not in known:
        listed = ", ".join([*known, ALL_PLATFORMS])
        raise UsageError(f"there is no platform {name!r}; there are {listed}, or a {_SUFFIX} file")
    return (known[name],)
