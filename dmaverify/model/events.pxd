# cython: language_level=3
# The packed event row, the side pool and the batch that carries both.
#
# The layout is drawn in docs/reference/row.md. Kinds, directions, map types and flags
# repeat model/kinds.py, and a test holds the two together.
# A batch does not own names: device numbers mean something only with its reader.

from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum dv_kind:
    KIND_LOST = 1
    KIND_MARK = 2
    KIND_DMA_MAP = 3
    KIND_DMA_UNMAP = 4
    KIND_DMA_SYNC_FOR_CPU = 5
    KIND_DMA_SYNC_FOR_DEVICE = 6
    KIND_DMA_ALLOC = 7
    KIND_DMA_FREE = 8
    KIND_IOMMU_MAP = 9
    KIND_IOMMU_UNMAP = 10
    KIND_IOMMU_ATTACH = 11
    KIND_DEV_FAULT = 12
    KIND_BOUNCE = 13
    KIND_DRIVER_PROBE = 14
    KIND_DRIVER_BOUND = 15
    KIND_DRIVER_UNBOUND = 16
    KIND_DEVICE_LIMITS = 17
    KIND_LEFT_MAPPED = 18
    KIND_CPU_READ = 19
    KIND_CPU_WRITE = 20
    KIND_DEV_READ = 21
    KIND_DEV_WRITE = 22
    KIND_DEV_START = 23
    KIND_MEMORY = 24
    KIND_CLOCK_SYNC = 25
    KIND_DEV_ACCESS = 26
    KIND_DEREG_MR = 27
    KIND_MEMORY_FREE = 28
    KIND_COMMAND_BEGIN = 29
    KIND_COMMAND_ARRIVED = 30
    KIND_COMMAND_DONE = 31
    KIND_IRQL = 32
    KIND_DMA_CALL = 33
    KIND_ADAPTER_GET = 34
    KIND_ADAPTER_PUT = 35
    KIND_CHANNEL_ALLOCATE = 36
    KIND_CHANNEL_GRANTED = 37
    KIND_CHANNEL_ACTION = 38
    KIND_CHANNEL_FREE = 39
    KIND_CHANNEL_CANCEL = 40
    KIND_MDL_LOCK = 41
    KIND_MDL_UNLOCK = 42
    KIND_MDL_FREE = 43
    KIND_MDL_MAP = 44
    KIND_MDL_UNMAP = 45
    KIND_IO_FLUSH = 46
    KIND_PHYS_QUERY = 47
    KIND_REQUEST_COMPLETE = 48
    KIND_DMA_CANCEL = 49
    KIND_ALLOC_PD = 56
    KIND_DEALLOC_PD = 57
    KIND_REG_MR = 58
    KIND_REG_MR_BEGIN = 59
    KIND_REG_MR_END = 60
    KIND_REREG_MR = 61
    KIND_FAST_REG_MR = 62
    KIND_INVALIDATE_MR = 63
    KIND_BIND_MW = 64
    KIND_CREATE_QP = 65
    KIND_MODIFY_QP = 66
    KIND_DESTROY_QP = 67
    KIND_CREATE_CQ = 68
    KIND_DESTROY_CQ = 69
    KIND_POST_SEND = 70
    KIND_POST_RECV = 71
    KIND_CQE = 72
    KIND_HCA_ACCESS = 73
    KIND_HCA_VERDICT = 74
    KIND_TASK_EXIT = 75
    KIND_LEFT_REGISTERED = 76
    KIND_POSTED_SGE = 77
    KIND_WORK_TOUCHED = 78
    KIND_CREATE_SRQ = 79
    KIND_DESTROY_SRQ = 80
    KIND_CREATE_AH = 81
    KIND_DESTROY_AH = 82
    KIND_DOORBELL = 83
    KIND_QUEUE_MEMORY = 84
    KIND_MAD_SEND = 85
    KIND_MAD_RECV = 86
    KIND_ALLOC_MW = 87
    KIND_DEALLOC_MW = 88
    KIND_TEARDOWN = 89
    KIND_TEARDOWN_DONE = 90
    KIND_ASYNC_EVENT = 91
    KIND_USER_UNMAP = 92
    KIND_ODP_PAGES = 93
    KIND_MAP_MR_SG = 94
    KIND_HCA_LOST = 95
    KIND_COUNT = 96
    KIND_ROOM = 128      # of tables that have a place for each kind, a power of two

cdef enum dv_direction:
    DIR_BIDIRECTIONAL = 0
    DIR_TO_DEVICE = 1
    DIR_FROM_DEVICE = 2
    DIR_NONE = 3

cdef enum dv_map_type:
    TYPE_UNKNOWN = 0
    TYPE_SINGLE = 1
    TYPE_RESOURCE = 2
    TYPE_SG = 3
    TYPE_COHERENT = 4
    TYPE_PAGES = 5
    TYPE_SGT = 6
    TYPE_SHIFT = 12

cdef enum dv_flag:
    F_BUS_UNKNOWN = 0x001
    F_PHYS_UNKNOWN = 0x002
    F_LENGTH_UNKNOWN = 0x004
    F_TIME_UNKNOWN = 0x008
    F_DIRECTION_UNKNOWN = 0x010
    F_TRUNCATED = 0x020
    F_HASHED = 0x040
    F_FAILED = 0x080
    F_NULL_CPU = 0x100
    F_SKIP_SYNC = 0x200
    F_MMIO = 0x400
    F_FROM_MARK = 0x800

cdef enum dv_side_tag:
    SIDE_SG_BUS = 1
    SIDE_SG_PHYS = 2
    SIDE_CPU = 3
    SIDE_TEXT = 4
    SIDE_ARGS = 5
    SIDE_SGE = 6
    SIDE_HCA = 7

cdef enum:                   # Arg
    ARG_ADAPTER = 1
    ARG_ROUTINE = 2
    ARG_FILE = 3
    ARG_MDL = 4
    ARG_REGISTERS = 5
    ARG_GRANTED = 6
    ARG_VERSION = 7
    ARG_WIDTH = 8
    ARG_OFFSET = 9
    ARG_MDL_LENGTH = 10
    ARG_ACTION = 11
    ARG_CACHE = 12
    ARG_ALIGNMENT = 13
    ARG_INDEX = 14
    ARG_VECTOR = 15
    ARG_ELEMENTS = 16
    ARG_COUNT = 17

# Values of records SIDE_HCA, as model/kinds.py's HcaValue.
cdef enum dv_hca_value:
    HCA_REMOTE_KEY = 1
    HCA_REMOTE_ADDR = 2
    HCA_SEND_CQ = 3
    HCA_RECV_CQ = 4
    HCA_MAX_SEND_WR = 5
    HCA_MAX_RECV_WR = 6
    HCA_MAX_SEND_SGE = 7
    HCA_MAX_RECV_SGE = 8
    HCA_MAX_INLINE = 9
    HCA_REGION_KEY = 10
    HCA_SIGNAL_ALL = 11
    HCA_NEW_KEY = 12
    HCA_QUEUE_PAIR = 13
    HCA_SRQ = 14
    HCA_AH = 15
    HCA_REMOTE_QP = 16
    HCA_AGENT = 17
    HCA_LIMIT = 18
    HCA_WC_FLAGS = 19
    HCA_INVALIDATED = 20
    HCA_PAGE_SIZE = 21
    HCA_MAPPED = 22
    HCA_IMMEDIATE = 23
    HCA_FAMILY = 24
    HCA_VENDOR_ERR = 25
    HCA_REQUEST_KEY = 26
    HCA_DATA_IN_ORDER = 27
    HCA_RELAXED = 28
    HCA_TID = 29

# One event: one cache line. Slots by kind, where a name differs from the slot's:
#   iommu_unmap: phys_addr holds `unmapped`       bounce: bus_addr holds `dma_mask`
#   device_limits: length = max_segment, bus_addr = boundary, phys_addr = dma_mask
#   memory: object = what kind of memory    dev_*: object = number of the transfer
#   dev_*: status = how far its time may be off, in us, where another clock stamped it; -1 =
#   its place among the trace's events is not known. F_FROM_MARK = another source's word for
#   an access that the trace tells itself.
#   dereg_mr: object = key, phys_addr = the kernel's number of the region
#   Of an HCA's events with a key: object = key (0 = none named), bus_addr = address in the
#   key's space, phys_addr = protection domain, direction = rights (F_DIRECTION_UNKNOWN where
#   none are named), type = RegionType; reg_mr_end: phys_addr = rkey; hca_access: type =
#   AccessSide, status 1 = bytes are read, 2 = written. Of events with a queue pair: object = its
#   number, phys_addr = its domain; posts: phys_addr = id of the work request, type = Opcode,
#   direction = PostFlag; cqe: phys_addr = id, status = WcStatus; modify_qp: status = QpState.
#   Of queues, handles and tear-downs: object = number, type = QueuePart, HcaObject or AsyncEvent;
#   create_srq: length = entries; doorbell: length = work requests that it publishes;
#   queue_memory, mad_*: bus_addr and length, or a record SGE, the memory; mad_*: object = agent,
#   type = MadStep, phys_addr = id; user_unmap, odp_pages: bus_addr = address, type = RangeChange;
#   map_mr_sg: a record SGE has the pages as the HCA sees them.
#   clock_sync: object = number, status = 0 before, 1 after the other clock's line
#   irql: object = level    adapter_*, dma_call, dma_cancel: object = adapter
#   channel_*: object = map register file    mdl_*, io_flush: object = MDL
#   request_complete: object = number of the request
#   channel_cancel: status 1 = it was cancelled, 0 = it was too late
#   lost: length = number of events lost; status 1 = before the recording's first event
cdef packed struct dv_event:
    uint64_t time        # trace clock, ns or ticks
    uint64_t bus_addr    # bus address
    uint64_t phys_addr   # physical address
    uint64_t length      # bytes
    uint64_t offset      # of the record or line in the source
    uint32_t device      # number of the device; 0 = none named
    uint32_t object      # key, queue, ...: reserved for kinds that name one; 0 = none
    uint32_t site        # task id of the logger (a call site where bit 31 is set)
    uint16_t cpu         # CPU that logged it
    int16_t status       # error code of a failed call; 0 = none
    uint32_t side        # first word of its records in the side pool; 0 = none
    uint16_t flags       # dv_flag in the low 12 bits, dv_map_type in the high 4
    uint8_t kind         # dv_kind
    uint8_t direction    # dv_direction; larger = an invalid number in the source

# Where a row stands for people: both 1-based; line is 0 for binary sources.
cdef struct dv_number:
    uint32_t record
    uint32_t line

# A record of the side pool: this header (two words), then its entries, two words each
# (TEXT: bytes, rounded up to words). Records of one event follow each other.
cdef struct dv_side:
    uint8_t tag          # dv_side_tag
    uint8_t last         # 1 = no record of this event follows
    uint16_t reserved
    uint32_t words       # words of the entries, after this header
    uint32_t stored      # entries (TEXT: bytes) stored
    uint32_t full        # entries in the list that the caller passed

cdef struct dv_entry:
    uint64_t address     # ARGS: the Arg
    uint64_t length      # UINT64_MAX = unknown; ARGS: the value

cdef struct dv_batch:
    dv_event* rows
    dv_number* numbers
    size_t count
    size_t capacity
    uint64_t* side       # word 0 is never used
    size_t side_count
    size_t side_capacity
    size_t named         # events with an ARGS record

cdef inline int event_type(const dv_event* e) noexcept nogil:
    return e.flags >> TYPE_SHIFT

# True for kinds that are about keys and queue pairs, not about mappings.
cdef inline bint kind_of_hca(int kind) noexcept nogil:
    return kind >= KIND_ALLOC_PD or kind == KIND_DEREG_MR

# True where the call failed, or names the address that a failed mapping returns
# (DMA_MAPPING_ERROR: all ones).
cdef inline bint event_failed(const dv_event* e) noexcept nogil:
    return e.flags & F_FAILED != 0 or \
        (not e.flags & F_BUS_UNKNOWN and e.bus_addr == <uint64_t>-1)

# True where the event is about memory that a device reaches for.
cdef inline bint device_reaches(const dv_event* e) noexcept nogil:
    return KIND_DEV_READ <= e.kind <= KIND_DEV_START or e.kind == KIND_DEV_ACCESS or \
        e.kind == KIND_DEV_FAULT

# True where the event is about a device that writes memory, or that reads it.
cdef inline bint device_writes(const dv_event* e) noexcept nogil:
    return e.kind == KIND_DEV_WRITE or (
        (e.kind == KIND_DEV_START or e.kind == KIND_DEV_FAULT) and
        not e.flags & F_DIRECTION_UNKNOWN and e.direction == DIR_FROM_DEVICE)

cdef inline bint device_reads(const dv_event* e) noexcept nogil:
    return e.kind == KIND_DEV_READ or (
        (e.kind == KIND_DEV_START or e.kind == KIND_DEV_FAULT) and
        not e.flags & F_DIRECTION_UNKNOWN and e.direction == DIR_TO_DEVICE)

# Return the first side record of an event with this tag, or NULL.
cdef inline const dv_side* event_side(const dv_batch* b, const dv_event* e, int tag) noexcept nogil:
    cdef size_t at = e.side
    cdef const dv_side* s
    if at == 0:
        return NULL
    while True:
        s = <const dv_side*>(b.side + at)
        if s.tag == tag:
            return s
        if s.last:
            return NULL
        at += 2 + s.words

cdef inline const dv_entry* side_entries(const dv_side* s) noexcept nogil:
    return <const dv_entry*>(s + 1)

# Put a named number of an event into ret and return True, or return False where it has none.
cdef inline bint event_arg(const dv_batch* b, const dv_event* e, uint64_t arg,
                           uint64_t* ret) noexcept nogil:
    cdef const dv_side* s
    cdef const dv_entry* entries
    cdef uint32_t i
    if e.side == 0:
        return False
    s = event_side(b, e, SIDE_ARGS)
    if s == NULL:
        return False
    entries = side_entries(s)
    for i in range(s.stored):
        if entries[i].address == arg:
            ret[0] = entries[i].length
            return True
    return False

# All three return 0, or -1 when memory is gone.
cdef int batch_init(dv_batch* b, size_t capacity) noexcept nogil
cdef void batch_deinit(dv_batch* b) noexcept nogil
cdef void batch_clear(dv_batch* b) noexcept nogil
# Return a zeroed row at the end of the batch (its number zeroed too), or NULL.
cdef dv_event* batch_push(dv_batch* b) noexcept nogil
# Append a side record with room for `stored` entries to the event pushed last, and
# return it, or NULL. The pointer is good until the next call. `bytes_per_entry` is 16,
# or 1 for TEXT.
cdef dv_side* batch_side(dv_batch* b, int tag, uint32_t stored, uint32_t full,
                         uint32_t bytes_per_entry) noexcept nogil

# Return the four high bits of a row's flags: a MapType, or a plain number where its kind gives
# them another meaning.
cdef object event_type_of(const dv_event* e)

cdef class EventBatch:
    cdef dv_batch c
