# cython: language_level=3
"""Objects of HCAs: an arena, their names, their tasks, and the memory of those that ended."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from dmaverify.core.hca_state cimport (
    HOLD_HEADER, HOLD_QUEUE, HOLD_RANGE, HOLD_ODP, HOLD_WRITTEN, holds_deinit, holds_drop,
    owner_object,
)
from dmaverify.core.pool cimport pool_room
from dmaverify.core.table cimport (
    dv_slot, table_deinit, table_find, table_get, table_init, table_mix, table_remove, table_set,
)
from dmaverify.core.world cimport dv_place


cdef enum:                   # model/kinds.py: RegionType
    FIRST_WINDOW = 8         # what is bound counts as the window that it is of


cdef int verb_objects_init(dv_verb_objects* o, uint64_t seed, uint32_t live_limit,
                           uint32_t ended_limit) noexcept nogil:
    memset(o, 0, sizeof(dv_verb_objects))
    o.live_limit = live_limit
    o.ended_limit = ended_limit if ended_limit > 0 else 1
    o.capacity = 64
    o.count = 1
    o.task_capacity = 16
    o.task_count = 1
    o.items = <dv_verb_object*>calloc(o.capacity, sizeof(dv_verb_object))
    o.task_items = <dv_task*>calloc(o.task_capacity, sizeof(dv_task))
    o.held.seed = o.told.seed = seed
    if o.items == NULL or o.task_items == NULL:
        return -1
    if table_init(&o.named, 64, seed) < 0 or table_init(&o.domains, 16, seed) < 0:
        return -1
    return table_init(&o.tasks, 64, seed)


cdef void verb_objects_deinit(dv_verb_objects* o) noexcept nogil:
    free(o.items)
    free(o.task_items)
    table_deinit(&o.named)
    table_deinit(&o.domains)
    table_deinit(&o.tasks)
    holds_deinit(&o.held)
    holds_deinit(&o.told)
    memset(o, 0, sizeof(dv_verb_objects))


cdef inline uint64_t name_key(uint32_t device, int sort, uint32_t number) noexcept nogil:
    return <uint64_t>device << 40 | <uint64_t>sort << 32 | number


cdef inline uint64_t domain_key(uint32_t device, uint64_t pd) noexcept nogil:
    return table_mix(pd) ^ table_mix(device + 1)


cdef uint32_t verb_object_named(const dv_verb_objects* o, uint32_t device, int sort,
                                uint32_t number) noexcept nogil:
    return table_get(&o.named, name_key(device, sort, number))


cdef uint32_t verb_object_domain(const dv_verb_objects* o, uint32_t device,
                                 uint64_t pd) noexcept nogil:
    return table_get(&o.domains, domain_key(device, pd)) if o.domains.count != 0 else 0


cdef dv_task* task_of(dv_verb_objects* o, uint32_t site) noexcept nogil:
    cdef uint32_t index = table_get(&o.tasks, <uint64_t>site + 1)
    cdef void* p
    if index != 0:
        return &o.task_items[index]
    p = pool_room(o.task_items, o.task_count, &o.task_capacity, sizeof(dv_task))
    if p == NULL:
        return NULL
    o.task_items = <dv_task*>p
    index = o.task_count
    if table_set(&o.tasks, <uint64_t>site + 1, index) < 0:
        return NULL
    o.task_count += 1
    o.task_items[index].site = site
    return &o.task_items[index]


cdef uint32_t item_new(dv_verb_objects* o) noexcept nogil:
    cdef uint32_t index = o.free
    cdef void* p
    if index != 0:
        o.free = o.items[index].next
        memset(&o.items[index], 0, sizeof(dv_verb_object))
        return index
    p = pool_room(o.items, o.count, &o.capacity, sizeof(dv_verb_object))
    if p == NULL:
        return 0
    o.items = <dv_verb_object*>p
    index = o.count
    o.count += 1
    return index


cdef int32_t verb_object_add(dv_verb_objects* o, int sort, uint32_t device, uint32_t number,
                             const dv_place* made, uint32_t epoch) noexcept nogil:
    cdef uint32_t index
    cdef dv_verb_object* x
    cdef dv_task* t
    if o.live >= o.live_limit:
        o.refused += 1
        return 0
    t = task_of(o, made.site)
    index = item_new(o)
    if t == NULL or index == 0:
        return -1
    x = &o.items[index]
    o.serial += 1
    x.serial = o.serial
    x.sort = <uint8_t>sort
    x.state = VERB_LIVE
    x.marks = KNOWS_THERE
    x.device = device
    x.number = number
    x.made = made[0]
    x.epoch = epoch
    x.task = <uint32_t>(t - o.task_items)
    x.next = t.newest
    if t.newest != 0:
        o.items[t.newest].prev = index
    t.newest = index
    t.live += 1
    t.queue_pairs += sort == SORT_QP
    # A task that makes something is not at its end; one of the same number is another.
    t.untidy = t.exited = 0
    t.left = 0
    t.swept_regions = 0
    o.live += 1
    return <int32_t>index


cdef int verb_object_enter(dv_verb_objects* o, uint32_t index) noexcept nogil:
    cdef dv_verb_object* x = &o.items[index]
    cdef int i
    if x.sort != SORT_PD and x.marks & KNOWS_PD and \
            (x.sort != SORT_REGION or x.type < FIRST_WINDOW):
        x.domain = verb_object_domain(o, x.device, x.pd)
    for i in range(2):
        o.items[x.cq[i]].users += x.cq[i] != 0
    o.items[x.srq].users += x.srq != 0
    o.items[x.domain].users += x.domain != 0
    if x.sort == SORT_PD:
        return table_set(&o.domains, domain_key(x.device, x.pd), index)
    if table_set(&o.named, name_key(x.device, x.sort, x.number), index) < 0:
        return -1
    if x.sort != SORT_REGION:
        return 0
    if x.marks & KNOWS_REMOTE and \
            table_set(&o.named, name_key(x.device, SORT_REMOTE, x.remote), index) < 0:
        return -1
    return table_set(&o.named, name_key(x.device, SORT_INDEX, x.number >> 8), index)


cdef void unname(dv_table* t, uint64_t key, uint32_t index) noexcept nogil:
    cdef dv_slot* slot = table_find(t, key)
    if slot != NULL and slot.value == index:
        table_remove(t, slot)


cdef void forget_oldest(dv_verb_objects* o) noexcept nogil:
    cdef uint32_t index = o.ended_first
    cdef dv_verb_object* x = &o.items[index]
    unname(&o.named, name_key(x.device, x.sort, x.number), index)
    if x.marks & KNOWS_REMOTE:
        unname(&o.named, name_key(x.device, SORT_REMOTE, x.remote), index)
    if x.sort == SORT_REGION:
        unname(&o.named, name_key(x.device, SORT_INDEX, x.number >> 8), index)
    o.ended_first = x.next
    if x.next != 0:
        o.items[x.next].prev = 0
    else:
        o.ended_last = 0
    o.ended -= 1
    o.forgotten += 1
    holds_drop(&o.held, owner_object(HOLD_QUEUE, x.serial))
    x.state = VERB_FREE
    x.next = o.free
    o.free = index


cdef void take_from_task(dv_verb_objects* o, uint32_t index, uint32_t site,
                         bint tidy) noexcept nogil:
    cdef dv_verb_object* x = &o.items[index]
    cdef dv_task* t = &o.task_items[x.task]
    if not tidy:
        pass
    elif t.newest != index or site != t.site:
        t.untidy = 1
    elif x.sort == SORT_REGION and t.queue_pairs != 0:
        t.swept_regions += 1
    if x.prev != 0:
        o.items[x.prev].next = x.next
    else:
        t.newest = x.next
    if x.next != 0:
        o.items[x.next].prev = x.prev
    t.live -= 1
    t.queue_pairs -= x.sort == SORT_QP


cdef inline void leave(dv_verb_objects* o, uint32_t parent) noexcept nogil:
    if parent != 0 and o.items[parent].users != 0:
        o.items[parent].users -= 1


cdef void verb_object_end(dv_verb_objects* o, uint32_t index, const dv_place* ended, uint32_t site,
                          bint tidy) noexcept nogil:
    cdef dv_verb_object* x = &o.items[index]
    cdef int i
    take_from_task(o, index, site, tidy)
    if x.sort == SORT_PD:
        unname(&o.domains, domain_key(x.device, x.pd), index)
    if x.ranged:
        holds_drop(&o.held, owner_object(HOLD_RANGE, x.serial))
        holds_drop(&o.held, owner_object(HOLD_ODP, x.serial))
    if x.sort == SORT_QP:
        holds_drop(&o.told, owner_object(HOLD_WRITTEN, x.serial))
        holds_drop(&o.told, owner_object(HOLD_HEADER, x.serial))
    for i in range(2):
        leave(o, x.cq[i])
    leave(o, x.srq)
    leave(o, x.domain)
    o.live -= 1
    x.state = VERB_ENDED
    x.ended = ended[0]
    x.next = 0
    x.prev = o.ended_last
    if o.ended_last != 0:
        o.items[o.ended_last].next = index
    else:
        o.ended_first = index
    o.ended_last = index
    o.ended += 1
    if o.ended > o.ended_limit:
        forget_oldest(o)
