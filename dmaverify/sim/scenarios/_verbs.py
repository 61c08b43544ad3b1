"""What the scenarios of verbs programs share: two ends of a connection, set up and taken down."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from dmaverify.errors import SimError
from dmaverify.model.kinds import PostFlag, QpType, Rights
from dmaverify.sim.hca.fabric import pair
from dmaverify.sim.hca.family import HARDWARE, Family
from dmaverify.sim.hca.objects import Mr, RecvWr, SendWr, Sge, Wc, WrOp
from dmaverify.sim.hca.pages import MapBy
from dmaverify.sim.hca.verbs import Verbs
from dmaverify.sim.run import Simulation

PAGE = 4096
SIZE = 4 * PAGE
TEXT = b"from one side to the other".ljust(512, b".")
EVERYTHING = (
    Rights.LOCAL_WRITE | Rights.REMOTE_WRITE | Rights.REMOTE_READ | Rights.REMOTE_ATOMIC
    | Rights.MW_BIND
)  # fmt: skip
SIGNALED, UNSIGNALED = PostFlag.SIGNALED, PostFlag(0)
QKEY = 0x11111111


class End:
    """One end: a domain, a completion queue, a queue pair, and memory with its region.

    The memory is shared with the device for its life (dma_alloc_coherent), so that nothing but
    what a scenario is about goes wrong on any platform.

    Args:
        verbs: its driver.
        access: rights of its region.
        entries: size of its completion queue.
        rings: how its rings are mapped.
        queue: what else `create_qp` is given.
    """

    def __init__(self, verbs: Verbs, access: int = EVERYTHING, entries: int = 16,
                 rings: MapBy = MapBy.COHERENT, **queue: Any) -> None:  # fmt: skip
        self.verbs = verbs
        self.pd = verbs.alloc_pd()
        self.cq = verbs.create_cq(entries, by=rings)
        self.memory, self._bus = verbs.pages.take_shared(SIZE)
        if not self.memory:
            raise SimError("the program gets no memory, and can not begin")
        self.mr = self.register(access)
        self.qp = verbs.create_qp(self.pd, self.cq, by=rings, **queue)

    def register(self, access: int, at: int = 0, length: int = 0, **values: Any) -> Mr:
        """Return another region of the same memory, or of a part of it."""
        length = length or SIZE - at
        first = (self._bus + at) & ~(PAGE - 1)
        bus = list(range(first, self._bus + at + length, PAGE))
        mr = self.verbs.reg_mr(values.pop("pd", self.pd), self.memory + at, length, access,
                               by=MapBy.GIVEN, bus=bus, **values)  # fmt: skip
        assert mr is not None
        return mr

    def pages(self, at: int, count: int) -> tuple[list[int], int]:
        """Return (bus addresses of pages, bytes of the first page before it) of the memory."""
        first = self._bus + at
        return [(first & ~(PAGE - 1)) + i * PAGE for i in range(count)], first & (PAGE - 1)

    def sge(self, at: int, length: int, key: int | None = None) -> Sge:
        """Return a buffer of the memory, by the end's own region where no key is given."""
        return Sge(self.memory + at, length, self.mr.lkey if key is None else key)

    def recv(self, at: int = PAGE, length: int = PAGE, wr_id: int = 100, **values: Any) -> int:
        """Post a receive into the memory."""
        request = RecvWr((self.sge(at, length, values.pop("key", None)),), wr_id)
        return self.verbs.post_recv(self.qp, request, **values)

    def send(self, op: WrOp = WrOp.SEND, at: int = 0, length: int = len(TEXT), wr_id: int = 1,
             key: int | None = None, **values: Any) -> int:  # fmt: skip
        """Post a send of the memory; further values are those of `SendWr`."""
        sges = (self.sge(at, length, key),) if length else ()
        return self.verbs.post_send(self.qp, SendWr(op, sges, wr_id, **values))

    def to_peer(self, op: WrOp, peer: "End", at: int = 2 * PAGE, length: int = len(TEXT),
                **values: Any) -> int:  # fmt: skip
        """Post a request for memory of the peer; the local buffer is the first page."""
        values.setdefault("rkey", peer.mr.rkey)
        return self.send(op, length=length, remote_addr=peer.memory + at, **values)

    def wait(self, count: int = 1) -> list[Wc]:
        """Poll until so many completions came, or time is up."""
        return self.verbs.wait(self.cq, count)

    def write(self, data: bytes = TEXT, at: int = 0) -> None:
        """Write into the memory."""
        self.verbs.write(self.memory + at, data)

    def read(self, at: int = PAGE, length: int = len(TEXT)) -> bytes:
        """Read the memory."""
        return self.verbs.read(self.memory + at, length)

    def tell(self, peer: "End") -> None:
        """Send a short message: its completion tells the peer that what went before is there."""
        peer.recv(PAGE, 64, 50)
        self.send(at=PAGE, length=8, wr_id=50)
        self.wait()
        peer.wait()

    def close(self, qp: bool = True) -> None:
        """Take everything down in the right order."""
        if qp:
            self.verbs.destroy_qp(self.qp)
        self.verbs.destroy_cq(self.cq)
        self.verbs.dereg_mr(self.mr)
        self.verbs.dealloc_pd(self.pd)
        self.free()

    def free(self) -> None:
        """Give the memory back."""
        self.verbs.pages.give_shared(SIZE, self.memory, self._bus)


@contextmanager
def ends(sim: Simulation, family: Family = HARDWARE, **values: Any) -> Iterator[tuple[End, End]]:
    """Give two ends that are connected, and take them down.

    Args:
        sim: where they run.
        family: of both HCAs.
        values: of `End`, for both; `timing` is what `to_rts` is given, and `windows` what `pair`
            is.
    """
    timing: dict[str, int] = values.pop("timing", {})
    with pair(sim, family, values.pop("windows", False)) as (a, b):
        left, right = End(a, **values), End(b, **values)
        if left.qp.type in (QpType.RC, QpType.UC):
            connect(left, right, **timing)
        else:
            for end in (left, right):
                end.verbs.to_rts(end.qp, qkey=QKEY, **timing)
        yield left, right
        right.close()
        left.close()


def connect(left: End, right: End, **timing: int) -> None:
    """Take the queue pairs of two ends to RTS, each other's peer."""
    left.verbs.to_rts(left.qp, right.qp.number, **timing)
    right.verbs.to_rts(right.qp, left.qp.number, **timing)


def read_and_written(left: End, right: End, memory: int, rkey: int, places: Iterable[int]) -> None:
    """Let a peer write and read registered memory, while its owner looks at it and changes it.

    Args:
        left: the peer.
        right: the owner.
        memory: the owner's memory, by its address.
        rkey: the key of it.
        places: offsets at which it is done, one after the other.
    """
    sim = right.verbs.sim
    for at in places:
        left.write()
        left.send(WrOp.RDMA_WRITE, remote_addr=memory + at, rkey=rkey)
        left.wait()
        left.tell(right)
        sim.expect(right.verbs.read(memory + at, len(TEXT)), TEXT)
        right.verbs.write(memory + at, TEXT[::-1])
        left.send(WrOp.RDMA_READ, PAGE, remote_addr=memory + at, rkey=rkey)
        left.wait()
        sim.expect(left.read(), TEXT[::-1])
