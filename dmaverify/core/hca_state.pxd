# cython: language_level=3
# What an HCA holds on to beside its posted buffers: memory of queues, pages of regions,
# datagrams, and the accesses of peers that no completion has told of yet. Ranges in a shadow,
# in chains by their owner.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from dmaverify.core.shadow cimport cell_of, dv_segment, dv_shadow, dv_walk
from dmaverify.core.table cimport dv_table

cdef enum:
    DEVICES_MAX = 1024       # devices whose family is remembered
    HELD_MOST = 1 << 20      # ranges of one kind that are followed

cdef enum dv_hold:           # what a range is: dv_segment.owner
    HOLD_QUEUE = 1           # memory of a queue, by bus address
    HOLD_PAGES = 2           # pages of a region, by bus address
    HOLD_MAD = 3             # a datagram's buffer, by bus address
    HOLD_RANGE = 4           # a region, by the process's address
    HOLD_ODP = 5             # pages that the HCA's table of a region has, by its key's address
    HOLD_WRITTEN = 6         # the peer wrote, by the process's address
    HOLD_READ = 7            # the peer read
    HOLD_ATOMIC = 8          # the peer's atomic was there
    HOLD_HEADER = 9          # no routing header came: the bytes are undefined

# Ranges. A segment's `mapping` is its device plus 1, `phys` what it is of (object, or key index),
# `run` the serial of that object in the low half, and a number more in the high half.
cdef struct dv_holds:
    dv_shadow shadow
    dv_table chains          # by owner's key: the first segment of its chain
    uint8_t there            # the two above are made
    uint64_t seed
    uint64_t live
    uint64_t headers         # of these HOLD_HEADER
    uint64_t refused         # not followed: there are too many
    uint16_t telling         # group of the error about what is added now, plus 1; 0 = none

# What was found out about the event at hand.
cdef struct dv_hca_now:
    uint32_t subject         # object that it is about, where that is no region and no queue pair
    uint32_t told            # group of the first error about the memory held, plus 1; 0 = none
    uint32_t users           # live objects that hang on it
    uint32_t hazard          # Hazard
    uint32_t racing          # accesses of peers that nothing orders with this one
    uint64_t unmapped        # bytes without a live mapping
    uint64_t wrong_way       # bytes whose mapping does not allow what the HCA does
    uint8_t bus_known
    uint8_t unposted_known
    uint8_t unpublished
    uint8_t shared
    uint8_t shared_early
    uint8_t ah_ended
    uint8_t ah_other_pd
    uint8_t bound_before
    uint8_t wraps
    uint8_t tearing
    uint8_t teardown_failed
    uint8_t mad
    uint8_t part
    uint8_t key_refused
    uint8_t fits
    uint8_t fits_known
    uint8_t invalidated_known
    uint8_t invalidated_live
    uint8_t request_known
    uint8_t mapped_known
    uint8_t closed           # receives of the queue pair come from a shared queue
    uint8_t qp_ended         # the access is of a queue pair that is gone
    uint8_t fault            # the IOMMU refuses what the HCA holds
    uint32_t misfits         # in how many ways a window or a registration is not allowed
    uint32_t skipped         # earlier requests of the queue that have not completed
    uint64_t unposted
    uint32_t ah
    uint32_t ah_outstanding
    uint64_t registered      # bytes of a process's range that a region pins
    uint64_t in_table        # bytes of it that the HCA's table still has
    uint64_t mapped
    uint32_t pages
    uint32_t unaligned       # first entry that neither is aligned nor goes on; 0 = none
    uint64_t expected        # a bit a WcStatus
    uint32_t sge             # 1-based; 0 = none
    uint32_t sges
    uint32_t bad_key
    uint32_t invalidated
    uint32_t request

# Add a range to the chain of an owner. Returns 0, or -1 when memory is gone.
cdef int hold_add(dv_holds* h, int grid, uint64_t owner, int what, uint32_t device, uint64_t of,
                  uint64_t run, uint64_t start, uint64_t length) noexcept nogil
# Return the first segment of an owner's chain, 0 = none; the rest follow by `sibling`.
cdef uint32_t holds_of(const dv_holds* h, uint64_t owner) noexcept nogil
# Let go of all that an owner has.
cdef void holds_drop(dv_holds* h, uint64_t owner) noexcept nogil
# Let go of what an owner has in a range; what lies at its two ends stays. 0 or -1.
cdef int holds_cut(dv_holds* h, uint64_t owner, uint64_t start, uint64_t length) noexcept nogil
cdef void holds_deinit(dv_holds* h) noexcept nogil

# Keys of owners: no two sorts of them share one.
cdef inline uint64_t owner_object(int what, uint32_t serial) noexcept nogil:
    return <uint64_t>what << 56 | serial

cdef inline uint64_t owner_key(uint32_t device, uint32_t key) noexcept nogil:
    return <uint64_t>HOLD_PAGES << 56 | <uint64_t>(device & 0xFFFFFF) << 32 | key >> 8

# The ranges share `len` bytes; returns how many, with the first of them.
cdef inline uint64_t hold_shared(uint64_t a, uint64_t a_length, uint64_t b, uint64_t b_length,
                                 uint64_t* first) noexcept nogil:
    cdef uint64_t a_last = a + a_length - 1, b_last = b + b_length - 1
    cdef uint64_t last
    if a_length == 0 or b_length == 0:
        return 0
    if a_last < a:
        a_last = ~<uint64_t>0
    if b_last < b:
        b_last = ~<uint64_t>0
    first[0] = a if a > b else b
    last = a_last if a_last < b_last else b_last
    return last - first[0] + 1 if first[0] <= last else 0

# A walk may come to a segment twice, once a cell: True at the first of them.
cdef inline bint hold_first(const dv_walk* w, const dv_segment* s) noexcept nogil:
    return w.cell == max(cell_of(s.start, w.level), cell_of(w.start, w.level))
