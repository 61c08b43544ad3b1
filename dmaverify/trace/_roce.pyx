# cython: language_level=3
"""Rows of RDMA packets: what a peer wants by which key, and what the HCA made of it.

Source: InfiniBand Architecture Specification vol. 1, chapter 9, as Linux has it in
include/rdma/ib_pack.h (opcodes, enum ib_opcode), include/rdma/ib_hdrs.h,
drivers/infiniband/sw/rxe/rxe_hdr.h (BTH, RETH, AtomicETH, AETH, IETH, FETH) and rxe_opcode.c
(which headers an opcode has, and in which order).
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memset

from dmaverify.model.events cimport (
    F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN, F_PHYS_UNKNOWN, F_TIME_UNKNOWN,
    HCA_QUEUE_PAIR, KIND_HCA_ACCESS, KIND_HCA_VERDICT, KIND_INVALIDATE_MR, SIDE_HCA, TYPE_SHIFT,
    batch_push, batch_side, dv_batch, dv_entry, dv_event, dv_side,
)
from dmaverify.trace._bytes cimport be24, be32, be64
from dmaverify.trace._flows cimport *
from dmaverify.trace._links cimport (
    FOUND_CUT, FOUND_FRAGMENT, FOUND_LINK, FOUND_RDMA, dv_frame, frame_open,
)
from dmaverify.trace._names cimport names_deinit, names_init, names_number

cdef enum:
    BTH = 12
    RETH = 16
    ATOMIC_ETH = 28
    SITES = 1 << 30          # beyond the ids of tasks: PID_MAX_LIMIT, include/linux/threads.h
    SIDE_REMOTE = 2          # model/kinds.py: AccessSide
    READS = 1                # bytes are read, or written: status of an access
    WRITES = 2

cdef enum:                   # the high three bits of an opcode
    SERVICE_RC = 0
    SERVICE_UC = 1
    SERVICE_XRC = 5

cdef enum:                   # the low five: enum ib_opcode
    OP_SEND_FIRST = 0x00
    OP_SEND_MIDDLE = 0x01
    OP_SEND_LAST = 0x02
    OP_SEND_LAST_IMM = 0x03
    OP_SEND_ONLY = 0x04
    OP_SEND_ONLY_IMM = 0x05
    OP_WRITE_FIRST = 0x06
    OP_WRITE_MIDDLE = 0x07
    OP_WRITE_LAST = 0x08
    OP_WRITE_LAST_IMM = 0x09
    OP_WRITE_ONLY = 0x0A
    OP_WRITE_ONLY_IMM = 0x0B
    OP_READ = 0x0C
    OP_READ_ANSWER_FIRST = 0x0D
    OP_READ_ANSWER_MIDDLE = 0x0E
    OP_READ_ANSWER_LAST = 0x0F
    OP_READ_ANSWER_ONLY = 0x10
    OP_ACKNOWLEDGE = 0x11
    OP_ATOMIC_ANSWER = 0x12
    OP_COMPARE_SWAP = 0x13
    OP_FETCH_ADD = 0x14
    OP_SEND_LAST_INV = 0x16
    OP_SEND_ONLY_INV = 0x17
    OP_FLUSH = 0x1C
    OP_ATOMIC_WRITE = 0x1D

cdef enum:                   # AETH: the high three bits of its first byte, and the low five
    ANSWER_ACK = 0
    ANSWER_NAK = 3
    NAK_INVALID_REQUEST = 1
    NAK_REMOTE_ACCESS = 2
    NAK_REMOTE_OPERATION = 3

cdef enum:                   # model/kinds.py: WcStatus, Rights
    REM_INV_REQ_ERR = 9
    REM_ACCESS_ERR = 10
    REM_OP_ERR = 11
    REMOTE_WRITE = 2
    REMOTE_READ = 4
    REMOTE_ATOMIC = 8


cdef int wire_init(dv_wire* w, uint32_t addresses) noexcept nogil:
    memset(w, 0, sizeof(dv_wire))
    return names_init(&w.addresses, addresses) | flows_init(&w.flows)


cdef void wire_deinit(dv_wire* w) noexcept nogil:
    names_deinit(&w.addresses)
    flows_deinit(&w.flows)


cdef dv_event* add_row(dv_batch* batch, int kind, uint32_t device,
                       const dv_stamp* stamp) noexcept nogil:
    cdef dv_event* e = batch_push(batch)
    if e == NULL:
        return NULL
    e.kind = <uint8_t>kind
    e.device = device
    e.offset = stamp.offset
    e.time = stamp.time
    e.flags = F_BUS_UNKNOWN | F_PHYS_UNKNOWN | F_LENGTH_UNKNOWN | F_DIRECTION_UNKNOWN
    if not stamp.timed:
        e.flags |= F_TIME_UNKNOWN
    batch.numbers[batch.count - 1].record = <uint32_t>stamp.number
    return e


cdef int name_queue_pair(dv_batch* batch, uint32_t queue_pair) noexcept nogil:
    cdef dv_side* s = batch_side(batch, SIDE_HCA, 1, 1, 16)
    cdef dv_entry* entry
    if s == NULL:
        return -1
    entry = <dv_entry*>(s + 1)
    entry.address = queue_pair
    entry.length = HCA_QUEUE_PAIR
    return 0


cdef int add_request(dv_batch* batch, int kind, const dv_flow* f, const dv_request* r,
                     uint32_t site, int status, const dv_stamp* stamp) noexcept nogil:
    """Add what is asked for, or what became of it: both name the same memory."""
    cdef dv_event* e = add_row(batch, kind, f.to, stamp)
    if e == NULL:
        return -1
    e.site = site
    e.status = <short>status
    e.flags |= <uint16_t>(SIDE_REMOTE << TYPE_SHIFT)
    if r.what != ASKED_MESSAGE:
        e.object = r.key
        e.bus_addr = r.address
        e.length = r.length
        e.direction = r.rights
        e.flags &= ~<uint16_t>(F_BUS_UNKNOWN | F_LENGTH_UNKNOWN)
        if r.rights != 0:
            e.flags &= ~<uint16_t>F_DIRECTION_UNKNOWN
    return name_queue_pair(batch, f.queue_pair)


cdef inline uint32_t site_of(uint32_t flow, const dv_flow* f,
                             const dv_request* r) noexcept nogil:
    """Return a number for a request, by which its answer is known: as a task's it is its own."""
    return SITES + flow * RING + <uint32_t>(r - &f.ring[0])


cdef bint headers(uint8_t op, const uint8_t* p, size_t n, dv_request* r) noexcept nogil:
    """Read the headers behind the base one of a request's first packet; False: they are cut."""
    r.last = r.first
    r.whole = op != OP_WRITE_FIRST and op != OP_SEND_FIRST and op != OP_READ
    if op <= OP_SEND_ONLY_IMM or op == OP_SEND_ONLY_INV:
        r.what = ASKED_MESSAGE
        return True
    if op == OP_FLUSH:       # the kind of flush stands first
        r.what = ASKED_FLUSH
        if n < 4 + RETH:
            return False
        p += 4
        n -= 4
    elif op == OP_READ:
        r.what = ASKED_READ
        r.rights = REMOTE_READ
    elif op == OP_COMPARE_SWAP or op == OP_FETCH_ADD:
        r.what = ASKED_ATOMIC
        r.rights = REMOTE_ATOMIC
    else:
        r.what = ASKED_WRITE
        r.rights = REMOTE_WRITE
    if n < (ATOMIC_ETH if r.what == ASKED_ATOMIC else RETH):
        return False
    r.address = be64(p)
    r.key = be32(p + 8)
    r.length = 8 if r.what == ASKED_ATOMIC else be32(p + 12)
    return True


cdef inline bint begins(uint8_t op) noexcept nogil:
    """Tell whether a packet is the first of a request."""
    return op == OP_SEND_FIRST or op == OP_SEND_ONLY or op == OP_SEND_ONLY_IMM or \
        op == OP_SEND_ONLY_INV or op == OP_WRITE_FIRST or op == OP_WRITE_ONLY or \
        op == OP_WRITE_ONLY_IMM or op == OP_READ or op == OP_COMPARE_SWAP or \
        op == OP_FETCH_ADD or op == OP_FLUSH or op == OP_ATOMIC_WRITE


cdef inline bint goes_on(uint8_t op) noexcept nogil:
    """Tell whether a packet is a later one of a request."""
    return op == OP_SEND_MIDDLE or op == OP_SEND_LAST or op == OP_SEND_LAST_IMM or \
        op == OP_SEND_LAST_INV or op == OP_WRITE_MIDDLE or op == OP_WRITE_LAST or \
        op == OP_WRITE_LAST_IMM


# Return 1 for a new request, 0 for one that was seen before, -1 when memory is gone.
cdef int request(dv_wire* w, uint32_t flow, uint8_t op, const uint8_t* p, size_t n, uint32_t psn,
                 const dv_stamp* stamp, dv_batch* batch) noexcept nogil:
    cdef dv_request asked
    cdef dv_flow* f
    cdef dv_request* r
    cdef bint again = False
    memset(&asked, 0, sizeof(asked))
    asked.first = psn
    if not headers(op, p, n, &asked):
        w.cut += 1
        return 0
    f = &w.flows.items[flow]
    r = request_begin(f, &asked, &again)
    if again:
        w.repeated += 1
        # What is read again is looked up again; what is written again is not.
        if r.what != ASKED_READ:
            return 0
        r.answered = False
    if r.what == ASKED_MESSAGE:
        return 1
    w.requests += 1
    if add_request(batch, KIND_HCA_ACCESS, f, r, site_of(flow, f, r),
                   READS if r.what == ASKED_READ else
                   WRITES if r.what != ASKED_FLUSH else 0, stamp) < 0:
        return -1
    return 1


# Return 1 where the packet is new, 0 where it was seen before or belongs to nothing.
cdef int more_of(dv_flow* f, uint8_t op, uint32_t psn) noexcept nogil:
    """A later packet of the request that began last before it: its range grows."""
    cdef dv_request* best = NULL
    cdef int32_t away, least = 0x7FFFFF
    cdef int i
    for i in range(RING):
        away = psn_minus(psn, f.ring[i].first)
        if f.ring[i].what != ASKED_NOTHING and 0 < away < least:
            least = away
            best = &f.ring[i]
    if best == NULL or best.whole or best.what == ASKED_READ:
        return 0
    if psn_minus(psn, best.last) > 0:
        best.last = psn
    best.whole = op != OP_SEND_MIDDLE and op != OP_WRITE_MIDDLE
    return 1


cdef int invalidates(dv_wire* w, uint32_t flow, const uint8_t* p, size_t n,
                     const dv_stamp* stamp, dv_batch* batch) noexcept nogil:
    """A message that takes a key of the one that it goes to out of use."""
    cdef dv_event* e
    if n < 4:
        w.cut += 1
        return 0
    e = add_row(batch, KIND_INVALIDATE_MR, w.flows.items[flow].to, stamp)
    if e == NULL:
        return -1
    e.object = be32(p)
    return 0


cdef int verdict(dv_wire* w, uint32_t flow, dv_request* r, int status, const dv_stamp* stamp,
                 dv_batch* batch) noexcept nogil:
    cdef dv_flow* f = &w.flows.items[flow]
    if r.answered:
        return 0
    r.answered = True
    if r.what == ASKED_MESSAGE and status == 0:
        return 0
    w.answers += 1
    return add_request(batch, KIND_HCA_VERDICT, f, r, site_of(flow, f, r), status, stamp)


cdef int accepted(dv_wire* w, uint32_t flow, uint32_t psn, bint read_done,
                  const dv_stamp* stamp, dv_batch* batch) noexcept nogil:
    """An acknowledgement is for all up to its number; a read's is the last of its bytes."""
    cdef dv_flow* f = &w.flows.items[flow]
    cdef dv_request* named = request_at(f, psn)
    cdef dv_request* r
    cdef int i
    cdef bint good
    for i in range(RING):
        r = &f.ring[(f.next + i) % RING]     # the oldest first
        if r.what == ASKED_NOTHING or r.answered:
            continue
        if r.what == ASKED_READ:
            good = read_done and r == named
        else:
            good = r.whole and psn_minus(psn, r.last) >= 0
        if good and verdict(w, flow, r, 0, stamp, batch) < 0:
            return -1
    return 0


cdef int answer(dv_wire* w, uint32_t by, uint32_t to, uint32_t queue_pair, uint8_t op,
                const uint8_t* p, size_t n, uint32_t psn, const dv_stamp* stamp,
                dv_batch* batch) noexcept nogil:
    cdef uint32_t flow
    cdef uint8_t code
    cdef dv_request* r
    if n < 4:
        w.cut += 1
        return 0
    code = p[0]
    flow = flow_answered(&w.flows, by, to, queue_pair, psn)
    if flow == NO_FLOW:
        w.orphans += 1
        return 0
    if code >> 5 == ANSWER_ACK:
        return accepted(w, flow, psn, op == OP_READ_ANSWER_LAST or op == OP_READ_ANSWER_ONLY,
                        stamp, batch)
    if code >> 5 != ANSWER_NAK:              # the receiver is not ready: it is sent again
        return 0
    code &= 31
    if code < NAK_INVALID_REQUEST or code > NAK_REMOTE_OPERATION:
        return 0                             # a gap in the numbers: it is sent again
    r = request_at(&w.flows.items[flow], psn)
    if r == NULL:
        return 0
    if accepted(w, flow, (r.first - 1) & 0xFFFFFF, False, stamp, batch) < 0:
        return -1
    return verdict(w, flow, r, REM_INV_REQ_ERR + code - NAK_INVALID_REQUEST, stamp, batch)


cdef int packet(dv_wire* w, const dv_frame* f, const dv_stamp* stamp,
                dv_batch* batch) noexcept nogil:
    cdef const uint8_t* p = f.at
    cdef size_t n = f.n
    cdef uint8_t op, service
    cdef uint32_t by, to, queue_pair, psn, flow
    cdef int fresh
    if n < BTH:
        w.cut += not f.whole
        return 0
    if p[1] & 15:            # the version of the transport header
        return 0
    w.rdma += 1
    op = p[0] & 31
    service = p[0] >> 5
    if service != SERVICE_RC and service != SERVICE_UC and service != SERVICE_XRC:
        return 0
    queue_pair = be24(p + 5)
    psn = be24(p + 9)
    p += BTH
    n -= BTH
    if service == SERVICE_XRC and not OP_READ_ANSWER_FIRST <= op <= OP_ATOMIC_ANSWER:
        if n < 4:            # the shared receive queue stands first
            w.cut += 1
            return 0
        p += 4
        n -= 4
    by = names_number(&w.addresses, <const char*>f.source, 16)
    to = names_number(&w.addresses, <const char*>f.target, 16)
    if by == 0 or to == 0:
        return -1
    if OP_READ_ANSWER_FIRST <= op <= OP_ATOMIC_ANSWER:
        if op == OP_READ_ANSWER_MIDDLE:
            return 0
        return answer(w, by, to, queue_pair, op, p, n, psn, stamp, batch)
    if not begins(op) and not goes_on(op):
        return 0
    flow = flow_of(&w.flows, by, to, queue_pair)
    if flow == NO_FLOW:
        return 0
    if goes_on(op):
        fresh = more_of(&w.flows.items[flow], op, psn)
    else:
        fresh = request(w, flow, op, p, n, psn, stamp, batch)
    if fresh < 0:
        return -1
    if fresh and (op == OP_SEND_LAST_INV or op == OP_SEND_ONLY_INV):
        return invalidates(w, flow, p, n, stamp, batch)
    return 0


cdef int wire_frame(dv_wire* w, const uint8_t* p, size_t n, uint32_t link,
                    const dv_stamp* stamp, dv_batch* batch) noexcept nogil:
    cdef dv_frame f
    cdef int found = frame_open(p, n, link, &f)
    if found == FOUND_RDMA:
        return packet(w, &f, stamp, batch)
    w.cut += found == FOUND_CUT
    w.fragments += found == FOUND_FRAGMENT
    w.links += found == FOUND_LINK
    return 0
