"""Read what QEMU logs of a device's side: `PID@SECONDS.MICROSECONDS:event text`.

QEMU docs/devel/tracing.rst, the "log" backend with `-msg timestamp=on`; the events are those
of hw/i386/trace-events (`vtd_*`), softmmu/trace-events (`memory_region_ops_write`) and the
trace-events of hw/nvme, hw/net and hw/rdma. Registers of the `edu` device: docs/specs/edu.

What an event tells differs. A register write or a descriptor names address, length and
direction. `vtd_dmar_translate` proves that a page was touched, and no more. `vtd_dmar_fault`
names the device and the direction of what the IOMMU refused.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from dmaverify.errors import TraceError
from dmaverify.model.kinds import EventKind
from dmaverify.trace.devlog_hca import HcaLog, HcaParser
from dmaverify.trace.faults import pci_name, requester_name
from dmaverify.trace.lines import Lines

PAGE = 4096
KEPT = 1 << 20  # accesses of one log that are kept
TOUCH = "touch"  # the family of accesses that are known by their page only
EDU_DELAY_US = 100_000  # from the command to the transfer: hw/misc/edu.c, DMA timer
EDU_DOUBT_US = 5_000
_EDU_BAR = 1 << 20  # bytes of its registers
_EDU_SOURCE, _EDU_TARGET, _EDU_COUNT, _EDU_COMMAND = 0x80, 0x88, 0x90, 0x98
_SYNC_REGISTER = 0x4  # the liveness check: any value may be written
_NEAR_US = 1_000_000  # lines of two families about one page within this time are of one device
_INTERRUPTS = range(0xFEE00000, 0xFEF00000)  # Intel SDM vol. 3, "Message Signalled Interrupts"


class DeviceAccess(NamedTuple):
    """One access, or one refused access, by the log's clock.

    Args:
        time_us: host time.
        family: which lines it comes from: "nvme", "e1000e", "rdma", "edu@BASE", "touch", "fault".
        device: name of the device, "" where the line does not tell.
        kind: DEV_READ, DEV_WRITE, DEV_ACCESS (direction not told) or DEV_FAULT.
        bus_addr: bytes.
        length: bytes, None where only the page is known.
        write: True where the device writes memory, None where the line does not tell.
        doubt_us: how far the time may be off by the log itself.
        told_us: host time of the line.
        line: 1-based.
        text: the line.
    """

    time_us: int
    family: str
    device: str
    kind: EventKind
    bus_addr: int
    length: int | None
    write: bool | None
    doubt_us: int
    told_us: int
    line: int
    text: str


@dataclass(slots=True)
class DeviceLog:
    """What a device log says.

    Attributes:
        path: as the user named it.
        accesses: in the order of the log.
        syncs: numbers written to mark a moment: number -> (host time in us, register base).
        votes: for each family, how often lines of a named device were about the same page.
        further: lines that the log says were left out.
        left_out: accesses beyond what is kept.
        lines, events: lines in all, and those of QEMU's form.
        cut_short: True where the compressed data ends early.
        hca: what an HCA says of itself.
    """

    path: str
    accesses: list[DeviceAccess] = field(default_factory=list)
    syncs: dict[int, tuple[int, int]] = field(default_factory=dict)
    votes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    further: int = 0
    left_out: int = 0
    lines: int = 0
    events: int = 0
    cut_short: bool = False
    hca: HcaLog = field(default_factory=HcaLog)


_LINE = re.compile(
    r"(?P<pid>\d{1,10})@(?P<s>\d{1,12})\.(?P<us>\d{6}):(?P<event>\w{1,64})(?: (?P<rest>.*))?$"
)
_HEX = r"0x([0-9a-f]{1,16})"
_TRANSLATE = re.compile(
    r"dev (?P<bus>[0-9a-f]{2}):(?P<slot>[0-9a-f]{2})\.(?P<function>[0-9a-f]{1,2})"
    rf" iova {_HEX} -> "
)
_FAULT = re.compile(rf"sid {_HEX} fault \d+ addr {_HEX} write (\d+)")
_WRITE = re.compile(rf"cpu -?\d+ mr 0x[0-9a-f]+ addr {_HEX} value {_HEX} size \d+ name 'edu-mmio'")
_NVME_ADDR = re.compile(rf"addr {_HEX} len (\d{{1,19}})")
_NVME_COUNT = re.compile(r"count (\d{1,19})")
_RX = re.compile(rf"buffer #\d+, addr: {_HEX}, offset: (\d{{1,19}}), .*length: (\d{{1,19}})")
_TX = re.compile(r"0x([0-9a-f]{1,16}) : ([0-9a-f]{1,8}) ([0-9a-f]{1,8})")
_RDMA = re.compile(rf"{_HEX} -> \S+ \(len=(\d{{1,19}})\)")
_FURTHER = re.compile(r"# (\d{1,12}) further ")
_TX_DATA = 1 << 20  # DTYP of an extended descriptor: Intel 82574 datasheet, 7.2.10
_TX_EXTENDED = 1 << 29


def read_device_log(path: str) -> DeviceLog:
    """Read a device log.

    Args:
        path: a file, compressed or not; "-" for standard input.

    Raises:
        TraceError: it can not be read, or no line of it is of QEMU's trace log.
    """
    log = DeviceLog(path)
    parser = _Parser(log)
    lines = Lines(path)
    for number, text in enumerate(lines, 1):
        log.lines = number
        parser.take(text, number)
    log.cut_short = lines.cut_short
    if not log.events:
        raise TraceError(path, None, NOT_A_LOG)
    return log


NOT_A_LOG = (
    "no line of it is of QEMU's trace log with times; record it with"
    " `-trace EVENT -D FILE -msg timestamp=on`"
)


class _Command:
    """The NVMe command that a thread works on: what is left to map, and which way."""

    __slots__ = ("left", "write")

    def __init__(self, left: int, *, write: bool) -> None:
        self.left = left
        self.write = write


class _Parser:
    """Turns lines into accesses."""

    def __init__(self, log: DeviceLog) -> None:
        self._log = log
        self._hca = HcaParser(log.hca)
        self._registers: dict[int, dict[int, tuple[int, int, str]]] = {}
        self._commands: dict[str, _Command] = {}
        self._told: dict[int, tuple[str, int]] = {}  # page -> family, time
        self._touched: dict[int, tuple[str, int]] = {}  # page -> device, time
        self._readers = {
            "vtd_dmar_translate": self._translate,
            "vtd_dmar_fault": self._fault,
            "memory_region_ops_write": self._register,
            "pci_nvme_io_cmd": self._nvme_command,
            "pci_nvme_read": self._nvme_data,
            "pci_nvme_write": self._nvme_data,
            "pci_nvme_map_addr": self._nvme_map,
            "e1000e_rx_desc_buff_write": self._received,
            "e1000e_tx_descr": self._sent,
            "rdma_pci_dma_map": self._rdma,
        }

    def take(self, text: str, number: int) -> None:
        """Read one line; what is not known is passed over."""
        found = _LINE.match(text)
        if found is None:
            further = _FURTHER.match(text)
            if further:
                self._log.further += int(further[1])
            return
        self._log.events += 1
        read = self._readers.get(found["event"])
        if read is not None:
            self._text, self._number = text, number
            self._time = int(found["s"]) * 1_000_000 + int(found["us"])
            self._event, self._pid = found["event"], found["pid"]
            read(found["rest"] or "")
        if found["event"] in self._hca.readers:
            time = int(found["s"]) * 1_000_000 + int(found["us"])
            self._hca.take(found["event"], found["rest"] or "", found["pid"], time, number, text)

    def _add(
        self, family: str, address: int, length: int | None, write: bool | None, device: str = ""
    ) -> None:
        kind = EventKind.DEV_ACCESS
        if family == "fault":
            kind = EventKind.DEV_FAULT
        elif write is not None:
            kind = EventKind.DEV_WRITE if write else EventKind.DEV_READ
        if length == 0 or address >> 64 or (length or 0) >> 63:
            return
        self._keep(
            DeviceAccess(
                self._time,
                family,
                device,
                kind,
                address,
                length,
                write,
                0,
                self._time,
                self._number,
                self._text,
            )
        )

    def _keep(self, access: DeviceAccess) -> None:
        log = self._log
        if len(log.accesses) >= KEPT:
            log.left_out += 1
            return
        log.accesses.append(access)
        page = access.bus_addr // PAGE
        for table in (self._told, self._touched):
            if len(table) > 1 << 16:
                table.clear()
        if access.device:
            told = self._told.get(page)
            if told and access.time_us - told[1] <= _NEAR_US:
                log.votes[told[0]][access.device] += 1
            self._touched[page] = access.device, access.time_us
        else:
            touched = self._touched.get(page)
            # A register write of edu is before its touch; what was before it is of another.
            edu = access.family.startswith("edu@")
            if touched and not edu and access.time_us - touched[1] <= _NEAR_US:
                log.votes[access.family][touched[0]] += 1
            self._told[page] = access.family, access.time_us

    def _translate(self, rest: str) -> None:
        m = _TRANSLATE.match(rest)
        if m and int(m["function"], 16) < 8:
            address = int(m[4], 16)
            if address not in _INTERRUPTS:
                name = pci_name(None, m["bus"], m["slot"], m["function"])
                self._add(TOUCH, address, None, None, name)

    def _fault(self, rest: str) -> None:
        m = _FAULT.match(rest)
        if m:
            name = requester_name(int(m[1], 16) & 0xFFFF)
            self._add("fault", int(m[2], 16), None, m[3] != "0", name)

    def _register(self, rest: str) -> None:
        m = _WRITE.match(rest)
        if m is None:
            return
        address, value = int(m[1], 16), int(m[2], 16)
        base, register = address & ~(_EDU_BAR - 1), address & (_EDU_BAR - 1)
        if register == _SYNC_REGISTER:
            if len(self._log.syncs) < KEPT:
                self._log.syncs.setdefault(value, (self._time, base))
            return
        if len(self._registers) > 1024:
            return
        held = self._registers.setdefault(base, {})
        if register in (_EDU_SOURCE, _EDU_TARGET, _EDU_COUNT):
            held[register] = value, self._number, self._text
        elif register == _EDU_COMMAND and value & 1:
            self._transfer(base, held, write=bool(value & 2))

    def _transfer(self, base: int, held: dict[int, tuple[int, int, str]], *, write: bool) -> None:
        where = held.get(_EDU_TARGET if write else _EDU_SOURCE)
        count = held.get(_EDU_COUNT)
        if where is None or count is None or not count[0] or count[0] >> 63:
            return
        address, number, text = where
        kind = EventKind.DEV_WRITE if write else EventKind.DEV_READ
        time = self._time + EDU_DELAY_US
        self._keep(
            DeviceAccess(
                time,
                f"edu@{base:x}",
                "",
                kind,
                address,
                count[0],
                write,
                EDU_DOUBT_US,
                self._time,
                number,
                text,
            )
        )

    def _nvme_command(self, _rest: str) -> None:
        self._commands.pop(self._pid, None)

    def _nvme_data(self, rest: str) -> None:
        m = _NVME_COUNT.search(rest)
        if m and len(self._commands) < 65536:
            # A command that reads the medium writes memory.
            self._commands[self._pid] = _Command(int(m[1]), write=self._event == "pci_nvme_read")

    def _nvme_map(self, rest: str) -> None:
        m = _NVME_ADDR.match(rest)
        if m is None:
            return
        length = int(m[2])
        command = self._commands.get(self._pid)
        write = None
        # Mappings of an admin command follow none of these lines: their way is not known.
        if command is not None and length <= command.left:
            command.left -= length
            write = command.write
        self._add("nvme", int(m[1], 16), length, write)

    def _received(self, rest: str) -> None:
        m = _RX.match(rest)
        if m:
            self._add("e1000e", int(m[1], 16) + int(m[2]), int(m[3]), True)

    def _sent(self, rest: str) -> None:
        m = _TX.match(rest)
        if m is None:
            return
        lower = int(m[2], 16)
        # A legacy descriptor has the length in the same place: datasheet, 7.2.9.
        if not lower & _TX_EXTENDED or lower >> 20 & 15 == _TX_DATA >> 20:
            self._add("e1000e", int(m[1], 16), lower & 0xFFFF, False)

    def _rdma(self, rest: str) -> None:
        m = _RDMA.match(rest)
        if m:
            self._add("rdma", int(m[1], 16), int(m[2]), None)
