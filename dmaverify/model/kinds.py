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
    IRQL = 32  # a CPU's interrupt request level changed
    DMA_CALL = 33  # a routine of the DMA interface was called; told before what it does
    ADAPTER_GET = 34  # a driver asked for an adapter object
    ADAPTER_PUT = 35  # it gave the adapter object back
    CHANNEL_ALLOCATE = 36  # map registers were asked for: a new map register file
    CHANNEL_GRANTED = 37  # they were granted: AdapterControl is about to run
    CHANNEL_ACTION = 38  # AdapterControl returned and said what to keep
    CHANNEL_FREE = 39  # channel, map registers or both were freed
    CHANNEL_CANCEL = 40  # a request for a channel was cancelled, or was too late to be
    MDL_LOCK = 41  # an MDL's pages were locked, or are so by what they are
    MDL_UNLOCK = 42  # they were unlocked
    MDL_FREE = 43  # the MDL was freed
    MDL_MAP = 44  # an MDL was given a system mapping
    MDL_UNMAP = 45  # that mapping was removed
    IO_FLUSH = 46  # KeFlushIoBuffers: an MDL's bytes handed to a device without a mapping
    PHYS_QUERY = 47  # a driver asked for the physical address of memory
    REQUEST_COMPLETE = 48  # a request that carries an MDL was completed
    DMA_CANCEL = 49  # a mapped transfer was cancelled
    # From here on what an HCA has and does; the numbers before are of DMA.
    ALLOC_PD = 56  # a protection domain was made
    DEALLOC_PD = 57  # a protection domain was given back
    REG_MR = 58  # a memory region was registered
    REG_MR_BEGIN = 59  # a task asks for a registration; the key is not known yet
    REG_MR_END = 60  # the task has got it, with its key, or was refused
    REREG_MR = 61  # a memory region was changed, and may have got another key
    FAST_REG_MR = 62  # a work request gave a region its range and its key
    INVALIDATE_MR = 63  # a key was taken out of use, its region stays
    BIND_MW = 64  # a memory window was bound to a region
    CREATE_QP = 65  # a queue pair was made
    MODIFY_QP = 66  # a queue pair changes its state
    DESTROY_QP = 67  # a queue pair is about to be destroyed
    CREATE_CQ = 68  # a completion queue was made
    DESTROY_CQ = 69  # a completion queue is about to be destroyed
    POST_SEND = 70  # a work request was posted to a send queue
    POST_RECV = 71  # a work request was posted to a receive queue
    CQE = 72  # a completion was polled
    HCA_ACCESS = 73  # an HCA looks a key up, checks a range or moves bytes
    HCA_VERDICT = 74  # what the HCA made of the last range that it checked
    TASK_EXIT = 75  # a task is at its end
    LEFT_REGISTERED = 76  # derived by the engine: regions that a task left to its kernel
    POSTED_SGE = 77  # derived: one buffer of a posted work request
    WORK_TOUCHED = 78  # derived: the CPU touches what an HCA works with
    CREATE_SRQ = 79  # a shared receive queue was made
    DESTROY_SRQ = 80  # a shared receive queue is about to be destroyed
    CREATE_AH = 81  # an address handle was made
    DESTROY_AH = 82  # an address handle was destroyed
    DOORBELL = 83  # what was posted to a queue was published to the HCA
    QUEUE_MEMORY = 84  # memory was given to the HCA for a queue, or for its doorbell record
    MAD_SEND = 85  # a management datagram was given to the HCA, or has been sent
    MAD_RECV = 86  # room for a management datagram was posted, or one was received
    ALLOC_MW = 87  # a memory window was made, bound to nothing
    DEALLOC_MW = 88  # a memory window was given back
    TEARDOWN = 89  # the HCA was told to stop using an object
    TEARDOWN_DONE = 90  # it has done so, or has failed to
    ASYNC_EVENT = 91  # the HCA raised an event that is no completion
    USER_UNMAP = 92  # a process's address range is no longer the memory that it was
    ODP_PAGES = 93  # the HCA's table of a region got pages, or lost them
    MAP_MR_SG = 94  # a region was told its pages as the HCA sees them
    HCA_LOST = 95  # derived: memory goes that an HCA still uses


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
    NONPAGED_POOL = 9  # pool whose pages stay
    PAGED_POOL = 10  # pool whose pages may be paged out
    USER = 11  # a process's memory: may be paged out unless locked


class RegionType(IntEnum):
    """What kind of memory region a key names."""

    UNKNOWN = 0  # the recording does not say
    USER = 1  # memory of a process, pinned
    ON_DEMAND = 2  # memory of a process, brought in by page faults
    DMA = 3  # all that the device reaches; nothing is checked
    FAST = 4  # gets its range and its tag by a work request
    DMABUF = 5  # memory of another device or driver
    DEVICE_MEMORY = 6  # memory inside the HCA
    NULL = 7  # reads give zeros, writes vanish
    WINDOW_1 = 8  # memory window of type 1
    WINDOW_2A = 9  # memory window of type 2A, good on each queue pair of its domain
    WINDOW_2B = 10  # memory window of type 2B, good on one queue pair


class AccessSide(IntEnum):
    """Which check an access by key is put to."""

    UNKNOWN = 0  # the recording does not say
    LOCAL = 1  # a work request of the HCA's own side: lkey
    REMOTE = 2  # a request of the peer: rkey


class QpType(IntEnum):
    """What service a queue pair gives."""

    UNKNOWN = 0  # the recording does not say
    SMI = 1  # QP0, subnet management
    GSI = 2  # QP1, general services
    RC = 3  # reliable connection
    UC = 4  # unreliable connection
    UD = 5  # unreliable datagram
    RAW = 6  # raw packets
    XRC_INI = 7  # extended reliable connection, the side that sends
    XRC_TGT = 8  # extended reliable connection, the side that receives
    DRIVER = 9  # of the HCA's own making


class QpState(IntEnum):
    """States of a queue pair; values are those of the kernel's enum ib_qp_state and 1."""

    UNKNOWN = 0  # the recording does not say
    RESET = 1  # nothing may be posted
    INIT = 2  # receives may be posted
    RTR = 3  # it receives
    RTS = 4  # it sends
    SQD = 5  # its send queue is drained
    SQE = 6  # its send queue has failed
    ERR = 7  # all that is posted is flushed


class Opcode(IntEnum):
    """What a posted work request asks for."""

    UNKNOWN = 0  # the recording does not say
    SEND = 1  # a message
    RDMA_WRITE = 2  # write the peer's memory
    RDMA_WRITE_IMM = 3  # the same, and complete a receive of the peer
    RDMA_READ = 4  # read the peer's memory
    ATOMIC = 5  # compare and swap, or fetch and add
    SEND_INV = 6  # a message that takes a key of the peer out of use
    LOCAL_INV = 7  # take a key out of use
    FAST_REG = 8  # give a region its range and key
    BIND = 9  # bind a memory window
    FLUSH = 10  # make what was written durable
    RECV = 11  # room for a message


class WcStatus(IntEnum):
    """How a work request ended; values as in the kernel's enum ib_wc_status."""

    SUCCESS = 0
    LOC_LEN_ERR = 1
    LOC_QP_OP_ERR = 2
    LOC_PROT_ERR = 4
    WR_FLUSH_ERR = 5
    MW_BIND_ERR = 6
    BAD_RESP_ERR = 7
    LOC_ACCESS_ERR = 8
    REM_INV_REQ_ERR = 9
    REM_ACCESS_ERR = 10
    REM_OP_ERR = 11
    RETRY_EXC_ERR = 12
    RNR_RETRY_EXC_ERR = 13
    REM_ABORT_ERR = 16
    FATAL_ERR = 19
    RESP_TIMEOUT_ERR = 20
    GENERAL_ERR = 21


class QueuePart(IntEnum):
    """What of a queue an event is about."""

    UNKNOWN = 0  # the recording does not say
    SEND_RING = 1  # of a queue pair
    RECV_RING = 2  # of a queue pair
    QP_RING = 3  # one ring for sends and receives
    CQ_RING = 4  # of a completion queue
    SRQ_RING = 5  # of a shared receive queue
    EQ_RING = 6  # of an event queue
    QP_RECORD = 7  # doorbell record of a queue pair
    CQ_RECORD = 8  # doorbell record of a completion queue
    SRQ_RECORD = 9  # doorbell record of a shared receive queue


class HcaObject(IntEnum):
    """What kind of object of an HCA a number is of."""

    UNKNOWN = 0  # the recording does not say
    MEMORY_REGION = 1  # by its key
    MEMORY_WINDOW = 2  # by its key
    QUEUE_PAIR = 3
    COMPLETION_QUEUE = 4
    SHARED_RECEIVE_QUEUE = 5
    ADDRESS_HANDLE = 6


class AsyncEvent(IntEnum):
    """What an HCA raises beside completions; the names are those of enum ibv_event_type."""

    UNKNOWN = 0  # the recording does not say
    QP_LAST_WQE_REACHED = 1  # the queue pair takes nothing more from its shared receive queue
    SRQ_LIMIT_REACHED = 2  # a shared receive queue runs short
    CQ_ERR = 3  # a completion queue overflowed
    QP_FATAL = 4  # a queue pair can not go on
    QP_ACCESS_ERR = 5  # a peer named a key that does not allow what it asked for
    QP_REQ_ERR = 6  # a peer asked for what is not allowed
    SQ_DRAINED = 7  # a send queue has run empty
    COMPLETION = 8  # a completion queue has something new; no more than a hint to poll
    SRQ_ERR = 9  # a shared receive queue can not go on
    DEVICE_FATAL = 10  # the HCA can not go on


class RangeChange(IntEnum):
    """What became of a range of a process's addresses, or of a region's pages."""

    UNKNOWN = 0  # the recording does not say
    MUNMAP = 1  # unmapped
    MREMAP = 2  # moved elsewhere
    DISCARD = 3  # its pages were given back: madvise(MADV_DONTNEED) and its kin
    FORK = 4  # a child shares the pages from now on
    COW = 5  # a write gave the process a copy
    RELEASED = 6  # the owner is about to give the pages to somebody else
    BROUGHT_IN = 7  # the HCA's table has the pages
    TAKEN_OUT = 8  # it has them no longer, and the HCA has confirmed that


class MadStep(IntEnum):
    """Where a management datagram is on its way."""

    UNKNOWN = 0  # the recording does not say
    POSTED = 1  # its buffer is the HCA's
    COMPLETED = 2  # the buffer is the driver's again


class Hazard(IntEnum):
    """Why the CPU had better not touch memory yet."""

    NONE = 0
    OWNED = 1  # it is a buffer of a posted work request
    PEER_WROTE = 2  # a peer wrote it, and no completion has told so
    PEER_ATOMIC = 3  # a peer's atomic works on it
    PEER_READS = 4  # a peer reads it, and no completion has told that it is done
    POLLED = 5  # a peer wrote it, no completion has told so, and the CPU reads it
    NO_HEADER = 6  # a datagram came without a routing header: the bytes are undefined
    RING = 7  # a slot of a ring that was published


class HcaFamily(IntEnum):
    """HCAs whose drivers report the same mistake in the same way."""

    UNKNOWN = 0  # neither the recording nor the device's name tells
    HARDWARE = 1  # adapters that check keys themselves: mthca, mlx4, mlx5 and their kin
    RXE = 2  # RoCE in software
    RDMAVT = 3  # verbs in software for hfi1 and qib
    SIW = 4  # iWARP in software


class WcFlag(IntFlag):
    """What a completion has with it; values as in the kernel's enum ib_wc_flags."""

    GRH = 1 << 0  # the first 40 bytes are a global routing header
    WITH_IMM = 1 << 1  # immediate data
    WITH_INVALIDATE = 1 << 2  # the peer took a key out of use


class Rights(IntFlag):
    """What a key allows, or an access wants; values as in the kernel's enum ib_access_flags."""

    LOCAL_WRITE = 1 << 0
    REMOTE_WRITE = 1 << 1
    REMOTE_READ = 1 << 2
    REMOTE_ATOMIC = 1 << 3
    MW_BIND = 1 << 4
    ZERO_BASED = 1 << 5
    ON_DEMAND = 1 << 6
    HUGETLB = 1 << 7


class PostFlag(IntFlag):
    """How a work request was posted; values as in libibverbs' enum ibv_send_flags."""

    FENCE = 1 << 0  # waits for earlier RDMA READs and atomics
    SIGNALED = 1 << 1  # gives a completion when it succeeds
    SOLICITED = 1 << 2  # wakes the peer
    INLINE = 1 << 3  # the data was copied when it was posted


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
    ARGS = 5  # entries (Arg, value): named numbers, each at most once, in ascending order
    SGE = 6  # entries (address, length in the low half and key in the high half)
    HCA = 7  # entries (value, HcaValue): what an HCA's event has beside its row


class Arg(IntEnum):
    """The named numbers of an event that have no slot in its row; one that is missing is unknown.

    Numbers of objects are serial numbers of the recording, from 1; 0 is a NULL that was passed.
    """

    ADAPTER = 1  # the adapter that the call was made with
    ROUTINE = 2  # model.routines.Routine
    FILE = 3  # the map register file: what a MapRegisterBase, list or context stands for
    MDL = 4  # the MDL
    REGISTERS = 5  # map registers asked for, or freed
    GRANTED = 6  # map registers granted; of an adapter: the most that one transfer may use
    VERSION = 7  # DEVICE_DESCRIPTION.Version as it was passed
    WIDTH = 8  # address width of the device, bits
    OFFSET = 9  # bytes from the start of the MDL; before it: two's complement
    MDL_LENGTH = 10  # bytes that the MDL chain describes
    ACTION = 11  # model.routines.ReleaseAction
    CACHE = 12  # model.routines.CacheType
    ALIGNMENT = 13  # what GetDmaAlignment gives for the adapter, bytes
    INDEX = 14  # element of a common-buffer vector
    VECTOR = 15  # the common-buffer vector
    ELEMENTS = 16  # elements that the vector was made with


class HcaValue(IntEnum):
    """Numbers that events of an HCA may have beside the slots of their row."""

    REMOTE_KEY = 1  # key that a work request names at the peer
    REMOTE_ADDR = 2  # address there
    SEND_CQ = 3  # completion queue of a queue pair's sends
    RECV_CQ = 4  # completion queue of its receives
    MAX_SEND_WR = 5  # work requests that its send queue holds
    MAX_RECV_WR = 6  # work requests that its receive queue holds
    MAX_SEND_SGE = 7  # list entries that a send may have
    MAX_RECV_SGE = 8  # list entries that a receive may have
    MAX_INLINE = 9  # bytes that may be posted inline
    REGION_KEY = 10  # region that a window is bound to
    SIGNAL_ALL = 11  # 1: each send gives a completion
    NEW_KEY = 12  # key that a region has from now on
    QUEUE_PAIR = 13  # queue pair that an access, a bind or a datagram is of
    SRQ = 14  # shared receive queue of a queue pair, or that a receive was posted to
    AH = 15  # address handle of a work request
    REMOTE_QP = 16  # queue pair at the peer
    AGENT = 17  # number of the agent that a datagram is of
    LIMIT = 18  # receives below which a shared receive queue warns
    WC_FLAGS = 19  # WcFlag: what a completion has with it
    INVALIDATED = 20  # key that the peer took out of use with its message
    PAGE_SIZE = 21  # bytes of a page in a region's list
    MAPPED = 22  # entries of the list that the region took
    IMMEDIATE = 23  # immediate data
    FAMILY = 24  # HcaFamily of the device
    VENDOR_ERR = 25  # the HCA's own word for an error
    REQUEST_KEY = 26  # key that the request had which this completion is about
    DATA_IN_ORDER = 27  # 1: bytes of one message are seen in order
    RELAXED = 28  # 1: writes by the key may pass each other
    TID = 29  # transaction that a datagram is of


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


FAILS = "dmaverify: made to fail: "  # how the text of a mark begins that tells of a failure
UNKNOWN = 0xFFFF_FFFF_FFFF_FFFF  # an unknown length in a side-pool entry
MAPPING_ERROR = 0xFFFF_FFFF_FFFF_FFFF  # DMA_MAPPING_ERROR: what a failed mapping returns
