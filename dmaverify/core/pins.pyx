# cython: language_level=3
"""Memory that an HCA works with, joined to the mappings of the DMA API (see pins.pxd)."""

from libc.stdint cimport uint32_t, uint64_t, uint8_t
from libc.string cimport memset

from dmaverify.core.aims cimport event_allowed
from dmaverify.core.context cimport OBJ_GHOST, OBJ_MAPPING, context_init, dv_context
from dmaverify.core.hca_state cimport (
    HOLD_MAD, HOLD_PAGES, HOLD_QUEUE, dv_hca_now, hold_add, holds_cut, holds_drop, holds_of,
    owner_key, owner_object,
)
from dmaverify.core.keys cimport hca_value, keys_find
from dmaverify.core.objects cimport (
    KNOWS_MODE, KNOWS_PD, SORT_CQ, SORT_INDEX, SORT_QP, SORT_SRQ, TEARDOWN_ASKED,
    TEARDOWN_FAILED, TEARDOWN_OVER, VERB_LIVE, dv_verb_object, verb_object_named,
)
from dmaverify.core.ranges cimport ranges_apply, ranges_resolve
from dmaverify.core.resolve cimport context_resolve
from dmaverify.core.shadow cimport GRID_BUS, dv_segment, dv_walk, walk_init, walk_next
from dmaverify.core.table cimport table_mix
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_FAILED, F_LENGTH_UNKNOWN, F_PHYS_UNKNOWN, HCA_MAPPED, HCA_MAX_RECV_WR,
    HCA_MAX_SEND_WR, HCA_PAGE_SIZE, KIND_DEV_READ, KIND_DEV_WRITE, KIND_MAD_RECV, KIND_MAD_SEND,
    KIND_MAP_MR_SG, KIND_ODP_PAGES, KIND_QUEUE_MEMORY, KIND_USER_UNMAP, SIDE_SGE, dv_entry,
    dv_event, dv_side, event_side, event_type, side_entries,
)

cdef enum:                   # model/kinds.py: QueuePart, MadStep, RangeChange, RegionType, ...
    PART_RECV_RING = 2
    PART_CQ_RING = 4
    PART_SRQ_RING = 5
    PART_CQ_RECORD = 8
    PART_SRQ_RECORD = 9
    MAD_POSTED = 1
    MAD_COMPLETED = 2
    STATE_RESET = 1
    STATE_ERR = 7
    LET_GO_MAX = 4096
    SCAN_REGIONS = 65536     # objects that one search visits

cdef uint64_t PAGE = 4096


cdef const dv_entry* pieces(const dv_context* c, dv_entry* one, uint32_t* count) noexcept nogil:
    """Return the pieces of memory that an event names: of its list, or its one range."""
    cdef const dv_side* s = event_side(c.batch, c.event, SIDE_SGE) if c.event.side != 0 else NULL
    count[0] = 0
    if s != NULL and s.stored != 0:
        count[0] = s.stored
        return side_entries(s)
    if c.event.flags & (F_BUS_UNKNOWN | F_LENGTH_UNKNOWN):
        return NULL
    one.address = c.event.bus_addr
    one.length = c.event.length
    count[0] = 1
    return one


cdef inline uint64_t piece_length(const dv_context* c, const dv_entry* e,
                                  const dv_entry* one) noexcept nogil:
    return e.length if e == one else <uint32_t>e.length


cdef void look_behind(dv_context* c, int kind, uint64_t start, uint64_t length) noexcept nogil:
    """Look what the DMA API has mapped where the HCA is going to reach."""
    cdef dv_hca_now* now = &c.hca.now
    cdef dv_context t
    cdef dv_event e
    memset(&e, 0, sizeof(dv_event))
    e.kind = <uint8_t>kind
    e.device = c.event.device
    e.time = c.event.time
    e.bus_addr = start
    e.length = length
    e.site = c.event.site
    e.cpu = c.event.cpu
    e.flags = F_PHYS_UNKNOWN
    context_init(&t, c.world, c.batch, &e, c.number)
    context_resolve(&t)
    if t.meant[OBJ_MAPPING] == 0 and (t.may_predate or
                                      c.world.devices[c.event.device].truncated_live != 0):
        return
    now.bus_known = 1
    if t.meant[OBJ_MAPPING] == 0:
        now.unmapped += length
    elif not event_allowed(&e, &c.world.mappings[t.meant[OBJ_MAPPING]]):
        now.wrong_way += length
    else:
        now.unmapped += t.past_end
    if c.meant[OBJ_MAPPING] == 0 or now.unmapped + now.wrong_way != 0:
        c.meant[OBJ_MAPPING] = t.meant[OBJ_MAPPING]
        c.meant[OBJ_GHOST] = t.meant[OBJ_GHOST]


cdef void resolve_memory(dv_context* c, int kind) noexcept nogil:
    cdef dv_entry one
    cdef uint32_t i, count = 0
    cdef const dv_entry* entries = pieces(c, &one, &count)
    cdef uint64_t length
    for i in range(count):
        length = piece_length(c, &entries[i], &one)
        if length != 0:
            look_behind(c, kind, entries[i].address, length)


cdef void resolve_list(dv_context* c) noexcept nogil:
    """Compare a region's pages with what ib_map_mr_sg() takes.

    Each entry but the first begins a page and each but the last ends one, or it goes on where
    the one before it ended. Source: Linux drivers/infiniband/core/verbs.c, ib_sg_to_pages().
    """
    cdef dv_hca_now* now = &c.hca.now
    cdef dv_entry one
    cdef uint32_t i, count = 0
    cdef const dv_entry* entries = pieces(c, &one, &count)
    cdef bint known = False
    cdef uint64_t size = hca_value(c, HCA_PAGE_SIZE, &known), end = 0, length
    if not known or size == 0:
        size = PAGE
    now.pages = count
    now.mapped = hca_value(c, HCA_MAPPED, &known)
    now.mapped_known = known
    for i in range(count):
        length = piece_length(c, &entries[i], &one)
        if i != 0 and entries[i].address != end and (end % size or entries[i].address % size) and \
                now.unaligned == 0:
            now.unaligned = i + 1
        end = entries[i].address + length
        if end < entries[i].address or (end == 0 and length != 0):
            now.wraps = 1


cdef void pins_resolve(dv_context* c) noexcept nogil:
    cdef int kind = c.event.kind
    if kind == KIND_QUEUE_MEMORY:
        c.hca.now.part = <uint8_t>event_type(c.event)
        c.hca.now.subject = owner_of(c)
        resolve_memory(c, KIND_DEV_READ)
        c.hca.now.wrong_way = 0  # which way it goes hangs on the queue
    elif kind == KIND_MAD_SEND or kind == KIND_MAD_RECV:
        c.hca.now.mad = 1
        c.hca.now.told = mad_told(c)
        if event_type(c.event) == MAD_POSTED or (
                event_type(c.event) == MAD_COMPLETED and holds_of(&c.hca.held, mad_key(c)) == 0):
            resolve_memory(c, KIND_DEV_WRITE if kind == KIND_MAD_RECV else KIND_DEV_READ)
    elif kind == KIND_MAP_MR_SG:
        keys_find(c)
        resolve_list(c)
    elif kind == KIND_ODP_PAGES or kind == KIND_USER_UNMAP:
        ranges_resolve(c)


cdef uint32_t owner_of(const dv_context* c) noexcept nogil:
    cdef int part = event_type(c.event), sort = SORT_QP
    cdef uint32_t index
    if part == PART_CQ_RING or part == PART_CQ_RECORD:
        sort = SORT_CQ
    elif part == PART_SRQ_RING or part == PART_SRQ_RECORD:
        sort = SORT_SRQ
    index = verb_object_named(c.hca, c.event.device, sort, c.event.object)
    return index if index != 0 and c.hca.items[index].state == VERB_LIVE else 0


cdef inline uint64_t mad_key(const dv_context* c) noexcept nogil:
    cdef uint64_t mixed = table_mix(c.event.phys_addr ^ <uint64_t>c.event.device << 48)
    return <uint64_t>HOLD_MAD << 56 | mixed >> 9 << 1 | <uint64_t>(c.event.kind == KIND_MAD_RECV)


cdef uint32_t mad_told(const dv_context* c) noexcept nogil:
    cdef uint32_t index = holds_of(&c.hca.held, mad_key(c))
    return c.hca.held.shadow.segments[index].told if index != 0 else 0


cdef int hold_pieces(dv_context* c, uint64_t owner, int what, uint64_t of,
                     uint64_t run) noexcept nogil:
    cdef dv_entry one
    cdef uint32_t i, count = 0
    cdef const dv_entry* entries = pieces(c, &one, &count)
    for i in range(count):
        if hold_add(&c.hca.held, GRID_BUS, owner, what, c.event.device, of, run,
                    entries[i].address, piece_length(c, &entries[i], &one)) < 0:
            return -1
    return 0


cdef int apply_queue(dv_context* c) noexcept nogil:
    cdef uint32_t index = c.hca.now.subject
    cdef uint64_t serial = c.hca.items[index].serial, slots
    cdef bint known = False
    if index == 0 or c.event.flags & F_FAILED:
        return 0
    slots = hca_value(c, HCA_MAX_RECV_WR if event_type(c.event) == PART_RECV_RING
                      else HCA_MAX_SEND_WR, &known)
    if not known or slots >> 24:
        slots = 0
    return hold_pieces(c, owner_object(HOLD_QUEUE, <uint32_t>serial), HOLD_QUEUE, index,
                       serial | <uint64_t>event_type(c.event) << 32 | slots << 40)


cdef int apply_mad(dv_context* c) noexcept nogil:
    cdef uint64_t owner = mad_key(c)
    if c.event.flags & F_PHYS_UNKNOWN:
        return 0
    holds_drop(&c.hca.held, owner)
    if event_type(c.event) != MAD_POSTED or c.event.flags & F_FAILED:
        return 0
    return hold_pieces(c, owner, HOLD_MAD, c.event.kind, c.event.object)


cdef int pins_apply(dv_context* c) noexcept nogil:
    cdef int kind = c.event.kind
    cdef uint64_t owner
    if kind == KIND_QUEUE_MEMORY:
        return apply_queue(c)
    if kind == KIND_MAD_SEND or kind == KIND_MAD_RECV:
        return apply_mad(c)
    if kind == KIND_ODP_PAGES:
        return ranges_apply(c)
    if kind == KIND_MAP_MR_SG and not c.event.flags & F_FAILED and c.event.object != 0:
        owner = owner_key(c.event.device, c.event.object)
        holds_drop(&c.hca.held, owner)
        return hold_pieces(c, owner, HOLD_PAGES, c.event.object >> 8, 0)
    return 0


cdef inline bint in_use(const dv_verb_object* x) noexcept nogil:
    """Tell whether an HCA may still reach what belongs to an object."""
    if x.teardown == TEARDOWN_ASKED or x.teardown == TEARDOWN_FAILED:
        return True
    return x.state == VERB_LIVE and x.teardown != TEARDOWN_OVER


cdef bint drained(const dv_context* c, const dv_verb_object* region) noexcept nogil:
    """Tell whether no queue pair of a region's domain can reach it: then none does.

    Source: Linux net/sunrpc/xprtrdma/frwr_ops.c, frwr_mr_release(), used after the drain.
    """
    cdef uint32_t i
    cdef const dv_verb_object* q
    for i in range(1, min(c.hca.count, <uint32_t>SCAN_REGIONS)):
        q = &c.hca.items[i]
        if q.sort != SORT_QP or q.state != VERB_LIVE or q.device != region.device:
            continue
        if q.marks & region.marks & KNOWS_PD and q.pd != region.pd:
            continue
        if not q.marks & KNOWS_MODE or q.mode > STATE_RESET and (
                q.mode != STATE_ERR or q.posted[0] + q.posted[1] != 0):
            return False
    return True


cdef bint still_used(const dv_context* c, const dv_segment* s) noexcept nogil:
    cdef const dv_verb_object* x
    cdef uint32_t index
    if s.owner == HOLD_MAD:
        return True
    if s.owner == HOLD_QUEUE:
        x = &c.hca.items[<uint32_t>s.phys]
        return x.serial == <uint32_t>s.run and in_use(x)
    index = verb_object_named(c.hca, s.mapping - 1, SORT_INDEX, <uint32_t>s.phys)
    x = &c.hca.items[index]
    return index != 0 and in_use(x) and (x.teardown != 0 or not drained(c, x))


cdef int lost_in(const dv_context* c, uint64_t start, uint64_t length, uint32_t* ret,
                 int count) noexcept nogil:
    cdef dv_walk w
    cdef const dv_segment* s
    cdef uint32_t index
    cdef int i
    walk_init(&w, &c.hca.held.shadow, GRID_BUS, start, length)
    while count < LOST_MAX:
        index = walk_next(&w)
        if index == 0:
            return count
        s = &c.hca.held.shadow.segments[index]
        if s.mapping != c.event.device + 1 or not still_used(c, s):
            continue
        for i in range(count):
            if ret[i] == index:
                break
        else:
            ret[count] = index
            count += 1
    return count


cdef int pins_lost(const dv_context* c, uint32_t* ret) noexcept nogil:
    cdef uint32_t s = c.world.mappings[c.meant[OBJ_MAPPING]].first
    cdef const dv_segment* seg
    cdef int count = 0
    if not c.hca.held.there or c.event.flags & F_FAILED or c.meant[OBJ_MAPPING] == 0:
        return 0
    while s != 0 and count < LOST_MAX:
        seg = &c.world.shadow.segments[s]
        s = seg.sibling
        count = lost_in(c, seg.start, seg.length, ret, count)
    return count


cdef void pins_stand(dv_context* c, uint32_t segment) noexcept nogil:
    cdef const dv_segment* s = &c.hca.held.shadow.segments[segment]
    cdef dv_hca_now* now = &c.hca.now
    cdef uint32_t index
    memset(now, 0, sizeof(dv_hca_now))
    now.told = s.told
    if s.owner == HOLD_MAD:
        now.mad = 1
        return
    index = <uint32_t>s.phys
    if s.owner == HOLD_PAGES:
        index = verb_object_named(c.hca, s.mapping - 1, SORT_INDEX, index)
        c.means.region = index
    else:
        now.part = <uint8_t>(s.run >> 32 & 0xFF)
        if c.hca.items[index].sort == SORT_QP:
            c.means.qp = index
        now.subject = index
    now.tearing = c.hca.items[index].teardown == TEARDOWN_ASKED
    now.teardown_failed = c.hca.items[index].teardown == TEARDOWN_FAILED


cdef int pins_refused(const dv_context* c, uint32_t* ret) noexcept nogil:
    if not c.hca.held.there or c.event.flags & F_BUS_UNKNOWN:
        return 0
    return min(lost_in(c, c.event.bus_addr, max(c.event.length, <uint64_t>1), ret, 0), 1)


cdef uint32_t unused_in(const dv_context* c, uint64_t start, uint64_t length) noexcept nogil:
    cdef dv_walk w
    cdef const dv_segment* s
    cdef uint32_t index
    walk_init(&w, &c.hca.held.shadow, GRID_BUS, start, length)
    while True:
        index = walk_next(&w)
        if index == 0:
            return 0
        s = &c.hca.held.shadow.segments[index]
        if s.mapping == c.event.device + 1 and s.owner != HOLD_MAD and not still_used(c, s):
            return index


cdef int pins_let_go(dv_context* c) noexcept nogil:
    cdef uint32_t s = c.world.mappings[c.meant[OBJ_MAPPING]].first, index
    cdef const dv_segment* seg
    cdef const dv_segment* held
    cdef uint64_t owner
    cdef int steps = 0
    if c.hca.held.live == 0 or c.meant[OBJ_MAPPING] == 0:
        return 0
    while s != 0 and steps < LET_GO_MAX:
        seg = &c.world.shadow.segments[s]
        index = unused_in(c, seg.start, seg.length)
        if index == 0:
            s = seg.sibling
            continue
        held = &c.hca.held.shadow.segments[index]
        owner = owner_object(HOLD_QUEUE, <uint32_t>held.run) if held.owner == HOLD_QUEUE else \
            owner_key(held.mapping - 1, <uint32_t>held.phys << 8)
        if holds_cut(&c.hca.held, owner, seg.start, seg.length) < 0:
            return -1
        steps += 1
    return 0
