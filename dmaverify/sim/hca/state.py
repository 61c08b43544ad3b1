"""What an HCA holds on its own: queues as its contexts say, faults that are planted, its tape."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dmaverify.model.kinds import AccessSide, EventKind, Flag, HcaValue, QpState, Rights
from dmaverify.sim.device import Device
from dmaverify.sim.hca.family import Family
from dmaverify.sim.hca.layout import CqContext, Event, Mpt, QpContext, Sge, SrqContext
from dmaverify.sim.memory import PAGE
from dmaverify.sim.tape import Tape

K, V = EventKind, HcaValue


class HcaFault(Enum):
    """What a broken HCA does, once. The number is the fault's `amount`."""

    OVERRUN = "overrun"  # writes so many bytes more than the message has
    NO_TAG = "no-tag"  # looks a key up by its index only
    NO_RANGE = "no-range"  # does not look at the range of a key
    REFUSES = "refuses"  # refuses a key that is good
    REFUSES_RANGE = "refuses-range"  # refuses a range that is inside
    LONG_RECEIVE = "long-receive"  # takes a message that is longer than the receive
    LATE = "late"  # moves what came in when it works the next time, and says at once that it did
    LOST_COMPLETION = "lost-completion"  # writes no completion
    TWICE = "twice"  # writes a completion two times
    RETRANSMIT = "retransmit"  # its packet is lost: it reads the buffers again, later


@dataclass(slots=True, eq=False)
class CompletionQueue:
    """A completion queue at the HCA: what its context says, and how many entries it wrote."""

    context: CqContext
    producer: int = 0
    dead: bool = False


@dataclass(slots=True, eq=False)
class ReceiveQueue:
    """A receive ring at the HCA: where it lies, and how many receives it took."""

    mtt: int
    offset: int
    entries: int
    stride: int
    record: int
    consumer: int = 0


@dataclass(slots=True, eq=False)
class QueuePair:
    """A queue pair at the HCA.

    Args:
        number: its number.
        context: what the driver said of it.
        state: where it is.
        producer, consumer: of its send ring.
        receives: its own receive ring, or the shared one.
        tries, rnr_tries: how often what is at the head was sent without an answer.
        landing: reads whose answer is there and not yet in memory.
        resent: whether it was lost once, and goes out again.
    """

    number: int
    context: QpContext
    state: QpState = QpState.RESET
    producer: int = 0
    consumer: int = 0
    receives: ReceiveQueue | None = None
    tries: int = 0
    rnr_tries: int = 0
    resent: bool = False
    landing: list[Any] = field(default_factory=list)


class State:
    """The root of an HCA.

    Args:
        device: how it reaches memory.
        tape: where its look-ups are recorded.
        family: how it refuses.

    Attributes:
        probes: whether what it looks up is recorded, as probes of its driver would.
    """

    def __init__(self, device: Device, tape: Tape, family: Family) -> None:
        self.device, self.family = device, family
        self.probes = True
        self.mpts: dict[int, Mpt] = {}
        self.windows: dict[int, tuple[int, int]] = {}  # index -> (region's index, queue pair)
        self.mtts: dict[int, int] = {}
        self.cqs: dict[int, CompletionQueue] = {}
        self.srqs: dict[int, tuple[SrqContext, ReceiveQueue]] = {}
        self.qps: dict[int, QueuePair] = {}
        self.events: list[tuple[Event, int]] = []
        self.late: list[tuple[QueuePair, list[Sge], bytes]] = []  # told, and not yet in memory
        self._tape = tape
        self._faults: list[tuple[HcaFault, int]] = []

    def break_next(self, fault: HcaFault, amount: int = 0) -> None:
        """Let the HCA do wrong at the next occasion; several wait in a row for each kind."""
        self._faults.append((fault, amount))

    def breaks(self, fault: HcaFault) -> int | None:
        """Return the amount of a planted fault whose occasion this is, None for none."""
        for i, (kind, amount) in enumerate(self._faults):
            if kind is fault:
                del self._faults[i]
                return amount
        return None

    def ring_read(self, mtt: int, at: int, length: int) -> bytes:
        """Return bytes of a ring, fetched by its translation entries."""
        parts = []
        for bus, count in self.pieces(mtt, at, length):
            parts.append(self.device.read(bus, count))
        return b"".join(parts)

    def ring_write(self, mtt: int, at: int, data: bytes) -> None:
        """Write bytes of a ring."""
        done = 0
        for bus, count in self.pieces(mtt, at, len(data)):
            self.device.write(bus, data[done : done + count])
            done += count

    def pieces(self, mtt: int, at: int, length: int) -> list[tuple[int, int]]:
        """Return (bus address, bytes) of a range, by pages.

        Args:
            mtt: the translation entry of the first page.
            at: bytes from the start of that page.
            length: bytes.
        """
        found = []
        while length > 0:
            count = min(length, PAGE - at % PAGE)
            page = self.mtts.get(mtt + at // PAGE)
            if page is None:
                break
            found.append((page + at % PAGE, count))
            at += count
            length -= count
        return found

    def happened(self, event: Event, number: int) -> None:
        """Raise an asynchronous event, where this family has it."""
        if self.family.raises or event not in (Event.QP_ACCESS_ERR, Event.QP_REQ_ERR):
            self.events.append((event, number))

    # What probes of its driver would record

    def tell_look(self, qp: QueuePair, key: int, need: int, side: AccessSide) -> None:
        """Record that a key is looked up; key 0: only what the queue pair allows is looked at."""
        if self.probes:
            values: dict[str, Any] = {"object": key} if key else {}
            self._tape.add(K.HCA_ACCESS, device=self.device.number, phys_addr=qp.context.pd,
                           direction=int(need), type=int(side),
                           hca=[(int(V.QUEUE_PAIR), qp.number)], **values)  # fmt: skip

    def tell_range(self, key: int, addr: int, length: int, refused: bool) -> None:
        """Record that a range is looked at, and what came of it."""
        if self.probes:
            self._tape.add(K.HCA_ACCESS, device=self.device.number, object=key, bus_addr=addr,
                           length=length)  # fmt: skip
            self._tape.add(K.HCA_VERDICT, device=self.device.number, status=-14 if refused else 0)

    def tell_move(self, qp: QueuePair, key: int, addr: int, length: int, need: int,
                  side: AccessSide) -> None:  # fmt: skip
        """Record that bytes are moved by a key: 1 from memory, 2 to it."""
        if self.probes:
            writes = need & (Rights.LOCAL_WRITE | Rights.REMOTE_WRITE | Rights.REMOTE_ATOMIC)
            self._tape.add(K.HCA_ACCESS, device=self.device.number, object=key, bus_addr=addr,
                           length=length, phys_addr=qp.context.pd, direction=int(need),
                           type=int(side), status=2 if writes else 1,
                           hca=[(int(V.QUEUE_PAIR), qp.number)])  # fmt: skip

    def tell_key(self, kind: EventKind, entry: Mpt, refused: bool, *, what: int = 0,
                 hca: dict[HcaValue, int] | None = None) -> None:  # fmt: skip
        """Record that a work request registers, binds or invalidates."""
        if not self.probes:
            return
        values: dict[str, Any] = {"flags": int(Flag.FAILED)} if refused else {}
        if hca:
            values["hca"] = [(int(name), value) for name, value in hca.items()]
        if kind is not K.INVALIDATE_MR:
            values |= {"bus_addr": entry.start, "length": entry.length, "phys_addr": entry.pd,
                       "direction": entry.access, "type": what}  # fmt: skip
        self._tape.add(kind, device=self.device.number, object=entry.key, **values)
