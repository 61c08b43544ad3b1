# cython: language_level=3
"""Where each field of an event and of what it means lies in memory."""

from libc.stdint cimport uint16_t, uint64_t, uint8_t
from libc.string cimport memset

from dmaverify.core.context cimport (
    FOUND_LACKING, FOUND_OUTSIDE, FOUND_ROOM, OBJ_DEVICE, OBJ_ENDED_REGION, OBJ_EVENT,
    OBJ_MAPPING, OBJ_MAPPINGS, OBJ_QP, OBJ_REGION, dv_context, dv_meaning,
)
from dmaverify.core.hca_state cimport dv_hca_now
from dmaverify.core.objects cimport (
    KNOWS_ACCESS, KNOWS_BIRTH, KNOWS_IOVA, KNOWS_LENGTH, KNOWS_MODE, KNOWS_PD, KNOWS_RECV_SGE,
    KNOWS_RECV_WR, KNOWS_SEND_SGE, KNOWS_SEND_WR, KNOWS_THERE, dv_verb_object,
)
from dmaverify.core.shadow cimport lowest_bit
from dmaverify.core.vm cimport BASE_CONTEXT, BASE_MEANS, BASE_NOW
from dmaverify.core.world cimport (
    MARK_BOUNCED, MARK_DIRECTION, MARK_FREED, MARK_LENGTH, MARK_PHYS, MARK_THERE, MARK_VIRT,
    MARK_WHOLE_PAGES, dv_device, dv_mapping,
)
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN, F_MMIO, F_NULL_CPU, F_PHYS_UNKNOWN,
    F_SKIP_SYNC, F_TRUNCATED, TYPE_SHIFT, dv_event,
)


cdef void put(dv_where* at, int base, const void* owner, const void* field, size_t size, int care,
              int want) noexcept nogil:
    """Note where a field lies. Fields are aligned, so each lies in one word of eight bytes."""
    cdef size_t offset = <const char*>field - <const char*>owner
    at.base = <uint8_t>base
    at.offset = <uint16_t>(offset & ~<size_t>7)
    at.shift = <uint8_t>((offset & 7) * 8)
    at.mask = ~<uint64_t>0 >> (64 - size * 8)
    at.care = <uint16_t>care
    at.want = <uint16_t>want


cdef void put_bit(dv_where* at, int base, const void* owner, const uint16_t* flags, int bit,
                  int care) noexcept nogil:
    """Note in which bit of 16 flags a field lies."""
    put(at, base, owner, flags, sizeof(uint16_t), care, care)
    at.shift += <uint8_t>lowest_bit(bit)
    at.mask = 1


cdef int flags_of(int number) noexcept nogil:
    """Return the flag that is set where a field of the event is not known; 0 = always known."""
    if number == 1 or number == 16 or number == 28:
        return F_BUS_UNKNOWN
    if number == 2:
        return F_PHYS_UNKNOWN
    if number == 3 or number == 27:
        return F_LENGTH_UNKNOWN
    if number == 4:
        return F_DIRECTION_UNKNOWN
    return 0


cdef int marks_of(int number) noexcept nogil:
    """Return the marks of a mapping whose field is known."""
    if number == 2:
        return MARK_THERE | MARK_PHYS
    if number == 3:
        return MARK_THERE | MARK_LENGTH
    if number == 4:
        return MARK_THERE | MARK_DIRECTION
    if number == 9:
        return MARK_THERE | MARK_VIRT
    return MARK_THERE


cdef int limits_of(int number) noexcept nogil:
    """Return the limit of a device that a field is; 0 where it is no limit."""
    return 1 << (number - 8) if 8 <= number <= 10 else 0


cdef void fill_event(dv_where* at) noexcept nogil:
    cdef dv_event e
    put(&at[1], OBJ_EVENT, &e, &e.bus_addr, 8, flags_of(1), 0)
    put(&at[28], OBJ_EVENT, &e, &e.bus_addr, 8, flags_of(28), 0)
    put(&at[2], OBJ_EVENT, &e, &e.phys_addr, 8, flags_of(2), 0)
    put(&at[17], OBJ_EVENT, &e, &e.phys_addr, 8, flags_of(17), 0)
    put(&at[3], OBJ_EVENT, &e, &e.length, 8, flags_of(3), 0)
    put(&at[27], OBJ_EVENT, &e, &e.length, 8, flags_of(27), 0)
    put(&at[4], OBJ_EVENT, &e, &e.direction, 1, flags_of(4), 0)
    put(&at[5], OBJ_EVENT, &e, &e.flags, 2, 0, 0)
    at[5].shift += TYPE_SHIFT
    at[5].mask = 15
    put_bit(&at[12], OBJ_EVENT, &e, &e.flags, F_NULL_CPU, 0)
    put_bit(&at[13], OBJ_EVENT, &e, &e.flags, F_TRUNCATED, 0)
    put_bit(&at[14], OBJ_EVENT, &e, &e.flags, F_SKIP_SYNC, 0)
    put_bit(&at[15], OBJ_EVENT, &e, &e.flags, F_MMIO, 0)
    put(&at[23], OBJ_EVENT, &e, &e.kind, 1, 0, 0)


cdef void fill_context(dv_where* at) noexcept nogil:
    """Fields of the event that were computed for it."""
    cdef dv_context c
    put(&at[8], BASE_CONTEXT, &c, &c.count, 8, 0, 0)
    put(&at[20], BASE_CONTEXT, &c, &c.crossing, 8, 0, 0)
    put(&at[21], BASE_CONTEXT, &c, &c.overlaps, 8, 0, 0)
    put(&at[22], BASE_CONTEXT, &c, &c.matching, 8, 0, 0)
    put(&at[25], BASE_CONTEXT, &c, &c.past_end, 8, 0, 0)
    put(&at[29], BASE_CONTEXT, &c, &c.candidates, 8, 0, 0)


cdef void fill_means(dv_where* at) noexcept nogil:
    """Fields of an HCA's event that were found out for it."""
    cdef dv_meaning m
    put(&at[126], BASE_MEANS, &m, &m.lacking_count, 4, FOUND_LACKING, FOUND_LACKING)
    put(&at[128], BASE_MEANS, &m, &m.outside, 8, FOUND_OUTSIDE, FOUND_OUTSIDE)
    put(&at[129], BASE_MEANS, &m, &m.stale_tag, sizeof(m.stale_tag), 0, 0)
    put(&at[130], BASE_MEANS, &m, &m.pd_born, sizeof(m.pd_born), 0, 0)
    put(&at[144], BASE_MEANS, &m, &m.sges, 4, 0, 0)
    put(&at[145], BASE_MEANS, &m, &m.bytes, 8, 0, 0)
    put(&at[150], BASE_MEANS, &m, &m.conflicts, 4, 0, 0)
    put(&at[151], BASE_MEANS, &m, &m.unfenced, 4, 0, 0)
    put(&at[152], BASE_MEANS, &m, &m.due, 4, FOUND_ROOM, FOUND_ROOM)
    put(&at[153], BASE_MEANS, &m, &m.room, 4, FOUND_ROOM, FOUND_ROOM)


cdef void fill_now(dv_where* at) noexcept nogil:
    """Fields that are always known of what an event has to do with what an HCA holds."""
    cdef dv_hca_now now
    put(&at[174], BASE_NOW, &now, &now.shared, 1, 0, 0)
    put(&at[175], BASE_NOW, &now, &now.shared_early, 1, 0, 0)
    put(&at[177], BASE_NOW, &now, &now.ah_ended, 1, 0, 0)
    put(&at[178], BASE_NOW, &now, &now.ah_other_pd, 1, 0, 0)
    put(&at[181], BASE_NOW, &now, &now.unpublished, 1, 0, 0)
    put(&at[182], BASE_NOW, &now, &now.bound_before, 1, 0, 0)
    put(&at[200], BASE_NOW, &now, &now.key_refused, 1, 0, 0)
    put(&at[206], BASE_NOW, &now, &now.closed, 1, 0, 0)
    put(&at[207], BASE_NOW, &now, &now.qp_ended, 1, 0, 0)
    put(&at[195], BASE_NOW, &now, &now.hazard, 4, 0, 0)
    put(&at[196], BASE_NOW, &now, &now.racing, 4, 0, 0)
    put(&at[208], BASE_NOW, &now, &now.skipped, 4, 0, 0)


cdef inline void put_mapping(dv_where* at, int number, const dv_mapping* m, const void* field,
                             size_t size) noexcept nogil:
    put(&at[number], OBJ_MAPPING, m, field, size, marks_of(number), marks_of(number))


cdef void fill_mapping(dv_where* at) noexcept nogil:
    cdef dv_mapping m
    put_mapping(at, 0, &m, &m.bus_addr, 8)  # the mapping itself: only whether it is there
    put_mapping(at, 1, &m, &m.bus_addr, 8)
    put_mapping(at, 2, &m, &m.phys_addr, 8)
    put_mapping(at, 3, &m, &m.length, 8)
    put_mapping(at, 4, &m, &m.direction, 1)
    put_mapping(at, 5, &m, &m.type, 1)
    put_mapping(at, 6, &m, &m.count, 4)
    put_mapping(at, 7, &m, &m.segments, 4)
    put_mapping(at, 16, &m, &m.syncs, 4)
    put_mapping(at, 21, &m, &m.transfers, 4)
    put_mapping(at, 22, &m, &m.unsynced_reads, 4)
    put_bit(&at[8], OBJ_MAPPING, &m, &m.flags, F_TRUNCATED, MARK_THERE)
    put_bit(&at[12], OBJ_MAPPING, &m, &m.marks, MARK_BOUNCED, MARK_THERE)
    put_bit(&at[13], OBJ_MAPPING, &m, &m.flags, F_SKIP_SYNC, MARK_THERE)
    put_bit(&at[14], OBJ_MAPPING, &m, &m.flags, F_MMIO, MARK_THERE)
    put_bit(&at[15], OBJ_MAPPING, &m, &m.marks, MARK_WHOLE_PAGES, MARK_THERE)
    put_bit(&at[24], OBJ_MAPPING, &m, &m.marks, MARK_FREED, MARK_THERE)


cdef void fill_device(dv_where* at) noexcept nogil:
    cdef dv_device d
    put(&at[1], OBJ_DEVICE, &d, &d.live, 8, 0, 0)
    put(&at[8], OBJ_DEVICE, &d, &d.max_segment, 8, limits_of(8), limits_of(8))
    put(&at[9], OBJ_DEVICE, &d, &d.boundary, 8, limits_of(9), limits_of(9))
    put(&at[10], OBJ_DEVICE, &d, &d.dma_mask, 8, limits_of(10), limits_of(10))


cdef inline void put_verb(dv_where* at, int obj, const dv_verb_object* x, const void* field,
                          size_t size, int knows) noexcept nogil:
    put(at, obj, x, field, size, KNOWS_THERE | knows, KNOWS_THERE | knows)


cdef void fill_region(dv_where* at) noexcept nogil:
    cdef dv_verb_object x
    put_verb(&at[0], OBJ_REGION, &x, &x.number, 4, 0)
    put_verb(&at[1], OBJ_REGION, &x, &x.number, 4, 0)
    put_verb(&at[2], OBJ_REGION, &x, &x.iova, 8, KNOWS_IOVA)
    put_verb(&at[3], OBJ_REGION, &x, &x.length, 8, KNOWS_LENGTH)
    put_verb(&at[4], OBJ_REGION, &x, &x.access, 1, KNOWS_ACCESS)
    put_verb(&at[5], OBJ_REGION, &x, &x.pd, 8, KNOWS_PD)
    put_verb(&at[13], OBJ_REGION, &x, &x.outstanding, 4, 0)
    put_verb(&at[14], OBJ_REGION, &x, &x.windows, 4, 0)


cdef void fill_qp(dv_where* at) noexcept nogil:
    cdef dv_verb_object x
    put_verb(&at[0], OBJ_QP, &x, &x.number, 4, 0)
    put_verb(&at[1], OBJ_QP, &x, &x.number, 4, 0)
    put_verb(&at[3], OBJ_QP, &x, &x.type, 1, 0)
    put_verb(&at[4], OBJ_QP, &x, &x.mode, 1, KNOWS_MODE)
    put_verb(&at[5], OBJ_QP, &x, &x.posted[0], 4, 0)
    put_verb(&at[6], OBJ_QP, &x, &x.posted[1], 4, 0)
    put_verb(&at[7], OBJ_QP, &x, &x.most[0], 4, KNOWS_SEND_WR)
    put_verb(&at[8], OBJ_QP, &x, &x.most[1], 4, KNOWS_RECV_WR)
    put_verb(&at[9], OBJ_QP, &x, &x.most_sge[0], 4, KNOWS_SEND_SGE)
    put_verb(&at[10], OBJ_QP, &x, &x.most_sge[1], 4, KNOWS_RECV_SGE)
    put_bit(&at[12], OBJ_QP, &x, &x.marks, KNOWS_BIRTH, KNOWS_THERE)


cdef void places_fill(dv_places* p) noexcept nogil:
    memset(p, 0, sizeof(dv_places))
    fill_event(p.event)
    fill_context(p.event)
    fill_means(p.event)
    fill_now(p.event)
    fill_mapping(p.mapping)
    fill_device(p.device)
    fill_region(p.region)
    fill_qp(p.qp)


cdef const dv_where* place_find(const dv_places* p, int obj, int number) noexcept nogil:
    cdef const dv_where* at = NULL
    if obj == OBJ_EVENT:
        at = &p.event[number]
    elif number >= OBJECT_FIELDS:
        return NULL
    elif obj == OBJ_REGION or obj == OBJ_ENDED_REGION:
        at = &p.region[number]
    elif obj == OBJ_QP:
        at = &p.qp[number]
    elif obj < OBJ_MAPPINGS and obj != BASE_CONTEXT:
        at = &p.mapping[number]
    elif obj == OBJ_DEVICE:
        at = &p.device[number]
    return at if at != NULL and at.mask != 0 else NULL
