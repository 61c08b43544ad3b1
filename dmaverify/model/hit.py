"""What the engine tells: groups of hits as data. No words are made here."""

from dataclasses import dataclass

from dmaverify.model.events import Event


@dataclass(frozen=True, slots=True)
class Witness:
    """An event that proves something: where it stands and when it was.

    Args:
        record: 1-based number of the record in its file.
        line: 1-based line; 0 for binary sources.
        offset: byte offset in the (decompressed) source.
        time: trace clock.
        event: the event, as far as the engine still knows it (lists may be gone).
    """

    record: int
    line: int
    offset: int
    time: int
    event: Event


@dataclass(frozen=True, slots=True)
class MappingView:
    """One mapping as the engine knew it at a hit.

    Args:
        role: "mapping", "ghost", "foreign", "enclosing", "overlap", "neighbour"; for objects of
            an HCA "region", "ended_region", "qp": these have addresses of their key's space,
            rights in place of a direction, and their own types.
        number: its serial number in the run, from 1.
        device: number of its device.
        made: the event that made it.
        ended: the event that ended it (ghosts), or None.
        bus_addr, length: its range, bytes, bus space; length None where unknown.
        phys_addr: first physical address, or None.
        direction, type: as made (model.kinds numbers).
        segments: (bus address, length) of its first segments, at most 8.
        key: key of a region or number of a queue pair; 0 for mappings.
    """

    role: str
    number: int
    device: int
    made: Witness
    ended: Witness | None
    bus_addr: int
    length: int | None
    phys_addr: int | None
    direction: int
    type: int
    segments: tuple[tuple[int, int], ...]
    key: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """A group of hits of one rule that are the same finding.

    Args:
        rule: index into Program.rules.
        first: the event at which it was first hit.
        last: the event at which it was last hit.
        mappings: the mappings that the first hit meant, best first.
        shown: values for the message, None where unknown; as many as the rule shows.
        occurrences: how often.
        consequences: (rule index, witness) of later errors on the same subject.
        low_confidence: events lost in between could explain it.
        unmet: index into the rule's `needs` of the first fact that the recording lacks,
            or None: then it is a finding.
        attached: what other sources tell of the access: faults, lines of a device's log.
    """

    rule: int
    first: Witness
    last: Witness
    mappings: tuple[MappingView, ...]
    shown: tuple[int | None, ...]
    occurrences: int
    consequences: tuple[tuple[int, Witness], ...]
    low_confidence: bool
    unmet: int | None
    attached: tuple[Witness, ...] = ()
