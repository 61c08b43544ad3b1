"""A packet capture, alone and beside a recording that has the registrations."""

from pathlib import Path

import pytest

from tests.acceptance.runs import Checked, check, run
from tests.writers import roce
from tests.writers.roce import Wire

KEY = 0x2605
SECOND = 10**9
START = 100 * SECOND
REGISTRATIONS = """# dmaverify trace 1
app-1 [000] ..... 100.000000000: alloc_pd: pd=0xa0
app-1 [000] ..... 100.001000000: reg_mr: key=0x2605 iova=0x10000 length=4096 pd=0xa0 access={rights}
app-1 [000] ..... 100.001100000: create_qp: qp=18 pd=0xa0 access={rights}
app-1 [000] ..... 100.007000000: dereg_mr: key=0x2605
app-1 [000] ..... 100.019000000: destroy_qp: qp=18
app-1 [000] ..... 100.020000000: dealloc_pd: pd=0xa0
"""
WRITE = "local_write|remote_write"


def wire_at(ms: float) -> Wire:
    """Return a connection whose first packet is seen so many ms after the trace's start."""
    return Wire(asked=18, now=START + int(ms * 1_000_000))


def beside(tmp_path: Path, wire: Wire, *options: str, trace: str = "") -> Checked:
    """Return the check of the registrations with the connection's packets."""
    recording, capture = tmp_path / "registrations.dmat", tmp_path / "capture.pcapng"
    recording.write_text(trace or REGISTRATIONS.format(rights=WRITE), "utf-8")
    capture.write_bytes(roce.pcapng(wire.packets))
    return check(recording, "--packets", str(capture), *options)


def test_what_the_region_allows_is_quiet(tmp_path: Path) -> None:
    """Writes inside the region, acknowledged, while it lives."""
    wire = wire_at(3)
    wire.answer(wire.write(0x10000, KEY, 4096))
    wire.answer(wire.write(0x10FC0, KEY, 64))
    checked = beside(tmp_path, wire, "--packets-offset", "0")

    assert (0, []) == (checked.code, checked.findings)
    assert {"packets-joined"} <= set(checked.notices)


MISTAKES = {
    "hca-access-out-of-range": lambda w: w.write(0x10800, KEY, 4096),
    "hca-access-without-permission": lambda w: w.read(0x10000, KEY, 64),
    "hca-access-unknown-key": lambda w: w.write(0x10000, 0x4711, 64),
}
ALONE = {
    "remote-atomic-misaligned": lambda w: w.ask(roce.FETCH_ADD, roce.atomic(0x10004, 0x99)),
    "remote-request-too-long": lambda w: w.read(0x10000, 0x99, 3 << 30),
    "remote-message-refused": lambda w: w.answer(w.ask(roce.SEND_ONLY), roce.NAK_INVALID),
    "remote-request-refused": lambda w: w.answer(w.write(0x1000, 0x99), roce.NAK_ACCESS),
}


@pytest.mark.parametrize("cls", sorted(MISTAKES))
def test_a_wrong_request_is_found(tmp_path: Path, cls: str) -> None:
    """Range, right, key: with the capture's packet as evidence."""
    wire = wire_at(3)
    wire.answer(MISTAKES[cls](wire), roce.NAK_ACCESS)
    checked = beside(tmp_path, wire, "--packets-offset", "0")
    found = next(f for f in checked.findings if f["class"] == cls)

    assert found["source"].endswith("capture.pcapng")
    assert not {"hca-refuses-valid-remote-request"} & checked.classes


@pytest.mark.parametrize(("ms", "wrong"), [(6.9, False), (7.1, None), (7.3, True)])
def test_a_region_that_has_ended(tmp_path: Path, ms: float, wrong: bool | None) -> None:
    """After its end by more than the clocks may differ; nearer than that nothing is said."""
    wire = wire_at(ms)
    wire.write(0x10000, KEY, 64)
    checked = beside(tmp_path, wire, "--packets-offset", "0")

    if wrong is None or ms == 6.9:
        assert set() == checked.classes
        assert "order-not-known" in checked.notices
    else:
        assert {"hca-access-after-deregistration"} == checked.classes


def test_the_offset_is_the_captures_clock_minus_the_traces(tmp_path: Path) -> None:
    """Packets stamped 50 seconds later belong where they were."""
    wire = wire_at(3 + 50_000)
    wire.write(0x10800, KEY, 4096)
    checked = beside(tmp_path, wire, "--packets-offset", "50")
    (finding,) = checked.findings

    assert START + 3_000_000 == finding["time_ns"]
    assert "packets-outside" in beside(tmp_path, wire, "--packets-offset", "0").notices


def test_requests_that_both_tell_join_the_clocks(tmp_path: Path) -> None:
    """The HCA's own look-ups, or the posts of the peer, have the same key and address."""
    seen = (
        "app-1 [000] ..... 100.00{}000000: hca_access: key=0x2605 iova={} length=64"
        " access=remote_write side=remote\n"
    )
    text = REGISTRATIONS.format(rights=WRITE).replace(
        "app-1 [000] ..... 100.007", seen.format(2, "0x10040") + seen.format(5, "0x10080")
        + "app-1 [000] ..... 100.007",
    )  # fmt: skip
    wire = wire_at(2)
    wire.now += 7_777 * SECOND
    wire.write(0x10040, KEY)
    wire.now = START + 7_777 * SECOND + 5_000_000
    wire.write(0x10080, KEY)
    wire.now = START + 7_777 * SECOND + 9_000_000
    wire.write(0x100C0, KEY)
    checked = beside(tmp_path, wire, trace=text)

    assert {"hca-access-after-deregistration"} == checked.classes
    assert "by the requests that both tell" in checked.notices["packets-joined"][0]


def test_clocks_that_count_from_1970_are_taken_for_one(tmp_path: Path) -> None:
    """A library that stamps its registrations with the time of day needs no offset."""
    text = REGISTRATIONS.format(rights=WRITE).replace(" 100.", " 1700000100.")
    wire = wire_at(3)
    wire.now += 1_700_000_000 * SECOND
    wire.write(0x10800, KEY, 4096)
    checked = beside(tmp_path, wire, trace=text)

    assert {"hca-access-out-of-range"} == checked.classes
    assert "count from 1970" in checked.notices["packets-joined"][0]


def test_without_a_clock_only_what_needs_no_order_is_judged(tmp_path: Path) -> None:
    """The range is wrong at any time; that the region had ended can not be told."""
    wire = wire_at(999_999)
    wire.write(0x10800, KEY, 4096)
    wire.write(0x10000, KEY, 64)
    wire.write(0x10000, 0x4711, 64)
    checked = beside(tmp_path, wire)

    assert {"hca-access-out-of-range"} == checked.classes
    assert "without order" in checked.notices["packets-joined"][0]
    assert "packets-without-order" in checked.notices


def test_only_the_host_that_the_keys_are_of_is_judged(tmp_path: Path) -> None:
    """Requests to another address are left out; where it is not clear whose keys, nothing is."""
    wire = wire_at(3)
    wire.write(0x10000, KEY, 64)
    wire.write(0x10000, KEY, 64)
    other = Wire(asks="10.0.0.2", answers="10.0.0.9", now=wire.now, packets=wire.packets)
    other.write(0x50000, 0x999, 64)
    checked = beside(tmp_path, wire, "--packets-offset", "0")
    assert [] == checked.findings
    assert "packets-to-others" in checked.notices

    other.write(0x50000, KEY, 64)
    other.write(0x60000, KEY, 64)
    unclear = beside(tmp_path, wire, "--packets-offset", "0.0")
    assert "--packets-host ADDRESS" in unclear.notices["host-ambiguous"][0]
    named = beside(tmp_path, wire, "--packets-offset", "0", "--packets-host", "10.0.0.9")
    assert {"hca-access-out-of-range", "hca-access-unknown-key"} == named.classes
    done = run("check", tmp_path / "registrations.dmat", "--packets",
               tmp_path / "capture.pcapng", "--packets-host", "10.9.9.9")  # fmt: skip
    assert (3, True) == (done.code, "asked are: 10.0.0.2, 10.0.0.9" in done.err)


def test_an_hca_that_answers_against_its_regions(tmp_path: Path) -> None:
    """It carries out what is outside, or refuses what is inside."""
    wire = wire_at(3)
    wire.answer(wire.write(0x10800, KEY, 4096))
    accepted = beside(tmp_path, wire, "--packets-offset", "0")
    assert {"hca-access-out-of-range"} <= accepted.classes
    assert "hca-accepts-invalid-remote-request" in {f["rule"] for f in accepted.findings}

    wire = wire_at(3)
    wire.answer(wire.write(0x10000, KEY, 64), roce.NAK_ACCESS)
    refused = beside(tmp_path, wire, "--packets-offset", "0.000")
    assert ["hca-refuses-valid-remote-request"] == [f["rule"] for f in refused.findings]


def test_a_key_that_the_peer_ended(tmp_path: Path) -> None:
    """SEND with invalidate: what comes by that key afterwards is after its end."""
    wire = wire_at(3)
    wire.ask(roce.SEND_ONLY_INV, KEY.to_bytes(4, "big"), 64)
    wire.now += 1_000_000
    wire.write(0x10000, KEY, 64)
    checked = beside(tmp_path, wire, "--packets-offset", "0")

    assert {"hca-access-after-deregistration"} == checked.classes


def test_a_capture_alone(tmp_path: Path) -> None:
    """Refusals, alignment and length are judged; for the rest the registrations are asked for."""
    wire = Wire()
    wire.answer(wire.write(0x10000, KEY, 64))
    path = tmp_path / "c.pcap"
    path.write_bytes(roce.pcap(wire.packets))
    healthy = check(path)
    assert (0, []) == (healthy.code, healthy.findings)
    assert "--packets CAPTURE" in healthy.notices["registrations-missing"][0]

    wire.answer(wire.write(0x20000, KEY, 64), roce.NAK_ACCESS)
    path = tmp_path / "d.pcap"
    path.write_bytes(roce.pcap(wire.packets))
    (finding,) = check(path).findings
    assert ("remote-request-refused", roce.B) == (finding["rule"], finding["device"])
    assert "remote access error" in finding["message"]


@pytest.mark.parametrize("rule", sorted(ALONE))
def test_what_a_capture_alone_shows(tmp_path: Path, rule: str) -> None:
    """No registration is needed for these."""
    wire = Wire()
    ALONE[rule](wire)
    path = tmp_path / "c.pcap"
    path.write_bytes(roce.pcap(wire.packets))

    assert [rule] == [f["rule"] for f in check(path).findings]


def test_a_recording_without_registrations_says_so(tmp_path: Path) -> None:
    """There is nothing to compare with."""
    wire = wire_at(3)
    wire.write(0x10000, KEY, 64)
    checked = beside(tmp_path, wire, trace="# dmaverify trace 1\nalloc_pd: pd=0xa0\n")

    assert [] == checked.findings
    assert "registrations-missing" in checked.notices


def test_trace_info_counts_what_was_joined(tmp_path: Path) -> None:
    """Of a capture alone, and of a recording with one."""
    wire = wire_at(3)
    wire.answer(wire.write(0x10000, KEY, 64))
    beside(tmp_path, wire, "--packets-offset", "0")
    alone = run("trace", "info", tmp_path / "capture.pcapng").out
    both = run("trace", "info", tmp_path / "registrations.dmat", "--packets",
               tmp_path / "capture.pcapng", "--packets-offset", "0").out  # fmt: skip

    assert "pcapng" in alone
    assert "hca_access" in alone
    assert "[packets-joined]" in both
    assert "hca_access" in both


def test_loose_options_are_a_usage_error(tmp_path: Path) -> None:
    """A capture belongs to one trace, and an offset and a host to a capture."""
    for words in (["a", "b", "--packets", "x"], ["a", "--packets-offset", "1"],
                  ["a", "--packets-host", "x"]):  # fmt: skip
        assert 2 == run("check", *words).code


def test_an_absurd_offset_and_a_stream_are_told(tmp_path: Path) -> None:
    """Nothing overflows; a pipe can not be read twice."""
    wire = wire_at(3)
    wire.write(0x10000, KEY, 64)
    for offset in ("999999999999", "-999999999999"):
        assert "packets-outside" in beside(tmp_path, wire, "--packets-offset", offset).notices
    done = run("check", tmp_path / "registrations.dmat", "--packets", "-")
    assert (3, True) == (done.code, "save it to a file first" in done.err)


def test_what_is_no_capture_is_told(tmp_path: Path) -> None:
    """A trace in the place of a capture."""
    path = tmp_path / "t.dmat"
    path.write_text(REGISTRATIONS.format(rights=WRITE), "utf-8")
    done = run("check", path, "--packets", path)

    assert 3 == done.code
    assert "no packet capture" in done.err


@pytest.mark.parametrize("kind", ["capture", "trace"])
def test_either_may_end_at_any_byte(tmp_path: Path, kind: str) -> None:
    """A cut source gives less, and a note; never an error of the program."""
    wire = wire_at(3)
    wire.answer(wire.write(0x10800, KEY, 4096), roce.NAK_ACCESS)
    capture, text = roce.pcap(wire.packets), REGISTRATIONS.format(rights=WRITE).encode()
    recording, packets = tmp_path / "t.dmat", tmp_path / "c.pcap"
    whole = capture if kind == "capture" else text
    for end in range(1, len(whole), 3 if kind == "capture" else 7):
        recording.write_bytes(text if kind == "capture" else text[:end])
        packets.write_bytes(capture[:end] if kind == "capture" else capture)
        code = run("check", recording, "--packets", packets, "--packets-offset", "0", "-qq").code
        assert code in (0, 1, 3, 5)
