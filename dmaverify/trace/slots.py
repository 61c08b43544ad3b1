"""Where the value of an event's field goes."""

from enum import IntEnum


class Slot(IntEnum):
    """Where the value of a field goes."""

    DEVICE = 1  # a name, numbered by the reader
    BUS_ADDR = 2  # row.bus_addr
    PHYS_ADDR = 3  # row.phys_addr
    LENGTH = 4  # row.length
    DIRECTION = 5  # row.direction: a name of DIRECTIONS or its number
    ATTRS = 6  # flags SKIP_SYNC and MMIO, by bit (ATTR_*) or by name (ATTR_NAMES)
    VIRT_ADDR = 7  # side record CPU; NULL gives an address of 0 and the flag NULL_CPU
    BUS_LIST = 8  # side record SG_BUS, the addresses
    LENGTH_LIST = 9  # side record SG_BUS, the lengths
    PHYS_LIST = 10  # side record SG_PHYS
    FULL_BUS = 11  # full count of SG_BUS
    FULL_PHYS = 12  # full count of SG_PHYS
    TRUNCATED = 13  # not 0: flag TRUNCATED
    STATUS = 14  # row.status, an error code
    UNMAPPED = 15  # row.phys_addr of IOMMU_UNMAP
    DMA_MASK = 16  # row.bus_addr of BOUNCE, row.phys_addr of DEVICE_LIMITS
    FORCE = 17  # not 0: flag FROM_MARK of BOUNCE
    FAULT_FLAGS = 18  # row.direction of DEV_FAULT: bit 0 set means FROM_DEVICE, else TO_DEVICE
    TEXT = 19  # the text of a mark, see `read_mark`
    # The slots below are of the native format, or of printed text; no binary event has them.
    TYPE = 20  # map type, by name
    SEGMENTS = 21  # side record SG_BUS, `{address+length,...}`
    PHYS_PAIR = 22  # `stored/full` of SG_PHYS
    BUS_PAIR = 23  # `stored/full` of SG_BUS
    OBJECT = 24  # row.object
    OPERATION = 25  # what a device does, DEV_READ (0) or DEV_WRITE (1): row.kind, row.direction
    MEMORY = 26  # row.object of MEMORY: a name of MEMORY_NAMES
    PFN = 27  # row.phys_addr: the number of a page of PAGE bytes; row.length: one page
    ORDER = 28  # row.length: so many pages, as a power of two
    ARG = 29  # side record ARGS: the field's name is that of an Arg; a number or a word
    # The slots below leave no trace of having been filled, so none of them can be required.
    ACCESS = 32  # rights or post flags, by number or by names joined with `|`: row.direction
    SIDE = 33  # 0 local, 1 remote: the type of HCA_ACCESS
    INTO = 34  # 0: bytes go into memory, else out of it: row.status 2 or 1
    SGES = 35  # side record SGE, `{address+length,...}`; PHYS_LIST has the keys then
    OPCODE = 36  # the type of a row, by a table of the event: number -> Opcode
    ZERO = 37  # not 0: the event is another one of the same name
    ZERO_TOO = 38  # the same, for a second field
    # Numbers that go into the side record HCA: 64 and the HcaValue of the same name.
    REMOTE_KEY = 65
    REMOTE_ADDR = 66
    SEND_CQ = 67
    RECV_CQ = 68
    MAX_SEND_WR = 69
    MAX_RECV_WR = 70
    MAX_SEND_SGE = 71
    MAX_RECV_SGE = 72
    MAX_INLINE = 73
    REGION_KEY = 74
    SIGNAL_ALL = 75
    NEW_KEY = 76
    QUEUE_PAIR = 77
    SRQ = 78
    AH = 79
    REMOTE_QP = 80
    AGENT = 81
    LIMIT = 82
    WC_FLAGS = 83
    INVALIDATED = 84
    PAGE_SIZE = 85
    MAPPED = 86
    IMMEDIATE = 87
    FAMILY = 88
    VENDOR_ERR = 89
    REQUEST_KEY = 90
    DATA_IN_ORDER = 91
    RELAXED = 92
    TID = 93


#: Slots from here on are values of the side record HCA, numbered by HcaValue.
FIRST_VALUE = 64
