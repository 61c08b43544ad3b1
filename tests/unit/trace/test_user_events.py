"""A user's table of events: another driver's probes without code."""

from pathlib import Path

import pytest

from dmaverify.errors import UsageError
from dmaverify.model.kinds import EventKind, Opcode
from dmaverify.trace import open_trace
from dmaverify.trace.user_events import load_events
from tests.acceptance.runs import run

K = EventKind
TABLE = """
[[event]]
name = "mlx_reg"
becomes = "reg_mr"
fields = { addr = "iova", len = "length", mkey = "key", acc = "access" }
optional = ["acc"]

[[event]]
name = "mlx_asked"
system = "mlx"
becomes = "hca_access"
fields = { va = "iova", bytes = "length", rkey = "key", kind = "side" }
printed = [["va ", "va", 16], ["len ", "bytes", 10], ["rkey ", "rkey", 16]]
optional = ["kind"]

[[event]]
name = "mlx_post"
becomes = "post_send"
fields = { qpn = "qp", op = "opcode" }
printed = [["qpn ", "qpn", 10], ["op ", "op", 10]]
opcodes = { 8 = "rdma_write" }
"""
LINES = (
    "mlx_reg: (f+0x4/0x10) addr=0x1000 len=0x1000 mkey=0x2605",
    "mlx_asked: va 1800 len 4096 rkey 2605",
    "mlx_post: qpn 12 op 8",
)


def files(tmp_path: Path, table: str = TABLE) -> tuple[Path, Path]:
    """Write a trace and a table."""
    trace, events = tmp_path / "t.txt", tmp_path / "events.toml"
    head = "          prog-208      [000] .....    15.898908: "
    trace.write_text("# tracer: nop\n#\n" + "".join(f"{head}{x}\n" for x in LINES), "utf-8")
    events.write_text(table, "utf-8")
    return trace, events


def test_rows_by_a_table(tmp_path: Path) -> None:
    """Fields by name, fields behind texts, and opcodes by number."""
    trace, table = files(tmp_path)
    reader = open_trace(str(trace), load_events(str(table)))
    region, asked, post = (b[i] for b in reader.batches() for i in range(len(b)))

    assert (K.REG_MR, 0x2605, 0x1000, 0x1000) == (
        region.kind, region.object, region.bus_addr, region.length,
    )  # fmt: skip
    assert (K.HCA_ACCESS, 0x2605, 0x1800, 4096) == (
        asked.kind, asked.object, asked.bus_addr, asked.length,
    )  # fmt: skip
    assert (K.POST_SEND, 12, Opcode.RDMA_WRITE) == (post.kind, post.object, post.type)


def test_check_and_info_take_it(tmp_path: Path) -> None:
    """With the table the mistake is found; without it the lines are nothing known."""
    trace, table = files(tmp_path)
    found = run("check", trace, "--events", table, "--output", "concise")
    told = run("trace", "info", trace, "--events", table)

    assert "hca-access-out-of-range" in found.out
    assert "reg_mr" in told.out
    assert "hca-access" not in run("check", trace, "--output", "concise").out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("becomes = \"reg_mr\"", "becomes = \"left_mapped\""), "`becomes` is a kind of event"),
        (("\"iova\"", "\"nothing\""), "has no 'nothing'; docs/reference/events.md"),
        (("\"iova\"", "\"iowa\""), "did you mean `iova`"),
        (("optional = [\"acc\"]", "optional = [\"foo\"]"), "is a list of its fields"),
        (("name = \"mlx_reg\"", "nome = \"mlx_reg\""), "event 1: has no name"),
        (("name = \"mlx_reg\"", "name = \"mlx_reg\"\ncolour = 1"), "does not know 'colour'"),
        (("\"va\", 16", "\"va\", 8"), "BASE is 10 or 16"),
        (("8 = \"rdma_write\"", "8 = \"jump\""), "an opcode is"),
        (("[[event]]", "[[events]]"), "holds no [[event]]"),
        (("[[event]]", "[[event"), "is no table of events"),
    ],
)
def test_mistakes_have_a_place_and_a_remedy(
    tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    """A table that can not be is a usage error."""
    trace, table = files(tmp_path, TABLE.replace(*change))
    with pytest.raises(UsageError) as raised:
        load_events(str(table))

    assert words in str(raised.value)
    assert 2 == run("check", trace, "--events", table).code
