# cython: language_level=3
# What platforms make of the driver's calls: bytes that they move, leave or put over others, and
# a broken contract. Keeps what calls do to memory that is watched by nobody.

from libc.stdint cimport uint64_t

from dmaverify.core.between cimport dv_effects
from dmaverify.core.context cimport dv_context
from dmaverify.core.world cimport dv_mapping, dv_world

# Judge the end of a mapping, or a sync; `mistake`: of the call (contract.pxd). Return 0 or -1.
cdef int judge_end(dv_effects* f, dv_context* c, int mistake) noexcept nogil
cdef int judge_sync(dv_effects* f, dv_context* c, int mistake) noexcept nogil
# A mapping is made: keep what it says about memory. Return 0, or -1 when memory is gone.
cdef int note_map(dv_effects* f, const dv_context* c) noexcept nogil
# Judge an allocation made of memory that was there. Return 0, or -1 when memory is gone.
cdef int judge_persistent(dv_effects* f, dv_context* c) noexcept nogil
# Keep what platforms make of a call, by the bytes that are the worse for it; `throws`: it throws
# cache lines away.
cdef int add_call(dv_effects* f, dv_context* c, int mistake, uint64_t cpu_bytes,
                  uint64_t device_bytes, uint64_t neighbours, bint throws) noexcept nogil
# Count a mapping that CPU and device use at once, at its end. Return 0, or -1.
cdef int note_registered(dv_effects* f, dv_world* w, const dv_mapping* m,
                         uint64_t site) noexcept nogil
# Judge a mapping that its driver left behind. Return 0, or -1 when memory is gone.
cdef int judge_left(dv_effects* f, dv_context* c) noexcept nogil
