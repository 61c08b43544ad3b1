# cython: language_level=3
"""Walk the packets of a capture file, `pcap` or `pcapng`, in either byte order.

Source: IETF draft-ietf-opsawg-pcap ("PCAP Capture File Format") and draft-ietf-opsawg-pcapng.
Decoding never reads outside the bytes that it is given, and never allocates except in the batch
and for new addresses.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from dmaverify.model.events cimport (
    EventBatch, F_BUS_UNKNOWN, F_DIRECTION_UNKNOWN, F_PHYS_UNKNOWN, F_TIME_UNKNOWN, KIND_LOST,
    batch_push, dv_batch, dv_event,
)
from dmaverify.trace._bytes cimport host16, host32, host64
from dmaverify.trace._links cimport link_known
from dmaverify.trace._roce cimport dv_stamp, dv_wire, wire_deinit, wire_frame, wire_init

from dmaverify.trace.events import MAX_DEVICES

cdef extern from *:
    """
    #include <stdint.h>
    /* ns of `fraction` ticks of 2^-n seconds */
    static inline uint64_t dv_binary_ns(uint64_t fraction, uint32_t n) {
        return (uint64_t)(((unsigned __int128)fraction * 1000000000u) >> n);
    }
    """
    uint64_t dv_binary_ns(uint64_t fraction, uint32_t n) noexcept nogil

cdef enum:
    FILE_HEAD = 24           # of a pcap file
    RECORD_HEAD = 16
    FRAME_MAX = 1 << 18      # bytes of a frame: MAXIMUM_SNAPLEN of libpcap
    BLOCK_MAX = 1 << 20      # bytes of a block that is read; a larger one is no packet's
    INTERFACES = 1024
    BINARY = 0x80            # if_tsresol: a power of two

cdef enum:                   # block types of pcapng
    BLOCK_INTERFACE = 1
    BLOCK_PACKET_OLD = 2
    BLOCK_PACKET_SIMPLE = 3
    BLOCK_STATISTICS = 5
    BLOCK_PACKET = 6
    BLOCK_SECTION = 0x0A0D0D0A

cdef enum:                   # option codes
    OPTION_END = 0
    STATISTICS_DROPPED = 5
    INTERFACE_RESOLUTION = 9
    INTERFACE_OFFSET = 14

cdef enum dv_step:
    STEP_DONE = 1            # one record was used
    STEP_MORE = 0            # it does not end in the bytes that there are
    STEP_BROKEN = -1         # it can not be one
    STEP_NO_MEMORY = -2

cdef uint64_t SECOND = 1000000000
cdef uint64_t LATEST = 0xFFFFFFFF    # seconds: as late as a pcap file can tell

cdef struct dv_interface:
    uint32_t link
    uint32_t snap
    int64_t offset           # seconds
    uint64_t dropped         # packets, as the statistics said last
    uint8_t resolution

cdef struct dv_decoder:
    dv_wire wire
    dv_interface interfaces[INTERFACES]
    uint32_t count           # interfaces of the section
    bint swap
    bint nanoseconds         # of a pcap file
    bint blocks              # a pcapng file
    bint started
    uint64_t packets
    uint64_t lost
    uint64_t strangers       # packets of interfaces that were not told
    uint64_t skip            # bytes of a large block that are left
    size_t need              # bytes that the next record has


cdef inline uint16_t host2(const dv_decoder* d, const uint8_t* p) noexcept nogil:
    return host16(p, d.swap)


cdef inline uint32_t host4(const dv_decoder* d, const uint8_t* p) noexcept nogil:
    return host32(p, d.swap)


cdef inline uint64_t host8(const dv_decoder* d, const uint8_t* p) noexcept nogil:
    return host64(p, d.swap)


cdef void stamp_of(const dv_interface* i, uint64_t ticks, dv_stamp* s) noexcept nogil:
    """Turn ticks of an interface into ns; what does not fit is not known."""
    cdef uint32_t power = i.resolution & 0x7F
    cdef uint64_t seconds, rest, unit = 1
    cdef uint32_t _
    s.timed = False
    if i.resolution & BINARY:
        if power > 63:
            return
        seconds = ticks >> power
        rest = dv_binary_ns(ticks & ((<uint64_t>1 << power) - 1), power)
    else:
        if power > 19:
            return
        for _ in range(power):
            unit *= 10
        seconds = ticks // unit
        rest = ticks % unit
        for _ in range(power, 9):
            rest *= 10
        for _ in range(9, power):
            rest //= 10
    if i.offset < 0 and seconds < <uint64_t>-i.offset:
        return
    seconds += <uint64_t>i.offset
    if seconds > LATEST:
        return
    s.time = seconds * SECOND + rest
    s.timed = True


cdef int frame(dv_decoder* d, const dv_interface* i, const uint8_t* p, size_t n,
               dv_stamp* s, dv_batch* batch) noexcept nogil:
    s.number = d.packets
    return STEP_DONE if wire_frame(&d.wire, p, n, i.link, s, batch) == 0 else STEP_NO_MEMORY


cdef int pcap_step(dv_decoder* d, const uint8_t* p, size_t n, uint64_t offset, size_t* used,
                   dv_batch* batch) noexcept nogil:
    """Use the record at p: time in seconds and a fraction, bytes captured, bytes there were."""
    cdef uint64_t size, fraction
    cdef dv_stamp s
    d.need = RECORD_HEAD
    if n < RECORD_HEAD:
        return STEP_MORE
    size = host4(d, p + 8)
    fraction = host4(d, p + 4)
    if size > FRAME_MAX or fraction >= SECOND:
        return STEP_BROKEN
    d.need = RECORD_HEAD + size
    if n < d.need:
        return STEP_MORE
    used[0] = d.need
    d.packets += 1
    memset(&s, 0, sizeof(s))
    s.offset = offset
    s.timed = True
    s.time = host4(d, p) * SECOND + (fraction if d.nanoseconds else fraction * 1000)
    return frame(d, &d.interfaces[0], p + RECORD_HEAD, size, &s, batch)


cdef int section(dv_decoder* d, const uint8_t* p) noexcept nogil:
    """Begin a section: its byte order, and no interface is known any more."""
    cdef uint32_t magic
    memcpy(&magic, p + 8, 4)
    if magic == 0x1A2B3C4D:
        d.swap = False
    elif magic == 0x4D3C2B1A:
        d.swap = True
    else:
        return -1
    d.count = 0
    return 0


# Find an option of a block; return its length, or -1 where it is not there.
cdef int option(const dv_decoder* d, const uint8_t* p, const uint8_t* end, uint32_t code,
                const uint8_t** ret) noexcept nogil:
    cdef uint32_t size, found
    while end - p >= 4:
        found = host2(d, p)
        size = host2(d, p + 2)
        p += 4
        if found == OPTION_END or <size_t>(end - p) < size:
            return -1
        if found == code:
            ret[0] = p
            return <int>size
        size = (size + 3) & ~<uint32_t>3
        if <size_t>(end - p) < size:
            return -1
        p += size
    return -1


cdef void interface(dv_decoder* d, const uint8_t* p, const uint8_t* end) noexcept nogil:
    cdef dv_interface* i
    cdef const uint8_t* q = NULL
    if end - p < 8:
        return
    if d.count == INTERFACES:
        return
    i = &d.interfaces[d.count]
    memset(i, 0, sizeof(dv_interface))
    d.count += 1
    i.link = host2(d, p)
    i.snap = host4(d, p + 4)
    i.resolution = 6
    if option(d, p + 8, end, INTERFACE_RESOLUTION, &q) == 1:
        i.resolution = q[0]
    if option(d, p + 8, end, INTERFACE_OFFSET, &q) == 8:
        i.offset = <int64_t>host8(d, q)
        if not -(<int64_t>1 << 40) < i.offset < <int64_t>1 << 40:
            i.offset = 0


cdef int statistics(dv_decoder* d, const uint8_t* p, const uint8_t* end, uint64_t offset,
                    dv_batch* batch) noexcept nogil:
    """Tell of packets that the interface dropped since it said so last."""
    cdef const uint8_t* q = NULL
    cdef uint32_t number
    cdef uint64_t dropped
    cdef dv_event* e
    if end - p < 12:
        return STEP_DONE
    number = host4(d, p)
    if number >= d.count or option(d, p + 12, end, STATISTICS_DROPPED, &q) != 8:
        return STEP_DONE
    dropped = host8(d, q)
    if dropped <= d.interfaces[number].dropped or dropped >> 48:
        return STEP_DONE
    e = batch_push(batch)
    if e == NULL:
        return STEP_NO_MEMORY
    e.kind = KIND_LOST
    e.length = dropped - d.interfaces[number].dropped
    e.flags = F_BUS_UNKNOWN | F_PHYS_UNKNOWN | F_DIRECTION_UNKNOWN | F_TIME_UNKNOWN
    e.offset = offset
    batch.numbers[batch.count - 1].record = <uint32_t>d.packets
    d.lost += e.length
    d.interfaces[number].dropped = dropped
    return STEP_DONE


cdef int block_packet(dv_decoder* d, uint32_t type, const uint8_t* p, const uint8_t* end,
                      uint64_t offset, dv_batch* batch) noexcept nogil:
    cdef uint32_t number = 0
    cdef size_t size, head = 20
    cdef dv_stamp s
    cdef const dv_interface* i
    memset(&s, 0, sizeof(s))
    s.offset = offset
    d.packets += 1
    if type == BLOCK_PACKET_SIMPLE:
        head = 4
    if <size_t>(end - p) < head:
        return STEP_BROKEN
    if type == BLOCK_PACKET:
        number = host4(d, p)
    elif type == BLOCK_PACKET_OLD:
        number = host2(d, p)
    if number >= d.count:
        d.strangers += 1
        return STEP_DONE
    i = &d.interfaces[number]
    size = host4(d, p) if type == BLOCK_PACKET_SIMPLE else host4(d, p + 12)
    if type == BLOCK_PACKET_SIMPLE:
        if i.snap and size > i.snap:
            size = i.snap
    else:
        stamp_of(i, <uint64_t>host4(d, p + 4) << 32 | host4(d, p + 8), &s)
    if size > <size_t>(end - p) - head:
        return STEP_BROKEN
    return frame(d, i, p + head, size, &s, batch)


cdef int block_step(dv_decoder* d, const uint8_t* p, size_t n, uint64_t offset, size_t* used,
                    dv_batch* batch) noexcept nogil:
    """Use the block at p: type, length, what it holds, and the length again."""
    cdef uint32_t type, size
    d.need = 12
    if n < 12:
        return STEP_MORE
    memcpy(&type, p, 4)
    if type == BLOCK_SECTION and section(d, p) < 0:
        return STEP_BROKEN
    type = host4(d, p)
    size = host4(d, p + 4)
    if size < 12 or size & 3 or (not d.started and type != BLOCK_SECTION):
        return STEP_BROKEN
    d.started = True
    if size > BLOCK_MAX:
        if type == BLOCK_PACKET or type == BLOCK_PACKET_OLD or type == BLOCK_PACKET_SIMPLE:
            return STEP_BROKEN
        used[0] = n if n < size else size
        d.skip = size - used[0]
        return STEP_DONE
    d.need = size
    if n < size:
        return STEP_MORE
    used[0] = size
    if host4(d, p + size - 4) != size:
        return STEP_BROKEN
    if type == BLOCK_INTERFACE:
        interface(d, p + 8, p + size - 4)
    elif type == BLOCK_STATISTICS:
        return statistics(d, p + 8, p + size - 4, offset, batch)
    elif type == BLOCK_PACKET or type == BLOCK_PACKET_OLD or type == BLOCK_PACKET_SIMPLE:
        return block_packet(d, type, p + 8, p + size - 4, offset, batch)
    return STEP_DONE


cdef int64_t walk(dv_decoder* d, const uint8_t* p, size_t n, uint64_t offset, int* how,
                  dv_batch* batch) noexcept nogil:
    cdef size_t at = 0, used
    how[0] = STEP_MORE
    while True:
        if d.skip:
            used = n - at if n - at < d.skip else d.skip
            d.skip -= used
            at += used
        used = 0
        if d.blocks:
            how[0] = block_step(d, p + at, n - at, offset + at, &used, batch)
        else:
            how[0] = pcap_step(d, p + at, n - at, offset + at, &used, batch)
        if how[0] != STEP_DONE:
            return <int64_t>at
        at += used


cdef class CaptureDecoder:
    """Turns bytes of a capture into rows.

    Args:
        head: the first 24 bytes of the file, or more.

    Attributes:
        broken: offset of what is no record; None while all is well.
    """

    cdef dv_decoder d
    cdef readonly object broken

    def __cinit__(self, bytes head not None):
        memset(&self.d, 0, sizeof(self.d))
        if wire_init(&self.d.wire, MAX_DEVICES) < 0:
            raise MemoryError()

    def __init__(self, bytes head not None):
        cdef const uint8_t* p = head
        cdef uint32_t magic
        self.broken = None
        memcpy(&magic, p, 4)
        self.d.blocks = magic == BLOCK_SECTION
        if self.d.blocks:
            return
        self.d.swap = magic == 0xD4C3B2A1 or magic == 0x4D3CB2A1
        self.d.nanoseconds = magic == 0xA1B23C4D or magic == 0x4D3CB2A1
        self.d.count = 1
        self.d.interfaces[0].link = host4(&self.d, p + 20) & 0x0FFFFFFF

    def __dealloc__(self):
        wire_deinit(&self.d.wire)

    def decode(self, data, size_t start, size_t n, uint64_t offset, EventBatch batch not None):
        """Add the rows of whole records in `data[start:n]`; return how many bytes were used.

        What is left is the begin of a record that has `need` bytes, or, where `broken` is set,
        something else.

        Args:
            data: bytes of the file.
            start, n: where to begin and to end.
            offset: where the byte at `start` is in the file.
            batch: rows are added to it.
        """
        cdef const uint8_t[::1] view = data
        cdef int how = STEP_MORE
        cdef int64_t used
        cdef const uint8_t* p
        if n > <size_t>view.shape[0] or start >= n:
            return 0
        p = &view[start]
        with nogil:
            used = walk(&self.d, p, n - start, offset, &how, &batch.c)
        if how == STEP_NO_MEMORY:
            raise MemoryError()
        if how == STEP_BROKEN:
            self.broken = offset + used
        return used

    def addresses(self, size_t known):
        """Return the addresses from a number on, 16 bytes each, in the order of their numbers."""
        cdef size_t i
        found = []
        for i in range(known, self.d.wire.addresses.count):
            p = self.d.wire.addresses.bytes + self.d.wire.addresses.starts[i]
            found.append(<bytes>(<const char*>p)[:16])
        return found

    @property
    def need(self):
        """Return how many bytes the record has that could not be used yet."""
        return self.d.need

    @property
    def links(self):
        """Return the link types of the interfaces that can not be read, each once."""
        cdef uint32_t i
        return sorted({self.d.interfaces[i].link for i in range(self.d.count)
                       if not link_known(self.d.interfaces[i].link)})

    @property
    def counts(self):
        """Return what was counted so far, by name."""
        cdef const dv_wire* w = &self.d.wire
        return {
            "packets": self.d.packets, "lost": self.d.lost, "strangers": self.d.strangers,
            "rdma": w.rdma, "cut": w.cut, "fragments": w.fragments, "repeated": w.repeated,
            "requests": w.requests, "answers": w.answers, "orphans": w.orphans,
            "unclear": w.flows.unclear, "flows_refused": w.flows.refused,
            "unknown_links": w.links,
        }
