"""Platforms: what a machine does between a device and memory, as data.

One description serves the engine, which asks what a recording would have come to elsewhere,
and the simulator, which is that machine. The files lie in `dmaverify/platforms/`; a user's
own have the same form (docs/reference/platforms.md).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

from dmaverify.errors import UsageError


class Translation(IntEnum):
    """What lies between a bus address and memory."""

    NONE = 0  # bus address = physical address + offset
    IOMMU = 1  # one translation, set up by each mapping
    NESTED = 2  # two: the guest's, then the hypervisor's


class Bounce(IntEnum):
    """Which streaming mappings are given a bounce buffer."""

    NEVER = 0
    ALWAYS = 1
    ABOVE_WIDTH = 2  # memory that the device's address width does not reach


class Effect(IntEnum):
    """What a platform makes of a recording, from harmless to worst."""

    WORKS = 0  # the contract was kept, as far as seen, and nothing went wrong
    CANNOT_TELL = 1  # the recording lacks what would decide it
    WORKS_BY_LUCK = 2  # the contract was broken, and nothing came of it here
    REFUSED = 3  # the platform can not give the mapping, and says so
    BREAKS = 4  # a fault, a stale read, lost or foreign bytes, at a named event


EFFECT_NAMES = {e: e.name.lower().replace("_", "-") for e in Effect}

WIDEST = 64


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform.

    Args:
        name: kebab-case, at most 40 characters; the name of its file.
        title: a phrase that says what machine this is, at most 100 characters.
        order: its place among others in a table; of equals by name.
        recorded: True for the machine that made the recording: what is between device and
            memory is then taken from the recording, and nothing below counts.
        translation: what lies between a bus address and memory.
        bus_offset: bytes; bus address minus physical address, where nothing translates.
        page_bytes: the smallest range that a translation maps; a power of two.
        flush_after_ns: how long a translation that was taken away may go on working; 0: this
            does not end it.
        flush_after_unmaps: how many later unmaps it may outlive; 0: this does not end it. With
            both 0 it ends at once.
        second_reaches_mmio: whether the second of two translations has other devices' registers.
        coherent: False where caches do not see what devices do.
        line_bytes: a cache line; a power of two.
        bounce: which streaming mappings are given a bounce buffer.
        copies_in_always: whether a bounce buffer is filled from memory at a map whatever the
            direction, or only where the device is to read it.
        address_width: bits of a bus address that the device can form, 1 to 64.
        private_memory: True where the device reaches no memory but what is shared with it:
            bounce buffers and allocations.
        guard_bytes: guarded bytes on each side of a bounce buffer.
        common_buffers_at_end: True where an allocation is pushed to the end of its pages, so
            that what follows it is a guard.
    """

    name: str
    title: str
    order: int = 100
    recorded: bool = False
    translation: Translation = Translation.NONE
    bus_offset: int = 0
    page_bytes: int = 4096
    flush_after_ns: int = 0
    flush_after_unmaps: int = 0
    second_reaches_mmio: bool = False
    coherent: bool = True
    line_bytes: int = 64
    bounce: Bounce = Bounce.NEVER
    copies_in_always: bool = True
    address_width: int = WIDEST
    private_memory: bool = False
    guard_bytes: int = 0
    common_buffers_at_end: bool = False

    @property
    def lazy(self) -> bool:
        """Return True where a translation outlives its mapping for a while."""
        return bool(self.flush_after_ns or self.flush_after_unmaps)

    @property
    def highest(self) -> int:
        """Return the highest bus address that the device can form."""
        return (1 << self.address_width) - 1

    def bounces(self, end: int) -> bool:
        """Tell whether a streaming mapping of memory up to physical address `end` is bounced."""
        if self.bounce is Bounce.ABOVE_WIDTH:
            return end - 1 > self.highest
        return self.bounce is Bounce.ALWAYS


_CHOICES: dict[str, type[IntEnum]] = {"translation": Translation, "bounce": Bounce}
_LIMITS = {
    "order": (0, 1000),
    "bus_offset": (0, 1 << 56),
    "page_bytes": (1 << 10, 1 << 30),
    "flush_after_ns": (0, 10**12),
    "flush_after_unmaps": (0, 1 << 31),
    "line_bytes": (4, 4096),
    "address_width": (1, WIDEST),
    "guard_bytes": (0, 1 << 20),
}
#: What `--platform` takes for the word that means each of them.
_ALL = "all"
_NAME_MOST = 40
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TITLE_MOST = 100
_POWERS = {"page_bytes", "line_bytes"}


def platform_from(table: Mapping[str, Any], path: str) -> Platform:
    """Return the platform that a TOML table describes.

    Args:
        table: what the file holds.
        path: the file, for messages.

    Raises:
        UsageError: a key is missing, unknown, of the wrong type or out of range.
    """
    known = {f.name for f in fields(Platform)}
    for key in table:
        if key not in known:
            names = ", ".join(sorted(known))
            raise UsageError(f"{path}: a platform has no {key!r}; it has {names}")
    for key in ("name", "title"):
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise UsageError(f"{path}: a platform needs a {key}, in quotes")
    name = table["name"]
    if not _NAME.fullmatch(name) or len(name) > _NAME_MOST or name == _ALL:
        raise UsageError(
            f"{path}: name is up to {_NAME_MOST} small letters and digits with dashes between, "
            f"and not {_ALL!r}, not {name[:_NAME_MOST]!r}"
        )
    if len(table["title"]) > _TITLE_MOST or not table["title"].isprintable():
        raise UsageError(f"{path}: title is a phrase of up to {_TITLE_MOST} characters, in a line")
    return Platform(**{key: _value(key, value, path) for key, value in table.items()})


def _value(key: str, value: Any, path: str) -> Any:
    if key in _CHOICES:
        names = {m.name.lower().replace("_", "-"): m for m in _CHOICES[key]}
        if not isinstance(value, str) or value not in names:
            raise UsageError(f"{path}: {key} is one of {', '.join(names)}, not {value!r}")
        return names[value]
    if key in _LIMITS:
        low, high = _LIMITS[key]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise UsageError(f"{path}: {key} is a number from {low} to {high}, not {value!r}")
        if key in _POWERS and not math.log2(value).is_integer():
            raise UsageError(f"{path}: {key} is a power of two, not {value}")
        return value
    wanted = str if key in ("name", "title") else bool
    if not isinstance(value, wanted):
        kind = "text in quotes" if wanted is str else "true or false"
        raise UsageError(f"{path}: {key} is {kind}, not {value!r}")
    return value
