"""The bytes that driver and HCA exchange: contexts, work requests, completions, commands.

All numbers are big-endian. The forms follow mlx4 and mthca with what a model does not need left
out; each class below is one table of bytes.

Registers (a write has 4 or 8 bytes):

    0x00  8  address of the mailbox of a command
    0x10  4  index that the command is about
    0x18  4  opcode; the write starts the command
    0x1c  4  status of the last command: 0 or a `CommandStatus` (to be read)
    0x20  8  the oldest asynchronous event, event << 32 | number, 0 for none (to be read)
    0x800 8  send doorbell: queue pair << 32 | producer index

Doorbell records (8 bytes of memory, fetched by DMA): of a receive queue or shared receive queue
the producer index in the first 4 bytes; of a completion queue the consumer index.

Source: Linux include/linux/mlx4/device.h, qp.h, cq.h; drivers/infiniband/hw/mthca/mthca_wqe.h,
mthca_mr.c (struct mthca_mpt_entry), mthca_cq.c (struct mthca_cqe).
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import NamedTuple

PAGE = 4096
MTU = 1024  # largest payload of a packet, where nothing else is said

R_MAILBOX, R_INDEX, R_OPCODE, R_STATUS = 0x00, 0x10, 0x18, 0x1C
R_EVENT, R_SEND_DOORBELL = 0x20, 0x800

PRESENT = 1  # bit 0 of a translation entry
OWNER = 0x80  # of a CQE's last byte; of a WQE's first
FRESH = 0xCC  # what a completion ring is filled with: the HCA owns every entry
END_OF_LIST = 0x100  # key of the entry behind a receive's last
INLINE = 0x8000_0000  # of a byte count: the bytes follow
STAMP = 0xFF  # what a ring of work requests is filled with: no valid one
CQE_BYTES = 32
GRH_BYTES, MAD_BYTES = 40, 256
SMI_QP, GSI_QP = 8, 9  # numbers of an HCA for what is QP0 and QP1 on the wire
MTT_ROOM = (PAGE - 8) // 8  # translation entries of a mailbox


class Sge(NamedTuple):
    """One buffer of a work request.

    Args:
        addr: its first address, as the key knows it.
        length: bytes.
        lkey: the key.
    """

    addr: int
    length: int
    lkey: int


class Command(IntEnum):
    """Opcodes of commands."""

    SW2HW_MPT = 0x0D  # a key entry goes to the HCA; mailbox: `Mpt`
    HW2SW_MPT = 0x0F  # the HCA gives a key entry up
    WRITE_MTT = 0x11  # index: entries; mailbox: first index (4), 4 of 0, entries of 8
    SW2HW_CQ = 0x16  # mailbox: `CqContext`
    HW2SW_CQ = 0x17
    SW2HW_SRQ = 0x35  # mailbox: `SrqContext`
    HW2SW_SRQ = 0x36
    RST2INIT_QP = 0x19  # mailbox: `QpContext`, and the same for each below
    INIT2RTR_QP = 0x1A
    RTR2RTS_QP = 0x1B
    RTS2RTS_QP = 0x1C
    TO_ERR_QP = 0x1E
    RTS2SQD_QP = 0x1F
    SQD2RTS_QP = 0x20
    TO_RST_QP = 0x21
    INIT2INIT_QP = 0x2D
    SQERR2RTS_QP = 0x22


class CommandStatus(IntEnum):
    """What the status register holds after a command; numbers as in mlx4's."""

    OK = 0x00
    BAD_OP = 0x02
    BAD_PARAM = 0x03
    BAD_RES_STATE = 0x09
    BAD_INDEX = 0x0A
    BAD_QP_STATE = 0x10
    BAD_REGION_STATE = 0x20  # HW2SW_MPT: windows are bound


class Event(IntEnum):
    """Asynchronous events, as the event register shows them."""

    CQ_ERR = 1
    QP_ACCESS_ERR = 2
    QP_REQ_ERR = 3
    QP_FATAL = 4
    QP_LAST_WQE_REACHED = 5


class Op(IntEnum):
    """Opcodes of send work requests; numbers as in mlx4's."""

    NOP = 0x00
    SEND_INVAL = 0x01
    RDMA_WRITE = 0x08
    RDMA_WRITE_IMM = 0x09
    SEND = 0x0A
    SEND_IMM = 0x0B
    RDMA_READ = 0x10
    ATOMIC_CS = 0x11
    ATOMIC_FA = 0x12
    BIND_MW = 0x18
    FMR = 0x19
    LOCAL_INVAL = 0x1B


class RecvOp(IntEnum):
    """Opcodes of completions of a receive queue; numbers as in mlx4's."""

    RDMA_WRITE_IMM = 0x00
    SEND = 0x01
    SEND_IMM = 0x02
    SEND_INVAL = 0x03


CQE_ERROR = 0x1E
CQE_IS_SEND = 0x40


class Syndrome(IntEnum):
    """Why a work request failed, in an error completion; numbers as in mlx4's."""

    LOCAL_LENGTH = 0x01
    LOCAL_QP_OP = 0x02
    LOCAL_PROT = 0x04
    WR_FLUSH = 0x05
    MW_BIND = 0x06
    BAD_RESP = 0x10
    LOCAL_ACCESS = 0x11
    REMOTE_INVAL_REQ = 0x12
    REMOTE_ACCESS = 0x13
    REMOTE_OP = 0x14
    RETRY_EXC = 0x15
    RNR_RETRY_EXC = 0x16
    REMOTE_ABORTED = 0x22


class MptFlag(IntFlag):
    """Flags of a key entry."""

    FAST_REG = 1 << 0  # may be registered by a work request
    PHYSICAL = 1 << 1  # addresses are bus addresses; no range, no translation
    WINDOW_1 = 1 << 2
    WINDOW_2A = 1 << 3
    WINDOW_2B = 1 << 4
    FREE = 1 << 5  # waits for a registration or a bind by work request


WINDOWS = MptFlag.WINDOW_1 | MptFlag.WINDOW_2A | MptFlag.WINDOW_2B


@dataclass(slots=True)
class Mpt:
    """A key entry, 64 bytes.

     0  4  flags (`MptFlag`)      16  8  start: first address by the key
     4  4  key                    24  8  length, bytes
     8  4  protection domain      32  4  first translation entry
    12  4  access (Rights)        36  4  bytes of the first page before the region
                                  40  4  entries that are reserved for a fast registration
    """

    flags: int = 0
    key: int = 0
    pd: int = 0
    access: int = 0
    start: int = 0
    length: int = 0
    mtt: int = 0
    offset: int = 0
    room: int = 0

    FORM = struct.Struct(">4I2Q3I20x")

    def pack(self) -> bytes:
        """Return its bytes."""
        return self.FORM.pack(self.flags, self.key, self.pd, self.access, self.start, self.length,
                              self.mtt, self.offset, self.room)  # fmt: skip

    @classmethod
    def unpack(cls, data: bytes) -> "Mpt":
        """Return what bytes say."""
        return cls(*cls.FORM.unpack(data[: cls.FORM.size]))


@dataclass(slots=True)
class CqContext:
    """A completion queue, 32 bytes.

    0  4  first translation entry of its ring     8  8  bus address of its doorbell record
    4  4  entries, a power of two                16  4  1: overruns are not looked for
                                                 20  4  bytes of the first page before it
    """

    mtt: int = 0
    entries: int = 0
    record: int = 0
    ignore_overrun: int = 0
    offset: int = 0

    FORM = struct.Struct(">2IQ2I8x")

    def pack(self) -> bytes:
        """Return its bytes."""
        return self.FORM.pack(self.mtt, self.entries, self.record, self.ignore_overrun,
                              self.offset)  # fmt: skip

    @classmethod
    def unpack(cls, data: bytes) -> "CqContext":
        """Return what bytes say."""
        return cls(*cls.FORM.unpack(data[: cls.FORM.size]))


@dataclass(slots=True)
class SrqContext:
    """A shared receive queue, 32 bytes.

    0  4  first translation entry of its ring    16  4  protection domain
    4  4  entries, a power of two                20  4  bytes of an entry
    8  8  bus address of its doorbell record     24  4  bytes of the first page before it
    """

    mtt: int = 0
    entries: int = 0
    record: int = 0
    pd: int = 0
    stride: int = 16
    offset: int = 0

    FORM = struct.Struct(">2IQ3I4x")

    def pack(self) -> bytes:
        """Return its bytes."""
        return self.FORM.pack(self.mtt, self.entries, self.record, self.pd, self.stride,
                              self.offset)  # fmt: skip

    @classmethod
    def unpack(cls, data: bytes) -> "SrqContext":
        """Return what bytes say."""
        return cls(*cls.FORM.unpack(data[: cls.FORM.size]))


@dataclass(slots=True)
class QpContext:
    """A queue pair, 104 bytes; each transition brings all of it.

     0  4  service (QpType)              44  4  receive completion queue
     4  4  protection domain             48  4  shared receive queue, 0 for none
     8  4  access of peers (Rights)      52  4  queue pair of the peer (RC, UC)
    12  4  translation of the send ring  56  4  Q_Key (UD)
    16  4  its entries, a power of two   60  4  largest payload of a packet, bytes
    20  4  bytes of one                  64  4  retries without an answer
    24  4  translation of the receives   68  4  retries without a receive; 7: without end
    28  4  entries, a power of two       72  4  1: each send gives a completion
    32  4  bytes of one                  76  4  reads and atomics that the peer may have open
    36  4  receive entries in use        80  8  bus address of the receive's doorbell record
    40  4  send completion queue         88  4  receive entries of a list at most
                                         92  4  bytes of the first page before the send ring
                                         96  4  the same of the receive ring
    """

    service: int = 0
    pd: int = 0
    access: int = 0
    sq_mtt: int = 0
    sq_entries: int = 0
    sq_stride: int = 0
    rq_mtt: int = 0
    rq_entries: int = 0
    rq_stride: int = 0
    rq_used: int = 0
    send_cq: int = 0
    recv_cq: int = 0
    srq: int = 0
    peer: int = 0
    qkey: int = 0
    mtu: int = MTU
    retries: int = 3
    rnr_retries: int = 7
    signal_all: int = 0
    reads: int = 4
    record: int = 0
    max_sge: int = 0
    sq_offset: int = 0
    rq_offset: int = 0

    FORM = struct.Struct(">20IQ3I4x")

    def pack(self) -> bytes:
        """Return its bytes."""
        return self.FORM.pack(*(getattr(self, name) for name in self.__slots__))

    @classmethod
    def unpack(cls, data: bytes) -> "QpContext":
        """Return what bytes say."""
        return cls(*cls.FORM.unpack(data[: cls.FORM.size]))


class Wqe:
    """A send work request: a control segment of 16 bytes, what the opcode needs, and a list.

    Control:      0  1  owner bit 0x80: the round of the ring; 0x40 fence, 0x20 signaled,
                        0x10 solicited
                  1  1  opcode (`Op`)
                  2  2  bytes in all, by 16
                  4  4  immediate data, or the key that the peer takes out of use
                  8  8  of nothing
    Remote (16):  0  8  address at the peer       8  4  key there
    Atomic (16):  0  8  swap, or what is added    8  8  compare
    Datagram(16): 0  4  queue pair of the peer    4  4  its Q_Key
                  8  4  protection domain of the address handle
                 12  4  1: the packet has a routing header
    Bind (48):    0  4  key of the window that is to be; its index names the entry
                  4  4  key of the region    8  4  access   12  4  its type: 1, 2 (2A), 3 (2B)
                 16  8  address             24  8  length, 0: to nothing      32  16 of 0
    Register(48): 0  4  key that is to be    4  4  access
                  8  8  bus address of the page list   16  8  address by the key
                 24  8  length   32  4  bytes of the first page before it   36  4  pages  40 8 of 0
    Invalidate(16): 0  4  key   4  12  of 0
    Data (16):    0  4  bytes; with 0x80000000 the bytes themselves follow at once (inline)
                  4  4  key   8  8  address
    """

    CONTROL = struct.Struct(">2BHIQ")
    REMOTE = struct.Struct(">QI4x")
    ATOMIC = struct.Struct(">2Q")
    DATAGRAM = struct.Struct(">4I")
    BIND = struct.Struct(">4I2Q16x")
    REGISTER = struct.Struct(">2I3Q2I8x")
    INVALIDATE = struct.Struct(">I12x")
    DATA = struct.Struct(">2IQ")
    FENCE, SIGNALED, SOLICITED = 0x40, 0x20, 0x10


class Cqe:
    """A completion, 32 bytes.

     0  4  queue pair                  16  2  index of the work request in its ring
     4  4  immediate data, or the      18  1  syndrome of an error (`Syndrome`)
           key that was taken out      19  1  vendor's syndrome
           of use                      20 11  of 0
     8  4  queue pair of the sender    31  1  owner bit 0x80, send bit 0x40, opcode in 0x1f;
           (UD); 0x80000000: a GRH            0x1e is an error
    12  4  bytes
    """

    FORM = struct.Struct(">4IH2B11xB")
    HAS_GRH = 0x8000_0000
