# cython: language_level=3
# A program and platforms, made ready for a run.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.judge cimport dv_engine

# Say what machines the effects are worked out for.
cdef engine_platforms(dv_engine* g, platforms, uint64_t seed)
# Make a program ready to run.
cdef engine_load(dv_engine* g, program)
# The number of the first need of a group's rule that the recording does not meet, or None.
cdef engine_unmet(dv_engine* g, program, uint32_t group)
