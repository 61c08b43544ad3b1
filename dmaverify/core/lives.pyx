# cython: language_level=3
"""How adapters, map register files and MDLs live, event by event (see lives.pxd)."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport calloc

from dmaverify.core.adapters cimport (
    COUNT_CHANNELS, COUNT_REGISTERS, FLUSHED_IN, FLUSHED_OUT, FREED_CHANNEL, FREED_REGISTERS,
    HOLDS_CHANNEL, IRQL_CPUS, IS_GRANTED, IS_LOCKED, IS_MAPPED, KNOWN_ACTION, KNOWN_ALIGNMENT,
    KNOWN_CACHE, KNOWN_GRANTED, KNOWN_LENGTH, KNOWN_REGISTERS, KNOWN_VERSION, KNOWN_WIDTH,
    OBJECT_ADAPTER, OBJECT_FILE, OBJECT_FREE, OBJECT_LIVE, OBJECT_MDL, SEEN_BIRTH, dv_named,
    dv_object, dv_objects, named_knows, object_end, object_named, object_new, objects_find,
)
from dmaverify.model.events cimport (
    ARG_ACTION, ARG_ADAPTER, ARG_ALIGNMENT, ARG_CACHE, ARG_GRANTED, ARG_MDL_LENGTH, ARG_REGISTERS,
    ARG_ROUTINE, ARG_VERSION, ARG_WIDTH, DIR_FROM_DEVICE, DIR_TO_DEVICE, F_FAILED,
    F_LENGTH_UNKNOWN, KIND_ADAPTER_GET, KIND_IO_FLUSH,
    KIND_ADAPTER_PUT, KIND_CHANNEL_ACTION, KIND_CHANNEL_ALLOCATE, KIND_CHANNEL_CANCEL,
    KIND_CHANNEL_FREE, KIND_CHANNEL_GRANTED, KIND_IRQL, KIND_MDL_FREE, KIND_MDL_LOCK, KIND_MDL_MAP,
    KIND_MDL_UNMAP, dv_event, dv_number,
)

from dmaverify.model.routines import ReleaseAction, Routine

cdef uint64_t FREE_CHANNEL = Routine.FREE_ADAPTER_CHANNEL
cdef uint64_t FREE_REGISTERS = Routine.FREE_MAP_REGISTERS
cdef uint64_t BUILD_NONPAGED = Routine.MM_BUILD_MDL_FOR_NONPAGED_POOL
cdef uint64_t KEEP = ReleaseAction.KEEP_OBJECT
cdef uint64_t RELEASE_ALL = ReleaseAction.DEALLOCATE_OBJECT


cdef bint learn(const dv_named* named, int arg, uint64_t* field, uint32_t* flags,
                uint32_t flag) noexcept nogil:
    """Take a named number into an object where the event has it."""
    if not named_knows(named, arg):
        return False
    field[0] = named.args[arg]
    flags[0] |= flag
    return True


cdef int adapter_got(dv_objects* o, dv_named* named, const dv_event* e, const dv_number* n,
                     uint32_t epoch) noexcept nogil:
    cdef int32_t index
    cdef dv_object* a
    if e.flags & F_FAILED:
        return 0
    # HalGetAdapter's adapter is shared: it may be got again while it lives.
    index = <int32_t>named.index[OBJECT_ADAPTER]
    if index == 0 or o.items[index].state != OBJECT_LIVE:
        index = object_new(o, OBJECT_ADAPTER, e.object, e, n, epoch)
    if index <= 0:
        return index
    a = &o.items[index]
    a.flags |= SEEN_BIRTH
    learn(named, ARG_GRANTED, &a.granted, &a.flags, KNOWN_GRANTED)
    learn(named, ARG_ALIGNMENT, &a.alignment, &a.flags, KNOWN_ALIGNMENT)
    learn(named, ARG_WIDTH, &a.width, &a.flags, KNOWN_WIDTH)
    learn(named, ARG_VERSION, &a.version, &a.flags, KNOWN_VERSION)
    if not e.flags & F_LENGTH_UNKNOWN:
        a.length = e.length
        a.flags |= KNOWN_LENGTH
    return 0


# ---- channels and map registers ------------------------------------------------------------------


cdef inline dv_object* adapter_of(dv_objects* o, const dv_object* file) noexcept nogil:
    """Return a file's adapter; the object with index 0, which is free, where it is not known."""
    return &o.items[objects_find(o, OBJECT_ADAPTER, file.adapter)]


cdef inline void lower(uint64_t* count, uint64_t by) noexcept nogil:
    """Count down; what was made before the recording was never counted up."""
    count[0] -= by if by < count[0] else count[0]


cdef void release_channel(dv_objects* o, dv_object* f) noexcept nogil:
    cdef dv_object* a = adapter_of(o, f)
    f.flags |= FREED_CHANNEL
    if a.state != OBJECT_FREE:
        a.freed[COUNT_CHANNELS] += 1
        lower(&a.live[COUNT_CHANNELS], f.flags & HOLDS_CHANNEL != 0)
    f.flags &= ~<uint32_t>HOLDS_CHANNEL


cdef void release_registers(dv_objects* o, dv_object* f, uint64_t count) noexcept nogil:
    cdef dv_object* a = adapter_of(o, f)
    f.flags |= FREED_REGISTERS
    if a.state != OBJECT_FREE:
        a.freed[COUNT_REGISTERS] += count
        lower(&a.live[COUNT_REGISTERS], f.held)
    f.held = 0


cdef int channel_asked(dv_objects* o, dv_named* named, const dv_event* e, const dv_number* n,
                       uint32_t epoch) noexcept nogil:
    cdef int32_t adapter = object_named(o, named, OBJECT_ADAPTER, e, n, epoch)
    cdef int32_t index
    cdef dv_object* f
    if adapter < 0 or e.flags & F_FAILED:
        return adapter
    index = object_new(o, OBJECT_FILE, e.object, e, n, epoch)
    if index <= 0:
        return index
    named.index[OBJECT_FILE] = <uint32_t>index
    f = &o.items[index]
    f.flags |= SEEN_BIRTH | HOLDS_CHANNEL
    f.adapter = <uint32_t>named.args[ARG_ADAPTER] if named_knows(named, ARG_ADAPTER) else 0
    learn(named, ARG_REGISTERS, &f.registers, &f.flags, KNOWN_REGISTERS)
    if adapter != 0:
        o.items[adapter].made[COUNT_CHANNELS] += 1
        o.items[adapter].live[COUNT_CHANNELS] += 1
    return 0


cdef int channel_granted(dv_objects* o, dv_named* named, const dv_event* e, const dv_number* n,
                         uint32_t epoch) noexcept nogil:
    cdef int32_t adapter = object_named(o, named, OBJECT_ADAPTER, e, n, epoch)
    cdef int32_t index = object_named(o, named, OBJECT_FILE, e, n, epoch)
    cdef dv_object* f
    cdef dv_object* a
    if adapter < 0 or index <= 0:
        return -1 if adapter < 0 or index < 0 else 0
    f = &o.items[index]
    if f.adapter == 0 and named_knows(named, ARG_ADAPTER):
        f.adapter = <uint32_t>named.args[ARG_ADAPTER]
    a = adapter_of(o, f)
    learn(named, ARG_REGISTERS, &f.registers, &f.flags, KNOWN_REGISTERS)
    if f.state != OBJECT_LIVE or f.flags & IS_GRANTED:
        return 0
    f.flags |= IS_GRANTED
    f.held = f.registers
    if not f.flags & HOLDS_CHANNEL:  # its allocation is not in the recording
        f.flags |= HOLDS_CHANNEL
        a.made[COUNT_CHANNELS] += a.state != OBJECT_FREE
        a.live[COUNT_CHANNELS] += a.state != OBJECT_FREE
    if a.state != OBJECT_FREE:
        a.made[COUNT_REGISTERS] += f.held
        a.live[COUNT_REGISTERS] += f.held
    return 0


cdef void settle(dv_objects* o, uint32_t index, const dv_event* e,
                 const dv_number* n) noexcept nogil:
    """A file that holds neither channel nor registers is over."""
    if o.items[index].held == 0 and not o.items[index].flags & HOLDS_CHANNEL:
        object_end(o, index, e, n)


cdef void channel_kept(dv_objects* o, dv_named* named, const dv_event* e,
                       const dv_number* n) noexcept nogil:
    """AdapterControl has returned: what it does not keep goes back by itself."""
    cdef uint32_t index = named.index[OBJECT_FILE]
    cdef dv_object* f = &o.items[index]
    if index == 0 or not learn(named, ARG_ACTION, &f.action, &f.flags, KNOWN_ACTION):
        return
    if f.action != KEEP and f.flags & HOLDS_CHANNEL:
        release_channel(o, f)
    if f.action == RELEASE_ALL:
        release_registers(o, f, f.held)
    settle(o, index, e, n)


cdef void channel_freed(dv_objects* o, dv_named* named, const dv_event* e,
                        const dv_number* n) noexcept nogil:
    """One of the three routines that free: what it frees by its name, whatever is held."""
    cdef uint32_t index = named.index[OBJECT_FILE]
    cdef dv_object* f = &o.items[index]
    cdef uint64_t routine = named.args[ARG_ROUTINE] if named_knows(named, ARG_ROUTINE) else 0
    cdef uint64_t action = named.args[ARG_ACTION] if named_knows(named, ARG_ACTION) else 0
    cdef uint64_t count
    if index == 0:
        return
    count = named.args[ARG_REGISTERS] if named_knows(named, ARG_REGISTERS) else f.held
    if routine == FREE_REGISTERS:
        release_registers(o, f, count)
        if f.flags & KNOWN_ACTION and f.action == KEEP and f.flags & HOLDS_CHANNEL:
            release_channel(o, f)  # the wrong routine for a kept object: it meant both
    elif routine == FREE_CHANNEL or action == RELEASE_ALL:
        release_channel(o, f)
        release_registers(o, f, f.held)
    elif action != KEEP:
        release_channel(o, f)
    settle(o, index, e, n)


# ---- MDLs and the IRQL ---------------------------------------------------------------------------


cdef int mdl_changed(dv_objects* o, dv_named* named, const dv_event* e, const dv_number* n,
                     uint32_t epoch) noexcept nogil:
    cdef int32_t index = object_named(o, named, OBJECT_MDL, e, n, epoch)
    cdef dv_object* m
    if index <= 0:
        return index
    m = &o.items[index]
    m.flags |= SEEN_BIRTH
    if e.kind == KIND_MDL_LOCK:
        m.flags |= IS_LOCKED
        if named_knows(named, ARG_ROUTINE) and named.args[ARG_ROUTINE] == BUILD_NONPAGED:
            m.flags |= IS_MAPPED  # the pool's own address serves
        if not learn(named, ARG_MDL_LENGTH, &m.length, &m.flags, KNOWN_LENGTH) and \
                not e.flags & F_LENGTH_UNKNOWN:
            m.length = e.length
            m.flags |= KNOWN_LENGTH
    elif e.kind == KIND_MDL_MAP:
        m.flags |= IS_MAPPED
        learn(named, ARG_CACHE, &m.cache, &m.flags, KNOWN_CACHE)
    elif e.kind == KIND_MDL_UNMAP:
        m.flags &= ~<uint32_t>IS_MAPPED
    else:
        m.flags &= ~<uint32_t>(IS_LOCKED | IS_MAPPED)
        if e.kind == KIND_MDL_FREE:
            object_end(o, <uint32_t>index, e, n)
    return 0


cdef int mdl_flushed(dv_objects* o, dv_named* named, const dv_event* e, const dv_number* n,
                     uint32_t epoch) noexcept nogil:
    """Caches were looked after; what was transferred before is the driver's anew."""
    cdef int32_t index = object_named(o, named, OBJECT_MDL, e, n, epoch)
    cdef dv_object* m
    if index <= 0:
        return index
    m = &o.items[index]
    m.moved = 0
    m.flags &= ~<uint32_t>(FLUSHED_IN | FLUSHED_OUT)
    if named.direction != DIR_TO_DEVICE:
        m.flags |= FLUSHED_IN
    if named.direction != DIR_FROM_DEVICE:
        m.flags |= FLUSHED_OUT
    return 0


cdef int irql_changed(dv_objects* o, const dv_event* e) noexcept nogil:
    if o.irql == NULL:
        o.irql = <uint8_t*>calloc(IRQL_CPUS, 1)
        if o.irql == NULL:
            return -1
    o.irql[e.cpu % IRQL_CPUS] = <uint8_t>(e.object + 1 if e.object < 255 else 255)
    return 0


cdef void objects_left(dv_objects* o, uint32_t device, const dv_event* e,
                       const dv_number* n) noexcept nogil:
    cdef uint32_t i
    if o.adapters == 0:
        return
    for i in range(1, o.count):
        if o.items[i].type == OBJECT_ADAPTER and o.items[i].device == device:
            object_end(o, i, e, n)


cdef int objects_apply(dv_objects* o, dv_named* named, const dv_event* e, const dv_number* n,
                       uint32_t epoch) noexcept nogil:
    cdef int kind = e.kind
    if kind == KIND_IRQL:
        return irql_changed(o, e)
    if kind == KIND_ADAPTER_GET:
        return adapter_got(o, named, e, n, epoch)
    if kind == KIND_ADAPTER_PUT:
        if object_named(o, named, OBJECT_ADAPTER, e, n, epoch) < 0:
            return -1
        object_end(o, named.index[OBJECT_ADAPTER], e, n)
    elif kind == KIND_CHANNEL_ALLOCATE:
        return channel_asked(o, named, e, n, epoch)
    elif kind == KIND_CHANNEL_GRANTED:
        return channel_granted(o, named, e, n, epoch)
    elif kind == KIND_CHANNEL_ACTION:
        channel_kept(o, named, e, n)
    elif kind == KIND_CHANNEL_FREE:
        channel_freed(o, named, e, n)
    elif kind == KIND_CHANNEL_CANCEL:
        if e.status == 1 and named.index[OBJECT_FILE] != 0:
            release_channel(o, &o.items[named.index[OBJECT_FILE]])
            settle(o, named.index[OBJECT_FILE], e, n)
    elif kind == KIND_IO_FLUSH:
        return mdl_flushed(o, named, e, n, epoch)
    elif KIND_MDL_LOCK <= kind <= KIND_MDL_UNMAP:
        return mdl_changed(o, named, e, n, epoch)
    return 0
