"""Version 6 of the container: one part after the other, the pages at the end.

trace-cmd manual page trace-cmd.dat.v6(5), "INITIAL FORMAT" and following.
"""

from dmaverify.errors import TraceError
from dmaverify.trace.dat_sections import (
    MAX_CPUS,
    OPTION_BUFFER,
    OPTION_CPUCOUNT,
    OPTION_DONE,
    Container,
    CpuData,
    Cursor,
    CutShortError,
    File,
    Instance,
    apply_option,
    read_cmdlines,
    read_event_formats,
    read_ftrace_events,
    read_header_info,
    read_printk,
)

_KIND_LENGTH = 10  # bytes of "options  ", "latency  " and "flyrecord" with their zero byte


def read_v6(file: File, cursor: Cursor, ret: Container) -> None:
    """Read what follows the common head.

    Raises:
        TraceError: a part is of a kind that does not exist.
    """
    extra: list[tuple[int, str]] = []
    try:
        read_header_info(cursor, ret)
        read_ftrace_events(cursor, ret)
        read_event_formats(cursor, ret)
        cursor.skip(cursor.number(4))  # the kernel's symbols
        read_printk(cursor, ret)
        read_cmdlines(cursor, ret)
        cpus = _read_data(file, cursor, ret, cursor.number(4), "", extra)
        for offset, name in extra:
            there = Cursor(file.read_at, offset, file.size, ret.order)
            _read_data(file, there, ret, cpus, name, [])
    except CutShortError as cut:
        ret.cut = cut.args[0]


def _read_data(
    file: File, cursor: Cursor, ret: Container, cpus: int, name: str, extra: list[tuple[int, str]]
) -> int:
    """Read options, if there are any, and the places of the pages; return the CPU count."""
    kind = cursor.take(_KIND_LENGTH)
    if kind.startswith(b"options"):
        cpus = _read_options(cursor, ret, cpus, extra)
        kind = cursor.take(_KIND_LENGTH)
    if kind.startswith(b"latency"):
        ret.has_text = True
        return cpus
    if not kind.startswith(b"flyrecord"):
        at = cursor.at - _KIND_LENGTH
        raise TraceError(file.path, at, "neither pages nor text stand where one of them must")
    # All instances share the file's one clock.
    instance = Instance(name, "", ret.page_size, [])
    ret.instances.append(instance)
    for cpu in range(min(cpus, MAX_CPUS)):
        instance.cpus.append(CpuData(cpu, cursor.number(8), cursor.number(8)))
    return cpus


def _read_options(cursor: Cursor, ret: Container, cpus: int, extra: list[tuple[int, str]]) -> int:
    while (option := cursor.number(2)) != OPTION_DONE:
        data = cursor.block(4)
        inner = Cursor.over(data, ret.order)
        if option == OPTION_BUFFER:
            extra.append((inner.number(8), inner.name()))
        elif option == OPTION_CPUCOUNT:
            # Written where the top instance has fewer CPUs with data than the machine.
            cpus = max(cpus, inner.number(4))
        else:
            apply_option(ret, option, data)
    return cpus
