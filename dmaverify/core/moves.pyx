# cython: language_level=3
"""Bytes that a device or a sync moves."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.adapters cimport CHILDREN_MAX, OBJECT_FILE, dv_named
from dmaverify.core.aims cimport context_spanned
from dmaverify.core.context cimport OBJ_FOREIGN, OBJ_MAPPING, dv_context
from dmaverify.core.transfers cimport dv_transfer, transfers_begin, transfers_end, transfers_forget
from dmaverify.core.versions cimport mapping_touch
from dmaverify.core.world cimport (
    DEVICE_WROTE, HANDED_TO_CPU, HANDED_TO_DEVICE, OWNED_BY_CPU, OWNED_BY_DEVICE, SCAN_MAX,
    STATE_LIVE, dv_world,
)
from dmaverify.model.events cimport (
    DIR_FROM_DEVICE, DIR_NONE, DIR_TO_DEVICE, F_DIRECTION_UNKNOWN, F_LENGTH_UNKNOWN,
    KIND_DEV_START, KIND_DEV_WRITE, KIND_DMA_SYNC_FOR_CPU, SIDE_SG_BUS, dv_batch, dv_entry,
    dv_event, dv_side, event_failed, event_side, side_entries,
)


cdef int apply_sync(dv_world* w, const dv_batch* b, const dv_event* e,
                    uint32_t index) noexcept nogil:
    """Hand the synced bytes over. The sync's own direction decides what moves.

    Source: Linux kernel/dma/swiotlb.c, swiotlb_sync_single_for_cpu() and _for_device().
    """
    cdef const dv_side* bus = event_side(b, e, SIDE_SG_BUS) if e.side != 0 else NULL
    cdef const dv_entry* entries
    cdef uint32_t i
    cdef bint to_cpu = e.kind == KIND_DMA_SYNC_FOR_CPU
    cdef int how = HANDED_TO_CPU if to_cpu else HANDED_TO_DEVICE
    if not e.flags & F_DIRECTION_UNKNOWN and \
            e.direction == (DIR_TO_DEVICE if to_cpu else DIR_FROM_DEVICE):
        how = OWNED_BY_CPU if to_cpu else OWNED_BY_DEVICE
    if bus == NULL:
        return mapping_touch(w, index, False, e.bus_addr, e.length, how)
    entries = side_entries(bus)
    for i in range(bus.stored):
        if mapping_touch(w, index, False, entries[i].address, entries[i].length, how) < 0:
            return -1
    return 0


cdef int begin_transfer(dv_world* w, const dv_event* e, uint32_t index) noexcept nogil:
    cdef dv_transfer one
    one.start = e.bus_addr
    one.length = 0 if e.flags & F_LENGTH_UNKNOWN else e.length
    one.mapping = index
    one.object = e.object
    one.direction = DIR_NONE if e.flags & F_DIRECTION_UNKNOWN else e.direction
    return transfers_begin(&w.open, &one)


cdef int spanned_written(dv_world* w, dv_context* c) noexcept nogil:
    """Mark what a device wrote in the mappings that its write went on into."""
    cdef const dv_event* e = c.event
    cdef uint64_t at = c.held, room = 0, end = e.length - c.past_end
    cdef uint32_t other, steps = 0
    while at < end and steps < SCAN_MAX:
        steps += 1
        other = context_spanned(c, at, &room)
        if other == 0:
            return 0
        if mapping_touch(w, other, False, e.bus_addr + at, min(room, end - at), DEVICE_WROTE) < 0:
            return -1
        at += room
    return 0


cdef int apply_transfer(dv_world* w, dv_context* c) noexcept nogil:
    """Open or close a device's transfer in its mapping; what it wrote is news to the CPU."""
    cdef const dv_event* e = c.event
    cdef uint32_t index = c.meant[OBJ_MAPPING]
    if index != 0 and w.mappings[index].state != STATE_LIVE:
        return 0
    if index == 0:
        if c.meant[OBJ_FOREIGN] == 0 and c.may_predate and not event_failed(e) and \
                w.devices[e.device].truncated_live == 0:
            if c.across_gap:
                w.across_gap += 1
            else:
                w.in_flight += 1
        return 0
    if e.kind == KIND_DEV_START:
        w.mappings[index].transfers += 1
        return begin_transfer(w, e, index)
    if w.mappings[index].transfers != 0:
        w.mappings[index].transfers -= 1
        transfers_end(&w.open, index, e.object, e.bus_addr)
    if e.kind != KIND_DEV_WRITE or e.flags & F_LENGTH_UNKNOWN:
        return 0
    if mapping_touch(w, index, False, e.bus_addr, e.length, DEVICE_WROTE) < 0:
        return -1
    return spanned_written(w, c)


cdef void cancel_transfers(dv_world* w, const dv_named* named) noexcept nogil:
    """A mapped transfer was cancelled: the device is done with what its file maps."""
    cdef uint32_t at = w.objects.items[named.index[OBJECT_FILE]].first
    cdef uint32_t mapping, steps = 0
    while at != 0 and steps < CHILDREN_MAX:
        mapping = w.objects.bindings[at].mapping
        if w.mappings[mapping].transfers != 0:
            transfers_forget(&w.open, mapping)
            w.mappings[mapping].transfers = 0
        at = w.objects.bindings[at].next[OBJECT_FILE]
        steps += 1
