"""Build `trace.dat` files in code: right ones, and ones that are wrong in a chosen way.

Written after trace-cmd.dat.v6(5), trace-cmd.dat.v7(5) and `include/linux/ring_buffer.h`,
and on purpose without anything of the reader.
"""

import struct
import zlib
from dataclasses import dataclass, field

PAGE = 4096
BIG_ENOUGH = 28 * 4  # payloads up to this size have their length in the entry's head

# (C declaration, name); a list is `__data_loc TYPE[]`. Sizes follow from the type.
EVENTS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "map": ("iommu", (("u64", "iova"), ("u64", "paddr"), ("size_t", "size"))),
    "unmap": ("iommu", (("u64", "iova"), ("size_t", "size"), ("size_t", "unmapped_size"))),
    "io_page_fault": (
        "iommu",
        (
            ("__data_loc char[]", "device"),
            ("__data_loc char[]", "driver"),
            ("u64", "iova"),
            ("int", "flags"),
        ),
    ),
    "attach_device_to_domain": ("iommu", (("__data_loc char[]", "device"),)),
    "swiotlb_bounced": (
        "swiotlb",
        (
            ("__data_loc char[]", "dev_name"),
            ("u64", "dma_mask"),
            ("dma_addr_t", "dev_addr"),
            ("size_t", "size"),
            ("bool", "force"),
        ),
    ),
    "driver_probe": ("drv", (("unsigned long", "__probe_ip"), ("__data_loc char[]", "dev"))),
    "driver_bound": ("drv", (("unsigned long", "__probe_ip"), ("__data_loc char[]", "dev"))),
    "driver_unbound": ("drv", (("unsigned long", "__probe_ip"), ("__data_loc char[]", "dev"))),
    "print": ("ftrace", (("unsigned long", "ip"), ("char", "buf[]"))),
    "bputs": ("ftrace", (("unsigned long", "ip"), ("const char *", "str"))),
    "bprint": ("ftrace", (("unsigned long", "ip"), ("const char *", "fmt"), ("u32", "buf[]"))),
    "mm_page_free": ("kmem", (("unsigned long", "pfn"), ("unsigned int", "order"))),
    "mm_page_free_batched": ("kmem", (("unsigned long", "pfn"),)),
    "page_pool_state_release": (
        "page_pool",
        (
            ("const struct page_pool *", "pool"),
            ("unsigned long", "netmem"),
            ("u32", "release"),
            ("unsigned long", "pfn"),
        ),
    ),
    "nvme_setup_cmd": ("nvme", (("int", "ctrl_id"), ("int", "qid"), ("u32", "cid"))),
    "nvme_sq": ("nvme", (("int", "ctrl_id"), ("int", "qid"))),
    "nvme_complete_rq": (
        "nvme",
        (("int", "ctrl_id"), ("int", "qid"), ("int", "cid"), ("u32", "status")),
    ),
    "other": ("sched", (("int", "value"),)),
}
_DEVICE, _DIR = ("__data_loc char[]", "device"), ("enum dma_data_direction", "dir")
_ATTRS, _PHYS_LIST = ("unsigned long", "attrs"), ("__data_loc u64[]", "phys_addrs")
_BUS, _SIZE = ("u64", "dma_addr"), ("size_t", "size")
_LISTS = (("__data_loc u64[]", "dma_addrs"), ("__data_loc unsigned int[]", "lengths"))
for _name in ("page", "resource", "phys"):
    _map = (_DEVICE, ("u64", "phys_addr"), _BUS, _SIZE, _DIR, _ATTRS)
    EVENTS[f"dma_map_{_name}"] = ("dma", _map)
    EVENTS[f"dma_unmap_{_name}"] = ("dma", (_DEVICE, ("u64", "addr"), _SIZE, _DIR, _ATTRS))
for _name in ("cpu", "device"):
    EVENTS[f"dma_sync_single_for_{_name}"] = ("dma", (_DEVICE, _BUS, _SIZE, _DIR))
    EVENTS[f"dma_sync_sg_for_{_name}"] = ("dma", (_DEVICE, *_LISTS, _DIR))
for _name in ("alloc", "alloc_pages", "alloc_sgt_err"):
    _alloc = (_DEVICE, ("void *", "virt_addr"), _BUS, _SIZE, ("gfp_t", "flags"), _DIR, _ATTRS)
    EVENTS[f"dma_{_name}"] = ("dma", _alloc)
for _name in ("free", "free_pages"):
    _free = (_DEVICE, ("void *", "virt_addr"), _BUS, _SIZE, _DIR, _ATTRS)
    EVENTS[f"dma_{_name}"] = ("dma", _free)
_full = (("int", "full_nents"), ("int", "full_ents"), ("bool", "truncated"))
EVENTS["dma_map_sg"] = ("dma", (_DEVICE, *_full, _PHYS_LIST, *_LISTS, _DIR, _ATTRS))
EVENTS["dma_map_sg_err"] = ("dma", (_DEVICE, _PHYS_LIST, ("int", "err"), _DIR, _ATTRS))
EVENTS["dma_unmap_sg"] = ("dma", (_DEVICE, ("__data_loc u64[]", "addrs"), _DIR, _ATTRS))
EVENTS["dma_alloc_sgt"] = ("dma", (_DEVICE, _PHYS_LIST, _BUS, _SIZE, _DIR, _ATTRS))
EVENTS["dma_free_sgt"] = ("dma", (_DEVICE, _PHYS_LIST, _BUS, _SIZE, _DIR))

_CHUNK = (("u32", "mr_id"), ("int", "nents"), ("u32", "handle"), ("u32", "length"),
          ("u64", "offset"), ("u32", "dir"))  # fmt: skip
_NAMED = ("__data_loc char[]", "dev")
EVENTS["xprtrdma_mr_fastreg"] = ("rpcrdma", (("int", "task_id"), ("int", "client_id"), *_CHUNK))
EVENTS["xprtrdma_mr_unmap"] = ("rpcrdma", _CHUNK)
EVENTS["rvt_mr_user_seg"] = (
    "rvt_mr",
    (_NAMED, ("void *", "vaddr"), ("u64", "iova"), ("u64", "user_base"), ("size_t", "len"),
     ("size_t", "length"), ("u32", "lkey"), ("u32", "offset"), ("u16", "m"), ("u16", "n")),
)  # fmt: skip
EVENTS["rvt_post_one_wr"] = (
    "rvt_tx",
    (_NAMED, ("u64", "wr_id"), ("void *", "wqe"), ("u32", "qpn"), ("u32", "opcode"),
     ("int", "send_flags"), ("int", "num_sge")),
)  # fmt: skip
EVENTS["rvt_cq_enter"] = (
    "rvt_cq",
    (_NAMED, ("u64", "wr_id"), ("u32", "status"), ("u32", "opcode"), ("u32", "qpn"),
     ("u32", "length"), ("u32", "idx")),
)  # fmt: skip
EVENTS["ib_mad_recv_done_handler"] = (
    "ib_mad", (("u32", "qp_num"), ("u16", "status"), ("u32", "length"), ("u16", "wc_status")),
)  # fmt: skip

_SIGNED = {"int", "s32", "s64"}
_SIZES = {"u64": 8, "dma_addr_t": 8, "s64": 8, "bool": 1, "int": 4, "u32": 4, "u16": 2, "gfp_t": 4, "char": 1}
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


@dataclass
class Field:
    """One field of an event: where it lies and how wide it is."""

    type: str
    name: str
    offset: int
    size: int
    signed: bool


class Event:
    """One event: its format text, and records made after it.

    Args:
        order: indices of the fields in the order in which they lie; None: as declared.
        gap: bytes left free before the first field.
    """

    def __init__(self, kernel: "Kernel", name: str, number: int, order: list[int] | None, gap: int):
        self.kernel = kernel
        self.name = name
        self.number = number
        self.system, declared = EVENTS[name]
        self.fields = []
        at = kernel.common_size + gap
        for type_, field_name in declared if order is None else [declared[i] for i in order]:
            size = kernel.size_of(type_) if "[]" not in field_name else 0
            align = min(size or kernel.size_of(type_), kernel.long_size)
            at = -(-at // align) * align
            self.fields.append(Field(type_, field_name, at, size, type_ in _SIGNED))
            at += size
        self.fixed_size = at

    def text(self) -> str:
        """Return the format file."""
        lines = [f"name: {self.name}", f"ID: {self.number}", "format:", *self.kernel.common_lines()]
        lines.append("")
        for f in self.fields:
            place = f"offset:{f.offset};\tsize:{f.size};\tsigned:{int(f.signed)};"
            lines.append(f"\tfield:{f.type} {f.name};\t{place}")
        shown, values = [], []
        for f in self.fields:
            if f.type == "__data_loc char[]":
                shown.append("%s")
                values.append(f"__get_str({f.name})")
            elif "[]" not in f.type + f.name and "*" not in f.type:
                shown.append(f"{f.name}=%llu" if "size" in f.name else f"{f.name}=%llx")
                values.append(f"REC->{f.name}")
        comma = ", " if values else ""
        lines += ["", f'print fmt: "{" ".join(shown)}"{comma}{", ".join(values)}', ""]
        return "\n".join(lines)

    def record(self, pid: int = 0, **values: object) -> bytes:
        """Return a record; a list or text lies behind the fixed fields. Unnamed fields are 0."""
        data = bytearray(self.fixed_size)
        self.kernel.put_common(data, self.number, pid)
        order = self.kernel.order
        for f in self.fields:
            name = f.name.removesuffix("[]")
            value = values.get(
                name, values.get("device", 0) if f.type == "__data_loc char[]" else 0
            )
            if f.name.endswith("[]"):
                data += value if isinstance(value, bytes) else str(value).encode() + b"\0"
            elif f.type.startswith("__data_loc"):
                tail = _tail(f.type, value, order)
                if "u64" in f.type:
                    data += bytes(-len(data) % 4)
                struct.pack_into(order + "I", data, f.offset, len(tail) << 16 | len(data))
                data += tail
            else:
                mask = (1 << 8 * f.size) - 1
                struct.pack_into(order + _CODES[f.size], data, f.offset, int(value) & mask)
        return bytes(data)


def _tail(type_: str, value: object, order: str) -> bytes:
    if "char" in type_:
        return str(value).encode() + b"\0"
    items = list(value) if value else []
    return struct.pack(f"{order}{len(items)}{'Q' if 'u64' in type_ else 'I'}", *items)


class Kernel:
    """The recorded machine: byte order, size of a long, and its events' ids and layouts.

    Args:
        ids: event name -> id; others are numbered from `first_id`.
        orders: event name -> order of its fields.
        gap: bytes left free before each event's own fields.
        common_gap: bytes left free before the common fields.
    """

    def __init__(
        self,
        order: str = "<",
        long_size: int = 8,
        first_id: int = 300,
        orders: dict[str, list[int]] | None = None,
        gap: int = 0,
        common_gap: int = 0,
    ):
        self.order = order
        self.long_size = long_size
        self.common_gap = common_gap
        self.common_size = 8 + common_gap
        orders = orders or {}
        self.events = {
            name: Event(self, name, first_id + i, orders.get(name), gap)
            for i, name in enumerate(EVENTS)
        }

    def size_of(self, type_: str) -> int:
        """Return the bytes that a field of a C type takes."""
        if type_.startswith(("__data_loc", "enum")):
            return 4
        return _SIZES.get(type_, self.long_size)

    def common_lines(self) -> list[str]:
        """Return the lines of the fields that all events have."""
        g = self.common_gap
        return [
            f"\tfield:unsigned short common_type;\toffset:{g};\tsize:2;\tsigned:0;",
            f"\tfield:unsigned char common_flags;\toffset:{g + 2};\tsize:1;\tsigned:0;",
            f"\tfield:unsigned char common_preempt_count;\toffset:{g + 3};\tsize:1;\tsigned:0;",
            f"\tfield:int common_pid;\toffset:{g + 4};\tsize:4;\tsigned:1;",
        ]

    def put_common(self, data: bytearray, number: int, pid: int) -> None:
        """Fill the common fields of a record."""
        struct.pack_into(self.order + "HBBi", data, self.common_gap, number, 0, 0, pid)

    def header_page(self) -> str:
        """Return the text of events/header_page."""
        size, data = self.long_size, 8 + self.long_size
        return (
            "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
            f"\tfield: local_t commit;\toffset:8;\tsize:{size};\tsigned:1;\n"
            "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
            f"\tfield: char data;\toffset:{data};\tsize:{PAGE - data};\tsigned:0;\n"
        )

    def record(self, name: str, pid: int = 0, **values: object) -> bytes:
        """Return a record of a named event."""
        return self.events[name].record(pid, **values)


class Ring:
    """The ring-buffer pages of one CPU. Times are in the clock's units and must not fall."""

    def __init__(self, kernel: Kernel, cpu: int = 0, page_size: int = PAGE):
        self.kernel = kernel
        self.cpu = cpu
        self.page_size = page_size
        self.head_size = 8 + kernel.long_size
        self.room = page_size - self.head_size
        self._done: list[bytes] = []
        self._body = bytearray()
        self._start = 0
        self._now: int | None = None
        self._flags = 0
        self._stored: int | None = None

    def add(self, time: int, record: bytes, long_form: bool = False) -> None:
        """Add a record; a far time gets a time extend before it."""
        record += bytes(-len(record) % 4)
        long_form = long_form or len(record) > BIG_ENOUGH
        size = len(record) + (8 if long_form else 4)
        if self._now is not None and len(self._body) + size + 8 > self.room:
            self.flush()
        if self._now is None:
            self._start = self._now = time
        delta = time - self._now
        self._now = time
        if delta >= 1 << 27:
            self._entry(30, delta & 0x7FFFFFF, struct.pack(self.kernel.order + "I", delta >> 27))
            delta = 0
        if long_form:
            length = struct.pack(self.kernel.order + "I", len(record) + 4)
            self._entry(0, delta, length + record)
        else:
            self._entry(len(record) // 4, delta, record)

    def stamp(self, time: int) -> None:
        """Add an absolute time, of which 59 bits are stored."""
        if self._now is None:
            self._start = time
        self._now = time
        low = struct.pack(self.kernel.order + "I", time >> 27 & 0xFFFFFFFF)
        self._entry(31, time & 0x7FFFFFF, low)

    def discard(self, delta: int, size: int = 16) -> None:
        """Add an entry that was taken back; its time still counts."""
        assert self._now is not None
        self._now += delta
        body = struct.pack(self.kernel.order + "I", size) + bytes(size - 4)
        self._entry(29, delta, body)

    def pad(self) -> None:
        """End the page with an empty entry, and fill the rest with what must not be read."""
        self._entry(29, 0, b"")
        self._body += b"\xff" * (self.room - len(self._body) - 4)
        self.flush()

    def lose(self, count: int | None) -> None:
        """Start a page that says that events were lost before it, `count` of them if known."""
        self.flush()
        self._flags = 1 << 31 | (0 if count is None else 1 << 30)
        self._stored = count

    def raw(self, page: bytes) -> None:
        """Add a page as it is."""
        self.flush()
        self._done.append(page)

    def flush(self) -> None:
        """End the page."""
        if self._now is None:
            return
        commit = len(self._body) | self._flags
        code = "Q" if self.kernel.long_size == 8 else "I"
        page = struct.pack(self.kernel.order + "Q" + code, self._start, commit) + self._body
        if self._stored is not None:
            page += struct.pack(self.kernel.order + code, self._stored)
        self._done.append(page.ljust(self.page_size, b"\0"))
        self._body = bytearray()
        self._now, self._flags, self._stored = None, 0, None

    def pages(self) -> bytes:
        """Return all pages."""
        self.flush()
        return b"".join(self._done)

    def _entry(self, kind: int, delta: int, body: bytes) -> None:
        word = kind << 27 | delta if self.kernel.order == ">" else delta << 5 | kind
        self._body += struct.pack(self.kernel.order + "I", word) + body


@dataclass
class Instance:
    """One buffer instance."""

    rings: list[Ring]
    name: str = ""
    clock: str = "local"


@dataclass
class File:
    """A whole file. `options` are further (id, data) pairs, written before the pages.

    Args:
        named: sections of version 7 have names, which the last section holds.
    """

    kernel: Kernel
    instances: list[Instance]
    compression: str = "none"
    clock: str = "[local] global mono"
    options: list[tuple[int, bytes]] = field(default_factory=list)
    cmdlines: dict[int, str] = field(default_factory=dict)
    printk: str = ""
    kallsyms: bytes = b""
    chunk_pages: int = 4
    named: bool = True

    def build(self, version: int = 7) -> bytes:
        """Return the file's bytes."""
        head = b"\x17\x08\x44tracing" + str(version).encode() + b"\0"
        head += bytes([self.kernel.order == ">", self.kernel.long_size]) + self._pack("I", PAGE)
        return _V7(self, head).build() if version == 7 else _V6(self, head).build()

    def _pack(self, codes: str, *values: int) -> bytes:
        return struct.pack(self.kernel.order + codes, *values)

    def header_info(self) -> bytes:
        """Return the layouts of pages and entries."""
        page, event = self.kernel.header_page().encode(), b"# compressed entry header\n"
        sizes = self._pack("Q", len(page)), self._pack("Q", len(event))
        return b"header_page\0" + sizes[0] + page + b"header_event\0" + sizes[1] + event

    def _texts(self, system: str) -> bytes:
        texts = [e.text().encode() for e in self.kernel.events.values() if e.system == system]
        body = b"".join(self._pack("Q", len(text)) + text for text in texts)
        return self._pack("I", len(texts)) + body

    def ftrace_events(self) -> bytes:
        """Return the formats of ftrace's own events."""
        return self._texts("ftrace")

    def event_formats(self) -> bytes:
        """Return the formats of all other events."""
        systems = sorted({e.system for e in self.kernel.events.values()} - {"ftrace"})
        parts = [system.encode() + b"\0" + self._texts(system) for system in systems]
        return self._pack("I", len(systems)) + b"".join(parts)

    def symbols(self) -> bytes:
        """Return the kernel's symbols."""
        return self._pack("I", len(self.kallsyms)) + self.kallsyms

    def printk_texts(self) -> bytes:
        """Return the texts of binary marks."""
        return self._pack("I", len(self.printk)) + self.printk.encode()

    def tasks(self) -> bytes:
        """Return the names of tasks."""
        text = "".join(f"{pid} {name}\n" for pid, name in self.cmdlines.items()).encode()
        return self._pack("Q", len(text)) + text

    def all_options(self) -> list[tuple[int, bytes]]:
        """Return the options of either version."""
        cpus = 1 + max((r.cpu for i in self.instances for r in i.rings), default=0)
        return [(4, self.clock.encode() + b"\0"), (8, self._pack("I", cpus)), *self.options]

    def pack(self, data: bytes) -> bytes:
        """Return data compressed, as the file's compression says."""
        if self.compression == "zlib":
            return zlib.compress(data)
        import zstandard

        return zstandard.ZstdCompressor(level=1).compress(data)


class _V7:
    def __init__(self, file: File, head: bytes):
        self.f = file
        self.p = file._pack
        self.out = bytearray(head + file.compression.encode() + b"\0" + b"1\0")
        self.names = b""
        self.options_at = len(self.out)
        self.out += bytes(8)

    def build(self) -> bytes:
        f = self.f
        parts = {
            16: f.header_info(), 17: f.ftrace_events(), 18: f.event_formats(), 19: f.symbols(),
            20: f.printk_texts(), 21: f.tasks(),
        }  # fmt: skip
        pointers = [
            (number, self.p("Q", self._section(number, data))) for number, data in parts.items()
        ]
        struct.pack_into(f.kernel.order + "Q", self.out, self.options_at, len(self.out))
        link = self._options([*pointers, *f.all_options()])
        buffers = [(3, self._buffer(instance)) for instance in f.instances]
        struct.pack_into(f.kernel.order + "Q", self.out, link, len(self.out))
        self._options(buffers)
        if f.named:
            self._section(15, self.names + b"strings\0")
        return bytes(self.out)

    def _head(self, number: int, packed: bool, size: int) -> bytes:
        at = len(self.names) if self.f.named else 0
        self.names += f"section {number}\0".encode()
        return self.p("HHIQ", number, packed, at, size)

    def _section(self, number: int, data: bytes) -> int:
        at = len(self.out)
        packed = self.f.compression != "none"
        if packed:
            plain = len(data)
            data = self.f.pack(data)
            data = self.p("II", len(data), plain) + data
        self.out += self._head(number, packed, len(data)) + data
        return at

    def _options(self, options: list[tuple[int, bytes]]) -> int:
        """Write an options section and return where its link to the next stands."""
        body = b"".join(self.p("HI", number, len(data)) + data for number, data in options)
        body += self.p("HIQ", 0, 8, 0)
        self.out += self._head(0, False, len(body)) + body
        return len(self.out) - 8

    def _buffer(self, instance: Instance) -> bytes:
        packed = self.f.compression != "none"
        at = len(self.out)
        head = len(self.out)
        self.out += bytes(16)
        places = b""
        for ring in instance.rings:
            self.out += bytes(-len(self.out) % PAGE)
            start, data = len(self.out), ring.pages()
            body = self._chunks(data, ring.page_size) if packed else data
            # The count of chunks is left out of the size, as trace-cmd does.
            places += self.p("IQQ", ring.cpu, start, len(body) - (4 if packed else 0))
            self.out += body
        self.out[head : head + 16] = self._head(3, packed, len(self.out) - head - 16)
        size = instance.rings[0].page_size if instance.rings else PAGE
        names = instance.name.encode() + b"\0" + instance.clock.encode() + b"\0"
        return self.p("Q", at) + names + self.p("II", size, len(instance.rings)) + places

    def _chunks(self, data: bytes, page_size: int) -> bytes:
        step = self.f.chunk_pages * page_size
        parts = [data[i : i + step] for i in range(0, len(data), step)]
        packed = [self.f.pack(part) for part in parts]
        body = [self.p("II", len(p), len(part)) + p for p, part in zip(packed, parts, strict=True)]
        return self.p("I", len(parts)) + b"".join(body)


class _V6:
    def __init__(self, file: File, head: bytes):
        self.f = file
        self.p = file._pack
        self.out = bytearray(head)

    def build(self) -> bytes:
        f = self.f
        self.out += f.header_info() + f.ftrace_events() + f.event_formats() + f.symbols()
        cpus = 1 + max((r.cpu for i in f.instances for r in i.rings), default=0)
        self.out += f.printk_texts() + f.tasks() + self.p("I", cpus) + b"options  \0"
        for number, data in f.all_options():
            self.out += self.p("HI", number, len(data)) + data
        links = []
        for instance in f.instances[1:]:
            name = instance.name.encode() + b"\0"
            self.out += self.p("HI", 3, 8 + len(name))
            links.append(len(self.out))
            self.out += bytes(8) + name
        self.out += self.p("H", 0)
        self._flyrecord(f.instances[0], cpus)
        for link, instance in zip(links, f.instances[1:], strict=True):
            struct.pack_into(f.kernel.order + "Q", self.out, link, len(self.out))
            self._flyrecord(instance, cpus)
        return bytes(self.out)

    def _flyrecord(self, instance: Instance, cpus: int) -> None:
        self.out += b"flyrecord\0"
        table = len(self.out)
        self.out += bytes(16 * cpus)
        for ring in instance.rings:
            self.out += bytes(-len(self.out) % PAGE)
            data = ring.pages()
            place = self.f.kernel.order + "QQ"
            struct.pack_into(place, self.out, table + 16 * ring.cpu, len(self.out), len(data))
            self.out += data
