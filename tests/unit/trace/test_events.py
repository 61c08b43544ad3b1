"""The table of kernel events."""

import re
from pathlib import Path

from dmaverify.model.kinds import EventKind
from dmaverify.trace.events import (
    ATTR_MMIO,
    ATTR_SKIP_SYNC,
    EVENTS,
    Slot,
    is_kernel_pointer,
    read_mark,
)  # fmt: skip
from dmaverify.trace.native import NATIVE_EVENTS
from dmaverify.trace.slots import FIRST_VALUE

FOLDER = Path(__file__).parents[3] / "dmaverify/trace"  # an installed package has no sources


def test_slots_of_the_scanner() -> None:
    """The compiled scanner numbers slots and attributes as the table does."""
    source = (FOLDER / "_fields.pyx").read_text()
    numbers = {n: int(v) for n, v in re.findall(r"^    S_(\w+) = (\d+)$", source, re.M)}
    bits = {n: 1 << int(v) for n, v in re.findall(r"^    ATTR_(\w+) = 1 << (\d+)$", source, re.M)}

    assert {slot.name: slot.value for slot in Slot if slot < FIRST_VALUE} == numbers
    assert {"SKIP_SYNC": ATTR_SKIP_SYNC, "MMIO": ATTR_MMIO} == bits


def test_needs_can_be_met() -> None:
    """No event needs a slot that none of its fields fills."""
    for spec in (*EVENTS, *NATIVE_EVENTS):
        assert spec.needs <= set(spec.fields.values()), spec.name


def test_names_are_unique() -> None:
    """A name means one event."""
    assert len(EVENTS) == len({spec.name for spec in EVENTS})


def test_read_mark() -> None:
    """Only our own words with a device and a driver tell a driver's life."""
    assert (EventKind.DRIVER_BOUND, "d") == read_mark("dmaverify: bind d nvme")
    assert (EventKind.DRIVER_UNBOUND, "d") == read_mark("dmaverify: unbind-end d nvme")
    for text in ("dmaverify: bind d", "dmaverify: unbind-begin d nvme", "bind d nvme", ""):
        assert (EventKind.MARK, "") == read_mark(text)


def test_kernel_pointers() -> None:
    """Addresses of the kernel have all high bits set; hashes have none."""
    assert is_kernel_pointer(0xFF36AEE7D42C4000)
    assert not is_kernel_pointer(0x6120833F)
