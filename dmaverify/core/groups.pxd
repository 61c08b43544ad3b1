# cython: language_level=3
# Hits, grouped as they happen: the first hit of a group is kept whole, later ones are
# counted. Also decides what is a finding and what a consequence of one: the first error on
# a subject (a mapping, else a device and an address) is told, later ones belong to it.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from dmaverify.core.context cimport dv_context
from dmaverify.core.link cimport dv_guard
from dmaverify.core.table cimport dv_table
from dmaverify.core.vm cimport dv_shown
from dmaverify.core.world cimport dv_mapping, dv_place
from dmaverify.model.events cimport ARG_COUNT, dv_entry, dv_event, dv_number

cdef enum:
    RULE_FOLDS = 1           # a built-in error: may be a consequence of another
    RULE_TELLS = 2           # and others may be consequences of it (groups_hit tells which)
    VIEWS = 4                # mappings kept with a hit
    LISTED = 8               # list entries kept with an event or a mapping
    CONSEQUENCES = 4         # consequences kept with a hit; more are counted
    GROUP_FIELDS = 4         # fields that a rule may group by
    ATTACHED = 4             # what other sources tell, kept with a hit
    HELD_MAX = 4096          # what other sources tell, kept until a hit wants it
    PAGES_MAX = 64           # pages of an access that are looked at

cdef struct dv_rule:
    uint32_t uses            # bit per object that the rule asks for
    dv_guard guard
    uint32_t needs           # number of what it needs of the recording; 0 = nothing
    uint8_t flags
    uint8_t group_count
    uint8_t group_obj[4]
    uint8_t group_number[4]
    uint64_t runs
    uint64_t holds
    uint64_t violations
    uint64_t faults

cdef struct dv_view:
    uint8_t obj
    uint8_t listed
    uint8_t phys_listed
    uint32_t number          # key or number of an HCA's object
    dv_mapping mapping
    dv_entry entries[8]
    uint64_t phys[8]

cdef struct dv_consequence:
    uint32_t rule
    dv_event event
    dv_number number

# What another source tells of an access: a fault of the IOMMU, a line of the device's log.
cdef struct dv_word:
    uint64_t key             # page_key
    uint32_t group           # finding that a fault made by itself, plus 1; 0 = none
    dv_event event
    dv_number number

cdef struct dv_group:
    uint32_t rule
    uint32_t folded          # group that tells it better, plus 1; 0 = it is told
    uint64_t occurrences
    dv_event event
    dv_number number
    dv_event last
    dv_number last_number
    dv_entry bus[8]
    dv_entry phys[8]
    uint32_t bus_stored
    uint32_t bus_full
    uint32_t phys_stored
    uint32_t phys_full
    dv_entry args[ARG_COUNT]
    uint32_t arg_count
    uint64_t virt
    uint8_t virt_known
    uint8_t low
    uint8_t view_count
    uint8_t consequence_count
    dv_view views[4]
    dv_shown shown
    dv_consequence consequences[4]
    uint64_t consequences_all
    uint32_t attached_count
    dv_word attached[4]

cdef struct dv_groups:
    dv_group* items
    uint32_t count
    uint32_t capacity
    uint32_t limit
    uint64_t overflow        # hits that found no room for a new group
    dv_table keys            # group key -> index + 1
    dv_table subjects        # (device, address) -> index + 1
    dv_table accused         # page_key of a wrong access -> index + 1
    dv_table held            # page_key -> index into words + 1
    dv_word* words           # a ring of HELD_MAX, or NULL
    uint32_t word_next

cdef int groups_init(dv_groups* g, uint64_t seed, uint32_t limit) noexcept nogil
cdef void groups_deinit(dv_groups* g) noexcept nogil
# Take one violation. `told` is the group that has told an error at this event or on its
# subject, plus 1 (0: none); returns the new `told`, or -1 when memory is gone.
cdef int32_t groups_hit(dv_groups* g, const dv_rule* rules, uint32_t rule, dv_context* c,
                        const dv_shown* shown, uint32_t told) noexcept nogil
# Return the group that told an error on what the event is about, plus 1; 0 = none.
cdef uint32_t groups_told(const dv_groups* g, const dv_context* c) noexcept nogil
# Take another source's word for an access. Return True where it belongs to a finding that
# is there already; else it waits for one.
cdef int groups_word(dv_groups* g, const dv_context* c) noexcept nogil
# Forget what was told about an address: something new lives there.
cdef void groups_forget(dv_groups* g, uint32_t device, uint64_t bus_addr) noexcept nogil
