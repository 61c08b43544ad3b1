"""What goes over the wire between two HCAs."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Packet:
    """A request of one queue pair to another; a message is one packet.

    Args:
        op: opcode of the work request (`layout.Op`).
        source, target: numbers of the queue pairs.
        service: service of the sender (QpType).
        data: payload.
        word: immediate data, or a key to take out of use.
        addr, key, length: the memory that is meant at the peer.
        operands: swap or add, and compare.
        qkey: of a datagram.
        header: whether it has a routing header.
        again: whether it is sent a second time.
    """

    op: int
    source: int
    target: int
    service: int
    data: bytes = b""
    word: int = 0
    addr: int = 0
    key: int = 0
    length: int = 0
    operands: tuple[int, int] = (0, 0)
    qkey: int = 0
    header: bool = False
    again: bool = False


class Answer(Enum):
    """How a peer answers."""

    ACK = "acknowledged"
    RNR = "receiver not ready"
    INVALID = "invalid request"
    ACCESS = "remote access error"
    OPERATION = "remote operational error"
    NOTHING = "no answer"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, with the data of a read or an atomic."""

    answer: Answer
    data: bytes = b""
