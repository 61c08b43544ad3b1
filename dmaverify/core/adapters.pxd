# cython: language_level=3
# What a Windows driver holds beside its mappings: adapters, map register files (what a
# MapRegisterBase, a scatter/gather list or a transfer context stands for) and MDLs, each with
# its parents and its life, and the interrupt request level of each CPU. State only; rules judge.
#
# Objects are known by their serial numbers in the recording. Ended ones are remembered, so
# that a use after the end is known as one; the oldest are forgotten beyond OBJECTS_ENDED.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from dmaverify.core.table cimport dv_table
from dmaverify.model.events cimport ARG_COUNT, dv_batch, dv_event, dv_number

cdef enum:
    OBJECT_ADAPTER = 0
    OBJECT_FILE = 1
    OBJECT_MDL = 2
    OBJECT_TYPES = 3
    OBJECTS_LIVE = 1 << 20       # live objects that are followed
    OBJECTS_ENDED = 65536        # ended objects that are remembered
    IRQL_CPUS = 4096
    CHILDREN_MAX = 4096          # children that one search visits

cdef enum:                       # life of an object
    OBJECT_FREE = 0
    OBJECT_LIVE = 1
    OBJECT_ENDED = 2

cdef enum:                       # what is counted on both sides, made and freed
    COUNT_BUFFERS = 0
    COUNT_CHANNELS = 1
    COUNT_REGISTERS = 2
    COUNT_LISTS = 3
    COUNTS = 4

cdef enum:                       # what is known of an object, and what has become of it
    SEEN_BIRTH = 0x0001          # the recording holds its beginning
    KNOWN_GRANTED = 0x0002
    KNOWN_ALIGNMENT = 0x0004
    KNOWN_WIDTH = 0x0008
    KNOWN_VERSION = 0x0010
    KNOWN_LENGTH = 0x0020
    KNOWN_ACTION = 0x0040
    KNOWN_CACHE = 0x0080
    KNOWN_REGISTERS = 0x0100
    IS_LIST = 0x0200             # a file that a scatter/gather list holds
    IS_GRANTED = 0x0400          # a file whose channel was granted
    HOLDS_CHANNEL = 0x0800       # a file that holds a channel, or waits for one
    FREED_CHANNEL = 0x1000
    FREED_REGISTERS = 0x2000
    IS_LOCKED = 0x4000           # an MDL whose pages stay
    IS_MAPPED = 0x8000           # an MDL with a system mapping
    FLUSHED_IN = 0x10000         # an MDL whose caches were looked after: the device may write
    FLUSHED_OUT = 0x20000        # the same: it may read

# The named numbers of one event, and what they lead to. Index 0 is no object.
cdef struct dv_named:
    uint64_t args[ARG_COUNT]
    uint32_t known               # 1 << Arg
    uint32_t index[3]            # by object type
    uint8_t irql                 # of the event's CPU, plus 1; 0 = unknown
    uint8_t direction            # of the event; FF = unknown

cdef struct dv_object:
    uint64_t made[4]             # an adapter's: by COUNT_*
    uint64_t freed[4]
    uint64_t live[4]
    uint64_t mapped_bytes        # in live transfers
    uint64_t granted             # adapter: the most registers one transfer may use
    uint64_t registers           # file: registers granted, or asked for while it waits
    uint64_t held                # file: registers not freed yet
    uint64_t alignment
    uint64_t width
    uint64_t version
    uint64_t length
    uint64_t action
    uint64_t cache
    uint64_t moved               # MDL: where what was transferred since its last flush ends
    uint32_t number
    uint32_t device
    uint32_t adapter             # number of a file's adapter; 0 = unknown
    uint32_t epoch               # gaps in the recording before it was first seen
    uint32_t told                # group of the first error about it, plus 1; 0 = none
    uint32_t mappings            # live transfers
    uint32_t first               # oldest binding
    uint32_t last
    uint32_t next                # of the ended ones, by age; of the free ones
    uint32_t serial              # order of first mention
    uint32_t flags
    uint8_t type
    uint8_t state
    dv_event begun               # the event that it was first seen at
    dv_number begun_number
    dv_event over
    dv_number over_number

# A live mapping's parents, by object type: indices, 0 = none.
cdef struct dv_binding:
    uint64_t offset
    uint64_t length
    uint64_t registers
    uint64_t vector              # of a common buffer: the vector, and which of its elements
    uint64_t element
    uint32_t parent[3]
    uint32_t next[3]
    uint32_t prev[3]
    uint32_t mapping             # index; 0 = free
    uint32_t known               # 1 << Arg: of offset, cache, routine, registers
    uint8_t count                # COUNT_BUFFERS, COUNT_LISTS, or COUNTS: a transfer
    uint8_t cache
    uint8_t routine

cdef struct dv_objects:
    dv_object* items             # index 0 is none, and all zero
    uint32_t count
    uint32_t capacity
    uint32_t free
    uint32_t live
    uint32_t ended
    uint32_t oldest              # ended first
    uint32_t newest
    uint32_t serial
    uint32_t adapters            # live ones
    uint64_t forgotten
    uint64_t refused
    dv_table numbers             # type << 32 | number -> index
    dv_binding* bindings         # index 0 is none
    uint32_t binding_count
    uint32_t binding_capacity
    uint32_t binding_free
    uint32_t bound               # live bindings
    dv_table by_mapping          # mapping -> binding
    uint8_t* irql                # by CPU: level plus 1; NULL until the first is told

cdef int objects_init(dv_objects* o, uint64_t seed) noexcept nogil
cdef void objects_deinit(dv_objects* o) noexcept nogil
# Return the object of a number, 0 = none.
cdef uint32_t objects_find(const dv_objects* o, int type, uint64_t number) noexcept nogil
# Return the oldest live adapter of a device, 0 = none.
cdef uint32_t objects_adapter_of(const dv_objects* o, uint32_t device) noexcept nogil
# Read an event's named numbers, and find what they name.
cdef void named_read(dv_named* named, const dv_objects* o, const dv_batch* b,
                     const dv_event* e) noexcept nogil
cdef inline bint named_knows(const dv_named* named, int arg) noexcept nogil:
    return named.known >> arg & 1

# For lives.pyx: a new live object (its index, 0 where it is not followed, -1 without memory),
# the one that an event names, made where it is not known, and the end of one.
cdef int32_t object_new(dv_objects* o, int type, uint64_t number, const dv_event* e,
                        const dv_number* n, uint32_t epoch) noexcept nogil
cdef int32_t object_named(dv_objects* o, dv_named* named, int type, const dv_event* e,
                          const dv_number* n, uint32_t epoch) noexcept nogil
cdef void object_end(dv_objects* o, uint32_t index, const dv_event* e,
                     const dv_number* n) noexcept nogil

# Bind the mapping that an event made to what the event names.
cdef int objects_bind(dv_objects* o, dv_named* named, const dv_event* e, const dv_number* n,
                      uint32_t epoch, uint32_t mapping) noexcept nogil
# A mapping has ended: its parents do without it.
cdef void objects_unbind(dv_objects* o, uint32_t mapping) noexcept nogil
# Count a driver's free or unmap against its adapter, whether or not it fits.
cdef void objects_freed(dv_objects* o, const dv_named* named, const dv_event* e,
                        const dv_number* n, uint32_t mapping) noexcept nogil
# Return the binding of a mapping, 0 = none.
cdef uint32_t objects_binding(const dv_objects* o, uint32_t mapping) noexcept nogil
# Return the mapping of a file that an unmap means, 0 = none.
cdef uint32_t objects_transfer(const dv_objects* o, const dv_named* named) noexcept nogil
# Return the mapping of the element of a vector that a call names, 0 = none; `left`: how many of
# its elements there are.
cdef uint32_t objects_element(const dv_objects* o, const dv_named* named,
                              uint64_t* left) noexcept nogil
# Return the oldest mapping that hangs on an object, 0 = none; only transfers where asked.
cdef uint32_t objects_child(const dv_objects* o, int type, uint32_t index,
                            bint transfers) noexcept nogil
