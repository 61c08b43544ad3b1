# cython: language_level=3
"""Scatter/gather lists: their pages, and the index by which an unmap names one."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport malloc

from dmaverify.core.shadow cimport PAGE_SHIFT
from dmaverify.core.table cimport dv_slot, table_find, table_get, table_remove, table_set
from dmaverify.core.world cimport GHOST_SEGMENTS, MARK_IN_LIST, dv_mapping, dv_world, list_key
from dmaverify.model.events cimport dv_entry, dv_side, side_entries

cdef uint64_t PAGE_MASK = (1 << PAGE_SHIFT) - 1


cdef bint list_in_pages(const dv_side* bus, const dv_side* phys) noexcept nogil:
    """Tell whether each entry of a list that an IOMMU merged is known to be one page of it.

    It merges entries where one ends and the next begins at a page boundary: as many entries as
    pages are one page each, but for the ends. Source: Linux drivers/iommu/dma-iommu.c,
    iommu_dma_map_sg() and __finalise_sg().
    """
    cdef const dv_entry* b = side_entries(bus)
    cdef const dv_entry* p = side_entries(phys)
    cdef uint64_t at, left
    cdef uint32_t i, entries = 0
    if bus.stored != bus.full or phys.stored != phys.full or phys.full > GHOST_SEGMENTS:
        return False
    for i in range(bus.stored):
        at = b[i].address
        left = b[i].length
        while left != 0:
            if entries == phys.full or (p[entries].address ^ at) & PAGE_MASK:
                return False
            entries += 1
            left -= min(left, PAGE_MASK + 1 - (at & PAGE_MASK))
            at = (at | PAGE_MASK) + 1
    return entries == phys.full


cdef int keep_list(dv_world* w, uint32_t index, const dv_side* phys) noexcept nogil:
    """Remember the caller's list: an unmap names its mapping by nothing else."""
    cdef dv_mapping* m = &w.mappings[index]
    cdef const dv_entry* p = side_entries(phys)
    cdef uint32_t i, head
    cdef uint64_t key
    m.list = <uint64_t*>malloc(phys.stored * sizeof(uint64_t) + 1)
    if m.list == NULL:
        return -1
    for i in range(phys.stored):
        m.list[i] = p[i].address
    m.listed = phys.stored
    m.count = phys.full
    if phys.stored == 0:
        return 0
    key = list_key(m.device, p[0].address)
    head = table_get(&w.lists, key)
    m.list_next = head
    m.list_prev = 0
    if head != 0:
        w.mappings[head].list_prev = index
    m.marks |= MARK_IN_LIST
    return table_set(&w.lists, key, index)


cdef void unlist(dv_world* w, uint32_t index) noexcept nogil:
    cdef dv_mapping* m = &w.mappings[index]
    cdef dv_slot* slot
    if not m.marks & MARK_IN_LIST:
        return
    m.marks &= ~MARK_IN_LIST
    if m.list_next != 0:
        w.mappings[m.list_next].list_prev = m.list_prev
    if m.list_prev != 0:
        w.mappings[m.list_prev].list_next = m.list_next
        return
    slot = table_find(&w.lists, list_key(m.device, m.list[0]))
    if slot == NULL:
        return
    if m.list_next != 0:
        slot.value = m.list_next
    else:
        table_remove(&w.lists, slot)
