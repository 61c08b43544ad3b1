"""What a machine did to the bytes of a run: the effects that a recording does not name.

They are an independent witness: nothing here knows a rule, and no rule sees this.
"""

from dataclasses import dataclass
from enum import Enum


class EffectKind(Enum):
    """What went wrong with bytes, or with an access."""

    FAULT = "fault"  # the device's access was refused
    STALE = "stale"  # somebody read bytes although newer ones lay elsewhere
    LOST = "lost"  # bytes that were written are nowhere any more
    FOREIGN = "foreign"  # the device touched what was not meant for it
    GUARD = "guard"  # guard bytes around a buffer were overwritten
    REFUSED = "refused"  # the platform could not give a mapping


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect.

    Args:
        kind: what went wrong.
        record: 1-based number of the last event recorded before it was noticed; 0: none.
        place: the driver's line, "" where it has none.
        text: a sentence for people.
    """

    kind: EffectKind
    record: int
    place: str
    text: str


LIMIT = 10_000  # effects that are kept; a loop makes the same one again and again


class Effects:
    """The effects of one run, in order."""

    def __init__(self) -> None:
        self.seen: list[Effect] = []

    def add(self, effect: Effect) -> None:
        """Note an effect."""
        if len(self.seen) < LIMIT:
            self.seen.append(effect)

    def kinds(self) -> tuple[str, ...]:
        """Return the names of the kinds seen, each once, in the order of the enumeration."""
        present = {e.kind for e in self.seen}
        return tuple(k.value for k in EffectKind if k in present)
