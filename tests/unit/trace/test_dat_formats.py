"""Format files become plans."""

from dmaverify.trace.dat_formats import (
    Mode,
    PageLayout,
    common_spot,
    make_plans,
    parse_fields,
    parse_format,
    parse_page_layout,
)
from dmaverify.trace.events import Slot
from tests.writers.tracedat import Kernel

TEXT = """name: dma_unmap_page
ID: 371
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:__data_loc char[] device;\toffset:8;\tsize:4;\tsigned:0;
\tfield:u64 addr;\toffset:16;\tsize:8;\tsigned:0;
\tfield:size_t size;\toffset:24;\tsize:8;\tsigned:0;
\tfield:enum dma_data_direction dir;\toffset:32;\tsize:4;\tsigned:0;
\tfield:char comm[16];\toffset:40;\tsize:16;\tsigned:0;

print fmt: "%s field:u64 fake; offset:1; size:8;", __get_str(device)
"""


def plan_of(
    text: str, system: str = "dma", long_size: int = 8
) -> dict[int, tuple[int, ...]] | None:
    """Return the spots of a format's plan by slot, or None where it has none."""
    form = parse_format(system, text)
    assert form is not None
    plans = make_plans([form], long_size)
    if not plans:
        return None
    return {s.slot: (s.mode, s.offset, s.size, s.element) for s in plans[0].spots}


def test_fields() -> None:
    """Fields have their names, types and places; the print format is not read."""
    fields = parse_fields(TEXT)

    assert ["common_type", "common_pid", "device", "addr", "size", "dir", "comm"] == list(fields)
    assert ("char[16]", 40, 16) == (
        fields["comm"].type, fields["comm"].offset, fields["comm"].size,
    )  # fmt: skip
    assert fields["common_pid"].signed


def test_plan() -> None:
    """Each slot is found by its field's name."""
    assert {
        Slot.DEVICE: (Mode.DATA_LOC, 8, 4, 1),
        Slot.BUS_ADDR: (Mode.UNSIGNED, 16, 8, 0),
        Slot.LENGTH: (Mode.UNSIGNED, 24, 8, 0),
        Slot.DIRECTION: (Mode.UNSIGNED, 32, 4, 0),
    } == plan_of(TEXT)


def test_other_system_is_another_event() -> None:
    """An event of the same name in another system is not taken."""
    assert plan_of(TEXT, "net") is None


def test_missing_field() -> None:
    """An event without a field that it must have is not taken."""
    assert plan_of(TEXT.replace("u64 addr", "u64 other")) is None


def test_relative_location() -> None:
    """Newer kernels may give the place of a text relative to its field."""
    spots = plan_of(TEXT.replace("__data_loc", "__rel_loc"))

    assert spots is not None
    assert (Mode.REL_LOC, 8, 4, 1) == spots[Slot.DEVICE]


def test_name_in_the_record() -> None:
    """A name may be an array of known size."""
    declared = "__data_loc char[] device;\toffset:8;\tsize:4"
    spots = plan_of(TEXT.replace(declared, "char device[20];\toffset:60;\tsize:20"))

    assert spots is not None
    assert (Mode.FIXED, 60, 20, 1) == spots[Slot.DEVICE]


def test_lists_of_unknown_type() -> None:
    """A list whose entries have no known size is not read."""
    text = Kernel().events["dma_unmap_sg"].text()

    assert plan_of(text) is not None
    assert plan_of(text.replace("__data_loc u64[] addrs", "__data_loc struct x[] addrs")) is None


def test_long_has_the_kernels_size() -> None:
    """A list of longs depends on the size of a long."""
    text = Kernel().events["dma_unmap_sg"].text().replace("u64[] addrs", "unsigned long[] addrs")

    for long_size in (4, 8):
        spots = plan_of(text, "dma", long_size)
        assert spots is not None
        assert long_size == spots[Slot.PHYS_LIST][3]


def test_garbage_is_no_format() -> None:
    """Texts that are no format files are passed over."""
    for text in ("", "\0\0", "name: x", "ID: 5", "name: x\nID: 99999999", "field:u64 x; offset:"):
        assert parse_format("dma", text) is None
    assert {} == parse_fields("field:u64 x;\toffset:99999999999;\tsize:8;\tsigned:0;")
    assert {} == parse_fields("field:u64 x;\toffset:999999999;\tsize:8;\tsigned:0;")


def test_common_fields() -> None:
    """Common fields are found in whatever event comes first."""
    form = parse_format("dma", TEXT)

    assert form is not None
    spot = common_spot([form], "common_pid")
    assert spot is not None
    assert (Mode.SIGNED, 4, 4) == (spot.mode, spot.offset, spot.size)
    assert common_spot([], "common_pid") is None


def test_page_layout() -> None:
    """The layout of a page is what the file says, and the usual one where it says nothing."""
    assert PageLayout(0, 8, 4, 12) == parse_page_layout(Kernel("<", 4).header_page(), 8)
    for text in ("", "rubbish", Kernel().header_page().replace("offset:16", "offset:9")):
        assert PageLayout(0, 8, 8, 16) == parse_page_layout(text, 8)
