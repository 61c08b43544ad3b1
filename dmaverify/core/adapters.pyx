# cython: language_level=3
"""Adapters, map register files and MDLs: where they are kept, and which mappings hang on them."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from dmaverify.core.table cimport (
    dv_slot, table_deinit, table_find, table_get, table_init, table_remove, table_set,
)
from dmaverify.model.events cimport (
    ARG_ADAPTER, ARG_CACHE, ARG_FILE, ARG_INDEX, ARG_MDL, ARG_OFFSET, ARG_REGISTERS, ARG_ROUTINE,
    ARG_VECTOR, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN, KIND_ADAPTER_GET, KIND_ADAPTER_PUT,
    KIND_CHANNEL_ALLOCATE, KIND_CHANNEL_CANCEL, KIND_DMA_ALLOC, KIND_DMA_CALL, KIND_DMA_CANCEL,
    KIND_DMA_FREE, KIND_DMA_UNMAP, KIND_DRIVER_UNBOUND, KIND_IO_FLUSH, KIND_MDL_LOCK, SIDE_ARGS,
    dv_batch, dv_entry, dv_event, dv_number, dv_side, event_side, side_entries,
)

from dmaverify.model.routines import Routine

# Routines that make a scatter/gather list: it holds registers of its own, without a channel.
cdef uint64_t LISTS = (
    1 << Routine.GET_SCATTER_GATHER_LIST | 1 << Routine.BUILD_SCATTER_GATHER_LIST
    | 1 << Routine.GET_SCATTER_GATHER_LIST_EX | 1 << Routine.BUILD_SCATTER_GATHER_LIST_EX
    | 1 << Routine.PUT_SCATTER_GATHER_LIST
)
cdef int* ARGS = [ARG_ADAPTER, ARG_FILE, ARG_MDL]  # by object type


cdef int objects_init(dv_objects* o, uint64_t seed) noexcept nogil:
    memset(o, 0, sizeof(dv_objects))
    o.capacity = 16
    o.count = 1
    o.binding_capacity = 16
    o.binding_count = 1
    o.items = <dv_object*>calloc(o.capacity, sizeof(dv_object))
    o.bindings = <dv_binding*>calloc(o.binding_capacity, sizeof(dv_binding))
    if o.items == NULL or o.bindings == NULL or table_init(&o.numbers, 64, seed) < 0:
        return -1
    return table_init(&o.by_mapping, 64, seed)


cdef void objects_deinit(dv_objects* o) noexcept nogil:
    free(o.items)
    free(o.bindings)
    free(o.irql)
    table_deinit(&o.numbers)
    table_deinit(&o.by_mapping)
    memset(o, 0, sizeof(dv_objects))


# ---- objects -------------------------------------------------------------------------------------


cdef inline uint64_t number_key(int type, uint64_t number) noexcept nogil:
    return <uint64_t>(type + 1) << 32 | <uint32_t>number


cdef uint32_t objects_find(const dv_objects* o, int type, uint64_t number) noexcept nogil:
    if number == 0 or number >> 32 != 0 or o.numbers.count == 0:
        return 0
    return table_get(&o.numbers, number_key(type, number))


cdef uint32_t objects_adapter_of(const dv_objects* o, uint32_t device) noexcept nogil:
    """Walk over all objects: it is needed where a driver is unbound, only."""
    cdef uint32_t i, found = 0
    cdef const dv_object* item
    for i in range(1, o.count):
        item = &o.items[i]
        if item.state == OBJECT_LIVE and item.type == OBJECT_ADAPTER and \
                item.device == device and (found == 0 or item.serial < o.items[found].serial):
            found = i
    return found


cdef void forget_oldest(dv_objects* o) noexcept nogil:
    cdef uint32_t index = o.oldest
    cdef dv_object* item = &o.items[index]
    cdef dv_slot* slot = table_find(&o.numbers, number_key(item.type, item.number))
    o.oldest = item.next
    if o.oldest == 0:
        o.newest = 0
    o.ended -= 1
    o.forgotten += 1
    if slot != NULL and slot.value == index:
        table_remove(&o.numbers, slot)
    item.state = OBJECT_FREE
    item.next = o.free
    o.free = index


cdef int32_t object_new(dv_objects* o, int type, uint64_t number, const dv_event* e,
                        const dv_number* n, uint32_t epoch) noexcept nogil:
    """Return the index of a new live object; 0 where it is not followed, -1 without memory."""
    cdef uint32_t index = o.free
    cdef dv_object* item
    cdef void* p
    if number == 0 or number >> 32 != 0:
        return 0
    if o.live >= OBJECTS_LIVE:
        o.refused += 1
        return 0
    if index != 0:
        o.free = o.items[index].next
    else:
        if o.count == o.capacity:
            p = realloc(o.items, <size_t>o.capacity * 2 * sizeof(dv_object))
            if p == NULL:
                return -1
            o.items = <dv_object*>p
            o.capacity *= 2
        index = o.count
        o.count += 1
    item = &o.items[index]
    memset(item, 0, sizeof(dv_object))
    o.serial += 1
    o.live += 1
    item.type = <uint8_t>type
    item.state = OBJECT_LIVE
    item.number = <uint32_t>number
    item.device = e.device
    item.epoch = epoch
    item.serial = o.serial
    item.begun = e[0]
    item.begun_number = n[0]
    o.adapters += type == OBJECT_ADAPTER
    return <int32_t>index if table_set(&o.numbers, number_key(type, number), index) == 0 else -1


cdef void object_end(dv_objects* o, uint32_t index, const dv_event* e,
                     const dv_number* n) noexcept nogil:
    """An object's life is over; it is remembered, and the oldest ones are forgotten."""
    cdef dv_object* item = &o.items[index]
    if index == 0 or item.state != OBJECT_LIVE:
        return
    item.state = OBJECT_ENDED
    item.over = e[0]
    item.over_number = n[0]
    o.live -= 1
    o.adapters -= item.type == OBJECT_ADAPTER
    item.next = 0
    if o.newest != 0:
        o.items[o.newest].next = index
    else:
        o.oldest = index
    o.newest = index
    o.ended += 1
    if o.ended > OBJECTS_ENDED:
        forget_oldest(o)


cdef int32_t object_named(dv_objects* o, dv_named* named, int type, const dv_event* e,
                          const dv_number* n, uint32_t epoch) noexcept nogil:
    """Return the object that an event names, made where it is not known; -1 without memory."""
    cdef int32_t index
    if named.index[type] == 0 and named_knows(named, ARGS[type]):
        index = object_new(o, type, named.args[ARGS[type]], e, n, epoch)
        if index < 0:
            return -1
        named.index[type] = <uint32_t>index
    return <int32_t>named.index[type]


# ---- what an event names -------------------------------------------------------------------------


cdef int type_of(int kind) noexcept nogil:
    """Return the type of object whose number is a row's own; -1 = none."""
    if kind == KIND_DMA_CALL or kind == KIND_DMA_CANCEL or \
            KIND_ADAPTER_GET <= kind <= KIND_ADAPTER_PUT:
        return OBJECT_ADAPTER
    if KIND_CHANNEL_ALLOCATE <= kind <= KIND_CHANNEL_CANCEL:
        return OBJECT_FILE
    return OBJECT_MDL if KIND_MDL_LOCK <= kind <= KIND_IO_FLUSH else -1


cdef void named_read(dv_named* named, const dv_objects* o, const dv_batch* b,
                     const dv_event* e) noexcept nogil:
    cdef const dv_side* s = event_side(b, e, SIDE_ARGS) if e.side != 0 else NULL
    cdef const dv_entry* entries
    cdef uint32_t i
    cdef int type
    named.known = 0
    named.irql = o.irql[e.cpu % IRQL_CPUS] if o.irql != NULL else 0
    named.direction = 0xFF if e.flags & F_DIRECTION_UNKNOWN else e.direction
    if s != NULL:
        entries = side_entries(s)
        for i in range(s.stored):
            named.args[entries[i].address] = entries[i].length
            named.known |= <uint32_t>1 << entries[i].address
    type = type_of(e.kind)
    if type >= 0:
        named.args[ARGS[type]] = e.object
        named.known |= <uint32_t>1 << ARGS[type]
    for type in range(OBJECT_TYPES):
        named.index[type] = 0
        if named_knows(named, ARGS[type]):
            named.index[type] = objects_find(o, type, named.args[ARGS[type]])
    if e.kind == KIND_DRIVER_UNBOUND and o.adapters != 0:
        named.index[OBJECT_ADAPTER] = objects_adapter_of(o, e.device)
        if named.index[OBJECT_ADAPTER] != 0:
            named.args[ARG_ADAPTER] = o.items[named.index[OBJECT_ADAPTER]].number
            named.known |= <uint32_t>1 << ARG_ADAPTER


# ---- bindings ------------------------------------------------------------------------------------


cdef bint named_list(const dv_named* named) noexcept nogil:
    """Tell whether a routine is one of scatter/gather lists."""
    return named_knows(named, ARG_ROUTINE) and named.args[ARG_ROUTINE] < 64 and \
        LISTS >> named.args[ARG_ROUTINE] & 1


cdef uint32_t objects_binding(const dv_objects* o, uint32_t mapping) noexcept nogil:
    return table_get(&o.by_mapping, mapping) if o.bound != 0 else 0


cdef uint32_t binding_new(dv_objects* o) noexcept nogil:
    cdef uint32_t index = o.binding_free
    cdef void* p
    if index != 0:
        o.binding_free = o.bindings[index].next[0]
    else:
        if o.binding_count == o.binding_capacity:
            p = realloc(o.bindings, <size_t>o.binding_capacity * 2 * sizeof(dv_binding))
            if p == NULL:
                return 0
            o.bindings = <dv_binding*>p
            o.binding_capacity *= 2
        index = o.binding_count
        o.binding_count += 1
    memset(&o.bindings[index], 0, sizeof(dv_binding))
    o.bound += 1
    return index


cdef void hang(dv_objects* o, uint32_t index, int type, uint32_t parent) noexcept nogil:
    """Hang a binding on one of its parents, behind the older ones."""
    cdef dv_binding* one = &o.bindings[index]
    cdef dv_object* item = &o.items[parent]
    if parent == 0:
        return
    one.parent[type] = parent
    one.prev[type] = item.last
    if item.last != 0:
        o.bindings[item.last].next[type] = index
    else:
        item.first = index
    item.last = index
    item.live[one.count if one.count < COUNTS else COUNT_LISTS] += one.count < COUNTS
    if one.count != COUNT_BUFFERS:
        item.mappings += 1
        item.mapped_bytes += one.length
    if type == OBJECT_ADAPTER:
        item.live[COUNT_REGISTERS] += one.registers


cdef void unhang(dv_objects* o, uint32_t index, int type) noexcept nogil:
    cdef dv_binding* one = &o.bindings[index]
    cdef dv_object* item = &o.items[one.parent[type]]
    if one.parent[type] == 0:
        return
    if one.prev[type] != 0:
        o.bindings[one.prev[type]].next[type] = one.next[type]
    else:
        item.first = one.next[type]
    if one.next[type] != 0:
        o.bindings[one.next[type]].prev[type] = one.prev[type]
    else:
        item.last = one.prev[type]
    item.live[one.count if one.count < COUNTS else COUNT_LISTS] -= one.count < COUNTS
    if one.count != COUNT_BUFFERS:
        item.mappings -= 1
        item.mapped_bytes -= one.length
    if type == OBJECT_ADAPTER:
        item.live[COUNT_REGISTERS] -= one.registers
    elif type == OBJECT_MDL and one.count != COUNT_BUFFERS:
        if one.length > ~one.offset:
            item.moved = ~<uint64_t>0
        elif one.offset + one.length > item.moved:
            item.moved = one.offset + one.length


cdef int objects_bind(dv_objects* o, dv_named* named, const dv_event* e, const dv_number* n,
                      uint32_t epoch, uint32_t mapping) noexcept nogil:
    cdef int type
    cdef uint32_t index
    cdef dv_binding* one
    if named.known == 0:
        return 0
    for type in range(OBJECT_TYPES):
        if object_named(o, named, type, e, n, epoch) < 0:
            return -1
    if mapping == 0:
        return 0
    index = binding_new(o)
    if index == 0 or table_set(&o.by_mapping, mapping, index) < 0:
        return -1
    one = &o.bindings[index]
    one.mapping = mapping
    one.known = named.known
    one.offset = named.args[ARG_OFFSET] if named_knows(named, ARG_OFFSET) else 0
    one.cache = <uint8_t>named.args[ARG_CACHE] if named_knows(named, ARG_CACHE) else 0
    one.routine = <uint8_t>named.args[ARG_ROUTINE] if named_knows(named, ARG_ROUTINE) else 0
    one.vector = named.args[ARG_VECTOR] if named_knows(named, ARG_VECTOR) else 0
    one.element = named.args[ARG_INDEX] if named_knows(named, ARG_INDEX) else 0
    one.length = 0 if e.flags & F_LENGTH_UNKNOWN else e.length
    one.count = COUNTS
    if e.kind == KIND_DMA_ALLOC:
        one.count = COUNT_BUFFERS
    elif named_list(named):
        one.count = COUNT_LISTS
        one.registers = named.args[ARG_REGISTERS] if named_knows(named, ARG_REGISTERS) else 0
        if named.index[OBJECT_FILE] != 0:
            o.items[named.index[OBJECT_FILE]].flags |= IS_LIST | SEEN_BIRTH
    if one.count < COUNTS and named.index[OBJECT_ADAPTER] != 0:
        o.items[named.index[OBJECT_ADAPTER]].made[one.count] += 1
        o.items[named.index[OBJECT_ADAPTER]].made[COUNT_REGISTERS] += one.registers
    if named.index[OBJECT_FILE] != 0 and o.items[named.index[OBJECT_FILE]].adapter == 0 and \
            named_knows(named, ARG_ADAPTER):
        o.items[named.index[OBJECT_FILE]].adapter = <uint32_t>named.args[ARG_ADAPTER]
    for type in range(OBJECT_TYPES):
        hang(o, index, type, named.index[type])
    return 0


cdef void objects_unbind(dv_objects* o, uint32_t mapping) noexcept nogil:
    cdef dv_slot* slot = table_find(&o.by_mapping, mapping)
    cdef uint32_t index
    cdef int type
    if slot == NULL:
        return
    index = slot.value
    table_remove(&o.by_mapping, slot)
    for type in range(OBJECT_TYPES):
        unhang(o, index, type)
    o.bindings[index].mapping = 0
    o.bindings[index].next[0] = o.binding_free
    o.binding_free = index
    o.bound -= 1


cdef void objects_freed(dv_objects* o, const dv_named* named, const dv_event* e,
                        const dv_number* n, uint32_t mapping) noexcept nogil:
    cdef uint32_t index = objects_binding(o, mapping) if mapping != 0 else 0
    cdef uint32_t adapter = named.index[OBJECT_ADAPTER]
    cdef uint32_t file = named.index[OBJECT_FILE]
    cdef uint64_t registers = 0
    if index != 0:
        adapter = o.bindings[index].parent[OBJECT_ADAPTER]
        registers = o.bindings[index].registers
    if adapter != 0 and e.kind == KIND_DMA_FREE:
        o.items[adapter].freed[COUNT_BUFFERS] += 1
    if e.kind == KIND_DMA_UNMAP and named_list(named):
        if adapter != 0:
            o.items[adapter].freed[COUNT_LISTS] += 1
            o.items[adapter].freed[COUNT_REGISTERS] += registers
        if file != 0 and o.items[file].flags & IS_LIST:
            object_end(o, file, e, n)


cdef uint32_t objects_transfer(const dv_objects* o, const dv_named* named) noexcept nogil:
    """Of the live transfers of a file the one of the same MDL and offset, else the oldest."""
    cdef uint32_t index = o.items[named.index[OBJECT_FILE]].first
    cdef uint32_t found = 0, steps = 0
    cdef const dv_binding* one
    cdef int score, best = -1
    while index != 0 and steps < CHILDREN_MAX:
        one = &o.bindings[index]
        score = 0
        if named_knows(named, ARG_MDL) and one.parent[OBJECT_MDL] == named.index[OBJECT_MDL]:
            score = 2
        if named_knows(named, ARG_OFFSET) and one.known >> ARG_OFFSET & 1 and \
                one.offset == named.args[ARG_OFFSET]:
            score += 1
        if score > best:
            best = score
            found = one.mapping
        index = one.next[OBJECT_FILE]
        steps += 1
    return found


cdef uint32_t objects_element(const dv_objects* o, const dv_named* named,
                              uint64_t* left) noexcept nogil:
    cdef uint32_t at = o.items[named.index[OBJECT_ADAPTER]].first
    cdef uint32_t found = 0, steps = 0
    cdef const dv_binding* one
    left[0] = 0
    if not named_knows(named, ARG_VECTOR) or named.args[ARG_VECTOR] == 0:
        return 0
    while at != 0 and steps < CHILDREN_MAX:
        one = &o.bindings[at]
        if one.count == COUNT_BUFFERS and one.vector == named.args[ARG_VECTOR]:
            left[0] += 1
            if found == 0 and named_knows(named, ARG_INDEX) and \
                    one.element == named.args[ARG_INDEX]:
                found = one.mapping
        at = one.next[OBJECT_ADAPTER]
        steps += 1
    return found


cdef uint32_t objects_child(const dv_objects* o, int type, uint32_t index,
                            bint transfers) noexcept nogil:
    cdef uint32_t at = o.items[index].first
    cdef uint32_t steps = 0
    while at != 0 and steps < CHILDREN_MAX:
        if not transfers or o.bindings[at].count != COUNT_BUFFERS:
            return o.bindings[at].mapping
        at = o.bindings[at].next[type]
        steps += 1
    return 0
