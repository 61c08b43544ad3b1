# cython: language_level=3
"""Commands in flight, and what was mapped for them (see commands.pxd)."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from dmaverify.core.table cimport (
    dv_slot, table_deinit, table_find, table_get, table_init, table_remove, table_set,
)
from dmaverify.model.events cimport F_BUS_UNKNOWN, F_PHYS_UNKNOWN, dv_event

cdef enum:
    CPUS = 4096
    TAG = 0xFFF              # the bits above count the uses of a command's number


cdef void commands_deinit(dv_commands* c) noexcept nogil:
    free(c.items)
    free(c.queues)
    free(c.seats)
    table_deinit(&c.by_key)
    table_deinit(&c.queue_keys)
    memset(c, 0, sizeof(dv_commands))


cdef int make_room(dv_commands* c) noexcept nogil:
    if c.items != NULL:
        return 0
    c.items = <dv_command*>calloc(COMMANDS_MAX, sizeof(dv_command))
    c.queues = <dv_queue*>calloc(QUEUES_MAX, sizeof(dv_queue))
    c.seats = <dv_seat*>calloc(CPUS, sizeof(dv_seat))
    if c.items == NULL or c.queues == NULL or c.seats == NULL:
        return -1
    if table_init(&c.by_key, 1024, c.seed) < 0:
        return -1
    return table_init(&c.queue_keys, 64, c.seed)


# The row of a command keeps its controller in bus_addr, its queue in phys_addr and its number in
# object.

cdef inline bint names_queue(const dv_event* e) noexcept nogil:
    return not e.flags & (F_BUS_UNKNOWN | F_PHYS_UNKNOWN) and e.bus_addr < CONTROLLERS_MAX and \
        e.phys_addr <= 0xFFFF


cdef inline uint64_t queue_key(const dv_event* e) noexcept nogil:
    return e.bus_addr << 16 | e.phys_addr


cdef inline uint64_t command_key(const dv_event* e) noexcept nogil:
    return queue_key(e) << 16 | (e.object & TAG)


cdef int queue_of(dv_commands* c, const dv_event* e, uint32_t* ret) noexcept nogil:
    """Find or make the queue of an event, index + 1; 0 where there are too many."""
    cdef uint32_t found = table_get(&c.queue_keys, queue_key(e))
    if found == 0 and c.queue_count < QUEUES_MAX:
        c.queues[c.queue_count].key = queue_key(e)
        c.queue_count += 1
        found = c.queue_count
        if table_set(&c.queue_keys, queue_key(e), found) < 0:
            return -1
    ret[0] = found
    return 0


cdef void forget(dv_commands* c, uint32_t index) noexcept nogil:
    cdef dv_command* m = &c.items[index]
    cdef dv_queue* q = &c.queues[m.queue]
    cdef dv_slot* slot = table_find(&c.by_key, m.key)
    if slot != NULL:
        table_remove(&c.by_key, slot)
    q.flying -= 1
    if q.flying == 0:
        q.credit = 0  # whatever was left over belonged to nobody
    m.serial = 0
    m.next = c.free
    c.free = index + 1


cdef int commands_begin(dv_commands* c, const dv_event* e) noexcept nogil:
    cdef dv_command* m
    cdef dv_seat* seat
    cdef uint32_t index, queue = 0
    if not names_queue(e):
        return 0
    if make_room(c) < 0 or queue_of(c, e, &queue) < 0:
        return -1
    seat = &c.seats[e.cpu % CPUS]
    seat.command = 0
    seat.queue = 0
    index = table_get(&c.by_key, command_key(e))
    if index != 0:
        forget(c, index - 1)
    if queue == 0 or (c.free == 0 and c.count == COMMANDS_MAX):
        return 0
    if c.free != 0:
        index = c.free - 1
        c.free = c.items[index].next
    else:
        index = c.count
        c.count += 1
    m = &c.items[index]
    memset(m, 0, sizeof(dv_command))
    c.serial += 1
    if c.serial == 0:
        c.serial = 1
    m.key = command_key(e)
    m.queue = queue - 1
    m.serial = c.serial
    m.epoch = c.controllers[e.bus_addr].epoch
    c.queues[queue - 1].flying += 1
    seat.command = index + 1
    seat.serial = m.serial
    seat.site = e.site
    return table_set(&c.by_key, m.key, index + 1)


cdef int commands_arrived(dv_commands* c, const dv_event* e) noexcept nogil:
    cdef dv_queue* q
    cdef uint32_t queue = 0
    if not names_queue(e):
        return 0
    if make_room(c) < 0 or queue_of(c, e, &queue) < 0:
        return -1
    c.seats[e.cpu % CPUS].command = 0
    c.seats[e.cpu % CPUS].queue = queue
    if queue != 0:
        q = &c.queues[queue - 1]
        q.credit += 1
        q.cpu = e.cpu
        q.seen = 1
    return 0


cdef uint32_t commands_mapped(dv_commands* c, const dv_event* e, uint32_t* serial) noexcept nogil:
    cdef dv_seat* seat
    cdef dv_command* m
    cdef dv_controller* k
    if c.items == NULL:
        return 0
    seat = &c.seats[e.cpu % CPUS]
    if seat.command == 0 or seat.site != e.site:
        return 0
    m = &c.items[seat.command - 1]
    if m.serial != seat.serial:
        return 0
    k = &c.controllers[m.key >> 32]
    if k.device != 0 and k.device != e.device:
        return 0  # an interrupt of another device came between
    if m.device == 0:
        m.device = e.device
    serial[0] = m.serial
    return seat.command


cdef inline bint judged(const dv_commands* c, const dv_command* m) noexcept nogil:
    cdef const dv_controller* k = &c.controllers[m.key >> 32]
    return k.device != 0 and not k.mixed and m.epoch == k.epoch


cdef void commands_unmapped(dv_commands* c, uint32_t command, uint32_t serial,
                            const dv_event* e) noexcept nogil:
    cdef dv_command* m = &c.items[command - 1]
    cdef dv_queue* q
    if m.serial != serial:
        return
    q = &c.queues[m.queue]
    if m.device == e.device and c.seats[e.cpu % CPUS].queue == m.queue + 1:
        m.handled = 1
    if not judged(c, m) or m.credited:
        return
    if q.credit != 0:
        q.credit -= 1
        m.credited = 1
    else:
        m.early += 1
        m.early_time = e.time
        m.early_cpu = e.cpu


cdef void vote(dv_commands* c, const dv_command* m) noexcept nogil:
    """Learn from a command that ended as it should which device its controller is."""
    cdef dv_controller* k = &c.controllers[m.key >> 32]
    cdef uint32_t i
    if not m.handled or m.device == 0 or k.device != 0 or k.mixed:
        return
    if k.votes >> 8 != 0 and k.votes >> 8 != m.device:
        k.mixed = 1
        return
    k.votes = m.device << 8 | ((k.votes & 0xFF) + 1)
    if k.votes & 0xFF < VOTES:
        return
    k.device = m.device
    k.epoch += 1  # what is in flight may have used up completions that nobody counted
    for i in range(c.queue_count):
        if c.queues[i].key >> 16 == m.key >> 32:
            c.queues[i].credit = 0


cdef int commands_done(dv_commands* c, const dv_event* e) noexcept nogil:
    cdef uint32_t index
    cdef dv_command* m
    if c.items == NULL or not names_queue(e):
        return 0
    c.seats[e.cpu % CPUS].command = 0
    index = table_get(&c.by_key, command_key(e))
    if index == 0:
        return 0
    m = &c.items[index - 1]
    if judged(c, m) and not m.credited and c.queues[m.queue].credit != 0:
        c.queues[m.queue].credit -= 1
    vote(c, m)
    forget(c, index - 1)
    return 0


cdef void commands_lost(dv_commands* c) noexcept nogil:
    cdef uint32_t i
    if c.items == NULL:
        return
    for i in range(CONTROLLERS_MAX):
        c.controllers[i].epoch += 1
    for i in range(c.queue_count):
        c.queues[i].credit = 0


cdef uint32_t commands_early(const dv_commands* c, const dv_event* e,
                             uint64_t* time) noexcept nogil:
    cdef uint32_t index
    cdef const dv_command* m
    cdef const dv_queue* q
    # What was cancelled, by a reset, never had a completion of its own.
    if c.items == NULL or not names_queue(e) or e.status != 0:
        return 0
    index = table_get(&c.by_key, command_key(e))
    if index == 0:
        return 0
    m = &c.items[index - 1]
    q = &c.queues[m.queue]
    # Of two CPUs' lines the order is not certain.
    if m.early == 0 or not q.seen or m.early_cpu != q.cpu or not judged(c, m):
        return 0
    time[0] = m.early_time
    return m.early
