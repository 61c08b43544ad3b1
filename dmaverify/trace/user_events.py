"""Events of a user's own, as a table in a TOML file: another HCA's probes without code.

    [[event]]
    name = "mlx_reg"                 # as the recording has it
    system = "hca"                   # its probe group or system; "" for any
    becomes = "reg_mr"               # a kind of event that a recording can have
    fields = { addr = "iova", len = "length", mkey = "key", acc = "access" }
    optional = ["acc"]               # fields that may be missing
    printed = [["mkey ", "mkey", 16]]  # where a line does not name its fields
    opcodes = { 2 = "send" }         # what numbers of a field `opcode` mean

The names on the right are those of `.dmat` for the kind.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dmaverify.errors import UsageError
from dmaverify.model.fields import kind_name
from dmaverify.model.kinds import MapType, Opcode
from dmaverify.trace.events import EventSpec, Slot
from dmaverify.trace.native import NATIVE_EVENTS

_KEYS = frozenset({"name", "system", "becomes", "fields", "optional", "printed", "opcodes"})
_MOST = 64  # events of one file, and fields or parts of one event
_STEPS = 10


def load_events(path: str) -> tuple[EventSpec, ...]:
    """Return the events of a table.

    Args:
        path: a TOML file.

    Raises:
        UsageError: it can not be read, or says something that can not be; with place and remedy.
    """
    try:
        told = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: can not be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{path}: is no table of events: {error}") from None
    found = told.get("event")
    if not isinstance(found, list) or not found or set(told) != {"event"}:
        raise UsageError(f"{path}: holds no [[event]], or something else beside them")
    if len(found) > _MOST:
        raise UsageError(f"{path}: has more than {_MOST} events")
    return tuple(_event(f"{path}: event {i}", one) for i, one in enumerate(found, 1))


def _event(place: str, told: Any) -> EventSpec:
    """Return one entry; what is wrong is said with its place."""
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        raise UsageError(f"{place}: has no name")
    place = f"{place} ({told['name']})"
    if unknown := sorted(set(told) - _KEYS):
        raise UsageError(
            f"{place}: does not know {unknown[0]!r}; known: {', '.join(sorted(_KEYS))}"
        )
    kinds = {spec.name: spec for spec in NATIVE_EVENTS}
    native = kinds.get(str(told.get("becomes")))
    if native is None:
        raise UsageError(
            f"{place}: `becomes` is a kind of event{_near(told.get('becomes'), kinds)}"
        )
    fields = _fields(place, told.get("fields"), native)
    optional = told.get("optional", [])
    if not isinstance(optional, list) or set(optional) - set(fields):
        raise UsageError(f"{place}: `optional` is a list of its fields")
    system = told.get("system", "hca")
    if not isinstance(system, str):
        raise UsageError(f"{place}: `system` is a text")
    needs = frozenset(slot for name, slot in fields.items() if name not in optional and slot < 32)
    return EventSpec(
        told["name"], frozenset({system} if system else ()), native.kind, MapType.UNKNOWN, fields,
        needs, place, printed=_printed(place, told.get("printed", []), fields),
        opcodes=_opcodes(place, told.get("opcodes", {})),
    )  # fmt: skip


def _near(word: Any, names: Iterable[str]) -> str:
    """Return what comes near a wrong name, and where all are."""
    import difflib

    near = difflib.get_close_matches(str(word), list(names), n=3)
    meant = f"; did you mean {', '.join(f'`{n}`' for n in near)}?" if near else ""
    return f"{meant}; docs/reference/events.md has all"


def _fields(place: str, told: Any, native: EventSpec) -> dict[str, Slot]:
    if not isinstance(told, dict) or not 0 < len(told) <= _MOST:
        raise UsageError(f"{place}: `fields` is a table, FIELD = NAME")
    found = {}
    for name, meaning in told.items():
        slot = native.fields.get(str(meaning))
        if slot is None:
            names = [n for n, s in native.fields.items() if s != Slot.ARG]
            kind = kind_name(native.kind)
            raise UsageError(f"{place}: {kind} has no {meaning!r}{_near(meaning, names)}")
        # An opcode is a number here, and its meaning hangs on the event.
        found[name] = Slot.OPCODE if meaning == "opcode" else slot
    return found


def _printed(place: str, told: Any, fields: dict[str, Slot]) -> tuple[tuple[str, str, int], ...]:
    steps = [] if not isinstance(told, list) or len(told) > _STEPS else told
    good = [
        s for s in steps
        if isinstance(s, list) and len(s) == 3 and isinstance(s[0], str) and 0 < len(s[0]) < 100
        and (s[1] == "" or s[1] in fields) and s[2] in (0, 10, 16)
    ]  # fmt: skip
    if len(good) != (len(told) if isinstance(told, list) else -1):
        raise UsageError(
            f'{place}: `printed` is a list of at most {_STEPS} ["TEXT", "FIELD", BASE], in the'
            " order of the line; BASE is 10 or 16, or 0 for a word"
        )
    return tuple((text, name, base) for text, name, base in good)


def _opcodes(place: str, told: Any) -> dict[int, Opcode]:
    names = {opcode.name.lower(): opcode for opcode in Opcode}
    if not isinstance(told, dict):
        raise UsageError(f"{place}: `opcodes` is a table, NUMBER = NAME")
    found = {}
    for number, name in told.items():
        if not number.isdecimal() or int(number) > 255 or name not in names:
            raise UsageError(f"{place}: an opcode is 0 to 255 = one of: {', '.join(names)}")
        found[int(number)] = names[name]
    return found
