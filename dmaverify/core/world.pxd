# cython: language_level=3
# Everything that the engine knows at a moment: devices, live mappings, ghosts, and what
# the IOMMU holds. State and facts only; rules judge.

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from dmaverify.core.commands cimport dv_commands
from dmaverify.core.adapters cimport dv_objects
from dmaverify.core.shadow cimport dv_shadow
from dmaverify.core.table cimport dv_table
from dmaverify.core.transfers cimport dv_transfers
from dmaverify.model.events cimport F_TIME_UNKNOWN, dv_event, dv_number

cdef enum:
    STATE_FREE = 0
    STATE_LIVE = 1
    STATE_GHOST = 2
    RING_LEAST = 1024        # a smaller ghost limit does without the ring
    RING_ASKS = 256
    GHOST_SEGMENTS = 64      # segments of an ended list that are remembered
    CPUS = 4096
    SCAN_MAX = 4096          # mappings of a device that one search visits
    REGIONS_MAX = 65536      # ranges of known memory that are remembered

cdef enum:
    DEVICE_WROTE = 0
    CPU_WROTE = 1
    HANDED_TO_CPU = 2
    HANDED_TO_DEVICE = 3
    OWNED_BY_CPU = 4         # handed over, and no byte moves
    OWNED_BY_DEVICE = 5

cdef enum:
    MARK_PHYS = 1            # its physical address is known
    MARK_LENGTH = 2          # its length is known
    MARK_DIRECTION = 4       # its direction is known
    MARK_VIRT = 8            # its CPU pointer is known
    MARK_BOUNCED = 16        # it lies in a bounce buffer
    MARK_WHOLE_PAGES = 32    # every segment starts and ends at a page boundary
    MARK_IOMMU = 64          # the IOMMU had a translation for it
    MARK_IN_LIST = 128       # it is in the index of scatter/gather lists
    MARK_AMBIGUOUS = 256     # an unmap that fitted it as well was given to another
    MARK_EXISTING = 512      # an allocation made of memory that was there: it names its pages
    MARK_FREED = 1024        # memory of it was freed; where stands in `ended` while it lives
    MARK_THERE = 1 << 15     # on every mapping: the one with index 0 has no marks

# Where an event stood, kept after its batch is gone.
cdef struct dv_place:
    uint64_t offset
    uint64_t time
    uint32_t record
    uint32_t line
    uint32_t site
    uint16_t cpu
    uint8_t kind
    uint8_t flags            # 1 = the time is known

# What every look-up compares stands first, within one cache line.
cdef struct dv_mapping:
    uint64_t bus_addr
    uint64_t length
    uint64_t phys_addr
    uint32_t device
    uint32_t serial
    uint32_t epoch           # gaps in the recording before it was made (ghosts: ended)
    uint32_t told            # group of the first error about it, plus 1; 0 = none
    uint16_t flags           # of the event that made it
    uint16_t marks
    uint8_t type
    uint8_t direction
    uint8_t state
    uint8_t unused
    uint32_t first           # first segment; chained by `sibling`
    uint32_t next            # list of its device's live mappings, or of all ghosts
    uint32_t prev
    uint32_t transfers       # begun and not ended
    dv_place made
    dv_place ended
    uint64_t virt_addr
    uint64_t counted         # the last count that took it in
    uint64_t* list           # physical addresses of the caller's list, `listed` of them
    uint32_t listed
    uint32_t list_next       # next mapping with the same device and first physical address
    uint32_t list_prev
    uint32_t count           # entries that the caller passed, in full
    uint32_t segments        # segments that the device sees, in full
    uint32_t syncs
    uint32_t unsynced_reads  # CPU reads of bytes that the device owns
    uint32_t command         # that it was made for (commands.pxd); 0 = none known
    uint32_t command_serial

# The ghosts of mappings with one segment wait in a ring, written once and rarely read: most
# recordings never ask. A look-up scans the ring; after RING_ASKS of them all ghosts move into
# the ghost grid, and stay there.
cdef struct dv_ended:
    uint64_t start
    uint64_t length
    uint32_t device          # 0 = taken, or nothing here
    uint32_t unused

cdef struct dv_ring:
    dv_mapping* mappings
    dv_ended* keys
    uint32_t capacity        # RING_LEAST at first, then the ghost limit
    uint32_t count
    uint32_t next            # where the next goes: the oldest, once the ring is full
    uint32_t asks

cdef struct dv_device:
    uint64_t maps
    uint64_t unmaps
    uint64_t syncs
    uint64_t bounces
    uint64_t allocs
    uint64_t frees
    uint64_t failures
    uint64_t live
    uint64_t truncated_live
    uint64_t partly_ended    # when one ended whose ghost does not remember all of it; 0 = never
    uint64_t unbinds
    uint64_t max_segment
    uint64_t boundary
    uint64_t dma_mask
    uint32_t first           # newest live mapping
    uint32_t probe_epoch     # gaps before its driver was bound
    uint8_t probe_seen
    uint8_t iommu_seen
    uint8_t limits           # 1 max_segment, 2 boundary, 4 dma_mask: known; 8 by a bounce
    uint8_t bounced_next     # its next mapping is the one just bounced
    uint64_t bounced_phys

cdef struct dv_world:
    dv_shadow shadow
    dv_table lists           # (device, first physical address) -> mapping of a list
    dv_table iommu           # page -> translations << 16 | balance + 0x8000
    dv_mapping* mappings     # index 0 is none, and all zero
    uint32_t mapping_count
    uint32_t mapping_capacity
    uint32_t mapping_free
    dv_device* devices
    uint32_t device_count
    uint32_t device_capacity
    uint32_t ghost_first     # newest
    uint32_t ghost_last      # oldest
    uint32_t ghosts          # in the grid
    dv_ring ring             # capacity 0: ghosts go into the grid at once
    uint64_t ghost_segments
    uint32_t ghost_limit
    uint32_t serial
    uint32_t gaps
    uint64_t live
    uint64_t live_limit
    uint64_t refused         # mappings not followed because there are too many
    uint64_t forgotten       # ghosts dropped
    uint64_t asked_late      # look-ups for a ghost after some were forgotten
    uint64_t lost            # events known to be lost
    uint64_t iommu_events
    uint64_t in_flight       # ends and syncs of what was mapped before the recording
    uint64_t undecided       # accesses whose order with what would explain them is not known
    uint64_t unexplained     # faults at what was mapped so as to allow the access
    uint64_t across_gap      # ends and syncs that lost events could explain
    uint64_t now
    uint64_t counts          # counts of mappings made so far
    uint8_t time_known
    uint8_t syncs_traced     # the kernel log says that no sync is left out
    uint32_t regions         # ranges of known memory
    dv_transfers open        # transfers begun and not ended
    dv_commands commands
    uint64_t cpu_writes      # seen so far
    uint8_t* cpu_rows        # rows seen of each CPU, saturating
    dv_objects objects       # what Windows' drivers hold beside their mappings

cdef int world_init(dv_world* w, uint64_t seed, uint32_t ghost_limit,
                    uint64_t live_limit) noexcept nogil
cdef void world_deinit(dv_world* w) noexcept nogil
# Return the device's state, growing the table, or NULL when memory is gone.
cdef dv_device* world_device(dv_world* w, uint32_t number) noexcept nogil
cdef inline dv_place place_of(const dv_event* e, const dv_number* n) noexcept nogil:
    cdef dv_place p
    p.offset = e.offset
    p.time = e.time
    p.record = n.record
    p.line = n.line
    p.site = e.site
    p.cpu = e.cpu
    p.kind = e.kind
    p.flags = 0 if e.flags & F_TIME_UNKNOWN else 1
    return p

# Room for a mapping, all zero; 0 when memory is gone.
cdef uint32_t mapping_new(dv_world* w) noexcept nogil
# Give back the room of a mapping and its list.
cdef void mapping_release(dv_world* w, uint32_t index) noexcept nogil
cdef void ring_deinit(dv_ring* r) noexcept nogil

cdef inline uint64_t list_key(uint32_t device, uint64_t phys) noexcept nogil:
    return phys ^ (<uint64_t>device << 48) ^ (<uint64_t>device >> 16)
