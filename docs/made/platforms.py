"""docs/reference/platforms.md, from the platforms' files and their dataclass."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from enum import IntEnum

from dmaverify.model.platform import EFFECT_NAMES, Effect, Platform
from dmaverify.pipeline.platforms import built_in
from made.words import MADE, code, table


def platforms_page() -> Iterator[str]:
    """Give the page of the platforms, from their files and the dataclass that they fill."""
    yield from ("# Platforms", "", MADE, "")
    yield "What a machine has between a device and memory. `dmaverify matrix TRACE` works out all"
    yield "of them, `--platform NAME` one; [how to](../how-to/platforms.md)."
    yield ""
    usual = {f.name: f.default for f in fields(Platform)}
    yield from table(
        ("platform", "what it is", "keys"),
        ((f"`{p.name}`", p.title, _keys(p, usual)) for p in built_in()),
    )
    yield from ("", "## Keys of a platform's file", "")
    yield "A file is TOML, one platform each; its name ends in `.toml`."
    yield "`name` and `title` are needed."
    yield ""
    said = dict(_ARGUMENT.findall(inspect.getdoc(Platform) or ""))
    yield from table(
        ("key", "usual value", "what it says"),
        (
            (f"`{f.name}`", "" if f.default is MISSING else f"`{_toml(f.default)}`",
             " ".join(said[f.name].split()))
            for f in fields(Platform)
        ),
    )  # fmt: skip
    yield from ("", "## Effects", "")
    yield from table(
        ("effect", "what it means"),
        ((f"`{EFFECT_NAMES[e]}`", EFFECTS[e]) for e in sorted(Effect, reverse=True)),
    )
    yield from ("", "Of several on one platform the first of this list is told.")


_ARGUMENT = re.compile(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", re.MULTILINE | re.DOTALL)

EFFECTS = {
    Effect.BREAKS: "a fault, a stale read, lost or foreign bytes, at a named event",
    Effect.REFUSED: "the platform can not give the mapping, and the driver is told",
    Effect.WORKS_BY_LUCK: "the contract was broken, and nothing came of it",
    Effect.CANNOT_TELL: "the recording lacks what would decide it; `missing` says what",
    Effect.WORKS: "the contract of the DMA interface was kept, as far as the recording shows, and "
    "nothing went wrong; rules on an HCA's keys and queues are not asked",
}


def _keys(platform: Platform, usual: dict[str, object]) -> str:
    own = [
        f"{name}={_toml(getattr(platform, name))}"
        for name in usual
        if name not in ("name", "title", "order") and getattr(platform, name) != usual[name]
    ]
    return code(own)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, IntEnum):
        return '"' + value.name.lower().replace("_", "-") + '"'
    return hex(value) if isinstance(value, int) and value >= 1 << 32 else str(value)
