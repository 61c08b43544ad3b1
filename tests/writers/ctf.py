"""Build CTF 1.8 traces in code: a metadata file and one stream of one packet.

Written after the Common Trace Format v1.8.3, and on purpose without anything of the reader.
"""

import struct
from pathlib import Path

UUID = bytes(range(16))
MAGIC = 0xC1FC1FC1
_INT = "integer {{ size = {}; align = 8; signed = {}; byte_order = le; }}"
TYPES = {
    "u8": (_INT.format(8, "false"), "<B"), "u16": (_INT.format(16, "false"), "<H"),
    "u32": (_INT.format(32, "false"), "<I"), "u64": (_INT.format(64, "false"), "<Q"),
    "i32": (_INT.format(32, "true"), "<i"), "text": ("string", ""),
}  # fmt: skip

#: Fields of each tracepoint of rdma-core, in the order of its definition.
EVENTS = {
    "rdma_core_rxe:post_send": (
        ("dev", "text"), ("src_qp_num", "u32"), ("opcode", "text"), ("bytes", "u32"),
    ),
    "rdma_core_efa:post_send": (
        ("dev_name", "text"), ("wr_id", "u64"), ("op_type", "u8"), ("src_qp_num", "u32"),
        ("dst_qp_num", "u32"), ("ah_num", "u16"), ("length", "u32"),
    ),
    "rdma_core_efa:post_recv": (
        ("dev_name", "text"), ("wr_id", "u64"), ("qp_num", "u32"), ("num_sge", "i32"),
    ),
    "rdma_core_efa:process_completion": (
        ("dev_name", "text"), ("wr_id", "u64"), ("status", "i32"), ("opcode", "i32"),
        ("src_qp_num", "u32"), ("dst_qp_num", "u32"), ("ah_num", "u16"), ("length", "u32"),
    ),
    "rdma_core_hns:post_send": (
        ("dev_name", "text"), ("wr_id", "u64"), ("num_sge", "i32"), ("lqpn", "u32"),
        ("rqpn", "u32"), ("send_flags", "u32"), ("msg_len", "u32"), ("opcode", "u8"),
        ("sl", "u8"), ("t_class", "u8"),
    ),
    "rdma_core_hns:post_recv": (
        ("dev_name", "text"), ("wr_id", "u64"), ("num_sge", "i32"), ("rqn", "u32"),
        ("is_srq", "u8"),
    ),
    "rdma_core_hns:poll_cq": (
        ("dev_name", "text"), ("wr_id", "u64"), ("status", "u8"), ("opcode", "u8"),
        ("wc_flags", "u8"), ("vendor_err", "u8"), ("pktype", "u8"), ("lqpn", "u32"),
        ("rqpn", "u32"), ("byte_len", "u32"),
    ),
    "other:event": (("number", "u32"),),
}  # fmt: skip


def metadata(discarded: bool = False) -> str:
    """Return the metadata text of a trace with all of EVENTS."""
    u32, u64 = TYPES["u32"][0], TYPES["u64"][0]
    lost = f"{u64} events_discarded;" if discarded else ""
    uuid = "-".join(UUID.hex()[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
    text = f"""/* CTF 1.8 */
trace {{ major = 1; minor = 8; uuid = "{uuid}"; byte_order = le;
  packet.header := struct {{ {u32} magic; {u32} stream_id; }}; }};
clock {{ name = "monotonic"; freq = 1000000000; offset_s = 0; absolute = true; }};
typealias integer {{ size = 64; align = 8; signed = false; map = clock.monotonic.value; }} := t64;
stream {{ id = 0;
  packet.context := struct {{ t64 timestamp_begin; t64 timestamp_end; {u64} content_size;
    {u64} packet_size; {lost} }};
  event.header := struct {{ {u32} id; t64 timestamp; }}; }};
"""
    for number, (name, fields) in enumerate(EVENTS.items()):
        inside = " ".join(f"{TYPES[kind][0]} _{field};" for field, kind in fields)
        text += (
            f'event {{ name = "{name}"; id = {number}; stream_id = 0;'
            f" fields := struct {{ {inside} }}; }};\n"
        )
    return text


def event(name: str, when: int, *values: int | str) -> bytes:
    """Return one event of a stream."""
    number = list(EVENTS).index(name)
    out = struct.pack("<IQ", number, when)
    for (_, kind), value in zip(EVENTS[name], values, strict=True):
        if isinstance(value, str):
            out += value.encode() + b"\0"
        else:
            out += struct.pack(TYPES[kind][1], value)
    return out


def write(folder: Path, events: list[bytes], lost: int | None = None) -> Path:
    """Write a trace and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata").write_text(metadata(lost is not None), "ascii")
    body = b"".join(events)
    tail = b"" if lost is None else struct.pack("<Q", lost)
    size = (8 + 32 + len(tail) + len(body)) * 8
    head = struct.pack("<II", MAGIC, 0) + struct.pack("<QQQQ", 0, 1 << 50, size, size) + tail
    (folder / "stream").write_bytes(head + body)
    return folder
