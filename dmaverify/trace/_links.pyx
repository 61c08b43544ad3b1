# cython: language_level=3
"""Find RDMA in captured frames: RoCE v2 in UDP, and RoCE v1 by its Ethertype.

Source: tcpdump.org/linktypes.html; IEEE 802.1Q; RFC 791; RFC 8200, section 4; RFC 768; Linux
include/rdma/ib_hdrs.h, struct ib_grh; include/net/ip.h; drivers/infiniband/sw/rxe/rxe_net.c
(ROCE_V2_UDP_DPORT, 4791).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stddef cimport size_t
from libc.string cimport memcpy, memset

from dmaverify.trace._bytes cimport be16

cdef enum:
    ROCE_V2_PORT = 4791
    ETHER_IPV4 = 0x0800
    ETHER_IPV6 = 0x86DD
    ETHER_ROCE_V1 = 0x8915
    ETHER_VLAN = 0x8100
    ETHER_QINQ = 0x88A8
    ETHER_QINQ_OLD = 0x9100
    IP_UDP = 17
    NEXT_BTH = 0x1B          # next header of a GRH before a base transport header
    EXTENSIONS_MAX = 8
    TAGS_MAX = 4

cdef enum:                   # LINKTYPE_*
    LINK_NULL = 0
    LINK_ETHERNET = 1
    LINK_RAW_OLD = 12
    LINK_RAW_BSD = 14
    LINK_RAW = 101
    LINK_LOOP = 108
    LINK_LINUX_SLL = 113
    LINK_IPV4 = 228
    LINK_IPV6 = 229
    LINK_LINUX_SLL2 = 276


cdef bint link_known(uint32_t link) noexcept nogil:
    return link == LINK_ETHERNET or link == LINK_LINUX_SLL or link == LINK_LINUX_SLL2 or \
        link == LINK_RAW or link == LINK_IPV4 or link == LINK_IPV6 or link == LINK_NULL or \
        link == LINK_LOOP or link == LINK_RAW_OLD or link == LINK_RAW_BSD


cdef inline int clip(dv_frame* f, const uint8_t* p, size_t have, size_t said) noexcept nogil:
    """Take what a header says to follow, as far as it was captured."""
    f.at = p
    f.n = have if have < said else said
    f.whole = have >= said
    return FOUND_RDMA


cdef int open_udp(const uint8_t* p, size_t have, size_t said, dv_frame* f) noexcept nogil:
    cdef size_t length
    if said < 8:
        return FOUND_NOTHING
    if have < 8:
        return FOUND_CUT
    if be16(p + 2) != ROCE_V2_PORT:
        return FOUND_NOTHING
    length = be16(p + 4)
    if length < 8 or length > said:
        length = said
    return clip(f, p + 8, have - 8, length - 8)


cdef int open_ipv4(const uint8_t* p, size_t n, dv_frame* f) noexcept nogil:
    cdef size_t head, said
    if n < 20:
        return FOUND_CUT
    head = (p[0] & 15) * 4
    said = be16(p + 2)
    if p[0] >> 4 != 4 or head < 20:
        return FOUND_NOTHING
    if said == 0:            # the sending network card cuts it into datagrams
        said = n
    if p[9] != IP_UDP or said < head:
        return FOUND_NOTHING
    if be16(p + 6) & 0x1FFF:
        return FOUND_FRAGMENT
    if n < head:
        return FOUND_CUT
    memset(f.source, 0, 10)
    f.source[10] = f.source[11] = 0xFF
    memcpy(f.target, f.source, 12)
    memcpy(f.source + 12, p + 12, 4)
    memcpy(f.target + 12, p + 16, 4)
    return open_udp(p + head, n - head, said - head, f)


cdef int open_ipv6(const uint8_t* p, size_t n, dv_frame* f) noexcept nogil:
    cdef size_t at = 40, said, size
    cdef uint8_t following
    cdef int _
    if n < 40:
        return FOUND_CUT
    if p[0] >> 4 != 6:
        return FOUND_NOTHING
    said = 40 + be16(p + 4)
    following = p[6]
    memcpy(f.source, p + 8, 16)
    memcpy(f.target, p + 24, 16)
    for _ in range(EXTENSIONS_MAX):
        if following == IP_UDP:
            return open_udp(p + at, n - at, said - at, f) if said >= at else FOUND_NOTHING
        if following != 0 and following != 43 and following != 60 and following != 44:
            return FOUND_NOTHING
        if n < at + 8:
            return FOUND_CUT
        if following == 44:
            if be16(p + at + 2) >> 3:
                return FOUND_FRAGMENT
            size = 8
        else:
            size = (<size_t>p[at + 1] + 1) * 8
        following = p[at]
        at += size
        if at > n:
            return FOUND_CUT
    return FOUND_NOTHING


cdef int open_roce_v1(const uint8_t* p, size_t n, dv_frame* f) noexcept nogil:
    if n < 40:
        return FOUND_CUT
    if p[0] >> 4 != 6 or p[6] != NEXT_BTH:
        return FOUND_NOTHING
    memcpy(f.source, p + 8, 16)
    memcpy(f.target, p + 24, 16)
    return clip(f, p + 40, n - 40, be16(p + 4))


cdef int open_ether(uint16_t type, const uint8_t* p, size_t n, dv_frame* f) noexcept nogil:
    cdef int _
    for _ in range(TAGS_MAX):
        if type != ETHER_VLAN and type != ETHER_QINQ and type != ETHER_QINQ_OLD:
            break
        if n < 4:
            return FOUND_CUT
        type = be16(p + 2)
        p += 4
        n -= 4
    if type == ETHER_IPV4:
        return open_ipv4(p, n, f)
    if type == ETHER_IPV6:
        return open_ipv6(p, n, f)
    if type == ETHER_ROCE_V1:
        return open_roce_v1(p, n, f)
    return FOUND_NOTHING


cdef int open_ip(const uint8_t* p, size_t n, dv_frame* f) noexcept nogil:
    if n < 1:
        return FOUND_CUT
    return open_ipv4(p, n, f) if p[0] >> 4 == 4 else open_ipv6(p, n, f)


cdef int frame_open(const uint8_t* p, size_t n, uint32_t link, dv_frame* ret) noexcept nogil:
    cdef size_t head = 0
    if not link_known(link):
        return FOUND_LINK
    if link == LINK_ETHERNET:
        head = 14
    elif link == LINK_LINUX_SLL:
        head = 16
    elif link == LINK_LINUX_SLL2:
        head = 20
    elif link == LINK_NULL or link == LINK_LOOP:
        head = 4             # an address family, whose number hangs on the system
    if n < head:
        return FOUND_CUT
    if link == LINK_ETHERNET or link == LINK_LINUX_SLL:
        return open_ether(be16(p + head - 2), p + head, n - head, ret)
    if link == LINK_LINUX_SLL2:
        return open_ether(be16(p), p + head, n - head, ret)
    return open_ip(p + head, n - head, ret)
