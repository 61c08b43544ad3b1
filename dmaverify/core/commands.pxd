# cython: language_level=3
# Commands that a driver sets up and a device carries out: which mappings were made for one,
# and whether one of them ended before the device can have said that it was done.
#
# A completion names its queue only, so it is credited to whichever command of the queue ends a
# mapping next: an end with no credit left came too early, whatever the order of completions.
# Which device a controller is, is learnt from commands whose mappings end while one of the
# queue's completions is handled on the same CPU; nothing is concluded before that.
# Source: Linux drivers/nvme/host/pci.c, nvme_prep_rq() and nvme_handle_cqe().

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from dmaverify.core.table cimport dv_table
from dmaverify.model.events cimport dv_event

cdef enum:
    COMMANDS_MAX = 65536     # in flight, and followed
    QUEUES_MAX = 4096
    CONTROLLERS_MAX = 64
    VOTES = 3                # commands after which it is clear which device a controller is

cdef struct dv_command:
    uint64_t key             # controller << 32 | queue << 16 | number
    uint64_t early_time
    uint32_t queue           # index
    uint32_t serial          # which command of this place it is; 0 = free
    uint32_t next            # free list
    uint32_t device          # of its first mapping; 0 = none
    uint32_t epoch           # of its controller, when it began
    uint32_t early           # mappings ended before any completion of the queue was left
    uint16_t early_cpu
    uint16_t credited        # a completion of the queue was taken as its own
    uint16_t handled         # a mapping ended while the queue's completion was handled

cdef struct dv_queue:
    uint64_t key
    uint32_t credit          # completions that no command has taken
    uint32_t flying
    uint32_t cpu             # which handled its last completion
    uint32_t seen            # it has shown completions

cdef struct dv_controller:
    uint32_t device          # 0 = not known
    uint32_t votes
    uint32_t mixed           # two devices: nothing can be told
    uint32_t epoch           # goes up when what is in flight can not be judged

cdef struct dv_seat:         # what a CPU is about
    uint32_t command         # being set up, index + 1
    uint32_t serial          # of that command: its place may have another by now
    uint32_t site            # by this task
    uint32_t queue           # whose completion it handles, index + 1

cdef struct dv_commands:
    dv_table by_key
    dv_table queue_keys
    dv_command* items        # NULL = no command was ever seen
    dv_queue* queues
    dv_seat* seats           # by CPU
    dv_controller controllers[64]
    uint32_t count
    uint32_t free
    uint32_t queue_count
    uint32_t serial
    uint64_t seed

cdef void commands_deinit(dv_commands* c) noexcept nogil
# Each returns 0, or -1 when memory is gone.
cdef int commands_begin(dv_commands* c, const dv_event* e) noexcept nogil
cdef int commands_arrived(dv_commands* c, const dv_event* e) noexcept nogil
cdef int commands_done(dv_commands* c, const dv_event* e) noexcept nogil
# Return the command that a mapping is made for, index + 1, and its serial number; 0 = none.
cdef uint32_t commands_mapped(dv_commands* c, const dv_event* e, uint32_t* serial) noexcept nogil
# A mapping of a command ended.
cdef void commands_unmapped(dv_commands* c, uint32_t command, uint32_t serial,
                            const dv_event* e) noexcept nogil
# After a loss nothing that is in flight can be judged.
cdef void commands_lost(dv_commands* c) noexcept nogil
# Return how many mappings of a command that is done ended too early, and when the last did.
cdef uint32_t commands_early(const dv_commands* c, const dv_event* e, uint64_t* time) noexcept nogil
