"""The reader of `trace.dat`, the file of trace-cmd, versions 6 and 7."""

import re
from collections.abc import Iterator, Sequence

from dmaverify.errors import TraceError
from dmaverify.model.events import EventBatch
from dmaverify.model.finding import Notice
from dmaverify.model.kinds import EventKind
from dmaverify.trace.around import Lineless
from dmaverify.trace.dat_chunks import Chunks
from dmaverify.trace.dat_container import read_container
from dmaverify.trace.dat_formats import (
    Format,
    Spot,
    common_spot,
    make_plans,
    parse_format,
    parse_page_layout,
)
from dmaverify.trace.dat_pages import PageDecoder
from dmaverify.trace.dat_sections import RECORD_AGAIN
from dmaverify.trace.dat_source import AnyPart
from dmaverify.trace.events import MAX_DEVICES, EventSpec
from dmaverify.trace.source import Source

ROWS = 8192  # rows of a batch: half a megabyte
DONE, HUNGRY = 0, 2  # what PageDecoder.decode returns

#: Clocks whose values are not nanoseconds: `trace_clocks` in kernel/trace/trace.c.
TICKING = frozenset({"counter", "uptime", "x86-tsc", "ppc-tb"})

# Events of one family come from one instance for each device, if several recorded them.
_FAMILIES = {
    **dict.fromkeys((EventKind.DMA_MAP, EventKind.DMA_UNMAP), 1),
    **dict.fromkeys((EventKind.DMA_SYNC_FOR_CPU, EventKind.DMA_SYNC_FOR_DEVICE), 1),
    **dict.fromkeys((EventKind.DMA_ALLOC, EventKind.DMA_FREE), 1),
    **dict.fromkeys((EventKind.IOMMU_MAP, EventKind.IOMMU_UNMAP), 2),
    **dict.fromkeys((EventKind.IOMMU_ATTACH, EventKind.DEV_FAULT), 2),
    EventKind.BOUNCE: 3,
    **dict.fromkeys((EventKind.DRIVER_PROBE, EventKind.DRIVER_BOUND), 4),
    EventKind.DRIVER_UNBOUND: 4,
}


class DatReader(Lineless):
    """Reads a `trace.dat` front to back; a `dmaverify.trace.base.Reader`.

    Only what the file says about itself is used: the layout of pages and events comes from
    its own format texts.

    Args:
        source: the file; the reader closes it.
        more: events of the user's own.

    Raises:
        TraceError: not such a file, or nothing in it can be read.
    """

    format = "trace-dat"
    binary = True
    streaming = False

    def __init__(self, source: Source, more: Sequence[EventSpec] = ()) -> None:
        self._more = more
        self._file = AnyPart(source)
        self.path = source.path
        self.size: int | None = self._file.size
        self.devices = [""]
        self.complete = True
        self.notices: list[Notice] = []
        self._head = read_container(self._file)
        self._tasks: dict[int, str] | None = None
        self._set_clock()
        self._chunks: list[Chunks] = []
        self._counts: dict[str, int] = {}
        self.every_sync = False
        self.records = self.skipped = self.lost = self.consumed = 0
        self._unplaced = 0
        self._decoder = self._make_decoder()

    def batches(self) -> Iterator[EventBatch]:
        """Give the events in order of time; the batch is reused by the next.

        Raises:
            TraceError: pages are compressed in a way that is not known.
        """
        batch = EventBatch(ROWS + 64)
        self._add_dropped(batch)
        while True:
            result = self._decoder.decode(batch, ROWS)
            if result == HUNGRY:
                stream = self._decoder.hungry
                self._decoder.feed(stream, *self._chunks[stream].take())
                continue
            self._decoder.add_devices(self.devices)
            self._count()
            if result == DONE:
                self._finish()
            if len(batch):
                yield batch
            if result == DONE:
                return
            batch.clear()

    def _count(self) -> None:
        """Take over what was counted so far."""
        self._counts = self._decoder.counts
        self.records = self._counts["records"]
        self.skipped = self._counts["skipped"]
        self.lost = self._counts["lost"] + self._unplaced
        done = sum(chunks.consumed for chunks in self._chunks)
        self.consumed = min(done + self._metadata, self._file.size)

    def task_name(self, site: int, line: str | None) -> str:
        """Return the name that the file gives to a task; "" if it gives none."""
        if self._tasks is None:
            self._tasks = _parse_cmdlines(self._head.cmdlines)
        return "<idle>" if site == 0 else self._tasks.get(site, "")

    def close(self) -> None:
        """Give back the file."""
        self._file.close()

    def _set_clock(self) -> None:
        named = [i.clock for i in self._head.instances if i.clock]
        self.clock = named[0] if named else self._head.trace_clock
        self.ticks = self.clock in TICKING and not self._head.tsc2nsec

    def _make_decoder(self) -> PageDecoder:
        head = self._head
        layout = parse_page_layout(head.header_page, head.long_size)
        formats = [f for f in (parse_format(*pair) for pair in head.formats) if f]
        type_, pid = common_spot(formats, "common_type"), common_spot(formats, "common_pid")
        if type_ is None or pid is None:
            text = f"no event format in it can be read; {RECORD_AGAIN}"
            raise TraceError(self.path, head.cut, text)
        multiplier, shift = head.tsc2nsec or (0, 0)
        decoder = PageDecoder(
            head.order == ">",
            (layout.time_offset, layout.commit_offset, layout.commit_size, layout.data_offset),
            _common(type_),
            _common(pid),
            (multiplier, shift, head.ts_offset % (1 << 64)),
        )
        _add_plans(decoder, formats, layout.commit_size, self._more)
        decoder.set_texts(_parse_printk(head.printk))
        self._add_streams(decoder)
        return decoder

    def _add_streams(self, decoder: PageDecoder) -> None:
        head = self._head
        for number, instance in enumerate(head.instances[:0xFFFE]):
            for place in instance.cpus:
                decoder.add_stream(place.cpu & 0xFFFF, number, instance.page_size)
                chunks = Chunks(self._file, place, instance, head.order, head.compression)
                self._chunks.append(chunks)
        claimed = sum(min(place.size, self._file.size) for i in head.instances for place in i.cpus)
        if claimed > self._file.size + (64 << 10):
            raise TraceError(self.path, None, f"the pages of its CPUs overlap; {RECORD_AGAIN}")
        self._metadata = max(self._file.size - claimed, 0)

    def _finish(self) -> None:
        """Say what the file lacks."""
        counts = self._counts
        cuts = [c.cut for c in self._chunks if c.cut is not None]
        if self._head.cut is not None:
            cuts.append(self._head.cut)
        if self._file.cut_short:
            cuts.append(self._file.size)
        if cuts or counts["damaged"]:
            self.complete = False
            self.notices.append(_cut_notice(cuts, counts["damaged"]))
        if counts["duplicates"]:
            text = (
                "several buffer instances recorded the same events of a device; those of the first "
                "instance were used"
            )
            self.notices.append(Notice("duplicate-instances", text, counts["duplicates"]))
        if counts["other_devices"]:
            text = (
                f"more than {MAX_DEVICES} devices are named; events of further ones share one name"
            )
            self.notices.append(Notice("too-many-devices", text, counts["other_devices"]))
        self._count_statistics()

    def _add_dropped(self, batch: EventBatch) -> None:
        """Say first that new events were dropped: pages tell only of old ones overwritten."""
        dropped = self._statistic("dropped events")
        if dropped:
            self._unplaced = dropped
            batch.add(EventKind.LOST, length=dropped, record=1)

    def _statistic(self, name: str) -> int:
        found = (
            re.findall(rf"^{name}: *(\d{{1,18}})$", text, re.M) for _, text in self._head.statistics
        )
        return sum(int(number) for numbers in found for number in numbers)

    def _count_statistics(self) -> None:
        """Count losses that only the kernel's statistics know; nothing says where they were."""
        known = sum(map(self._statistic, ("overrun", "commit overrun", "dropped events")))
        self._unplaced = max(known - self._counts["lost"], 0)
        self.lost = self._counts["lost"] + self._unplaced
        # Where some page lost an unknown number, that is where the others went.
        if self._unplaced and not self._counts["unsized"]:
            text = (
                "the kernel's statistics count events that were dropped or overwritten, "
                "and no page says where; record with larger buffers (trace-cmd record -b)"
            )
            self.notices.append(Notice("events-lost-somewhere", text, self._unplaced))


def _common(spot: Spot) -> tuple[int, int, int]:
    return spot.mode, spot.offset, spot.size


def _add_plans(
    decoder: PageDecoder, formats: list[Format], long_size: int, more: Sequence[EventSpec]
) -> None:
    for plan in make_plans(formats, long_size, more):
        spec = plan.spec
        spots = [(s.slot, int(s.mode), s.offset, s.size, s.element) for s in plan.spots]
        family = _FAMILIES.get(spec.kind, 0)
        decoder.add_plan(
            plan.id, spec.kind, spec.type, family, spec.failed, spec.direction_garbage, spots,
            {number: int(opcode) for number, opcode in spec.opcodes.items()},
        )  # fmt: skip


def _cut_notice(cuts: list[int], damaged: int) -> Notice:
    parts = []
    if cuts:
        parts.append(f"the file is cut short or damaged at byte {min(cuts)}")
    if damaged:
        parts.append(f"{damaged} pages or records could not be read")
    return Notice("trace-cut-short", f"{'; '.join(parts)}; {RECORD_AGAIN}", len(cuts) + damaged)


def _parse_printk(data: bytes) -> dict[int, bytes]:
    """Return the texts of binary marks by address: printk_formats of tracefs."""
    lines = re.findall(rb'^\s*0x([0-9a-fA-F]{1,16}) : "(.*)"', data, re.M)
    return {int(address, 16): text.replace(rb"\n", b"\n") for address, text in lines}


def _parse_cmdlines(data: bytes) -> dict[int, str]:
    """Return task names by id, from lines of an id, a space and a name."""
    found = {}
    for line in data.decode("utf-8", "replace").splitlines():
        pid, _, name = line.strip().partition(" ")
        if pid.isdigit() and len(pid) < 11:
            found[int(pid)] = name
    return found
