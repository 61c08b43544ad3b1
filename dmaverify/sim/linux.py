"""Linux' DMA API over the simulated machine, under the kernel's names.

Source for all of it: Linux Documentation/core-api/dma-api.rst and dma-api-howto.rst.
A mistake of the driver does not raise: it is recorded, and has the effect that it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dmaverify.errors import SimError
from dmaverify.model.kinds import MAPPING_ERROR, Direction, EventKind, Flag, MapType, MemoryKind
from dmaverify.sim.common import CommonBuffer
from dmaverify.sim.device import Device
from dmaverify.sim.faults import Injector
from dmaverify.sim.linux_memory import check_length
from dmaverify.sim.linux_nvme import LinuxNvme
from dmaverify.sim.machine import Machine
from dmaverify.sim.memory import DIRECT, PAGE, Run
from dmaverify.sim.window import Segment, Window

K = EventKind
_MAP, _UNMAP, _SINGLE = K.DMA_MAP, K.DMA_UNMAP, MapType.SINGLE
_DIRECTIONS = tuple(Direction)

DMA_BIDIRECTIONAL = Direction.BIDIRECTIONAL
DMA_TO_DEVICE = Direction.TO_DEVICE
DMA_FROM_DEVICE = Direction.FROM_DEVICE
DMA_NONE = Direction.NONE
DMA_MAPPING_ERROR = MAPPING_ERROR
MAX_SEG_SIZE = 65536  # dma_get_max_seg_size() of a device that says nothing
LONGEST = 1 << 36  # bytes that a mapping may have: all memory that a machine can have


@dataclass(slots=True)
class ScatterEntry:
    """One entry of a scatter list.

    Args:
        virt: the memory, by a CPU address of the direct mapping.
        length: bytes.
        dma_address, dma_length: where the device finds it; set by `dma_map_sg`.
        phys: the pages that were mapped, whatever `virt` means by then; set by `dma_map_sg`.
    """

    virt: int
    length: int
    dma_address: int = 0
    dma_length: int = 0
    phys: int = -1


class Linux(LinuxNvme):
    """The calls that a Linux driver makes.

    Args:
        machine: where it runs.
        injector: what decides which call fails.
    """

    def __init__(self, machine: Machine, injector: Injector) -> None:
        super().__init__(machine, injector)
        self._windows: dict[tuple[int, int], list[Window]] = {}  # (device, bus) -> live ones
        self._lists: dict[tuple[int, int], list[Window]] = {}  # (device, first phys) -> live
        self._buffers: dict[tuple[int, int], CommonBuffer] = {}
        self._longest: dict[int, int] = {}  # device -> bytes of its longest segment

    # Device

    def probe(self, dev: Device) -> None:
        """Begin a driver's life with a device: what the driver core does before `probe`."""
        self._m.cpu.device = dev.number
        self._m.tape.add(K.DRIVER_PROBE, device=dev.number)
        self._m.tape.add(K.DRIVER_BOUND, device=dev.number)

    def remove(self, dev: Device) -> None:
        """End it: what the driver core does after `remove`."""
        self._m.tape.add(K.DRIVER_UNBOUND, device=dev.number)

    def dma_set_mask(self, dev: Device, mask: int) -> int:
        """Say which bus addresses a device can form; return 0, or -5 (EIO) if none is usable.

        May sleep; to be called before the first mapping. The default is 32 bits in the kernel
        and all that the machine has here.
        """
        if mask < (1 << 24) - 1:
            return -5
        self._m.bus.masks[dev.number] = mask
        self._m.tape.add(K.DEVICE_LIMITS, device=dev.number, phys_addr=mask)
        return 0

    def dma_set_mask_and_coherent(self, dev: Device, mask: int) -> int:
        """Say it for streaming mappings and for coherent memory; here they are one.

        May sleep; returns as `dma_set_mask`.
        """
        return self.dma_set_mask(dev, mask)

    def dma_set_max_seg_size(self, dev: Device, size: int) -> None:
        """Say how long a segment of a list may be, in bytes; 64 KiB where nothing is said."""
        self._longest[dev.number] = size
        self._m.tape.add(K.DEVICE_LIMITS, device=dev.number, length=size)

    def dma_set_seg_boundary(self, dev: Device, mask: int) -> None:
        """Say which boundary a segment may not cross: a mask, all ones below it."""
        self._m.tape.add(K.DEVICE_LIMITS, device=dev.number, bus_addr=mask)

    # Streaming mappings

    def dma_map_single(self, dev: Device, virt: int, size: int, direction: int,
                       *, skip_sync: bool = False) -> int:  # fmt: skip
        """Return the bus address of mapped kernel memory, or DMA_MAPPING_ERROR.

        Any context. The device owns the memory from here to the unmap, or to a sync for the
        CPU. The result has to be asked for an error with `dma_mapping_error`.
        """
        runs = [(virt - DIRECT, size)]
        if 0 < size <= LONGEST:
            runs = self._m.space.runs(virt, size) or []
        if not runs:
            raise SimError(f"dma_map_single of {virt:#x}: there is no memory of {size} bytes")
        return self._map_one(dev, (runs[0][0], size), direction, skip_sync)

    def dma_map_page(self, dev: Device, page: int, offset: int, size: int, direction: int,
                     *, skip_sync: bool = False) -> int:  # fmt: skip
        """Map part of a page or of pages that follow each other; as `dma_map_single`.

        Args:
            dev: the device.
            page: number of the page frame.
            offset: bytes from the page's start.
            size: bytes.
            direction: DMA_TO_DEVICE, DMA_FROM_DEVICE or DMA_BIDIRECTIONAL.
            skip_sync: attribute DMA_ATTR_SKIP_CPU_SYNC.
        """
        return self._map_one(dev, (page * PAGE + offset, size), direction, skip_sync)

    def dma_mapping_error(self, dev: Device, address: int) -> bool:
        """Tell whether a mapping failed. Any context."""
        return address == DMA_MAPPING_ERROR

    def dma_unmap_single(self, dev: Device, address: int, size: int, direction: int,
                         *, skip_sync: bool = False) -> None:  # fmt: skip
        """End a mapping; the memory is the CPU's again. All arguments are those of the map."""
        window = self._take(self._windows, (dev.number, address), size)
        if window is not None:
            self._m.bus.unmap(window, skip_sync=skip_sync)
        self._tell(_UNMAP, dev, direction, bus_addr=address, length=size,
                   flags=Flag.SKIP_SYNC if skip_sync else 0)  # fmt: skip

    dma_unmap_page = dma_unmap_single

    def dma_map_resource(self, dev: Device, phys: int, size: int, direction: int) -> int:
        """Return the bus address of another device's registers, or DMA_MAPPING_ERROR.

        Any context. They are never bounced, and no cache has them. Whether the device gets to
        them depends on what lies between the two.

        Args:
            dev: the device that will reach them.
            phys: their physical address, of `Device.registers`.
            size: bytes.
            direction: as for memory.
        """
        check_length(size)
        window = None
        if not self._inject.fails("dma_map_resource"):
            window = self._m.bus.map_registers(dev.number, (phys, size), _DIRECTIONS[direction])
        address = DMA_MAPPING_ERROR if window is None else window.bus
        if window is not None:
            self._windows.setdefault((dev.number, address), []).append(window)
        self._tell(_MAP, dev, direction, type=MapType.RESOURCE, bus_addr=address, length=size,
                   phys_addr=phys, flags=Flag.MMIO)  # fmt: skip
        return address

    def dma_unmap_resource(self, dev: Device, address: int, size: int, direction: int) -> None:
        """End such a mapping. All arguments are those of the map."""
        window = self._take(self._windows, (dev.number, address), size)
        if window is not None:
            self._m.bus.unmap(window, skip_sync=True)
        self._tell(_UNMAP, dev, direction, type=MapType.RESOURCE, bus_addr=address, length=size)

    def dma_map_sg(self, dev: Device, entries: Sequence[ScatterEntry], direction: int) -> int:
        """Map a list and return how many entries the device has, 0 for failure.

        Any context. `dma_address` and `dma_length` of as many entries are set, from the first
        on: an IOMMU lets pages follow each other, and one segment then stands for several
        entries. `dma_unmap_sg` gets the number of entries that was passed here, not the one
        returned.
        """
        runs = [self._entry_run(e) for e in entries]
        if not runs:
            raise SimError("dma_map_sg of an empty list")
        phys = [r[0] for r in runs]
        window = None
        if not self._inject.fails("dma_map_sg"):
            longest = self._longest.get(dev.number, MAX_SEG_SIZE)
            window = self._m.bus.map_list(dev.number, runs, Direction(direction), longest)
        if window is None:
            self._tell(K.DMA_MAP, dev, direction, type=MapType.SG, sg_phys=phys, status=-5,
                       phys_addr=phys[0], flags=Flag.FAILED)  # fmt: skip
            return 0
        seen = window.seen()
        rest = [(0, 0)] * (len(entries) - len(seen))
        for entry, at, (bus, length) in zip(entries, phys, [*seen, *rest], strict=True):
            entry.dma_address, entry.dma_length, entry.phys = bus, length, at
        self._lists.setdefault((dev.number, phys[0]), []).append(window)
        self._tell(K.DMA_MAP, dev, direction, type=MapType.SG, bus_addr=window.bus,
                   length=window.length, phys_addr=phys[0], sg_phys=phys,
                   sg_bus=seen)  # fmt: skip
        return len(seen)

    def dma_unmap_sg(self, dev: Device, entries: Sequence[ScatterEntry], direction: int) -> None:
        """End the mapping of a list; all arguments are those of the map."""
        runs = [self._entry_run(e) if e.phys < 0 else (e.phys, e.length) for e in entries]
        window = self._take(self._lists, (dev.number, runs[0][0]), sum(r[1] for r in runs))
        if window is not None:
            self._m.bus.unmap(window)
        self._tell(K.DMA_UNMAP, dev, direction, type=MapType.SG, phys_addr=runs[0][0],
                   sg_phys=[r[0] for r in runs])  # fmt: skip

    # Syncs

    def dma_sync_single_for_cpu(self, dev: Device, address: int, size: int,
                                direction: int) -> None:  # fmt: skip
        """Hand part of a mapping to the CPU. Any context; the device must not be at work there."""
        self._sync(dev, address, size, K.DMA_SYNC_FOR_CPU, direction)

    def dma_sync_single_for_device(self, dev: Device, address: int, size: int,
                                   direction: int) -> None:  # fmt: skip
        """Hand part of a mapping to the device. Any context."""
        self._sync(dev, address, size, K.DMA_SYNC_FOR_DEVICE, direction)

    def dma_sync_sg_for_cpu(self, dev: Device, entries: Sequence[ScatterEntry],
                            direction: int) -> None:  # fmt: skip
        """Hand a whole list to the CPU."""
        self._sync_sg(dev, entries, K.DMA_SYNC_FOR_CPU, direction)

    def dma_sync_sg_for_device(self, dev: Device, entries: Sequence[ScatterEntry],
                               direction: int) -> None:  # fmt: skip
        """Hand a whole list to the device."""
        self._sync_sg(dev, entries, K.DMA_SYNC_FOR_DEVICE, direction)

    # Allocations

    def dma_alloc_coherent(self, dev: Device, size: int) -> tuple[int, int]:
        """Return (CPU address, bus address) of memory that CPU and device share; (0, error).

        May sleep. The caller owns it until `dma_free_coherent` with the same values.
        """
        check_length(size)
        buffer = None
        if not self._inject.fails("dma_alloc_coherent"):
            buffer = self._m.common.take(dev.number, size)
        if buffer is None:
            self._tell(K.DMA_ALLOC, dev, DMA_BIDIRECTIONAL, type=MapType.COHERENT, length=size,
                       virt_addr=0, flags=Flag.FAILED | Flag.NULL_CPU)  # fmt: skip
            return 0, DMA_MAPPING_ERROR
        self._buffers[dev.number, buffer.bus] = buffer
        self._tell(K.DMA_ALLOC, dev, DMA_BIDIRECTIONAL, type=MapType.COHERENT, length=size,
                   bus_addr=buffer.bus, phys_addr=buffer.phys, virt_addr=buffer.virt)  # fmt: skip
        return buffer.virt, buffer.bus

    def dma_free_coherent(self, dev: Device, size: int, virt: int, address: int) -> None:
        """Give such memory back. May not be called with interrupts off."""
        buffer = self._buffers.pop((dev.number, address), None)
        if buffer is not None:
            self._m.common.give(buffer)
        self._tell(K.DMA_FREE, dev, DMA_BIDIRECTIONAL, type=MapType.COHERENT, length=size,
                   bus_addr=address, virt_addr=virt)  # fmt: skip

    def dma_alloc_noncoherent(self, dev: Device, size: int, direction: int) -> tuple[int, int]:
        """Return (CPU address, bus address) of cached memory that needs syncs; (0, error)."""
        check_length(size)
        window, region = None, None
        if not self._inject.fails("dma_alloc_noncoherent"):
            reach = self._m.bus.highest(dev.number)
            low = self._m.platform.private_memory or reach < 1 << 36
            region = self._m.space.pages(size, MemoryKind.NONCOHERENT, low=low)
            if self._m.platform.private_memory:
                self._m.bus.bounce.shared.update(region.pages)
            window = Window(dev.number, Direction(direction))
            if not self._m.bus.place(window, region.pages[0] * PAGE, size, reach):
                self._m.bus.displace(window)
                window = None
        if window is None or region is None:
            if region is not None:
                self._m.space.free(region)
            self._tell(K.DMA_ALLOC, dev, direction, type=MapType.PAGES, length=size,
                       virt_addr=0, flags=Flag.FAILED | Flag.NULL_CPU)  # fmt: skip
            return 0, DMA_MAPPING_ERROR
        self._windows.setdefault((dev.number, window.bus), []).append(window)
        self._tell(K.DMA_ALLOC, dev, direction, type=MapType.PAGES, length=size,
                   bus_addr=window.bus, phys_addr=window.segments[0].phys,
                   virt_addr=region.virt)  # fmt: skip
        return region.virt, window.bus

    def dma_alloc_pages(self, dev: Device, size: int, direction: int) -> tuple[int, int]:
        """Return (page frame number, bus address) of such memory; (0, error).

        May sleep. What `dma_alloc_noncoherent` is made of: the caller syncs, and frees it with
        the same values.
        """
        virt, address = self.dma_alloc_noncoherent(dev, size, direction)
        return (virt - DIRECT) // PAGE if virt else 0, address

    def dma_free_pages(self, dev: Device, size: int, page: int, address: int,
                       direction: int) -> None:  # fmt: skip
        """Give it back; all arguments are those of the allocation."""
        self.dma_free_noncoherent(dev, size, page * PAGE + DIRECT, address, direction)

    def dma_free_noncoherent(self, dev: Device, size: int, virt: int, address: int,
                             direction: int) -> None:  # fmt: skip
        """Give such memory back; all arguments are those of the allocation."""
        window = self._take(self._windows, (dev.number, address), size)
        if window is not None:
            self._m.bus.unmap(window, skip_sync=True)
            region = window.segments[0].region
            if region is not None and region.live:
                self._m.bus.bounce.shared.difference_update(region.pages)
                self._m.space.free(region)
        self._tell(K.DMA_FREE, dev, direction, type=MapType.PAGES, length=size,
                   bus_addr=address, virt_addr=virt)  # fmt: skip

    # Parts of the above

    def _map_one(self, dev: Device, run: Run, direction: int, skip_sync: bool) -> int:
        """Map one piece of memory that is in one piece, whatever else the driver believes."""
        window = None
        flags = int(Flag.SKIP_SYNC) if skip_sync else 0
        odd = run[1] == 0 or run[1] > LONGEST
        allowed = direction != Direction.NONE and not self._inject.fails("dma_map_page")
        if allowed and not odd:
            window = self._m.bus.map(dev.number, [run], _DIRECTIONS[direction], skip_sync=skip_sync)
        address = run[0] + self._m.platform.bus_offset
        within = (address + run[1] - 1) % (1 << 64) <= self._m.bus.highest(dev.number)
        if odd and within and not self._m.bus.needs_room(dev.number):
            # Nothing has to be set up where a bus address follows from a physical one. A length
            # that wraps gets by, as in the kernel's dma_capable().
            self._tell(K.DMA_MAP, dev, direction, bus_addr=address, length=run[1],
                       phys_addr=run[0], flags=flags)  # fmt: skip
            return address
        if window is None:
            self._tell(K.DMA_MAP, dev, direction, bus_addr=DMA_MAPPING_ERROR, length=run[1],
                       phys_addr=run[0], flags=flags | Flag.FAILED)  # fmt: skip
            return DMA_MAPPING_ERROR
        self._windows.setdefault((dev.number, window.bus), []).append(window)
        self._tell(_MAP, dev, direction, bus_addr=window.bus, length=run[1],
                   phys_addr=run[0], flags=flags)  # fmt: skip
        return window.bus

    def _entry_run(self, entry: ScatterEntry) -> Run:
        runs = self._m.space.runs(entry.virt, entry.length)
        if not runs:
            raise SimError(f"a scatter entry names {entry.virt:#x}, where there is no memory")
        return runs[0][0], entry.length

    def _take(self, table: dict[tuple[int, int], list[Window]], key: tuple[int, int],
              size: int) -> Window | None:  # fmt: skip
        """Take the live window that a call means out of a table, one of the same size first."""
        windows = table.get(key)
        if not windows:
            return None
        best = next((w for w in windows if w.length == size), windows[0])
        windows.remove(best)
        if not windows:
            del table[key]
        return best

    def _sync(self, dev: Device, address: int, size: int, kind: EventKind,
              direction: int) -> None:  # fmt: skip
        found = self._m.bus.segment_at(dev.number, address)
        if found is not None and found[1].device == dev.number:
            segment, window = found
            offset = address - segment.bus
            self._move(window, segment, offset, min(size, segment.length - offset), kind)
        self._tell(kind, dev, direction, bus_addr=address, length=size)

    def _sync_sg(self, dev: Device, entries: Sequence[ScatterEntry], kind: EventKind,
                 direction: int) -> None:  # fmt: skip
        mapped = [(e.dma_address, e.dma_length) for e in entries if e.dma_length]
        for bus, length in mapped:
            found = self._m.bus.segment_at(dev.number, bus)
            if found is not None and found[1].device == dev.number:
                for segment in found[1].segments:
                    if bus <= segment.bus < bus + length:
                        self._move(found[1], segment, 0, segment.length, kind)
        self._tell(kind, dev, direction, type=MapType.SG, bus_addr=entries[0].dma_address,
                   length=sum(length for _, length in mapped), sg_bus=mapped)  # fmt: skip

    def _move(self, window: Window, segment: Segment, offset: int, length: int,
              kind: EventKind) -> None:  # fmt: skip
        if kind is K.DMA_SYNC_FOR_CPU:
            self._m.bus.sync_for_cpu(window, segment, offset, length)
        else:
            self._m.bus.sync_for_device(window, segment, offset, length)

    def _tell(self, kind: EventKind, dev: Device, direction: int, *,
              type: MapType = _SINGLE, **values: Any) -> None:  # fmt: skip
        if values.get("bus_addr") == DMA_MAPPING_ERROR:
            values["flags"] = Flag(values.get("flags", 0)) | Flag.FAILED
        self._m.tape.add(kind, device=dev.number, direction=int(direction), type=type, **values)
