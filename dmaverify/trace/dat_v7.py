"""Version 7 of the container: sections, anywhere in the file, that options point to.

trace-cmd manual page trace-cmd.dat.v7(5), "FORMAT OF THE SECTION HEADER" and following.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dmaverify.errors import TraceError
from dmaverify.trace.dat_sections import (
    COMPRESSED,
    MAX_CPUS,
    MAX_METADATA,
    MAX_OPTIONS_SECTIONS,
    OPTION_BUFFER,
    OPTION_DONE,
    SECTION_BUFFER_TEXT,
    SECTION_CMDLINES,
    SECTION_EVENT_FORMATS,
    SECTION_FTRACE_EVENTS,
    SECTION_HEADER_INFO,
    SECTION_PRINTK,
    SECTION_STRINGS,
    Container,
    CpuData,
    Cursor,
    CutShortError,
    File,
    Instance,
    Unpacker,
    apply_option,
    check_page_size,
    read_cmdlines,
    read_event_formats,
    read_ftrace_events,
    read_header_info,
    read_printk,
)

_READERS: dict[int, Callable[[Cursor, Container], None]] = {
    SECTION_HEADER_INFO: read_header_info,
    SECTION_FTRACE_EVENTS: read_ftrace_events,
    SECTION_EVENT_FORMATS: read_event_formats,
    SECTION_PRINTK: read_printk,
    SECTION_CMDLINES: read_cmdlines,
}  # the kernel's symbols may be many megabytes, and nothing here needs them

_HEADER = "HHIQ"  # of a section: id, flags, where its name stands in the strings, size
_HEADER_SIZE = 16
_MAX_ID = 63  # 22 ids are given so far; what is behind the sections may be anything
_MAX_TAIL = 4096


@dataclass(slots=True)
class _Chain:
    """The chain of options sections: where the first is, the last ended, and if they have names."""

    first: int
    end: int = 0
    named: bool = False


def read_v7(file: File, cursor: Cursor, ret: Container) -> None:
    """Read what follows the common head.

    Raises:
        TraceError: a section is impossible, or compressed in a way that is not known.
    """
    pointers: dict[int, int] = {}
    buffers: list[bytes] = []
    try:
        ret.compression = cursor.name()
        cursor.name()
        chain = _Chain(cursor.number(8))
        for option, data in _options(file, chain, ret.order):
            if option == OPTION_BUFFER:
                buffers.append(data)
            elif option in _READERS and len(data) >= 8:
                pointers[option] = Cursor.over(data, ret.order).number(8)
            elif option == SECTION_BUFFER_TEXT:
                ret.has_text = True
            else:
                apply_option(ret, option, data)
    except CutShortError as cut:
        ret.cut = cut.args[0]
    for option, reader in _READERS.items():
        if option in pointers:
            _read_section(file, pointers[option], reader, ret)
    for data in buffers:
        _read_buffer(file, data, ret)
    if ret.cut is None and not _ends_whole(file, ret, chain):
        ret.cut = file.size


def _options(file: File, chain: _Chain, order: str) -> Iterator[tuple[int, bytes]]:
    """Give the options of all sections in the chain; a loop in the chain ends it."""
    offset = chain.first
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < MAX_OPTIONS_SECTIONS:
        seen.add(offset)
        cursor = Cursor(file.read_at, offset, file.size, order)
        named = struct.unpack(order + _HEADER, cursor.take(_HEADER_SIZE))[2]
        cursor.at = offset
        block = _section(file, cursor, order, "")
        offset = 0
        while True:
            option, data = block.number(2), block.block(4)
            if option == OPTION_DONE:
                offset = Cursor.over(data, order).number(8) if len(data) >= 8 else 0
                break
            yield option, data
        # The size in the header may be short; where the contents end is certain.
        chain.end = max(chain.end, cursor.at)
        chain.named |= named > 0


def _ends_whole(file: File, ret: Container, chain: _Chain) -> bool:
    """Return False where the file ends before its last section does.

    What no option points to stands at the end: the names of the sections, which trace-cmd
    writes last of all.
    """
    at = chain.end
    for instance in ret.instances:
        more = 4 if instance.compressed else 0  # the size leaves out the count of chunks
        at = max([at, *(place.offset + place.size + more for place in instance.cpus if place.size)])
    names = not chain.named
    for _ in range(_MAX_TAIL):
        left = file.size - at
        if left <= 0:
            break
        if left < _HEADER_SIZE:
            return False
        header = file.read_at(at, _HEADER_SIZE)
        number, _, _, size = struct.unpack(ret.order + _HEADER, header)
        if number > _MAX_ID:
            break
        if size > left - _HEADER_SIZE:
            return False
        names |= number == SECTION_STRINGS
        at += _HEADER_SIZE + size
    return names


def _section(file: File, cursor: Cursor, order: str, method: str) -> Cursor:
    """Return a cursor over the contents of the section whose header comes next."""
    start = cursor.at
    cursor.number(2)
    flags = cursor.number(2)
    cursor.number(4)
    size = cursor.number(8)
    if not flags & COMPRESSED:
        # trace-cmd 3.1 leaves the size of some sections short: the contents say their own.
        return cursor
    packed, plain = cursor.number(4), cursor.number(4)
    if plain > MAX_METADATA or packed > size:
        raise TraceError(file.path, start, f"a section of {plain} bytes is not possible")
    data = cursor.take(packed)
    try:
        return Cursor.over(Unpacker(method).unpack(data, plain), order)
    except ValueError as error:
        text = f"a compressed section can not be read ({error}); {_CONVERT}"
        raise TraceError(file.path, start, text) from None


_CONVERT = "`trace-cmd convert --compression none` writes a file without compression"


def _read_section(
    file: File, offset: int, reader: Callable[[Cursor, Container], None], ret: Container
) -> None:
    try:
        cursor = Cursor(file.read_at, offset, file.size, ret.order)
        reader(_section(file, cursor, ret.order, ret.compression), ret)
    except CutShortError:
        ret.cut = offset


def _read_buffer(file: File, data: bytes, ret: Container) -> None:
    """Read one BUFFER option, and from its section's header whether pages are compressed."""
    option = Cursor.over(data, ret.order)
    try:
        section = option.number(8)
        name, clock = option.name(), option.name()
        page_size = check_page_size(file.path, option.number(4), section)
        instance = Instance(name, clock, page_size, [])
        header = Cursor(file.read_at, section, file.size, ret.order)
        header.number(2)
        instance.compressed = bool(header.number(2) & COMPRESSED)
        ret.instances.append(instance)
        for _ in range(min(option.number(4), MAX_CPUS)):
            place = CpuData(option.number(4), option.number(8), option.number(8))
            instance.cpus.append(place)
    except CutShortError as cut:
        ret.cut = cut.args[0] if ret.cut is None else ret.cut
