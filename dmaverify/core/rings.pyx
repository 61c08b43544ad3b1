# cython: language_level=3
"""Slots of rings that an HCA owns (see rings.pxd)."""

from libc.stdint cimport uint32_t, uint64_t, uint8_t

from dmaverify.core.context cimport dv_context
from dmaverify.core.hca_state cimport HOLD_QUEUE, hold_shared
from dmaverify.core.objects cimport KNOWS_BIRTH, VERB_LIVE, dv_verb_object
from dmaverify.core.shadow cimport GRID_BUS, dv_segment, dv_walk, walk_init, walk_next

cdef enum:                   # model/kinds.py: QueuePart
    PART_SEND_RING = 1
    PART_RECV_RING = 2


cdef bint owned_slot(const dv_verb_object* q, int queue, uint32_t slots,
                     uint32_t slot) noexcept nogil:
    """Tell whether the HCA owns a slot of a ring.

    Source: Linux drivers/infiniband/hw/mlx5/wr.c, mlx5r_wq_overflow() and mlx5r_ring_db().
    """
    cdef uint32_t last = q.turns[queue], done, turn
    done = last - q.posted[queue]
    if q.rings >> queue & 1 and q.rung[queue] < last:
        last = q.rung[queue]
    if last <= done or slot >= slots:
        return False
    turn = last - (last - 1 - slot + slots) % slots  # the last that went to this slot
    return done < turn <= last


cdef bint piece_written(dv_context* c, const dv_segment* s, uint64_t first,
                        uint64_t length) noexcept nogil:
    cdef int part = <int>(s.run >> 32 & 0xFF), queue = 1 if part == PART_RECV_RING else 0
    cdef uint32_t slots = <uint32_t>(s.run >> 40), at
    cdef uint64_t stride
    cdef const dv_verb_object* q = &c.hca.items[<uint32_t>s.phys]
    if s.owner != HOLD_QUEUE or slots == 0 or s.sibling != 0 or q.state != VERB_LIVE or \
            (part != PART_SEND_RING and part != PART_RECV_RING) or \
            q.serial != <uint32_t>s.run or not q.marks & KNOWS_BIRTH or s.length < slots or \
            q.epoch != c.world.gaps:
        return False
    stride = s.length // slots
    for at in range(<uint32_t>((first - s.start) // stride),
                    <uint32_t>((first + length - 1 - s.start) // stride) + 1):
        if owned_slot(q, queue, slots, at):
            c.means.qp = <uint32_t>s.phys
            c.hca.now.part = <uint8_t>part
            return True
    return False


cdef bint bus_written(dv_context* c, uint32_t device, uint64_t start,
                      uint64_t length) noexcept nogil:
    """Tell whether an owned slot of a device's rings is written; its bus addresses are its own."""
    cdef dv_walk w
    cdef const dv_segment* s
    cdef uint32_t index
    cdef uint64_t first = 0, shared
    walk_init(&w, &c.hca.held.shadow, GRID_BUS, start, length)
    while True:
        index = walk_next(&w)
        if index == 0:
            return False
        s = &c.hca.held.shadow.segments[index]
        shared = hold_shared(s.start, s.length, start, length, &first)
        if shared != 0 and c.hca.items[<uint32_t>s.phys].device == device and \
                piece_written(c, s, first, shared):
            return True


cdef bint rings_written(dv_context* c, uint32_t mapping) noexcept nogil:
    cdef uint32_t s = c.world.mappings[mapping].first
    cdef const dv_segment* seg
    cdef uint64_t first = 0, shared
    while s != 0:
        seg = &c.world.shadow.segments[s]
        s = seg.sibling
        if seg.phys_length == 0:
            continue
        shared = hold_shared(seg.phys, seg.phys_length, c.event.phys_addr, c.event.length, &first)
        if shared != 0 and bus_written(
                c, c.world.mappings[mapping].device, seg.start + (first - seg.phys), shared):
            return True
    return False
