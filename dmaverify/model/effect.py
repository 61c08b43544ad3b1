"""What a platform makes of a recording: what happened to a driver's bytes, as data."""

from dataclasses import dataclass
from enum import IntEnum

from dmaverify.model.hit import MappingView, Witness
from dmaverify.model.platform import Effect

#: Platforms that one pass works out; a row of an incident has room for them.
PLATFORMS_MAX = 16
INCIDENTS_MAX = 1024


class Cause(IntEnum):
    """Why an access, or a call, has the effect that it has. `findings.effects` has the words."""

    NONE = 0  # it does what the driver wants
    CONTRACT = 1  # the contract was broken, and no byte is the worse for it
    NO_TRANSLATION = 2  # the IOMMU never had a translation for the address
    TRANSLATION_GONE = 3  # the translation was taken away before the access
    NO_PERMISSION = 4  # the translation does not allow the direction
    PAST_PAGES = 5  # the access runs past the pages of its mapping
    SAME_PAGE = 6  # it runs past the mapping, within its last page
    OTHER_DOMAIN = 7  # the translation is another device's
    NO_MEMORY = 8  # no memory has the address
    TOO_WIDE = 9  # the device can not form the address
    OTHER_MEMORY = 10  # the address leads to other memory
    PRIVATE = 11  # the memory is not shared with the device
    MMIO = 12  # the second translation does not have the registers of other devices
    STALE_FOR_CPU = 13  # the CPU reads bytes that nobody handed to it
    STALE_FOR_DEVICE = 14  # the device reads bytes that nobody handed to it
    CPU_BYTES_LOST = 15  # bytes that the CPU wrote are overwritten by a copy or an invalidation
    DEVICE_BYTES_LOST = 16  # bytes that the device wrote are overwritten, or never copied back
    GUARD = 17  # the access leaves its bounce buffer
    LATE_WINDOW = 18  # the bounce buffer has been given back
    FILL = 19  # the bounce buffer was never filled for the device to read
    FOREIGN_BYTES = 20  # memory that is someone else's is overwritten
    OWN_MEMORY = 21  # the address leads to the very memory, mapped or not
    SHARED_AT_ONCE = 22  # CPU and device use the memory at once, and a copy is in between
    LINE_SHARED = 23  # a cache line is written back over what the device wrote beside it
    FAULT_SEEN = 24  # the recording shows the fault
    NOT_FLUSHED = 25  # the translation still works until the next flush
    NEEDS_ORDER = 26  # the recording does not tell whether the mapping had been there
    UNKNOWN_MEMORY = 27  # the recording does not tell whose memory the address is
    NO_PERSISTENT = 28  # no mapping without bounce buffers can be had for this memory
    NEIGHBOURS_LOST = 29  # bytes beside the mapping are thrown away with its cache lines
    MAY_BE_SHARED = 30  # a program may use the memory while it is mapped
    NO_DIRECTION = 31  # nothing tells whether the device read or wrote


class Mistake(IntEnum):
    """The class of the mistake behind an incident."""

    NONE = 0  # no mistake by contract
    DEVICE_ACCESS_UNMAPPED = 1
    DEVICE_ACCESS_AFTER_UNMAP = 2
    DEVICE_ACCESS_OUT_OF_RANGE = 3
    DEVICE_ACCESS_WRONG_DIRECTION = 4
    DEVICE_ACCESS_FOREIGN_MAPPING = 5
    MISSING_SYNC_FOR_CPU = 6
    MISSING_SYNC_FOR_DEVICE = 7
    CPU_ACCESS_WHILE_DEVICE_OWNS = 8
    FAILED_MAPPING_USED = 9
    UNMAP_SIZE_MISMATCH = 10
    UNMAP_DIRECTION_MISMATCH = 11
    UNMAP_OF_UNMAPPED = 12
    LEAK_AT_UNBIND = 13
    UNMAP_TYPE_MISMATCH = 14
    SG_ENTRY_COUNT_MISMATCH = 15
    FREE_SIZE_MISMATCH = 16
    FREE_CPU_ADDRESS_MISMATCH = 17
    UNMAP_BY_OTHER_DEVICE = 18
    SYNC_OF_UNMAPPED = 19
    SYNC_OUT_OF_RANGE = 20
    SYNC_DIRECTION_MISMATCH = 21
    INVALID_DIRECTION = 22
    ILLEGAL_MEMORY = 23
    OVERLAPPING_MAPPINGS = 24
    ZERO_LENGTH_MAPPING = 25
    SHARED_CACHELINE = 26
    CPU_WRITE_LOST = 27
    UNMAP_DURING_TRANSFER = 28

    @property
    def cls(self) -> str:
        """Return the canonical class, "" for no mistake."""
        return self.name.lower().replace("_", "-") if self else ""


class Missing(IntEnum):
    """Facts that a recording may lack, in the order in which they are told."""

    DEVICE_ACCESSES = 0
    CPU_ACCESSES = 1
    SYNCS = 2
    LOST_EVENTS = 3
    BEGINNING = 4
    MAPPINGS = 5
    MEMORY = 6
    PHYSICAL = 7
    DIRECTIONS = 8
    FLUSHES = 9
    SHARING = 10
    PARTS = 11


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one platform makes of an incident.

    Args:
        effect, cause: what, and why.
        stage: 1 or 2: the translation that failed; 0 where none did.
    """

    effect: Effect
    cause: Cause
    stage: int = 0


@dataclass(frozen=True, slots=True)
class Incident:
    """An access or a call that some platform does not take as the driver wants.

    Args:
        mistake: its class.
        first: the event; its `record` is the event's number.
        device: number of the device.
        ordinal: how many accesses the device had made by then, this one included; 0 for calls.
        mapping: the mapping that it is about, or None.
        bytes, length: how many bytes of how many are the worse for it.
        occurrences: how often the same happened.
        outcomes: one for each platform of the run, in their order.
        rests_on_syncs: True where a sync that left no event would undo it.
        across_gap: True where lost events would undo it.
    """

    mistake: Mistake
    first: Witness
    device: int
    ordinal: int
    mapping: MappingView | None
    bytes: int
    length: int
    occurrences: int
    outcomes: tuple[Outcome, ...]
    rests_on_syncs: bool
    across_gap: bool


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What the recording tells about one device, for what can and can not be concluded.

    Args:
        device: number of the device.
        maps: mappings and allocations made for it.
        accesses: accesses of the device.
        cpu_accesses: accesses of the CPU to memory that was mapped for it.
        syncs_seen: True where every sync of it would have left an event.
        registered, registered_bytes: mappings that CPU and device use at once (registered memory,
            user queues), and their bytes.
        bypass_accesses, bypass_bytes, bypass_lines: accesses of the device in such memory, their
            bytes, and the cache lines they touch.
        longest: bytes of the largest such mapping.
        highest: where the highest known memory of its streaming mappings ends, physical; 0 where
            none is known.
        unplaced: streaming mappings whose physical address is not told.
        unpaired: lists that an IOMMU merged, of which nothing tells what memory a part is.
    """

    device: int
    maps: int
    accesses: int
    cpu_accesses: int
    syncs_seen: bool
    registered: int = 0
    registered_bytes: int = 0
    bypass_accesses: int = 0
    bypass_bytes: int = 0
    bypass_lines: int = 0
    longest: int = 0
    highest: int = 0
    unplaced: int = 0
    unpaired: int = 0
