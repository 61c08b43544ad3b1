# cython: language_level=3
"""The rule machine: fields of an event and its world, and a loop over instructions."""

from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from dmaverify.core.context cimport (
    FOUND_LACKING, FOUND_OUTSIDE, FOUND_PD, FOUND_ROOM, OBJ_ADAPTER, OBJ_DEVICE,
    OBJ_ENDED_REGION, OBJ_EVENT, OBJ_MAPPINGS, OBJ_MDL, OBJ_QP, OBJ_REGION, OBJ_TRACE, OBJ_WORK,
    dv_context, dv_meaning,
)
from dmaverify.core.facts cimport (
    FIRST_FACT, event_fact, mapping_freed_unordered, mapping_untranslated,
)
from dmaverify.core.hca_facts cimport FIRST_HCA_FIELD, hca_event_field, hca_has, hca_object_field
from dmaverify.core.named cimport FIRST_BOUND, bound_field, object_field, object_is_named
from dmaverify.core.hca_state cimport dv_hca_now
from dmaverify.core.objects cimport dv_verb_object
from dmaverify.core.work cimport dv_work
from dmaverify.core.world cimport (
    MARK_BOUNCED, MARK_DIRECTION, MARK_FREED, MARK_LENGTH, MARK_PHYS, MARK_VIRT,
    MARK_WHOLE_PAGES, STATE_GHOST, dv_device, dv_mapping, dv_place, dv_world,
)
from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN, F_MMIO, F_NULL_CPU, F_PHYS_UNKNOWN,
    F_SKIP_SYNC, F_TIME_UNKNOWN, F_TRUNCATED, KIND_DEVICE_LIMITS, KIND_MEMORY, dv_event,
    event_failed, event_type,
)

cdef extern from *:
    bint unlikely(bint) noexcept nogil  # Cython's own


cdef dv_verb_object NO_OBJECT
cdef dv_meaning NO_MEANING
cdef dv_hca_now NOTHING_NOW
cdef dv_work NO_WORK


cdef void frame_nothing(dv_frame* f) noexcept nogil:
    f.base[OBJ_REGION] = f.base[OBJ_ENDED_REGION] = f.base[OBJ_QP] = <const char*>&NO_OBJECT
    f.base[OBJ_WORK] = <const char*>&NO_WORK
    f.base[BASE_MEANS] = <const char*>&NO_MEANING
    f.base[BASE_NOW] = <const char*>&NOTHING_NOW
    f.state[BASE_NOW] = 0
    f.state[OBJ_REGION] = f.state[OBJ_ENDED_REGION] = f.state[OBJ_QP] = 0
    f.state[OBJ_WORK] = f.state[BASE_MEANS] = 0


cdef void frame_means(dv_frame* f, const dv_context* c) noexcept nogil:
    cdef const dv_meaning* m = c.means
    cdef const dv_verb_object* items = c.hca.items
    cdef const dv_work* works = c.works.items
    f.base[OBJ_REGION] = <const char*>&items[m.region]
    f.state[OBJ_REGION] = items[m.region].marks
    f.base[OBJ_ENDED_REGION] = <const char*>&items[m.ended]
    f.state[OBJ_ENDED_REGION] = items[m.ended].marks
    f.base[OBJ_QP] = <const char*>&items[m.qp]
    f.state[OBJ_QP] = items[m.qp].marks
    f.base[OBJ_WORK] = <const char*>&works[m.work]
    f.state[OBJ_WORK] = m.work != 0
    f.base[BASE_MEANS] = <const char*>m
    f.base[BASE_NOW] = <const char*>&c.hca.now
    f.state[BASE_NOW] = 0
    f.state[BASE_MEANS] = <uint16_t>(
        (FOUND_OUTSIDE if m.outside_known else 0) | (FOUND_PD if m.pd_known else 0) |
        (FOUND_ROOM if m.room != 0 else 0) |
        (FOUND_LACKING if m.lacking_known else 0))


cdef inline uint64_t event_field(const dv_context* c, int number, bint* known) noexcept nogil:
    cdef const dv_event* e = c.event
    if number >= FIRST_FACT:
        return event_fact(c, number, known)
    if number == 1:
        known[0] = not e.flags & F_BUS_UNKNOWN
        return e.bus_addr
    if number == 2:
        known[0] = not e.flags & F_PHYS_UNKNOWN
        return e.phys_addr
    if number == 3:
        known[0] = not e.flags & F_LENGTH_UNKNOWN
        return e.length
    if number == 4:
        known[0] = not e.flags & F_DIRECTION_UNKNOWN
        return e.direction
    if number == 5:
        return event_type(e)
    if number == 6:
        known[0] = c.world.time_known and not e.flags & F_TIME_UNKNOWN
        return e.time
    if number == 7:
        return e.cpu
    if number == 8:
        return c.count
    if number == 9:
        known[0] = c.longest != 0
        return c.longest
    if number == 10:
        known[0] = c.virt_known
        return c.virt
    if number == 11:
        return event_failed(e)
    if number == 12:
        return e.flags & F_NULL_CPU != 0
    if number == 13:
        return e.flags & F_TRUNCATED != 0
    if number == 14:
        return e.flags & F_SKIP_SYNC != 0
    if number == 15:
        return e.flags & F_MMIO != 0
    if number == 16:
        known[0] = not e.flags & F_BUS_UNKNOWN
        return ~e.bus_addr + 1 if e.bus_addr != 0 else ~<uint64_t>0
    if number == 17:
        return e.phys_addr
    if number == 18:
        return e.phys_addr if e.kind == KIND_DEVICE_LIMITS else e.bus_addr
    if number == 19:
        return c.may_predate
    if number == 20:
        return c.crossing
    if number == 21:
        return c.overlaps
    if number == 22:
        return c.matching
    if number == 23:
        return e.kind
    if number == 24:
        return e.site
    if number == 25:
        return c.past_end
    if number == 26:
        return c.into
    if number == 27:
        known[0] = not e.flags & F_LENGTH_UNKNOWN
        return e.length
    if number == 28:
        known[0] = not e.flags & F_BUS_UNKNOWN
        return e.bus_addr
    if number == 29:
        return c.candidates
    if number == 30:
        return c.world.devices[c.device].failures
    if number == 31:
        if e.kind == KIND_MEMORY:
            return e.object
        known[0] = c.memory != 0
        return c.memory
    if number == 32:
        return c.stale
    if number == 33:
        return c.unsent
    if number == 34:
        return c.provenance
    if number == 35:
        return e.object
    known[0] = False
    return 0


cdef uint64_t elapsed(const dv_context* c, const dv_place* since, bint* known) noexcept nogil:
    known[0] = c.world.time_known and not c.event.flags & F_TIME_UNKNOWN and since.flags & 1
    # CPUs are merged by time, but a text trace may still step back a little.
    return c.event.time - since.time if c.event.time >= since.time else 0


cdef inline uint64_t mapping_field(const dv_context* c, uint32_t index, int number,
                                   bint* known) noexcept nogil:
    cdef const dv_mapping* m = &c.world.mappings[index]
    if number == 1:
        return m.bus_addr
    if number == 2:
        known[0] = m.marks & MARK_PHYS != 0
        return m.phys_addr
    if number == 3:
        known[0] = m.marks & MARK_LENGTH != 0
        return m.length
    if number == 4:
        known[0] = m.marks & MARK_DIRECTION != 0
        return m.direction
    if number == 5:
        return m.type
    if number == 6:
        return m.count
    if number == 7:
        return m.segments
    if number == 8:
        return m.flags & F_TRUNCATED != 0
    if number == 9:
        known[0] = m.marks & MARK_VIRT != 0
        return m.virt_addr
    if number == 10:
        return elapsed(c, &m.made, known)
    if number == 11:
        return m.device
    if number == 12:
        return m.marks & MARK_BOUNCED != 0
    if number == 13:
        return m.flags & F_SKIP_SYNC != 0
    if number == 14:
        return m.flags & F_MMIO != 0
    if number == 15:
        return m.marks & MARK_WHOLE_PAGES != 0
    if number == 16:
        return m.syncs
    if number == 17:
        return m.made.site
    if number == 18:
        return elapsed(c, &m.ended, known) if m.state == STATE_GHOST else 0
    if number == 19:
        return m.epoch != c.world.gaps
    if number == 20:
        known[0] = c.world.time_known and m.made.flags & 1
        return m.made.time
    if number == 21:
        return m.transfers
    if number == 22:
        return m.unsynced_reads
    if number == 23:
        return mapping_untranslated(c, index)
    if number == 24:
        return m.marks & MARK_FREED != 0
    if number == 25:
        known[0] = False
        return elapsed(c, &m.ended, known) if m.marks & MARK_FREED else 0
    if number == 26:
        return mapping_freed_unordered(c, index)
    if number >= FIRST_BOUND:
        return bound_field(&c.world.objects, index, number, known)
    known[0] = False
    return 0


cdef uint64_t device_field(const dv_context* c, int number, bint* known) noexcept nogil:
    cdef const dv_device* d = &c.world.devices[c.device]
    if number == 0:
        return c.device
    if number == 1:
        return d.live
    if number == 2:
        return d.maps
    if number == 3:
        return d.unmaps
    if number == 4:
        return d.syncs
    if number == 5:
        return d.bounces
    if number == 6:
        return d.probe_seen
    if number == 7:
        return d.iommu_seen
    if number == 8:
        known[0] = d.limits & 1 != 0
        return d.max_segment
    if number == 9:
        known[0] = d.limits & 2 != 0
        return d.boundary
    if number == 10:
        known[0] = d.limits & 4 != 0
        return d.dma_mask
    if number == 11:
        return d.probe_epoch != c.world.gaps
    if number == 12:
        return d.unbinds
    if number == 13:
        return d.truncated_live
    if number == 14:
        return d.allocs
    if number == 15:
        return d.frees
    known[0] = False
    return 0


cdef uint64_t trace_field(const dv_context* c, int number, bint* known) noexcept nogil:
    cdef const dv_world* w = c.world
    if number == 1:
        return w.lost
    if number == 2:
        return w.gaps
    if number == 3:
        return w.iommu_events
    if number == 4:
        return w.time_known
    if number == 5:
        return w.syncs_traced
    if number == 20:
        known[0] = c.hca != NULL
        return c.hca.exits != 0 if c.hca != NULL else 0
    known[0] = False
    return 0


cdef inline uint64_t look_up(const dv_context* c, int obj, int number,
                             bint* known) noexcept nogil:
    cdef uint64_t value = 0
    known[0] = True
    if obj == OBJ_EVENT and number >= FIRST_HCA_FIELD:
        value = hca_event_field(c, number, known)
    elif obj >= OBJ_REGION:
        value = hca_object_field(c, obj, number, known)
    elif obj == OBJ_EVENT:
        value = event_field(c, number, known)
    elif obj < OBJ_MAPPINGS:
        if c.meant[obj] == 0:
            known[0] = False
        else:
            value = mapping_field(c, c.meant[obj], number, known)
    elif obj == OBJ_DEVICE:
        value = device_field(c, number, known)
    elif obj == OBJ_TRACE:
        value = trace_field(c, number, known)
    elif OBJ_ADAPTER <= obj <= OBJ_MDL:
        value = object_field(&c.world.objects, c.named, obj - OBJ_ADAPTER, number, c.world.gaps,
                             known)
    else:
        known[0] = False
    return value if known[0] else 0


cdef uint64_t field_value(const dv_context* c, int obj, int number, bint* known) noexcept nogil:
    return look_up(c, obj, number, known)


cdef bint is_known(const dv_context* c, int obj, int number) noexcept nogil:
    cdef bint known = True
    if number == 0 and obj >= OBJ_REGION:
        return hca_has(c, obj)
    if number == 0:
        if OBJ_ADAPTER <= obj <= OBJ_MDL:
            return object_is_named(c.named, obj - OBJ_ADAPTER)
        return c.meant[obj] != 0 if 0 < obj < OBJ_MAPPINGS else obj == OBJ_DEVICE or obj == 0
    look_up(c, obj, number, &known)
    return known


cdef inline bint step_knows(const dv_frame* f, const dv_step* i) noexcept nogil:
    if i.mask == 0:
        return is_known(f.context, i.b, i.c)
    return (f.state[i.base] ^ i.want) & i.care == 0


cdef uint64_t asked_field(const dv_frame* f, const dv_step* i) noexcept nogil:
    cdef bint known = True
    return look_up(f.context, i.b, i.c, &known)


cdef inline uint64_t step_field(const dv_frame* f, const dv_step* i) noexcept nogil:
    """Return the value of a step's field; 0 where it is not known."""
    cdef uint64_t word
    if unlikely(i.mask == 0):
        return asked_field(f, i)
    memcpy(&word, f.base[i.base] + i.offset, sizeof(uint64_t))
    return (word >> i.shift) & i.mask if (f.state[i.base] ^ i.want) & i.care == 0 else 0


cdef inline const dv_step* step_loads(const dv_frame* f, const dv_step* i,
                                      uint64_t* r) noexcept nogil:
    """Load two registers, and return the comparison that follows."""
    r[i.a] = step_field(f, i)
    i += 1
    r[i.a] = step_field(f, i)
    return i + 1


cdef bint arithmetic(int op, uint64_t x, uint64_t y, uint64_t* ret) noexcept nogil:
    """Compute x op y; False where the result does not exist or does not fit."""
    if op == OP_ADD:
        ret[0] = x + y
        return ret[0] >= x
    if op == OP_SUB:
        ret[0] = x - y
        return x >= y
    if op == OP_MUL:
        ret[0] = x * y
        return x == 0 or ret[0] // x == y
    if op == OP_DIV or op == OP_MOD:
        if y == 0:
            return False
        ret[0] = x // y if op == OP_DIV else x % y
        return True
    if op == OP_AND:
        ret[0] = x & y
    elif op == OP_OR:
        ret[0] = x | y
    elif op == OP_XOR:
        ret[0] = x ^ y
    elif y > 63:
        return False
    elif op == OP_SHR:
        ret[0] = x >> y
    else:
        ret[0] = x << y
        return ret[0] >> y == x
    return True


cdef void show(dv_shown* shown, int slot, uint64_t value, bint known) noexcept nogil:
    shown.values[slot] = value
    if known:
        shown.known |= <unsigned char>(1 << slot)
    if slot >= shown.count:
        shown.count = <unsigned char>(slot + 1)


cdef int rule_run(const dv_step* code, int32_t entry, const dv_frame* f,
                  dv_shown* shown) noexcept nogil:
    cdef uint64_t r[16]
    cdef uint64_t x
    cdef bint jump = False
    cdef const dv_step* i = code + entry
    cdef int op
    # One chain of equalities: the compiler makes a jump table of it.
    while True:
        op = i.op
        if op == OP_HOLDS:
            return OP_HOLDS
        elif op == OP_NOT_APPLICABLE:
            return OP_NOT_APPLICABLE
        elif op == OP_VIOLATED:
            return OP_VIOLATED
        elif op == OP_CONST:
            r[i.a] = i.imm
            i += 1
            continue
        elif op == OP_LOAD:
            r[i.a] = step_field(f, i)
            i += 1
            continue
        elif op == OP_JUMP:
            i = code + i.target
            continue
        elif op == OP_JEQ:
            jump = r[i.b] == r[i.c]
        elif op == OP_JNE:
            jump = r[i.b] != r[i.c]
        elif op == OP_JLT:
            jump = r[i.b] < r[i.c]
        elif op == OP_JLE:
            jump = r[i.b] <= r[i.c]
        elif op == OP_FEQ:
            jump = step_field(f, i) == i.imm
        elif op == OP_FNE:
            jump = step_field(f, i) != i.imm
        elif op == OP_FLT:
            jump = step_field(f, i) < i.imm
        elif op == OP_FLE:
            jump = step_field(f, i) <= i.imm
        elif op == OP_FGT:
            jump = step_field(f, i) > i.imm
        elif op == OP_FGE:
            jump = step_field(f, i) >= i.imm
        elif op == OP_FIN:
            x = step_field(f, i)
            jump = x < 64 and (i.imm >> x) & 1 != 0
        elif op == OP_FNIN:
            x = step_field(f, i)
            jump = x >= 64 or (i.imm >> x) & 1 == 0
        elif op == OP_XIST:
            jump = step_knows(f, i)
        elif op == OP_XMISS:
            jump = not step_knows(f, i)
        elif op == STEP_LOADS_JEQ:
            i = step_loads(f, i, r)
            jump = r[i.b] == r[i.c]
        elif op == STEP_LOADS_JNE:
            i = step_loads(f, i, r)
            jump = r[i.b] != r[i.c]
        elif op == STEP_LOADS_JLT:
            i = step_loads(f, i, r)
            jump = r[i.b] < r[i.c]
        elif op == STEP_LOADS_JLE:
            i = step_loads(f, i, r)
            jump = r[i.b] <= r[i.c]
        elif op == OP_SHOW:
            show(shown, i.a, r[i.b], True)
            jump = False
        elif op == OP_SHOWF:
            show(shown, i.a, step_field(f, i), step_knows(f, i))
            jump = False
        else:
            if not arithmetic(op, r[i.b], r[i.c], &r[i.a]):
                return OUT_FAULT
            jump = False
        i = code + i.target if jump else i + 1


cdef bint program_check(const dv_instruction* code, int32_t count) noexcept nogil:
    cdef int32_t at
    cdef const dv_instruction* i
    for at in range(count):
        i = &code[at]
        if i.op >= OP_COUNT:
            return False
        if OP_JUMP <= i.op <= OP_XMISS and not (at < i.target < count):
            return False
        if i.op > OP_VIOLATED and at + 1 == count:
            return False
        if OP_CONST <= i.op <= OP_SHR and i.a >= REGISTERS:
            return False
        if OP_ADD <= i.op <= OP_SHR or OP_JEQ <= i.op <= OP_JLE:
            if i.b >= REGISTERS or i.c >= REGISTERS:
                return False
        if i.op == OP_SHOW and i.b >= REGISTERS:
            return False
        if i.op >= OP_SHOW and i.a >= SHOWN:
            return False
    return True
