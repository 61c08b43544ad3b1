# cython: language_level=3
"""Fields as places in memory, and traits as bits: a program made ready to run (see link.pxd)."""

from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memset

from dmaverify.core.context cimport (
    FOUND_LACKING, FOUND_OUTSIDE, FOUND_ROOM, OBJ_ADAPTER, OBJ_DEVICE, OBJ_ENDED_REGION,
    OBJ_EVENT, OBJ_MAPPING, OBJ_MAPPINGS, OBJ_MDL, OBJ_QP, OBJ_REGION, OBJ_WORK, dv_context,
    dv_meaning,
)
from dmaverify.core.hca_facts cimport FIRST_HCA_FIELD
from dmaverify.core.named cimport FIRST_NAMED
from dmaverify.core.objects cimport (
    KNOWS_ACCESS, KNOWS_BIRTH, KNOWS_IOVA, KNOWS_LENGTH, KNOWS_MODE, KNOWS_PD, KNOWS_RECV_SGE,
    KNOWS_RECV_WR, KNOWS_SEND_SGE, KNOWS_SEND_WR, KNOWS_THERE, dv_verb_object,
)
from dmaverify.core.shadow cimport lowest_bit
from dmaverify.core.vm cimport (
    BASE_CONTEXT, BASE_MEANS, OP_FEQ, OP_FNE, OP_FNIN, OP_JEQ, OP_JLE, OP_JUMP, OP_LOAD,
    OP_NOT_APPLICABLE, OP_SHOWF, OP_VIOLATED, OP_XIST, OP_XMISS, STEP_LOADS_JEQ, dv_instruction,
    dv_step,
)
from dmaverify.core.world cimport (
    MARK_BOUNCED, MARK_DIRECTION, MARK_FREED, MARK_LENGTH, MARK_PHYS, MARK_THERE, MARK_VIRT,
    MARK_WHOLE_PAGES, dv_device, dv_mapping,
)
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN, F_MMIO, F_NULL_CPU, F_PHYS_UNKNOWN,
    F_SKIP_SYNC, F_TRUNCATED, TYPE_SHIFT, dv_event,
)

cdef enum:                   # model/fields.py: fields that only the traits below name
    FIELD_TYPE = 5
    FIELD_LONGEST = 9
    FIELD_VIRT = 10
    FIELD_FAILED = 11
    FIELD_MEMORY = 31


cdef void put(dv_step* s, int base, const void* owner, const void* field, size_t size, int care,
              int want) noexcept nogil:
    """Say where a field lies. Fields are aligned, so each lies in one word of eight bytes."""
    cdef size_t at = <const char*>field - <const char*>owner
    s.base = <uint8_t>base
    s.offset = <uint16_t>(at & ~<size_t>7)
    s.shift = <uint8_t>((at & 7) * 8)
    s.mask = ~<uint64_t>0 >> (64 - size * 8)
    s.care = <uint16_t>care
    s.want = <uint16_t>want


cdef void put_bit(dv_step* s, int base, const void* owner, const void* flags, int bit, int care,
                  int want) noexcept nogil:
    """Say in which bit of 16 flags a field lies."""
    put(s, base, owner, flags, sizeof(uint16_t), care, want)
    s.shift += <uint8_t>lowest_bit(bit)
    s.mask = 1


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


cdef void place_event(dv_step* s, int number) noexcept nogil:
    cdef dv_event e
    cdef int care = flags_of(number)
    if number == 1 or number == 28:
        put(s, OBJ_EVENT, &e, &e.bus_addr, sizeof(e.bus_addr), care, 0)
    elif number == 2 or number == 17:
        put(s, OBJ_EVENT, &e, &e.phys_addr, sizeof(e.phys_addr), care, 0)
    elif number == 3 or number == 27:
        put(s, OBJ_EVENT, &e, &e.length, sizeof(e.length), care, 0)
    elif number == 4:
        put(s, OBJ_EVENT, &e, &e.direction, sizeof(e.direction), care, 0)
    elif number == 5:
        put(s, OBJ_EVENT, &e, &e.flags, sizeof(e.flags), 0, 0)
        s.shift += TYPE_SHIFT
        s.mask = 15
    elif number == 12:
        put_bit(s, OBJ_EVENT, &e, &e.flags, F_NULL_CPU, 0, 0)
    elif number == 13:
        put_bit(s, OBJ_EVENT, &e, &e.flags, F_TRUNCATED, 0, 0)
    elif number == 14:
        put_bit(s, OBJ_EVENT, &e, &e.flags, F_SKIP_SYNC, 0, 0)
    elif number == 15:
        put_bit(s, OBJ_EVENT, &e, &e.flags, F_MMIO, 0, 0)
    elif number == 23:
        put(s, OBJ_EVENT, &e, &e.kind, sizeof(e.kind), 0, 0)
    else:
        place_computed(s, number)


cdef void place_computed(dv_step* s, int number) noexcept nogil:
    """Place a field of the event that was computed for it."""
    cdef dv_context c
    if number == 8:
        put(s, BASE_CONTEXT, &c, &c.count, sizeof(c.count), 0, 0)
    elif number == 20:
        put(s, BASE_CONTEXT, &c, &c.crossing, sizeof(c.crossing), 0, 0)
    elif number == 21:
        put(s, BASE_CONTEXT, &c, &c.overlaps, sizeof(c.overlaps), 0, 0)
    elif number == 22:
        put(s, BASE_CONTEXT, &c, &c.matching, sizeof(c.matching), 0, 0)
    elif number == 25:
        put(s, BASE_CONTEXT, &c, &c.past_end, sizeof(c.past_end), 0, 0)
    elif number == 29:
        put(s, BASE_CONTEXT, &c, &c.candidates, sizeof(c.candidates), 0, 0)


cdef void place_mapping(dv_step* s, int obj, int number) noexcept nogil:
    cdef dv_mapping m
    cdef int marks = marks_of(number)
    if number == 0 or number == 1:  # the mapping itself: only whether it is there
        put(s, obj, &m, &m.bus_addr, sizeof(m.bus_addr), marks, marks)
    elif number == 2:
        put(s, obj, &m, &m.phys_addr, sizeof(m.phys_addr), marks, marks)
    elif number == 3:
        put(s, obj, &m, &m.length, sizeof(m.length), marks, marks)
    elif number == 4:
        put(s, obj, &m, &m.direction, sizeof(m.direction), marks, marks)
    elif number == 5:
        put(s, obj, &m, &m.type, sizeof(m.type), marks, marks)
    elif number == 6:
        put(s, obj, &m, &m.count, sizeof(m.count), marks, marks)
    elif number == 7:
        put(s, obj, &m, &m.segments, sizeof(m.segments), marks, marks)
    elif number == 8:
        put_bit(s, obj, &m, &m.flags, F_TRUNCATED, marks, marks)
    elif number == 12:
        put_bit(s, obj, &m, &m.marks, MARK_BOUNCED, marks, marks)
    elif number == 13:
        put_bit(s, obj, &m, &m.flags, F_SKIP_SYNC, marks, marks)
    elif number == 14:
        put_bit(s, obj, &m, &m.flags, F_MMIO, marks, marks)
    elif number == 15:
        put_bit(s, obj, &m, &m.marks, MARK_WHOLE_PAGES, marks, marks)
    elif number == 16:
        put(s, obj, &m, &m.syncs, sizeof(m.syncs), marks, marks)
    elif number == 21:
        put(s, obj, &m, &m.transfers, sizeof(m.transfers), marks, marks)
    elif number == 22:
        put(s, obj, &m, &m.unsynced_reads, sizeof(m.unsynced_reads), marks, marks)
    elif number == 24:
        put_bit(s, obj, &m, &m.marks, MARK_FREED, marks, marks)


cdef void place_device(dv_step* s, int number) noexcept nogil:
    cdef dv_device d
    cdef int limits = limits_of(number)
    if number == 1:
        put(s, OBJ_DEVICE, &d, &d.live, sizeof(d.live), 0, 0)
    elif number == 8:
        put(s, OBJ_DEVICE, &d, &d.max_segment, sizeof(d.max_segment), limits, limits)
    elif number == 9:
        put(s, OBJ_DEVICE, &d, &d.boundary, sizeof(d.boundary), limits, limits)
    elif number == 10:
        put(s, OBJ_DEVICE, &d, &d.dma_mask, sizeof(d.dma_mask), limits, limits)


cdef void place_region(dv_step* s, int obj, int number) noexcept nogil:
    cdef dv_verb_object x
    cdef int there = KNOWS_THERE
    if number == 1:
        put(s, obj, &x, &x.number, sizeof(x.number), there, there)
    elif number == 2:
        there |= KNOWS_IOVA
        put(s, obj, &x, &x.iova, sizeof(x.iova), there, there)
    elif number == 3:
        there |= KNOWS_LENGTH
        put(s, obj, &x, &x.length, sizeof(x.length), there, there)
    elif number == 4:
        there |= KNOWS_ACCESS
        put(s, obj, &x, &x.access, sizeof(x.access), there, there)
    elif number == 5:
        there |= KNOWS_PD
        put(s, obj, &x, &x.pd, sizeof(x.pd), there, there)
    elif number == 13:
        put(s, obj, &x, &x.outstanding, sizeof(x.outstanding), there, there)
    elif number == 14:
        put(s, obj, &x, &x.windows, sizeof(x.windows), there, there)
    elif number == 0:
        put(s, obj, &x, &x.number, sizeof(x.number), there, there)


cdef void place_qp(dv_step* s, int number) noexcept nogil:
    cdef dv_verb_object x
    cdef int there = KNOWS_THERE
    if number == 0 or number == 1:
        put(s, OBJ_QP, &x, &x.number, sizeof(x.number), there, there)
    elif number == 3:
        put(s, OBJ_QP, &x, &x.type, sizeof(x.type), there, there)
    elif number == 4:
        there |= KNOWS_MODE
        put(s, OBJ_QP, &x, &x.mode, sizeof(x.mode), there, there)
    elif number == 5 or number == 6:
        put(s, OBJ_QP, &x, &x.posted[number - 5], sizeof(uint32_t), there, there)
    elif number == 7 or number == 8:
        there |= KNOWS_SEND_WR if number == 7 else KNOWS_RECV_WR
        put(s, OBJ_QP, &x, &x.most[number - 7], sizeof(uint32_t), there, there)
    elif number == 9 or number == 10:
        there |= KNOWS_SEND_SGE if number == 9 else KNOWS_RECV_SGE
        put(s, OBJ_QP, &x, &x.most_sge[number - 9], sizeof(uint32_t), there, there)
    elif number == 12:
        put_bit(s, OBJ_QP, &x, &x.marks, KNOWS_BIRTH, there, there)


cdef void place_means(dv_step* s, int number) noexcept nogil:
    """Place a field of an HCA's event that was found out for it."""
    cdef dv_meaning m
    if number == 126:
        put(s, BASE_MEANS, &m, &m.lacking_count, sizeof(uint32_t), FOUND_LACKING, FOUND_LACKING)
    elif number == 128:
        put(s, BASE_MEANS, &m, &m.outside, sizeof(m.outside), FOUND_OUTSIDE, FOUND_OUTSIDE)
    elif number == 129:
        put(s, BASE_MEANS, &m, &m.stale_tag, sizeof(m.stale_tag), 0, 0)
    elif number == 130:
        put(s, BASE_MEANS, &m, &m.pd_born, sizeof(m.pd_born), 0, 0)
    elif number == 144:
        put(s, BASE_MEANS, &m, &m.sges, sizeof(m.sges), 0, 0)
    elif number == 145:
        put(s, BASE_MEANS, &m, &m.bytes, sizeof(m.bytes), 0, 0)
    elif number == 150:
        put(s, BASE_MEANS, &m, &m.conflicts, sizeof(m.conflicts), 0, 0)
    elif number == 151:
        put(s, BASE_MEANS, &m, &m.unfenced, sizeof(m.unfenced), 0, 0)
    elif number == 152:
        put(s, BASE_MEANS, &m, &m.due, sizeof(m.due), FOUND_ROOM, FOUND_ROOM)
    elif number == 153:
        put(s, BASE_MEANS, &m, &m.room, sizeof(m.room), FOUND_ROOM, FOUND_ROOM)


cdef void place(dv_step* s) noexcept nogil:
    """Say where a step's field lies; one that is not placed is asked for by its number."""
    if s.b == OBJ_EVENT and s.c >= FIRST_HCA_FIELD:
        place_means(s, s.c)
    elif s.b == OBJ_EVENT:
        place_event(s, s.c)
    elif s.b == OBJ_REGION or s.b == OBJ_ENDED_REGION:
        place_region(s, s.b, s.c)
    elif s.b == OBJ_QP:
        place_qp(s, s.c)
    elif s.b < OBJ_MAPPINGS and s.b != BASE_CONTEXT:
        place_mapping(s, s.b, s.c)
    elif s.b == OBJ_DEVICE:
        place_device(s, s.c)


cdef void program_link(const dv_instruction* code, int32_t count, dv_step* ret) noexcept nogil:
    cdef int32_t at
    cdef dv_step* s
    memset(ret, 0, count * sizeof(dv_step))
    for at in range(count):
        s = &ret[at]
        s.op = code[at].op
        s.a = code[at].a
        s.b = code[at].b
        s.c = code[at].c
        s.target = code[at].target
        s.imm = code[at].imm
        if s.op == OP_LOAD or OP_FEQ <= s.op <= OP_XMISS or s.op == OP_SHOWF:
            place(s)
        # Jumps go where they went: the steps that the first of three stands for are still there.
        if OP_JEQ <= s.op <= OP_JLE and at >= 2 and code[at - 1].op == OP_LOAD and \
                code[at - 2].op == OP_LOAD:
            ret[at - 2].op = <uint8_t>(s.op - OP_JEQ + STEP_LOADS_JEQ)


cdef uint32_t objects_used(const dv_instruction* code, int32_t entry) noexcept nogil:
    cdef uint32_t uses = 0
    cdef int32_t at = entry, last = entry
    while True:
        if code[at].op == OP_LOAD or OP_FEQ <= code[at].op <= OP_XMISS or code[at].op == OP_SHOWF:
            uses |= <uint32_t>1 << (code[at].b & 31)
        if OP_JUMP <= code[at].op <= OP_XMISS and code[at].target > last:
            last = code[at].target
        if code[at].op <= OP_VIOLATED and at >= last:
            return uses
        at += 1


cdef uint64_t known_event(int number) noexcept nogil:
    """Return the trait that a field of the event is known, where it is a trait by itself."""
    if number == FIELD_LONGEST:
        return <uint64_t>1 << TRAIT_LONGEST
    if number == FIELD_VIRT:
        return <uint64_t>1 << TRAIT_VIRT
    return <uint64_t>1 << TRAIT_MEMORY if number == FIELD_MEMORY else 0


cdef bint guard_on(dv_guard* g, uint64_t care, uint64_t want) noexcept nogil:
    """Add traits; False where there are none, or where they gainsay what is asked already."""
    if (g.want ^ want) & g.care & care:
        return False
    g.care |= care
    g.want |= want
    return care != 0


cdef bint guard_missing(dv_guard* g, const dv_instruction* i) noexcept nogil:
    """Take in that an object or a field must be there; False where no trait tells it."""
    cdef uint64_t bits
    if i.c == 0 and (OBJ_MAPPING <= i.b < OBJ_MAPPINGS or OBJ_REGION <= i.b <= OBJ_WORK):
        return guard_on(g, <uint64_t>1 << i.b, <uint64_t>1 << i.b)
    if i.b == OBJ_MAPPING:
        bits = <uint64_t>(marks_of(i.c) & ~MARK_THERE) << TRAIT_MARKS
        return guard_on(g, bits, bits)
    if i.b == OBJ_DEVICE:
        bits = <uint64_t>limits_of(i.c) << TRAIT_LIMITS
        return guard_on(g, bits, bits)
    if OBJ_ADAPTER <= i.b <= OBJ_MDL:
        # What is not named has no fields; whether a field of what is named is known, is asked.
        bits = <uint64_t>1 << i.b
        return guard_on(g, bits, bits) and i.c == 0
    if i.b != OBJ_EVENT:
        return False
    if FIRST_NAMED <= i.c < FIRST_HCA_FIELD:
        guard_on(g, <uint64_t>1 << TRAIT_NAMED, <uint64_t>1 << TRAIT_NAMED)
        return False
    if flags_of(i.c) != 0:
        return guard_on(g, <uint64_t>flags_of(i.c) << TRAIT_FLAGS, 0)
    return guard_on(g, known_event(i.c), known_event(i.c))


cdef bint guard_take(dv_guard* g, const dv_instruction* i) noexcept nogil:
    """Take in one condition under which a rule does not apply; False where no trait tells it."""
    cdef uint64_t failed = <uint64_t>1 << TRAIT_FAILED
    if i.op == OP_XMISS:
        return guard_missing(g, i)
    if i.op == OP_XIST and i.c == 0 and (
            OBJ_MAPPING <= i.b < OBJ_MAPPINGS or OBJ_REGION <= i.b <= OBJ_WORK):
        return guard_on(g, <uint64_t>1 << i.b, 0)
    if i.b != OBJ_EVENT:
        return False
    if i.c == FIELD_FAILED and i.op == OP_FNE and i.imm <= 1:
        return guard_on(g, failed, failed * i.imm)
    if i.c == FIELD_TYPE and i.op == OP_FNE and i.imm < 16:
        g.types &= <uint32_t>1 << i.imm
        return True
    if i.c == FIELD_TYPE and i.op == OP_FNIN:
        g.types &= <uint32_t>i.imm
        return True
    return False


cdef dv_guard guard_of(const dv_instruction* code, int32_t entry) noexcept nogil:
    """Learn from a row of conditions, each of which ends in "not applicable" where it fails."""
    cdef dv_guard g
    cdef const dv_instruction* i = code + entry
    cdef bint whole = True
    g.care = g.want = 0
    g.types = ~<uint32_t>0
    g.start = entry
    while OP_FEQ <= i.op <= OP_XMISS and code[i.target].op == OP_NOT_APPLICABLE:
        whole = guard_take(&g, i) and whole
        g.start += whole
        i += 1
    return g
