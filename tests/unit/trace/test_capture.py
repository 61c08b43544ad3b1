"""Packet captures: containers, headers, requests and the answers to them."""

import gzip
import struct
from pathlib import Path

import pytest

from dmaverify.errors import TraceError
from dmaverify.model.events import Event
from dmaverify.model.kinds import AccessSide, EventKind, HcaValue, Rights, WcStatus
from dmaverify.trace import open_trace
from dmaverify.trace.base import Reader
from tests.writers import roce
from tests.writers.roce import Wire

K = EventKind
NOW = 1_700_000_000_000_000_000
KEY = 0x2605


def read(tmp_path: Path, data: bytes) -> tuple[list[Event], Reader]:
    """Return all rows of a capture, and its reader at its end."""
    path = tmp_path / "capture"
    path.write_bytes(data)
    reader = open_trace(str(path))
    try:
        return [batch[i] for batch in reader.batches() for i in range(len(batch))], reader
    finally:
        reader.close()


def rows(tmp_path: Path, wire: Wire) -> list[Event]:
    """Return all rows of one connection."""
    return read(tmp_path, roce.pcapng(wire.packets))[0]


def one_write() -> Wire:
    """Return a connection with a write of 4 KiB."""
    wire = Wire()
    wire.write(0x10000, KEY, 4096)
    return wire


CONTAINERS = {
    "pcap little us": lambda p: roce.pcap(p),
    "pcap big us": lambda p: roce.pcap(p, ">"),
    "pcap little ns": lambda p: roce.pcap(p, nano=True),
    "pcap big ns": lambda p: roce.pcap(p, ">", nano=True),
    "pcapng little": lambda p: roce.pcapng(p),
    "pcapng big": lambda p: roce.pcapng(p, ">"),
    "pcapng packed": lambda p: gzip.compress(roce.pcapng(p)),
}


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_a_write_is_an_access_of_the_hca_that_is_asked(tmp_path: Path, name: str) -> None:
    """Key, address, length, right, side, queue pair and time, in each container."""
    (event,), reader = read(tmp_path, CONTAINERS[name](one_write().packets))

    assert (K.HCA_ACCESS, AccessSide.REMOTE) == (event.kind, event.type)
    assert (KEY, 0x10000, 4096) == (event.object, event.bus_addr, event.length)
    assert (Rights.REMOTE_WRITE, 2) == (event.direction, event.status)
    assert ((HcaValue.QUEUE_PAIR, 0x12),) == event.hca
    assert reader.devices[event.device] == roce.B
    assert (NOW, 1) == (event.time, event.record)
    assert (name.split()[0], "unix", 1) == (reader.format, reader.clock, reader.records)
    assert reader.complete


def test_reads_and_atomics_want_their_rights(tmp_path: Path) -> None:
    """A read reads, an atomic writes eight bytes; a compare and swap is one as a fetch and add."""
    wire = Wire()
    wire.read(0x1000, KEY, 512)
    wire.ask(roce.COMPARE_SWAP, roce.atomic(0x2000, KEY))
    wire.ask(roce.FETCH_ADD, roce.atomic(0x2008, KEY))
    got = [(e.direction, e.status, e.bus_addr, e.length) for e in rows(tmp_path, wire)]

    assert got == [
        (Rights.REMOTE_READ, 1, 0x1000, 512),
        (Rights.REMOTE_ATOMIC, 2, 0x2000, 8),
        (Rights.REMOTE_ATOMIC, 2, 0x2008, 8),
    ]


@pytest.mark.parametrize("head", ["vlan", "qinq", "ipv6", "ipv6 options", "sll", "sll2", "raw",
                                  "loop", "roce v1", "ip options"])  # fmt: skip
def test_what_may_stand_before_the_transport_header(tmp_path: Path, head: str) -> None:
    """Tags, both versions of IP, their options, and other link types."""
    link = 1
    transport = roce.bth(roce.WRITE_ONLY, 7, 1) + roce.reth(0x10000, KEY, 64)
    four = roce.ip(roce.udp(transport), roce.A, roce.B)
    six = roce.ip(roce.udp(transport), "fd00::1", "fd00::2")
    data, to = roce.ethernet(four), roce.B
    if head == "vlan":
        data = roce.ethernet(four, (0x8100,))
    elif head == "qinq":
        data = roce.ethernet(four, (0x88A8, 0x8100))
    elif head == "ipv6":
        data, to = roce.ethernet(six), "fd00::2"
    elif head == "ipv6 options":
        extension = bytes([17, 1]) + bytes(14)
        six = roce.ip(extension + roce.udp(transport), "fd00::1", "fd00::2", 60)
        data, to = roce.ethernet(six), "fd00::2"
    elif head == "sll":
        link, data = 113, bytes(14) + b"\x08\x00" + four
    elif head == "sll2":
        link, data = 276, b"\x08\x00" + bytes(18) + four
    elif head == "raw":
        link, data = 101, four
    elif head == "loop":
        link, data = 108, b"\0\0\0\2" + four
    elif head == "roce v1":
        grh = struct.pack(">IHBB", 6 << 28, len(transport), 0x1B, 64)
        ends = bytes(15) + b"\1" + bytes(15) + b"\2"
        data, to = bytes(12) + b"\x89\x15" + grh + ends + transport, "::2"
    else:
        longer = bytes([0x46, 0]) + struct.pack(">H", len(four) + 4) + four[4:20]
        data = roce.ethernet(longer + bytes(4) + four[20:])
    (event,), reader = read(tmp_path, roce.pcap([(NOW, data)], link=link))

    assert (K.HCA_ACCESS, KEY, 0x10000) == (event.kind, event.object, event.bus_addr)
    assert reader.devices[event.device] == to


REFUSALS = {
    roce.NAK_INVALID: WcStatus.REM_INV_REQ_ERR,
    roce.NAK_ACCESS: WcStatus.REM_ACCESS_ERR,
    roce.NAK_OPERATION: WcStatus.REM_OP_ERR,
}


@pytest.mark.parametrize("syndrome", sorted(REFUSALS))
def test_a_refusal_is_the_verdict_on_its_request(tmp_path: Path, syndrome: int) -> None:
    """It names the request's key and range, and says how the requester's work ends."""
    wire = Wire()
    first = wire.write(0x10000, KEY)
    second = wire.write(0x20000, 0x2705)
    wire.write(0x30000, 0x2805)
    wire.answer(second, syndrome)
    asked, bad, _, good, verdict = rows(tmp_path, wire)

    assert first + 1 == second
    assert [K.HCA_VERDICT] * 2 == [good.kind, verdict.kind]
    assert (asked.object, 0) == (good.object, good.status)  # it came before the refused one
    assert (bad.object, bad.bus_addr, bad.length) == (
        verdict.object, verdict.bus_addr, verdict.length,
    )  # fmt: skip
    assert REFUSALS[syndrome] == verdict.status
    assert (bad.device, bad.hca, bad.site) == (verdict.device, verdict.hca, verdict.site)
    assert len({asked.site, bad.site}) == 2


def test_what_is_sent_again_is_no_verdict(tmp_path: Path) -> None:
    """A receiver that is not ready and a gap in the numbers are no refusals."""
    wire = one_write()
    wire.answer(100, roce.RNR)
    wire.answer(100, roce.NAK_SEQUENCE)

    assert [K.HCA_ACCESS] == [e.kind for e in rows(tmp_path, wire)]


def test_a_write_of_many_packets_is_one_request(tmp_path: Path) -> None:
    """An answer to any of its packets is about it; an acknowledgement of its last ends it."""
    wire = Wire(psn=0xFFFFFE)  # the numbers go around
    wire.ask(roce.WRITE_FIRST, roce.reth(0x10000, KEY, 3 * 1024), 1024)
    middle = wire.ask(roce.WRITE_MIDDLE, payload=1024)
    wire.answer(middle)
    last = wire.ask(roce.WRITE_LAST, payload=1024)
    wire.answer(last)
    found = rows(tmp_path, wire)

    assert [K.HCA_ACCESS, K.HCA_VERDICT] == [e.kind for e in found]
    assert (0, KEY) == (found[1].status, found[1].object)
    refused = Wire()
    refused.ask(roce.WRITE_FIRST, roce.reth(0x10000, KEY, 3 * 1024), 1024)
    middle = refused.ask(roce.WRITE_MIDDLE, payload=1024)
    refused.answer(middle, roce.NAK_ACCESS)
    assert WcStatus.REM_ACCESS_ERR == rows(tmp_path, refused)[-1].status


def test_a_read_ends_with_the_last_of_its_bytes(tmp_path: Path) -> None:
    """The first part of the answer is no end, and neither is a later acknowledgement."""
    wire = Wire()
    psn = wire.read(0x10000, KEY, 3072, packets=3)
    wire.write(0x20000, KEY)
    wire.answer(psn, opcode=roce.READ_FIRST, payload=1024)
    assert [K.HCA_ACCESS] * 2 == [e.kind for e in rows(tmp_path, wire)]
    wire.answer(psn + 2, opcode=roce.READ_LAST, payload=1024)
    wire.answer(psn + 3)
    *_, read_done, written = rows(tmp_path, wire)

    assert (0x10000, 0, 0x20000, 0) == (
        read_done.bus_addr, read_done.status, written.bus_addr, written.status,
    )  # fmt: skip


def test_a_refused_message_names_no_memory(tmp_path: Path) -> None:
    """The peer had too little room, or a receive of its own was wrong."""
    wire = Wire()
    psn = wire.ask(roce.SEND_ONLY, payload=64)
    wire.answer(psn, roce.NAK_INVALID)
    (verdict,) = rows(tmp_path, wire)

    assert (K.HCA_VERDICT, 0, WcStatus.REM_INV_REQ_ERR) == (
        verdict.kind, verdict.object, verdict.status,
    )  # fmt: skip


def test_a_message_can_end_a_key_of_its_receiver(tmp_path: Path) -> None:
    """SEND with invalidate, of one packet and of several; sent again it counts once."""
    wire = Wire()
    wire.ask(roce.SEND_ONLY_INV, struct.pack(">I", 0x99), 64)
    wire.ask(roce.SEND_FIRST, payload=1024)
    wire.ask(roce.SEND_LAST_INV, struct.pack(">I", 0x98), 64)
    wire.psn = 100
    wire.ask(roce.SEND_ONLY_INV, struct.pack(">I", 0x99), 64)
    found, reader = read(tmp_path, roce.pcapng(wire.packets))

    assert [(K.INVALIDATE_MR, 0x99), (K.INVALIDATE_MR, 0x98)] == [(e.kind, e.object) for e in found]
    assert "request-repeated" in {n.id for n in reader.notices}


def test_a_request_that_is_sent_again_counts_once(tmp_path: Path) -> None:
    """A write that the HCA has done already is not done again; a read is."""
    wire = Wire()
    wire.write(0x10000, KEY)
    wire.read(0x20000, KEY)
    wire.psn = 100
    wire.write(0x10000, KEY)
    wire.read(0x20000, KEY)
    found = [e.bus_addr for e in rows(tmp_path, wire)]

    assert [0x10000, 0x20000, 0x20000] == found


def test_answers_of_two_queue_pairs_are_not_mixed(tmp_path: Path) -> None:
    """An answer names the asking queue pair only: its number tells which connection it is of."""
    one = Wire(psn=100)
    two = Wire(asked=0x13, asking=0x35, psn=9000, packets=one.packets)
    one.write(0x10000, 0x11)
    two.write(0x20000, 0x22)
    two.answer(9000, roce.NAK_ACCESS)
    one.answer(100)
    by_key = {e.object: e.status for e in rows(tmp_path, one) if e.kind == K.HCA_VERDICT}

    assert {0x11: 0, 0x22: WcStatus.REM_ACCESS_ERR} == by_key


def test_an_answer_that_two_requests_fit_is_left_out(tmp_path: Path) -> None:
    """Two connections with the same numbers: nobody can tell whose it is, and that is said."""
    one = Wire(psn=100)
    two = Wire(asked=0x13, asking=0x35, psn=100, packets=one.packets)
    one.write(0x10000, 0x11)
    two.write(0x20000, 0x22)
    two.answer(100, roce.NAK_ACCESS)
    found, reader = read(tmp_path, roce.pcapng(one.packets))

    assert {K.HCA_ACCESS} == {e.kind for e in found}
    assert "answer-unclear" in {n.id for n in reader.notices}


def test_the_shared_receive_queue_of_xrc_is_passed_over(tmp_path: Path) -> None:
    """Requests of the extended service have one more header."""
    wire = Wire(service=roce.XRC)
    wire.ask(roce.WRITE_ONLY, struct.pack(">I", 5) + roce.reth(0x10000, KEY, 64))
    wire.answer(100, roce.NAK_ACCESS)
    asked, verdict = rows(tmp_path, wire)

    assert (0x10000, WcStatus.REM_ACCESS_ERR) == (asked.bus_addr, verdict.status)


def test_a_flush_names_its_range(tmp_path: Path) -> None:
    """Its kind stands before the address; which right it wants is not judged."""
    wire = Wire()
    wire.ask(roce.FLUSH, bytes(4) + roce.reth(0x10000, KEY, 64))
    wire.ask(roce.ATOMIC_WRITE, roce.reth(0x10008, KEY, 8), 8)
    flush, write = rows(tmp_path, wire)

    assert (0x10000, 64, 0) == (flush.bus_addr, flush.length, flush.status)
    assert (0x10008, 8, Rights.REMOTE_WRITE) == (write.bus_addr, write.length, write.direction)


def test_other_traffic_counts_as_skipped(tmp_path: Path) -> None:
    """Messages, datagrams of other ports and protocols, and other Ethertypes."""
    packets = one_write().packets
    packets.append((NOW, roce.ethernet(roce.ip(roce.udp(bytes(40), 53), roce.A, roce.B))))
    packets.append((NOW, roce.ethernet(roce.ip(bytes(40), roce.A, roce.B, 6))))
    packets.append((NOW, bytes(12) + b"\x08\x06" + bytes(40)))
    found, reader = read(tmp_path, roce.pcap(packets))

    assert (1, 4, 3) == (len(found), reader.records, reader.skipped)


@pytest.mark.parametrize("snap", [20, 40, 60])
def test_packets_that_are_cut_tell_nothing_and_that_is_said(tmp_path: Path, snap: int) -> None:
    """A snapshot length below the headers."""
    found, reader = read(tmp_path, roce.pcap(one_write().packets, snap=snap))

    assert [] == found
    assert {"packet-cut-short"} <= {n.id for n in reader.notices}


def test_only_the_headers_are_needed(tmp_path: Path) -> None:
    """14 + 20 + 8 + 12 + 16 bytes."""
    found, _ = read(tmp_path, roce.pcap(one_write().packets, snap=70))

    assert 1 == len(found)


@pytest.mark.parametrize(
    ("resolution", "ticks", "offset"),
    [(6, NOW // 1000, None), (None, NOW // 1000, None), (0x80 | 20, NOW // 10**9 << 20, None),
     (12, 5 * 10**12, NOW // 10**9 - 5), (3, NOW // 10**6, 0)],
)  # fmt: skip
def test_interfaces_count_time_in_their_own_way(
    tmp_path: Path, resolution: int | None, ticks: int, offset: int | None
) -> None:
    """Powers of ten and of two, and seconds to be added."""
    ((_, data),) = one_write().packets
    head = roce.section() + roce.interface(resolution=resolution, offset=offset)
    (event,), _ = read(tmp_path, head + roce.packet_block(ticks, data))

    assert NOW == event.time


def test_dropped_packets_are_lost_events(tmp_path: Path) -> None:
    """The statistics of an interface count from its start."""
    ((when, data),) = one_write().packets
    body = roce.packet_block(when, data) + roce.dropped(3) + roce.dropped(5)
    found, reader = read(tmp_path, roce.section() + roce.interface() + body)

    assert [3, 2] == [e.length for e in found if e.kind == K.LOST]
    assert 5 == reader.lost


def test_a_section_has_interfaces_and_an_order_of_its_own(tmp_path: Path) -> None:
    """Files that were joined: the second part is in the other byte order."""
    wire = one_write()
    found, _ = read(tmp_path, roce.pcapng(wire.packets) + roce.pcapng(wire.packets, ">"))
    alone, reader = read(
        tmp_path, roce.pcapng(wire.packets) + roce.section() + roce.packet_block(0, b"x")
    )

    # The same request again: it was captured twice.
    assert 1 == len(found) == len(alone)
    assert "interface-unknown" in {n.id for n in reader.notices}


def test_large_blocks_that_are_no_packets_are_passed_over(tmp_path: Path) -> None:
    """A block of two megabytes between, as secrets or names may have."""
    wire = one_write()
    head = roce.section() + roce.interface() + roce.block("<", 10, bytes(2 << 20))
    body = b"".join(roce.packet_block(*p) for p in wire.packets)

    assert 1 == len(read(tmp_path, head + body)[0])


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_a_capture_may_end_at_any_byte(tmp_path: Path, kind: str) -> None:
    """What is whole is there, and what is missing is said; never anything else."""
    wire = Wire()
    for i in range(3):
        wire.answer(wire.write(0x1000 * i, KEY), roce.NAK_ACCESS)
    whole = getattr(roce, kind)(wire.packets)
    counts = []
    for end in range(1, len(whole)):
        try:
            found, reader = read(tmp_path, whole[:end])
        except TraceError:
            continue
        counts.append(len(found))
        at_border = reader.complete
        assert at_border or "trace-cut-short" in {n.id for n in reader.notices}

    assert sorted(counts) == counts
    assert 6 == len(read(tmp_path, whole)[0])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (roce.pcap([])[:20], "ends in the head of a pcap file"),
        (roce.pcap([(0, b"x" * 64)], link=147), "link type 147"),
        (roce.pcap([]) + b"\xff" * 32, "byte 24: is no record of a pcap file"),
        (b"\x34\xcd\xb2\xa1" + bytes(60), "editcap"),
    ],
)
def test_what_can_not_be_read_is_told_with_a_remedy(
    tmp_path: Path, data: bytes, words: str
) -> None:
    """Place and remedy."""
    with pytest.raises(TraceError, match=words):
        read(tmp_path, data)


def test_a_capture_without_rdma_says_so(tmp_path: Path) -> None:
    """Adapters keep RDMA from the host unless they are told otherwise."""
    data = roce.ethernet(roce.ip(roce.udp(bytes(40), 53), roce.A, roce.B))
    _, reader = read(tmp_path, roce.pcap([(NOW, data)]))

    assert ["no-rdma"] == [n.id for n in reader.notices]
