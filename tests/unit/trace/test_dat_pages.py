"""Ring-buffer pages become rows."""

import pytest

from dmaverify.model.events import Event
from dmaverify.model.kinds import MAPPING_ERROR, UNKNOWN, EventKind, Flag, MapType, SideTag
from dmaverify.trace.dat_formats import Mode
from dmaverify.trace.dat_pages import PageDecoder
from dmaverify.trace.events import Slot
from tests.writers.reading import notice_ids, read
from tests.writers.tracedat import EVENTS, PAGE, File, Instance, Kernel, Ring

DEV = "0000:00:04.0"
NOTHING = Flag.BUS_UNKNOWN | Flag.PHYS_UNKNOWN | Flag.LENGTH_UNKNOWN | Flag.DIRECTION_UNKNOWN
MACHINES = [("<", 8), ("<", 4), (">", 8), (">", 4)]


def one(name: str, kernel: Kernel | None = None, **values: object) -> Event:
    """Return the row of one record."""
    kernel = kernel or Kernel()
    ring = Ring(kernel)
    ring.add(1000, kernel.record(name, 77, **values))
    rows, reader = read(File(kernel, [Instance([ring])]).build())
    assert len(rows) == 1
    assert reader.complete
    return rows[0]


def times(ring: Ring) -> list[int]:
    """Return the times of a ring's rows."""
    rows, _ = read(File(ring.kernel, [Instance([ring])]).build())
    return [row.time for row in rows]


@pytest.mark.parametrize(("order", "long_size"), MACHINES)
def test_map_page(order: str, long_size: int) -> None:
    """A mapped page has its addresses, length, direction and task on every kind of machine."""
    kernel = Kernel(order, long_size)
    row = one(
        "dma_map_page", kernel, device=DEV, phys_addr=0x1_2345_6000, dma_addr=0xFFFF_E000,
        size=100, dir=2, attrs=1 << 5,
    )  # fmt: skip

    assert EventKind.DMA_MAP == row.kind
    assert MapType.SINGLE == row.type
    assert (0xFFFF_E000, 0x1_2345_6000, 100, 2) == (
        row.bus_addr, row.phys_addr, row.length, row.direction,
    )  # fmt: skip
    assert (1000, 77, 0, 1, 0) == (row.time, row.site, row.cpu, row.record, row.line)
    assert Flag.SKIP_SYNC == row.flags


def test_resource_is_mmio() -> None:
    """The MMIO attribute becomes a flag, and a resource has its own map type."""
    row = one("dma_map_resource", device=DEV, phys_addr=1, dma_addr=2, size=3, attrs=1 << 10)

    assert MapType.RESOURCE == row.type
    assert Flag.MMIO == row.flags


def test_failed_map_keeps_error_address() -> None:
    """A map that returned all ones has failed, and still shows what it returned."""
    row = one("dma_map_phys", device=DEV, dma_addr=MAPPING_ERROR, size=3)

    assert MAPPING_ERROR == row.bus_addr
    assert Flag.FAILED == row.flags


@pytest.mark.parametrize(("order", "long_size"), MACHINES)
def test_map_sg(order: str, long_size: int) -> None:
    """A scatter list has both lists, the first addresses, and the sum of the lengths."""
    row = one(
        "dma_map_sg", Kernel(order, long_size), device=DEV, full_nents=3, full_ents=2,
        phys_addrs=[0x3000, 0x5000, 0x9000], dma_addrs=[0xF000, 0x1F000], lengths=[4096, 8192],
        dir=1,
    )  # fmt: skip

    assert ((0xF000, 4096), (0x1F000, 8192)) == row.sg_bus
    assert (0x3000, 0x5000, 0x9000) == row.sg_phys
    assert (2, 3) == (row.bus_full, row.phys_full)
    assert (0xF000, 0x3000, 12288) == (row.bus_addr, row.phys_addr, row.length)
    assert Flag(0) == row.flags


def test_truncated_sg() -> None:
    """A list that the kernel cut keeps its full count."""
    row = one(
        "dma_map_sg", device=DEV, full_nents=200, full_ents=1, truncated=1,
        phys_addrs=[0x1000] * 128, dma_addrs=[0xF000], lengths=[4096],
    )  # fmt: skip

    assert (128, 200) == (len(row.sg_phys), row.phys_full)
    assert Flag.TRUNCATED == row.flags


def test_unmap_sg_names_no_bus_address() -> None:
    """An unmapped scatter list is known by its physical addresses alone."""
    row = one("dma_unmap_sg", device=DEV, addrs=[0x3000, 0x5000], dir=1)

    assert (0x3000, (0x3000, 0x5000), 2) == (row.phys_addr, row.sg_phys, row.phys_full)
    assert Flag.BUS_UNKNOWN | Flag.LENGTH_UNKNOWN == row.flags


def test_map_sg_error() -> None:
    """A scatter list that could not be mapped has its error code."""
    row = one("dma_map_sg_err", device=DEV, phys_addrs=[0x3000], err=-11, dir=1)

    assert (-11, 0x3000) == (row.status, row.phys_addr)
    assert Flag.BUS_UNKNOWN | Flag.LENGTH_UNKNOWN | Flag.FAILED == row.flags


def test_sync_sg() -> None:
    """A sync of a scatter list has bus addresses and lengths."""
    row = one("dma_sync_sg_for_cpu", device=DEV, dma_addrs=[0xF000], lengths=[512], dir=2)

    assert EventKind.DMA_SYNC_FOR_CPU == row.kind
    assert (((0xF000, 512),), 512, Flag.PHYS_UNKNOWN) == (row.sg_bus, row.length, row.flags)


def test_alloc_pointer_is_real() -> None:
    """An allocation has its CPU address as it was, and no hash."""
    row = one("dma_alloc", device=DEV, virt_addr=0xFFFF_8880_0000_1000, dma_addr=5, size=64)

    assert 0xFFFF_8880_0000_1000 == row.virt_addr
    assert Flag.PHYS_UNKNOWN == row.flags


def test_alloc_without_pointer_failed() -> None:
    """An allocation that gave NULL has failed."""
    row = one("dma_alloc_pages", device=DEV, virt_addr=0, dma_addr=0, size=64)

    assert Flag.PHYS_UNKNOWN | Flag.FAILED | Flag.NULL_CPU == row.flags


def test_free_of_null() -> None:
    """A free of NULL says so."""
    row = one("dma_free", device=DEV, virt_addr=0, dma_addr=0, size=0)

    assert (0, Flag.PHYS_UNKNOWN | Flag.NULL_CPU) == (row.virt_addr, row.flags)


def test_alloc_direction_garbage() -> None:
    """A direction that cannot be is unknown where kernels do not set it, and kept elsewhere."""
    alloc = one("dma_alloc", device=DEV, virt_addr=1, dma_addr=1, size=1, dir=0x8881_0000)
    sync = one("dma_sync_single_for_cpu", device=DEV, dma_addr=1, size=1, dir=0x8881_0000)

    assert (0, Flag.PHYS_UNKNOWN | Flag.DIRECTION_UNKNOWN) == (alloc.direction, alloc.flags)
    assert (255, Flag.PHYS_UNKNOWN) == (sync.direction, sync.flags)


def test_alloc_sgt() -> None:
    """Noncontiguous memory has one bus address and a list of physical ones."""
    row = one("dma_alloc_sgt", device=DEV, phys_addrs=[0x1000, 0x9000], dma_addr=0xF000, size=8192)

    assert (0xF000, 8192, 0x1000) == (row.bus_addr, row.length, row.phys_addr)
    assert (0x1000, 0x9000) == row.sg_phys
    assert (MapType.SGT, Flag(0)) == (row.type, row.flags)


def test_iommu_map() -> None:
    """A translation has no device and no direction."""
    row = one("map", iova=0xF000, paddr=0x5000, size=4096)

    assert (0, 0xF000, 0x5000, 4096) == (row.device, row.bus_addr, row.phys_addr, row.length)
    assert Flag.DIRECTION_UNKNOWN == row.flags


def test_iommu_unmap_tells_what_was_unmapped() -> None:
    """The bytes that were unmapped stand in the slot of the physical address."""
    row = one("unmap", iova=0xF000, size=8192, unmapped_size=4096)

    assert (8192, 4096, Flag.DIRECTION_UNKNOWN) == (row.length, row.phys_addr, row.flags)


@pytest.mark.parametrize(("flags", "direction"), [(0, 1), (1, 2), (3, 2), (2, 1)])
def test_fault_direction(flags: int, direction: int) -> None:
    """A refused write came from the device, a refused read was for it."""
    row = one("io_page_fault", device=DEV, iova=0xF000, flags=flags)

    assert (EventKind.DEV_FAULT, direction) == (row.kind, row.direction)
    assert Flag.PHYS_UNKNOWN | Flag.LENGTH_UNKNOWN == row.flags


def test_bounce() -> None:
    """A bounce has the original's address, the device's mask, and whether it was forced."""
    row = one(
        "swiotlb_bounced", dev_name=DEV, dma_mask=0xFFFF_FFFF, dev_addr=0x5000, size=9, force=1
    )

    assert (0xFFFF_FFFF, 0x5000, 9) == (row.bus_addr, row.phys_addr, row.length)
    assert Flag.FROM_MARK | Flag.DIRECTION_UNKNOWN == row.flags


def test_probe_events() -> None:
    """Probe events of a driver's life name its device."""
    kernel = Kernel()
    ring = Ring(kernel)
    names = ("driver_probe", "driver_bound", "driver_unbound")
    for name in names:
        ring.add(1, kernel.record(name, dev=DEV))
    rows, reader = read(File(kernel, [Instance([ring])]).build())

    assert [name.upper() for name in names] == [row.kind.name for row in rows]
    assert [DEV] * 3 == [reader.devices[row.device] for row in rows]
    assert [NOTHING] * 3 == [row.flags for row in rows]


@pytest.mark.parametrize(
    ("text", "kind", "device"),
    [
        (f"dmaverify: bind {DEV} nvme\n", EventKind.DRIVER_BOUND, DEV),
        (f"dmaverify: unbind-end {DEV} nvme", EventKind.DRIVER_UNBOUND, DEV),
    ],
)
def test_marks_of_a_drivers_life(text: str, kind: EventKind, device: str) -> None:
    """A mark can tell of a driver's life in the place of a probe."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(1, kernel.record("print", buf=text))
    rows, reader = read(File(kernel, [Instance([ring])]).build())

    assert [(kind, device)] == [(row.kind, reader.devices[row.device]) for row in rows]
    assert NOTHING | Flag.FROM_MARK == rows[0].flags


@pytest.mark.parametrize("text", ["hello", "dmaverify: unbind-begin x y", "dmaverify: bind", ""])
def test_other_marks_keep_their_text(text: str) -> None:
    """A mark that says nothing of a driver is a text."""
    row = one("print", buf=text + "\n")

    assert (EventKind.MARK, text, NOTHING) == (row.kind, row.text, row.flags)


def test_mark_shorter_than_its_padding() -> None:
    """A record is padded to four bytes; the text ends at its zero byte."""
    assert "abcde" == one("print", buf=b"abcde\0\xff\xff").text


# --- time -------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "long_size"), MACHINES)
def test_time_extend(order: str, long_size: int) -> None:
    """Times that are far apart are exact, in both byte orders."""
    kernel = Kernel(order, long_size)
    ring = Ring(kernel)
    want = [5, 5 + (1 << 27) - 1, 1 << 40, (1 << 40) + (1 << 58)]
    for time in want:
        ring.add(time, kernel.record("map"))

    assert want == times(ring)


@pytest.mark.parametrize("order", ["<", ">"])
def test_absolute_time_keeps_top_bits(order: str) -> None:
    """An absolute time has 59 bits; the others come from the time before."""
    kernel = Kernel(order)
    ring = Ring(kernel)
    start = (3 << 59) + 7
    ring.add(start, kernel.record("map"))
    ring.stamp(start + 1000)
    ring.add(start + 1001, kernel.record("map"))

    assert [start, start + 1001] == times(ring)


def test_discarded_entry_is_passed_over() -> None:
    """An entry that was taken back gives no row, and its time counts."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(100, kernel.record("map"))
    ring.discard(50)
    ring.add(160, kernel.record("map"))

    assert [100, 160] == times(ring)


def test_padding_ends_a_page() -> None:
    """What lies behind an empty padding entry is not read."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(100, kernel.record("map"))
    ring.pad()
    ring.add(200, kernel.record("map"))
    rows, reader = read(File(kernel, [Instance([ring])]).build())

    assert [100, 200] == [row.time for row in rows]
    assert reader.complete


def test_long_form() -> None:
    """A record with its length in a word of its own is the same record."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(1, kernel.record("map", iova=7), long_form=True)
    ring.add(2, kernel.record("map", iova=8))
    rows, _ = read(File(kernel, [Instance([ring])]).build())

    assert [7, 8] == [row.bus_addr for row in rows]


def test_cpus_are_merged_by_time() -> None:
    """Rows are in order of time; of equal times the lower CPU comes first."""
    kernel = Kernel()
    rings = [Ring(kernel, cpu) for cpu in range(5)]
    for time in range(400):
        rings[time * 7 % 5].add(time // 3, kernel.record("map", iova=time))
    rows, _ = read(File(kernel, [Instance(rings)]).build())

    keys = [(row.time, row.cpu) for row in rows]
    assert sorted(keys) == keys
    assert set(range(400)) == {row.bus_addr for row in rows}
    assert list(range(1, 401)) == [row.record for row in rows]


def test_records_that_are_unknown_count() -> None:
    """The number of a record counts all records, known or not."""
    kernel = Kernel()
    ring = Ring(kernel)
    for time, name in enumerate(("other", "map", "other", "unmap")):
        ring.add(time, kernel.record(name))
    rows, reader = read(File(kernel, [Instance([ring])]).build())

    assert [2, 4] == [row.record for row in rows]
    assert (4, 2) == (reader.records, reader.skipped)


# --- losses -----------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "long_size"), MACHINES)
def test_lost_events_stand_before_the_next(order: str, long_size: int) -> None:
    """A page that says how many events are missing gives a row before its first event."""
    kernel = Kernel(order, long_size)
    ring, other = Ring(kernel, 0), Ring(kernel, 1)
    ring.add(10, kernel.record("map"))
    ring.lose(42)
    ring.add(30, kernel.record("map"))
    other.add(20, kernel.record("map"))
    rows, reader = read(File(kernel, [Instance([ring, other])]).build())

    assert [(10, 0), (20, 1), (30, 0), (30, 0)] == [(row.time, row.cpu) for row in rows]
    assert EventKind.LOST == rows[2].kind
    assert (42, 0) == (rows[2].length, rows[2].status)
    assert NOTHING & ~Flag.LENGTH_UNKNOWN == rows[2].flags
    assert 42 == reader.lost


def test_lost_events_of_unknown_number() -> None:
    """A page may only say that some events are missing."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(10, kernel.record("map"))
    ring.lose(None)
    ring.add(30, kernel.record("map"))
    rows, reader = read(File(kernel, [Instance([ring])]).build())

    assert (EventKind.LOST, NOTHING) == (rows[1].kind, rows[1].flags)
    assert 0 == reader.lost


def test_lost_before_the_first_event() -> None:
    """A loss at the very beginning is marked as such."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.lose(9)
    ring.add(30, kernel.record("map"))
    rows, _ = read(File(kernel, [Instance([ring])]).build())

    assert [(EventKind.LOST, 1), (EventKind.IOMMU_MAP, 0)] == [(r.kind, r.status) for r in rows]


def test_lost_without_an_event_after() -> None:
    """A loss told by a page without records is told all the same."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(10, kernel.record("map"))
    ring.lose(5)
    ring.stamp(20)
    rows, reader = read(File(kernel, [Instance([ring])]).build())

    assert [EventKind.IOMMU_MAP, EventKind.LOST] == [row.kind for row in rows]
    assert 5 == reader.lost


# --- layouts ----------------------------------------------------------------------------


def _samples(kernel: Kernel) -> list[bytes]:
    many = {
        "device": DEV, "dev": DEV, "dev_name": DEV, "driver": "x", "dma_addr": 11, "addr": 12,
        "iova": 13, "phys_addr": 14, "paddr": 15, "dev_addr": 16, "size": 17, "unmapped_size": 18,
        "virt_addr": 19, "dir": 2, "attrs": 32, "dma_mask": 20, "force": 1, "flags": 1, "err": -5,
        "phys_addrs": [21, 22], "addrs": [23], "dma_addrs": [24, 25], "lengths": [26, 27],
        "full_nents": 3, "full_ents": 2, "truncated": 1, "buf": b"text\0", "value": 1,
    }  # fmt: skip
    return [kernel.record(name, 5, **many) for name in EVENTS if name not in ("bprint", "bputs")]


@pytest.mark.parametrize("seed", range(6))
def test_layout_comes_from_the_file(seed: int) -> None:
    """Other ids, other orders of fields and gaps give the same rows."""
    import random

    dice = random.Random(seed)
    orders = {}
    for name, (_, fields) in EVENTS.items():
        if not any("[]" in field[1] for field in fields):
            orders[name] = dice.sample(range(len(fields)), len(fields))
    plain = Kernel()
    other = Kernel(first_id=dice.randrange(65000), orders=orders, gap=8, common_gap=4)
    found = []
    for kernel in (plain, other):
        ring = Ring(kernel)
        for time, record in enumerate(_samples(kernel)):
            ring.add(time, record)
        rows, reader = read(File(kernel, [Instance([ring])]).build())
        assert reader.complete
        found.append(rows)

    assert len(EVENTS) - 3 == len(found[0])
    assert found[0] == found[1]


def test_modes_and_slots_repeat_the_tables() -> None:
    """The compiled decoder knows every slot that a kernel event can fill."""
    decoder = PageDecoder(False, (0, 8, 8, 16), (1, 0, 2), (2, 4, 4), (0, 0, 0))
    last = Slot.INTO

    decoder.add_plan(1, 3, 1, 1, False, False, [(int(last), int(Mode.UNSIGNED), 8, 8, 0)])
    with pytest.raises(ValueError):
        decoder.add_plan(1, 3, 1, 1, False, False, [(int(last) + 5, 1, 8, 8, 0)])


def test_large_pages() -> None:
    """A buffer may have pages that are larger than the machine's."""
    kernel = Kernel()
    ring = Ring(kernel, page_size=4 * PAGE)
    for time in range(1000):
        ring.add(time, kernel.record("map", iova=time))
    rows, reader = read(File(kernel, [Instance([ring])]).build())

    assert list(range(1000)) == [row.bus_addr for row in rows]
    assert reader.complete


# --- damage -----------------------------------------------------------------------------


def _with_page(page: bytes) -> tuple[list[Event], list[str], bool]:
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(1, kernel.record("map", iova=1))
    ring.raw(page)
    ring.add(9, kernel.record("map", iova=2))
    rows, reader = read(File(kernel, [Instance([ring])]).build())
    return rows, notice_ids(reader), reader.complete


def _page(commit: int, body: bytes = b"") -> bytes:
    head = (5).to_bytes(8, "little") + commit.to_bytes(8, "little")
    return (head + body).ljust(PAGE, b"\0")


@pytest.mark.parametrize(
    "page",
    [
        _page(PAGE),
        _page(0x7FFFFFF),
        _page(8, (28).to_bytes(4, "little")),
        _page(8, (0).to_bytes(4, "little") + (0xFFFFFFFF).to_bytes(4, "little")),
        _page(8, (0).to_bytes(4, "little") + (3).to_bytes(4, "little")),
        _page(8, (29 | 1 << 5).to_bytes(4, "little") + (0xFFFF).to_bytes(4, "little")),
        _page(4, (30).to_bytes(4, "little")),
        _page(4, (0).to_bytes(4, "little")),
    ],
    ids=["commit", "huge-commit", "entry", "length", "short-length", "padding", "extend", "word"],
)
def test_damaged_page_is_a_gap(page: bytes) -> None:
    """A page that points outside itself is a loss of unknown size; the others are read."""
    rows, notices, complete = _with_page(page)

    want = [EventKind.IOMMU_MAP, EventKind.LOST, EventKind.IOMMU_MAP]
    assert want == [row.kind for row in rows]
    assert (["trace-cut-short"], False) == (notices, complete)


@pytest.mark.parametrize("where", [0xFFFF, 0x0010_FFF0, 0xFFFF_0030])
def test_text_outside_its_record(where: int) -> None:
    """A name that lies outside its record makes the record unreadable, and only it."""
    kernel = Kernel()
    record = bytearray(kernel.record("dma_sync_single_for_cpu", device=DEV, dma_addr=1))
    record[8:12] = where.to_bytes(4, "little")
    ring = Ring(kernel)
    ring.add(1, bytes(record))
    ring.add(2, kernel.record("map"))
    rows, reader = read(File(kernel, [Instance([ring])]).build())

    assert [EventKind.IOMMU_MAP] == [row.kind for row in rows]
    assert (["trace-cut-short"], 2) == (notice_ids(reader), reader.records)


@pytest.mark.parametrize("size", [0, 4, 8, 28])
def test_record_shorter_than_its_fields(size: int) -> None:
    """A record without room for its fields is not read."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(1, kernel.record("map")[:size], long_form=True)
    rows, reader = read(File(kernel, [Instance([ring])]).build())

    assert [] == rows
    assert (["trace-cut-short"], False) == (notice_ids(reader), reader.complete)


def test_entries_of_unknown_length() -> None:
    """Lengths that are missing in a list are unknown, not zero."""
    row = one("dma_sync_sg_for_cpu", device=DEV, dma_addrs=[1, 2], lengths=[3])

    assert ((1, 3), (2, UNKNOWN)) == row.sg_bus
    assert Flag.PHYS_UNKNOWN | Flag.LENGTH_UNKNOWN == row.flags
    assert SideTag.SG_BUS == 1


def test_long_names_are_cut() -> None:
    """A name that no device has is kept in part."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(1, kernel.record("driver_probe", dev="x" * 300))
    ring.add(2, kernel.record("driver_probe", dev="y"))
    rows, reader = read(File(kernel, [Instance([ring])]).build())

    assert 2 == len(rows)
    assert "y" == reader.devices[rows[1].device]
    assert len(reader.devices[rows[0].device]) < 300
    assert reader.complete


def test_many_devices() -> None:
    """Thousands of devices each have a number of their own."""
    kernel = Kernel()
    ring = Ring(kernel)
    for n in range(5000):
        ring.add(n, kernel.record("driver_probe", dev=f"dev{n % 2500}"))
    rows, reader = read(File(kernel, [Instance([ring])]).build())

    assert [f"dev{n % 2500}" for n in range(5000)] == [reader.devices[r.device] for r in rows]
    assert 2501 == len(reader.devices)
