# cython: language_level=3
# From an event to what it means: the mapping it names, the ghost at its address, whose
# memory it shares, and the counts that rules ask for. Looks at the world as it was before
# the event and changes nothing.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.adapters cimport dv_named
from dmaverify.core.objects cimport dv_verb_objects
from dmaverify.core.work cimport dv_works
from dmaverify.core.world cimport dv_mapping, dv_world
from dmaverify.model.events cimport dv_batch, dv_event, dv_number

cdef enum:                   # as model/fields.py's Obj
    OBJ_EVENT = 0
    OBJ_MAPPING = 1
    OBJ_GHOST = 2
    OBJ_FOREIGN = 3
    OBJ_ENCLOSING = 4
    OBJ_OVERLAP = 5
    OBJ_NEIGHBOUR = 6
    OBJ_DEVICE = 8
    OBJ_TRACE = 9
    OBJ_ADAPTER = 10
    OBJ_FILE = 11
    OBJ_MDL = 12
    OBJ_REGION = 13
    OBJ_ENDED_REGION = 14
    OBJ_QP = 15
    OBJ_WORK = 16
    OBJ_MAPPINGS = 8         # numbers below this may be mappings

cdef enum:                   # as model/kinds.py's Provenance
    FROM_MAPPING = 1
    FROM_ENDED = 2
    FROM_FOREIGN = 3
    FROM_PHYSICAL = 4
    FROM_POINTER = 5
    FROM_TRUNCATED = 6
    FROM_PAST = 7
    FROM_ERROR = 8
    FROM_BEFORE = 9

cdef enum:                   # what was found out about an event of an HCA, for link.pyx
    FOUND_OUTSIDE = 1
    FOUND_PD = 2
    FOUND_LACKING = 4
    FOUND_ROOM = 8

# What an event of an HCA means.
cdef struct dv_meaning:
    uint32_t region          # objects; 0 = none
    uint32_t ended
    uint32_t qp
    bint pd_known
    uint64_t pd
    bint wanted_known
    uint32_t wanted          # rights
    uint32_t lacking
    uint32_t lacking_count
    bint lacking_known
    int side                 # AccessSide
    bint outside_known
    uint64_t outside         # bytes of the range outside the region
    bint stale_tag
    bint pd_born
    uint32_t work            # the work request: that completed, or is in the way
    bint other_qp            # a window is used on a queue pair that it is not bound on
    uint32_t disabled        # rights that the queue pair does not give to its peer
    uint32_t conflicts       # outstanding requests that are in the way of a buffer
    uint32_t unfenced        # outstanding reads and atomics that it does not wait for
    uint32_t sges            # entries of a list
    uint64_t bytes           # their lengths together
    uint32_t due             # completions that the queue will have to take
    uint32_t room            # that it has room for; 0 = not known
    uint64_t remote_addr
    bint remote_known
    uint64_t left            # regions that the task left to its kernel

cdef struct dv_context:
    dv_world* world
    const dv_batch* batch
    const dv_event* event
    const dv_number* number
    dv_verb_objects* hca          # NULL = nothing of HCAs is asked
    dv_works* works
    dv_meaning* means
    uint32_t device
    uint32_t meant[8]        # mapping index by object number; 0 = none
    uint64_t count           # entries that the caller passed
    uint64_t longest         # longest segment; 0 = unknown
    uint64_t crossing
    uint64_t overlaps
    uint64_t matching
    uint64_t past_end
    uint64_t held            # bytes of a device's access that its own mapping holds
    uint64_t into
    uint64_t candidates
    uint64_t virt
    bint virt_known
    uint64_t stale           # bytes newer on the device's side
    uint64_t unsent          # bytes newer on the CPU's side
    uint32_t memory          # kind of memory; 0 = unknown
    int provenance
    uint64_t distance        # from the end behind which, or to the start before which it lies
    bint distance_known
    bint may_predate
    bint across_gap
    bint undecided           # a device's access: the clocks are too far apart to judge it
    bint in_time             # the same: what allowed it ended a moment later
    const dv_named* named    # NULL where the event names nothing

cdef void context_init(dv_context* c, dv_world* w, const dv_batch* b, const dv_event* e,
                       const dv_number* n) noexcept nogil
# Find what the event means. Does nothing for kinds that mean no mapping.
cdef void context_resolve(dv_context* c) noexcept nogil
# Find the live mappings whose memory a CPU access touches, at most `room` of them, the oldest
# first, and return how many; context_accessed then stands at one of them.
cdef int context_accesses(dv_context* c, uint32_t* ret, int room) noexcept nogil
# The common buffer in whose pages a CPU access lies, the oldest of several; 0 = none.
cdef uint32_t context_buffer(const dv_context* c) noexcept nogil
cdef void context_accessed(dv_context* c, uint32_t index) noexcept nogil
# True where a mapping's direction allows what a device does, or does not tell.
cdef bint event_allowed(const dv_event* e, const dv_mapping* m) noexcept nogil
# Of a device's access, the mapping of the device that holds the byte `at` bytes into it, best one
# that allows it, and how many bytes on from there it holds; 0 = none.
cdef uint32_t context_spanned(dv_context* c, uint64_t at, uint64_t* room) noexcept nogil
# True where the mapping that a fault means allows what the device did.
cdef bint fault_allowed(const dv_context* c) noexcept nogil
# The mapping that a wrong call evidently meant, though it did not name it; 0 = none.
cdef uint32_t context_evident(dv_context* c) noexcept nogil
