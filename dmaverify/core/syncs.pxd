# cython: language_level=3
# From a sync to the mapping that holds the whole of its range.

from dmaverify.core.context cimport dv_context

# Find the mapping that holds the start of a synced range, best one that holds it all.
cdef void resolve_sync(dv_context* c) noexcept nogil
