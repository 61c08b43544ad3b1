"""Build packet captures in code: RoCE v2 packets from their headers, in pcap and pcapng files.

Written after the layouts in Linux drivers/infiniband/sw/rxe/rxe_hdr.h and include/rdma/ib_pack.h,
tcpdump.org/manpages/pcap-savefile.5.html and IETF draft-ietf-opsawg-pcapng, and on purpose
without anything of the reader.
"""

import ipaddress
import struct
from dataclasses import dataclass, field

RC, UC, XRC = 0, 1, 5
SEND_FIRST, SEND_MIDDLE, SEND_LAST, SEND_ONLY = 0, 1, 2, 4
WRITE_FIRST, WRITE_MIDDLE, WRITE_LAST, WRITE_ONLY = 6, 7, 8, 10
READ, READ_FIRST, READ_MIDDLE, READ_LAST, READ_ONLY = 12, 13, 14, 15, 16
ACK, ATOMIC_ACK, COMPARE_SWAP, FETCH_ADD = 17, 18, 19, 20
SEND_LAST_INV, SEND_ONLY_INV, FLUSH, ATOMIC_WRITE = 22, 23, 28, 29

NAK_SEQUENCE, NAK_INVALID, NAK_ACCESS, NAK_OPERATION = 0x60, 0x61, 0x62, 0x63
RNR = 0x20

A, B = "10.0.0.1", "10.0.0.2"


def bth(opcode: int, queue_pair: int, psn: int, service: int = RC) -> bytes:
    """Return a base transport header."""
    word = (service << 5 | opcode, 0, 0xFFFF, queue_pair & 0xFFFFFF, psn & 0xFFFFFF)
    return struct.pack(">BBHII", *word)


def reth(address: int, key: int, length: int) -> bytes:
    """Return an RDMA extended transport header."""
    return struct.pack(">QII", address, key, length)


def atomic(address: int, key: int, swap: int = 0, compare: int = 0) -> bytes:
    """Return an atomic extended transport header."""
    return struct.pack(">QIQQ", address, key, swap, compare)


def aeth(syndrome: int = 0, msn: int = 0) -> bytes:
    """Return an acknowledge extended transport header."""
    return struct.pack(">I", syndrome << 24 | msn)


def udp(payload: bytes, port: int = 4791) -> bytes:
    """Return a UDP datagram; the payload is followed by an invariant CRC that nobody checks."""
    body = payload + bytes(4)
    return struct.pack(">HHHH", 49152, port, 8 + len(body), 0) + body


def ip(payload: bytes, source: str, target: str, protocol: int = 17) -> bytes:
    """Return an IPv4 or IPv6 datagram."""
    by, to = ipaddress.ip_address(source), ipaddress.ip_address(target)
    if by.version == 6:
        head = struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64)
        return head + by.packed + to.packed + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0)
    return head + by.packed + to.packed + payload


def ethernet(datagram: bytes, tags: tuple[int, ...] = ()) -> bytes:
    """Return an Ethernet frame; `tags` are the Ethertypes of VLAN tags, the outer one first."""
    kind = 0x86DD if datagram[0] >> 4 == 6 else 0x0800
    kinds = [*tags, kind]
    head = bytes.fromhex("020000000002020000000001") + struct.pack(">H", kinds[0])
    return head + b"".join(struct.pack(">HH", 5, k) for k in kinds[1:]) + datagram


def frame(transport: bytes, source: str = A, target: str = B, tags: tuple[int, ...] = ()) -> bytes:
    """Return an Ethernet frame with RoCE v2 in it."""
    return ethernet(ip(udp(transport), source, target), tags)


@dataclass
class Wire:
    """Packets of one connection between two hosts, in the order in which they are seen.

    Args:
        asks, answers: addresses of who asks and who answers.
        asked, asking: their queue pairs.
        psn: number of the next request.
        now: ns, of the next packet.
        step: ns from one packet to the next.
    """

    asks: str = A
    answers: str = B
    asked: int = 0x12
    asking: int = 0x34
    psn: int = 100
    now: int = 1_700_000_000_000_000_000
    step: int = 1000
    service: int = RC
    packets: list[tuple[int, bytes]] = field(default_factory=list)

    def put(self, transport: bytes, back: bool = False) -> None:
        """Append one packet, in the direction of the request or back."""
        ends = (self.answers, self.asks) if back else (self.asks, self.answers)
        self.packets.append((self.now, frame(transport, *ends)))
        self.now += self.step

    def ask(self, opcode: int, head: bytes = b"", payload: int = 0) -> int:
        """Append a request and return its number."""
        psn = self.psn
        self.put(bth(opcode, self.asked, psn, self.service) + head + bytes(payload))
        self.psn += 1
        return psn

    def write(self, address: int, key: int, length: int = 64) -> int:
        """Append a write of one packet and return its number."""
        return self.ask(WRITE_ONLY, reth(address, key, length), min(length, 64))

    def read(self, address: int, key: int, length: int = 64, packets: int = 1) -> int:
        """Append a read whose answer will have so many packets, and return its number."""
        psn = self.ask(READ, reth(address, key, length))
        self.psn += packets - 1
        return psn

    def answer(self, psn: int, syndrome: int = 0, opcode: int = ACK, payload: int = 0) -> None:
        """Append an answer: an acknowledgement, a refusal, or the last of a read's bytes."""
        self.put(bth(opcode, self.asking, psn, self.service) + aeth(syndrome) + bytes(payload), True)


def pcap(
    packets: list[tuple[int, bytes]], order: str = "<", nano: bool = False, link: int = 1,
    snap: int = 1 << 18,
) -> bytes:  # fmt: skip
    """Return a pcap file of (ns, frame) pairs."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = bytearray(struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link))
    for when, data in packets:
        seconds, rest = divmod(when, 1_000_000_000)
        kept = data[:snap]
        fraction = rest if nano else rest // 1000
        out += struct.pack(order + "IIII", seconds, fraction, len(kept), len(data)) + kept
    return bytes(out)


def block(order: str, kind: int, body: bytes) -> bytes:
    """Return a block of pcapng."""
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def option(order: str, code: int, data: bytes) -> bytes:
    """Return an option of a block."""
    return struct.pack(order + "HH", code, len(data)) + data + bytes(-len(data) % 4)


def section(order: str = "<") -> bytes:
    """Return the block that begins a section."""
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(
    order: str = "<", resolution: int | None = 9, link: int = 1, snap: int = 0,
    offset: int | None = None,
) -> bytes:  # fmt: skip
    """Return the block of an interface."""
    body = struct.pack(order + "HHI", link, 0, snap)
    if resolution is not None:
        body += option(order, 9, bytes([resolution]))
    if offset is not None:
        body += option(order, 14, struct.pack(order + "q", offset))
    return block(order, 1, body + option(order, 0, b""))


def packet_block(ticks: int, data: bytes, order: str = "<", number: int = 0) -> bytes:
    """Return an enhanced packet block."""
    head = (number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(order, 6, struct.pack(order + "IIIII", *head) + data + bytes(-len(data) % 4))


def dropped(count: int, order: str = "<", number: int = 0) -> bytes:
    """Return a statistics block: so many packets were dropped since the start."""
    body = struct.pack(order + "III", number, 0, 0)
    return block(order, 5, body + option(order, 5, struct.pack(order + "Q", count)))


def pcapng(packets: list[tuple[int, bytes]], order: str = "<") -> bytes:
    """Return a pcapng file of one section and one interface that counts in ns."""
    body = b"".join(packet_block(when, data, order) for when, data in packets)
    return section(order) + interface(order) + body
