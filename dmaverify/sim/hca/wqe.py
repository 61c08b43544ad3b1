"""Send work requests as the HCA reads them out of their bytes."""

import struct
from dataclasses import dataclass

from dmaverify.model.kinds import QpType
from dmaverify.sim.hca.layout import INLINE, OWNER, Op, Sge, Wqe

DATAGRAMS = {QpType.UD, QpType.SMI, QpType.GSI}
SENDS = {Op.SEND, Op.SEND_IMM, Op.SEND_INVAL}
ATOMICS = {Op.ATOMIC_CS, Op.ATOMIC_FA}
REMOTE = {Op.RDMA_WRITE, Op.RDMA_WRITE_IMM, Op.RDMA_READ} | ATOMICS
LOCAL = {Op.LOCAL_INVAL, Op.FMR, Op.BIND_MW}
_OF_UC = SENDS | {Op.RDMA_WRITE, Op.RDMA_WRITE_IMM} | LOCAL
_OF_DATAGRAMS = {Op.SEND, Op.SEND_IMM}


@dataclass(slots=True)
class Request:
    """A send work request.

    Args:
        op: its opcode.
        fence, signaled: flags of it.
        word: immediate data, or a key of the peer.
        sges: its list.
        inline: its data, where that is in the ring.
        addr, key: the memory at the peer.
        operands: of atomics.
        target, qkey, ah_pd: of a datagram.
        header: whether its packet has a routing header.
        values: of a bind, a registration, or the key of an invalidation.
    """

    op: Op
    fence: bool
    signaled: bool
    word: int
    sges: list[Sge]
    inline: bytes | None = None
    addr: int = 0
    key: int = 0
    operands: tuple[int, int] = (0, 0)
    target: int = 0
    qkey: int = 0
    ah_pd: int = 0
    header: bool = False
    values: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        """Return the bytes of its list."""
        return len(self.inline) if self.inline is not None else sum(s.length for s in self.sges)


def parse(data: bytes, odd_round: bool, service: int) -> Request | None:
    """Return what the bytes of a slot ask for, None where an HCA can not tell or does not know it.

    Args:
        data: the slot.
        odd_round: whether the ring is filled for the second, fourth, ... time.
        service: of the queue pair (QpType).
    """
    flags, number, blocks, word, _ = Wqe.CONTROL.unpack(data[:16])
    if bool(flags & OWNER) != odd_round or number not in list(Op):
        return None
    op, body = Op(number), data[16 : blocks * 16]
    if not _legal(op, service):
        return None
    request = Request(op, bool(flags & Wqe.FENCE), bool(flags & Wqe.SIGNALED), word, [])
    try:
        body = _head(request, body, service)
        if op not in LOCAL:
            _list(request, body)
    except struct.error:
        return None
    return request


def _legal(op: Op, service: int) -> bool:
    if service in DATAGRAMS:
        return op in _OF_DATAGRAMS
    return service != QpType.UC or op in _OF_UC


def _head(request: Request, body: bytes, service: int) -> bytes:
    """Read what stands before the list, and return what is behind it."""
    op = request.op
    if op is Op.LOCAL_INVAL:
        request.values = Wqe.INVALIDATE.unpack(body[:16])
    elif op is Op.FMR:
        request.values = Wqe.REGISTER.unpack(body[:48])
    elif op is Op.BIND_MW:
        request.values = Wqe.BIND.unpack(body[:48])
    elif service in DATAGRAMS:
        request.target, request.qkey, request.ah_pd, header = Wqe.DATAGRAM.unpack(body[:16])
        request.header = bool(header)
        return body[16:]
    elif op in REMOTE:
        request.addr, request.key = Wqe.REMOTE.unpack(body[:16])
        if op in ATOMICS:
            request.operands = Wqe.ATOMIC.unpack(body[16:32])
            return body[32:]
        return body[16:]
    return body


def _list(request: Request, body: bytes) -> None:
    while len(body) >= 4:
        (count,) = struct.unpack(">I", body[:4])
        if count & INLINE:
            count &= ~INLINE
            request.inline = (request.inline or b"") + body[4 : 4 + count]
            return
        if len(body) < 16:
            return
        length, key, addr = Wqe.DATA.unpack(body[:16])
        request.sges.append(Sge(addr, length, key))
        body = body[16:]
