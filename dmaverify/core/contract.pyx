# cython: language_level=3
"""Whether a call keeps the contract (see contract.pxd).

Source: Linux Documentation/core-api/dma-api.rst, parts Ia to Id; kernel/dma/debug.c compares
the same facts.
"""

from libc.stdint cimport uint32_t

from dmaverify.core.context cimport OBJ_FOREIGN, OBJ_MAPPING, OBJ_OVERLAP, dv_context
from dmaverify.core.incidents cimport (
    MISTAKE_FREE_CPU_ADDRESS, MISTAKE_FREE_SIZE, MISTAKE_ILLEGAL_MEMORY,
    MISTAKE_INVALID_DIRECTION, MISTAKE_NONE, MISTAKE_OVERLAP, MISTAKE_SG_COUNT,
    MISTAKE_SYNC_DIRECTION, MISTAKE_SYNC_RANGE, MISTAKE_SYNC_UNMAPPED, MISTAKE_UNMAP_DIRECTION,
    MISTAKE_UNMAP_OTHER_DEVICE, MISTAKE_UNMAP_SIZE, MISTAKE_UNMAP_TYPE, MISTAKE_UNMAP_UNMAPPED,
    MISTAKE_ZERO_LENGTH,
)
from dmaverify.core.world cimport (
    MARK_DIRECTION, MARK_LENGTH, MARK_VIRT, MARK_WHOLE_PAGES, dv_mapping,
)
from dmaverify.model.events cimport (
    DIR_BIDIRECTIONAL, DIR_NONE, DIR_TO_DEVICE, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN, F_MMIO,
    F_NULL_CPU, F_SKIP_SYNC, F_TRUNCATED, KIND_DMA_ALLOC, KIND_DMA_FREE, KIND_DMA_MAP,
    KIND_DMA_SYNC_FOR_CPU, KIND_DMA_SYNC_FOR_DEVICE, KIND_DMA_UNMAP, TYPE_SG, TYPE_SINGLE,
    TYPE_UNKNOWN, dv_event, event_failed, event_type,
)

# Memory that no driver may map: model/kinds.py's stack, vmalloc, constants and code.
cdef uint32_t FORBIDDEN = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8
# An unmap of a list longer than this fills a page of the trace ring and leaves no event.
cdef uint32_t LONGEST_TRACED_LIST = 480


cdef inline bint known_direction(const dv_event* e) noexcept nogil:
    return not e.flags & F_DIRECTION_UNKNOWN


cdef int end_mistake(const dv_context* c, const dv_mapping* m) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef int type_ = event_type(e)
    cdef bint free_ = e.kind == KIND_DMA_FREE
    if type_ != m.type:
        if type_ == TYPE_UNKNOWN or m.type == TYPE_UNKNOWN:
            return MISTAKE_NONE
        return MISTAKE_UNMAP_TYPE
    if m.type == TYPE_SG:
        if c.count != m.count:
            return MISTAKE_SG_COUNT
    elif not e.flags & F_LENGTH_UNKNOWN and m.marks & MARK_LENGTH and e.length != m.length:
        return MISTAKE_FREE_SIZE if free_ else MISTAKE_UNMAP_SIZE
    if free_:
        if c.virt_known and m.marks & MARK_VIRT and c.virt != m.virt_addr:
            return MISTAKE_FREE_CPU_ADDRESS
        return MISTAKE_NONE
    if known_direction(e) and m.marks & MARK_DIRECTION and e.direction < DIR_NONE and \
            e.direction != m.direction:
        return MISTAKE_UNMAP_DIRECTION
    return MISTAKE_NONE


cdef int sync_mistake(const dv_context* c, const dv_mapping* m) noexcept nogil:
    cdef const dv_event* e = c.event
    if c.past_end != 0 and not m.flags & F_TRUNCATED:
        return MISTAKE_SYNC_RANGE
    if known_direction(e) and m.marks & MARK_DIRECTION and m.direction != DIR_BIDIRECTIONAL and \
            e.direction != m.direction and (m.type == TYPE_SINGLE or m.type == TYPE_SG):
        return MISTAKE_SYNC_DIRECTION
    return MISTAKE_NONE


cdef inline bint user_memory(const dv_event* e, const dv_mapping* m) noexcept nogil:
    """True where both are registered memory: a program may register a page as often as it likes."""
    return event_type(e) == TYPE_SG and e.direction == DIR_BIDIRECTIONAL and \
        m.type == TYPE_SG and m.direction == DIR_BIDIRECTIONAL and m.marks & MARK_WHOLE_PAGES


cdef int map_mistake(const dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef uint32_t other = c.meant[OBJ_OVERLAP]
    cdef const dv_mapping* m = &c.world.mappings[other]
    if not e.flags & F_LENGTH_UNKNOWN and e.length == 0:
        return MISTAKE_ZERO_LENGTH
    if e.kind == KIND_DMA_ALLOC:
        return MISTAKE_NONE
    if known_direction(e) and e.direction >= DIR_NONE:
        return MISTAKE_INVALID_DIRECTION
    if c.memory < 32 and FORBIDDEN >> c.memory & 1:
        return MISTAKE_ILLEGAL_MEMORY
    if other == 0 or m.device != c.device or (e.flags | m.flags) & (F_SKIP_SYNC | F_MMIO) or \
            not known_direction(e) or not m.marks & MARK_DIRECTION or \
            m.count > LONGEST_TRACED_LIST or user_memory(e, m):
        return MISTAKE_NONE
    if e.direction == DIR_TO_DEVICE and m.direction == DIR_TO_DEVICE:
        return MISTAKE_NONE
    return MISTAKE_OVERLAP


cdef int call_mistake(dv_context* c) noexcept nogil:
    cdef const dv_event* e = c.event
    cdef int kind = e.kind
    cdef uint32_t index = c.meant[OBJ_MAPPING]
    cdef bint ends = kind == KIND_DMA_UNMAP or kind == KIND_DMA_FREE
    if event_failed(e) or e.flags & F_NULL_CPU:
        return MISTAKE_NONE
    if kind == KIND_DMA_MAP or kind == KIND_DMA_ALLOC:
        return map_mistake(c)
    if not ends and kind != KIND_DMA_SYNC_FOR_CPU and kind != KIND_DMA_SYNC_FOR_DEVICE:
        return MISTAKE_NONE
    if index != 0:
        return end_mistake(c, &c.world.mappings[index]) if ends else \
            sync_mistake(c, &c.world.mappings[index])
    if ends and c.meant[OBJ_FOREIGN] != 0:
        return MISTAKE_UNMAP_OTHER_DEVICE
    if c.may_predate or c.across_gap or c.meant[OBJ_FOREIGN] != 0:
        return MISTAKE_NONE
    if ends:
        return MISTAKE_UNMAP_UNMAPPED
    return MISTAKE_SYNC_UNMAPPED if c.world.devices[c.device].truncated_live == 0 else MISTAKE_NONE
