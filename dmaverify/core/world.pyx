# cython: language_level=3
"""The state of the replay: devices, room for mappings, and what is known of them."""

from libc.stdint cimport uint32_t, uint64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset

from dmaverify.core.adapters cimport objects_deinit, objects_init
from dmaverify.core.commands cimport commands_deinit
from dmaverify.core.shadow cimport shadow_deinit, shadow_init
from dmaverify.core.table cimport table_deinit, table_init
from dmaverify.core.transfers cimport transfers_deinit


# Copied to begin with: for a struct of this size the compiler clears memory by a slow loop.
cdef dv_mapping NO_MAPPING


cdef int world_init(dv_world* w, uint64_t seed, uint32_t ghost_limit,
                    uint64_t live_limit) noexcept nogil:
    memset(w, 0, sizeof(dv_world))
    w.ghost_limit = ghost_limit
    w.live_limit = live_limit
    w.time_known = 1
    w.commands.seed = seed
    w.mapping_capacity = 1024
    w.mapping_count = 1
    w.device_capacity = 16
    w.device_count = 1
    w.mappings = <dv_mapping*>malloc(w.mapping_capacity * sizeof(dv_mapping))
    w.devices = <dv_device*>calloc(w.device_capacity, sizeof(dv_device))
    w.cpu_rows = <uint8_t*>calloc(CPUS, 1)
    if w.mappings == NULL or w.devices == NULL or w.cpu_rows == NULL:
        return -1
    w.mappings[0] = NO_MAPPING
    if ghost_limit >= RING_LEAST:
        w.ring.capacity = RING_LEAST
        w.ring.mappings = <dv_mapping*>malloc(RING_LEAST * sizeof(dv_mapping))
        w.ring.keys = <dv_ended*>malloc(RING_LEAST * sizeof(dv_ended))
        if w.ring.mappings == NULL or w.ring.keys == NULL:
            return -1
    if shadow_init(&w.shadow, seed) < 0 or table_init(&w.lists, 1024, seed) < 0:
        return -1
    if objects_init(&w.objects, seed) < 0:
        return -1
    return table_init(&w.iommu, 4096, seed)


cdef void world_deinit(dv_world* w) noexcept nogil:
    cdef uint32_t i
    if w.mappings != NULL:
        for i in range(1, w.mapping_count):
            if w.mappings[i].state != STATE_FREE:
                free(w.mappings[i].list)
    free(w.mappings)
    free(w.devices)
    free(w.cpu_rows)
    ring_deinit(&w.ring)
    shadow_deinit(&w.shadow)
    table_deinit(&w.lists)
    table_deinit(&w.iommu)
    transfers_deinit(&w.open)
    commands_deinit(&w.commands)
    objects_deinit(&w.objects)
    memset(w, 0, sizeof(dv_world))


cdef dv_device* world_device(dv_world* w, uint32_t number) noexcept nogil:
    cdef uint32_t capacity = w.device_capacity
    cdef void* p
    if number >= capacity:
        while capacity <= number:
            capacity *= 2
        p = realloc(w.devices, capacity * sizeof(dv_device))
        if p == NULL:
            return NULL
        w.devices = <dv_device*>p
        memset(w.devices + w.device_capacity, 0,
               (capacity - w.device_capacity) * sizeof(dv_device))
        w.device_capacity = capacity
    if number >= w.device_count:
        w.device_count = number + 1
    return &w.devices[number]


cdef uint32_t mapping_new(dv_world* w) noexcept nogil:
    cdef uint32_t index = w.mapping_free
    cdef void* p
    if index != 0:
        w.mapping_free = w.mappings[index].next
    else:
        if w.mapping_count == w.mapping_capacity:
            p = realloc(w.mappings, <size_t>w.mapping_capacity * 2 * sizeof(dv_mapping))
            if p == NULL:
                return 0
            w.mappings = <dv_mapping*>p
            w.mapping_capacity *= 2
        index = w.mapping_count
        w.mapping_count += 1
    w.mappings[index] = NO_MAPPING
    return index


cdef void mapping_release(dv_world* w, uint32_t index) noexcept nogil:
    cdef dv_mapping* m = &w.mappings[index]
    free(m.list)
    m.list = NULL
    m.state = STATE_FREE
    m.next = w.mapping_free
    w.mapping_free = index


cdef void ring_deinit(dv_ring* r) noexcept nogil:
    free(r.mappings)
    free(r.keys)
    memset(r, 0, sizeof(dv_ring))
