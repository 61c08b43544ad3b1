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
_BYTES_MOST = 1 << 20


def read_platform(path: Path) -> Platform:
    """Return the platform that a file describes.

    Raises:
        UsageError: the file can not be read, or does not describe one.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_BYTES_MOST + 1)
        if len(text) > _BYTES_MOST:
            raise UsageError(f"{path}: more than {_BYTES_MOST:,} bytes are no platform")
        table = tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8") from error
    except RecursionError as error:
        raise UsageError(f"{path}: brackets are nested too deeply") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from error
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
        UsageError: a name is not known or is that of two platforms, a file is not good, or
            there are too many.
    """
    chosen: dict[str, Platform] = {}
    for name in names:
        for platform in _named(name):
            if chosen.setdefault(platform.name, platform) != platform:
                raise UsageError(f"two different platforms have the name {platform.name!r}")
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
