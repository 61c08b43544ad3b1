# cython: language_level=3
# What decoding pages and making rows share: structures, and numbers in either byte order.
#
# A stream is the pages of one CPU of one instance, given a chunk at a time. Decoding
# never allocates except in the batch and for new device names, and never reads outside
# the chunk. Text and numbers of the format files are not known here: plans say where
# each slot's bytes are (dat_formats.py).

from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from dmaverify.trace._bytes cimport host16, host32, host64
from dmaverify.trace._names cimport dv_names

cdef extern from *:
    """
    #include <stdint.h>
    static inline uint64_t dat_scale(uint64_t v, uint64_t m, uint32_t s) {
        return (uint64_t)(((unsigned __int128)v * m) >> s);
    }
    """
    uint64_t dat_scale(uint64_t v, uint64_t m, uint32_t s) noexcept nogil

cdef enum:               # modes; repeats dat_formats.Mode
    MODE_ABSENT = 0
    MODE_UNSIGNED = 1
    MODE_SIGNED = 2
    MODE_DATA_LOC = 3
    MODE_REL_LOC = 4
    MODE_FIXED = 5
    MODE_TAIL = 6
    MODE_PRINTF = 7
    MODE_ADDRESS = 8

cdef enum:               # slots; repeats events.Slot, as far as binary events have them
    SLOT_DEVICE = 1
    SLOT_BUS_ADDR = 2
    SLOT_PHYS_ADDR = 3
    SLOT_LENGTH = 4
    SLOT_DIRECTION = 5
    SLOT_ATTRS = 6
    SLOT_VIRT_ADDR = 7
    SLOT_BUS_LIST = 8
    SLOT_LENGTH_LIST = 9
    SLOT_PHYS_LIST = 10
    SLOT_FULL_BUS = 11
    SLOT_FULL_PHYS = 12
    SLOT_TRUNCATED = 13
    SLOT_STATUS = 14
    SLOT_UNMAPPED = 15
    SLOT_DMA_MASK = 16
    SLOT_FORCE = 17
    SLOT_FAULT_FLAGS = 18
    SLOT_TEXT = 19
    SLOT_OBJECT = 24     # number of a transfer; of a mark, the address of its text
    SLOT_OPERATION = 25
    SLOT_MEMORY = 26
    SLOT_PFN = 27
    SLOT_ORDER = 28
    SLOT_ACCESS = 32
    SLOT_SIDE = 33
    SLOT_INTO = 34
    SLOT_OPCODE = 36
    SLOT_ZERO = 37
    SLOT_ZERO_TOO = 38
    SLOT_COUNT = 39

cdef enum dat_result:
    DAT_END = 0          # nothing is left
    DAT_FULL = 1         # the batch has enough rows
    DAT_HUNGRY = 2       # a stream needs its next chunk
    DAT_NO_MEMORY = -1

cdef struct dat_spot:
    uint32_t offset
    uint32_t size
    uint8_t mode         # a mode
    uint8_t element      # bytes of a list's entries

cdef struct dat_plan:
    dat_spot spots[SLOT_COUNT]
    uint32_t least       # bytes that a record must have
    uint16_t type        # dv_map_type
    uint8_t kind         # dv_kind
    uint8_t family       # of events that two instances may both record; 0 = none
    uint8_t failed       # the event exists only for failures
    uint8_t opcodes[256]  # number -> Opcode
    uint8_t garbage      # a direction outside the enum means nothing

cdef struct dat_layout:
    uint32_t time_offset
    uint32_t commit_offset
    uint32_t commit_size
    uint32_t data_offset
    dat_spot type
    dat_spot pid

cdef struct dat_stream:
    const uint8_t* chunk
    size_t size          # bytes in the chunk
    size_t page          # of the page after the current one, in the chunk
    const uint8_t* at    # next entry of the current page
    const uint8_t* end
    uint64_t where       # offset of the chunk in the source
    uint64_t clock
    const uint8_t* head  # payload of the next record
    uint32_t head_size
    uint32_t page_size
    int64_t missed       # events lost before `head`; -1 = some
    uint64_t missed_at   # offset of the page that says so
    uint16_t cpu
    uint16_t instance

# A text of the kernel that binary marks name by its address.
cdef struct dat_text:
    uint64_t address
    const char* text
    uint32_t size

cdef struct dat_decoder:
    bint swap            # the file's byte order is not this machine's
    bint big             # the file is big-endian
    dat_layout layout
    int16_t plan_of[65536]
    dat_plan* plans
    dat_stream* streams
    uint32_t* heap       # streams by (time, number), the earliest first
    uint32_t stream_count
    uint32_t heap_count
    uint32_t primed      # streams that have been asked for their first record
    int64_t hungry       # stream that needs a chunk, or -1
    bint advance         # the earliest stream's record has been used
    uint64_t multiplier  # time = (clock * multiplier >> shift) + offset; 0 = clock
    uint32_t shift
    uint64_t offset
    dv_names names       # of devices
    dat_text* texts      # by address, rising
    uint32_t text_count
    uint16_t* owners     # by device and family: instance + 1
    uint32_t owners_room
    bint several         # more than one instance
    uint64_t records
    uint64_t skipped
    uint64_t lost
    uint64_t unsized     # losses of unknown size
    uint64_t damaged     # pages and records that could not be read
    uint64_t duplicates


cdef inline uint16_t read2(const dat_decoder* d, const uint8_t* p) noexcept nogil:
    return host16(p, d.swap)


cdef inline uint32_t read4(const dat_decoder* d, const uint8_t* p) noexcept nogil:
    return host32(p, d.swap)


cdef inline uint64_t read8(const dat_decoder* d, const uint8_t* p) noexcept nogil:
    return host64(p, d.swap)


# The record has all bytes of its spots: plan.least is compared first.
cdef inline uint64_t number(const dat_decoder* d, const dat_spot* f,
                            const uint8_t* r) noexcept nogil:
    cdef const uint8_t* p = r + f.offset
    if f.size == 8:
        return read8(d, p)
    if f.size == 4:
        return <uint64_t><int64_t><int>read4(d, p) if f.mode == MODE_SIGNED else read4(d, p)
    if f.size == 2:
        return <uint64_t><int64_t><short>read2(d, p) if f.mode == MODE_SIGNED else read2(d, p)
    return <uint64_t><int64_t><signed char>p[0] if f.mode == MODE_SIGNED else p[0]


# Find the bytes of a list or text. Returns -1 where they lie outside the record.
cdef inline int extent(const dat_decoder* d, const dat_spot* f, const uint8_t* r, uint32_t size,
                       const uint8_t** start, uint32_t* ret) noexcept nogil:
    cdef uint64_t at = f.offset, count = f.size
    cdef uint32_t word
    if f.mode == MODE_DATA_LOC or f.mode == MODE_REL_LOC:
        word = read4(d, r + f.offset)
        count = word >> 16
        at = (word & 0xFFFF) + (<uint64_t>f.offset + 4 if f.mode == MODE_REL_LOC else 0)
    elif f.mode == MODE_TAIL:
        count = size - f.offset
    start[0] = r
    ret[0] = 0
    if at + count > size:
        return -1
    start[0] = r + at
    ret[0] = <uint32_t>count
    return 0


cdef inline uint32_t text_length(const uint8_t* p, uint32_t size) noexcept nogil:
    cdef uint32_t n = 0
    while n < size and p[n] != 0:
        n += 1
    return n
