# cython: language_level=3
# The body of an event line: which fields it has, and the row that they make.
#
# The tables come from `trace/events.py` and `trace/native.py`; nothing here knows the name
# of an event, only names of values (directions, attributes, map types, words).

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from dmaverify.model.events cimport ARG_COUNT, dv_batch, dv_entry, dv_event
from dmaverify.trace._head cimport dv_head
from dmaverify.trace._lists cimport dv_list
from dmaverify.trace._names cimport dv_names

cdef enum:
    KEYS_MAX = 192       # different field names, over all events
    SPECS_MAX = 192
    HCA_VALUES = 16      # numbers beside the row that one event may have
    STEPS_MAX = 10       # of a printed form that is no list of fields
    SPEC_SLOTS = 512     # of the hash table of names, a power of two

# How a body begins.
cdef enum dv_shape:
    SHAPE_KEYS = 0       # fields at once
    SHAPE_DEVICE = 1     # a device, then fields
    SHAPE_MARK = 2       # a text, and nothing else

# Names to numbers: a small closed hash table.
cdef struct dv_word:
    uint64_t head        # of the name, see name_ends
    uint64_t tail
    const char* p
    uint32_t n
    uint32_t number      # 0 = free

# A part of a printed form: text that is looked for, and the value behind it.
cdef struct dv_step:
    const char* text
    uint16_t n
    uint8_t slot         # 0 = the value is passed over
    uint8_t base         # 10 or 16; 0 = a word

cdef struct dv_spec:
    uint8_t kind
    uint8_t type
    uint8_t shape
    uint8_t family       # events that two instances record twice or not at all
    uint8_t failed
    uint8_t direction_garbage
    uint8_t native       # of the native format
    uint8_t names_device
    uint32_t needs       # 1 << Slot
    const char* system   # NULL = any
    uint32_t system_n
    uint8_t slot[KEYS_MAX]   # by key, a Slot; 0 = not a field of this event
    uint8_t hexadecimal[KEYS_MAX]
    dv_step steps[STEPS_MAX]
    uint8_t step_count   # 0 = fields have their names before them
    uint8_t opcodes[256]  # number -> Opcode

# What a body said.
cdef struct dv_values:
    uint32_t seen        # 1 << Slot
    uint32_t asked       # 1 << Slot of `key=?`: named, and said to be unknown
    uint64_t bus_addr
    uint64_t phys_addr
    uint64_t length
    uint64_t attrs
    uint64_t virt
    uint64_t object
    int64_t status
    uint64_t direction
    uint64_t full_bus
    uint64_t full_phys
    uint32_t args        # 1 << Arg, of the values in dv_tables.args
    uint16_t flags       # words, and what the values themselves say
    uint8_t type
    uint8_t forced
    uint8_t cut          # a list ended in mid-air
    uint8_t direction_known
    const char* device
    const char* device_end
    const char* text
    const char* text_end
    dv_entry hca[HCA_VALUES]
    uint32_t hca_count
    uint8_t another      # a field that must be 0 is not
    uint8_t sges         # the lists are buffers with keys

cdef struct dv_tables:
    dv_spec specs[SPECS_MAX]
    uint32_t spec_count
    dv_word names[SPEC_SLOTS]
    dv_word keys[SPEC_SLOTS]
    dv_word arg_words[SPEC_SLOTS]    # words for values: Arg << 16 | value
    uint8_t arg_of[KEYS_MAX]         # by key, a Arg; 0 = the name of none
    uint64_t args[ARG_COUNT]
    dv_list bus
    dv_list lengths
    dv_list phys
    char* scratch        # for texts with escapes; as long as the longest body so far
    size_t scratch_n
    size_t scratch_used
    uint64_t unknown_keys    # fields of native lines that no table has

cdef enum dv_outcome:
    ROW_MADE = 1
    ROW_ANOTHER = 2      # an event of the same name that is not looked for
    ROW_OTHER = 0        # another event of the same name, or a garbled one
    ROW_NO_MEMORY = -1

cdef uint32_t find_word(const dv_word* table, const char* p, size_t n) noexcept nogil
cdef int add_word(dv_word* table, const char* p, size_t n, uint32_t number) noexcept nogil
cdef const dv_spec* find_spec(dv_tables* t, const dv_head* head) noexcept nogil
# Append the row of one line; place, time, CPU and task are the caller's to fill.
cdef int make_row(dv_tables* t, const dv_spec* spec, const char* p, const char* end,
                  dv_names* devices, dv_batch* batch) noexcept nogil
