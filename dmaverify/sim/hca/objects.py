"""What a verbs driver hands out: domains, regions, queues, and the work that is posted."""

from dataclasses import dataclass, field
from enum import Enum

from dmaverify.model.kinds import Opcode, PostFlag, QpState, QpType, RegionType, WcStatus
from dmaverify.sim.hca.layout import Sge as Sge
from dmaverify.sim.hca.pages import Pages


class WrOp(Enum):
    """What a send work request asks for; names of libibverbs' enum ibv_wr_opcode."""

    SEND = Opcode.SEND
    SEND_WITH_IMM = "send with immediate data"
    RDMA_WRITE = Opcode.RDMA_WRITE
    RDMA_WRITE_WITH_IMM = Opcode.RDMA_WRITE_IMM
    RDMA_READ = Opcode.RDMA_READ
    ATOMIC_CMP_AND_SWP = "compare and swap"
    ATOMIC_FETCH_AND_ADD = "fetch and add"
    SEND_WITH_INV = Opcode.SEND_INV
    LOCAL_INV = Opcode.LOCAL_INV
    REG_MR = Opcode.FAST_REG
    BIND_MW = Opcode.BIND


class MwType(Enum):
    """Types of memory windows."""

    TYPE_1 = RegionType.WINDOW_1
    TYPE_2A = RegionType.WINDOW_2A
    TYPE_2B = RegionType.WINDOW_2B


@dataclass(slots=True, eq=False)
class Pd:
    """A protection domain.

    Args:
        number: its number at the HCA.
        local_dma_lkey: key of all that the device reaches, by bus addresses; 0 where it has none.
    """

    number: int
    local_dma_lkey: int = 0


@dataclass(slots=True, eq=False)
class Mr:
    """A memory region.

    Args:
        pd: its domain.
        lkey, rkey: its key; both are the same.
        addr: first address, as the key knows it.
        length: bytes.
        access: Rights.
        type: what kind of region.
        pages: its memory, None where it has none of its own.
        mtt: its first translation entry.
        room: pages that a fast registration may have.
        list_virt, list_bus: where the page list of a fast registration lies.
        live: whether a work request has registered it, as far as the driver knows.
    """

    pd: Pd
    lkey: int
    addr: int = 0
    length: int = 0
    access: int = 0
    type: RegionType = RegionType.USER
    pages: Pages | None = None
    mtt: int = 0
    room: int = 0
    list_virt: int = 0
    list_bus: int = 0
    live: bool = False

    @property
    def rkey(self) -> int:
        """Return the key that peers name."""
        return self.lkey


@dataclass(slots=True, eq=False)
class Mw:
    """A memory window.

    Args:
        pd: its domain.
        type: 1, 2A or 2B.
        rkey: its key from the last bind on.
        bound: whether a bind has completed, and nothing ended it that the driver knows of.
    """

    pd: Pd
    type: MwType
    rkey: int
    bound: bool = False


@dataclass(slots=True, eq=False)
class Ring:
    """Memory of a queue.

    Args:
        entries: a power of two.
        stride: bytes of an entry.
        pages: its memory.
        mtt: its first translation entry.
    """

    entries: int
    stride: int
    pages: Pages
    mtt: int

    @property
    def virt(self) -> int:
        """Return where the CPU has it."""
        return self.pages.virt


@dataclass(slots=True, eq=False)
class Cq:
    """A completion queue.

    Args:
        number: its number.
        entries: what was asked for.
        ring: its memory, with at least one entry more.
        record: CPU address of its doorbell record.
        consumer: entries that were polled.
    """

    number: int
    entries: int
    ring: Ring
    record: int
    consumer: int = 0


@dataclass(slots=True, eq=False)
class WorkQueue:
    """One of a queue pair's rings, or a shared receive queue's.

    Args:
        ring: its memory.
        most: work requests that it holds.
        most_sge: list entries of one.
        head, tail: work requests that were posted, and that are done.
        ids: wr_id and opcode of each entry.
        record: CPU address of its doorbell record, 0 for a send ring.
    """

    ring: Ring
    most: int
    most_sge: int
    head: int = 0
    tail: int = 0
    ids: list[tuple[int, Opcode]] = field(default_factory=list)
    record: int = 0


@dataclass(slots=True, eq=False)
class Srq:
    """A shared receive queue: its number, domain and ring."""

    number: int
    pd: Pd
    queue: WorkQueue


@dataclass(slots=True, eq=False)
class Ah:
    """An address handle.

    Args:
        number: its number in the recording.
        pd: its domain.
        dlid: local identifier of the port it leads to.
        grh: whether packets have a routing header.
    """

    number: int
    pd: Pd
    dlid: int = 1
    grh: bool = True


@dataclass(slots=True, eq=False)
class Qp:
    """A queue pair.

    Args:
        number: its number.
        pd: its domain.
        type: the service.
        send_cq, recv_cq: where its completions go.
        send, recv: its rings; no receive ring with a shared one.
        srq: the shared receive queue, if it has one.
        max_inline: bytes that may be posted inline.
        sig_all: whether each send gives a completion.
        state: as the driver knows it.
        values: what the HCA was told of it.
    """

    number: int
    pd: Pd
    type: QpType
    send_cq: Cq
    recv_cq: Cq
    send: WorkQueue
    recv: WorkQueue | None
    srq: Srq | None
    max_inline: int
    sig_all: bool
    state: QpState = QpState.RESET
    values: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class SendWr:
    """A work request for a send queue.

    Args:
        opcode: what it asks for.
        sges: its buffers.
        wr_id: the program's own number.
        flags: PostFlag; SIGNALED where nothing is said.
        remote_addr, rkey: the memory at the peer.
        imm: immediate data.
        compare_add, swap: of atomics.
        ah, remote_qpn, remote_qkey: of datagrams.
        invalidate: key that LOCAL_INV takes out of use here, and SEND_WITH_INV at the peer.
        mr, key, access: of REG_MR: the region after `map_mr_sg`, its new key and its rights.
        mw: of BIND_MW: the window; `mr` is the region, `key` the new key, `access` the rights,
            `bind_addr` and `bind_length` the range.
        data: bytes of an inline post; None: what the list's memory holds.
    """

    opcode: WrOp
    sges: tuple[Sge, ...] = ()
    wr_id: int = 0
    flags: int = PostFlag.SIGNALED
    remote_addr: int = 0
    rkey: int = 0
    imm: int = 0
    compare_add: int = 0
    swap: int = 0
    ah: Ah | None = None
    remote_qpn: int = 0
    remote_qkey: int = 0
    invalidate: int = 0
    mr: Mr | None = None
    key: int = 0
    access: int = 0
    mw: Mw | None = None
    bind_addr: int = 0
    bind_length: int = 0
    data: bytes | None = None


@dataclass(slots=True)
class RecvWr:
    """A work request for a receive queue.

    Args:
        sges: its buffers.
        wr_id: the program's own number.
        request_key: key that the peer is to take out of use with its answer, 0 for none.
    """

    sges: tuple[Sge, ...] = ()
    wr_id: int = 0
    request_key: int = 0


@dataclass(slots=True)
class Wc:
    """A completion.

    Args:
        wr_id: of the work request.
        status: how it ended; where it is an error only `wr_id` and `qp_num` are good beside it.
        opcode: what it was; RECV for what came in.
        byte_len: bytes that came in.
        qp_num: the queue pair.
        imm: immediate data, None where there is none.
        invalidated: key that the peer took out of use, None for none.
        src_qp: the sender's queue pair (UD).
        grh: whether the first 40 bytes are a routing header.
        vendor_err: the vendor's own syndrome.
    """

    wr_id: int
    status: WcStatus
    opcode: Opcode
    byte_len: int
    qp_num: int
    imm: int | None = None
    invalidated: int | None = None
    src_qp: int = 0
    grh: bool = False
    vendor_err: int = 0


def inc_rkey(key: int) -> int:
    """Return a key with the next tag, and the same index.

    Source: Linux include/rdma/ib_verbs.h, ib_inc_rkey().
    """
    return key & ~0xFF | key + 1 & 0xFF
