"""Make long, healthy recordings: the same activity as `trace.dat` and as tracefs text.

Two devices behind an IOMMU, each on a CPU of its own, map, sync and unmap pages and
scatter lists. Every mapping is made and ended as it should be, so a checker that finds
anything in such a recording is wrong.
"""

import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.writers.tracedat import File, Instance, Kernel, Ring

DEVICES = ("0000:00:04.0", "0000:00:05.0")
DRIVERS = ("nvme", "e1000e")
TASKS = ((201, "iogen"), (202, "netgen"))
DIRECTIONS = ("BIDIRECTIONAL", "TO_DEVICE", "FROM_DEVICE", "NONE")
PAGE = 4096
START = 5_000_000_000  # ns since boot

# One event: (time in ns, device and CPU number, event name, arguments).
Activity = tuple[int, int, str, tuple]


class _Pages:
    """Hands out runs of pages, and hands out again what was given back."""

    def __init__(self, first: int):
        self._next = first
        self._free: dict[int, list[int]] = {}

    def take(self, count: int) -> int:
        free = self._free.get(count)
        if free:
            return free.pop()
        start = self._next
        self._next += count * PAGE
        return start

    def give(self, start: int, count: int) -> None:
        self._free.setdefault(count, []).append(start)


class _Mapping:
    __slots__ = ("bus", "direction", "offset", "phys", "segments", "size", "who")

    def __init__(self, who, bus, phys, size, offset, segments, direction):
        self.who, self.bus, self.phys = who, bus, phys
        self.size, self.offset = size, offset
        self.segments, self.direction = segments, direction


def activity(events: int, live: int = 1000, seed: int = 1) -> Iterator[Activity]:
    """Yield `events` events (at least some dozens), with about `live` mappings at a time."""
    dice = random.Random(seed)
    return _Story(dice, events, live).tell()


class _Story:
    def __init__(self, dice: random.Random, events: int, live: int):
        self.dice = dice
        self.events = events
        self.live = live
        self.bus = _Pages(0x8000_0000)
        self.phys = _Pages(0x1_0000_0000)
        self.maps: list[_Mapping] = []
        self.time = START
        self.told = 0

    def event(self, who: int, name: str, *values: object) -> Activity:
        self.time += 700 + int(self.dice.random() * 1800)
        self.told += 1
        return self.time, who, name, values

    def tell(self) -> Iterator[Activity]:
        for who in (0, 1):
            yield self.event(who, "driver_probe")
            yield self.event(who, "driver_bound")
        longest = 17  # events that the longest step tells
        last_step = self.events - 2 - longest
        while self.told + 2 * len(self.maps) < last_step:
            if len(self.maps) < self.live:
                yield from self.map()
                if len(self.maps) > self.live // 2 and self.dice.random() < 0.3:
                    yield from self.sync(self.dice.choice(self.maps))
            else:
                yield from self.unmap()
        # A last mapping takes up what is left, so that the number of events is exact.
        yield from self.map_one(self.dice.random() < 0.5, 2)
        while self.told + 2 * len(self.maps) + 2 < self.events:
            yield self.sync_event("cpu", self.maps[-1])
        while self.maps:
            yield from self.unmap()
        for who in (0, 1):
            yield self.event(who, "driver_unbound")

    def map(self) -> Iterator[Activity]:
        who = self.dice.random() < 0.5
        if self.dice.random() < 0.12:
            yield from self.map_list(who)
        else:
            yield from self.map_one(who, 1 + (self.dice.random() < 0.5))

    def map_one(self, who: int, direction: int) -> Iterator[Activity]:
        size = self.dice.choice((64, 512, 1522, 2048, 4096))
        offset = 0 if size == PAGE else self.dice.randrange(0, PAGE - size, 64)
        bus, phys = self.bus.take(1), self.phys.take(1)
        yield self.event(who, "map", bus, phys, PAGE)
        self.maps.append(_Mapping(who, bus, phys, size, offset, None, direction))
        values = (phys + offset, bus + offset, size, direction)
        yield self.event(who, "dma_map_page", *values)

    def map_list(self, who: int) -> Iterator[Activity]:
        count, direction = self.dice.randint(4, 16), 1 + (self.dice.random() < 0.5)
        bus = self.bus.take(count)
        pages = [self.phys.take(1) for _ in range(count)]
        for i, phys in enumerate(pages):
            yield self.event(who, "map", bus + i * PAGE, phys, PAGE)
        self.maps.append(_Mapping(who, bus, pages[0], count * PAGE, 0, pages, direction))
        yield self.event(who, "dma_map_sg", pages, bus, direction)

    def sync(self, mapping: _Mapping) -> Iterator[Activity]:
        yield self.sync_event("cpu", mapping)
        yield self.sync_event("device", mapping)

    def sync_event(self, side: str, m: _Mapping) -> Activity:
        if m.segments:
            return self.event(m.who, f"dma_sync_sg_for_{side}", m.segments, m.bus, m.direction)
        values = (m.bus + m.offset, m.size, m.direction)
        return self.event(m.who, f"dma_sync_single_for_{side}", *values)

    def unmap(self) -> Iterator[Activity]:
        at = self.dice.randrange(len(self.maps))
        self.maps[at], self.maps[-1] = self.maps[-1], self.maps[at]
        m = self.maps.pop()
        count = len(m.segments) if m.segments else 1
        if m.segments:
            # The kernel traces this one before it unmaps.
            yield self.event(m.who, "dma_unmap_sg", m.segments, m.direction)
            yield self.event(m.who, "unmap", m.bus, count * PAGE)
        else:
            yield self.event(m.who, "unmap", m.bus, PAGE)
            yield self.event(m.who, "dma_unmap_page", m.bus + m.offset, m.size, m.direction)
        self.bus.give(m.bus, count)
        for page in m.segments or (m.phys,):
            self.phys.give(page, 1)


# --- trace.dat --------------------------------------------------------------------------


def write_dat(
    path: Path,
    events: int,
    live: int = 1000,
    seed: int = 1,
    compression: str = "none",
    version: int = 7,
) -> None:
    """Write the activity as a `trace.dat` of two CPUs."""
    kernel = Kernel()
    rings = (Ring(kernel, 0), Ring(kernel, 1))
    records = _Records(kernel)
    for time, who, name, values in activity(events, live, seed):
        rings[who].add(time, getattr(records, name)(who, *values))
    tasks = dict(TASKS)
    file = File(kernel, [Instance(list(rings))], compression=compression, cmdlines=tasks)
    Path(path).write_bytes(file.build(version))


class _Records:
    """Records packed in one go each: a generic writer would take most of a bench's time."""

    def __init__(self, kernel: Kernel):
        self.kernel = kernel
        self.names = [name.encode() + b"\0" for name in DEVICES]
        ids = {name: event.number for name, event in kernel.events.items()}
        self.heads = [
            {
                name: struct.pack("<HBBi", number, 0, 0, TASKS[who][0])
                for name, number in ids.items()
            }
            for who in (0, 1)
        ]
        self.ends = {name: event.fixed_size for name, event in kernel.events.items()}

    def _where(self, name: str, who: int) -> int:
        return len(self.names[who]) << 16 | self.ends[name]

    def driver_probe(self, who: int) -> bytes:
        return self.kernel.record("driver_probe", TASKS[who][0], dev=DEVICES[who])

    def driver_bound(self, who: int) -> bytes:
        return self.kernel.record("driver_bound", TASKS[who][0], dev=DEVICES[who])

    def driver_unbound(self, who: int) -> bytes:
        return self.kernel.record("driver_unbound", TASKS[who][0], dev=DEVICES[who])

    def map(self, who: int, bus: int, phys: int, size: int) -> bytes:
        return self.heads[who]["map"] + struct.pack("<QQQ", bus, phys, size)

    def unmap(self, who: int, bus: int, size: int) -> bytes:
        return self.heads[who]["unmap"] + struct.pack("<QQQ", bus, size, size)

    def dma_map_page(self, who: int, phys: int, bus: int, size: int, direction: int) -> bytes:
        where = self._where("dma_map_page", who)
        body = struct.pack("<I4xQQQI4xQ", where, phys, bus, size, direction, 0)
        return self.heads[who]["dma_map_page"] + body + self.names[who]

    def dma_unmap_page(self, who: int, bus: int, size: int, direction: int) -> bytes:
        where = self._where("dma_unmap_page", who)
        body = struct.pack("<I4xQQI4xQ", where, bus, size, direction, 0)
        return self.heads[who]["dma_unmap_page"] + body + self.names[who]

    def _single(self, name: str, who: int, bus: int, size: int, direction: int) -> bytes:
        body = struct.pack("<I4xQQI", self._where(name, who), bus, size, direction)
        return self.heads[who][name] + body + self.names[who]

    def dma_sync_single_for_cpu(self, who: int, *values: int) -> bytes:
        return self._single("dma_sync_single_for_cpu", who, *values)

    def dma_sync_single_for_device(self, who: int, *values: int) -> bytes:
        return self._single("dma_sync_single_for_device", who, *values)

    def dma_map_sg(self, who: int, pages: list[int], bus: int, direction: int) -> bytes:
        n = len(pages)
        lists = [bus + i * PAGE for i in range(n)], [PAGE] * n
        return self.kernel.record(
            "dma_map_sg", TASKS[who][0], device=DEVICES[who], full_nents=n, full_ents=n,
            phys_addrs=pages, dma_addrs=lists[0], lengths=lists[1], dir=direction,
        )  # fmt: skip

    def dma_unmap_sg(self, who: int, pages: list[int], direction: int) -> bytes:
        pid = TASKS[who][0]
        return self.kernel.record(
            "dma_unmap_sg", pid, device=DEVICES[who], addrs=pages, dir=direction
        )

    def _sync_sg(self, name: str, who: int, pages: list[int], bus: int, direction: int) -> bytes:
        n = len(pages)
        addresses = [bus + i * PAGE for i in range(n)]
        return self.kernel.record(
            name, TASKS[who][0], device=DEVICES[who], dma_addrs=addresses, lengths=[PAGE] * n,
            dir=direction,
        )  # fmt: skip

    def dma_sync_sg_for_cpu(self, who: int, pages: list[int], bus: int, direction: int) -> bytes:
        return self._sync_sg("dma_sync_sg_for_cpu", who, pages, bus, direction)

    def dma_sync_sg_for_device(self, who: int, pages: list[int], bus: int, direction: int) -> bytes:
        return self._sync_sg("dma_sync_sg_for_device", who, pages, bus, direction)


# --- text -------------------------------------------------------------------------------

_TEXT_HEAD = """# tracer: nop
#
# entries-in-buffer/entries-written: {0}/{0}   #P:2
#
#                                _-----=> irqs-off/BH-disabled
#                               / _----=> need-resched
#                              | / _---=> hardirq/softirq
#                              || / _--=> preempt-depth
#                              ||| / _-=> migrate-disable
#                              |||| /     delay
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
"""


def write_text(path: Path, events: int, live: int = 1000, seed: int = 1) -> None:
    """Write the activity as the kernel's `trace` file prints it."""
    heads = [f"{name:>16}-{pid:<7} [{cpu:03}] ..... " for cpu, (pid, name) in enumerate(TASKS)]
    with Path(path).open("w", encoding="ascii", buffering=1 << 20) as out:
        out.write(_TEXT_HEAD.format(events))
        for time, who, name, values in activity(events, live, seed):
            us = (time + 500) // 1000  # the kernel rounds
            stamp = f"{us // 1_000_000:5}.{us % 1_000_000:06}"
            body = _PRINTERS[name](DEVICES[who], *values)
            out.write(f"{heads[who]}{stamp:>12}: {name}: {body}\n")


def _hexes(items: list[int]) -> str:
    return "{" + ",".join(map(hex, items)) + "}"


def _segments(pages: list[int], bus: int) -> tuple[str, str]:
    return _hexes([bus + i * PAGE for i in range(len(pages))]), _hexes([PAGE] * len(pages))


def _print_map_sg(dev: str, pages: list[int], bus: int, direction: int) -> str:
    n = len(pages)
    addresses, sizes = _segments(pages, bus)
    head = f"{dev} dir={DIRECTIONS[direction]} nents={n}/{n} ents={n}/{n}"
    return f"{head} dma_addrs={addresses} sizes={sizes} phys_addrs={_hexes(pages)} attrs="


def _print_sync_sg(dev: str, pages: list[int], bus: int, direction: int) -> str:
    addresses, sizes = _segments(pages, bus)
    return f"{dev} dir={DIRECTIONS[direction]} dma_addrs={addresses} sizes={sizes}"


def _print_sync(dev: str, bus: int, size: int, direction: int) -> str:
    return f"{dev} dir={DIRECTIONS[direction]} dma_addr={bus:x} size={size}"


def _print_driver(dev: str) -> str:
    return f'(device_links_driver_bound+0x0/0x160) dev="{dev}"'


_PRINTERS = {
    "driver_probe": _print_driver,
    "driver_bound": _print_driver,
    "driver_unbound": _print_driver,
    "map": lambda dev, bus, phys, size: (
        f"IOMMU: iova=0x{bus:016x} - 0x{bus + size:016x} paddr=0x{phys:016x} size={size}"
    ),
    "unmap": lambda dev, bus, size: (
        f"IOMMU: iova=0x{bus:016x} - 0x{bus + size:016x} size={size} unmapped_size={size}"
    ),
    "dma_map_page": lambda dev, phys, bus, size, direction: (
        f"{dev} dir={DIRECTIONS[direction]} dma_addr={bus:x} size={size} phys_addr={phys:x} attrs="
    ),
    "dma_unmap_page": lambda dev, bus, size, direction: (
        f"{dev} dir={DIRECTIONS[direction]} dma_addr={bus:x} size={size} attrs="
    ),
    "dma_map_sg": _print_map_sg,
    "dma_unmap_sg": lambda dev, pages, direction: (
        f"{dev} dir={DIRECTIONS[direction]} phys_addrs={_hexes(pages)} attrs="
    ),
    "dma_sync_single_for_cpu": _print_sync,
    "dma_sync_single_for_device": _print_sync,
    "dma_sync_sg_for_cpu": _print_sync_sg,
    "dma_sync_sg_for_device": _print_sync_sg,
}


def main() -> None:
    """Write one file: `make_trace.py OUT EVENTS [LIVE [SEED]]`, by the ending of its name."""
    out, *numbers = sys.argv[1:]
    write = write_dat if out.endswith(".dat") else write_text
    write(Path(out), *map(int, numbers))


if __name__ == "__main__":
    main()
