# cython: language_level=3
# Memory regions and windows by their keys: registrations, their ends, and which region, rights
# and bytes an access by key is about. The look-ups change nothing.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.context cimport dv_context

# Return a number that the event has beside its row; `known` tells whether it has it.
cdef uint64_t hca_value(const dv_context* c, int what, bint* known) noexcept nogil
# Find what the event's key names: a live region, or the one that ended last.
cdef int keys_find(dv_context* c) noexcept nogil
# The same, and what the access lacks of it. Domain, side and wanted rights must stand.
cdef void keys_look_up(dv_context* c) noexcept nogil

# What an event means, by kind; 0, or -1 when memory is gone.
cdef int keys_access(dv_context* c) noexcept nogil
cdef int keys_verdict(dv_context* c) noexcept nogil
cdef int keys_rights(dv_context* c) noexcept nogil
cdef int keys_fast(dv_context* c) noexcept nogil
cdef int keys_bind(dv_context* c) noexcept nogil
# A window is given back: what is bound is its region.
cdef void keys_window(dv_context* c) noexcept nogil

# What it changes; 0, or -1 when memory is gone.
cdef int keys_registered(dv_context* c) noexcept nogil
cdef int keys_changed(dv_context* c) noexcept nogil
cdef int keys_bound(dv_context* c) noexcept nogil
cdef int keys_ended(dv_context* c) noexcept nogil
cdef int keys_accessed(dv_context* c) noexcept nogil
