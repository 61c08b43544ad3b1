"""Commands of a disk's driver, printed and binary."""

from pathlib import Path

import pytest

from dmaverify.model.kinds import EventKind
from tests.unit.trace.reading import LAYOUTS, lines_in, read_text
from tests.writers import reading
from tests.writers.tracedat import File, Instance, Kernel, Ring

K = EventKind
#: As the kernel prints them, and as a library does that can not format them.
PRINTED = (
    "nvme:nvme_setup_cmd: nvme1: disk=nvme1n1, qid=3, cmdid=4864, nsid=1, flags=0x0, meta=0x0, "
    "cmd=(nvme_cmd_read slba=87951, len=127, ctrl=0x0, dsmgmt=0, reftag=0)",
    "nvme:nvme_sq: nvme1: disk=nvme1n1, qid=3, head=564, tail=565",
    "nvme:nvme_complete_rq: nvme1: disk=nvme1n1, qid=3, cmdid=4864, res=0, retries=0, flags=0x0, "
    "status=0x371",
    "nvme:nvme_setup_cmd: [FAILED TO PARSE] disk=nvme1n1 ctrl_id=1 qid=3 opcode=2 flags=0 "
    "fctype=1 cid=4864 nsid=1 metadata=0 cdw10=ARRAY[8f, 57, 01, 00]",
    "nvme:nvme_sq: [FAILED TO PARSE] ctrl_id=1 disk=nvme1n1 qid=3 sq_head=564 sq_tail=565",
    "nvme:nvme_complete_rq: [FAILED TO PARSE] disk=nvme1n1 ctrl_id=1 qid=3 cid=4864 result=0 "
    "retries=0 flags=0 status=881",
)
EXPECTED = [
    (K.COMMAND_BEGIN, 1, 3, 4864, 0), (K.COMMAND_ARRIVED, 1, 3, 0, 0),
    (K.COMMAND_DONE, 1, 3, 4864, 0x371),
]  # fmt: skip


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "bare"])
def test_printed_commands(layout: str, tmp_path: Path) -> None:
    """Controller, queue, number and status are read in every layout."""
    _, events = read_text(tmp_path, lines_in(layout, list(PRINTED)))

    assert EXPECTED * 2 == [(e.kind, e.bus_addr, e.phys_addr, e.object, e.status) for e in events]


def test_an_admin_command_has_no_disk(tmp_path: Path) -> None:
    """The disk's name is left out of the line, the rest is as ever."""
    line = "nvme:nvme_setup_cmd: nvme0: qid=0, cmdid=16, nsid=0, flags=0x0, meta=0x0, cmd=(x y)"
    _, (event,) = read_text(tmp_path, lines_in("tracefs", [line]))

    assert (0, 0, 16) == (event.bus_addr, event.phys_addr, event.object)


def test_binary_commands() -> None:
    """The numbers of the records are those of the lines."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(1000, kernel.record("nvme_setup_cmd", 7, ctrl_id=1, qid=3, cid=4864))
    ring.add(2000, kernel.record("nvme_sq", 7, ctrl_id=1, qid=3))
    ring.add(3000, kernel.record("nvme_complete_rq", 7, ctrl_id=1, qid=3, cid=4864, status=0x371))
    rows, _ = reading.read(File(kernel, [Instance([ring])]).build())

    assert EXPECTED == [(r.kind, r.bus_addr, r.phys_addr, r.object, r.status) for r in rows]
