"""The enumerations of the event model, one comment a member.

The numbers are part of the packed row and of compiled rule programs; the C side
repeats them in `events.pxd`, and a test holds the two together.
"""

from enum import IntEnum, IntFlag


class EventKind(IntEnum):
    """What an event is. Names in lower case are the names in rules and `.dmat`."""

    LOST = 1  # the recorder lost events here
    MARK = 2  # a text that somebody wrote into the trace
    DMA_MAP = 3  # streaming mapping made: single, page, resource or scatter/gather
    DMA_UNMAP = 4  # streaming mapping ended
    DMA_SYNC_FOR_CPU = 5  # part of a mapping handed to the CPU
    DMA_SYNC_FOR_DEVICE = 6  # part of a mapping handed to the device
    DMA_ALLOC = 7  # coherent or noncoherent memory allocated with its mapping
    DMA_FREE = 8  # that memory freed
    IOMMU_MAP = 9  # the IOMMU was given a translation
    IOMMU_UNMAP = 10  # a translation was taken from the IOMMU
    IOMMU_ATTACH = 11  # a device was attached to an IOMMU domain
    DEV_FAULT = 12  # the IOMMU refused an access of a device
    BOUNCE = 13  # a mapping was given a bounce buffer
    DRIVER_PROBE = 14  # a driver is about to be bound to a device
    DRIVER_BOUND = 15  # a driver was bound to a device
    DRIVER_UNBOUND = 16  # a driver's life with a device is over, managed memory is gone
    DEVICE_LIMITS = 17  # what a device says about itself: segment limits, DMA mask
    LEFT_MAPPED = 18  # derived by the engine: a mapping alive when its driver was unbound
    CPU_READ = 19  # the CPU read memory
    CPU_WRITE = 20  # the CPU wrote memory
    DEV_READ = 21  # a device read memory: its transfer is complete
    DEV_WRITE = 22  # a device wrote memory: its transfer is complete
    DEV_START = 23  # a device was told to begin a transfer
    MEMORY = 24  # memory came into use, and what kind it is of
    CLOCK_SYNC = 25  # a moment that another clock has logged too
    DEV_ACCESS = 26  # a device touched memory; which way is not told
    DEREG_MR = 27  # a memory region is about to be deregistered
    MEMORY_FREE = 28  # memory was given back to the system
    COMMAND_BEGIN = 29  # a driver sets up a command for its device
    COMMAND_ARRIVED = 30  # a completion was taken from a queue; which command's is not told
    COMMAND_DONE = 31  # a driver is done with a command


class Direction(IntEnum):
    """Which way data may move. Values as in the kernel's enum dma_data_direction."""

    BIDIRECTIONAL = 0  # both ways
    TO_DEVICE = 1  # the device reads memory
    FROM_DEVICE = 2  # the device writes memory
    NONE = 3  # no transfer allowed; never right in a mapping call


class MapType(IntEnum):
    """Which family of calls a mapping belongs to; it must be ended by the same."""

    UNKNOWN = 0  # the recording does not say
    SINGLE = 1  # dma_map_single, dma_map_page, dma_map_phys
    RESOURCE = 2  # dma_map_resource: MMIO of another device
    SG = 3  # dma_map_sg
    COHERENT = 4  # dma_alloc_coherent, dma_alloc_attrs
    PAGES = 5  # dma_alloc_pages, dma_alloc_noncoherent
    SGT = 6  # dma_alloc_noncontiguous


class MemoryKind(IntEnum):
    """What kind of memory a region is of."""

    KMALLOC = 1  # kmalloc
    PAGES = 2  # whole pages from the page allocator
    COHERENT = 3  # dma_alloc_coherent
    NONCOHERENT = 4  # dma_alloc_pages
    STACK = 5  # a task's stack
    VMALLOC = 6  # vmalloc: pages that do not follow each other
    RODATA = 7  # the kernel's constants
    TEXT = 8  # the kernel's code


class Provenance(IntEnum):
    """Where a bus address that a device used comes from."""

    UNKNOWN = 0  # the recording does not tell
    MAPPING = 1  # a live mapping of the device
    ENDED_MAPPING = 2  # a mapping of the device that has ended
    FOREIGN_MAPPING = 3  # a mapping of another device
    PHYSICAL_ADDRESS = 4  # the physical address of memory, not mapped for the device
    KERNEL_POINTER = 5  # a kernel virtual address
    TRUNCATED_ADDRESS = 6  # a mapping's address without its upper 32 bits
    PAST_MAPPING = 7  # just behind a mapping of the device
    MAPPING_ERROR = 8  # what a failed mapping returns
    BEFORE_MAPPING = 9  # just before a mapping of the device


class Flag(IntFlag):
    """The low twelve bits of a row's flags: what is unknown, and small facts."""

    BUS_UNKNOWN = 1 << 0  # the event names no bus address
    PHYS_UNKNOWN = 1 << 1  # the event names no physical address
    LENGTH_UNKNOWN = 1 << 2  # the event names no length
    TIME_UNKNOWN = 1 << 3  # the layout prints no time
    DIRECTION_UNKNOWN = 1 << 4  # the event names no direction, or garbage
    TRUNCATED = 1 << 5  # a list is cut: there are more entries than stored
    HASHED = 1 << 6  # the CPU pointer is a hash: equal means equal, no arithmetic
    FAILED = 1 << 7  # the call failed, or names the error address
    NULL_CPU = 1 << 8  # the CPU pointer is NULL: a free that frees nothing
    SKIP_SYNC = 1 << 9  # attribute: the caller does the syncs itself
    MMIO = 1 << 10  # attribute: the memory is another device's registers
    FROM_MARK = 1 << 11  # told by a mark (driver_*); forced (bounce); told again (dev_*)


MAP_TYPE_SHIFT = 12  # the high four bits of a row's flags are a MapType


class SideTag(IntEnum):
    """What a record in the side pool holds."""

    SG_BUS = 1  # entries (bus address, length) as the device sees the list
    SG_PHYS = 2  # entries (physical address, UNKNOWN) as the CPU passed the list
    CPU = 3  # one entry (CPU virtual address or its hash, 0)
    TEXT = 4  # bytes of UTF-8 text; the stored count is in bytes


class Severity(IntEnum):
    """How grave a finding is."""

    NOTE = 1  # worth knowing
    WARNING = 2  # probably wrong
    ERROR = 3  # wrong by contract


class Maturity(IntEnum):
    """How far a rule can be trusted."""

    SANDBOX = 1  # being tried
    INCUBATING = 2  # believed right, seen on few recordings
    STABLE = 3  # agrees with labelled recordings
    DEPRECATED = 4  # kept for old configurations only


UNKNOWN = 0xFFFF_FFFF_FFFF_FFFF  # an unknown length in a side-pool entry
MAPPING_ERROR = 0xFFFF_FFFF_FFFF_FFFF  # DMA_MAPPING_ERROR: what a failed mapping returns
