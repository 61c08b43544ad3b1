# cython: language_level=3
# Ring-buffer pages of several CPUs, merged by time, and made into rows.
#
# A stream is the pages of one CPU of one instance, given a chunk at a time. Decoding
# never allocates except in the batch and for new device names, and never reads outside
# the chunk. Text and numbers of the format files are not known here: plans say where
# each slot's bytes are (dat_formats.py).

from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from dmaverify.model.events cimport dv_batch

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
    SLOT_OBJECT = 24     # address of a mark's text
    SLOT_COUNT = 25

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

# Device names by number, and a hash table over them.
cdef struct dat_names:
    uint32_t* table      # number, 0 = free
    uint32_t mask
    uint32_t count       # numbers 1..count are taken
    char** texts
    uint8_t* sizes
    uint32_t room

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
    dat_names names
    uint16_t* owners     # by device and family: instance + 1
    uint32_t owners_room
    bint several         # more than one instance
    uint64_t records
    uint64_t skipped
    uint64_t lost
    uint64_t unsized     # losses of unknown size
    uint64_t damaged     # pages and records that could not be read
    uint64_t duplicates
    uint64_t crowded     # records whose device found no number
