# cython: language_level=3
"""Incidents, grouped as they happen (see incidents.pxd)."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from dmaverify.core.context cimport dv_context
from dmaverify.core.table cimport table_deinit, table_get, table_init, table_mix, table_set
from dmaverify.model.events cimport (
    KIND_DEV_FAULT, device_reaches, device_reads, device_writes, dv_event,
)

cdef uint64_t PAGE = 4096


cdef int incidents_init(dv_incidents* s, uint64_t seed) noexcept nogil:
    memset(s, 0, sizeof(dv_incidents))
    return table_init(&s.keys, 64, seed)


cdef void incidents_deinit(dv_incidents* s) noexcept nogil:
    free(s.items)
    table_deinit(&s.keys)
    memset(s, 0, sizeof(dv_incidents))


cdef uint64_t key_of(const dv_context* c, uint32_t platforms, const dv_verdict* v,
                     uint32_t index) noexcept nogil:
    """What is the same mistake with the same outcome about the same mapping, or the same page
    where there is none, is one incident.
    """
    cdef uint64_t key = table_mix(<uint64_t>v.mistake << 32 ^ c.device)
    cdef uint32_t p
    key = table_mix(key ^ <uint64_t>c.event.direction << 16 ^ <uint64_t>c.event.kind << 8 ^
                    v.rests_on_syncs << 1 ^ v.across_gap)
    if index != 0:
        key = table_mix(key ^ c.world.mappings[index].serial)
    else:
        key = table_mix(key ^ ~(c.event.bus_addr // PAGE))
    for p in range(platforms):
        key = table_mix(key ^ (
            <uint64_t>v.effect[p] << 16 | <uint64_t>v.cause[p] << 8 | v.stage[p]))
    return key | 1


cdef bint harmless(uint32_t platforms, const dv_verdict* v) noexcept nogil:
    cdef uint32_t p
    for p in range(platforms):
        if v.effect[p] != EFFECT_WORKS:
            return False
    return True


cdef bint wanted(dv_incidents* s, uint32_t platforms, const dv_verdict* v) noexcept nogil:
    """Tell whether a new incident is kept: there is room, or no other one tells its effect."""
    cdef uint32_t p
    if s.count < INCIDENTS_MAX:
        return True
    for p in range(platforms):
        if not s.seen[p][v.effect[p]]:
            return True
    return False


cdef void tell(dv_incident* item, const dv_context* c, uint32_t index, uint64_t ordinal,
               uint64_t length) noexcept nogil:
    item.event = c.event[0]
    item.number = c.number[0]
    item.ordinal = ordinal
    item.length = length
    item.has_mapping = index != 0
    if index != 0:
        item.mapping = c.world.mappings[index]
        item.mapping.list = NULL  # its owner is the world


cdef int incident_add(dv_incidents* s, const dv_context* c, uint32_t platforms,
                      const dv_verdict* v, uint32_t index, uint64_t ordinal,
                      uint64_t length) noexcept nogil:
    cdef uint64_t key
    cdef uint32_t held, p
    cdef dv_incident* item
    cdef void* block
    if harmless(platforms, v):
        return 0
    key = key_of(c, platforms, v, index)
    held = table_get(&s.keys, key)
    if held != 0:
        s.items[held - 1].count += 1
        return 0
    if not wanted(s, platforms, v):
        s.overflow += 1
        return 0
    if s.count == s.capacity:
        block = realloc(s.items, (<size_t>s.capacity * 2 + 16) * sizeof(dv_incident))
        if block == NULL:
            return -1
        s.items = <dv_incident*>block
        s.capacity = s.capacity * 2 + 16
    item = &s.items[s.count]
    memset(item, 0, sizeof(dv_incident))
    item.verdict = v[0]
    item.count = 1
    tell(item, c, index, ordinal, length)
    if device_reaches(c.event):
        s.faults += c.event.kind == KIND_DEV_FAULT
        s.accesses += c.event.kind != KIND_DEV_FAULT
    for p in range(platforms):
        s.seen[p][v.effect[p]] = 1
    s.count += 1
    return table_set(&s.keys, key, s.count)


cdef dv_incident* incident_at(dv_incidents* s, const dv_event* e, bint fault) noexcept nogil:
    cdef uint32_t i
    cdef dv_incident* item
    cdef const dv_event* o
    cdef uint64_t page, first, last
    if (s.faults if fault else s.accesses) == 0:
        return NULL
    for i in range(s.count):
        item = &s.items[s.count - 1 - i]
        o = &item.event
        if not device_reaches(o) or o.device != e.device or (o.kind == KIND_DEV_FAULT) != fault:
            continue
        if (device_writes(o) and device_reads(e)) or (device_reads(o) and device_writes(e)):
            continue
        # An access that runs into the next page faults there.
        page = (o.bus_addr if fault else e.bus_addr) // PAGE
        first = (e.bus_addr if fault else o.bus_addr) // PAGE
        last = first + ((e.length if fault else o.length) + PAGE - 1) // PAGE
        if first <= page <= last:
            return item
    return NULL


cdef void incident_retell(dv_incidents* s, dv_incident* item, const dv_context* c,
                          const dv_verdict* v, uint32_t index, uint64_t ordinal,
                          uint64_t length) noexcept nogil:
    s.faults -= item.event.kind == KIND_DEV_FAULT
    s.accesses += 1
    item.verdict = v[0]
    item.count = 1
    item.retold = 1
    tell(item, c, index, ordinal, length)
