"""Marks whose text is an address and arguments."""

import struct

import pytest

from dmaverify.model.kinds import EventKind
from tests.writers.reading import read
from tests.writers.tracedat import File, Instance, Kernel, Ring

ADDRESS = 0xFFFF_FFFF_8200_1230


def told(text: str, arguments: bytes, name: str = "bprint") -> tuple[EventKind, str, str | None]:
    """Return kind, device and text of a mark that the kernel printed."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(1, kernel.record(name, fmt=ADDRESS, str=ADDRESS, buf=arguments))
    printk = f'0x1 : "first"\n0x{ADDRESS:x} : "{text}\\n"\n0xffffffffffffffff : "last"\n'
    rows, reader = read(File(kernel, [Instance([ring])], printk=printk).build())
    return rows[0].kind, reader.devices[rows[0].device], rows[0].text


@pytest.mark.parametrize(
    ("text", "arguments", "want"),
    [
        ("plain", b"", "plain"),
        ("100%% %s", b"sure\0", "100% sure"),
        ("%d %u", struct.pack("<iI", -5, 7), "-5 7"),
        ("%s=%08x.", b"abcde\0" + bytes(2) + struct.pack("<I", 0xBEEF), "abcde=beef."),
        ("%llx %ld", struct.pack("<Qq", 1 << 60, -9), "1000000000000000 -9"),
        ("%hd%c", struct.pack("<hc", -2, b"z"), "-2z"),
        ("cut %d %d", struct.pack("<i", 1), "cut 1 "),
        ("%s", b"no end", "no end"),
        ("at %pS", struct.pack("<Q", 1), "at "),
        ("%", b"", ""),
        ("%hhhhhd", b"xxxxxxxx", ""),
        ("x" * 3000 + "%d", b"", "x" * 1023),
        ("%s", b"y" * 3000 + b"\0", "y" * 1023),
    ],
)
def test_printed_text(text: str, arguments: bytes, want: str) -> None:
    """Arguments are put into the text; what cannot be told is left out."""
    kind, device, made = told(text, arguments)

    assert (EventKind.MARK, "") == (kind, device)
    assert made is not None
    # A text without an end is followed by the record's padding.
    assert want == made.rstrip("\0")


def test_text_without_arguments() -> None:
    """A text that the kernel put whole is found by its address."""
    assert (EventKind.MARK, "", "hello %d") == told("hello %d", b"", "bputs")


def test_driver_tells_of_itself() -> None:
    """A driver can tell of its own life with trace_printk."""
    arguments = b"0000:00:04.0\0mydrv\0"
    kind, device, text = told("dmaverify: bind %s %s", arguments)

    assert (EventKind.DRIVER_BOUND, "0000:00:04.0", None) == (kind, device, text)


def test_text_that_the_file_lacks() -> None:
    """A mark whose text is not in the file is a mark without text."""
    kernel = Kernel()
    ring = Ring(kernel)
    ring.add(1, kernel.record("bprint", fmt=5))
    rows, reader = read(File(kernel, [Instance([ring])]).build())

    assert (EventKind.MARK, "", True) == (rows[0].kind, rows[0].text, reader.complete)
