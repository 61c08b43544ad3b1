# cython: language_level=3
# What a peer asked for, and what the HCA made of it. A request and its answer name the same
# memory and have the same site, which is no task's.

from dmaverify.core.context cimport dv_context

# Remember what is wrong about an access by key.
cdef int peer_asked(dv_context* c) noexcept nogil
# Find what was wrong about the request that a verdict is on.
cdef int peer_answered(dv_context* c) noexcept nogil
