# cython: language_level=3
"""Fields as places in memory, and traits as bits: a program made ready to run (see link.pxd)."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memset

from dmaverify.core.context cimport (
    OBJ_ADAPTER, OBJ_DEVICE, OBJ_EVENT, OBJ_MAPPING, OBJ_MAPPINGS, OBJ_MDL, OBJ_REGION,
    OBJ_WORK,
)
from dmaverify.core.hca_facts cimport FIRST_HCA_FIELD
from dmaverify.core.named cimport FIRST_NAMED
from dmaverify.core.places cimport (
    dv_places, dv_where, flags_of, limits_of, marks_of, place_find, places_fill,
)
from dmaverify.core.vm cimport (
    OP_FEQ, OP_FNE, OP_FNIN, OP_JEQ, OP_JLE, OP_JUMP, OP_LOAD, OP_NOT_APPLICABLE, OP_SHOWF,
    OP_VIOLATED, OP_XIST, OP_XMISS, STEP_LOADS_JEQ, dv_instruction, dv_step,
)
from dmaverify.core.world cimport MARK_THERE

cdef enum:                   # model/fields.py: fields that only the traits below name
    FIELD_TYPE = 5
    FIELD_LONGEST = 9
    FIELD_VIRT = 10
    FIELD_FAILED = 11
    FIELD_MEMORY = 31
    FIELD_SGE = 198
    FIELD_FITS = 201
    FIELD_INVALIDATED = 203


cdef void place(dv_step* s, const dv_places* p) noexcept nogil:
    """Say where a step's field lies; one that is not placed is asked for by its number."""
    cdef const dv_where* at = place_find(p, s.b, s.c)
    if at == NULL:
        return
    s.base = at.base if at.base != OBJ_MAPPING and at.base != OBJ_REGION else s.b
    s.offset = at.offset
    s.shift = at.shift
    s.mask = at.mask
    s.care = at.care
    s.want = at.want


cdef void program_link(const dv_instruction* code, int32_t count, dv_step* ret) noexcept nogil:
    cdef int32_t at
    cdef dv_step* s
    cdef dv_places p
    places_fill(&p)
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
            place(s, &p)
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
    if i.c == FIELD_SGE or i.c == FIELD_FITS or i.c == FIELD_INVALIDATED:
        bits = <uint64_t>1 << (TRAIT_SGE if i.c == FIELD_SGE else
                               TRAIT_FITS if i.c == FIELD_FITS else TRAIT_INVALIDATED)
        return guard_on(g, bits, bits)
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
