# cython: language_level=3
# Frames of a packet capture: what of them is RDMA, and the rows that it makes.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from dmaverify.model.events cimport dv_batch
from dmaverify.trace._flows cimport dv_flows
from dmaverify.trace._names cimport dv_names

# Where a frame stands and when it was captured.
cdef struct dv_stamp:
    uint64_t time            # ns
    uint64_t offset          # of the packet's record in the file
    uint64_t number          # of the packet, from 1
    bint timed

cdef struct dv_wire:
    dv_names addresses       # 16 bytes each; IPv4 as IPv6 has it, ::ffff:0:0/96
    dv_flows flows
    uint64_t rdma            # packets with a transport header
    uint64_t cut             # packets that the capture cut before the end of their headers
    uint64_t fragments       # of IP datagrams: only a first one has the header
    uint64_t repeated        # requests that were sent or captured again
    uint64_t requests        # that name memory of the peer
    uint64_t answers         # of which it is clear what they are about
    uint64_t orphans         # answers to what the capture does not hold
    uint64_t links           # frames of link types that are not known

# Return 0, or -1 when memory is gone.
cdef int wire_init(dv_wire* w, uint32_t addresses) noexcept nogil
cdef void wire_deinit(dv_wire* w) noexcept nogil
# Read one frame; `link` is its LINKTYPE. Return 0, or -1 when memory is gone.
cdef int wire_frame(dv_wire* w, const uint8_t* p, size_t n, uint32_t link,
                    const dv_stamp* stamp, dv_batch* batch) noexcept nogil
