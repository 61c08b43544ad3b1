"""What an emulated HCA logs of itself: regions, queues, doorbells, completions, datagrams.

QEMU's `pvrdma` device, hw/rdma/trace-events and hw/rdma/vmw/trace-events. What the lines mean
hangs on their order: a command takes its pages by DMA (hw/rdma/vmw/pvrdma_cmd.c,
create_cq_ring(), create_qp_rings(), pvrdma_map_to_pdir()), directory first, then table, then the
pages; then comes the line with its result. A send of a datagram reads header and payload before
its line; a received one is written after it (hw/rdma/rdma_backend.c, mad_send() and
process_incoming_mad_req()).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from dmaverify.model.kinds import EventKind, HcaValue, MadStep, QpState, QueuePart

K = EventKind
KEPT = 1 << 18  # events, and pieces of memory, that are kept
_PENDING = 4096  # pages of one command
_THREADS = 1024


class Piece(NamedTuple):
    """Memory that the HCA took by DMA, and what for.

    Args:
        what: "ring of completion queue 1 (handle 0)", "datagram sent", ...
        bus_addr, length: of the memory.
        time_us, line, text: of the log's line.
    """

    what: str
    bus_addr: int
    length: int
    time_us: int
    line: int
    text: str


class HcaNote(NamedTuple):
    """One event of the HCA.

    Args:
        kind: what it is.
        time_us, line, text: of the log's line.
        ends: True where it takes something out of use.
        subject: what it is about; events of one subject keep their order.
        values: the slots of its row, by the names of `EventBatch.add`.
        hca: numbers beside the row.
        pieces: memory that must be mapped at that time.
    """

    kind: EventKind
    time_us: int
    line: int
    text: str
    ends: bool
    subject: str
    values: dict[str, int]
    hca: tuple[tuple[HcaValue, int], ...] = ()
    pieces: tuple[Piece, ...] = ()


@dataclass(slots=True)
class HcaLog:
    """What a device log says of an HCA.

    Attributes:
        notes: events, in the order of the log.
        pieces: memory that the HCA took, in the order of the log.
        left_out: of both, beyond what is kept.
    """

    notes: list[HcaNote] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    left_out: int = 0

    def __bool__(self) -> bool:
        """Tell whether the log has anything of an HCA."""
        return bool(self.notes or self.pieces)


_N = r"(\d{1,9})"
_X = r"0x([0-9a-f]{1,16})"
_MAP = re.compile(rf"{_X} -> \S+ \(len={_N}\)")
_TABLE = re.compile(rf"tbl (CQ|QP|PD|MR), handle {_N}$")
_ALLOC_MR = re.compile(
    rf"mr_handle={_N}, host_virt=\S+, guest_start={_X}, length={_N}, access_flags={_X}"
)
_DEALLOC_MR = re.compile(rf"mr_handle={_N}, ")
_ALLOC_QP = re.compile(rf"rm_qpn={_N}, backend_qpn={_X}, qp_type={_N}")
_MODIFY_QP = re.compile(rf"qpn={_X}, attr_mask={_X}, qp_state={_N}")
_UAR = re.compile(rf"uar\[\S+\]=\S+ \(cls=QP, op=(SEND|RECV), obj={_N}, ")
_CQE = re.compile(
    rf"cq_handle={_N}, notify=\d+, wr_id={_X}, qpn={_X}, opcode={_N}, status={_N}, byte_len={_N}"
)
_MAD = re.compile(r"mad (send|recv) \(\d{1,9}\): ((?:[0-9A-F]{2} ){16})")
_ATTR_STATE = 1  # IB_QP_STATE: enum ib_qp_attr_mask, include/rdma/ib_verbs.h
_RECEIVED = 128  # PVRDMA_WC_RECV, include/standard-headers/rdma/vmw_pvrdma-abi.h


@dataclass(slots=True)
class _Thread:
    """What one thread of QEMU is at."""

    maps: list[Piece] = field(default_factory=list)
    receiving: tuple[int, str] | None = None  # transaction and line of a datagram on its way in
    sending: HcaNote | None = None


class HcaParser:
    """Turns lines about an HCA into events.

    Args:
        log: is filled.
    """

    def __init__(self, log: HcaLog) -> None:
        self._log = log
        self._threads: dict[str, _Thread] = {}
        self._numbers: dict[int, int] = {}  # handle of a queue pair -> its number
        self._pages: dict[int, list[Piece]] = {}
        self.readers: dict[str, Callable[[str], None]] = {
            "pvrdma_regs_write": self._command,
            "rdma_pci_dma_map": self._mapped,
            "rdma_res_tbl_alloc": self._allocated,
            "rdma_res_tbl_dealloc": self._freed,
            "rdma_rm_alloc_mr": self._region,
            "rdma_rm_dealloc_mr": self._region_ended,
            "rdma_rm_alloc_qp": self._queue_pair,
            "rdma_rm_modify_qp": self._modified,
            "pvrdma_uar_write": self._doorbell,
            "pvrdma_post_cqe": self._completion,
            "rdma_mad_message": self._datagram,
        }
        self._begin("", 0, 0, "")

    def take(self, event: str, rest: str, pid: str, time_us: int, number: int, text: str) -> None:
        """Read one line, if it is about an HCA."""
        read = self.readers.get(event)
        if read is not None:
            self._begin(pid, time_us, number, text)
            read(rest)

    def _begin(self, pid: str, time_us: int, number: int, text: str) -> None:
        if pid not in self._threads and len(self._threads) >= _THREADS:
            self._threads.clear()
        self._thread = self._threads.setdefault(pid, _Thread())
        self._time, self._number, self._text = time_us, number, text

    def _note(
        self, kind: EventKind, subject: str, *, ends: bool = False,
        hca: tuple[tuple[HcaValue, int], ...] = (), pieces: tuple[Piece, ...] = (), **values: int,
    ) -> HcaNote:  # fmt: skip
        note = HcaNote(
            kind, self._time, self._number, self._text, ends, subject, values, hca, pieces
        )
        if len(self._log.notes) < KEPT:
            self._log.notes.append(note)
        else:
            self._log.left_out += 1
        return note

    def _used(self, what: str, pieces: list[Piece]) -> tuple[Piece, ...]:
        """Name what memory was taken for."""
        named = tuple(piece._replace(what=what) for piece in pieces)
        for piece in named:
            if len(self._log.pieces) < KEPT:
                self._log.pieces.append(piece)
            else:
                self._log.left_out += 1
        return named

    def _command(self, rest: str) -> None:
        """Begin a command: what was taken before it belongs to none that is to come."""
        thread = self._thread
        if "(INTR_MASK" in rest and thread.maps:
            self._used("shared region, command slots and event rings", thread.maps)
        thread.maps = []

    def _mapped(self, rest: str) -> None:
        m = _MAP.match(rest)
        if m is None:
            return
        piece = Piece("", int(m[1], 16), int(m[2]), self._time, self._number, self._text)
        thread = self._thread
        if thread.receiving is not None:
            tid, _ = thread.receiving
            pieces = self._used("datagram received", [piece])
            thread.sending = self._mad(K.MAD_RECV, pieces, tid)
            thread.receiving = None
        elif len(thread.maps) < _PENDING:
            thread.maps.append(piece)

    def _take_maps(self) -> list[Piece]:
        maps, self._thread.maps = self._thread.maps, []
        return maps

    def _queue(self, number: int, part: QueuePart, name: str) -> None:
        """Tell the memory of a queue: behind its directory and its table."""
        maps = self._take_maps()
        self._used(f"page directory and table of {name}", maps[:2])
        for piece in self._used(f"ring of {name}", maps[2:]):
            self._note(
                K.QUEUE_MEMORY, name, pieces=(piece,), object=number, type=int(part),
                bus_addr=piece.bus_addr, length=piece.length,
            )  # fmt: skip

    def _allocated(self, rest: str) -> None:
        m = _TABLE.match(rest)
        if m is None:
            return
        handle = int(m[2])
        if m[1] == "PD":
            self._note(K.ALLOC_PD, f"protection domain {handle}", phys_addr=handle)
        elif m[1] == "CQ":
            name = f"completion queue {handle + 1} (handle {handle})"
            self._note(K.CREATE_CQ, name, object=handle + 1)
            self._queue(handle + 1, QueuePart.CQ_RING, name)

    def _freed(self, rest: str) -> None:
        m = _TABLE.match(rest)
        if m is None:
            return
        handle = int(m[2])
        if m[1] == "PD":
            self._note(K.DEALLOC_PD, f"protection domain {handle}", ends=True, phys_addr=handle)
        elif m[1] == "CQ":
            name = f"completion queue {handle + 1} (handle {handle})"
            self._note(K.DESTROY_CQ, name, ends=True, object=handle + 1)
        elif m[1] == "QP" and handle in self._numbers:
            number = self._numbers.pop(handle)
            self._note(K.DESTROY_QP, f"queue pair {number}", ends=True, object=number)

    def _region(self, rest: str) -> None:
        m = _ALLOC_MR.match(rest)
        maps = self._take_maps()
        if m is None:
            return
        key = int(m[1])
        self._used(f"page directory and table of region {key}", maps[:2])
        self._used(f"page of region {key}", maps[2:])
        # The region with handle 0 is the kernel's, of all memory; no key has the number 0.
        if key and int(m[3]):
            self._note(
                K.REG_MR, f"region {key}", object=key, bus_addr=int(m[2], 16), length=int(m[3]),
                direction=int(m[4], 16) & 0xFF,
            )  # fmt: skip

    def _region_ended(self, rest: str) -> None:
        m = _DEALLOC_MR.match(rest)
        if m and int(m[1]):
            self._note(K.DEREG_MR, f"region {int(m[1])}", ends=True, object=int(m[1]))

    def _queue_pair(self, rest: str) -> None:
        m = _ALLOC_QP.match(rest)
        if m is None:
            return
        number, service = int(m[2], 16), int(m[3])
        if not 0 < number < 1 << 24 or len(self._numbers) > 65536:
            return
        self._numbers[int(m[1])] = number
        name = f"queue pair {number}"
        # enum ib_qp_type begins with 0, QpType with 1.
        self._note(K.CREATE_QP, name, object=number, type=service + 1 if service < 7 else 0)
        self._queue(number, QueuePart.QP_RING, name)

    def _modified(self, rest: str) -> None:
        m = _MODIFY_QP.match(rest)
        if m and int(m[2], 16) & _ATTR_STATE and int(m[3]) < QpState.ERR:
            number = int(m[1], 16) & 0xFFFFFF
            self._note(K.MODIFY_QP, f"queue pair {number}", object=number, status=int(m[3]) + 1)

    def _doorbell(self, rest: str) -> None:
        self._thread.maps = []
        m = _UAR.match(rest)
        if m:
            part = QueuePart.SEND_RING if m[1] == "SEND" else QueuePart.RECV_RING
            number = int(m[2]) & 0xFFFFFF
            self._note(K.DOORBELL, f"queue pair {number}", object=number, type=int(part))

    def _completion(self, rest: str) -> None:
        m = _CQE.match(rest)
        if m is None:
            return
        thread, number = self._thread, int(m[3], 16) & 0xFFFFFF
        if thread.sending is not None:
            self._mad_done(thread.sending, int(m[2], 16), int(m[5]))
            thread.sending = None
        # Posts have no lines of their own, so a completion is not told whose it is.
        opcode = 11 if int(m[4]) & _RECEIVED else 0
        self._note(
            K.CQE, f"queue pair {number}", object=number, status=int(m[5]) & 0x7F,
            length=int(m[6]), type=opcode,
        )  # fmt: skip

    def _datagram(self, rest: str) -> None:
        m = _MAD.match(rest)
        if m is None:
            return
        tid = int(m[2].replace(" ", "")[16:32], 16)
        if m[1] == "recv":
            self._thread.receiving = tid, self._text
            return
        maps = self._take_maps()[-2:]
        self._thread.sending = self._mad(K.MAD_SEND, self._used("datagram sent", maps), tid)

    def _mad(self, kind: EventKind, pieces: tuple[Piece, ...], tid: int) -> HcaNote | None:
        note = None
        for piece in pieces:
            note = self._note(
                kind, f"datagram {piece.bus_addr:#x}", pieces=(piece,), type=int(MadStep.POSTED),
                bus_addr=piece.bus_addr, length=piece.length, hca=((HcaValue.TID, tid),),
            )  # fmt: skip
        return note and note._replace(pieces=pieces)

    def _mad_done(self, posted: HcaNote, wr_id: int, status: int) -> None:
        for piece in posted.pieces:
            self._note(
                posted.kind, f"datagram {piece.bus_addr:#x}", ends=True, pieces=(piece,),
                type=int(MadStep.COMPLETED), bus_addr=piece.bus_addr, length=piece.length,
                phys_addr=wr_id, status=status & 0x7F, hca=posted.hca,
            )  # fmt: skip
