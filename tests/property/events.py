"""Random recordings: few devices, few addresses, so that everything collides."""

from collections.abc import Callable
from dataclasses import fields
from random import Random
from typing import Any

from dmaverify.model.events import EventBatch
from dmaverify.model.fields import OBJECT_NAMES
from dmaverify.model.kinds import MAPPING_ERROR, Arg, EventKind, Flag
from dmaverify.model.routines import Routine
from tests.oracle.commands import COMMANDS
from tests.oracle.nouns import Call

K = EventKind
TOP = 1 << 64
WEIGHTS = {
    K.DMA_MAP: 10, K.DMA_UNMAP: 8, K.DMA_SYNC_FOR_CPU: 2, K.DMA_SYNC_FOR_DEVICE: 2, K.DMA_ALLOC: 2,
    K.DMA_FREE: 2, K.IOMMU_MAP: 2, K.IOMMU_UNMAP: 2, K.LOST: 1, K.DRIVER_PROBE: 1,
    K.DRIVER_BOUND: 1, K.DRIVER_UNBOUND: 1, K.DEVICE_LIMITS: 1, K.BOUNCE: 1, K.MARK: 1,
    K.IOMMU_ATTACH: 1, K.DEV_FAULT: 1, K.DEV_READ: 4, K.DEV_WRITE: 4, K.DEV_START: 2,
    K.CPU_READ: 3, K.CPU_WRITE: 3, K.MEMORY: 2, K.MEMORY_FREE: 2,
    K.COMMAND_BEGIN: 1, K.COMMAND_ARRIVED: 1, K.COMMAND_DONE: 1,
}  # fmt: skip
WINDOWS = {
    K.DMA_MAP: 6, K.DMA_UNMAP: 5, K.DMA_ALLOC: 3, K.DMA_FREE: 3, K.IRQL: 2, K.DMA_CALL: 3,
    K.ADAPTER_GET: 4, K.ADAPTER_PUT: 2, K.CHANNEL_ALLOCATE: 4, K.CHANNEL_GRANTED: 4,
    K.CHANNEL_ACTION: 3, K.CHANNEL_FREE: 3, K.CHANNEL_CANCEL: 1, K.MDL_LOCK: 3, K.MDL_UNLOCK: 2,
    K.MDL_FREE: 1, K.MDL_MAP: 1, K.MDL_UNMAP: 1, K.IO_FLUSH: 1, K.PHYS_QUERY: 1,
    K.REQUEST_COMPLETE: 2, K.DMA_CANCEL: 1, K.DEV_WRITE: 2, K.DEV_START: 2, K.CPU_WRITE: 3,
    K.LOST: 1, K.DRIVER_PROBE: 1, K.DRIVER_UNBOUND: 1, K.MEMORY: 1,
}  # fmt: skip
WINDOWS_KINDS = [kind for kind, weight in WINDOWS.items() for _ in range(weight)]
CHOICES: dict[Arg, list[int]] = {
    Arg.ADAPTER: [1, 1, 1, 2, 0, 1 << 32],
    Arg.FILE: [1, 1, 2, 3, 0],
    Arg.MDL: [1, 1, 2, 0],
    Arg.ROUTINE: [*map(int, Routine), 9, 9, 10, 13, 14, 14, 99],
    Arg.REGISTERS: [1, 2, 2, 40],
    Arg.GRANTED: [2, 17],
    Arg.VERSION: [0, 2, 3, 4],
    Arg.WIDTH: [0, 32, 64, 65],
    Arg.OFFSET: [0, 0, 0x40, 0x2000, TOP - 4],
    Arg.MDL_LENGTH: [0x800, 0x1000, 0x10000],
    Arg.ACTION: [1, 2, 3, 3, 7],
    Arg.CACHE: [0, 1, 1, 2],
    Arg.ALIGNMENT: [1, 4, 64, 0],
    Arg.INDEX: [0, 1],
    Arg.VECTOR: [1, 1, 2, 0],
    Arg.ELEMENTS: [1, 2],
}
#: Named numbers that the events of a kind mostly have.
USUAL_ARGS = {
    K.DMA_MAP: "adapter file mdl routine offset mdl_length",
    K.DMA_UNMAP: "adapter file mdl routine offset",
    K.DMA_ALLOC: "adapter routine cache vector index",
    K.DMA_FREE: "adapter routine cache vector index",
    K.DMA_CALL: "routine vector index elements",
    K.ADAPTER_GET: "granted alignment version width",
    K.CHANNEL_ALLOCATE: "adapter registers routine",
    K.CHANNEL_GRANTED: "adapter registers",
    K.CHANNEL_ACTION: "adapter action",
    K.CHANNEL_FREE: "adapter routine registers",
    K.MDL_LOCK: "routine",
    K.MDL_MAP: "cache",
    K.PHYS_QUERY: "mdl",
    K.REQUEST_COMPLETE: "mdl",
    K.DMA_CANCEL: "file",
}
KINDS = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]
BUS = [0x1000, 0x1000, 0x1000, 0x1040, 0x1800, 0x1FF0, 0x2000, 0x2000, 0x3000, 0x0, TOP - 0x1000]
PHYS = [0x9000, 0x9000, 0x9020, 0x9040, 0x9800, 0x9FC0, 0xA000, 0xB000, 1 << 40]
LENGTHS = [0x20, 0x40, 0x40, 0x800, 0x1000, 0x1000, 0x2000, 0x9000, 0x100000]
ODD_LENGTHS = [0, 1, 1 << 40, TOP - 0x1000, TOP - 0xF00, TOP - 1]
OFFSETS = [0, 0, 0x10, 0x3F, 0x40, 0x7C0]
ACCESSES = [1, 0x10, 0x40, 0x100, 0x800, 0x1000]
DIRECTIONS = [0, 1, 1, 2, 2, 2]
ODD_DIRECTIONS = [3, 4, 200, None]
SINGLE_FLAGS = [
    Flag.FAILED, Flag.NULL_CPU, Flag.SKIP_SYNC, Flag.MMIO, Flag.TRUNCATED, Flag.HASHED,
    Flag.TIME_UNKNOWN, Flag.FROM_MARK,
]  # fmt: skip
MAP_TYPES, ALLOC_TYPES, ODD_TYPES = [1, 1, 1, 2, 3, 3, 3], [4, 4, 5, 6], [0, 1, 3, 4]


class Writer:
    """Writes one recording: mostly such calls as drivers make, seldom odd ones."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.made: list[Call] = []
        self.windows = self.seldom(2)
        self.identity = self.seldom(3)  # no IOMMU: the bus address is the physical one

    def pick(self, options: list[Any]) -> Any:
        """Return one of some values."""
        return self.random.choice(options)

    def seldom(self, chances: int = 12) -> bool:
        """Return True once in so many times."""
        return self.random.randrange(chances) == 0

    def usual(self, values: list[Any], odd: list[Any]) -> Any:
        """Return a usual value, seldom an odd one."""
        return self.pick(odd) if self.seldom() else self.pick(values)

    def call(self, number: int) -> Call:
        """Return the next event."""
        kind = self.pick(WINDOWS_KINDS if self.windows else KINDS)
        values: dict[str, Any] = {
            "kind": kind, "time": number * 1000 + self.random.randrange(900), "record": number,
            "cpu": self.pick([0, 0, 1]), "site": self.pick([7, 7, 8]), "flags": 0,
            "device": 0 if kind in (K.IOMMU_MAP, K.IOMMU_UNMAP, K.LOST, K.MARK, *COMMANDS, K.MEMORY_FREE)
            else self.pick([1, 1, 2]),
        }  # fmt: skip
        if self.seldom(8):
            values["flags"] |= self.pick(SINGLE_FLAGS)
        if self.seldom(20):
            values["time"] += 200_000  # the next steps back
        fill = getattr(self, f"_{kind.name.lower()}", None)
        if fill is not None:
            fill(values)
        if self.windows:
            self._names(values)
        return Call(**values)

    def _names(self, values: dict[str, Any]) -> None:
        """Fill in the named numbers of a kind, and the object that it is about."""
        kind = values["kind"]
        own = OBJECT_NAMES.get(kind)
        if own is not None:
            objects = CHOICES.get(Arg[own.upper()], []) if own not in ("level", "request") else []
            values["object"] = self.pick([n for n in objects if n >> 32 == 0] or [0, 2, 2, 5])
            values["length"] = self.usual([None, 0x800], [0x1000])
        if not self.seldom(8):
            names = USUAL_ARGS.get(kind, "").split()
            args = {Arg[n.upper()]: self.pick(CHOICES[Arg[n.upper()]]) for n in names}
            kept = {arg: value for arg, value in args.items() if not self.seldom(8)}
            values["args"] = kept or None
        if kind is K.CHANNEL_CANCEL:
            values["status"] = self.pick([0, 1])

    # ---- calls -----------------------------------------------------------------------------------

    def _dma_map(self, values: dict[str, Any]) -> None:
        values["type"] = self.usual(MAP_TYPES, ODD_TYPES)
        values["direction"] = self.usual(DIRECTIONS, ODD_DIRECTIONS)
        if values["type"] == 3:
            self._lists(values)
        else:
            self._range(values)
        if self.seldom(20):
            values["bus_addr"] = MAPPING_ERROR
            values["flags"] |= Flag.FAILED

    def _dma_alloc(self, values: dict[str, Any]) -> None:
        self._range(values)
        values["type"] = self.pick(ALLOC_TYPES)
        values["direction"] = self.usual([0], [2, None])
        values["virt_addr"] = self.usual([0xAA, 0xBB], [None])

    def _range(self, values: dict[str, Any]) -> None:
        values["bus_addr"] = self.usual(BUS, [None, MAPPING_ERROR])
        values["length"] = self.usual(LENGTHS, [*ODD_LENGTHS, None])
        values["phys_addr"] = self.usual(PHYS, [None])
        if self.identity and not self.seldom(6):
            values["phys_addr"] = values["bus_addr"]

    def _lists(self, values: dict[str, Any]) -> None:
        """Fill in lists of pieces that do not overlap one another."""
        starts = self.random.sample(range(1, 5), self.random.randint(1, 3))
        if self.seldom(5):
            starts = []
        pieces = [(s * 0x1000, self.pick([0x40, 0x800, 0x1000])) for s in starts]
        memory = self.random.choices(PHYS, k=self.random.randint(1, 3))
        if len(memory) != len(pieces) and not self.seldom(4):
            memory = (memory * 3)[: len(pieces)] or memory
        if self.identity and pieces and not self.seldom(6):
            memory = [a for a, _ in pieces]
        values.update(sg_bus=pieces or None, sg_phys=memory)
        values["bus_addr"] = pieces[0][0] if pieces else None
        values["length"] = sum(n for _, n in pieces)
        values["phys_addr"] = memory[0]
        if self.seldom(8):
            values["phys_full"] = len(memory) + self.pick([1, 500])
            values["bus_full"] = values["phys_full"] if pieces else None
            values["flags"] |= Flag.TRUNCATED
        if self.seldom(8):
            values["sg_phys"] = None

    def _earlier(self, kinds: tuple[EventKind, ...]) -> Call | None:
        made = [c for c in self.made if c.kind in kinds]
        if not made or self.seldom(8):
            return None
        return self.pick(made[-5:])

    def _again(self, values: dict[str, Any], was: Call) -> None:
        for name in ("bus_addr", "length", "direction", "type", "device", "virt_addr"):
            values[name] = getattr(was, name)

    def _spoil(self, values: dict[str, Any]) -> None:
        """Make one mistake, seldom two."""
        while self.seldom(4):
            name, options = self.pick([
                ("bus_addr", BUS), ("length", LENGTHS + ODD_LENGTHS), ("direction", ODD_DIRECTIONS),
                ("direction", DIRECTIONS), ("device", [1, 2]), ("type", [0, 1, 3, 4]),
                ("virt_addr", [0xAA, None]),
            ])  # fmt: skip
            values[name] = self.pick(options)

    def _dma_unmap(self, values: dict[str, Any]) -> None:
        was = self._earlier((K.DMA_MAP,))
        if was is None:
            self._dma_map(values)
        else:
            self._again(values, was)
            if was.sg_phys:
                count = self.usual([len(was.sg_phys)], [1])
                values.update(sg_phys=was.sg_phys[:count], phys_full=was.phys_full)
        self._spoil(values)
        values["sg_bus"] = None
        if values["type"] == 3 and not self.seldom():
            values.update(bus_addr=None, length=None)
            values["sg_phys"] = values.get("sg_phys") or [self.pick(PHYS)]
        else:
            values["sg_phys"] = values["phys_full"] = None

    def _dma_free(self, values: dict[str, Any]) -> None:
        was = self._earlier((K.DMA_ALLOC,))
        if was is None:
            self._dma_alloc(values)
        else:
            self._again(values, was)
        self._spoil(values)

    def _dma_sync_for_cpu(self, values: dict[str, Any]) -> None:
        was = self._earlier((K.DMA_MAP, K.DMA_ALLOC))
        if was is None:
            self._dma_map(values)
            values["phys_addr"] = values["sg_phys"] = None
        else:
            self._again(values, was)
            values.update(sg_bus=was.sg_bus, bus_full=was.bus_full)
        self._spoil(values)
        if values["bus_addr"] is not None and not values.get("sg_bus"):
            values["bus_addr"] = (values["bus_addr"] + self.pick([0, 0, 0x10, 0x40])) % TOP

    _dma_sync_for_device = _dma_sync_for_cpu

    # ---- the rest --------------------------------------------------------------------------------

    def _iommu_map(self, values: dict[str, Any]) -> None:
        values.update(bus_addr=self.pick(BUS), length=0x1000, phys_addr=self.pick(PHYS))

    def _iommu_unmap(self, values: dict[str, Any]) -> None:
        length = self.usual([0x1000, 0x2000], [0, 1 << 40])
        values.update(bus_addr=self.pick(BUS), length=length)
        values["phys_addr"] = self.usual([length], [0])

    def _bounce(self, values: dict[str, Any]) -> None:
        values.update(bus_addr=0xFFFF_FFFF, length=0x40, phys_addr=self.pick(PHYS))

    def _device_limits(self, values: dict[str, Any]) -> None:
        values.update(
            length=self.pick([0x800, 0x1000, None]), bus_addr=self.pick([0xFFF, 0xFFFF, None]),
            phys_addr=self.pick([0x1FFF, 0xFFFF_FFFF, None]),
        )  # fmt: skip

    def _access(self, values: dict[str, Any], direction: int | None) -> None:
        was = self._earlier((K.DMA_MAP, K.DMA_ALLOC))
        if was is None or was.bus_addr is None:
            made_up = [*BUS, *PHYS, 0xFFFF_F010, 0xFFFF_8880_0000_1000, MAPPING_ERROR, None]
            values["bus_addr"] = self.pick(made_up)
        else:
            start = self.pick([was.bus_addr, *[a for a, _ in was.sg_bus or []]])
            values.update(device=was.device, bus_addr=(start + self.pick(OFFSETS)) % TOP)
        values.update(length=self.pick(ACCESSES), direction=direction, object=self.pick([0, 5]))
        values["flags"] &= ~Flag.FROM_MARK  # another source's word for what the trace tells
        if self.seldom():
            values["device"] = self.pick([1, 2])

    def _dev_read(self, values: dict[str, Any]) -> None:
        self._access(values, 1)

    def _dev_write(self, values: dict[str, Any]) -> None:
        self._access(values, 2)

    def _dev_start(self, values: dict[str, Any]) -> None:
        self._access(values, self.pick([1, 2, 2, None]))

    def _cpu_read(self, values: dict[str, Any]) -> None:
        was = self._earlier((K.DMA_MAP, K.DMA_ALLOC))
        phys = was.phys_addr if was else self.pick(PHYS)
        values["phys_addr"] = None if phys is None else (phys + self.pick(OFFSETS)) % TOP
        values["length"] = self.usual(ACCESSES, [0, None])

    _cpu_write = _cpu_read

    def _memory(self, values: dict[str, Any]) -> None:
        values.update(phys_addr=self.pick([*PHYS, *BUS]), object=self.pick([1, 2, 5]))
        values["length"] = self.usual([0x40, 0x100, 0x1000, 0x2000], [0, None])

    def _memory_free(self, values: dict[str, Any]) -> None:
        was = self._earlier((K.DMA_MAP,))
        page = (was.phys_addr if was and was.phys_addr else self.pick(PHYS)) // 0x1000 * 0x1000
        values.update(phys_addr=page, length=self.usual([0x1000, 0x4000], [0, None]))

    def _command_begin(self, values: dict[str, Any]) -> None:
        values.update(
            bus_addr=self.usual([0], [1, 64, None]), phys_addr=self.usual([1], [2, 1 << 16, None]),
            object=self.pick([1, 2, 0x1001]),
        )  # fmt: skip

    _command_arrived = _command_begin

    def _command_done(self, values: dict[str, Any]) -> None:
        self._command_begin(values)
        values["status"] = self.usual([0], [7])

    def _lost(self, values: dict[str, Any]) -> None:
        values.update(length=self.pick([None, 5]), status=self.pick([0, 0, 1]))


def recording(seed: int, most: int) -> list[Call]:
    """Return the recording of a seed, of at most `most` events."""
    writer = Writer(Random(seed))
    for number in range(1, writer.random.randint(1, most) + 1):
        writer.made.append(writer.call(number))
    return writer.made


LEARNT = 15  # events of three whole commands, after which a controller's device is known


class CommandWriter(Writer):
    """Writes what a driver of a disk does: command, mapping, completion, unmap, end."""

    def call(self, number: int) -> Call:
        """Return the next event: what mostly follows the last, seldom anything."""
        last = self.made[-1] if self.made else None
        follows = {
            K.COMMAND_BEGIN: K.DMA_MAP, K.DMA_MAP: K.COMMAND_ARRIVED,
            K.COMMAND_ARRIVED: K.DMA_UNMAP, K.DMA_UNMAP: K.COMMAND_DONE,
        }  # fmt: skip
        kind = follows.get(last.kind, K.COMMAND_BEGIN) if last else K.COMMAND_BEGIN
        odd = number > LEARNT
        if odd and self.seldom(3):
            kind = self.pick(KINDS if self.seldom(6) else [*follows, K.COMMAND_DONE])

        def usual(value: int, other: int) -> int:
            return other if odd and self.seldom() else value

        values: dict[str, Any] = {
            "kind": kind, "time": number * 1000, "record": number, "cpu": usual(0, 1),
            "site": usual(7, 8), "flags": 0, "device": usual(1, 2),
        }  # fmt: skip
        if kind in COMMANDS:
            values.update(device=0, bus_addr=0, phys_addr=usual(1, 2), object=usual(1, 0x1002))
            if kind == K.COMMAND_DONE:
                values["status"] = usual(0, 7)
        elif kind in (K.DMA_MAP, K.DMA_UNMAP):
            values.update(bus_addr=usual(0x1000, 0x2000), length=0x1000, direction=2, type=1)
        else:
            return super().call(number)
        return Call(**values)


def commands(seed: int, most: int) -> list[Call]:
    """Return the recording of a disk's driver, of at most `most` events."""
    writer = CommandWriter(Random(seed))
    for number in range(1, writer.random.randint(20, most) + 1):
        writer.made.append(writer.call(number))
    return writer.made


def smallest(calls: list[Call], differ: Callable[[list[Call]], str]) -> str:
    """Return what is told of a recording, after leaving out all events that do not matter.

    Args:
        calls: a recording.
        differ: tells how two engines differ on a recording; "" where they agree.
    """
    told = differ(calls)
    while told:
        for at in range(len(calls)):
            fewer = calls[:at] + calls[at + 1 :]
            if differ(fewer):
                calls = fewer
                break
        else:
            return "\n".join([*map(shown, calls), differ(calls)])
    return told


def shown(call: Call) -> str:
    """Return an event as text, without what is not set."""
    values = {f.name: getattr(call, f.name) for f in fields(call) if f.name != "kind"}
    plain = {
        k: hex(v) if isinstance(v, int) else v for k, v in values.items() if v not in (None, 0)
    }
    return f"{call.kind.name.lower()} " + " ".join(f"{k}={v}" for k, v in plain.items())


def add(batch: EventBatch, call: Call) -> None:
    """Append an event to a batch."""
    batch.add(**{f.name: getattr(call, f.name) for f in fields(call)})


def batch_of(calls: list[Call]) -> EventBatch:
    """Return a batch of some events."""
    batch = EventBatch(16)
    for call in calls:
        add(batch, call)
    return batch
