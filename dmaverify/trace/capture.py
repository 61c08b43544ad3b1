"""Read packet captures: what peers ask an HCA for by RDMA, and what it answers.

Formats `pcap` and `pcapng` (tcpdump.org/manpages/pcap-savefile.5.html; IETF
draft-ietf-opsawg-pcapng). A row is a request that names memory of the peer (a read, a write, an
atomic), or its answer. The rest of the traffic counts as skipped. A row's device is the address
that is asked: keys are that HCA's.
"""

import socket
from collections.abc import Iterator
from typing import NamedTuple

from dmaverify.errors import TraceError
from dmaverify.model.events import EventBatch
from dmaverify.model.finding import Notice
from dmaverify.trace._capture import CaptureDecoder
from dmaverify.trace.around import Lineless
from dmaverify.trace.source import Source

CHUNK = 1 << 20
ROOM = 1 << 21  # more than one record
_LEAST = 24  # bytes that tell what a file is
_MAPPED = bytes(10) + b"\xff\xff"  # IPv4 in an address of IPv6: RFC 4291, 2.5.5.2

#: What a capture begins with: format, and byte order, where it is one that is read.
PCAP_MAGICS = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"


def is_capture(head: bytes) -> bool:
    """Return True where a file begins as a packet capture does."""
    if head.startswith(PCAPNG_MAGIC):
        return head[8:12] in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a")
    return head.startswith(PCAP_MAGICS)


class _Count(NamedTuple):
    name: str
    id: str
    text: str


_COUNTS = (
    _Count("cut", "packet-cut-short",
           "packets were cut before the end of their headers and tell nothing; capture with a "
           "larger snapshot length (tcpdump -s 128)"),
    _Count("fragments", "packet-fragmented",
           "packets are later parts of IP datagrams, which have no RDMA header"),
    _Count("repeated", "request-repeated",
           "requests were sent again, or captured twice; they count once"),
    _Count("orphans", "answer-without-request",
           "answers are about requests that the capture does not hold, or that are answered"),
    _Count("unclear", "answer-unclear",
           "answers may be about requests on several queue pairs; they were left out"),
    _Count("strangers", "interface-unknown",
           "packets name an interface that the file does not describe; they were left out"),
    _Count("flows_refused", "queue-pairs-not-followed",
           "packets are of queue pairs that were not followed, because there are too many"),
)  # fmt: skip


class CaptureReader(Lineless):
    """Reads one packet capture; see `Reader` in trace/base.py.

    Args:
        source: an opened capture from which nothing has been read.

    Raises:
        TraceError: it ends in its head, or no link type in it is known.
    """

    binary = True
    clock = "unix"
    ticks = False
    every_sync = False

    def __init__(self, source: Source) -> None:
        self.path = source.path
        self.size = source.size
        self.streaming = source.streaming
        self.format = "pcapng" if source.head.startswith(PCAPNG_MAGIC) else "pcap"
        self.devices = [""]
        self.records = self.skipped = self.lost = self.consumed = 0
        self.complete = True
        self.notices: list[Notice] = []
        self._source = source
        if len(source.head) < _LEAST:
            raise TraceError(self.path, None, f"ends in the head of a {self.format} file; {AGAIN}")
        self._decoder = CaptureDecoder(source.head[:_LEAST])
        self._rows = 0
        self.counts = self._decoder.counts

    def batches(self) -> Iterator[EventBatch]:
        """Give the rows in the order of the file; the batch is reused by the next.

        Raises:
            TraceError: the source can not be read on, or nothing in it can be understood.
        """
        batch = EventBatch(4096)
        buffer = bytearray(ROOM)
        view = memoryview(buffer)
        have = 0
        at = 0 if self.format == "pcapng" else _LEAST
        start = at
        while got := self._source.readinto(view[have : have + CHUNK]):
            have += got
            if have <= start:
                continue
            batch.clear()
            used = self._decoder.decode(buffer, start, have, at, batch)
            self._publish(len(batch))
            yield batch
            if self._decoder.broken is not None:
                break
            at += used
            rest = bytes(view[start + used : have])
            view[: len(rest)] = rest
            have, start = len(rest), 0
        self._finish(have - start)

    def _publish(self, rows: int) -> None:
        self.counts = self._decoder.counts
        self._rows += rows
        self.consumed = self._source.consumed
        self.records = self.counts["packets"]
        self.lost = self.counts["lost"]
        self.skipped = max(0, self.records - self._rows)
        for address in self._decoder.addresses(len(self.devices) - 1):
            self.devices.append(address_name(address))

    def _cut_short(self, why: str) -> None:
        text = f"the capture is cut short: {why}; {AGAIN}"
        self.notices.append(Notice("trace-cut-short", text))
        self.complete = False

    def _finish(self, left: int) -> None:
        broken = self._decoder.broken
        if broken is not None:
            if not self.records:
                raise TraceError(
                    self.path, broken, f"is no record of a {self.format} file; {AGAIN}"
                )
            self._cut_short(f"what begins at byte {broken} is no record of a {self.format} file")
        elif self._source.cut_short:
            self._cut_short(f"its {self._source.compression} data ends early or is damaged")
        elif left > 0:
            self._cut_short("its last record has no end and was left out")
        for name, id_, text in _COUNTS:
            if self.counts[name]:
                self.notices.append(Notice(id_, text, self.counts[name]))
        self._say_what_it_is()

    def _say_what_it_is(self) -> None:
        counts = self.counts
        if counts["unknown_links"]:
            links = ", ".join(map(str, self._decoder.links))
            text = f"packets of link type {links} can not be read; {LINKS}"
            if counts["unknown_links"] == counts["packets"]:
                raise TraceError(self.path, None, f"all its {text}")
            self.notices.append(Notice("link-type-unknown", text, counts["unknown_links"]))
        if not counts["rdma"]:
            text = f"none of its {counts['packets']:,} packets is RDMA (UDP port 4791); {CAPTURE}"
            self.notices.append(Notice("no-rdma", text))
        elif counts["requests"]:
            self.notices.append(Notice(ALONE, NO_REGISTRATIONS, counts["requests"]))

    def close(self) -> None:
        """Give back the file."""
        self._source.close()


def address_name(address: bytes) -> str:
    """Return 16 bytes of an address as people write it."""
    if address.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, address[12:])
    return socket.inet_ntop(socket.AF_INET6, address)


#: Id of the notice that is true of a capture without a trace of the HCA beside it.
ALONE = "registrations-missing"
NO_REGISTRATIONS = (
    "requests by keys whose registrations a capture does not have: range, rights and lifetime are "
    "not judged; give the recording that has them, `check RECORDING --packets CAPTURE`"
)
AGAIN = "copy it again, whole, or capture again"
LINKS = "capture at an Ethernet interface (tcpdump -i DEVICE -w FILE)"
CAPTURE = "capture at the HCA's port, where the adapter shows RDMA to the host, or at the switch"
