"""Version 7 of the container: sections, anywhere in the file, that options point to.

trace-cmd manual page trace-cmd.dat.v7(5), "FORMAT OF THE SECTION HEADER" and following.
"""

from collections.abc import Callable, Iterator

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
        for option, data in _options(file, cursor.number(8), ret.order):
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


def _options(file: File, offset: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Give the options of all sections in the chain; a loop in the chain ends it."""
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < MAX_OPTIONS_SECTIONS:
        seen.add(offset)
        cursor = Cursor(file.read_at, offset, file.size, order)
        block = _section(file, cursor, order, "")
        offset = 0
        while True:
            option, data = block.number(2), block.block(4)
            if option == OPTION_DONE:
                offset = Cursor.over(data, order).number(8) if len(data) >= 8 else 0
                break
            yield option, data


def _section(file: File, cursor: Cursor, order: str, method: str) -> Cursor:
    """Return a cursor over the contents of the section whose header comes next."""
    start = cursor.at
    cursor.number(2)
    flags = cursor.number(2)
    cursor.number(4)
    size = cursor.number(8)
    if not flags & COMPRESSED:
        # trace-cmd 3.1 leaves the size of some sections short: the contents say their own.
        return Cursor(file.read_at, cursor.at, cursor.end, order)
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
