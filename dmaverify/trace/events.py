"""The kernel's events and what each of their fields fills in a row.

Text and binary readers share this table. An event is known by its name together with
the fields that it must have, never by a kernel version or by the order of its fields:
one name means different things in different kernels. A field is listed under its name in
the event's format file and, where the kernel prints it under another label, under that
label too; so one table serves both. Names are those of `include/trace/events/*.h` in the
Linux sources; each entry names its file.

How a row is filled, for every reader:

* A slot that no field fills is 0, and its `*_UNKNOWN` flag is set, whatever the kind.
* A scatter list: `bus_addr` is its first bus address, `phys_addr` its first physical one,
  `length` the sum of its lengths (`LENGTH_UNKNOWN` where the event lists none). The lists
  themselves are side records; their full counts are larger than the stored ones where the
  kernel cut the list, and then `TRUNCATED` is set.
* A mapping that failed: `FAILED`, and `status` where the event names an error code. A bus
  address of all ones is a failure too, and stays in `bus_addr`.
* A direction outside `DIRECTIONS` is kept (at most 255) without a flag; on events with
  `direction_garbage` it gives `DIRECTION_UNKNOWN`, because kernels before 6.18 print
  uninitialised memory there.
* An allocation whose CPU pointer is NULL has failed too.
* `site` is the id of the task that logged the event.
"""

from dataclasses import dataclass, field

from dmaverify.model.kinds import EventKind, MapType, MemoryKind, Opcode
from dmaverify.trace.hca_events import PROBES
from dmaverify.trace.slots import Slot as Slot

#: Names that the kernel prints for enum dma_data_direction, by value
#: (`include/linux/dma-direction.h`).
DIRECTIONS = ("BIDIRECTIONAL", "TO_DEVICE", "FROM_DEVICE", "NONE")

ATTR_SKIP_SYNC = 1 << 5  # DMA_ATTR_SKIP_CPU_SYNC, include/linux/dma-mapping.h
ATTR_MMIO = 1 << 10  # DMA_ATTR_MMIO, include/linux/dma-mapping.h, since 6.18

#: Attributes that matter, as the kernel prints them (joined by `|` with others).
ATTR_NAMES = {"SKIP_CPU_SYNC": ATTR_SKIP_SYNC, "MMIO": ATTR_MMIO}

#: Kinds of memory by number, model/kinds.py's MemoryKind.
MEMORY_NAMES = tuple(kind.name.lower() for kind in MemoryKind)

#: Numbers that the kernel prints in hexadecimal without saying so.
HEX_FIELDS = frozenset(
    {
        "dma_addr",
        "addr",
        "phys_addr",
        "virt_addr",
        "dma_mask",
        "dev_addr",
        "iova",
        "paddr",
        "seq",
    }
)

#: Bytes of a page of memory. No event says it; a kernel with larger pages is not recognised.
PAGE = 4096

MAX_DEVICES = 65536  # device names of one trace; what comes beyond shares one number
OTHER_DEVICES = "…others"  # the name of that number


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One kernel event.

    Args:
        name: its name, without the system.
        systems: the systems that it may come from; empty means any. Text layouts that
            print no system are taken by the required slots alone.
        kind: what it becomes.
        type: its map type.
        fields: field name or printed label -> slot.
        needs: slots that must be filled, else the event is another one of the same name.
        source: the kernel's file that defines it.
        failed: True where the event exists only for failures.
        direction_garbage: True where some kernels leave the direction unset.
        binary: True where the printed line can not be read.
        printed: the printed form where it does not name its fields: (text that is looked for,
            field behind it, 10 or 16 for a number, 0 for a word), at most ten, in order.
        opcodes: what numbers of the slot OPCODE mean.
    """

    name: str
    systems: frozenset[str]
    kind: EventKind
    type: MapType
    fields: dict[str, Slot]
    needs: frozenset[Slot]
    source: str
    failed: bool = False
    direction_garbage: bool = False
    binary: bool = False
    printed: tuple[tuple[str, str, int], ...] = ()
    opcodes: dict[int, Opcode] = field(default_factory=dict)


K, M, S = EventKind, MapType, Slot
_DMA_H = "include/trace/events/dma.h"
_IOMMU_H = "include/trace/events/iommu.h"
_SWIOTLB_H = "include/trace/events/swiotlb.h"
_KMEM_H = "include/trace/events/kmem.h"
_NVME_H = "drivers/nvme/host/trace.h"
_POOL_H = "include/trace/events/page_pool.h"
_FTRACE_H = "kernel/trace/trace_entries.h"
_RDMA_H = "include/trace/events/rdma_core.h"
_PROBES = "kernel/trace/trace_kprobe.c"  # p:GROUP/NAME SYMBOL dev=+0(+0(%di)):string

_CALL = {"device": S.DEVICE, "dir": S.DIRECTION, "attrs": S.ATTRS}
_ONE = {**_CALL, "dma_addr": S.BUS_ADDR, "addr": S.BUS_ADDR, "size": S.LENGTH}
_LISTS = {"dma_addrs": S.BUS_LIST, "sizes": S.LENGTH_LIST, "lengths": S.LENGTH_LIST}
_PHYS = {"phys_addr": S.PHYS_ADDR, "phys_addrs": S.PHYS_LIST}
_FULL = {"full_ents": S.FULL_BUS, "full_nents": S.FULL_PHYS, "truncated": S.TRUNCATED}
# Printed labels of dma_map_sg are pairs, stored/full.
_PAIRS = {"ents": S.BUS_PAIR, "nents": S.PHYS_PAIR}


def _dma(
    name: str, kind: EventKind, type_: MapType, fields: dict[str, Slot], *needs: Slot,
    failed: bool = False, garbage: bool = False,
) -> EventSpec:  # fmt: skip
    required = frozenset({S.DEVICE, S.DIRECTION, *needs})
    return EventSpec(
        name, frozenset({"dma"}), kind, type_, fields, required, _DMA_H, failed, garbage
    )


def _maps() -> list[EventSpec]:
    """Return the events of streaming mappings; `phys` took the place of two in 6.18."""
    found = []
    families = (("page", M.SINGLE), ("phys", M.SINGLE), ("resource", M.RESOURCE))
    for name, type_ in families:
        found.append(
            _dma(f"dma_map_{name}", K.DMA_MAP, type_, {**_ONE, **_PHYS}, S.BUS_ADDR, S.LENGTH)
        )
        found.append(_dma(f"dma_unmap_{name}", K.DMA_UNMAP, type_, _ONE, S.BUS_ADDR, S.LENGTH))
    lists = {**_CALL, **_LISTS, **_FULL, **_PAIRS, "phys_addrs": S.PHYS_LIST}
    # The label `dma_addrs` of the failed one is wrong in the kernel: the list is physical.
    wrong = {**_CALL, "phys_addrs": S.PHYS_LIST, "dma_addrs": S.PHYS_LIST, "err": S.STATUS}
    ends = {**_CALL, "addrs": S.PHYS_LIST, "phys_addrs": S.PHYS_LIST}
    return [
        *found,
        _dma("dma_map_sg", K.DMA_MAP, M.SG, lists, S.BUS_LIST),
        _dma("dma_map_sg_err", K.DMA_MAP, M.SG, wrong, S.PHYS_LIST, failed=True),
        _dma("dma_unmap_sg", K.DMA_UNMAP, M.SG, ends, S.PHYS_LIST),
    ]


def _syncs() -> list[EventSpec]:
    """Return the events of syncs, one pair for ranges and one for lists."""
    found = []
    for side, kind in (("cpu", K.DMA_SYNC_FOR_CPU), ("device", K.DMA_SYNC_FOR_DEVICE)):
        one = f"dma_sync_single_for_{side}"
        found.append(_dma(one, kind, M.SINGLE, _ONE, S.BUS_ADDR, S.LENGTH))
        many = f"dma_sync_sg_for_{side}"
        found.append(_dma(many, kind, M.SG, {**_CALL, **_LISTS}, S.BUS_LIST))
    return found


def _allocations() -> list[EventSpec]:
    """Return the events of memory allocated with its mapping; 6.12.0 prints no `dir`."""
    virt = {**_ONE, "virt_addr": S.VIRT_ADDR}
    table = {**_ONE, "phys_addrs": S.PHYS_LIST}
    rows = (
        ("dma_alloc", K.DMA_ALLOC, M.COHERENT, virt, False),
        ("dma_alloc_pages", K.DMA_ALLOC, M.PAGES, virt, False),
        ("dma_alloc_sgt", K.DMA_ALLOC, M.SGT, table, False),
        ("dma_alloc_sgt_err", K.DMA_ALLOC, M.SGT, virt, True),
        ("dma_free", K.DMA_FREE, M.COHERENT, virt, False),
        ("dma_free_pages", K.DMA_FREE, M.PAGES, virt, False),
        ("dma_free_sgt", K.DMA_FREE, M.SGT, table, False),
    )
    needs = frozenset({S.DEVICE, S.BUS_ADDR, S.LENGTH})
    return [
        EventSpec(name, frozenset({"dma"}), kind, type_, fields, needs, _DMA_H, failed, True)
        for name, kind, type_, fields, failed in rows
    ]


def _spec(
    name: str, system: str, kind: EventKind, fields: dict[str, Slot], source: str, *optional: Slot
) -> EventSpec:
    systems = frozenset({system}) if system else frozenset[str]()
    needs = frozenset(fields.values()) - frozenset(optional)
    return EventSpec(name, systems, kind, M.UNKNOWN, fields, needs, source)


def _iommu() -> list[EventSpec]:
    """Return the events of the IOMMU core; the first two have very common names."""
    iova = {"iova": S.BUS_ADDR, "size": S.LENGTH}
    fault = {"device": S.DEVICE, "iova": S.BUS_ADDR, "flags": S.FAULT_FLAGS}
    return [
        _spec("map", "iommu", K.IOMMU_MAP, {**iova, "paddr": S.PHYS_ADDR}, _IOMMU_H),
        _spec("unmap", "iommu", K.IOMMU_UNMAP, {**iova, "unmapped_size": S.UNMAPPED}, _IOMMU_H),
        _spec("io_page_fault", "iommu", K.DEV_FAULT, fault, _IOMMU_H),
        _spec("attach_device_to_domain", "iommu", K.IOMMU_ATTACH, {"device": S.DEVICE}, _IOMMU_H),
    ]


def _others() -> list[EventSpec]:
    """Return the events of bounce buffers, of a driver's life, and the marks."""
    bounce = {
        "dev_name": S.DEVICE, "dma_mask": S.DMA_MASK, "dev_addr": S.PHYS_ADDR, "size": S.LENGTH,
        "force": S.FORCE, "swiotlb_force": S.FORCE,
    }  # fmt: skip
    life = (
        ("driver_probe", K.DRIVER_PROBE),
        ("driver_bound", K.DRIVER_BOUND),
        ("driver_unbound", K.DRIVER_UNBOUND),
    )
    # In trace.dat a mark is `print` (`buf` is its text); bputs and bprint keep an address,
    # whose text is in the file's printk section.
    text = {"buf": S.TEXT}
    return [
        _spec("swiotlb_bounced", "swiotlb", K.BOUNCE, bounce, _SWIOTLB_H, S.FORCE),
        *(_spec(name, "", kind, {"dev": S.DEVICE}, _PROBES) for name, kind in life),
        _spec("tracing_mark_write", "", K.MARK, text, "kernel/trace/trace.c"),
        _spec("print", "ftrace", K.MARK, text, _FTRACE_H),
        _spec("bprint", "ftrace", K.MARK, text, _FTRACE_H, S.TEXT),
        _spec("bputs", "ftrace", K.MARK, text, _FTRACE_H, S.TEXT),
        # Printed as `mr.id=N`, a label that is no name: the event alone is what counts.
        _spec("mr_dereg", "rdma_core", K.DEREG_MR, {"id": S.PHYS_ADDR}, _RDMA_H, S.PHYS_ADDR),
    ]


def _accesses() -> list[EventSpec]:
    """Return the events by which a driver for QEMU's `edu` device tells its accesses.

    A transfer takes some time: one event when the device is told to begin, one when it has
    said that it is ready. Any driver can have events of this shape.
    """
    touch = {
        "device": S.DEVICE, "virt_addr": S.VIRT_ADDR, "phys_addr": S.PHYS_ADDR, "size": S.LENGTH,
    }  # fmt: skip
    transfer = {
        "device": S.DEVICE, "op": S.OPERATION, "to_ram": S.OPERATION, "dma_addr": S.BUS_ADDR,
        "size": S.LENGTH, "id": S.OBJECT,
    }  # fmt: skip
    # In the format file the phase is a number, `after`.
    sync = {"device": S.DEVICE, "seq": S.OBJECT, "phase": S.STATUS, "after": S.STATUS}
    here = "tracepoints of a driver of its own, system edu"
    return [
        _spec("cpu_read", "edu", K.CPU_READ, touch, here, S.VIRT_ADDR),
        _spec("cpu_write", "edu", K.CPU_WRITE, touch, here, S.VIRT_ADDR),
        _spec("edu_dma_start", "edu", K.DEV_START, transfer, here, S.OBJECT),
        _spec("edu_dma_done", "edu", K.DEV_READ, transfer, here, S.OBJECT),
        _spec("edu_region", "edu", K.MEMORY, {**touch, "kind": S.MEMORY}, here, S.VIRT_ADDR),
        _spec("clock_sync", "edu", K.CLOCK_SYNC, sync, here),
    ]


def _frees() -> list[EventSpec]:
    """Return the events of pages that go back to the system.

    `kmem:kfree` names a CPU pointer only, which no event links to memory that is mapped. A page
    pool's pages are unmapped before the event; what has no page (`net_iov`) has number 0.
    """
    pages = {"pfn": S.PFN, "order": S.ORDER}
    return [
        _spec("mm_page_free", "kmem", K.MEMORY_FREE, pages, _KMEM_H),
        _spec("mm_page_free_batched", "kmem", K.MEMORY_FREE, pages, _KMEM_H, S.ORDER),
        _spec("page_pool_state_release", "page_pool", K.MEMORY_FREE, {"pfn": S.PFN}, _POOL_H),
    ]


def _commands() -> list[EventSpec]:
    """Return the events of NVMe commands. A line begins with its controller, `nvme0:`."""
    queue = {"ctrl_id": S.BUS_ADDR, "qid": S.PHYS_ADDR}
    one = {**queue, "cid": S.OBJECT, "cmdid": S.OBJECT}
    return [
        _spec("nvme_setup_cmd", "nvme", K.COMMAND_BEGIN, one, _NVME_H),
        _spec("nvme_sq", "nvme", K.COMMAND_ARRIVED, queue, _NVME_H),
        _spec("nvme_complete_rq", "nvme", K.COMMAND_DONE, {**one, "status": S.STATUS}, _NVME_H),
    ]


def _probes() -> list[EventSpec]:
    """Return the events of HCAs."""
    return [
        EventSpec(
            probe.name, frozenset({probe.system}), probe.kind, probe.type, probe.fields,
            frozenset(probe.fields.values()) - probe.optional, probe.source,
            binary=probe.binary, printed=probe.printed, opcodes=probe.opcodes,
        )
        for probe in PROBES
    ]  # fmt: skip


#: Every kernel event that the event model has.
EVENTS = (*_maps(), *_syncs(), *_allocations(), *_iommu(), *_others(), *_accesses(),
          *_frees(), *_commands(), *_probes())  # fmt: skip

#: The same by name; names are unique.
EVENTS_BY_NAME = {spec.name: spec for spec in EVENTS}


def read_mark(text: str) -> tuple[EventKind, str]:
    """Return what a mark says: its kind, and the device that it names.

    `dmaverify: bind DEVICE DRIVER` tells DRIVER_BOUND, `dmaverify: unbind-end DEVICE DRIVER`
    tells DRIVER_UNBOUND (both get the flag FROM_MARK); any other text is a MARK without a
    device. The text itself is a side record of a MARK only.
    """
    words = text.split()
    if len(words) >= 4 and words[0] == "dmaverify:":
        if words[1] == "bind":
            return EventKind.DRIVER_BOUND, words[2]
        if words[1] == "unbind-end":
            return EventKind.DRIVER_UNBOUND, words[2]
    return EventKind.MARK, ""


def is_kernel_pointer(value: int) -> bool:
    """Return True for an address of the kernel's half; a hash of `%p` has 32 bits.

    Linux Documentation/core-api/printk-formats.rst, "Plain Pointers".
    """
    return value >> 56 == 0xFF
