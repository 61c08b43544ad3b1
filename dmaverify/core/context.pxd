# cython: language_level=3
# From an event to what it means: the mapping it names, the ghost at its address, whose
# memory it shares, and the counts that rules ask for. Looks at the world as it was before
# the event and changes nothing.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.adapters cimport dv_named
from dmaverify.core.objects cimport dv_verb_objects
from dmaverify.core.work cimport dv_works
from dmaverify.core.world cimport MARK_DIRECTION, MARK_LENGTH, SCAN_MAX, dv_mapping, dv_world
from dmaverify.model.events cimport (
    F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN, dv_batch, dv_event, dv_number,
)

cdef enum:
    PAGE = 4096              # bytes

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
    bint answered_known      # of a verdict on a peer's request: what was wrong about that
    uint32_t answered
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

# True where event and mapping have the same direction, or one of them tells none.
cdef inline bint same_direction(const dv_event* e, const dv_mapping* m) noexcept nogil:
    return e.flags & F_DIRECTION_UNKNOWN or not m.marks & MARK_DIRECTION \
        or e.direction == m.direction

# The same of their lengths.
cdef inline bint same_length(const dv_event* e, const dv_mapping* m) noexcept nogil:
    return e.flags & F_LENGTH_UNKNOWN or not m.marks & MARK_LENGTH or e.length == m.length

# True where a mapping is met for the first time in this search.
cdef inline bint first_count(dv_context* c, dv_mapping* m) noexcept nogil:
    if m.counted == c.world.counts:
        return False
    m.counted = c.world.counts
    return True

# Keep the better fit; of two that fit equally, the older (an unmap ends the older).
cdef inline void take(dv_context* c, int obj, uint32_t index, int score, int* best) noexcept nogil:
    cdef uint32_t held = c.meant[obj]
    if held == 0 or score > best[0] or \
            (score == best[0] and c.world.mappings[index].serial < c.world.mappings[held].serial):
        c.meant[obj] = index
        best[0] = score

# How many bytes of its mapping come before an address in segment `s`.
cdef inline uint64_t distance_into(dv_world* w, uint32_t s, uint64_t address) noexcept nogil:
    cdef uint32_t at = w.mappings[w.shadow.segments[s].mapping].first
    cdef uint64_t distance = address - w.shadow.segments[s].start
    cdef uint32_t steps = 0
    while at != s and steps < SCAN_MAX:
        steps += 1
        distance += w.shadow.segments[at].length
        at = w.shadow.segments[at].sibling
    return distance

# Where the bytes end that follow a segment on the bus without a gap, in one mapping.
cdef uint64_t run_end(dv_world* w, uint32_t s) noexcept nogil
# The range that a device's access is about; a fault names one byte.
cdef void reached(const dv_event* e, uint64_t* start, uint64_t* length) noexcept nogil
