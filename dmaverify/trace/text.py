"""Read printed traces: tracefs, trace-cmd report, perf script, and the native format.

Linux Documentation/trace/ftrace.rst, "The File System"; trace-cmd-report(1); perf-script(1).
The scanner does the work; here are the chunks, the lines for people, and what to say.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from dmaverify.errors import TraceError
from dmaverify.model.events import EventBatch
from dmaverify.model.finding import Notice
from dmaverify.trace._scan import Scanner
from dmaverify.trace.events import EVENTS, EventSpec
from dmaverify.trace.native import EVERY_SYNC, HEADER, NATIVE_EVENTS, native_names
from dmaverify.trace.source import Source

CHUNK = 4 << 20  # bytes scanned at once: some 30,000 events
LINE_MAX = 1 << 20  # bytes; what is longer is no event
HISTORY = 16 << 20  # bytes of a stream that `line_at` can still give

FORMATS = {"perf": "perf-script", "dash": "ftrace-text", "bare": "ftrace-text", "": "ftrace-text"}


def is_native(head: bytes) -> bool:
    """Return True where a trace begins as the native format does."""
    return head.split(b"\n", 1)[0].rstrip() == HEADER.encode()


def says_every_sync(head: bytes) -> bool:
    """Return True where a native trace says in its second line that no sync is left out."""
    lines = head.split(b"\n", 2)
    return len(lines) > 1 and lines[1].rstrip() == EVERY_SYNC.encode()


def make_scanner(native: bool, more: Sequence[EventSpec] = ()) -> Scanner:
    """Return a scanner for printed kernel events, and for native ones too if asked.

    Args:
        native: whether native events are taken.
        more: events of the user's own, which take the place of others of their names.
    """
    own = {spec.name for spec in more}
    known = [*more, *(s for s in EVENTS if s.name not in own and not s.binary)]
    if not native:
        return Scanner(known)
    names = native_names()
    specs = [*NATIVE_EVENTS, *(s for s in known if s.name not in names)]
    return Scanner(specs, native=names, bare=True)


class _History:
    """The last text of a stream, and single lines kept for longer."""

    PIECE = 1 << 18  # what comes in smaller portions is joined up to this

    def __init__(self) -> None:
        self.chunks: deque[tuple[int, bytearray]] = deque()
        self.held = 0
        self.kept: dict[int, str] = {}

    def add(self, offset: int, text: memoryview) -> None:
        """Remember text, which follows what was added last."""
        self.held += len(text)
        if self.chunks and len(self.chunks[-1][1]) + len(text) <= self.PIECE:
            self.chunks[-1][1].extend(text)
        else:
            self.chunks.append((offset, bytearray(text)))

    def doomed(self) -> int:
        """Return how many chunks have to go before one more can come."""
        held, count = self.held, 0
        for _, text in self.chunks:
            if held + CHUNK + LINE_MAX <= HISTORY:
                break
            held -= len(text)
            count += 1
        return count

    def forget(self) -> None:
        """Drop the chunks that `doomed` counts."""
        for _ in range(self.doomed()):
            self.held -= len(self.chunks.popleft()[1])

    def line(self, offset: int) -> str | None:
        """Return the line at an offset, or None where it is gone."""
        if offset in self.kept:
            return self.kept[offset]
        for start, text in reversed(self.chunks):
            if start <= offset < start + len(text):
                return _decode(bytes(text[offset - start : text.find(b"\n", offset - start)]))
            if start < offset:
                break
        return None


def _decode(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "replace")


class TextReader:
    """Reads one printed trace; see `Reader` in trace/base.py.

    Args:
        source: an opened trace from which nothing has been read.
        more: events of the user's own.

    Raises:
        TraceError: it is no printed trace, as far as its head tells.
    """

    binary = False
    clock = ""  # printed traces do not name it

    def __init__(self, source: Source, more: Sequence[EventSpec] = ()) -> None:
        self.path = source.path
        self._more = more
        self.consumed = 0
        self.size = source.size
        self.streaming = source.streaming
        self.devices = [""]
        self.ticks = False
        self.records = self.skipped = self.lost = 0
        self.complete = True
        self.notices: list[Notice] = []
        self._source = source
        self._native = is_native(source.head)
        self.every_sync = self._native and says_every_sync(source.head)
        self._scanner = make_scanner(self._native, more)
        self._history = _History()
        self._scanner.learn(source.head)
        self.format = self._sniff(source.head)

    def _sniff(self, head: bytes) -> str:
        """Return the format, as the head of the trace shows it."""
        if self._native:
            return "dmat"
        if head.startswith(b"# dmaverify trace"):
            first = _decode(head[:80].split(b"\n", 1)[0])
            raise TraceError(self.path, 0, f"begins with `{first}`; this version reads `{HEADER}`")
        probe = make_scanner(False, self._more)
        probe.learn(head)
        probe.scan(head, len(head), 0, EventBatch())
        counts = probe.counts
        if counts["raw"] and not counts["records"]:
            raise TraceError(self.path, None, RAW)
        if probe.layout == "dash" and probe.padded and not head.startswith(b"# tracer:"):
            return "trace-cmd-report"
        return FORMATS[probe.layout]

    def batches(self) -> Iterator[EventBatch]:
        """Give the events in order; the batch is reused by the next, and may be empty.

        Raises:
            TraceError: the source can not be read on, or held no event at all.
        """
        batch = EventBatch(32768)
        for text, offset in self._chunks():
            batch.clear()
            self._scanner.scan(text, len(text), offset, batch)
            if self.streaming:
                self._history.add(offset, text)
            self._publish()
            yield batch
            self._history.forget()
        self._finish()

    def _chunks(self) -> Iterator[tuple[memoryview, int]]:
        """Give whole lines and the offset of their start; the buffer is reused by the next."""
        buffer = bytearray(CHUNK + LINE_MAX)
        view = memoryview(buffer)
        have = offset = 0
        long_line = False  # the buffer begins inside a line that was given up
        while got := self._fill(view[have : have + CHUNK]):
            have += got
            start = 0
            if long_line:
                start = buffer.find(b"\n", 0, have) + 1
                if start:
                    self._scanner.count_long_line()
                    long_line = False
            end = max(start, buffer.rfind(b"\n", 0, have) + 1)
            if end > start:
                yield view[start:end], offset + start
            if long_line or have - end > LINE_MAX:
                long_line, end = True, have
            offset += end
            view[: have - end] = bytes(view[end:have])
            have -= end
        if have or long_line:
            self._cut_short("its last line has no end and was left out")

    def _fill(self, view: memoryview) -> int:
        """Read until the view is full, nothing is left, or a writer would make us wait."""
        have = 0
        while have < len(view) and (not have or self._source.ready()):
            got = self._source.readinto(view[have:])
            if got == 0:
                break
            have += got
        return have

    def _publish(self) -> None:
        counts = self._scanner.counts
        self.consumed = self._source.consumed
        self.records = counts["records"]
        self.skipped = counts["skipped"]
        self.lost = counts["lost"]
        self.ticks = self._scanner.ticks
        self._scanner.devices(self.devices)

    def _cut_short(self, why: str) -> None:
        if self.complete:
            self.notices.append(
                Notice("trace-cut-short", f"the trace is cut short: {why}; copy it again, whole")
            )
        self.complete = False

    def _finish(self) -> None:
        self._publish()
        counts = self._scanner.counts
        if self._source.cut_short:
            what = self._source.compression
            self._cut_short(f"its {what} data ends early or is damaged after what was read")
        if not counts["records"] and counts["raw"]:
            raise TraceError(self.path, None, RAW)
        if not counts["records"] and not self._is_empty_trace(counts):
            raise TraceError(self.path, None, NO_EVENTS)
        for name, id_, text in NOTICES:
            if counts[name]:
                self.notices.append(Notice(id_, text, counts[name]))

    def _is_empty_trace(self, counts: dict[str, int]) -> bool:
        """Return True where the header alone says that this is a trace, without events."""
        head = self._source.head
        known = head.startswith((b"# tracer:", HEADER.encode(), b"cpus="))
        return (known or counts["lost"] > 0) and not counts["other"]

    def line_at(self, offset: int) -> str | None:
        """Return the line that starts at an offset, without its end, or None."""
        if self.streaming:
            return self._history.line(offset)
        text = self._source.pread(512, offset)
        if b"\n" not in text:
            text = self._source.pread(LINE_MAX, offset)
        return _decode(text.split(b"\n", 1)[0]) if text else None

    def forgetting(self) -> tuple[int, int] | None:
        """Return the range of offsets whose lines the next batch will make unavailable."""
        count = self._history.doomed()
        if not count:
            return None
        chunks = self._history.chunks
        last = chunks[count - 1]
        return chunks[0][0], last[0] + len(last[1])

    def retain(self, offsets: list[int]) -> None:
        """Keep the lines at these offsets until `release`."""
        if not self.streaming:
            return
        for offset in offsets:
            line = self._history.line(offset)
            if line is not None:
                self._history.kept[offset] = line

    def release(self, offsets: list[int]) -> None:
        """Stop keeping the lines at these offsets."""
        for offset in offsets:
            self._history.kept.pop(offset, None)

    def task_name(self, site: int, line: str | None) -> str:
        """Return the name of the task that logged a line; "" where the line has none."""
        if line is None:
            return ""
        name = self._scanner.task(line.encode("utf-8", "replace"))
        return name.decode("utf-8", "replace")

    def close(self) -> None:
        """Give back the file and the text."""
        self._source.close()
        self._history = _History()


RAW = (
    "the trace option `raw` was on, so the fields of the events have no names; record again"
    " after `echo noraw > /sys/kernel/tracing/trace_options`"
)

NO_EVENTS = (
    "no line of it is an event of ftrace, trace-cmd report, perf script or a .dmat file;"
    " these and trace.dat can be read"
)

NOTICES = (
    ("garbled", "events-garbled",
     "events of a known name lack the fields that they need; they were left out"),
    ("other", "lines-not-understood", "lines that are neither events nor comments were left out"),
    ("long", "lines-too-long", "lines of more than 1 MiB were left out"),
    ("twice", "duplicate-instances",
     "a second trace instance recorded the same device's events; only the first one's count"),
    ("unknown_fields", "unknown-fields", "fields that their events do not have were left out"),
    ("other_devices", "too-many-devices",
     "more than 65536 devices are named; events of further ones share one name"),
)  # fmt: skip
