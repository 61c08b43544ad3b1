# cython: language_level=3
# What HCAs have: memory regions with their keys, queue pairs, protection domains, and the tasks
# that made them. Live objects are found by number in one look-up; ended ones are remembered, so
# that the use of a dead key can be told from that of a key that never was.

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from dmaverify.core.hca_state cimport DEVICES_MAX, dv_hca_now, dv_holds
from dmaverify.core.table cimport dv_table
from dmaverify.core.world cimport dv_place
from dmaverify.model.events cimport dv_event, dv_number

cdef enum dv_sort:           # what an object is
    SORT_REGION = 1          # a memory region or window, by its key
    SORT_REMOTE = 2          # the same by the key that peers name, where it is another
    SORT_INDEX = 3           # the same by the index of its key
    SORT_QP = 4
    SORT_PD = 5
    SORT_CQ = 6
    SORT_SRQ = 7
    SORT_AH = 8
    SORT_WINDOW = 9          # a window, by the index of its key, bound or not

cdef enum:
    VERB_FREE = 0
    VERB_LIVE = 1
    VERB_ENDED = 2

cdef enum:                   # what is known of an object
    KNOWS_IOVA = 1
    KNOWS_LENGTH = 2
    KNOWS_ACCESS = 4
    KNOWS_PD = 8
    KNOWS_REMOTE = 16        # it has another key for peers
    KNOWS_SEND_WR = 64       # capacities of a queue pair
    KNOWS_RECV_WR = 128
    KNOWS_SEND_SGE = 256
    KNOWS_RECV_SGE = 512
    KNOWS_INLINE = 1024
    SIGNALS_ALL = 2048       # each send gives a completion
    KNOWS_MODE = 4096        # the state of a queue pair
    KNOWS_THERE = 1 << 15    # on every object: the one with index 0 has no marks
    KNOWS_BIRTH = 32         # the recording holds its beginning
    WRITES_RELAXED = 8192    # writes by the key may pass each other
    DATA_IN_ORDER = 16384    # bytes of one message are seen in order

cdef enum:                   # how far the HCA is with letting an object go
    TEARDOWN_ASKED = 1
    TEARDOWN_OVER = 2
    TEARDOWN_FAILED = 3

cdef struct dv_verb_object:
    uint64_t iova            # of a region; address in its key's space
    uint64_t length
    uint64_t pd              # protection domain
    uint32_t number          # key, or number of a queue pair
    uint32_t remote          # key that peers name
    uint32_t device
    uint32_t serial          # from 1 in the order of making
    uint32_t epoch           # gaps in the recording before it was made
    uint32_t told            # group of the first error about it, plus 1; 0 = none
    uint32_t task            # index of the task that made it
    uint32_t next            # live ones of a task, newest first; all ended ones, oldest first
    uint32_t prev
    uint32_t accesses
    uint32_t outstanding     # of a region: posted buffers; of a completion queue: entries due
    uint32_t windows         # bound to a region
    uint32_t parent          # region that a window is bound to
    uint32_t parent_serial
    uint32_t qp              # number of the queue pair that a window is good on; 0 = any
    uint32_t first[2]        # work requests of a queue pair, sends and receives, oldest first
    uint32_t last[2]
    uint32_t posted[2]
    uint32_t cq[2]           # completion queues
    uint32_t most[2]         # work requests that its queues hold, and list entries of each
    uint32_t most_sge[2]
    uint32_t most_inline
    uint32_t entries         # of a completion queue
    uint32_t srq             # shared receive queue of a queue pair
    uint32_t domain          # the protection domain that it counts in
    uint32_t users           # live objects that hang on it
    uint32_t invalidating    # invalidations posted to a queue pair so far
    uint32_t turns[2]        # work requests posted so far, and published by doorbells
    uint32_t rung[2]
    uint8_t rings            # a bit a queue whose doorbells are in the recording
    uint8_t last_wqe         # it takes nothing more from its shared receive queue
    uint8_t teardown         # TEARDOWN_*
    uint8_t told_ended       # a completion has told of its end
    uint8_t ranged           # its addresses are in the shadow of what is held
    uint16_t marks
    uint8_t sort
    uint8_t state            # OBJECT_*
    uint8_t type             # RegionType or QpType
    uint8_t access           # rights
    uint8_t mode             # QpState
    dv_place made
    dv_place ended

# A task that had to do with HCAs.
cdef struct dv_task:
    uint32_t site            # its id
    uint32_t newest          # first of its live objects
    uint32_t live
    uint32_t queue_pairs     # live ones
    uint32_t swept_regions   # went newest first, while a queue pair was there
    uint8_t untidy           # something went that was not the newest
    uint8_t exited
    uint8_t asking           # `asked` is a registration without its key
    uint8_t looked           # `look` is the key that it looked up last
    uint32_t unnamed         # queue pairs made whose number is not known yet
    dv_event asked
    dv_place asked_at
    dv_place unnamed_at      # where the newest of those was made
    dv_event look
    uint32_t checked         # region whose range it checked last; 0 = none
    uint32_t checked_serial
    uint64_t outside         # bytes of that range outside it
    uint32_t asked_key       # of the last access by key; 0 = none, and what is wrong about it
    uint32_t asked_faults
    uint8_t asked_judged     # all that can be wrong about it was known
    uint32_t left            # regions that look left to the kernel, and the last event of that
    dv_event left_at
    dv_number left_number

cdef struct dv_verb_objects:
    dv_verb_object* items         # index 0 is none, and all zero
    uint32_t count
    uint32_t capacity
    uint32_t free            # chained by `next`
    uint32_t live
    uint32_t live_limit
    uint32_t ended
    uint32_t ended_limit
    uint32_t ended_first     # oldest
    uint32_t ended_last
    uint32_t serial
    uint64_t refused         # objects not followed because there are too many
    uint64_t forgotten       # ended objects dropped
    uint64_t exits           # ends of tasks seen
    dv_table named           # (device, sort, number) -> newest object
    dv_table domains         # (device, protection domain) -> object
    dv_table tasks           # task id + 1 -> index
    uint8_t family[DEVICES_MAX]  # HcaFamily by device
    uint8_t async_seen       # events beside completions are in the recording
    dv_holds held            # what the HCA works with beside posted buffers
    dv_holds told            # accesses that the CPU can not know of yet
    dv_hca_now now
    dv_task* task_items      # index 0 is none
    uint32_t task_count
    uint32_t task_capacity

cdef int verb_objects_init(dv_verb_objects* o, uint64_t seed, uint32_t live_limit,
                           uint32_t ended_limit) noexcept nogil
cdef void verb_objects_deinit(dv_verb_objects* o) noexcept nogil
# Return the newest object of a number, live or ended; 0 = none that is remembered.
cdef uint32_t verb_object_named(const dv_verb_objects* o, uint32_t device, int sort,
                                uint32_t number) noexcept nogil
# Return a protection domain whose beginning was seen and whose end was not; 0 = none.
cdef uint32_t verb_object_domain(const dv_verb_objects* o, uint32_t device,
                                 uint64_t pd) noexcept nogil
# Return the state of a task, made where there was none, or NULL when memory is gone.
cdef dv_task* task_of(dv_verb_objects* o, uint32_t site) noexcept nogil
# Add a live object of a task and return its index, 0 where there are too many, -1 without
# memory. The caller fills what the sort has beside its number, then calls verb_object_enter.
cdef int32_t verb_object_add(dv_verb_objects* o, int sort, uint32_t device, uint32_t number,
                             const dv_place* made, uint32_t epoch) noexcept nogil
# Let an object be found: by its number, and a region by its other names.
cdef int verb_object_enter(dv_verb_objects* o, uint32_t index) noexcept nogil
# End a live object; it is remembered until too many others have ended. `tidy` is False where
# the object goes on under another number.
cdef void verb_object_end(dv_verb_objects* o, uint32_t index, const dv_place* ended, uint32_t site,
                          bint tidy) noexcept nogil
