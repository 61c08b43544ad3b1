"""The native format, as people write it."""

from pathlib import Path

import pytest

from dmaverify.errors import TraceError
from dmaverify.model.events import EventBatch
from dmaverify.model.kinds import Arg, Direction, EventKind, Flag, MapType
from dmaverify.model.routines import ReleaseAction, Routine
from dmaverify.trace.native import HEADER, write_event
from tests.unit.trace.reading import MAP, dma_line, read_text

K = EventKind


def dmat(*lines: str) -> str:
    """Return a native trace of these lines."""
    return "\n".join((HEADER, *lines, ""))


def test_canonical_line() -> None:
    """An event is one line in the grammar of ftrace's."""
    batch = EventBatch()
    batch.add(K.DMA_MAP, time=1911778000, cpu=1, site=12, device=1, type=MapType.SINGLE,
              direction=1, bus_addr=0xFFFFF000, length=4080, phys_addr=0x2E3B000)  # fmt: skip
    expected = (
        "            nvme-12      [001] .....      1.911778000: dma_map: 0000:00:04.0 type=single"
        " direction=to_device bus_addr=0xfffff000 length=4080 phys_addr=0x2e3b000"
    )

    assert expected == write_event(batch[0], ["", "0000:00:04.0"], "nvme")


def test_named_numbers(tmp_path: Path) -> None:
    """Each stands under its own name, as a word where it is one of an enumeration."""
    text = dmat(
        "channel_free: dev0 file=7 adapter=3 routine=free_map_registers registers=0x11",
        "channel_action: dev0 file=7 adapter=3 action=keep_object",
        "dma_map: dev0 bus_addr=1 length=1 file=0 offset=0xfffffffffffffffc routine=99",
        "adapter_put: dev0 adapter=0",
        "dma_call: dev0 adapter=3 routine=keep_object registers=? granted=many version=",
    )
    reader, found = read_text(tmp_path, text)

    assert [7, 7, 0, 0, 3] == [e.object for e in found]
    assert [
        ((Arg.ADAPTER, 3), (Arg.ROUTINE, Routine.FREE_MAP_REGISTERS), (Arg.REGISTERS, 17)),
        ((Arg.ADAPTER, 3), (Arg.ACTION, ReleaseAction.KEEP_OBJECT)),
        ((Arg.ROUTINE, 99), (Arg.FILE, 0), (Arg.OFFSET, 2**64 - 4)),
        (),
        (),
    ] == [e.args for e in found]
    assert [] == reader.notices
    assert [
        "dev0 file=7 adapter=3 routine=free_map_registers registers=17",
        "dev0 file=7 adapter=3 action=keep_object",
        "dev0 type=single bus_addr=0x1 length=1 routine=99 file=0 offset=0xfffffffffffffffc",
        "dev0 adapter=0",
        "dev0 adapter=3",
    ] == [write_event(e, reader.devices).split(": ", 2)[2] for e in found]


def test_task_name_ends_no_line() -> None:
    """A task's name can not break the line that it stands in."""
    batch = EventBatch()
    batch.add(K.MARK, text="a\nb")
    line = write_event(batch[0], [""], "x\ny" + "z" * 20)

    assert "\n" not in line
    assert line.startswith(" x?yzzzzzzzzzzzz-0")


def test_hand_written(tmp_path: Path) -> None:
    """Task, CPU and time may be missing, and most fields too."""
    text = dmat(
        "dma_map: dev0 direction=to_device bus_addr=4096 length=0x200",
        "# a comment", "",
        "dma_map: dev0 direction=FROM_DEVICE segments={0x1000+0x10,8192+32} phys={1,2,3}",
        "dma_unmap: dev0 bus_addr=? type=resource skip_sync mmio failed",
        'mark: text="say \\"hi\\"\\x0a"',
        "iommu_unmap: bus_addr=4096 length=4096 unmapped=0",
        "device_limits: dev0 max_segment=65536 boundary=0xffff dma_mask=0xffffffff",
        "driver_unbound: dev0",
        "lost: length=3",
        "dma_alloc: dev0 bus_addr=4096 length=24 virt_addr=0xffff888000000000",
    )  # fmt: skip
    reader, found = read_text(tmp_path, text)
    one, sg, unmap, mark, iommu, limits, unbound, lost, alloc = found

    assert (4096, 512, Direction.TO_DEVICE, MapType.SINGLE) == (
        one.bus_addr, one.length, one.direction, one.type)  # fmt: skip
    assert Flag.TIME_UNKNOWN | Flag.PHYS_UNKNOWN == one.flags
    assert (MapType.SG, ((4096, 16), (8192, 32)), 48, 4096, (1, 2, 3), 1) == (
        sg.type, sg.sg_bus, sg.length, sg.bus_addr, sg.sg_phys, sg.phys_addr)  # fmt: skip
    assert Flag.BUS_UNKNOWN | Flag.SKIP_SYNC | Flag.MMIO | Flag.FAILED == unmap.flags & (
        Flag.BUS_UNKNOWN | Flag.SKIP_SYNC | Flag.MMIO | Flag.FAILED
    )
    assert 'say "hi"\n' == mark.text
    assert (0, False) == (iommu.phys_addr, bool(iommu.flags & Flag.PHYS_UNKNOWN))
    assert (65536, 0xFFFF, 0xFFFFFFFF) == (limits.length, limits.bus_addr, limits.phys_addr)
    assert (K.DRIVER_UNBOUND, 1) == (unbound.kind, unbound.device)
    assert (K.LOST, 3, 3) == (lost.kind, lost.length, reader.lost)
    assert (MapType.COHERENT, Flag.TIME_UNKNOWN | Flag.PHYS_UNKNOWN | Flag.DIRECTION_UNKNOWN) == (
        alloc.type, alloc.flags)  # fmt: skip
    assert ("dmat", []) == (reader.format, reader.notices)


def test_kernel_lines(tmp_path: Path) -> None:
    """Kernel events in their own spelling are read in a native trace too."""
    text = dmat(dma_line(MAP).rstrip("\n"), dma_line(MAP, "dma_map_page", at=1).rstrip("\n"))
    alloc = "0000:00:06.0 dir=TO_DEVICE dma_addr=1000 size=24 virt_addr=ff attrs="
    _, events = read_text(tmp_path, text + dma_line(alloc, "dma_alloc"))

    assert [0xFFE8A000, 0xFFE8A000, 0x1000] == [e.bus_addr for e in events]
    assert [512, 512, 24] == [e.length for e in events]


def test_native_names_elsewhere(tmp_path: Path) -> None:
    """Without the header, an event called `dma_map` is somebody else's."""
    reader, events = read_text(tmp_path, dma_line("dev0 bus_addr=1 length=1", "dma_map"))

    assert ([], 1, 1) == (events, reader.records, reader.skipped)


@pytest.mark.parametrize("version", ["2", "12", "", "one"])
def test_other_versions(tmp_path: Path, version: str) -> None:
    """A version that is not known is refused, not guessed at."""
    with pytest.raises(TraceError, match="this version reads"):
        read_text(tmp_path, f"# dmaverify trace {version}\ndma_map: d bus_addr=1 length=1\n")


def test_derived_events(tmp_path: Path) -> None:
    """What only the engine can say is not believed from a file."""
    reader, events = read_text(tmp_path, dmat("left_mapped: dev0 bus_addr=1 length=1"))

    assert ([], 1) == (events, reader.skipped)


@pytest.mark.parametrize(
    ("line", "notice"),
    [
        ("dma_map: dev0 bus_adr=4096 length=512", "unknown-fields"),
        ("dma_map:", "events-garbled"),
        ("dma_map dev0 bus_addr=4096", "lines-not-understood"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, line: str, notice: str) -> None:
    """A slip of the pen does not pass in silence."""
    reader, _ = read_text(tmp_path, dmat("lost: length=1", line))

    assert [notice] == [n.id for n in reader.notices]


@pytest.mark.parametrize("line", ["dma_map: d segments={0x1000+0x10,", "dma_map: d phys={1,x}"])
def test_cut_lists(tmp_path: Path, line: str) -> None:
    """A list that ends in mid-air is flagged as cut."""
    _, (event,) = read_text(tmp_path, dmat(line))

    assert event.flags & Flag.TRUNCATED
