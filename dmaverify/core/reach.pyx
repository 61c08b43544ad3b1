# cython: language_level=3
"""What platforms make of a device's access, once it is known how it lies (see reach.pxd)."""

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.between cimport (
    bounced, cached_apart, dv_effects, guarded, owes_syncs, registered, set_effect,
    shared_whole, translation,
)
from dmaverify.core.coherence cimport LINE_BYTES
from dmaverify.core.context cimport (
    FROM_BEFORE, FROM_PAST, FROM_PHYSICAL, FROM_POINTER, FROM_TRUNCATED, OBJ_ENCLOSING,
    dv_context,
)
from dmaverify.core.incidents cimport (
    CAUSE_CONTRACT, CAUSE_CPU_BYTES_LOST, CAUSE_DEVICE_BYTES_LOST, CAUSE_FILL,
    CAUSE_FOREIGN_BYTES, CAUSE_GUARD, CAUSE_LATE_WINDOW, CAUSE_LINE_SHARED, CAUSE_MMIO,
    CAUSE_NOT_FLUSHED, CAUSE_NO_DIRECTION, CAUSE_NO_MEMORY, CAUSE_NO_PERMISSION,
    CAUSE_NO_TRANSLATION, CAUSE_OTHER_MEMORY, CAUSE_OWN_MEMORY, CAUSE_PAST_PAGES, CAUSE_PRIVATE,
    CAUSE_SAME_PAGE, CAUSE_SHARED_AT_ONCE, CAUSE_STALE_FOR_DEVICE, CAUSE_TOO_WIDE,
    CAUSE_TRANSLATION_GONE, CAUSE_UNKNOWN_MEMORY, EFFECT_BREAKS, EFFECT_CANNOT_TELL,
    EFFECT_LUCK, dv_verdict,
)
from dmaverify.core.touches cimport dirty_bytes, ends_since
from dmaverify.core.world cimport dv_mapping
from dmaverify.model.events cimport F_MMIO, F_TIME_UNKNOWN, KIND_DEV_ACCESS
from dmaverify.model.platform cimport TRANSLATION_NESTED, TRANSLATION_NONE, dv_platform


cdef inline void may_break(dv_verdict* v, uint32_t i, const dv_reach* r,
                           int cause) noexcept nogil:
    """What a write breaks, and an access of which nothing tells the direction may break."""
    if r.unknown:
        set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_NO_DIRECTION, 0)
    else:
        set_effect(v, i, EFFECT_BREAKS, cause, 0)


cdef void judge_past(const dv_platform* p, const dv_reach* r, const dv_mapping* m,
                     bint translated, bint copied, uint32_t i, dv_verdict* v) noexcept nogil:
    """The part of an access that runs past the end of its mapping."""
    if translated and r.past > page_room(p, r):
        if not p.recorded or not r.others_pages:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_PAST_PAGES, 1)
        elif r.writes:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_FOREIGN_BYTES, 0)
        else:
            set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    elif guarded(p, m, copied) and not translated:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_GUARD, 0)
    elif shared_whole(p, m) and r.past > page_room(p, r):
        set_effect(v, i, EFFECT_BREAKS, CAUSE_PRIVATE, 0)
    elif r.foreign and not copied and not r.reads:
        may_break(v, i, r, CAUSE_FOREIGN_BYTES)
    else:
        set_effect(v, i, EFFECT_LUCK, CAUSE_SAME_PAGE if translated else CAUSE_CONTRACT, 0)


cdef uint64_t dirty_on(const dv_effects* f, const dv_platform* p, const dv_reach* r) noexcept nogil:
    cdef uint64_t line = p.line_bytes - 1, first = r.memory & ~line
    if p.line_bytes == LINE_BYTES or not r.memory_known or r.length == r.past:
        return r.dirty
    return dirty_bytes(
        &f.touches, first, ((r.memory + (r.length - r.past - 1)) | line) - first + 1, r.since)


cdef void judge_mapped(dv_effects* f, dv_context* c, const dv_reach* r, const dv_mapping* m,
                       uint32_t i, dv_verdict* v) noexcept nogil:
    """An access that lies, or begins, in a live mapping."""
    cdef const dv_platform* p = &f.platforms[i]
    cdef int tr = translation(p, c)
    cdef bint copied = bounced(p, c.world, m)
    cdef bint apart = copied or cached_apart(p, m)
    if tr != TRANSLATION_NONE and r.wrong:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_NO_PERMISSION, 1)
    if tr == TRANSLATION_NESTED and m.flags & F_MMIO and not p.second_reaches_mmio:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_MMIO, 2)
    if r.past != 0:
        judge_past(p, r, m, tr != TRANSLATION_NONE, copied, i, v)
    if r.wrong:
        if copied and r.writes:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_DEVICE_BYTES_LOST, 0)
        elif copied and not p.copies_in_always and not p.recorded:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_FILL, 0)
        set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    if r.writes and cached_apart(p, m) and dirty_on(f, p, r) != 0:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_LINE_SHARED, 0)
    if r.unsent == 0 and not r.unclean:
        return
    # A write of the device is of its own buffer, whatever the CPU has there.
    if r.unsent != 0 and apart and r.unknown:
        set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_NO_DIRECTION, 0)
        return
    if (r.unsent != 0 and apart and r.reads) or (r.unclean and cached_apart(p, m)):
        set_effect(v, i, EFFECT_BREAKS,
                   CAUSE_SHARED_AT_ONCE if registered(m) else CAUSE_STALE_FOR_DEVICE, 0)
    if owes_syncs(m) and not registered(m):
        set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)


cdef bint within_flush(const dv_effects* f, const dv_context* c, const dv_platform* p,
                       const dv_mapping* m) noexcept nogil:
    """Tell whether a translation that was taken away may still work on a platform."""
    cdef bint time_known = c.world.time_known and m.ended.flags & 1 and \
        not c.event.flags & F_TIME_UNKNOWN
    if p.flush_after_unmaps != 0 and \
            ends_since(&f.touches, m.ended.record) > p.flush_after_unmaps:
        return False
    if p.flush_after_ns != 0 and time_known and c.event.time > m.ended.time and \
            c.event.time - m.ended.time > p.flush_after_ns:
        return False
    return True


cdef void judge_reused(const dv_platform* p, const dv_reach* r, int luck, const dv_mapping* m,
                       uint32_t i, dv_verdict* v) noexcept nogil:
    """A late access that reaches the memory itself, whoever has it by now."""
    cdef bint stale = r.unclean and cached_apart(p, m)  # for one who reads
    if r.unknown and stale:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_CPU_BYTES_LOST, 0)
    elif r.overwrites and not r.reads:
        may_break(v, i, r, CAUSE_CPU_BYTES_LOST)
    elif r.foreign and not r.reads:
        may_break(v, i, r, CAUSE_FOREIGN_BYTES)
    elif stale:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_STALE_FOR_DEVICE, 0)
    else:
        set_effect(v, i, EFFECT_LUCK, luck, 0)


cdef void judge_late(dv_effects* f, dv_context* c, const dv_reach* r, const dv_mapping* m,
                     uint32_t i, dv_verdict* v) noexcept nogil:
    """An access through a mapping that has ended."""
    cdef const dv_platform* p = &f.platforms[i]
    if translation(p, c) != TRANSLATION_NONE:
        if p.recorded and c.event.kind == KIND_DEV_ACCESS:
            set_effect(v, i, EFFECT_LUCK, CAUSE_NOT_FLUSHED, 0)
        elif p.recorded and r.within_lazy:
            set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_NOT_FLUSHED, 0)
        elif p.flush_after_ns == 0 and p.flush_after_unmaps == 0 or not within_flush(f, c, p, m):
            set_effect(v, i, EFFECT_BREAKS, CAUSE_TRANSLATION_GONE, 1)
        elif r.wrong:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_NO_PERMISSION, 1)
        elif r.past > page_room(p, r):
            set_effect(v, i, EFFECT_BREAKS, CAUSE_PAST_PAGES, 1)
        elif not r.lazy_known:
            set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_NOT_FLUSHED, 0)
        elif not bounced(p, c.world, m):
            judge_reused(p, r, CAUSE_NOT_FLUSHED, m, i, v)
    elif bounced(p, c.world, m):
        if r.unknown and p.guard_bytes != 0:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_LATE_WINDOW, 0)
        elif not r.reads:
            may_break(v, i, r, CAUSE_LATE_WINDOW)
        elif p.guard_bytes != 0:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_FILL, 0)
        if not r.unknown:
            set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    elif shared_whole(p, m):
        set_effect(v, i, EFFECT_BREAKS, CAUSE_PRIVATE, 0)
    else:
        judge_reused(p, r, CAUSE_CONTRACT, m, i, v)


cdef void judge_loose(dv_effects* f, dv_context* c, const dv_reach* r, uint32_t i,
                      dv_verdict* v) noexcept nogil:
    """An access of what is mapped for nobody, and was not of late."""
    cdef const dv_platform* p = &f.platforms[i]
    cdef uint64_t first = c.event.bus_addr, last = first + (r.length - 1)
    cdef uint32_t near = c.meant[OBJ_ENCLOSING]
    cdef int from_ = c.provenance
    cdef bint beside = from_ == FROM_PAST or from_ == FROM_BEFORE
    cdef bint copied = beside and near != 0 and bounced(p, c.world, &c.world.mappings[near])
    if translation(p, c) != TRANSLATION_NONE:
        if beside and near != 0 and r.past + r.before != 0 and r.past <= page_room(p, r) and \
                r.before <= r.start & (p.page_bytes - 1):
            if r.writes and r.foreign and not copied:
                set_effect(v, i, EFFECT_BREAKS, CAUSE_FOREIGN_BYTES, 0)
            else:
                set_effect(v, i, EFFECT_LUCK, CAUSE_SAME_PAGE, 0)
        elif from_ == FROM_TRUNCATED and not p.recorded:
            # A translated address may lie low enough to survive.
            set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_UNKNOWN_MEMORY, 0)
        else:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_NO_TRANSLATION, 1)
    elif from_ == FROM_POINTER:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_NO_MEMORY, 0)
    elif from_ == FROM_TRUNCATED:
        if p.highest >> 32 != 0 and not p.recorded:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_OTHER_MEMORY, 0)
        elif p.recorded:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_OTHER_MEMORY, 0)
        else:
            set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    elif from_ == FROM_PAST and near != 0 and guarded(p, &c.world.mappings[near], False):
        set_effect(v, i, EFFECT_BREAKS, CAUSE_GUARD, 0)
    elif p.private_memory and not copied and not (
            beside and near != 0 and shared_whole(p, &c.world.mappings[near]) and
            r.past <= page_room(p, r) and r.before <= r.start & (p.page_bytes - 1)):
        set_effect(v, i, EFFECT_BREAKS, CAUSE_PRIVATE, 0)
    elif copied:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_GUARD, 0)
    elif beside:
        if r.writes and r.foreign:
            set_effect(v, i, EFFECT_BREAKS, CAUSE_FOREIGN_BYTES, 0)
        else:
            set_effect(v, i, EFFECT_LUCK, CAUSE_CONTRACT, 0)
    elif from_ != FROM_PHYSICAL:
        set_effect(v, i, EFFECT_CANNOT_TELL, CAUSE_UNKNOWN_MEMORY, 0)
    elif p.bus_offset != 0:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_OTHER_MEMORY, 0)
    elif not p.recorded and last > p.highest:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_TOO_WIDE, 0)
    elif not p.recorded and not p.coherent and r.reads and r.overwrites:
        set_effect(v, i, EFFECT_BREAKS, CAUSE_STALE_FOR_DEVICE, 0)
    else:
        set_effect(v, i, EFFECT_LUCK, CAUSE_OWN_MEMORY, 0)
