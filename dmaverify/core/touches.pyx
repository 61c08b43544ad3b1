# cython: language_level=3
"""Touches of memory, and ends of mappings (see touches.pxd)."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset


cdef int touches_init(dv_touches* t) noexcept nogil:
    memset(t, 0, sizeof(dv_touches))
    t.items = <dv_touch*>calloc(TOUCHES, sizeof(dv_touch))
    t.ends = <uint32_t*>calloc(ENDS, sizeof(uint32_t))
    return 0 if t.items != NULL and t.ends != NULL else -1


cdef void touches_deinit(dv_touches* t) noexcept nogil:
    free(t.items)
    free(t.ends)
    memset(t, 0, sizeof(dv_touches))


cdef void touch(dv_touches* t, const dv_touch* one) noexcept nogil:
    if one.length == 0:
        return
    t.items[t.next] = one[0]
    t.by_device += one.what >= DEVICE_WRITES
    t.by_cpu += one.what == CPU_WRITES
    t.next = t.next + 1 if t.next + 1 < TOUCHES else 0
    if t.count < TOUCHES:
        t.count += 1


cdef void touched(dv_touches* t, uint64_t phys, uint64_t length, uint32_t record, int what,
                  int mistake) noexcept nogil:
    cdef dv_touch one
    memset(&one, 0, sizeof(dv_touch))
    one.phys_addr = phys
    one.length = length
    one.record = record
    one.what = <uint8_t>what
    one.mistake = <uint8_t>mistake
    touch(t, &one)


cdef inline bint meets(const dv_touch* one, uint64_t phys, uint64_t length) noexcept nogil:
    """Tell whether a touch is of a byte of a range, which may end at the top of all."""
    return one.phys_addr - phys < length if one.phys_addr >= phys else \
        phys - one.phys_addr < one.length


cdef const dv_touch* last_touch(const dv_touches* t, uint64_t phys, uint64_t length,
                                int but) noexcept nogil:
    cdef uint32_t _, at = t.next
    for _ in range(t.count):
        at = at - 1 if at != 0 else TOUCHES - 1
        if t.items[at].what != but and meets(&t.items[at], phys, length):
            return &t.items[at]
    return NULL


cdef void search(const dv_touches* t, bint device, uint32_t since, uint64_t phys,
                 uint64_t length, uint32_t age, uint32_t* steps,
                 const dv_touch** found, uint64_t* bytes) noexcept nogil:
    """Look for what was newest of each part of a range, among all touches but the `age` newest:
    the device's, or what the CPU wrote, later than an event.
    """
    cdef const dv_touch* one
    cdef uint64_t before, past
    while age < t.count and length != 0 and steps[0] < STEPS_MAX:
        steps[0] += 1
        one = &t.items[(t.next + TOUCHES - 1 - age) % TOUCHES]
        age += 1
        if not meets(one, phys, length):
            continue
        before = one.phys_addr - phys if one.phys_addr > phys else 0
        past = phys - one.phys_addr if phys > one.phys_addr else 0
        past = min(one.length - past, length - before)  # bytes of the range that it touched
        if one.record > since and (
                one.what >= DEVICE_WRITES if device else one.what == CPU_WRITES):
            if found[0] == NULL:
                found[0] = one
            bytes[0] += past
        search(t, device, since, phys, before, age, steps, found, bytes)
        phys += before + past
        length -= before + past


cdef const dv_touch* newest_by_device(const dv_touches* t, uint64_t phys, uint64_t length,
                                      uint64_t* bytes) noexcept nogil:
    cdef const dv_touch* found = NULL
    cdef uint32_t steps = 0
    bytes[0] = 0
    if t.by_device != 0:
        search(t, True, 0, phys, length, 0, &steps, &found, bytes)
    return found


cdef uint64_t dirty_bytes(const dv_touches* t, uint64_t phys, uint64_t length,
                          uint32_t since) noexcept nogil:
    cdef const dv_touch* found = NULL
    cdef uint32_t steps = 0
    cdef uint64_t bytes = 0
    if t.by_cpu != 0:
        search(t, False, since, phys, length, 0, &steps, &found, &bytes)
    return bytes


cdef bint cpu_wrote_since(const dv_touches* t, uint64_t phys, uint64_t length,
                          uint32_t record) noexcept nogil:
    cdef const dv_touch* one
    if t.by_cpu == 0:
        return False
    one = last_touch(t, phys, length, CLEANED)
    return one != NULL and one.what == CPU_WRITES and one.record > record


cdef void end_seen(dv_touches* t, uint32_t record) noexcept nogil:
    t.ends[t.end_count % ENDS] = record
    t.end_count += 1


cdef uint32_t ends_since(const dv_touches* t, uint32_t record) noexcept nogil:
    cdef uint64_t low = 0, high = t.end_count if t.end_count < ENDS else ENDS, middle
    # Of the newest `low` each is later; of the newest `high` not all are, or none is left.
    while low < high:
        middle = (low + high) // 2
        if t.ends[(t.end_count - 1 - middle) % ENDS] > record:
            low = middle + 1
        else:
            high = middle
    return <uint32_t>low
