# cython: language_level=3
"""The IOMMU's pages.

`iommu:unmap` is logged inside the call, before the unmap event of a page and after that of a
list or an allocation: a page's balance returns to zero when both have been seen.
Source: Linux kernel/dma/mapping.c, the trace_dma_* call sites.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from dmaverify.core.shadow cimport PAGE_SHIFT
from dmaverify.core.table cimport dv_slot, table_find, table_get, table_remove, table_slot
from dmaverify.core.world cimport dv_world

cdef uint32_t COUNT_SHIFT = 16
cdef uint32_t COUNT_MAX = 0xFFFF
cdef int32_t BALANCE_ZERO = 0x8000
cdef uint64_t IOMMU_CLEAR_MAX = 1024  # pages; a longer range leaves some marked as live


cdef bint iommu_is_live(const dv_world* w, uint64_t bus_addr) noexcept nogil:
    if w.iommu_events == 0:
        return False
    return table_get(&w.iommu, bus_addr >> PAGE_SHIFT) >> COUNT_SHIFT != 0


cdef inline int32_t balance_of(uint32_t value) noexcept nogil:
    return <int32_t>(value & 0xFFFF) - BALANCE_ZERO if value != 0 else 0


cdef inline void iommu_set(dv_world* w, dv_slot* slot, int32_t live, int32_t by) noexcept nogil:
    """Change a page. Each device may have the same number translated, so there may be several."""
    cdef uint32_t count = slot.value >> COUNT_SHIFT
    cdef int32_t balance = balance_of(slot.value) + by
    if balance > 100:
        balance = 100
    elif balance < -100:
        balance = -100
    if live > 0 and count < COUNT_MAX:
        count += 1
    elif live < 0 and count != 0:
        count -= 1
    if count == 0 and balance == 0:
        table_remove(&w.iommu, slot)
    else:
        slot.value = count << COUNT_SHIFT | <uint32_t>(balance + BALANCE_ZERO)


cdef inline int iommu_change(dv_world* w, uint64_t page, int32_t live, int32_t by) noexcept nogil:
    """Count a translation of a page up or down, and move its balance."""
    cdef dv_slot* slot = table_slot(&w.iommu, page)
    if slot == NULL:
        return -1
    iommu_set(w, slot, live, by)
    return 0


cdef int iommu_map(dv_world* w, uint64_t iova) noexcept nogil:
    w.iommu_events += 1
    return iommu_change(w, iova >> PAGE_SHIFT, 1, 0)


cdef int iommu_unmap(dv_world* w, uint64_t iova, uint64_t length) noexcept nogil:
    cdef uint64_t page = iova >> PAGE_SHIFT
    cdef uint64_t pages = length >> PAGE_SHIFT
    cdef uint64_t i
    cdef dv_slot* slot
    w.iommu_events += 1
    # One unmap may end what several maps began.
    for i in range(1, pages if pages < IOMMU_CLEAR_MAX else IOMMU_CLEAR_MAX):
        slot = table_find(&w.iommu, page + i)
        if slot != NULL and slot.value >> COUNT_SHIFT != 0:
            iommu_set(w, slot, -1, 0)
    return iommu_change(w, page, -1, 1)


cdef int iommu_ended(dv_world* w, uint64_t bus_addr) noexcept nogil:
    if w.iommu_events == 0:
        return 0
    return iommu_change(w, bus_addr >> PAGE_SHIFT, 0, -1)


cdef int32_t iommu_removed(const dv_world* w, uint64_t bus_addr) noexcept nogil:
    return balance_of(table_get(&w.iommu, bus_addr >> PAGE_SHIFT))
