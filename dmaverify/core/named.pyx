# cython: language_level=3
"""Fields of what an event names (see named.pxd)."""

from libc.stdint cimport uint32_t, uint64_t, uint8_t

from dmaverify.core.adapters cimport (
    COUNT_BUFFERS, FLUSHED_IN, FLUSHED_OUT, FREED_CHANNEL, FREED_REGISTERS, HOLDS_CHANNEL,
    IS_GRANTED, IS_LIST, IS_LOCKED, IS_MAPPED, KNOWN_ACTION, KNOWN_ALIGNMENT, KNOWN_CACHE,
    KNOWN_GRANTED, KNOWN_LENGTH, KNOWN_REGISTERS, KNOWN_VERSION, KNOWN_WIDTH, OBJECT_ADAPTER,
    OBJECT_ENDED, OBJECT_LIVE, OBJECT_MDL, SEEN_BIRTH, dv_binding, dv_named, dv_object, dv_objects,
    named_knows, objects_binding,
)
from dmaverify.model.events cimport (
    ARG_ACTION, ARG_ADAPTER, ARG_ALIGNMENT, ARG_CACHE, ARG_FILE, ARG_GRANTED, ARG_INDEX, ARG_MDL,
    ARG_ELEMENTS, ARG_MDL_LENGTH, ARG_OFFSET, ARG_REGISTERS, ARG_ROUTINE, ARG_VECTOR, ARG_VERSION,
    ARG_WIDTH, DIR_FROM_DEVICE, DIR_TO_DEVICE, dv_event,
)

from dmaverify.model.routines import IRQL_BOUNDS

cdef enum:
    ROUTINES = 64
    NO_BOUND = 255

cdef int* ARGS = [ARG_ADAPTER, ARG_FILE, ARG_MDL]  # by object type
# Fields of the event from FIRST_NAMED on that are named numbers as such.
cdef int* PLAIN = [ARG_ROUTINE, ARG_REGISTERS, ARG_GRANTED, ARG_VERSION, ARG_WIDTH, ARG_OFFSET,
                   ARG_MDL_LENGTH, ARG_ACTION, ARG_CACHE, ARG_ALIGNMENT, ARG_INDEX]
cdef uint8_t[ROUTINES] LOWEST, HIGHEST


def _fill_bounds():
    for routine in range(ROUTINES):
        LOWEST[routine], HIGHEST[routine] = IRQL_BOUNDS.get(routine, (NO_BOUND, NO_BOUND))


_fill_bounds()


cdef uint64_t irql_bound(const dv_named* named, const uint8_t* table, bint* known) noexcept nogil:
    cdef uint64_t routine = named.args[ARG_ROUTINE]
    known[0] = named_knows(named, ARG_ROUTINE) and routine < ROUTINES and \
        table[routine] != NO_BOUND
    return table[routine] if known[0] else 0


cdef uint64_t named_field(const dv_named* named, const dv_event* e, int number,
                          bint* known) noexcept nogil:
    cdef int at = number - FIRST_NAMED
    if number == 75 or number == 76:  # level, request
        return e.object
    if named == NULL:
        known[0] = number == 80
        return 0
    if number == 82 or number == 83:
        at = ARG_VECTOR if number == 82 else ARG_ELEMENTS
        known[0] = named_knows(named, at)
        return named.args[at]
    if at < 11:
        known[0] = named_knows(named, PLAIN[at])
        return named.args[PLAIN[at]]
    if number == 77:
        known[0] = named.irql != 0
        return named.irql - 1
    if number == 78:
        return irql_bound(named, LOWEST, known)
    if number == 79:
        return irql_bound(named, HIGHEST, known)
    if number == 80:
        return named_knows(named, ARG_ADAPTER) and named.args[ARG_ADAPTER] == 0
    known[0] = False
    return 0


cdef bint object_is_named(const dv_named* named, int type) noexcept nogil:
    return named != NULL and named_knows(named, ARGS[type]) and named.args[ARGS[type]] != 0


cdef uint64_t life_field(const dv_objects* o, const dv_named* named, int type, int number,
                         uint32_t gaps, bint* known) noexcept nogil:
    """Answer what all three types have: number and life."""
    cdef const dv_object* item = &o.items[named.index[type]]
    if number == 1:
        return named.args[ARGS[type]]
    known[0] = named.index[type] != 0
    if number == 2:
        # One whose beginning is not in the recording may have ended before, and be another.
        known[0] = known[0] and (item.state == OBJECT_ENDED or item.flags & SEEN_BIRTH)
        return item.state == OBJECT_LIVE
    if number == 3:
        return item.epoch != gaps
    known[0] = False
    return 0


cdef uint64_t adapter_field(const dv_object* a, int number, bint* known) noexcept nogil:
    cdef int what = (number - 20) // 3
    if number == 10:
        known[0] = a.flags & KNOWN_GRANTED != 0
        return a.granted
    if number == 11:
        known[0] = a.flags & KNOWN_ALIGNMENT != 0
        return a.alignment
    if number == 12:
        known[0] = a.flags & KNOWN_WIDTH != 0
        return a.width
    if number == 13:
        known[0] = a.flags & KNOWN_VERSION != 0
        return a.version
    if number == 14:
        return a.mapped_bytes
    if number == 15:
        return a.mappings
    if 20 <= number <= 31:  # buffers, channels, registers, lists: outstanding, made, freed
        if (number - 20) % 3 == 0:
            return a.live[what]
        return a.made[what] if (number - 20) % 3 == 1 else a.freed[what]
    known[0] = False
    return 0


cdef uint64_t file_field(const dv_object* f, int number, bint* known) noexcept nogil:
    if number == 10:
        known[0] = f.adapter != 0
        return f.adapter
    if number == 11:
        return f.flags & HOLDS_CHANNEL != 0
    if number == 12:
        return f.flags & IS_GRANTED != 0
    if number == 13:
        return f.flags & IS_LIST != 0
    if number == 14:
        known[0] = f.flags & KNOWN_REGISTERS != 0
        return f.registers
    if number == 15:
        return f.held
    if number == 16:
        known[0] = f.flags & KNOWN_ACTION != 0
        return f.action
    if number == 17:
        return f.mappings
    if number == 18:
        return f.mapped_bytes
    if number == 19:
        return f.flags & FREED_CHANNEL != 0
    if number == 20:
        return f.flags & FREED_REGISTERS != 0
    known[0] = False
    return 0


cdef uint64_t mdl_field(const dv_objects* o, const dv_named* named, int number, uint32_t gaps,
                        bint* known) noexcept nogil:
    cdef const dv_object* m = &o.items[named.index[OBJECT_MDL]]
    cdef const dv_object* a = &o.items[named.index[OBJECT_ADAPTER]]
    # An MDL of which nothing was told since the driver got its adapter was not locked since.
    cdef bint told = m.flags & SEEN_BIRTH or \
        (a.flags & SEEN_BIRTH and a.epoch == gaps)
    if number == 10 or number == 11:
        known[0] = told
        return m.flags & (IS_LOCKED if number == 10 else IS_MAPPED) != 0
    if number == 12:
        known[0] = m.flags & KNOWN_CACHE != 0
        return m.cache
    if number == 13:
        known[0] = m.flags & KNOWN_LENGTH != 0
        return m.length
    if number == 14:
        return m.mappings
    if number == 15:
        return m.live[COUNT_BUFFERS]
    if number == 16:
        known[0] = told
        return mdl_flushed(m, named)
    known[0] = False
    return 0


cdef bint mdl_flushed(const dv_object* m, const dv_named* named) noexcept nogil:
    """Tell whether caches were looked after for what an event names of an MDL."""
    cdef uint64_t offset = named.args[ARG_OFFSET] if named_knows(named, ARG_OFFSET) else 0
    cdef uint32_t needed = FLUSHED_IN | FLUSHED_OUT
    if named.direction == DIR_FROM_DEVICE:
        needed = FLUSHED_IN
    elif named.direction == DIR_TO_DEVICE:
        needed = FLUSHED_OUT
    return m.flags & needed == needed and offset >= m.moved


cdef uint64_t object_field(const dv_objects* o, const dv_named* named, int type, int number,
                           uint32_t gaps, bint* known) noexcept nogil:
    if not object_is_named(named, type):
        known[0] = False
        return 0
    if number < 10:
        return life_field(o, named, type, number, gaps, known)
    if type == OBJECT_MDL:
        return mdl_field(o, named, number, gaps, known)
    if type == OBJECT_ADAPTER:
        return adapter_field(&o.items[named.index[type]], number, known)
    return file_field(&o.items[named.index[type]], number, known)


cdef uint64_t bound_field(const dv_objects* o, uint32_t mapping, int number,
                          bint* known) noexcept nogil:
    cdef uint32_t index = objects_binding(o, mapping)
    cdef const dv_binding* one = &o.bindings[index]
    cdef int type = number - FIRST_BOUND
    known[0] = False
    if index == 0:
        return 0
    if 0 <= type <= 2:
        known[0] = one.parent[type] != 0
        return o.items[one.parent[type]].number
    if number == 67:
        known[0] = one.known >> ARG_OFFSET & 1
        return one.offset
    if number == 68:
        known[0] = one.known >> ARG_ROUTINE & 1
        return one.routine
    if number == 69:
        known[0] = one.known >> ARG_CACHE & 1
        return one.cache
    return 0
