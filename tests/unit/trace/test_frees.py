"""Pages that go back to the system, printed and binary."""

from pathlib import Path

import pytest

from dmaverify.model.kinds import EventKind, Flag
from tests.unit.trace.reading import LAYOUTS, lines_in, read_text
from tests.writers import reading
from tests.writers.tracedat import File, Instance, Kernel, Ring

#: As the kernel prints them, with the first address and the length of what is freed.
PRINTED = (
    ("kmem:mm_page_free: page=000000006120833f pfn=0x5fea2 order=2", 0x5FEA2000, 0x4000),
    ("kmem:mm_page_free: page=0xffffea00017fa880 pfn=392866 order=0", 0x5FEA2000, 0x1000),
    ("kmem:mm_page_free_batched: page=000000006120833f pfn=0x9 order=0", 0x9000, 0x1000),
    (
        "page_pool:page_pool_state_release: page_pool=0000000061208 netmem=000000006 is_net_iov=0 "
        "pfn=0x1b41 release=12", 0x1B41000, 0x1000,
    ),
)  # fmt: skip


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "bare"])
def test_printed_frees(layout: str, tmp_path: Path) -> None:
    """Page number and order become a range of memory, in every layout; no device is named."""
    _, events = read_text(tmp_path, lines_in(layout, [line for line, _, _ in PRINTED]))

    assert [(start, length) for _, start, length in PRINTED] == [
        (e.phys_addr, e.length) for e in events
    ]
    assert {EventKind.MEMORY_FREE} == {e.kind for e in events}
    assert {0} == {e.device for e in events}
    assert all(not e.flags & (Flag.PHYS_UNKNOWN | Flag.LENGTH_UNKNOWN) for e in events)


def test_binary_frees() -> None:
    """The records hold numbers only, and one of them no order."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(1000, kernel.record("mm_page_free", 7, pfn=0x5FEA2, order=2))
    ring.add(2000, kernel.record("mm_page_free_batched", 7, pfn=9))
    ring.add(3000, kernel.record("page_pool_state_release", 7, pfn=0x1B41, release=12))
    rows, _ = reading.read(File(kernel, [Instance([ring])]).build())

    assert [
        (EventKind.MEMORY_FREE, start, length)
        for start, length in ((0x5FEA2000, 0x4000), (0x9000, 0x1000), (0x1B41000, 0x1000))
    ] == [(row.kind, row.phys_addr, row.length) for row in rows]


def test_an_absurd_order_is_one_page(tmp_path: Path) -> None:
    """No shift goes out of a number's width, whatever a damaged line says."""
    line = "kmem:mm_page_free: page=0 pfn=0x9 order=4294967295"
    _, (event,) = read_text(tmp_path, lines_in("tracefs", [line]))

    assert (0x9000, 0x1000) == (event.phys_addr, event.length)


def test_an_event_of_that_name_without_a_page_is_another(tmp_path: Path) -> None:
    """What names no page number is nothing known."""
    line = "kmem:mm_page_free: page=000000006120833f order=0"
    _, events = read_text(tmp_path, lines_in("tracefs", [line]))

    assert [] == events
