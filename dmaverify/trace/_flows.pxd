# cython: language_level=3
# Who asks whom on the wire, and which requests wait for an answer.
#
# A flow is what goes from one address to one queue pair of another. Packets name the queue pair
# that they go to and never the one that they come from, so which flow an answer belongs to is
# found by its number (PSN), and remembered once it is clear.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

cdef enum:
    RING = 32                # requests of a flow that are remembered
    FLOWS = 65536            # flows that are told apart
    NEAR = 256               # flows between two addresses that an answer is looked for in
    NO_FLOW = 0xFFFFFFFF

cdef enum dv_asked:          # what a request is
    ASKED_NOTHING = 0
    ASKED_MESSAGE = 1        # names no memory of the peer
    ASKED_WRITE = 2
    ASKED_READ = 3
    ASKED_ATOMIC = 4
    ASKED_FLUSH = 5

cdef struct dv_request:
    uint64_t address
    uint32_t length
    uint32_t key
    uint32_t first           # PSN of its first packet
    uint32_t last            # of its last, as far as it is known
    uint8_t what             # dv_asked
    uint8_t whole            # `last` is its last
    uint8_t answered
    uint8_t rights           # model/kinds.py: Rights

cdef struct dv_flow:
    uint32_t to              # number of the address that is asked
    uint32_t by              # of the one that asks
    uint32_t queue_pair      # that is asked
    uint32_t next            # requests so far
    uint32_t before          # flow between the same addresses that was made before it, plus 1
    dv_request ring[RING]

# A table of numbers by numbers: open addressing, nothing is taken out.
cdef struct dv_pairs:
    uint64_t* keys           # 0 = free
    uint32_t* values
    uint32_t mask
    uint32_t count

cdef struct dv_flows:
    dv_flow* items
    uint32_t count
    uint32_t capacity
    dv_pairs asking          # flow of a question, by both addresses and the queue pair asked
    dv_pairs between         # newest flow of two addresses, plus 1
    dv_pairs answering       # flow that answers belong to, by the same of the answer
    uint64_t unclear         # answers of which it is not clear whose they are
    uint64_t refused         # packets of flows beyond FLOWS

# Return 0, or -1 when memory is gone.
cdef int flows_init(dv_flows* f) noexcept nogil
cdef void flows_deinit(dv_flows* f) noexcept nogil
# Return the number of a flow, made where there was none; NO_FLOW where there are too many, and
# where memory is gone (`refused` counts both).
cdef uint32_t flow_of(dv_flows* f, uint32_t by, uint32_t to, uint32_t queue_pair) noexcept nogil
# Return the flow whose requests an answer with this PSN is about, or NO_FLOW.
cdef uint32_t flow_answered(dv_flows* f, uint32_t by, uint32_t to, uint32_t queue_pair,
                            uint32_t psn) noexcept nogil
# Return the request that a packet with this PSN is part of, or NULL.
cdef dv_request* request_at(dv_flow* f, uint32_t psn) noexcept nogil
# Return room for a request that begins with this PSN. `again` tells whether it is one that was
# seen before.
cdef dv_request* request_begin(dv_flow* f, const dv_request* asked, bint* again) noexcept nogil

# Return a - b of two PSNs, which are 24 bits wide and go around.
cdef inline int32_t psn_minus(uint32_t a, uint32_t b) noexcept nogil:
    return <int32_t>((a - b) << 8) >> 8
