"""The text of each event that a finding quotes: source lines, or canonical lines."""

from dmaverify.core.engine import Engine
from dmaverify.model.events import Event
from dmaverify.model.hit import Witness
from dmaverify.model.kinds import EventKind, Flag, MapType
from dmaverify.trace.base import OTHER_SOURCE, Reader
from dmaverify.trace.native import write_event

NOTHING_NAMED = Flag.BUS_UNKNOWN | Flag.PHYS_UNKNOWN | Flag.LENGTH_UNKNOWN | Flag.DIRECTION_UNKNOWN


class Texts:
    """Finds source lines again, also of a trace that can be read only once.

    A pipe can not seek: the lines that a later finding may quote are kept while their
    mappings live, and those that a finding does quote are taken at once.

    Args:
        reader: where the lines come from.
        engine: what tells which lines matter.
    """

    def __init__(self, reader: Reader, engine: Engine) -> None:
        self._reader = reader
        self._engine = engine
        self._kept: dict[int, str] = {}

    def after_batch(self) -> None:
        """Take the lines of new findings, and have those of live mappings kept."""
        if not self._reader.streaming:
            return
        for offset in self._engine.fresh_witnesses():
            line = self._reader.line_at(offset)
            if line is not None:
                self._kept[offset] = line
        span = self._reader.forgetting()
        if span is not None:
            self._reader.retain(self._engine.witnesses_between(*span))

    def line(self, witness: Witness) -> str | None:
        """Return the source line of a witness, or None where there is none to be had."""
        if self._reader.binary and not witness.offset & OTHER_SOURCE:
            return None
        kept = self._kept.get(witness.offset)
        return kept if kept is not None else self._reader.line_at(witness.offset)

    def text(self, witness: Witness) -> str:
        """Return the source line of a witness, or its canonical `.dmat` line."""
        line = self.line(witness)
        if line is not None:
            return line.strip()
        text = write_event(_as_recorded(witness.event), self._reader.devices).strip()
        # A packet has no task and no CPU: what the canonical line begins with means nothing.
        return text.split(": ", 1)[-1] if witness.offset & OTHER_SOURCE else text

    def task(self, witness: Witness) -> str:
        """Return the name of the task that logged a witness, "" where unknown."""
        if witness.offset & OTHER_SOURCE:
            return ""
        return self._reader.task_name(witness.event.site, self.line(witness))


def _as_recorded(event: Event) -> Event:
    """Return the recorded event behind a derived one: a mapping left was told by an unbind."""
    if event.kind not in (EventKind.LEFT_MAPPED, EventKind.LEFT_REGISTERED):
        return event
    values = {name: getattr(event, name) for name in Event.__slots__}
    if event.kind == EventKind.LEFT_REGISTERED:
        return Event(**{**values, "kind": EventKind.DEREG_MR})
    flags = event.flags & Flag.TIME_UNKNOWN | NOTHING_NAMED
    return Event(
        **{**values, "flags": flags, "type": MapType.UNKNOWN, "kind": EventKind.DRIVER_UNBOUND}
    )
