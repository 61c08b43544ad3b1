# cython: language_level=3
"""Flows of requests between addresses, and the answers to them (see _flows.pxd).

Source: Linux drivers/infiniband/sw/rxe/rxe_comp.c, check_psn() and check_ack(), and
rxe_hdr.h, struct rxe_bth: "PSN".
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

cdef enum:
    SMALLEST_MTU = 256       # so a read of n bytes has n / 256 answers at most


cdef int pairs_init(dv_pairs* t, uint32_t room) noexcept nogil:
    memset(t, 0, sizeof(dv_pairs))
    t.keys = <uint64_t*>calloc(room, sizeof(uint64_t))
    t.values = <uint32_t*>calloc(room, sizeof(uint32_t))
    t.mask = room - 1
    return 0 if t.keys != NULL and t.values != NULL else -1


cdef void pairs_deinit(dv_pairs* t) noexcept nogil:
    free(t.keys)
    free(t.values)
    memset(t, 0, sizeof(dv_pairs))


cdef inline uint32_t pairs_slot(const dv_pairs* t, uint64_t key) noexcept nogil:
    cdef uint64_t hashed = key * <uint64_t>0x9E3779B97F4A7C15
    cdef uint32_t at = <uint32_t>(hashed >> 32) & t.mask
    while t.keys[at] != 0 and t.keys[at] != key:
        at = (at + 1) & t.mask
    return at


cdef int pairs_grow(dv_pairs* t) noexcept nogil:
    cdef dv_pairs larger
    cdef uint32_t i, at
    if pairs_init(&larger, (t.mask + 1) * 2) < 0:
        pairs_deinit(&larger)
        return -1
    for i in range(t.mask + 1):
        if t.keys[i] != 0:
            at = pairs_slot(&larger, t.keys[i])
            larger.keys[at] = t.keys[i]
            larger.values[at] = t.values[i]
    larger.count = t.count
    pairs_deinit(t)
    t[0] = larger
    return 0


cdef int pairs_set(dv_pairs* t, uint64_t key, uint32_t value) noexcept nogil:
    cdef uint32_t at = pairs_slot(t, key)
    if t.keys[at] == 0:
        if t.count * 2 > t.mask:
            if pairs_grow(t) < 0:
                return -1
            at = pairs_slot(t, key)
        t.keys[at] = key
        t.count += 1
    t.values[at] = value
    return 0


cdef inline uint64_t key_of(uint32_t by, uint32_t to, uint32_t queue_pair) noexcept nogil:
    """Return a number that is never 0: numbers of addresses have 17 bits and begin with 1."""
    return <uint64_t>by << 41 | <uint64_t>to << 24 | queue_pair & 0xFFFFFF


cdef int flows_init(dv_flows* f) noexcept nogil:
    memset(f, 0, sizeof(dv_flows))
    f.capacity = 16
    f.items = <dv_flow*>calloc(f.capacity, sizeof(dv_flow))
    if f.items == NULL or pairs_init(&f.asking, 64) < 0 or pairs_init(&f.answering, 64) < 0:
        return -1
    return pairs_init(&f.between, 64)


cdef void flows_deinit(dv_flows* f) noexcept nogil:
    free(f.items)
    pairs_deinit(&f.asking)
    pairs_deinit(&f.between)
    pairs_deinit(&f.answering)
    memset(f, 0, sizeof(dv_flows))


cdef int flows_room(dv_flows* f) noexcept nogil:
    cdef void* p
    if f.count < f.capacity:
        return 0
    if f.count >= FLOWS:
        return -1
    p = realloc(f.items, <size_t>f.capacity * 2 * sizeof(dv_flow))
    if p == NULL:
        return -1
    f.items = <dv_flow*>p
    memset(f.items + f.capacity, 0, <size_t>f.capacity * sizeof(dv_flow))
    f.capacity *= 2
    return 0


cdef uint32_t flow_of(dv_flows* f, uint32_t by, uint32_t to, uint32_t queue_pair) noexcept nogil:
    cdef uint64_t key = key_of(by, to, queue_pair)
    cdef uint32_t at = pairs_slot(&f.asking, key)
    cdef uint64_t both = key_of(by, to, 0)
    cdef dv_flow* x
    if f.asking.keys[at] != 0:
        return f.asking.values[at]
    if flows_room(f) < 0 or pairs_set(&f.asking, key, f.count) < 0:
        f.refused += 1
        return NO_FLOW
    x = &f.items[f.count]
    x.by = by
    x.to = to
    x.queue_pair = queue_pair
    at = pairs_slot(&f.between, both)
    x.before = f.between.values[at] if f.between.keys[at] != 0 else 0
    f.count += 1
    if pairs_set(&f.between, both, f.count) < 0:
        f.refused += 1
    return f.count - 1


cdef inline uint32_t reach(const dv_request* r) noexcept nogil:
    """Return how many PSNs after its first one a request may have."""
    cdef int32_t wide = psn_minus(r.last, r.first)
    cdef uint32_t more = <uint32_t>wide if wide > 0 else 0
    if r.whole or r.what == ASKED_ATOMIC:
        return more
    if r.what == ASKED_READ:
        return max(more, (<uint32_t>(r.length - 1) // SMALLEST_MTU) if r.length else 0)
    return more


cdef dv_request* request_at(dv_flow* f, uint32_t psn) noexcept nogil:
    """Return the one that began last before a PSN, if it reaches so far.

    A read takes as many PSNs as its answer has packets, and their size is not told: the next
    request's first PSN ends it.
    """
    cdef dv_request* best = NULL
    cdef int32_t away, least = 0x7FFFFF
    cdef int i
    for i in range(RING):
        if f.ring[i].what == ASKED_NOTHING:
            continue
        away = psn_minus(psn, f.ring[i].first)
        if 0 <= away < least:
            least = away
            best = &f.ring[i]
    if best == NULL or <uint32_t>least > reach(best):
        return NULL
    return best


cdef inline bint same_request(const dv_request* a, const dv_request* b) noexcept nogil:
    return a.what == b.what and a.first == b.first and a.key == b.key and \
        a.address == b.address and a.length == b.length


cdef dv_request* request_begin(dv_flow* f, const dv_request* asked, bint* again) noexcept nogil:
    cdef dv_request* r
    cdef int i
    for i in range(RING):
        if same_request(&f.ring[i], asked):
            again[0] = True
            return &f.ring[i]
    again[0] = False
    r = &f.ring[f.next % RING]
    f.next += 1
    r[0] = asked[0]
    return r


cdef bint waits(dv_flow* f, uint32_t psn) noexcept nogil:
    cdef const dv_request* r = request_at(f, psn)
    return r != NULL and not r.answered


cdef uint32_t search(dv_flows* f, uint32_t by, uint32_t to, uint32_t psn) noexcept nogil:
    """Return the one flow between two addresses with a request that waits for such an answer."""
    cdef uint32_t at = pairs_slot(&f.between, key_of(by, to, 0))
    cdef uint32_t i = f.between.values[at] if f.between.keys[at] != 0 else 0
    cdef uint32_t steps = 0, found = NO_FLOW
    while i != 0:
        steps += 1
        if waits(&f.items[i - 1], psn):
            if found != NO_FLOW:
                f.unclear += 1
                return NO_FLOW
            found = i - 1
        i = f.items[i - 1].before
        if i != 0 and steps == NEAR:
            f.unclear += 1
            return NO_FLOW
    return found


cdef uint32_t flow_answered(dv_flows* f, uint32_t by, uint32_t to, uint32_t queue_pair,
                            uint32_t psn) noexcept nogil:
    cdef uint64_t key = key_of(by, to, queue_pair)
    cdef uint32_t at = pairs_slot(&f.answering, key)
    cdef uint32_t found
    if f.answering.keys[at] != 0:
        found = f.answering.values[at]
        if request_at(&f.items[found], psn) != NULL:
            return found
    # The one that answers is the one that was asked.
    found = search(f, to, by, psn)
    if found != NO_FLOW and pairs_set(&f.answering, key, found) < 0:
        return NO_FLOW
    return found
